//! `kind: ParticipantToken`: what a token that will be signed grants. It is a document, but not a
//! kind: no platform stores it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Version;
use super::scope::ApiScope;

/// The literal `ParticipantToken`.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize, JsonSchema)]
pub enum TokenKind {
    /// The only value.
    #[default]
    ParticipantToken,
}

/// What a participant is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// A person.
    User,
    /// An agent.
    Agent,
    /// A tool.
    Tool,
}

/// A document that says what a token grants. Fields it does not know are passed over, as
/// the reference does.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct TokenSpec {
    /// Always `v1`.
    pub version: Version,
    /// Always `ParticipantToken`.
    pub kind: TokenKind,
    /// The room that it gives access to.
    #[serde(default)]
    pub room: Option<String>,
    /// The participant's name.
    pub identity: String,
    /// What the participant is.
    #[serde(default)]
    pub role: Option<Role>,
    /// What the participant may do in the room.
    pub api: ApiScope,
}
