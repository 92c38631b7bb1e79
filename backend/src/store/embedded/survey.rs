//! Reads the whole file without the engine: whether every page is what it was, and whether the tables agree with each
//! other. Changes nothing, and reads on behind damage, so that what is whole can be salvaged.
//!
//! One pass over each table and constant memory: two tables hold the same rows when the sums of the rows' hashes are
//! equal. Absent: what follows from what is found (`check`), and the format of the pages (`pages`).

use std::fs::File;
use std::os::unix::fs::FileExt;

use wire::{StoreId, StoredSentence};

use super::layout::{self, DocumentKey};
use super::pages::{
    self, Geometry, HEAD_BYTES, Head, MAX_DEPTH, Page, PageNumber, Root, Slot, Table, Widths,
};

/// Damages that are told one by one; the others are counted.
const TOLD: usize = 8;

/// What a file holds, as far as it reads back.
#[derive(Clone, Debug, Default)]
pub(super) struct Survey {
    /// The first places that do not read back, in words.
    pub(super) damages: Vec<String>,
    /// How many there are.
    pub(super) n_damages: u64,
    /// Whether the newest commit does not read back, and this is the one before it.
    pub(super) fell_back: bool,
    /// Documents that read back.
    pub(super) documents: u64,
    /// Documents that there should be.
    pub(super) expected: u64,
    /// The layout of the tables; `None` before anything was stored.
    pub(super) format: Option<u64>,
    /// Commits so far; 0 in a file of layout 1.
    pub(super) commits: u64,
    /// The identity, where there is one.
    pub(super) id: Option<StoreId>,
    /// Sums over the rows of the three tables, which must be equal.
    ids: Sum,
    places: Sum,
    authors: Sum,
    authors_of_documents: Sum,
}

impl Survey {
    pub(super) fn is_whole(&self) -> bool {
        self.n_damages == 0
    }

    fn damage(&mut self, what: impl FnOnce() -> String) {
        self.n_damages = self.n_damages.saturating_add(1);
        if self.damages.len() < TOLD {
            self.damages.push(what());
        }
    }
}

/// Rows and the sum of their hashes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Sum {
    rows: u64,
    hashes: u128,
}

impl Sum {
    fn add(&mut self, row: &[u8]) {
        self.rows = self.rows.saturating_add(1);
        self.hashes = self.hashes.wrapping_add(pages::checksum_of(row));
    }
}

/// Why a file cannot be surveyed at all.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoSurvey {
    #[error(transparent)]
    Disk(#[from] std::io::Error),
    /// It is shorter than its own head.
    #[error("it ends after {0} bytes")]
    Short(u64),
    #[error("it does not begin as a database of this program")]
    Foreign,
    #[error("the sizes in its head cannot be")]
    Sizes,
    #[error("the version in its head cannot be")]
    Version,
}

/// Reads a file as the engine would open it: the newest commit, or the one before where a crash has torn the newest.
pub(super) fn survey(file: &File) -> Result<Survey, NoSurvey> {
    let (head, bytes) = head(file)?;
    if !head.has_magic {
        return Err(NoSurvey::Foreign);
    }
    if !head.has_version {
        return Err(NoSurvey::Version);
    }
    let pages = Pages { file, bytes, geometry: head.geometry.ok_or(NoSurvey::Sizes)? };
    let [newest, before] = head.in_order();
    let found = pages.read(&newest, &mut None);
    if (newest.sound && found.is_whole()) || head.two_phase || !before.sound {
        return Ok(found);
    }
    let older = pages.read(&before, &mut None);
    // The engine goes back only to what is whole.
    Ok(if older.is_whole() { Survey { fell_back: true, ..older } } else { found })
}

/// Gives every document that reads back, from the newest commit of which anything does, whatever else is damaged.
pub(super) fn salvage(file: &File, mut each: impl FnMut(StoredSentence)) -> Result<Survey, NoSurvey> {
    let (head, bytes) = head(file)?;
    let pages = Pages { file, bytes, geometry: head.geometry.unwrap_or(Geometry::USUAL) };
    // A root carries the checksum of its page, so that the slot's own is not needed, and the tree tells how new it is.
    let readable = head.in_order().map(|slot| {
        let found = pages.read(&slot, &mut None);
        (found.commits, found.documents, slot)
    });
    let [first, second] = readable;
    let (.., newest) = if (second.0, second.1) > (first.0, first.1) { second } else { first };
    Ok(pages.read(&newest, &mut Some(&mut each)))
}

fn head(file: &File) -> Result<(Head, u64), NoSurvey> {
    let bytes = file.metadata()?.len();
    let mut first = [0; HEAD_BYTES];
    if bytes < pages::PAGE_BYTES {
        let mut magic = pages::MAGIC;
        let begun = magic.get_mut(..usize::try_from(bytes.min(9)).unwrap_or(9)).unwrap_or_default();
        file.read_exact_at(begun, 0)?;
        return Err(if magic == pages::MAGIC { NoSurvey::Short(bytes) } else { NoSurvey::Foreign });
    }
    file.read_exact_at(&mut first, 0)?;
    Ok((Head::read(&first).ok_or(NoSurvey::Short(bytes))?, bytes))
}

/// The pages of a file.
struct Pages<'f> {
    file: &'f File,
    bytes: u64,
    geometry: Geometry,
}

/// What is done with each document; nothing where they are only counted.
type Each<'e> = Option<&'e mut dyn FnMut(StoredSentence)>;

/// What is done with each row.
type Visit<'v> = &'v mut dyn FnMut(&mut Survey, &[u8], &[u8]);

impl Pages<'_> {
    /// Everything that hangs on one commit.
    fn read(&self, slot: &Slot, each: &mut Each<'_>) -> Survey {
        let mut survey = Survey::default();
        if !slot.sound {
            survey.damage(|| "the mark of the newest commit does not read back".to_owned());
        }
        for (name, table) in self.tables(&mut survey, slot.system, "the engine's table of tables") {
            let name = format!("the engine's table {name}");
            self.walk(&mut survey, table.root, table.widths, &name, &mut |_, _, _| {});
        }
        let tables = self.tables(&mut survey, slot.ours, "the table of tables");
        for (name, Table { root, widths }) in tables {
            let told = format!("the table `{name}`");
            let survey = &mut survey;
            let rows = root.map_or(0, |root| root.rows);
            match name.as_str() {
                "documents" => {
                    survey.expected = rows;
                    self.walk(survey, root, widths, &told, &mut |survey, key, value| {
                        document(survey, key, value, each);
                    });
                }
                "ids" => self.walk(survey, root, widths, &told, &mut |survey, key, value| {
                    if let Some(date) = layout::array(value, 0).map(i64::from_le_bytes) {
                        survey
                            .ids
                            .add(&[&layout::date_bytes(wire::Date::from_unix_micros(date)), key].concat());
                    }
                }),
                "authors" => {
                    self.walk(survey, root, widths, &told, &mut |survey, key, _| survey.authors.add(key))
                }
                "meta" => self.walk(survey, root, widths, &told, &mut |survey, key, value| {
                    let number = layout::array(value, 0).map(u64::from_le_bytes);
                    match key {
                        b"format" => survey.format = number,
                        b"commits" => survey.commits = number.unwrap_or(0),
                        _ => {}
                    }
                }),
                "identity" => self.walk(survey, root, widths, &told, &mut |survey, _, value| {
                    survey.id = layout::array(value, 0).map(|id| StoreId(uuid::Uuid::from_bytes(id)));
                }),
                _ => self.walk(survey, root, widths, &told, &mut |_, _, _| {}),
            }
        }
        if survey.is_whole() {
            agree(&mut survey);
        }
        survey
    }

    /// The tables of a tree of tables, by name.
    fn tables(&self, survey: &mut Survey, root: Option<Root>, what: &str) -> Vec<(String, Table)> {
        let mut tables = Vec::new();
        self.walk(survey, root, Widths::OF_TABLES, what, &mut |survey, name, value| match (
            std::str::from_utf8(name),
            Table::read(value),
        ) {
            (Ok(name), Some(table)) => tables.push((name.to_owned(), table)),
            _ => survey.damage(|| format!("{what} has a row that is no table")),
        });
        tables
    }

    /// Visits every row of a tree in order. A page that is not what it was is told, and what hangs on it is left out.
    fn walk(&self, survey: &mut Survey, root: Option<Root>, widths: Widths, what: &str, visit: Visit<'_>) {
        let Some(root) = root else { return };
        let mut tree = Tree { what, widths, visit, rows: 0 };
        let before = survey.n_damages;
        self.descend(survey, &mut tree, root.page, root.checksum, 0);
        let rows = tree.rows;
        if survey.n_damages == before && rows != root.rows {
            survey.damage(|| format!("{what} has {rows} rows instead of {}", root.rows));
        }
    }

    fn descend(
        &self,
        survey: &mut Survey,
        tree: &mut Tree<'_, '_>,
        number: PageNumber,
        checksum: u128,
        depth: usize,
    ) {
        let place = self.geometry.place(number, self.bytes);
        let place = place.filter(|_| depth < MAX_DEPTH);
        let Some((offset, length)) = place else {
            return survey.damage(|| format!("{} names a page that is not in the file", tree.what));
        };
        let mut bytes = vec![0; length];
        if let Err(error) = self.file.read_exact_at(&mut bytes, offset) {
            return survey.damage(|| format!("byte {offset} of {} cannot be read: {error}", tree.what));
        }
        match Page::read(&bytes, tree.widths, checksum) {
            None => {
                survey.damage(|| {
                    format!("the page at byte {offset}, of {}, is not what was written", tree.what)
                });
            }
            Some(Page::Leaf(leaf)) => {
                for row in leaf.rows() {
                    tree.rows = tree.rows.saturating_add(1);
                    match row {
                        Some((key, value)) => (tree.visit)(survey, key, value),
                        None => survey.damage(|| format!("a row at byte {offset} does not end")),
                    }
                }
            }
            Some(Page::Branch(branch)) => {
                for child in branch.children() {
                    match child {
                        Some((number, checksum)) => self.descend(survey, tree, number, checksum, depth + 1),
                        None => survey.damage(|| format!("a page at byte {offset} does not end")),
                    }
                }
            }
        }
    }
}

/// A tree that is walked.
struct Tree<'w, 'v> {
    what: &'w str,
    widths: Widths,
    visit: Visit<'v>,
    rows: u64,
}

fn document(survey: &mut Survey, key: &[u8], value: &[u8], each: &mut Each<'_>) {
    let Some(key) = layout::array::<24>(key, 0) else {
        return survey.damage(|| "a document has no place".to_owned());
    };
    match layout::decode(&key, value) {
        Some((author, _)) => {
            survey.documents = survey.documents.saturating_add(1);
            survey.places.add(&key);
            survey.authors_of_documents.add(&layout::author_key(author, &key));
            if let (Some(each), Some(document)) = (each, layout::document(&key, value)) {
                each(document);
            }
        }
        None => survey.damage(|| format!("document {} is not what was written", place_of(&key))),
    }
}

fn place_of(key: &DocumentKey) -> wire::SentenceId {
    layout::place(key).id
}

/// Every page is what it was; now the tables must tell of the same documents.
fn agree(survey: &mut Survey) {
    let Survey { ids, places, authors, authors_of_documents, .. } = *survey;
    if ids != places {
        survey.damage(|| format!("{} ids stand for {} documents", ids.rows, places.rows));
    }
    if authors != authors_of_documents {
        survey.damage(|| format!("{} rows of authors stand for {} documents", authors.rows, places.rows));
    }
}
