//! Which quote of a CSV file is open.
//!
//! The reader of CSV takes the end of a file for the end of a quote. All rows behind a quote that
//! somebody forgot would be one cell, and nobody would know.

use std::io::{Error, Read, Result};

/// The most bytes between two quotes: no room takes a message of as many.
const LONGEST: u64 = 64 * 1024 * 1024;

/// The mark of the order of bytes, which the reader of CSV leaves out.
const MARK: [u8; 3] = [0xef, 0xbb, 0xbf];

/// Where the last byte was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    /// Before the first byte of a cell, where a quote begins.
    Start,
    /// In a cell without quotes.
    Plain,
    /// Between quotes.
    Quoted,
    /// Behind a quote, which ends the cell unless another one follows.
    Ended,
}

/// Reads on, and follows the quotes as the reader of CSV does.
pub struct Quotes<R> {
    from: R,
    delimiter: u8,
    at: At,
    /// The line, from 1.
    line: u64,
    /// How many bytes were read.
    count: u64,
    /// Where the last quote that began a cell was: its line, and how many bytes were before it.
    began: (u64, u64),
    is_over: bool,
}

impl<R: Read> Quotes<R> {
    pub const fn new(from: R, delimiter: u8) -> Self {
        let (at, began) = (At::Start, (1, 0));
        Self { from, delimiter, at, line: 1, count: 0, began, is_over: false }
    }

    /// The line of a quote that is still open at the end.
    pub fn open(&self) -> Option<u64> {
        (self.is_over && self.at == At::Quoted).then_some(self.began.0)
    }

    fn take(&mut self, byte: u8) {
        let is_mark = usize::try_from(self.count).ok().and_then(|it| MARK.get(it)) == Some(&byte);
        self.at = match (self.at, byte) {
            (At::Start, b'"') => {
                self.began = (self.line, self.count);
                At::Quoted
            }
            (At::Ended, b'"') => At::Quoted,
            (At::Quoted, b'"') => At::Ended,
            (At::Quoted, _) => At::Quoted,
            (_, b'\r' | b'\n') => At::Start,
            (_, byte) if byte == self.delimiter => At::Start,
            (At::Start, _) if is_mark => At::Start,
            _ => At::Plain,
        };
        self.line += u64::from(byte == b'\n');
        self.count += 1;
    }
}

impl<R: Read> Read for Quotes<R> {
    fn read(&mut self, into: &mut [u8]) -> Result<usize> {
        let count = self.from.read(into)?;
        into[..count].iter().for_each(|byte| self.take(*byte));
        self.is_over |= count == 0 && !into.is_empty();
        let (line, before) = self.began;
        if self.at == At::Quoted && self.count - before > LONGEST {
            let long = format!("the quote that begins on line {line} has no end in 64 MiB");
            return Err(Error::other(long));
        }
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(text: &str) -> Option<u64> {
        let mut quotes = Quotes::new(text.as_bytes(), b',');
        quotes.read_to_end(&mut Vec::new()).unwrap();
        quotes.open()
    }

    #[test]
    fn a_quote_is_open_until_another_one_ends_it() {
        for (text, line) in [
            ("a,b\n1,\"x\n2,y\n", Some(2)),
            ("a\r\n\"x\"\r\n\"y", Some(3)),
            ("\"a", Some(1)),
            ("\u{feff}\"a,b\n", Some(1)),
            ("a\n\"x\"\"\n", Some(2)),
            ("a\n\"x\"\"\"\n", None),
            ("a\n\"x\ny\"\n", None),
            ("a\n5\" pipe\n\"x\" and \"y\n", None),
            ("", None),
        ] {
            assert_eq!(open(text), line, "{text:?}");
        }
    }

    #[test]
    fn a_quote_without_an_end_is_not_followed_for_ever() {
        let mut endless = Quotes::new("a\n\"".as_bytes().chain(std::io::repeat(b'x')), b',');
        let error = std::io::copy(&mut endless, &mut std::io::sink()).unwrap_err().to_string();
        assert_eq!(error, "the quote that begins on line 2 has no end in 64 MiB");
    }
}
