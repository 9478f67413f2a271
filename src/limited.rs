//! Work on what strangers wrote, such as rendering their templates: on a thread of its own,
//! whose stack is known wherever the program runs, and for a time that has an end.

use std::fmt;
use std::panic::resume_unwind;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

/// The stack of the thread. The system gives of it what is used.
const STACK: usize = 64 * 1024 * 1024;

/// Why nothing came out.
#[derive(Debug)]
pub enum Unfinished {
    /// It takes longer than this. The thread goes on until it meets a limit, or the program
    /// ends.
    Late(Duration),
    /// The system gives no thread.
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

/// Does the work on a thread of its own, and waits for it so long at most.
///
/// # Errors
///
/// The work takes longer; there is no thread for it.
pub fn run<T: Send + 'static>(
    time: Duration,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Unfinished> {
    let (send, receive) = mpsc::sync_channel(1);
    let thread = thread::Builder::new().stack_size(STACK).spawn(move || {
        // Nobody may be waiting any more.
        let _ = send.send(work());
    });
    let thread = thread.map_err(Unfinished::Unstarted)?;
    match receive.recv_timeout(time) {
        Ok(done) => Ok(done),
        Err(RecvTimeoutError::Timeout) => Err(Unfinished::Late(time)),
        Err(RecvTimeoutError::Disconnected) => match thread.join() {
            Err(panic) => resume_unwind(panic),
            Ok(()) => Err(Unfinished::Late(time)),
        },
    }
}

/// Does the work with a large stack, without an end of its own.
pub fn deep<T: Send>(work: impl Fn() -> T + Sync) -> T {
    thread::scope(|scope| {
        let thread = thread::Builder::new().stack_size(STACK).spawn_scoped(scope, &work);
        match thread {
            Ok(thread) => thread.join().unwrap_or_else(|panic| resume_unwind(panic)),
            // Where the system gives no thread there is the stack at hand.
            Err(_) => work(),
        }
    })
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
        assert_eq!(deep(|| far(40_000)), 64);
        let late = run(Duration::from_millis(50), || thread::sleep(LONG)).unwrap_err();
        assert_eq!(late.to_string(), "takes longer than 0.05 s");
    }

    #[test]
    #[should_panic(expected = "of its own")]
    fn a_panic_is_passed_on() {
        let _ = run(LONG, || panic!("of its own"));
    }
}
