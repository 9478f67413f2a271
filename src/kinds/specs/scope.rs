//! API scopes: what a participant token may do in a room.
//!
//! Tokens that the npm package signs spell members in camel case, which is read as well: a
//! restriction that was not understood would be none.
//!
//! An absent member grants nothing of that area; an empty one (`queues: {}`) grants all of
//! it with the defaults below. Inside a member an absent list means "any", and an empty
//! list means "none", so here, unlike in service fields, the two differ.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::service::yes;

/// The areas of a room that a token may use. Unknown members are ignored by the platform.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields)]
pub struct ApiScope {
    /// Audio and video.
    pub livekit: Option<LivekitGrant>,
    /// Message queues of the room.
    pub queues: Option<QueuesGrant>,
    /// Direct messages between participants.
    pub messaging: Option<MessagingGrant>,
    /// Tables of the room's database.
    pub database: Option<DatabaseGrant>,
    /// Memories of the room.
    pub memory: Option<MemoryGrant>,
    /// Synchronized documents.
    pub sync: Option<SyncGrant>,
    /// Files of the room.
    pub storage: Option<StorageGrant>,
    /// Containers of the room.
    pub containers: Option<ContainersGrant>,
    /// Developer logs.
    pub developer: Option<DeveloperGrant>,
    /// Agents and toolkits.
    pub agents: Option<AgentsGrant>,
    /// Administration of the room; absent denies it.
    pub admin: Option<AdminGrant>,
    /// Room secrets and OAuth tokens; absent denies them.
    pub secrets: Option<SecretsGrant>,
    /// Port forwarding; absent denies it.
    pub tunnels: Option<TunnelsGrant>,
    /// Services of the room.
    pub services: Option<ServicesGrant>,
}

impl ApiScope {
    /// What an agent may do in its room unless something else is said: everything but its
    /// administration, its secrets and its tunnels.
    #[must_use]
    pub fn of_agents() -> Self {
        Self {
            livekit: Some(Default::default()),
            queues: Some(Default::default()),
            messaging: Some(Default::default()),
            database: Some(Default::default()),
            memory: Some(Default::default()),
            sync: Some(Default::default()),
            storage: Some(Default::default()),
            containers: Some(Default::default()),
            developer: Some(Default::default()),
            agents: Some(Default::default()),
            services: Some(Default::default()),
            ..Self::default()
        }
    }
}

/// Audio and video.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields)]
pub struct LivekitGrant {
    /// Breakout rooms by exact name; absent means any.
    #[schemars(extend("x-set" = true))]
    #[serde(alias = "breakoutRooms")]
    pub breakout_rooms: Option<Vec<String>>,
}

/// Message queues.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields)]
pub struct QueuesGrant {
    /// Queues that may be sent to; absent means any.
    #[schemars(extend("x-set" = true))]
    pub send: Option<Vec<String>>,
    /// Queues that may be received from; absent means any.
    #[schemars(extend("x-set" = true))]
    pub receive: Option<Vec<String>>,
    /// Whether queues may be listed.
    pub list: bool,
}

impl Default for QueuesGrant {
    fn default() -> Self {
        Self { send: None, receive: None, list: true }
    }
}

/// Direct messages.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields)]
pub struct MessagingGrant {
    /// Whether messages to everybody are allowed.
    pub broadcast: bool,
    /// Whether participants may be listed.
    pub list: bool,
    /// Whether messages to one participant are allowed.
    pub send: bool,
}

impl Default for MessagingGrant {
    fn default() -> Self {
        Self { broadcast: true, list: true, send: true }
    }
}

/// One table, and what may be done with it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct TableGrant {
    /// The table's exact name.
    pub name: String,
    /// The table's namespace; absent means any.
    #[serde(default)]
    pub namespace: Option<Vec<String>>,
    /// Whether rows may be written.
    #[serde(default)]
    pub write: bool,
    /// Whether rows may be read.
    #[serde(default = "yes")]
    pub read: bool,
    /// Whether the table's columns may be changed.
    #[serde(default)]
    pub alter: bool,
}

/// Tables of the room's database.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields)]
pub struct DatabaseGrant {
    /// The tables that may be used; absent means any.
    #[schemars(extend("x-unique" = ["name", "namespace"]))]
    pub tables: Option<Vec<TableGrant>>,
    /// Whether tables may be listed.
    #[serde(alias = "listTables")]
    pub list_tables: bool,
}

impl Default for DatabaseGrant {
    fn default() -> Self {
        Self { tables: None, list_tables: true }
    }
}

/// What may be done with one memory.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields)]
pub struct MemoryPermissions {
    /// Create it.
    pub create: bool,
    /// Drop it.
    pub drop: bool,
    /// Inspect it.
    pub inspect: bool,
    /// Query it.
    pub query: bool,
    /// Insert or update entries.
    pub upsert: bool,
    /// Ingest content.
    pub ingest: bool,
    /// Recall content.
    pub recall: bool,
    /// Optimize it.
    pub optimize: bool,
}

impl Default for MemoryPermissions {
    fn default() -> Self {
        Self {
            create: true,
            drop: true,
            inspect: true,
            query: true,
            upsert: true,
            ingest: true,
            recall: true,
            optimize: true,
        }
    }
}

/// One memory, and what may be done with it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct MemoryEntryGrant {
    /// The memory's exact name.
    pub name: String,
    /// The memory's namespace; absent means any.
    #[serde(default)]
    pub namespace: Option<Vec<String>>,
    /// What is allowed; absent means everything.
    #[serde(default)]
    pub permissions: MemoryPermissions,
}

/// Memories of the room.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields)]
pub struct MemoryGrant {
    /// Whether memories may be listed.
    pub list: bool,
    /// The memories that may be used; absent means any.
    #[schemars(extend("x-unique" = ["name", "namespace"]))]
    pub memories: Option<Vec<MemoryEntryGrant>>,
}

impl Default for MemoryGrant {
    fn default() -> Self {
        Self { list: true, memories: None }
    }
}

/// One path, exact, or a prefix where the area says so.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct PathGrant {
    /// The path. In `sync` a trailing `*` makes it a prefix; in `storage` it always is one.
    pub path: String,
    /// Whether writing is refused.
    #[serde(default)]
    #[serde(alias = "readOnly")]
    pub read_only: bool,
}

/// Synchronized documents. The first path that matches decides.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields)]
pub struct SyncGrant {
    /// The paths that may be used; absent means any.
    #[schemars(extend("x-unique" = ["path"]))]
    pub paths: Option<Vec<PathGrant>>,
}

/// Files of the room. The first path that matches decides.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields)]
pub struct StorageGrant {
    /// The path prefixes that may be used; absent means any.
    #[schemars(extend("x-unique" = ["path"]))]
    pub paths: Option<Vec<PathGrant>>,
}

/// Containers of the room.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields)]
pub struct ContainersGrant {
    /// Whether container logs may be read.
    pub logs: bool,
    /// Images that may be pulled, exact or with a trailing `*`; absent means any.
    #[schemars(extend("x-set" = true))]
    pub pull: Option<Vec<String>>,
    /// Images that may be run, exact or with a trailing `*`; absent means any.
    #[schemars(extend("x-set" = true))]
    pub run: Option<Vec<String>>,
    /// Whether containers may be used at all.
    #[serde(alias = "useContainers")]
    pub use_containers: bool,
}

impl Default for ContainersGrant {
    fn default() -> Self {
        Self { logs: true, pull: None, run: None, use_containers: true }
    }
}

/// Developer logs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields)]
pub struct DeveloperGrant {
    /// Whether developer logs may be read.
    pub logs: bool,
}

impl Default for DeveloperGrant {
    fn default() -> Self {
        Self { logs: true }
    }
}

/// Agents and toolkits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields)]
pub struct AgentsGrant {
    /// Whether agents may be registered.
    #[serde(alias = "registerAgent")]
    pub register_agent: bool,
    /// Whether toolkits for everybody may be registered.
    #[serde(alias = "registerPublicToolkit")]
    pub register_public_toolkit: bool,
    /// Whether toolkits for oneself may be registered.
    #[serde(alias = "registerPrivateToolkit")]
    pub register_private_toolkit: bool,
    /// Whether agents may be called.
    pub call: bool,
    /// Whether agents may be used.
    #[serde(alias = "useAgents")]
    pub use_agents: bool,
    /// Whether tools may be used.
    #[serde(alias = "useTools")]
    pub use_tools: bool,
    /// The toolkits that may be used; absent means any.
    #[schemars(extend("x-set" = true))]
    #[serde(alias = "allowedToolkits")]
    pub allowed_toolkits: Option<Vec<String>>,
}

impl Default for AgentsGrant {
    fn default() -> Self {
        Self {
            register_agent: true,
            register_public_toolkit: true,
            register_private_toolkit: true,
            call: true,
            use_agents: true,
            use_tools: true,
            allowed_toolkits: None,
        }
    }
}

/// Administration of the room.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields)]
pub struct AdminGrant {
    /// Whether the room's configuration may be changed.
    pub config: bool,
}

impl Default for AdminGrant {
    fn default() -> Self {
        Self { config: true }
    }
}

/// One OAuth client whose tokens may be asked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct OAuthTokenGrant {
    /// The endpoint, exact or with a trailing `*`.
    pub endpoint: String,
    /// The client id, exact.
    #[serde(alias = "clientId")]
    pub client_id: String,
}

/// Room secrets and OAuth tokens.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields)]
pub struct SecretsGrant {
    /// The clients whose tokens may be asked for; absent means any.
    #[schemars(extend("x-unique" = ["endpoint", "client_id"]))]
    #[serde(alias = "requestOauthToken")]
    pub request_oauth_token: Option<Vec<OAuthTokenGrant>>,
}

/// Port forwarding.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields)]
pub struct TunnelsGrant {
    /// The ports that may be forwarded; absent means any.
    #[schemars(extend("x-set" = true))]
    pub ports: Option<Vec<String>>,
}

/// Services of the room.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields)]
pub struct ServicesGrant {
    /// Whether services may be listed.
    pub list: bool,
}

impl Default for ServicesGrant {
    fn default() -> Self {
        Self { list: true }
    }
}
