//! Folders that images are built of. Of what is in them only a digest gets into what a document
//! declares, so a folder may be anywhere that files of the manifests may be; its files may be of any
//! sort.

use std::path::{Path, PathBuf};

use meshagent_containers::Error;
use meshagent_containers::images::{Bounds, DESCRIPTIONS, Source, usual_description};
use serde_json::{Value, json};

use super::{Place, Read, Wrong};
use crate::error;
use crate::kinds::built::DIGEST;

/// How much of one folder is read.
const OF_FOLDER: Bounds = Bounds { bytes: 1 << 30, entries: 100_000 };

/// The most bytes of the folders of all documents of a set, each time that one is read.
const OF_SET: u64 = 4 << 30;

/// An image that is built of a folder.
#[derive(Debug, Clone)]
pub struct Built {
    /// Its name, with its tag.
    pub image: String,
    /// The folder, where it really is.
    pub folder: PathBuf,
    /// The description of the image, seen from the folder.
    pub description: String,
    /// The document that says so.
    pub place: error::Place,
}

impl Built {
    /// What it is built of.
    #[must_use]
    pub fn source(&self) -> Source<'_> {
        Source { folder: &self.folder, description: &self.description }
    }

    /// The same as it is now, in as many bytes as change with what is in the folder; nothing if that
    /// cannot be read.
    #[must_use]
    pub fn stamp(&self) -> Option<u64> {
        self.source().stamp(OF_FOLDER).ok()
    }

    /// Whether the folder holds what the image is called by.
    ///
    /// # Errors
    ///
    /// The folder cannot be read.
    pub fn is_current(&self) -> error::Result<bool> {
        let failed = |cause| error::Error::failed(format!("{}", self.place)).because(cause);
        let contents = self.source().digest(OF_FOLDER).map_err(failed)?;
        let tag = self.image.rsplit(':').next().unwrap_or_default();
        Ok(!tag.is_empty() && contents.digest.starts_with(tag))
    }
}

impl Place<'_> {
    /// Where the folder of an image really is.
    pub(super) fn context(&self, path: &str) -> Result<PathBuf, Wrong> {
        if Path::new(path).is_absolute() || path.trim().is_empty() {
            let hint = "write a path that begins at the manifest, such as ./agent";
            return Err(Wrong(format!("{path:?} is no relative path"), Some(hint.to_owned())));
        }
        let named: PathBuf = self.folder.join(path).components().collect();
        let real = self.reach.resolve(&named);
        let real = real.map_err(|outside| Wrong(outside.message(&named), Some(outside.hint())))?;
        match real.is_dir() {
            true => Ok(real),
            false => {
                let hint = "the path is one from the folder of the manifest";
                Err(Wrong(format!("{path} is no folder"), Some(hint.to_owned())))
            }
        }
    }

    /// Whether the manifest is in a folder.
    pub(super) fn is_in(&self, folder: &Path) -> bool {
        self.real.starts_with(folder)
    }

    /// Reads the digest of a folder, and notes what it is for.
    pub(super) fn digested(
        &self,
        (path, description): (&str, Option<&str>),
        read: &mut Read,
    ) -> Result<(PathBuf, String, Value), Wrong> {
        let real = self.context(path)?;
        let description = match description {
            Some(given) => given.trim_start_matches("./").to_owned(),
            None => usual_description(&real).map(str::to_owned).ok_or_else(|| {
                let [first, second] = DESCRIPTIONS;
                let hint = format!("name another one with `dockerfile: PATH`, seen from {path}");
                Wrong(format!("{path} has no {first} and no {second}"), Some(hint))
            })?,
        };
        let key = (real, description);
        let digest = match read.contexts.get(&key) {
            Some(known) => known.clone(),
            None => {
                let source = Source { folder: &key.0, description: &key.1 };
                let contents = source.digest(OF_FOLDER).map_err(|error| {
                    let is_too_much = matches!(error, Error::TooMuch(_));
                    let hint = "a .dockerignore in the folder leaves files out";
                    Wrong(error.to_string(), is_too_much.then(|| hint.to_owned()))
                })?;
                read.digested += contents.bytes;
                if read.digested > OF_SET {
                    let most = OF_SET >> 30;
                    let told =
                        format!("the folders of all images have more than {most} GiB together");
                    return Err(told.into());
                }
                read.contexts.insert(key.clone(), contents.digest.clone());
                contents.digest
            }
        };
        let (real, description) = key;
        Ok((real, description, json!({ DIGEST: digest })))
    }
}
