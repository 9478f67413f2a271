//! How what is inside of rooms is spelled. No API reaches it, so these requests are the program's own,
//! and the same in each dialect; `apply::inside` carries them out.

use serde_json::{Value, json};

use super::fields::text_of;
use super::{Collection, Lookup, Seen, Spelling, Target};
use crate::api::inside;
use crate::api::request::{Body, Listing, Method, Request};
use crate::kinds::columns::{columns_in, indexes_in};
use crate::kinds::path::Step;
use crate::kinds::room_secret::parts_of;
use crate::kinds::tree::Tree;
use crate::kinds::{Kind, room_document, room_file, room_memory, room_secret, room_table};

pub use crate::kinds::columns::{Column, Index, IndexKind};
pub use crate::kinds::inside::folders_of;
pub use crate::kinds::room_file::{LONGEST_TEXT, content_fields, digest_fields};
pub use crate::kinds::room_secret::PLAIN;

/// The part of the path that names files.
pub const FILES: &str = "files";

/// The part of the path that names documents.
pub const DOCUMENTS: &str = "documents";

/// The part of the path that names secrets.
pub const SECRETS: &str = "secrets";

/// The part of the path that names tables.
pub const TABLES: &str = "tables";

/// The part of the path that names memories.
pub const MEMORIES: &str = "memories";

/// How a kind is spelled whose objects are inside of rooms.
pub(super) struct SpelledInside {
    /// The part of the path that names its objects.
    noun: &'static str,
    kind: &'static dyn Kind,
    /// What is sent of an object that is created, or changed.
    body: fn(&Target<'_>, bool) -> Body,
}

/// Files.
pub(super) static FILE: SpelledInside =
    SpelledInside { noun: FILES, kind: &room_file::RoomFile, body: bytes_of };

/// Documents.
pub(super) static DOCUMENT: SpelledInside =
    SpelledInside { noun: DOCUMENTS, kind: &room_document::Document, body: all_of };

/// Secrets.
pub(super) static SECRET: SpelledInside =
    SpelledInside { noun: SECRETS, kind: &room_secret::RoomSecret, body: all_of };

/// Tables.
pub(super) static TABLE: SpelledInside =
    SpelledInside { noun: TABLES, kind: &room_table::Table, body: table_of };

/// Memories.
pub(super) static MEMORY: SpelledInside =
    SpelledInside { noun: MEMORIES, kind: &room_memory::Memory, body: all_of };

fn all_of(target: &Target<'_>, _is_new: bool) -> Body {
    Body::Json(target.fields.reveal())
}

/// The bytes of a file: those that came beside its fields, or its text.
fn bytes_of(target: &Target<'_>, _is_new: bool) -> Body {
    Body::Bytes(match (&target.asked.content, target.fields.sent("text")) {
        (Some(bytes), _) => bytes.to_vec(),
        (None, Value::String(text)) => text.into_bytes(),
        (None, _) => Vec::new(),
    })
}

/// A table as its room has it: its columns, its indexes, and the rows that are written.
fn table_of(target: &Target<'_>, is_new: bool) -> Body {
    let rows = target.fields.get("rows");
    let mut body = json!({
        "columns": columns_in(target.fields),
        "indexes": indexes_in(target.fields),
        "key": rows.map_or(Value::Null, |rows| rows.sent("key")),
    });
    let rows = target.asked.content.as_ref().and_then(|rows| serde_json::from_slice(rows).ok());
    if let Some(rows) = rows.filter(|_: &Value| is_new || changes_rows(target)) {
        body["rows"] = rows;
    }
    Body::Json(body)
}

/// Whether the rows of a table's document changed, or may have, because that is not known.
fn changes_rows(target: &Target<'_>) -> bool {
    let is_of_rows =
        |step: Option<&Step>| matches!(step, Some(Step::Field(name)) if name == "rows");
    target.changed.is_empty() || target.changed.iter().any(|path| is_of_rows(path.0.first()))
}

impl SpelledInside {
    fn request(&self, method: Method, target: &Target<'_>) -> Option<Request> {
        let room = target.room?;
        let inside = inside::Inside {
            project: target.project.to_owned(),
            room: room.to_owned(),
            room_id: target.place_id.map(str::to_owned),
        };
        let mut path = vec!["rooms", room, self.noun];
        let mut queries = Vec::new();
        let text = |field: &str| target.fields.get(field).and_then(Tree::as_str);
        if self.noun == SECRETS {
            let (identity, name) = parts_of(target.name);
            path.extend([identity, name]);
            queries.extend(text("delegated_to").map(|whom| ("delegated_to", whom)));
        } else {
            path.push(target.name);
            queries.extend(text("type").map(|it| ("type", it)));
        }
        let request = Request { inside: Some(inside), ..Request::new(method, &path) };
        Some(queries.into_iter().fold(request, |request, (name, text)| request.query(name, text)))
    }
}

impl Spelling for SpelledInside {
    fn collection(&self) -> Collection {
        Collection::plain(self.noun)
    }

    fn list(&self, _project: &str, _room: Option<&str>) -> Option<Listing> {
        None
    }

    /// Rooms take the value of a secret whether there is one or not.
    fn creates_over(&self) -> bool {
        self.noun == SECRETS
    }

    fn lookup(&self, target: &Target<'_>) -> Option<Lookup> {
        Some(Lookup::One(self.request(Method::Get, target)?, None))
    }

    fn seen(&self, item: &Value) -> Result<Seen, String> {
        let id = item.get("id").and_then(Value::as_str).map(str::to_owned);
        let fields = item.get("fields").unwrap_or(&Value::Null);
        let fields = self.kind.shape().read(fields);
        Ok(Seen { name: text_of(item, "name")?, id, owner: None, fields })
    }

    /// What an object holds that is in none of its fields.
    fn sent_back(&self, item: &Value) -> Option<Value> {
        item.get("holds").filter(|held| !held.is_null()).cloned()
    }

    /// A room does not compare them. Whoever carries out a request does, where it destroys something.
    fn compares_revisions(&self) -> bool {
        false
    }

    fn body(&self, target: &Target<'_>) -> Value {
        match (self.body)(target, false) {
            Body::Json(body) => body,
            _ => json!({}),
        }
    }

    fn create(&self, target: &Target<'_>) -> Option<Request> {
        Some(Request { body: (self.body)(target, true), ..self.request(Method::Post, target)? })
    }

    fn update(&self, target: &Target<'_>) -> Option<Request> {
        Some(Request { body: (self.body)(target, false), ..self.request(Method::Put, target)? })
    }

    fn delete(&self, target: &Target<'_>) -> Option<Request> {
        self.request(Method::Delete, target)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::{Asked, Key, KindName};

    #[test]
    fn no_name_escapes_its_part_of_the_path() {
        let fields = Tree::map([("text", Tree::text("x")), ("type", Tree::text("a/b"))]);
        let key = |kind, name: &str| Key::new(kind, "p", Some("lobby".to_owned()), name);
        let file = key(KindName::RoomFile, "a/../b?c");
        let asked = Asked::default();
        let target = Target {
            fields: &fields,
            place_id: Some("r1"),
            asked: &asked,
            ..Target::looked_for(&file, "p1", None)
        };
        let request = FILE.create(&target).unwrap();
        assert_eq!(request.path, "/rooms/lobby/files/a%2F..%2Fb%3Fc");
        assert_eq!(request.query, [("type", "a/b".to_owned())]);
        assert!(matches!(&request.body, Body::Bytes(bytes) if bytes == b"x"));
        let inside = request.inside.unwrap();
        assert_eq!((inside.project.as_str(), inside.room_id.as_deref()), ("p1", Some("r1")));
        let secret = key(KindName::RoomSecret, "ada@x/a/b");
        let request = SECRET.delete(&Target::looked_for(&secret, "p1", None)).unwrap();
        assert_eq!(request.path, "/rooms/lobby/secrets/ada@x/a%2Fb");
    }
}
