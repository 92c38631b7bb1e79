//! The box for the balancer's address, with the outcome of the test. PURE.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Paragraph, Wrap};

use super::parts::{pane, written};
use super::theme::Theme;
use crate::app::App;

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, app: &App, theme: &Theme) {
    let [top, nodes] = Layout::vertical([Constraint::Length(8), Constraint::Min(3)]).areas(area);
    let inner = pane(frame, top, theme, "Load balancer address");
    let rows = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(1),
        Constraint::Length(1),
        Constraint::Min(0),
    ]);
    let [_, line, _, below] = rows.areas(inner);
    let (input, problem) = &app.address_box;
    written(frame, line, theme, "Address: ", input);
    let text = match (problem, &app.look) {
        (Some(problem), _) => Line::from(vec![Span::styled("✗ ", theme.bad()), Span::raw(problem.clone())]),
        (None, Some(Err(_))) => Line::from(vec![
            Span::styled("✗ unreachable  ", theme.bad()),
            Span::raw("Enter tests it again; Esc keeps it all the same."),
        ]),
        (None, Some(Ok(look))) => Line::from(vec![
            Span::styled("✓ ", theme.good()),
            Span::raw(format!("answers, in {} ms", look.millis)),
        ]),
        (None, None) if app.address.is_some() => Line::styled("Asking the balancer …", theme.quiet()),
        (None, None) => {
            Line::styled("HOST:PORT, such as localhost:4999; Enter tests the connection.", theme.quiet())
        }
    };
    frame.render_widget(Paragraph::new(text).wrap(Wrap { trim: false }), below);
    super::fleet::draw(frame, nodes, app, theme);
}
