//! What every source file must and must not say: a header, a size, and words that belong elsewhere.

use super::Finding;
use super::tree::Tree;

/// A file above this is a fault.
const MAX_LINES: usize = 1000;
/// A file above this should be split.
const MANY_LINES: usize = 600;

/// Words that must stand in certain places only.
const PLACED: [(&[&str], &[&str], &str); 3] = [
    (&["aya::", "aya_obj::", "aya_ebpf::"], &["ebpf/"], "the kernel is reached through ebpf/ only"),
    (&["mongodb::"], &["backend/src/store/mongo"], "the driver is for the MongoDB store only"),
    (&["ratatui::", "crossterm::"], &["client/"], "the terminal is the client's only"),
];

/// All findings in the sources.
pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    tree.ending(".rs").flat_map(|(path, text)| check_file(path, text)).collect()
}

fn check_file(path: &str, text: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    if !text.starts_with("//!") {
        findings.push(Finding::fault(format!("{path} does not open with `//!` and what it owns")));
    }
    let n_lines = text.lines().count();
    if n_lines > MAX_LINES {
        findings.push(Finding::fault(format!("{path} has {n_lines} lines; split it (limit {MAX_LINES})")));
    } else if n_lines > MANY_LINES {
        findings.push(Finding::Warning(format!("{path} has {n_lines} lines; a file answers one question")));
    }
    for (number, line) in (1..).zip(text.lines()) {
        let code = code_of(line);
        let mut fault = |what: String| findings.push(Finding::fault(format!("{path}:{number}: {what}")));
        // Put together here, so that this line is none of them.
        if ["#[", "#!["].iter().any(|open| code.contains(&format!("{open}allow("))) {
            fault("an exception is an `expect` with its reason".to_owned());
        }
        for (words, places, why) in PLACED {
            let here = places.iter().any(|place| path.starts_with(place));
            if let Some(word) = words.iter().find(|word| !here && names(code, word)) {
                fault(format!("`{word}`: {why}"));
            }
        }
    }
    findings
}

/// The line without its comment and without what stands between quotation marks.
fn code_of(line: &str) -> &str {
    let comment = line.match_indices("//").find(|(at, _)| outside_quotes(&line[..*at]));
    comment.map_or(line, |(at, _)| &line[..at])
}

fn outside_quotes(before: &str) -> bool {
    let escaped = before.matches("\\\"").count();
    (before.matches('"').count() - escaped).is_multiple_of(2)
}

/// Whether `code` names `word`, not as the end of a longer name and not inside a literal.
fn names(code: &str, word: &str) -> bool {
    code.match_indices(word).any(|(at, _)| {
        let before = code[..at].chars().next_back();
        let longer = word.starts_with(char::is_alphabetic)
            && before.is_some_and(|letter| letter.is_alphanumeric() || letter == '_');
        !longer && outside_quotes(&code[..at])
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(path: &str, text: &str) -> Vec<String> {
        check(&Tree::of(&[(path, text)]))
            .into_iter()
            .map(|finding| match finding {
                Finding::Fault(text) => text,
                Finding::Warning(text) => format!("warning: {text}"),
            })
            .collect()
    }

    fn check_one(path: &str, text: &str, expected: &str) {
        let found = faults(path, text);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].contains(expected), "{found:?}");
    }

    #[test]
    fn a_good_file_has_no_fault() {
        let text = "//! Owns a rule.\nuse std::time::Duration; // not mongodb::time\n";
        assert_eq!(faults("lb/src/policy.rs", text), Vec::<String>::new());
        assert_eq!(
            faults("backend/src/store/mongo.rs", "//! A store.\nuse mongodb::Client;\n"),
            Vec::<String>::new()
        );
        assert_eq!(
            faults("lb/src/a.rs", "//! Text.\nlet url = \"mongodb::x // y\";\n"),
            Vec::<String>::new()
        );
    }

    #[test]
    fn each_fault_of_a_source_is_found() {
        check_one("lb/src/a.rs", "fn a() {}\n", "does not open with");
        check_one("lb/src/a.rs", &format!("//! Long.\n{}", "\n".repeat(MAX_LINES)), "split it");
        check_one("lb/src/a.rs", &format!("//! Long.\n{}", "\n".repeat(MANY_LINES)), "warning: ");
        check_one(
            "lb/src/a.rs",
            &format!("//! Text.\n#[{}(dead_code)]\n", "allow"),
            "lb/src/a.rs:2: an exception",
        );
        check_one("lb/src/a.rs", &format!("//! Text.\n#![{}(unused)]\n", "allow"), "an exception");
        check_one("backend/src/a.rs", "//! Text.\nuse aya::Ebpf;\n", "`aya::`");
        check_one("backend/src/store.rs", "//! Text.\nlet x = mongodb::bson::oid();\n", "`mongodb::`");
        check_one("lb/src/a.rs", "//! Text.\nuse ratatui::Frame;\n", "`ratatui::`");
    }
}
