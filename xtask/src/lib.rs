//! What running other programs takes, once for every command of this workspace: a program that is run to its end
//! ([`command`]), one that runs on beside this one ([`process`]), a server of ours ([`service`]), and a question to it
//! ([`web`]).
//!
//! Absent: the commands themselves, which are the program of the same name. Depends on none of our crates, so that it
//! builds first.

pub mod command;
pub mod process;
pub mod service;
pub mod web;
