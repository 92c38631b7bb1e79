//! A client of the made-up world, which has one sentence. With an id of its own it posts the sentence again: when it was
//! told that it may, when the answer is late or died with its balancer, and sometimes for no reason. Without one it posts
//! once. Absent: what must hold of what it was told, which is `simulation.rs`'s.

use std::rc::Rc;
use std::time::Duration;

use tokio::time::{sleep, timeout};
use wire::{Problem, Routed, SentenceId};

use super::World;
use crate::clock;
use crate::clock::held::made_at;
use crate::random::Random;

/// When a client that repeats gives an answer up.
const LATE: Duration = Duration::from_secs(1);
/// When a client that waits for its answer must have it.
const PATIENCE: Duration = Duration::from_secs(300);
/// How often a client repeats at the end, when the world is whole.
const TRIES: u32 = 200;

/// What a client was told of one post.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Said {
    Stored {
        by: String,
    },
    Failed {
        kind: String,
        ambiguous: bool,
    },
    /// Nothing within its time.
    Late,
    /// Nothing: the balancer died.
    Died,
}

/// A client, and what it was told.
pub(super) struct Client {
    pub(super) n: u64,
    pub(super) id: Option<SentenceId>,
    pub(super) said: Vec<Said>,
    world: Rc<World>,
    is_patient: bool,
    random: Random,
}

impl Client {
    /// The client of sentence `n`, the text of which is its number.
    pub(super) fn new(world: &Rc<World>, n: u64, seed: u64) -> Self {
        let mut random = Random::new(seed);
        let drawn = [random.draw(), random.draw()];
        let now = clock::wall().unix_micros();
        let id = match random.below(10) {
            0..3 => None,
            // Its own clock is a little off, or the sentence was written long ago, or its ids tell no time.
            3..7 => Some(made_at(now - 1_000_000 + i64::try_from(random.below(1_900_000)).unwrap(), drawn)),
            7 => Some(made_at(now - 3_600_000_000, drawn)),
            8 => Some(
                uuid::Builder::from_random_bytes(
                    (u128::from(drawn[0]) << 64 | u128::from(drawn[1])).to_le_bytes(),
                )
                .into_uuid(),
            ),
            _ => Some(made_at(now, drawn)),
        };
        let is_patient = id.is_none() || random.below(3) == 0;
        Self { n, id: id.map(SentenceId), said: Vec::new(), world: Rc::clone(world), is_patient, random }
    }

    /// Posts until it has enough of it.
    pub(super) async fn live(mut self) -> Self {
        let mut tries = if self.id.is_none() { 1 } else { 1 + self.random.below(6) };
        while tries > 0 {
            let Some(said) = self.post().await else {
                self.pause(500).await;
                continue;
            };
            tries -= 1;
            match said {
                Said::Stored { .. } => match self.random.below(4) {
                    0 => self.pause(800).await,
                    1 => self.pause(90_000).await,
                    _ => break,
                },
                Said::Failed { .. } | Said::Died if tries > 0 => self.pause(2_000).await,
                Said::Failed { .. } | Said::Died | Said::Late => {}
            }
        }
        self
    }

    /// Posts until it is told that the sentence is stored.
    pub(super) async fn insist(mut self) -> Self {
        for _ in 0..TRIES {
            if let Some(Said::Stored { .. }) = self.post().await {
                return self;
            }
            self.pause(500).await;
        }
        panic!("seed {}: sentence {} is never stored: {:?}", self.world.seed, self.n, self.said);
    }

    /// Posts once; `None` where nobody listens.
    async fn post(&mut self) -> Option<Said> {
        let n = self.n;
        let id = self.id.map_or_else(String::new, |id| format!(r#""id":"{id}","#));
        let body = format!(r#"{{{id}"author":"a","sentence":"{n}"}}"#);
        let deaths = self.world.deaths.get();
        let seat = self.random.below(self.world.n_seats());
        let answer = self.world.post(seat, body)?;
        tracing::debug!(n, seat, "posts");
        let time = if self.is_patient { PATIENCE } else { LATE };
        let said = match timeout(time, answer).await {
            Ok(Ok(Ok(written))) => {
                let routed: Routed = serde_json::from_slice(&written.body).unwrap();
                Said::Stored { by: routed.server }
            }
            Ok(Ok(Err(failure))) => {
                let problem = Problem::from(failure);
                Said::Failed { kind: problem.kind, ambiguous: problem.ambiguous }
            }
            Ok(Err(_)) => {
                assert!(deaths < self.world.deaths.get(), "sentence {n} was dropped unanswered");
                Said::Died
            }
            Err(_) => {
                assert!(!self.is_patient, "sentence {n} was never answered");
                Said::Late
            }
        };
        tracing::debug!(n, seat, ?said, "told");
        self.said.push(said.clone());
        Some(said)
    }

    async fn pause(&mut self, most_millis: u64) {
        sleep(Duration::from_millis(self.random.below(most_millis))).await;
    }
}
