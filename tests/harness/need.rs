//! What a test needs from the machine, and what happens where it is missing.
//!
//! A missing need is told loudly; with its name in `BALANZA_TEST_REQUIRE` it is a failure. The same two lines serve
//! every crate, so that `cargo xtask test` can count what was skipped.

use std::io::Write;

/// Names, separated by commas, of what must not be missing.
pub const REQUIRE: &str = "BALANZA_TEST_REQUIRE";

/// The value, or `None` after saying that `test` is skipped because `need` is missing.
///
/// # Panics
/// When `need` is missing although [`REQUIRE`] lists it.
pub fn or_skip<T>(test: &str, need: &str, found: Result<T, String>) -> Option<T> {
    match found {
        Ok(value) => Some(value),
        Err(reason) if required(need, &std::env::var(REQUIRE).unwrap_or_default()) => {
            panic!("{test} needs {need}, and {REQUIRE} lists it: {reason}")
        }
        Err(reason) => {
            // Written straight to the stream: the test runner keeps what the print macros write of a passing test.
            drop(writeln!(std::io::stderr(), "SKIPPED {test}: {reason}"));
            None
        }
    }
}

fn required(need: &str, list: &str) -> bool {
    list.split(',').any(|name| name.trim() == need)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_listed_is_required() {
        assert!(required("tmux", "mongodb, tmux"));
        assert!(!required("tmux", "mongodb,tmux2"));
        assert!(!required("tmux", ""));
    }
}
