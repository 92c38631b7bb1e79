//! A sentence's way: from a file through client, balancer and node into a store, and back with the node and the reason.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Output;

use harness::{Cluster, Program, http, texts};
use serde_json::{Value, json};

use crate::load::{Until, post_from};

/// Runs the client to its end.
pub(crate) async fn balanza(arguments: &[&str]) -> Output {
    let mut command = tokio::process::Command::from(Program::command("balanza"));
    command.args(arguments).stdin(std::process::Stdio::null()).kill_on_drop(true);
    tokio::time::timeout(harness::wait::DEADLINE, command.output()).await.expect("the client ends").unwrap()
}

/// What a run of the client that must succeed wrote, one JSON document a line.
async fn balanza_lines(arguments: &[&str]) -> Vec<Value> {
    let output = balanza(arguments).await;
    let (text, errors) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{arguments:?}: {}\n{errors}", output.status);
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON: {line}")))
        .collect()
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// How often each sentence occurs.
fn counted<'a>(sentences: impl IntoIterator<Item = &'a str>) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    for sentence in sentences {
        *counts.entry(sentence.to_owned()).or_default() += 1;
    }
    counts
}

fn member<'a>(values: &'a [Value], name: &str) -> Vec<&'a str> {
    values.iter().map(|value| value[name].as_str().unwrap_or_else(|| panic!("no {name}: {value}"))).collect()
}

/// Sends both texts to a cluster and finds every sentence in a store, as many in each as the answers said.
pub(crate) async fn sends_real_text(cluster: &Cluster) {
    let (english, spanish) = (texts::english(), texts::spanish());
    let files = [text(&english), text(&spanish)];
    let split = balanza_lines(&["split", files[0], files[1], "--json"]).await;
    assert!(split.len() > 500, "several hundred sentences: {}", split.len());

    let run = ["send", files[0], files[1], "--to", cluster.url(), "--json", "--fresh"];
    let report = balanza_lines(&run).await.remove(0);
    let n_sentences = split.len() as u64;
    for (key, expected) in [("sentences", n_sentences), ("stored", n_sentences), ("failed", 0), ("unsent", 0)]
    {
        assert_eq!(report[key], expected, "{key}: {report}");
    }

    let mut stored = Vec::new();
    for node in cluster.nodes() {
        let here = http::sentences(node.url()).await;
        let reasons = report["by_node"][&node.name].as_object().unwrap_or_else(|| panic!("{report}"));
        let answered = reasons.values().map(|count| count.as_u64().unwrap()).sum::<u64>();
        assert_eq!(here.len() as u64, answered, "node {} holds what the answers said", node.name);
        for reason in reasons.keys() {
            assert!(
                ["database", "ram", "cpu", "A"].contains(&reason.as_str()),
                "a reason of the rule: {reason}"
            );
        }
        stored.extend(here);
    }
    assert_eq!(
        counted(stored.iter().map(|sentence| sentence.sentence.as_str())),
        counted(member(&split, "sentence")),
        "what lies in the stores is the text"
    );
    let counts = cluster.counts().await;
    assert!(counts[0].abs_diff(counts[1]) <= 1, "{counts:?}");
    assert_eq!(counts.iter().sum::<u64>(), n_sentences);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_text_is_stored_and_found_again() {
    let cluster = Cluster::start().await;
    sends_real_text(&cluster).await;
    // And back through the client: everything, from all nodes, by date.
    let listed = balanza_lines(&["sentences", "--from", cluster.url(), "--json"]).await;
    let counts = cluster.counts().await;
    assert_eq!(listed.len() as u64, counts.iter().sum::<u64>());
    let dates = member(&listed, "date");
    assert!(dates.is_sorted(), "all nodes merged by date");
    for (node, count) in cluster.nodes().iter().zip(counts) {
        let here = member(&listed, "server").into_iter().filter(|server| *server == node.name).count();
        assert_eq!(here as u64, count);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sixty_four_connections_leave_equal_counts_and_one_copy_each() {
    let cluster = Cluster::start().await;
    let outcome = post_from(64, cluster.url(), Until::Sent(40)).await;
    assert_eq!(outcome.failures, Vec::<String>::new());
    assert_eq!(outcome.ledger.n_acknowledged(), 64 * 40);
    cluster.check(&outcome.ledger).await.unwrap();
    let counts = cluster.counts().await;
    assert!(counts[0].abs_diff(counts[1]) <= 1, "{counts:?}");
    for node in cluster.nodes() {
        let mut said = outcome
            .places
            .iter()
            .filter(|(_, server)| *server == node.name)
            .map(|(id, _)| *id)
            .collect::<Vec<_>>();
        let mut here = http::ids(node.url()).await;
        said.sort();
        here.sort();
        assert_eq!(here, said, "node {}", node.name);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn five_nodes_end_equal_too() {
    let cluster = Cluster::builder().nodes(5).start().await;
    let outcome = post_from(64, cluster.url(), Until::Sent(10)).await;
    assert_eq!(outcome.failures, Vec::<String>::new());
    cluster.check(&outcome.ledger).await.unwrap();
    assert_eq!(cluster.counts().await, [128; 5]);
}

#[tokio::test]
async fn one_sentence_is_told_with_its_node_its_reason_and_its_numbers() {
    let cluster = Cluster::start().await;
    let body = json!({ "author": "Ana", "sentence": "Hola, balanza." });
    let answer = http::post(&format!("{}/sentence", cluster.url()), &body).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let (server, filter) = (answer.json["server"].as_str().unwrap(), answer.json["filter"].as_str().unwrap());
    let decision = answer.header("balanza-decision").expect("the numbers compared");
    assert!(decision.contains(server) && decision.contains(filter), "{decision}");

    let id = answer.json["data"]["id"].as_str().unwrap();
    let node = cluster.nodes().iter().find(|node| node.name == server).unwrap();
    let stored = http::get(&format!("{}/sentence/{id}", node.url())).await;
    assert_eq!((stored.status, &stored.json), (200, &answer.json["data"]));

    let decisions = http::get(&format!("{}/decisions?limit=1", cluster.url())).await;
    let newest = &decisions.json[0];
    assert_eq!((&newest["id"], &newest["node"]), (&json!(id), &json!(server)), "{}", decisions.text);
    assert_eq!(newest["filter"], filter);
    assert_eq!(newest["candidates"].as_array().map(Vec::len), Some(2), "{newest}");
}

#[tokio::test]
async fn a_repeated_id_is_stored_once() {
    let cluster = Cluster::start().await;
    let url = format!("{}/sentence", cluster.url());
    let id = "0192f0c1-2b3c-7def-8a9b-0c1d2e3f4a5b";
    let with_id = json!({ "id": id, "author": "Ana", "sentence": "Una vez." });
    let first = http::post(&url, &with_id).await;
    assert_eq!(first.status, 200, "{}", first.text);
    let node = cluster.nodes().iter().find(|node| first.json["server"] == node.name.as_str()).unwrap();
    // Straight to its node: the second answer is the document as it was stored first.
    let other_words = json!({ "id": id, "author": "Eva", "sentence": "Dos veces." });
    let second = http::post(&format!("{}/sentence", node.url()), &other_words).await;
    assert_eq!((second.status, &second.json), (200, &first.json["data"]));
    assert_eq!(cluster.counts().await.iter().sum::<u64>(), 1);
}

#[tokio::test]
async fn an_id_may_come_in_a_header() {
    let cluster = Cluster::start().await;
    let id = "0192f0c1-2b3c-7def-8a9b-0c1d2e3f4a5c";
    let request = http::client()
        .post(format!("{}/sentence", cluster.url()))
        .header("idempotency-key", id)
        .json(&json!({ "author": "Ana", "sentence": "Con llave." }));
    let answer = http::send(request).await.unwrap();
    assert_eq!((answer.status, &answer.json["data"]["id"]), (200, &json!(id)), "{}", answer.text);
}

#[tokio::test]
async fn a_bulk_post_is_answered_item_by_item() {
    let cluster = Cluster::start().await;
    let items = (0..50).map(|number| json!({ "author": "Ana", "sentence": format!("Número {number}.") }));
    let mut lines = items.map(|item| item.to_string()).collect::<Vec<_>>();
    lines.insert(7, json!({ "author": "", "sentence": "Sin autor." }).to_string());
    let request = http::client()
        .post(format!("{}/sentences", cluster.url()))
        .header("content-type", wire::contract::NDJSON)
        .body(lines.join("\n"));
    let answer = http::send(request).await.unwrap();
    let answers = answer.json.as_array().cloned().unwrap_or_else(|| {
        // NDJSON in, NDJSON out is as good as an array.
        answer.text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    });
    assert_eq!((answer.status, answers.len()), (200, 51), "{}", answer.text);
    for (number, item) in answers.iter().enumerate() {
        if number == 7 {
            assert_eq!(item["error"]["field"], "author", "one bad item fails alone: {item}");
        } else {
            assert!(item["server"].is_string() && item["data"]["id"].is_string(), "{item}");
        }
    }
    assert_eq!(cluster.counts().await, [25, 25]);
}

#[tokio::test]
async fn the_list_is_merged_and_can_be_of_one_node() {
    let cluster = Cluster::start().await;
    let outcome = post_from(4, cluster.url(), Until::Sent(10)).await;
    assert_eq!(outcome.ledger.n_acknowledged(), 40);
    let all = http::get(&format!("{}/sentence", cluster.url())).await;
    let all = all.json.as_array().cloned().unwrap_or_else(|| panic!("{}", all.text));
    assert_eq!(all.len(), 40);
    assert!(member(&all, "date").is_sorted());
    for node in cluster.nodes() {
        let one = http::get(&format!("{}/sentence?server={}", cluster.url(), node.name)).await;
        let one = one.json.as_array().cloned().unwrap_or_else(|| panic!("{}", one.text));
        assert_eq!(one.len(), 20);
        assert!(member(&one, "server").iter().all(|server| *server == node.name));
    }
}
