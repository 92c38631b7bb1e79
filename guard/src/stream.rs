//! The guarded stream: what the server reads and writes goes through here, and so do the client's deadlines. It is polled
//! by the server's own task, which its timer wakes. Absent: which bytes are a request (`intake.rs`), and where an answer
//! ends (`answer.rs`).

use std::io;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};
use wire::Problem;
use wire::contract::MAX_HEAD_BYTES;
use wire::problem::Kind;
use wire::request::HeadError;

use crate::answer::Answer;
use crate::clock;
use crate::intake::{Begun, Intake};
use crate::limits::{Limits, MIN_TAKEN_BYTES, NOTICE};
use crate::linger::LINGER;
use crate::refusal::refusal;

/// Room made for each read that is not of a plain body.
const READ_BYTES: usize = 8 * 1024;

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
    /// The rest of a body that was answered before it was whole.
    Answered,
    /// The server's answer.
    Answer,
}

/// A write that the client does not take.
struct Blocked {
    until: Instant,
    /// Bytes that it has taken since.
    taken: usize,
}

/// Told of each refusal, by its status; gives further header lines for it, each with its line end.
type OnRefusal = Rc<dyn Fn(u16) -> String>;

/// A client's connection as an HTTP server may have it.
pub struct Guarded<S> {
    stream: S,
    limits: Limits,
    intake: Intake,
    /// The answer to the request that was given, until it has ended.
    answer: Option<Answer>,
    /// The present request, or the last one, is the last of the connection.
    is_last: bool,
    /// The server reads no more.
    is_over: bool,
    /// The client sends no more.
    has_finished: bool,
    /// Whether a request was ever given.
    has_served: bool,
    /// What is written for a client that was refused instead of what the server says.
    refusal: Option<Bytes>,
    on_refusal: Option<OnRefusal>,
    phase: Phase,
    deadline: Option<Instant>,
    blocked: Option<Blocked>,
    /// Ends once the server is to stop; `None` from then on.
    stop: Option<Pin<Box<dyn Future<Output = ()>>>>,
    /// The last moment for a request that has begun when the server stops.
    last_moment: Option<Instant>,
    /// Until when the client may still send what nobody reads.
    lingers_until: Option<Instant>,
    timer: Option<Pin<Box<Sleep>>>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Guarded<S> {
    /// Guards a stream. Once `stop` ends, what has begun is finished, and nothing begins.
    pub fn new(stream: S, limits: Limits, stop: impl Future<Output = ()> + 'static) -> Self {
        Self {
            stream,
            limits,
            intake: Intake::default(),
            answer: None,
            is_last: false,
            is_over: false,
            has_finished: false,
            has_served: false,
            refusal: None,
            on_refusal: None,
            phase: Phase::Moving,
            deadline: None,
            blocked: None,
            stop: Some(Box::pin(stop)),
            last_moment: None,
            lingers_until: None,
            timer: None,
        }
    }

    /// Has `told` be told of each refusal, by its status, and give further header lines for it, each with its line end.
    #[must_use]
    pub fn on_refusal(self, told: Rc<dyn Fn(u16) -> String>) -> Self {
        Self { on_refusal: Some(told), ..self }
    }

    /// Looks for the next request where one may begin. Tells whether it changed anything.
    fn begin(&mut self) -> bool {
        if self.is_last {
            self.is_over = true;
            return true;
        }
        match self.intake.begin() {
            None => false,
            Some(Ok(Begun { answer, close })) => {
                self.answer = Some(answer);
                self.is_last = close || self.last_moment.is_some();
                self.has_served = true;
                self.phase = Phase::Moving;
                true
            }
            Some(Err(error)) => {
                self.refuse(&error.into());
                true
            }
        }
    }

    /// Ends the connection with a problem, unless the server has begun to answer.
    fn refuse(&mut self, problem: &Problem) {
        self.is_over = true;
        if self.answer.as_ref().is_some_and(Answer::has_begun) {
            return;
        }
        let more = self.on_refusal.as_ref().map(|told| told(problem.status)).unwrap_or_default();
        self.refusal = Some(refusal(problem, &clock::http_date(), &more).into());
    }

    /// Reads from the client. `Ready` when something has changed.
    fn receive(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // While the server answers, reading tells whether the client is still there, and no more is kept than a head.
        let is_waiting = self.answer.is_some() && self.intake.is_between();
        if self.has_finished || (is_waiting && self.intake.len() >= MAX_HEAD_BYTES) {
            return Poll::Pending;
        }
        let inbox = self.intake.inbox();
        inbox.reserve(READ_BYTES);
        let read = ready!(pin!(self.stream.read_buf(inbox)).poll(cx))?;
        self.has_finished = read == 0;
        Poll::Ready(Ok(()))
    }

    /// Reads the bytes of a plain body from the client to where the server wants them.
    fn receive_unseen(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let room = self.intake.unseen().min(buf.remaining());
        let mut direct = ReadBuf::new(buf.initialize_unfilled_to(room));
        ready!(Pin::new(&mut self.stream).poll_read(cx, &mut direct))?;
        let n = direct.filled().len();
        buf.advance(n);
        self.intake.pass_unseen(n);
        self.has_finished = n == 0;
        Poll::Ready(Ok(()))
    }

    /// What follows when the client has nothing to read. Tells whether it changed anything.
    fn look_up(&mut self, cx: &mut Context<'_>) -> bool {
        if let Some(stop) = &mut self.stop
            && stop.as_mut().poll(cx).is_ready()
        {
            self.stop = None;
            self.last_moment = Some(clock::now() + self.limits.last);
            self.is_last = self.answer.is_some();
            self.phase = Phase::Moving;
        }
        let is_between = self.intake.is_between();
        let is_idle = is_between && self.intake.len() == 0;
        match &self.answer {
            // A request that is not whole was never made.
            // Whoever has just come is about to send.
            None if self.has_finished || (is_idle && self.has_served && self.last_moment.is_some()) => {
                self.is_over = true;
                return true;
            }
            Some(answer) if self.has_finished && !is_between => {
                self.is_over = true;
                if !answer.has_begun() {
                    self.refusal = Some(Bytes::new());
                }
                return true;
            }
            _ => {}
        }
        self.note_phase(is_idle);
        if self.deadline.is_none_or(|deadline| clock::now() < deadline) {
            return false;
        }
        match self.phase {
            Phase::Head | Phase::Body => self.refuse(&HeadError::TimedOut.into()),
            _ => self.is_over = true,
        }
        true
    }

    /// Starts the clock of what the connection now waits for, unless it has been waiting for that already.
    fn note_phase(&mut self, is_idle: bool) {
        let phase = match (self.answer.is_some(), self.intake.is_between()) {
            (true, true) => Phase::Answer,
            (true, false) => Phase::Body,
            (false, false) => Phase::Answered,
            (false, true) if !is_idle => Phase::Head,
            (false, true) if self.has_served => Phase::Idle,
            (false, true) => Phase::Fresh,
        };
        if phase == self.phase {
            return;
        }
        self.phase = phase;
        let time = match phase {
            Phase::Answer | Phase::Moving => None,
            Phase::Fresh if self.last_moment.is_some() => Some(self.limits.header.min(NOTICE)),
            Phase::Fresh | Phase::Head => Some(self.limits.header),
            Phase::Idle => Some(self.limits.idle),
            Phase::Body => Some(self.limits.body),
            Phase::Answered => Some(LINGER),
        };
        let deadline = time.map(|time: Duration| clock::now() + time);
        self.deadline = deadline.map(|at| self.last_moment.map_or(at, |last| at.min(last)));
    }

    /// Wakes the task at the next deadline. `Ready` when one has passed.
    fn arm(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let blocked = self.blocked.as_ref().map(|blocked| blocked.until);
        let Some(at) = [self.deadline, blocked, self.lingers_until].into_iter().flatten().min() else {
            return Poll::Pending;
        };
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(at)));
        // A timer that is early costs one look; setting it anew for each request would cost more.
        if timer.deadline() > at {
            timer.as_mut().reset(at);
        }
        while timer.as_mut().poll(cx).is_ready() {
            if clock::now() >= at {
                return Poll::Ready(());
            }
            timer.as_mut().reset(at);
        }
        Poll::Pending
    }

    /// Writes to the client, which has to take it in time.
    fn poll_send(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match Pin::new(&mut self.stream).poll_write(cx, bytes) {
            Poll::Ready(sent) => {
                let n = sent?;
                if let Some(blocked) = &mut self.blocked {
                    blocked.taken += n;
                    if blocked.taken >= MIN_TAKEN_BYTES {
                        self.blocked = None;
                    }
                }
                Poll::Ready(Ok(n))
            }
            Poll::Pending => {
                let until = clock::now() + self.limits.write;
                let blocked = self.blocked.get_or_insert(Blocked { until, taken: 0 });
                if clock::now() >= blocked.until || self.arm(cx).is_ready() && self.is_stuck() {
                    let why = "the client does not read its answer";
                    return Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, why)));
                }
                Poll::Pending
            }
        }
    }

    fn is_stuck(&self) -> bool {
        self.blocked.as_ref().is_some_and(|blocked| clock::now() >= blocked.until)
    }

    /// Reads away what the client still sends, for a while.
    fn poll_linger(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let until = *self.lingers_until.get_or_insert_with(|| clock::now() + LINGER);
        (self.deadline, self.blocked) = (None, None);
        let mut unread = [0; 4096];
        while !self.has_finished && clock::now() < until {
            let mut read = ReadBuf::new(&mut unread);
            match Pin::new(&mut self.stream).poll_read(cx, &mut read) {
                Poll::Ready(Ok(())) => self.has_finished = read.filled().is_empty(),
                Poll::Ready(Err(_)) => return Poll::Ready(()),
                Poll::Pending => return self.arm(cx),
            }
        }
        Poll::Ready(())
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Guarded<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        loop {
            if this.is_over {
                return Poll::Ready(Ok(()));
            }
            if this.intake.has_cleared() {
                this.intake.give(buf.remaining(), |bytes| buf.put_slice(bytes));
                return Poll::Ready(Ok(()));
            }
            let received = if this.intake.is_between() {
                if this.answer.is_none() && this.begin() {
                    continue;
                }
                this.receive(cx)?
            } else if this.answer.is_none() && this.is_last {
                this.is_over = true;
                continue;
            } else if this.intake.unseen() > 0 {
                let received = this.receive_unseen(cx, buf)?;
                if received.is_ready() && !this.has_finished {
                    return Poll::Ready(Ok(()));
                }
                received
            } else {
                if let Err(broken) = this.intake.follow() {
                    let problem = Problem::of(Kind::BrokenBody, broken.to_string());
                    this.refuse(&problem.with_remedy("send the request again"));
                    continue;
                }
                if this.intake.has_cleared() {
                    continue;
                }
                this.receive(cx)?
            };
            if received.is_pending() && !this.look_up(cx) && this.arm(cx).is_pending() {
                return Poll::Pending;
            }
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Guarded<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.refusal.is_some() {
            // What the server makes of a request that was cut short is not what the client is told.
            return Poll::Ready(Ok(buf.len()));
        }
        let n = ready!(this.poll_send(cx, buf))?;
        if let Some(answer) = &mut this.answer {
            answer.pass(buf.get(..n).unwrap_or_default());
            if answer.has_ended() {
                this.is_last |= answer.closes();
                this.answer = None;
                this.phase = Phase::Moving;
                // The server waits for a request that may be here already.
                cx.waker().wake_by_ref();
            }
        }
        Poll::Ready(Ok(n))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        // The server flushes once all that it has to say was taken.
        this.blocked = None;
        Pin::new(&mut this.stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.is_over = true;
        if this.lingers_until.is_none() {
            while let Some(mut rest) = this.refusal.take_if(|rest| !rest.is_empty()) {
                let sent = this.poll_send(cx, &rest);
                if let Poll::Ready(Ok(n)) = sent {
                    rest.advance(n);
                }
                this.refusal = Some(rest);
                ready!(sent)?;
            }
            ready!(Pin::new(&mut this.stream).poll_shutdown(cx))?;
        }
        this.poll_linger(cx).map(Ok)
    }
}

#[cfg(test)]
mod tests;
