//! How a body is read: its declared type, its length and its pace are checked before a byte of it is believed.

use std::time::Duration;

use actix_web::HttpRequest;
use actix_web::http::header::{self, HeaderMap};
use actix_web::web::{Bytes, BytesMut, Payload};
use futures_util::StreamExt;

use crate::problem::Failure;

/// Longest time for a body to arrive.
const ARRIVAL: Duration = Duration::from_secs(30);

/// The media type of the body in lower case and without parameters; `None` when none is given.
pub(super) fn media_type(headers: &HeaderMap) -> Result<Option<String>, Failure> {
    let Some(value) = headers.get(header::CONTENT_TYPE) else { return Ok(None) };
    let text = value.to_str().map_err(|_| Failure::media_type("of an unreadable type", JSON_REMEDY))?;
    let (essence, parameters) = text.split_once(';').unwrap_or((text, ""));
    let charset = parameters.split(';').find_map(|parameter| {
        let (name, value) = parameter.trim().split_once('=')?;
        name.eq_ignore_ascii_case("charset").then(|| value.trim().trim_matches('"'))
    });
    match charset {
        Some(charset)
            if !charset.eq_ignore_ascii_case("utf-8") && !charset.eq_ignore_ascii_case("us-ascii") =>
        {
            Err(Failure::media_type(&format!("in the charset {charset}"), "encode it as UTF-8"))
        }
        _ => Ok(Some(essence.trim().to_ascii_lowercase())),
    }
}

/// What to do about a body that is no JSON by its header.
pub(super) const JSON_REMEDY: &str = "add -H 'content-type: application/json'";

/// The whole body, at most `limit` bytes of it.
pub(super) async fn read(request: &HttpRequest, payload: Payload, limit: usize) -> Result<Bytes, Failure> {
    if let Some(encoding) = request.headers().get(header::CONTENT_ENCODING)
        && encoding.as_bytes() != b"identity"
    {
        return Err(Failure::content_encoding(&String::from_utf8_lossy(encoding.as_bytes())));
    }
    let declared = request
        .headers()
        .get(header::CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    if declared.is_some_and(|declared| declared > limit) {
        return Err(Failure::too_large(limit));
    }
    tokio::time::timeout(ARRIVAL, gather(payload, declared.unwrap_or(0), limit))
        .await
        .map_err(|_| Failure::too_slow(ARRIVAL.as_secs()))?
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
    use actix_web::http::header::HeaderValue;

    #[test]
    fn types_are_compared_without_case_and_parameters() {
        let read = |text: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(text));
            media_type(&headers).map_err(|failure| failure.to_string())
        };
        assert_eq!(read("Application/JSON; charset=UTF-8"), Ok(Some("application/json".to_owned())));
        assert_eq!(read("text/plain"), Ok(Some("text/plain".to_owned())));
        assert!(read("application/json; charset=latin1").unwrap_err().contains("latin1"));
        assert_eq!(media_type(&HeaderMap::new()).unwrap(), None);
    }
}
