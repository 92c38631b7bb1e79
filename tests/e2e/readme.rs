//! What the documents say: each `curl` of the README gives what the README shows, and the reference names every route
//! and metric that the servers tell of themselves.

use std::path::Path;

use harness::{Cluster, http, need};
use serde_json::Value;

/// A command of the README and the output that it shows below, if it shows any.
#[derive(Debug, PartialEq, Eq)]
struct Shown {
    command: String,
    output: String,
}

/// The `curl` commands in fenced blocks. Lines after a command, up to the next command or the end of the block, are its
/// output; so is a block marked `json` that follows at once.
fn shown(readme: &str) -> Vec<Shown> {
    let mut all = Vec::<Shown>::new();
    let (mut in_block, mut takes_output) = (false, false);
    let mut lines = readme.lines();
    while let Some(line) = lines.next() {
        if let Some(mark) = line.trim_start().strip_prefix("```") {
            in_block = !in_block;
            if in_block {
                takes_output &= mark == "json";
            }
            continue;
        }
        if !in_block {
            takes_output &= line.trim().is_empty();
            continue;
        }
        let plain = line.trim_start().trim_start_matches("$ ");
        if plain.starts_with("curl ") {
            let mut command = plain.to_owned();
            while command.ends_with('\\') {
                command.truncate(command.len() - 1);
                command.push_str(lines.next().unwrap_or_default().trim());
            }
            all.push(Shown { command, output: String::new() });
            takes_output = true;
        } else if line.trim_start().starts_with("$ ") {
            takes_output = false;
        } else if let (true, Some(last)) = (takes_output, all.last_mut()) {
            last.output.push_str(line);
            last.output.push('\n');
        }
    }
    all
}

/// Whether `found` has the keys and kinds of `expected`: objects have at least its keys, arrays elements like its first.
fn same_shape(expected: &Value, found: &Value) -> Result<(), String> {
    match (expected, found) {
        (Value::Object(expected), Value::Object(found)) => expected.iter().try_for_each(|(key, value)| {
            let found = found.get(key).ok_or_else(|| format!("`{key}` is missing"))?;
            same_shape(value, found).map_err(|error| format!("{key}: {error}"))
        }),
        (Value::Array(expected), Value::Array(found)) => match (expected.first(), found.first()) {
            (Some(expected), Some(found)) => same_shape(expected, found),
            (Some(_), None) => Err("the list is empty".to_owned()),
            (None, _) => Ok(()),
        },
        (Value::String(_), Value::String(_))
        | (Value::Number(_), Value::Number(_))
        | (Value::Bool(_), Value::Bool(_))
        | (Value::Null, _)
        | (_, Value::Null) => Ok(()),
        (expected, found) => Err(format!("{found} is of another kind than {expected}")),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_curl_lines_of_the_readme_work() {
    let curl = std::process::Command::new("curl").arg("--version").output();
    let curl = curl.map_err(|error| format!("curl cannot be run: {error}"));
    if need::or_skip("the_curl_lines_of_the_readme_work", "curl", curl).is_none() {
        return;
    }
    let commands = shown(&document("README.md"));
    assert!(!commands.is_empty(), "the README shows no curl command");
    let cluster = Cluster::start().await;
    for Shown { command, output } in commands {
        let here = command
            .replace("http://127.0.0.1:4999", cluster.url())
            .replace("http://127.0.0.1:5000", cluster.nodes()[0].url())
            .replace("http://127.0.0.1:5001", cluster.nodes()[1].url())
            .replacen("curl ", "curl --silent --show-error --fail-with-body --max-time 20 ", 1);
        let ran = tokio::process::Command::new("sh").args(["-c", &here]).output().await.unwrap();
        let found = String::from_utf8_lossy(&ran.stdout).into_owned();
        assert!(ran.status.success(), "{here}\n{found}\n{}", String::from_utf8_lossy(&ran.stderr));
        if let Ok(expected) = serde_json::from_str::<Value>(&output) {
            let found =
                serde_json::from_str(&found).unwrap_or_else(|_| panic!("{here} gives no JSON: {found}"));
            same_shape(&expected, &found).unwrap_or_else(|error| panic!("{here}: {error}\n{found}"));
        }
    }
}

fn document(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_reference_names_every_route_and_metric() {
    let reference = document("docs/http.md");
    let cluster = Cluster::start().await;
    for url in [cluster.url(), cluster.nodes()[0].url()] {
        let contract = http::get(&format!("{url}/openapi.json")).await.json;
        let routes = contract["paths"].as_object().unwrap_or_else(|| panic!("{url} has no contract"));
        for (path, methods) in routes {
            for method in ["get", "post", "put", "delete"] {
                let line = format!("`{} {path}`", method.to_uppercase());
                assert!(
                    methods.get(method).is_none() || reference.contains(&line),
                    "{line} is not described"
                );
            }
        }
        let metrics = http::get(&format!("{url}/metrics")).await.text;
        let names = metrics.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next());
        let names = names.collect::<Vec<_>>();
        assert!(names.len() > 5, "{metrics}");
        for name in names {
            assert!(reference.contains(&format!("`{name}`")), "{name} is not described");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn commands_are_read_with_their_output() {
        let readme = "```sh\n$ curl -X POST http://x \\\n    -d '{}'\n{\"a\":1}\n$ ls\nREADME\n```\n\n```sh\ncurl http://y\n```\n\n```json\n[]\n```\nText\n```json\n{}\n```\n";
        assert_eq!(
            shown(readme),
            [
                Shown {
                    command: "curl -X POST http://x -d '{}'".to_owned(),
                    output: "{\"a\":1}\n".to_owned()
                },
                Shown { command: "curl http://y".to_owned(), output: "[]\n".to_owned() },
            ]
        );
    }

    #[test]
    fn another_shape_is_found() {
        let expected = json!({ "server": "A", "data": [{ "id": "x" }], "n": 1 });
        same_shape(&expected, &json!({ "server": "B", "data": [{ "id": "y" }], "n": 2, "more": [] }))
            .unwrap();
        for other in [
            json!({}),
            json!({ "server": 1, "data": [{ "id": "" }], "n": 1 }),
            json!({ "server": "", "data": [], "n": 1 }),
            json!({ "server": "", "data": [{}], "n": 1 }),
        ] {
            same_shape(&expected, &other).unwrap_err();
        }
    }
}
