//! The modules of every crate of ours, found as the compiler finds them, without test items. Absent: what a path of
//! several names means (`paths.rs`), and whether anything is allowed.

use std::collections::{BTreeMap, BTreeSet};

use proc_macro2::Span;
use syn::visit::Visit;
use syn::{Attribute, Item};

use super::super::tree::Tree;
use super::scope::{Bound, Scope, Written, plain};
use super::test_items::{attributes, is_for_tests};

/// One crate to look through: a library, a program, a test or an example.
#[derive(Clone, Debug, Default)]
pub(super) struct Target {
    /// Its root file.
    pub(super) file: String,
    /// The name under which others reach it, if it is a library.
    pub(super) library: Option<String>,
    /// Names of the crates that it may use, as they stand in code.
    pub(super) crates: BTreeSet<String>,
}

/// Where a module stands in [`Modules`].
pub(super) type Id = usize;

/// One module.
#[derive(Default)]
pub(super) struct Module {
    /// The file that it stands in.
    pub(super) file: String,
    /// The line of its `mod` in the module above, from 1; a root has none.
    pub(super) declared_at: usize,
    /// The module above; a root has none.
    pub(super) parent: Option<Id>,
    /// The root of its crate.
    pub(super) root: Id,
    /// Which of the targets it belongs to.
    pub(super) target: usize,
    /// What stands in it, without test items and without modules.
    pub(super) items: Vec<Item>,
    /// Its names. One name can stand for a type, a value and a macro, so each may have several meanings. What a block
    /// in it brings into scope is among them.
    pub(super) names: BTreeMap<String, Vec<Bound>>,
    /// What it brings in by `*`.
    pub(super) globs: Vec<Written>,
}

/// All modules.
#[derive(Default)]
pub(super) struct Modules {
    /// The modules; an [`Id`] is a place in here.
    pub(super) all: Vec<Module>,
    /// The targets that they were read from.
    pub(super) targets: Vec<Target>,
    /// The roots of the libraries.
    pub(super) libraries: BTreeMap<String, Id>,
    /// What could not be read or found, with its place.
    pub(super) faults: Vec<String>,
}

impl Modules {
    /// Reads all targets from the tree.
    pub(super) fn read(tree: &Tree, targets: Vec<Target>) -> Self {
        let mut modules = Self { targets, ..Self::default() };
        for target in 0..modules.targets.len() {
            let Some(Target { file, library, .. }) = modules.targets.get(target).cloned() else { continue };
            let id = modules.add_file(tree, &file, folder_of(&file).to_owned(), None, target);
            if let (Some(name), Some(id)) = (library, id) {
                modules.libraries.insert(name, id);
            }
        }
        modules
    }

    /// Reads one file as a module whose children lie in `folder`.
    fn add_file(
        &mut self,
        tree: &Tree,
        file: &str,
        folder: String,
        parent: Option<Id>,
        target: usize,
    ) -> Option<Id> {
        let Some(text) = tree.text(file) else {
            self.faults.push(format!("{file} is a root of the workspace and cannot be read"));
            return None;
        };
        match syn::parse_file(text) {
            Ok(parsed) if is_for_tests(&parsed.attrs) => None,
            Ok(parsed) => Some(self.add(tree, file, &folder, parent, target, parsed.items)),
            Err(error) => {
                self.faults.push(format!("{file}:{}: cannot be parsed: {error}", error.span().start().line));
                None
            }
        }
    }

    fn add(
        &mut self,
        tree: &Tree,
        file: &str,
        folder: &str,
        parent: Option<Id>,
        target: usize,
        items: Vec<Item>,
    ) -> Id {
        let id = self.all.len();
        let root = parent.and_then(|parent| self.all.get(parent)).map_or(id, |module| module.root);
        self.all.push(Module { file: file.to_owned(), parent, root, target, ..Module::default() });
        let mut scope = Scope::default();
        let mut kept = Vec::new();
        for item in items {
            if is_for_tests(attributes(&item)) {
                continue;
            }
            let Item::Mod(module) = item else {
                scope.visit_item(&item);
                kept.push(item);
                continue;
            };
            let name = plain(&module.ident);
            let child = if let Some((_, items)) = module.content {
                Some(self.add(tree, file, &format!("{folder}/{name}"), Some(id), target, items))
            } else {
                self.add_child(tree, &module.attrs, (file, folder, &name), id, target, module.ident.span())
            };
            if let Some(child) = child {
                if let Some(child) = self.all.get_mut(child) {
                    child.declared_at = module.ident.span().start().line;
                }
                scope.names.entry(name).or_default().push(Bound::Module(child));
            }
        }
        for name in std::mem::take(&mut scope.exported) {
            if let Some(root) = self.all.get_mut(root) {
                root.names.entry(name).or_default().push(Bound::Module(id));
            }
        }
        if let Some(module) = self.all.get_mut(id) {
            module.items = kept;
            for (name, bound) in scope.names {
                module.names.entry(name).or_default().extend(bound);
            }
            module.globs = scope.globs;
        }
        id
    }

    /// Finds the file of `mod name;` and reads it.
    fn add_child(
        &mut self,
        tree: &Tree,
        attributes: &[Attribute],
        (file, folder, name): (&str, &str, &str),
        parent: Id,
        target: usize,
        span: Span,
    ) -> Option<Id> {
        if let Some(path) = attributes.iter().find_map(path_attribute) {
            let path = joined(folder_of(file), &path);
            let folder = folder_of(&path).to_owned();
            return self.add_file(tree, &path, folder, Some(parent), target);
        }
        let below = format!("{folder}/{name}");
        let places = [format!("{below}.rs"), format!("{below}/mod.rs")];
        let Some(place) = places.iter().find(|place| tree.text(place).is_some()) else {
            let line = span.start().line;
            self.faults.push(format!("{file}:{line}: `mod {name}` leads to no file"));
            return None;
        };
        self.add_file(tree, place, below, Some(parent), target)
    }
}

/// The file that `#[path = "…"]` names.
fn path_attribute(attribute: &Attribute) -> Option<String> {
    let syn::Meta::NameValue(pair) = &attribute.meta else { return None };
    let syn::Expr::Lit(syn::ExprLit { lit: syn::Lit::Str(text), .. }) = &pair.value else { return None };
    pair.path.is_ident("path").then(|| text.value())
}

fn folder_of(file: &str) -> &str {
    file.rsplit_once('/').map_or("", |(folder, _)| folder)
}

/// `path` as seen from `folder`, without `.` and `..`.
fn joined(folder: &str, path: &str) -> String {
    let mut parts = folder.split('/').filter(|part| !part.is_empty()).collect::<Vec<_>>();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            name => parts.push(name),
        }
    }
    parts.join("/")
}
