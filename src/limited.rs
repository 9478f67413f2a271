//! Work on what strangers wrote, such as rendering their templates: on a thread of its own, with a
//! known stack size on every system, and for a limited time.

use std::fmt;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

/// The stack of the thread. The system allocates only what is used.
const STACK: usize = 64 * 1024 * 1024;

/// How many threads still run although nobody waits for them any more.
static GIVEN_UP: AtomicUsize = AtomicUsize::new(0);

/// How many pieces of work were given up and still run.
#[must_use]
pub fn given_up() -> usize {
    GIVEN_UP.load(Ordering::SeqCst)
}

/// Where a thread and who waits for it stand.
const WAITED_FOR: u8 = 0;
const DONE: u8 = 1;
const LATE: u8 = 2;

/// Why there is no result.
#[derive(Debug)]
pub enum Unfinished {
    /// It takes longer than this. The thread goes on until it meets a limit, or the program
    /// ends.
    Late(Duration),
    /// The system could not start a thread.
    Unstarted(std::io::Error),
}

impl fmt::Display for Unfinished {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Late(time) => write!(out, "takes longer than {} s", time.as_secs_f32()),
            Self::Unstarted(error) => write!(out, "cannot be started: {error}"),
        }
    }
}

/// Does the work on a thread of its own, and waits for it at most this long.
///
/// # Errors
///
/// The work takes longer; there is no thread for it.
pub fn run<T: Send + 'static>(
    time: Duration,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Unfinished> {
    let (send, receive) = mpsc::sync_channel(1);
    let stage = Arc::new(AtomicU8::new(WAITED_FOR));
    let ending = Ending(Arc::clone(&stage));
    let thread = thread::Builder::new().stack_size(STACK).spawn(move || {
        let _ending = ending;
        // Nobody may be waiting any more.
        let _ = send.send(work());
    });
    let thread = thread.map_err(Unfinished::Unstarted)?;
    match receive.recv_timeout(time) {
        Ok(done) => Ok(done),
        Err(RecvTimeoutError::Timeout) => {
            GIVEN_UP.fetch_add(1, Ordering::SeqCst);
            if stage.swap(LATE, Ordering::SeqCst) == DONE {
                GIVEN_UP.fetch_sub(1, Ordering::SeqCst);
            }
            Err(Unfinished::Late(time))
        }
        Err(RecvTimeoutError::Disconnected) => match thread.join() {
            Err(panic) => resume_unwind(panic),
            Ok(()) => Err(Unfinished::Late(time)),
        },
    }
}

/// Notes when a thread ends, also by a panic.
struct Ending(Arc<AtomicU8>);

impl Drop for Ending {
    fn drop(&mut self) {
        if self.0.swap(DONE, Ordering::SeqCst) == LATE {
            GIVEN_UP.fetch_sub(1, Ordering::SeqCst);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn the_work_has_a_large_stack_and_an_end() {
        fn far(levels: usize) -> usize {
            let here = std::hint::black_box([levels; 64]);
            if levels == 0 { here.len() } else { far(levels - 1) + here[0] - levels }
        }
        // More than the stack of a program, or of a test.
        assert_eq!(run(LONG, || far(40_000)).unwrap(), 64);
        let (end, ended) = mpsc::channel::<()>();
        let late = run(Duration::from_millis(50), move || ended.recv()).unwrap_err();
        assert_eq!(late.to_string(), "takes longer than 0.05 s");
        assert_eq!(given_up(), 1);
        drop(end);
        let since = std::time::Instant::now();
        while given_up() > 0 {
            assert!(since.elapsed() < LONG);
            thread::sleep(Duration::from_millis(5));
        }
    }

    #[test]
    #[should_panic(expected = "of its own")]
    fn a_panic_is_passed_on() {
        let _ = run(LONG, || panic!("of its own"));
    }
}
