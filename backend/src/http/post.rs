//! The handlers that take sentences. What they answer is durable.

use actix_web::http::StatusCode;
use actix_web::http::header::{ContentType, HeaderName, HeaderValue};
use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse, ResponseError};
use wire::contract::{
    DOCUMENTS_HEADER, EPOCH_HEADER, MAX_BULK_BODY_BYTES, MAX_SENTENCE_BODY_BYTES, NDJSON, REVISION_HEADER,
};
use wire::{Problem, RawSentence};

use super::bulk::{Batch, Form};
use super::{Node, body};
use crate::clock;
use crate::problem::Failure;
use crate::store::{Outcome, Receipt, Tally};

/// `POST /sentence`.
pub(super) async fn one(request: HttpRequest, payload: Payload, node: Data<Node>) -> HttpResponse {
    let answer = store_one(&request, payload, &node).await;
    finish(&node, answer)
}

/// `POST /sentences`.
pub(super) async fn many(request: HttpRequest, payload: Payload, node: Data<Node>) -> HttpResponse {
    let answer = store_many(&request, payload, &node).await;
    finish(&node, answer)
}

async fn store_one(
    request: &HttpRequest,
    payload: Payload,
    node: &Node,
) -> Result<(HttpResponse, Tally), Failure> {
    admit(request, node)?;
    match body::media_type(request.headers())?.as_deref() {
        None | Some("application/json") => {}
        Some(other) => return Err(Failure::media_type(other, body::JSON_REMEDY)),
    }
    let body = body::read(request, payload, MAX_SENTENCE_BODY_BYTES).await?;
    let sentence = RawSentence::parse(&body)?;
    // The answer repeats the literals of the request as they stand.
    let (author, text) = (sentence.author.raw(), sentence.sentence.raw());
    let id = sentence.id.unwrap_or_else(clock::new_id);
    let Receipt { outcomes, tally } = insert(node, vec![sentence.into_owned(id).into()]).await?;
    let body = match outcomes.into_iter().next() {
        Some(Outcome::Stored(date)) => {
            format!(r#"{{"author":{author},"date":"{date}","id":"{id}","sentence":{text}}}"#)
        }
        // A stored sentence is plain data with string keys: writing it cannot fail.
        Some(Outcome::Duplicate(stored)) => serde_json::to_string(&stored).unwrap_or_default(),
        refused => {
            let why = match refused {
                Some(Outcome::Refused(why)) => why,
                _ => "the store gave no outcome for it".to_owned(),
            };
            let problem = Problem::new(500, "refused", "The store refused the sentence", why);
            return Err(problem.with_remedy("see the node's log").into());
        }
    };
    Ok((HttpResponse::Ok().content_type(ContentType::json()).body(body), tally))
}

async fn store_many(
    request: &HttpRequest,
    payload: Payload,
    node: &Node,
) -> Result<(HttpResponse, Tally), Failure> {
    admit(request, node)?;
    let form = match body::media_type(request.headers())?.as_deref() {
        None | Some("application/json") => Form::Array,
        Some(NDJSON) => Form::Lines,
        Some(other) => {
            let remedy = "add -H 'content-type: application/json' for an array, \
                          or -H 'content-type: application/x-ndjson' for one object per line";
            return Err(Failure::media_type(other, remedy));
        }
    };
    let body = body::read(request, payload, MAX_BULK_BODY_BYTES).await?;
    let mut batch = Batch::read(&body, form)?;
    // The entries own their texts; the body need not wait for the disk.
    drop(body);
    let entries = std::mem::take(&mut batch.entries);
    let receipt = if entries.is_empty() {
        Receipt { outcomes: Vec::new(), tally: node.reporter.store().tally }
    } else {
        insert(node, entries).await?
    };
    let media_type = match form {
        Form::Array => ContentType::json().to_string(),
        Form::Lines => NDJSON.to_owned(),
    };
    let body = batch.answer(receipt.outcomes);
    Ok((HttpResponse::build(StatusCode::OK).content_type(media_type).body(body), receipt.tally))
}

fn admit(request: &HttpRequest, node: &Node) -> Result<(), Failure> {
    node.tokens.admit_write(request.headers())?;
    match node.reporter.not_ready_because() {
        Some(reason) => Err(Failure::not_ready(&reason)),
        None => Ok(()),
    }
}

async fn insert(node: &Node, entries: Vec<crate::store::Entry>) -> Result<Receipt, Failure> {
    let begun = clock::instant();
    let receipt = node.store.insert(entries).await?;
    node.metrics.inserted(begun.elapsed(), &receipt.outcomes);
    Ok(receipt)
}

/// Every answer to a post tells the store's count and revision: after the commit, or as they stand for a failed post.
fn finish(node: &Node, answer: Result<(HttpResponse, Tally), Failure>) -> HttpResponse {
    let (mut response, tally) =
        answer.unwrap_or_else(|failure| (failure.error_response(), node.reporter.store().tally));
    let headers = response.headers_mut();
    headers.insert(HeaderName::from_static(DOCUMENTS_HEADER), HeaderValue::from(tally.documents));
    headers.insert(HeaderName::from_static(REVISION_HEADER), HeaderValue::from(tally.revision));
    if let Ok(epoch) = HeaderValue::from_str(node.reporter.epoch()) {
        headers.insert(HeaderName::from_static(EPOCH_HEADER), epoch);
    }
    response
}
