//! How a scripted node of today is spoken to: bulk posts of lines with ids, and a stream of reports.

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use wire::contract::{
    DOCUMENTS_HEADER, EPOCH_HEADER, MAX_BULK_BODY_BYTES, MAX_BULK_ITEMS, NDJSON, REVISION_HEADER,
};
use wire::{Problem, RawSentence};

use super::{Dialect, Document, State, as_json, lock};
use crate::script::{Says, Turn};
use crate::stub::{Action, Request, Response};

/// An item of a bulk post, or why it is none.
type Item<'a> = Result<(String, RawSentence<'a>), Box<Problem>>;

/// `POST /sentences`.
pub(super) fn bulk(state: &mut State, request: &Request) -> Action {
    let items = match items(request) {
        Ok(items) => items,
        Err(problem) => return Action::Answer(Response::problem(&problem)),
    };
    let turn = state.script.take(&request.text());
    if turn.says == Says::Held {
        return Action::Hold;
    }
    let before = state.documents.len();
    let lines = items.iter().enumerate().map(|(place, item)| become_of(state, &turn, place, item));
    let lines = lines.collect::<String>();
    state.revision += u64::from(state.documents.len() > before);
    match turn.says.clone() {
        Says::Outcomes | Says::Failures(..) => {
            let response = Response::text(200, NDJSON, lines)
                .with_header(EPOCH_HEADER, &state.epoch)
                .with_header(REVISION_HEADER, state.revision.to_string())
                .with_header(DOCUMENTS_HEADER, state.n_documents().to_string());
            Action::Answer(turn.sent(response))
        }
        Says::Else(response) => Action::Answer(turn.sent(response)),
        Says::Nothing => Action::Close,
        Says::Silence => Action::Silence,
        Says::Held => Action::Hold,
    }
}

/// The items of a body that shows any; else why it is refused whole, as a real node refuses it.
fn items(request: &Request) -> Result<Vec<Item<'_>>, Box<Problem>> {
    let refused = |status, code, why| Err(Box::new(Problem::new(status, code, "The body is refused", why)));
    if request.header("content-type") != Some(NDJSON) {
        return refused(415, "wrong-media-type", "the body is not of lines, which is all that this reads");
    }
    let lines = request.body.split(|byte| *byte == b'\n');
    let lines = lines.filter(|line| !line.trim_ascii().is_empty()).collect::<Vec<_>>();
    if lines.len() > MAX_BULK_ITEMS || request.body.len() > MAX_BULK_BODY_BYTES {
        return refused(413, "too-many", "the body has too many sentences");
    }
    if lines.is_empty() {
        return refused(400, "empty-body", "the body is empty");
    }
    Ok(lines.into_iter().map(item).collect())
}

fn item(line: &[u8]) -> Item<'_> {
    let sentence = RawSentence::parse(line).map_err(|invalid| Box::new(invalid.into()))?;
    let no_id = || Box::new(Problem::new(400, "no-id", "The item has no id", "`id` is missing"));
    let id = sentence.id.ok_or_else(no_id)?;
    Ok((id.to_string(), sentence))
}

/// Stores the item in its place if the turn says so, and gives the line about it, in the order of keys of a real node.
fn become_of(state: &mut State, turn: &Turn, place: usize, item: &Item<'_>) -> String {
    let (id, sentence) = match item {
        Ok(item) => item,
        Err(problem) => return failed(None, problem),
    };
    let stored = turn
        .stores(place)
        .then(|| state.store(Some(id.clone()), sentence.author.text(), sentence.sentence.text()));
    match (&turn.says, stored) {
        (Says::Failures(which, problem), _) if which.is(place) => failed(Some(id), problem),
        (_, Some((Document { date, .. }, true))) => {
            format!("{{\"status\":\"stored\",\"id\":\"{id}\",\"date\":\"{date}\"}}\n")
        }
        (_, Some((document, false))) => {
            let (date, stored) = (&document.date, as_json(&document));
            format!("{{\"status\":\"duplicate\",\"id\":\"{id}\",\"date\":\"{date}\",\"stored\":{stored}}}\n")
        }
        // Whoever stores nothing of a post says something else of it as a whole.
        (_, None) => String::new(),
    }
}

fn failed(id: Option<&String>, problem: &Problem) -> String {
    let (id, error) = (json!(id), serde_json::to_string(problem).unwrap());
    format!("{{\"status\":\"failed\",\"id\":{id},\"error\":{error}}}\n")
}

/// `GET /report/stream`: reports until the node turns old.
pub(super) fn reports(shared: Arc<Mutex<State>>) -> Action {
    Action::Events(Box::new(move || {
        let mut state = lock(&shared);
        state.n_reports += 1;
        (state.dialect == Dialect::Today).then(|| format!("data: {}\n\n", report(&state)))
    }))
}

/// What [`wire::Report`] reads.
pub(super) fn report(state: &State) -> Value {
    let basis_points = |percent: &str| percent.parse::<u64>().ok().map(|percent| percent * 100);
    json!({
        "epoch": state.epoch, "seq": state.n_reports, "sampled_at": "2026-11-23 10:00:00.000000", "valid": true,
        "ram": basis_points(&state.readings.ram), "cpu": basis_points(&state.readings.cpu),
        "ram_total_bytes": 1, "ram_available_bytes": 1, "per_cpu": [], "steal": null, "window_ms": 1,
        "source": "procfs", "ram_source": "procfs", "cpu_source": "procfs", "scope": "host",
        "documents": state.n_documents(), "revision": state.revision,
        "in_flight": 0, "ready": true, "not_ready_because": null,
    })
}
