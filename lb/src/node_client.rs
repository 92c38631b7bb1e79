//! Reads from one node over HTTP/1.1, on whatever stream the network gives, and keeps the connection while the node does.
//! Absent: what is read, and how long it may take.

use bytes::Bytes;
use http_body_util::Empty;
use hyper::body::Incoming;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::{Request, Response, header};
use hyper_util::rt::TokioIo;

use super::Ended;
use crate::balancer::Balancer;
use crate::endpoint::Endpoint;
use crate::network::{NoConnection, connect_within};

/// The connection to one node.
#[derive(Default)]
pub(super) struct Reader {
    open: Option<SendRequest<Empty<Bytes>>>,
}

impl Reader {
    /// Asks the node for `path`. The answer's body is still to be read.
    pub(super) async fn get(
        &mut self,
        balancer: &Balancer,
        endpoint: &Endpoint,
        path: &str,
        accept: &str,
    ) -> Result<Response<Incoming>, Ended> {
        let was_idle = self.open.as_ref().is_some_and(|open| !open.is_closed());
        match self.try_get(balancer, endpoint, path, accept).await {
            // A connection that ended while it was idle says nothing about the node.
            Err(Ended::Failed(_)) if was_idle => self.try_get(balancer, endpoint, path, accept).await,
            answered => answered,
        }
    }

    async fn try_get(
        &mut self,
        balancer: &Balancer,
        endpoint: &Endpoint,
        path: &str,
        accept: &str,
    ) -> Result<Response<Incoming>, Ended> {
        let mut connection = match self.open.take() {
            Some(open) if !open.is_closed() => open,
            _ => connect(balancer, endpoint).await?,
        };
        let mut request = Request::get(format!("{}{path}", endpoint.base))
            .header(header::HOST, &endpoint.authority)
            .header(header::ACCEPT, accept);
        if let Some(token) = &balancer.node_token {
            request = request.header(header::AUTHORIZATION, token.header_value());
        }
        let request = request.body(Empty::new()).map_err(|error| Ended::Failed(error.to_string()))?;
        connection.ready().await?;
        let response = connection.send_request(request).await?;
        self.open = Some(connection);
        Ok(response)
    }
}

async fn connect(balancer: &Balancer, endpoint: &Endpoint) -> Result<SendRequest<Empty<Bytes>>, Ended> {
    let time = balancer.lane_limits.connect_timeout;
    let stream = connect_within(&*balancer.network, endpoint, time).await.map_err(|error| match error {
        NoConnection::Failed(_) => Ended::Refused(error.to_string()),
        NoConnection::TimedOut(_) => Ended::Failed(error.to_string()),
    })?;
    let (sender, connection) = handshake(TokioIo::new(stream)).await?;
    // It ends with the sender and the last body; how, shows where the body is read.
    tokio::spawn(async move { drop(connection.await) });
    Ok(sender)
}

impl From<hyper::Error> for Ended {
    fn from(error: hyper::Error) -> Self {
        // hyper hides the cause behind its own words.
        let mut cause: &dyn std::error::Error = &error;
        while let Some(deeper) = cause.source() {
            cause = deeper;
        }
        Self::Failed(cause.to_string())
    }
}
