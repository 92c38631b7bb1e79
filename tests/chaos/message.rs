//! PURE. Where an HTTP/1.1 message ends in the bytes that have come so far, and what an answer's body is. Absent:
//! sockets; what a message means.

/// Most headers of a message.
const MAX_HEADERS: usize = 64;
/// Longest message, in bytes.
const MAX_BYTES: usize = 64 * 1024 * 1024;

/// A whole answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    /// Its status.
    pub(crate) status: u16,
    /// Its body, decoded.
    pub(crate) body: Vec<u8>,
    /// Where its head ends in the bytes.
    pub(crate) head_length: usize,
    /// Its length in the bytes.
    pub(crate) length: usize,
    /// Whether the connection can carry another request.
    pub(crate) keeps: bool,
}

/// The length of the first request, once all of it is there.
///
/// # Errors
/// When the bytes are no request.
pub(crate) fn request_length(bytes: &[u8]) -> Result<Option<usize>, String> {
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut request = httparse::Request::new(&mut headers);
    let head = match request.parse(bytes).map_err(|error| error.to_string())? {
        httparse::Status::Complete(head) => head,
        httparse::Status::Partial => return not_yet(bytes),
    };
    match Framing::of(request.headers)? {
        Framing::Length(length) => whole(bytes, head, length),
        Framing::Chunked => Ok(unchunked(bytes, head)?.map(|(_, end)| end)),
        Framing::Close => Ok(Some(head)),
    }
}

/// The first answer, once all of it is there; `ended` says that no more will come.
///
/// # Errors
/// When the bytes are no answer, or end in the middle of one.
pub(crate) fn answer(bytes: &[u8], ended: bool) -> Result<Option<Answer>, String> {
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut response = httparse::Response::new(&mut headers);
    let head_length = match response.parse(bytes).map_err(|error| error.to_string())? {
        httparse::Status::Complete(head) => head,
        httparse::Status::Partial if ended => return Err("it ended within a head".to_owned()),
        httparse::Status::Partial => return not_yet(bytes),
    };
    let status = response.code.unwrap_or(0);
    let closes = response.headers.iter().any(|header| {
        header.name.eq_ignore_ascii_case("connection") && header.value.eq_ignore_ascii_case(b"close")
    });
    let framing = Framing::of(response.headers)?;
    let found = match framing {
        _ if status == 204 || status == 304 => Some((Vec::new(), head_length)),
        Framing::Length(length) => whole(bytes, head_length, length)?
            .map(|end| (bytes.get(head_length..end).unwrap_or_default().to_vec(), end)),
        Framing::Chunked => unchunked(bytes, head_length)?,
        Framing::Close if ended => Some((bytes.get(head_length..).unwrap_or_default().to_vec(), bytes.len())),
        Framing::Close => None,
    };
    match found {
        Some((body, length)) => {
            let keeps = !closes && !ended && framing != Framing::Close;
            Ok(Some(Answer { status, body, head_length, length, keeps }))
        }
        None if ended => Err("it ended within a body".to_owned()),
        None => not_yet(bytes).map(|_: Option<usize>| None),
    }
}

/// How the end of a body is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Framing {
    Length(usize),
    Chunked,
    /// By the end of the connection; of a request, that it has none.
    Close,
}

impl Framing {
    fn of(headers: &[httparse::Header<'_>]) -> Result<Self, String> {
        let mut framing = Self::Close;
        for header in headers {
            let value = String::from_utf8_lossy(header.value);
            if header.name.eq_ignore_ascii_case("transfer-encoding") {
                framing = Self::Chunked;
            } else if header.name.eq_ignore_ascii_case("content-length") && framing != Self::Chunked {
                framing = Self::Length(value.trim().parse().map_err(|_| format!("its length is {value}"))?);
            }
        }
        Ok(framing)
    }
}

fn not_yet<T>(bytes: &[u8]) -> Result<Option<T>, String> {
    if bytes.len() > MAX_BYTES { Err("it is too long".to_owned()) } else { Ok(None) }
}

fn whole(bytes: &[u8], head: usize, length: usize) -> Result<Option<usize>, String> {
    let end = head.checked_add(length).filter(|end| *end <= MAX_BYTES).ok_or("it is too long")?;
    Ok((bytes.len() >= end).then_some(end))
}

/// The body in chunks from `at` on, and where it ends.
fn unchunked(bytes: &[u8], mut at: usize) -> Result<Option<(Vec<u8>, usize)>, String> {
    let mut body = Vec::new();
    loop {
        let rest = bytes.get(at..).unwrap_or_default();
        let (line, size) = match httparse::parse_chunk_size(rest) {
            Ok(httparse::Status::Complete(found)) => found,
            Ok(httparse::Status::Partial) => return not_yet(bytes),
            Err(_) => return Err("a chunk has no size".to_owned()),
        };
        let size = usize::try_from(size).ok().filter(|size| *size <= MAX_BYTES).ok_or("it is too long")?;
        let Some(data) = rest.get(line..line + size) else { return not_yet(bytes) };
        match rest.get(line + size..line + size + 2) {
            Some(b"\r\n") if size == 0 => return Ok(Some((body, at + line + 2))),
            Some(b"\r\n") => {}
            // Trailers are none of our servers'.
            Some(_) => return Err("a chunk does not end where it should".to_owned()),
            None => return not_yet(bytes),
        }
        body.extend_from_slice(data);
        at += line + size + 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn requests_end_where_their_framing_says() {
        let length = |text: &str| request_length(text.as_bytes()).unwrap();
        assert_eq!(length("GET / HTTP/1.1\r\nhost: x\r\n\r\nGET"), Some(27));
        assert_eq!(length("POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}POST"), Some(40));
        assert_eq!(length("POST / HTTP/1.1\r\ncontent-length: 2\r\n\r\n{"), None);
        let chunked = "POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n";
        assert_eq!(length(chunked), Some(chunked.len()));
        assert!(request_length(b"\x00\x01\x02 not http\r\n\r\n").is_err());
    }

    #[test]
    fn answers_are_read_in_each_framing() {
        let read = |text: &str, ended| answer(text.as_bytes(), ended);
        let found = read("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n[]HTTP", false).unwrap().unwrap();
        assert_eq!((found.status, &found.body[..], found.length, found.keeps), (200, &b"[]"[..], 40, true));
        let found = read(
            "HTTP/1.1 503 X\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n1\r\nb\r\n0\r\n\r\n",
            false,
        );
        let found = found.unwrap().unwrap();
        assert_eq!((found.status, &found.body[..], found.keeps), (503, &b"ab"[..], false));
        assert_eq!(read("HTTP/1.1 200 OK\r\n\r\nabc", false), Ok(None));
        assert_eq!(read("HTTP/1.1 200 OK\r\n\r\nabc", true).unwrap().unwrap().body, b"abc");
        assert!(read("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nabc", true).is_err());
        assert!(read("HTTP/1.1 20", true).is_err());
    }

    proptest! {
        #[test]
        fn a_part_of_an_answer_is_no_answer(cut in 0_usize..46) {
            let text = b"HTTP/1.1 200 OK\r\ncontent-length: 8\r\n\r\n12345678";
            prop_assert_eq!(answer(&text[..cut.min(text.len() - 1)], false), Ok(None));
        }

        #[test]
        fn no_bytes_make_the_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), ended: bool) {
            drop(answer(&bytes, ended));
            drop(request_length(&bytes));
        }
    }
}
