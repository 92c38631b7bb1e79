//! The files of the repository as text. The one place where the checks touch the disk.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result};

/// Folders that hold nothing of ours, at any depth.
const SKIPPED: [&str; 3] = ["target", ".git", "node_modules"];
/// Names that end like this are read; everything else is only known to exist.
const READ: [&str; 3] = [".rs", ".toml", ".md"];

/// Paths relative to the root, with `/`, and the text of those that the checks read.
#[derive(Debug, Default)]
pub(super) struct Tree {
    texts: BTreeMap<String, String>,
    others: Vec<String>,
}

impl Tree {
    /// Reads what is below `root`.
    pub(super) fn read(root: &Path) -> Result<Self> {
        let mut tree = Self::default();
        tree.walk(root, "")?;
        Ok(tree)
    }

    fn walk(&mut self, folder: &Path, prefix: &str) -> Result<()> {
        for entry in folder.read_dir().with_context(|| format!("{} cannot be read", folder.display()))? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let path = format!("{prefix}{name}");
            if entry.file_type()?.is_dir() {
                if !SKIPPED.contains(&name.as_str()) {
                    self.walk(&entry.path(), &format!("{path}/"))?;
                }
            } else if READ.iter().any(|end| name.ends_with(end)) {
                let text = std::fs::read_to_string(entry.path())
                    .with_context(|| format!("{} cannot be read", entry.path().display()))?;
                self.texts.insert(path, text);
            } else {
                self.others.push(path);
            }
        }
        Ok(())
    }

    /// A tree of these files, for tests.
    #[cfg(test)]
    pub(super) fn of(files: &[(&str, &str)]) -> Self {
        let texts = files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect();
        Self { texts, others: Vec::new() }
    }

    /// The text of one file.
    pub(super) fn text(&self, path: &str) -> Option<&str> {
        self.texts.get(path).map(String::as_str)
    }

    /// Path and text of each file whose name ends like this.
    pub(super) fn ending<'a>(&'a self, end: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.texts
            .iter()
            .filter(move |(path, _)| path.ends_with(end))
            .map(|(path, text)| (path.as_str(), text.as_str()))
    }

    /// Whether a file or folder of this path is there.
    pub(super) fn has(&self, path: &str) -> bool {
        let folder = format!("{}/", path.trim_end_matches('/'));
        self.texts.keys().chain(&self.others).any(|known| known == path || known.starts_with(&folder))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_is_read_without_what_is_built() {
        let folder = tempfile::tempdir().unwrap();
        for path in ["lb/src", "target/debug"] {
            std::fs::create_dir_all(folder.path().join(path)).unwrap();
        }
        for path in ["lb/src/lib.rs", "target/debug/made.rs", "lb/probe.o"] {
            std::fs::write(folder.path().join(path), "//! Text.\n").unwrap();
        }
        let tree = Tree::read(folder.path()).unwrap();
        assert_eq!(tree.text("lb/src/lib.rs"), Some("//! Text.\n"));
        assert_eq!(tree.text("target/debug/made.rs"), None);
        for (path, there) in [("lb", true), ("lb/src/", true), ("lb/probe.o", true), ("lb/sr", false)] {
            assert_eq!(tree.has(path), there, "{path}");
        }
    }
}
