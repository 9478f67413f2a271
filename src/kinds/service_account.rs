//! `kind: ServiceAccount`. Whoever containers act for, and the owner of secrets and API keys.

use std::sync::LazyLock;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::document::{AnnotatedMetadata, Lifecycle};
use super::path::FieldPath;
use super::shape::Shape;
use super::tree::Tree;
use super::{Declared, Fault, Key, Kind, KindName, NameRule, kind_tag, typed};
use crate::kinds::specs::Version;
use crate::kinds::specs::rules::Rule;

kind_tag!(ServiceAccountTag, ServiceAccount);

/// A service account: containers act for it, and secrets and API keys belong to it.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "ServiceAccount")]
struct ServiceAccountDocument {
    /// Always `v1`.
    version: Version,
    /// Always `ServiceAccount`.
    kind: ServiceAccountTag,
    /// The account's name, unique in its project; without `/` and `@`.
    metadata: AnnotatedMetadata,
    /// The project, by name or id.
    #[serde(default)]
    project: Option<String>,
    /// What it is for, as the platform shows it.
    #[serde(default)]
    description: Option<String>,
    /// The name that people see.
    #[serde(default)]
    display_name: Option<String>,
    /// How the reconciler treats it.
    #[serde(default)]
    lifecycle: Option<Lifecycle>,
}

static SHAPE: LazyLock<Shape> =
    LazyLock::new(|| super::own_fields::<ServiceAccountDocument>(&["metadata.description"]));

/// The kind.
pub struct ServiceAccount;

impl Kind for ServiceAccount {
    fn name(&self) -> KindName {
        KindName::ServiceAccount
    }

    fn summary(&self) -> &'static str {
        "a service account: containers act for it, and secrets belong to it"
    }

    fn document_schema(&self, generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        generator.root_schema_for::<ServiceAccountDocument>()
    }

    fn example(&self) -> &'static str {
        include_str!("examples/service_account.yaml")
    }

    fn shape(&self) -> &'static Shape {
        &SHAPE
    }

    fn declare(&self, document: &Value) -> Result<Vec<Declared>, Vec<Fault>> {
        let mut fields = SHAPE.read(document);
        // A platform has no such texts that are empty.
        for field in ["description", "display_name"] {
            if fields.get(field).and_then(Tree::as_str) == Some("") {
                fields.put(&FieldPath::of(&[field]), None);
            }
        }
        let document: ServiceAccountDocument = typed(document)?;
        Ok(vec![Declared {
            project: document.project,
            room: None,
            name: document.metadata.name,
            fields,
            lifecycle: document.lifecycle.unwrap_or_else(Lifecycle::standard),
        }])
    }

    fn takes_access(&self, _key: &Key, _before: &Tree, after: Option<&Tree>) -> bool {
        after.is_none()
    }

    fn name_rule(&self) -> NameRule {
        NameRule { rule: Rule::AccountName, field: None }
    }

    fn lost_with_name(&self) -> Option<&'static str> {
        Some(
            "the API keys of the former one stop working, and its mail address and what is not declared of its roles are not carried over",
        )
    }

    /// A mail address is that of an account, which may be another project's.
    fn may_be_elsewhere(&self, name: &str) -> bool {
        name.contains('@')
    }
}
