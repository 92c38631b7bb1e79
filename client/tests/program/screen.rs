//! The full-screen program on a real terminal: tmux, on a socket of its own.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use harness::wait::DEADLINE;
use harness::{ScriptedBalancer, Turn, need};

use crate::Place;

/// A terminal of 80 by 24 in tmux; dropping it ends its server.
struct Tmux {
    socket: String,
}

impl Tmux {
    /// A shell in `place`, or `None` after saying loudly that `test` is skipped.
    fn start(test: &str, place: &Place) -> Option<Self> {
        let found = Command::new("tmux").arg("-V").stdout(Stdio::null()).stderr(Stdio::null()).status();
        let is_there = found.is_ok_and(|status| status.success());
        need::or_skip(test, "tmux", is_there.then_some(()).ok_or("tmux is not installed".to_owned()))?;
        let tmux = Self { socket: format!("balanza-{}-{test}", std::process::id()) };
        let folder = place.path().display().to_string();
        let state = format!("XDG_STATE_HOME={folder}");
        tmux.run(&[
            "-f",
            "/dev/null",
            "new-session",
            "-d",
            "-x",
            "80",
            "-y",
            "24",
            "-c",
            &folder,
            "-e",
            &state,
            "sh",
        ]);
        tmux.write("PS1='> '\n");
        Some(tmux)
    }

    fn run(&self, arguments: &[&str]) -> String {
        let output = Command::new("tmux").args(["-L", &self.socket]).args(arguments).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Writes text; a line break is Enter.
    fn write(&self, text: &str) {
        for (place, part) in text.split('\n').enumerate() {
            if place > 0 {
                self.key("Enter");
            }
            if !part.is_empty() {
                self.run(&["send-keys", "-l", part]);
            }
        }
    }

    fn key(&self, name: &str) {
        self.run(&["send-keys", name]);
    }

    /// The screen, once it shows `text`.
    fn wait_for(&self, text: &str) -> String {
        let start = Instant::now();
        loop {
            let screen = self.run(&["capture-pane", "-p"]);
            if screen.contains(text) {
                return screen;
            }
            assert!(start.elapsed() < DEADLINE, "{text:?} does not show:\n{screen}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn is_alternate(&self) -> bool {
        self.run(&["display-message", "-p", "#{alternate_on}"]).trim() == "1"
    }
}

impl Drop for Tmux {
    fn drop(&mut self) {
        drop(Command::new("tmux").args(["-L", &self.socket, "kill-server"]).stderr(Stdio::null()).status());
    }
}

#[test]
fn a_text_is_picked_sent_and_left() {
    let (place, stub) = (Place::new(), ScriptedBalancer::start(Turn::store()));
    place.file("opticks.txt", "One is here. Two is there.\n\nThree.");
    let Some(tmux) = Tmux::start("picked", &place) else { return };
    tmux.write(&format!("{}; echo status $?\n", env!("CARGO_BIN_EXE_balanza")));
    tmux.wait_for("Insert load balancer address");
    assert!(tmux.is_alternate());
    tmux.write("1");
    tmux.wait_for("Filter (type):");
    tmux.write("opt");
    tmux.wait_for("3 sentences  ·  UTF-8");
    tmux.key("Enter");
    tmux.wait_for("opticks.txt, 3 sentences  ·  no balancer");
    tmux.write("2");
    tmux.wait_for("Address:");
    tmux.write(&format!("{}\n", stub.url()));
    tmux.wait_for("● up");
    tmux.write("4");
    let screen = tmux.wait_for("✓ done");
    assert!(screen.contains("3 of 3  100%") && screen.contains("database"), "{screen}");
    assert_eq!(stub.stored().len(), 3);
    tmux.key("Escape");
    tmux.wait_for("3 stored, 0 to send");
    tmux.write("?");
    tmux.wait_for("insert load balancer address");
    tmux.key("Escape");
    tmux.wait_for("3 stored, 0 to send");
    tmux.write("5");
    tmux.wait_for("status 0");
    assert!(!tmux.is_alternate(), "the user's screen is back");
}

#[test]
fn a_signal_gives_the_terminal_back() {
    let place = Place::new();
    let Some(tmux) = Tmux::start("signal", &place) else { return };
    tmux.write(&format!("{}; echo status $?; stty -a\n", env!("CARGO_BIN_EXE_balanza")));
    tmux.wait_for("Insert load balancer address");
    let pane = tmux.run(&["display-message", "-p", "#{pane_pid}"]);
    let children = Command::new("pgrep").args(["-P", pane.trim(), "balanza"]).output().unwrap();
    let pid = String::from_utf8_lossy(&children.stdout).trim().to_owned();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success(), "{pid:?}");
    let screen = tmux.wait_for("status 143");
    assert!(!tmux.is_alternate());
    let screen = if screen.contains("icanon") { screen } else { tmux.wait_for("icanon") };
    assert!(!screen.contains("-icanon"), "keys come by lines again: {screen}");
}
