//! Errors as the wire tells them: what happened, with its kind, its words and its remedy. Absent: the kinds themselves,
//! which `wire::problem` lists.

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::{HttpResponse, ResponseError};
use wire::contract::{FENCE_HEADER, PROBLEM_JSON};
use wire::media::Unread;
use wire::problem::Kind;
use wire::{InvalidSentence, Problem};

use crate::fence::Outdated;
use crate::store::StoreError;

/// How long a client should wait before it tries a node again that cannot take a sentence, in seconds.
const RETRY_AFTER_SECONDS: HeaderValue = HeaderValue::from_static("1");

/// A failed request: the problem, and the headers that belong to its status.
#[derive(Debug)]
pub struct Failure {
    problem: Box<Problem>,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl Failure {
    fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// No such path.
    pub fn no_route(path: &str) -> Self {
        Problem::of(Kind::NoRoute, format!("no resource has the path {path}"))
            .with_remedy("see /openapi.json for what there is")
            .into()
    }

    /// The path exists and does not know the method.
    pub fn method(method: &str, path: &str, allow: &'static str) -> Self {
        let detail = format!("{path} does not know the method {method}");
        let problem = Problem::of(Kind::MethodNotAllowed, detail).with_remedy(format!("use {allow}"));
        Self::from(problem).with_header(header::ALLOW, HeaderValue::from_static(allow))
    }

    /// No sentence under this id.
    pub fn no_sentence(id: &str) -> Self {
        Problem::of(Kind::NoSentence, format!("no sentence has the id {id}"))
            .with_field("id")
            .with_remedy("see GET /sentence for those there are; another node may have it")
            .into()
    }

    /// A parameter of the query or the path is wrong.
    pub fn parameter(name: &str, detail: impl Into<String>, remedy: impl Into<String>) -> Self {
        Problem::of(Kind::BadParameter, detail).with_field(name).with_remedy(remedy).into()
    }

    /// The body is longer than this path reads.
    pub fn too_large(limit: usize) -> Self {
        let detail = format!("the body has more than {limit} bytes");
        let problem = Problem::of(Kind::TooLarge, detail).with_field("content-length");
        problem.with_remedy("send it in smaller parts").into()
    }

    /// The connection broke, or the body's framing is wrong.
    pub fn broken_body(detail: &str) -> Self {
        let detail = format!("the body could not be read: {detail}");
        Problem::of(Kind::BrokenBody, detail).with_remedy("send it again").into()
    }

    /// The request needs a token and has none, or a wrong one.
    pub fn unauthorized(kind: &str) -> Self {
        let problem = Problem::of(Kind::NoToken, format!("this needs the {kind} token"))
            .with_field("authorization")
            .with_remedy(format!("add -H 'authorization: Bearer TOKEN' with the {kind} token"));
        Self::from(problem).with_header(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))
    }

    /// The token is not the one that this needs.
    pub fn forbidden(kind: &str) -> Self {
        Problem::of(Kind::WrongToken, format!("this needs the {kind} token"))
            .with_field("authorization")
            .with_remedy(format!("use the {kind} token that the node was started with"))
            .into()
    }

    /// Nobody may do this, because no token was set up.
    pub fn no_token_configured() -> Self {
        Problem::of(Kind::NoAdminToken, "this needs the admin token, and this node has none")
            .with_remedy("start the node with --admin-token-file FILE")
            .into()
    }

    /// The node is stopping or its store is not usable.
    pub fn not_ready(reason: &str) -> Self {
        let problem = Problem::of(Kind::NotReady, format!("not ready: {reason}"))
            .with_remedy("try again, or another node");
        Self::from(problem).with_header(header::RETRY_AFTER, RETRY_AFTER_SECONDS)
    }

    /// The post is from before the fence.
    pub fn fenced(Outdated { holds }: Outdated) -> Self {
        let detail = format!("the post is from before the fence: the number that holds is {holds}");
        let problem = Problem::of(Kind::Fenced, detail)
            .with_field(FENCE_HEADER)
            .with_remedy("send it with the number of the newest report, or without one");
        Self::from(problem).with_header(HeaderName::from_static(FENCE_HEADER), HeaderValue::from(holds))
    }

    /// What the post carries is no number of a fence.
    pub fn no_fence_number() -> Self {
        let detail = format!("`{FENCE_HEADER}` is no single number");
        Self::parameter(FENCE_HEADER, detail, "send the number of the newest report, or none")
    }

    /// Posts from before the fence are not through in time. It stays raised, with this number.
    pub fn fence_waits(seconds: u64, holds: u64) -> Self {
        let detail = format!("posts from before the fence are still under way after {seconds} seconds");
        let problem = Problem::of(Kind::StoreUnavailable, detail)
            .with_remedy("ask again: the fence stays raised, and older posts stay out");
        Self::from(problem)
            .with_header(header::RETRY_AFTER, RETRY_AFTER_SECONDS)
            .with_header(HeaderName::from_static(FENCE_HEADER), HeaderValue::from(holds))
    }

    /// The body is not the JSON that this path reads.
    pub fn not_json(detail: &str, remedy: &'static str) -> Self {
        Problem::of(Kind::NotJson, format!("the body is not the JSON that is asked for: {detail}"))
            .with_remedy(remedy)
            .into()
    }

    /// More items than one request may have.
    pub fn too_many(found: usize, what: &str, limit: usize) -> Self {
        Problem::of(Kind::TooMany, format!("the body has {found} {what}; the limit is {limit}"))
            .with_remedy(format!("send at most {limit} at once"))
            .into()
    }
}

impl From<Box<Problem>> for Failure {
    fn from(problem: Box<Problem>) -> Self {
        Self { problem, headers: Vec::new() }
    }
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        Box::new(problem).into()
    }
}

impl From<InvalidSentence> for Failure {
    fn from(invalid: InvalidSentence) -> Self {
        Problem::from(invalid).into()
    }
}

impl From<Unread> for Failure {
    fn from(unread: Unread) -> Self {
        Problem::from(unread).into()
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        let detail = error.to_string();
        let again = |kind| Problem::of(kind, detail.clone()).with_remedy("try again, or another node");
        let problem = match &error {
            StoreError::Busy => again(Kind::StoreBusy),
            StoreError::Closed => again(Kind::Stopping),
            StoreError::Unavailable { ambiguous: true, .. } => again(Kind::StoreUnavailable)
                .with_doubt()
                .with_remedy("repeat it with the same id: what is stored already is not stored twice"),
            StoreError::Unavailable { .. } => again(Kind::StoreUnavailable),
            StoreError::Damaged(_) => {
                let problem = Problem::of(Kind::StoreDamaged, detail)
                    .with_remedy("stop the node and run `balanza-backend verify`, which names the remedy");
                return problem.into();
            }
        };
        Self::from(problem).with_header(header::RETRY_AFTER, RETRY_AFTER_SECONDS)
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.problem.fmt(f)
    }
}

impl ResponseError for Failure {
    fn status_code(&self) -> StatusCode {
        StatusCode::from_u16(self.problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    fn error_response(&self) -> HttpResponse {
        let mut response = HttpResponse::build(self.status_code());
        for (name, value) in &self.headers {
            response.insert_header((name.clone(), value.clone()));
        }
        // A problem is plain data with string keys: writing it cannot fail.
        let body = serde_json::to_vec(&*self.problem).unwrap_or_default();
        response.content_type(PROBLEM_JSON).body(body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(failure: &Failure, status: u16, kind: &str) {
        assert_eq!((failure.status_code().as_u16(), failure.problem.kind.as_str()), (status, kind));
        assert!(!failure.problem.detail.is_empty() && !failure.problem.message.is_empty());
    }

    #[test]
    fn every_store_error_has_its_status_and_only_a_doubtful_one_says_so() {
        let unavailable = |ambiguous| {
            Failure::from(StoreError::Unavailable { reason: "the disk is full".to_owned(), ambiguous })
        };
        check(&StoreError::Busy.into(), 503, "urn:balanza:store-busy");
        check(&StoreError::Closed.into(), 503, "urn:balanza:stopping");
        check(&unavailable(false), 503, "urn:balanza:store-unavailable");
        check(&StoreError::Damaged("document 7".to_owned()).into(), 500, "urn:balanza:store-damaged");
        assert!(!unavailable(false).problem.ambiguous);
        assert!(unavailable(true).problem.ambiguous);
        assert!(unavailable(true).error_response().headers().contains_key("retry-after"));
    }
}
