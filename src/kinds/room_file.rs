//! `kind: RoomFile`. A file in the storage of a room: a text in the manifest, or a file beside it.
//!
//! A short text is a field like any other, so that plans show how it changes. Of all else the fields
//! have just the digest and the size; the bytes come along beside them ([`Kind::content`]).

use std::sync::{Arc, LazyLock};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::document::{Lifecycle, Metadata};
use super::inside::rooms;
use super::path::FieldPath;
use super::service::in_rooms;
use super::shape::Shape;
use super::tree::Tree;
use super::{Beside, Declared, Fault, Key, Kind, KindName, NameRule, kind_tag, typed};
use crate::kinds::specs::Version;
use crate::kinds::specs::rules::Rule;

kind_tag!(RoomFileTag, RoomFile);

/// The longest text that is a field, in bytes: the inventory keeps it.
pub const LONGEST_TEXT: usize = 16 * 1024;

/// The field under which the bytes of a file beside the manifest come.
const BYTES: &str = "$bytes";

/// A file in the storage of a room.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "RoomFile")]
struct RoomFileDocument {
    /// Always `v1`.
    version: Version,
    /// Always `RoomFile`.
    #[allow(dead_code, reason = "read for its schema")]
    kind: RoomFileTag,
    /// The file's name; its path, unless `path` says otherwise.
    metadata: Metadata,
    /// The project, by name or id.
    #[serde(default)]
    project: Option<String>,
    /// The path in the room's storage, such as `prompts/greeting.md`. Default: the name.
    #[serde(default)]
    path: Option<String>,
    /// The room, by name.
    #[serde(default)]
    #[schemars(extend("x-rule" = "segment"))]
    room: Option<String>,
    /// The rooms, by name: each gets a file of its own.
    #[serde(default)]
    rooms: Option<Vec<String>>,
    /// What is in the file.
    #[serde(default)]
    text: Option<String>,
    /// The file with what is in it, beside the manifest; not hidden, and at most 4 MiB.
    #[serde(default)]
    file: Option<String>,
    /// Its media type, such as `text/markdown`. Default: the one that its name stands for.
    #[serde(default, rename = "type")]
    #[schemars(regex(pattern = r"^[!-.0-~]+/[!-.0-~]+( *;[ -~]*)?$"))]
    media_type: Option<String>,
    /// How the reconciler treats it.
    #[serde(default)]
    lifecycle: Option<Lifecycle>,
    /// The bytes of `file`, in base64.
    #[serde(default, rename = "$bytes")]
    #[schemars(skip)]
    bytes: Option<String>,
}

/// The fields of a file.
#[derive(JsonSchema)]
#[allow(dead_code, reason = "read for its schema")]
struct Fields {
    /// What is in it, if that is a short text.
    text: Option<String>,
    /// Otherwise its digest, as hex.
    sha256: Option<String>,
    /// Otherwise how many bytes it has.
    size: Option<u64>,
    /// Its media type.
    #[schemars(extend("x-partial" = true))]
    r#type: Option<String>,
}

static SHAPE: LazyLock<Shape> = LazyLock::new(Shape::of::<Fields>);

/// What is in a file, as fields: the same bytes are always the same fields.
#[must_use]
pub fn content_fields(bytes: &[u8]) -> Tree {
    match std::str::from_utf8(bytes) {
        Ok(text) if text.len() <= LONGEST_TEXT && !text.contains('\0') => {
            Tree::map([("text", Tree::text(text))])
        }
        _ => digest_fields(&Sha256::digest(bytes), bytes.len() as u64),
    }
}

/// The fields of what is no short text.
#[must_use]
pub fn digest_fields(digest: &[u8], size: u64) -> Tree {
    let hex = digest.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    Tree::map([("sha256", Tree::text(hex)), ("size", Tree::Number(size.into()))])
}

impl RoomFileDocument {
    /// What is in the file.
    fn bytes(&self) -> Result<Vec<u8>, Vec<Fault>> {
        let fault = match (&self.text, &self.file, &self.bytes) {
            (Some(_), Some(_), _) => Fault::new(&["file"], "a file has `text` or `file`, not both"),
            (Some(text), None, _) => return Ok(text.clone().into_bytes()),
            (None, Some(_), Some(bytes)) => match STANDARD.decode(bytes) {
                Ok(bytes) => return Ok(bytes),
                Err(error) => Fault::new(&["file"], error.to_string()),
            },
            (None, Some(_), None) => Fault::new(&["file"], "what is in the file is not at hand"),
            (None, None, _) => Fault::new(&["text"], "nothing says what is in the file")
                .hint("write `text: …`, or `file: PATH`"),
        };
        Err(fault.into())
    }
}

/// The kind.
pub struct RoomFile;

impl Kind for RoomFile {
    fn name(&self) -> KindName {
        KindName::RoomFile
    }

    fn summary(&self) -> &'static str {
        "a file in the storage of a room"
    }

    fn document_schema(&self, generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        generator.root_schema_for::<RoomFileDocument>()
    }

    fn example(&self) -> &'static str {
        include_str!("examples/room_file.yaml")
    }

    fn shape(&self) -> &'static Shape {
        &SHAPE
    }

    fn declare(&self, written: &Value) -> Result<Vec<Declared>, Vec<Fault>> {
        let document: RoomFileDocument = typed(written)?;
        let _ = document.version;
        let bytes = document.bytes()?;
        let rooms = rooms(document.room, document.rooms)?;
        let mut fields = content_fields(&bytes);
        if let Some(media_type) = document.media_type {
            fields.set("type", Tree::text(media_type));
        }
        let declared = Declared {
            project: document.project,
            room: None,
            name: document.path.unwrap_or(document.metadata.name),
            fields,
            lifecycle: document.lifecycle.unwrap_or_else(Lifecycle::standard),
        };
        Ok(in_rooms(declared, rooms))
    }

    fn content(&self, written: &Value) -> Option<Arc<[u8]>> {
        let bytes = typed::<RoomFileDocument>(written).ok()?.bytes().ok()?;
        content_fields(&bytes).get("sha256").is_some().then(|| Arc::from(bytes))
    }

    /// Of what is no short text, the document can only say where the bytes are to be put.
    fn document(&self, key: &Key, fields: &Tree) -> Value {
        let mut document = super::document_of(key, fields);
        if document.shift_remove("sha256").is_some() {
            document.shift_remove("size");
            let name = key.name.rsplit('/').next().unwrap_or_default();
            document.insert("file".to_owned(), json!(name));
        }
        Value::Object(document)
    }

    fn beside(&self, document: &Value) -> Vec<(FieldPath, Beside, String)> {
        let path = document.get("file").and_then(Value::as_str);
        path.map(|path| (FieldPath::default(), Beside::Bytes(BYTES), path.to_owned()))
            .into_iter()
            .collect()
    }

    fn written_at(&self, path: &FieldPath) -> Option<FieldPath> {
        let is_of_file = [FieldPath::of(&["sha256"]), FieldPath::of(&["size"])].contains(path);
        is_of_file.then(|| FieldPath::of(&["file"]))
    }

    fn name_rule(&self) -> NameRule {
        NameRule { rule: Rule::FilePath, field: Some("path") }
    }

    fn placed_in(&self) -> Option<KindName> {
        Some(KindName::Room)
    }

    fn is_inside_rooms(&self) -> bool {
        true
    }

    fn content_digest<'a>(&self, fields: &'a Tree) -> Option<&'a str> {
        fields.get("sha256").and_then(Tree::as_str)
    }

    fn carries_owner(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_bytes_are_the_same_fields_however_they_were_given() {
        let document = |more: Value| {
            let mut document = json!({
                "version": "v1", "kind": "RoomFile", "metadata": {"name": "a/b.md"},
                "rooms": ["lobby", "attic"], "type": "text/markdown",
            });
            document.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            RoomFile.declare(&document)
        };
        let bytes = |bytes: &[u8]| json!({"file": "f", BYTES: STANDARD.encode(bytes)});
        let typed = document(json!({"text": "hello\n"})).unwrap();
        let read = document(bytes(b"hello\n")).unwrap();
        assert_eq!(typed[0].fields, read[0].fields);
        let rooms: Vec<_> = typed.iter().map(|it| it.room.as_deref()).collect();
        assert_eq!(rooms, [Some("lobby"), Some("attic")]);
        assert_eq!(typed[0].name, "a/b.md");
        for odd in [vec![0xff, 0xfe], b"a\0b".to_vec(), vec![b'a'; LONGEST_TEXT + 1]] {
            let declared = document(bytes(&odd)).unwrap();
            assert_eq!(declared[1].fields.get("size"), Some(&Tree::Number(odd.len().into())));
            assert_eq!(declared[1].fields.get("text"), None);
        }
        for wrong in [json!({}), json!({"text": "", "file": "f"}), json!({"file": "f"})] {
            assert_eq!(document(wrong).unwrap_err().len(), 1);
        }
    }
}
