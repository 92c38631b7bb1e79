//! PURE. Reads a node's answer to a bulk post: one line per sentence, in their order. Absent: what follows from it.

use wire::problem::Kind;
use wire::{Date, ItemAnswer, ItemStatus, Problem, template};

use super::batch::Batch;
use crate::sentence::Sentence;

/// What became of one sentence.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict<'a> {
    /// Stored now.
    Fresh {
        /// In its written form.
        id: &'a str,
        /// In its written form.
        date: &'a str,
    },
    /// Stored before under the same id.
    Known {
        /// The document as JSON.
        stored: Vec<u8>,
    },
    /// Not stored.
    Failed(Box<Problem>),
}

const DISORDER: &str = "its lines are not in the order of the sentences";
const NO_DATE: &str = "a date in it is none";

/// Reads the whole answer before anything is settled by it.
///
/// # Errors
/// Says what is wrong with the answer; then nothing of it is believed.
pub(super) fn read<'a, W>(body: &'a [u8], batch: &Batch<W>) -> Result<Vec<Verdict<'a>>, String> {
    let mut verdicts = Vec::with_capacity(batch.len());
    let mut sentences = batch.sentences();
    let mut rest = body.trim_ascii_start();
    while !rest.is_empty() {
        let (sentence, written_id) = sentences.next().ok_or("it has more lines than sentences were sent")?;
        if let Some(stored) = template::read_stored(rest) {
            let id = std::str::from_utf8(stored.id).ok().filter(|id| *id == written_id).ok_or(DISORDER)?;
            if !Date::is_written(stored.date) {
                return Err(NO_DATE.to_owned());
            }
            verdicts.push(Verdict::Fresh { id, date: stored.date });
            rest = stored.behind;
        } else {
            let end = rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
            let (line, behind) = rest.split_at(end);
            verdicts.push(verdict(line, &sentence)?);
            rest = behind;
        }
        rest = rest.trim_ascii_start();
    }
    match sentences.len() {
        0 => Ok(verdicts),
        missing => Err(format!("{missing} of its lines are missing")),
    }
}

fn verdict<'a>(line: &[u8], sentence: &Sentence<'_>) -> Result<Verdict<'a>, String> {
    let answer: ItemAnswer =
        serde_json::from_slice(line).map_err(|error| format!("a line is not usable: {error}"))?;
    if answer.id.is_some_and(|id| id != sentence.id) {
        return Err(DISORDER.to_owned());
    }
    match (answer.status, &answer.stored) {
        (ItemStatus::Failed, _) => {
            let unsaid = || Problem::of(Kind::NodeFailed, "the node did not store the sentence");
            let mut problem = answer.error.unwrap_or_else(unsaid);
            if !(400..600).contains(&problem.status) {
                // It would reach the client as the status of its answer. What is no failure is not the sentence's.
                problem.status = Kind::NodeFailed.status();
            }
            Ok(Verdict::Failed(Box::new(problem)))
        }
        (_, Some(stored)) if stored.id.is_some_and(|id| id != sentence.id) => {
            Err("a line tells of another sentence".to_owned())
        }
        (_, Some(stored)) => Ok(Verdict::Known { stored: serde_json::to_vec(stored).unwrap_or_default() }),
        (ItemStatus::Stored | ItemStatus::Duplicate, None) => known_by_date(&answer, sentence),
    }
}

/// A stored line in another writing than the common one, or a duplicate without its document.
fn known_by_date<'a>(answer: &ItemAnswer, known: &Sentence<'_>) -> Result<Verdict<'a>, String> {
    let date = answer.date.ok_or("a line says `stored` and no date")?;
    let Sentence { id, author, sentence, .. } = known;
    let stored = format!(r#"{{"author":{author},"date":"{date}","id":"{id}","sentence":{sentence}}}"#);
    Ok(Verdict::Known { stored: stored.into_bytes() })
}

#[cfg(test)]
mod tests {
    use super::super::batch::tests::batch;
    use super::*;

    const IDS: [&str; 2] = ["0192f0c1-2b3c-7def-8a9b-0c1d2e3f4a5b", "0192f0c1-2b3c-7def-8a9b-0c1d2e3f4a5c"];
    const DATE: &str = "2020-10-08 16:51:30.506529";

    /// `expected` are the verdicts over `body`, in which #0 and #1 stand for the ids and #D for the date.
    fn check(body: &str, expected: &str) {
        let written = |text: &str| text.replace("#0", IDS[0]).replace("#1", IDS[1]).replace("#D", DATE);
        let body = written(body);
        let told = match read(body.as_bytes(), &batch(&IDS)) {
            Err(why) => why,
            Ok(verdicts) => {
                let told = verdicts.iter().map(|verdict| match verdict {
                    Verdict::Fresh { date, .. } => format!("fresh {date}"),
                    Verdict::Known { stored } => format!("known {}", String::from_utf8_lossy(stored)),
                    Verdict::Failed(problem) => format!("failed {}", problem.status),
                });
                told.collect::<Vec<_>>().join(" | ")
            }
        };
        assert_eq!(told, written(expected), "{body}");
    }

    #[test]
    fn common_answers_are_read_at_a_glance() {
        let stored = |id: &str| format!(r##"{{"status":"stored","id":"{id}","date":"#D"}}"##);
        check(&format!("{}\n{}\n", stored("#0"), stored("#1")), "fresh #D | fresh #D");
        check(&format!("{}\r\n\n{}", stored("#0"), stored("#1")), "fresh #D | fresh #D");
        check(
            &format!("{}\n{}\n", stored("#1"), stored("#0")),
            "its lines are not in the order of the sentences",
        );
        check(&format!("{}\n", stored("#0")), "1 of its lines are missing");
        let three = format!("{}\n{}\n{}\n", stored("#0"), stored("#1"), stored("#1"));
        check(&three, "it has more lines than sentences were sent");
    }

    #[test]
    fn every_other_writing_is_read_as_json() {
        let rest = r##"{"id":"#1","date":"#D","status":"stored"}"##;
        let document = r##"{"author":"x","date":"#D","id":"#0","sentence":"y"}"##;
        let known = format!(r##"{{"status":"duplicate","id":"#0","date":"#D","stored":{document}}}"##);
        let ours = r##"{"author":"a","date":"#D","id":"#1","sentence":"s"}"##;
        check(&format!("{known}\n{rest}\n"), &format!("known {document} | known {ours}"));
        let failed = r##"{"status":"failed","id":"#0"}"##;
        check(&format!("{failed}\n{rest}\n"), &format!("failed 503 | known {ours}"));
    }

    #[test]
    fn what_a_node_says_is_read_before_it_is_passed_on() {
        let rest = r##"{"status":"stored","id":"#1","date":"#D"}"##;
        let no_date =
            r##"{"status":"stored","id":"#0","date":"#D"}"##.replace("#D", "2020-99-99 99:99:99.999999");
        check(&format!("{no_date}\n{rest}\n"), "a date in it is none");
        let other = r##"{"author":"x","date":"#D","id":"#1","sentence":"y"}"##;
        let known = format!(r##"{{"status":"duplicate","id":"#0","date":"#D","stored":{other}}}"##);
        check(&format!("{known}\n{rest}\n"), "a line tells of another sentence");
        for (status, told) in
            [(0, 503), (200, 503), (399, 503), (400, 400), (503, 503), (600, 503), (65535, 503)]
        {
            let error = format!(
                r#"{{"type":"urn:balanza:x","title":"","status":{status},"detail":"","message":""}}"#
            );
            let failed = format!(r##"{{"status":"failed","id":"#0","error":{error}}}"##);
            check(&format!("{failed}\n{rest}\n"), &format!("failed {told} | fresh #D"));
        }
    }

    #[test]
    fn of_a_faulty_answer_nothing_is_believed() {
        let stored = r##"{"status":"stored","id":"#0","date":"#D"}"##;
        check(&format!("{stored}\n<html>"), "a line is not usable: expected value at line 1 column 1");
        check(
            &format!("{stored}\n{{\"status\":\"stored\",\"id\":\"#1\"}}"),
            "a line says `stored` and no date",
        );
        check("", "2 of its lines are missing");
    }
}
