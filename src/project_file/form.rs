//! *Pure*: the fields of a project file.

use std::path::PathBuf;

use clap::ValueEnum;
use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::ci::CiForm;
use crate::api::spoken::Spoken;

/// `meshagent.yaml`: what a folder's manifests are applied to, and how.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Form {
    /// The version of the form.
    pub version: Version,
    /// The manifests: a file or folder, or several, relative to this file. Without it, `manifests`.
    #[serde(default)]
    pub manifests: Option<OneOrMore>,
    /// The name of the set. Without it, `default`.
    #[serde(default)]
    pub set: Option<String>,
    /// The environment that is meant where none is named.
    #[serde(default)]
    pub default: Option<String>,
    /// Values for templates in every environment.
    #[serde(default)]
    pub values: Option<Map<String, Value>>,
    /// Folders with Rego rules that every plan must pass, relative to this file.
    #[serde(default)]
    pub policies: Option<Vec<PathBuf>>,
    /// What `promote` takes from one environment to another: names of values and paths of fields,
    /// with `*` and `?`. Without it, images, versions, tags and digests, by their names.
    #[serde(default)]
    pub promote: Option<Vec<String>>,
    /// What continuous integration does with the set.
    #[serde(default)]
    pub ci: Option<CiForm>,
    /// Manifests from elsewhere, by the names that they have here. `meshagent.lock` says what each
    /// of them is, and `meshagent source update` writes it.
    #[serde(default)]
    pub sources: IndexMap<String, SourceForm>,
    /// The environments, by name.
    #[serde(default)]
    pub environments: IndexMap<String, EnvironmentForm>,
}

/// The version of a project file.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
pub enum Version {
    /// The first one.
    #[serde(rename = "v1")]
    V1,
}

/// One path or several.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum OneOrMore {
    /// One.
    One(PathBuf),
    /// Several.
    More(Vec<PathBuf>),
}

impl OneOrMore {
    /// The paths.
    #[must_use]
    pub fn paths(&self) -> Vec<PathBuf> {
        match self {
            Self::One(path) => vec![path.clone()],
            Self::More(paths) => paths.clone(),
        }
    }
}

/// One environment.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EnvironmentForm {
    /// The environment that this one is like, except for what it says itself.
    #[serde(default)]
    pub extends: Option<String>,
    /// Whether it is only there for others to extend.
    #[serde(default, rename = "abstract")]
    pub is_abstract: bool,
    /// The project, by name or id. No other project is planned for or written to.
    #[serde(default)]
    pub project: Option<String>,
    /// The URL of the platform. The credential of the environment variables is sent to it only if
    /// `MESHAGENT_API_URL` or `--api-url` names it, too.
    #[serde(default)]
    pub api_url: Option<String>,
    /// Whether the platform is the embedded one, or the folder of its data, relative to this file.
    #[serde(default)]
    pub embedded: Option<Embedded>,
    /// The API that the platform speaks, `"0.31"` or `"0.56"`, where it does not say so itself or
    /// speaks both.
    #[serde(default, deserialize_with = "release")]
    #[schemars(schema_with = "releases")]
    pub dialect: Option<Spoken>,
    /// The manifests, in the place of those of the project file.
    #[serde(default)]
    pub manifests: Option<OneOrMore>,
    /// The name of the set, in the place of that of the project file.
    #[serde(default)]
    pub set: Option<String>,
    /// Files of values for templates, relative to this file.
    #[serde(default)]
    pub values_files: Option<Vec<PathBuf>>,
    /// Values for templates; they go before those of the files.
    #[serde(default)]
    pub values: Option<Map<String, Value>>,
    /// Fields of documents, by `Kind/name` and field path, in the place of what the manifests say;
    /// `null` takes a field out. Paths of files are relative to the manifest.
    #[serde(default)]
    pub overrides: Option<IndexMap<String, Map<String, Value>>>,
    /// Where the values of secrets come from, by the name of the secret and the name of the value.
    #[serde(default)]
    pub secrets: Option<IndexMap<String, Map<String, Value>>>,
    /// Documents that are not part of this environment: `Kind/name` with `*` and `?`.
    #[serde(default)]
    pub without: Option<Vec<String>>,
    /// What is different of sources, by their names.
    #[serde(default)]
    pub sources: IndexMap<String, SourceChange>,
    /// More folders with Rego rules, relative to this file.
    #[serde(default)]
    pub policies: Option<Vec<PathBuf>>,
    /// What is refused in a plan.
    #[serde(default)]
    pub guards: Option<GuardsForm>,
    /// Who must approve a saved plan before it is applied.
    #[serde(default)]
    pub approvals: Option<ApprovalsForm>,
}

/// A source: a folder of manifests in a Git repository, an archive or a registry. Exactly one of
/// `git`, `archive` and `oci` says where it is.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SourceForm {
    /// A Git repository: `https://…`, `ssh://…`, `git@host:path`, or its folder.
    #[serde(default)]
    pub git: Option<String>,
    /// The tag, branch or commit of the repository. Without it, what it has checked out.
    #[serde(default, rename = "ref")]
    pub reference: Option<String>,
    /// An archive, `tar`, `tar.gz` or `zip`: `https://…`, or its file.
    #[serde(default)]
    pub archive: Option<String>,
    /// The digest of the archive, so that a lock can hold no other.
    #[serde(default)]
    pub sha256: Option<String>,
    /// An artifact in a registry that is one archive: `HOST/NAME:TAG` or `HOST/NAME@sha256:…`.
    #[serde(default)]
    pub oci: Option<String>,
    /// The folder in it. Without it, all of it.
    #[serde(default)]
    pub path: Option<String>,
    /// Values for its templates. No other values reach them.
    #[serde(default)]
    pub values: Option<Map<String, Value>>,
    /// Fields of its documents, by `Kind/name` and field path, in the place of what they say.
    #[serde(default)]
    pub overrides: Option<IndexMap<String, Map<String, Value>>>,
    /// The environment variables that it may read: those of its secrets, and for its templates
    /// those that `--allow-env` names, too.
    #[serde(default)]
    pub allow_env: Vec<String>,
    /// Whether its secrets may be the output of commands, where `--allow-commands` is given, too.
    #[serde(default)]
    pub allow_commands: bool,
    /// Whether texts in it may be decrypted with the user's age identity.
    #[serde(default)]
    pub allow_age: bool,
}

/// What is different of a source in an environment.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SourceChange {
    /// Another tag, branch or commit.
    #[serde(default, rename = "ref")]
    pub reference: Option<String>,
    /// Another archive.
    #[serde(default)]
    pub archive: Option<String>,
    /// The digest of that archive.
    #[serde(default)]
    pub sha256: Option<String>,
    /// Another artifact.
    #[serde(default)]
    pub oci: Option<String>,
    /// More values, which go before those of the source.
    #[serde(default)]
    pub values: Option<Map<String, Value>>,
    /// More fields of its documents, which go before those of the source.
    #[serde(default)]
    pub overrides: Option<IndexMap<String, Map<String, Value>>>,
}

/// An API by its release, which YAML takes for a number where it is not quoted.
fn release<'de, D: serde::Deserializer<'de>>(given: D) -> Result<Option<Spoken>, D::Error> {
    let written = match Value::deserialize(given)? {
        Value::Null => return Ok(None),
        Value::Number(number) => number.to_string().into(),
        other => other,
    };
    serde_json::from_value(written).map(Some).map_err(serde::de::Error::custom)
}

/// The schema of that: an API as a text, or as the number that YAML reads.
fn releases(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    let texts = Spoken::value_variants().iter().map(ToString::to_string);
    let both =
        texts.flat_map(|text| [text.parse::<f64>().ok().map(Value::from), Some(text.into())]);
    let all: Vec<Value> = both.flatten().chain([Value::Null]).collect();
    schemars::json_schema!({ "enum": all })
}

/// Whether the platform is the embedded one.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Embedded {
    /// Whether it is, with its data in `.meshagent/embedded` beside the project file.
    Is(bool),
    /// It is, with its data in this folder.
    In(PathBuf),
}

/// Who must approve a saved plan before it is applied.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ApprovalsForm {
    /// How many people, at most 100. `--require-approvals` can demand more of them.
    pub required: u16,
    /// The file, or files, with the people whose approvals count, relative to this file.
    pub approvers: OneOrMore,
}

/// What is refused in a plan.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GuardsForm {
    /// How many objects may be deleted or replaced, unless `--allow-deletes` says otherwise.
    #[serde(default)]
    pub allow_deletes: Option<usize>,
    /// Which objects are deleted after they left the manifests: `given`, `all` or `none`.
    #[serde(default)]
    pub prune: Option<String>,
}
