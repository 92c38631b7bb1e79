//! A client's connection to one balancer: one request at a time, kept open between them, each with a deadline. Absent:
//! what is posted, and what an answer means.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use wire::SentenceId;

use crate::message::{self, Answer};

/// Why there is no whole answer.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Nobody took the connection.
    NoConnection(String),
    /// It broke after the request had begun to leave.
    Broken(String),
    /// The deadline passed.
    TimedOut,
}

/// A connection, opened when it is first needed.
pub(crate) struct Caller {
    address: SocketAddr,
    stream: Option<TcpStream>,
}

impl Caller {
    /// A connection to this balancer.
    pub(crate) const fn to(address: SocketAddr) -> Self {
        Self { address, stream: None }
    }

    /// Posts JSON, with `key` as its `Idempotency-Key`, and reads the answer whole. After a failure the connection is dropped, with whatever was under way.
    ///
    /// # Errors
    /// See [`Failure`].
    pub(crate) async fn post(
        &mut self,
        path: &str,
        key: Option<SentenceId>,
        body: &[u8],
        within: Duration,
    ) -> Result<Answer, Failure> {
        let stream = self.stream.take();
        let key = key.map(|key| format!("idempotency-key: {key}\r\n")).unwrap_or_default();
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: {}\r\n{key}content-type: application/json\r\ncontent-length: {}\r\n\r\n",
            self.address,
            body.len()
        );
        let request = [head.as_bytes(), body].concat();
        match timeout(within, exchange(self.address, stream, &request)).await {
            Ok(Ok((answer, stream))) => {
                self.stream = answer.keeps.then_some(stream);
                Ok(answer)
            }
            Ok(Err(failure)) => Err(failure),
            Err(_) => Err(Failure::TimedOut),
        }
    }
}

async fn exchange(
    address: SocketAddr,
    stream: Option<TcpStream>,
    request: &[u8],
) -> Result<(Answer, TcpStream), Failure> {
    let mut stream = match stream.filter(is_open) {
        Some(stream) => stream,
        None => connect(address).await.map_err(|error| Failure::NoConnection(error.to_string()))?,
    };
    let broken = |error: io::Error| Failure::Broken(error.to_string());
    stream.write_all(request).await.map_err(broken)?;
    let mut bytes = Vec::new();
    loop {
        let ended = stream.read_buf(&mut bytes).await.map_err(broken)? == 0;
        if ended && bytes.is_empty() {
            return Err(Failure::Broken("it was closed without an answer".to_owned()));
        }
        match message::answer(&bytes, ended) {
            Ok(Some(answer)) => return Ok((answer, stream)),
            Ok(None) => {}
            Err(why) => return Err(Failure::Broken(format!("the answer cannot be read: {why}"))),
        }
    }
}

async fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Whether the balancer has neither closed the idle connection nor said anything unasked.
fn is_open(stream: &TcpStream) -> bool {
    matches!(stream.try_read(&mut [0]), Err(error) if error.kind() == io::ErrorKind::WouldBlock)
}
