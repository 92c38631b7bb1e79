//! The file picker: folder, filter and path above, entries on the left, the selected file on the right. PURE.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Paragraph, Wrap};

use super::parts::{fit, left, pane, right, window, written};
use super::theme::Theme;
use crate::app::App;
use crate::app::picker::{Picker, Preview};
use crate::numbers::sentences;

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, app: &App, theme: &Theme) {
    let picker = &app.picker;
    let [top, body] = Layout::vertical([Constraint::Length(3), Constraint::Min(0)]).areas(area);
    let [list, preview] =
        Layout::horizontal([Constraint::Percentage(50), Constraint::Percentage(50)]).areas(body);
    let inner = pane(frame, top, theme, "Insert file path");
    draw_list(frame, list, picker, theme);
    draw_preview(frame, preview, picker, theme);
    match &picker.path {
        Some(path) => written(frame, inner, theme, "Path: ", path),
        None => written(frame, inner, theme, "Filter (type): ", &picker.filter),
    }
}

fn draw_list(frame: &mut Frame<'_>, area: Rect, picker: &Picker, theme: &Theme) {
    let name = picker.folder.display().to_string();
    let name = if picker.hidden { format!("{name} (with hidden files)") } else { name };
    let inner = pane(frame, area, theme, &name);
    let columns = usize::from(inner.width);
    if let Some(problem) = &picker.problem {
        let line = Line::from(vec![Span::styled("✗ ", theme.bad()), Span::raw(problem.clone())]);
        return frame.render_widget(Paragraph::new(line).wrap(Wrap { trim: false }), inner);
    }
    let entries = picker.entries();
    if entries.is_empty() {
        let text = if picker.filter.text().is_empty() {
            "Nothing here."
        } else {
            "Nothing fits the filter; Esc shows all."
        };
        return frame
            .render_widget(Paragraph::new(text).style(theme.quiet()).wrap(Wrap { trim: true }), inner);
    }
    let shown = window(picker.cursor(), entries.len(), usize::from(inner.height));
    let lines = entries.iter().enumerate().skip(shown.start).take(shown.len()).map(|(place, entry)| {
        let size = if entry.is_folder { String::new() } else { bytes(entry.size) };
        let name = if entry.is_folder { format!("{}/", entry.name) } else { entry.name.clone() };
        let selected = place == picker.cursor();
        let sign = if selected { "› " } else { "  " };
        let text = format!("{sign}{} {}", left(&name, columns.saturating_sub(10)), right(&size, 7));
        let style = match (selected, entry.is_folder) {
            (true, _) => theme.selected(),
            (false, true) => theme.title(),
            (false, false) => ratatui::style::Style::new(),
        };
        Line::styled(text, style)
    });
    frame.render_widget(Paragraph::new(lines.collect::<Vec<_>>()), inner);
}

fn draw_preview(frame: &mut Frame<'_>, area: Rect, picker: &Picker, theme: &Theme) {
    let Some(selected) = picker.selected_file() else {
        let inner = pane(frame, area, theme, "Preview");
        return frame.render_widget(Paragraph::new("A folder; Enter opens it.").style(theme.quiet()), inner);
    };
    let name = selected.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let inner = pane(frame, area, theme, &name);
    let columns = usize::from(inner.width);
    let lines = match &picker.preview {
        Some((path, Ok(preview))) if *path == selected => preview_lines(preview, theme, columns),
        Some((path, Err(problem))) if *path == selected => {
            vec![Line::from(vec![Span::styled("✗ ", theme.bad()), Span::raw(problem.clone())])]
        }
        _ => vec![Line::styled("Reading …", theme.quiet())],
    };
    frame.render_widget(Paragraph::new(lines).wrap(Wrap { trim: false }), inner);
}

fn preview_lines(preview: &Preview, theme: &Theme, columns: usize) -> Vec<Line<'static>> {
    let count = preview.n_sentences.map_or("too large to count here".to_owned(), |n| sentences(n as u64));
    let summary = format!("{count}  ·  {}  ·  {}", preview.encoding, bytes(preview.size));
    let text = preview.lines.iter().map(|line| Line::styled(fit(line, columns), theme.quiet()));
    [Line::styled(fit(&summary, columns), theme.head()), Line::default()].into_iter().chain(text).collect()
}

/// A size to be read at a glance.
fn bytes(size: u64) -> String {
    match size {
        0..1024 => format!("{size} B"),
        1024..1_048_576 => format!("{} KiB", size / 1024),
        1_048_576..1_073_741_824 => format!("{} MiB", size / 1_048_576),
        _ => format!("{} GiB", size / 1_073_741_824),
    }
}
