//! One client connection: bytes to requests, answers to bytes, and the bounds of both. It is polled by hand because
//! reading, writing and the lanes' answers go on at once: any of them wakes the task, which then does all there is to
//! do with one read and one write. Absent: what a sentence is, and where it goes.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use guard::MIN_TAKEN_BYTES;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use wire::Problem;
use wire::request::{self, BodyLength, Head, HeadError, RequestHead};

use crate::answer::{AnswerQueue, Reply, write_problem};
use crate::coarse_clock::{Alarm, Tick};
use crate::worker::Worker;

/// Most requests of one connection that wait for their answers.
const MAX_OWED: usize = 32;
/// Most bytes of their bodies, since each comes back in its answer.
const MAX_OWED_BYTES: usize = 1024 * 1024;
/// A client that leaves this many bytes unread is not read from.
const MAX_UNSENT: usize = 256 * 1024;

/// How a connection left the door.
pub(super) enum End {
    /// The client has gone, or leaves its answers unread.
    Gone,
    /// The client may still be sending.
    Linger,
    /// The full server serves it from here; these bytes were read already.
    HandOver(Vec<u8>),
}

/// Whether requests are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Intake {
    Open,
    /// No more: the last answer ends the connection.
    Closed,
    /// The next request is not ours. The ones before it are answered first.
    Foreign,
}

/// What the connection waits for; each has its own deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Something has just moved; the next look decides.
    Moving,
    /// The first byte of the first request.
    Fresh,
    /// The first byte of the next request.
    Idle,
    /// The rest of a head.
    Head,
    /// The rest of a body.
    Body,
    /// A node's answer. The lane keeps that deadline.
    Answer,
    /// The client's reading.
    Client,
}

pub(super) struct Connection<S> {
    stream: S,
    worker: Rc<Worker>,
    alarm: Rc<Alarm>,
    answers: Rc<AnswerQueue>,
    /// The beginning of a request that is not whole, and what was read behind it.
    inbox: Vec<u8>,
    intake: Intake,
    phase: Phase,
    /// Bytes of the bodies taken since nothing was owed.
    owed_bytes: usize,
    /// Whether a request was ever taken.
    served: bool,
    /// Whether the inbox begins with a whole head.
    in_body: bool,
    /// Whether the client sends no more.
    has_finished: bool,
    /// Bytes that the client has taken since its deadline was set.
    taken: usize,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    pub(super) fn new(stream: S, worker: Rc<Worker>) -> Self {
        let alarm = worker.clock.alarm();
        let (clock, buffers) = (Rc::clone(&worker.clock), Rc::clone(&worker.buffers));
        let answers = Rc::new(AnswerQueue::new(Rc::clone(&alarm), clock, buffers));
        Self {
            stream,
            worker,
            alarm,
            answers,
            inbox: Vec::new(),
            intake: Intake::Open,
            phase: Phase::Moving,
            owed_bytes: 0,
            served: false,
            in_body: false,
            has_finished: false,
            taken: 0,
        }
    }

    /// Serves the connection to its end at the door.
    pub(super) async fn run(mut self) -> (End, S) {
        let end = poll_fn(|cx| self.poll(cx)).await.unwrap_or(End::Gone);
        self.answers.abandon();
        (end, self.stream)
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<End>> {
        self.alarm.wake_me(cx);
        loop {
            self.send(cx)?;
            if self.answers.owed() == 0 {
                self.owed_bytes = 0;
            }
            if self.answers.has_last() {
                self.intake = Intake::Closed;
                self.inbox = Vec::new();
            }
            self.take_from_inbox();
            if self.answers.unsent() == 0 && self.answers.owed() == 0 {
                match self.intake {
                    Intake::Open => {}
                    Intake::Closed if self.has_finished => return Poll::Ready(Ok(End::Gone)),
                    Intake::Closed => return Poll::Ready(Ok(End::Linger)),
                    Intake::Foreign => {
                        return Poll::Ready(Ok(End::HandOver(std::mem::take(&mut self.inbox))));
                    }
                }
            }
            if self.is_late() {
                match self.phase {
                    Phase::Head | Phase::Body => self.refuse(&HeadError::TimedOut.into()),
                    Phase::Client => return Poll::Ready(Ok(End::Gone)),
                    _ => return Poll::Ready(Ok(End::Linger)),
                }
                continue;
            }
            if self.answers.unsent() > 0 && self.intake != Intake::Open {
                break;
            }
            if !self.has_room() || self.receive(cx)?.is_pending() {
                break;
            }
        }
        let is_idle = self.inbox.is_empty() && self.answers.unsent() == 0 && self.answers.owed() == 0;
        // Whoever has just come is about to send.
        if is_idle && self.served && self.worker.clock.is_ending() {
            return Poll::Ready(Ok(End::Linger));
        }
        self.note_phase();
        Poll::Pending
    }

    /// Sends what waits for the client, as far as the socket takes it.
    fn send(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        while self.answers.unsent() > 0 {
            let mut out = self.answers.take_out();
            match Pin::new(&mut self.stream).poll_write(cx, &out) {
                Poll::Ready(Ok(n)) => {
                    self.taken += n;
                    // Whoever takes an answer in drops holds it back as well as one that takes nothing.
                    if n == out.len() || self.taken >= MIN_TAKEN_BYTES {
                        self.phase = Phase::Moving;
                        self.taken = 0;
                    }
                    if n == out.len() {
                        out.clear();
                    } else {
                        out.drain(..n);
                    }
                    self.answers.put_back(out);
                }
                Poll::Ready(Err(error)) => return Err(error),
                Poll::Pending => {
                    self.answers.put_back(out);
                    break;
                }
            }
        }
        Ok(())
    }

    fn has_room(&self) -> bool {
        self.intake == Intake::Open
            && !self.answers.has_last()
            && self.answers.owed() < MAX_OWED
            && self.owed_bytes < MAX_OWED_BYTES
            && self.answers.unsent() < MAX_UNSENT
    }

    /// Reads once, and takes what has become whole.
    fn receive(&mut self, cx: &mut Context<'_>) -> io::Result<Poll<()>> {
        let buffers = Rc::clone(&self.worker.buffers);
        let mut scratch = buffers.scratch().borrow_mut();
        let mut read = ReadBuf::new(&mut scratch);
        match Pin::new(&mut self.stream).poll_read(cx, &mut read) {
            Poll::Pending => return Ok(Poll::Pending),
            Poll::Ready(Err(error)) => return Err(error),
            Poll::Ready(Ok(())) => {}
        }
        let bytes = read.filled();
        if bytes.is_empty() {
            // The client sends no more. A request that is not whole was never made.
            self.has_finished = true;
            self.intake = Intake::Closed;
            self.inbox = Vec::new();
        } else if self.inbox.is_empty() {
            let taken = self.take_requests(bytes);
            self.inbox.extend_from_slice(bytes.get(taken..).unwrap_or_default());
        } else {
            self.inbox.extend_from_slice(bytes);
            self.take_from_inbox();
        }
        Ok(Poll::Ready(()))
    }

    fn take_from_inbox(&mut self) {
        if self.inbox.is_empty() || !self.has_room() {
            return;
        }
        let mut inbox = std::mem::take(&mut self.inbox);
        let taken = self.take_requests(&inbox);
        if taken < inbox.len() {
            inbox.drain(..taken);
            self.inbox = inbox;
        }
    }

    /// Takes the whole requests at the beginning of `bytes`, and returns how many bytes they are.
    fn take_requests(&mut self, bytes: &[u8]) -> usize {
        let mut taken = 0;
        self.in_body = false;
        while taken < bytes.len() && self.has_room() {
            let rest = bytes.get(taken..).unwrap_or_default();
            let head = match request::read(rest) {
                Head::Partial => break,
                Head::Refused(error) => {
                    self.refuse(&error.into());
                    return bytes.len();
                }
                Head::Whole(head) => head,
            };
            let BodyLength::Bytes(length) = head.body else {
                self.intake = Intake::Foreign;
                break;
            };
            if !is_plain(&head) {
                self.intake = Intake::Foreign;
                break;
            }
            if let Err(unread) = head.announced.json() {
                self.refuse(&unread.into());
                return bytes.len();
            }
            let Some(body) = rest.get(head.len..head.len + length) else {
                self.in_body = true;
                break;
            };
            self.take(&head, body);
            taken += head.len + length;
        }
        taken
    }

    fn take(&mut self, head: &RequestHead<'_>, body: &[u8]) {
        self.served = true;
        self.owed_bytes += body.len();
        self.phase = Phase::Moving;
        let ticket = self.answers.open();
        if head.close {
            self.answers.close_after(ticket);
            self.intake = Intake::Closed;
        }
        let reply = Reply::Connection { answers: Rc::clone(&self.answers), ticket };
        self.worker.receive(body, head.key, reply);
    }

    /// Answers a request that cannot be read on, as the last one.
    fn refuse(&mut self, problem: &Problem) {
        self.phase = Phase::Moving;
        self.intake = Intake::Closed;
        self.inbox = Vec::new();
        self.worker.balancer.counters.invalid.add(1);
        let ticket = self.answers.open();
        self.answers.close_after(ticket);
        self.answers.settle(ticket, |out, tail| write_problem(out, problem, None, tail));
    }

    fn is_late(&self) -> bool {
        let clock = &self.worker.clock;
        let deadline = self.alarm.deadline.get();
        match self.phase {
            Phase::Moving => false,
            Phase::Head | Phase::Body => clock.is_past(deadline.min(clock.last_moment())),
            Phase::Fresh => clock.is_past(deadline) || clock.is_past(clock.last_fresh()),
            _ => clock.is_past(deadline),
        }
    }

    /// Starts the clock of what the connection now waits for, unless it has been waiting for that already.
    fn note_phase(&mut self) {
        let phase = if self.answers.unsent() > 0 {
            Phase::Client
        } else if self.answers.owed() > 0 {
            Phase::Answer
        } else if self.inbox.is_empty() {
            if self.served { Phase::Idle } else { Phase::Fresh }
        } else if self.in_body {
            Phase::Body
        } else {
            Phase::Head
        };
        if phase == self.phase {
            return;
        }
        self.phase = phase;
        let limits = &self.worker.client_limits;
        let time = match phase {
            Phase::Answer | Phase::Moving => None,
            Phase::Fresh if self.worker.clock.is_stopping() => Some(limits.header_timeout.min(guard::NOTICE)),
            Phase::Fresh | Phase::Head => Some(limits.header_timeout),
            Phase::Body => Some(limits.body_timeout),
            Phase::Idle => Some(limits.idle_timeout),
            Phase::Client => Some(limits.write_timeout),
        };
        self.alarm.deadline.set(time.map_or(Tick::NEVER, |time| self.worker.clock.after(time)));
    }
}

/// Whether it is a `POST /sentence` as the door serves it.
fn is_plain(head: &RequestHead<'_>) -> bool {
    head.is_11 && head.method == "POST" && head.target == "/sentence" && !head.expects
}

#[cfg(test)]
mod tests;
