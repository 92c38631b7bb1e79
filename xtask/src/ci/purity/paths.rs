//! What a path stands for: followed through modules, `use`, renames, re-exports, globs and aliases to the file of ours
//! that defines it, or to its full name in a crate of others. Absent: methods, which need types, and so a compiler.

use std::collections::BTreeSet;

use super::modules::{Id, Modules};
use super::scope::{Bound, Written};

/// What a path stands for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Meaning {
    /// Something defined in a file of ours.
    Ours(String),
    /// Its full name in the standard library or another crate.
    Others(Vec<String>),
    /// A path into our own modules that leads nowhere.
    Lost,
}

/// The crates that come with the compiler; what two of them hold is in the first as well.
const STANDARD: [&str; 3] = ["std", "core", "alloc"];

impl Modules {
    /// All meanings of a path that stands in module `from`. Empty if it begins with a name that no `use`, item or
    /// crate explains: a generic, `Self`, or a name that every module has.
    pub(super) fn meanings(&self, from: Id, path: &Written) -> BTreeSet<Meaning> {
        let mut walk =
            Walk { modules: self, seen: BTreeSet::new(), found: BTreeSet::new(), ended: Vec::new() };
        walk.from(from, &path.names, path.is_absolute);
        walk.found
    }

    /// The meanings of a macro's name, which may also be defined in any module above.
    pub(super) fn macro_meanings(&self, from: Id, path: &Written) -> BTreeSet<Meaning> {
        let mut at = Some(from);
        while let Some(module) = at {
            let found = self.meanings(module, path);
            if !found.is_empty() {
                return found;
            }
            at = self.all.get(module).and_then(|module| module.parent);
        }
        BTreeSet::new()
    }
}

struct Walk<'a> {
    modules: &'a Modules,
    /// What was looked up already; some chains of `use` run in circles.
    seen: BTreeSet<(Id, Vec<String>)>,
    found: BTreeSet<Meaning>,
    /// The modules that the path itself names, rather than something in them.
    ended: Vec<Id>,
}

impl Walk<'_> {
    /// Reads a path that stands in module `at`, and says whether its first name was known.
    fn from(&mut self, at: Id, names: &[String], is_absolute: bool) -> bool {
        let Some((first, rest)) = names.split_first() else {
            self.within(at, names);
            return true;
        };
        let Some(module) = self.modules.all.get(at) else { return false };
        match first.as_str() {
            "crate" => self.within(module.root, rest),
            "self" => self.within(at, rest),
            "super" => self.above(at, rest),
            _ if is_absolute => return self.of_crate(at, first, rest),
            _ => return self.bound(at, names) || self.of_crate(at, first, rest),
        }
        true
    }

    fn above(&mut self, at: Id, rest: &[String]) {
        match self.modules.all.get(at).and_then(|module| module.parent) {
            Some(parent) => self.within(parent, rest),
            None => drop(self.found.insert(Meaning::Lost)),
        }
    }

    /// Reads what follows the name of a module.
    fn within(&mut self, at: Id, names: &[String]) {
        match names.first().map(String::as_str) {
            None => {
                self.ended.push(at);
                self.ends_at(at);
            }
            Some("super") => self.above(at, names.get(1..).unwrap_or_default()),
            Some("self") => self.within(at, names.get(1..).unwrap_or_default()),
            Some(_) if self.bound(at, names) || self.is_of_others(at, names) => {}
            Some(_) => drop(self.found.insert(Meaning::Lost)),
        }
    }

    fn ends_at(&mut self, at: Id) {
        if let Some(module) = self.modules.all.get(at) {
            self.found.insert(Meaning::Ours(module.file.clone()));
        }
    }

    /// Reads a path whose first name is one that module `at` has, and says whether it has it.
    fn bound(&mut self, at: Id, names: &[String]) -> bool {
        let (Some(module), Some((first, rest))) = (self.modules.all.get(at), names.split_first()) else {
            return false;
        };
        if !self.seen.insert((at, names.to_vec())) {
            return false;
        }
        let mut is_known = false;
        for bound in module.names.get(first).into_iter().flatten() {
            is_known |= match bound {
                Bound::Item => {
                    self.ends_at(at);
                    true
                }
                Bound::Alias(other) => {
                    self.ends_at(at);
                    self.onward(at, other, rest);
                    true
                }
                Bound::Use(other) => self.onward(at, other, rest),
                Bound::Module(id) => {
                    self.within(*id, rest);
                    true
                }
            };
        }
        is_known || module.globs.iter().any(|glob| self.globbed(at, glob, names))
    }

    /// Reads `other` with `rest` behind it.
    fn onward(&mut self, at: Id, other: &Written, rest: &[String]) -> bool {
        let names = other.names.iter().chain(rest).cloned().collect::<Vec<_>>();
        self.from(at, &names, other.is_absolute)
    }

    /// Whether a glob over a module of ours brings the name in.
    fn globbed(&mut self, at: Id, glob: &Written, names: &[String]) -> bool {
        let mut over = Walk {
            modules: self.modules,
            seen: self.seen.clone(),
            found: BTreeSet::new(),
            ended: Vec::new(),
        };
        over.from(at, &glob.names, glob.is_absolute);
        self.seen.append(&mut over.seen);
        let mut is_known = false;
        for id in over.ended {
            is_known |= self.bound(id, names);
        }
        is_known
    }

    /// Takes the name for one that a glob over a crate of others brings in, and says whether there is such a glob.
    fn is_of_others(&mut self, at: Id, names: &[String]) -> bool {
        let Some(module) = self.modules.all.get(at) else { return false };
        let mut is_found = false;
        for glob in &module.globs {
            let whole = glob.names.iter().chain(names).cloned().collect::<Vec<_>>();
            if let Some((first, rest)) = whole.split_first()
                && !["crate", "self", "super"].contains(&first.as_str())
            {
                is_found |= self.of_crate(at, first, rest);
            }
        }
        is_found
    }

    /// Reads a path that begins with the name of a crate, and says whether there is such a crate for this module.
    fn of_crate(&mut self, at: Id, name: &str, rest: &[String]) -> bool {
        let target = self.modules.all.get(at).and_then(|module| self.modules.targets.get(module.target));
        if STANDARD.contains(&name) {
            self.found.insert(others("std", rest));
        } else if !target.is_some_and(|target| target.crates.contains(name)) {
            return false;
        } else if let Some(root) = self.modules.libraries.get(name) {
            self.within(*root, rest);
        } else {
            self.found.insert(others(name, rest));
        }
        true
    }
}

fn others(name: &str, rest: &[String]) -> Meaning {
    Meaning::Others(std::iter::once(name.to_owned()).chain(rest.iter().cloned()).collect())
}
