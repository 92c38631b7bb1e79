//! How a body is read: its declared type and its length are checked before a byte of it is believed. Which types are
//! read is `wire::media`'s; how long it may take is the guard's.

use actix_web::HttpRequest;
use actix_web::http::header::{self, HeaderMap, HeaderValue};
use actix_web::web::{Bytes, BytesMut, Payload};
use futures_util::StreamExt;
use wire::media::Announced;

use crate::problem::Failure;

/// What the headers say that the body is.
pub(super) fn announced(headers: &HeaderMap) -> Announced<'_> {
    let values = |name| headers.get_all(name).map(HeaderValue::as_bytes);
    Announced::of(values(header::CONTENT_TYPE), values(header::CONTENT_ENCODING))
}

/// The whole body, at most `limit` bytes of it.
pub(super) async fn read(request: &HttpRequest, payload: Payload, limit: usize) -> Result<Bytes, Failure> {
    let declared = request
        .headers()
        .get(header::CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    if declared.is_some_and(|declared| declared > limit) {
        return Err(Failure::too_large(limit));
    }
    gather(payload, declared.unwrap_or(0), limit).await
}

async fn gather(mut payload: Payload, declared: usize, limit: usize) -> Result<Bytes, Failure> {
    let broken = |error: actix_web::error::PayloadError| Failure::broken_body(&error.to_string());
    let Some(first) = payload.next().await.transpose().map_err(broken)? else { return Ok(Bytes::new()) };
    // Most bodies come in one piece and are used where they lie.
    if first.len() == declared {
        return Ok(first);
    }
    let mut whole = BytesMut::with_capacity(declared.max(first.len()));
    let mut piece = Some(first);
    while let Some(bytes) = piece {
        if whole.len() + bytes.len() > limit {
            return Err(Failure::too_large(limit));
        }
        whole.extend_from_slice(&bytes);
        piece = payload.next().await.transpose().map_err(broken)?;
    }
    Ok(whole.freeze())
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::media::Unread;

    #[test]
    fn every_header_of_a_kind_counts() {
        let mut headers = HeaderMap::new();
        assert_eq!(announced(&headers).json(), Ok(()));
        headers.append(header::CONTENT_TYPE, HeaderValue::from_static("Application/JSON; charset=UTF-8"));
        headers.append(header::CONTENT_ENCODING, HeaderValue::from_static("identity"));
        assert_eq!(announced(&headers).json(), Ok(()));
        headers.append(header::CONTENT_TYPE, HeaderValue::from_static("text/plain"));
        assert_eq!(announced(&headers).json(), Err(Unread::TwoTypes));
        headers.append(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        assert_eq!(announced(&headers).json(), Err(Unread::Packed));
    }
}
