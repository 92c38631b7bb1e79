//! Nodes that die, freeze and come back in the middle of a run: nothing acknowledged is lost, doubled or invented.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use harness::{Cluster, eventually, http};
use serde_json::json;

use crate::load::{Outcome, Until, post_from};

const N_CLIENTS: usize = 16;

/// A load that runs until it is told to stop.
struct Load {
    stop: Arc<AtomicBool>,
    clients: tokio::task::JoinHandle<Outcome>,
}

impl Load {
    fn start(url: &str) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let until = Until::Told(Arc::clone(&stop));
        let url = url.to_owned();
        Self { stop, clients: tokio::spawn(async move { post_from(N_CLIENTS, &url, until).await }) }
    }

    async fn end(self) -> Outcome {
        self.stop.store(true, Ordering::Relaxed);
        self.clients.await.unwrap()
    }
}

/// Waits until the balancer says that the node has stored `more` sentences more than it has now.
async fn progress(url: &str, node: usize, more: u64) {
    let stored = || async {
        let fleet = http::get(&format!("{url}/fleet")).await;
        fleet.json["nodes"][node]["stored"].as_u64().unwrap_or_else(|| panic!("no count: {}", fleet.text))
    };
    let goal = stored().await + more;
    eventually(&format!("node {node} stores {more} more"), async || {
        let now = stored().await;
        if now >= goal { Ok(()) } else { Err(format!("{now} of {goal}")) }
    })
    .await;
}

/// Posts as many sentences as the counts differ by, one after the other, and expects equal counts.
async fn catches_up(cluster: &Cluster) {
    let counts = cluster.counts().await;
    let behind = counts.iter().max().unwrap() - counts.iter().min().unwrap();
    let client = http::client();
    for number in 0..behind {
        let body = json!({ "author": "Ana", "sentence": format!("De vuelta {number}.") });
        let answer =
            http::send(client.post(format!("{}/sentence", cluster.url())).json(&body)).await.unwrap();
        assert_eq!((answer.status, &answer.json["filter"]), (200, &json!("database")), "{}", answer.text);
    }
    let counts = cluster.counts().await;
    assert_eq!(counts[0], counts[1], "the node that was behind caught up");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_node_comes_back_with_all_it_acknowledged() {
    let mut cluster = Cluster::start().await;
    let url = cluster.url().to_owned();
    let load = Load::start(&url);
    progress(&url, 1, 200).await;
    cluster.node(1).kill_9();
    cluster.sees(&[("A", "up"), ("B", "down")]).await;
    progress(&url, 0, 200).await;
    cluster.node(1).restart().await;
    cluster.sees(&[("A", "up"), ("B", "up")]).await;
    progress(&url, 1, 100).await;
    let outcome = load.end().await;
    cluster.check(&outcome.ledger).await.unwrap();
    assert!(outcome.ledger.n_acknowledged() >= 500, "{:?}", outcome.failures.first());
    for (id, server) in &outcome.places {
        let number = usize::from(server == "B");
        let found = http::get(&format!("{}/sentence/{id}", cluster.nodes()[number].url())).await;
        assert_eq!(found.status, 200, "{id} is said to be on {server}: {}", found.text);
    }
    catches_up(&cluster).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_node_is_left_out_and_taken_back() {
    let mut cluster = Cluster::start().await;
    let url = cluster.url().to_owned();
    let load = Load::start(&url);
    progress(&url, 1, 100).await;
    cluster.node(1).program().pause();
    cluster.sees(&[("A", "up"), ("B", "down")]).await;
    progress(&url, 0, 200).await;
    cluster.node(1).program().resume();
    cluster.sees(&[("A", "up"), ("B", "up")]).await;
    progress(&url, 1, 50).await;
    let outcome = load.end().await;
    cluster.check(&outcome.ledger).await.unwrap();
    catches_up(&cluster).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_every_node_down_the_answer_is_down_until_one_returns() {
    let mut cluster = Cluster::start().await;
    let url = cluster.url().to_owned();
    let sentence = json!({ "author": "Ana", "sentence": "¿Hay alguien?" });
    cluster.node(0).kill_9();
    cluster.node(1).kill_9();
    cluster.sees(&[("A", "down"), ("B", "down")]).await;
    let answer = http::post(&format!("{url}/sentence"), &sentence).await;
    assert_eq!((answer.status, &answer.json["message"]), (503, &json!("down")), "{}", answer.text);
    assert!(answer.header("retry-after").is_some(), "{:?}", answer.headers);
    cluster.node(0).restart().await;
    cluster.sees(&[("A", "up")]).await;
    let answer = http::post(&format!("{url}/sentence"), &sentence).await;
    assert_eq!((answer.status, &answer.json["server"]), (200, &json!("A")), "{}", answer.text);
    assert_eq!(answer.json["filter"], "down", "only one of two could be chosen: {}", answer.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_is_asked_to_end_loses_no_request() {
    let mut cluster = Cluster::start().await;
    let url = cluster.url().to_owned();
    let load = Load::start(&url);
    progress(&url, 1, 100).await;
    let status = cluster.node(1).terminate();
    assert!(status.success(), "{status}: {}", cluster.node(1).program().log());
    cluster.sees(&[("A", "up"), ("B", "down")]).await;
    progress(&url, 0, 50).await;
    let outcome = load.end().await;
    assert_eq!(outcome.failures, Vec::<String>::new());
    cluster.node(1).restart().await;
    cluster.check(&outcome.ledger).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_balancer_that_is_asked_to_end_loses_no_request() {
    let mut cluster = Cluster::start().await;
    let url = cluster.url().to_owned();
    let load = Load::start(&url);
    progress(&url, 0, 100).await;
    let status = cluster.balancer().terminate();
    assert!(status.success(), "{status}: {}", cluster.balancer().log());
    let outcome = load.end().await;
    // Once it has stopped accepting, a post cannot reach it. Whatever reached it was answered.
    cluster.check(&outcome.ledger).await.unwrap();
    let counts = cluster.counts().await;
    assert_eq!(
        counts.iter().sum::<u64>(),
        outcome.ledger.n_acknowledged() as u64,
        "{:?}",
        outcome.failures.first()
    );
}
