//! Writing to standard error, so that nothing fails or waits because of it.
//!
//! If nobody reads standard error, it accepts no more after a while, and a write to it waits
//! forever. So a separate thread writes the log; if that thread is behind, log lines are lost and
//! counted, and the count is printed. Messages for people use the same thread if there is one, so
//! that everything stays in order; the program waits for them unless [`never_wait`] says otherwise.

use std::io::{Result, Write};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use crate::conceal;
use crate::visible;

/// How many texts may wait to be written.
const MOST: usize = 1024;

/// How long the end of the program waits until everything is written.
const SETTLING: Duration = Duration::from_secs(1);

/// The thread that writes, from the first log event on. `None` if the system has no more threads.
static WRITER: OnceLock<Option<SyncSender<Text>>> = OnceLock::new();

/// How many texts were lost since the last one that was written.
static LOST: AtomicU64 = AtomicU64::new(0);

static NEVER_WAIT: AtomicBool = AtomicBool::new(false);

/// A text to write, and whom to notify after it was written.
struct Text(String, Option<SyncSender<()>>);

/// Where the log is written: an event is one line, and one that cannot be written is lost.
pub struct Log;

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        post(one_line(&String::from_utf8_lossy(bytes)));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> Result<()> {
        Ok(())
    }
}

fn one_line(text: &str) -> String {
    let event = text.strip_suffix('\n').unwrap_or(text).replace('\n', "\\n");
    format!("{}\n", conceal::within(visible::lines(&event)))
}

/// Reports what should not happen, whatever the log level is.
pub fn panicked(panic: &str) {
    post(one_line(&format!("error: this is a bug in the program: {panic}")));
    // With its main thread the program ends.
    if thread::current().name() == Some("main") {
        settle();
    }
}

/// From here on the program waits for no message: a server continues if nobody reads its messages.
pub fn never_wait() {
    NEVER_WAIT.store(true, Ordering::Relaxed);
    writer();
}

/// Waits until all messages are written, but only for a moment.
pub fn settle() {
    let Some(Some(writer)) = WRITER.get() else { return };
    let (tell, told) = sync_channel(1);
    let end = Instant::now() + SETTLING;
    let mut last = Text(String::new(), Some(tell));
    loop {
        match writer.try_send(last) {
            Ok(()) => break,
            Err(std::sync::mpsc::TrySendError::Full(text)) if Instant::now() < end => last = text,
            Err(_) => return,
        }
        thread::sleep(Duration::from_millis(5));
    }
    let _ = told.recv_timeout(end.saturating_duration_since(Instant::now()));
}

/// Prints a message for people.
pub fn say(text: String) {
    if NEVER_WAIT.load(Ordering::Relaxed) {
        return post(text);
    }
    match WRITER.get() {
        Some(Some(writer)) => {
            let (tell, told) = sync_channel(1);
            // It ends only with the program.
            let _ = writer.send(Text(text, Some(tell)));
            let _ = told.recv();
        }
        _ => put(&text),
    }
}

/// Hands a text to the thread that writes, or loses it.
fn post(text: String) {
    let sent = match writer() {
        Some(writer) => writer.try_send(Text(text, None)).is_ok(),
        None => false,
    };
    if !sent {
        LOST.fetch_add(1, Ordering::Relaxed);
    }
}

fn writer() -> Option<&'static SyncSender<Text>> {
    let start = || {
        let (sender, texts) = sync_channel(MOST);
        let named = thread::Builder::new().name("log".to_owned());
        named.spawn(move || write(&texts)).is_ok().then_some(sender)
    };
    WRITER.get_or_init(start).as_ref()
}

fn write(texts: &Receiver<Text>) {
    for Text(text, tell) in texts {
        let lost = LOST.swap(0, Ordering::Relaxed);
        if lost > 0 {
            put(&format!("{lost} lines are missing here: standard error accepted no more\n"));
        }
        put(&text);
        if let Some(tell) = tell {
            let _ = tell.try_send(());
        }
    }
}

fn put(text: &str) {
    // Where nobody can be told, nothing is left to do about it.
    let _ = anstream::stderr().lock().write_all(text.as_bytes());
}
