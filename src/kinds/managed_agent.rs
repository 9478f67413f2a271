//! `kind: ManagedAgent`. An agent that the platform runs itself, without a container.

use std::sync::LazyLock;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::document::{AnnotatedMetadata, Lifecycle};
use super::path::{FieldPath, Step};
use super::shape::{Broken, Shape};
use super::tree::Tree;
use super::{
    By, Declared, Fault, Key, Kind, KindName, NameRule, Purpose, Reference, ReferredTo, Relation,
    kind_tag, typed,
};
use crate::kinds::specs::Version;
use crate::kinds::specs::managed_agent::Configuration;
use crate::kinds::specs::rules::Rule;

kind_tag!(ManagedAgentTag, ManagedAgent);

/// A managed agent: one that the platform runs itself, without a container.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(title = "ManagedAgent", deny_unknown_fields)]
struct ManagedAgentDocument {
    /// Always `v1`.
    version: Version,
    /// Always `ManagedAgent`.
    kind: ManagedAgentTag,
    /// The agent's name, unique in its project; case makes no difference.
    metadata: AnnotatedMetadata,
    /// The project, by name or id.
    #[serde(default)]
    project: Option<String>,
    /// What the agent is.
    #[serde(flatten)]
    configuration: Configuration,
    /// How the reconciler treats it.
    #[serde(default)]
    lifecycle: Option<Lifecycle>,
}

static SHAPE: LazyLock<Shape> =
    LazyLock::new(|| super::own_fields::<ManagedAgentDocument>(&["metadata.description"]));

/// The kind.
pub struct ManagedAgent;

impl Kind for ManagedAgent {
    fn name(&self) -> KindName {
        KindName::ManagedAgent
    }

    fn summary(&self) -> &'static str {
        "a managed agent: one that the platform runs itself, without a container"
    }

    fn document_schema(&self, generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        generator.root_schema_for::<ManagedAgentDocument>()
    }

    fn example(&self) -> &'static str {
        include_str!("examples/managed_agent.yaml")
    }

    fn shape(&self) -> &'static Shape {
        &SHAPE
    }

    fn declare(&self, written: &Value) -> Result<Vec<Declared>, Vec<Fault>> {
        let document: ManagedAgentDocument = typed(written)?;
        sound(&document.configuration)?;
        Ok(vec![Declared {
            project: document.project,
            room: None,
            name: self.natural_name(&document.metadata.name),
            fields: fields_of(written),
            lifecycle: document.lifecycle.unwrap_or_else(Lifecycle::standard),
        }])
    }

    fn natural_name(&self, name: &str) -> String {
        name.trim().to_lowercase()
    }

    fn is_for_secrets(&self) -> bool {
        true
    }

    fn relations(&self) -> &'static [Relation] {
        &[
            Relation { to: KindName::AccountSecret, by: By::Id },
            Relation { to: KindName::ServiceAccount, by: By::Email },
        ]
    }

    /// The account that it acts for, by its name or address, and secrets of accounts, as
    /// `ACCOUNT/NAME` or by their ids.
    fn references(&self, fields: &Tree) -> Vec<Reference> {
        let mut found = Vec::new();
        fields.clone().rewrite_leaves(&mut |way, leaf| {
            let name = leaf.as_str()?.to_owned();
            let path = way.path();
            let is_of = |names: [&str; 2]| {
                let names = names.map(|name| Step::Field(name.to_owned()));
                path.0.ends_with(&names)
            };
            let kind = match () {
                () if is_of(["secret", "id"]) => KindName::AccountSecret,
                () if path == FieldPath::of(&["run_as", "email"]) => KindName::ServiceAccount,
                () => return None,
            };
            let to = ReferredTo::Object { kind, name, purpose: Purpose::Whole };
            found.push(Reference { path, to });
            None
        });
        found
    }

    fn takes_access(&self, _key: &Key, _before: &Tree, after: Option<&Tree>) -> bool {
        after.is_none()
    }

    /// A path names an agent.
    fn name_rule(&self) -> NameRule {
        NameRule { rule: Rule::Segment, field: None }
    }
}

fn sound(configuration: &Configuration) -> Result<(), Vec<Fault>> {
    let broken = configuration.broken();
    if broken.is_empty() { Ok(()) } else { Err(broken.into_iter().map(told).collect()) }
}

/// The fields of an agent that a document of another kind declares, as a document of this one would
/// have them.
///
/// # Errors
///
/// Everything that such a document would be refused for, each with the field at fault.
pub fn declared(written: &Value) -> Result<Tree, Vec<Fault>> {
    let mut own = written.clone();
    if let Value::Object(fields) = &mut own {
        fields.shift_remove("metadata");
    }
    sound(&typed(&own)?)?;
    Ok(fields_of(written))
}

/// What is wrong with a field, as a sentence that names it.
fn told(Broken { path, message, hint }: Broken) -> Fault {
    Fault { message: format!("`{path}` {message}"), path, hint }
}

/// Checks the form of an agent that no document declares. `written` are its fields, as a document
/// has them.
///
/// # Errors
///
/// Everything that a document would be refused for, each with the field at fault.
pub fn check(name: &str, configuration: &Configuration, written: &Value) -> Result<(), Vec<Fault>> {
    let mut broken = super::broken(&ManagedAgent, (None, name), &fields_of(written));
    broken.extend(configuration.broken());
    if broken.is_empty() { Ok(()) } else { Err(broken.into_iter().map(Fault::from).collect()) }
}

/// The fields of an agent, with the address of its account in the spelling in which platforms keep
/// it.
#[must_use]
pub fn fields_of(written: &Value) -> Tree {
    let mut fields = SHAPE.read(written);
    let path = FieldPath::of(&["run_as", "email"]);
    // The name of an account is as it is.
    let address = fields.at(&path).and_then(Tree::as_str).filter(|it| it.contains('@'));
    if let Some(email) = address {
        let plain = email.trim().to_lowercase();
        fields.put(&path, Some(Tree::text(plain)));
    }
    fields
}
