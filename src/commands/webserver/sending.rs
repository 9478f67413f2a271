//! Files on their way into the room, several at a time.

use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::{StreamExt, TryStreamExt, stream};

use super::upload::{Content, Upload};
use crate::commands::room::storage;
use crate::error::{Context, Result};
use crate::output;
use crate::reconcile::report::FileDocument;
use crate::room::client::Room;

/// How many files are on their way at a time.
const AT_A_TIME: usize = 8;

/// Files for a folder of a room, with what became of them.
pub struct Sending<'a> {
    folder: &'a str,
    files: Vec<(&'a Upload, AtomicBool)>,
}

impl<'a> Sending<'a> {
    /// Files of which none was sent yet.
    pub fn new(folder: &'a str, uploads: &'a [Upload]) -> Self {
        let files = uploads.iter().map(|upload| (upload, AtomicBool::new(false)));
        Self { folder, files: files.collect() }
    }

    /// The path of a file in the room.
    pub fn path(&self, upload: &Upload) -> String {
        format!("{}/{}", self.folder, upload.name)
    }

    /// What becomes of a file, in a line.
    pub fn line(&self, upload: &Upload) -> String {
        format!("{} -> {}", upload.name, self.path(upload))
    }

    /// How many files were sent.
    pub fn count(&self) -> usize {
        self.files.iter().filter(|(_, is_sent)| is_sent.load(Ordering::Relaxed)).count()
    }

    /// The same for programs.
    pub fn documents(&self) -> Vec<FileDocument> {
        let document = |(upload, is_sent): &(&Upload, AtomicBool)| FileDocument {
            path: self.path(upload),
            uploaded: is_sent.load(Ordering::Relaxed),
        };
        self.files.iter().map(document).collect()
    }

    /// Sends all of them, and tells each in their order.
    ///
    /// # Errors
    ///
    /// The first one that cannot be sent.
    pub async fn send(&self, room: &Room) -> Result<()> {
        let sent = self.files.iter().map(async |(upload, is_sent)| {
            self.one(room, upload).await?;
            is_sent.store(true, Ordering::Relaxed);
            Ok(*upload)
        });
        let tell = async |upload: &Upload| {
            output::note(&self.line(upload));
            Ok(())
        };
        stream::iter(sent).buffered(AT_A_TIME).try_for_each(tell).await
    }

    async fn one(&self, room: &Room, upload: &Upload) -> Result<()> {
        let to = self.path(upload);
        match &upload.content {
            Content::Of(local) => {
                let file = local.open().context(|| format!("failed to read {}", upload.name))?;
                storage::upload_opened(room, file, &upload.name, &to).await
            }
            Content::Text(text) => storage::upload_text(room, text, &to).await,
        }
    }
}
