//! PURE. How long a client may take for what. Absent: the keys of the configuration, which each server has.

use std::time::Duration;

/// Fewest bytes that a client has to take in each `write` of time, unless nothing is left: whoever takes less holds an
/// answer back as well as one that takes nothing.
pub const MIN_TAKEN_BYTES: usize = 16 * 1024;

/// Time for which a server that stops still takes requests: every answer tells its client to go, and whoever waits for no
/// answer is sent away only then. A request that meets a closing connection is left in doubt.
pub const NOTICE: Duration = Duration::from_millis(500);
/// Time for which a request that has begun by then may go on arriving.
pub const LAST: Duration = Duration::from_secs(6);

/// Bounds of a client's connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Time from a request's first byte, or from the connect, to the end of its head.
    pub header: Duration,
    /// Time for a request's body.
    pub body: Duration,
    /// Time that a connection may rest between requests.
    pub idle: Duration,
    /// Time that a client may leave an answer unread.
    pub write: Duration,
    /// Time for a request that has begun when the server stops.
    pub last: Duration,
}
