//! Requests as tests make them that care for JSON, not for bytes: through a client that keeps its connections. Absent:
//! the bytes; those are [`crate::raw`]'s.

use serde_json::Value;
use wire::{SentenceId, StoredSentence};

/// An answer with its body as JSON.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// Names in lower case, with their values.
    pub headers: Vec<(String, String)>,
    /// The body as text.
    pub text: String,
    /// The body as JSON; null where it is none.
    pub json: Value,
}

impl Answer {
    /// The value of a header, by its name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// A client that gives up long after any healthy answer and keeps its connections.
///
/// # Panics
/// When no client can be made.
pub fn client() -> reqwest::Client {
    reqwest::Client::builder().timeout(crate::wait::DEADLINE).build().unwrap()
}

/// Sends a request; the error is in words.
///
/// # Errors
/// When there is no whole answer.
pub async fn send(request: reqwest::RequestBuilder) -> Result<Answer, String> {
    let answer = request.send().await.map_err(|error| format!("{error:?}"))?;
    let status = answer.status().as_u16();
    let headers = answer
        .headers()
        .iter()
        .map(|(name, value)| {
            (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
        })
        .collect();
    let text = answer.text().await.map_err(|error| format!("{error:?}"))?;
    let json = serde_json::from_str(&text).unwrap_or(Value::Null);
    Ok(Answer { status, headers, text, json })
}

/// `GET` of a whole URL.
///
/// # Panics
/// When there is no answer.
pub async fn get(url: &str) -> Answer {
    send(client().get(url)).await.unwrap_or_else(|error| panic!("GET {url}: {error}"))
}

/// `POST` of a JSON body.
///
/// # Panics
/// When there is no answer.
pub async fn post(url: &str, body: &Value) -> Answer {
    send(client().post(url).json(body)).await.unwrap_or_else(|error| panic!("POST {url}: {error}"))
}

/// Every sentence of a node or a balancer.
///
/// # Panics
/// When the answer is no list of sentences.
pub async fn sentences(base: &str) -> Vec<StoredSentence> {
    let answer = get(&format!("{base}/sentence")).await;
    assert_eq!(answer.status, 200, "GET {base}/sentence: {}", answer.text);
    serde_json::from_value(answer.json).unwrap_or_else(|error| panic!("{base}: {error}: {}", answer.text))
}

/// The id of every sentence of a node.
///
/// # Panics
/// When a sentence has none.
pub async fn ids(base: &str) -> Vec<SentenceId> {
    sentences(base)
        .await
        .into_iter()
        .map(|sentence| sentence.id.expect("a node of today knows ids"))
        .collect()
}
