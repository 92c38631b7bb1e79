//! The clients of a run: closed loops that post, give up after a second, repeat at once until they have an
//! acknowledgement, and post again what was acknowledged long ago. Absent: what they post and what an answer means.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use parking_lot::Mutex;
use serde_json::{Value, json};
use wire::SentenceId;

use crate::answers;
use crate::caller::{Caller, Failure};
use crate::draws::{self, Habit};
use crate::history::{History, Outcome, Post, Purpose, Sentence};
use crate::random::Random;
use crate::world::World;

/// How long a client waits for an answer.
pub(crate) const PATIENCE: Duration = Duration::from_secs(1);
/// Before a repeat that would come without any pause else: nobody took the connection, or an error came at once.
const PAUSE: Duration = Duration::from_millis(20);
/// How many of the newest acknowledged sentences count as recent.
const RECENT: usize = 50;
/// Most sentences of one bulk post.
const MAX_BULK: u64 = 40;

/// What all clients share.
pub(crate) struct Shared {
    /// What they talk to.
    pub(crate) world: Arc<World>,
    /// What they posted.
    pub(crate) history: Mutex<History>,
    /// Set when they are to begin nothing new and to repeat nothing more.
    pub(crate) is_over: AtomicBool,
}

/// One client.
pub(crate) struct Client {
    shared: Arc<Shared>,
    number: usize,
    random: Random,
    callers: Vec<Caller>,
    n_made: u64,
    /// Whether it goes on after a run, to have acknowledged what is still owed.
    pays: bool,
}

impl Client {
    /// A client with a connection of its own to each balancer.
    pub(crate) fn new(shared: Arc<Shared>, number: usize, random: Random) -> Self {
        let callers = shared.world.balancers.iter().map(|balancer| Caller::to(balancer.address)).collect();
        Self { shared, number, random, callers, n_made: 0, pays: false }
    }

    /// Posts single sentences until it is over.
    pub(crate) async fn post_single(mut self) {
        while !self.is_over() {
            let (place, purpose) = match draws::habit(&mut self.random) {
                Habit::New => (self.make(true), Purpose::First),
                Habit::WithoutId => (self.make(false), Purpose::First),
                Habit::RepostRecent => match self.acknowledged(true) {
                    Some(place) => (place, Purpose::Repost),
                    None => continue,
                },
                Habit::RepostAny => match self.acknowledged(false) {
                    Some(place) => (place, Purpose::Repost),
                    None => continue,
                },
            };
            self.settle(vec![place], purpose, false).await;
        }
    }

    /// Posts many sentences at a time until it is over.
    pub(crate) async fn post_bulk(mut self) {
        while !self.is_over() {
            let n_items = self.random.between(1, MAX_BULK);
            let places = (0..n_items).map(|_| {
                let again = self.random.chance(10).then(|| self.acknowledged(false)).flatten();
                again.unwrap_or_else(|| self.make(true))
            });
            let mut places: Vec<usize> = places.collect();
            places.sort_unstable();
            places.dedup();
            self.settle(places, Purpose::First, true).await;
        }
    }

    /// Posts these again, in bulk, until all of them are acknowledged or `within` is over, after a run.
    pub(crate) async fn pay(mut self, places: Vec<usize>, within: Duration) {
        self.pays = true;
        let settled = self.settle(places, Purpose::Repeat, true);
        tokio::time::timeout(within, settled).await.ok();
    }

    /// Posts until all are acknowledged, or it is over. A sentence without an id is posted once: each post of it counts
    /// as another sentence.
    async fn settle(&mut self, mut places: Vec<usize>, mut purpose: Purpose, in_bulk: bool) {
        let mut balancer = self.random.place(self.callers.len());
        loop {
            let was_silent = self.post(&mut places, purpose, balancer, in_bulk).await;
            if places.is_empty() || self.is_over() {
                return;
            }
            if !was_silent {
                tokio::time::sleep(PAUSE).await;
            }
            if purpose == Purpose::First {
                purpose = Purpose::Repeat;
            }
            balancer = self.random.place(self.callers.len());
        }
    }

    /// Posts once, and keeps in `places` what is to be posted again. Says whether the client waited its whole time.
    async fn post(
        &mut self,
        places: &mut Vec<usize>,
        purpose: Purpose,
        balancer: usize,
        in_bulk: bool,
    ) -> bool {
        let (path, key, body) = self.request(places, in_bulk);
        let began_ms = self.shared.world.now_ms();
        let Some(caller) = self.callers.get_mut(balancer) else { return false };
        let answer = caller.post(path, key, &body, PATIENCE).await;
        let ended_ms = self.shared.world.now_ms();
        let (client, was_silent) = (self.number, matches!(answer, Err(Failure::TimedOut)));
        let mut history = self.shared.history.lock();
        let outcomes = outcomes(&history, places, answer, in_bulk);
        let mut owed = Vec::new();
        for (place, outcome) in places.iter().zip(outcomes) {
            let Some(sentence) = history.sentence(*place) else { continue };
            if !outcome.is_acknowledged() && sentence.id.is_some() {
                owed.push(*place);
            }
            let purpose = if sentence.is_acknowledged() { Purpose::Repost } else { purpose };
            history.note(*place, Post { began_ms, ended_ms, client, balancer, purpose, outcome });
        }
        *places = owed;
        was_silent
    }

    /// Path, `Idempotency-Key` and body. The id of a single sentence stands in the body, or now and then in the key.
    fn request(&mut self, places: &[usize], in_bulk: bool) -> (&'static str, Option<SentenceId>, Vec<u8>) {
        let by_key = !in_bulk && self.random.chance(10);
        let history = self.shared.history.lock();
        let sentences: Vec<&Sentence> = places.iter().filter_map(|place| history.sentence(*place)).collect();
        match &sentences[..] {
            [single] if by_key => ("/sentence", single.id, written(single, false).to_string().into_bytes()),
            [single] if !in_bulk => ("/sentence", None, written(single, true).to_string().into_bytes()),
            many => {
                let all = many.iter().map(|sentence| written(sentence, true));
                ("/sentences", None, Value::Array(all.collect()).to_string().into_bytes())
            }
        }
    }

    fn make(&mut self, with_id: bool) -> usize {
        self.n_made += 1;
        let id = with_id.then(|| draws::id(&mut self.random, unix_ms()));
        let author = draws::author(&mut self.random);
        let text = draws::text(&mut self.random, self.number, self.n_made);
        self.shared.history.lock().add(id, author, &text)
    }

    fn acknowledged(&mut self, recently: bool) -> Option<usize> {
        let history = self.shared.history.lock();
        let all = history.acknowledged();
        let from = if recently { all.len().saturating_sub(RECENT) } else { 0 };
        self.random.pick(all.get(from..).unwrap_or_default()).copied()
    }

    fn is_over(&self) -> bool {
        !self.pays && self.shared.is_over.load(Ordering::Acquire)
    }
}

fn written(sentence: &Sentence, with_id: bool) -> Value {
    let mut json = json!({ "author": sentence.author, "sentence": sentence.text });
    if let (Some(id), Some(object)) = (sentence.id.filter(|_| with_id), json.as_object_mut()) {
        object.insert("id".to_owned(), json!(id));
    }
    json
}

/// What became of each of these, by one answer or the lack of one.
fn outcomes(
    history: &History,
    places: &[usize],
    answer: Result<crate::message::Answer, Failure>,
    in_bulk: bool,
) -> Vec<Outcome> {
    let all = |outcome: Outcome| vec![outcome; places.len()];
    let answer = match answer {
        Ok(answer) => answer,
        Err(Failure::NoConnection(why)) => return all(Outcome::NoConnection(why)),
        Err(Failure::Broken(why)) => return all(Outcome::Broken(why)),
        Err(Failure::TimedOut) => return all(Outcome::TimedOut),
    };
    let whole = || serde_json::from_slice::<Value>(&answer.body).unwrap_or_default();
    let listed = if in_bulk { answers::items(&answer.body, places.len()) } else { None };
    let answers = listed.unwrap_or_else(|| vec![whole(); places.len()]);
    let sentences = places.iter().filter_map(|place| history.sentence(*place));
    let each = sentences.zip(&answers);
    each.map(|(sentence, value)| answers::outcome(answer.status, value, sentence)).collect()
}

fn unix_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
