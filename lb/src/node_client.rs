//! Asks nodes over HTTP/1.1, on whatever stream the network gives, and keeps each connection while its node does.
//! Absent: what is asked, and how long it may take; posts of sentences, which are a lane's.

use std::collections::HashMap;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::{Method, Request, Response, StatusCode, header};
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::timeout;
use wire::contract::BALANCER_HEADER;

use crate::balancer::Balancer;
use crate::endpoint::Endpoint;
use crate::fleet::NodeKey;
use crate::network::{NoConnection, connect_within};

/// Longest answer to a question, in bytes: ten thousand copies, each with room for other writings of the same.
const MAX_ANSWER_BYTES: usize = 4 * 1024 * 1024;

/// Why a node gave no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unanswered {
    /// Nobody listens there.
    #[error("{0}")]
    Refused(String),
    /// What else went wrong.
    #[error("{0}")]
    Failed(String),
    /// It answered, with this status.
    #[error("it answered {0}")]
    Status(StatusCode),
}

/// Connections to nodes, for questions that are answered whole and in JSON.
#[derive(Default)]
pub(crate) struct NodeClients(Mutex<HashMap<NodeKey, NodeClient>>);

impl NodeClients {
    /// Posts `question` to `path` of the node; the answer must be there within `time`.
    pub(crate) async fn ask<T: DeserializeOwned>(
        &self,
        balancer: &Balancer,
        node: NodeKey,
        path: &str,
        question: &impl Serialize,
        time: Duration,
    ) -> Result<T, Unanswered> {
        let body = serde_json::to_vec(question).map_err(|error| Unanswered::Failed(error.to_string()))?;
        self.exchange(balancer, node, Method::POST, path, body.into(), time).await
    }

    /// Asks the node for `path`; the answer must be there within `time`.
    pub(crate) async fn fetch<T: DeserializeOwned>(
        &self,
        balancer: &Balancer,
        node: NodeKey,
        path: &str,
        time: Duration,
    ) -> Result<T, Unanswered> {
        self.exchange(balancer, node, Method::GET, path, Bytes::new(), time).await
    }

    /// Ends the connections to nodes that have left the fleet.
    pub(crate) fn leave_gone(&self, balancer: &Balancer) {
        let mut clients = self.0.lock();
        balancer.step(|routing| clients.retain(|node, _| routing.fleet.node(*node).is_some()));
    }

    async fn exchange<T: DeserializeOwned>(
        &self,
        balancer: &Balancer,
        node: NodeKey,
        method: Method,
        path: &str,
        body: Bytes,
        time: Duration,
    ) -> Result<T, Unanswered> {
        let gone = || Unanswered::Failed("it has left the fleet".to_owned());
        let (_, endpoint) = balancer.node(node).ok_or_else(gone)?;
        // Whoever asks the same node meanwhile does so over another connection.
        let mut client = self.0.lock().remove(&node).unwrap_or_default();
        let exchange = async {
            let (method, accept) = (method.clone(), "application/json");
            read(client.send(balancer, &endpoint, method, path, accept, body).await?).await
        };
        let late = |_| {
            let route = path.split('?').next().unwrap_or_default();
            Unanswered::Failed(format!("no answer to {method} {route} within {time:?}"))
        };
        let answer = timeout(time, exchange).await.map_err(late)??;
        self.0.lock().insert(node, client);
        Ok(answer)
    }
}

/// The connection to one node.
#[derive(Default)]
pub(crate) struct NodeClient {
    open: Option<SendRequest<Full<Bytes>>>,
}

impl NodeClient {
    /// Asks the node for `path`. The answer's body is still to be read.
    pub(crate) async fn get(
        &mut self,
        balancer: &Balancer,
        endpoint: &Endpoint,
        path: &str,
        accept: &str,
    ) -> Result<Response<Incoming>, Unanswered> {
        self.send(balancer, endpoint, Method::GET, path, accept, Bytes::new()).await
    }

    async fn send(
        &mut self,
        balancer: &Balancer,
        endpoint: &Endpoint,
        method: Method,
        path: &str,
        accept: &str,
        body: Bytes,
    ) -> Result<Response<Incoming>, Unanswered> {
        let was_idle = self.open.as_ref().is_some_and(|open| !open.is_closed());
        let request = || {
            let mut request = Request::builder()
                .method(method.clone())
                .uri(format!("{}{path}", endpoint.base))
                .header(header::HOST, &endpoint.authority)
                .header(header::ACCEPT, accept)
                .header(BALANCER_HEADER, balancer.run.to_string());
            if method == Method::POST {
                request = request.header(header::CONTENT_TYPE, "application/json");
            }
            if let Some(token) = &balancer.node_token {
                request = request.header(header::AUTHORIZATION, token.header_value());
            }
            let request = request.body(Full::new(body.clone()));
            request.map_err(|error| Unanswered::Failed(error.to_string()))
        };
        match self.try_send(balancer, endpoint, request()?).await {
            // A connection that ended while it was idle says nothing about the node. No question does harm twice.
            Err(Unanswered::Failed(_)) if was_idle => self.try_send(balancer, endpoint, request()?).await,
            answered => answered,
        }
    }

    async fn try_send(
        &mut self,
        balancer: &Balancer,
        endpoint: &Endpoint,
        request: Request<Full<Bytes>>,
    ) -> Result<Response<Incoming>, Unanswered> {
        let mut connection = match self.open.take() {
            Some(open) if !open.is_closed() => open,
            _ => connect(balancer, endpoint).await?,
        };
        connection.ready().await?;
        let response = connection.send_request(request).await?;
        self.open = Some(connection);
        Ok(response)
    }
}

/// Reads an answer whole.
async fn read<T: DeserializeOwned>(answered: Response<Incoming>) -> Result<T, Unanswered> {
    if answered.status() != StatusCode::OK {
        return Err(Unanswered::Status(answered.status()));
    }
    let body = Limited::new(answered.into_body(), MAX_ANSWER_BYTES).collect().await;
    let bytes = body.map_err(|error| Unanswered::Failed(error.to_string()))?.to_bytes();
    serde_json::from_slice(&bytes)
        .map_err(|error| Unanswered::Failed(format!("its answer is not usable: {error}")))
}

async fn connect(balancer: &Balancer, endpoint: &Endpoint) -> Result<SendRequest<Full<Bytes>>, Unanswered> {
    let time = balancer.lane_limits.connect_timeout;
    let stream = connect_within(&*balancer.network, endpoint, time).await.map_err(|error| match error {
        NoConnection::Failed(_) => Unanswered::Refused(error.to_string()),
        NoConnection::TimedOut(_) => Unanswered::Failed(error.to_string()),
    })?;
    let (sender, connection) = handshake(TokioIo::new(stream)).await?;
    // It ends with the sender and the last body; how, shows where the body is read.
    tokio::spawn(async move { drop(connection.await) });
    Ok(sender)
}

impl From<hyper::Error> for Unanswered {
    fn from(error: hyper::Error) -> Self {
        // hyper hides the cause behind its own words.
        let mut cause: &dyn std::error::Error = &error;
        while let Some(deeper) = cause.source() {
            cause = deeper;
        }
        Self::Failed(cause.to_string())
    }
}
