//! PURE. Reads a node's HTTP response from the bytes that have come so far. Absent: sockets; what the status means.

use std::ops::Range;

use crate::fleet::{Mark, epoch_number};

/// Longest head of an answer, in bytes.
const MAX_HEAD_BYTES: usize = 32 * 1024;
/// Longest answer, in bytes. A batch full of duplicates comes back whole.
pub(super) const MAX_ANSWER_BYTES: usize = 64 * 1024 * 1024;
/// Most headers of an answer.
const MAX_HEADERS: usize = 64;
/// Most answers with a status below 200 before the response.
const MAX_INTERIM: u8 = 8;

/// A whole response; its body lies in the bytes that were read.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Response {
    /// The status code.
    pub(super) status: u16,
    /// Whether the connection can carry another post.
    pub(super) reusable: bool,
    /// The node's count after this post, where it says so.
    pub(super) mark: Option<Mark>,
    /// Where the body lies.
    pub(super) body: Range<usize>,
}

/// How far the reading has come.
#[derive(Default)]
pub(super) struct Progress {
    /// Answers with a status below 200 so far.
    interim: u8,
    head: Option<Head>,
    /// Where the body decoded so far ends; for a chunked one the undecoded bytes follow.
    decoded: usize,
}

struct Head {
    status: u16,
    reusable: bool,
    mark: Option<Mark>,
    len: usize,
    framing: Framing,
}

enum Framing {
    Length(usize),
    Chunked,
    /// The body ends with the connection.
    Close,
}

/// Why bytes are no response.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum BadResponse {
    /// No HTTP.
    #[error("the answer is no HTTP: {0}")]
    NotHttp(#[from] httparse::Error),
    /// A status that answers no post.
    #[error("the answer's status is {0}")]
    Status(u16),
    /// Length or encoding that cannot be read in only one way.
    #[error("the answer's length is not to be understood")]
    Framing,
    /// Larger than any answer can be.
    #[error("the answer is too large")]
    TooLarge,
    /// The connection ended first.
    #[error("the connection ended before the whole answer")]
    Cut,
}

/// Looks at what has been read; `ended` says that no more will come. A chunked body is decoded in place.
pub(super) fn advance(
    progress: &mut Progress,
    bytes: &mut Vec<u8>,
    ended: bool,
) -> Result<Option<Response>, BadResponse> {
    if bytes.len() > MAX_ANSWER_BYTES {
        return Err(BadResponse::TooLarge);
    }
    while progress.head.is_none() {
        match read_head(bytes)? {
            // 100 and its kind come before the response; 101 would be the last word in HTTP.
            Some(head) if (100..200).contains(&head.status) => {
                progress.interim += 1;
                if head.status == 101 || progress.interim > MAX_INTERIM {
                    return Err(BadResponse::Status(head.status));
                }
                drop(bytes.drain(..head.len));
            }
            Some(head) if !(200..600).contains(&head.status) => {
                return Err(BadResponse::Status(head.status));
            }
            Some(head) => {
                progress.decoded = head.len;
                progress.head = Some(head);
            }
            None if ended => return Err(BadResponse::Cut),
            None => return Ok(None),
        }
    }
    let Some(head) = &progress.head else { return Ok(None) };
    let (end, surplus) = match head.framing {
        Framing::Length(length) if bytes.len() >= head.len + length => {
            (head.len + length, bytes.len() > head.len + length)
        }
        Framing::Chunked => match decode_chunks(bytes, &mut progress.decoded)? {
            Some(surplus) => (progress.decoded, surplus),
            None if ended => return Err(BadResponse::Cut),
            None => return Ok(None),
        },
        Framing::Close if ended => (bytes.len(), false),
        _ if ended => return Err(BadResponse::Cut),
        _ => return Ok(None),
    };
    let reusable = head.reusable && !ended && !surplus;
    Ok(Some(Response { status: head.status, reusable, mark: head.mark, body: head.len..end }))
}

fn read_head(bytes: &[u8]) -> Result<Option<Head>, BadResponse> {
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut parsed = httparse::Response::new(&mut headers);
    let httparse::Status::Complete(len) = parsed.parse(bytes)? else {
        return if bytes.len() > MAX_HEAD_BYTES { Err(BadResponse::TooLarge) } else { Ok(None) };
    };
    if len > MAX_HEAD_BYTES {
        return Err(BadResponse::TooLarge);
    }
    let status = parsed.code.unwrap_or_default();
    let is_11 = parsed.version == Some(1);
    let mut reusable = is_11;
    let (mut length, mut chunked) = (None, false);
    let (mut epoch, mut revision, mut documents) = (None, None, None);
    for header in parsed.headers.iter() {
        let text = std::str::from_utf8(header.value).unwrap_or_default();
        let is = |name: &str| header.name.eq_ignore_ascii_case(name);
        if is("content-length") {
            let value = decimal(text).ok_or(BadResponse::Framing)?;
            let value = usize::try_from(value).map_err(|_| BadResponse::TooLarge)?;
            if length.replace(value).is_some_and(|before| before != value) {
                return Err(BadResponse::Framing);
            }
        } else if is("transfer-encoding") {
            if chunked || !is_11 || !text.eq_ignore_ascii_case("chunked") {
                return Err(BadResponse::Framing);
            }
            chunked = true;
        } else if is("connection") {
            let says = |word: &str| text.split(',').any(|option| option.trim().eq_ignore_ascii_case(word));
            reusable = !says("close") && (reusable || says("keep-alive"));
        } else if is(wire::contract::EPOCH_HEADER) {
            epoch = Some(epoch_number(text));
        } else if is(wire::contract::REVISION_HEADER) {
            revision = decimal(text);
        } else if is(wire::contract::DOCUMENTS_HEADER) {
            documents = decimal(text);
        }
    }
    let mark = match (epoch, revision, documents) {
        (Some(epoch), Some(revision), Some(documents)) => Some(Mark { epoch, revision, documents }),
        _ => None,
    };
    let framing = match (chunked, length) {
        _ if status == 204 || status == 304 || (100..200).contains(&status) => Framing::Length(0),
        // Whoever sends both may mean either to another reader: take the one that RFC 9112 names, and hang up.
        (true, Some(_)) => {
            reusable = false;
            Framing::Chunked
        }
        (true, None) => Framing::Chunked,
        (false, Some(length)) if length <= MAX_ANSWER_BYTES => Framing::Length(length),
        (false, Some(_)) => return Err(BadResponse::TooLarge),
        (false, None) => Framing::Close,
    };
    Ok(Some(Head { status, reusable, mark, len, framing }))
}

/// Decimal digits only: no sign, no blank.
fn decimal(text: &str) -> Option<u64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

/// Moves the data of whole chunks up to `decoded`. Tells, after the last chunk, whether bytes are left over.
fn decode_chunks(bytes: &mut Vec<u8>, decoded: &mut usize) -> Result<Option<bool>, BadResponse> {
    loop {
        let rest = bytes.get(*decoded..).unwrap_or_default();
        let (head, size) = match httparse::parse_chunk_size(rest) {
            Ok(httparse::Status::Complete(found)) => found,
            Ok(httparse::Status::Partial) => return Ok(None),
            Err(_) => return Err(BadResponse::Framing),
        };
        let size = usize::try_from(size)
            .ok()
            .filter(|size| *size <= MAX_ANSWER_BYTES)
            .ok_or(BadResponse::TooLarge)?;
        if size == 0 {
            let trailers = rest.get(head..).unwrap_or_default();
            return Ok(end_of_trailers(trailers).map(|end| trailers.len() > end));
        }
        match rest.get(head + size..head + size + 2) {
            Some(b"\r\n") => {}
            Some(_) => return Err(BadResponse::Framing),
            None => return Ok(None),
        }
        // The size line before the data and the line end behind it go.
        bytes.drain(*decoded..*decoded + head);
        *decoded += size;
        bytes.drain(*decoded..*decoded + 2);
    }
}

/// Length of the trailers with the empty line behind them.
fn end_of_trailers(rest: &[u8]) -> Option<usize> {
    if rest.starts_with(b"\r\n") {
        return Some(2);
    }
    rest.windows(4).position(|window| window == b"\r\n\r\n").map(|at| at + 4)
}

#[cfg(test)]
mod tests;
