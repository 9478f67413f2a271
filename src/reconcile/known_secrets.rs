//! The output of commands that give secrets, so that no command runs again for an unchanged set.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::manifest::secrets::Printed;

/// What commands printed for the set that was decided on last, in memory only. Clones share it, so
/// a caller that decides repeatedly on a set that may be the same passes one each time.
///
/// Files and variables are read again: that costs little, and they may have changed.
#[derive(Clone, Default)]
pub struct KnownSecrets(Arc<Mutex<OfSet>>);

/// The texts of one set.
#[derive(Default)]
struct OfSet {
    /// The digest of the set.
    digest: String,
    printed: Printed,
}

impl fmt::Debug for KnownSecrets {
    /// Without the texts.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("KnownSecrets")
    }
}

impl KnownSecrets {
    fn now(&self) -> MutexGuard<'_, OfSet> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is known for a set. What was known for another one is forgotten.
    pub(super) fn of(&self, digest: &str) -> Printed {
        let mut now = self.now();
        if now.digest != digest {
            *now = OfSet { digest: digest.to_owned(), ..OfSet::default() };
        }
        now.printed.clone()
    }

    /// Remembers what is known by now, unless another set was decided on meanwhile.
    pub(super) fn learn(&self, digest: &str, printed: Printed) {
        let mut now = self.now();
        if now.digest == digest {
            now.printed.extend(printed);
        }
    }
}
