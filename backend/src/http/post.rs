//! The handlers that take sentences. What they answer is durable.

use actix_web::http::StatusCode;
use actix_web::http::header::{ContentType, HeaderName, HeaderValue};
use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse, ResponseError};
use wire::RawSentence;
use wire::contract::{
    DOCUMENTS_HEADER, EPOCH_HEADER, FENCE_HEADER, MAX_BULK_BODY_BYTES, MAX_SENTENCE_BODY_BYTES, NDJSON,
    REVISION_HEADER,
};
use wire::media::Format;
use wire::template::{Fresh, ID_LEN};

use super::bulk::{Batch, refused};
use super::{Node, body};
use crate::clock;
use crate::fence::Pass;
use crate::problem::Failure;
use crate::store::{Entry, Outcome, Receipt, Tally};

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
    body::announced(request.headers()).json()?;
    let body = body::read(request, payload, MAX_SENTENCE_BODY_BYTES).await?;
    let sentence = RawSentence::parse(&body)?;
    // The answer repeats the literals of the request as they stand.
    let (author, text) = (sentence.author.raw(), sentence.sentence.raw());
    let id = sentence.id.unwrap_or_else(clock::new_id);
    let Receipt { outcomes, tally } =
        insert(node, vec![sentence.into_owned(id).into()], enter(request, node)?).await?;
    let body = match outcomes.into_iter().next() {
        Some(Outcome::Stored(date)) => {
            let (date, mut buffer) = (date.to_string(), [0; ID_LEN]);
            let id = id.0.hyphenated().encode_lower(&mut buffer);
            let fresh = Fresh { author, date: &date, id, sentence: text };
            let mut body = Vec::with_capacity(fresh.written_len());
            fresh.write(&mut body);
            body
        }
        // A stored sentence is plain data with string keys: writing it cannot fail.
        Some(Outcome::Duplicate(stored)) => serde_json::to_vec(&stored).unwrap_or_default(),
        Some(Outcome::Refused(why)) => return Err(refused(Some(why)).into()),
        None => return Err(refused(None).into()),
    };
    Ok((HttpResponse::Ok().content_type(ContentType::json()).body(body), tally))
}

async fn store_many(
    request: &HttpRequest,
    payload: Payload,
    node: &Node,
) -> Result<(HttpResponse, Tally), Failure> {
    admit(request, node)?;
    let format = body::announced(request.headers()).json_or_lines()?;
    let body = body::read(request, payload, MAX_BULK_BODY_BYTES).await?;
    let mut batch = Batch::read(&body, format)?;
    // The entries own their texts; the body need not wait for the disk.
    drop(body);
    let entries = std::mem::take(&mut batch.entries);
    // Behind the body, so that a slow sender holds no fence up.
    let pass = enter(request, node)?;
    let receipt = if entries.is_empty() {
        Receipt { outcomes: Vec::new(), tally: node.reporter.store().tally }
    } else {
        insert(node, entries, pass).await?
    };
    let media_type = match format {
        Format::Json => ContentType::json().to_string(),
        Format::Lines => NDJSON.to_owned(),
    };
    let body = batch.answer(receipt.outcomes);
    Ok((HttpResponse::build(StatusCode::OK).content_type(media_type).body(body), receipt.tally))
}

pub(super) fn admit(request: &HttpRequest, node: &Node) -> Result<(), Failure> {
    node.tokens.admit_write(request.headers())?;
    match node.reporter.not_ready_because() {
        Some(reason) => Err(Failure::not_ready(&reason)),
        None => Ok(()),
    }
}

/// Lets the post in, where it carries the fence's number or none.
fn enter(request: &HttpRequest, node: &Node) -> Result<Pass, Failure> {
    let mut values = request.headers().get_all(FENCE_HEADER).map(HeaderValue::as_bytes);
    let carried = match (values.next(), values.next()) {
        (None, _) => None,
        (Some(value), None) => Some(number(value).ok_or_else(Failure::no_fence_number)?),
        (Some(_), Some(_)) => return Err(Failure::no_fence_number()),
    };
    node.fence.enter(carried).map_err(Failure::fenced)
}

fn number(text: &[u8]) -> Option<u64> {
    let digits = !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(text).ok().filter(|_| digits)?.parse().ok()
}

async fn insert(node: &Node, entries: Vec<Entry>, pass: Pass) -> Result<Receipt, Failure> {
    let begun = clock::instant();
    let receipt = node.store.insert(entries, pass).await?;
    node.metrics.inserted(begun.elapsed(), &receipt.outcomes);
    Ok(receipt)
}

/// Every answer to a post that changes the store tells the store's count and revision: after the commit, or as they stand for a failed post.
pub(super) fn finish(node: &Node, answer: Result<(HttpResponse, Tally), Failure>) -> HttpResponse {
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
