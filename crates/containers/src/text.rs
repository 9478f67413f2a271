//! Pieces of bytes as pieces of text.

use std::str;

/// Cuts a stream of bytes between characters, so that each piece is text by itself.
///
/// What is no UTF-8 becomes the replacement character. At most three bytes are kept back.
#[derive(Debug, Default)]
pub struct Characters {
    begun: Vec<u8>,
}

impl Characters {
    /// The text up to the last character that is whole.
    pub fn feed(&mut self, bytes: &[u8]) -> String {
        self.begun.extend_from_slice(bytes);
        let whole = self.begun.len() - unfinished(&self.begun);
        let text = String::from_utf8_lossy(&self.begun[..whole]).into_owned();
        self.begun.drain(..whole);
        text
    }

    /// What is left at the end: nothing, or a replacement character for one that was cut off.
    #[must_use]
    pub fn finish(self) -> String {
        String::from_utf8_lossy(&self.begun).into_owned()
    }
}

/// How many bytes at the end begin a character that more bytes would finish.
fn unfinished(bytes: &[u8]) -> usize {
    let from = bytes.len().saturating_sub(3);
    (from..bytes.len())
        .find(|&start| match str::from_utf8(&bytes[start..]) {
            Ok(_) => false,
            // Valid up to its beginning, and not wrong but short.
            Err(error) => error.valid_up_to() == 0 && error.error_len().is_none(),
        })
        .map_or(0, |start| bytes.len() - start)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fed(pieces: &[&[u8]]) -> Vec<String> {
        let mut characters = Characters::default();
        let mut texts: Vec<String> = pieces.iter().map(|it| characters.feed(it)).collect();
        texts.push(characters.finish());
        texts
    }

    #[test]
    fn a_text_is_cut_between_characters_wherever_its_bytes_are_cut() {
        let text = "aä€𝄞z";
        for end in 0..=text.len() {
            let (left, right) = text.as_bytes().split_at(end);
            let texts = fed(&[left, right]);
            assert_eq!(texts.concat(), text, "{end}");
            assert!(!texts.iter().any(|it| it.contains('\u{fffd}')), "{end}: {texts:?}");
        }
    }

    #[test]
    fn what_is_no_text_is_replaced_and_not_kept_back() {
        assert_eq!(fed(&[b"a\xffb"]), ["a\u{fffd}b", ""]);
        assert_eq!(fed(&[b"a\xe2\x82"]), ["a", "\u{fffd}"]);
        assert_eq!(fed(&[b"\xe2\x82", b"A"]), ["", "\u{fffd}A", ""]);
        assert_eq!(fed(&[&[0x80; 4]]), ["\u{fffd}".repeat(4), String::new()]);
    }
}
