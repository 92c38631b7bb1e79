//! Frames of every screen at two sizes, as text. Colour is checked apart: it must add nothing that words do not say.

use std::time::Duration;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::Buffer;
use ratatui::style::Color;
use wire::{FleetView, NodeState, NodeView, Share, Source as Origin};

use super::theme::Theme;
use crate::address::Address;
use crate::app::picker::{Entry, Preview};
use crate::app::{App, Event, Look, Start};
use crate::cause::Cause;
use crate::send::author::Seed;
use crate::send::plan::{Plan, Source};
use crate::send::{Done, End, Progress};
use crate::text::{Encoding, Split};

const SEED: Seed = Seed { started_ms: 1_700_000_000_000, random: 42 };
const TEXT: &str = "OPTICKS: THE QUERIES\n\nQuery 1. Do not Bodies act upon Light at a distance, and by their action bend \
its Rays; and is not this action strongest at the least distance? Qu. 2. Do not the Rays which differ in \
Refrangibility differ also in Flexibity?\n\n¿Qué es lo que fué? Lo mismo que será. Generación va, y generación viene: \
mas la tierra siempre permanece. 世界 \u{1b}[31m is not red.";

fn frame(app: &App, theme: Theme, columns: u16, rows: u16) -> Terminal<TestBackend> {
    let mut terminal = Terminal::new(TestBackend::new(columns, rows)).unwrap();
    terminal.draw(|frame| super::draw(frame, app, &theme)).unwrap();
    terminal
}

fn symbols(buffer: &Buffer) -> String {
    buffer.content().iter().map(|cell| cell.symbol()).collect()
}

/// Both sizes as snapshots, and the rule of colour.
fn check(name: &str, app: &App) {
    for (columns, rows) in [(80, 24), (120, 40)] {
        let plain = frame(app, Theme { colour: false }, columns, rows);
        insta::assert_snapshot!(format!("{name}-{columns}x{rows}"), plain.backend());
        let coloured = frame(app, Theme { colour: true }, columns, rows);
        assert_eq!(symbols(plain.backend().buffer()), symbols(coloured.backend().buffer()));
        let is_plain = |cell: &ratatui::buffer::Cell| cell.fg == Color::Reset && cell.bg == Color::Reset;
        assert!(
            plain.backend().buffer().content().iter().all(is_plain),
            "{name} uses colour where none is wanted"
        );
    }
}

fn empty() -> App {
    let folder = "/home/ana/texts".into();
    App::new(Start { file: None, to: None, folder, home: None, now: crate::clock::instant() }).0
}

fn node(name: &str, state: NodeState, documents: u64) -> NodeView {
    let is_up = state == NodeState::Up;
    NodeView {
        name: name.to_owned(),
        url: format!("http://{name}:5000"),
        state,
        because: (!is_up).then(|| "connection refused".to_owned()),
        documents: Some(documents),
        ram: is_up.then(|| Share::from_percent(61)).flatten(),
        cpu: is_up.then(|| Share::from_percent(3)).flatten(),
        source: is_up.then_some(Origin::Ebpf),
        report_age_ms: is_up.then_some(412),
        in_flight: 0,
        stored: documents,
        traffic: Share::from_percent(50).unwrap(),
        last_error: None,
        store: None,
        in_doubt: 0,
        in_doubt_for_ms: None,
        protocol: Some("batch".to_owned()),
    }
}

fn ready() -> App {
    let mut app = empty();
    let address = Address::parse("http://localhost:4999").unwrap();
    app.address = Some(address.clone());
    let nodes = vec![
        node("A", NodeState::Up, 1204),
        node("B", NodeState::Down, 1203),
        node("C", NodeState::Draining, 17),
    ];
    let at = "2026-11-23 06:00:00.000000".parse().unwrap();
    let fleet = Some(FleetView { policy: "count-ram-cpu".to_owned(), at, in_doubt: 0, nodes });
    app.update(Event::Tested(address, Ok(Look { millis: 3, fleet })));
    let source = Source { name: "/home/ana/texts/opticks.txt".to_owned(), bytes: TEXT.as_bytes().to_vec() };
    let plan = Plan::new(std::slice::from_ref(&source), Split::Unicode).unwrap();
    app.update(Event::Loaded("/home/ana/texts/opticks.txt".into(), Ok((source, plan, SEED))));
    app
}

fn press(app: &mut App, keys: &str) {
    for letter in keys.chars() {
        let code = if letter == '\n' { KeyCode::Enter } else { KeyCode::Char(letter) };
        app.update(Event::Key(KeyEvent::new(code, KeyModifiers::NONE)));
    }
}

/// A run of many sentences, three seconds old.
fn sending() -> App {
    let mut app = ready();
    press(&mut app, "4");
    app.update(Event::RunBegan(
        SEED,
        vec![Done { index: 0, node: "A".to_owned(), filter: "database".to_owned() }],
    ));
    let began = app.now;
    if let Some(run) = &mut app.run {
        run.n_sentences = 2000;
    }
    for tenth in 1..=30u32 {
        for (node, filter) in
            [("A", "database"), ("B", "database"), ("B", "ram"), ("A", "cpu"), ("B", "database")]
        {
            let (node, filter) = (node.to_owned(), filter.to_owned());
            app.update(Event::Progress(Progress::Stored(Done { index: 1, node, filter })));
        }
        app.update(Event::Tick(began + Duration::from_millis(100) * tenth));
    }
    app
}

#[test]
fn the_menu_at_the_start() {
    check("menu-empty", &empty());
}

#[test]
fn the_menu_with_a_file_and_a_balancer() {
    check("menu-ready", &ready());
}

#[test]
fn the_menu_with_a_balancer_that_is_gone() {
    let mut app = ready();
    let cause = Cause::new("no connection to http://localhost:4999 (Connection refused)")
        .with_remedy("check the address, and that the balancer runs");
    app.update(Event::Tested(app.address.clone().unwrap(), Err(cause)));
    check("menu-unreachable", &app);
}

fn picking() -> App {
    let mut app = empty();
    press(&mut app, "1");
    let entry = |name: &str, size| Entry {
        name: name.trim_end_matches('/').to_owned(),
        is_folder: name.ends_with('/'),
        size,
    };
    let entries = vec![
        entry("opticks.txt", 103_875),
        entry("cuentos/", 0),
        entry("a-file-with-quite-a-long-name-that-must-be-cut.txt", 7),
    ];
    app.update(Event::Listed("/home/ana/texts".into(), Ok(entries)));
    app
}

#[test]
fn the_picker_with_a_preview() {
    let mut app = picking();
    press(&mut app, "opt");
    let preview = Preview {
        encoding: Encoding::Utf8,
        size: 103_875,
        n_sentences: Some(443),
        lines: TEXT.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect(),
    };
    app.update(Event::Looked("/home/ana/texts/opticks.txt".into(), Ok(preview)));
    check("picker-preview", &app);
}

#[test]
fn the_picker_with_a_file_that_is_no_text() {
    let mut app = picking();
    press(&mut app, "a-file");
    let path = "/home/ana/texts/a-file-with-quite-a-long-name-that-must-be-cut.txt".into();
    app.update(Event::Looked(
        path,
        Err("the file is binary (byte 5 is 0x00); choose a text file".to_owned()),
    ));
    check("picker-binary", &app);
}

#[test]
fn the_picker_with_a_written_path() {
    let mut app = picking();
    press(&mut app, "/home/ana/tex");
    check("picker-path", &app);
}

#[test]
fn the_address_that_is_none() {
    let mut app = empty();
    press(&mut app, "2host:port\n");
    check("address-wrong", &app);
}

#[test]
fn the_table() {
    let mut app = ready();
    press(&mut app, "3jj");
    check("data", &app);
}

#[test]
fn the_table_filtered_and_an_author_written() {
    let mut app = ready();
    press(&mut app, "3/que\n");
    check("data-filtered", &app);
    press(&mut app, "a");
    check("data-author", &app);
}

#[test]
fn one_sentence_whole() {
    let mut app = ready();
    press(&mut app, "3jj\n");
    check("data-detail", &app);
}

#[test]
fn a_run_under_way() {
    check("run-sending", &sending());
}

#[test]
fn a_run_that_waits_and_one_that_is_paused() {
    let mut app = sending();
    let cause = Cause::new("no connection to http://localhost:4999 (Connection refused)");
    app.update(Event::Progress(Progress::Waiting { cause }));
    check("run-waiting", &app);
    press(&mut app, "p");
    check("run-paused", &app);
}

#[test]
fn a_run_that_ended_with_failures() {
    let mut app = sending();
    for (index, cause) in
        [(2, "`sentence` is empty"), (3, "`sentence` is empty"), (4, "`author` is too long")]
    {
        app.update(Event::Progress(Progress::Failed {
            index,
            cause: Cause::new(cause).with_remedy("send one"),
        }));
    }
    app.update(Event::RunEnded(End::Complete));
    check("run-failures", &app);
    press(&mut app, "e");
    check("log", &app);
}

#[test]
fn a_run_that_lost_its_balancer() {
    let mut app = sending();
    let cause = Cause::new("no connection to http://localhost:4999 (Connection refused)");
    app.update(Event::RunEnded(End::Unreachable(
        cause.with_remedy("check the address, and that the balancer runs"),
    )));
    check("run-unreachable", &app);
}

#[test]
fn the_help_of_the_menu_and_of_the_table() {
    let mut app = ready();
    press(&mut app, "?");
    check("help-menu", &app);
    let mut app = ready();
    press(&mut app, "3?");
    check("help-data", &app);
}

#[test]
fn a_terminal_that_is_too_small_says_so() {
    let small = frame(&ready(), Theme { colour: true }, 59, 24);
    let text = symbols(small.backend().buffer());
    assert_eq!(text.trim(), "Balanza needs 60x16; here is 59x24.");
    // Whatever the size, drawing does not fail.
    for app in [ready(), sending(), picking()] {
        for (columns, rows) in [(1, 1), (60, 16), (200, 60), (61, 200)] {
            frame(&app, Theme { colour: true }, columns, rows);
        }
    }
}

#[test]
fn nothing_of_a_hostile_sentence_reaches_the_terminal() {
    let mut app = ready();
    press(&mut app, "3");
    app.update(Event::Key(KeyEvent::new(KeyCode::End, KeyModifiers::NONE)));
    let table = frame(&app, Theme { colour: true }, 80, 24);
    press(&mut app, "\n");
    let detail = frame(&app, Theme { colour: true }, 80, 24);
    for frame in [table, detail] {
        let text = symbols(frame.backend().buffer());
        assert!(text.contains("\u{fffd}[31m is not red") && !text.contains('\u{1b}'), "{text}");
    }
}
