//! PURE. The answers of one client connection, in the order of its requests. Lanes settle them in any order; they are
//! written for the client in turn. Absent: the socket.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::task::{Context, Waker};

use super::pulse::{Pulse, Tick};

/// The place of one answer among the answers of its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ticket(u64);

/// What ends the head of every answer at the door.
pub(crate) struct Tail<'a> {
    /// The value of the `date` header.
    pub(crate) date: &'a str,
    /// Whether the connection ends after the answer.
    pub(crate) close: bool,
}

/// The answers that a connection owes and those that wait to be sent.
pub(crate) struct Desk {
    state: RefCell<State>,
    /// When the connection's present phase ends.
    pub(super) deadline: Cell<Tick>,
    pulse: Rc<Pulse>,
}

#[derive(Default)]
struct State {
    /// Bytes for the client.
    out: Vec<u8>,
    /// Owed answers, oldest first; one that came before its turn waits here, written.
    owed: VecDeque<Option<Vec<u8>>>,
    /// The ticket of the first owed answer.
    first: u64,
    /// The answer after which the connection ends.
    last: Option<Ticket>,
    waker: Option<Waker>,
    /// The client has gone: what still comes for it is dropped.
    abandoned: bool,
}

impl Desk {
    /// A desk that owes nothing.
    pub(super) fn new(pulse: Rc<Pulse>) -> Self {
        Self { state: RefCell::default(), deadline: Cell::new(Tick::NEVER), pulse }
    }

    /// Takes the next place.
    pub(super) fn open(&self) -> Ticket {
        let state = &mut *self.state.borrow_mut();
        let ticket = Ticket(state.first + state.owed.len() as u64);
        state.owed.push_back(None);
        ticket
    }

    /// The connection ends after this answer.
    pub(super) fn close_after(&self, ticket: Ticket) {
        self.state.borrow_mut().last = Some(ticket);
    }

    /// Writes an answer: at once when it is its turn, else for later.
    pub(crate) fn settle(&self, ticket: Ticket, write: impl FnOnce(&mut Vec<u8>, &Tail<'_>)) {
        let state = &mut *self.state.borrow_mut();
        if state.abandoned {
            return;
        }
        let date = self.pulse.date();
        let tail = Tail { date: &date, close: state.last == Some(ticket) || self.pulse.is_stopping() };
        if ticket.0 == state.first {
            if state.out.capacity() == 0 {
                state.out = self.pulse.lend_buffer();
            }
            write(&mut state.out, &tail);
            state.owed.pop_front();
            state.first += 1;
            while let Some(Some(_)) = state.owed.front() {
                let written = state.owed.pop_front().flatten().unwrap_or_default();
                state.out.extend_from_slice(&written);
                state.first += 1;
            }
            if let Some(waker) = &state.waker {
                waker.wake_by_ref();
            }
        } else if let Some(place) =
            usize::try_from(ticket.0 - state.first).ok().and_then(|at| state.owed.get_mut(at))
        {
            let mut written = Vec::new();
            write(&mut written, &tail);
            *place = Some(written);
        }
    }

    /// Answers owed.
    pub(super) fn owed(&self) -> usize {
        self.state.borrow().owed.len()
    }

    /// Bytes that wait for the client.
    pub(super) fn unsent(&self) -> usize {
        self.state.borrow().out.len()
    }

    /// Takes the bytes for the client; the emptied buffer comes back with [`Desk::put_back`].
    pub(super) fn take_out(&self) -> Vec<u8> {
        std::mem::take(&mut self.state.borrow_mut().out)
    }

    /// Gives back what [`Desk::take_out`] gave, less what was sent. Nothing may be settled in between.
    pub(super) fn put_back(&self, out: Vec<u8>) {
        if out.is_empty() {
            self.pulse.return_buffer(out);
        } else {
            self.state.borrow_mut().out = out;
        }
    }

    /// The task to wake when there is something to send.
    pub(super) fn wake_me(&self, cx: &Context<'_>) {
        let waker = &mut self.state.borrow_mut().waker;
        if !waker.as_ref().is_some_and(|known| known.will_wake(cx.waker())) {
            *waker = Some(cx.waker().clone());
        }
    }

    /// Wakes the connection's task, for its deadline or the end of the program.
    pub(super) fn wake(&self) {
        if let Some(waker) = &self.state.borrow().waker {
            waker.wake_by_ref();
        }
    }

    /// The client has gone.
    pub(super) fn abandon(&self) {
        let state = &mut *self.state.borrow_mut();
        state.abandoned = true;
        state.owed.clear();
        self.pulse.return_buffer(std::mem::take(&mut state.out));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settle(desk: &Desk, ticket: Ticket, text: &str) {
        desk.settle(ticket, |out, tail| {
            out.extend_from_slice(text.as_bytes());
            if tail.close {
                out.push(b'!');
            }
        });
    }

    #[test]
    fn answers_leave_in_the_order_of_the_requests() {
        let desk = Desk::new(Rc::default());
        let [a, b, c] = [desk.open(), desk.open(), desk.open()];
        desk.close_after(c);
        settle(&desk, c, "c");
        settle(&desk, b, "b");
        assert_eq!((desk.unsent(), desk.owed()), (0, 3));
        settle(&desk, a, "a");
        assert_eq!((desk.take_out().as_slice(), desk.owed()), (&b"abc!"[..], 0));
    }

    #[test]
    fn what_comes_after_the_client_left_is_dropped() {
        let desk = Desk::new(Rc::default());
        let ticket = desk.open();
        desk.abandon();
        settle(&desk, ticket, "late");
        assert_eq!((desk.unsent(), desk.owed()), (0, 0));
    }
}
