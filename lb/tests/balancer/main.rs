//! The real balancer over scripted nodes: its rule and its routes, its framing of clients, what becomes of a sentence
//! when a node fails, and the program with its flags and signals. Absent: real nodes; those are in `tests/e2e`.

#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a surprise ends its test")]

mod failures;
mod journal;
mod program;
mod protocol;
mod routing;
mod support;
mod tokens;
