//! Files of rooms.

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{Failed, odd, query};
use crate::api::request::{Body, Method, Request};
use crate::dialect::inside::{LONGEST_TEXT, content_fields, digest_fields};
use crate::room::client::Room;
use crate::room::content::Refused;
use crate::room::files::{NotMoved, Upload};
use crate::room::storage::{Delete, Found, Stat};

/// Carries out a request about a file; what is in it, if it was read.
pub(super) async fn carry_out(
    room: &Room,
    path: &str,
    request: &Request,
) -> Result<Option<Value>, Failed> {
    match request.method {
        Method::Get => read(room, path).await.map(Some),
        Method::Post => write(room, path, request, false).await,
        Method::Put => write(room, path, request, true).await,
        Method::Delete => {
            there(room, path).await?;
            room.perform(&Delete { path: path.to_owned(), recursive: None }).await?;
            Ok(None)
        }
        other @ (Method::Patch | Method::Ask) => Err(odd(other)),
    }
}

/// Whether there is a file.
pub(super) async fn there(room: &Room, path: &str) -> Result<(), Failed> {
    let Found { exists, entry } = room.perform(&Stat { path: path.to_owned() }).await?;
    if !exists {
        return Err(Failed::missing());
    }
    // A folder is no file of that name.
    match entry.is_some_and(|entry| entry.is_folder) {
        true => Err(Failed::missing()),
        false => Ok(()),
    }
}

/// Removes a folder that is in the way of a file, if there is nothing in it: rooms keep the folders of
/// files that are gone.
async fn make_way(room: &Room, path: &str) -> Result<bool, Failed> {
    let Found { entry, .. } = room.perform(&Stat { path: path.to_owned() }).await?;
    if !entry.is_some_and(|entry| entry.is_folder) || !room.list_files(path).await?.is_empty() {
        return Ok(false);
    }
    room.perform(&Delete { path: path.to_owned(), recursive: Some(true) }).await?;
    Ok(true)
}

/// What is in a file: its text if that is short, otherwise its digest and size.
async fn read(room: &Room, path: &str) -> Result<Value, Failed> {
    there(room, path).await?;
    let mut download = room.begin_download(path).await?;
    let (size, mut digest, mut start) = (download.size, Sha256::new(), Vec::new());
    while let Some(part) = download.next().await? {
        digest.update(&part);
        if size <= LONGEST_TEXT as u64 {
            start.extend(part);
        }
    }
    let fields = match size <= LONGEST_TEXT as u64 {
        true => content_fields(&start),
        false => digest_fields(&digest.finalize(), size),
    };
    let mut fields = fields.reveal();
    fields["type"] = json!(download.mime_type);
    Ok(fields)
}

async fn write(
    room: &Room,
    path: &str,
    request: &Request,
    overwrite: bool,
) -> Result<Option<Value>, Failed> {
    let Body::Bytes(bytes) = &request.body else { return Err(odd(request.method)) };
    let size = Some(bytes.len() as u64);
    let to = Upload { path, name: None, mime_type: query(request, "type"), overwrite, size };
    let mut sent = room.upload_from(&to, &mut bytes.as_slice()).await.map_err(refused);
    if sent.is_err() && room.ended().is_none() && make_way(room, path).await? {
        sent = room.upload_from(&to, &mut bytes.as_slice()).await.map_err(refused);
    }
    match sent {
        Err(failed) if failed.status == Some(409) => Err(Failed::exists()),
        done => done.map(|_| None),
    }
}

fn refused(error: NotMoved) -> Failed {
    Refused::from(error).into()
}
