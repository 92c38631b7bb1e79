//! What a run sends: the sentences of its files, in order. PURE.

use sha2::{Digest, Sha256};
use wire::NewSentence;

use super::author::Seed;
use crate::address::Address;
use crate::cause::Cause;
use crate::text::{self, Encoding, Split, Unreadable};

/// A file's bytes and the name that messages call it by.
#[derive(Clone, Debug)]
pub struct Source {
    /// As the user wrote it; `-` for standard input.
    pub name: String,
    /// All of it.
    pub bytes: Vec<u8>,
}

/// One sentence and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// Which of the files, from 0.
    pub file: usize,
    /// The line that it begins on, from 1.
    pub line: usize,
    /// The sentence.
    pub text: String,
}

/// A file of the run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// As the user wrote it.
    pub name: String,
    /// How it wrote its characters.
    pub encoding: Encoding,
    /// How many of its sentences are in the run.
    pub n_sentences: usize,
}

/// A sentence that is not sent, and why.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Fault {
    /// The file, as the user wrote it.
    pub file: String,
    /// The line that it begins on, from 1.
    pub line: usize,
    /// Why.
    #[serde(flatten)]
    pub cause: Cause,
}

/// The sentences of a run, and what cannot be sent of its files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// The files.
    pub files: Vec<File>,
    /// The sentences of all files, in order.
    pub items: Vec<Item>,
    /// The sentences that no balancer would take.
    pub faults: Vec<Fault>,
}

impl Plan {
    /// Reads and splits the files.
    ///
    /// # Errors
    /// For each file that holds no text: its name and why.
    pub fn new(sources: &[Source], rule: Split) -> Result<Self, Vec<(String, Unreadable)>> {
        let mut plan = Self::default();
        let mut errors = Vec::new();
        for (file, source) in sources.iter().enumerate() {
            match text::read(&source.bytes) {
                Ok(text) => plan.add(file, &source.name, &text, rule),
                Err(error) => errors.push((source.name.clone(), error)),
            }
        }
        if errors.is_empty() { Ok(plan) } else { Err(errors) }
    }

    /// The `index`th sentence as it is sent.
    pub fn sentence(&self, index: usize, seed: Seed, author: Option<&str>) -> Option<NewSentence> {
        let item = self.items.get(index)?;
        let index = index as u64;
        Some(NewSentence {
            id: seed.id(index),
            author: author.unwrap_or_else(|| seed.author(index)).to_owned(),
            sentence: item.text.clone(),
        })
    }

    /// The place of the `index`th sentence, with a cause.
    pub fn fault(&self, index: usize, cause: Cause) -> Option<Fault> {
        let item = self.items.get(index)?;
        Some(Fault { file: self.files.get(item.file)?.name.clone(), line: item.line, cause })
    }

    fn add(&mut self, file: usize, name: &str, text: &text::Text, rule: Split) {
        let sentences = text::split(&text.content, rule);
        self.files.push(File {
            name: name.to_owned(),
            encoding: text.encoding,
            n_sentences: sentences.kept.len(),
        });
        let faults = sentences.too_long.iter().map(|long| Fault {
            file: name.to_owned(),
            line: long.line,
            cause: Cause::new(long.to_string()),
        });
        self.faults.extend(faults);
        let items = sentences.kept.into_iter().map(|sentence| Item {
            file,
            line: sentence.line,
            text: sentence.text,
        });
        self.items.extend(items);
    }
}

/// What makes two runs the same run: the files' contents, the address, the rule and the author.
pub fn key(sources: &[Source], to: &Address, rule: Split, author: Option<&str>) -> String {
    let mut hash = Sha256::new();
    let mut add = |part: &[u8]| {
        // Lengths keep neighbours apart.
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    };
    add(to.to_string().as_bytes());
    add(rule.to_string().as_bytes());
    add(&[u8::from(author.is_some())]);
    add(author.unwrap_or_default().as_bytes());
    for source in sources {
        add(&source.bytes);
    }
    hash.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(name: &str, text: &str) -> Source {
        Source { name: name.to_owned(), bytes: text.as_bytes().to_vec() }
    }

    #[test]
    fn sentences_keep_their_file_and_line() {
        let plan = Plan::new(&[source("a", "One. Two."), source("b", "\nThree.")], Split::Unicode).unwrap();
        let places =
            plan.items.iter().map(|item| (item.file, item.line, item.text.as_str())).collect::<Vec<_>>();
        assert_eq!(places, [(0, 1, "One."), (0, 1, "Two."), (1, 2, "Three.")]);
        let fault = plan.fault(2, Cause::new("x")).unwrap();
        assert_eq!((fault.file.as_str(), fault.line), ("b", 2));
    }

    #[test]
    fn every_unreadable_file_is_told() {
        let errors =
            Plan::new(&[source("a", ""), source("b", "B."), source("c", "\0")], Split::Unicode).unwrap_err();
        assert_eq!(errors.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["a", "c"]);
    }

    #[test]
    fn a_sentence_is_the_same_on_the_next_day() {
        let plan = Plan::new(&[source("a", "One. Two.")], Split::Unicode).unwrap();
        let seed = Seed { started_ms: 1, random: 2 };
        assert_eq!(plan.sentence(1, seed, None), plan.sentence(1, seed, None));
        assert_eq!(plan.sentence(0, seed, Some("Ana")).unwrap().author, "Ana");
        assert_eq!(plan.sentence(2, seed, None), None);
    }

    #[test]
    fn a_run_is_known_by_all_that_it_sends() {
        let to = |text| Address::parse(text).unwrap();
        let key = |sources: &[Source], address, rule, author| key(sources, &to(address), rule, author);
        let one = [source("a", "One.")];
        let same = key(&one, "h:1", Split::Unicode, None);
        assert_eq!(same, key(&[source("renamed", "One.")], "http://h:1/", Split::Unicode, None));
        let others = [
            key(&[source("a", "One!")], "h:1", Split::Unicode, None),
            key(&[source("a", "On"), source("b", "e.")], "h:1", Split::Unicode, None),
            key(&one, "h:2", Split::Unicode, None),
            key(&one, "h:1", Split::Period, None),
            key(&one, "h:1", Split::Unicode, Some("")),
        ];
        assert!(others.iter().all(|other| *other != same));
    }
}
