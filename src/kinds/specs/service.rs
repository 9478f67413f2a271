//! `kind: Service`: what runs in a room or in every room of a project.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::mounts::ContainerMountSpec;
use super::rules::{LINE_LIMIT, PORT_PATTERN};
use super::{Version, scope::ApiScope};

/// Text to text.
pub type Annotations = BTreeMap<String, String>;

pub(crate) fn yes() -> bool {
    true
}

/// The literal `Service`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ServiceKind {
    /// The only value.
    #[default]
    Service,
}

/// A service without where it is placed and how it is treated.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServiceSpec {
    /// Always `v1`.
    pub version: Version,
    /// Always `Service`.
    pub kind: ServiceKind,
    /// The platform's id of the record; absent when it is created.
    #[serde(default)]
    pub id: Option<String>,
    /// Whether it is started; not sent where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// Name, description, annotations.
    pub metadata: ServiceMetadata,
    /// The agents that the service brings into a room.
    #[serde(default)]
    pub agents: Option<Vec<AgentSpec>>,
    /// The ports that the service listens on.
    #[serde(default = "no_ports")]
    pub ports: Option<Vec<PortSpec>>,
    /// What to run. Exactly one of `container` and `external` is set.
    #[serde(default)]
    pub container: Option<ContainerSpec>,
    /// Where a service that runs elsewhere is reached.
    #[serde(default)]
    pub external: Option<ExternalServiceSpec>,
}

impl ServiceSpec {
    /// Whether somebody has to approve calls of the tools of one of its MCP servers.
    #[must_use]
    pub fn waits_for_approval(&self) -> bool {
        let endpoints = self.ports.iter().flatten().flat_map(|port| &port.endpoints);
        let mut servers = endpoints.filter_map(|endpoint| endpoint.mcp.as_ref());
        servers.any(|server| server.require_approval == Some(RequireApproval::Always))
    }

    /// The names of the participants that it brings into a room: its agents, and whom its
    /// endpoints call.
    #[must_use]
    pub fn participants(&self) -> BTreeSet<&str> {
        let agents = self.agents.iter().flatten().map(|agent| agent.name.as_str());
        let endpoints = self.ports.iter().flatten().flat_map(|port| &port.endpoints);
        let called = endpoints.filter_map(|endpoint| endpoint.meshagent.as_ref());
        agents.chain(called.map(|called| called.identity.as_str())).collect()
    }

    /// Whether it starts only when it is asked for.
    #[must_use]
    pub fn is_on_demand(&self) -> bool {
        self.container.as_ref().is_some_and(|container| container.on_demand == Some(true))
    }
}

fn no_ports() -> Option<Vec<PortSpec>> {
    Some(Vec::new())
}

/// Name, description and annotations of a service or a template.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ServiceMetadata {
    /// The service's name, unique in its room or project.
    pub name: String,
    /// What it is for.
    #[serde(default)]
    pub description: Option<String>,
    /// Where its source is kept.
    #[serde(default)]
    pub repo: Option<String>,
    /// An icon to show.
    #[serde(default)]
    pub icon: Option<String>,
    /// Notes for programs: text keys with text values.
    #[serde(default)]
    #[schemars(extend("x-empty" = "absent", "x-rule" = "annotations"))]
    pub annotations: Option<Annotations>,
}

/// An agent that a service brings into a room. Unknown fields are ignored by the platform.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct AgentSpec {
    /// The agent's name in the room.
    pub name: String,
    /// What it does.
    #[serde(default)]
    pub description: Option<String>,
    /// Notes for programs, such as `meshagent.agent.type` and `meshagent.agent.schedule`.
    #[serde(default)]
    #[schemars(extend("x-empty" = "absent", "x-rule" = "annotations"))]
    pub annotations: Option<Annotations>,
}

/// What runs in a container.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ContainerSpec {
    /// The image. `{SERVER_VERSION}` in it is replaced by the platform.
    #[schemars(extend("x-rule" = "image"))]
    pub image: String,
    /// The command line; the image's own when absent.
    #[serde(default)]
    pub command: Option<String>,
    /// The absolute folder to start in.
    #[serde(default)]
    #[schemars(extend("x-rule" = "absolute-path"))]
    pub working_dir: Option<String>,
    /// Environment variables.
    #[serde(default)]
    #[schemars(extend("x-empty" = "absent", "x-key" = "name"))]
    pub environment: Option<Vec<EnvironmentVariable>>,
    /// Project secrets of type `keys`, by name or id; every pair becomes an environment variable.
    #[serde(default)]
    #[schemars(extend("x-empty" = "absent", "x-set" = true))]
    pub secrets: Option<Vec<String>>,
    /// The secret that the image is pulled with: a project secret, by name or id, or one of a
    /// service account, as `ACCOUNT/NAME`.
    #[serde(default)]
    pub pull_secret: Option<String>,
    /// The service account that the container acts for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_as: Option<RunAs>,
    /// What is mounted into the container.
    #[serde(default)]
    #[schemars(extend("x-empty" = "absent"))]
    pub storage: Option<ContainerMountSpec>,
    /// An API key that the platform makes for the container.
    #[serde(default)]
    pub api_key: Option<ServiceApiKeySpec>,
    /// Whether it starts only when it is asked for.
    #[serde(default)]
    pub on_demand: Option<bool>,
    /// Whether the root file system may be written to; such writes are lost with the container.
    #[serde(default)]
    pub writable_root_fs: Option<bool>,
    /// Whether other participants are kept from attaching to it.
    #[serde(default = "yes")]
    pub private: bool,
}

/// The service account that a container acts for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RunAs {
    /// The account, by name, or by mail address where it is another project's.
    #[schemars(extend("x-rule" = "name"))]
    pub account: String,
    /// What it may do for the container. Values of secrets in `environment` need `secrets:read`.
    #[serde(default = "proxied")]
    #[schemars(extend("x-set" = true))]
    pub scopes: Vec<String>,
}

/// What a container may do with its account where it does not say so.
pub const PROXIED: &str = "secrets:proxy";

fn proxied() -> Vec<String> {
    vec![PROXIED.to_owned()]
}

/// One environment variable: a text, a participant token, or a secret.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EnvironmentVariable {
    /// The variable's name.
    #[schemars(extend("x-rule" = "variable"))]
    pub name: String,
    /// Its text.
    #[serde(default)]
    pub value: Option<String>,
    /// A participant token that the platform makes at start.
    #[serde(default)]
    pub token: Option<TokenValue>,
    /// A secret of a service account, or of the room.
    #[serde(default)]
    pub secret: Option<SecretValue>,
}

/// A participant token. Unknown fields are ignored by the platform.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct TokenValue {
    /// The participant's name.
    pub identity: String,
    /// What the token may do; absent means the platform's default for agents.
    #[serde(default)]
    pub api: Option<ApiScope>,
    /// `user`, `agent`, `tool`, or a custom role.
    #[serde(default)]
    pub role: Option<String>,
}

/// A secret of a service account, or of the room.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct SecretValue {
    /// Whose secret it is, for a secret of the room.
    #[serde(default)]
    pub identity: Option<String>,
    /// The secret: `ACCOUNT/NAME` or the id of one of a service account; the id of one of the room.
    pub id: String,
}

/// The literal `admin`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ServiceApiKeyRole {
    /// The only role.
    Admin,
}

/// An API key that the platform makes for the container.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ServiceApiKeySpec {
    /// What the key may do.
    pub role: ServiceApiKeyRole,
    /// The key's name.
    pub name: String,
    /// Whether the platform makes it when it is missing.
    #[serde(default = "auto_provision")]
    pub auto_provision: Option<bool>,
}

fn auto_provision() -> Option<bool> {
    Some(true)
}

/// Where a service that runs elsewhere is reached.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExternalServiceSpec {
    /// Its base URL. Only a service of connectors may leave it out.
    #[serde(default)]
    #[schemars(extend("x-rule" = "web-url"))]
    pub url: Option<String>,
}

/// What a port speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum PortType {
    /// HTTP.
    Http,
    /// Anything over TCP.
    Tcp,
}

/// A port number, or `*` for one that the platform picks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum PortNumber {
    /// The platform picks one and passes it to the process in `MESHAGENT_PORT`.
    #[default]
    Any,
    /// A number from 1 to 65535.
    Fixed(u64),
}

impl Serialize for PortNumber {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Any => serializer.serialize_str("*"),
            Self::Fixed(number) => serializer.serialize_u64(*number),
        }
    }
}

impl<'de> Deserialize<'de> for PortNumber {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl serde::de::Visitor<'_> for Visitor {
            type Value = PortNumber;
            fn expecting(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                out.write_str("a port number from 1 to 65535, or \"*\"")
            }
            fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<PortNumber, E> {
                match number {
                    0 => Err(E::invalid_value(serde::de::Unexpected::Unsigned(0), &self)),
                    number => Ok(PortNumber::Fixed(number)),
                }
            }
            fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<PortNumber, E> {
                u64::try_from(number)
                    .map_err(|_| E::invalid_value(serde::de::Unexpected::Signed(number), &self))
                    .and_then(|number| self.visit_u64(number))
            }
            fn visit_f64<E: serde::de::Error>(self, _: f64) -> Result<PortNumber, E> {
                Err(E::custom("a port is a whole number without a fraction, such as 80"))
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<PortNumber, E> {
                match text.trim() {
                    "*" => Ok(PortNumber::Any),
                    // Parsing would take a sign.
                    digits if digits.starts_with('+') => {
                        Err(E::invalid_value(serde::de::Unexpected::Str(text), &self))
                    }
                    digits => digits
                        .parse()
                        .map_err(|_| E::invalid_value(serde::de::Unexpected::Str(text), &self))
                        .and_then(|number: u64| self.visit_u64(number)),
                }
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

impl JsonSchema for PortNumber {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "PortNumber".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "a port number from 1 to 65535, or \"*\" for one that the platform picks",
            "x-rule": "port",
            "anyOf": [
                {"type": "integer", "minimum": 1, "maximum": 65535},
                {"type": "string", "maxLength": LINE_LIMIT, "pattern": format!("^(\\*|{PORT_PATTERN})$")}
            ]
        })
    }
}

/// A port that a service listens on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PortSpec {
    /// A port number from 1 to 65535, or `*` for one that the platform picks.
    #[serde(default)]
    #[schemars(extend("x-number" = true))]
    pub num: PortNumber,
    /// What it speaks.
    #[serde(rename = "type", default = "http")]
    pub port_type: Option<PortType>,
    /// What is served there.
    #[serde(default)]
    #[schemars(extend("x-empty" = "absent", "x-key" = "path"))]
    pub endpoints: Vec<EndpointSpec>,
    /// The path that answers 200 once the port is ready.
    #[serde(default)]
    pub liveness: Option<String>,
    /// Whether routes may lead to it from the internet.
    #[serde(default)]
    pub published: Option<bool>,
    /// Whether it may be used without a participant token.
    #[serde(default)]
    pub public: Option<bool>,
    /// Notes for programs.
    #[serde(default)]
    #[schemars(extend("x-empty" = "absent", "x-rule" = "annotations"))]
    pub annotations: Option<Annotations>,
}

fn http() -> Option<PortType> {
    Some(PortType::Http)
}

/// What is served on a path of a port.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EndpointSpec {
    /// The path.
    pub path: String,
    /// An agent or tool that the platform calls there.
    #[serde(default)]
    pub meshagent: Option<MeshagentEndpointSpec>,
    /// An MCP server.
    #[serde(default)]
    pub mcp: Option<McpEndpointSpec>,
    /// Notes for programs.
    #[serde(default)]
    #[schemars(extend("x-empty" = "absent", "x-rule" = "annotations"))]
    pub annotations: Option<Annotations>,
}

/// An agent or tool that the platform calls.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MeshagentEndpointSpec {
    /// The participant's name.
    pub identity: String,
    /// What its token may do; absent means the platform's default for agents.
    #[serde(default)]
    pub api: Option<ApiScope>,
}

/// When a tool call must be approved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum RequireApproval {
    /// Before every call.
    Always,
    /// Before none.
    Never,
}

/// An MCP server, registered as a toolkit of the room.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct McpEndpointSpec {
    /// The toolkit's name.
    pub label: String,
    /// What it offers.
    #[serde(default)]
    pub description: Option<String>,
    /// The tools that are offered; all of them when absent.
    #[serde(default)]
    #[schemars(extend("x-empty" = "absent"))]
    pub allowed_tools: Option<Vec<AllowedMcpToolFilter>>,
    /// Headers that are sent with each request.
    #[serde(default)]
    #[schemars(extend("x-empty" = "absent", "x-secret" = true))]
    pub headers: Option<Annotations>,
    /// When a call must be approved.
    #[serde(default)]
    pub require_approval: Option<RequireApproval>,
    /// How its OAuth client is set up; discovered when absent.
    #[serde(default)]
    pub oauth: Option<OAuthClientConfig>,
    /// A connector of OpenAI to use in place of a URL.
    #[serde(default)]
    pub openai_connector_id: Option<String>,
}

/// Tools that are offered. The platform refuses an explicit `tool_names: null`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AllowedMcpToolFilter {
    /// The tools, by name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Vec<String>", extend("x-set" = true))]
    pub tool_names: Option<Vec<String>>,
    /// Whether only tools that change nothing are offered.
    #[serde(default)]
    pub read_only: Option<bool>,
}

/// A text that leaves in requests and cannot be printed.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SecretText(String);

impl fmt::Debug for SecretText {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("(secret)")
    }
}

/// An OAuth client of an MCP server.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct OAuthClientConfig {
    /// The client's id.
    pub client_id: Option<String>,
    /// The client's secret.
    #[schemars(with = "Option<String>", extend("x-secret" = true))]
    pub client_secret: Option<SecretText>,
    /// Where a person gives consent.
    pub authorization_endpoint: Option<String>,
    /// Where a code becomes a token.
    pub token_endpoint: Option<String>,
    /// Whether PKCE is left out.
    pub no_pkce: Option<bool>,
    /// What is asked for.
    #[schemars(extend("x-empty" = "absent", "x-set" = true))]
    pub scopes: Option<Vec<String>>,
}
