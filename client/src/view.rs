//! Draws the full-screen program. PURE: the state goes in, a frame comes out. Each pane has its file in `view/`.
//!
//! Colour never speaks alone: what it marks is also a word or a sign, and without colour nothing is lost.

mod address;
mod data;
mod fleet;
mod help;
mod log;
mod menu;
mod parts;
mod picker;
mod run;
#[cfg(test)]
mod tests;
pub mod theme;

use ratatui::Frame;
use ratatui::layout::{Alignment, Constraint, Layout, Rect};
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use crate::app::keys::{Action, Binding, bindings};
use crate::app::{App, Screen};
use parts::fit;
use theme::Theme;

/// Below this many columns or rows there is no room for a screen.
const LEAST: (u16, u16) = (60, 16);

/// Draws the whole screen.
pub fn draw(frame: &mut Frame<'_>, app: &App, theme: &Theme) {
    let area = frame.area();
    if area.width < LEAST.0 || area.height < LEAST.1 {
        let text = format!("Balanza needs {}x{}; here is {}x{}.", LEAST.0, LEAST.1, area.width, area.height);
        frame.render_widget(Paragraph::new(text).alignment(Alignment::Center), middle_line(area));
        return;
    }
    let rows = Layout::vertical([
        Constraint::Length(1),
        Constraint::Min(0),
        Constraint::Length(1),
        Constraint::Length(1),
    ]);
    let [head, body, message, foot] = rows.areas(area);
    frame.render_widget(title(app, theme, head.width), head);
    if app.help {
        help::draw(frame, body, app, theme);
    } else {
        match app.screen {
            Screen::Menu => menu::draw(frame, body, app, theme),
            Screen::Picker => picker::draw(frame, body, app, theme),
            Screen::Address => address::draw(frame, body, app, theme),
            Screen::Data => data::draw(frame, body, app, theme),
            Screen::Run => run::draw(frame, body, app, theme),
            Screen::Log => log::draw(frame, body, app, theme),
        }
    }
    frame.render_widget(message_line(app, theme, message.width), message);
    frame.render_widget(footer(app, theme, foot.width), foot);
}

fn middle_line(area: Rect) -> Rect {
    Rect { y: area.y + area.height / 2, height: area.height.min(1), ..area }
}

fn title(app: &App, theme: &Theme, width: u16) -> Line<'static> {
    let file = app.data.as_ref().map_or_else(
        || "no file".to_owned(),
        |data| {
            let name = data.source.name.rsplit('/').next().unwrap_or(&data.source.name);
            format!("{name}, {}", crate::numbers::sentences(data.rows.len() as u64))
        },
    );
    let to = app.address.as_ref().map_or_else(|| "no balancer".to_owned(), ToString::to_string);
    let left = " Balanza";
    let room = usize::from(width).saturating_sub(left.len() + 3);
    let right = crate::printable::fitted(&format!("{file}  ·  {to}"), room).into_owned();
    let gap = room.saturating_sub(unicode_width::UnicodeWidthStr::width(right.as_str())) + 2;
    Line::from(vec![
        Span::styled(left, theme.title()),
        Span::raw(" ".repeat(gap)),
        Span::styled(right, theme.quiet()),
    ])
}

fn message_line(app: &App, theme: &Theme, width: u16) -> Line<'static> {
    let Some(message) = app.message() else { return Line::default() };
    let (sign, style) = if message.is_error { ("✗ ", theme.bad()) } else { ("✓ ", theme.good()) };
    let room = usize::from(width).saturating_sub(4);
    Line::from(vec![Span::styled(format!(" {sign}"), style), Span::raw(fit(&message.text, room))])
}

fn footer(app: &App, theme: &Theme, width: u16) -> Line<'static> {
    let mut spans = vec![Span::raw(" ")];
    let mut room = usize::from(width).saturating_sub(1);
    let (motions, acts): (Vec<_>, Vec<_>) = bindings(app.mode())
        .filter(|binding| app.allows(binding.action))
        .partition(|binding| binding.action.is_motion());
    // Where not all fits, the help still does: it has the rest.
    let mut help = acts.iter().find(|binding| binding.action == Action::Help).copied();
    let wide = |binding: &Binding| binding.shown.chars().count() + shorter(binding.does).chars().count() + 3;
    room = room.saturating_sub(help.map_or(0, wide));
    for binding in acts.into_iter().chain(motions) {
        if binding.action == Action::Help {
            room += help.take().map_or(0, wide);
        }
        // The two columns behind the last one may be missing.
        if wide(binding) > room + 2 {
            continue;
        }
        room = room.saturating_sub(wide(binding));
        spans.push(Span::styled(binding.shown, theme.key()));
        spans.push(Span::styled(format!(" {}  ", shorter(binding.does)), theme.quiet()));
    }
    Line::from(spans)
}

/// The footer has less room than the help.
fn shorter(does: &'static str) -> &'static str {
    match does {
        "insert file path" => "file",
        "insert load balancer address" => "address",
        "show data" => "data",
        "send data" => "send",
        "folder above" => "up",
        "write a path" => "path",
        "hidden files" => "hidden",
        does => does,
    }
}
