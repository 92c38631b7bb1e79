//! Reads single values, and the token files that some name, and gathers their faults. Absent: which keys there are.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use wire::Token;

use super::{Given, NodeConfig, Origin};
use crate::endpoint::Endpoint;

/// Longest name of a node. Names stand in headers and metrics, so they are short and plain.
const MAX_NAME: usize = 64;

/// Reads values and remembers what was wrong with them, so that an operator sees all faults at once.
pub(super) struct Reader<'a> {
    given: &'a Given,
    errors: Vec<String>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(given: &'a Given) -> Self {
        Self { given, errors: given.errors.clone() }
    }

    pub(super) fn into_errors(self) -> Vec<String> {
        self.errors
    }

    pub(super) fn fault(&mut self, key: &str, problem: &str) {
        self.errors.push(format!("{key}: {problem}"));
    }

    pub(super) fn text(&self, key: &str) -> &'a str {
        self.given.get(key).unwrap_or_default()
    }

    pub(super) fn path(&self, key: &str) -> Option<PathBuf> {
        self.given.get(key).map(PathBuf::from)
    }

    /// The token in the file that `key` names.
    pub(super) fn token(&mut self, key: &str) -> Option<Token> {
        let path = self.path(key)?;
        let shown = path.display();
        let fault = match std::fs::read_to_string(&path).map(|text| text.parse::<Token>()) {
            Ok(Ok(token)) => return Some(token),
            Ok(Err(error)) => {
                format!("`{shown}`: {error}; write one into it, such as `openssl rand -hex 32` gives")
            }
            Err(error) => format!("`{shown}` cannot be read: {error}; name a readable file"),
        };
        self.fault(key, &fault);
        None
    }

    pub(super) fn parsed<T: FromStr<Err: Display> + Default>(&mut self, key: &str) -> T {
        self.text(key).parse().unwrap_or_else(|error: T::Err| {
            self.fault(key, &error.to_string());
            T::default()
        })
    }

    pub(super) fn number<T: FromStr + PartialOrd + Display + Copy>(&mut self, key: &str, least: T) -> T {
        self.checked_number(key, self.text(key), least)
    }

    pub(super) fn optional_number<T: FromStr + PartialOrd + Display + Copy>(
        &mut self,
        key: &str,
        least: T,
    ) -> Option<T> {
        self.given.get(key).map(|text| self.checked_number(key, text, least))
    }

    fn checked_number<T: FromStr + PartialOrd + Display + Copy>(
        &mut self,
        key: &str,
        text: &str,
        least: T,
    ) -> T {
        text.parse().ok().filter(|number| *number >= least).unwrap_or_else(|| {
            self.fault(key, &format!("`{text}` is no whole number from {least} on"));
            least
        })
    }

    pub(super) fn duration(&mut self, key: &str) -> Duration {
        let text = self.text(key);
        duration(text).unwrap_or_else(|| {
            self.fault(key, &format!("`{text}` is no duration; write it with its unit, as 5s or 250ms"));
            Duration::ZERO
        })
    }

    pub(super) fn listen(&mut self, key: &str) -> String {
        let text = self.text(key);
        let whole =
            text.rsplit_once(':').filter(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok());
        if whole.is_none() {
            self.fault(key, &format!("`{text}` is no address; write HOST:PORT, as 127.0.0.1:4999"));
        }
        text.to_owned()
    }

    /// The nodes of the strongest origin that names any: two lists are never mixed.
    pub(super) fn nodes(&mut self, given: &BTreeMap<Origin, Vec<(String, String)>>) -> Vec<NodeConfig> {
        let mut nodes: Vec<NodeConfig> = Vec::new();
        for (name, url) in given.values().next_back().into_iter().flatten() {
            if let Err(problem) = check_name(name) {
                self.fault("node", &problem);
            }
            if nodes.iter().any(|node| node.name == *name) {
                self.fault("node", &format!("`{name}` is named twice; give each node its own name"));
            }
            if let Err(error) = url.parse::<Endpoint>() {
                self.fault("node", &format!("`{name}`: {error}"));
            }
            nodes.push(NodeConfig { name: name.clone(), url: url.clone() });
        }
        if nodes.is_empty() && self.given.errors.is_empty() {
            self.fault("node", "no node is named; give at least one, as --node A=http://10.0.0.7:5000");
        }
        nodes
    }
}

/// Whether `name` can name a node.
///
/// # Errors
/// Says what is wrong with it.
pub(crate) fn check_name(name: &str) -> Result<(), String> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    if !name.is_empty() && name.len() <= MAX_NAME && name.bytes().all(plain) {
        return Ok(());
    }
    let shown: String = name.chars().take(MAX_NAME).collect();
    Err(format!("`{shown}` is no name; use 1 to {MAX_NAME} letters, digits, `-`, `_` or `.`"))
}

/// `5s`, `250ms`, `2m`.
fn duration(text: &str) -> Option<Duration> {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().ok().filter(|number| *number > 0)?;
    match unit {
        "ms" => Some(Duration::from_millis(number)),
        "s" => Some(Duration::from_secs(number)),
        "m" => Some(Duration::from_secs(number.checked_mul(60)?)),
        _ => None,
    }
}
