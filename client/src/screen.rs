//! The loop of the full-screen program: events to the state, effects to the hands, the state to the screen.

use std::time::Duration;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use tokio::sync::mpsc;
use tokio::task::LocalSet;

use crate::Environment;
use crate::app::{App, Effect, Event, Start};
use crate::cli::{Cli, Color};
use crate::clock;
use crate::command::asked_to_end;
use crate::exit::{Exit, Failure};
use crate::perform::Performer;
use crate::terminal::{Screen, read_keys};
use crate::view::{self, theme::Theme};

/// How often the clock is read: often enough for a smooth gauge, seldom enough for an idle terminal.
const TICK: Duration = Duration::from_millis(100);

/// Runs the program until it is left.
pub(crate) async fn run(cli: Cli, environment: &Environment) -> Result<Exit, Failure> {
    let theme = Theme { colour: colours(cli.color, environment.no_color) };
    let folder = std::env::current_dir().unwrap_or_else(|_| "/".into());
    let start =
        Start { file: cli.file, to: cli.to, folder, home: environment.home.clone(), now: clock::instant() };
    let outcome = LocalSet::new().run_until(turn(start, theme, environment)).await;
    outcome.map_err(|error| Failure {
        exit: Exit::Failed,
        lines: vec![format!("the terminal cannot be used: {error}")],
    })
}

fn colours(color: Color, no_color: bool) -> bool {
    let colour = match color {
        Color::Auto => !no_color,
        Color::Always => true,
        Color::Never => false,
    };
    crossterm::style::force_color_output(colour);
    colour
}

async fn turn(start: Start, theme: Theme, environment: &Environment) -> std::io::Result<Exit> {
    let (sender, mut events) = mpsc::unbounded_channel();
    let mut hands = Performer::new(sender.clone(), environment.state.clone());
    let (mut app, effects) = App::new(start);
    let mut screen = Screen::take()?;
    let size = screen.terminal.size()?;
    drop(app.update(Event::Resized(size.width, size.height)));
    effects.into_iter().for_each(|effect| hands.perform(effect));
    read_keys(sender);
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    let ended = asked_to_end();
    tokio::pin!(ended);
    loop {
        screen.terminal.draw(|frame| view::draw(frame, &app, &theme))?;
        let mut happened = tokio::select! {
            exit = &mut ended => return Ok(exit),
            _ = ticks.tick() => vec![Event::Tick(clock::instant())],
            event = events.recv() => event.into_iter().collect(),
        };
        // Everything that has gathered goes into one frame.
        while let Ok(event) = events.try_recv() {
            happened.push(event);
        }
        for event in happened {
            if is_redraw(&event) {
                screen.terminal.clear()?;
                continue;
            }
            for effect in app.update(event) {
                if let Effect::Leave(exit) = effect {
                    return Ok(exit);
                }
                hands.perform(effect);
            }
        }
    }
}

/// Ctrl-L, as everywhere, draws the screen anew after something else has written on it.
fn is_redraw(event: &Event) -> bool {
    matches!(event, Event::Key(KeyEvent { code: KeyCode::Char('l'), modifiers: KeyModifiers::CONTROL, .. }))
}
