//! Many clients at once, each on a connection of its own, that post sentences and remember what became of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use harness::{Ledger, http};
use serde_json::json;
use wire::SentenceId;

/// What many clients saw.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// What they sent, and what was acknowledged.
    pub(crate) ledger: Ledger,
    /// Which node each acknowledged sentence was said to be on.
    pub(crate) places: Vec<(SentenceId, String)>,
    /// Every answer that was no success, in words.
    pub(crate) failures: Vec<String>,
}

/// When a client stops.
#[derive(Clone)]
pub(crate) enum Until {
    /// After this many sentences.
    Sent(usize),
    /// When this is set.
    Told(Arc<AtomicBool>),
}

impl Until {
    fn is_over(&self, sent: usize) -> bool {
        match self {
            Self::Sent(most) => sent >= *most,
            Self::Told(flag) => flag.load(Ordering::Relaxed),
        }
    }
}

/// Posts from `n_clients` connections to the balancer at `url`; a post that fails is not repeated.
pub(crate) async fn post_from(n_clients: usize, url: &str, until: Until) -> Outcome {
    let clients = (0..n_clients).map(|client| tokio::spawn(post(client, url.to_owned(), until.clone())));
    let mut all = Outcome::default();
    for client in clients.collect::<Vec<_>>() {
        let one = client.await.unwrap();
        all.ledger.join(one.ledger);
        all.places.extend(one.places);
        all.failures.extend(one.failures);
    }
    all
}

async fn post(client: usize, url: String, until: Until) -> Outcome {
    let connection = http::client();
    let mut outcome = Outcome::default();
    let mut sent = 0;
    while !until.is_over(sent) {
        let id = new_id(client, sent);
        let body =
            json!({ "id": id, "author": format!("User{client}"), "sentence": format!("Número {sent}.") });
        outcome.ledger.sent(id);
        sent += 1;
        match http::send(connection.post(format!("{url}/sentence")).json(&body)).await {
            Ok(answer) if answer.status == 200 => {
                assert_eq!(answer.json["data"]["id"], json!(id), "{}", answer.text);
                outcome.ledger.acknowledged(id);
                outcome.places.push((id, answer.json["server"].as_str().unwrap().to_owned()));
            }
            Ok(answer) => outcome.failures.push(format!("{} {}", answer.status, answer.text)),
            Err(error) => outcome.failures.push(error),
        }
    }
    outcome
}

/// An id that no other client and no other run uses.
fn new_id(client: usize, number: usize) -> SentenceId {
    static RUNS: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
    let run = RUNS.fetch_add(1, Ordering::Relaxed);
    format!("0192f0c1-{:04x}-7def-8{:03x}-{number:06x}{run:06x}", std::process::id() & 0xffff, client & 0xfff)
        .parse()
        .unwrap()
}
