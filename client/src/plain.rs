//! The menu by lines, as the client of 2020 had it, for pipes and for terminals that cannot do more.
//!
//! It asks on standard output and never needs a terminal; the end of the input is the end of the program.

use std::io::{BufRead, IsTerminal, Write};
use std::path::{Path, PathBuf};

use tokio::sync::mpsc;

use crate::address::Address;
use crate::cli;
use crate::command::{self, say};
use crate::exit::{Exit, Failure};
use crate::numbers::sentences;
use crate::printable::printable;
use crate::send::plan::{Plan, Source};
use crate::text::Split;

/// What the menu begins with.
#[derive(Clone, Debug, Default)]
pub struct Start {
    /// The text file.
    pub file: Option<PathBuf>,
    /// The balancer.
    pub to: Option<Address>,
}

/// Runs the menu over standard input; the status is that of the last step that failed, if one did.
pub(crate) async fn run(start: Start, state: Option<&Path>) -> Result<Exit, Failure> {
    let mut menu = Menu { lines: lines_of_stdin(), file: None, to: start.to, exit: Exit::Done };
    if let Some(path) = start.file {
        menu.load(path);
    }
    tokio::select! {
        ended = menu.run(state) => ended,
        exit = command::asked_to_end() => Ok(exit),
    }
}

struct Menu {
    lines: mpsc::Receiver<String>,
    file: Option<(PathBuf, Plan)>,
    to: Option<Address>,
    exit: Exit,
}

impl Menu {
    async fn run(mut self, state: Option<&Path>) -> Result<Exit, Failure> {
        loop {
            print(&self.menu())?;
            let Some(choice) = self.ask("Option: ").await? else { break };
            match choice.trim() {
                "" => {}
                "1" => {
                    let Some(path) = self.ask("File path: ").await? else { break };
                    self.load(PathBuf::from(path.trim()));
                }
                "2" => {
                    let Some(address) = self.ask("Load balancer address: ").await? else { break };
                    self.aim(&address);
                }
                "3" => self.show()?,
                "4" => self.send(state).await?,
                "5" => break,
                other => self.fault(&format!("`{other}` is no option; write a number from 1 to 5")),
            }
        }
        print("\n")?;
        Ok(self.exit)
    }

    fn menu(&self) -> String {
        let file = self.file.as_ref().map_or_else(
            || "none yet".to_owned(),
            |(path, plan)| format!("{}, {}", path.display(), sentences(plan.items.len() as u64)),
        );
        let to = self.to.as_ref().map_or_else(|| "none yet".to_owned(), Address::to_string);
        format!(
            "\nBalanza\n  1. Insert file path ({})\n  2. Insert load balancer address ({})\n  \
             3. Show data\n  4. Send data\n  5. Exit\n",
            printable(&file),
            printable(&to),
        )
    }

    async fn ask(&mut self, question: &str) -> Result<Option<String>, Failure> {
        print(question)?;
        let line = self.lines.recv().await;
        if !std::io::stdin().is_terminal() {
            // On a terminal, the user's Enter has ended the line.
            print("\n")?;
        }
        Ok(line)
    }

    fn fault(&mut self, problem: &str) {
        self.exit = Exit::Usage;
        say(problem);
    }

    fn load(&mut self, path: PathBuf) {
        if path.as_os_str().is_empty() {
            return self.fault("the file path is empty; write the path of a text file");
        }
        if path == Path::new("-") {
            return self.fault("standard input is the menu's; write the path of a text file");
        }
        let name = path.display().to_string();
        let loaded = match command::read_file(&path) {
            Ok(bytes) => command::plan(&[Source { name: name.clone(), bytes }], Split::Unicode),
            Err(problem) => Err(Failure::usage(format!("{name}: {problem}"))),
        };
        match loaded {
            Ok(plan) => self.file = Some((path, plan)),
            Err(failure) => failure.lines.iter().for_each(|line| self.fault(line)),
        }
    }

    fn aim(&mut self, written: &str) {
        match Address::parse(written) {
            Ok(address) => {
                if let Some(note) = address.note() {
                    say(&note);
                }
                self.to = Some(address);
            }
            Err(error) => self.fault(&error.to_string()),
        }
    }

    fn show(&mut self) -> Result<(), Failure> {
        let Some((_, plan)) = &self.file else {
            self.fault("there is no data yet; insert a file path first (1)");
            return Ok(());
        };
        let mut out = std::io::BufWriter::new(std::io::stdout().lock());
        for (number, item) in (1..).zip(&plan.items) {
            writeln!(out, "{number:>6}  {}", printable(&item.text))?;
        }
        out.flush()?;
        Ok(())
    }

    async fn send(&mut self, state: Option<&Path>) -> Result<(), Failure> {
        let (Some((path, _)), Some(to)) = (&self.file, &self.to) else {
            let missing =
                if self.file.is_none() { "a file path (1)" } else { "the load balancer's address (2)" };
            self.fault(&format!("nothing was sent; insert {missing} first"));
            return Ok(());
        };
        match command::send::run(cli::Send::of_file(path.clone(), to.clone()), state).await {
            Ok(Exit::Done) => {}
            Ok(exit) => self.exit = exit,
            Err(failure) => {
                self.exit = failure.exit;
                failure.lines.iter().for_each(|line| say(line));
            }
        }
        Ok(())
    }
}

fn print(text: &str) -> Result<(), Failure> {
    let mut out = std::io::stdout();
    out.write_all(text.as_bytes())?;
    Ok(out.flush()?)
}

/// The lines of standard input. Read on a thread, so that a signal is heard while the program waits for a line.
fn lines_of_stdin() -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel(1);
    std::thread::spawn(move || {
        let mut input = std::io::stdin().lock();
        loop {
            let mut line = Vec::new();
            match input.read_until(b'\n', &mut line) {
                Ok(0) | Err(_) => return,
                Ok(_) => {
                    let text = String::from_utf8_lossy(&line).trim_end_matches(['\r', '\n']).to_owned();
                    if sender.blocking_send(text).is_err() {
                        return;
                    }
                }
            }
        }
    });
    receiver
}
