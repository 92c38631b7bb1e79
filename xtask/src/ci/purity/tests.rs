//! Small trees, each with one way to get an effect past the promise, and the ways that are no effect.

use super::*;
use serde_json::json;

/// A workspace of the library `lb` in `lb/src` with what is given, and of `wire` in `wire/src`, which promises whole.
fn found(files: &[(&str, &str)]) -> Vec<String> {
    let package = |name: &str, dependencies: &[&str]| {
        let dependencies = dependencies.iter().map(|name| json!({ "name": name })).collect::<Vec<_>>();
        let file = format!("/repo/{name}/src/lib.rs");
        json!({
            "name": name,
            "dependencies": dependencies,
            "targets": [{ "name": name, "kind": ["lib"], "src_path": file }],
        })
    };
    let metadata = json!({
        "workspace_root": "/repo",
        "packages": [package("lb", &["wire", "tokio", "serde-json", "futures-util", "tracing"]), package("wire", &["jiff"])],
    });
    let wire =
        ("wire/src/lib.rs", "//! The contract.\npub struct Report;\npub mod fleet { pub struct View; }\n");
    let has_wire = files.iter().any(|(path, _)| *path == wire.0);
    let files = files.iter().copied().chain((!has_wire).then_some(wire)).collect::<Vec<_>>();
    faults(&Tree::of(&files), &metadata).into_iter().collect()
}

/// The faults of a file that promises, as `a.rs` beside the effectful `clock.rs` and the promising `rule.rs`.
fn in_a_file(code: &str) -> Vec<String> {
    found(&[
        (
            "lb/src/lib.rs",
            "//! Root.\nmod a;\nmod clock;\nmod rule;\npub use clock::Tick;\npub use rule::Rule;\n",
        ),
        ("lb/src/clock.rs", "//! The clock.\npub struct Tick;\npub fn now() {}\n"),
        ("lb/src/rule.rs", "//! PURE. A rule.\npub struct Rule;\npub mod inner { pub struct Part; }\n"),
        ("lb/src/a.rs", &format!("//! PURE. A file.\n{code}")),
    ])
}

fn check(code: &str, expected: &str) {
    let found = in_a_file(code);
    assert!(found.iter().any(|fault| fault.contains(expected)), "{code}\ngave {found:#?}, not {expected}");
}

#[test]
fn what_has_no_effect_is_let_through() {
    for code in [
        "use std::time::{Duration, Instant}; fn age(since: Instant, now: Instant) -> Duration { now - since }",
        "use std::io::{self, Write}; fn write(to: &mut Vec<u8>) -> io::Result<()> { write!(to, \"{}\", u64::MAX) }",
        "use crate::rule::{self, Rule, inner::Part}; fn a(_: Rule, _: rule::inner::Part, _: Part) {}",
        "use wire::{Report, fleet as view}; fn a(_: Report, _: view::View) {}",
        "use crate::Rule; fn a<T: Default>(_: Rule) -> T { T::default() }",
        "use serde_json::json; fn a() -> serde_json::Value { json!({ \"tokio\": { \"net\": 1 } }) }",
        "macro_rules! twice { ($x:expr) => { $x + $x } } fn a() -> u8 { twice!(2) }",
        "pub(in crate::a) struct A; impl A { fn now(&self) {} fn b(&self) { Self::now(self); self.now() } }",
        "mod inner { use super::Local; fn a(_: Local) {} } struct Local;",
        "const URL: &str = \"std::fs and tokio::spawn\"; // std::env",
    ] {
        assert_eq!(in_a_file(code), Vec::<String>::new(), "{code}");
    }
}

#[test]
fn what_is_for_tests_may_do_anything() {
    for code in [
        "#[cfg(test)] mod tests { use std::fs; async fn a() {} }",
        "#[cfg(all(test, feature = \"x\"))] use crate::clock;",
        "#[cfg(any(test, all(test, unix)))] fn a() { std::fs::read(\"x\"); }",
        "struct A; impl A { #[cfg(test)] fn a() { println!(); } }",
        "#[test] fn a() { crate::clock::now(); }",
    ] {
        assert_eq!(in_a_file(code), Vec::<String>::new(), "{code}");
    }
    check("#[cfg(not(test))] fn a() { std::fs::read(\"x\"); }", "`std::fs::read` touches files");
    check("#[cfg(any(test, unix))] use std::fs;", "`std::fs` touches files");
}

#[test]
fn an_effect_behind_the_tests_is_found() {
    let tree = [
        ("lb/src/lib.rs", "//! PURE. Root.\n#[cfg(test)]\nmod tests;\n\nuse std::fs;\n"),
        ("lb/src/tests.rs", "//! Tests.\nuse std::fs;\n"),
    ];
    assert_eq!(found(&tree), ["lb/src/lib.rs:5: `std::fs` touches files"]);
}

#[test]
fn an_effect_is_found_however_it_is_named() {
    for (code, expected) in [
        ("fn a() { let _ = std::time::Instant::now(); }", "`std::time::Instant::now` reads the clock"),
        (
            "use std::time::Instant; fn a() { Instant::now(); }",
            "that is `std::time::Instant::now`, reads the clock",
        ),
        ("use std::time as t; fn a() { t::SystemTime::now(); }", "that is `std::time::SystemTime::now`"),
        ("use std::{fs as data, fmt};", "a.rs:2: `std::fs` touches files"),
        ("use std::io::*; fn a() { stdin(); }", "`std::io::*` brings in `std::io::IsTerminal`"),
        ("type I = std::time::Instant; fn a() { I::now(); }", "that is `std::time::Instant::now`"),
        ("fn a() { <std::time::Instant>::now(); }", "`std::time::Instant::now` reads the clock"),
        ("fn a() { use std::time as t; t::Instant::now(); }", "that is `std::time::Instant::now`"),
        ("fn a(since: std::time::Instant) { since.elapsed(); }", "`.elapsed` reads the clock"),
        ("fn a() -> core::net::TcpStream {}", "that is `std::net::TcpStream`, touches the network"),
        ("use ::tokio::net;", "`tokio::net` is an async runtime"),
        ("extern crate tokio as t;", "`tokio` is an async runtime"),
        ("use futures_util::stream;", "`futures_util::stream` waits"),
        ("async fn a() {}", "`async fn` waits"),
        ("fn a() { let _ = async {}; }", "an `async` block waits"),
        ("fn a() { let _ = async || 1; }", "an `async` closure waits"),
        ("fn a() { println!(\"x\"); }", "`println!` prints"),
        ("fn a() { std::eprintln!(\"x\"); }", "`std::eprintln!` prints"),
        ("fn a() { tracing::info!(\"x\"); }", "`tracing::info!` writes a log"),
        ("include!(\"other.rs\");", "`include!` is code from a file"),
        ("fn a() { conjured!(); }", "`conjured!` is a macro that leads nowhere"),
        ("unsafe extern \"C\" { fn getpid() -> i32; }", "calls foreign code"),
        ("#[tokio::main] fn a() {}", "`tokio::main` is an async runtime"),
        ("#[serde(default = \"crate::clock::now\")] struct A;", "`crate::clock::now` is of lb/src/clock.rs"),
    ] {
        check(code, expected);
    }
}

#[test]
fn an_effect_inside_a_macro_call_is_found() {
    for (code, expected) in [
        ("fn a() { format!(\"{:?}\", std::env::var(\"X\")); }", "`std::env::var` reads the environment"),
        ("use std::time; fn a() { vec![time::Instant::now()]; }", "that is `std::time::Instant::now`"),
        (
            "fn a() { matches!(1, 1 if std::env::args().count() > 1); }",
            "`std::env::args` reads the environment",
        ),
        ("macro_rules! m { ($x:ident) => { std::fs::read($x) } }", "`std::fs::read` touches files"),
        ("macro_rules! m { () => { $crate::clock::now() } }", "`crate::clock::now` is of lb/src/clock.rs"),
        ("macro_rules! m { ($x:expr) => { $x.await } }", "`await` waits"),
        ("macro_rules! m { () => { println!() } }", "`println!` prints"),
        ("macro_rules! m { ($x:expr) => { $x.elapsed() } }", "`.elapsed` reads the clock"),
    ] {
        check(code, expected);
    }
}

#[test]
fn what_is_of_ours_must_promise_too() {
    for (code, expected) in [
        ("use crate::clock::Tick;", "`crate::clock::Tick` is of lb/src/clock.rs"),
        ("fn a() { crate::clock::now(); }", "`crate::clock::now` is of lb/src/clock.rs"),
        ("fn a() { super::clock::now(); }", "`super::clock::now` is of lb/src/clock.rs"),
        ("use super::clock as rule; fn a() { rule::now(); }", "`super::clock` is of lb/src/clock.rs"),
        ("struct A { since: crate::Tick }", "`crate::Tick` is of lb/src/clock.rs"),
        ("use crate::{Rule, Tick};", "`crate::Tick` is of lb/src/clock.rs"),
        ("use super::*;", "`super::*` is of lb/src/lib.rs"),
        ("mod inner { use super::super::clock::now; }", "`super::super::clock::now` is of lb/src/clock.rs"),
        ("mod inner { fn a(_: crate::clock::Tick) {} }", "`crate::clock::Tick` is of lb/src/clock.rs"),
        ("impl From<crate::clock::Tick> for u8 {}", "`crate::clock::Tick` is of lb/src/clock.rs"),
        ("fn a() { <u8 as crate::clock::Tick>::a(); }", "`crate::clock::Tick` is of lb/src/clock.rs"),
        ("use crate::gone::Thing;", "`crate::gone::Thing` leads nowhere"),
        ("fn a() { super::super::b(); }", "`super::super::b` leads nowhere"),
        ("fn a() { wire::Gone; }", "`wire::Gone` leads nowhere"),
    ] {
        check(code, expected);
    }
}

#[test]
fn a_re_export_hides_nothing() {
    let tree = [
        ("lb/src/lib.rs", "//! Root.\nmod a;\nmod clock;\nmod rooms;\n"),
        ("lb/src/clock.rs", "//! The clock.\npub struct Tick;\n"),
        (
            "lb/src/rooms/mod.rs",
            "//! PURE. Rooms.\nmod one;\npub use one::*;\npub use crate::clock::Tick as Moment;\n",
        ),
        ("lb/src/rooms/one.rs", "//! PURE. One.\npub use std::time;\npub struct One;\n"),
        (
            "lb/src/a.rs",
            "//! PURE. A.\nuse crate::rooms::{Moment, One, time};\nfn a() { time::Instant::now(); }\n",
        ),
    ];
    assert_eq!(
        found(&tree),
        [
            "lb/src/a.rs:2: `crate::rooms::Moment` is of lb/src/clock.rs, which may have effects",
            "lb/src/a.rs:3: `time::Instant::now`, that is `std::time::Instant::now`, reads the clock",
            "lb/src/rooms/mod.rs:4: `crate::clock::Tick` is of lb/src/clock.rs, which may have effects",
        ]
    );
}

#[test]
fn a_module_below_must_promise() {
    let tree = [
        (
            "lb/src/lib.rs",
            "//! PURE. Root.\n\nmod doing;\nmod inner { mod deep; }\n#[path = \"odd/other.rs\"]\nmod odd;\n",
        ),
        ("lb/src/doing.rs", "//! Effects.\n"),
        ("lb/src/inner/deep.rs", "//! Effects.\n"),
        ("lb/src/odd/other.rs", "//! PURE. Odd.\nuse std::fs;\n"),
    ];
    assert_eq!(
        found(&tree),
        [
            "lb/src/lib.rs:3: `lb/src/doing.rs` is below a file without effects and may have some",
            "lb/src/lib.rs:4: `lb/src/inner/deep.rs` is below a file without effects and may have some",
            "lb/src/odd/other.rs:2: `std::fs` touches files",
        ]
    );
}

#[test]
fn a_macro_of_a_file_above_is_that_files() {
    let root = "//! Root.\nmacro_rules! tick { () => { std::thread::yield_now() } }\nmod a;\n";
    let tree = [("lb/src/lib.rs", root), ("lb/src/a.rs", "//! PURE. A.\nfn a() { tick!() }\n")];
    assert_eq!(found(&tree), ["lb/src/a.rs:2: `tick!` is of lb/src/lib.rs, which may have effects"]);
}

#[test]
fn a_whole_crate_is_held_to_the_promise_without_the_word() {
    let tree = [
        ("lb/src/lib.rs", "//! Root.\n"),
        ("wire/src/lib.rs", "//! The contract.\nmod date;\n"),
        ("wire/src/date.rs", "//! Dates.\nuse jiff::Timestamp;\nfn a() { Timestamp::now(); }\n"),
    ];
    assert_eq!(
        found(&tree),
        ["wire/src/date.rs:3: `Timestamp::now`, that is `jiff::Timestamp::now`, reads the clock"]
    );
}

#[test]
fn what_cannot_be_checked_is_told() {
    let tree = [
        ("lb/src/lib.rs", "//! PURE. Root.\nmod gone;\nmod broken;\n"),
        ("lb/src/broken.rs", "//! Broken.\nfn {\n"),
        ("elsewhere/a.rs", "//! PURE. Of no crate.\n"),
    ];
    let found = found(&tree);
    for expected in
        ["lb/src/lib.rs:2: `mod gone` leads to no file", "broken.rs:2: cannot be parsed", "elsewhere/a.rs"]
    {
        assert!(found.iter().any(|fault| fault.contains(expected)), "{expected}: {found:#?}");
    }
}

#[test]
fn names_that_run_in_a_circle_end() {
    check("use self::b as c; use self::c as b;", "leads nowhere");
}
