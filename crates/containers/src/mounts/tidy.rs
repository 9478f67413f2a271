//! What a process left behind that ended in the middle.

use std::collections::BTreeSet;
use std::path::Path;

use super::prepared::{CONTENTS, SCRATCH, TEXTS};
use super::{content, prepared};
use crate::engine::Engine;
use crate::error::Result;

impl Engine {
    /// Removes texts of containers that are gone, and the content of images that are gone and that
    /// no container has. It is called before anything is run: what another call is making looks
    /// like something that was left.
    pub async fn tidy(&self) -> Result<()> {
        let mut texts = BTreeSet::new();
        let mut contents = BTreeSet::new();
        for container in self.list(&[].into(), true).await? {
            texts.extend(container.labels.get(SCRATCH).cloned());
            let digests = container.labels.get(CONTENTS).map(String::as_str).unwrap_or_default();
            contents.extend(digests.split(prepared::BETWEEN).map(str::to_owned));
        }
        for image in self.images().await? {
            contents.insert(content::name(&image.digest).to_owned());
        }
        remove_others(&self.scratch().join(TEXTS), &texts);
        remove_others(&self.scratch().join(content::IMAGES), &contents);
        Ok(())
    }
}

/// Removes what is in a folder and has none of these names. What cannot be removed takes a little
/// space, and is tried again the next time.
fn remove_others(folder: &Path, names: &BTreeSet<String>) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        if entry.file_name().to_str().is_none_or(|name| !names.contains(name)) {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}
