//! The balancer over HTTP: one post, one look at the fleet, one listing. Repeats and order are elsewhere.

use std::error::Error;
use std::time::Duration;

use futures_util::{Stream, StreamExt};
use reqwest::{Client, Response};
use serde::Deserialize;
use wire::array::Cutter;
use wire::{FleetView, NewSentence};

use crate::address::Address;
use crate::answer::{Answer, cause_of, judge};
use crate::cause::Cause;

/// A connection is there within this, or the balancer is not.
const CONNECT_WITHIN: Duration = Duration::from_secs(3);
/// An answer to a post or a look is there within this; a node's slow flush is no reason to ask twice.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);

/// Longest sentence of a listing, in bytes: no document of a store of 2020 is longer.
const MAX_LISTED_BYTES: usize = 16 * 1024 * 1024;

/// A balancer, with its kept connections.
#[derive(Clone, Debug)]
pub struct Balancer {
    client: Client,
    address: Address,
}

/// Why a look at the balancer gave nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// Nobody answered.
    Unreachable(Cause),
    /// Somebody answered, and not with what was asked for.
    Refused(Cause),
}

impl Trouble {
    /// What happened.
    pub fn cause(&self) -> &Cause {
        match self {
            Self::Unreachable(cause) | Self::Refused(cause) => cause,
        }
    }
}

/// Which sentences to list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    /// Only those of this author.
    pub author: Option<String>,
    /// Only those on this node.
    pub server: Option<String>,
    /// At most so many.
    pub limit: Option<u64>,
}

/// A sentence as listed. The balancer of 2020 gives no more than author and sentence for certain.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Listed {
    /// The node that holds it.
    #[serde(default)]
    pub server: String,
    /// When it was stored.
    #[serde(default)]
    pub date: String,
    /// Who said it.
    pub author: String,
    /// What was said.
    pub sentence: String,
}

impl Balancer {
    /// A balancer at this address; nothing is sent yet.
    ///
    /// # Errors
    /// When the HTTP client cannot be made.
    pub fn new(address: Address) -> Result<Self, Cause> {
        let client = Client::builder()
            .connect_timeout(CONNECT_WITHIN)
            .no_proxy()
            .tcp_nodelay(true)
            .user_agent(concat!("balanza/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| Cause::new(format!("the HTTP client cannot be made: {}", innermost(&error))))?;
        Ok(Self { client, address })
    }

    /// Where it is.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// Posts one sentence, once.
    pub async fn post(&self, sentence: &NewSentence) -> Answer {
        let request = self.client.post(self.address.join("/sentence")).json(sentence).timeout(ANSWER_WITHIN);
        let answered = async {
            let response = request.send().await?;
            let status = response.status().as_u16();
            let header = response.headers().get(reqwest::header::RETRY_AFTER);
            let retry_after = header.and_then(|value| value.to_str().ok()).map(str::to_owned);
            Ok((status, retry_after, response.bytes().await?))
        };
        match answered.await {
            Ok((status, retry_after, body)) => judge(status, retry_after.as_deref(), &body),
            Err(error) => Answer::Later { cause: self.unreachable(&error), after: None, reached: false },
        }
    }

    /// Looks at the fleet.
    ///
    /// # Errors
    /// When nobody answers, or not with a fleet.
    pub async fn fleet(&self) -> Result<FleetView, Trouble> {
        let response = self.get("/fleet", &[]).await?;
        let status = response.status().as_u16();
        let body = response.bytes().await.map_err(|error| Trouble::Unreachable(self.unreachable(&error)))?;
        if status == 200
            && let Ok(fleet) = serde_json::from_slice(&body)
        {
            return Ok(fleet);
        }
        Err(Trouble::Refused(cause_of(status, &body)))
    }

    /// Lists sentences as they arrive, each as its JSON text. The last item is an error when the answer broke off.
    ///
    /// # Errors
    /// When nobody answers, or not with a listing.
    pub async fn sentences(
        &self,
        listing: &Listing,
    ) -> Result<impl Stream<Item = Result<Vec<u8>, Cause>> + use<>, Trouble> {
        let most = listing.limit.unwrap_or(u64::MAX);
        // A limit within one page is the balancer's to keep; a larger one is kept here, over the whole stream.
        let page = listing
            .limit
            .filter(|limit| *limit <= wire::contract::MAX_PAGE as u64)
            .map(|limit| limit.to_string());
        let query = [("author", &listing.author), ("server", &listing.server), ("limit", &page)];
        let query =
            query.iter().filter_map(|(key, value)| Some((*key, value.as_deref()?))).collect::<Vec<_>>();
        let response = self.get("/sentence", &query).await?;
        let status = response.status().as_u16();
        if status != 200 {
            let body =
                response.bytes().await.map_err(|error| Trouble::Unreachable(self.unreachable(&error)))?;
            return Err(Trouble::Refused(cause_of(status, &body)));
        }
        let elements = cut(response.bytes_stream(), self.address.to_string());
        Ok(elements.take(usize::try_from(most).unwrap_or(usize::MAX)))
    }

    async fn get(&self, path: &str, query: &[(&str, &str)]) -> Result<Response, Trouble> {
        let mut url = self.address.join(path);
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let request = self.client.get(url).send();
        match tokio::time::timeout(ANSWER_WITHIN, request).await {
            Ok(answered) => answered.map_err(|error| Trouble::Unreachable(self.unreachable(&error))),
            Err(_) => Err(Trouble::Unreachable(Cause::new(format!("{} does not answer", self.address)))),
        }
    }

    fn unreachable(&self, error: &reqwest::Error) -> Cause {
        let address = &self.address;
        if error.is_connect() && error.is_timeout() {
            return Cause::new(format!("{address} does not answer")).with_remedy("check host and port");
        }
        if error.is_timeout() {
            return Cause::new(format!("{address} took longer than {} s to answer", ANSWER_WITHIN.as_secs()));
        }
        if error.is_connect() {
            return Cause::new(format!("no connection to {address} ({})", innermost(error)))
                .with_remedy("check the address, and that the balancer runs");
        }
        Cause::new(format!("the connection to {address} broke ({})", innermost(error)))
    }
}

fn cut(
    bytes: impl Stream<Item = reqwest::Result<impl AsRef<[u8]> + 'static>> + Unpin + 'static,
    address: String,
) -> impl Stream<Item = Result<Vec<u8>, Cause>> {
    let start = (bytes, Cutter::new(MAX_LISTED_BYTES), false);
    futures_util::stream::unfold(start, move |(mut bytes, mut cutter, ended)| {
        let address = address.clone();
        async move {
            if ended {
                return None;
            }
            let (items, ended) = match bytes.next().await {
                Some(Ok(part)) => {
                    cutter.push(part.as_ref());
                    whole(&mut cutter, &address)
                }
                Some(Err(error)) => {
                    (vec![Err(Cause::new(format!("{address} broke off: {}", innermost(&error))))], true)
                }
                None if cutter.is_whole() => return None,
                None => (
                    vec![Err(Cause::new(format!("{address} broke off before the end of the listing")))],
                    true,
                ),
            };
            Some((futures_util::stream::iter(items), (bytes, cutter, ended)))
        }
    })
    .flatten()
    .boxed_local()
}

/// The elements that are whole by now, and whether no more can come because the listing is none.
fn whole(cutter: &mut Cutter, address: &str) -> (Vec<Result<Vec<u8>, Cause>>, bool) {
    let mut items = Vec::new();
    loop {
        match cutter.next_element() {
            Ok(Some(element)) => items.push(Ok(element.to_vec())),
            Ok(None) => return (items, false),
            Err(error) => {
                items.push(Err(Cause::new(format!("{address}: {error}"))));
                return (items, true);
            }
        }
    }
}

/// The error at the bottom of the chain: the layers above it only say that something failed.
fn innermost(error: &dyn Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    let text = cause.to_string();
    // The system's number adds nothing to its words.
    text.split_once(" (os error").map_or(text.clone(), |(words, _)| words.to_owned())
}
