//! What an action does, screen by screen. PURE.

use super::data::Fate;
use super::input::Input;
use super::keys::{Action, Mode};
use super::picker::resolve;
use super::run::{Run, Stage};
use super::{App, ENTRIES, Effect, Parcel, Screen, select, sentence_case};
use crate::address::Address;
use crate::exit::Exit;
use crate::send::Order;
use crate::send::plan::key;
use crate::text::Split;

impl App {
    pub(super) fn act(&mut self, mode: Mode, action: Action) -> Vec<Effect> {
        match action {
            Action::Interrupt => return vec![Effect::Leave(Exit::Interrupted)],
            Action::Help => self.help = true,
            Action::Log => {
                self.before_log = self.screen;
                self.screen = Screen::Log;
                self.log_back = 0;
            }
            _ => {
                return match mode {
                    Mode::Menu => self.act_in_menu(action),
                    Mode::Picker => self.act_in_picker(action),
                    Mode::PathBox => self.act_in_path_box(action),
                    Mode::Address => self.act_in_address(action),
                    Mode::Data | Mode::Filter | Mode::Author | Mode::Detail => {
                        self.act_in_data(mode, action);
                        Vec::new()
                    }
                    Mode::Run => self.act_in_run(action),
                    Mode::Log => {
                        self.act_in_log(action);
                        Vec::new()
                    }
                    Mode::Help => {
                        self.help = false;
                        Vec::new()
                    }
                };
            }
        }
        Vec::new()
    }

    fn act_in_menu(&mut self, action: Action) -> Vec<Effect> {
        match action {
            Action::Choose(entry) => {
                self.entry = entry;
                self.choose()
            }
            Action::Accept => self.choose(),
            _ => {
                select(&mut self.entry, ENTRIES.len(), action, 1);
                Vec::new()
            }
        }
    }

    fn choose(&mut self) -> Vec<Effect> {
        match self.entry {
            0 => {
                self.screen = Screen::Picker;
                return vec![Effect::List(self.picker.folder.clone())];
            }
            1 => self.screen = Screen::Address,
            2 if self.data.is_some() => self.screen = Screen::Data,
            2 => self.tell(true, "There is no data yet; insert a file path first (1)."),
            3 => return self.begin_sending(),
            _ => return self.leave(),
        }
        Vec::new()
    }

    fn leave(&mut self) -> Vec<Effect> {
        let under_way = self.run.as_ref().is_some_and(Run::is_under_way);
        if under_way && !self.asked_to_leave {
            self.asked_to_leave = true;
            self.tell(
                true,
                "Still sending. Exit again to stop; the run can be taken up later without a duplicate.",
            );
            return Vec::new();
        }
        vec![Effect::Leave(Exit::Done)]
    }

    fn act_in_picker(&mut self, action: Action) -> Vec<Effect> {
        let page = self.page;
        self.picker.act(action, page).unwrap_or_else(|| {
            self.screen = Screen::Menu;
            Vec::new()
        })
    }

    fn act_in_path_box(&mut self, action: Action) -> Vec<Effect> {
        let Some(path) = &self.picker.path else { return Vec::new() };
        let written = path.text().to_owned();
        let resolved = |text: &str| resolve(text, &self.picker.folder, self.home.as_deref());
        match action {
            Action::Accept if written.trim().is_empty() => {
                self.tell(true, "The file path is empty; write the path of a text file.");
            }
            Action::Accept => return vec![Effect::Load(resolved(&written))],
            Action::Complete => {
                let folder = resolved(written.rfind('/').map_or("", |at| &written[..=at]));
                return vec![Effect::Complete(written, folder)];
            }
            _ => self.picker.path = None,
        }
        Vec::new()
    }

    fn act_in_address(&mut self, action: Action) -> Vec<Effect> {
        if action != Action::Accept {
            self.address_box.1 = None;
            self.screen = Screen::Menu;
            return Vec::new();
        }
        match Address::parse(self.address_box.0.text()) {
            Ok(address) => {
                if let Some(note) = address.note() {
                    self.tell(false, sentence_case(&note));
                }
                self.address_box = (Input::new(address.to_string()), None);
                self.address = Some(address.clone());
                self.look = None;
                self.is_looking = true;
                vec![Effect::Test(address)]
            }
            Err(error) => {
                self.address_box.1 = Some(sentence_case(&error.to_string()));
                Vec::new()
            }
        }
    }

    fn act_in_data(&mut self, mode: Mode, action: Action) {
        let page = self.page;
        let Some(data) = &mut self.data else {
            self.screen = Screen::Menu;
            return;
        };
        match (mode, action) {
            (Mode::Data, Action::Filter) => self.filtering = true,
            (Mode::Data, Action::Accept) => self.detail = true,
            (Mode::Data, Action::Author) => {
                self.author = data.selected().map(|row| Input::new(row.author.clone()));
            }
            (Mode::Data, Action::Delete) => {
                data.delete();
                self.tell(false, "Deleted; z brings it back.");
            }
            (Mode::Data, Action::Undo) => {
                if let Some(told) = data.undo() {
                    self.tell(false, sentence_case(&format!("{told}.")));
                }
            }
            (Mode::Data, Action::Back) => self.screen = Screen::Menu,
            (Mode::Filter, Action::Accept) => self.filtering = false,
            (Mode::Filter, Action::Back) => {
                data.filter = Input::default();
                data.refilter();
                self.filtering = false;
            }
            (Mode::Author, Action::Accept) => {
                let written = self.author.take().unwrap_or_default();
                if let Err(problem) = data.set_author(written.text()) {
                    self.author = Some(written);
                    self.tell(true, sentence_case(&problem));
                }
            }
            (Mode::Author, _) => self.author = None,
            (Mode::Detail, Action::Back) => self.detail = false,
            _ => data.act(action, page),
        }
    }

    fn act_in_run(&mut self, action: Action) -> Vec<Effect> {
        let Some(run) = &mut self.run else {
            self.screen = Screen::Menu;
            return Vec::new();
        };
        match action {
            Action::Pause => {
                run.pace.restart();
                let (stage, order) = match run.stage {
                    Stage::Paused => (Stage::Running, Order::Run),
                    _ => (Stage::Paused, Order::Pause),
                };
                run.stage = stage;
                vec![Effect::Order(order)]
            }
            Action::Cancel => {
                run.stage = Stage::Cancelling;
                vec![Effect::Order(Order::Cancel)]
            }
            Action::Accept => self.begin_sending(),
            _ => {
                self.screen = Screen::Menu;
                Vec::new()
            }
        }
    }

    fn act_in_log(&mut self, action: Action) {
        match action {
            Action::Up => self.log_back = (self.log_back + 1).min(self.log.len().saturating_sub(1)),
            Action::Down => self.log_back = self.log_back.saturating_sub(1),
            _ => self.screen = self.before_log,
        }
    }

    fn begin_sending(&mut self) -> Vec<Effect> {
        if self.run.as_ref().is_some_and(Run::is_under_way) {
            self.screen = Screen::Run;
            return Vec::new();
        }
        let (Some(data), Some(to)) = (&mut self.data, &self.address) else {
            let missing =
                if self.data.is_none() { "a file path (1)" } else { "the load balancer's address (2)" };
            self.tell(true, format!("Nothing was sent; insert {missing} first."));
            return Vec::new();
        };
        // A text that is all stored goes out anew, under new ids, as it did in the old client.
        let fresh = data.n_stored() == data.rows.len();
        if fresh {
            data.rows.iter_mut().for_each(|row| row.fate = Fate::New);
        }
        let waiting = data.rows.iter().filter(|row| !matches!(row.fate, Fate::Stored(..)));
        let parcel = Parcel {
            key: key(std::slice::from_ref(&data.source), to, Split::Unicode, None),
            to: to.clone(),
            n_sentences: data.n_sentences,
            seed: data.seed,
            fresh,
            sentences: waiting
                .map(|row| (row.index, row.edited.then(|| row.author.clone()), row.text.clone()))
                .collect(),
        };
        if parcel.sentences.is_empty() {
            self.tell(true, "There is nothing to send: every sentence was deleted.");
            return Vec::new();
        }
        self.run = Some(Run::new(to.to_string(), parcel.sentences.len() as u64, self.now));
        self.asked_to_leave = false;
        self.screen = Screen::Run;
        vec![Effect::Send(Box::new(parcel))]
    }
}
