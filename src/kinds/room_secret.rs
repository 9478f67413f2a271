//! `kind: RoomSecret`. A secret of a room, which belongs to an identity: the name of a participant. Its
//! key is the identity's name and its own: `IDENTITY/NAME`.

use std::sync::LazyLock;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::document::{Lifecycle, Metadata, SecretText};
use super::inside::rooms;
use super::service::in_rooms;
use super::shape::Shape;
use super::tree::Tree;
use super::{Declared, Fault, Key, Kind, KindName, NameRule, kind_tag, typed};
use crate::kinds::specs::Version;
use crate::kinds::specs::rules::Rule;

kind_tag!(RoomSecretTag, RoomSecret);

/// A secret of a room, for one of its participants.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "RoomSecret")]
struct RoomSecretDocument {
    /// Always `v1`.
    version: Version,
    /// Always `RoomSecret`.
    #[allow(dead_code, reason = "read for its schema")]
    kind: RoomSecretTag,
    /// The secret's name, which is its id in the room.
    metadata: Metadata,
    /// The project, by name or id.
    #[serde(default)]
    project: Option<String>,
    /// The room, by name.
    #[serde(default)]
    #[schemars(extend("x-rule" = "segment"))]
    room: Option<String>,
    /// The rooms, by name: each gets a secret of its own.
    #[serde(default)]
    rooms: Option<Vec<String>>,
    /// Whose secret it is: the name of a participant, such as that of an agent.
    #[schemars(extend("x-rule" = "identity"))]
    identity: String,
    /// The participant to whom it is delegated, by name.
    #[serde(default)]
    #[schemars(extend("x-rule" = "identity"))]
    #[allow(dead_code, reason = "read for its schema")]
    delegated_to: Option<String>,
    /// Its media type. Default: `text/plain`.
    #[serde(default = "plain", rename = "type")]
    #[schemars(regex(pattern = r"^[!-.0-~]+/[!-.0-~]+( *;[ -~]*)?$"))]
    #[allow(dead_code, reason = "read for its schema")]
    media_type: String,
    /// The value.
    value: SecretText,
    /// How the reconciler treats it.
    #[serde(default)]
    lifecycle: Option<Lifecycle>,
}

/// The media type of a secret whose document does not say it.
pub const PLAIN: &str = "text/plain";

fn plain() -> String {
    PLAIN.to_owned()
}

static SHAPE: LazyLock<Shape> = LazyLock::new(|| {
    super::own_fields::<RoomSecretDocument>(&["room", "rooms", "metadata", "metadata.description"])
});

/// The name of a secret in keys.
#[must_use]
pub fn called(identity: &str, name: &str) -> String {
    format!("{identity}/{name}")
}

/// The identity and the name in the name of a key.
#[must_use]
pub fn parts_of(name: &str) -> (&str, &str) {
    name.split_once('/').unwrap_or((name, ""))
}

/// The kind.
pub struct RoomSecret;

impl Kind for RoomSecret {
    fn name(&self) -> KindName {
        KindName::RoomSecret
    }

    fn summary(&self) -> &'static str {
        "a secret of a room, for one of its participants"
    }

    fn document_schema(&self, generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        generator.root_schema_for::<RoomSecretDocument>()
    }

    fn example(&self) -> &'static str {
        include_str!("examples/room_secret.yaml")
    }

    fn shape(&self) -> &'static Shape {
        &SHAPE
    }

    fn declare(&self, written: &Value) -> Result<Vec<Declared>, Vec<Fault>> {
        let document: RoomSecretDocument = typed(written)?;
        let _ = document.version;
        let rooms = rooms(document.room, document.rooms)?;
        let mut lifecycle = document.lifecycle.unwrap_or_else(Lifecycle::standard);
        let former = &mut lifecycle.moved_from.0;
        former.iter_mut().for_each(|name| *name = called(&document.identity, name));
        let mut fields = SHAPE.read(written);
        fields.set("value", Tree::from(document.value));
        let declared = Declared {
            project: document.project,
            room: None,
            name: called(&document.identity, &document.metadata.name),
            fields,
            lifecycle,
        };
        Ok(in_rooms(declared, rooms))
    }

    fn document(&self, key: &Key, fields: &Tree) -> Value {
        let mut document = super::document_of(key, fields);
        if let Some(Value::Object(metadata)) = document.get_mut("metadata") {
            metadata.insert("name".to_owned(), parts_of(&key.name).1.into());
        }
        Value::Object(document)
    }

    fn name_rule(&self) -> NameRule {
        NameRule { rule: Rule::Name, field: None }
    }

    /// The room tells secrets apart by them.
    fn immutable(&self) -> &'static [&'static str] {
        &["identity", "delegated_to"]
    }

    fn placed_in(&self) -> Option<KindName> {
        Some(KindName::Room)
    }

    fn is_inside_rooms(&self) -> bool {
        true
    }

    fn is_for_secrets(&self) -> bool {
        true
    }

    fn carries_owner(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_secret_is_called_by_whose_it_is_and_its_name() {
        let document = json!({
            "version": "v1", "kind": "RoomSecret", "metadata": {"name": "openai"}, "room": "lobby",
            "identity": "support", "value": "canary", "lifecycle": {"moved_from": "key"},
        });
        let declared = RoomSecret.declare(&document).unwrap().pop().unwrap();
        assert_eq!(
            (declared.name.as_str(), declared.room.as_deref()),
            ("support/openai", Some("lobby"))
        );
        assert_eq!(declared.lifecycle.moved_from.0, ["support/key"]);
        assert!(declared.fields.get("value").is_some_and(Tree::has_secrets));
        let key = Key::new(KindName::RoomSecret, "p", declared.room, declared.name);
        let written = RoomSecret.document(&key, &declared.fields);
        assert_eq!(written["metadata"], json!({"name": "openai"}));
        assert_eq!(written["identity"], "support");
        assert!(!written.to_string().contains("canary"));
    }
}
