//! The program driven by its events, without a terminal.

use crossterm::event::{KeyCode, KeyModifiers};
use proptest::prelude::*;

use super::picker::Entry;
use super::*;
use crate::cause::Cause;
use crate::exit::Exit;
use crate::send::author::Seed;
use crate::send::plan::{Plan, Source};
use crate::send::{Done, End, Order, Progress};
use crate::text::Split;

const SEED: Seed = Seed { started_ms: 1, random: 2 };

fn start() -> App {
    let start = Start { file: None, to: None, folder: "/t".into(), home: None, now: crate::clock::instant() };
    App::new(start).0
}

fn press(app: &mut App, code: KeyCode) -> Vec<Effect> {
    app.update(Event::Key(KeyEvent::new(code, KeyModifiers::NONE)))
}

fn write(app: &mut App, text: &str) -> Vec<Effect> {
    text.chars().flat_map(|letter| press(app, KeyCode::Char(letter))).collect()
}

fn load(app: &mut App, text: &str) {
    let source = Source { name: "/t/text.txt".to_owned(), bytes: text.as_bytes().to_vec() };
    let plan = Plan::new(std::slice::from_ref(&source), Split::Unicode).unwrap();
    assert_eq!(app.update(Event::Loaded("/t/text.txt".into(), Ok((source, plan, SEED)))), []);
}

fn aim(app: &mut App) {
    app.address = Some(Address::parse("http://h:1").unwrap());
}

fn stored(index: usize) -> Event {
    Event::Progress(Progress::Stored(Done { index, node: "A".to_owned(), filter: "ram".to_owned() }))
}

fn send(app: &mut App) -> Parcel {
    let mut effects = write(app, "4");
    match effects.pop() {
        Some(Effect::Send(parcel)) => *parcel,
        other => panic!("4 gave {other:?}"),
    }
}

#[test]
fn the_old_menu_works_by_number_and_by_arrows() {
    let mut app = start();
    assert_eq!(write(&mut app, "1"), [Effect::List("/t".into())]);
    press(&mut app, KeyCode::Esc);
    write(&mut app, "jj");
    press(&mut app, KeyCode::Up);
    press(&mut app, KeyCode::Enter);
    assert_eq!(app.screen, Screen::Address);
    press(&mut app, KeyCode::Esc);
    assert_eq!(write(&mut app, "5"), [Effect::Leave(Exit::Done)]);
}

#[test]
fn what_is_missing_is_named() {
    let mut app = start();
    write(&mut app, "3");
    assert!(app.message().unwrap().text.contains("insert a file path first (1)"));
    write(&mut app, "4");
    assert!(app.message().unwrap().text.contains("insert a file path (1) first"));
    load(&mut app, "One.");
    write(&mut app, "4");
    assert!(app.message().unwrap().text.contains("the load balancer's address (2)"));
    assert!(app.message().unwrap().is_error);
    assert_eq!(app.screen, Screen::Menu);
}

#[test]
fn a_file_is_picked_by_typing() {
    let mut app = start();
    write(&mut app, "1");
    let entries = ["a.txt", "b.txt"].map(|name| Entry { name: name.to_owned(), is_folder: false, size: 1 });
    assert_eq!(
        app.update(Event::Listed("/t".into(), Ok(entries.to_vec()))),
        [Effect::Look("/t/a.txt".into())]
    );
    assert_eq!(write(&mut app, "b"), [Effect::Look("/t/b.txt".into())]);
    assert_eq!(press(&mut app, KeyCode::Enter), [Effect::Load("/t/b.txt".into())]);
    load(&mut app, "One. Two.");
    assert_eq!((app.screen, app.entry), (Screen::Menu, 1), "the address comes next");
}

#[test]
fn a_pasted_path_is_loaded() {
    let mut app = start();
    write(&mut app, "1");
    app.update(Event::Paste("/x/y.txt\n".to_owned()));
    assert_eq!(press(&mut app, KeyCode::Enter), [Effect::Load("/x/y.txt".into())]);
    app.update(Event::Loaded("/x/y.txt".into(), Err("there is no such file; check the path".to_owned())));
    assert_eq!(app.message().unwrap().text, "/x/y.txt: there is no such file; check the path.");
    assert_eq!(app.mode(), Mode::PathBox, "what was written stays");
}

#[test]
fn a_path_is_completed_with_tab() {
    let mut app = start();
    write(&mut app, "1/e");
    assert_eq!(press(&mut app, KeyCode::Tab), [Effect::Complete("/e".to_owned(), "/".into())]);
    app.update(Event::Completing(
        "/e".to_owned(),
        vec![Entry { name: "etc".to_owned(), is_folder: true, size: 0 }],
    ));
    assert_eq!(app.picker.path.as_ref().unwrap().text(), "/etc/");
    app.update(Event::Completing("/e".to_owned(), Vec::new()));
    assert_eq!(
        app.picker.path.as_ref().unwrap().text(),
        "/etc/",
        "an answer that comes late changes nothing"
    );
}

#[test]
fn an_address_is_checked_and_tested() {
    let mut app = start();
    write(&mut app, "2host:port");
    assert_eq!(press(&mut app, KeyCode::Enter), []);
    assert!(app.address_box.1.as_ref().unwrap().contains("invalid port number"));
    app.update(Event::Key(KeyEvent::new(KeyCode::Char('u'), KeyModifiers::CONTROL)));
    assert_eq!(app.address_box.1, None);
    write(&mut app, "h:1");
    let address = Address::parse("h:1").unwrap();
    assert_eq!(press(&mut app, KeyCode::Enter), [Effect::Test(address.clone())]);
    assert!(app.message().unwrap().text.contains("using http://h:1"));
    app.update(Event::Tested(address.clone(), Err(Cause::new("no connection"))));
    assert_eq!((app.screen, app.message().unwrap().text.as_str()), (Screen::Address, "No connection."));
    app.update(Event::Tested(address, Ok(Look { millis: 3, fleet: None })));
    assert!(app.message().unwrap().text.contains("answers again"));
}

#[test]
fn a_run_is_counted_to_its_end() {
    let mut app = start();
    load(&mut app, "One. Two. Three.");
    aim(&mut app);
    let parcel = send(&mut app);
    assert_eq!((parcel.sentences.len(), parcel.fresh, parcel.seed), (3, false, SEED));
    app.update(Event::RunBegan(SEED, Vec::new()));
    app.update(stored(0));
    app.update(Event::Progress(Progress::Failed { index: 1, cause: Cause::new("too odd") }));
    assert!(app.message().unwrap().text.starts_with("Line 1: too odd"));
    app.update(stored(2));
    app.update(Event::RunEnded(End::Complete));
    let run = app.run.as_ref().unwrap();
    assert_eq!((run.tally.total(), run.n_failed(), run.is_under_way()), (2, 1, false));
    assert_eq!(app.message().unwrap().text, "2 of 3 sentences stored.");
    // Enter sends what is missing, under the same seed and so the same id.
    let effects = press(&mut app, KeyCode::Enter);
    let [Effect::Send(again)] = effects.as_slice() else { panic!("{effects:?}") };
    assert_eq!((again.sentences.len(), again.sentences[0].0, again.key == parcel.key), (1, 1, true));
}

#[test]
fn a_broken_run_is_taken_up_in_the_table() {
    let mut app = start();
    load(&mut app, "One. Two. Three.");
    aim(&mut app);
    send(&mut app);
    let earlier = Seed { started_ms: 1, random: 77 };
    app.update(Event::RunBegan(
        earlier,
        vec![Done { index: 1, node: "B".to_owned(), filter: "cpu".to_owned() }],
    ));
    assert_eq!(app.run.as_ref().unwrap().resumed, 1);
    assert_eq!(app.n_missing(), 2);
    assert!(app.message().unwrap().text.contains("with 1 sentence stored already"));
    assert_eq!(app.data.as_ref().unwrap().rows[2].author, earlier.author(2));
}

#[test]
fn a_text_that_is_all_stored_goes_out_anew() {
    let mut app = start();
    load(&mut app, "One.");
    aim(&mut app);
    send(&mut app);
    app.update(stored(0));
    app.update(Event::RunEnded(End::Complete));
    assert!(!app.allows(Action::Accept), "nothing is missing");
    press(&mut app, KeyCode::Esc);
    assert!(send(&mut app).fresh);
}

#[test]
fn a_run_is_paused_and_cancelled() {
    let mut app = start();
    load(&mut app, "One.");
    aim(&mut app);
    send(&mut app);
    assert_eq!(write(&mut app, "p"), [Effect::Order(Order::Pause)]);
    assert_eq!(write(&mut app, "p"), [Effect::Order(Order::Run)]);
    assert_eq!(write(&mut app, "c"), [Effect::Order(Order::Cancel)]);
    assert_eq!(write(&mut app, "p"), [], "a run that ends cannot be paused");
    app.update(Event::RunEnded(End::Cancelled));
    assert_eq!(app.message().unwrap().text, "Cancelled; 0 of 1 sentence stored.");
}

#[test]
fn leaving_while_sending_is_asked_twice() {
    let mut app = start();
    load(&mut app, "One.");
    aim(&mut app);
    send(&mut app);
    press(&mut app, KeyCode::Esc);
    assert_eq!(write(&mut app, "q"), []);
    assert!(app.message().unwrap().text.contains("Still sending"));
    assert_eq!(write(&mut app, "q"), [Effect::Leave(Exit::Done)]);
    let interrupt = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
    assert_eq!(app.update(Event::Key(interrupt)), [Effect::Leave(Exit::Interrupted)]);
}

#[test]
fn rows_are_edited_deleted_and_restored() {
    let mut app = start();
    load(&mut app, "One. Two. Three.");
    aim(&mut app);
    write(&mut app, "3ja");
    app.update(Event::Key(KeyEvent::new(KeyCode::Char('u'), KeyModifiers::CONTROL)));
    press(&mut app, KeyCode::Enter);
    assert!(app.message().unwrap().text.starts_with("The author is empty"), "an empty author is refused");
    write(&mut app, "Ana");
    press(&mut app, KeyCode::Enter);
    write(&mut app, "gd");
    press(&mut app, KeyCode::Home);
    write(&mut app, "d");
    let rows = &app.data.as_ref().unwrap().rows;
    assert_eq!(rows.iter().map(|row| row.text.as_str()).collect::<Vec<_>>(), ["Three."]);
    write(&mut app, "zz");
    let rows = &app.data.as_ref().unwrap().rows;
    assert_eq!(rows.iter().map(|row| row.text.as_str()).collect::<Vec<_>>(), ["One.", "Two.", "Three."]);
    assert_eq!(rows[1].author, "Ana");
    press(&mut app, KeyCode::Esc);
    assert_eq!(send(&mut app).sentences[1].1.as_deref(), Some("Ana"));
}

#[test]
fn what_is_stored_is_not_the_tables_to_change() {
    let mut app = start();
    load(&mut app, "One.");
    aim(&mut app);
    send(&mut app);
    app.update(stored(0));
    app.update(Event::RunEnded(End::Complete));
    press(&mut app, KeyCode::Esc);
    write(&mut app, "3d");
    assert_eq!((app.data.as_ref().unwrap().rows.len(), app.allows(Action::Author)), (1, false));
}

#[test]
fn a_message_stands_for_a_while_and_stays_in_the_log() {
    let mut app = start();
    write(&mut app, "3");
    let later = app.now + MESSAGE_STANDS;
    app.update(Event::Tick(later));
    assert_eq!((app.message(), app.log.len()), (None, 1));
}

#[test]
fn the_fleet_is_looked_at_again_and_not_twice_at_once() {
    let mut app = start();
    write(&mut app, "2h:1");
    press(&mut app, KeyCode::Enter);
    let address = Address::parse("h:1").unwrap();
    let mut now = app.now + Duration::from_secs(3);
    assert_eq!(app.update(Event::Tick(now)), [], "the first test is under way");
    app.update(Event::Tested(address.clone(), Ok(Look { millis: 1, fleet: None })));
    now += Duration::from_secs(3);
    assert_eq!(app.update(Event::Tick(now)), [Effect::Test(address)]);
    assert_eq!(app.update(Event::Tick(now + Duration::from_secs(3))), []);
}

proptest! {
    #[test]
    fn no_keys_make_it_panic_or_trap_the_user(
        keys in proptest::collection::vec((0usize..40, any::<bool>()), 0..80),
        loaded: bool,
    ) {
        let named = [
            KeyCode::Enter, KeyCode::Esc, KeyCode::Tab, KeyCode::Up, KeyCode::Down, KeyCode::Left, KeyCode::Right,
            KeyCode::PageUp, KeyCode::PageDown, KeyCode::Home, KeyCode::End, KeyCode::Backspace, KeyCode::Delete,
            KeyCode::F(1),
        ];
        let letters = "12345jkqae?/dzpct~.é好".chars().collect::<Vec<_>>();
        let mut app = start();
        if loaded {
            load(&mut app, "One. Two. Three.");
            aim(&mut app);
        }
        for (key, control) in keys {
            let code = named.get(key).copied().unwrap_or(KeyCode::Char(letters[key % letters.len()]));
            let modifiers = if control { KeyModifiers::CONTROL } else { KeyModifiers::NONE };
            app.update(Event::Key(KeyEvent::new(code, modifiers)));
        }
        // From wherever the keys led, a few steps back lead to the menu.
        for _ in 0..6 {
            press(&mut app, KeyCode::Esc);
        }
        prop_assert_eq!(app.mode(), Mode::Menu);
    }
}
