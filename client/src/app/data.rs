//! The loaded sentences: a table that is filtered, edited, cut and restored. PURE.

use super::input::Input;
use super::keys::Action;
use super::select;
use crate::cause::Cause;
use crate::send::author::{self, Seed};
use crate::send::plan::{Plan, Source};
use crate::send::tally::reason;

/// One sentence of the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Its place in the text, from 0; it keeps it when others are deleted.
    pub index: usize,
    /// The line that it begins on, from 1.
    pub line: usize,
    /// Who it is sent as.
    pub author: String,
    /// Whether the user chose the author.
    pub edited: bool,
    /// The sentence.
    pub text: String,
    /// What became of it.
    pub fate: Fate,
}

/// What became of a sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Not sent yet.
    New,
    /// Stored, on this node, for this reason.
    Stored(String, String),
    /// Not stored.
    Failed(Cause),
}

/// A change that can be undone.
#[derive(Clone, Debug)]
enum Change {
    Deleted { position: usize, row: Row },
    Author { index: usize, author: String, edited: bool },
}

/// The loaded text.
#[derive(Clone, Debug)]
pub struct Data {
    /// The file.
    pub source: Source,
    /// Its sentences, without those deleted.
    pub rows: Vec<Row>,
    /// Sentences that the text has in all; the rows' indices are below it.
    pub n_sentences: usize,
    /// Sentences over the limit, which are not in the table.
    pub n_faults: usize,
    /// The filter.
    pub filter: Input,
    /// What authors and ids are made from.
    pub seed: Seed,
    visible: Vec<usize>,
    cursor: usize,
    changes: Vec<Change>,
}

impl Data {
    /// The table of a file's plan.
    pub fn new(source: Source, plan: Plan, seed: Seed) -> Self {
        let n_sentences = plan.items.len();
        let rows = plan.items.into_iter().enumerate().map(|(index, item)| Row {
            index,
            line: item.line,
            author: seed.author(index as u64).to_owned(),
            edited: false,
            text: item.text,
            fate: Fate::New,
        });
        let mut data = Self {
            source,
            rows: rows.collect(),
            n_sentences,
            n_faults: plan.faults.len(),
            filter: Input::default(),
            seed,
            visible: Vec::new(),
            cursor: 0,
            changes: Vec::new(),
        };
        data.refilter();
        data
    }

    /// The rows that the filter leaves.
    #[expect(clippy::indexing_slicing, reason = "whatever adds or removes a row finds the visible ones anew")]
    pub fn visible(&self) -> impl ExactSizeIterator<Item = &Row> {
        self.visible.iter().map(|position| &self.rows[*position])
    }

    /// Which of them is selected.
    pub fn cursor(&self) -> usize {
        self.cursor
    }

    /// The selected row.
    pub fn selected(&self) -> Option<&Row> {
        self.visible.get(self.cursor).and_then(|position| self.rows.get(*position))
    }

    /// Whether there is something to undo.
    pub fn can_undo(&self) -> bool {
        !self.changes.is_empty()
    }

    /// How many sentences are stored.
    pub fn n_stored(&self) -> usize {
        self.rows.iter().filter(|row| matches!(row.fate, Fate::Stored(..))).count()
    }

    /// Moves the cursor.
    pub fn act(&mut self, action: Action, page: usize) {
        select(&mut self.cursor, self.visible.len(), action, page);
    }

    /// Takes a change of the filter: rows whose text, author or fate holds what is written.
    pub fn refilter(&mut self) {
        let wanted = self.filter.text().to_lowercase();
        let fits = |row: &Row| {
            wanted.is_empty()
                || row.text.to_lowercase().contains(&wanted)
                || row.author.to_lowercase().contains(&wanted)
                || fate_text(&row.fate).to_lowercase().contains(&wanted)
        };
        let fitting = self.rows.iter().enumerate().filter(|(_, row)| fits(row));
        self.visible = fitting.map(|(position, _)| position).collect();
        self.cursor = self.cursor.min(self.visible.len().saturating_sub(1));
    }

    /// Deletes the selected row.
    pub fn delete(&mut self) {
        let Some(position) = self.visible.get(self.cursor).copied() else { return };
        let row = self.rows.remove(position);
        self.changes.push(Change::Deleted { position, row });
        self.refilter();
    }

    /// Sets the selected row's author.
    ///
    /// # Errors
    /// In words, when the balancer would refuse it.
    pub fn set_author(&mut self, written: &str) -> Result<(), String> {
        let author = author::check(written)?;
        let Some(row) = self.visible.get(self.cursor).and_then(|position| self.rows.get_mut(*position))
        else {
            return Ok(());
        };
        let before = std::mem::replace(&mut row.author, author);
        self.changes.push(Change::Author { index: row.index, author: before, edited: row.edited });
        row.edited = true;
        Ok(())
    }

    /// Undoes the last change; says in words what it was.
    pub fn undo(&mut self) -> Option<String> {
        let (index, told) = match self.changes.pop()? {
            Change::Deleted { position, row } => {
                let index = row.index;
                self.rows.insert(position.min(self.rows.len()), row);
                (index, "the sentence is back")
            }
            Change::Author { index, author, edited } => {
                if let Some(row) = self.rows.iter_mut().find(|row| row.index == index) {
                    row.author = author;
                    row.edited = edited;
                }
                (index, "the author is as before")
            }
        };
        self.refilter();
        let place = self.visible().position(|row| row.index == index);
        self.cursor = place.unwrap_or(self.cursor);
        Some(told.to_owned())
    }

    /// Takes the seed of the run: the authors that the user did not choose follow from it.
    pub fn reseed(&mut self, seed: Seed) {
        self.seed = seed;
        // An author that was sent cannot be undone; a deleted sentence can still come back.
        self.changes.retain(|change| matches!(change, Change::Deleted { .. }));
        for row in self.rows.iter_mut().filter(|row| !row.edited) {
            row.author = seed.author(row.index as u64).to_owned();
        }
        self.refilter();
    }

    /// The row of the sentence at this place in the text, unless it was deleted.
    pub fn row(&self, index: usize) -> Option<&Row> {
        // Rows are in the order of the text, and only ever lack some of it.
        self.rows
            .binary_search_by_key(&index, |row| row.index)
            .ok()
            .and_then(|position| self.rows.get(position))
    }

    /// Notes what became of the sentence at this place in the text.
    pub fn note(&mut self, index: usize, fate: Fate) {
        let found = self.rows.binary_search_by_key(&index, |row| row.index);
        if let Some(row) = found.ok().and_then(|position| self.rows.get_mut(position)) {
            row.fate = fate;
        }
    }
}

/// What became of a sentence, in words.
pub fn fate_text(fate: &Fate) -> String {
    match fate {
        Fate::New => String::new(),
        Fate::Stored(node, filter) => format!("{node} {}", reason(node, filter)),
        Fate::Failed(_) => "failed".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::Split;
    use proptest::prelude::*;

    const SEED: Seed = Seed { started_ms: 1, random: 2 };

    fn data(text: &str) -> Data {
        let source = Source { name: "t".to_owned(), bytes: text.as_bytes().to_vec() };
        let plan = Plan::new(std::slice::from_ref(&source), Split::Unicode).unwrap();
        Data::new(source, plan, SEED)
    }

    #[test]
    fn a_filter_looks_at_text_author_and_fate() {
        let mut data = data("One here. Two there. Three.");
        data.note(2, Fate::Stored("B".to_owned(), "ram".to_owned()));
        for (filter, expected) in [("TWO", 1), ("user", 3), ("b ram", 1), ("nothing", 0)] {
            data.filter = Input::new(filter);
            data.refilter();
            assert_eq!(data.visible().len(), expected, "{filter}");
        }
    }

    #[test]
    fn a_deleted_row_comes_back_where_it_was() {
        let mut data = data("One. Two. Three.");
        data.act(Action::Down, 10);
        data.delete();
        assert_eq!(data.selected().unwrap().text, "Three.");
        data.note(2, Fate::Failed(Cause::new("x")));
        assert!(matches!(data.rows[1].fate, Fate::Failed(_)), "places in the text do not move");
        data.undo().unwrap();
        assert_eq!(data.selected().unwrap().text, "Two.");
        assert_eq!(data.undo(), None);
    }

    #[test]
    fn a_chosen_author_stays_when_the_others_are_drawn_anew() {
        let mut data = data("One. Two. Three. Four. Five. Six. Seven. Eight. Nine.");
        data.set_author("Ana").unwrap();
        let before = data.rows.clone();
        data.reseed(Seed { started_ms: 1, random: 99 });
        assert_eq!(data.rows[0].author, "Ana");
        assert_ne!(data.rows, before);
        assert!(data.set_author(" ").is_err());
        assert_eq!(data.undo(), None, "the author was sent");
        data.set_author("Eva").unwrap();
        data.undo().unwrap();
        assert_eq!(data.rows[0].author, "Ana");
    }

    proptest! {
        #[test]
        fn undone_to_the_end_the_table_is_as_it_was(steps in proptest::collection::vec(0usize..4, 0..30)) {
            let mut data = data("One. Two. Three. Four. Five. Six.");
            let before = data.rows.clone();
            for step in steps {
                match step {
                    0 => data.delete(),
                    1 => data.set_author("Ana").unwrap(),
                    2 => data.act(Action::Down, 10),
                    _ => data.act(Action::Up, 10),
                }
            }
            while data.undo().is_some() {}
            prop_assert_eq!(data.rows, before);
        }
    }
}
