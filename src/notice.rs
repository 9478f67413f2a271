//! A warning that repeats is logged once, and then counted.
//!
//! A platform that is attacked, or that has no disk left, fails the same way a thousand times a
//! second. A log of that would hide everything else, and fill the disk for good.

use std::collections::HashMap;
use std::fmt::Display;
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long the same warning is not repeated.
const QUIET: Duration = Duration::from_secs(60);

/// How many different things are remembered.
const MOST: usize = 256;

static TOLD: LazyLock<Mutex<Told>> = LazyLock::new(Mutex::default);

/// Logs a warning, unless the same was logged within the last minute. What was left out is
/// counted in the next one.
pub fn tell(what: &str, why: impl Display) {
    let text = format!("{what}: {why}");
    let told = TOLD.lock().unwrap_or_else(PoisonError::into_inner).tell(&text, Instant::now());
    match told {
        Some(0) => tracing::warn!("{text}"),
        Some(more) => tracing::warn!("{text} ({more} more times since this was last reported)"),
        None => {}
    }
}

/// What was logged, when, and how often it was left out since then.
#[derive(Debug, Default)]
struct Told(HashMap<String, (Instant, u64)>);

impl Told {
    /// How often the same was left out before, if it is to be logged now.
    fn tell(&mut self, text: &str, now: Instant) -> Option<u64> {
        if let Some((last, more)) = self.0.get_mut(text) {
            if now.duration_since(*last) < QUIET {
                *more += 1;
                return None;
            }
            *last = now;
            return Some(std::mem::take(more));
        }
        if self.0.len() >= MOST {
            self.0.retain(|_, (last, _)| now.duration_since(*last) < QUIET);
        }
        // If there is still no room, it is not logged: so many warnings are an attack.
        if self.0.len() >= MOST {
            return None;
        }
        self.0.insert(text.to_owned(), (now, 0));
        Some(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_is_told_once_a_minute_with_its_count() {
        let (mut told, start) = (Told::default(), Instant::now());
        assert_eq!(told.tell("full", start), Some(0));
        for second in 1..60 {
            assert_eq!(told.tell("full", start + Duration::from_secs(second)), None);
        }
        assert_eq!(told.tell("slow", start + Duration::from_secs(30)), Some(0));
        assert_eq!(told.tell("full", start + QUIET), Some(59));
        assert_eq!(told.tell("full", start + QUIET * 2), Some(0));
    }

    #[test]
    fn no_more_is_remembered_than_there_is_room_for() {
        let (mut told, start) = (Told::default(), Instant::now());
        let told_of = (0..10_000).filter(|n| told.tell(&n.to_string(), start).is_some()).count();
        assert_eq!((told_of, told.0.len()), (MOST, MOST));
        assert_eq!(told.tell("new", start + QUIET), Some(0));
        assert_eq!(told.0.len(), 1);
    }
}
