//! One run of one seed: a world, its clients, its faults, its end, and what they came to. Absent: many runs, and telling
//! of them.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Result;
use parking_lot::Mutex;
use tokio::task::JoinSet;

use crate::check;
use crate::clients::{Client, Shared};
use crate::fault::Kind;
use crate::faults::suffer;
use crate::history::History;
use crate::random::Random;
use crate::schedule::{Shape, plan};
use crate::settle;
use crate::story;
use crate::summary::Summary;
use crate::world::{Setup, World};

/// How many sentences are posted at once of those that are still owed at the end.
const PAID_AT_ONCE: usize = 200;
/// How long their posting may take.
const PAID_WITHIN: Duration = Duration::from_secs(60);

/// What a run is made of beside its world.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// The seed of the schedule and of all draws.
    pub(crate) seed: u64,
    /// How long clients post.
    pub(crate) seconds: u64,
    /// How many clients.
    pub(crate) n_clients: usize,
    /// What may happen.
    pub(crate) kinds: Vec<Kind>,
}

/// What a run came to: its numbers, and the stories of what is wrong.
pub(crate) struct Outcome {
    /// The numbers.
    pub(crate) summary: Summary,
    /// Empty when nothing is wrong.
    pub(crate) stories: String,
}

impl Outcome {
    /// A run that ended before it could be judged.
    pub(crate) fn unjudged(plan_of: &Plan, setup: &Setup, why: &anyhow::Error) -> Self {
        let troubles = vec![format!("its end: {why:#}")];
        let summary = Summary { wrong: 1, troubles, ..summary_of(plan_of, setup) };
        Self { summary, stories: String::new() }
    }
}

/// Runs one seed to its end.
///
/// # Errors
/// When the world cannot be started, or the nodes cannot be read at the end.
pub(crate) async fn run(plan_of: &Plan, setup: &Setup, keep: Option<&Path>) -> Result<Outcome> {
    let Plan { seed, seconds, n_clients, kinds } = plan_of;
    let world = Arc::new(World::start(setup, *seed, keep).await?);
    // Nobody is to be excused by a fleet that was never whole.
    settle::await_calm(&world).await;
    let begun_ms = world.now_ms();
    let shape = Shape {
        ms: begun_ms + seconds * 1000,
        n_nodes: setup.n_nodes,
        n_balancers: setup.n_balancers,
        kinds: kinds.clone(),
    };
    let history = Mutex::new(History::default());
    let shared = Arc::new(Shared { world: Arc::clone(&world), history, is_over: AtomicBool::new(false) });
    let mut clients = JoinSet::new();
    for number in 0..*n_clients {
        let client = Client::new(Arc::clone(&shared), number, Random::of(*seed, 10 + number as u64));
        // The last posts in bulk, where there are others.
        if number > 0 && number + 1 == *n_clients {
            clients.spawn(client.post_bulk());
        } else {
            clients.spawn(client.post_single());
        }
    }
    let mut faults = JoinSet::new();
    for (number, fault) in (0..).zip(plan(*seed, &shape)) {
        faults.spawn(suffer(Arc::clone(&world), fault, Random::of(*seed, 1_000_000 + number)));
    }
    world.until_ms(shape.ms).await;
    shared.is_over.store(true, Ordering::Release);
    while clients.join_next().await.is_some() {}
    let end_ms = world.now_ms();
    while faults.join_next().await.is_some() {}

    settle::heal(&world).await;
    let mut calm_ms = settle::await_calm(&world).await;
    let owed = shared.history.lock().owed();
    for (number, places) in (0..).zip(owed.chunks(PAID_AT_ONCE)) {
        let client = Client::new(Arc::clone(&shared), *n_clients, Random::of(*seed, 2_000_000 + number));
        client.pay(places.to_vec(), PAID_WITHIN).await;
    }
    calm_ms += settle::await_calm(&world).await;
    let held = settle::read(&world).await?;

    let history = shared.history.lock();
    let (verdict, health) = (check::check(&history, &held), world.health());
    let mut summary = Summary { calm_ms, troubles: world.troubles(), ..summary_of(plan_of, setup) };
    summary.count(&history, &health, &verdict, end_ms);
    let stories =
        if verdict.is_clean() { String::new() } else { story::stories(&history, &held, &health, &verdict) };
    Ok(Outcome { summary, stories })
}

fn summary_of(plan_of: &Plan, setup: &Setup) -> Summary {
    Summary {
        seed: plan_of.seed,
        store: if setup.database.is_some() { "mongodb" } else { "embedded" }.to_owned(),
        n_nodes: setup.n_nodes,
        n_balancers: setup.n_balancers,
        seconds: plan_of.seconds,
        ..Summary::default()
    }
}
