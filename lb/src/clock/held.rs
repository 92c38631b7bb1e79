//! The wall clock of a test that holds tokio's time: it goes with that time, and identities are drawn from a seed, so that
//! a run can be repeated. It counts for the thread of the test. Absent: moving the time, which is tokio's.

use std::cell::RefCell;
use std::time::Instant;

use uuid::{Builder, Uuid};
use wire::{Date, SentenceId};

use crate::random::Random;

/// What the wall clock shows when it is first held, in microseconds.
const FIRST: i64 = 1_795_428_000_000_000;

thread_local! {
    static HELD: RefCell<Option<Held>> = const { RefCell::new(None) };
}

struct Held {
    since: Instant,
    random: Random,
}

/// Holds the wall clock of this thread until it is dropped.
pub(crate) struct Hold(());

impl Drop for Hold {
    fn drop(&mut self) {
        HELD.set(None);
    }
}

/// Holds the wall clock of this thread; identities are those of the seed from now on.
pub(crate) fn hold(seed: u64) -> Hold {
    HELD.set(Some(Held { since: super::now(), random: Random::new(seed) }));
    Hold(())
}

/// The present by the held clock.
pub(super) fn wall() -> Option<Date> {
    HELD.with_borrow(|held| {
        let passed = super::now().duration_since(held.as_ref()?.since);
        Some(Date::from_unix_micros(FIRST + i64::try_from(passed.as_micros()).unwrap()))
    })
}

/// A new identity of the held moment.
pub(super) fn fresh_id() -> Option<SentenceId> {
    let random =
        HELD.with_borrow_mut(|held| held.as_mut().map(|held| [held.random.draw(), held.random.draw()]))?;
    Some(SentenceId(made_at(wall()?.unix_micros(), random)))
}

/// The identity of version 7 that is made in this moment, in microseconds of the wall clock.
pub(crate) fn made_at(micros: i64, random: [u64; 2]) -> Uuid {
    let [a, b] = random.map(u64::to_le_bytes);
    let mut bytes = [0; 10];
    bytes.iter_mut().zip(a.into_iter().chain(b)).for_each(|(byte, drawn)| *byte = drawn);
    Builder::from_unix_timestamp_millis(u64::try_from(micros / 1_000).unwrap(), &bytes).into_uuid()
}
