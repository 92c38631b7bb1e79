//! The file picker: a folder's entries, filtered by what is typed, and a box for a whole path. PURE: folders are listed
//! and files are looked into elsewhere.

use std::path::{Path, PathBuf};

use super::Effect;
use super::input::Input;
use super::keys::Action;
use super::select;
use crate::text::Encoding;

/// One entry of a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its name.
    pub name: String,
    /// Whether it is a folder.
    pub is_folder: bool,
    /// Its size in bytes.
    pub size: u64,
}

/// What a file holds, told before it is loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Preview {
    /// How it writes its characters.
    pub encoding: Encoding,
    /// Its size in bytes.
    pub size: u64,
    /// Its sentences; `None` for a file too large to count on the way.
    pub n_sentences: Option<usize>,
    /// Its first lines.
    pub lines: Vec<String>,
}

/// The picker.
#[derive(Clone, Debug, Default)]
pub struct Picker {
    /// The folder shown.
    pub folder: PathBuf,
    /// What is typed to filter.
    pub filter: Input,
    /// The box for a path, when it is open.
    pub path: Option<Input>,
    /// Whether hidden files are shown.
    pub hidden: bool,
    /// Why the folder cannot be shown.
    pub problem: Option<String>,
    /// The file looked into last, and what it holds or why it cannot be loaded.
    pub preview: Option<(PathBuf, Result<Preview, String>)>,
    entries: Vec<Entry>,
    cursor: usize,
}

impl Picker {
    /// The picker in this folder, with nothing listed yet.
    pub fn new(folder: PathBuf) -> Self {
        Self { folder, ..Self::default() }
    }

    /// The entries that the filter leaves, folders first.
    pub fn entries(&self) -> Vec<&Entry> {
        let wanted = self.filter.text().to_lowercase();
        let shown = |entry: &&Entry| {
            (self.hidden || !entry.name.starts_with('.') || wanted.starts_with('.'))
                && entry.name.to_lowercase().contains(&wanted)
        };
        self.entries.iter().filter(shown).collect()
    }

    /// Which of them is selected.
    pub fn cursor(&self) -> usize {
        self.cursor
    }

    /// Takes a folder's entries.
    pub fn listed(&mut self, folder: PathBuf, listed: Result<Vec<Entry>, String>) -> Vec<Effect> {
        match listed {
            Ok(mut entries) => {
                entries.sort_by_key(|entry| (!entry.is_folder, entry.name.to_lowercase()));
                // Coming from below, the cursor stands on where one was.
                let from = self.folder.strip_prefix(&folder).ok().and_then(|rest| rest.iter().next());
                let from = from.map(|name| name.to_string_lossy().into_owned());
                let came_up = self.folder != folder;
                self.folder = folder;
                self.entries = entries;
                self.problem = None;
                if came_up {
                    self.filter = Input::default();
                    self.cursor = 0;
                }
                if let Some(name) = from {
                    self.cursor =
                        self.entries().iter().position(|entry| entry.name == name).unwrap_or(self.cursor);
                }
            }
            Err(problem) => self.problem = Some(problem),
        }
        self.look()
    }

    /// Does what a key means in the list; `None` when the picker is left.
    pub fn act(&mut self, action: Action, page: usize) -> Option<Vec<Effect>> {
        let n_entries = self.entries().len();
        match action {
            Action::Accept => return Some(self.open()),
            Action::Parent => {
                let parent = self.folder.parent().map(Path::to_path_buf);
                return Some(parent.map(Effect::List).into_iter().collect());
            }
            Action::PathBox => {
                let folder = self.folder.display().to_string();
                self.path = Some(Input::new(if folder.ends_with('/') { folder } else { folder + "/" }));
            }
            Action::Hidden => {
                self.hidden = !self.hidden;
                self.cursor = 0;
            }
            Action::Back if !self.filter.text().is_empty() => self.filter = Input::default(),
            Action::Back => return None,
            _ => select(&mut self.cursor, n_entries, action, page),
        }
        Some(self.look())
    }

    /// Takes a change of the filter. Who writes a slash or a tilde writes a path: a folder's name opens it, anything else
    /// moves to the box for a path.
    pub fn filtered(&mut self) -> Vec<Effect> {
        self.cursor = 0;
        let written = self.filter.text();
        if let Some(name) = written.strip_suffix('/')
            && self.entries.iter().any(|entry| entry.is_folder && entry.name == name)
        {
            return vec![Effect::List(self.folder.join(name))];
        }
        if written.contains('/') || written.starts_with('~') {
            self.path = Some(std::mem::take(&mut self.filter));
            return Vec::new();
        }
        self.look()
    }

    /// The file under the cursor.
    pub fn selected_file(&self) -> Option<PathBuf> {
        let entry = *self.entries().get(self.cursor)?;
        (!entry.is_folder).then(|| self.folder.join(&entry.name))
    }

    fn open(&mut self) -> Vec<Effect> {
        let opened =
            self.entries().get(self.cursor).map(|entry| (entry.is_folder, self.folder.join(&entry.name)));
        match opened {
            Some((true, folder)) => {
                self.filter = Input::default();
                vec![Effect::List(folder)]
            }
            Some((false, file)) => vec![Effect::Load(file)],
            None => Vec::new(),
        }
    }

    fn look(&mut self) -> Vec<Effect> {
        match self.selected_file() {
            Some(file) if self.preview.as_ref().is_none_or(|(path, _)| *path != file) => {
                vec![Effect::Look(file)]
            }
            _ => Vec::new(),
        }
    }
}

/// A written path: `~` is home, and what is not absolute lies in `folder`.
pub fn resolve(written: &str, folder: &Path, home: Option<&Path>) -> PathBuf {
    let written = written.trim();
    match (written.strip_prefix('~'), home) {
        (Some(""), Some(home)) => home.to_path_buf(),
        (Some(rest), Some(home)) if rest.starts_with('/') => home.join(rest.trim_start_matches('/')),
        _ => folder.join(written),
    }
}

/// The written path, completed as far as the entries of its folder agree, and the names that it may become.
pub fn complete(written: &str, entries: &[Entry]) -> (String, Vec<String>) {
    let (folder, start) = written.rfind('/').map_or(("", written), |at| written.split_at(at + 1));
    let fits = |entry: &&Entry| {
        entry.name.starts_with(start) && (!entry.name.starts_with('.') || start.starts_with('.'))
    };
    let names =
        entries.iter().filter(fits).map(|entry| entry.name.clone() + if entry.is_folder { "/" } else { "" });
    let names = names.collect::<Vec<_>>();
    let Some(first) = names.first() else { return (written.to_owned(), names) };
    let common = first.char_indices().map(|(at, letter)| at + letter.len_utf8());
    let common =
        common.take_while(|end| names.iter().all(|name| name.get(..*end) == first.get(..*end))).last();
    let completed = first.get(..common.unwrap_or(0)).unwrap_or_default();
    let completed = if completed.len() < start.len() { start } else { completed };
    (format!("{folder}{completed}"), names)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(name: &str) -> Entry {
        let is_folder = name.ends_with('/');
        Entry { name: name.trim_end_matches('/').to_owned(), is_folder, size: 1 }
    }

    fn picker() -> Picker {
        let mut picker = Picker::new("/t".into());
        let effects = picker.listed("/t".into(), Ok([".git/", "b.txt", "A.md", "src/"].map(entry).to_vec()));
        assert_eq!(effects, []);
        picker
    }

    fn names(picker: &Picker) -> Vec<&str> {
        picker.entries().iter().map(|entry| entry.name.as_str()).collect()
    }

    #[test]
    fn folders_come_first_and_hidden_files_on_demand() {
        let mut picker = picker();
        assert_eq!(names(&picker), ["src", "A.md", "b.txt"]);
        picker.act(Action::Hidden, 10);
        assert_eq!(names(&picker), [".git", "src", "A.md", "b.txt"]);
    }

    #[test]
    fn typing_filters_and_back_shows_all_again() {
        let mut picker = picker();
        picker.filter.insert("md");
        assert_eq!(picker.filtered(), [Effect::Look("/t/A.md".into())]);
        assert_eq!(picker.act(Action::Accept, 10), Some(vec![Effect::Load("/t/A.md".into())]));
        assert!(picker.act(Action::Back, 10).is_some());
        assert_eq!(names(&picker).len(), 3);
        assert_eq!(picker.act(Action::Back, 10), None);
    }

    #[test]
    fn who_writes_a_slash_writes_a_path() {
        let mut picker = picker();
        picker.filter.insert("src/");
        assert_eq!(picker.filtered(), [Effect::List("/t/src".into())]);
        picker.filter = Input::new("/e");
        assert_eq!(picker.filtered(), []);
        assert_eq!(picker.path.unwrap().text(), "/e");
    }

    #[test]
    fn the_way_up_ends_where_it_began() {
        let mut picker = Picker::new("/t/src".into());
        assert_eq!(picker.act(Action::Parent, 10), Some(vec![Effect::List("/t".into())]));
        picker.listed("/t".into(), Ok(["a/", "src/"].map(entry).to_vec()));
        assert_eq!(picker.cursor(), 1);
    }

    #[test]
    fn a_path_is_completed_as_far_as_names_agree() {
        let entries = ["news.txt", "newton.txt", ".new", "x/"].map(entry);
        assert_eq!(
            complete("a/n", &entries),
            ("a/new".to_owned(), vec!["news.txt".to_owned(), "newton.txt".to_owned()])
        );
        assert_eq!(complete("a/newt", &entries).0, "a/newton.txt");
        assert_eq!(complete("x", &entries).0, "x/");
        assert_eq!(complete("q", &entries), ("q".to_owned(), Vec::new()));
        assert_eq!(complete("é", &["éa", "éb"].map(entry)).0, "é");
    }

    #[test]
    fn a_written_path_may_begin_at_home() {
        let (folder, home) = (Path::new("/w"), Some(Path::new("/h")));
        assert_eq!(resolve("~/a", folder, home), Path::new("/h/a"));
        assert_eq!(resolve("~", folder, home), Path::new("/h"));
        assert_eq!(resolve("a", folder, home), Path::new("/w/a"));
        assert_eq!(resolve("/a", folder, home), Path::new("/a"));
        assert_eq!(resolve("~x", folder, None), Path::new("/w/~x"));
    }
}
