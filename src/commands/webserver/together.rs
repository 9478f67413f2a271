//! New files that are written together, or not at all.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use crate::error::{Context, Result};
use crate::whole_file::Draft;

/// What was created. It is removed again when this is dropped, unless it is kept.
#[derive(Default)]
pub struct Together {
    files: Vec<PathBuf>,
    folders: Vec<PathBuf>,
}

impl Together {
    /// Begins a new file, and creates the folders above it. It is not there before
    /// [`Self::end`].
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn begin(&mut self, path: &Path, text: &str) -> std::io::Result<Draft> {
        let above = path.ancestors().skip(1).filter(|folder| !folder.as_os_str().is_empty());
        let missing: Vec<&Path> = above.take_while(|folder| !folder.exists()).collect();
        for folder in missing.into_iter().rev() {
            fs::create_dir(folder)?;
            self.folders.push(folder.to_owned());
        }
        let draft = Draft::with_mode(path, 0o666)?;
        draft.file().write_all(text.as_bytes())?;
        Ok(draft)
    }

    /// Puts a new file in its place.
    ///
    /// # Errors
    ///
    /// [`std::io::ErrorKind::AlreadyExists`] where something is; the system's.
    pub fn end(&mut self, draft: Draft, path: &Path) -> std::io::Result<()> {
        draft.create(path)?;
        self.files.push(path.to_owned());
        Ok(())
    }

    /// Both, with the path as it is told.
    ///
    /// # Errors
    ///
    /// As both.
    pub fn create(&mut self, path: &Path, text: &str, shown: &str) -> Result<()> {
        let draft = self.begin(path, text);
        draft.and_then(|draft| self.end(draft, path)).context(|| format!("failed to write {shown}"))
    }

    /// Keeps all of it.
    pub fn keep(mut self) {
        self.files.clear();
        self.folders.clear();
    }
}

impl Drop for Together {
    /// Nobody else has written into a file that is a moment old, and a folder goes only if it is
    /// empty.
    fn drop(&mut self) {
        self.files.iter().for_each(|path| drop(fs::remove_file(path)));
        self.folders.iter().rev().for_each(|path| drop(fs::remove_dir(path)));
    }
}
