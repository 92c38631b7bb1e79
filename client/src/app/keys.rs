//! Every key of the full-screen program: one table that dispatches keys, fills the footer and is the help. PURE.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use Press::{Control, Key, Letter};

/// What a key can mean; what it does depends on the mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// An entry of the menu, by its number.
    Choose(usize),
    /// One up.
    Up,
    /// One down.
    Down,
    /// A page up.
    PageUp,
    /// A page down.
    PageDown,
    /// To the first.
    First,
    /// To the last.
    Last,
    /// Takes what is selected or written.
    Accept,
    /// One step back, dropping what was being written.
    Back,
    /// To the folder above.
    Parent,
    /// To the box for a path.
    PathBox,
    /// Shows or hides hidden files.
    Hidden,
    /// Completes the path.
    Complete,
    /// Filters the rows.
    Filter,
    /// Edits the author.
    Author,
    /// Deletes the row.
    Delete,
    /// Undoes the last change.
    Undo,
    /// Pauses or goes on.
    Pause,
    /// Cancels the run.
    Cancel,
    /// Opens the log.
    Log,
    /// Opens the help.
    Help,
    /// Leaves the program at once.
    Interrupt,
}

/// Where keys go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// The menu.
    Menu,
    /// The file picker's list.
    Picker,
    /// The file picker's box for a path.
    PathBox,
    /// The box for the balancer's address.
    Address,
    /// The table of sentences.
    Data,
    /// The table's filter.
    Filter,
    /// The box for an author.
    Author,
    /// One sentence, whole.
    Detail,
    /// The run, under way or ended.
    Run,
    /// The log.
    Log,
    /// The help.
    Help,
}

impl Mode {
    /// Every mode, in the order of the help's check.
    pub const ALL: [Self; 11] = [
        Self::Menu,
        Self::Picker,
        Self::PathBox,
        Self::Address,
        Self::Data,
        Self::Filter,
        Self::Author,
        Self::Detail,
        Self::Run,
        Self::Log,
        Self::Help,
    ];

    /// Whether letters are text here.
    pub const fn is_text(self) -> bool {
        matches!(self, Self::Picker | Self::PathBox | Self::Address | Self::Filter | Self::Author)
    }

    /// What the help calls it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Menu => "Menu",
            Self::Picker => "Choosing a file",
            Self::PathBox => "Writing a path",
            Self::Address => "Load balancer address",
            Self::Data => "Data",
            Self::Filter => "Filtering",
            Self::Author => "Editing an author",
            Self::Detail => "One sentence",
            Self::Run => "Sending",
            Self::Log => "Log",
            Self::Help => "Help",
        }
    }
}

impl Action {
    /// Whether it only moves about, so that it comes last where there is little room to tell it.
    pub const fn is_motion(self) -> bool {
        matches!(
            self,
            Self::Up
                | Self::Down
                | Self::PageUp
                | Self::PageDown
                | Self::First
                | Self::Last
                | Self::Interrupt
        )
    }
}

/// Keys with one meaning, and how they are told.
#[derive(Debug)]
pub struct Binding {
    /// The keys.
    pub keys: &'static [Press],
    /// The keys as shown.
    pub shown: &'static str,
    /// What they do, in a word or two.
    pub does: &'static str,
    /// What they mean.
    pub action: Action,
}

/// One key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Press {
    /// A letter, as typed.
    Letter(char),
    /// A letter with Control.
    Control(char),
    /// Any other key.
    Key(KeyCode),
}

impl Press {
    /// The key of an event; `None` for combinations that nothing is bound to.
    pub fn of(event: KeyEvent) -> Option<Self> {
        let modifiers = event.modifiers.difference(KeyModifiers::SHIFT);
        match event.code {
            KeyCode::Char(letter) if modifiers.is_empty() => Some(Self::Letter(letter)),
            KeyCode::Char(letter) if modifiers == KeyModifiers::CONTROL => {
                Some(Self::Control(letter.to_ascii_lowercase()))
            }
            KeyCode::Char(_) => None,
            code => Some(Self::Key(code)),
        }
    }
}

const fn bind(keys: &'static [Press], shown: &'static str, does: &'static str, action: Action) -> Binding {
    Binding { keys, shown, does, action }
}

const UP: &[Press] = &[Key(KeyCode::Up)];
const DOWN: &[Press] = &[Key(KeyCode::Down)];
const UP_K: &[Press] = &[Key(KeyCode::Up), Letter('k')];
const DOWN_J: &[Press] = &[Key(KeyCode::Down), Letter('j')];
const PAGE_UP: &[Press] = &[Key(KeyCode::PageUp)];
const PAGE_DOWN: &[Press] = &[Key(KeyCode::PageDown)];
const HOME: &[Press] = &[Key(KeyCode::Home)];
const END: &[Press] = &[Key(KeyCode::End)];
const ENTER: &[Press] = &[Key(KeyCode::Enter)];
const ESC: &[Press] = &[Key(KeyCode::Esc)];
const ESC_Q: &[Press] = &[Key(KeyCode::Esc), Letter('q')];
const TAB: &[Press] = &[Key(KeyCode::Tab)];

const MENU: &[Binding] = &[
    bind(&[Letter('1')], "1", "insert file path", Action::Choose(0)),
    bind(&[Letter('2')], "2", "insert load balancer address", Action::Choose(1)),
    bind(&[Letter('3')], "3", "show data", Action::Choose(2)),
    bind(&[Letter('4')], "4", "send data", Action::Choose(3)),
    bind(&[Letter('5'), Letter('q')], "5 q", "exit", Action::Choose(4)),
    bind(UP_K, "↑ k", "up", Action::Up),
    bind(DOWN_J, "↓ j", "down", Action::Down),
    bind(ENTER, "Enter", "choose", Action::Accept),
];

const PICKER: &[Binding] = &[
    bind(ENTER, "Enter", "open", Action::Accept),
    bind(&[Key(KeyCode::Left)], "←", "folder above", Action::Parent),
    bind(TAB, "Tab", "write a path", Action::PathBox),
    bind(&[Control('t')], "Ctrl-T", "hidden files", Action::Hidden),
    bind(ESC, "Esc", "back", Action::Back),
    bind(UP, "↑", "up", Action::Up),
    bind(DOWN, "↓", "down", Action::Down),
    bind(PAGE_UP, "PgUp", "page up", Action::PageUp),
    bind(PAGE_DOWN, "PgDn", "page down", Action::PageDown),
    bind(HOME, "Home", "first", Action::First),
    bind(END, "End", "last", Action::Last),
];

const PATH_BOX: &[Binding] = &[
    bind(ENTER, "Enter", "open", Action::Accept),
    bind(TAB, "Tab", "complete", Action::Complete),
    bind(ESC, "Esc", "back to the list", Action::Back),
];

const ADDRESS: &[Binding] =
    &[bind(ENTER, "Enter", "use and test", Action::Accept), bind(ESC, "Esc", "back", Action::Back)];

const DATA: &[Binding] = &[
    bind(&[Letter('/')], "/", "filter", Action::Filter),
    bind(ENTER, "Enter", "whole", Action::Accept),
    bind(&[Letter('a')], "a", "author", Action::Author),
    bind(&[Letter('d'), Key(KeyCode::Delete)], "d", "delete", Action::Delete),
    bind(&[Letter('z')], "z", "undo", Action::Undo),
    bind(ESC_Q, "Esc", "back", Action::Back),
    bind(UP_K, "↑ k", "up", Action::Up),
    bind(DOWN_J, "↓ j", "down", Action::Down),
    bind(PAGE_UP, "PgUp", "page up", Action::PageUp),
    bind(PAGE_DOWN, "PgDn", "page down", Action::PageDown),
    bind(HOME, "Home", "first", Action::First),
    bind(END, "End", "last", Action::Last),
];

const FILTER: &[Binding] = &[
    bind(ENTER, "Enter", "keep the filter", Action::Accept),
    bind(ESC, "Esc", "show all", Action::Back),
    bind(UP, "↑", "up", Action::Up),
    bind(DOWN, "↓", "down", Action::Down),
];

const AUTHOR: &[Binding] = &[
    bind(ENTER, "Enter", "set the author", Action::Accept),
    bind(ESC, "Esc", "leave as it was", Action::Back),
];

const DETAIL: &[Binding] = &[
    bind(&[Key(KeyCode::Esc), Key(KeyCode::Enter), Letter('q')], "Esc", "back", Action::Back),
    bind(UP_K, "↑ k", "the one before", Action::Up),
    bind(DOWN_J, "↓ j", "the next", Action::Down),
];

const RUN: &[Binding] = &[
    bind(&[Letter('p')], "p", "pause or go on", Action::Pause),
    bind(&[Letter('c')], "c", "cancel", Action::Cancel),
    bind(ENTER, "Enter", "send what is missing", Action::Accept),
    bind(ESC_Q, "Esc", "back", Action::Back),
];

const LOG: &[Binding] = &[
    bind(&[Key(KeyCode::Esc), Letter('e'), Letter('q')], "Esc", "back", Action::Back),
    bind(UP_K, "↑ k", "older", Action::Up),
    bind(DOWN_J, "↓ j", "newer", Action::Down),
];

const HELP: &[Binding] = &[bind(
    &[Key(KeyCode::Esc), Letter('?'), Key(KeyCode::F(1)), Letter('q'), Key(KeyCode::Enter)],
    "Esc",
    "back",
    Action::Back,
)];

/// In every mode but the log and the help, where letters are no text.
const LETTERS: &[Binding] = &[
    bind(&[Letter('e')], "e", "log", Action::Log),
    bind(&[Letter('?'), Key(KeyCode::F(1))], "?", "help", Action::Help),
];

/// Where letters are text.
const NO_LETTERS: &[Binding] = &[bind(&[Key(KeyCode::F(1))], "F1", "help", Action::Help)];

/// In every mode.
const ALWAYS: &[Binding] = &[bind(&[Control('c')], "Ctrl-C", "leave at once", Action::Interrupt)];

/// What keys mean in a mode, the most wanted first.
pub fn bindings(mode: Mode) -> impl Iterator<Item = &'static Binding> {
    let own = match mode {
        Mode::Menu => MENU,
        Mode::Picker => PICKER,
        Mode::PathBox => PATH_BOX,
        Mode::Address => ADDRESS,
        Mode::Data => DATA,
        Mode::Filter => FILTER,
        Mode::Author => AUTHOR,
        Mode::Detail => DETAIL,
        Mode::Run => RUN,
        Mode::Log => LOG,
        Mode::Help => HELP,
    };
    let shared = match mode {
        Mode::Log | Mode::Help => &[],
        mode if mode.is_text() => NO_LETTERS,
        _ => LETTERS,
    };
    own.iter().chain(shared).chain(ALWAYS)
}

/// What a key means in a mode, if it means anything.
pub fn action(mode: Mode, event: KeyEvent) -> Option<Action> {
    let press = Press::of(event)?;
    bindings(mode).find(|binding| binding.keys.contains(&press)).map(|binding| binding.action)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_key_has_two_meanings_in_a_mode() {
        for mode in Mode::ALL {
            let mut seen = Vec::new();
            for press in bindings(mode).flat_map(|binding| binding.keys) {
                assert!(!seen.contains(&press), "{press:?} is bound twice in {mode:?}");
                seen.push(press);
            }
        }
    }

    #[test]
    fn letters_are_text_where_text_is_written() {
        for mode in Mode::ALL.into_iter().filter(|mode| mode.is_text()) {
            let letters =
                bindings(mode).flat_map(|binding| binding.keys).filter(|key| matches!(key, Letter(_)));
            assert_eq!(letters.count(), 0, "{mode:?}");
        }
    }

    #[test]
    fn every_mode_can_be_left_and_has_help() {
        for mode in Mode::ALL {
            assert!(bindings(mode).any(|binding| binding.action == Action::Interrupt));
            let back =
                bindings(mode).any(|binding| matches!(binding.action, Action::Back | Action::Choose(4)));
            assert!(back, "{mode:?}");
            let help = matches!(mode, Mode::Log | Mode::Help)
                || action(mode, KeyEvent::new(KeyCode::F(1), KeyModifiers::NONE)) == Some(Action::Help);
            assert!(help, "{mode:?}");
        }
    }
}
