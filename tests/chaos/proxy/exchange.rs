//! One connection of a balancer that asks a node request by request, and what the line does to each exchange. Absent:
//! what is drawn, and report streams.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::sleep;

use super::trick::{self, Trick};
use super::{Held, Line, reach, reset};
use crate::message;

/// Passes requests and answers on until one side ends it, or a trick does.
pub(super) async fn converse(mut balancer: TcpStream, mut unread: Vec<u8>, line: &Arc<Line>) {
    let mut node = None;
    loop {
        let request = match next_request(&mut balancer, &mut unread, &mut node).await {
            Some(request) => request,
            None => return,
        };
        if !exchange(&mut balancer, &mut node, request, line).await {
            return reset(balancer);
        }
    }
}

/// Reads one request; `None` when a side has closed, in order, between two of them.
async fn next_request(
    balancer: &mut TcpStream,
    unread: &mut Vec<u8>,
    node: &mut Option<TcpStream>,
) -> Option<Vec<u8>> {
    loop {
        match message::request_length(unread) {
            Ok(Some(length)) => return Some(unread.drain(..length).collect()),
            Ok(None) => {}
            Err(_) => return None,
        }
        tokio::select! {
            read = balancer.read_buf(unread) => if !matches!(read, Ok(1..)) { return None },
            // As if there were no line between them.
            () = closed(node.as_ref()) => return None,
        }
    }
}

/// Waits until the node has closed the idle connection, or says something unasked; for ever without a connection.
async fn closed(node: Option<&TcpStream>) {
    let Some(node) = node else { return std::future::pending().await };
    loop {
        let readable = node.readable().await;
        let is_quiet =
            matches!(node.try_read(&mut [0]), Err(error) if error.kind() == io::ErrorKind::WouldBlock);
        if readable.is_err() || !is_quiet {
            return;
        }
    }
}

/// Does one exchange, by the line's fault; `false` when the connection is to be reset.
async fn exchange(
    balancer: &mut TcpStream,
    node: &mut Option<TcpStream>,
    request: Vec<u8>,
    line: &Arc<Line>,
) -> bool {
    let is_post = request.starts_with(b"POST /sentences HTTP") || request.starts_with(b"POST /sentence HTTP");
    // Until it has its end: a node that is stopped may have the request and read it only when it goes on.
    let held = line.hold();
    let trick = trick::draw(&mut line.random.lock(), line.window(), is_post);
    let wait = |ms| sleep(Duration::from_millis(ms));
    match trick {
        Trick::Pass => match ask(node, &request, line).await {
            Ok(answer) => balancer.write_all(&answer.bytes).await.is_ok() && answer.keeps,
            Err(_) => false,
        },
        Trick::Reset { late_ms } => {
            if let Some(ms) = late_ms {
                deliver_late(request, Duration::from_millis(ms), held);
            }
            false
        }
        Trick::LoseAnswer => {
            drop(ask(node, &request, line).await);
            false
        }
        Trick::Swallow { delivers } => {
            let mut windows = line.window.subscribe();
            windows.wait_for(|window| window.is_none()).await.ok();
            if delivers {
                deliver_late(request, Duration::ZERO, held);
            }
            false
        }
        Trick::HoldAnswer { ms } => match ask(node, &request, line).await {
            Ok(answer) => {
                wait(ms).await;
                balancer.write_all(&answer.bytes).await.is_ok() && answer.keeps
            }
            Err(_) => false,
        },
        Trick::HoldRequest { ms } => {
            wait(ms).await;
            // Also where the balancer has gone: the node cannot know.
            match ask(node, &request, line).await {
                Ok(answer) => balancer.write_all(&answer.bytes).await.is_ok() && answer.keeps,
                Err(_) => false,
            }
        }
        Trick::Truncate => {
            if let Ok(answer) = ask(node, &request, line).await {
                let part = trick::truncated(&mut line.random.lock(), &answer.bytes).to_vec();
                balancer.write_all(&part).await.ok();
                // In order: what was written is to arrive.
                balancer.shutdown().await.ok();
                wait(20).await;
            }
            false
        }
        Trick::Garble => match ask(node, &request, line).await {
            Ok(answer) => {
                let from = if line.random.lock().chance(75) { answer.head_length } else { 0 };
                let bad = trick::garbled(&mut line.random.lock(), &answer.bytes, from);
                balancer.write_all(&bad).await.is_ok() && answer.keeps
            }
            Err(_) => false,
        },
        Trick::Double { pause_ms } => match ask(node, &request, line).await {
            Ok(answer) if pause_ms == 0 => {
                balancer.write_all(&answer.bytes.repeat(2)).await.is_ok() && answer.keeps
            }
            Ok(answer) => {
                let once = balancer.write_all(&answer.bytes).await.is_ok();
                wait(pause_ms).await;
                once && balancer.write_all(&answer.bytes).await.is_ok() && answer.keeps
            }
            Err(_) => false,
        },
        Trick::Answer { status, delivers } => {
            // Without the node's word the request is not surely kept back, and not surely delivered.
            let has = delivers && ask(node, &request, line).await.is_ok();
            has == delivers && balancer.write_all(&trick::made_up(status, delivers)).await.is_ok()
        }
    }
}

/// An answer of the node as it came.
struct Answer {
    bytes: Vec<u8>,
    head_length: usize,
    /// Whether its connection can carry another request.
    keeps: bool,
}

/// Delivers a request to the node and reads the answer whole.
async fn ask(node: &mut Option<TcpStream>, request: &[u8], line: &Line) -> io::Result<Answer> {
    let mut stream = match node.take() {
        Some(stream) => stream,
        None => reach(line).await?,
    };
    stream.write_all(request).await?;
    let mut bytes = Vec::new();
    loop {
        let ended = stream.read_buf(&mut bytes).await? == 0;
        if let Some(answer) = message::answer(&bytes, ended).map_err(io::Error::other)? {
            let message::Answer { head_length, length, keeps, .. } = answer;
            bytes.truncate(length);
            if keeps {
                *node = Some(stream);
            }
            return Ok(Answer { bytes, head_length, keeps });
        }
    }
}

/// Delivers a request later, on a connection of its own, when nobody waits for the answer.
fn deliver_late(request: Vec<u8>, after: Duration, held: Held) {
    tokio::spawn(async move {
        sleep(after).await;
        drop(ask(&mut None, &request, &held.0).await);
    });
}
