//! `kill -9` at any instant loses nothing that was answered and stores nothing twice.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use wire::{ItemAnswer, ItemStatus, SentenceId, StoredSentence};

use crate::support::{get, id, line, start};

/// Posts batches until the node is gone; gives the ids that were sent and those that were answered as stored.
async fn post_until_killed(url: String, sent: Arc<Mutex<HashSet<SentenceId>>>) -> Vec<SentenceId> {
    let client = reqwest::Client::new();
    let mut acknowledged = Vec::new();
    for size in (1..=16).cycle() {
        let ids: Vec<SentenceId> = (0..size).map(|_| id()).collect();
        sent.lock().unwrap().extend(ids.iter().copied());
        let body = ids.iter().map(|id| line(*id, "Ana", "durable")).collect::<Vec<_>>().join("\n");
        let post = client.post(format!("{url}/sentences")).header("content-type", "application/x-ndjson");
        let Ok(answer) = post.body(body).send().await else { break };
        assert_eq!(answer.status(), 200);
        let Ok(answer) = answer.text().await else { break };
        for item in answer.lines().map(|line| serde_json::from_str::<ItemAnswer>(line).unwrap()) {
            assert_eq!(item.status, ItemStatus::Stored);
            acknowledged.extend(item.id);
        }
    }
    acknowledged
}

#[tokio::test]
async fn nothing_answered_is_lost_by_a_kill() {
    const ROUNDS: u64 = 6;
    let dir = tempfile::tempdir().unwrap();
    let data_dir = dir.path().to_str().unwrap();
    let sent = Arc::new(Mutex::new(HashSet::new()));
    let mut acknowledged = HashSet::new();
    for round in 0..ROUNDS {
        let mut node = start(&["--data-dir", data_dir]);
        let clients: Vec<_> = (0..8)
            .map(|_| tokio::spawn(post_until_killed(node.url().to_owned(), Arc::clone(&sent))))
            .collect();
        // The instant differs from run to run, and the outcome must not.
        let jitter = u64::try_from(id().0.as_u128() % 150).unwrap();
        tokio::time::sleep(Duration::from_millis(40 + 20 * round + jitter)).await;
        node.kill_9();
        for client in clients {
            acknowledged.extend(client.await.unwrap());
        }
    }
    assert!(!acknowledged.is_empty(), "every round was killed before its first answer");

    let node = start(&["--data-dir", data_dir]);
    let listed: Vec<StoredSentence> = get(&format!("{}/sentence", node.url())).await.json();
    let stored: HashSet<SentenceId> = listed.iter().map(|it| it.id.unwrap()).collect();
    assert_eq!(stored.len(), listed.len(), "nothing is stored twice");
    let lost: Vec<_> = acknowledged.difference(&stored).collect();
    assert!(lost.is_empty(), "{} of {} were lost", lost.len(), acknowledged.len());
    assert!(stored.is_subset(&sent.lock().unwrap()), "nothing is stored that was not sent");
    let usage: wire::Usage = get(&format!("{}/usage", node.url())).await.json();
    assert_eq!(usize::try_from(usage.database).unwrap(), listed.len(), "the count survives as well");
}
