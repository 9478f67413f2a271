//! What commands printed whose output is a secret: none is run again for a set that is the same.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use secrecy::SecretString;

use crate::kinds::Key;
use crate::kinds::document::{SecretFrom, SecretSource};
use crate::kinds::path::FieldPath;
use crate::kinds::tree::{Sealed, Tree};
use crate::manifest::set::Desired;

/// What commands printed for the set that was decided on last, in memory only. Clones share it,
/// so whoever decides again and again on what may be the same set gives one along each time.
///
/// What stands in files and variables is read anew: that costs little, and it may have changed.
#[derive(Clone, Default)]
pub struct KnownSecrets(Arc<Mutex<Printed>>);

/// The texts for one set.
#[derive(Default)]
struct Printed {
    /// The digest of the set.
    digest: String,
    texts: BTreeMap<Ran, SecretString>,
}

/// A command: the folder that it runs in, and its source as JSON.
type Ran = (PathBuf, String);

/// Where a command's output belongs that is not known yet.
pub(super) struct Unknown {
    key: Key,
    path: FieldPath,
    ran: Ran,
}

impl fmt::Debug for KnownSecrets {
    /// Without what they are.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("KnownSecrets")
    }
}

impl KnownSecrets {
    fn printed(&self) -> MutexGuard<'_, Printed> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts what is known in the place of its source, and returns what is not. What was known of
    /// another set is forgotten.
    pub(super) fn fill(
        &self,
        digest: &str,
        objects: &mut BTreeMap<Key, Desired>,
        selection: Option<&BTreeSet<Key>>,
    ) -> Vec<Unknown> {
        let mut printed = self.printed();
        if printed.digest != digest {
            *printed = Printed { digest: digest.to_owned(), ..Printed::default() };
        }
        let mut unknown = Vec::new();
        let is_meant = |key: &Key| selection.is_none_or(|selection| selection.contains(key));
        for (key, desired) in objects.iter_mut().filter(|(key, _)| is_meant(key)) {
            if !desired.fields.has_sources() {
                continue;
            }
            let folder = &desired.origin.document.source.folder;
            Arc::make_mut(&mut desired.fields).rewrite_leaves(&mut |way, leaf| {
                let Tree::Secret(Sealed::Source(source)) = leaf else { return None };
                let ran = (folder.clone(), command(source)?);
                let Some(text) = printed.texts.get(&ran) else {
                    unknown.push(Unknown { key: key.clone(), path: way.path(), ran });
                    return None;
                };
                Some(Tree::Secret(Sealed::Known(text.clone())))
            });
        }
        unknown
    }

    /// Remembers what was not known and was read meanwhile.
    pub(super) fn learn(
        &self,
        digest: &str,
        objects: &BTreeMap<Key, Desired>,
        unknown: Vec<Unknown>,
    ) {
        let mut printed = self.printed();
        // Another set may have been decided on meanwhile.
        if printed.digest != digest {
            return;
        }
        for Unknown { key, path, ran } in unknown {
            let text = objects.get(&key).and_then(|desired| desired.fields.at(&path));
            if let Some(Tree::Secret(Sealed::Known(text))) = text {
                printed.texts.insert(ran, text.clone());
            }
        }
    }
}

/// The source as JSON where it is a command.
fn command(source: &SecretFrom) -> Option<String> {
    match source.from {
        SecretSource::Command(_) => serde_json::to_string(source).ok(),
        SecretSource::Env(_) | SecretSource::File(_) | SecretSource::Age(_) => None,
    }
}
