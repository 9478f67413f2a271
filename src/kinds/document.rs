//! What the documents of several kinds share: metadata, lifecycle, secret texts.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A document's name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Metadata {
    /// The object's name; with its kind and project it is the object's key.
    pub name: String,
    /// What it is for. Kept in the manifest only.
    #[serde(default)]
    pub description: Option<String>,
}

/// A document's name and annotations.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AnnotatedMetadata {
    /// The object's name; with its kind and project it is the object's key.
    pub name: String,
    /// What it is for. Kept in the manifest only.
    #[serde(default)]
    pub description: Option<String>,
    /// Notes for programs: text keys with text values.
    #[serde(default)]
    #[schemars(extend("x-empty" = "absent", "x-rule" = "annotations"))]
    pub annotations: Option<BTreeMap<String, String>>,
}

/// How the reconciler treats the object. Never sent to the platform.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Lifecycle {
    /// Refuse any plan that would delete or replace the object.
    pub prevent_destroy: bool,
    /// Fields, such as `container.image`, that are left as they are on the platform once
    /// the object exists.
    #[schemars(extend("maxItems" = MOST_RULES))]
    pub ignore: Vec<String>,
    /// What the object was called before: a name, or a list of names in any order. At most one
    /// of them may be on the platform. If the platform can, it renames the object in place;
    /// otherwise the object is created under its new name and the former one is deleted.
    pub moved_from: FormerNames,
    /// What happens when the document goes away.
    pub delete: OnDelete,
    /// Whether what somebody else wrote is overwritten, so that the object contains what its document
    /// says. Only for documents of rooms.
    pub overwrite: bool,
    /// Whether a placed template also creates the mailboxes, routes and scheduled tasks that
    /// it asks for. Only for services made from a template.
    #[serde(default = "crate::kinds::specs::service::yes")]
    pub derive: bool,
}

impl Lifecycle {
    /// What a document without `lifecycle` means.
    #[must_use]
    pub fn standard() -> Self {
        Self { derive: true, ..Self::default() }
    }
}

/// The names that an object had before: one, or a list of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FormerNames(pub Vec<String>);

impl FormerNames {
    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// How they are written: a single name needs no list.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum OneOrMore {
    One(String),
    More(Vec<String>),
}

impl Serialize for FormerNames {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0.as_slice() {
            [name] => OneOrMore::One(name.clone()).serialize(serializer),
            names => OneOrMore::More(names.to_vec()).serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for FormerNames {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(match OneOrMore::deserialize(deserializer)? {
            OneOrMore::One(name) => vec![name],
            OneOrMore::More(names) => names,
        }))
    }
}

impl JsonSchema for FormerNames {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "FormerNames".into()
    }
    fn inline_schema() -> bool {
        true
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": ["string", "array"],
            "items": {"type": "string"},
            "maxItems": MOST_FORMER_NAMES,
            "uniqueItems": true
        })
    }
}

/// The most fields that a document leaves as they are on the platform: each is looked for.
pub const MOST_RULES: usize = 500;

/// The most former names that a document gives: each may be looked up.
pub const MOST_FORMER_NAMES: usize = 64;

/// What happens to an object when its document goes away.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OnDelete {
    /// It is deleted.
    #[default]
    Delete,
    /// It stays, and the set no longer owns it.
    Orphan,
}

/// Where a secret's text is read from when a plan is made or applied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum SecretSource {
    /// An environment variable, by name.
    Env(String),
    /// A file, relative to the manifest; one line break at its end is dropped.
    File(String),
    /// The standard output of a command, which runs in the manifest's folder without a shell;
    /// one line break at its end is dropped.
    Command(Vec<String>),
    /// The output of `meshagent secret encrypt`, or a file that holds it.
    Age(AgeText),
}

/// A text that is encrypted with age: in place, or in a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged, deny_unknown_fields)]
pub enum AgeText {
    /// The armored text.
    Armored(String),
    /// A file that holds it.
    Beside {
        /// The file, relative to the manifest.
        file: String,
    },
}

/// Where a secret's text is read from, and what may be read there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SecretFrom {
    /// Where it is read from.
    pub from: SecretSource,
    /// Whether the text may be empty.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub allow_empty: bool,
}

impl From<SecretSource> for SecretFrom {
    fn from(from: SecretSource) -> Self {
        Self { from, allow_empty: false }
    }
}

/// Where a secret's text was read from, as far as that may be kept on the platform: the words of a
/// command and an encrypted text are not, for they may tell more than a name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ReadFrom {
    /// An environment variable, by name.
    Env(String),
    /// A file, relative to the manifest.
    File(String),
    /// The output of a command.
    Command,
    /// A text encrypted with age.
    Age,
}

impl ReadFrom {
    /// Whether it is the same kind of source.
    #[must_use]
    pub fn is_alike(&self, other: &Self) -> bool {
        std::mem::discriminant(self) == std::mem::discriminant(other)
    }
}

impl From<&SecretSource> for ReadFrom {
    fn from(source: &SecretSource) -> Self {
        match source {
            SecretSource::Env(name) => Self::Env(name.clone()),
            SecretSource::File(path) => Self::File(path.clone()),
            SecretSource::Command(_) => Self::Command,
            SecretSource::Age(_) => Self::Age,
        }
    }
}

impl std::fmt::Display for ReadFrom {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Env(name) => write!(out, "the environment variable {name}"),
            Self::File(path) => write!(out, "the file {path}"),
            Self::Command => out.write_str("a command"),
            Self::Age => out.write_str("an encrypted text"),
        }
    }
}

/// A secret's text, or where it is read from: `{from: {env: NAME}}`.
#[derive(Clone, PartialEq, Deserialize)]
#[serde(untagged)]
pub enum SecretText {
    /// The text itself.
    Text(String),
    /// Where it is read from.
    From(SecretFrom),
}

impl JsonSchema for SecretText {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "SecretText".into()
    }
    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let source = generator.subschema_for::<SecretSource>();
        schemars::json_schema!({
            "description": "the text itself, or where it is read from: {from: {env: NAME}}, {from: {file: PATH}}, {from: {command: [PROGRAM, ARGUMENT]}} or {from: {age: ENCRYPTED}}",
            "x-secret": true,
            "x-rule": "unmasked",
            "type": ["string", "object"],
            "properties": {
                "from": source,
                "allow_empty": {
                    "type": "boolean",
                    "description": "Whether the text that is read may be empty.",
                    "default": false
                }
            },
            "required": ["from"],
            "additionalProperties": false
        })
    }
}

impl From<SecretText> for super::tree::Tree {
    fn from(text: SecretText) -> Self {
        match text {
            SecretText::Text(text) => Self::secret(text),
            SecretText::From(from) => Self::Secret(super::tree::Sealed::Source(from.into())),
        }
    }
}
