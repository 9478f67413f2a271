//! What the documents and answers of several kinds share.

use schemars::JsonSchema;
use serde_json::Value;

use super::Key;
use super::shape::{Form, Shape};
use super::tree::Tree;

/// The shape of a document's own fields: its schema without what every document has.
pub(super) fn own_fields<T: JsonSchema>(left_out: &[&str]) -> Shape {
    let mut shape = Shape::of::<T>();
    if let Form::Object(fields) = &mut shape.form {
        fields.retain(|name, _| {
            !["version", "kind", "project", "lifecycle"].contains(&&**name)
                && !left_out.contains(&&**name)
        });
        if let Some(Form::Object(metadata)) =
            fields.get_mut("metadata").map(|field| &mut field.form)
        {
            metadata.retain(|name, _| {
                **name != *"name" && !left_out.contains(&format!("metadata.{name}").as_str())
            });
        }
        if let Some(metadata) = fields.get_mut("metadata") {
            metadata.empty_is_absent = true;
        }
    }
    shape
}

/// A document with an object's fields as they are, below the four that every document has.
pub(super) fn document_of(key: &Key, fields: &Tree) -> serde_json::Map<String, Value> {
    let mut metadata = serde_json::Map::from_iter([("name".to_owned(), key.name.clone().into())]);
    let mut own = serde_json::Map::new();
    if let Value::Object(fields) = fields.written() {
        for (name, value) in fields {
            match value {
                Value::Object(more) if name == "metadata" => metadata.extend(more),
                value => drop(own.insert(name, value)),
            }
        }
    }
    let mut document = serde_json::Map::from_iter([
        ("version".to_owned(), "v1".into()),
        ("kind".to_owned(), key.kind.to_string().into()),
        ("metadata".to_owned(), Value::Object(metadata)),
    ]);
    if let Some(room) = &key.room {
        document.insert("room".to_owned(), room.clone().into());
    }
    document.extend(own);
    document
}
