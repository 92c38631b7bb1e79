//! PURE. What clients post: ids of every kind, texts that no other sentence has, and which of their habits is next.
//! Absent: clocks; posting.

use uuid::{Builder, Uuid};
use wire::SentenceId;

use crate::random::Random;

/// Words with letters, marks and signs that a careless program changes.
const WORDS: [&str; 12] = [
    "balanza",
    "niño",
    "\"dicho\"",
    "c:\\ruta",
    "línea\nnueva",
    "tab\tulador",
    "☂",
    "𝄞",
    "</script>",
    "'; --",
    "100 %",
    "ﬁn",
];

/// What a client does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Habit {
    /// Posts a new sentence under an id of its own.
    New,
    /// Posts a new sentence without an id.
    WithoutId,
    /// Posts again one of those that were acknowledged lately.
    RepostRecent,
    /// Posts again any that was acknowledged.
    RepostAny,
}

/// Draws what a client does next.
pub(crate) fn habit(random: &mut Random) -> Habit {
    match random.below(100) {
        0..7 => Habit::WithoutId,
        7..13 => Habit::RepostRecent,
        13..19 => Habit::RepostAny,
        _ => Habit::New,
    }
}

/// Draws an id: of version 7 by the clock, of version 4, or of version 7 as made some seconds earlier or by a clock that
/// goes ahead.
pub(crate) fn id(random: &mut Random, unix_ms: u64) -> SentenceId {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&random.draw().to_be_bytes());
    bytes[8..].copy_from_slice(&random.draw().to_be_bytes());
    let made_at = |unix_ms: u64| {
        let mut tail = [0; 10];
        tail.copy_from_slice(&bytes[..10]);
        Builder::from_unix_timestamp_millis(unix_ms, &tail).into_uuid()
    };
    let uuid: Uuid = match random.below(100) {
        0..55 => made_at(unix_ms),
        55..75 => Builder::from_random_bytes(bytes).into_uuid(),
        75..95 => made_at(unix_ms.saturating_sub(random.between(1_000, 30_000))),
        _ => made_at(unix_ms + random.between(100, 3_000)),
    };
    SentenceId(uuid)
}

/// Draws an author.
pub(crate) fn author(random: &mut Random) -> &'static str {
    random.pick(&["Ana", "Íñigo", "User1", "User5", "李"]).copied().unwrap_or("Ana")
}

/// A text that only this sentence of this client has.
pub(crate) fn text(random: &mut Random, client: usize, number: u64) -> String {
    let n_words = random.between(1, 12);
    let words = (0..n_words).filter_map(|_| random.pick(&WORDS).copied());
    let words: Vec<&str> = words.collect();
    format!("{client}/{number} {}", words.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn ids_are_of_each_kind_and_never_the_same() {
        let mut random = Random::of(5, 1);
        let now = 1_790_000_000_000;
        let ids: Vec<Uuid> = (0..2_000).map(|_| id(&mut random, now).0).collect();
        assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len());
        let made = |uuid: &Uuid| {
            let (seconds, nanos) = uuid.get_timestamp()?.to_unix();
            Some(seconds * 1000 + u64::from(nanos) / 1_000_000)
        };
        for (kind, n) in [
            ("fresh", ids.iter().filter(|uuid| made(uuid) == Some(now)).count()),
            ("random", ids.iter().filter(|uuid| uuid.get_version_num() == 4).count()),
            ("old", ids.iter().filter(|uuid| made(uuid).is_some_and(|at| at < now)).count()),
            ("ahead", ids.iter().filter(|uuid| made(uuid).is_some_and(|at| at > now)).count()),
        ] {
            assert!(n > 50, "{kind}: {n}");
        }
    }

    #[test]
    fn texts_differ_by_client_and_number_and_every_habit_comes() {
        let mut random = Random::of(5, 2);
        let texts = (0..20).flat_map(|client| (0..20).map(move |number| (client, number)));
        let texts: BTreeSet<String> =
            texts.map(|(client, number)| text(&mut random, client, number)).collect();
        assert_eq!(texts.len(), 400);
        let habits: Vec<Habit> = (0..500).map(|_| habit(&mut random)).collect();
        for wanted in [Habit::New, Habit::WithoutId, Habit::RepostRecent, Habit::RepostAny] {
            assert!(habits.contains(&wanted), "{wanted:?}");
        }
    }
}
