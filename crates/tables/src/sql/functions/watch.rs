//! When functions stop, and how much they keep.
//!
//! SQLite looks at its time between steps, and a call of a function is one step. So whatever takes
//! long in a call looks at the time by itself. Who computes on a thread says there when its time is
//! over.

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The most bytes that functions of one connection keep from call to call: numbers of which the
/// median is found, lists that grow, and patterns that are ready.
const MOST: usize = 64 << 20;

type Over = Box<dyn Fn() -> bool>;

thread_local! {
    static OVER: RefCell<Option<Over>> = const { RefCell::new(None) };
}

/// Forgets whose time it is, also if the work panics.
struct Watched(Option<Over>);

impl Drop for Watched {
    fn drop(&mut self) {
        OVER.with_borrow_mut(|now| *now = self.0.take());
    }
}

/// Does something, while functions on this thread stop as soon as the time is over.
pub(in crate::sql) fn watched<T>(over: impl Fn() -> bool + 'static, work: impl FnOnce() -> T) -> T {
    let before = OVER.with_borrow_mut(|now| now.replace(Box::new(over)));
    let _watched = Watched(before);
    work()
}

/// Whether the time of what this thread computes is over.
pub(super) fn is_over() -> bool {
    OVER.with_borrow(|over| over.as_ref().is_some_and(|over| over()))
}

/// An error if the time is over. What it says is not told: the statement is interrupted.
pub(super) fn go_on() -> Result<(), String> {
    if is_over() { Err("there is no time left".to_owned()) } else { Ok(()) }
}

/// What the functions of a connection keep, together.
#[derive(Debug, Clone, Default)]
pub(in crate::sql) struct Meter(Arc<AtomicUsize>);

impl Meter {
    /// Nothing yet.
    pub fn hold(&self) -> Held {
        Held { meter: self.clone(), bytes: 0 }
    }
}

/// A part of it. It is given back when this is dropped.
pub(in crate::sql) struct Held {
    meter: Meter,
    bytes: usize,
}

impl Held {
    /// Takes more.
    pub fn grow(&mut self, bytes: usize) -> Result<(), String> {
        self.bytes += bytes;
        if self.meter.0.fetch_add(bytes, Ordering::Relaxed) + bytes > MOST {
            return Err(format!(
                "the medians, lists and patterns of the statement take more than {} MiB; ask for less at once",
                MOST >> 20
            ));
        }
        Ok(())
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.meter.0.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}
