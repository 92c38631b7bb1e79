//! A keep-alive connection to a node, over whatever stream the network gives, and one post over it at a time. It tells
//! trouble before the first byte left from trouble after it, since only the first is safe to forget. Absent: what is
//! posted, and what trouble means.

use std::cell::Cell;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt, ReadBuf};
use wire::contract::FENCE_HEADER;

use super::response::{self, Progress, Response};
use super::trouble::Trouble;
use crate::endpoint::Endpoint;
use crate::network::{Network, Stream, connect_within};

/// Room made for each read.
const READ_BYTES: usize = 16 * 1024;
/// A buffer that grew beyond this is given back after its answer.
const KEPT_BYTES: usize = 256 * 1024;

/// The head of a post without the lines of its fence and its content-length.
pub(super) type PostHead = String;

/// The head of every post of `media_type` to `path`.
pub(super) fn post_head(
    endpoint: &Endpoint,
    path: &str,
    media_type: &str,
    authorization: Option<&str>,
) -> PostHead {
    let Endpoint { authority, base, .. } = endpoint;
    let authorization = authorization.map(|value| format!("authorization: {value}\r\n")).unwrap_or_default();
    format!(
        "POST {base}{path} HTTP/1.1\r\nhost: {authority}\r\n{authorization}content-type: {media_type}\r\n\
         accept: {media_type}\r\n"
    )
}

/// A connection to a node.
pub(super) struct NodeConnection {
    stream: Box<dyn Stream>,
    head: Vec<u8>,
    answer: Vec<u8>,
}

impl NodeConnection {
    /// The open connection in `slot`, or a new one put there.
    pub(super) async fn open<'a>(
        slot: &'a mut Option<Self>,
        network: &dyn Network,
        endpoint: &Endpoint,
        time: Duration,
    ) -> Result<&'a mut Self, Trouble> {
        if slot.as_mut().is_some_and(Self::is_stale) {
            *slot = None;
        }
        if slot.is_none() {
            let connected = connect_within(network, endpoint, time).await;
            let stream = connected.map_err(|error| Trouble::NotSent(error.to_string()))?;
            *slot = Some(Self { stream, head: Vec::new(), answer: Vec::new() });
        }
        slot.as_mut().ok_or_else(|| Trouble::NotSent("no connection".to_owned()))
    }

    /// Whether the idle connection is of no use any more.
    fn is_stale(&mut self) -> bool {
        self.poll_stale(&mut Context::from_waker(Waker::noop())).is_ready()
    }

    /// Ready once the node has closed the idle connection, or said something unasked.
    pub(super) fn poll_stale(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut byte = [0];
        Pin::new(&mut self.stream).poll_read(cx, &mut ReadBuf::new(&mut byte)).map(drop)
    }

    /// Posts with the node's `fence` and reads the answer whole. `began` is set once a byte may have left.
    pub(super) async fn exchange(
        &mut self,
        post_head: &str,
        fence: Option<u64>,
        body: &[u8],
        began: &Cell<bool>,
    ) -> Result<Response, Trouble> {
        self.head.clear();
        self.head.extend_from_slice(post_head.as_bytes());
        let mut digits = itoa::Buffer::new();
        if let Some(fence) = fence {
            for part in [FENCE_HEADER, ": ", digits.format(fence), "\r\n"] {
                self.head.extend_from_slice(part.as_bytes());
            }
        }
        for part in ["content-length: ", digits.format(body.len()), "\r\n\r\n"] {
            self.head.extend_from_slice(part.as_bytes());
        }
        began.set(true);
        if let Err((sent, error)) = write_both(&mut self.stream, &self.head, body).await {
            let why = format!("the connection broke while sending: {error}");
            return Err(if sent == 0 { Trouble::NotSent(why) } else { Trouble::Unanswered(why) });
        }
        self.read_answer().await
    }

    async fn read_answer(&mut self) -> Result<Response, Trouble> {
        if self.answer.capacity() > KEPT_BYTES {
            self.answer = Vec::new();
        }
        self.answer.clear();
        let mut progress = Progress::default();
        loop {
            self.answer.reserve(READ_BYTES);
            let ended = match self.stream.read_buf(&mut self.answer).await {
                Ok(n) => n == 0,
                Err(error) => {
                    return Err(Trouble::Unanswered(format!(
                        "the connection broke before the answer: {error}"
                    )));
                }
            };
            match response::advance(&mut progress, &mut self.answer, ended) {
                Ok(Some(response)) => return Ok(response),
                Ok(None) => {}
                Err(error) => return Err(Trouble::Unanswered(error.to_string())),
            }
        }
    }

    /// The body of the answer that [`NodeConnection::exchange`] just gave.
    pub(super) fn body(&self, response: &Response) -> &[u8] {
        self.answer.get(response.body.clone()).unwrap_or_default()
    }
}

/// Writes both parts, in one call where the socket takes them; an error comes with the bytes that had left.
async fn write_both(
    stream: &mut Box<dyn Stream>,
    head: &[u8],
    body: &[u8],
) -> Result<(), (usize, io::Error)> {
    let mut sent = 0;
    while sent < head.len() + body.len() {
        let parts = [
            IoSlice::new(head.get(sent..).unwrap_or_default()),
            IoSlice::new(body.get(sent.saturating_sub(head.len())..).unwrap_or_default()),
        ];
        match stream.write_vectored(&parts).await {
            Ok(0) => return Err((sent, io::ErrorKind::WriteZero.into())),
            Ok(n) => sent += n,
            Err(error) => return Err((sent, error)),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
