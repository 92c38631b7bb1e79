//! One report stream on a line: passed on as it comes, cut, held back or garbled by the line's fault. Absent: posts.

use std::sync::Arc;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::trick::{self, Window};
use super::{Line, reach, reset};
use crate::fault::Kind;

/// What becomes of a stream under a fault.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    Passes,
    /// Nothing comes through until the line is whole again; then all of it does, late.
    Stalls,
    Garbled,
    Cut,
}

/// Passes the stream on until one side ends it, or the line's fault does. `begun` is what the balancer has sent so far.
pub(super) async fn pass(mut balancer: TcpStream, begun: Vec<u8>, line: &Arc<Line>) {
    let mut windows = line.window.subscribe();
    let mut fate = fate(line);
    let Ok(mut node) = reach(line).await else { return reset(balancer) };
    if fate == Fate::Cut || node.write_all(&begun).await.is_err() {
        return reset(balancer);
    }
    let (mut reports, mut asked) = (Vec::new(), Vec::new());
    loop {
        tokio::select! {
            read = node.read_buf(&mut reports), if fate != Fate::Stalls => {
                if !matches!(read, Ok(1..)) {
                    return;
                }
                if fate == Fate::Garbled && line.random.lock().chance(10) {
                    reports = trick::garbled(&mut line.random.lock(), &reports, 0);
                }
                if balancer.write_all(&reports).await.is_err() {
                    return;
                }
                reports.clear();
            }
            read = balancer.read_buf(&mut asked) => {
                if !matches!(read, Ok(1..)) || node.write_all(&asked).await.is_err() {
                    return;
                }
                asked.clear();
            }
            turned = windows.changed() => {
                fate = self::fate(line);
                if turned.is_err() || fate == Fate::Cut {
                    return reset(balancer);
                }
            }
        }
    }
}

fn fate(line: &Line) -> Fate {
    let Some(Window { kind, percent }) = line.window() else { return Fate::Passes };
    let mut random = line.random.lock();
    match kind {
        Kind::HalfOpen => Fate::Stalls,
        Kind::Reset | Kind::Truncated if random.chance(percent) => Fate::Cut,
        Kind::Garbled => Fate::Garbled,
        Kind::Stream if random.chance(50) => Fate::Cut,
        Kind::Stream => Fate::Stalls,
        _ => Fate::Passes,
    }
}
