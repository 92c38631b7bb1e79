//! `POST /sentence` for clients that the door does not serve itself. Absent: whatever the door and this share, which is
//! `Worker::receive`.

use actix_web::{HttpRequest, HttpResponse, web};
use tokio::sync::oneshot;
use wire::contract::{DECISION_HEADER, IDEMPOTENCY_HEADER, MAX_SENTENCE_BODY_BYTES};

use super::{Shared, announced, fail, refuse, whole};
use crate::answer::Reply;
use crate::problem;

/// Takes one sentence.
pub(super) async fn post(request: HttpRequest, body: web::Payload, state: Shared) -> HttpResponse {
    if let Err(unread) = announced(&request).json() {
        return refuse(unread);
    }
    let worker = &state.worker;
    let body = match whole(body, MAX_SENTENCE_BODY_BYTES).await {
        Ok(body) => body,
        Err(problem) => return refuse(problem),
    };
    let key = request.headers().get(IDEMPOTENCY_HEADER).map(|value| value.as_bytes());
    let (sender, answer) = oneshot::channel();
    worker.receive(&body, key, Reply::Handler(sender));
    match answer.await {
        Ok(Ok(written)) => HttpResponse::Ok()
            .content_type("application/json")
            .insert_header((DECISION_HEADER, written.decision))
            .body(written.body),
        Ok(Err(failure)) => fail(failure),
        // The lane's task has ended with its thread.
        Err(_) => refuse(problem::stopping()),
    }
}
