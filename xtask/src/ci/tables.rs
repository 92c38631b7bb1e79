//! One lint table for every workspace. Members inherit it, which is for `crates` to check; a workspace of its own
//! cannot, so it carries a copy, which must be equal.

use std::collections::BTreeMap;

use super::Finding;
use super::tree::Tree;

/// Where the table is.
const ROOT: &str = "Cargo.toml";
/// The parts of the table.
const KINDS: [&str; 2] = ["rust", "clippy"];

/// All workspaces whose table is not that of the root.
pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let ours = table(tree.text(ROOT).unwrap_or_default(), "workspace.lints");
    let manifests = tree.ending("Cargo.toml").filter(|(path, text)| {
        let own = text.lines().any(|line| line.trim() == "[workspace]");
        own && *path != ROOT
    });
    manifests.flat_map(|(path, text)| differences(path, &ours, &table(text, "lints"))).collect()
}

/// The level of each lint, by its kind and name.
type Table<'a> = BTreeMap<(&'static str, &'a str), &'a str>;

fn table<'a>(manifest: &'a str, under: &str) -> Table<'a> {
    let entries = |kind| {
        let head = format!("[{under}.{kind}]");
        let lines = manifest.lines().map(str::trim).skip_while(move |line| *line != head).skip(1);
        let entries = lines.take_while(|line| !line.starts_with('[')).filter_map(|line| line.split_once('='));
        entries.filter(|(name, _)| !name.starts_with('#')).map(move |(name, level)| {
            let level = level.split('#').next().unwrap_or_default();
            ((kind, name.trim()), level.trim())
        })
    };
    KINDS.into_iter().flat_map(entries).collect()
}

fn differences(path: &str, ours: &Table<'_>, theirs: &Table<'_>) -> Vec<Finding> {
    let wrong = ours.iter().filter(|(lint, level)| theirs.get(*lint) != Some(*level));
    let wrong = wrong.map(|((kind, name), level)| format!("lacks {kind} `{name} = {level}`"));
    let more = theirs.keys().filter(|lint| !ours.contains_key(*lint));
    let more = more.map(|(kind, name)| format!("has {kind} `{name}`, which the root has not"));
    wrong
        .chain(more)
        .map(|what| Finding::fault(format!("the lints of {path} are not the root's: it {what}")))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: &str = "[workspace]\n[workspace.lints.rust]\nunsafe_code = \"deny\"\n\n[workspace.lints.clippy]\n\
        # Why.\npanic = \"deny\"\n[profile.dev]\ndebug = 0\n";

    fn faults(path: &str, lints: &str) -> Vec<Finding> {
        let manifest =
            format!("[package]\nname = \"x\"\n[workspace]\n{lints}\n[dependencies]\npanic = \"1\"\n");
        check(&Tree::of(&[("Cargo.toml", OURS), (path, &manifest)]))
    }

    #[test]
    fn an_equal_table_has_no_fault() {
        let copy = "[lints.clippy]\n# Another why.\npanic  =  \"deny\" # here too\n[lints.rust]\nunsafe_code = \"deny\"\n";
        assert_eq!(faults("x/Cargo.toml", copy), Vec::new());
        assert_eq!(check(&Tree::of(&[("Cargo.toml", OURS), ("x/Cargo.toml", "[package]\n")])), Vec::new());
    }

    #[test]
    fn each_difference_is_found() {
        let cases = [
            ("[lints.rust]\nunsafe_code = \"deny\"\n", "lacks clippy `panic = \"deny\"`"),
            ("[lints.rust]\nunsafe_code = \"deny\"\n[lints.clippy]\npanic = \"warn\"", "lacks clippy `panic"),
            (
                "[lints.rust]\nunsafe_code = \"deny\"\n[lints.clippy]\npanic = \"deny\"\ntodo = \"allow\"",
                "has clippy `todo`",
            ),
            ("[lints.rust]\npanic = \"deny\"\nunsafe_code = \"deny\"", "lacks clippy"),
        ];
        for (lints, expected) in cases {
            let found = faults("x/Cargo.toml", lints);
            let told = |finding: &Finding| matches!(finding, Finding::Fault(text) if text.contains(expected));
            assert!(found.iter().any(told), "{found:?} lacks {expected}");
        }
        assert_eq!(faults("x/Cargo.toml", "").len(), 2, "a workspace without a table lacks every lint");
    }
}
