//! The names that one module has in scope: what it defines, what it brings in, and what its blocks do. Absent: other
//! modules; a name that is brought in is only known by its path.

use std::collections::BTreeMap;

use proc_macro2::Span;
use syn::visit::Visit;
use syn::{Item, Type, UseTree};

use super::modules::Id;
use super::test_items::{attributes, is_for_tests};

/// A path as it is written, with what is needed to read it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Written {
    /// Its names, without arguments.
    pub(super) names: Vec<String>,
    /// Whether it opens with `::`, and so with the name of a crate.
    pub(super) is_absolute: bool,
    /// The line, from 1.
    pub(super) line: usize,
}

impl Written {
    /// A path of one name.
    pub(super) fn name(name: &str, span: Span) -> Self {
        Self { names: vec![name.to_owned()], is_absolute: false, line: span.start().line }
    }

    /// The path's names, without arguments.
    pub(super) fn path(path: &syn::Path) -> Self {
        let line = path.segments.first().map_or(0, |first| first.ident.span().start().line);
        Self {
            names: path.segments.iter().map(|segment| plain(&segment.ident)).collect(),
            is_absolute: path.leading_colon.is_some(),
            line,
        }
    }
}

/// What a name in a module stands for.
#[derive(Clone, Debug)]
pub(super) enum Bound {
    /// Something defined there.
    Item,
    /// A type's other name: defined there, and what it stands for.
    Alias(Written),
    /// Brought in by `use`.
    Use(Written),
    /// A module below.
    Module(Id),
}

/// Gathers the names of one module, those of its blocks included.
#[derive(Default)]
pub(super) struct Scope {
    /// What each name stands for.
    pub(super) names: BTreeMap<String, Vec<Bound>>,
    /// What is brought in by `*`.
    pub(super) globs: Vec<Written>,
    /// Macros that the root of the crate has too.
    pub(super) exported: Vec<String>,
}

impl Scope {
    fn bind(&mut self, name: String, bound: Bound) {
        self.names.entry(name).or_default().push(bound);
    }
}

impl<'ast> Visit<'ast> for Scope {
    fn visit_item(&mut self, item: &'ast Item) {
        if is_for_tests(attributes(item)) {
            return;
        }
        match item {
            Item::Use(item) => {
                for used in uses(&item.tree, item.leading_colon.is_some()) {
                    match used.name {
                        Some(name) => self.bind(name, Bound::Use(used.path)),
                        None if used.is_glob => self.globs.push(used.path),
                        None => {}
                    }
                }
            }
            Item::ExternCrate(item) => {
                let name = item.rename.as_ref().map_or(&item.ident, |(_, name)| name);
                let mut path = Written::name(&plain(&item.ident), item.ident.span());
                path.is_absolute = path.names != ["self"];
                self.bind(plain(name), Bound::Use(path));
            }
            Item::Type(item) => {
                let bound = match &*item.ty {
                    Type::Path(aliased) if aliased.qself.is_none() => {
                        Bound::Alias(Written::path(&aliased.path))
                    }
                    _ => Bound::Item,
                };
                self.bind(plain(&item.ident), bound);
            }
            Item::Macro(item) => {
                if let Some(name) = &item.ident {
                    self.bind(plain(name), Bound::Item);
                    if item.attrs.iter().any(|attribute| attribute.path().is_ident("macro_export")) {
                        self.exported.push(plain(name));
                    }
                }
            }
            Item::Const(syn::ItemConst { ident, .. })
            | Item::Enum(syn::ItemEnum { ident, .. })
            | Item::Fn(syn::ItemFn { sig: syn::Signature { ident, .. }, .. })
            | Item::Static(syn::ItemStatic { ident, .. })
            | Item::Struct(syn::ItemStruct { ident, .. })
            | Item::Trait(syn::ItemTrait { ident, .. })
            | Item::TraitAlias(syn::ItemTraitAlias { ident, .. })
            | Item::Union(syn::ItemUnion { ident, .. }) => self.bind(plain(ident), Bound::Item),
            _ => {}
        }
        syn::visit::visit_item(self, item);
    }
}

/// One path that a `use` names.
pub(super) struct Used {
    /// The whole path, without the `*`.
    pub(super) path: Written,
    /// The name that it gets; `None` for `*` and `as _`.
    pub(super) name: Option<String>,
    /// Whether it ends with `*`.
    pub(super) is_glob: bool,
}

/// All paths of a `use`, its groups written out.
pub(super) fn uses(tree: &UseTree, is_absolute: bool) -> Vec<Used> {
    let mut found = Vec::new();
    gather(tree, &Written { names: Vec::new(), is_absolute, line: 0 }, &mut found);
    found
}

fn gather(tree: &UseTree, before: &Written, found: &mut Vec<Used>) {
    let with = |ident: &syn::Ident| {
        let mut path = before.clone();
        path.line = ident.span().start().line;
        // `a::{self}` is `a`; `self` at the start is the module.
        if ident != "self" || path.names.is_empty() {
            path.names.push(plain(ident));
        }
        path
    };
    match tree {
        UseTree::Path(tree) => gather(&tree.tree, &with(&tree.ident), found),
        UseTree::Name(tree) => {
            let path = with(&tree.ident);
            found.push(Used { name: path.names.last().cloned(), path, is_glob: false });
        }
        UseTree::Rename(tree) => {
            let name = (tree.rename != "_").then(|| plain(&tree.rename));
            found.push(Used { path: with(&tree.ident), name, is_glob: false });
        }
        UseTree::Glob(tree) => {
            let mut path = before.clone();
            path.line = tree.star_token.spans.first().map_or(path.line, |span| span.start().line);
            found.push(Used { path, name: None, is_glob: true });
        }
        UseTree::Group(tree) => tree.items.iter().for_each(|tree| gather(tree, before, found)),
    }
}

/// A name without `r#`.
pub(super) fn plain(ident: &syn::Ident) -> String {
    let name = ident.to_string();
    name.strip_prefix("r#").map(str::to_owned).unwrap_or(name)
}
