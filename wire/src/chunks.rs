//! PURE. Follows a body that comes in chunks to its end, byte by byte, without keeping any. It is stricter than RFC 9112
//! asks a reader to be: what is written in a way that two readers could end differently is refused. Absent: the data.

use crate::contract::MAX_CHUNK_EXTRAS_BYTES;

/// Most digits of a size: as many as a 64-bit number has.
const MAX_DIGITS: u8 = 16;

/// How far a chunked body has come.
#[derive(Clone, Debug, Default)]
pub struct Chunks {
    place: Place,
    /// Size of the present chunk, as far as it was read; in its data, what is missing of it.
    size: u64,
    digits: u8,
    /// Bytes of extensions and trailers so far.
    extras: usize,
}

/// What the next byte belongs to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Place {
    #[default]
    Size,
    /// Behind `;`: the first letter of an extension's name.
    ExtensionStart,
    ExtensionName,
    /// Behind `=`: the first letter of an extension's value.
    ValueStart,
    Value,
    Quoted,
    Escaped,
    /// Behind a value in quotes.
    ValueEnd,
    /// The LF of a size line.
    SizeLf,
    Data,
    DataCr,
    DataLf,
    /// The first letter of a trailer, or of the empty line that ends the body.
    TrailerStart,
    TrailerName,
    TrailerValue,
    TrailerLf,
    EndLf,
    End,
}

/// The chunks are not written as they must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the chunks of the body are not well-formed, or say too much beside their sizes")]
pub struct BrokenChunks;

impl Chunks {
    /// Follows `bytes`. Gives how many of them belong to the body: all of them, unless it ends among them.
    ///
    /// # Errors
    /// When they can belong to no chunked body.
    pub fn pass(&mut self, bytes: &[u8]) -> Result<usize, BrokenChunks> {
        let mut at = 0;
        while let Some(&byte) = bytes.get(at) {
            match self.place {
                Place::End => break,
                Place::Data => {
                    let there = u64::try_from(bytes.len() - at).unwrap_or(u64::MAX);
                    let taken = there.min(self.size);
                    self.size -= taken;
                    at += usize::try_from(taken).unwrap_or(0);
                    if self.size == 0 {
                        self.place = Place::DataCr;
                    }
                }
                _ => {
                    self.place = self.step(byte).ok_or(BrokenChunks)?;
                    at += 1;
                }
            }
        }
        Ok(at)
    }

    /// Whether the body has ended.
    pub fn has_ended(&self) -> bool {
        self.place == Place::End
    }

    /// The place behind one byte that is no data; `None` when it cannot stand there.
    fn step(&mut self, byte: u8) -> Option<Place> {
        let is_extra = !matches!(self.place, Place::Size | Place::SizeLf | Place::DataCr | Place::DataLf);
        self.extras += usize::from(is_extra);
        if self.extras > MAX_CHUNK_EXTRAS_BYTES {
            return None;
        }
        match (self.place, byte) {
            (Place::Size, b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') => {
                let digit = char::from(byte).to_digit(16)?;
                self.digits += 1;
                self.size = (self.size << 4) | u64::from(digit);
                (self.digits <= MAX_DIGITS).then_some(Place::Size)
            }
            (Place::Size, _) if self.digits == 0 => None,
            (Place::Size | Place::ExtensionName | Place::Value | Place::ValueEnd, b'\r') => {
                Some(Place::SizeLf)
            }
            (Place::Size | Place::ExtensionName | Place::Value | Place::ValueEnd, b';') => {
                Some(Place::ExtensionStart)
            }
            (Place::ExtensionName, b'=') => Some(Place::ValueStart),
            (Place::ExtensionStart | Place::ExtensionName, _) if is_token(byte) => Some(Place::ExtensionName),
            (Place::ValueStart, b'"') => Some(Place::Quoted),
            (Place::ValueStart | Place::Value, _) if is_token(byte) => Some(Place::Value),
            (Place::Quoted, b'"') => Some(Place::ValueEnd),
            (Place::Quoted, b'\\') => Some(Place::Escaped),
            (Place::Quoted | Place::Escaped, _) if is_text(byte) => Some(Place::Quoted),
            (Place::SizeLf, b'\n') => {
                self.digits = 0;
                Some(if self.size == 0 { Place::TrailerStart } else { Place::Data })
            }
            (Place::DataCr, b'\r') => Some(Place::DataLf),
            (Place::DataLf, b'\n') => Some(Place::Size),
            (Place::TrailerStart, b'\r') => Some(Place::EndLf),
            (Place::TrailerName, b':') => Some(Place::TrailerValue),
            (Place::TrailerStart | Place::TrailerName, _) if is_token(byte) => Some(Place::TrailerName),
            (Place::TrailerValue, b'\r') => Some(Place::TrailerLf),
            (Place::TrailerValue, _) if is_text(byte) => Some(Place::TrailerValue),
            (Place::TrailerLf, b'\n') => Some(Place::TrailerStart),
            (Place::EndLf, b'\n') => Some(Place::End),
            _ => None,
        }
    }
}

/// Whether a byte may stand in a name.
const fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'!' | b'#'
                | b'$'
                | b'%'
                | b'&'
                | b'\''
                | b'*'
                | b'+'
                | b'-'
                | b'.'
                | b'^'
                | b'_'
                | b'`'
                | b'|'
                | b'~'
        )
}

/// Whether a byte may stand in a value: all but control characters.
const fn is_text(byte: u8) -> bool {
    byte == b'\t' || (byte >= b' ' && byte != 0x7f)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What is said of `bytes`, which a request may follow: where the body ends, that it has not ended, or that it is
    /// broken. It is the same in whatever pieces they come.
    fn told(bytes: &[u8]) -> String {
        let told = in_pieces(bytes, bytes.len().max(1));
        assert_eq!(in_pieces(bytes, 1), told, "{}", String::from_utf8_lossy(bytes));
        told
    }

    fn in_pieces(bytes: &[u8], length: usize) -> String {
        let (mut chunks, mut end) = (Chunks::default(), 0);
        for piece in bytes.chunks(length) {
            match chunks.pass(piece) {
                Ok(taken) => end += taken,
                Err(BrokenChunks) => return "broken".to_owned(),
            }
        }
        if chunks.has_ended() { format!("ends at {end}") } else { "goes on".to_owned() }
    }

    #[test]
    fn bodies_end_where_they_say() {
        for (body, expected) in [
            ("", "goes on"),
            ("0\r\n\r\n", "ends at 5"),
            ("0\r\n\r\nGET / HTTP/1.1\r\n", "ends at 5"),
            ("3\r\nabc\r\n0\r\n\r\n", "ends at 13"),
            ("3\r\nabc\r\n0\r\n", "goes on"),
            ("A\r\n0123456789\r\n00\r\n\r\n", "ends at 21"),
            ("3\r\n\r\n0\r\n0\r\n\r\n", "ends at 13"),
            ("1;a\r\nx\r\n0;b=c;d=\"e;\\\"\"\r\nx-a: 1\r\nx-b:\r\n\r\n!", "ends at 40"),
        ] {
            assert_eq!(told(body.as_bytes()), expected, "{body:?}");
        }
    }

    #[test]
    fn what_two_readers_could_end_differently_is_broken() {
        for body in [
            "\r\n",
            ";a\r\n",
            "0x5\r\n",
            "5_0\r\n",
            "-1\r\n",
            "+1\r\n",
            " 5\r\n",
            "5 \r\n",
            "5\n",
            "5\r5",
            "5;\r\n",
            "5;;a\r\n",
            "5; a\r\n",
            "5;a=\r\n",
            "5;a=\"\n\"\r\n",
            "5;a\nabcde\r\n",
            "fffffffffffffffff\r\n",
            "00000000000000005\r\n",
            "3\r\nabcd\r\n",
            "3\r\nabc\n",
            "3\r\nabc0\r\n",
            "0\r\n\n",
            "0\r\nx\r\n\r\n",
            "0\r\n: y\r\n\r\n",
            "0\r\n x: y\r\n\r\n",
            "0\r\nx: \0\r\n\r\n",
        ] {
            assert_eq!(told(body.as_bytes()), "broken", "{body:?}");
        }
    }

    #[test]
    fn what_is_said_beside_the_sizes_is_limited() {
        let extension = |length: usize| format!("0;{}\r\n\r\n", "a".repeat(length));
        assert_eq!(told(extension(MAX_CHUNK_EXTRAS_BYTES - 4).as_bytes()), "ends at 4098");
        assert_eq!(told(extension(MAX_CHUNK_EXTRAS_BYTES).as_bytes()), "broken");
        assert_eq!(told("1;abc\r\nx\r\n".repeat(2000).as_bytes()), "broken");
        assert_eq!(told(format!("0\r\n{}", "x: y\r\n".repeat(1000)).as_bytes()), "broken");
        assert_eq!(told("1\r\nx\r\n".repeat(2000).as_bytes()), "goes on");
    }

    proptest! {
        #[test]
        fn any_data_in_any_chunks_ends_at_its_end(
            chunks in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..40), 0..8),
            behind in proptest::collection::vec(any::<u8>(), 0..10),
        ) {
            let mut body = Vec::new();
            for chunk in &chunks {
                body.extend_from_slice(format!("{:X}\r\n", chunk.len()).as_bytes());
                body.extend_from_slice(chunk);
                body.extend_from_slice(b"\r\n");
            }
            body.extend_from_slice(b"0\r\n\r\n");
            let end = body.len();
            body.extend(behind);
            prop_assert_eq!(told(&body), format!("ends at {end}"));
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            told(&bytes);
        }
    }
}
