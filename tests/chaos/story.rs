//! PURE. The whole story of a sentence that is not where it should be: who posted it when and was told what, where its
//! copies lie, and which faults were near. Absent: finding such sentences.

use std::fmt::Write as _;

use crate::check::{Held, Verdict};
use crate::health::{Disturbance, Health};
use crate::history::{History, Outcome, Post, Sentence};

/// The stories of all that is wrong.
pub(crate) fn stories(history: &History, held: &[Held], health: &Health, verdict: &Verdict) -> String {
    let mut text = String::new();
    for what in verdict.miscounted.iter().chain(&verdict.never_sent) {
        writeln!(text, "{what}\n").ok();
    }
    for place in verdict.places() {
        let Some(sentence) = history.sentence(place) else { continue };
        let faults = [
            ("lost", &verdict.lost),
            ("twice", &verdict.twice),
            ("changed", &verdict.changed),
            ("unsettled", &verdict.unsettled),
        ];
        let faults = faults.iter().filter(|(_, places)| places.contains(&place)).map(|(name, _)| *name);
        let id = sentence.id.map_or_else(|| "no id of its client".to_owned(), |id| id.to_string());
        let what = faults.collect::<Vec<_>>().join(", ");
        writeln!(text, "{what}: {id}, {:?} by {:?}", sentence.text, sentence.author).ok();
        tell(&mut text, sentence, held, health);
        text.push('\n');
    }
    text
}

fn tell(text: &mut String, sentence: &Sentence, held: &[Held], health: &Health) {
    for alike in sentence.posts.chunk_by(is_alike) {
        let (Some(first), Some(last)) = (alike.first(), alike.last()) else { continue };
        let times = if alike.len() > 1 { format!(", {} times", alike.len()) } else { String::new() };
        writeln!(
            text,
            "  {:>7}..{:<7} ms  client {:<2} balancer {}  {:?}{times}: {}",
            first.began_ms,
            last.ended_ms,
            first.client,
            first.balancer + 1,
            first.purpose,
            told(&first.outcome)
        )
        .ok();
    }
    for Held { node, copies, .. } in held {
        let own = |copy: &&wire::StoredSentence| match sentence.id {
            Some(id) => copy.id == Some(id),
            None => copy.sentence == sentence.text,
        };
        for copy in copies.iter().filter(own) {
            let id = copy.id.map(|id| id.to_string()).unwrap_or_default();
            writeln!(text, "  on {node} since {} as {id}: {:?}", copy.date, copy.sentence).ok();
        }
    }
    let is_near = |fault: &&Disturbance| {
        sentence.posts.iter().any(|post| health.near(post.began_ms, post.ended_ms).any(|near| near == *fault))
    };
    for fault in health.disturbances.iter().filter(is_near) {
        let target = if fault.kind.disturbs_node() || fault.kind.is_momentary() {
            held.get(fault.target).map_or_else(|| "?".to_owned(), |held| format!("node {}", held.node))
        } else {
            format!("balancer {}", fault.target + 1)
        };
        writeln!(text, "  {:>7}..{:<7} ms  fault: {} of {target}", fault.from_ms, fault.until_ms, fault.kind)
            .ok();
    }
}

/// Whether two posts, one after the other, are told as one: nothing is to be learned from the second.
fn is_alike(a: &Post, b: &Post) -> bool {
    let own = |post: &Post| (post.client, post.balancer, post.purpose);
    own(a) == own(b) && a.outcome == b.outcome && !a.outcome.is_acknowledged()
}

fn told(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Acknowledged { server, id, date, is_as_posted } => {
            let differs = if *is_as_posted { "" } else { ", NOT as posted" };
            format!("acknowledged by {server} since {date} as {id}{differs}")
        }
        Outcome::NoConnection(why) | Outcome::Broken(why) => format!("{}: {why}", outcome.kind()),
        Outcome::TimedOut => outcome.kind(),
        Outcome::Problem { ambiguous, .. } => {
            format!("{}{}", outcome.kind(), if *ambiguous { ", ambiguous" } else { "" })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::Kind;
    use crate::history::tests::{acknowledged, id, post};

    #[test]
    fn a_story_has_the_posts_the_copies_and_the_faults_near() {
        let mut history = History::default();
        let place = history.add(Some(id(1)), "Ana", "Una vez.");
        history.note(place, post(4_000, 4_100, Outcome::NoConnection("nobody".to_owned())));
        history.note(place, post(4_100, 4_200, Outcome::NoConnection("nobody".to_owned())));
        history.note(place, post(5_000, 5_100, acknowledged(1)));
        let copy = wire::StoredSentence {
            author: "Ana".to_owned(),
            date: wire::Date::from_unix_micros(7),
            id: Some(id(1)),
            sentence: "Una vez.".to_owned(),
        };
        let held =
            ["A", "B"].map(|node| Held { node: node.to_owned(), copies: vec![copy.clone()], reported: 1 });
        let disturbances = [(Kind::NodeStop, 1, 4_000), (Kind::LbKill, 0, 6_000), (Kind::Drain, 0, 60_000)]
            .map(|(kind, target, from_ms)| Disturbance { kind, target, from_ms, until_ms: from_ms + 500 });
        let health = Health { n_nodes: 2, n_balancers: 1, disturbances: disturbances.to_vec() };
        let verdict = crate::check::check(&history, &held);
        let story = stories(&history, &held, &health, &verdict);
        for part in [
            "twice: 0192f0c1-2b3c-7def-8a9b-0c1d2e3f4a01, \"Una vez.\"",
            "4000..4200    ms  client 0  balancer 1  First, 2 times: refused: nobody\n",
            "5000..5100    ms  client 0  balancer 1  First: acknowledged by A since 2026-11-23 06:00:00.000001 as 01",
            "on A since 1970-01-01 00:00:00.000007",
            "on B since",
            "fault: node-stop of node B",
            "fault: lb-kill of balancer 1",
        ] {
            assert!(story.contains(part), "{part} is not in\n{story}");
        }
        assert!(!story.contains("drain"));
    }
}
