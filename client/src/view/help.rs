//! The help: the keys of the mode below it and of the menu, from the table that dispatches them. PURE.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use super::parts::{fit, left, pane};
use super::theme::Theme;
use crate::app::App;
use crate::app::keys::{Mode, bindings};

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, app: &App, theme: &Theme) {
    let mode = app.mode_below_help();
    let [here, menu] =
        Layout::horizontal([Constraint::Percentage(50), Constraint::Percentage(50)]).areas(area);
    draw_keys(frame, here, mode, theme);
    let other = if mode == Mode::Menu { Mode::Data } else { Mode::Menu };
    draw_keys(frame, menu, other, theme);
}

fn draw_keys(frame: &mut Frame<'_>, area: Rect, mode: Mode, theme: &Theme) {
    let inner = pane(frame, area, theme, mode.name());
    let columns = usize::from(inner.width);
    let lines = bindings(mode).map(|binding| {
        Line::from(vec![
            Span::styled(left(binding.shown, 8), theme.key()),
            Span::raw(fit(binding.does, columns.saturating_sub(8))),
        ])
    });
    let text = if mode.is_text() { "Everything else is written." } else { "" };
    let lines = lines.chain([Line::default(), Line::styled(text, theme.quiet())]);
    frame.render_widget(Paragraph::new(lines.collect::<Vec<_>>()), inner);
}
