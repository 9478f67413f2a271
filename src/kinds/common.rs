//! What the documents and answers of several kinds share.

use schemars::JsonSchema;
use serde_json::Value;

use super::path::FieldPath;
use super::shape::{Form, Shape};
use super::tree::Tree;
use super::{Key, OWNER_ANNOTATION, Target};

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

/// The annotations to send: the object's own, and the owner's.
pub(super) fn annotations(target: &Target<'_>) -> Value {
    let mut annotations =
        match target.fields.at(&FieldPath::of(&["metadata", "annotations"])).map(Tree::reveal) {
            Some(Value::Object(annotations)) => annotations,
            _ => serde_json::Map::new(),
        };
    if let Some(owner) = target.owner {
        annotations.insert(OWNER_ANNOTATION.to_owned(), owner.into());
    }
    Value::Object(annotations)
}

/// The annotations of an answer without the owner's, as a document has them, and the owner.
pub(super) fn annotated(item: &Value) -> (Value, Option<String>) {
    let mut annotations = item.get("annotations").cloned().unwrap_or(Value::Null);
    let owner = match &mut annotations {
        Value::Object(map) => {
            map.shift_remove(OWNER_ANNOTATION).and_then(|owner| owner.as_str().map(str::to_owned))
        }
        _ => None,
    };
    (serde_json::json!({ "annotations": annotations }), owner)
}

/// A text field of an answer.
pub(super) fn text_of(item: &Value, field: &str) -> Result<String, String> {
    match item.get(field) {
        Some(Value::String(text)) => Ok(text.clone()),
        _ => Err(format!("the answer has no text in `{field}`")),
    }
}
