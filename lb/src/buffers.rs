//! Buffers that the busy connections of one worker lend each other, so that idle ones hold none. Absent: what is in
//! them.

use std::cell::RefCell;

/// Bytes read from a socket at a time.
const SCRATCH_BYTES: usize = 64 * 1024;
/// Buffers kept for the next answers.
const SPARE_BUFFERS: usize = 256;
/// A buffer that grew beyond this is not kept.
const SPARE_BYTES: usize = 16 * 1024;
/// Room of a new buffer: two usual answers.
const NEW_BYTES: usize = 1024;

/// The buffers of a worker.
pub(crate) struct Buffers {
    spare: RefCell<Vec<Vec<u8>>>,
    scratch: RefCell<Box<[u8]>>,
}

impl Default for Buffers {
    fn default() -> Self {
        Self { spare: RefCell::default(), scratch: RefCell::new(vec![0; SCRATCH_BYTES].into_boxed_slice()) }
    }
}

impl Buffers {
    /// An empty buffer.
    pub(crate) fn lend(&self) -> Vec<u8> {
        self.spare.borrow_mut().pop().unwrap_or_else(|| Vec::with_capacity(NEW_BYTES))
    }

    /// Takes a buffer back, whatever is in it.
    pub(crate) fn give_back(&self, mut buffer: Vec<u8>) {
        let mut spare = self.spare.borrow_mut();
        if (1..=SPARE_BYTES).contains(&buffer.capacity()) && spare.len() < SPARE_BUFFERS {
            buffer.clear();
            spare.push(buffer);
        }
    }

    /// The buffer that sockets are read into. It is borrowed for one step, never across a poll.
    pub(crate) fn scratch(&self) -> &RefCell<Box<[u8]>> {
        &self.scratch
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lent_buffer_comes_back_empty_and_a_large_one_does_not() {
        let buffers = Buffers::default();
        let mut buffer = buffers.lend();
        buffer.extend_from_slice(b"an answer");
        let place = buffer.as_ptr();
        buffers.give_back(buffer);
        let again = buffers.lend();
        assert_eq!((again.as_ptr(), again.len()), (place, 0));
        buffers.give_back(Vec::with_capacity(SPARE_BYTES + 1));
        assert_eq!(buffers.spare.borrow().len(), 0);
    }
}
