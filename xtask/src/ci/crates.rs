//! Which of our crates may depend on which, and that each one takes part in the lint table. Absent: who may use what of
//! others, which `deny.toml` says.

use serde_json::Value;

use super::Finding;
use super::tree::Tree;

/// Our crates and those of ours that each may depend on. An edge that is not here is a fault, and so is a new crate
/// until it is here with its reason to exist.
const OURS: [(&str, &[&str]); 8] = [
    ("wire", &[]),
    ("lb", &["wire"]),
    ("backend", &["wire", "ebpf-sensor"]),
    ("ebpf-abi", &[]),
    ("ebpf-sensor", &["ebpf-abi"]),
    ("client", &["wire"]),
    ("xtask", &[]),
    ("tests", &["wire", "lb", "backend", "ebpf-abi", "ebpf-sensor", "client"]),
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
    let dependencies = package["dependencies"].as_array().unwrap_or(&empty).iter();
    dependencies
        .filter_map(|dependency| dependency["name"].as_str())
        .filter(|on| OURS.iter().any(|(ours, _)| ours == on) && !allowed.contains(on))
        .map(|on| Finding::fault(format!("`{name}` must not depend on `{on}`")))
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
        let tree = Tree::of(&[("x/Cargo.toml", manifest)]);
        let dependencies = on.iter().map(|name| json!({ "name": name, "kind": null })).collect::<Vec<_>>();
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
            ("xtask", "wire"),
            ("ebpf-sensor", "wire"),
        ];
        for (from, on) in forbidden {
            let found = faults(from, &["serde", on], LINTS);
            assert_eq!(found, [Finding::fault(format!("`{from}` must not depend on `{on}`"))]);
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
