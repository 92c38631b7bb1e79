//! Requests as tests make them: JSON through a client, and raw bytes through a bare socket.

use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
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

/// Writes `bytes` to a fresh connection and reads until the other side closes it, or has answered in full and waits.
///
/// `None` when it closed without a word.
///
/// # Panics
/// When the other side neither answers nor closes within the deadline, or its answer is no HTTP.
pub async fn raw(address: &str, bytes: &[u8]) -> Option<Answer> {
    let mut stream = TcpStream::connect(address).await.unwrap_or_else(|error| panic!("{address}: {error}"));
    // A server that refuses early may close while we still write; what it answered is read all the same.
    drop(stream.write_all(bytes).await);
    read_answer(&mut stream).await
}

/// Reads one answer; see [`raw`].
///
/// # Panics
/// See [`raw`].
pub async fn read_answer(stream: &mut TcpStream) -> Option<Answer> {
    let mut read = Vec::new();
    loop {
        if let Some(answer) = whole(&read) {
            return Some(answer);
        }
        let more = tokio::time::timeout(crate::wait::DEADLINE, stream.read_buf(&mut read)).await;
        match more.unwrap_or_else(|_| panic!("no answer; so far: {}", String::from_utf8_lossy(&read))) {
            Ok(0) | Err(_) if read.is_empty() => return None,
            Ok(0) | Err(_) => panic!("half an answer: {}", String::from_utf8_lossy(&read)),
            Ok(_) => {}
        }
    }
}

/// A request in bytes, with the right `content-length`.
pub fn request(method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut head = format!("{method} {path} HTTP/1.1\r\nhost: test\r\ncontent-length: {}\r\n", body.len());
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    [head.as_bytes(), body].concat()
}

/// Whether nothing listens at `address`.
pub async fn is_closed(address: &str) -> bool {
    let connect = TcpStream::connect(address);
    !matches!(tokio::time::timeout(Duration::from_secs(5), connect).await, Ok(Ok(_)))
}

/// The answer, when `read` holds all of it.
fn whole(read: &[u8]) -> Option<Answer> {
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut parsed = httparse::Response::new(&mut headers);
    let httparse::Status::Complete(start) = parsed
        .parse(read)
        .unwrap_or_else(|error| panic!("no HTTP ({error}): {}", String::from_utf8_lossy(read)))
    else {
        return None;
    };
    let headers = parsed
        .headers
        .iter()
        .map(|header| (header.name.to_ascii_lowercase(), String::from_utf8_lossy(header.value).into_owned()))
        .collect::<Vec<_>>();
    let status = parsed.code?;
    let header = |name: &str| headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
    let body = &read[start..];
    let body = if header("transfer-encoding").is_some() {
        unchunked(body)?
    } else {
        let length = header("content-length").and_then(|value| value.parse().ok()).unwrap_or(0);
        body.get(..length)?.to_vec()
    };
    let text = String::from_utf8_lossy(&body).into_owned();
    let json = serde_json::from_str(&text).unwrap_or(Value::Null);
    Some(Answer { status, headers, text, json })
}

fn unchunked(mut body: &[u8]) -> Option<Vec<u8>> {
    let mut whole = Vec::new();
    loop {
        let end = body.windows(2).position(|pair| pair == b"\r\n")?;
        let size = usize::from_str_radix(std::str::from_utf8(&body[..end]).ok()?.trim(), 16).ok()?;
        let chunk = body.get(end + 2..end + 2 + size)?;
        body = body.get(end + 2 + size + 2..)?;
        if size == 0 {
            return Some(whole);
        }
        whole.extend_from_slice(chunk);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_whole_when_its_last_byte_is_there() {
        let plain = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n[]";
        assert!(whole(&plain[..plain.len() - 1]).is_none());
        assert_eq!(whole(plain).unwrap().text, "[]");
        let chunked = b"HTTP/1.1 400 No\r\ntransfer-encoding: chunked\r\n\r\n1\r\n[\r\n1\r\n]\r\n0\r\n\r\n";
        assert!(whole(&chunked[..chunked.len() - 1]).is_none());
        let answer = whole(chunked).unwrap();
        assert_eq!((answer.status, answer.text.as_str()), (400, "[]"));
    }
}
