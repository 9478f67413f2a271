//! The plan as a JSON document, with a published schema (`schemas/plan.json`). It holds no
//! secret: where a field is one, it says so.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use super::{Action, Cause, Counts, Operation, Plan};
use crate::error::Place;
use crate::kinds::Key;
use crate::kinds::tree::Tree;

/// A plan.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(title = "MeshAgent plan")]
pub struct PlanDocument {
    /// The version of this document's form.
    pub version: u32,
    /// The program that made it, with its version.
    pub tool: String,
    /// The set's name.
    pub set: String,
    /// The platform's base URL.
    pub platform: String,
    /// The projects by name, with their ids; `null` for one that the plan creates.
    pub projects: BTreeMap<String, Option<String>>,
    /// SHA-256 of the rendered manifests, as hex.
    pub digest: String,
    /// How many operations there are of each sort.
    pub counts: Counts,
    /// The operations in an order in which they can be done.
    pub operations: Vec<OperationDocument>,
    /// What the user should know and need not act on.
    pub notes: Vec<String>,
}

/// One operation on one object.
#[derive(Debug, Serialize, JsonSchema)]
pub struct OperationDocument {
    /// The object, as it is shown.
    pub address: String,
    /// The object.
    pub key: Key,
    /// What becomes of it.
    pub action: Action,
    /// Whether it is one half of a replacement.
    pub replaces: bool,
    /// Why.
    pub reason: String,
    /// The fields that change.
    pub changes: Vec<ChangeDocument>,
    /// The positions of the operations that must be done before.
    pub waits_for: Vec<usize>,
    /// Where the object is declared.
    pub place: Option<Place>,
    /// What a placed template made it from.
    pub derived_from: Option<String>,
    /// The fingerprint of the object that was observed; `null` when there was none.
    pub fingerprint: Option<String>,
}

/// One field that changes.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ChangeDocument {
    /// The field, such as `container.environment[name=TOKEN].value`.
    pub path: String,
    /// What it is now; absent when it is not there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub old: Option<Value>,
    /// What it will be; absent when it goes away.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub new: Option<Value>,
    /// Where the manifest says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub place: Option<Place>,
    /// Who made the difference; absent where nothing was applied before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<Cause>,
}

impl PlanDocument {
    /// The document of a plan.
    #[must_use]
    pub fn of(plan: &Plan) -> Self {
        Self {
            version: 1,
            tool: concat!("meshagent ", env!("CARGO_PKG_VERSION")).to_owned(),
            set: plan.set.clone(),
            platform: plan.platform.clone(),
            projects: plan
                .projects
                .iter()
                .map(|(name, project)| (name.clone(), project.id.clone()))
                .collect(),
            digest: plan.digest.clone(),
            counts: plan.counts(),
            operations: plan
                .operations
                .iter()
                .map(|operation| document_of(plan, operation))
                .collect(),
            notes: plan.notes.clone(),
        }
    }
}

fn document_of(plan: &Plan, operation: &Operation) -> OperationDocument {
    OperationDocument {
        address: plan.address(&operation.key),
        key: operation.key.clone(),
        action: operation.action,
        replaces: operation.replaces,
        reason: operation.reason.clone(),
        changes: operation
            .changes
            .iter()
            .map(|change| ChangeDocument {
                path: change.path.to_string(),
                old: change.old.as_ref().map(Tree::redacted),
                new: change.new.as_ref().map(Tree::redacted),
                place: change.place.clone(),
                cause: change.cause,
            })
            .collect(),
        waits_for: operation.waits_for.clone(),
        place: operation.place.clone(),
        derived_from: operation.derived_from.clone(),
        fingerprint: operation.fingerprint.clone(),
    }
}
