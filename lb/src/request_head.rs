//! PURE. Reads the head of one client's request and says whose it is: a plain `POST /sentence`, which the door serves itself,
//! anything else that is well-formed, which the full HTTP server serves, or a request whose framing two readers could
//! understand differently, which is refused. Absent: bodies, sockets.

use std::mem::MaybeUninit;

use wire::contract::MAX_SENTENCE_BODY_BYTES;
use wire::media::{Announced, Unread};

/// Longest head, in bytes.
pub(crate) const MAX_HEAD_BYTES: usize = 16 * 1024;
/// Most headers of one request.
const MAX_HEADERS: usize = 64;

/// What stands at the beginning of the received bytes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Request<'a> {
    /// Not yet a whole head.
    Partial,
    /// A plain `POST /sentence`.
    Sentence(SentenceHead<'a>),
    /// Anything else that is well-formed.
    Other,
    /// Not to be understood in only one way; the connection ends.
    Refused(HeadError),
}

/// The head of a plain `POST /sentence`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct SentenceHead<'a> {
    /// Length of the head in bytes.
    pub(crate) len: usize,
    /// Length of the body in bytes.
    pub(crate) body: usize,
    /// Whether the client ends the connection after the answer.
    pub(crate) close: bool,
    /// The `Idempotency-Key` header.
    pub(crate) key: Option<&'a [u8]>,
}

/// Why a request is refused before its body is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum HeadError {
    /// The bytes are no HTTP/1 request.
    #[error("the bytes are no HTTP/1.1 request: {0}")]
    NotHttp(httparse::Error),
    /// A line ends without a carriage return.
    #[error("a line of the head ends in LF alone")]
    BareLineFeed,
    /// The head is over its limit.
    #[error("the head is longer than {limit} bytes")]
    HeadTooLarge {
        /// In bytes.
        limit: usize,
    },
    /// Too many headers.
    #[error("the head has more than {limit} headers")]
    TooManyHeaders {
        /// The most there may be.
        limit: usize,
    },
    /// `Host` is missing, repeated or malformed.
    #[error("an HTTP/1.1 request needs exactly one well-formed Host")]
    Host,
    /// `Content-Length` is repeated or no number.
    #[error("Content-Length must be given once, as decimal digits only")]
    ContentLength,
    /// `Transfer-Encoding` is not `chunked` alone, or stands where it cannot.
    #[error("Transfer-Encoding must be `chunked` alone, in HTTP/1.1, without Content-Length")]
    TransferEncoding,
    /// A post without a length.
    #[error("a post needs Content-Length or Transfer-Encoding: chunked")]
    NoLength,
    /// The body is over the limit of a sentence.
    #[error("the body has {bytes} bytes; the limit is {limit}")]
    BodyTooLarge {
        /// Announced length.
        bytes: usize,
        /// The most it may have.
        limit: usize,
    },
    /// The headers announce a body that is not read here.
    #[error(transparent)]
    Body(#[from] Unread),
    /// `Idempotency-Key` is repeated.
    #[error("Idempotency-Key is given twice")]
    RepeatedKey,
    /// The rest did not come.
    #[error("the request did not arrive whole in time")]
    TimedOut,
}

impl HeadError {
    /// What to do about it.
    pub(crate) fn remedy(self) -> &'static str {
        match self {
            Self::BodyTooLarge { .. } => "split the sentence, or send several with POST /sentences",
            Self::Body(unread) => unread.remedy(),
            Self::TimedOut => "send head and body without pauses",
            _ => "send a request as RFC 9112 writes it",
        }
    }

    /// The header at fault.
    pub(crate) fn field(self) -> Option<&'static str> {
        match self {
            Self::Host => Some("host"),
            Self::ContentLength | Self::NoLength | Self::BodyTooLarge { .. } => Some("content-length"),
            Self::TransferEncoding => Some("transfer-encoding"),
            Self::Body(unread) => Some(unread.field()),
            Self::RepeatedKey => Some("idempotency-key"),
            _ => None,
        }
    }
}

/// The headers that decide about framing and ownership.
#[derive(Default)]
struct Seen<'a> {
    host: bool,
    length: Option<usize>,
    chunked: bool,
    close: bool,
    /// Something that only the full server understands.
    unusual: bool,
    body: Announced<'a>,
    key: Option<&'a [u8]>,
}

/// Reads the head at the beginning of `bytes`.
pub(crate) fn read(bytes: &[u8]) -> Request<'_> {
    // Clearing the room for 64 headers would cost more than reading the usual four.
    let mut headers = [const { MaybeUninit::uninit() }; MAX_HEADERS];
    let mut request = httparse::Request::new(&mut []);
    let len = match request.parse_with_uninit_headers(bytes, &mut headers) {
        Ok(httparse::Status::Complete(len)) if len <= MAX_HEAD_BYTES => len,
        Ok(httparse::Status::Partial) if bytes.len() < MAX_HEAD_BYTES => return Request::Partial,
        Ok(_) => return Request::Refused(HeadError::HeadTooLarge { limit: MAX_HEAD_BYTES }),
        Err(httparse::Error::TooManyHeaders) => {
            return Request::Refused(HeadError::TooManyHeaders { limit: MAX_HEADERS });
        }
        Err(error) => return Request::Refused(HeadError::NotHttp(error)),
    };
    match examine(&request, bytes, len) {
        Ok(request) => request,
        Err(error) => Request::Refused(error),
    }
}

fn examine<'a>(
    request: &httparse::Request<'_, 'a>,
    bytes: &'a [u8],
    len: usize,
) -> Result<Request<'a>, HeadError> {
    if bytes.get(..len).is_none_or(has_bare_line_feed) {
        return Err(HeadError::BareLineFeed);
    }
    let mut seen = Seen::default();
    for header in request.headers.iter() {
        seen.note(header.name, header.value)?;
    }
    let is_11 = request.version == Some(1);
    if is_11 && !seen.host {
        return Err(HeadError::Host);
    }
    if seen.chunked && (!is_11 || seen.length.is_some()) {
        return Err(HeadError::TransferEncoding);
    }
    let is_sentence = is_11 && request.method == Some("POST") && request.path == Some("/sentence");
    if !is_sentence || seen.chunked || seen.unusual {
        return Ok(Request::Other);
    }
    let Some(body) = seen.length else { return Err(HeadError::NoLength) };
    if body > MAX_SENTENCE_BODY_BYTES {
        return Err(HeadError::BodyTooLarge { bytes: body, limit: MAX_SENTENCE_BODY_BYTES });
    }
    seen.body.json()?;
    Ok(Request::Sentence(SentenceHead { len, body, close: seen.close, key: seen.key }))
}

/// httparse takes a bare LF as the end of a line, and refuses a bare CR: equal counts mean CRLF throughout.
fn has_bare_line_feed(head: &[u8]) -> bool {
    // Summed in bytes over pieces too short to overflow one, which the compiler turns into vector code.
    let surplus = |piece: &[u8]| {
        piece.iter().fold(0_i8, |sum, byte| sum + i8::from(*byte == b'\n') - i8::from(*byte == b'\r'))
    };
    head.chunks(112).map(|piece| i32::from(surplus(piece))).sum::<i32>() != 0
}

impl<'a> Seen<'a> {
    fn note(&mut self, name: &str, value: &'a [u8]) -> Result<(), HeadError> {
        // The length of a name tells most headers apart without comparing letters.
        match name.len() {
            4 if name.eq_ignore_ascii_case("host") => {
                if self.host || !is_host(value) {
                    return Err(HeadError::Host);
                }
                self.host = true;
            }
            6 if name.eq_ignore_ascii_case("expect") => self.unusual = true,
            7 if name.eq_ignore_ascii_case("upgrade") => self.unusual = true,
            10 if name.eq_ignore_ascii_case("connection") => self.note_connection(value),
            12 if name.eq_ignore_ascii_case("content-type") => self.body.note_type(value),
            14 if name.eq_ignore_ascii_case("content-length") => {
                let length = decimal(value).filter(|_| self.length.is_none());
                self.length = Some(length.ok_or(HeadError::ContentLength)?);
            }
            15 if name.eq_ignore_ascii_case("idempotency-key") => {
                let before = self.key.replace(value);
                return before.map_or(Ok(()), |_| Err(HeadError::RepeatedKey));
            }
            16 if name.eq_ignore_ascii_case("content-encoding") => {
                self.body.note_encoding(value);
            }
            17 if name.eq_ignore_ascii_case("transfer-encoding") => {
                if self.chunked || !value.eq_ignore_ascii_case(b"chunked") {
                    return Err(HeadError::TransferEncoding);
                }
                self.chunked = true;
            }
            _ => {}
        }
        Ok(())
    }

    fn note_connection(&mut self, value: &[u8]) {
        for option in value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii) {
            if option.eq_ignore_ascii_case(b"close") {
                self.close = true;
            } else if !option.eq_ignore_ascii_case(b"keep-alive") {
                self.unusual = true;
            }
        }
    }
}

/// Decimal digits only: no sign, no blank, no list.
fn decimal(value: &[u8]) -> Option<usize> {
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(value).ok()?.parse().ok()
}

/// A host name or address with an optional port: no path, no user, no blank.
fn is_host(value: &[u8]) -> bool {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    let mut from_end = value.rsplitn(2, |byte| *byte == b':');
    let (host, port) = match (from_end.next(), from_end.next()) {
        (Some(port), Some(host)) if !value.ends_with(b"]") => (host, Some(port)),
        _ => (value, None),
    };
    let named = match host {
        [b'[', address @ .., b']'] => {
            address.iter().all(|byte| byte.is_ascii_hexdigit() || matches!(byte, b':' | b'.'))
        }
        name => !name.is_empty() && name.iter().all(plain),
    };
    named && port.is_none_or(|port| decimal(port).is_some_and(|port| (1..=65535).contains(&port)))
}

#[cfg(test)]
mod tests;
