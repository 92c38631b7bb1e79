//! A made-up node that holds copies of sentences and answers what a balancer asks about them, over every connection that
//! arrives. A test changes what it holds, has it fail, and reads what it was asked. Absent: posts of sentences.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use serde::Serialize;
use serde::de::DeserializeOwned;
use wire::contract::MAX_BULK_ITEMS;
use wire::{Copies, Date, Fenced, Ids, SentenceId, StoredCopy};

use super::{Asked, Listener, Peer};

/// A node and what it holds.
#[derive(Default)]
pub(crate) struct Holder {
    copies: RefCell<BTreeMap<SentenceId, Date>>,
    asked: RefCell<Vec<String>>,
    /// The paths that it fails, each after so many more answers.
    failing: RefCell<BTreeMap<&'static str, (u32, Failing)>>,
    lost: RefCell<Option<SentenceId>>,
}

/// How a node fails a question.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Failing {
    /// It never answers.
    Silent,
    /// It answers with this status.
    Status(u16),
}

impl Holder {
    /// Answers over every connection to `listener`, for as long as the test lasts.
    pub(crate) fn start(mut listener: Listener) -> Rc<Self> {
        let node = Rc::new(Self::default());
        let answering = Rc::clone(&node);
        tokio::task::spawn_local(async move {
            loop {
                let peer = listener.accept().await;
                tokio::task::spawn_local(Rc::clone(&answering).answer(peer));
            }
        });
        node
    }

    /// From now on it holds a copy that was stored at `micros`.
    pub(crate) fn hold(&self, id: SentenceId, micros: i64) {
        self.copies.borrow_mut().insert(id, Date::from_unix_micros(micros));
    }

    /// It loses its copy once it was asked what it holds, before it is asked to take it back.
    pub(crate) fn lose_before_retract(&self, id: SentenceId) {
        self.lost.replace(Some(id));
    }

    /// When its copy was stored, in microseconds.
    pub(crate) fn held(&self, id: SentenceId) -> Option<i64> {
        self.copies.borrow().get(&id).map(|date| date.unix_micros())
    }

    /// From now on it fails this question, or no more.
    pub(crate) fn fail(&self, path: &'static str, how: Option<Failing>) {
        match how {
            Some(how) => self.fail_after(0, path, how),
            None => drop(self.failing.borrow_mut().remove(path)),
        }
    }

    /// It answers this question `n` times more, and fails it from then on.
    pub(crate) fn fail_after(&self, n: u32, path: &'static str, how: Failing) {
        self.failing.borrow_mut().insert(path, (n, how));
    }

    /// How it fails this question now.
    fn fails(&self, path: &str) -> Option<Failing> {
        let mut failing = self.failing.borrow_mut();
        let (left, how) = failing.get_mut(path)?;
        let fails = (*left == 0).then_some(*how);
        *left = left.saturating_sub(1);
        fails
    }

    /// The paths that it was asked since this was last read, in order.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.take()
    }

    async fn answer(self: Rc<Self>, mut peer: Peer) {
        while let Some(asked) = peer.request().await {
            let path = asked.what.split([' ', '?']).nth(1).unwrap_or_default().to_owned();
            self.asked.borrow_mut().push(path.clone());
            let (status, body) = match self.fails(&path) {
                Some(Failing::Silent) => std::future::pending().await,
                Some(Failing::Status(status)) => (status, String::new()),
                None => (200, self.say(&path, &asked)),
            };
            if peer.respond(status, "", &body).await.is_none() {
                break;
            }
        }
    }

    fn say(&self, path: &str, asked: &Asked) -> String {
        let mut copies = self.copies.borrow_mut();
        match path {
            "/fence" => to_json(&Fenced { fence: 9 }),
            "/sentences/held" => {
                let Ids { ids } = read_json(asked);
                let copy = |id: SentenceId| Some(StoredCopy { date: *copies.get(&id)?, id });
                to_json(&Copies { copies: ids.into_iter().filter_map(copy).collect() })
            }
            "/sentences/retract" => {
                let lost = self.lost.take();
                copies.retain(|id, _| Some(*id) != lost);
                let is_that = |copy: &StoredCopy| copies.get(&copy.id) == Some(&copy.date);
                let gone: Vec<StoredCopy> =
                    read_json::<Copies>(asked).copies.into_iter().filter(is_that).collect();
                let ids: Vec<SentenceId> = gone.into_iter().map(|copy| copy.id).collect();
                copies.retain(|id, _| !ids.contains(id));
                to_json(&Ids { ids })
            }
            "/sentences/ids" => {
                let after = asked.what.split("after=").nth(1).and_then(|rest| rest.split('&').next());
                let after = after.and_then(wire::Place::read).unwrap();
                let is_behind = |copy: &StoredCopy| wire::Place::new(copy.date, Some(copy.id)) > after;
                let all = copies.iter().map(|(id, date)| StoredCopy { date: *date, id: *id });
                let mut behind: Vec<StoredCopy> = all.filter(is_behind).collect();
                behind.sort_unstable();
                behind.truncate(MAX_BULK_ITEMS);
                to_json(&Copies { copies: behind })
            }
            other => panic!("asked for {other}"),
        }
    }
}

/// The body of a request.
pub(crate) fn read_json<T: DeserializeOwned>(asked: &Asked) -> T {
    serde_json::from_str(&asked.body).unwrap()
}

/// The body of an answer.
pub(crate) fn to_json(answer: &impl Serialize) -> String {
    serde_json::to_string(answer).unwrap()
}
