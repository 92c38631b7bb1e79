//! What the items of one module mention: paths, macros, and constructs that are effects by themselves. Looks into macro
//! calls and into the strings of attributes too. Absent: what a path stands for, and whether it is allowed.

use proc_macro2::{TokenStream, TokenTree};
use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::visit::{self, Visit};
use syn::{Attribute, Expr, Item, Token, Type};

use super::effects;
use super::scope::{Written, plain, uses};
use super::test_items::{attributes, is_for_tests};

/// Something that a file mentions.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Mention {
    /// A path in code.
    Path(Written),
    /// A path in a `use`.
    Use(Written),
    /// The path of a macro that is called.
    Macro(Written),
    /// What a `use` ends with `*` below.
    Glob(Written),
    /// An effect that needs no name: its line, and what it is.
    Effect(usize, String),
}

/// What these items mention, outside of their test items.
pub(super) fn of(items: &[Item]) -> Vec<Mention> {
    let mut reader = Reader::default();
    items.iter().for_each(|item| reader.visit_item(item));
    reader.found
}

#[derive(Default)]
struct Reader {
    found: Vec<Mention>,
}

impl Reader {
    fn effect(&mut self, at: impl Spanned, what: &str) {
        self.found.push(Mention::Effect(at.span().start().line, what.to_owned()));
    }

    /// A single name is a local one, or was brought in by a `use` that is looked at itself.
    fn path(&mut self, path: Written) {
        if path.names.len() > 1 || path.is_absolute {
            self.found.push(Mention::Path(path));
        }
    }

    /// `<A as B>::c` is of `B` and of `A`; `<A>::c` is `A::c`.
    fn qualified(&mut self, of: &syn::QSelf, path: &syn::Path) {
        self.visit_type(&of.ty);
        for segment in &path.segments {
            self.visit_path_arguments(&segment.arguments);
        }
        let written = Written::path(path);
        let (of_trait, rest) = written.names.split_at_checked(of.position).unwrap_or_default();
        if !of_trait.is_empty() {
            self.path(Written { names: of_trait.to_vec(), ..written.clone() });
        }
        if let Type::Path(owner) = &*of.ty {
            let mut owner = Written::path(&owner.path);
            owner.names.extend_from_slice(rest);
            self.path(owner);
        }
    }

    fn method(&mut self, name: &syn::Ident) {
        if let Some(what) = effects::of_method(&plain(name)) {
            self.effect(name, &format!("`.{name}` {what}"));
        }
    }

    /// Looks for paths, macro calls and methods in tokens that are no expression.
    fn tokens(&mut self, tokens: TokenStream) {
        let tokens = tokens.into_iter().collect::<Vec<_>>();
        let is = |at: Option<usize>, sign: char| {
            let token = at.and_then(|at| tokens.get(at));
            matches!(token, Some(TokenTree::Punct(punct)) if punct.as_char() == sign)
        };
        let colons = |at: usize| is(Some(at), ':') && is(Some(at + 1), ':');
        let mut at = 0;
        while let Some(token) = tokens.get(at) {
            let before = at.checked_sub(1);
            at += 1;
            let first = match token {
                TokenTree::Group(group) => {
                    self.tokens(group.stream());
                    continue;
                }
                TokenTree::Ident(first) => first,
                TokenTree::Punct(_) | TokenTree::Literal(_) => continue,
            };
            let is_parameter = is(before, '$') && first != "crate";
            if is(before, '.') {
                // `1..a` is no method, but a name of a method there would be none of ours either.
                self.method(first);
                if first == "await" {
                    self.effect(first, "`await` waits");
                }
            } else if first == "async" {
                self.effect(first, "`async` waits");
            }
            let mut path = Written::name(&plain(first), first.span());
            path.is_absolute = before.is_some_and(|before| before > 0 && colons(before - 1))
                && !matches!(
                    before.and_then(|before| tokens.get(before.checked_sub(2)?)),
                    Some(TokenTree::Ident(_))
                );
            while let (true, Some(TokenTree::Ident(next))) = (colons(at), tokens.get(at + 2)) {
                path.names.push(plain(next));
                at += 3;
            }
            if is_parameter || is(before, '\'') {
                continue;
            }
            let is_call = is(Some(at), '!') && matches!(tokens.get(at + 1), Some(TokenTree::Group(_)));
            if is_call {
                self.found.push(Mention::Macro(path));
            } else {
                self.path(path);
            }
        }
    }

    /// `#[serde(with = "a::b")]` names what it calls in a string.
    fn strings(&mut self, tokens: TokenStream) {
        for token in tokens {
            match token {
                TokenTree::Group(group) => self.strings(group.stream()),
                TokenTree::Literal(literal) => {
                    let line = literal.span().start().line;
                    let Ok(text) = syn::parse_str::<syn::LitStr>(&literal.to_string()) else { continue };
                    if let Ok(path) = syn::parse_str::<syn::Path>(&text.value()) {
                        self.path(Written { line, ..Written::path(&path) });
                    }
                }
                TokenTree::Ident(_) | TokenTree::Punct(_) => {}
            }
        }
    }
}

impl<'ast> Visit<'ast> for Reader {
    fn visit_item(&mut self, item: &'ast Item) {
        if !is_for_tests(attributes(item)) {
            visit::visit_item(self, item);
        }
    }

    fn visit_impl_item(&mut self, item: &'ast syn::ImplItem) {
        let attributes = match item {
            syn::ImplItem::Const(syn::ImplItemConst { attrs, .. })
            | syn::ImplItem::Fn(syn::ImplItemFn { attrs, .. })
            | syn::ImplItem::Type(syn::ImplItemType { attrs, .. })
            | syn::ImplItem::Macro(syn::ImplItemMacro { attrs, .. }) => attrs.as_slice(),
            _ => &[],
        };
        if !is_for_tests(attributes) {
            visit::visit_impl_item(self, item);
        }
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        for used in uses(&item.tree, item.leading_colon.is_some()) {
            let mention = if used.is_glob { Mention::Glob } else { Mention::Use };
            self.found.push(mention(used.path));
        }
    }

    fn visit_item_extern_crate(&mut self, item: &'ast syn::ItemExternCrate) {
        if item.ident != "self" {
            let name = Written::name(&plain(&item.ident), item.ident.span());
            self.found.push(Mention::Use(Written { is_absolute: true, ..name }));
        }
    }

    fn visit_item_foreign_mod(&mut self, item: &'ast syn::ItemForeignMod) {
        self.effect(&item.abi, "calls foreign code");
    }

    fn visit_item_macro(&mut self, item: &'ast syn::ItemMacro) {
        item.attrs.iter().for_each(|attribute| self.visit_attribute(attribute));
        if item.ident.is_some() {
            // The rules of a macro are no expressions.
            self.tokens(item.mac.tokens.clone());
        } else {
            self.visit_macro(&item.mac);
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        self.path(Written::path(path));
        visit::visit_path(self, path);
    }

    fn visit_expr_path(&mut self, path: &'ast syn::ExprPath) {
        match &path.qself {
            Some(of) => self.qualified(of, &path.path),
            None => visit::visit_expr_path(self, path),
        }
    }

    fn visit_type_path(&mut self, path: &'ast syn::TypePath) {
        match &path.qself {
            Some(of) => self.qualified(of, &path.path),
            None => visit::visit_type_path(self, path),
        }
    }

    /// Says who may see, and does nothing.
    fn visit_vis_restricted(&mut self, _: &'ast syn::VisRestricted) {}

    fn visit_attribute(&mut self, attribute: &'ast Attribute) {
        if ["doc", "cfg"].iter().any(|name| attribute.path().is_ident(name)) {
            return;
        }
        self.path(Written::path(attribute.path()));
        if let syn::Meta::List(list) = &attribute.meta {
            self.tokens(list.tokens.clone());
            if attribute.path().is_ident("serde") {
                self.strings(list.tokens.clone());
            }
        }
    }

    fn visit_macro(&mut self, called: &'ast syn::Macro) {
        self.found.push(Mention::Macro(Written::path(&called.path)));
        let arguments = called.parse_body_with(Punctuated::<Expr, Token![,]>::parse_terminated);
        match arguments {
            // The expressions live no longer than this, so they are read by a reader of their own.
            Ok(arguments) => {
                let mut reader = Reader::default();
                arguments.iter().for_each(|argument| reader.visit_expr(argument));
                self.found.append(&mut reader.found);
            }
            Err(_) => self.tokens(called.tokens.clone()),
        }
    }

    fn visit_token_stream(&mut self, tokens: &'ast TokenStream) {
        self.tokens(tokens.clone());
    }

    fn visit_signature(&mut self, signature: &'ast syn::Signature) {
        if let Some(word) = &signature.asyncness {
            self.effect(word, "`async fn` waits");
        }
        visit::visit_signature(self, signature);
    }

    fn visit_expr_closure(&mut self, closure: &'ast syn::ExprClosure) {
        if let Some(word) = &closure.asyncness {
            self.effect(word, "an `async` closure waits");
        }
        visit::visit_expr_closure(self, closure);
    }

    fn visit_expr_async(&mut self, block: &'ast syn::ExprAsync) {
        self.effect(block.async_token, "an `async` block waits");
        visit::visit_expr_async(self, block);
    }

    fn visit_expr_await(&mut self, waiting: &'ast syn::ExprAwait) {
        self.effect(waiting.await_token, "`await` waits");
        visit::visit_expr_await(self, waiting);
    }

    fn visit_expr_method_call(&mut self, call: &'ast syn::ExprMethodCall) {
        self.method(&call.method);
        visit::visit_expr_method_call(self, call);
    }
}
