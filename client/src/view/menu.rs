//! The menu: the five entries of the old client with what each stands at, and the nodes below. PURE.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use super::parts::{fit, fit_end, left, pane};
use super::theme::Theme;
use crate::app::run::{Run, Stage};
use crate::app::{App, ENTRIES};
use crate::numbers::{grouped, sentences};

/// Columns of an entry's name.
const LABEL: usize = 34;

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, app: &App, theme: &Theme) {
    let [menu, nodes] = Layout::vertical([Constraint::Length(9), Constraint::Min(3)]).areas(area);
    let inner = pane(frame, menu, theme, "Menu");
    let columns = usize::from(inner.width);
    let mut lines = vec![Line::default()];
    for (place, entry) in ENTRIES.iter().enumerate() {
        let selected = place == app.entry;
        let sign = if selected { "›" } else { " " };
        let label = left(&format!("{sign} {}  {entry}", place + 1), LABEL);
        let room = columns.saturating_sub(LABEL + 2);
        let state = state(app, place);
        let state = if place == 0 { fit_end(&state, room) } else { fit(&state, room) };
        let style = if selected { theme.selected() } else { theme.head() };
        lines.push(Line::from(vec![
            Span::styled(label, style),
            Span::raw("  "),
            Span::styled(state, theme.quiet()),
        ]));
    }
    frame.render_widget(Paragraph::new(lines), inner);
    super::fleet::draw(frame, nodes, app, theme);
}

fn state(app: &App, entry: usize) -> String {
    let rows = app.data.as_ref().map_or(0, |data| data.rows.len());
    match entry {
        0 => app.data.as_ref().map_or_else(|| "none yet".to_owned(), |data| data.source.name.clone()),
        1 => app.address.as_ref().map_or_else(|| "none yet".to_owned(), ToString::to_string),
        2 => match &app.data {
            None => String::new(),
            Some(data) if data.n_faults > 0 => {
                format!("{}, {} over the limit", sentences(rows as u64), data.n_faults)
            }
            Some(_) => sentences(rows as u64),
        },
        3 => match (&app.run, &app.data) {
            (Some(run), _) if run.is_under_way() => under_way(run),
            (_, Some(data)) if data.n_stored() > 0 => {
                format!(
                    "{} stored, {} to send",
                    grouped(data.n_stored() as u64),
                    grouped(app.n_missing() as u64)
                )
            }
            (_, Some(_)) => format!("{} to send", grouped(rows as u64)),
            _ => String::new(),
        },
        _ => String::new(),
    }
}

fn under_way(run: &Run) -> String {
    let (done, all) = (grouped(run.done()), grouped(run.n_sentences));
    match run.stage {
        Stage::Paused => format!("paused at {done} of {all}"),
        _ => format!("sending, {done} of {all}"),
    }
}
