//! How a scripted node of the old system is spoken to: single posts without ids, and pages where it refuses.
//!
//! Written from what the old programs did on the wire. Absent: their kernel module and their page.

use super::{State, as_json};
use crate::script::Says;
use crate::stub::{Action, Request, Response};

/// `POST /sentence`.
pub(super) fn post(state: &mut State, request: &Request) -> Action {
    let body = request.json();
    let (Some(author), Some(sentence)) = (body["author"].as_str(), body["sentence"].as_str()) else {
        return Action::Answer(page(400, "Bad Request"));
    };
    let turn = state.script.take(&request.text());
    let stored = turn.stores(0).then(|| state.store(None, author, sentence).0);
    state.revision += u64::from(stored.is_some());
    match (turn.says.clone(), stored) {
        (Says::Outcomes, Some(stored)) => Action::Answer(turn.sent(Response::json(200, &as_json(&stored)))),
        (Says::Else(response), _) => Action::Answer(turn.sent(response)),
        (Says::Nothing, _) => Action::Close,
        (Says::Silence, _) => Action::Silence,
        (Says::Held, _) => Action::Hold,
        // It had no other word for a sentence that it could not store.
        (Says::Outcomes | Says::Failures(..), _) => {
            Action::Answer(turn.sent(page(500, "Internal Server Error")))
        }
    }
}

/// Any other request.
pub(super) fn refuse(route: &str) -> Action {
    Action::Answer(match route {
        "/usage" | "/sentence" => page(405, "Method Not Allowed"),
        _ => page(404, "Not Found"),
    })
}

fn page(status: u16, title: &str) -> Response {
    let text = format!("<!DOCTYPE HTML>\n<title>{status} {title}</title>\n<h1>{title}</h1>\n");
    Response::text(status, "text/html", text)
}
