//! What a node tells of itself: usage, reports, the feed, health, metrics, and the contract.

use std::collections::BTreeSet;

use futures_util::StreamExt;
use reqwest::Method;
use wire::{Report, Usage};

use crate::support::{DEADLINE, Node, answer, get, id, line, post_json};

#[tokio::test]
async fn usage_is_what_the_old_page_reads() {
    let node = Node::embedded(&[]);
    let answer = get(&format!("{}/usage", node.url)).await;
    let usage: Usage = answer.json();
    assert_eq!(usage.database, 0);
    assert!(usage.ram().is_some(), "{}", answer.body);
    assert!(answer.body.starts_with(r#"{"cpu":""#), "{}", answer.body);
}

#[tokio::test]
async fn a_report_names_its_sources_and_carries_the_load() {
    let node = Node::embedded(&[]);
    let answer = get(&format!("{}/report", node.url)).await;
    let report: Report = answer.json();
    assert_eq!((report.ready, report.valid, report.source), (true, true, wire::Source::Procfs));
    assert!(report.ram_total_bytes > report.ram_available_bytes);
    assert!(answer.header("endpoint-load-metrics").starts_with("JSON {"));
    let later: Report = get(&format!("{}/report", node.url)).await.json();
    assert!(later.seq > report.seq && later.epoch == report.epoch);
}

/// Reads the feed event by event.
struct Feed {
    bytes: futures_util::stream::BoxStream<'static, reqwest::Result<bytes::Bytes>>,
    text: String,
}

impl Feed {
    async fn open(node: &Node) -> Self {
        let response = reqwest::get(format!("{}/report/stream", node.url)).await.unwrap();
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Self { bytes: response.bytes_stream().boxed(), text: String::new() }
    }

    /// The next report; `None` at the end of the feed.
    async fn next(&mut self) -> Option<Report> {
        loop {
            if let Some((event, rest)) = self.text.split_once("\n\n") {
                let mut lines = event.lines();
                assert_eq!(lines.next(), Some("event: report"));
                let seq: u64 = lines.next().unwrap().strip_prefix("id: ").unwrap().parse().unwrap();
                let data = lines.next().unwrap().strip_prefix("data: ").unwrap();
                let report: Report = serde_json::from_str(data).unwrap();
                assert_eq!(report.seq, seq);
                self.text = rest.to_owned();
                return Some(report);
            }
            let bytes =
                tokio::time::timeout(DEADLINE, self.bytes.next()).await.expect("the feed is silent")?;
            self.text.push_str(std::str::from_utf8(&bytes.unwrap()).unwrap());
        }
    }
}

#[tokio::test]
async fn the_feed_tells_changes_and_beats_and_ends_with_the_node() {
    let mut node = Node::embedded(&[]);
    let mut feed = Feed::open(&node).await;
    let first = feed.next().await.unwrap();
    assert_eq!((first.documents, first.ready), (0, true));
    let posted = post_json(&format!("{}/sentence", node.url), line(id(), "Ana", "text")).await;
    let mut last = first;
    while last.documents == 0 {
        let next = feed.next().await.unwrap();
        assert!(next.seq > last.seq);
        last = next;
    }
    assert_eq!(last.revision, posted.number("balanza-revision"));
    // Nothing happens, and still it speaks.
    let beat = feed.next().await.unwrap();
    assert!(beat.seq > last.seq);
    // A stop is told, and then the feed ends although its reader stays.
    let stopping = std::thread::spawn(move || node.stop());
    let mut end = beat;
    while let Some(report) = feed.next().await {
        end = report;
    }
    assert_eq!((end.ready, end.not_ready_because.as_deref()), (false, Some("stopping")));
    stopping.join().unwrap();
}

#[tokio::test]
async fn health_and_metrics_answer() {
    let node = Node::embedded(&[]);
    post_json(&format!("{}/sentence", node.url), line(id(), "Ana", "text")).await;
    assert_eq!(get(&format!("{}/livez", node.url)).await.body, "ok\n");
    assert_eq!(get(&format!("{}/readyz", node.url)).await.body, "ok\n");
    let verbose = get(&format!("{}/readyz?verbose", node.url)).await;
    assert!(verbose.body.contains("store: ok (embedded, 1 documents)"), "{}", verbose.body);
    assert!(verbose.body.contains("(procfs)"));
    let metrics = get(&format!("{}/metrics", node.url)).await;
    assert!(metrics.header("content-type").starts_with("application/openmetrics-text"));
    for expected in [
        "balanza_backend_documents{store=\"embedded\"} 1\n",
        "balanza_backend_inserts_total{outcome=\"stored\"} 1\n",
        "balanza_backend_http_requests_total{route=\"/sentence\",code=\"2xx\"} 1\n",
        "balanza_backend_probe_source{half=\"cpu\",source=\"procfs\"} 1\n",
        "balanza_backend_store_insert_duration_seconds_count 1\n",
    ] {
        assert!(metrics.body.contains(expected), "no {expected} in {}", metrics.body);
    }
    assert!(metrics.body.ends_with("# EOF\n"));
    // Each family is described once, before its samples.
    let described: Vec<&str> = metrics.body.lines().filter_map(|line| line.strip_prefix("# TYPE ")).collect();
    assert_eq!(described.iter().collect::<BTreeSet<_>>().len(), described.len());
}

/// The contract, the table of routes and the running node name the same paths and methods.
#[tokio::test]
async fn the_contract_is_what_the_node_does() {
    let node = Node::embedded(&[]);
    let contract: serde_json::Value = get(&format!("{}/openapi.json", node.url)).await.json();
    let documented: BTreeSet<(String, String)> = contract["paths"]
        .as_object()
        .unwrap()
        .iter()
        .flat_map(|(path, item)| {
            let methods = item.as_object().unwrap().keys().filter(|key| *key != "parameters");
            methods.map(move |method| (path.clone(), method.to_uppercase()))
        })
        .collect();
    let listed: BTreeSet<(String, String)> = backend::http::ROUTES
        .iter()
        .flat_map(|(path, methods)| {
            methods.split(", ").map(move |method| ((*path).to_owned(), method.to_owned()))
        })
        .filter(|(_, method)| method != "HEAD")
        .collect();
    assert_eq!(documented, listed);

    for (path, methods) in backend::http::ROUTES {
        let url = format!("{}{}", node.url, path.replace("{id}", &id().to_string()));
        for method in ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"] {
            if path == "/report/stream" && method == "GET" {
                continue; // It does not end; the feed has a test of its own.
            }
            let request =
                reqwest::Client::new().request(Method::from_bytes(method.as_bytes()).unwrap(), &url);
            let answer = answer(request).await;
            let known = methods.split(", ").any(|known| known == method);
            assert_eq!(answer.status != 405, known, "{method} {path}: {}", answer.status);
            if !known {
                assert_eq!(answer.header("allow"), methods);
            }
        }
    }
}
