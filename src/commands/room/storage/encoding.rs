//! How a file is shown as text: for another program, byte for byte; on a terminal, so that nothing in
//! it is obeyed.

use std::borrow::Cow;
use std::io::IsTerminal;

use crate::error::{Error, Result};
use crate::output;

/// How a text is encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// UTF-8, or ASCII, which is the same with fewer signs.
    Utf8 {
        /// Whether it may hold more than ASCII.
        is_ascii: bool,
    },
    /// A byte for each sign.
    Latin1,
    /// Two bytes for each unit.
    Utf16 {
        /// Whether the higher byte comes first; without it, the first unit says so.
        is_big: Option<bool>,
    },
}

/// A text, and whether something in it could not be read, for which a sign stands.
type Decoded<'a> = (Cow<'a, str>, bool);

impl Encoding {
    /// The one with this name.
    ///
    /// # Errors
    ///
    /// There is none.
    pub fn named(name: &str) -> Result<Self> {
        Ok(match name.to_ascii_lowercase().replace('_', "-").as_str() {
            "utf-8" | "utf8" => Self::Utf8 { is_ascii: false },
            "ascii" | "us-ascii" => Self::Utf8 { is_ascii: true },
            "latin-1" | "latin1" | "iso-8859-1" => Self::Latin1,
            "utf-16le" | "utf-16-le" => Self::Utf16 { is_big: Some(false) },
            "utf-16be" | "utf-16-be" => Self::Utf16 { is_big: Some(true) },
            "utf-16" | "utf16" => Self::Utf16 { is_big: None },
            _ => {
                return Err(Error::usage(format!("--encoding {name:?} is not known"))
                    .hint("known are utf-8, ascii, latin-1, utf-16, utf-16le and utf-16be"));
            }
        })
    }

    fn decode(self, bytes: &[u8]) -> Decoded<'_> {
        match self {
            Self::Utf8 { is_ascii } => {
                let text = String::from_utf8_lossy(bytes);
                let is_wrong = matches!(text, Cow::Owned(_)) || is_ascii && !bytes.is_ascii();
                (text, is_wrong)
            }
            Self::Latin1 => (bytes.iter().map(|byte| char::from(*byte)).collect(), false),
            Self::Utf16 { is_big: Some(is_big) } => wide(bytes, is_big),
            Self::Utf16 { is_big: None } => match bytes {
                [0xfe, 0xff, rest @ ..] => wide(rest, true),
                [0xff, 0xfe, rest @ ..] => wide(rest, false),
                bytes => wide(bytes, false),
            },
        }
    }

    /// Prints a file.
    pub fn print(self, bytes: &[u8]) {
        let (text, is_wrong) = self.decode(bytes);
        let is_terminal = std::io::stdout().is_terminal();
        match self {
            _ if is_terminal => output::data(&text),
            // It is UTF-8 already, or else nothing that can be made UTF-8.
            Self::Utf8 { .. } => output::raw(bytes),
            Self::Latin1 | Self::Utf16 { .. } => output::raw(text.as_bytes()),
        }
        if is_wrong {
            let instead = match (self, is_terminal) {
                (Self::Utf8 { .. }, false) => "; it was printed as it is",
                (Self::Utf8 { is_ascii: true }, true) if std::str::from_utf8(bytes).is_ok() => {
                    "; it was read as UTF-8"
                }
                _ => ", so not all of it could be read",
            };
            output::note(&format!("note: the file is not {self}{instead}"));
        }
    }
}

impl std::fmt::Display for Encoding {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(match self {
            Self::Utf8 { is_ascii: false } => "UTF-8",
            Self::Utf8 { is_ascii: true } => "ASCII",
            Self::Latin1 => "Latin-1",
            Self::Utf16 { .. } => "UTF-16",
        })
    }
}

/// A text of units of two bytes; what is missing in the last one is nothing.
fn wide(bytes: &[u8], is_big: bool) -> Decoded<'static> {
    let of = if is_big { u16::from_be_bytes } else { u16::from_le_bytes };
    let units = bytes.chunks(2).map(|it| of([it[0], it.get(1).copied().unwrap_or_default()]));
    let mut is_wrong = bytes.len() % 2 == 1;
    let signs = char::decode_utf16(units).map(|sign| {
        is_wrong |= sign.is_err();
        sign.unwrap_or(char::REPLACEMENT_CHARACTER)
    });
    let text = signs.collect();
    (Cow::Owned(text), is_wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_read_as_they_are_encoded() {
        let decoded = |name: &str, bytes: &[u8]| {
            let (text, is_wrong) = Encoding::named(name).unwrap().decode(bytes);
            (text.into_owned(), is_wrong)
        };
        let fine = |text: &str| (text.to_owned(), false);
        let wrong = |text: &str| (text.to_owned(), true);
        assert_eq!(decoded("utf-8", "ü".as_bytes()), fine("ü"));
        assert_eq!(decoded("UTF_8", b"a\xff"), wrong("a\u{fffd}"));
        assert_eq!(decoded("ascii", b"a"), fine("a"));
        assert_eq!(decoded("ascii", "ü".as_bytes()), wrong("ü"));
        assert_eq!(decoded("latin-1", b"\xfc"), fine("ü"));
        assert_eq!(decoded("utf-16", b"\xfe\xff\0a"), fine("a"));
        assert_eq!(decoded("utf-16", b"\xff\xfea\0"), fine("a"));
        assert_eq!(decoded("utf-16le", b"a\0\xfc\0"), fine("aü"));
        assert_eq!(decoded("utf-16le", b"a\0\xfc"), wrong("aü"));
        assert_eq!(decoded("utf-16be", b"\xd8\0\0a"), wrong("\u{fffd}a"));
        assert!(Encoding::named("ebcdic").is_err());
    }
}
