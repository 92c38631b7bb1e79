//! The full-screen program as a value: events go in, the state changes, effects come out. PURE: files, the network, the
//! clock and the terminal are elsewhere.

mod act;
pub mod data;
mod event;
pub mod input;
pub mod keys;
mod outcome;
pub mod picker;
pub mod run;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use crossterm::event::{KeyEvent, KeyEventKind};

use crate::address::Address;
use crate::cause::Cause;
use data::{Data, Fate};
pub use event::{Effect, Event, Look, Parcel};
use input::Input;
use keys::{Action, Mode};
use picker::Picker;
use run::{Run, Stage};

/// How long a message stands above the footer.
const MESSAGE_STANDS: Duration = Duration::from_secs(5);
/// Most entries of the log.
const LONGEST_LOG: usize = 500;

/// The entries of the menu, in the order of the old client.
pub const ENTRIES: [&str; 5] =
    ["Insert file path", "Insert load balancer address", "Show data", "Send data", "Exit"];

/// What fills the screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Screen {
    /// The menu, and the fleet below it.
    Menu,
    /// The file picker.
    Picker,
    /// The box for the address.
    Address,
    /// The sentences.
    Data,
    /// The run.
    Run,
    /// The log.
    Log,
}

/// A line of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// When.
    pub at: Instant,
    /// Whether something went wrong.
    pub is_error: bool,
    /// What happened, and what to do about it.
    pub text: String,
}

/// What the program begins with.
#[derive(Clone, Debug)]
pub struct Start {
    /// The file to load.
    pub file: Option<PathBuf>,
    /// The balancer.
    pub to: Option<Address>,
    /// The folder that the picker begins in.
    pub folder: PathBuf,
    /// The home folder, for paths with `~`.
    pub home: Option<PathBuf>,
    /// The moment.
    pub now: Instant,
}

/// The whole state.
#[derive(Clone, Debug)]
pub struct App {
    /// What fills the screen.
    pub screen: Screen,
    /// Whether the help lies above it.
    pub help: bool,
    /// The last moment known.
    pub now: Instant,
    /// When the program began.
    pub began: Instant,
    /// The selected entry of the menu, from 0.
    pub entry: usize,
    /// The file picker.
    pub picker: Picker,
    /// The loaded text.
    pub data: Option<Data>,
    /// Whether the table's filter is being written.
    pub filtering: bool,
    /// The author being written.
    pub author: Option<Input>,
    /// Whether the selected sentence is shown whole.
    pub detail: bool,
    /// The balancer.
    pub address: Option<Address>,
    /// The address being written, and why it cannot be used.
    pub address_box: (Input, Option<String>),
    /// How the balancer looked last; `None` while it was not tested.
    pub look: Option<Result<Look, Cause>>,
    /// The run under way, or the last one.
    pub run: Option<Run>,
    /// What happened, the newest last.
    pub log: Vec<Message>,
    /// How far the log is scrolled back.
    pub log_back: usize,
    home: Option<PathBuf>,
    before_log: Screen,
    looked_at: Instant,
    is_looking: bool,
    page: usize,
    asked_to_leave: bool,
}

impl App {
    /// The program at its beginning, and what it needs done.
    pub fn new(start: Start) -> (Self, Vec<Effect>) {
        let written = start.to.as_ref().map_or_else(String::new, Address::to_string);
        let app = Self {
            screen: Screen::Menu,
            help: false,
            now: start.now,
            began: start.now,
            entry: 0,
            picker: Picker::new(start.folder.clone()),
            data: None,
            filtering: false,
            author: None,
            detail: false,
            address: start.to.clone(),
            address_box: (Input::new(written), None),
            look: None,
            run: None,
            log: Vec::new(),
            log_back: 0,
            home: start.home,
            before_log: Screen::Menu,
            looked_at: start.now,
            is_looking: start.to.is_some(),
            page: 10,
            asked_to_leave: false,
        };
        let load = start.file.map(|file| Effect::Load(start.folder.join(file)));
        (app, load.into_iter().chain(start.to.map(Effect::Test)).collect())
    }

    /// Where keys go now.
    pub fn mode(&self) -> Mode {
        if self.help { Mode::Help } else { self.mode_below_help() }
    }

    /// Where keys go once the help is closed.
    pub fn mode_below_help(&self) -> Mode {
        match self.screen {
            Screen::Menu => Mode::Menu,
            Screen::Picker if self.picker.path.is_some() => Mode::PathBox,
            Screen::Picker => Mode::Picker,
            Screen::Address => Mode::Address,
            Screen::Data if self.author.is_some() => Mode::Author,
            Screen::Data if self.filtering => Mode::Filter,
            Screen::Data if self.detail => Mode::Detail,
            Screen::Data => Mode::Data,
            Screen::Run => Mode::Run,
            Screen::Log => Mode::Log,
        }
    }

    /// Whether an action would do something now: the footer lists only those, and others are not done.
    pub fn allows(&self, action: Action) -> bool {
        let selected = || self.data.as_ref().and_then(Data::selected);
        let under_way = || self.run.as_ref().is_some_and(Run::is_under_way);
        match (self.mode(), action) {
            (Mode::Data, Action::Accept) => selected().is_some(),
            // What is stored is no longer the table's to change.
            (Mode::Data, Action::Author | Action::Delete) => {
                selected().is_some_and(|row| !matches!(row.fate, Fate::Stored(..)))
            }
            (Mode::Data, Action::Undo) => self.data.as_ref().is_some_and(Data::can_undo),
            (Mode::Run, Action::Pause) => {
                self.run.as_ref().is_some_and(|run| matches!(run.stage, Stage::Running | Stage::Paused))
            }
            (Mode::Run, Action::Cancel) => under_way(),
            (Mode::Run, Action::Accept) => !under_way() && self.n_missing() > 0,
            (Mode::Picker, Action::Accept) => !self.picker.entries().is_empty(),
            (Mode::Picker, Action::Parent) => self.picker.folder.parent().is_some(),
            _ => true,
        }
    }

    /// The message above the footer, while it stands.
    pub fn message(&self) -> Option<&Message> {
        let newest = self.log.last().filter(|_| self.screen != Screen::Log);
        newest.filter(|message| self.now.duration_since(message.at) < MESSAGE_STANDS)
    }

    /// How many loaded sentences are not stored.
    pub fn n_missing(&self) -> usize {
        self.data.as_ref().map_or(0, |data| data.rows.len() - data.n_stored())
    }

    /// Takes an event; gives what is to be done outside.
    pub fn update(&mut self, event: Event) -> Vec<Effect> {
        match event {
            Event::Key(key) if key.kind != KeyEventKind::Release => return self.key(key),
            Event::Key(_) => {}
            Event::Paste(text) => return self.paste(&text),
            Event::Resized(_, rows) => self.page = usize::from(rows).saturating_sub(8).max(1),
            Event::Tick(now) => return self.tick(now),
            Event::Listed(folder, listed) => return self.picker.listed(folder, listed),
            Event::Looked(path, preview) => self.picker.preview = Some((path, preview)),
            Event::Completing(written, entries) => self.completing(&written, &entries),
            Event::Loaded(path, loaded) => self.loaded(&path, loaded),
            Event::Tested(address, look) => self.tested(&address, look),
            Event::RunBegan(seed, done) => self.run_began(seed, &done),
            Event::Warned(text) => self.tell(true, text),
            Event::Progress(progress) => self.progress(progress),
            Event::RunEnded(end) => self.run_ended(end),
        }
        Vec::new()
    }

    fn key(&mut self, key: KeyEvent) -> Vec<Effect> {
        let mode = self.mode();
        let effects = match keys::action(mode, key) {
            Some(action) if self.allows(action) => self.act(mode, action),
            Some(_) => Vec::new(),
            None => self.write(mode, |input| input.key(key)),
        };
        for effect in &effects {
            if let Effect::Load(path) = effect {
                // A large file takes a while, and so does a slow disk.
                self.tell(false, format!("Reading {} …", path.display()));
            }
        }
        effects
    }

    fn paste(&mut self, text: &str) -> Vec<Effect> {
        if self.mode() == Mode::Picker {
            // A pasted path is a path; nobody pastes a filter.
            self.picker.path = Some(Input::default());
        }
        self.write(self.mode(), |input| {
            input.insert(text.trim_matches(['\n', '\r']));
            true
        })
    }

    /// Lets `edit` change the line that is being written in this mode; it says whether it did.
    fn write(&mut self, mode: Mode, edit: impl FnOnce(&mut Input) -> bool) -> Vec<Effect> {
        let line = match mode {
            Mode::Picker => Some(&mut self.picker.filter),
            Mode::PathBox => self.picker.path.as_mut(),
            Mode::Address => Some(&mut self.address_box.0),
            Mode::Author => self.author.as_mut(),
            Mode::Filter => self.data.as_mut().map(|data| &mut data.filter),
            _ => None,
        };
        if !line.is_some_and(edit) {
            return Vec::new();
        }
        match mode {
            Mode::Picker => return self.picker.filtered(),
            Mode::Address => self.address_box.1 = None,
            Mode::Filter => {
                if let Some(data) = &mut self.data {
                    data.refilter();
                }
            }
            _ => {}
        }
        Vec::new()
    }

    fn tell(&mut self, is_error: bool, text: impl Into<String>) {
        self.log.push(Message { at: self.now, is_error, text: text.into() });
        if self.log.len() > LONGEST_LOG {
            self.log.remove(0);
        }
    }
}

/// Moves a cursor over `n` rows.
fn select(cursor: &mut usize, n: usize, action: Action, page: usize) {
    let last = n.saturating_sub(1);
    *cursor = match action {
        Action::Up => cursor.saturating_sub(1),
        Action::Down => *cursor + 1,
        Action::PageUp => cursor.saturating_sub(page),
        Action::PageDown => *cursor + page,
        Action::First => 0,
        Action::Last => last,
        _ => *cursor,
    }
    .min(last);
}

fn sentence_case(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}
