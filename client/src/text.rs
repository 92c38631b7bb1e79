//! From the bytes of a file to its sentences. PURE: no I/O and no clock.
//!
//! Owns what counts as text ([`read`]) and where a sentence ends ([`split`]). Nothing is lost on the way: every
//! character of the text that is no white space is in a sentence or in a reported [`TooLong`]. Authors, ids and
//! sending are elsewhere.

mod boundary;
mod decode;
#[cfg(test)]
mod tests;

use unicode_segmentation::UnicodeSegmentation;
use wire::contract::MAX_SENTENCE_BYTES;

pub use decode::{Encoding, Text, Unreadable, read};

/// Where a sentence ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, clap::ValueEnum)]
pub enum Split {
    /// By the rules of Unicode (UAX #29); line breaks inside a paragraph do not count.
    Unicode,
    /// At each ". ", as the client of 2020 did.
    Period,
}

impl std::fmt::Display for Split {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Unicode => "unicode",
            Self::Period => "period",
        })
    }
}

/// One sentence of a text; never blank, and never longer than the balancer takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sentence {
    /// The line of the file that it begins on, from 1.
    pub line: usize,
    /// The sentence itself.
    pub text: String,
}

/// A sentence that no balancer takes. It is reported and not sent; the others are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TooLong {
    /// The line of the file that it begins on, from 1.
    pub line: usize,
    /// Its length in UTF-8 bytes.
    pub bytes: usize,
    /// Its first words, to find it by.
    pub start: String,
}

impl std::fmt::Display for TooLong {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "the sentence has {} bytes and the limit is {MAX_SENTENCE_BYTES}; split it up (it begins “{}…”)",
            self.bytes, self.start
        )
    }
}

/// What a text was split into, in its order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sentences {
    /// The sentences that can be sent.
    pub kept: Vec<Sentence>,
    /// Those that cannot.
    pub too_long: Vec<TooLong>,
}

impl Sentences {
    fn push(&mut self, line: usize, text: &str) {
        if text.trim().is_empty() {
            return;
        }
        if text.len() > MAX_SENTENCE_BYTES {
            let start = text.chars().take(40).collect();
            self.too_long.push(TooLong { line, bytes: text.len(), start });
        } else {
            self.kept.push(Sentence { line, text: text.to_owned() });
        }
    }
}

/// Splits a text into its sentences.
pub fn split(content: &str, rule: Split) -> Sentences {
    let content = content.replace("\r\n", "\n").replace('\r', "\n");
    match rule {
        Split::Unicode => by_unicode(&content),
        Split::Period => by_period(&content),
    }
}

fn by_period(content: &str) -> Sentences {
    let mut sentences = Sentences::default();
    let mut line = 1;
    for piece in content.split(". ") {
        // The piece is stored as it stands; its line is that of its first visible character.
        let lead = piece.len() - piece.trim_start().len();
        let (before, _) = piece.split_at(lead);
        sentences.push(line + n_line_breaks(before), piece);
        line += n_line_breaks(piece);
    }
    sentences
}

fn n_line_breaks(text: &str) -> usize {
    text.bytes().filter(|byte| *byte == b'\n').count()
}

fn by_unicode(content: &str) -> Sentences {
    let mut sentences = Sentences::default();
    let mut paragraph = Paragraph::default();
    for (line, text) in (1..).zip(content.split('\n')) {
        if text.trim().is_empty() {
            paragraph.split_into(&mut sentences);
            paragraph = Paragraph::default();
        } else {
            paragraph.add(line, text);
        }
    }
    paragraph.split_into(&mut sentences);
    sentences
}

/// Lines without a blank one between them, joined by single spaces.
#[derive(Default)]
struct Paragraph {
    text: String,
    /// Where each line begins in `text`.
    lines: Vec<(usize, usize)>,
}

impl Paragraph {
    fn add(&mut self, line: usize, text: &str) {
        for word in text.split_whitespace() {
            if !self.text.is_empty() {
                self.text.push(' ');
            }
            if self.lines.last().is_none_or(|(_, last)| *last != line) {
                self.lines.push((self.text.len(), line));
            }
            self.text.push_str(word);
        }
    }

    fn line_at(&self, offset: usize) -> usize {
        let after = self.lines.partition_point(|(start, _)| *start <= offset);
        self.lines.get(..after).and_then(<[_]>::last).map_or(1, |(_, line)| *line)
    }

    fn split_into(&self, sentences: &mut Sentences) {
        let mut start = 0;
        let mut bounds = self.text.split_sentence_bound_indices().peekable();
        while let Some((offset, segment)) = bounds.next() {
            let end = offset + segment.len();
            let goes_on =
                bounds.peek().is_some_and(|(_, next)| boundary::goes_on(&self.text[start..end], next));
            if !goes_on {
                sentences.push(self.line_at(start), self.text[start..end].trim());
                start = end;
            }
        }
    }
}
