//! The answers of one client connection, in the order of its requests. Lanes settle them in any order; they are written
//! for the client in turn. Absent: the socket.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use super::http::Tail;
use crate::buffers::Buffers;
use crate::coarse_clock::{Alarm, CoarseClock};

/// The place of one answer among the answers of its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ticket(u64);

/// The answers that a connection owes and those that wait to be sent.
pub(crate) struct AnswerQueue {
    state: RefCell<State>,
    /// Wakes the connection's task when there is something to send.
    alarm: Rc<Alarm>,
    clock: Rc<CoarseClock>,
    buffers: Rc<Buffers>,
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
    /// The client has gone: what still comes for it is dropped.
    abandoned: bool,
}

impl AnswerQueue {
    /// A queue that owes nothing. `alarm` wakes the connection's task.
    pub(crate) fn new(alarm: Rc<Alarm>, clock: Rc<CoarseClock>, buffers: Rc<Buffers>) -> Self {
        Self { state: RefCell::default(), alarm, clock, buffers }
    }

    /// Takes the next place.
    pub(crate) fn open(&self) -> Ticket {
        let state = &mut *self.state.borrow_mut();
        let ticket = Ticket(state.first + state.owed.len() as u64);
        state.owed.push_back(None);
        ticket
    }

    /// The connection ends after this answer.
    pub(crate) fn close_after(&self, ticket: Ticket) {
        self.state.borrow_mut().last = Some(ticket);
    }

    /// Writes an answer: at once when it is its turn, else for later.
    pub(crate) fn settle(&self, ticket: Ticket, write: impl FnOnce(&mut Vec<u8>, &Tail<'_>)) {
        let state = &mut *self.state.borrow_mut();
        if state.abandoned {
            return;
        }
        if self.clock.is_stopping() && ticket.0 + 1 == state.first + state.owed.len() as u64 {
            // Whoever is told to go knows that nothing behind this was taken.
            state.last = state.last.or(Some(ticket));
        }
        let date = self.clock.date();
        let tail = Tail { date: &date, close: state.last == Some(ticket) };
        if ticket.0 == state.first {
            if state.out.capacity() == 0 {
                state.out = self.buffers.lend();
            }
            write(&mut state.out, &tail);
            state.owed.pop_front();
            state.first += 1;
            while let Some(Some(_)) = state.owed.front() {
                let written = state.owed.pop_front().flatten().unwrap_or_default();
                state.out.extend_from_slice(&written);
                state.first += 1;
            }
            self.alarm.wake();
        } else if let Some(place) =
            usize::try_from(ticket.0 - state.first).ok().and_then(|at| state.owed.get_mut(at))
        {
            let mut written = Vec::new();
            write(&mut written, &tail);
            *place = Some(written);
        }
    }

    /// Whether the client was told, or will be, which answer is the last.
    pub(crate) fn has_last(&self) -> bool {
        self.state.borrow().last.is_some()
    }

    /// Answers owed.
    pub(crate) fn owed(&self) -> usize {
        self.state.borrow().owed.len()
    }

    /// Bytes that wait for the client.
    pub(crate) fn unsent(&self) -> usize {
        self.state.borrow().out.len()
    }

    /// Takes the bytes for the client; the emptied buffer comes back with [`AnswerQueue::put_back`].
    pub(crate) fn take_out(&self) -> Vec<u8> {
        std::mem::take(&mut self.state.borrow_mut().out)
    }

    /// Gives back what [`AnswerQueue::take_out`] gave, less what was sent. Nothing may be settled in between.
    pub(crate) fn put_back(&self, out: Vec<u8>) {
        if out.is_empty() {
            self.buffers.give_back(out);
        } else {
            self.state.borrow_mut().out = out;
        }
    }

    /// The client has gone.
    pub(crate) fn abandon(&self) {
        let state = &mut *self.state.borrow_mut();
        state.abandoned = true;
        state.owed.clear();
        self.buffers.give_back(std::mem::take(&mut state.out));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue() -> AnswerQueue {
        let clock = Rc::<CoarseClock>::default();
        AnswerQueue::new(clock.alarm(), clock, Rc::default())
    }

    fn settle(answers: &AnswerQueue, ticket: Ticket, text: &str) {
        answers.settle(ticket, |out, tail| {
            out.extend_from_slice(text.as_bytes());
            if tail.close {
                out.push(b'!');
            }
        });
    }

    #[test]
    fn answers_leave_in_the_order_of_the_requests() {
        let answers = queue();
        let [a, b, c] = [answers.open(), answers.open(), answers.open()];
        answers.close_after(c);
        settle(&answers, c, "c");
        settle(&answers, b, "b");
        assert_eq!((answers.unsent(), answers.owed()), (0, 3));
        settle(&answers, a, "a");
        assert_eq!((answers.take_out().as_slice(), answers.owed()), (&b"abc!"[..], 0));
    }

    #[test]
    fn the_newest_answer_is_the_last_once_the_program_ends() {
        let clock = Rc::<CoarseClock>::default();
        let answers = AnswerQueue::new(clock.alarm(), Rc::clone(&clock), Rc::default());
        let [a, b] = [answers.open(), answers.open()];
        clock.tick(String::new(), true);
        settle(&answers, a, "a");
        assert!(!answers.has_last(), "another answer follows");
        settle(&answers, b, "b");
        assert_eq!((answers.take_out().as_slice(), answers.has_last()), (&b"ab!"[..], true));
    }

    #[test]
    fn what_comes_after_the_client_left_is_dropped() {
        let answers = queue();
        let ticket = answers.open();
        answers.abandon();
        settle(&answers, ticket, "late");
        assert_eq!((answers.unsent(), answers.owed()), (0, 0));
    }
}
