//! Merges the lists of several nodes by date while they stream, holding one element of each. Absent: the request, the
//! form of the answer.

use actix_web::web::Bytes;
use futures_util::stream::LocalBoxStream;
use futures_util::{Stream, StreamExt, TryStreamExt};
use reqwest::StatusCode;
use reqwest::header::AUTHORIZATION;
use serde::Deserialize;
use wire::array::Cutter;
use wire::contract::MAX_SENTENCE_BODY_BYTES;
use wire::{Date, Place, SentenceId, Token, template};

use crate::endpoint::Endpoint;

/// Longest element of a node's list, in bytes: a sentence, its escapes, its date and id.
const MAX_ELEMENT_BYTES: usize = MAX_SENTENCE_BODY_BYTES + 1024;

/// What of a list is wanted. Old nodes know no parameters, so everything is checked here too.
#[derive(Clone, Debug, Default)]
pub(super) struct Wanted {
    /// Only this author's.
    pub(super) author: Option<String>,
    /// Only what comes after this place.
    pub(super) after: Option<Place>,
    /// At most this many.
    pub(super) limit: Option<usize>,
}

/// A node could not be read.
#[derive(Debug, thiserror::Error)]
#[error("node {node} cannot be read: {why}")]
pub(super) struct Unreadable {
    /// The node.
    pub(super) node: String,
    why: String,
}

/// A sentence where its order is concerned; the rest of its text is carried as it is.
#[derive(Deserialize)]
struct Order<'a> {
    date: Date,
    id: Option<SentenceId>,
    #[serde(borrow)]
    author: std::borrow::Cow<'a, str>,
}

/// One element and its place.
pub(super) struct Element {
    /// Its place.
    pub(super) place: Place,
    /// The object as the node wrote it.
    json: Vec<u8>,
}

/// The list of one node.
pub(super) struct Source {
    /// The node.
    pub(super) node: String,
    /// The bytes of the list, as they come; an error in words.
    pieces: LocalBoxStream<'static, Result<Bytes, String>>,
    elements: Cutter,
    head: Option<Element>,
    ended: bool,
}

impl Element {
    /// The element with its node, a `wire::LocatedSentence`.
    pub(super) fn write(&self, node: &str, out: &mut Vec<u8>) {
        template::write_located(out, node, &self.json);
    }
}

impl Source {
    /// Asks a node for its list.
    pub(super) async fn open(
        client: &reqwest::Client,
        token: Option<&Token>,
        node: String,
        endpoint: &Endpoint,
        wanted: &Wanted,
    ) -> Result<Self, Unreadable> {
        let mut query = Vec::new();
        if let Some(author) = &wanted.author {
            query.push(("author", author.clone()));
        }
        if let Some(after) = wanted.after {
            query.push(("after", after.cursor()));
        }
        if let Some(limit) = wanted.limit {
            query.push(("limit", limit.to_string()));
        }
        let url = reqwest::Url::parse_with_params(&endpoint.url("/sentence"), query);
        let asked = match url {
            Ok(url) => {
                let mut request = client.get(url);
                if let Some(token) = token {
                    request = request.header(AUTHORIZATION, token.header_value());
                }
                request.send().await.map_err(|error| error.to_string())
            }
            Err(error) => Err(error.to_string()),
        };
        match asked {
            Ok(response) if response.status() == StatusCode::OK => {
                Ok(Self::new(node, response.bytes_stream().map_err(|error| error.to_string())))
            }
            Ok(response) => Err(Unreadable { node, why: format!("it answered {}", response.status()) }),
            Err(why) => Err(Unreadable { node, why }),
        }
    }

    fn new(node: String, pieces: impl Stream<Item = Result<Bytes, String>> + 'static) -> Self {
        let elements = Cutter::new(MAX_ELEMENT_BYTES);
        Self { node, pieces: pieces.boxed_local(), elements, head: None, ended: false }
    }

    /// Sees to it that the next element is at hand, unless the list has ended.
    async fn fill(&mut self, wanted: &Wanted) -> Result<(), Unreadable> {
        while self.head.is_none() && !self.ended {
            let unreadable = |why: String| Unreadable { node: self.node.clone(), why };
            match self.elements.next_element().map_err(|error| unreadable(error.to_string()))? {
                Some(json) => {
                    let order: Order<'_> = serde_json::from_slice(json).map_err(|error| {
                        unreadable(format!("an element of its list is no sentence: {error}"))
                    })?;
                    let place = Place::new(order.date, order.id);
                    let by_author = wanted.author.as_ref().is_none_or(|author| *author == order.author);
                    if by_author && wanted.after.is_none_or(|after| place > after) {
                        self.head = Some(Element { place, json: json.to_vec() });
                    }
                }
                None => match self.pieces.next().await.transpose().map_err(unreadable)? {
                    Some(bytes) => self.elements.push(&bytes),
                    None if self.elements.is_whole() => self.ended = true,
                    None => return Err(unreadable("its list broke off".to_owned())),
                },
            }
        }
        Ok(())
    }
}

/// Several lists as one.
pub(super) struct Merge {
    sources: Vec<Source>,
    wanted: Wanted,
    given: usize,
}

impl Merge {
    /// Merges `sources`.
    pub(super) fn new(sources: Vec<Source>, wanted: Wanted) -> Self {
        Self { sources, wanted, given: 0 }
    }

    /// The next element in the order of all lists, with its node.
    pub(super) async fn next(&mut self) -> Result<Option<(&str, Element)>, Unreadable> {
        if self.wanted.limit.is_some_and(|limit| self.given >= limit) {
            return Ok(None);
        }
        for source in &mut self.sources {
            source.fill(&self.wanted).await?;
        }
        let first = self
            .sources
            .iter_mut()
            .filter(|source| source.head.is_some())
            .min_by_key(|source| source.head.as_ref().map(|head| head.place));
        let Some(source) = first else { return Ok(None) };
        self.given += 1;
        Ok(source.head.take().map(|element| (source.node.as_str(), element)))
    }

    /// The next piece of the JSON array of all elements; `None` behind its end.
    pub(super) async fn piece(&mut self, state: &mut Piece) -> Result<Option<Bytes>, Unreadable> {
        const PIECE_BYTES: usize = 16 * 1024;
        let mut out = Vec::with_capacity(PIECE_BYTES * 2);
        if *state == Piece::Ended {
            return Ok(None);
        }
        while out.len() < PIECE_BYTES {
            match self.next().await? {
                Some((node, element)) => {
                    out.push(if *state == Piece::First { b'[' } else { b',' });
                    *state = Piece::Next;
                    element.write(node, &mut out);
                }
                None => {
                    out.extend_from_slice(if *state == Piece::First { b"[]" } else { b"]" });
                    *state = Piece::Ended;
                    break;
                }
            }
        }
        Ok(Some(out.into()))
    }
}

/// How far the writing of an array has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Piece {
    /// Nothing is written.
    First,
    /// At least one element is written.
    Next,
    /// The last bracket is written.
    Ended,
}

#[cfg(test)]
mod tests;
