//! The toolkit `storage`, which every room has: its files.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::client::Room;
use super::content::{Content, Refused};
use super::message::MAX_BYTES;
use super::mime;
use super::operation::{At, Operation, done};

/// The largest part of a file that is sent or requested, in bytes.
const PART: usize = 64 * 1024;

/// A file of a room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Its name without folders.
    pub name: String,
    /// Its media type, as the room gives it.
    pub mime_type: String,
    /// What is in it.
    pub bytes: Vec<u8>,
}

/// Whether there is a file or a folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exists {
    /// Its path.
    pub path: String,
}

/// Whether it exists.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IsThere {
    /// Whether it exists.
    pub exists: bool,
}

/// What is in a folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct List {
    /// Its path; empty for the root.
    pub path: String,
}

/// The files and folders in it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Files {
    /// Objects with `name`, `is_folder`, and, if the room gives them, `size` in bytes,
    /// `created_at` and `updated_at`.
    pub files: Vec<Value>,
}

/// What is known of a file or a folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stat {
    /// Its path.
    pub path: String,
}

/// What is known of a file or a folder, if there is one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Found {
    /// Whether there is one.
    pub exists: bool,
    /// What is known of it.
    #[serde(flatten)]
    pub entry: Option<Entry>,
}

/// A file or a folder.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Its name without the folders around it.
    pub name: String,
    /// Whether it is a folder.
    pub is_folder: bool,
    /// How many bytes a file has.
    #[serde(default)]
    pub size: Option<u64>,
    /// When it was created, in ISO 8601.
    #[serde(default)]
    pub created_at: Option<String>,
    /// When it was last changed, in ISO 8601.
    #[serde(default)]
    pub updated_at: Option<String>,
}

/// Deletes a file or a folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delete {
    /// Its path.
    pub path: String,
    /// Whether a folder is deleted with everything in it.
    #[serde(default)]
    pub recursive: Option<bool>,
}

/// Asks for an address from which a file can be downloaded for a while.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DownloadUrl {
    /// Its path.
    pub path: String,
}

/// Where something is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Address {
    /// Its URL.
    pub url: String,
}

/// What happened to a file; it is told to all participants.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changed {
    /// The file's path.
    pub path: String,
    /// Who did it.
    pub participant_id: String,
}

/// The kind of messages that tell of a file that was created or changed.
pub const UPDATED: &str = "storage.file.updated";

/// The kind of messages that tell of a file that was deleted.
pub const DELETED: &str = "storage.file.deleted";

impl Operation for Stat {
    type Answer = Found;
    const AT: At = At::Tool("storage", "stat");
}

impl Operation for DownloadUrl {
    type Answer = Address;
    const AT: At = At::Tool("storage", "download_url");
}

done! { Delete => At::Tool("storage", "delete") }

impl Operation for Exists {
    type Answer = IsThere;
    const AT: At = At::Tool("storage", "exists");
}

impl Operation for List {
    type Answer = Files;
    const AT: At = At::Tool("storage", "list");
}

/// Operations on files. Their errors are those of [`Room::request`], and an answer that does not
/// fit.
impl Room {
    /// Whether there is a file or a folder at a path.
    ///
    /// # Errors
    ///
    /// As all operations.
    pub async fn has_file(&self, path: &str) -> Result<bool, Refused> {
        let asked = Exists { path: path.to_owned() };
        self.perform(&asked).await.map(|answer| answer.exists)
    }

    /// What is in a folder, as [`Files`] has it; the empty path is the root.
    ///
    /// # Errors
    ///
    /// As all operations.
    pub async fn list_files(&self, path: &str) -> Result<Vec<Value>, Refused> {
        let asked = List { path: path.to_owned() };
        self.perform(&asked).await.map(|answer| answer.files)
    }

    /// Stores a file, with the media type that follows from its name.
    ///
    /// # Errors
    ///
    /// As all operations; without `overwrite`, a file that already exists.
    pub async fn upload(&self, path: &str, bytes: &[u8], overwrite: bool) -> Result<(), Refused> {
        let mut call = self.open("storage", "upload").await?;
        let name = path.rsplit('/').next().unwrap_or_default();
        let start = json!({
            "kind": "start",
            "path": path,
            "overwrite": overwrite,
            "name": name,
            "mime_type": mime::of_name(name),
            "size": bytes.len(),
        });
        let done = async {
            call.send(Content::part(start, Vec::new())).await?;
            let mut parts = bytes.chunks(PART);
            // The room asks for each part, and once more to hear that there is none.
            while let Some(asked) = call.next().await? {
                match asked {
                    Content::Binary { headers, .. } if headers["kind"] == "pull" => {}
                    _ => return Err(Refused::unexpected("storage.upload")),
                }
                match parts.next() {
                    Some(part) => {
                        call.send(Content::part(json!({"kind": "data"}), part.to_vec())).await?;
                    }
                    None => call.close().await,
                }
            }
            Ok(())
        };
        let done = done.await;
        call.close().await;
        done
    }

    /// Reads a file.
    ///
    /// # Errors
    ///
    /// As all operations, with the code 3001 for a file that does not exist; a file of more than
    /// [`MAX_BYTES`].
    pub async fn download(&self, path: &str) -> Result<File, Refused> {
        let unexpected = || Refused::unexpected("storage.download");
        let mut call = self.open("storage", "download").await?;
        let start = json!({"kind": "start", "path": path, "chunk_size": PART});
        let done = async {
            call.send(Content::part(start, Vec::new())).await?;
            let Some(Content::Binary { headers, .. }) = call.next().await? else {
                return Err(unexpected());
            };
            let (mut file, size) = started(&headers).ok_or_else(unexpected)?;
            if size > MAX_BYTES {
                let text = format!("{path} has {size} bytes, more than the {MAX_BYTES} allowed");
                return Err(Refused::new(text));
            }
            while file.bytes.len() < size {
                call.send(Content::part(json!({"kind": "pull"}), Vec::new())).await?;
                match call.next().await? {
                    // A part without bytes would be requested again for ever.
                    Some(Content::Binary { headers, bytes })
                        if headers["kind"] == "data" && !bytes.is_empty() =>
                    {
                        file.bytes.extend(bytes);
                    }
                    _ => return Err(unexpected()),
                }
            }
            // Nothing may follow, and a file that is longer than announced was not read
            // completely.
            match (file.bytes.len() == size, call.next().await?) {
                (true, None) => Ok(file),
                _ => Err(unexpected()),
            }
        };
        let done = done.await;
        call.close().await;
        done
    }
}

/// What a room says about a file before it sends it: the file without its bytes, and their number.
fn started(headers: &Value) -> Option<(File, usize)> {
    if headers["kind"] != "start" {
        return None;
    }
    let text = |name: &str| headers[name].as_str().map(str::to_owned);
    let size = usize::try_from(headers["size"].as_u64()?).ok()?;
    Some((File { name: text("name")?, mime_type: text("mime_type")?, bytes: Vec::new() }, size))
}
