//! A small HTTP/1.1 server for stubs: keep-alive, a record of what it was asked, and answers that can be late or
//! missing. Runs on a thread and runtime of its own, so that a test which blocks does not starve it.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

/// One request as the stub read it.
#[derive(Clone, Debug)]
pub struct Request {
    /// `GET`, `POST`, ….
    pub method: String,
    /// Path and query.
    pub path: String,
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

    /// The value of a header, by its name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// What the stub does with a request.
pub enum Answer {
    /// Answers at once.
    Now(Response),
    /// Answers after a while.
    After(Duration, Response),
    /// Sends this event now and again and again, until the reader leaves.
    Events(Box<dyn Fn() -> String + Send + Sync>),
    /// Closes the connection without a word.
    Close,
    /// Says nothing and keeps the connection open.
    Silence,
}

/// A whole answer.
pub struct Response {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Response {
    /// JSON with a status.
    pub fn json(status: u16, body: &Value) -> Self {
        Self::text(status, "application/json", body.to_string())
    }

    /// Any text with a status.
    pub fn text(status: u16, media_type: &str, body: impl Into<Vec<u8>>) -> Self {
        Self { status, headers: vec![("content-type".to_owned(), media_type.to_owned())], body: body.into() }
    }

    /// One more header.
    #[must_use]
    pub fn with_header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    fn bytes(&self) -> Vec<u8> {
        let mut head = format!("HTTP/1.1 {} Stub\r\ncontent-length: {}\r\n", self.status, self.body.len());
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str("\r\n");
        let mut bytes = head.into_bytes();
        bytes.extend_from_slice(&self.body);
        bytes
    }
}

/// A running stub. Dropping it closes its socket and all its connections.
pub struct Stub {
    address: SocketAddr,
    requests: Arc<Mutex<Vec<Request>>>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Stub {
    /// Starts on a free port of 127.0.0.1.
    pub fn start(answer: impl Fn(&Request) -> Answer + Send + Sync + 'static) -> Self {
        Self::start_at("127.0.0.1:0".parse().unwrap(), answer)
    }

    /// Starts on a given address, as a stub that comes back does.
    ///
    /// # Panics
    /// When the address is taken.
    pub fn start_at(
        address: SocketAddr,
        answer: impl Fn(&Request) -> Answer + Send + Sync + 'static,
    ) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let listener = std::net::TcpListener::bind(address).unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let record = Arc::clone(&requests);
        let (stop, stopped) = oneshot::channel();
        let answer = Arc::new(answer);
        let thread = std::thread::spawn(move || {
            let accepting = async move {
                let listener = TcpListener::from_std(listener).unwrap();
                loop {
                    if let Ok((stream, _)) = listener.accept().await {
                        tokio::spawn(serve(stream, Arc::clone(&answer), Arc::clone(&record)));
                    }
                }
            };
            runtime.block_on(async {
                tokio::select! { () = accepting => (), _ = stopped => () }
            });
        });
        Self { address, requests, stop: Some(stop), thread: Some(thread) }
    }

    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where it listens, as a URL without a slash at the end.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// All that it was asked so far, in the order in which it was read.
    pub fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Stub {
    fn drop(&mut self) {
        self.stop.take();
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

async fn serve<A>(mut stream: TcpStream, answer: Arc<A>, record: Arc<Mutex<Vec<Request>>>) -> Option<()>
where
    A: Fn(&Request) -> Answer + Send + Sync + 'static,
{
    let mut buffer = Vec::new();
    loop {
        let request = read(&mut stream, &mut buffer).await?;
        // The answer is found first: a test that sees the request in the record can rely on its effect.
        let answer = answer(&request);
        record.lock().unwrap_or_else(PoisonError::into_inner).push(request);
        match answer {
            Answer::Now(response) => stream.write_all(&response.bytes()).await.ok()?,
            Answer::After(delay, response) => {
                tokio::time::sleep(delay).await;
                stream.write_all(&response.bytes()).await.ok()?;
            }
            Answer::Events(event) => repeat(&mut stream, event.as_ref()).await?,
            Answer::Close => return None,
            Answer::Silence => {
                // Ends when the other side gives up.
                stream.read_u8().await.ok()?;
            }
        }
    }
}

async fn repeat(stream: &mut TcpStream, event: &(dyn Fn() -> String + Send + Sync)) -> Option<()> {
    let head = "HTTP/1.1 200 Stub\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
    stream.write_all(head.as_bytes()).await.ok()?;
    loop {
        let text = event();
        stream.write_all(format!("{:x}\r\n{text}\r\n", text.len()).as_bytes()).await.ok()?;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Reads one request with a `content-length` or no body; `None` at the end of the stream or on anything else.
async fn read(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<Request> {
    loop {
        let mut headers = [httparse::EMPTY_HEADER; 64];
        let mut parsed = httparse::Request::new(&mut headers);
        if let httparse::Status::Complete(start) = parsed.parse(buffer).ok()? {
            let headers = parsed
                .headers
                .iter()
                .map(|header| {
                    (header.name.to_ascii_lowercase(), String::from_utf8_lossy(header.value).into_owned())
                })
                .collect::<Vec<_>>();
            let length = headers.iter().find(|(name, _)| name == "content-length");
            let length = length.map_or(Some(0), |(_, value)| value.parse::<usize>().ok())?;
            let (method, path) = (parsed.method?.to_owned(), parsed.path?.to_owned());
            while buffer.len() < start + length {
                more(stream, buffer).await?;
            }
            let body = buffer[start..start + length].to_vec();
            buffer.drain(..start + length);
            return Some(Request { method, path, headers, body });
        }
        more(stream, buffer).await?;
    }
}

async fn more(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<()> {
    (stream.read_buf(buffer).await.ok()? > 0).then_some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[tokio::test]
    async fn it_answers_on_one_connection_and_remembers() {
        let stub = Stub::start(|request| match request.path.as_str() {
            "/close" => Answer::Close,
            _ => Answer::Now(Response::json(200, &json!({ "read": request.json() }))),
        });
        let http = reqwest::Client::new();
        for number in [1, 2] {
            let answer = http.post(stub.url()).json(&number).send().await.unwrap();
            assert_eq!(answer.json::<Value>().await.unwrap(), json!({ "read": number }));
        }
        assert!(http.get(stub.url() + "/close").send().await.is_err());
        let asked = stub.requests();
        assert_eq!(asked.len(), 3);
        assert_eq!((asked[0].method.as_str(), asked[2].path.as_str()), ("POST", "/close"));
    }
}
