//! The built-in schemas of documents. They are data, in `schemas/`.

use futures_util::future::BoxFuture;

use super::Callee;
use crate::room::client::Room;
use crate::room::content::Refused;

/// A schema of documents.
#[derive(Debug, Clone, Copy)]
pub struct Schema {
    /// The ending of the documents' names.
    pub name: &'static str,
    /// Its JSON text.
    pub text: &'static str,
}

macro_rules! schemas {
    ($($name:literal),*) => {
        &[$(Schema { name: $name, text: include_str!(concat!("schemas/", $name, ".json")) }),*]
    };
}

/// All built-in schemas.
pub const SCHEMAS: &[Schema] =
    schemas!["document", "superdoc", "gallery", "thread", "widget", "presentation", "transcript"];

impl Callee for Schema {
    /// Stores the schema where the room looks for it.
    fn start<'a>(&'a self, room: &'a Room) -> BoxFuture<'a, Result<(), Refused>> {
        Box::pin(async move {
            let path = format!(".schemas/{}.json", self.name);
            room.upload(&path, self.text.as_bytes(), true).await
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    #[test]
    fn every_schema_is_whole() {
        for schema in SCHEMAS {
            let value: Value = serde_json::from_str(schema.text).unwrap();
            jsonschema::validator_for(&value).unwrap();
            let root = value["$root_tag_ref"].as_str().unwrap();
            let root = root.strip_prefix('#').unwrap();
            assert!(value.pointer(root).is_some(), "{}", schema.name);
        }
    }
}
