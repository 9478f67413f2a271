//! What a process wrote, as an engine sends it: pieces behind headers that tell the channel.

use std::io::{self, ErrorKind};

use bytes::{Buf as _, Bytes};

/// Which of a process's outputs something was written to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Channel {
    /// The standard output. All that a process with a terminal writes is of this one.
    Out,
    /// The standard error.
    Err,
}

/// Takes the headers out of a stream. It keeps nothing but a part of a header.
#[derive(Debug, Default)]
pub(crate) struct Frames {
    header: [u8; 8],
    of_header: usize,
    channel: Option<Channel>,
    left: usize,
}

impl Frames {
    /// The next piece of what is there. It may be a part of what was written at once.
    pub fn next(&mut self, bytes: &mut Bytes) -> io::Result<Option<(Channel, Bytes)>> {
        loop {
            if let Some(channel) = self.channel.filter(|_| self.left > 0) {
                if bytes.is_empty() {
                    return Ok(None);
                }
                let piece = bytes.split_to(self.left.min(bytes.len()));
                self.left -= piece.len();
                return Ok(Some((channel, piece)));
            }
            let taken = (self.header.len() - self.of_header).min(bytes.len());
            bytes.copy_to_slice(&mut self.header[self.of_header..self.of_header + taken]);
            self.of_header += taken;
            if self.of_header < self.header.len() {
                return Ok(None);
            }
            self.of_header = 0;
            let [channel, 0, 0, 0, length @ ..] = self.header else { return Err(odd()) };
            self.channel = match channel {
                // Podman and Docker send input back on the first, which is output as well.
                0 | 1 => Some(Channel::Out),
                2 => Some(Channel::Err),
                _ => return Err(odd()),
            };
            self.left = u32::from_be_bytes(length) as usize;
        }
    }

    /// Whether the stream ends between two pieces.
    pub fn is_between(&self) -> bool {
        self.left == 0 && self.of_header == 0
    }
}

fn odd() -> io::Error {
    io::Error::new(ErrorKind::InvalidData, "the header of a piece of output is none")
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO: &[u8] = b"\x01\0\0\0\0\0\0\x03out\x02\0\0\0\0\0\0\0\x02\0\0\0\0\0\0\x03err";

    fn read(pieces: &[&[u8]]) -> io::Result<(Vec<u8>, Vec<u8>, bool)> {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let mut frames = Frames::default();
        for piece in pieces {
            let mut bytes = Bytes::copy_from_slice(piece);
            while let Some((channel, piece)) = frames.next(&mut bytes)? {
                if channel == Channel::Out { &mut out } else { &mut err }.extend(piece);
            }
        }
        Ok((out, err, frames.is_between()))
    }

    #[test]
    fn channels_are_told_apart_wherever_the_stream_is_cut() {
        for end in 0..=TWO.len() {
            let (left, right) = TWO.split_at(end);
            let read = read(&[left, right]).expect("a stream");
            assert_eq!(read, (b"out".to_vec(), b"err".to_vec(), true), "{end}");
        }
    }

    #[test]
    fn a_stream_that_is_cut_off_or_is_none_is_told() {
        assert!(!read(&[&TWO[..10]]).expect("a stream").2);
        assert!(!read(&[&TWO[..4]]).expect("a stream").2);
        for odd in [&b"\x03\0\0\0\0\0\0\x01a"[..], b"hello world"] {
            assert!(read(&[odd]).is_err(), "{odd:?}");
        }
    }
}
