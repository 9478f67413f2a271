//! The future inventory entry of an object.

use super::{Planner, renames};
use crate::kinds::document::FormerNames;
use crate::kinds::fingerprint::Fingerprinter;
use crate::kinds::recorded::Recorded;
use crate::kinds::tree::Tree;
use crate::manifest::set::Desired;
use crate::plan::{Entry, Facts};

impl Planner<'_> {
    /// What is remembered of an object that is as it is declared.
    pub(super) fn entry_for(&self, desired: &Desired, id: Option<String>, fields: &Tree) -> Entry {
        let key = &desired.key;
        let known = self.entry(key);
        let salt = known.and_then(|known| known.salt.clone());
        let of_new = || self.inventory(key).map(|inventory| inventory.fingerprints.salt_of(key));
        let salt = salt.or_else(|| of_new().filter(|_| fields.has_secrets()));
        let fingerprinter = match (&salt, self.inventory(key)) {
            // Nobody keeps what is made for a plan that is only shown.
            _ if self.policy.is_only_shown => Fingerprinter::new(""),
            (Some(salt), Some(inventory)) => inventory.fingerprints.under(salt),
            _ => self.fingerprinter(key),
        };
        let recorded = Recorded::of(fields, &fingerprinter);
        // Unchanged entries are held once and shared.
        let known = known.and_then(|entry| entry.applied.as_ref());
        let applied = known.filter(|known| **known == recorded).cloned().unwrap_or(recorded);
        let entry = Facts {
            id,
            applied: Some(applied),
            claimed: None,
            protected: desired.lifecycle.prevent_destroy,
            orphan: desired.is_orphaned(),
            moved_from: FormerNames(
                renames::former_keys(desired).iter().map(|former| former.name.clone()).collect(),
            ),
            was: None,
            ignore: desired.lifecycle.ignore.clone(),
            overwrite: desired.lifecycle.overwrite,
            sources: desired.sources.clone(),
            declared_in: self.declaring_files(desired),
            brought: desired.origin.brought.clone(),
            arrived: false,
            moving_to: None,
            revision: self.entry(key).and_then(|entry| entry.revision.clone()),
            salt,
        };
        // Files are equal wherever they were read, and where they were read last is remembered.
        let is_read_there = |known: &Entry| {
            let mut files = known.declared_in.iter().zip(&entry.declared_in);
            files.all(|(one, other)| one.is_read_as(other))
        };
        match self.entry(key) {
            Some(known) if **known == entry && is_read_there(known) => known.clone(),
            _ => entry.into(),
        }
    }
}
