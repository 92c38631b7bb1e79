//! One line of text under a cursor. PURE.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use unicode_segmentation::UnicodeSegmentation;

/// A line being written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Input {
    text: String,
    /// Offset of the cursor, always between two clusters.
    cursor: usize,
}

impl Input {
    /// A line with this text, the cursor behind it.
    pub fn new(text: impl Into<String>) -> Self {
        let text = text.into();
        Self { cursor: text.len(), text }
    }

    /// What is written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What stands before the cursor, and what from it on.
    pub fn parts(&self) -> (&str, &str) {
        self.text.split_at(self.cursor)
    }

    /// Writes at the cursor; line breaks and control characters of a paste are left out.
    pub fn insert(&mut self, text: &str) {
        let clean = text.chars().filter(|c| !c.is_control()).collect::<String>();
        self.text.insert_str(self.cursor, &clean);
        self.cursor += clean.len();
    }

    /// Takes a key that edits; whether it was one.
    pub fn key(&mut self, key: KeyEvent) -> bool {
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        match key.code {
            KeyCode::Char('u') if control => {
                self.text.drain(..self.cursor);
                self.cursor = 0;
            }
            KeyCode::Char('w') if control => {
                let kept = self.parts().0.trim_end().rfind([' ', '/']).map_or(0, |at| at + 1);
                self.text.drain(kept..self.cursor);
                self.cursor = kept;
            }
            KeyCode::Char('a') if control => self.cursor = 0,
            KeyCode::Char('e') if control => self.cursor = self.text.len(),
            KeyCode::Char(letter) if !control && !key.modifiers.contains(KeyModifiers::ALT) => {
                self.insert(letter.encode_utf8(&mut [0; 4]));
            }
            KeyCode::Backspace => {
                let width = self.parts().0.graphemes(true).next_back().map_or(0, str::len);
                self.cursor -= width;
                self.text.drain(self.cursor..self.cursor + width);
            }
            KeyCode::Delete => {
                let width = self.parts().1.graphemes(true).next().map_or(0, str::len);
                self.text.drain(self.cursor..self.cursor + width);
            }
            KeyCode::Left => self.cursor -= self.parts().0.graphemes(true).next_back().map_or(0, str::len),
            KeyCode::Right => self.cursor += self.parts().1.graphemes(true).next().map_or(0, str::len),
            KeyCode::Home => self.cursor = 0,
            KeyCode::End => self.cursor = self.text.len(),
            _ => return false,
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn press(input: &mut Input, code: KeyCode) {
        assert!(input.key(KeyEvent::new(code, KeyModifiers::NONE)));
    }

    #[test]
    fn a_line_is_edited_by_clusters() {
        let mut input = Input::new("año e\u{301}");
        press(&mut input, KeyCode::Backspace);
        assert_eq!(input.text(), "año ");
        press(&mut input, KeyCode::Home);
        press(&mut input, KeyCode::Delete);
        press(&mut input, KeyCode::Right);
        input.insert("\u{1b}[x\n");
        assert_eq!(input.parts(), ("ñ[x", "o "));
        input.key(KeyEvent::new(KeyCode::Char('u'), KeyModifiers::CONTROL));
        assert_eq!(input.text(), "o ");
    }

    #[test]
    fn a_word_or_folder_is_deleted_at_once() {
        let mut input = Input::new("/home/ana/text");
        input.key(KeyEvent::new(KeyCode::Char('w'), KeyModifiers::CONTROL));
        assert_eq!(input.text(), "/home/ana/");
    }

    proptest! {
        #[test]
        fn no_keys_put_the_cursor_inside_a_character(text in "\\PC{0,8}", keys in proptest::collection::vec(0usize..8, 0..40)) {
            let codes = [KeyCode::Left, KeyCode::Right, KeyCode::Home, KeyCode::End, KeyCode::Backspace, KeyCode::Delete, KeyCode::Char('é'), KeyCode::Char('\u{301}')];
            let mut input = Input::new(text);
            for key in keys {
                press(&mut input, codes[key]);
                let (before, after) = input.parts();
                prop_assert_eq!(before.len() + after.len(), input.text().len());
            }
        }
    }
}
