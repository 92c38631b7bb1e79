//! One connection of a stub: requests read one after the other, recorded, and treated as the stub says. Absent: the
//! port, and which connections are open.

use std::time::Duration;

use serde_json::Value;
use std::sync::PoisonError;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;

use super::{Action, Orders, Response, Shared, ordered};

/// Time between two events of a stream.
const EVENT_PAUSE: Duration = Duration::from_millis(50);

/// One request as the stub read it.
#[derive(Clone, Debug)]
pub struct Request {
    /// `GET`, `POST`, ….
    pub method: String,
    /// Path and query.
    pub path: String,
    /// The head as it was sent, up to and with the blank line.
    pub head: String,
    /// Names in lower case, with their values.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Request {
    /// The body as JSON; null where it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The value of a header, by its name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The path without its query.
    pub fn route(&self) -> &str {
        self.path.split('?').next().unwrap_or_default()
    }
}

/// Serves requests until the connection ends, for whatever reason.
pub(super) async fn converse<A>(stream: TcpStream, act: &A, shared: &Shared) -> Option<()>
where
    A: Fn(&Request) -> Action + Send + Sync + 'static,
{
    // What is sent in pieces is to travel in pieces.
    stream.set_nodelay(true).ok()?;
    let mut connection = Connection { stream, unread: Vec::new(), orders: shared.orders.subscribe() };
    loop {
        let request = connection.request().await?;
        let mut n_wakes = connection.orders.borrow().n_wakes;
        // What is done about it is found first: a test that sees the request in the record can rely on its effect.
        let mut action = act(&request);
        shared.record.lock().unwrap_or_else(PoisonError::into_inner).push(request.clone());
        while matches!(action, Action::Hold) {
            ordered(&mut connection.orders, |orders| orders.n_wakes > n_wakes).await;
            n_wakes = connection.orders.borrow().n_wakes;
            action = act(&request);
        }
        match action {
            Action::Answer(response) => connection.answer(&response).await?,
            Action::Events(event) => connection.events(event.as_ref()).await?,
            Action::Close => return None,
            Action::Silence => while connection.more().await.is_some() {},
            Action::Hold => {}
        }
    }
}

struct Connection {
    stream: TcpStream,
    unread: Vec<u8>,
    orders: watch::Receiver<Orders>,
}

impl Connection {
    /// Reads one request; `None` at the end of the stream, and on a request that is not framed by one `content-length`
    /// or by having no body.
    async fn request(&mut self) -> Option<Request> {
        loop {
            let mut headers = [httparse::EMPTY_HEADER; 64];
            let mut parsed = httparse::Request::new(&mut headers);
            if let httparse::Status::Complete(start) = parsed.parse(&self.unread).ok()? {
                let (method, path) = (parsed.method?.to_owned(), parsed.path?.to_owned());
                let headers = parsed
                    .headers
                    .iter()
                    .map(|header| {
                        (header.name.to_ascii_lowercase(), String::from_utf8_lossy(header.value).into_owned())
                    })
                    .collect::<Vec<_>>();
                let end = start + body_length(&headers)?;
                while self.unread.len() < end {
                    self.more().await?;
                }
                let head = String::from_utf8_lossy(&self.unread[..start]).into_owned();
                let body = self.unread[start..end].to_vec();
                self.unread.drain(..end);
                return Some(Request { method, path, head, headers, body });
            }
            self.more().await?;
        }
    }

    /// Reads what comes next, while the stub is to read at all.
    async fn more(&mut self) -> Option<()> {
        loop {
            ordered(&mut self.orders, |orders| orders.reads).await;
            tokio::select! {
                biased;
                () = ordered(&mut self.orders, |orders| !orders.reads) => {}
                read = self.stream.read_buf(&mut self.unread) => return (read.ok()? > 0).then_some(()),
            }
        }
    }

    async fn answer(&mut self, response: &Response) -> Option<()> {
        tokio::time::sleep(response.delay()).await;
        for piece in response.pieces() {
            self.stream.write_all(&piece).await.ok()?;
        }
        (!response.ends_the_connection()).then_some(())
    }

    async fn events(&mut self, event: &(dyn Fn() -> Option<String> + Send + Sync)) -> Option<()> {
        let head =
            "HTTP/1.1 200 Stub\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
        self.stream.write_all(head.as_bytes()).await.ok()?;
        while let Some(text) = event() {
            self.stream.write_all(format!("{:x}\r\n{text}\r\n", text.len()).as_bytes()).await.ok()?;
            tokio::time::sleep(EVENT_PAUSE).await;
        }
        self.stream.write_all(b"0\r\n\r\n").await.ok()
    }
}

fn body_length(headers: &[(String, String)]) -> Option<usize> {
    let mut lengths = headers.iter().filter(|(name, _)| name == "content-length");
    let length = lengths.next().map_or(Some(0), |(_, value)| value.parse().ok())?;
    let is_clear = lengths.next().is_none() && headers.iter().all(|(name, _)| name != "transfer-encoding");
    is_clear.then_some(length)
}
