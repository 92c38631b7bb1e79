//! The run: how far, how fast, how long, and a bar for each node and reason. PURE.

use std::collections::BTreeMap;

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use super::parts::{bar, fit, left, pane, right};
use super::theme::Theme;
use crate::app::App;
use crate::app::run::{Run, Stage};
use crate::numbers::{duration_text, grouped};
use crate::send::End;
use crate::send::tally::reason;

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, app: &App, theme: &Theme) {
    let Some(run) = &app.run else { return };
    let n_nodes = app
        .look
        .as_ref()
        .and_then(|look| look.as_ref().ok()?.fleet.as_ref())
        .map_or(0, |fleet| fleet.nodes.len());
    let nodes_height = u16::try_from(n_nodes).unwrap_or(u16::MAX).min(area.height / 4).saturating_add(3);
    let [area, nodes] = if n_nodes > 0 && area.height >= 20 {
        Layout::vertical([Constraint::Min(0), Constraint::Length(nodes_height)]).areas(area)
    } else {
        [area, Rect::default()]
    };
    if !nodes.is_empty() {
        super::fleet::draw(frame, nodes, app, theme);
    }
    let inner = pane(frame, area, theme, &format!("Send data to {}", run.to));
    let columns = usize::from(inner.width);
    let mut lines = vec![Line::default()];
    lines.push(gauge(run, theme, columns));
    lines.push(status(app, run, theme, columns));
    lines.push(Line::default());
    lines.extend(bars(run, theme, columns, usize::from(inner.height).saturating_sub(9)));
    lines.extend(failures(run, theme, columns));
    frame.render_widget(Paragraph::new(lines), inner);
}

fn gauge(run: &Run, theme: &Theme, columns: usize) -> Line<'static> {
    let percent = (run.done() * 100).checked_div(run.n_sentences).unwrap_or(100);
    let label = format!(
        "  {} of {}  {}",
        grouped(run.done()),
        grouped(run.n_sentences),
        right(&format!("{percent}%"), 4)
    );
    let room = columns.saturating_sub(label.chars().count());
    let filled = bar(run.done(), run.n_sentences, room);
    let rest = "░".repeat(room.saturating_sub(filled.chars().count()));
    Line::from(vec![
        Span::styled(filled, theme.good()),
        Span::styled(rest, theme.quiet()),
        Span::styled(label, theme.head()),
    ])
}

fn status(app: &App, run: &Run, theme: &Theme, columns: usize) -> Line<'static> {
    let (seconds, tenths) = run.taken(app.now);
    let (word, style, mut text) = match &run.stage {
        Stage::Running if run.trouble.is_some() => ("◌ waiting", theme.warn(), String::new()),
        Stage::Running => ("● sending", theme.good(), String::new()),
        Stage::Paused => ("‖ paused", theme.warn(), "  p goes on".to_owned()),
        Stage::Cancelling => ("○ cancelling", theme.warn(), "  waiting for answers under way".to_owned()),
        Stage::Ended(End::Complete) if run.n_failed() == 0 => {
            ("✓ done", theme.good(), format!("  in {seconds}.{tenths} s"))
        }
        Stage::Ended(End::Complete) => {
            ("✗ done, with failures", theme.bad(), format!("  in {seconds}.{tenths} s"))
        }
        Stage::Ended(End::Cancelled) => {
            ("○ cancelled", theme.warn(), format!("  after {seconds}.{tenths} s"))
        }
        Stage::Ended(End::Unreachable(cause)) => ("✗ unreachable", theme.bad(), format!("  {cause}")),
        Stage::Ended(End::Stalled(cause)) => ("✗ ended", theme.bad(), format!("  {cause}")),
    };
    if run.stage == Stage::Running {
        if let Some(rate) = run.pace.per_second() {
            text += &format!("  {}/s", grouped(rate));
        }
        if let Some(left) = run.pace.seconds_left(run.n_sentences.saturating_sub(run.done())) {
            text += &format!("  {} left", duration_text(left));
        }
        if let Some(cause) = &run.trouble {
            text += &format!("  {}", cause.detail);
        }
    }
    if run.resumed > 0 {
        text += &format!("  ({} stored by an earlier run)", grouped(run.resumed));
    }
    Line::from(vec![
        Span::styled(word, style),
        Span::raw(fit(&text, columns.saturating_sub(word.chars().count()))),
    ])
}

fn bars(run: &Run, theme: &Theme, columns: usize, room: usize) -> Vec<Line<'static>> {
    if run.tally.total() == 0 {
        return Vec::new();
    }
    let places = run
        .tally
        .nodes()
        .enumerate()
        .map(|(place, (node, _))| (node.to_owned(), place))
        .collect::<BTreeMap<_, _>>();
    let node_width = places.keys().map(|node| node.chars().count()).max().unwrap_or(0).clamp(4, 16);
    let most = run.tally.pairs().map(|(_, _, count)| count).max().unwrap_or(0);
    let bar_width = columns.saturating_sub(node_width + 2 + 10 + 2 + 12);
    let head = format!("{}  {}  {}", left("node", node_width), left("reason", 10), right("stored", 10));
    let mut lines = vec![Line::styled(head, theme.head())];
    let pairs = run.tally.pairs().collect::<Vec<_>>();
    let shown = if pairs.len() > room { room.saturating_sub(1) } else { pairs.len() };
    let mut last = "";
    for (node, filter, count) in pairs.iter().take(shown).copied() {
        let name = if node == last { "" } else { node };
        last = node;
        let place = places.get(node).copied().unwrap_or(0);
        lines.push(Line::from(vec![
            Span::raw(format!(
                "{}  {}  {}  ",
                left(name, node_width),
                left(reason(node, filter), 10),
                right(&grouped(count), 10)
            )),
            Span::styled(bar(count, most, bar_width), theme.bar(place)),
        ]));
    }
    if shown < pairs.len() {
        lines.push(Line::styled(format!("and {} more", pairs.len() - shown), theme.quiet()));
    }
    lines.push(Line::default());
    lines
}

fn failures(run: &Run, theme: &Theme, columns: usize) -> Vec<Line<'static>> {
    let mut causes = run.failed.iter().collect::<Vec<_>>();
    causes.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
    let mut lines = Vec::new();
    for (cause, count) in causes.iter().take(2) {
        let start = format!("✗ {} not stored: ", grouped(**count));
        let text = fit(&cause.to_string(), columns.saturating_sub(start.chars().count()));
        lines.push(Line::from(vec![Span::styled(start, theme.bad()), Span::raw(text)]));
    }
    if causes.len() > 2 {
        lines
            .push(Line::styled(format!("and {} other causes; e shows all", causes.len() - 2), theme.quiet()));
    }
    lines
}
