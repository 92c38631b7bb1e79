//! Which crates the workspace has, as cargo says it.

use serde_json::Value;

use super::modules::Target;

/// Every library, program, test and example of every package; build scripts are left out.
pub(super) fn targets(metadata: &Value) -> Vec<Target> {
    let root = text(&metadata["workspace_root"]);
    let packages = list(&metadata["packages"]);
    packages.flat_map(|package| of_package(package, root)).collect()
}

fn of_package(package: &Value, root: &str) -> Vec<Target> {
    let kinds = |target: &Value| list(&target["kind"]).map(text).map(str::to_owned).collect::<Vec<_>>();
    let is_library = |target: &Value| kinds(target).iter().any(|kind| kind == "lib");
    let name_of = |target: &Value| text(&target["name"]).replace('-', "_");
    let library = list(&package["targets"]).find(|target| is_library(target)).map(name_of);
    let dependencies = list(&package["dependencies"]).map(|dependency| {
        let renamed = dependency["rename"].as_str();
        renamed.unwrap_or_else(|| text(&dependency["name"])).replace('-', "_")
    });
    let crates = dependencies.chain(library).collect::<std::collections::BTreeSet<_>>();
    let targets = list(&package["targets"]).filter(|target| kinds(target) != ["custom-build"]);
    targets
        .map(|target| {
            let file = text(&target["src_path"]);
            Target {
                file: file.strip_prefix(root).unwrap_or(file).trim_start_matches('/').to_owned(),
                library: is_library(target).then(|| name_of(target)),
                crates: crates.clone(),
            }
        })
        .collect()
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
