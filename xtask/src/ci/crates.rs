//! Which of our crates may depend on which, and that each one takes part in the lint table. Absent: who may use what of
//! others, which `deny.toml` says; workspaces of their own, which cargo does not name beside ours and `tables` looks at.

use serde_json::Value;

use super::Finding;
use super::tree::Tree;

/// Our crates and those of ours that each may depend on. An edge that is not here is a fault, and so is a new crate
/// until it is here with its reason to exist.
const OURS: [(&str, &[&str]); 11] = [
    ("wire", &[]),
    ("wal", &[]),
    ("guard", &["wire"]),
    ("lb", &["wire", "wal", "guard"]),
    ("backend", &["wire", "guard", "ebpf-sensor"]),
    ("ebpf-abi", &[]),
    ("ebpf-sensor", &["ebpf-abi"]),
    ("client", &["wire"]),
    ("xtask", &[]),
    ("bench", &["xtask"]),
    ("tests", &["wire"]),
];

/// The edges that tests may add, as dev-dependencies. The harness is the library of `tests`: whoever stands on it
/// reaches what that library depends on, hence `wire` and no more.
const FOR_TESTS: [(&str, &[&str]); 4] = [
    ("lb", &["tests"]),
    ("backend", &["tests"]),
    ("client", &["tests"]),
    ("tests", &["lb", "backend", "ebpf-abi", "ebpf-sensor", "client"]),
];

/// All findings in the manifests; `metadata` is what `cargo metadata --no-deps` prints.
pub(super) fn check(tree: &Tree, metadata: &Value) -> Vec<Finding> {
    let root = metadata["workspace_root"].as_str().unwrap_or_default();
    let empty = Vec::new();
    let packages = metadata["packages"].as_array().unwrap_or(&empty);
    let mut findings = packages.iter().flat_map(check_edges).collect::<Vec<_>>();
    for package in packages {
        let manifest = package["manifest_path"].as_str().unwrap_or_default();
        let manifest = manifest.strip_prefix(root).unwrap_or(manifest).trim_start_matches('/');
        if !tree.text(manifest).is_some_and(takes_the_lints) {
            findings.push(Finding::fault(format!("{manifest} lacks `[lints]` with `workspace = true`")));
        }
    }
    if packages.is_empty() {
        findings.push(Finding::fault("`cargo metadata` names no package"));
    }
    findings
}

fn check_edges(package: &Value) -> Vec<Finding> {
    let name = package["name"].as_str().unwrap_or_default();
    let Some((_, allowed)) = OURS.iter().find(|(ours, _)| *ours == name) else {
        return vec![Finding::fault(format!(
            "`{name}` is a new crate; give it its place and its reason in the design, then its edges here"
        ))];
    };
    let empty = Vec::new();
    let for_tests = FOR_TESTS.iter().find(|(ours, _)| *ours == name).map_or(&[][..], |(_, allowed)| allowed);
    let dependencies = package["dependencies"].as_array().unwrap_or(&empty).iter();
    dependencies
        .filter_map(|dependency| Some((dependency["name"].as_str()?, dependency["kind"] == "dev")))
        .filter(|(on, is_for_tests)| {
            let ours = OURS.iter().any(|(crate_name, _)| crate_name == on);
            let is_allowed = allowed.contains(on) || (*is_for_tests && for_tests.contains(on));
            ours && !is_allowed
        })
        .map(|(on, _)| Finding::fault(format!("`{name}` must not depend on `{on}`")))
        .collect()
}

fn takes_the_lints(manifest: &str) -> bool {
    let mut lines = manifest.lines().map(str::trim);
    manifest.lines().any(|line| line.trim() == "lints.workspace = true")
        || (lines.any(|line| line == "[lints]") && lines.next() == Some("workspace = true"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const LINTS: &str = "[package]\n[lints]\nworkspace = true\n";

    fn faults(name: &str, on: &[&str], manifest: &str) -> Vec<Finding> {
        faults_of(name, on, &Value::Null, manifest)
    }

    fn faults_of(name: &str, on: &[&str], kind: &Value, manifest: &str) -> Vec<Finding> {
        let tree = Tree::of(&[("x/Cargo.toml", manifest)]);
        let dependencies = on.iter().map(|name| json!({ "name": name, "kind": kind })).collect::<Vec<_>>();
        let package =
            json!({ "name": name, "manifest_path": "/repo/x/Cargo.toml", "dependencies": dependencies });
        check(&tree, &json!({ "workspace_root": "/repo", "packages": [package] }))
    }

    #[test]
    fn edges_of_the_design_have_no_fault() {
        assert_eq!(faults("lb", &["wire", "actix-web", "serde"], LINTS), Vec::new());
        assert_eq!(faults("backend", &["wire", "ebpf-sensor", "mongodb"], LINTS), Vec::new());
        assert_eq!(faults("client", &["ratatui"], "lints.workspace = true\n"), Vec::new());
    }

    #[test]
    fn each_forbidden_edge_is_found() {
        let forbidden = [
            ("lb", "backend"),
            ("lb", "ebpf-sensor"),
            ("client", "backend"),
            ("client", "ebpf-abi"),
            ("backend", "lb"),
            ("backend", "tests"),
            ("wire", "lb"),
            ("wal", "wire"),
            ("client", "wal"),
            ("wire", "guard"),
            ("guard", "lb"),
            ("client", "guard"),
            ("xtask", "wire"),
            ("xtask", "bench"),
            ("bench", "lb"),
            ("ebpf-sensor", "wire"),
        ];
        for (from, on) in forbidden {
            let found = faults(from, &["serde", on], LINTS);
            assert_eq!(found, [Finding::fault(format!("`{from}` must not depend on `{on}`"))]);
        }
    }

    #[test]
    fn only_tests_stand_on_the_harness_and_they_reach_no_more_by_it() {
        let (dev, build) = (json!("dev"), json!("build"));
        for (from, on) in
            [("lb", "tests"), ("client", "tests"), ("backend", "tests"), ("tests", "ebpf-sensor")]
        {
            assert_eq!(faults_of(from, &[on], &dev, LINTS), Vec::new());
            for kind in [&Value::Null, &build] {
                let expected = Finding::fault(format!("`{from}` must not depend on `{on}`"));
                assert_eq!(faults_of(from, &[on], kind, LINTS), [expected]);
            }
        }
        for (from, on) in [
            ("lb", "backend"),
            ("lb", "ebpf-abi"),
            ("lb", "ebpf-sensor"),
            ("client", "lb"),
            ("wire", "tests"),
            ("xtask", "tests"),
            ("ebpf-sensor", "tests"),
        ] {
            assert_eq!(faults_of(from, &[on], &dev, LINTS).len(), 1, "{from} on {on}");
        }
    }

    #[test]
    fn a_new_crate_and_a_crate_without_lints_are_found() {
        assert!(
            matches!(&faults("utils", &[], LINTS)[..], [Finding::Fault(text)] if text.contains("new crate"))
        );
        assert!(
            matches!(&faults("lb", &[], "[package]\n")[..], [Finding::Fault(text)] if text.contains("[lints]"))
        );
        let none = check(&Tree::of(&[]), &json!({}));
        assert!(matches!(&none[..], [Finding::Fault(text)] if text.contains("no package")));
    }
}
