//! Holds every file to the promise that its header makes with the word in capitals: outside its test items it names no
//! effect, and of our own files it uses only such as make the promise too.
//!
//! The sources are parsed, and every path in them is followed to what it stands for:
//! - An effect is what `purity/effects.rs` says: async code, printing, logs, clocks, chance, files, sockets, processes,
//!   threads, channels, foreign code. A crate that stands nowhere in that table counts as one.
//! - What is of ours must lie in a file that makes the promise, however it is reached: by its full path, through
//!   `super`, a rename, a glob, an alias, or a re-export by a file that does not promise. A name that leads nowhere is a
//!   fault, never taken to be harmless.
//! - A module that such a file declares makes the promise too. An effect gets its place beside the file, not below it.
//! - All files of the crates in [`WHOLE_CRATES`] are held to it, whatever their headers say.
//!
//! Test items are whatever is compiled for tests only, wherever it stands in a file. Absent: what a method does, beyond
//! a few names, since that needs types; `clippy.toml` forbids by type what no file may call.

mod effects;
mod mentions;
mod modules;
mod paths;
mod scope;
mod test_items;
#[cfg(test)]
mod tests;
mod workspace;

use std::collections::BTreeSet;

use serde_json::Value;

use super::Finding;
use super::tree::Tree;
use mentions::Mention;
use modules::{Id, Modules};
use paths::Meaning;
use scope::{Bound, Written};

/// Libraries that promise for each of their files.
const WHOLE_CRATES: [&str; 2] = ["wire", "ebpf_abi"];

/// All findings; `metadata` is what `cargo metadata --no-deps` prints.
pub(super) fn check(tree: &Tree, metadata: &Value) -> Vec<Finding> {
    faults(tree, metadata).into_iter().map(Finding::fault).collect()
}

fn faults(tree: &Tree, metadata: &Value) -> BTreeSet<String> {
    let modules = Modules::read(tree, workspace::targets(metadata));
    let promising = promising(tree, &modules);
    let mut faults = modules.faults.iter().cloned().collect::<BTreeSet<_>>();
    for (id, module) in modules.all.iter().enumerate().filter(|(_, module)| promising.contains(&*module.file))
    {
        let place = Place { modules: &modules, promising: &promising, id, file: &module.file };
        for mention in mentions::of(&module.items) {
            for (line, what) in place.judged(&mention) {
                faults.insert(format!("{}:{line}: {what}", module.file));
            }
        }
        let children = module.names.values().flatten().filter_map(|bound| match bound {
            Bound::Module(child) => modules.all.get(*child),
            _ => None,
        });
        for child in children.filter(|child| !promising.contains(&*child.file)) {
            let (line, file) = (child.declared_at, &child.file);
            faults.insert(format!(
                "{}:{line}: `{file}` is below a file without effects and may have some",
                module.file
            ));
        }
    }
    let reached = modules.all.iter().map(|module| module.file.as_str()).collect::<BTreeSet<_>>();
    for path in promising.iter().filter(|path| !reached.contains(*path)) {
        faults.insert(format!(
            "{path} promises what cannot be checked: no crate of this workspace has it outside tests"
        ));
    }
    faults
}

/// The files that promise.
fn promising<'a>(tree: &'a Tree, modules: &'a Modules) -> BTreeSet<&'a str> {
    let whole = WHOLE_CRATES.iter().filter_map(|name| modules.libraries.get(*name)).collect::<BTreeSet<_>>();
    let of_whole =
        modules.all.iter().filter(|module| whole.contains(&module.root)).map(|module| &*module.file);
    let by_header = tree.ending(".rs").filter(|(_, text)| promised(text)).map(|(path, _)| path);
    of_whole.chain(by_header).collect()
}

/// Whether the header holds the word.
fn promised(text: &str) -> bool {
    let header = text.lines().take_while(|line| line.starts_with("//!"));
    header.flat_map(|line| line.split(|letter: char| !letter.is_alphanumeric())).any(|word| word == "PURE")
}

/// A module whose file promises.
struct Place<'a> {
    modules: &'a Modules,
    promising: &'a BTreeSet<&'a str>,
    id: Id,
    file: &'a str,
}

impl Place<'_> {
    /// What is wrong with a mention, each time with its line.
    fn judged(&self, mention: &Mention) -> Vec<(usize, String)> {
        match mention {
            Mention::Effect(line, what) => vec![(*line, what.clone())],
            Mention::Use(path) => self.each(path, self.modules.meanings(self.id, path), effects::of_name, ""),
            Mention::Path(path) => {
                let mut meanings = self.modules.meanings(self.id, path);
                if self.is_brought_in(path) {
                    meanings.retain(|meaning| !matches!(meaning, Meaning::Ours(_)));
                }
                self.each(path, meanings, effects::of_name, "")
            }
            Mention::Glob(path) => {
                self.each(path, self.modules.meanings(self.id, path), effects::of_glob, "::*")
            }
            Mention::Macro(path) => {
                let meanings = self.modules.macro_meanings(self.id, path);
                if !meanings.is_empty() {
                    return self.each(path, meanings, effects::of_name, "!");
                }
                let name = path.names.join("::");
                let what = match effects::of_macro(&name) {
                    Ok(effect) => effect,
                    Err(()) => Some("is a macro that leads nowhere; name its crate".to_owned()),
                };
                what.map(|what| (path.line, format!("`{name}!` {what}"))).into_iter().collect()
            }
        }
    }

    /// Whether the first name is a `use`'s, which is judged itself, and so where it leads in our own files.
    fn is_brought_in(&self, path: &Written) -> bool {
        let names = self.modules.all.get(self.id).map(|module| &module.names);
        let bound = names.zip(path.names.first()).and_then(|(names, first)| names.get(first));
        !path.is_absolute
            && bound.is_some_and(|bound| bound.iter().all(|bound| matches!(bound, Bound::Use(_))))
    }

    /// What is wrong with each meaning of a path.
    fn each(
        &self,
        path: &Written,
        meanings: BTreeSet<Meaning>,
        of_others: fn(&[String]) -> Option<String>,
        end: &str,
    ) -> Vec<(usize, String)> {
        let written = path.names.join("::");
        let wrong = meanings.into_iter().filter_map(|meaning| match meaning {
            Meaning::Lost => Some(format!("`{written}{end}` leads nowhere in our sources")),
            Meaning::Ours(file) if file == self.file || self.promising.contains(&*file) => None,
            Meaning::Ours(file) => Some(format!("`{written}{end}` is of {file}, which may have effects")),
            Meaning::Others(names) => of_others(&names).map(|what| {
                let whole = names.join("::");
                if whole == written {
                    format!("`{written}{end}` {what}")
                } else {
                    format!("`{written}{end}`, that is `{whole}`, {what}")
                }
            }),
        });
        wrong.map(|what| (path.line, what)).collect()
    }
}
