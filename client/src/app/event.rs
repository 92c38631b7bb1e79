//! What happens outside, what is to be done outside, and what both carry. PURE.

use std::path::PathBuf;
use std::time::Instant;

use crossterm::event::KeyEvent;
use wire::FleetView;

use super::picker::{Entry, Preview};
use crate::address::Address;
use crate::cause::Cause;
use crate::exit::Exit;
use crate::send::author::Seed;
use crate::send::plan::{Plan, Source};
use crate::send::{Done, End, Order, Progress};

/// Something that happened outside.
#[derive(Clone, Debug)]
pub enum Event {
    /// A key was pressed.
    Key(KeyEvent),
    /// Text was pasted.
    Paste(String),
    /// The terminal has this many columns and rows.
    Resized(u16, u16),
    /// Time has passed.
    Tick(Instant),
    /// A folder was listed.
    Listed(PathBuf, Result<Vec<Entry>, String>),
    /// A file was looked into.
    Looked(PathBuf, Result<Preview, String>),
    /// The folder of a path to complete was listed.
    Completing(String, Vec<Entry>),
    /// A file was loaded.
    Loaded(PathBuf, Result<(Source, Plan, Seed), String>),
    /// A balancer was tested.
    Tested(Address, Result<Look, Cause>),
    /// A run goes out under this seed; an earlier one had stored these.
    RunBegan(Seed, Vec<Done>),
    /// A run could not begin or can do less than it should, in words.
    Warned(String),
    /// Something happened in the run.
    Progress(Progress),
    /// The run is over.
    RunEnded(End),
}

/// Something to be done outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// List a folder.
    List(PathBuf),
    /// Look into a file.
    Look(PathBuf),
    /// List the folder of a path that is to be completed: the text as written, and the folder.
    Complete(String, PathBuf),
    /// Load a file.
    Load(PathBuf),
    /// See whether a balancer answers, and how its fleet is.
    Test(Address),
    /// Send sentences.
    Send(Box<Parcel>),
    /// Change the course of the run under way.
    Order(Order),
    /// Leave the program.
    Leave(Exit),
}

/// What is sent: the run's identity and its sentences.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parcel {
    /// What the run's journal is called by.
    pub key: String,
    /// The balancer.
    pub to: Address,
    /// Sentences of the text in all.
    pub n_sentences: usize,
    /// What ids and authors are made from, unless a broken run left its own.
    pub seed: Seed,
    /// Whether to begin anew where everything was stored before.
    pub fresh: bool,
    /// Place in the text, author where the user chose one, and sentence.
    pub sentences: Vec<(usize, Option<String>, String)>,
}

/// How a balancer looked when it was tested.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Look {
    /// How long it took to answer, in milliseconds.
    pub millis: u64,
    /// Its fleet; `None` for a balancer that shows none, such as the one of 2020.
    pub fleet: Option<FleetView>,
}
