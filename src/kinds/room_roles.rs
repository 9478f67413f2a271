//! `kind: RoomRoles`. What the roles of a project's rooms may do: one document of a project.

use std::sync::LazyLock;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::document::{Lifecycle, Metadata};
use super::shape::Shape;
use super::tree::Tree;
use super::{Declared, Fault, Kind, KindName, kind_tag, typed};
use crate::kinds::specs::Version;

kind_tag!(RoomRolesTag, RoomRoles);

/// The name of the one document of a project.
pub const NAME: &str = "room-roles";

/// What the roles of a project's rooms may do.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "RoomRoles")]
struct RoomRolesDocument {
    /// Always `v1`.
    version: Version,
    /// Always `RoomRoles`.
    kind: RoomRolesTag,
    /// The name is `room-roles`: a project has one such document.
    metadata: Metadata,
    /// The project, by name or id.
    #[serde(default)]
    project: Option<String>,
    /// The roles, all of them: one that is not named here is as it is by default.
    roles: Roles,
    /// How the reconciler treats it.
    #[serde(default)]
    lifecycle: Option<Lifecycle>,
}

/// The roles of rooms.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Roles {
    /// Who was let in.
    #[serde(default)]
    guest: Option<Role>,
    /// Who only looks.
    #[serde(default)]
    viewer: Option<Role>,
    /// Who works in the room.
    #[serde(default)]
    operator: Option<Role>,
    /// Who builds in the room.
    #[serde(default)]
    developer: Option<Role>,
    /// Who may do everything.
    #[serde(default)]
    admin: Option<Role>,
}

/// What a role may do.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Role {
    /// What it may do as a participant.
    #[serde(default)]
    participant: Option<Participant>,
    /// Whether it may use the sites of the room.
    #[serde(default)]
    site_user: bool,
}

/// What a role may do as a participant.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Participant {
    /// The areas of the room. One that is not named is not allowed; what stands in one is as the
    /// platform takes it.
    api: Areas,
}

/// The areas of a room, by the names that the platform has for them.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Areas {
    /// Audio and video.
    #[serde(default)]
    livekit: Option<Map<String, Value>>,
    /// Message queues.
    #[serde(default)]
    queues: Option<Map<String, Value>>,
    /// Direct messages between participants.
    #[serde(default)]
    messaging: Option<Map<String, Value>>,
    /// Tables of the room.
    #[serde(default)]
    dataset: Option<Map<String, Value>>,
    /// SQLite databases of the room.
    #[serde(default)]
    sqlite: Option<Map<String, Value>>,
    /// Memories of the room.
    #[serde(default)]
    memory: Option<Map<String, Value>>,
    /// Synchronized documents.
    #[serde(default)]
    sync: Option<Map<String, Value>>,
    /// Files of the room.
    #[serde(default)]
    storage: Option<Map<String, Value>>,
    /// Containers of the room.
    #[serde(default)]
    containers: Option<Map<String, Value>>,
    /// Developer logs.
    #[serde(default)]
    developer: Option<Map<String, Value>>,
    /// Agents and toolkits.
    #[serde(default)]
    agents: Option<Map<String, Value>>,
    /// Models.
    #[serde(default)]
    llm: Option<Map<String, Value>>,
    /// Administration of the room.
    #[serde(default)]
    admin: Option<Map<String, Value>>,
    /// Secrets.
    #[serde(default)]
    secrets: Option<Map<String, Value>>,
    /// Tunnels.
    #[serde(default)]
    tunnels: Option<Map<String, Value>>,
    /// Services.
    #[serde(default)]
    services: Option<Map<String, Value>>,
}

static SHAPE: LazyLock<Shape> =
    LazyLock::new(|| super::own_fields::<RoomRolesDocument>(&["metadata", "metadata.description"]));

/// The kind.
pub struct RoomRoles;

/// The fields of the document as the platform has it.
#[must_use]
pub fn read(document: &Value) -> Tree {
    SHAPE.read(&json!({ "roles": document.get("roles") }))
}

impl Kind for RoomRoles {
    fn name(&self) -> KindName {
        KindName::RoomRoles
    }

    fn plural(&self) -> String {
        "RoomRoles".to_owned()
    }

    fn summary(&self) -> &'static str {
        "roles of rooms: what guests, viewers, operators, developers and admins may do"
    }

    fn document_schema(&self, generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        generator.root_schema_for::<RoomRolesDocument>()
    }

    fn example(&self) -> &'static str {
        include_str!("examples/room_roles.yaml")
    }

    fn shape(&self) -> &'static Shape {
        &SHAPE
    }

    fn declare(&self, document: &Value) -> Result<Vec<Declared>, Vec<Fault>> {
        let fields = SHAPE.read(document);
        let document: RoomRolesDocument = typed(document)?;
        if document.metadata.name != NAME {
            let message = format!("the roles of a project's rooms are one document, `{NAME}`");
            let fault = Fault::new(&["metadata", "name"], message);
            return Err(fault.hint(format!("call it `{NAME}`")).into());
        }
        Ok(vec![Declared {
            project: document.project,
            room: None,
            name: document.metadata.name,
            fields,
            lifecycle: document.lifecycle.unwrap_or_else(Lifecycle::standard),
        }])
    }

    fn carries_owner(&self) -> bool {
        false
    }
}
