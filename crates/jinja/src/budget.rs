//! How much one rendering may do and produce.

use std::fmt;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Instant;

use crate::error::{Failure, Reason};

/// After how many units the clock is checked.
const UNITS_A_LOOK: i64 = 64 * 1024;

/// How many units one step of the interpreter counts, so that the clock is checked between steps.
const STEP: usize = 16;

/// How much one rendering may still do. Steps are what the template says to do, one after
/// another; units are what a single step can multiply: text and elements.
#[derive(Debug)]
pub struct Budget {
    units: AtomicI64,
    /// When the rendering is given up, because its caller no longer waits.
    until: Instant,
}

/// What is used up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spent {
    /// The units.
    Units,
    /// The time.
    Time,
}

impl fmt::Display for Spent {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Units => "the template produces too much",
            Self::Time => "the template takes too long",
        })
    }
}

impl From<Spent> for Failure {
    fn from(spent: Spent) -> Self {
        Self::new(Reason::Spent, spent.to_string())
    }
}

impl Budget {
    /// So many units, until that instant.
    #[must_use]
    pub fn new(units: i64, until: Instant) -> Self {
        Self { units: AtomicI64::new(units), until }
    }

    /// Takes from the budget before the work is done.
    ///
    /// # Errors
    ///
    /// The units, or the time, are used up.
    pub fn charge(&self, units: usize) -> Result<(), Spent> {
        let units = i64::try_from(units).unwrap_or(i64::MAX / 2);
        let left = self.units.fetch_sub(units, Ordering::Relaxed);
        if left < units {
            // This must not wrap around if a template continues after the error.
            self.units.store(0, Ordering::Relaxed);
            return Err(Spent::Units);
        }
        let is_due = left / UNITS_A_LOOK != (left - units) / UNITS_A_LOOK;
        if is_due && Instant::now() > self.until {
            return Err(Spent::Time);
        }
        Ok(())
    }

    /// Takes one step of the interpreter.
    pub(crate) fn step(&self) -> Result<(), Spent> {
        self.charge(STEP)
    }
}
