//! PURE. The one table of which requests are taken, held by every server: it reads the head of one client's request and
//! says where the request ends, or that it is refused because two readers could understand it differently. Absent: routes,
//! the bytes of bodies (`chunks.rs` follows those that come in chunks), sockets.
//!
//! | part | taken |
//! |---|---|
//! | line ends | CRLF; no LF or CR alone |
//! | version | 1.1, and 1.0 without `Transfer-Encoding` |
//! | target | a path, `http://HOST/…`, or `*` for `OPTIONS`; in the characters of RFC 3986 |
//! | `host` | once, a name or address with a port from 1 to 65535; in HTTP/1.0 it may be missing |
//! | `content-length` | once, decimal digits, within the limit of the route |
//! | `transfer-encoding` | `chunked`, once, without `content-length` |
//! | neither | no body; not in a post of HTTP/1.0 |
//! | `expect` | `100-continue` |
//! | `upgrade` | passed over: nothing else is spoken here |
//! | `idempotency-key` | once |
//! | the head | [`MAX_HEAD_BYTES`], [`MAX_HEADERS`] |

use std::mem::MaybeUninit;

use crate::contract::{
    IDEMPOTENCY_HEADER, MAX_BULK_BODY_BYTES, MAX_HEAD_BYTES, MAX_HEADERS, MAX_SENTENCE_BODY_BYTES,
};
use crate::media::Announced;
use crate::problem::{Kind, Problem};

/// What stands at the beginning of the received bytes.
#[derive(Clone, Copy, Debug)]
pub enum Head<'a> {
    /// Not yet a whole head.
    Partial,
    /// A request that is taken.
    Whole(RequestHead<'a>),
    /// Not to be understood in only one way; the connection ends.
    Refused(HeadError),
}

/// The head of a request that is taken.
#[derive(Clone, Copy, Debug)]
pub struct RequestHead<'a> {
    /// Length of the head in bytes.
    pub len: usize,
    /// The method.
    pub method: &'a str,
    /// The target as it is written.
    pub target: &'a str,
    /// Whether it is of HTTP/1.1.
    pub is_11: bool,
    /// How long the body is.
    pub body: BodyLength,
    /// Whether the connection ends after the answer.
    pub close: bool,
    /// Whether the client waits for `100 Continue` before it sends the body.
    pub expects: bool,
    /// Whether the client offers another protocol.
    pub upgrades: bool,
    /// The `Idempotency-Key` header.
    pub key: Option<&'a [u8]>,
    /// What is said of the body.
    pub announced: Announced<'a>,
}

/// How long a body is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyLength {
    /// As many bytes; none where nothing was said.
    Bytes(usize),
    /// It comes in chunks.
    Chunked,
}

/// Why a request is refused before its body is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeadError {
    /// The bytes are no HTTP/1 request.
    #[error("the bytes are no HTTP/1.1 request: {0}")]
    NotHttp(httparse::Error),
    /// A line ends without a carriage return.
    #[error("a line of the head ends in LF alone")]
    BareLineFeed,
    /// The head is over its limit.
    #[error("the head is longer than {MAX_HEAD_BYTES} bytes")]
    HeadTooLarge,
    /// Too many headers.
    #[error("the head has more than {MAX_HEADERS} headers")]
    TooManyHeaders,
    /// The target is none of the forms that are taken.
    #[error("the target of the request is no path, and no http:// URL")]
    Target,
    /// `Host` is missing, repeated or malformed.
    #[error("an HTTP/1.1 request needs exactly one well-formed Host")]
    Host,
    /// `Content-Length` is repeated or no number.
    #[error("Content-Length must be given once, as decimal digits only")]
    ContentLength,
    /// `Transfer-Encoding` is not `chunked` alone, or stands where it cannot.
    #[error("Transfer-Encoding must be `chunked` alone, in HTTP/1.1, without Content-Length")]
    TransferEncoding,
    /// A post of HTTP/1.0 without a length.
    #[error("a post needs Content-Length")]
    NoLength,
    /// The body is over its limit.
    #[error("the body has {bytes} bytes; the limit is {limit}")]
    BodyTooLarge {
        /// Announced length.
        bytes: usize,
        /// The most it may have.
        limit: usize,
    },
    /// `Expect` names something else than `100-continue`.
    #[error("nothing but 100-continue can be expected here")]
    Expectation,
    /// `Idempotency-Key` is repeated.
    #[error("Idempotency-Key is given twice")]
    RepeatedKey,
    /// The rest did not come.
    #[error("the request did not arrive whole in time")]
    TimedOut,
}

impl HeadError {
    /// What to do about it.
    pub const fn remedy(self) -> &'static str {
        match self {
            Self::BodyTooLarge { .. } => "split the sentence, or send several with POST /sentences",
            Self::Expectation => "leave the Expect header out",
            Self::TimedOut => "send head and body without pauses",
            _ => "send a request as RFC 9112 writes it",
        }
    }

    /// The header at fault.
    pub const fn field(self) -> Option<&'static str> {
        match self {
            Self::Host => Some("host"),
            Self::ContentLength | Self::NoLength | Self::BodyTooLarge { .. } => Some("content-length"),
            Self::TransferEncoding => Some("transfer-encoding"),
            Self::Expectation => Some("expect"),
            Self::RepeatedKey => Some(IDEMPOTENCY_HEADER),
            _ => None,
        }
    }

    /// The kind of problem that it is.
    pub const fn kind(self) -> Kind {
        match self {
            Self::BodyTooLarge { .. } => Kind::TooLarge,
            Self::HeadTooLarge | Self::TooManyHeaders => Kind::HeadTooLarge,
            Self::Expectation => Kind::UnknownExpectation,
            Self::TimedOut => Kind::TimedOut,
            _ => Kind::BadRequest,
        }
    }
}

impl From<HeadError> for Problem {
    fn from(error: HeadError) -> Self {
        let problem = Self::of(error.kind(), error.to_string()).with_remedy(error.remedy());
        match error.field() {
            Some(field) => problem.with_field(field),
            None => problem,
        }
    }
}

/// Reads the head at the beginning of `bytes`.
pub fn read(bytes: &[u8]) -> Head<'_> {
    // Clearing the room for 64 headers would cost more than reading the usual four.
    let mut headers = [const { MaybeUninit::uninit() }; MAX_HEADERS];
    let mut request = httparse::Request::new(&mut []);
    let len = match request.parse_with_uninit_headers(bytes, &mut headers) {
        Ok(httparse::Status::Complete(len)) if len <= MAX_HEAD_BYTES => len,
        Ok(httparse::Status::Partial) if bytes.len() < MAX_HEAD_BYTES => return Head::Partial,
        Ok(_) => return Head::Refused(HeadError::HeadTooLarge),
        Err(httparse::Error::TooManyHeaders) => return Head::Refused(HeadError::TooManyHeaders),
        Err(error) => return Head::Refused(HeadError::NotHttp(error)),
    };
    match examine(&request, bytes, len) {
        Ok(head) => Head::Whole(head),
        Err(error) => Head::Refused(error),
    }
}

/// Makes a head say nothing of another protocol, for a server that would take the offer. Its length stays.
pub fn without_upgrade(head: &mut [u8]) {
    const UPGRADE: &[u8] = b"upgrade";
    const IGNORED: &[u8] = b"ignored";
    for line in head.split_mut(|byte| *byte == b'\n').skip(1) {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else { continue };
        let Some((name, value)) = line.split_at_mut_checked(colon) else { continue };
        if name.eq_ignore_ascii_case(UPGRADE) {
            name.copy_from_slice(IGNORED);
        } else if name.eq_ignore_ascii_case(b"connection") {
            for option in value.split_mut(|byte| matches!(byte, b',' | b':' | b' ' | b'\t' | b'\r')) {
                if option.eq_ignore_ascii_case(UPGRADE) {
                    option.copy_from_slice(IGNORED);
                }
            }
        }
    }
}

fn examine<'a>(
    request: &httparse::Request<'_, 'a>,
    bytes: &'a [u8],
    len: usize,
) -> Result<RequestHead<'a>, HeadError> {
    if bytes.get(..len).is_none_or(has_bare_line_feed) {
        return Err(HeadError::BareLineFeed);
    }
    let mut seen = Seen::default();
    for header in request.headers.iter() {
        seen.note(header.name, header.value)?;
    }
    let is_11 = request.version == Some(1);
    let (method, target) = (request.method.unwrap_or_default(), request.path.unwrap_or_default());
    let path = path(method, target).ok_or(HeadError::Target)?;
    if is_11 && !seen.host {
        return Err(HeadError::Host);
    }
    if seen.chunked && (!is_11 || seen.length.is_some()) {
        return Err(HeadError::TransferEncoding);
    }
    let takes_one = path == "/sentence";
    let body = match seen.length {
        _ if seen.chunked => BodyLength::Chunked,
        // In HTTP/1.0 the body of such a post would end with the connection.
        None if method == "POST" && !is_11 => return Err(HeadError::NoLength),
        length => BodyLength::Bytes(length.unwrap_or(0)),
    };
    let limit = if takes_one { MAX_SENTENCE_BODY_BYTES } else { MAX_BULK_BODY_BYTES };
    if let BodyLength::Bytes(bytes) = body
        && bytes > limit
    {
        return Err(HeadError::BodyTooLarge { bytes, limit });
    }
    let expects = is_11 && seen.expects;
    if expects && seen.expects_more {
        return Err(HeadError::Expectation);
    }
    let close = seen.close || !(is_11 || seen.keep_alive);
    let Seen { upgrades, key, announced, .. } = seen;
    Ok(RequestHead { len, method, target, is_11, body, close, expects, upgrades, key, announced })
}

/// The path of a target, without its query; `None` when the target has none of the forms that are taken.
fn path<'a>(method: &str, target: &'a str) -> Option<&'a str> {
    // Most requests ask for exactly this.
    if target == "/sentence" {
        return (method != "CONNECT").then_some(target);
    }
    let path = if target.starts_with('/') {
        target
    } else if target == "*" {
        return (method == "OPTIONS").then_some(target);
    } else {
        let (scheme, rest) = target.split_once("://")?;
        let is_http = scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https");
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (host, path) = rest.split_at_checked(end)?;
        (is_http && is_host(host.as_bytes())).then_some(path)?
    };
    let (plain, query) = path.split_once('?').unwrap_or((path, ""));
    (method != "CONNECT" && is_of_uri(plain) && is_of_uri(query)).then_some(plain)
}

/// Whether a text has only the characters of RFC 3986 that may stand in a path and in a query.
fn is_of_uri(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@/?%".contains(&byte))
}

/// The headers that decide about framing and ownership.
#[derive(Default)]
struct Seen<'a> {
    host: bool,
    length: Option<usize>,
    chunked: bool,
    close: bool,
    keep_alive: bool,
    expects: bool,
    /// Something that nobody here knows how to do.
    expects_more: bool,
    upgrades: bool,
    announced: Announced<'a>,
    key: Option<&'a [u8]>,
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
            6 if name.eq_ignore_ascii_case("expect") => {
                self.expects = true;
                self.expects_more |= options(value).any(|it| !it.eq_ignore_ascii_case(b"100-continue"));
            }
            7 if name.eq_ignore_ascii_case("upgrade") => self.upgrades = true,
            10 if name.eq_ignore_ascii_case("connection") => self.note_connection(value),
            12 if name.eq_ignore_ascii_case("content-type") => self.announced.note_type(value),
            14 if name.eq_ignore_ascii_case("content-length") => {
                let length = decimal(value).filter(|_| self.length.is_none());
                self.length = Some(length.ok_or(HeadError::ContentLength)?);
            }
            15 if name.eq_ignore_ascii_case(IDEMPOTENCY_HEADER) => {
                let before = self.key.replace(value);
                return before.map_or(Ok(()), |_| Err(HeadError::RepeatedKey));
            }
            16 if name.eq_ignore_ascii_case("content-encoding") => {
                self.announced.note_encoding(value);
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
        for option in options(value) {
            if option.eq_ignore_ascii_case(b"close") {
                self.close = true;
            } else if option.eq_ignore_ascii_case(b"keep-alive") {
                self.keep_alive = true;
            } else if option.eq_ignore_ascii_case(b"upgrade") {
                self.upgrades = true;
            }
        }
    }
}

/// The elements of a header that is a list.
fn options(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii)
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
