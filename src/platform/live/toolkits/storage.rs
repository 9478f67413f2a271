//! The files of a room. What a file is replaced by is seen by nobody before it is complete.

use std::sync::Arc;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader, BufWriter};
use tokio::task::spawn_blocking;

use crate::notice;
use crate::platform::live::calls::{Caller, Stream, refused};
use crate::platform::live::files::{FilePath, Files, failed};
use crate::platform::live::room::Room;
use crate::platform::objects::room_files;
use crate::room::codes;
use crate::room::content::{Content, Refused};
use crate::room::mime;
use crate::room::storage::Files as Listed;
use crate::room::storage::{
    Address, Changed, DELETED, Delete, DownloadUrl, Exists, Found, IsThere, List, Stat, UPDATED,
};

/// The largest part of a file that is sent at once, in bytes.
const PART: usize = 64 * 1024;

/// How much of a file is read or written at once, in bytes.
const BUFFER: usize = 256 * 1024;

/// Runs what blocks.
pub async fn blocking<T: Send + 'static>(
    files: &Files,
    work: impl FnOnce(&Files) -> Result<T, Refused> + Send + 'static,
) -> Result<T, Refused> {
    let files = files.clone();
    let done = spawn_blocking(move || work(&files)).await;
    done.map_err(|_| refused(codes::OPERATION_FAILED, "the platform failed"))?
}

/// Whether there is a file or folder.
pub async fn exists(caller: &Caller, asked: Exists) -> Result<IsThere, Refused> {
    let path = FilePath::parse(&asked.path)?;
    let found = blocking(&caller.room.files(), move |files| files.stat(&path)).await?;
    Ok(IsThere { exists: found.is_some() })
}

/// What is known of a file or folder.
pub async fn stat(caller: &Caller, asked: Stat) -> Result<Found, Refused> {
    let path = FilePath::parse(&asked.path)?;
    let entry = blocking(&caller.room.files(), move |files| files.stat(&path)).await?;
    Ok(Found { exists: entry.is_some(), entry })
}

/// What is in a folder.
pub async fn list(caller: &Caller, asked: List) -> Result<Listed, Refused> {
    let path = FilePath::parse(&asked.path)?;
    let entries = blocking(&caller.room.files(), move |files| files.list(&path)).await?;
    let told = serde_json::to_value(entries).map(|entries| match entries {
        Value::Array(files) => files,
        _ => Vec::new(),
    });
    Ok(Listed { files: told.map_err(|error| Refused::new(error.to_string()))? })
}

/// Deletes a file or folder, and tells everybody.
pub async fn delete(caller: &Caller, asked: Delete) -> Result<(), Refused> {
    let path = FilePath::parse(&asked.path)?;
    let recursive = asked.recursive.unwrap_or_default();
    let (room, who) = (Arc::clone(&caller.room), caller.guest.id.clone());
    let work = async move {
        let documents = room.documents();
        let _changing = documents.change_files().await;
        let (gone, done) = blocking(&room.files(), move |files| {
            let mut gone = Vec::new();
            let done = files.delete(&path, recursive, &mut gone);
            Ok((gone, done))
        })
        .await?;
        documents.end(|path| gone.iter().any(|it| it == path), "the document was deleted");
        if let Err(refusal) = room_files::forget(&room.house.store, &room.id, &gone).await {
            notice::tell("the media types of deleted files were not forgotten", &refusal);
        }
        for path in gone {
            tell(&room, DELETED, &path, &who);
        }
        done
    };
    caller.room.to_the_end(work).await
}

/// Tells everybody in a room that a file changed.
pub fn tell(room: &Room, kind: &'static str, path: &str, who: &str) {
    let changed = Changed { path: path.to_owned(), participant_id: who.to_owned() };
    let Ok(header) = serde_json::to_value(changed) else { return };
    room.record(kind, header.clone());
    room.tell_all(kind, header);
}

/// An address from which a file can be downloaded for a while, without a token.
pub async fn download_url(caller: &Caller, asked: DownloadUrl) -> Result<Address, Refused> {
    let path = FilePath::parse(&asked.path)?;
    let of = path.clone();
    blocking(&caller.room.files(), move |files| files.open(&of).map(drop)).await?;
    Ok(Address { url: caller.room.house.downloads.url(&caller.guest.room.1, &caller.room, &path) })
}

/// Takes a file.
pub async fn upload(stream: &mut Stream, start: Value) -> Result<(), Refused> {
    let path = FilePath::parse(start["path"].as_str().unwrap_or_default())?;
    let overwrite = start["overwrite"] == true;
    let size = start["size"].as_u64();
    let mime_type = start["mime_type"].as_str().map(str::to_owned);
    let room = Arc::clone(&stream.caller.room);
    let files = room.files();
    let of = path.clone();
    let draft = blocking(&files, move |files| files.begin(of, overwrite)).await?;
    let file = tokio::fs::File::from_std(draft.file()?);
    let mut file = BufWriter::with_capacity(BUFFER, file);
    let mut count: u64 = 0;
    let pull = || Content::part(json!({"kind": "pull"}), Vec::new());
    stream.send(pull()).await?;
    while let Some(part) = stream.next().await {
        let bytes = match part {
            Content::Binary { headers, bytes } if headers["kind"] == "data" => bytes,
            _ => return Err(Refused::invalid("a part of a file is of the kind \"data\"")),
        };
        count += bytes.len() as u64;
        if size.is_some_and(|size| count > size) {
            return Err(Refused::invalid("the file is longer than its size says"));
        }
        file.write_all(&bytes).await.map_err(|error| failed(&error))?;
        stream.send(pull()).await?;
    }
    if stream.is_given_up() || size.is_some_and(|size| count < size) {
        let text = format!("only {count} bytes of the file came, so it was not stored");
        return Err(Refused::invalid(text));
    }
    file.flush().await.map_err(|error| failed(&error))?;
    let who = stream.caller.guest.id.clone();
    let publish = move |_: &Files| draft.publish(overwrite);
    stream.caller.room.to_the_end(published(room, (path, mime_type), who, publish)).await
}

/// Puts a file in its place, and tells everybody.
async fn published(
    room: Arc<Room>,
    (path, mime_type): (FilePath, Option<String>),
    who: String,
    publish: impl FnOnce(&Files) -> Result<(), Refused> + Send + 'static,
) -> Result<(), Refused> {
    {
        let documents = room.documents();
        let _changing = documents.change_files().await;
        blocking(&room.files(), publish).await?;
        documents.end(|it| it == path.text(), "another file was put in the place of the document");
    }
    // Only now: an upload that fails here leaves the file that was there, and its media type.
    let unusual = mime_type.filter(|given| given != mime::of_name(path.name()));
    let noted = room_files::note(&room.house.store, (&room.id, path.text()), unusual.as_deref());
    if let Err(refusal) = noted.await {
        notice::tell("the media type of a file was not noted", &refusal);
    }
    tell(&room, UPDATED, path.text(), &who);
    Ok(())
}

/// Sends a file, part by part, as the caller asks for them.
pub async fn download(stream: &mut Stream, start: Value) -> Result<(), Refused> {
    let path = FilePath::parse(start["path"].as_str().unwrap_or_default())?;
    let asked = start["chunk_size"].as_u64().and_then(|size| usize::try_from(size).ok());
    let part = asked.filter(|size| *size > 0).unwrap_or(PART).min(PART);
    let room = Arc::clone(&stream.caller.room);
    let of = path.clone();
    let (file, size) = blocking(&room.files(), move |files| files.open(&of)).await?;
    let mime_type = room_files::mime_type(&room.house.store, (&room.id, path.text())).await;
    let mime_type =
        mime_type.map_err(|refusal| refused(codes::OPERATION_FAILED, refusal.to_string()))?;
    let mime_type = mime_type.unwrap_or_else(|| mime::of_name(path.name()).to_owned());
    let told = json!({"kind": "start", "name": path.name(), "mime_type": mime_type, "size": size});
    stream.send(Content::part(told, Vec::new())).await?;
    let file = tokio::fs::File::from_std(file).take(size);
    let mut file = BufReader::with_capacity(BUFFER, file);
    let mut left = size;
    while left > 0 {
        match stream.next().await {
            Some(Content::Binary { headers, .. }) if headers["kind"] == "pull" => {}
            // The caller has enough.
            None => return Ok(()),
            Some(_) => return Err(Refused::invalid("a file is asked for with \"pull\"")),
        }
        let length = usize::try_from(left).unwrap_or(usize::MAX).min(part);
        let mut bytes = vec![0; length];
        file.read_exact(&mut bytes).await.map_err(|error| failed(&error))?;
        left -= length as u64;
        stream.send(Content::part(json!({"kind": "data"}), bytes)).await?;
    }
    Ok(())
}
