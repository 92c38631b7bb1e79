//! PURE. What a line to a node does to one exchange, drawn from the fault that it has, and to the bytes of an answer.
//! Absent: sockets and time.

use crate::fault::Kind;
use crate::random::Random;

/// The fault of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Window {
    /// What.
    pub(crate) kind: Kind,
    /// How many of a hundred exchanges it hits.
    pub(crate) percent: u64,
}

/// What is done to one exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trick {
    /// Nothing.
    Pass,
    /// The connection is reset before the node has the request. It gets it all the same after `late_ms`, where there is
    /// such a time: what a network has taken may arrive whenever it likes.
    Reset {
        /// Milliseconds.
        late_ms: Option<u64>,
    },
    /// The node has the request; the connection is reset in the answer's place.
    LoseAnswer,
    /// Nothing happens until the line is whole again. Then the connection is reset, and the node has the request or has
    /// it not.
    Swallow {
        /// Whether it has.
        delivers: bool,
    },
    /// The answer is held back.
    HoldAnswer {
        /// Milliseconds.
        ms: u64,
    },
    /// The request is held back, and delivered also where nobody waits for its answer any more.
    HoldRequest {
        /// Milliseconds.
        ms: u64,
    },
    /// The answer breaks off.
    Truncate,
    /// Bytes of the answer are no HTTP and no JSON any more.
    Garble,
    /// The answer comes twice, the second time after a pause.
    Double {
        /// Milliseconds.
        pause_ms: u64,
    },
    /// An answer that the node did not give.
    Answer {
        /// Its status.
        status: u16,
        /// Whether the node has the request.
        delivers: bool,
    },
}

/// Draws what is done to an exchange. `is_post` says that it posts sentences, whose answers name their ids: only such an
/// answer can be told from another one that comes late on the same connection.
pub(crate) fn draw(random: &mut Random, window: Option<Window>, is_post: bool) -> Trick {
    let Some(Window { kind, percent }) = window else { return Trick::Pass };
    if !random.chance(percent) {
        return Trick::Pass;
    }
    match kind {
        Kind::Reset => Trick::Reset { late_ms: random.chance(50).then(|| random.between(0, 4_000)) },
        Kind::LostAnswer => Trick::LoseAnswer,
        Kind::HalfOpen => Trick::Swallow { delivers: random.chance(50) },
        Kind::SlowAnswer => Trick::HoldAnswer { ms: random.between(50, 3_000) },
        Kind::LateRequest => Trick::HoldRequest { ms: random.between(50, 6_000) },
        Kind::Truncated => Trick::Truncate,
        Kind::Garbled => Trick::Garble,
        Kind::Doubled => {
            Trick::Double { pause_ms: if is_post && random.chance(50) { random.between(1, 50) } else { 0 } }
        }
        Kind::Answer503 => Trick::Answer { status: 503, delivers: random.chance(50) },
        Kind::Answer500 => Trick::Answer { status: 500, delivers: random.chance(50) },
        _ => Trick::Pass,
    }
}

/// The first part of an answer: at least its first byte, never all of it.
pub(crate) fn truncated<'a>(random: &mut Random, answer: &'a [u8]) -> &'a [u8] {
    let most = answer.len().saturating_sub(1);
    let length = random.between(most.min(1) as u64, most as u64);
    answer.get(..usize::try_from(length).unwrap_or(most)).unwrap_or_default()
}

/// The answer with some of its bytes replaced by one that stands in no HTTP and in no text of UTF-8, from `from` on. Its
/// length stays, so that whoever reads it has to look.
pub(crate) fn garbled(random: &mut Random, answer: &[u8], from: usize) -> Vec<u8> {
    let mut bytes = answer.to_vec();
    let n_hits = random.between(1, 8);
    for _ in 0..n_hits {
        let at = from.min(bytes.len()) + random.place(bytes.len().saturating_sub(from));
        if let Some(byte) = bytes.get_mut(at) {
            *byte = 0xff;
        }
    }
    bytes
}

/// An answer in the node's place. It never says more than is true: that nothing was stored only where the request was
/// kept back.
pub(crate) fn made_up(status: u16, delivers: bool) -> Vec<u8> {
    let body = match (status, delivers) {
        (503, false) => {
            r#"{"type":"urn:balanza:store-unavailable","title":"The store takes nothing","status":503,"detail":"made up","message":"made up"}"#
        }
        (503, true) => {
            r#"{"type":"urn:balanza:store-unavailable","title":"The store takes nothing","status":503,"detail":"made up","message":"made up","ambiguous":true}"#
        }
        _ => r#"{"message":"made up"}"#,
    };
    let head = format!(
        "HTTP/1.1 {status} Made up\r\ncontent-type: application/problem+json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body.as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::Target;
    use crate::message;
    use proptest::prelude::*;

    const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 8\r\n\r\n[\"a\",{}]";

    #[test]
    fn a_whole_line_passes_and_each_fault_of_a_line_does_something() {
        let mut random = Random::of(1, 2);
        assert_eq!(draw(&mut random, None, true), Trick::Pass);
        for kind in Kind::ALL {
            let trick = draw(&mut random, Some(Window { kind, percent: 100 }), true);
            let hits_posts = kind.target() == Target::Line && kind != Kind::Stream;
            assert_eq!(trick != Trick::Pass, hits_posts, "{kind}");
            assert_eq!(draw(&mut random, Some(Window { kind, percent: 0 }), true), Trick::Pass);
        }
    }

    #[test]
    fn what_is_made_up_is_an_answer_that_does_not_lie() {
        for (status, delivers) in [(503, false), (503, true), (500, false), (500, true)] {
            let bytes = made_up(status, delivers);
            let answer = message::answer(&bytes, false).unwrap().unwrap();
            assert_eq!((answer.status, answer.length), (status, bytes.len()));
            let problem = wire::Problem::read(&answer.body);
            assert_eq!(problem.map(|problem| problem.ambiguous), (status == 503).then_some(delivers));
        }
    }

    proptest! {
        #[test]
        fn damage_can_be_seen(seed: u64) {
            let mut random = Random::of(seed, 0);
            let part = truncated(&mut random, ANSWER);
            prop_assert!(!part.is_empty() && part.len() < ANSWER.len());
            prop_assert!(message::answer(part, true).is_err());
            let whole = message::answer(ANSWER, false).unwrap().unwrap();
            let bad = garbled(&mut random, ANSWER, whole.head_length);
            let read = message::answer(&bad, false).unwrap().unwrap();
            prop_assert!(serde_json::from_slice::<serde_json::Value>(&read.body).is_err());
        }
    }
}
