//! The log: what happened, the newest at the bottom, errors with their cause. PURE.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;
use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthStr;

use super::parts::pane;
use super::theme::Theme;
use crate::app::App;
use crate::printable::printable;

/// Columns of the time and the sign.
const LEAD: usize = 11;

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, app: &App, theme: &Theme) {
    let inner = pane(frame, area, theme, "Log (minutes and seconds since the start)");
    if app.log.is_empty() {
        return frame.render_widget(Paragraph::new("Nothing happened yet.").style(theme.quiet()), inner);
    }
    let columns = usize::from(inner.width).saturating_sub(LEAD);
    let height = usize::from(inner.height);
    let shown = app.log.len().saturating_sub(app.log_back);
    let mut lines = Vec::new();
    for message in app.log.iter().take(shown) {
        let seconds = message.at.duration_since(app.began).as_secs();
        let (sign, style) = if message.is_error { ("✗", theme.bad()) } else { ("✓", theme.good()) };
        let time = format!("{:>4}:{:02}  ", seconds / 60, seconds % 60);
        for (place, part) in wrapped(&message.text, columns).into_iter().enumerate() {
            let lead = if place == 0 {
                [Span::styled(time.clone(), theme.quiet()), Span::styled(format!("{sign} "), style)]
            } else {
                [Span::raw(" ".repeat(LEAD)), Span::raw("")]
            };
            lines.push(Line::from_iter(lead.into_iter().chain([Span::raw(part)])));
        }
    }
    let first = lines.len().saturating_sub(height);
    frame.render_widget(Paragraph::new(lines.split_off(first)), inner);
}

/// The text in lines of at most so many columns, broken between words where there are any.
fn wrapped(text: &str, columns: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    let mut width = 0;
    for word in printable(text).split_word_bounds() {
        let wide = word.width();
        if width + wide > columns && width > 0 {
            lines.push(String::new());
            width = 0;
        }
        if width == 0 && word.trim().is_empty() && lines.len() > 1 {
            continue;
        }
        // A word wider than the pane, such as a long path, is cut into lines of its own.
        for cluster in word.graphemes(true) {
            if width + cluster.width() > columns && width > 0 {
                lines.push(String::new());
                width = 0;
            }
            width += cluster.width();
            if let Some(line) = lines.last_mut() {
                line.push_str(cluster);
            }
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lines_break_between_words() {
        assert_eq!(wrapped("one two three", 8), ["one two ", "three"]);
        assert_eq!(wrapped("abcdefghij", 4), ["abcd", "efgh", "ij"]);
    }

    proptest! {
        #[test]
        fn no_line_is_too_wide_and_no_word_is_lost(text in "[a-zé ]{0,80}", columns in 4usize..30) {
            let lines = wrapped(&text, columns);
            prop_assert!(lines.iter().all(|line| line.width() <= columns));
            let visible = |text: &str| text.chars().filter(|c| *c != ' ').collect::<String>();
            prop_assert_eq!(visible(&lines.concat()), visible(&text));
        }
    }
}
