//! The two ways of a connection: lines and mails that come, answers that go, with a bound for
//! everything.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::TlsAcceptor;

use super::dots::{Dots, Read};
use crate::serving::patience::Patience;

/// How long a line may be, in bytes: what RFC 4954 gives to a credential, and more than any other
/// command needs.
pub const LINE: usize = 12_288;

/// How much is read at once, in bytes.
const PIECE: usize = 8 * 1024;

/// How long to wait for a command (RFC 5321, section 4.5.3.2.7).
const COMMAND: Duration = Duration::from_secs(300);

/// How long a mail may pause, and how many bytes a second must come on average.
const PAUSE: Duration = Duration::from_secs(30);
const RATE: u32 = 8 * 1024;

/// How long a client may take to read an answer, and to agree on TLS.
const ANSWER: Duration = Duration::from_secs(30);

/// How long what a client still sends is read, so that it sees the last answer.
const FAREWELL: Duration = Duration::from_secs(2);

/// How long a mail waits for memory.
const ROOM: Duration = Duration::from_secs(20);

/// The unit of memory, in bytes.
pub const UNIT: usize = 64 * 1024;

/// What bytes travel over.
trait Duplex: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Duplex for T {}

/// A connection.
pub struct Wire {
    io: Box<dyn Duplex>,
    /// What came and was not read yet.
    buffer: Vec<u8>,
}

/// What came instead of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Line {
    /// A line, without its end.
    Whole,
    /// One that is too long. It was read to its end.
    TooLong,
    /// One with a CR or LF that stands alone.
    Lone,
    /// Nothing came in time.
    Late,
    /// The client is gone.
    End,
}

/// A mail that came, with the memory that it takes.
pub struct Arrived {
    /// The mail, without what dots stood for.
    pub mail: Vec<u8>,
    _room: Vec<OwnedSemaphorePermit>,
}

/// Why a mail did not come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoMail {
    /// It is too large. It was read to its end.
    TooLarge,
    /// There is no memory for it. It was read to its end.
    NoRoom,
    /// It goes on and on.
    Endless,
    /// A CR or LF stands alone in it.
    Lone,
    /// It comes too slowly.
    Slow,
    /// The client is gone.
    End,
}

impl Wire {
    /// A connection on which nothing was read yet.
    pub fn new(io: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) -> Self {
        Self { io: Box::new(io), buffer: Vec::new() }
    }

    /// Reads more. None if nothing comes any more.
    async fn more(&mut self) -> Option<usize> {
        self.buffer.reserve(PIECE);
        let mut piece = (&mut self.io).take(PIECE as u64);
        match piece.read_buf(&mut self.buffer).await {
            Ok(0) | Err(_) => None,
            Ok(bytes) => Some(bytes),
        }
    }

    /// Reads a command, without its end.
    pub async fn line(&mut self, line: &mut Vec<u8>) -> Line {
        self.line_within(COMMAND, line).await
    }

    /// Reads what a client answers to a question, without its end.
    pub async fn answer(&mut self, line: &mut Vec<u8>) -> Line {
        self.line_within(ANSWER, line).await
    }

    async fn line_within(&mut self, time: Duration, line: &mut Vec<u8>) -> Line {
        line.clear();
        let until = Instant::now() + time;
        let (mut seen, mut is_long) = (0, false);
        loop {
            let end = self.buffer.iter().skip(seen).position(|byte| *byte == b'\n');
            if let Some(end) = end.map(|end| end + seen) {
                if end + 1 > LINE {
                    is_long = true;
                }
                let rest = self.buffer.split_off(end + 1);
                *line = std::mem::replace(&mut self.buffer, rest);
                break;
            }
            // What is too long is forgotten as it comes.
            if self.buffer.len() > LINE {
                is_long = true;
                self.buffer.clear();
            }
            seen = self.buffer.len();
            match timeout_at(until, self.more()).await {
                Err(_) => return Line::Late,
                Ok(None) => return Line::End,
                Ok(Some(_)) => {}
            }
        }
        if is_long {
            line.clear();
            return Line::TooLong;
        }
        let is_ended = line.ends_with(b"\r\n");
        line.truncate(line.len().saturating_sub(2));
        match is_ended && !line.contains(&b'\r') {
            true => Line::Whole,
            false => Line::Lone,
        }
    }

    /// Whether a client has sent more than it was asked for.
    pub fn is_ahead(&self) -> bool {
        !self.buffer.is_empty()
    }

    /// Reads a mail of so many bytes at most, in memory that is shared.
    ///
    /// # Errors
    ///
    /// There is none.
    pub async fn mail(&mut self, most: usize, memory: &Arc<Semaphore>) -> Result<Arrived, NoMail> {
        let (mut dots, mut mail, mut room) = (Dots::new(), Vec::new(), Vec::new());
        let (mut patience, mut read, mut failed) = (Patience::new(PAUSE, RATE), 0, None);
        loop {
            if self.buffer.is_empty() {
                let until = patience.waits(Instant::now());
                match timeout_at(until, self.more()).await {
                    Err(_) => return Err(NoMail::Slow),
                    Ok(None) => return Err(NoMail::End),
                    Ok(Some(bytes)) => patience.moved(Instant::now(), bytes),
                }
            }
            let end = match dots.read(&self.buffer, &mut mail) {
                Read::Lone => return Err(NoMail::Lone),
                Read::End(end) => Some(end),
                Read::On => None,
            };
            read += self.buffer.len();
            self.buffer.drain(..end.unwrap_or(self.buffer.len()));
            if mail.len() > most {
                failed = Some(NoMail::TooLarge);
            }
            while failed.is_none() && room.len() * UNIT < mail.len() {
                let one = timeout(ROOM, Arc::clone(memory).acquire_owned()).await;
                match one {
                    Ok(Ok(one)) => room.push(one),
                    _ => failed = Some(NoMail::NoRoom),
                }
            }
            if failed.is_some() {
                (mail, room) = (Vec::new(), Vec::new());
            }
            match (end, failed) {
                (Some(_), None) => return Ok(Arrived { mail, _room: room }),
                (Some(_), Some(failed)) => return Err(failed),
                (None, Some(_)) if read > 4 * most => return Err(NoMail::Endless),
                (None, _) => {}
            }
        }
    }

    /// Sends an answer. Whether that was possible.
    pub async fn tell(&mut self, answer: &str) -> bool {
        let told = async {
            self.io.write_all(answer.as_bytes()).await?;
            self.io.flush().await
        };
        matches!(timeout(ANSWER, told).await, Ok(Ok(())))
    }

    /// The same connection with TLS. What was sent before is forgotten: anybody in between could
    /// have added it. None if the client does not agree.
    pub async fn encrypt(self, tls: &TlsAcceptor) -> Option<Self> {
        let agreed = timeout(ANSWER, tls.accept(self.io)).await;
        agreed.ok()?.ok().map(Self::new)
    }

    /// Ends it, once the client has seen the last answer.
    pub async fn end(mut self) {
        let ended = async {
            self.io.shutdown().await?;
            tokio::io::copy(&mut self.io, &mut tokio::io::sink()).await
        };
        // A client that is gone need not be waited for.
        let _ = timeout(FAREWELL, ended).await;
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{DuplexStream, duplex};

    use super::*;

    fn wire() -> (DuplexStream, Wire) {
        let (own, other) = duplex(1024 * 1024);
        (own, Wire::new(other))
    }

    #[tokio::test(start_paused = true)]
    async fn lines_have_a_length_and_an_end() {
        let (mut client, mut wire) = wire();
        let long = [b'a'; LINE + 1];
        let fits = [b'b'; LINE - 2];
        for part in [b"NOOP\r\n" as &[u8], &long, b"\r\n", &fits, b"\r\nA\nB\rC\r\nEND\r\nrest"] {
            client.write_all(part).await.expect("room");
        }
        let mut line = Vec::new();
        let mut next = async || (wire.line(&mut line).await, line.clone());
        assert_eq!(next().await, (Line::Whole, b"NOOP".to_vec()));
        assert_eq!(next().await, (Line::TooLong, Vec::new()));
        assert_eq!(next().await, (Line::Whole, fits.to_vec()));
        assert_eq!(next().await.0, Line::Lone);
        assert_eq!(next().await.0, Line::Lone);
        assert_eq!(next().await, (Line::Whole, b"END".to_vec()));
        let start = Instant::now();
        assert_eq!(next().await.0, Line::Late);
        assert_eq!(start.elapsed(), COMMAND);
        drop(client);
        assert_eq!(next().await.0, Line::End);
    }

    /// A line without an end takes no more memory the longer it becomes.
    #[tokio::test(start_paused = true)]
    async fn an_endless_line_is_forgotten_as_it_comes() {
        let (mut client, mut wire) = wire();
        let sent = tokio::spawn(async move {
            for _ in 0..1024 {
                client.write_all(&[b'a'; PIECE]).await.expect("room");
            }
            client
        });
        let mut line = Vec::new();
        assert_eq!(wire.line(&mut line).await, Line::Late);
        assert!(wire.buffer.capacity() <= 4 * (LINE + PIECE), "{}", wire.buffer.capacity());
        drop(sent);
    }

    #[tokio::test(start_paused = true)]
    async fn a_mail_has_a_size_a_pace_and_an_end() {
        let memory = Arc::new(Semaphore::new(1));
        let came = Ok::<&[u8], NoMail>;
        let table: [(&[u8], usize, _); 6] = [
            (b"abc\r\n.\r\n", 5, came(b"abc\r\n")),
            (b"abcd\r\n.\r\n", 5, Err(NoMail::TooLarge)),
            (b"abc\r\n.\r\n", 0, Err(NoMail::TooLarge)),
            (b"a\nb\r\n.\r\n", 100, Err(NoMail::Lone)),
            (b"abcdefghijklmnopqrstuvwxyz", 5, Err(NoMail::Endless)),
            (b"abc\r\n", 100, Err(NoMail::Slow)),
        ];
        for (sent, most, expected) in table {
            let (mut client, mut wire) = wire();
            client.write_all(sent).await.expect("room");
            let mail = wire.mail(most, &memory).await.map(|arrived| arrived.mail);
            assert_eq!(mail, expected.map(<[u8]>::to_vec), "{sent:?}");
        }
        // What follows is still there.
        let (mut client, mut wire) = wire();
        client.write_all(b"a\r\n.\r\nQUIT\r\n").await.expect("room");
        assert!(wire.mail(100, &memory).await.is_ok());
        let mut line = Vec::new();
        assert_eq!((wire.line(&mut line).await, line.as_slice()), (Line::Whole, b"QUIT" as &[u8]));
    }

    #[tokio::test(start_paused = true)]
    async fn mails_share_memory() {
        let memory = Arc::new(Semaphore::new(2));
        let mail = [vec![b'a'; UNIT + 1], b"\r\n.\r\n".to_vec()].concat();
        let mut arrived = Vec::new();
        for is_room in [true, false] {
            let (mut client, mut wire) = wire();
            client.write_all(&mail).await.expect("room");
            let came = wire.mail(10 * UNIT, &memory).await;
            assert_eq!(came.as_ref().err(), (!is_room).then_some(&NoMail::NoRoom));
            arrived.push(came);
        }
        drop(arrived);
        assert_eq!(memory.available_permits(), 2);
    }
}
