//! The toolkit `sync`, which every room has: documents that several edit at once.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::client::Room;
use super::content::Refused;
use super::operation::{At, Operation, done};

/// Asks for the contents of a document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Describe {
    /// Its path.
    pub path: String,
    /// The file of its schema; without it, the one that follows from its name.
    #[serde(default)]
    pub schema_path: Option<String>,
}

/// Makes a document without opening it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Create {
    /// Its path.
    pub path: String,
    /// What it contains: an object with its root element.
    #[serde(default)]
    pub json: Option<Value>,
    /// What it may contain.
    #[serde(default)]
    pub schema: Option<Value>,
    /// The file of its schema; without both, the one that follows from its name.
    #[serde(default)]
    pub schema_path: Option<String>,
}

done! { Create => At::Tool("sync", "create") }

/// What a participant says that opens a document.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Open {
    /// Its path.
    pub path: String,
    /// Whether it is made if there is none.
    #[serde(default)]
    pub create: bool,
    /// What the participant has of it already, as Yjs encodes it, in base64.
    #[serde(default)]
    pub vector: Option<String>,
    /// What it may contain, if it is made.
    #[serde(default)]
    pub schema: Option<Value>,
    /// The file of that.
    #[serde(default)]
    pub schema_path: Option<String>,
    /// What it contains, if it is made.
    #[serde(default)]
    pub initial_json: Option<Value>,
}

impl Operation for Describe {
    /// The document as an object.
    type Answer = Map<String, Value>;
    const AT: At = At::Tool("sync", "describe");
}

impl Room {
    /// The contents of a document: an object.
    ///
    /// # Errors
    ///
    /// As [`Room::request`]; an answer that is not an object.
    pub async fn describe(&self, path: &str) -> Result<Value, Refused> {
        let asked = Describe { path: path.to_owned(), schema_path: None };
        self.perform(&asked).await.map(Value::Object)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::room::content::Content;

    #[test]
    fn a_document_is_asked_for_as_the_public_sdk_does_and_is_an_object() {
        let header = json!({"path": "a.thread", "schema_path": null});
        let asked = Describe { path: "a.thread".to_owned(), schema_path: None };
        assert_eq!(serde_json::to_value(&asked).unwrap(), header);
        assert_eq!(Describe::read(&header).unwrap(), asked);
        assert!(Describe::answered(Content::Json(json!({"root": []}))).is_some());
        for answer in [Content::Empty, Content::Json(json!([])), Content::Json(json!(null))] {
            assert_eq!(Describe::answered(answer), None);
        }
    }
}
