//! *Pure*: what is desired and what was observed become a plan, and a plan becomes text,
//! JSON, Markdown, a unified difference or a graph.
//!
//! Must not live here: input, output, anything async, anything that knows a kind by name.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use crate::error::Place;
use crate::kinds::path::FieldPath;
use crate::kinds::tree::{Fingerprinter, Tree};
use crate::kinds::{Key, KindName};

pub mod diff;
pub mod document;
pub mod graph;
pub mod markdown;
pub mod order;
pub mod planner;
pub mod references;
pub mod text;
pub mod unified;

/// One object as the platform answered with it.
#[derive(Debug, Clone)]
pub struct Observed {
    /// The platform's id, for kinds that are addressed by one.
    pub id: Option<String>,
    /// The set that the owner annotation names.
    pub owner: Option<String>,
    /// Its fields; references by id are turned back into names.
    pub fields: Tree,
    /// What is to be sent back of the platform's answer, because this program does not know
    /// it; see [`crate::kinds::Kind::kept`].
    pub answered: Value,
}

/// What a set knows of one object that it owns.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// The platform's id, when it was known.
    pub id: Option<String>,
    /// The fields that were last applied; secrets as fingerprints. `None` while an apply
    /// that would create the object has not said that it did.
    pub applied: Option<Value>,
    /// Whether the object must not be deleted or replaced, also once its document is gone.
    pub protected: bool,
    /// Whether the object stays on the platform once its document is gone.
    pub orphan: bool,
}

/// What a set owns in one project.
#[derive(Debug, Clone)]
pub struct Inventory {
    /// The objects.
    pub entries: BTreeMap<Key, Entry>,
    /// Makes fingerprints of secrets.
    pub fingerprinter: Fingerprinter,
}

/// A project as the platform knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProjectState {
    /// The platform's id; `None` for a project that the plan creates.
    pub id: Option<String>,
}

/// Everything that was read before deciding.
#[derive(Debug, Clone, Default)]
pub struct State {
    /// The projects that the set touches, by name.
    pub projects: BTreeMap<String, ProjectState>,
    /// The objects.
    pub objects: BTreeMap<Key, Observed>,
    /// What the set owns, by project.
    pub inventories: BTreeMap<String, Inventory>,
}

/// What becomes of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// It is created.
    Create,
    /// Some of its fields are changed.
    Update,
    /// It exists, and the set takes it over.
    Adopt,
    /// It is deleted.
    Delete,
    /// It stays on the platform, and the set no longer owns it.
    Release,
}

/// One field that changes.
#[derive(Debug, Clone, PartialEq)]
pub struct FieldChange {
    /// The field.
    pub path: FieldPath,
    /// What it is now; absent when it is not there.
    pub old: Option<Tree>,
    /// What it will be; absent when it goes away.
    pub new: Option<Tree>,
    /// Where the manifest says so.
    pub place: Option<Place>,
}

/// One operation on one object.
#[derive(Debug, Clone)]
pub struct Operation {
    /// The object.
    pub key: Key,
    /// What becomes of it.
    pub action: Action,
    /// Whether it is one half of a replacement: a delete, then a create.
    pub replaces: bool,
    /// Why.
    pub reason: String,
    /// The fields that change.
    pub changes: Vec<FieldChange>,
    /// The operations, by their position in the plan, that must be done before it.
    pub waits_for: Vec<usize>,
    /// Where the object is declared.
    pub place: Option<Place>,
    /// What a placed template made it from.
    pub derived_from: Option<String>,
    /// The fingerprint of the object that was observed; `None` when there was none.
    pub fingerprint: Option<String>,
    /// What the executor works with.
    pub work: Work,
}

/// What the executor needs to perform an operation, as the planner decided it.
#[derive(Debug, Clone, Default)]
pub struct Work {
    /// The fields to send; secrets are referred to by name.
    pub fields: Option<Tree>,
    /// The object as it was observed.
    pub observed: Option<Observed>,
    /// What the inventory will say of the object; `None` when it will not be in it.
    pub entry: Option<Entry>,
    /// What the inventory says of the object before the plan.
    pub before: Option<Entry>,
    /// The references whose names become ids before the fields are sent.
    pub secrets: Vec<(FieldPath, String)>,
}

/// What is to be done, in an order in which it can be done.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    /// The set's name.
    pub set: String,
    /// The platform's base URL.
    pub platform: String,
    /// SHA-256 of the rendered manifests.
    pub digest: String,
    /// The projects, by name.
    pub projects: BTreeMap<String, ProjectState>,
    /// The operations; each waits only for earlier ones.
    pub operations: Vec<Operation>,
    /// How many objects are as they should be.
    pub unchanged: usize,
    /// What the user should know and need not act on.
    pub notes: Vec<String>,
    /// What the inventories will say of objects that no operation touches.
    pub kept: BTreeMap<Key, Entry>,
    /// The ids of the secrets that are on the platform, to be referred to.
    pub secret_ids: BTreeMap<Key, String>,
}

/// How many operations a plan has of each sort.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Counts {
    /// Objects that are created.
    pub create: usize,
    /// Objects that are changed.
    pub update: usize,
    /// Objects that are deleted and created again.
    pub replace: usize,
    /// Objects that the set takes over.
    pub adopt: usize,
    /// Objects that are deleted.
    pub delete: usize,
    /// Objects that stay and are no longer owned.
    pub release: usize,
    /// Objects that are as they should be.
    pub unchanged: usize,
}

impl Plan {
    /// Whether there is nothing to do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.operations.is_empty()
    }

    /// How many operations there are of each sort; a replacement counts once.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let mut counts = Counts { unchanged: self.unchanged, ..Counts::default() };
        for operation in &self.operations {
            match (operation.action, operation.replaces) {
                (Action::Create, true) => counts.replace += 1,
                (Action::Delete, true) => {}
                (Action::Create, false) => counts.create += 1,
                (Action::Update, _) => counts.update += 1,
                (Action::Adopt, _) => counts.adopt += 1,
                (Action::Delete, false) => counts.delete += 1,
                (Action::Release, _) => counts.release += 1,
            }
        }
        counts
    }

    /// The kinds that the plan touches.
    #[must_use]
    pub fn kinds(&self) -> BTreeSet<KindName> {
        self.operations.iter().map(|operation| operation.key.kind).collect()
    }

    /// The object's name as it is shown: with its project when the plan has several.
    #[must_use]
    pub fn address(&self, key: &Key) -> String {
        if self.projects.len() > 1 && key.kind != KindName::Project {
            format!("{key} in {}", key.project)
        } else {
            key.to_string()
        }
    }
}

impl Counts {
    /// One sentence: `2 to create, 1 to delete, 5 unchanged`.
    #[must_use]
    pub fn sentence(&self) -> String {
        let parts: Vec<String> = [
            (self.create, "to create"),
            (self.update, "to update"),
            (self.replace, "to replace"),
            (self.adopt, "to adopt"),
            (self.delete, "to delete"),
            (self.release, "to release"),
            (self.unchanged, "unchanged"),
        ]
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!("{count} {what}"))
        .collect();
        if parts.is_empty() { "nothing to do".to_owned() } else { parts.join(", ") }
    }
}
