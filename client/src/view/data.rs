//! The table of sentences, the filter above it, and one sentence whole. PURE.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Paragraph, Wrap};

use super::parts::{fit, left, pane, right, window, written};
use super::theme::Theme;
use crate::app::App;
use crate::app::data::{Data, Fate, Row, fate_text};
use crate::numbers::{grouped, sentences};
use crate::printable::printable;
use crate::send::tally::reason;

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, app: &App, theme: &Theme) {
    let Some(data) = &app.data else { return };
    if app.detail {
        return draw_detail(frame, area, data, theme);
    }
    let (shown, all) = (data.visible().len(), data.rows.len());
    let name = if shown == all {
        format!("Data: {}", sentences(all as u64))
    } else {
        format!("Data: {} of {}", grouped(shown as u64), sentences(all as u64))
    };
    let inner = pane(frame, area, theme, &name);
    let [top, head, body] =
        Layout::vertical([Constraint::Length(1), Constraint::Length(1), Constraint::Min(0)]).areas(inner);
    let widths = Widths::of(data, usize::from(inner.width));
    frame.render_widget(
        Line::styled(widths.line("line", "author", "stored on", "sentence"), theme.head()),
        head,
    );
    draw_rows(frame, body, data, theme, &widths);
    match &app.author {
        Some(author) => written(frame, top, theme, "Author: ", author),
        None if app.filtering => written(frame, top, theme, "Filter: ", &data.filter),
        None if !data.filter.text().is_empty() => {
            let text = format!("Filter: {}", printable(data.filter.text()));
            frame.render_widget(Line::styled(text, theme.warn()), top);
        }
        None => {}
    }
}

struct Widths {
    line: usize,
    author: usize,
    fate: usize,
    text: usize,
}

impl Widths {
    fn of(data: &Data, columns: usize) -> Self {
        let line = data.rows.iter().map(|row| row.line).max().unwrap_or(0).to_string().len().max(4);
        let (author, fate) = (10, 14);
        Self { line, author, fate, text: columns.saturating_sub(line + author + fate + 6) }
    }

    fn line(&self, line: &str, author: &str, fate: &str, text: &str) -> String {
        format!(
            "{}  {}  {}  {}",
            right(line, self.line),
            left(author, self.author),
            left(fate, self.fate),
            fit(text, self.text)
        )
    }
}

fn draw_rows(frame: &mut Frame<'_>, area: Rect, data: &Data, theme: &Theme, widths: &Widths) {
    let n_rows = data.visible().len();
    if n_rows == 0 {
        let text = if data.rows.is_empty() {
            "Every sentence was deleted; z undoes."
        } else {
            "No sentence fits the filter."
        };
        return frame.render_widget(Paragraph::new(text).style(theme.quiet()), area);
    }
    let shown = window(data.cursor(), n_rows, usize::from(area.height));
    let start = shown.start;
    let rows = data.visible().skip(start).take(shown.len()).enumerate();
    let lines = rows.map(|(place, row)| line(row, place + start == data.cursor(), theme, widths));
    frame.render_widget(Paragraph::new(lines.collect::<Vec<_>>()), area);
}

fn line(row: &Row, selected: bool, theme: &Theme, widths: &Widths) -> Line<'static> {
    let (fate, style) = fate(row, theme);
    if selected {
        let text = widths.line(&row.line.to_string(), &row.author, &fate, &row.text);
        return Line::styled(
            left(&text, widths.line + widths.author + widths.fate + widths.text + 6),
            theme.selected(),
        );
    }
    Line::from(vec![
        Span::styled(right(&row.line.to_string(), widths.line), theme.quiet()),
        Span::raw(format!("  {}  ", left(&row.author, widths.author))),
        Span::styled(left(&fate, widths.fate), style),
        Span::raw(format!("  {}", fit(&row.text, widths.text))),
    ])
}

fn fate(row: &Row, theme: &Theme) -> (String, ratatui::style::Style) {
    let text = fate_text(&row.fate);
    match row.fate {
        Fate::New => ("-".to_owned(), theme.quiet()),
        Fate::Stored(..) => (text, theme.good()),
        Fate::Failed(_) => (format!("✗ {text}"), theme.bad()),
    }
}

fn draw_detail(frame: &mut Frame<'_>, area: Rect, data: &Data, theme: &Theme) {
    let Some(row) = data.selected() else { return };
    let inner = pane(frame, area, theme, &format!("Sentence {} of {}", row.index + 1, data.n_sentences));
    let field = |name: &str, value: String| {
        Line::from(vec![
            Span::styled(left(name, 10), theme.head()),
            Span::raw(printable(&value).into_owned()),
        ])
    };
    let fate = match &row.fate {
        Fate::New => "not sent yet".to_owned(),
        Fate::Stored(node, filter) => format!("stored on {node}, decided by: {}", reason(node, filter)),
        Fate::Failed(cause) => format!("not stored: {cause}"),
    };
    let lines = vec![
        Line::default(),
        field("line", row.line.to_string()),
        field("author", row.author.clone()),
        field("state", fate),
        Line::default(),
        Line::raw(printable(&row.text).into_owned()),
    ];
    frame.render_widget(Paragraph::new(lines).wrap(Wrap { trim: false }), inner);
}
