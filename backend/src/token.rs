//! The tokens that allow what not everybody may do. Does no I/O but the one read of a token's file.

use std::path::Path;

use actix_web::http::header::{self, HeaderMap};

use crate::problem::Failure;

/// A secret that a client shows as `Authorization: Bearer …`.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token(…)")
    }
}

impl Token {
    /// Reads the token in `file`: its content without surrounding blanks.
    ///
    /// # Errors
    /// In words, when the file cannot be read or holds no usable token.
    pub fn read(file: &Path) -> Result<Self, String> {
        let text = std::fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
        Self::new(&text).map_err(|problem| format!("{}: {problem}", file.display()))
    }

    /// The token in `text`, without surrounding blanks.
    ///
    /// # Errors
    /// In words, when it cannot be sent in a header or is too short to be a secret.
    pub fn new(text: &str) -> Result<Self, String> {
        const SHORTEST: usize = 16;
        let text = text.trim();
        if text.len() < SHORTEST {
            return Err(format!("a token needs at least {SHORTEST} characters"));
        }
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err("a token is one line of visible ASCII characters without blanks".to_owned());
        }
        Ok(Self(text.to_owned()))
    }

    /// Compares in a time that does not tell how much of the guess is right.
    fn is(&self, guess: &str) -> bool {
        let (own, guess) = (self.0.as_bytes(), guess.as_bytes());
        own.len() == guess.len() && own.iter().zip(guess).fold(0, |seen, (a, b)| seen | (a ^ b)) == 0
    }
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

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_one_visible_word() {
        assert_eq!(Token::new(" 0123456789abcdef\n").unwrap(), Token("0123456789abcdef".to_owned()));
        assert!(Token::new("short").is_err());
        assert!(Token::new("0123456789 abcdef").is_err());
        assert!(Token::read(Path::new("/nowhere")).unwrap_err().contains("/nowhere"));
    }

    #[test]
    fn only_the_same_token_is_the_token() {
        let token = Token::new("0123456789abcdef").unwrap();
        assert!(token.is("0123456789abcdef"));
        assert!(!token.is("0123456789abcdeg"));
        assert!(!token.is("0123456789abcde"));
        assert_eq!(format!("{token:?}"), "Token(…)");
    }
}
