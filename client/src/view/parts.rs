//! What the panes share: frames, cells, bars and the line being written. PURE.

use ratatui::Frame;
use ratatui::layout::{Position, Rect};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, BorderType, Padding, Paragraph};
use unicode_width::UnicodeWidthStr;

use super::theme::Theme;
use crate::app::input::Input;
use crate::printable::fitted;

/// Draws a pane's frame with its name, and gives the room inside.
pub(super) fn pane(frame: &mut Frame<'_>, area: Rect, theme: &Theme, name: &str) -> Rect {
    let block = Block::bordered()
        .border_type(BorderType::Rounded)
        .border_style(theme.frame())
        .title(Line::styled(
            format!(" {} ", fitted(name, usize::from(area.width).saturating_sub(6))),
            theme.title(),
        ))
        .padding(Padding::horizontal(1));
    let inner = block.inner(area);
    frame.render_widget(block, area);
    inner
}

/// The text in exactly so many columns or fewer.
pub(super) fn fit(text: &str, columns: usize) -> String {
    fitted(text, columns).into_owned()
}

/// The end of the text in so many columns or fewer: of a path, the end tells more.
pub(super) fn fit_end(text: &str, columns: usize) -> String {
    let text = crate::printable::printable(text);
    if text.width() <= columns {
        return text.into_owned();
    }
    let mut rest = text.as_ref();
    while rest.width() >= columns && !rest.is_empty() {
        let mut letters = rest.chars();
        letters.next();
        rest = letters.as_str();
    }
    format!("…{rest}")
}

/// The text in exactly so many columns, filled up on the right.
pub(super) fn left(text: &str, columns: usize) -> String {
    let text = fit(text, columns);
    let room = columns.saturating_sub(text.width());
    text + &" ".repeat(room)
}

/// The text in exactly so many columns, filled up on the left.
pub(super) fn right(text: &str, columns: usize) -> String {
    let text = fit(text, columns);
    " ".repeat(columns.saturating_sub(text.width())) + &text
}

/// A bar for `part` of `whole`, in eighths of a column.
pub(super) fn bar(part: u64, whole: u64, columns: usize) -> String {
    const EIGHTHS: [char; 8] = [' ', '▏', '▎', '▍', '▌', '▋', '▊', '▉'];
    let eighths = (part.min(whole) * columns as u64 * 8).checked_div(whole).unwrap_or(0);
    let full = usize::try_from(eighths / 8).unwrap_or(0);
    let mut text = "█".repeat(full);
    if let Some(rest) = EIGHTHS.get(usize::try_from(eighths % 8).unwrap_or(0)).filter(|rest| **rest != ' ') {
        text.push(*rest);
    } else if full == 0 && part > 0 {
        text.push('▏');
    }
    text
}

/// The rows of a long list that are shown, with the selected one near the middle.
pub(super) fn window(cursor: usize, n_rows: usize, height: usize) -> std::ops::Range<usize> {
    let start = cursor.saturating_sub(height / 2).min(n_rows.saturating_sub(height));
    start..n_rows.min(start + height)
}

/// Draws a line being written, with the terminal's cursor in it; a long line shows the part around the cursor.
pub(super) fn written(frame: &mut Frame<'_>, area: Rect, theme: &Theme, label: &str, input: &Input) {
    let (before, after) = input.parts();
    let columns = usize::from(area.width).saturating_sub(label.width() + 1);
    let mut start = before;
    while start.width() > columns {
        let mut letters = start.chars();
        letters.next();
        start = letters.as_str();
    }
    let rest = fit(after, columns.saturating_sub(start.width()));
    let line =
        Line::from(vec![Span::styled(label.to_owned(), theme.quiet()), Span::raw(format!("{start}{rest}"))]);
    frame.render_widget(Paragraph::new(line), area);
    let column = u16::try_from(label.width() + start.width()).unwrap_or(0);
    frame.set_cursor_position(Position::new(area.x.saturating_add(column), area.y));
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_bar_shows_even_the_smallest_part() {
        assert_eq!(bar(0, 9, 4), "");
        assert_eq!(bar(1, 1000, 4), "▏");
        assert_eq!(bar(9, 9, 4), "████");
        assert_eq!(bar(3, 8, 4), "█▌");
        assert_eq!(bar(1, 0, 4), "▏");
    }

    proptest! {
        #[test]
        fn the_selected_row_is_always_shown(n_rows in 1usize..500, at in 0usize..500, height in 1usize..60) {
            let cursor = at % n_rows;
            let shown = window(cursor, n_rows, height);
            prop_assert!(shown.contains(&cursor));
            prop_assert_eq!(shown.len(), n_rows.min(height));
        }
    }
}
