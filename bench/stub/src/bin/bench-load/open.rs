//! The open loop: requests fall due at a fixed rate, evenly spaced, over some kept-alive connections in turn.
//!
//! The rate does not wait for answers: request `i` is due at `start + i / rate`, and its latency counts from then, also
//! when every connection was busy (so a stall is charged to all the requests that fell due in it).

use std::collections::VecDeque;
use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::num::NonZeroU64;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::event::epoll;
use rustix::time::Timespec;

use crate::answer::{Answer, STEP};
use crate::outcome::Outcome;
use crate::{Failure, connect};

/// How long after the last due time answers are waited for.
const PATIENCE: Duration = Duration::from_secs(5);
/// Requests due within this time of the start warm the path up and are not counted.
const WARM_UP: Duration = Duration::from_millis(500);
/// How often the outcome so far is told where it is told at all.
const TELL: Duration = Duration::from_secs(1);

/// What is sent, how often, and how long.
pub(crate) struct Schedule {
    pub(crate) address: SocketAddr,
    /// Each is sent `per_second` times, by turns; never empty.
    pub(crate) requests: Vec<Vec<u8>>,
    pub(crate) per_second: u64,
    pub(crate) connections: usize,
    /// Without the warm-up.
    pub(crate) seconds: u64,
    /// Whether the outcome so far is printed each second, for someone who ends this program early.
    pub(crate) tells: bool,
}

/// Keeps the schedule to its end.
pub(crate) fn run(schedule: &Schedule) -> Result<(), Failure> {
    // The default slack lets the kernel wake this thread 50 microseconds late.
    rustix::thread::set_current_timer_slack(NonZeroU64::new(1))?;
    let rate = schedule.per_second * u64::try_from(schedule.requests.len())?;
    let total = rate * schedule.seconds + rate * u64::try_from(WARM_UP.as_millis())? / 1000;
    let mut clients = Clients::connect(schedule)?;
    let start = Instant::now() + Duration::from_millis(10);
    clients.counted_from = start + WARM_UP;
    let due_at = |request: u64| start + Duration::from_nanos(request * 1_000_000_000 / rate);
    let give_up = due_at(total) + PATIENCE;
    let mut tell_at = start + TELL;
    let mut next = 0;
    loop {
        let now = Instant::now();
        while next < total && due_at(next) <= now {
            clients.fall_due(next, due_at(next));
            next += 1;
        }
        clients.send_what_waits(&schedule.requests)?;
        if schedule.tells && now >= tell_at {
            clients.outcome.print(now.saturating_duration_since(clients.counted_from));
            tell_at += TELL;
        }
        if (next == total && clients.rest()) || now >= give_up {
            break;
        }
        let until = if next < total { due_at(next) } else { give_up };
        clients.receive(if schedule.tells { until.min(tell_at) } else { until })?;
    }
    clients.outcome.print(Duration::from_secs(schedule.seconds));
    Ok(())
}

/// A request that fell due: its number, and when.
#[derive(Clone, Copy)]
struct Request {
    number: u64,
    due: Instant,
}

/// A connection with at most one request at a time.
struct Connection {
    stream: TcpStream,
    due: Option<Instant>,
    answer: Answer,
}

/// All connections, and the requests that wait for one.
struct Clients {
    address: SocketAddr,
    poll: OwnedFd,
    connections: Vec<Connection>,
    free: VecDeque<usize>,
    waiting: VecDeque<Request>,
    counted_from: Instant,
    outcome: Outcome,
    events: Vec<epoll::Event>,
    buffer: Vec<u8>,
}

impl Clients {
    fn connect(schedule: &Schedule) -> Result<Self, Failure> {
        let mut clients = Self {
            address: schedule.address,
            poll: epoll::create(epoll::CreateFlags::CLOEXEC)?,
            connections: Vec::new(),
            free: (0..schedule.connections).collect(),
            waiting: VecDeque::new(),
            counted_from: Instant::now(),
            outcome: Outcome::default(),
            events: Vec::with_capacity(256),
            buffer: vec![0; STEP],
        };
        for at in 0..schedule.connections {
            let stream = clients.polled(at)?;
            clients.connections.push(Connection { stream, due: None, answer: Answer::default() });
        }
        Ok(clients)
    }

    /// A new stream for the connection `at`.
    fn polled(&self, at: usize) -> Result<TcpStream, Failure> {
        let stream = connect(self.address)?;
        stream.set_nonblocking(true)?;
        let data = epoll::EventData::new_u64(u64::try_from(at)?);
        epoll::add(&self.poll, &stream, data, epoll::EventFlags::IN)?;
        Ok(stream)
    }

    fn fall_due(&mut self, number: u64, due: Instant) {
        self.outcome.due += u64::from(due >= self.counted_from);
        self.waiting.push_back(Request { number, due });
    }

    #[expect(
        clippy::indexing_slicing,
        reason = "a connection keeps its place, and a turn is below the number of requests"
    )]
    fn send_what_waits(&mut self, requests: &[Vec<u8>]) -> Result<(), Failure> {
        while let (Some(&at), Some(&Request { number, due })) = (self.free.front(), self.waiting.front()) {
            let turn = usize::try_from(number)? % requests.len();
            let connection = &mut self.connections[at];
            // A request fits the empty send buffer of an idle connection as a whole.
            connection.stream.write_all(&requests[turn])?;
            connection.due = Some(due);
            self.free.pop_front();
            self.waiting.pop_front();
        }
        self.outcome.most_waiting = self.outcome.most_waiting.max(self.waiting.len());
        Ok(())
    }

    /// Whether nothing is waited for.
    fn rest(&self) -> bool {
        self.waiting.is_empty() && self.free.len() == self.connections.len()
    }

    /// Waits for answers, at most `until` then, and takes what has come.
    fn receive(&mut self, until: Instant) -> Result<(), Failure> {
        let pause = Timespec::try_from(until.saturating_duration_since(Instant::now()))?;
        self.events.clear();
        match epoll::wait(&self.poll, rustix::buffer::spare_capacity(&mut self.events), Some(&pause)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let now = Instant::now();
        let mut events = std::mem::take(&mut self.events);
        for event in events.drain(..) {
            self.take_answer(usize::try_from(event.data.u64())?, now)?;
        }
        // Its room is what the next wait fills.
        self.events = events;
        Ok(())
    }

    #[expect(
        clippy::indexing_slicing,
        reason = "an event carries the place that its connection was made with and keeps"
    )]
    fn take_answer(&mut self, at: usize, now: Instant) -> Result<(), Failure> {
        let connection = &mut self.connections[at];
        let Some(status) = connection.answer.read(&mut connection.stream, &mut self.buffer)? else {
            return Ok(());
        };
        let Some(due) = connection.due.take() else { return Err("an answer without a request".into()) };
        self.outcome.answered_in_all += 1;
        match status {
            200 if due >= self.counted_from => {
                self.outcome.latencies_ns.push(u64::try_from((now - due).as_nanos())?);
            }
            200 => {}
            0 => {
                self.outcome.broken += 1;
                self.connections[at].stream = self.polled(at)?;
            }
            _ => self.outcome.refused += u64::from(due >= self.counted_from),
        }
        self.free.push_back(at);
        Ok(())
    }
}
