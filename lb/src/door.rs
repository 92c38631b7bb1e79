//! The door: where clients' connections arrive, whatever stream they are. It serves plain `POST /sentence` requests itself,
//! since they are what the balancer is for, and hands every other connection with all its bytes to the full HTTP server.
//! Both ways end in the same `Worker::receive`. Absent: routes, JSON, nodes.

mod connection;
mod rewound;

use std::rc::Rc;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::worker::Worker;
use connection::{Connection, End};
pub(crate) use rewound::Rewound;

/// Time for which a refused client may still send what nobody reads.
const LINGER: std::time::Duration = std::time::Duration::from_secs(2);

/// Serves one connection until it ends or has to be handed over.
pub(crate) async fn serve<S>(stream: S, worker: Rc<Worker>) -> Option<Rewound<S>>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    worker.balancer.counters.connections.add(1);
    let (end, stream) = Connection::new(stream, Rc::clone(&worker)).run().await;
    match end {
        End::Gone => None,
        End::Linger => {
            // Boxed: most connections never come here and should not carry its room.
            Box::pin(linger(stream)).await;
            None
        }
        End::HandOver(read) => {
            worker.balancer.counters.handed_over.add(1);
            Some(Rewound::new(read, stream))
        }
    }
}

/// Closes so that the client can still read the answer: a socket closed with unread bytes would be reset.
async fn linger(mut stream: impl AsyncRead + AsyncWrite + Unpin) {
    if stream.shutdown().await.is_err() {
        return;
    }
    let mut unread = [0; 4096];
    let drain = async { while stream.read(&mut unread).await.is_ok_and(|n| n > 0) {} };
    // Whoever still sends after this is cut off.
    tokio::time::timeout(LINGER, drain).await.ok();
}
