//! The pane of the nodes, as the balancer sees them. PURE.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Paragraph, Wrap};
use wire::{FleetView, NodeState};

use super::parts::{fit, left, pane, right};
use super::theme::Theme;
use crate::app::App;
use crate::nodes::cells;

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, app: &App, theme: &Theme) {
    let inner = pane(frame, area, theme, "Nodes");
    let quiet = |text: &str| vec![Line::styled(text.to_owned(), theme.quiet())];
    let lines = match (&app.address, &app.look) {
        (None, _) => quiet("Insert the load balancer's address (2) to see its nodes."),
        (Some(_), None) => quiet("Asking the balancer …"),
        (Some(_), Some(Err(cause))) => vec![Line::from(vec![
            Span::styled("✗ unreachable  ", theme.bad()),
            Span::raw(crate::printable::printable(&cause.to_string()).into_owned()),
        ])],
        (Some(_), Some(Ok(look))) => match &look.fleet {
            None => quiet("Something answers, but shows no nodes: a balancer of 2020, or another server."),
            Some(fleet) => {
                let lines = table(fleet, theme, usize::from(inner.width), usize::from(inner.height));
                // A row that is too wide loses its end; the words of the other cases are wrapped.
                return frame.render_widget(Paragraph::new(lines), inner);
            }
        },
    };
    frame.render_widget(Paragraph::new(lines).wrap(Wrap { trim: false }), inner);
}

fn table(fleet: &FleetView, theme: &Theme, columns: usize, height: usize) -> Vec<Line<'static>> {
    let name = fleet.nodes.iter().map(|node| node.name.chars().count()).max().unwrap_or(0).clamp(4, 16);
    let head = format!(
        "{}  {}  {}  {}  {}  {}  {}  {}",
        left("node", name),
        left("state", 10),
        right("documents", 10),
        right("ram", 4),
        right("cpu", 4),
        left("source", 6),
        right("age", 7),
        right("share", 5),
    );
    let mut lines = vec![Line::styled(fit(&head, columns), theme.head())];
    let room = height.saturating_sub(1);
    let shown = if fleet.nodes.len() > room { room.saturating_sub(1) } else { room };
    for node in fleet.nodes.iter().take(shown) {
        let [called, state, documents, ram, cpu, source, age, _, share, error] = cells(node);
        let (sign, style) = match node.state {
            NodeState::Up => ("●", theme.good()),
            NodeState::Draining => ("◐", theme.warn()),
            NodeState::Down => ("○", theme.bad()),
        };
        let rest = format!(
            "  {}  {}  {}  {}  {}  {}  ",
            right(&documents, 10),
            right(&ram, 4),
            right(&cpu, 4),
            left(&source, 6),
            right(&age, 7),
            right(&share, 5),
        );
        let used = name + 2 + 10 + rest.chars().count();
        let error = if error == "-" { String::new() } else { fit(&error, columns.saturating_sub(used)) };
        lines.push(Line::from(vec![
            Span::raw(left(&called, name) + "  "),
            Span::styled(left(&format!("{sign} {state}"), 10), style),
            Span::raw(rest),
            Span::styled(error, theme.quiet()),
        ]));
    }
    if shown < fleet.nodes.len() {
        lines.push(Line::styled(format!("and {} more", fleet.nodes.len() - shown), theme.quiet()));
    }
    lines
}
