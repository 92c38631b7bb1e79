//! What `connection.rs` does, by hyper's client connection: the measure that `cargo xtask bench parts` takes ours by. In
//! the build of the feature `hyper-lane` it takes the place of ours, with the same interface. hyper has no word for
//! whether a byte left, so the stream notes that. Absent: a task of hyper's own; the lane drives the connection while it
//! posts and while it waits. Absent too: what ours does and hyper does not, which is to write all of a post before it
//! reads, and to post in HTTP/1.1 to a node that answered in HTTP/1.0.

use std::cell::Cell;
use std::error::Error;
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::{Body, Frame, Incoming};
use hyper::client::conn::http1::{Connection, SendRequest, handshake};
use hyper::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST, HeaderMap, HeaderName};
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper::{Method, Request, Uri};
use hyper_util::rt::TokioIo;

use super::response::{BadResponse, MAX_ANSWER_BYTES, Response};
use super::trouble::Trouble;
use crate::endpoint::Endpoint;
use crate::fleet::{Mark, epoch_number};
use crate::network::{Network, Stream, connect_within};

static EPOCH: HeaderName = HeaderName::from_static(wire::contract::EPOCH_HEADER);
static FENCE: HeaderName = HeaderName::from_static(wire::contract::FENCE_HEADER);
static REVISION: HeaderName = HeaderName::from_static(wire::contract::REVISION_HEADER);
static DOCUMENTS: HeaderName = HeaderName::from_static(wire::contract::DOCUMENTS_HEADER);

/// The head of a post without its content-length, or why there is none.
pub(super) struct PostHead(Result<Request<()>, String>);

/// The head of every post of `media_type` to `path`.
pub(super) fn post_head(
    endpoint: &Endpoint,
    path: &str,
    media_type: &str,
    authorization: Option<&str>,
) -> PostHead {
    let mut request = Request::post(format!("{}{path}", endpoint.base))
        .header(HOST, &endpoint.authority)
        .header(CONTENT_TYPE, media_type)
        .header(ACCEPT, media_type);
    if let Some(authorization) = authorization {
        request = request.header(AUTHORIZATION, authorization);
    }
    PostHead(request.body(()).map_err(|error| error.to_string()))
}

/// A connection to a node.
pub(super) struct NodeConnection {
    sender: SendRequest<Full<Bytes>>,
    driver: Driver,
    /// Whether a byte of the post has left.
    has_sent: Rc<Cell<bool>>,
    /// The map of the last answer's headers, emptied for those of the next post.
    headers: HeaderMap,
    /// The body of the last answer.
    answer: Answer,
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
            *slot = Some(Self::over(stream).await?);
        }
        slot.as_mut().ok_or_else(|| Trouble::NotSent("no connection".to_owned()))
    }

    async fn over(stream: Box<dyn Stream>) -> Result<Self, Trouble> {
        let has_sent = Rc::new(Cell::new(false));
        let stream = NotingStream { stream: TokioIo::new(stream), has_sent: Rc::clone(&has_sent) };
        // In HTTP/1 nothing is said before the first request.
        let (sender, connection) =
            handshake(stream).await.map_err(|error| Trouble::NotSent(cause(&error)))?;
        let driver = Driver { connection, has_ended: false };
        Ok(Self { sender, driver, has_sent, headers: HeaderMap::new(), answer: Answer::default() })
    }

    /// Whether the idle connection is of no use any more.
    fn is_stale(&mut self) -> bool {
        self.poll_stale(&mut Context::from_waker(Waker::noop())).is_ready()
    }

    /// Ready once the node has closed the idle connection, or said something unasked.
    pub(super) fn poll_stale(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.driver.poll(cx).map(drop)
    }

    /// Posts and reads the answer whole. `began` is set once a byte may have left.
    pub(super) async fn exchange(
        &mut self,
        post_head: &PostHead,
        fence: Option<u64>,
        body: &[u8],
        began: &Cell<bool>,
    ) -> Result<Response, Trouble> {
        // hyper reads into the room of the last answer again, once nobody holds it.
        self.answer = Answer::default();
        let request = self.request(post_head, fence, body)?;
        self.has_sent.set(false);
        began.set(true);
        self.answer_to(request).await.map_err(|why| {
            if self.has_sent.get() {
                Trouble::Unanswered(format!("the connection broke before the whole answer: {why}"))
            } else {
                Trouble::NotSent(format!("the connection broke while sending: {why}"))
            }
        })
    }

    fn request(
        &mut self,
        post_head: &PostHead,
        fence: Option<u64>,
        body: &[u8],
    ) -> Result<Request<Full<Bytes>>, Trouble> {
        let head = post_head.0.as_ref().map_err(|why| Trouble::NotSent(why.clone()))?;
        let mut headers = std::mem::take(&mut self.headers);
        headers.extend(head.headers().iter().map(|(name, value)| (name.clone(), value.clone())));
        if let Some(fence) = fence {
            headers.insert(FENCE.clone(), fence.into());
        }
        // The batch is kept for a repetition, and hyper keeps what it sends.
        let mut request = Request::new(Full::new(Bytes::copy_from_slice(body)));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = Uri::clone(head.uri());
        *request.headers_mut() = headers;
        Ok(request)
    }

    /// Sends a request and reads its answer; an error says why there is none.
    async fn answer_to(&mut self, request: Request<Full<Bytes>>) -> Result<Response, String> {
        let Self { sender, driver, headers, answer, .. } = self;
        let mut answering = pin!(sender.send_request(request));
        let response = poll_fn(|cx| {
            let ended = driver.poll(cx);
            match answering.as_mut().poll(cx) {
                Poll::Ready(answered) => Poll::Ready(answered.map_err(|error| cause(&error))),
                // hyper leaves a request unanswered that it never took.
                Poll::Pending => ended.map(|why| Err(why.unwrap_or_else(|| "it was closed".to_owned()))),
            }
        })
        .await?;
        let (head, mut body) = response.into_parts();
        while let Some(frame) = poll_fn(|cx| driver.poll_frame(&mut body, cx)).await {
            // Trailers say nothing that a lane wants to know.
            let Ok(data) = frame.map_err(|error| cause(&error))?.into_data() else { continue };
            answer.push(data)?;
            // To ask for the end where it is known would cost another turn.
            if body.is_end_stream() {
                break;
            }
        }
        let mark = mark(&head.headers);
        *headers = head.headers;
        headers.clear();
        let reusable = !driver.has_ended && sender.is_ready();
        let body = 0..answer.bytes().len();
        Ok(Response { status: head.status.as_u16(), reusable, mark, body })
    }

    /// The body of the answer that [`NodeConnection::exchange`] just gave.
    pub(super) fn body(&self, response: &Response) -> &[u8] {
        self.answer.bytes().get(response.body.clone()).unwrap_or_default()
    }
}

/// What drives the connection, within whichever task waits for it.
struct Driver {
    connection: Connection<NotingStream, Full<Bytes>>,
    has_ended: bool,
}

impl Driver {
    /// Moves what there is to be moved. Ready once the connection has ended; the first time with the reason, if there is
    /// any.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<String>> {
        if self.has_ended {
            return Poll::Ready(None);
        }
        let ended = ready!(Pin::new(&mut self.connection).poll(cx));
        self.has_ended = true;
        Poll::Ready(ended.err().map(|error| cause(&error)))
    }

    /// The next part of an answer's body.
    fn poll_frame(
        &mut self,
        body: &mut Incoming,
        cx: &mut Context<'_>,
    ) -> Poll<Option<hyper::Result<Frame<Bytes>>>> {
        let mut body = Pin::new(body);
        // Most answers are here by now; for the others this asks hyper to read on.
        if let Poll::Ready(frame) = body.as_mut().poll_frame(cx) {
            return Poll::Ready(frame);
        }
        // Where the connection ends by this, so does the body.
        drop(self.poll(cx));
        body.poll_frame(cx)
    }
}

/// The body of an answer. Most come in one part, which needs no copy.
#[derive(Default)]
struct Answer {
    only: Bytes,
    /// All parts, if there are several.
    joined: Vec<u8>,
}

impl Answer {
    fn push(&mut self, data: Bytes) -> Result<(), String> {
        if self.bytes().len() + data.len() > MAX_ANSWER_BYTES {
            return Err(BadResponse::TooLarge.to_string());
        }
        if self.bytes().is_empty() {
            self.only = data;
            return Ok(());
        }
        if self.joined.is_empty() {
            self.joined.extend_from_slice(&self.only);
        }
        self.joined.extend_from_slice(&data);
        Ok(())
    }

    fn bytes(&self) -> &[u8] {
        if self.joined.is_empty() { &self.only } else { &self.joined }
    }
}

/// A stream that notes when a byte has left.
struct NotingStream {
    stream: TokioIo<Box<dyn Stream>>,
    has_sent: Rc<Cell<bool>>,
}

impl NotingStream {
    fn note(&self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if matches!(written, Poll::Ready(Ok(n)) if n > 0) {
            self.has_sent.set(true);
        }
        written
    }
}

impl Read for NotingStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        room: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, room)
    }
}

impl Write for NotingStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.note(written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, parts);
        self.note(written)
    }
}

fn mark(headers: &HeaderMap) -> Option<Mark> {
    let text = |name| headers.get(name).and_then(|value| std::str::from_utf8(value.as_bytes()).ok());
    Some(Mark {
        epoch: epoch_number(text(&EPOCH)?),
        revision: text(&REVISION)?.parse().ok()?,
        documents: text(&DOCUMENTS)?.parse().ok()?,
    })
}

/// hyper hides the cause behind its own words.
fn cause(error: &hyper::Error) -> String {
    let mut cause: &dyn Error = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests;
