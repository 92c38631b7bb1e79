//! The handlers that give sentences back, and the one that deletes.
//!
//! A listing streams page by page, so that a million documents take the memory of two pages.

use actix_web::http::header::{ContentType, HeaderName, HeaderValue, LINK};
use actix_web::web::{Bytes, Data, Path, Query as QueryString};
use actix_web::{HttpRequest, HttpResponse};
use wire::contract::MAX_PAGE;
use wire::{Place, SentenceId, StoredSentence};

use super::Node;
use crate::problem::Failure;
use crate::report::InFlight;
use crate::store::{Pages, Query, StoreError};

/// Where the cursor of the next page stands, beside the `Link` header.
pub(super) const NEXT_HEADER: &str = "balanza-next";

/// A page of a listing ends early once its texts reach this many bytes, so that its answer fits in memory.
const MAX_ANSWER_BYTES: usize = 4 * 1024 * 1024;

/// `GET /sentence`.
pub(super) async fn list(request: HttpRequest, node: Data<Node>) -> Result<HttpResponse, Failure> {
    let query = query(request.query_string(), MAX_PAGE, &["limit", "after", "author"])?;
    match query.limit {
        Some(limit) => page(&node, query, limit).await,
        None => everything(&node, query).await,
    }
}

/// `GET /sentence/{id}`.
pub(super) async fn one(id: Path<String>, node: Data<Node>) -> Result<HttpResponse, Failure> {
    let document = node.store.get(read_id(&id)?).await?.ok_or_else(|| Failure::no_sentence(&id))?;
    Ok(HttpResponse::Ok().json(document))
}

/// `DELETE /sentence/{id}`.
pub(super) async fn delete(
    request: HttpRequest,
    id: Path<String>,
    node: Data<Node>,
) -> Result<HttpResponse, Failure> {
    node.tokens.admit_admin(request.headers())?;
    let (deleted, _) = node.store.delete(read_id(&id)?).await?;
    if deleted { Ok(HttpResponse::NoContent().finish()) } else { Err(Failure::no_sentence(&id)) }
}

async fn page(node: &Node, query: Query, limit: usize) -> Result<HttpResponse, Failure> {
    let author = query.author.clone();
    // One more than asked tells whether there is a next page.
    let mut pages = node.store.list(Query { limit: Some(limit + 1), ..query });
    let (mut body, mut written, mut last) = (b"[".to_vec(), 0, None);
    let mut more = false;
    'pages: while let Some(page) = pages.recv().await {
        for document in page? {
            if written == limit || body.len() >= MAX_ANSWER_BYTES {
                more = true;
                break 'pages;
            }
            write(&mut body, written == 0, &document);
            last = Some(Place::of(&document));
            written += 1;
        }
    }
    body.push(b']');
    let mut response = HttpResponse::Ok();
    response.content_type(ContentType::json());
    if let Some(last) = last.filter(|_| more) {
        let link = last.next_page("/sentence", limit, &[("author", author.as_deref())]);
        let next = last.cursor();
        for (name, value) in [(LINK, link), (HeaderName::from_static(NEXT_HEADER), next)] {
            if let Ok(value) = HeaderValue::from_str(&value) {
                response.insert_header((name, value));
            }
        }
    }
    Ok(response.body(body))
}

async fn everything(node: &Node, query: Query) -> Result<HttpResponse, Failure> {
    let mut pages = node.store.list(query);
    // A store that cannot be read is told by the status, as long as nothing is sent.
    let first = pages.recv().await.transpose()?;
    let listing = Listing { first, pages, begun: false, ended: false, _under_way: node.reporter.enter() };
    let stream = futures_util::stream::unfold(listing, |mut listing| async move {
        let piece = listing.next().await?;
        Some((piece, listing))
    });
    Ok(HttpResponse::Ok().content_type(ContentType::json()).streaming(stream))
}

/// A listing under way. A store that fails in the middle ends the connection, so that nobody takes a part for all.
struct Listing {
    first: Option<Vec<StoredSentence>>,
    pages: Pages,
    begun: bool,
    ended: bool,
    _under_way: InFlight,
}

impl Listing {
    async fn next(&mut self) -> Option<Result<Bytes, StoreError>> {
        if self.ended {
            return None;
        }
        let page = match self.first.take() {
            Some(page) => Some(Ok(page)),
            None => self.pages.recv().await,
        };
        let mut piece = Vec::new();
        if !self.begun {
            piece.push(b'[');
        }
        match page {
            Some(Ok(page)) => {
                for document in &page {
                    write(&mut piece, !self.begun, document);
                    self.begun = true;
                }
            }
            Some(Err(error)) => {
                self.ended = true;
                tracing::warn!(%error, "a listing broke off");
                return Some(Err(error));
            }
            None => {
                self.ended = true;
                piece.push(b']');
            }
        }
        Some(Ok(Bytes::from(piece)))
    }
}

fn write(body: &mut Vec<u8>, first: bool, document: &StoredSentence) {
    if !first {
        body.push(b',');
    }
    // A stored sentence is plain data with string keys, and a vector takes every byte: writing it cannot fail.
    drop(serde_json::to_writer(body, document));
}

fn read_id(text: &str) -> Result<SentenceId, Failure> {
    text.parse().map_err(|error: wire::IdError| {
        Failure::parameter("id", error.to_string(), "use an id such as 0192f0c1-2b3c-7def-8a9b-0c1d2e3f4a5b")
    })
}

/// The query of a listing: pages of at most `most`, and no parameter but the `known` ones.
pub(super) fn query(text: &str, most: usize, known: &[&str]) -> Result<Query, Failure> {
    let pairs = QueryString::<Vec<(String, String)>>::from_query(text)
        .map_err(|error| Failure::parameter("query", error.to_string(), "write it as ?limit=100"))?;
    let mut query = Query::default();
    for (name, value) in pairs.into_inner() {
        if !known.contains(&name.as_str()) {
            let (name, known) = (shortened(&name), listed(known));
            let detail = format!("there is no parameter `{name}`");
            return Err(Failure::parameter(&name, detail, format!("use {known}")));
        }
        let twice = match name.as_str() {
            "limit" => {
                let limit = value.parse().ok().filter(|limit| (1..=most).contains(limit));
                let limit = limit.ok_or_else(|| {
                    let detail = format!("`limit` is `{}`", shortened(&value));
                    Failure::parameter("limit", detail, format!("use a number from 1 to {most}"))
                })?;
                query.limit.replace(limit).is_some()
            }
            "after" => {
                let place = Place::read(&value).ok_or_else(|| {
                    let detail = format!("`after` is no cursor: `{}`", shortened(&value));
                    Failure::parameter("after", detail, "use the value of a balanza-next header")
                })?;
                query.after.replace(place.into()).is_some()
            }
            "author" if value.is_empty() => {
                return Err(Failure::parameter(
                    "author",
                    "`author` is empty",
                    "name an author, or leave it out",
                ));
            }
            _ => query.author.replace(value).is_some(),
        };
        if twice {
            return Err(Failure::parameter(&name, format!("`{name}` is given twice"), "give it once"));
        }
    }
    Ok(query)
}

/// Names in a row: `limit, after and author`.
fn listed(names: &[&str]) -> String {
    match names {
        [first @ .., last] if !first.is_empty() => format!("{} and {last}", first.join(", ")),
        names => names.concat(),
    }
}

fn shortened(text: &str) -> String {
    text.chars().take(64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        let told = match query(text, MAX_PAGE, &["limit", "after", "author"]) {
            Ok(query) => format!("{:?} {:?} {}", query.limit, query.author, query.after.is_some()),
            Err(failure) => failure.to_string(),
        };
        assert_eq!(told, expected, "{text}");
    }

    #[test]
    fn each_wrong_parameter_is_named() {
        check("", "None None false");
        check("limit=5&author=Ana%20B", "Some(5) Some(\"Ana B\") false");
        check(&format!("after={}", "0".repeat(48)), "None None true");
        check("limit=0", "`limit` is `0`; use a number from 1 to 1000");
        check("limit=x", "`limit` is `x`; use a number from 1 to 1000");
        check("limit=1001", "`limit` is `1001`; use a number from 1 to 1000");
        check("after=x", "`after` is no cursor: `x`; use the value of a balanza-next header");
        check("author=", "`author` is empty; name an author, or leave it out");
        check("limt=5", "there is no parameter `limt`; use limit, after and author");
        check("limit=5&limit=6", "`limit` is given twice; give it once");
        let other = query("author=Ana", 10_000, &["limit", "after"]).unwrap_err().to_string();
        assert_eq!(other, "there is no parameter `author`; use limit and after");
        assert_eq!(query("limit=10000", 10_000, &["limit"]).unwrap().limit, Some(10_000));
    }
}
