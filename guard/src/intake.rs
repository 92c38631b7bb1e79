//! PURE. Cuts what a client sends into requests: bytes are cleared for the server head by head, and no further than the
//! request that they belong to. Absent: sockets, time, and what is done about a refusal.

use bytes::{Buf, BytesMut};
use wire::chunks::{BrokenChunks, Chunks};
use wire::request::{self, BodyLength, Head, HeadError};

use crate::answer::Answer;

/// What was read from a client and not given to the server yet.
#[derive(Default)]
pub(crate) struct Intake {
    inbox: BytesMut,
    /// Bytes at the beginning of the inbox that the server may have.
    cleared: usize,
    rest: Rest,
}

/// What of the present request is not cleared yet.
#[derive(Default)]
enum Rest {
    /// Nothing: the next byte begins a request.
    #[default]
    Nothing,
    Bytes(usize),
    Chunks(Chunks),
}

/// A request that the server may have.
pub(crate) struct Begun {
    /// The answer to come.
    pub(crate) answer: Answer,
    /// Whether it is the last of its connection.
    pub(crate) close: bool,
}

impl Intake {
    /// Where further bytes are put.
    pub(crate) fn inbox(&mut self) -> &mut BytesMut {
        &mut self.inbox
    }

    /// Bytes that are kept.
    pub(crate) fn len(&self) -> usize {
        self.inbox.len()
    }

    /// Whether no part of a request is waited for: all of the last one was given.
    pub(crate) fn is_between(&self) -> bool {
        matches!(self.rest, Rest::Nothing) && self.cleared == 0
    }

    /// Bytes of a body that can go to the server without being looked at, since nothing is kept.
    pub(crate) fn unseen(&self) -> usize {
        match self.rest {
            Rest::Bytes(left) if self.inbox.is_empty() => left,
            _ => 0,
        }
    }

    /// Notes that bytes went by unseen.
    pub(crate) fn pass_unseen(&mut self, n: usize) {
        if let Rest::Bytes(left) = &mut self.rest {
            *left = left.saturating_sub(n);
            if *left == 0 {
                self.rest = Rest::Nothing;
            }
        }
    }

    /// Clears the head of the next request; `None` while it is not whole.
    pub(crate) fn begin(&mut self) -> Option<Result<Begun, HeadError>> {
        let head = match request::read(&self.inbox) {
            Head::Partial => return None,
            Head::Refused(error) => return Some(Err(error)),
            Head::Whole(head) => head,
        };
        let (len, upgrades) = (head.len, head.upgrades);
        let begun = Begun { answer: Answer::to(head.method), close: head.close };
        self.rest = match head.body {
            BodyLength::Bytes(0) => Rest::Nothing,
            BodyLength::Bytes(length) => Rest::Bytes(length),
            BodyLength::Chunked => Rest::Chunks(Chunks::default()),
        };
        if upgrades && let Some(head) = self.inbox.get_mut(..len) {
            request::without_upgrade(head);
        }
        self.cleared = len;
        Some(Ok(begun))
    }

    /// Clears what is there of the present request's body.
    pub(crate) fn follow(&mut self) -> Result<(), BrokenChunks> {
        let there = self.inbox.get(self.cleared..).unwrap_or_default();
        let has_ended = match &mut self.rest {
            Rest::Nothing => return Ok(()),
            Rest::Bytes(left) => {
                let taken = there.len().min(*left);
                self.cleared += taken;
                *left -= taken;
                *left == 0
            }
            Rest::Chunks(chunks) => {
                self.cleared += chunks.pass(there)?;
                chunks.has_ended()
            }
        };
        if has_ended {
            self.rest = Rest::Nothing;
        }
        Ok(())
    }

    /// Gives what is cleared, at most `most` bytes of it, by way of `give`.
    pub(crate) fn give(&mut self, most: usize, give: impl FnOnce(&[u8])) {
        let n = self.cleared.min(most);
        give(self.inbox.get(..n).unwrap_or_default());
        self.inbox.advance(n);
        self.cleared -= n;
    }

    /// Whether something is cleared.
    pub(crate) fn has_cleared(&self) -> bool {
        self.cleared > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POST: &str = "POST /sentence HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\n\r\nabc";
    const CHUNKED: &str =
        "POST /sentence HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";

    /// The requests in `bytes` that come in pieces of `length`, each as the server gets it.
    fn requests(bytes: &str, length: usize) -> Vec<String> {
        let (mut intake, mut requests) = (Intake::default(), Vec::<String>::new());
        for piece in bytes.as_bytes().chunks(length) {
            intake.inbox().extend_from_slice(piece);
            loop {
                if intake.is_between() {
                    match intake.begin() {
                        None => break,
                        Some(Ok(_)) => requests.push(String::new()),
                        Some(Err(error)) => {
                            requests.push(error.to_string());
                            return requests;
                        }
                    }
                }
                if intake.follow().is_err() {
                    requests.push("broken".to_owned());
                    return requests;
                }
                let request = requests.last_mut().unwrap();
                if !intake.has_cleared() {
                    break;
                }
                intake.give(usize::MAX, |bytes| request.push_str(std::str::from_utf8(bytes).unwrap()));
            }
        }
        requests
    }

    #[test]
    fn requests_are_given_one_by_one_and_whole() {
        let get = "GET / HTTP/1.1\r\nhost: a\r\n\r\n";
        let all = [POST, CHUNKED, get, POST].concat();
        for length in [1, 2, 3, 7, 50, all.len()] {
            assert_eq!(requests(&all, length), [POST, CHUNKED, get, POST], "{length}");
        }
    }

    #[test]
    fn nothing_behind_a_refusal_is_given() {
        assert_eq!(requests(&format!("{POST}no HTTP\r\n\r\n{POST}"), 5).len(), 2);
        let broken = CHUNKED.replace("3\r\n", "3;\r\n");
        assert_eq!(requests(&format!("{broken}{POST}"), 500).last().unwrap(), "broken");
    }

    #[test]
    fn offers_of_another_protocol_are_not_given() {
        let offer = "GET / HTTP/1.1\r\nhost: a\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n";
        let given = requests(offer, 1000);
        assert!(!given[0].contains("upgrade") && given[0].len() == offer.len(), "{given:?}");
    }

    #[test]
    fn a_plain_body_may_go_by_unseen() {
        let (head, body) = POST.split_at(POST.len() - 3);
        let mut intake = Intake::default();
        intake.inbox().extend_from_slice(head.as_bytes());
        assert!(intake.begin().unwrap().is_ok());
        intake.give(usize::MAX, |_| {});
        assert_eq!((intake.unseen(), intake.is_between()), (body.len(), false));
        intake.pass_unseen(1);
        intake.pass_unseen(2);
        assert_eq!((intake.unseen(), intake.is_between()), (0, true));
    }
}
