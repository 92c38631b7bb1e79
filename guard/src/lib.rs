//! What both servers keep of a client's connection, whoever serves it: one table of requests (`wire::request`), one set of
//! deadlines, one end.
//!
//! A [`Guarded`] stream stands between a socket and an HTTP server that knows no such bounds. It gives the server one
//! request at a time, each head whole and found good, and refuses the others itself, in the words of `wire`. It closes a
//! connection whose client is slow, silent or does not read, and one whose last request was answered. It is a crate of its
//! own because balancer and node must treat the same bytes alike. Absent: routes, handlers, and who accepts connections.

mod answer;
mod clock;
mod intake;
mod limits;
mod linger;
pub mod listener;
mod refusal;
mod stream;

pub use limits::{LAST, Limits, MIN_TAKEN_BYTES, NOTICE};
pub use linger::{LINGER, linger};
pub use stream::Guarded;
