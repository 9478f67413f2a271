//! What keeps a reader's panic from being the program's. Files are hostile, and readers of them check
//! some of what they find by asserting it.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};

thread_local! {
    static IS_READING: Cell<bool> = const { Cell::new(false) };
}

/// Whether a panic of this thread becomes an error, so that nobody need be told of it.
#[must_use]
pub fn is_reading() -> bool {
    IS_READING.get()
}

/// Reads something; a panic becomes the error that it is damaged.
///
/// # Errors
///
/// What the work returns, or that it panicked.
pub fn guarded<T>(work: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    let before = IS_READING.replace(true);
    let done = catch_unwind(AssertUnwindSafe(work));
    IS_READING.set(before);
    done.unwrap_or_else(|_| Err("it is damaged".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_an_error() {
        assert!(!is_reading());
        assert_eq!(guarded(|| Ok(is_reading())), Ok(true));
        let asserted: Result<(), String> = guarded(|| panic!("out of bounds"));
        assert_eq!(asserted, Err("it is damaged".to_owned()));
        assert!(!is_reading());
    }
}
