//! The way to the nodes: a connection is any stream of bytes, so that TLS, or a network that a test makes up, is one more
//! kind of [`Network`]. Absent: what is said over a connection.

use std::io;
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::endpoint::Endpoint;

/// Bytes to a peer and back.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

/// Opens connections to nodes.
pub(crate) trait Network: Send + Sync {
    /// Connects to a node, without a deadline of its own; see [`connect_within`].
    fn connect<'a>(&'a self, endpoint: &'a Endpoint) -> BoxFuture<'a, io::Result<Box<dyn Stream>>>;
}

/// Why there is no connection to a node.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoConnection {
    /// The node cannot be reached.
    #[error("cannot connect: {0}")]
    Failed(io::Error),
    /// It did not answer in time.
    #[error("cannot connect within {0:?}")]
    TimedOut(Duration),
}

/// Connects to a node within `time`.
pub(crate) async fn connect_within(
    network: &dyn Network,
    endpoint: &Endpoint,
    time: Duration,
) -> Result<Box<dyn Stream>, NoConnection> {
    match timeout(time, network.connect(endpoint)).await {
        Ok(connected) => connected.map_err(NoConnection::Failed),
        Err(_) => Err(NoConnection::TimedOut(time)),
    }
}

/// Plain TCP.
pub(crate) struct Tcp;

impl Network for Tcp {
    fn connect<'a>(&'a self, endpoint: &'a Endpoint) -> BoxFuture<'a, io::Result<Box<dyn Stream>>> {
        Box::pin(async move {
            let stream = TcpStream::connect((endpoint.host.as_str(), endpoint.port)).await?;
            // Posts are written whole, so waiting for more to send can only delay them.
            stream.set_nodelay(true)?;
            Ok(Box::new(stream) as Box<dyn Stream>)
        })
    }
}
