//! What the documents promise and must hold: named paths exist, and whatever a user can set or ask is described.

use std::collections::BTreeSet;

use super::Finding;
use super::tree::Tree;

/// What a program, or one of its commands, prints for `--help`.
pub(super) struct Help {
    /// The program.
    pub(super) of: String,
    /// What it prints.
    pub(super) text: String,
}

/// Sources whose literals are endpoints and metrics.
const SERVERS: [&str; 2] = ["lb/src/", "backend/src/"];

/// Every path in code marks of the map leads somewhere.
pub(super) fn paths_exist(tree: &Tree) -> Vec<Finding> {
    const MAP: &str = "ARCHITECTURE.md";
    let Some(map) = tree.text(MAP) else {
        return vec![Finding::fault(format!("{MAP} is missing"))];
    };
    code_marks(map)
        .filter(|mark| is_path(mark))
        .filter(|path| !tree.has(path))
        .map(|path| Finding::fault(format!("{MAP} names {path}, which does not exist")))
        .collect()
}

/// Every flag, variable, endpoint and metric stands in the README or below docs.
pub(super) fn all_documented(tree: &Tree, helps: &[Help]) -> Vec<Finding> {
    let pages = tree.ending(".md").filter(|(path, _)| *path == "README.md" || path.starts_with("docs/"));
    let described = pages.map(|(_, text)| text).collect::<Vec<_>>().join("\n");
    let mut missing = BTreeSet::new();
    for Help { of, text } in helps {
        for flag in words(text, |word| word.starts_with("--") && word.len() > 2) {
            // A table of keys names each without its dashes, since it is also a variable and an entry of the file.
            let key = format!("`{}`", flag.trim_start_matches('-'));
            let own = ["--help", "--version"].contains(&flag);
            if !own && !has_word(&described, flag) && !described.contains(&key) {
                missing.insert(format!("`{of}` takes {flag}, which no document describes"));
            }
        }
        for key in words(text, |word| word.starts_with("BALANZA_")) {
            if !has_word(&described, key) {
                missing.insert(format!("`{of}` reads {key}, which no document describes"));
            }
        }
    }
    for (path, text) in tree.ending(".rs").filter(|(path, _)| is_server_source(path)) {
        for literal in literals(text) {
            let what = if is_endpoint(literal) {
                "serves"
            } else if is_metric(literal) {
                "counts"
            } else {
                continue;
            };
            if !has_word(&described, literal) {
                missing.insert(format!("{path} {what} {literal}, which no document describes"));
            }
        }
    }
    missing.into_iter().map(Finding::Fault).collect()
}

/// The commands that a help lists.
pub(super) fn commands_of(help: &str) -> Vec<String> {
    let listed = help.lines().skip_while(|line| line.trim() != "Commands:").skip(1);
    listed
        .take_while(|line| line.starts_with("  "))
        // Deeper lines continue a description.
        .filter(|line| !line.starts_with("    "))
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| *name != "help")
        .map(str::to_owned)
        .collect()
}

fn is_server_source(path: &str) -> bool {
    let is_test = path.ends_with("tests.rs") || path.contains("/tests/");
    SERVERS.iter().any(|folder| path.starts_with(folder)) && !is_test
}

fn is_path(mark: &str) -> bool {
    let letters = mark.chars().all(|letter| letter.is_ascii_alphanumeric() || "/._-".contains(letter));
    let media_type = ["application/", "text/"].iter().any(|kind| mark.starts_with(kind));
    letters && mark.contains('/') && !mark.starts_with('/') && !media_type
}

/// `/sentence`, `/report/stream`, `/sentence/{id}`.
fn is_endpoint(literal: &str) -> bool {
    let letters = literal.chars().all(|letter| letter.is_ascii_lowercase() || "/{}._".contains(letter));
    let system = ["/proc", "/sys", "/dev", "/tmp", "/etc", "/var"];
    literal.starts_with('/')
        && literal.len() > 2
        && letters
        && !literal.ends_with('/')
        && !system.iter().any(|root| literal == *root || literal.starts_with(&format!("{root}/")))
}

/// `balanza_sentences_total`.
fn is_metric(literal: &str) -> bool {
    literal.starts_with("balanza_")
        && literal
            .chars()
            .all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '_')
}

/// What stands between backticks on one line.
fn code_marks(text: &str) -> impl Iterator<Item = &str> {
    text.lines().flat_map(|line| line.split('`').skip(1).step_by(2))
}

/// String literals of a source up to its tests, without those that hold an escape.
fn literals(text: &str) -> impl Iterator<Item = &str> {
    let code = text.lines().take_while(|line| !line.trim_start().starts_with("#[cfg(test)]"));
    let code = code.filter(|line| !line.trim_start().starts_with("//"));
    code.flat_map(|line| line.split('"').skip(1).step_by(2))
}

fn words(text: &str, wanted: impl Fn(&str) -> bool) -> BTreeSet<&str> {
    let separators = |letter: char| !letter.is_ascii_alphanumeric() && letter != '-' && letter != '_';
    text.split(separators).map(|word| word.trim_end_matches('-')).filter(|word| wanted(word)).collect()
}

/// Whether `word` stands in `text` and does not go on there.
fn has_word(text: &str, word: &str) -> bool {
    text.match_indices(word).any(|(at, _)| {
        let next = text[at + word.len()..].chars().next();
        !next.is_some_and(|letter| letter.is_ascii_alphanumeric() || letter == '-' || letter == '_')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn documented(readme: &str, help: &str, source: &str) -> Vec<Finding> {
        let tree = Tree::of(&[("README.md", readme), ("lb/src/http.rs", source)]);
        all_documented(&tree, &[Help { of: "balanza-lb".to_owned(), text: help.to_owned() }])
    }

    #[test]
    fn a_path_that_leads_nowhere_is_found() {
        let map = "See `lb/src/policy.rs`, `lb/`, `GET /sentence`, `/usage`, `application/json` and `lb/src/gone.rs`.";
        let tree = Tree::of(&[("ARCHITECTURE.md", map), ("lb/src/policy.rs", "")]);
        assert_eq!(
            paths_exist(&tree),
            [Finding::fault("ARCHITECTURE.md names lb/src/gone.rs, which does not exist")]
        );
        assert_eq!(paths_exist(&Tree::of(&[])).len(), 1, "a map that is missing is a fault");
    }

    #[test]
    fn what_is_described_has_no_fault() {
        let readme = "`--node NAME=URL`, BALANZA_NODE, `log-format`, `GET /fleet`, `/sentence/{id}`, balanza_routed_total";
        let help = "  --node <NAME=URL>  A node [env: BALANZA_NODE=]\n  --log-format <X>\n  -h, --help  Print help\n";
        let source = "route(\"/fleet\"); get(\"/sentence/{id}\"); metric(\"balanza_routed_total\"); read(\"/proc/stat\");";
        assert_eq!(documented(readme, help, source), Vec::new());
    }

    #[test]
    fn whatever_is_not_described_is_found() {
        let fault = |readme, help, source| match &documented(readme, help, source)[..] {
            [Finding::Fault(text)] => text.clone(),
            other => panic!("{other:?}"),
        };
        assert!(fault("`--node-file`", "  --node <X>", "").contains("takes --node,"));
        assert!(fault("", "  [env: BALANZA_NODE=]", "").contains("reads BALANZA_NODE,"));
        assert!(fault("`/fleets`", "", "route(\"/fleet\")").contains("serves /fleet,"));
        assert!(fault("", "", "metric(\"balanza_up\")").contains("counts balanza_up,"));
    }

    #[test]
    fn commands_are_read_from_a_help() {
        let help = "Usage: balanza\n\nCommands:\n  send   Send files\n           on two lines\n  fleet  The nodes\n  help   Print\n\nOptions:\n  --to\n";
        assert_eq!(commands_of(help), ["send", "fleet"]);
    }
}
