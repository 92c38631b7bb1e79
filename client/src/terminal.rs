//! The terminal: taken over, given back whatever happens, and its keys read on a thread.

use std::io::{self, Stdout, Write};
use std::panic;
use std::time::Duration;

use crossterm::cursor::Show;
use crossterm::event::{self, DisableBracketedPaste, EnableBracketedPaste};
use crossterm::execute;
use crossterm::terminal::{EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode};
use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use tokio::sync::mpsc::UnboundedSender;

use crate::app::Event;

/// How often the reading thread looks whether anybody still wants keys.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// The terminal under the program's control; dropping it gives it back.
pub(crate) struct Screen {
    /// What frames are drawn on.
    pub(crate) terminal: Terminal<CrosstermBackend<Stdout>>,
}

impl Screen {
    /// Takes the terminal over.
    ///
    /// # Errors
    /// When it cannot be.
    pub(crate) fn take() -> io::Result<Self> {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            // The message belongs on the user's screen, not on the one that is about to vanish.
            give_back();
            before(info);
        }));
        enable_raw_mode()?;
        // From here on, an error gives back what was taken.
        let screen = Terminal::new(CrosstermBackend::new(io::stdout())).map(|terminal| Self { terminal });
        let mut screen = screen.inspect_err(|_| give_back())?;
        execute!(screen.terminal.backend_mut(), EnterAlternateScreen, EnableBracketedPaste)?;
        Ok(screen)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        give_back();
    }
}

/// Gives the terminal back. Where even that fails there is no terminal left to tell it on.
fn give_back() {
    drop(execute!(io::stdout(), DisableBracketedPaste, LeaveAlternateScreen, Show));
    drop(disable_raw_mode());
    drop(io::stdout().flush());
}

/// Reads keys, pastes and changes of size until nobody takes them.
pub(crate) fn read_keys(events: UnboundedSender<Event>) {
    std::thread::spawn(move || {
        while !events.is_closed() {
            let event = match event::poll(LOOK_EVERY) {
                Ok(true) => event::read(),
                Ok(false) => continue,
                Err(_) => return,
            };
            let event = match event {
                Ok(event::Event::Key(key)) => Event::Key(key),
                Ok(event::Event::Paste(text)) => Event::Paste(text),
                Ok(event::Event::Resize(columns, rows)) => Event::Resized(columns, rows),
                Ok(_) => continue,
                Err(_) => return,
            };
            if events.send(event).is_err() {
                return;
            }
        }
    });
}
