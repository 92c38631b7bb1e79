//! Which characters a file's bytes stand for. PURE.

use encoding_rs::{UTF_16BE, UTF_16LE, WINDOWS_1252};

/// How a file wrote its characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// UTF-8 without a mark.
    Utf8,
    /// UTF-8 that begins with a byte order mark.
    Utf8Bom,
    /// UTF-16, low byte first, by its mark.
    Utf16Le,
    /// UTF-16, high byte first, by its mark.
    Utf16Be,
    /// Taken for Windows-1252, which contains Latin-1, because the bytes are no UTF-8.
    Windows1252 {
        /// Offset of the first byte that begins no UTF-8 character.
        first_other: usize,
    },
}

impl Encoding {
    /// What a user should know about it; `None` for plain UTF-8.
    pub fn note(self) -> Option<String> {
        match self {
            Self::Utf8 | Self::Utf8Bom => None,
            Self::Utf16Le | Self::Utf16Be => Some("read as UTF-16".to_owned()),
            Self::Windows1252 { first_other } => {
                Some(format!("not UTF-8 (byte {first_other}); read as Latin-1 (Windows-1252)"))
            }
        }
    }
}

impl std::fmt::Display for Encoding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Utf8 => "UTF-8",
            Self::Utf8Bom => "UTF-8 with BOM",
            Self::Utf16Le => "UTF-16 LE",
            Self::Utf16Be => "UTF-16 BE",
            Self::Windows1252 { .. } => "Latin-1",
        })
    }
}

/// A file's text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text {
    /// Its characters, without a byte order mark.
    pub content: String,
    /// How they were written.
    pub encoding: Encoding,
}

/// Why a file holds no text to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// Nothing, or white space only.
    #[error("the file is empty; choose one that holds text")]
    Empty,
    /// Bytes that no text has.
    #[error("the file is binary (byte {offset} is 0x{byte:02x}); choose a text file")]
    Binary {
        /// Offset of the first such byte.
        offset: usize,
        /// The byte.
        byte: u8,
    },
    /// The byte order mark says UTF-16 and the rest is something else.
    #[error("the file begins as {encoding} but is damaged; save it again as UTF-8")]
    Damaged {
        /// What the mark says.
        encoding: Encoding,
    },
}

/// Reads a file's bytes as text: by their byte order mark, else as UTF-8, else as Windows-1252.
///
/// # Errors
/// When they hold no text; see [`Unreadable`].
pub fn read(bytes: &[u8]) -> Result<Text, Unreadable> {
    let text = match bytes {
        [0xef, 0xbb, 0xbf, rest @ ..] => one_byte_units(rest, Encoding::Utf8Bom)?,
        [0xff, 0xfe, rest @ ..] => two_byte_units(rest, UTF_16LE, Encoding::Utf16Le)?,
        [0xfe, 0xff, rest @ ..] => two_byte_units(rest, UTF_16BE, Encoding::Utf16Be)?,
        _ => one_byte_units(bytes, Encoding::Utf8)?,
    };
    if text.content.trim().is_empty() { Err(Unreadable::Empty) } else { Ok(text) }
}

fn one_byte_units(bytes: &[u8], encoding: Encoding) -> Result<Text, Unreadable> {
    refuse(bytes, |byte| byte == 0)?;
    match std::str::from_utf8(bytes) {
        Ok(content) => Ok(Text { content: content.to_owned(), encoding }),
        Err(error) => {
            // A text in a one-byte code has no control characters but those that lay it out.
            refuse(bytes, |byte| byte < 0x20 && !matches!(byte, b'\t' | b'\n' | b'\r' | 0x0b | 0x0c | 0x1a))?;
            let (content, _) = WINDOWS_1252.decode_without_bom_handling(bytes);
            let first_other = error.valid_up_to();
            Ok(Text { content: content.into_owned(), encoding: Encoding::Windows1252 { first_other } })
        }
    }
}

fn two_byte_units(
    bytes: &[u8],
    code: &'static encoding_rs::Encoding,
    encoding: Encoding,
) -> Result<Text, Unreadable> {
    let (content, damaged) = code.decode_without_bom_handling(bytes);
    if damaged || content.contains('\0') {
        return Err(Unreadable::Damaged { encoding });
    }
    Ok(Text { content: content.into_owned(), encoding })
}

fn refuse(bytes: &[u8], is_binary: impl Fn(u8) -> bool) -> Result<(), Unreadable> {
    match bytes.iter().copied().enumerate().find(|(_, byte)| is_binary(*byte)) {
        Some((offset, byte)) => Err(Unreadable::Binary { offset, byte }),
        None => Ok(()),
    }
}
