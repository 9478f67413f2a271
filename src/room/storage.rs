//! The toolkit `storage`, which every room has: what is known of its files. What is in them is in
//! [`super::files`].

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::client::Room;
use super::content::Refused;
use super::operation::{At, Operation, done};

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
}
