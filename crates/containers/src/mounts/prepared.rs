//! What the engine is told to mount, and what is cleaned up after it.
//!
//! Podman takes a source with a comma for one with options, such as another source. So no name that
//! anybody else chose is told to an engine: what is not plain is told by a link of our own to it.

use std::io::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::folder::{self, Found};
use super::{Mount, content};
use crate::engine::Engine;
use crate::error::{Error, Result};

/// The label that names the folder of a container's own texts and links.
pub(crate) const SCRATCH: &str = "meshagent.containers.scratch";

/// The label that names the images whose content a container has.
pub(crate) const CONTENTS: &str = "meshagent.containers.contents";

/// What stands between their names.
pub(super) const BETWEEN: char = ' ';

/// Where the folders of texts and links are, in the folder of what is given to containers.
pub(super) const TEXTS: &str = "texts";

/// Mounts that are ready. What was made for them is removed with this, unless it is kept.
#[derive(Default)]
pub(crate) struct Prepared {
    /// As the engine is told.
    pub mounts: Vec<Value>,
    /// The folder of this container's texts and links.
    texts: Option<PathBuf>,
    /// The images whose content it has, as their folders are called.
    contents: Vec<String>,
    /// What is to be found where, once the container has it.
    folders: Vec<(String, Found)>,
}

impl Drop for Prepared {
    fn drop(&mut self) {
        if let Some(texts) = &self.texts {
            // What is left takes a little space until the folder is emptied.
            let _ = std::fs::remove_dir_all(texts);
        }
    }
}

impl Prepared {
    /// Looks for what is to be mounted, and makes what is not there yet.
    pub async fn new(engine: &Engine, mounts: &[Mount], empty: u64) -> Result<Self> {
        let mut prepared = Self::default();
        for mount in mounts {
            let (source, target, read_only) = match mount {
                Mount::Folder { trusted, below, target, read_only } => {
                    let found = folder::find(trusted, below)?;
                    let source = found.path.clone();
                    prepared.folders.push((target.clone(), found));
                    (prepared.plain(engine.scratch(), source)?, target, *read_only)
                }
                Mount::Text { text, target, read_only } => {
                    let written = prepared.write(engine.scratch(), text, *read_only);
                    let source = written.map_err(|error| {
                        Error::system(format!("write the text at {target}"), error)
                    })?;
                    (source, target, *read_only)
                }
                Mount::Image { image, below, target } => {
                    let content = content::of(engine, image).await?;
                    let found = folder::find(&content, below)?;
                    let name = content.file_name().unwrap_or_default().to_string_lossy();
                    prepared.contents.push(name.into_owned());
                    (prepared.plain(engine.scratch(), found.path)?, target, true)
                }
                Mount::Empty { target, size } => {
                    prepared.mounts.push(in_memory(target, size.unwrap_or(empty)));
                    continue;
                }
            };
            let source = source.to_str().ok_or_else(|| {
                Error::Invalid(format!("cannot mount {}: its name is no text", source.display()))
            })?;
            prepared.mounts.push(json!({
                "Type": "bind",
                "Source": source,
                "Target": target,
                "ReadOnly": read_only,
                // What is mounted below it later stays out, and nothing comes back.
                "BindOptions": { "Propagation": "rprivate" },
            }));
        }
        Ok(prepared)
    }

    /// The folder of this container alone, and what the next thing in it is called.
    fn own(&mut self, scratch: &Path) -> std::io::Result<PathBuf> {
        let folder = match &self.texts {
            Some(folder) => folder.clone(),
            None => {
                let above = scratch.join(TEXTS);
                std::fs::create_dir_all(&above)?;
                let mut made = tempfile::Builder::new();
                let folder = made.prefix("c").rand_bytes(16).tempdir_in(&above)?.keep();
                self.texts.insert(folder).clone()
            }
        };
        Ok(folder.join(self.mounts.len().to_string()))
    }

    /// A path as engines take it for a path: itself, or a link to it.
    fn plain(&mut self, scratch: &Path, path: PathBuf) -> Result<PathBuf> {
        let is_plain = |it: &u8| it.is_ascii_alphanumeric() || b"/-_.".contains(it);
        if path.as_os_str().as_bytes().iter().all(is_plain) {
            return Ok(path);
        }
        let link = self.own(scratch).map(|own| own.with_extension("link"));
        let made = link.and_then(|link| std::os::unix::fs::symlink(&path, &link).map(|()| link));
        made.map_err(|error| Error::system(format!("make a link to {}", path.display()), error))
    }

    /// Writes a text to a file in the folder of this container.
    fn write(&mut self, scratch: &Path, text: &str, read_only: bool) -> std::io::Result<PathBuf> {
        let path = self.own(scratch)?;
        // No program of another user gets to the file except through a container.
        let mode = if read_only { 0o444 } else { 0o666 };
        let mut file =
            std::fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(&path)?;
        file.write_all(text.as_bytes())?;
        // The mask of this process may have taken away what processes in containers need.
        file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(mode))?;
        Ok(path)
    }

    /// The labels that tell what the container has of the folder of what is given to containers.
    pub fn labels(&self) -> Vec<(&'static str, String)> {
        let texts = self.texts.as_ref().and_then(|it| it.file_name()?.to_str());
        let mut labels = Vec::from_iter(texts.map(|it| (SCRATCH, it.to_owned())));
        if !self.contents.is_empty() {
            labels.push((CONTENTS, self.contents.join(&BETWEEN.to_string())));
        }
        labels
    }

    /// Whether folders are mounted that another program could have replaced.
    pub fn has_folders(&self) -> bool {
        !self.folders.is_empty()
    }

    /// Whether a process of the container has the folders that were meant. Where that cannot be
    /// seen from here, whether they still are what they were.
    pub fn compare(&self, process: i32) -> Result<()> {
        let is_seen = crate::host::is_first_of_container(process);
        for (target, found) in &self.folders {
            let seen = if is_seen { folder::seen_by(process, target) } else { Ok(None) };
            let seen = seen.map_err(|error| {
                Error::system(format!("look at what is mounted at {target}"), error)
            })?;
            let identity = match seen {
                Some(identity) => Some(identity),
                None => folder::find(&found.path, "")
                    .ok()
                    .filter(|now| now.path == found.path)
                    .map(|now| now.identity),
            };
            if identity != Some(found.identity) {
                return Err(Error::Swapped { target: target.clone() });
            }
        }
        Ok(())
    }

    /// The container has what it needs, and keeps it.
    pub fn keep(mut self) {
        self.texts = None;
    }
}

/// An empty folder, as the engine is told.
pub(crate) fn in_memory(target: &str, size: u64) -> Value {
    // Anybody may write into it, and only who made a file removes it, as in `/tmp`.
    json!({
        "Type": "tmpfs",
        "Target": target,
        "TmpfsOptions": { "SizeBytes": size, "Mode": 0o1777 },
    })
}

/// Removes the texts of a container that is gone, as its label names them.
pub(crate) fn forget(engine: &Engine, label: &str) {
    // Anybody who speaks with the engine can write labels.
    if label.starts_with('c') && label.bytes().all(|it| it.is_ascii_alphanumeric()) {
        // What is left takes a little space until the folder is emptied.
        let _ = std::fs::remove_dir_all(engine.scratch().join(TEXTS).join(label));
    }
}
