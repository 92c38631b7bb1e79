//! PURE. The secret that allows what not everybody may do, and how it is shown. Absent: the files that tokens are read
//! from, and what each token allows.

use std::fmt;
use std::str::FromStr;

use subtle::ConstantTimeEq;

/// Fewest characters of a token: fewer are no secret.
const SHORTEST: usize = 16;

/// A secret that a client shows as `Authorization: Bearer …`. It is never written but by [`Token::header_value`].
#[derive(Clone)]
pub struct Token(String);

/// Why a text is no token. Never repeats the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// It is too short to be a secret.
    #[error("a token needs at least {SHORTEST} characters")]
    TooShort,
    /// It cannot be sent in a header.
    #[error("a token is one line of visible ASCII characters without blanks")]
    NotVisible,
}

impl FromStr for Token {
    type Err = TokenError;

    /// The token in `text`, without the blanks around it, such as a file's last line feed.
    fn from_str(text: &str) -> Result<Self, TokenError> {
        let text = text.trim();
        if text.len() < SHORTEST {
            return Err(TokenError::TooShort);
        }
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(TokenError::NotVisible);
        }
        Ok(Self(text.to_owned()))
    }
}

impl Token {
    /// Whether `shown` is this token. The time that it takes does not tell how much of a guess is right.
    pub fn is(&self, shown: &[u8]) -> bool {
        self.0.as_bytes().ct_eq(shown).into()
    }

    /// The value of an `Authorization` header that shows this token.
    pub fn header_value(&self) -> String {
        format!("Bearer {}", self.0)
    }
}

impl PartialEq for Token {
    fn eq(&self, other: &Self) -> bool {
        self.is(other.0.as_bytes())
    }
}

impl Eq for Token {}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

/// What the value of an `Authorization` header shows as a bearer token; `None` for every other scheme.
pub fn bearer(authorization: &[u8]) -> Option<&[u8]> {
    const SCHEME: &[u8] = b"bearer";
    let (scheme, rest) = authorization.trim_ascii_start().split_at_checked(SCHEME.len())?;
    let shown = rest.strip_prefix(b" ")?.trim_ascii();
    (scheme.eq_ignore_ascii_case(SCHEME) && !shown.is_empty()).then_some(shown)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TEXT: &str = "0123456789abcdef";

    #[test]
    fn a_token_is_one_visible_word() {
        assert_eq!(" 0123456789abcdef\n".parse::<Token>(), Ok(Token(TEXT.to_owned())));
        assert_eq!("".parse::<Token>(), Err(TokenError::TooShort));
        assert_eq!("0123456789abcde".parse::<Token>(), Err(TokenError::TooShort));
        for text in ["0123456789 abcdef", "0123456789abcde\nf", "0123456789abcdeñ"] {
            assert_eq!(text.parse::<Token>(), Err(TokenError::NotVisible), "{text}");
        }
    }

    #[test]
    fn a_token_is_never_shown_by_accident() {
        let token: Token = TEXT.parse().unwrap();
        assert_eq!(format!("{token:?} {:?}", Some(&token)), "Token(…) Some(Token(…))");
    }

    #[test]
    fn only_bearers_are_read() {
        assert_eq!(bearer(b"Bearer abc"), Some(&b"abc"[..]));
        assert_eq!(bearer(b"bEARER   abc "), Some(&b"abc"[..]));
        for value in ["", "Bearer", "Bearer ", "Bearerabc", "Bearer\tabc", "Basic abc", "Bear er abc", "abc"]
        {
            assert_eq!(bearer(value.as_bytes()), None, "{value}");
        }
    }

    proptest! {
        #[test]
        fn what_is_sent_is_recognised_and_nothing_else(text in "[!-~]{16,40}", other in "[!-~]{16,40}") {
            let (token, other) = (text.parse::<Token>().unwrap(), other.parse::<Token>().unwrap());
            let value = token.header_value();
            let shown = bearer(value.as_bytes()).unwrap();
            prop_assert!(token.is(shown));
            prop_assert_eq!(other.is(shown), token == other);
            prop_assert!(!token.is(&shown[1..]));
        }
    }
}
