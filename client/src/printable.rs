//! Text of others, made safe to show on a terminal. PURE.
//!
//! Stored text is hostile: an escape sequence in a sentence must not reach the terminal, nor may a mark that turns the
//! direction of writing disguise what follows.

use std::borrow::Cow;

use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthStr;

/// The text on one line: white space is a space, and what a terminal would obey is `U+FFFD`.
pub fn printable(text: &str) -> Cow<'_, str> {
    if text.chars().all(|c| c == safe(c)) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.chars().map(safe).collect())
}

/// The text cut to `columns` columns of the terminal, with `…` where something was cut.
pub fn fitted(text: &str, columns: usize) -> Cow<'_, str> {
    let text = printable(text);
    if text.width() <= columns {
        return text;
    }
    let mut kept = String::new();
    let mut width = 0;
    for cluster in text.graphemes(true) {
        width += cluster.width();
        if width >= columns {
            break;
        }
        kept.push_str(cluster);
    }
    if columns > 0 {
        kept.push('…');
    }
    Cow::Owned(kept)
}

fn safe(c: char) -> char {
    match c {
        '\t' | '\n' | '\r' | '\u{b}' | '\u{c}' | '\u{85}' | '\u{2028}' | '\u{2029}' => ' ',
        '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}' | '\u{61c}' => '\u{fffd}',
        c if c.is_control() => '\u{fffd}',
        c => c,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_a_terminal_would_obey_is_replaced() {
        assert_eq!(printable("a\u{1b}[2Jb\u{9b}c\u{202e}d\ne"), "a\u{fffd}[2Jb\u{fffd}c\u{fffd}d e");
        assert!(matches!(printable("¡Hola, 世界!"), Cow::Borrowed(_)));
    }

    #[test]
    fn long_text_is_cut_where_it_shows() {
        assert_eq!(fitted("sentence", 8), "sentence");
        assert_eq!(fitted("sentences", 8), "sentenc…");
        assert_eq!(fitted("世界世界", 6), "世界…");
        assert_eq!(fitted("ab", 0), "");
    }

    proptest! {
        #[test]
        fn nothing_is_wider_than_its_room(text in ".{0,60}", columns in 0usize..40) {
            let shown = fitted(&text, columns);
            prop_assert!(shown.width() <= columns);
            prop_assert!(!shown.chars().any(char::is_control));
        }
    }
}
