//! The toolkit `sync`, which every room has: documents that several edit at once.

use serde_json::{Value, json};

use super::client::Room;
use super::content::{Content, Refused};

impl Room {
    /// What stands in a document: an object.
    ///
    /// # Errors
    ///
    /// As [`Room::request`]; an answer that is no object.
    pub async fn describe(&self, path: &str) -> Result<Value, Refused> {
        let arguments = json!({"path": path, "schema_path": null});
        match self.invoke("sync", "describe", arguments).await? {
            Content::Json(document) if document.is_object() => Ok(document),
            _ => Err(Refused::unexpected("sync.describe")),
        }
    }
}
