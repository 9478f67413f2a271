//! What containers of services write, as lines of the log of their room.
//!
//! A line has a length at most, and a container a number of lines at most: more are left out, and
//! counted. Nothing is kept but the line that has begun.

use std::time::Duration;

use meshagent_containers::{Channel, Engine, Error, Logs};
use tokio::time::{Instant, sleep};

use super::journal::Journal;

/// How long a line may be, in bytes. The rest of a longer one is left out.
const LONGEST: usize = 8 * 1024;

/// How many lines are logged each second, and how many at once after a silence.
const EACH_SECOND: u32 = 100;
const AT_ONCE: u32 = 1000;

/// How often it is told that lines were left out.
const OFTEN: Duration = Duration::from_secs(1);

/// How long a container that writes too much is not read.
const BREATH: Duration = Duration::from_millis(20);

/// How long to wait before an engine that is gone is asked again.
const PAUSE: Duration = Duration::from_secs(1);

/// Logs what a container writes, until it ends. An engine that is gone is asked again, and what was
/// written meanwhile is not logged.
pub async fn follow(engine: Engine, journal: Journal, container: String) {
    let mut logs = engine.logs(&container, true).await;
    loop {
        match logs {
            Ok(open) => match told(open, &journal, &container).await {
                Ok(()) => return,
                Err(error) if !error.may_pass() => return,
                Err(_) => {}
            },
            Err(error) if !error.may_pass() => return,
            Err(_) => {}
        }
        sleep(PAUSE).await;
        logs = engine.news(&container).await;
    }
}

async fn told(mut logs: Logs, journal: &Journal, container: &str) -> Result<(), Error> {
    let (mut out, mut err) = (Lines::default(), Lines::default());
    let mut measure = Measure::new(Instant::now());
    while let Some(piece) = logs.next().await {
        let (channel, bytes) = piece?;
        let (lines, name) = match channel {
            Channel::Out => (&mut out, "stdout"),
            Channel::Err => (&mut err, "stderr"),
        };
        let mut rest: &[u8] = &bytes;
        while let Some(line) = lines.next(&mut rest) {
            match measure.take(Instant::now()) {
                Some(0) => {}
                Some(missed) => journal.log("WARN", &left_out(missed)),
                None => continue,
            }
            journal.line((container, name), &line).await;
        }
        if measure.missed > 0 {
            sleep(BREATH).await;
        }
    }
    for (lines, name) in [(out, "stdout"), (err, "stderr")] {
        if let Some(line) = lines.last() {
            journal.line((container, name), &line).await;
        }
    }
    if measure.missed > 0 {
        journal.log("WARN", &left_out(measure.missed));
    }
    Ok(())
}

fn left_out(missed: u64) -> String {
    format!("{missed} lines were left out: more were written than are logged")
}

/// Bytes as lines.
#[derive(Debug, Default)]
struct Lines {
    begun: Vec<u8>,
    /// Whether the rest of a line is being left out that was too long.
    is_cut: bool,
}

impl Lines {
    /// The next line, which is taken from the bytes; what is no whole line is kept for the next
    /// bytes.
    fn next(&mut self, bytes: &mut &[u8]) -> Option<String> {
        loop {
            let end = bytes.iter().position(|&it| it == b'\n');
            let part = &bytes[..end.unwrap_or(bytes.len())];
            *bytes = &bytes[end.map_or(bytes.len(), |end| end + 1)..];
            if self.is_cut {
                end?;
                self.is_cut = false;
                continue;
            }
            let room = LONGEST - self.begun.len();
            self.begun.extend_from_slice(&part[..part.len().min(room)]);
            let is_too_long = part.len() > room;
            if is_too_long {
                self.is_cut = end.is_none();
            } else {
                end?;
            }
            let mark = if is_too_long { "…" } else { "" };
            return Some(text(&std::mem::take(&mut self.begun)) + mark);
        }
    }

    /// What is left at the end.
    fn last(self) -> Option<String> {
        (!self.begun.is_empty()).then(|| text(&self.begun))
    }
}

/// Bytes as text. A line may end as on a terminal.
fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes.strip_suffix(b"\r").unwrap_or(bytes)).into_owned()
}

/// How many lines may be logged.
#[derive(Debug)]
struct Measure {
    /// Parts of a line, so many as [`EACH_SECOND`] lines have milliseconds.
    left: u64,
    at: Instant,
    /// How many lines were left out since that was told.
    missed: u64,
    told: Instant,
}

/// What one line takes.
const LINE: u64 = 1000;

impl Measure {
    fn new(now: Instant) -> Self {
        Self { left: u64::from(AT_ONCE) * LINE, at: now, missed: 0, told: now }
    }

    /// Takes a line, if it may be logged; tells now and then how many were left out before it.
    fn take(&mut self, now: Instant) -> Option<u64> {
        let passed = u64::try_from((now - self.at).as_millis()).unwrap_or(u64::MAX);
        if passed > 0 {
            let earned = passed.saturating_mul(u64::from(EACH_SECOND));
            self.left = self.left.saturating_add(earned).min(u64::from(AT_ONCE) * LINE);
            self.at = now;
        }
        match self.left.checked_sub(LINE) {
            Some(left) => {
                self.left = left;
                if now - self.told < OFTEN {
                    return Some(0);
                }
                self.told = now;
                Some(std::mem::take(&mut self.missed))
            }
            None => {
                self.missed += 1;
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pieces: &[&[u8]]) -> Vec<String> {
        let mut lines = Lines::default();
        let mut read = Vec::new();
        for mut piece in pieces.iter().copied() {
            while let Some(line) = lines.next(&mut piece) {
                read.push(line);
            }
            assert!(lines.begun.len() <= LONGEST);
        }
        read.extend(lines.last());
        read
    }

    #[test]
    fn lines_are_the_same_wherever_their_bytes_are_cut() {
        let whole = "a\n\nbä\r\nc".as_bytes();
        for end in 0..=whole.len() {
            let (left, right) = whole.split_at(end);
            assert_eq!(read(&[left, right]), ["a", "", "bä", "c"], "{end}");
        }
        assert_eq!(read(&[b"a\xff\n"]), ["a\u{fffd}"]);
    }

    #[test]
    fn a_line_that_is_too_long_is_cut_and_the_next_one_is_whole() {
        let long = vec![b'x'; LONGEST * 3];
        let cut = "x".repeat(LONGEST) + "…";
        assert_eq!(read(&[&long, &long, b"\nnext\n"]), [cut.clone(), "next".to_owned()]);
        let mut one = long.clone();
        one.extend(b"\nnext");
        assert_eq!(read(&[&one]), [cut, "next".to_owned()]);
        let full = "y".repeat(LONGEST);
        assert_eq!(read(&[full.as_bytes(), b"\nnext\n"]), [full.as_str(), "next"]);
    }

    #[test]
    fn who_writes_much_is_heard_now_and_then_and_what_is_left_out_is_counted() {
        let start = Instant::now();
        let mut measure = Measure::new(start);
        let all: u32 = 5000;
        let logged = (0..all).filter(|_| measure.take(start).is_some()).count();
        assert_eq!(logged, AT_ONCE as usize);
        let soon = start + Duration::from_millis(10);
        assert_eq!((measure.take(soon), measure.take(soon)), (Some(0), None));
        let later = start + OFTEN;
        assert_eq!(measure.take(later), Some(u64::from(all - AT_ONCE + 1)));
        let much_later = later + Duration::from_secs(3600);
        assert_eq!(measure.take(much_later), Some(0));
        let rest = (0..all).filter(|_| measure.take(much_later).is_some()).count();
        assert_eq!(rest, AT_ONCE as usize - 1);
    }
}
