//! The content of images, as folders that are kept by what identifies the image.

use std::io::{self, Read};
use std::path::PathBuf;

use bytes::{Buf as _, Bytes};
use serde::Deserialize;
use serde_json::json;
use tokio::sync::mpsc;

use super::unpack::{self, Most};
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::run::Removed;
use crate::wire::{Call, Subject, escaped};

/// How much of an image is unpacked at most.
pub const MOST_CONTENT: u64 = 8 << 30;

/// How many files of an image are unpacked at most.
const MOST_FILES: u64 = 1 << 20;

/// Where the folders are, in the folder of what is given to containers.
pub(super) const IMAGES: &str = "images";

/// How many pieces of an archive wait to be unpacked.
const WAITING: usize = 8;

/// The folder with all files of an image.
pub(super) async fn of(engine: &Engine, image: &str) -> Result<PathBuf> {
    let what = || format!("unpack the image {image}");
    let digest = engine.digest_of(image).await?;
    let name = name(&digest);
    if name.is_empty() || !name.bytes().all(|it| it.is_ascii_hexdigit()) {
        return Err(Error::nonsense(&what(), format!("the image's id is {digest:?}")));
    }
    let above = engine.scratch().join(IMAGES);
    let folder = above.join(name);
    let _alone = engine.unpacking().await;
    if folder.is_dir() {
        return Ok(folder);
    }
    let made = std::fs::create_dir_all(&above)
        .and_then(|()| tempfile::Builder::new().prefix("new-").tempdir_in(&above));
    let new = made.map_err(|error| Error::system(what(), error))?;
    fetch(engine, image, &digest, new.path().join("files")).await?;
    match std::fs::rename(new.path().join("files"), &folder) {
        // Another process has unpacked it meanwhile.
        Err(_) if folder.is_dir() => Ok(folder),
        Ok(()) => Ok(folder),
        Err(error) => Err(Error::system(what(), error)),
    }
}

/// What the folder of an image is called.
pub(super) fn name(digest: &str) -> &str {
    digest.rsplit(':').next().unwrap_or_default()
}

/// Unpacks the files of a container of the image, which never starts.
async fn fetch(engine: &Engine, image: &str, digest: &str, into: PathBuf) -> Result<()> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Created {
        id: String,
    }
    let what = format!("unpack the image {image}");
    let body = json!({
        "Image": digest,
        "Cmd": ["/"],
        "HostConfig": { "NetworkMode": "none" },
        "NetworkDisabled": true,
    });
    let call = Call::post("/containers/create", &what).json(&body);
    let created: Created = engine.wire.json(call.about(Subject::Image(image.to_owned()))).await?;
    let path = format!("/containers/{}/archive", escaped(&created.id));
    let removed = Removed::new(engine, created.id);
    let copied = copy(engine, &path, what, into).await;
    removed.now().await;
    copied
}

/// Unpacks the archive at an address of the engine.
async fn copy(engine: &Engine, path: &str, what: String, into: PathBuf) -> Result<()> {
    let call = Call::get(path, &what).with("path", "/.");
    let mut pieces = engine.wire.stream(call).await?;
    let (sender, receiver) = mpsc::channel(WAITING);
    let unpacking = tokio::task::spawn_blocking(move || {
        std::fs::create_dir(&into)?;
        let most = Most { bytes: MOST_CONTENT, entries: MOST_FILES };
        unpack::unpack(Received { receiver, piece: Bytes::new() }, &into, most)
    });
    let mut failed = None;
    while let Some(piece) = pieces.next().await {
        let piece = match piece {
            Ok(piece) => Ok(piece),
            Err(error) => {
                failed = Some(error);
                Err(io::Error::other("the archive ends too early"))
            }
        };
        if sender.send(piece).await.is_err() || failed.is_some() {
            // It does not fit, which the other side says itself.
            break;
        }
    }
    drop(sender);
    let unpacked = unpacking.await.map_err(|error| Error::system(&what, error))?;
    match (failed, unpacked) {
        (Some(error), _) => Err(error),
        (None, Err(error)) => Err(Error::system(&what, error)),
        (None, Ok(())) => Ok(()),
    }
}

/// Pieces that come from elsewhere, as something to read.
struct Received {
    receiver: mpsc::Receiver<io::Result<Bytes>>,
    piece: Bytes,
}

impl Read for Received {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.piece.is_empty() {
            match self.receiver.blocking_recv() {
                Some(piece) => self.piece = piece?,
                None => return Ok(0),
            }
        }
        let length = buffer.len().min(self.piece.len());
        self.piece.copy_to_slice(&mut buffer[..length]);
        Ok(length)
    }
}
