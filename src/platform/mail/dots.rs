//! *Pure*: a mail as it is sent after DATA (RFC 5321, section 4.5.2): lines that end with CR LF, with
//! a dot before those that begin with one, up to a line with nothing but a dot.
//!
//! CR and LF stand only together. Servers that see the end of a mail in different places can be made
//! to take a part of it for commands, so a mail with a lone one has no end here: the connection does.

/// Where the next byte stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    /// At the beginning of a line.
    Start,
    /// After a dot at the beginning of a line.
    Dot,
    /// After that dot and a CR.
    DotReturn,
    /// Within a line.
    Within,
    /// After a CR within a line.
    Return,
}

/// What was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Read {
    /// All of it, and the mail goes on.
    On,
    /// The end of the mail, after so many bytes.
    End(usize),
    /// A CR or LF that stands alone.
    Lone,
}

/// Reads a mail piece by piece.
#[derive(Debug)]
pub struct Dots(At);

impl Dots {
    /// At the beginning of a mail.
    pub const fn new() -> Self {
        Self(At::Start)
    }

    /// Reads a piece, and adds what it means to the mail.
    pub fn read(&mut self, piece: &[u8], mail: &mut Vec<u8>) -> Read {
        for (at, byte) in piece.iter().enumerate() {
            self.0 = match (self.0, byte) {
                (At::Start, b'.') => At::Dot,
                (At::Dot, b'\r') => At::DotReturn,
                (At::DotReturn, b'\n') => return Read::End(at + 1),
                (At::Return, b'\n') => {
                    mail.extend(b"\r\n");
                    At::Start
                }
                (At::DotReturn | At::Return, _) | (_, b'\n') => return Read::Lone,
                (_, b'\r') => At::Return,
                (_, byte) => {
                    mail.push(*byte);
                    At::Within
                }
            };
        }
        Read::On
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What pieces mean, and what is left after the end.
    fn read<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> (Read, Vec<u8>) {
        let (mut dots, mut mail) = (Dots::new(), Vec::new());
        for piece in pieces {
            match dots.read(piece, &mut mail) {
                Read::On => {}
                other => return (other, mail),
            }
        }
        (Read::On, mail)
    }

    #[test]
    fn a_mail_ends_with_a_dot_in_its_own_line_and_nowhere_else() {
        let table: [(&[u8], Read, &[u8]); 14] = [
            (b".\r\n", Read::End(3), b""),
            (b"a\r\n.\r\nQUIT\r\n", Read::End(6), b"a\r\n"),
            (b"..\r\n.\r\n", Read::End(7), b".\r\n"),
            (b"..a\r\n...\r\n.\r\n", Read::End(13), b".a\r\n..\r\n"),
            (b".a\r\n.\r\n", Read::End(7), b"a\r\n"),
            (b"a.\r\n.\r\n", Read::End(7), b"a.\r\n"),
            (b"a\r\n", Read::On, b"a\r\n"),
            // What other servers may take for the end.
            (b"a\n.\r\nMAIL FROM:<b@c.d>\r\n", Read::Lone, b"a"),
            (b"a\r.\r\n", Read::Lone, b"a"),
            (b"a\r\n.\nRSET\r\n", Read::Lone, b"a\r\n"),
            (b"a\r\n.\rRSET\r\n", Read::Lone, b"a\r\n"),
            (b"a\r\n.\r\r\nRSET\r\n", Read::Lone, b"a\r\n"),
            (b"a\r\r\n", Read::Lone, b"a"),
            (b"\n", Read::Lone, b""),
        ];
        for (sent, read_as, mail) in table {
            let told = String::from_utf8_lossy(sent).into_owned();
            assert_eq!(read([sent]), (read_as, mail.to_vec()), "{told:?}");
        }
    }

    proptest! {
        #[test]
        fn it_does_not_matter_where_pieces_end(
            bytes in proptest::collection::vec(prop_oneof![Just(b'\r'), Just(b'\n'), Just(b'.'), Just(b'a')], 0..40),
            cut in 0usize..40,
        ) {
            let cut = cut.min(bytes.len());
            let (whole, mail) = read([bytes.as_slice()]);
            let (cut_up, same) = read([&bytes[..cut], &bytes[cut..]]);
            prop_assert_eq!(mail, same);
            let is_alike = std::mem::discriminant(&whole) == std::mem::discriminant(&cut_up);
            prop_assert!(is_alike, "{:?} {:?}", whole, cut_up);
        }

        #[test]
        fn what_a_client_stuffs_comes_out_as_it_was(lines in proptest::collection::vec("[.a-c]{0,5}", 0..8)) {
            let mail: String = lines.iter().map(|line| format!("{line}\r\n")).collect();
            let stuffed = lines.iter().map(|line| match line.starts_with('.') {
                true => format!(".{line}\r\n"),
                false => format!("{line}\r\n"),
            });
            let sent = stuffed.collect::<String>() + ".\r\n";
            prop_assert_eq!(read([sent.as_bytes()]), (Read::End(sent.len()), mail.into_bytes()));
        }
    }
}
