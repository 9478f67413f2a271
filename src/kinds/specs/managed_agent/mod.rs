//! *Pure*: `kind: ManagedAgent`: an agent that the platform runs itself. Here is the form of its
//! configuration; what is wrong with one beyond its form is in `check`, and the schemas of what its
//! tools take are in `input`.
//!
//! Must not live here: where a document is placed and how it is treated, which is in
//! `kinds::managed_agent`; anything of one API.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::service::{RequireApproval, yes};

mod check;
mod input;

/// The most bytes that the source of a tool has.
pub const SOURCE_LIMIT: usize = 64 * 1024;

/// The most bytes that the instructions of a check have.
pub const CHECK_LIMIT: usize = 16 * 1024;

/// The scope with which an agent reads the secrets in its environment.
pub const READS_SECRETS: &str = "secrets:read";

/// What a managed agent is, without its name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Configuration {
    /// The models that it may use. The list may be empty.
    #[schemars(extend("x-unique" = ["provider", "model"]))]
    pub allowed_models: Vec<AllowedModel>,
    /// What it is told to be and to do.
    #[serde(default)]
    pub instructions: Option<String>,
    /// The service account that it acts for.
    #[serde(default)]
    pub run_as: Option<AgentRunAs>,
    /// Whether it needs a delegation for the use of models.
    #[serde(default)]
    pub llm_delegation: LlmDelegation,
    /// Whether participants share its threads.
    #[serde(default)]
    pub thread_isolation: ThreadIsolation,
    /// Tools that the platform offers it.
    #[serde(default)]
    #[schemars(extend("x-key" = "type", "x-repeats" = true))]
    pub toolkits: Option<Vec<Toolkit>>,
    /// Tools of its own, written in Python.
    #[serde(default)]
    #[schemars(extend("x-key" = "name"))]
    pub tools: Vec<PythonTool>,
    /// What its tools may call, by name.
    #[serde(default)]
    pub connections: BTreeMap<String, Connection>,
    /// Environment variables of its tools.
    #[serde(default)]
    #[schemars(extend("x-key" = "name", "maxItems" = check::MOST_VARIABLES))]
    pub environment: Vec<Variable>,
    /// Checks of what goes in and comes out.
    #[serde(default)]
    pub guardrails: Option<Guardrails>,
    /// What it answers with, such as `text` and `audio`.
    #[serde(default)]
    #[schemars(extend("x-set" = true))]
    pub output_modalities: Option<Vec<String>>,
    /// Whether what is said is stored.
    #[serde(default = "yes")]
    pub store: bool,
}

/// Whose models they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Provider {
    /// OpenAI.
    Openai,
    /// Anthropic.
    Anthropic,
    /// xAI.
    Grok,
}

/// A model that an agent may use.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AllowedModel {
    /// Whose it is.
    pub provider: Provider,
    /// Its name there.
    pub model: String,
    /// What it answers with. For models of OpenAI.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-set" = true))]
    pub output_modalities: Option<Vec<String>>,
}

/// The service account that an agent acts for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AgentRunAs {
    /// The account, by name, or by mail address where it is another project's.
    #[schemars(extend("x-rule" = "name"))]
    pub email: String,
    /// What it may do with the account. To read secrets into its environment, it needs
    /// `secrets:read`.
    #[serde(default = "AgentRunAs::usual_scopes")]
    #[schemars(extend("x-set" = true))]
    pub scopes: Vec<String>,
}

impl AgentRunAs {
    /// What an agent may do where nothing else is said.
    #[must_use]
    pub fn usual_scopes() -> Vec<String> {
        ["secrets:proxy", "llm_proxy"].map(str::to_owned).into()
    }
}

/// Whether an agent needs a delegation for the use of models.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LlmDelegation {
    /// It does.
    Required,
    /// It can do without.
    #[default]
    Optional,
}

/// Whether participants share the threads of an agent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ThreadIsolation {
    /// They do.
    #[default]
    Global,
    /// Each has their own.
    Participant,
}

/// The toolkits that the platform has for agents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ToolkitType {
    /// Searches the web.
    WebSearch,
    /// Reads pages of the web.
    WebFetch,
    /// Makes images.
    ImageGeneration,
    /// Calls the tools of MCP servers.
    Mcp,
}

impl ToolkitType {
    /// As it stands in a document.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::WebSearch => "web_search",
            Self::WebFetch => "web_fetch",
            Self::ImageGeneration => "image_generation",
            Self::Mcp => "mcp",
        }
    }
}

/// Tools that the platform offers an agent. Each type has fields of its own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Toolkit {
    /// What it does.
    pub r#type: ToolkitType,
    /// Of `web_search`: the only domains that are searched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-set" = true))]
    pub allowed_domains: Option<Vec<String>>,
    /// Of `web_search`: domains that are not searched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-set" = true))]
    pub blocked_domains: Option<Vec<String>>,
    /// Of `image_generation`: the background.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub background: Option<Background>,
    /// Of `image_generation`: where the mask of an image to change is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input_image_mask_url: Option<String>,
    /// Of `image_generation`: the model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Of `image_generation`: how strictly images are moderated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub moderation: Option<String>,
    /// Of `image_generation`: how much images are compressed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_compression: Option<i64>,
    /// Of `image_generation`: the form of the file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_format: Option<OutputFormat>,
    /// Of `image_generation`: how many unfinished images are shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = 1))]
    pub partial_images: Option<i64>,
    /// Of `image_generation`: the quality.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quality: Option<Quality>,
    /// Of `image_generation`: width and height.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<Size>,
    /// Of `mcp`: the servers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-key" = "server_label", "x-repeats" = true))]
    pub servers: Option<Vec<McpServer>>,
}

/// The background of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Background {
    /// None.
    Transparent,
    /// A whole one.
    Opaque,
    /// As the model decides.
    Auto,
}

/// The form of the file of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OutputFormat {
    /// PNG.
    Png,
    /// WebP.
    Webp,
    /// JPEG.
    Jpeg,
}

/// The quality of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Quality {
    /// As the model decides.
    Auto,
    /// Low.
    Low,
    /// Medium.
    Medium,
    /// High.
    High,
}

/// Width and height of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Size {
    /// A square.
    #[serde(rename = "1024x1024")]
    Square,
    /// Upright.
    #[serde(rename = "1024x1536")]
    Upright,
    /// Wide.
    #[serde(rename = "1536x1024")]
    Wide,
    /// As the model decides.
    #[serde(rename = "auto")]
    Auto,
}

/// An MCP server whose tools an agent calls.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct McpServer {
    /// What the agent calls it.
    pub server_label: String,
    /// Where it is.
    #[schemars(extend("x-rule" = "web-url"))]
    pub server_url: String,
    /// The tools that the agent may call; all of them when absent.
    #[serde(default)]
    #[schemars(extend("x-set" = true))]
    pub allowed_tools: Option<Vec<String>>,
    /// Headers that are sent with each request.
    #[serde(default)]
    #[schemars(extend("x-key" = "name", "x-repeats" = true))]
    pub headers: Option<Vec<McpHeader>>,
    /// When a call must be approved.
    #[serde(default)]
    pub require_approval: Option<RequireApproval>,
    /// Tools whose calls must be approved.
    #[serde(default)]
    #[schemars(extend("x-set" = true))]
    pub always_require_approval: Option<Vec<String>>,
    /// Tools whose calls need no approval.
    #[serde(default)]
    #[schemars(extend("x-set" = true))]
    pub never_require_approval: Option<Vec<String>>,
    /// A connector of OpenAI to use in place of a URL.
    #[serde(default)]
    pub openai_connector_id: Option<String>,
    /// A secret that is put into requests on their way and that the agent does not see.
    #[serde(default)]
    pub use_proxy_secret: Option<String>,
}

/// A header for an MCP server.
#[derive(Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct McpHeader {
    /// Its name.
    pub name: String,
    /// Its text.
    #[schemars(extend("x-secret" = true))]
    pub value: String,
}

impl std::fmt::Debug for McpHeader {
    /// Without the text, which may be a credential.
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "McpHeader({:?})", self.name)
    }
}

/// The language of a tool.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ToolType {
    /// Python.
    #[default]
    Python,
}

/// A tool that is written in Python.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PythonTool {
    /// Its language.
    #[serde(default)]
    pub r#type: ToolType,
    /// What the model calls it: up to 64 letters, digits and `_`, without a digit at the beginning.
    pub name: String,
    /// What the model is told of it.
    #[serde(default)]
    pub description: String,
    /// What it takes: the JSON Schema of an object. Each property is required, and there are no
    /// others.
    pub input_schema: Map<String, Value>,
    /// Its source, of up to 65536 bytes.
    pub source: String,
    /// The function that is called; the only one when absent.
    #[serde(default)]
    pub entrypoint: Option<String>,
}

/// A secret of the service account that an agent acts for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SecretId {
    /// Its id.
    pub id: String,
}

/// A server that tools may call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Connection {
    /// Where it is, without credentials and without what follows a `#`.
    #[schemars(extend("x-rule" = "web-url"))]
    pub base_url: String,
    /// A secret that is put into requests on their way and that the agent does not see.
    #[serde(default)]
    pub use_proxy_secret: Option<String>,
    /// Headers that are sent with each request.
    #[serde(default)]
    #[schemars(extend("x-key" = "name"))]
    pub headers: Vec<ConnectionHeader>,
}

/// A header for a connection: a text or a secret.
#[derive(Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ConnectionHeader {
    /// Its name.
    pub name: String,
    /// Its text.
    #[serde(default)]
    #[schemars(extend("x-secret" = true))]
    pub value: Option<String>,
    /// The secret that it holds.
    #[serde(default)]
    pub secret: Option<SecretId>,
    /// What stands before the secret, such as `Bearer` and a blank.
    #[serde(default)]
    pub prefix: String,
}

impl std::fmt::Debug for ConnectionHeader {
    /// Without the text, which may be a credential.
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "ConnectionHeader({:?})", self.name)
    }
}

/// An environment variable: a text or a secret.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Variable {
    /// Its name: up to 128 letters, digits and `_`, without a digit at the beginning.
    pub name: String,
    /// Its text.
    #[serde(default)]
    pub value: Option<String>,
    /// The secret that it holds.
    #[serde(default)]
    pub secret: Option<SecretId>,
}

/// Checks of what goes into an agent and comes out of it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Guardrails {
    /// Checks of what it is told.
    #[schemars(extend("x-unique" = ["name"]))]
    pub input: Vec<Guardrail>,
    /// Checks of calls of tools.
    #[schemars(extend("x-unique" = ["name"]))]
    pub tools: Vec<ToolGuardrails>,
    /// Checks of what it answers.
    pub output: OutputGuardrails,
}

/// Checks of what an agent answers.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct OutputGuardrails {
    /// The checks.
    #[schemars(extend("x-unique" = ["name"]))]
    pub checks: Vec<Guardrail>,
}

/// Checks of calls of some tools.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ToolGuardrails {
    /// What they are called.
    pub name: String,
    /// The tools.
    pub r#match: ToolMatch,
    /// Checks of what a tool is given.
    #[serde(default)]
    #[schemars(extend("x-unique" = ["name"]))]
    pub input: Vec<Guardrail>,
    /// Checks of what a tool answers.
    #[serde(default)]
    #[schemars(extend("x-unique" = ["name"]))]
    pub output: Vec<Guardrail>,
}

/// The tools that checks are for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ToolMatch {
    /// Their names.
    #[schemars(extend("x-set" = true, "minItems" = 1))]
    pub names: Vec<String>,
}

/// One check, and what follows of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Guardrail {
    /// Its name, which no other check of the agent has: up to 64 letters, digits, `_`, `.` and `-`.
    pub name: String,
    /// What is asked.
    pub check: DecisionCheck,
    /// What happens where it says no.
    #[serde(default = "Failure::block")]
    pub on_reject: Failure,
    /// What happens where it fails.
    #[serde(default = "Failure::fail")]
    pub on_error: Failure,
    /// How often it is tried again.
    #[serde(default = "two")]
    #[schemars(extend("maximum" = 3))]
    pub max_retries: u8,
}

const fn two() -> u8 {
    2
}

/// The sort of a check.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum CheckType {
    /// A model decides.
    #[default]
    Decision,
}

/// What a model is asked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DecisionCheck {
    /// The sort of the check.
    #[serde(default)]
    pub r#type: CheckType,
    /// The model: `openai/` and its name.
    pub model: String,
    /// What it is to decide, in up to 16384 bytes.
    pub instructions: String,
    /// How probable it must be that the answer is yes: from 0 to 1.
    #[schemars(extend("minimum" = 0, "maximum" = 1))]
    pub minimum_allow_probability: f64,
}

/// What follows of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum FailureAction {
    /// The turn ends.
    Block,
    /// The call of the tool is refused, and the turn goes on.
    Deny,
    /// The message stands in the place of the answer.
    Replace,
    /// Nothing: it goes on.
    Pass,
    /// The turn ends with an error.
    Fail,
}

impl FailureAction {
    /// As it stands in a document.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Block => "block",
            Self::Deny => "deny",
            Self::Replace => "replace",
            Self::Pass => "pass",
            Self::Fail => "fail",
        }
    }
}

/// What happens then.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Failure {
    /// What is done.
    pub action: FailureAction,
    /// What is said.
    #[serde(default)]
    pub message: Option<String>,
}

impl Failure {
    const fn of(action: FailureAction) -> Self {
        Self { action, message: None }
    }

    const fn block() -> Self {
        Self::of(FailureAction::Block)
    }

    const fn fail() -> Self {
        Self::of(FailureAction::Fail)
    }
}
