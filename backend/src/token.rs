//! The tokens of a node, and what each allows. Does no I/O but the one read of a token's file. What a token is, and how
//! it is shown, is `wire::token`'s.

use std::path::Path;

use actix_web::http::header::{self, HeaderMap};
use wire::Token;

use crate::problem::Failure;

/// Reads the token in `file`: its content without surrounding blanks.
///
/// # Errors
/// In words, when the file cannot be read or holds no usable token.
pub fn read(file: &Path) -> Result<Token, String> {
    let text = std::fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
    text.parse().map_err(|error: wire::token::TokenError| format!("{}: {error}", file.display()))
}

/// The tokens of a node.
#[derive(Clone, Debug, Default)]
pub struct Tokens {
    /// Allows everything. Without one, nobody may delete.
    pub admin: Option<Token>,
    /// Allows posts. Without one, everybody may post.
    pub write: Option<Token>,
}

impl Tokens {
    /// Whether a request with these headers may do what an admin may.
    ///
    /// # Errors
    /// 401 without a token, 403 with a wrong one or where no admin token is set up.
    pub fn admit_admin(&self, headers: &HeaderMap) -> Result<(), Failure> {
        let admin = self.admin.as_ref().ok_or_else(Failure::no_token_configured)?;
        let shown = bearer(headers).ok_or_else(|| Failure::unauthorized("admin"))?;
        if admin.is(shown) { Ok(()) } else { Err(Failure::forbidden("admin")) }
    }

    /// Whether a request with these headers may post.
    ///
    /// # Errors
    /// 401 without a token, 403 with a wrong one.
    pub fn admit_write(&self, headers: &HeaderMap) -> Result<(), Failure> {
        let Some(write) = &self.write else { return Ok(()) };
        let shown = bearer(headers).ok_or_else(|| Failure::unauthorized("write"))?;
        let admitted = write.is(shown) || self.admin.as_ref().is_some_and(|admin| admin.is(shown));
        if admitted { Ok(()) } else { Err(Failure::forbidden("write")) }
    }
}

fn bearer(headers: &HeaderMap) -> Option<&[u8]> {
    wire::token::bearer(headers.get(header::AUTHORIZATION)?.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::http::header::HeaderValue;

    fn shown(value: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(header::AUTHORIZATION, HeaderValue::from_str(value).unwrap());
        headers
    }

    #[test]
    fn a_file_that_holds_no_token_is_named() {
        assert!(read(Path::new("/nowhere")).unwrap_err().contains("/nowhere"));
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "short\n").unwrap();
        let error = read(file.path()).unwrap_err();
        assert!(error.ends_with(": a token needs at least 16 characters"), "{error}");
        std::fs::write(file.path(), "0123456789abcdef\n").unwrap();
        assert_eq!(read(file.path()), Ok("0123456789abcdef".parse().unwrap()));
    }

    #[test]
    fn the_admin_may_write_and_not_the_other_way_round() {
        let (admin, write) = ("admin-token-of-this-test", "write-token-of-this-test");
        let tokens = Tokens { admin: admin.parse().ok(), write: write.parse().ok() };
        let (as_admin, as_writer) = (shown(&format!("Bearer {admin}")), shown(&format!("bearer {write}")));
        assert!(tokens.admit_admin(&as_admin).is_ok() && tokens.admit_write(&as_admin).is_ok());
        assert!(tokens.admit_admin(&as_writer).is_err() && tokens.admit_write(&as_writer).is_ok());
        let other = shown("Bearer other-token-of-this-test");
        assert!(tokens.admit_admin(&other).is_err() && tokens.admit_write(&other).is_err());
        assert!(tokens.admit_write(&shown(write)).is_err() && tokens.admit_write(&HeaderMap::new()).is_err());
        let open = Tokens::default();
        assert!(open.admit_admin(&as_admin).is_err() && open.admit_write(&HeaderMap::new()).is_ok());
    }
}
