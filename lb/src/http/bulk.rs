//! `POST /sentences`: every item is routed by the rule like a post of its own, and answered in its place. Absent: the
//! routing.

use actix_web::{HttpRequest, HttpResponse, web};
use futures_util::stream::{self, StreamExt};
use serde_json::value::RawValue;
use tokio::sync::oneshot;
use wire::contract::{MAX_BULK_BODY_BYTES, MAX_BULK_ITEMS, NDJSON};
use wire::media::Format;
use wire::{InvalidSentence, Problem, RoutedItem, SentenceId};

use super::{Shared, State, announced, refuse, whole};
use crate::answer::Reply;
use crate::problem::{self, Failure};

/// Items of one post that are under way at a time, so that one client cannot fill the lanes.
const AT_A_TIME: usize = 1024;

/// Takes many sentences; they are answered in the form in which they were posted.
pub(super) async fn post(request: HttpRequest, body: web::Payload, state: Shared) -> HttpResponse {
    let format = match announced(&request).json_or_lines() {
        Ok(format) => format,
        Err(unread) => return refuse(unread),
    };
    let body = match whole(body, MAX_BULK_BODY_BYTES).await {
        Ok(body) => body,
        Err(problem) => return refuse(problem),
    };
    let items = match items(&body, format) {
        Ok(items) if items.len() > MAX_BULK_ITEMS => return refuse(problem::too_many(items.len())),
        Ok(items) => items,
        Err(problem) => return refuse(*problem),
    };
    let answers =
        stream::iter(items).map(|item| route(item, &state)).buffered(AT_A_TIME).collect::<Vec<_>>().await;
    match format {
        Format::Lines => HttpResponse::Ok().content_type(NDJSON).body(joined(answers, b"", b"\n", b"\n")),
        Format::Json => {
            HttpResponse::Ok().content_type("application/json").body(joined(answers, b"[", b",", b"]"))
        }
    }
}

fn items(body: &[u8], format: Format) -> Result<Vec<&[u8]>, Box<Problem>> {
    if body.trim_ascii().is_empty() {
        return Err(Box::new(InvalidSentence::EmptyBody.into()));
    }
    match format {
        Format::Lines => {
            let lines = body.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
            Ok(lines.filter(|line| !line.is_empty()).collect())
        }
        Format::Json => serde_json::from_slice::<Vec<&RawValue>>(body)
            .map(|items| items.into_iter().map(|item| item.get().as_bytes()).collect())
            .map_err(|error| Box::new(problem::not_bulk(&error.to_string()))),
    }
}

/// One item's answer, a `wire::RoutedItem` as JSON.
async fn route(item: &[u8], state: &State) -> Vec<u8> {
    let sentence = match state.worker.read(item, None) {
        Ok(sentence) => sentence,
        Err(failure) => return failed(None, failure.into()),
    };
    let (sender, answer) = oneshot::channel();
    let id = sentence.id;
    state.worker.route(sentence, Reply::Handler(sender));
    match answer.await {
        Ok(Ok(written)) => written.body,
        Ok(Err(failure)) => failed(Some(id), Failure::into(failure)),
        Err(_) => failed(Some(id), problem::stopping()),
    }
}

fn failed(id: Option<SentenceId>, error: Problem) -> Vec<u8> {
    serde_json::to_vec(&RoutedItem::Failed { id, error }).unwrap_or_default()
}

fn joined(answers: Vec<Vec<u8>>, open: &[u8], between: &[u8], close: &[u8]) -> Vec<u8> {
    [open, &answers.join(between), close].concat()
}
