//! The decision: what becomes of each object, why, and in which order.

use std::collections::{BTreeMap, BTreeSet};

use super::diff::{self, Memory};
use super::order::{self, Edge};
use super::references::{Known, Resolved};
use super::{Action, Entry, FieldChange, Inventory, Observed, Operation, Plan, State, Work};
use crate::error::Problem;
use crate::kinds::path::{FieldPath, Step};
use crate::kinds::tree::{Fingerprinter, Tree};
use crate::kinds::{Key, KindName, OWNER_ANNOTATION};
use crate::manifest::set::Desired;

/// What the user decided.
#[derive(Debug, Clone)]
pub struct Policy {
    /// The set's name.
    pub set: String,
    /// Whether what left the manifests is deleted.
    pub prune: bool,
    /// Whether everything that the set owns is deleted.
    pub destroy: bool,
    /// Which objects that exist and are not owned may be taken over.
    pub adopt: Adopt,
}

/// Which objects that exist and are not owned may be taken over.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Adopt {
    /// None.
    #[default]
    None,
    /// All that the set declares.
    All,
    /// These, as `Kind/name`.
    These(BTreeSet<String>),
}

impl Adopt {
    fn covers(&self, key: &Key) -> bool {
        match self {
            Self::None => false,
            Self::All => true,
            Self::These(names) => names.contains(&key.to_string()),
        }
    }
}

/// Why there is no plan.
#[derive(Debug, Clone)]
pub enum Refusal {
    /// The manifests are at fault.
    Manifests(Vec<Problem>),
    /// A guard refused.
    Guard(Vec<Problem>),
}

/// Decides.
///
/// # Errors
///
/// References that lead nowhere, cycles; objects that the set does not own or must not
/// delete.
pub fn plan(
    desired: &BTreeMap<Key, Desired>,
    state: &State,
    policy: &Policy,
) -> Result<Plan, Refusal> {
    let mut planner = Planner {
        desired,
        state,
        policy,
        known: Known::new(desired, state),
        operations: Vec::new(),
        by_key: BTreeMap::new(),
        guards: Vec::new(),
        faults: Vec::new(),
        plan: Plan { set: policy.set.clone(), projects: state.projects.clone(), ..Plan::default() },
    };
    for desired in desired.values() {
        planner.decide(desired);
    }
    planner.decide_leavers();
    planner.check_references();
    planner.check_deleted_rooms();
    if !planner.faults.is_empty() {
        return Err(Refusal::Manifests(planner.faults));
    }
    if !planner.guards.is_empty() {
        return Err(Refusal::Guard(planner.guards));
    }
    let edges = planner.edges();
    for operation in &mut planner.operations {
        operation.work.before = state
            .inventories
            .get(&operation.key.project)
            .and_then(|inventory| inventory.entries.get(&operation.key))
            .cloned();
    }
    let mut plan = planner.plan;
    plan.secret_ids = state
        .objects
        .iter()
        .filter(|(key, _)| key.kind == KindName::Secret)
        .filter_map(|(key, observed)| Some((key.clone(), observed.id.clone()?)))
        .collect();
    plan.operations = order::sort(planner.operations, &edges).map_err(Refusal::Manifests)?;
    Ok(plan)
}

struct Planner<'a> {
    desired: &'a BTreeMap<Key, Desired>,
    state: &'a State,
    policy: &'a Policy,
    known: Known<'a>,
    operations: Vec<Operation>,
    /// The operations of each object; of a replacement both, the delete first.
    by_key: BTreeMap<Key, Vec<usize>>,
    guards: Vec<Problem>,
    faults: Vec<Problem>,
    plan: Plan,
}

/// Whose an object is.
enum Ownership {
    Ours,
    Nobodys,
    Foreign(String),
}

impl<'a> Planner<'a> {
    fn inventory(&self, key: &Key) -> Option<&'a Inventory> {
        self.state.inventories.get(&key.project)
    }

    fn entry(&self, key: &Key) -> Option<&'a Entry> {
        self.inventory(key)?.entries.get(key)
    }

    fn fingerprinter(&self, key: &Key) -> Fingerprinter {
        self.inventory(key)
            .map_or_else(|| Fingerprinter::new(""), |inventory| inventory.fingerprinter.clone())
    }

    fn ownership(&self, key: &Key, observed: &Observed) -> Ownership {
        match &observed.owner {
            Some(owner) if *owner == self.policy.set => return Ownership::Ours,
            Some(owner) => return Ownership::Foreign(owner.clone()),
            None => {}
        }
        match self.entry(key) {
            // Another object under the same name: somebody deleted ours and made their own.
            Some(Entry { id: Some(recorded), .. })
                if observed.id.as_ref().is_some_and(|id| id != recorded) =>
            {
                Ownership::Nobodys
            }
            Some(_) => Ownership::Ours,
            None => Ownership::Nobodys,
        }
    }

    fn push(&mut self, operation: Operation) {
        self.by_key.entry(operation.key.clone()).or_default().push(self.operations.len());
        self.operations.push(operation);
    }

    fn decide(&mut self, desired: &Desired) {
        let key = &desired.key;
        let Some(observed) = self.state.objects.get(key) else {
            let reason = match self.entry(key) {
                Some(Entry { applied: Some(_), .. }) => "it was deleted behind the set's back",
                _ => "it is not on the platform",
            };
            let operation = self.create(desired, reason.to_owned());
            self.push(operation);
            return;
        };
        let adopts = match self.ownership(key, observed) {
            Ownership::Ours => false,
            Ownership::Foreign(owner) => {
                self.guard(
                    desired,
                    format!("{key} is owned by the set `{owner}`"),
                    "remove it from one of the two sets",
                );
                return;
            }
            Ownership::Nobodys if self.policy.adopt.covers(key) => true,
            Ownership::Nobodys => {
                let hint = format!("take it over with --adopt {key}, or give it another name");
                self.guard(
                    desired,
                    format!("{key} exists and is not owned by the set `{}`", self.policy.set),
                    &hint,
                );
                return;
            }
        };
        let fields = self.by_name(key, with_ignored(desired, observed));
        let mut changes = self.changes(desired, observed, &fields);
        let shape_changes = changes.len();
        changes.extend(self.owner_change(key, observed));
        let frozen: Vec<&str> = key
            .kind
            .kind()
            .immutable()
            .iter()
            .copied()
            .filter(|name| {
                changes
                    .iter()
                    .any(|change| change.path.0.first() == Some(&Step::Field((*name).to_owned())))
            })
            .collect();
        let entry = self.entry_for(desired, observed.id.clone(), &fields);
        if !adopts && changes.is_empty() {
            self.plan.unchanged += 1;
            self.plan.kept.insert(key.clone(), entry);
            return;
        }
        let operation = Operation {
            key: key.clone(),
            action: if adopts { Action::Adopt } else { Action::Update },
            replaces: false,
            reason: if adopts {
                "it exists and is taken over".to_owned()
            } else if shape_changes == 0 {
                "it does not name its set".to_owned()
            } else {
                "its fields differ".to_owned()
            },
            changes,
            waits_for: Vec::new(),
            place: Some(desired.origin.place()),
            derived_from: desired.origin.derived_from.clone(),
            fingerprint: Some(fingerprint(observed, &self.fingerprinter(key))),
            work: Work {
                secrets: self.secrets(key, &fields),
                fields: Some(fields),
                observed: Some(observed.clone()),
                entry: Some(entry),
                before: None,
            },
        };
        if frozen.is_empty() {
            self.push(operation);
        } else {
            self.replace(desired, operation, &frozen);
        }
    }

    fn create(&self, desired: &Desired, reason: String) -> Operation {
        let key = &desired.key;
        let fields = self.by_name(key, desired.fields.clone());
        let mut changes = self.field_changes(desired, None, &fields);
        // Before it exists nothing has a default either.
        changes.retain_mut(|change| {
            change.old = None;
            change.new.is_some() && !change.path.0.is_empty()
        });
        Operation {
            key: key.clone(),
            action: Action::Create,
            replaces: false,
            reason,
            changes,
            waits_for: Vec::new(),
            place: Some(desired.origin.place()),
            derived_from: desired.origin.derived_from.clone(),
            fingerprint: None,
            work: Work {
                observed: None,
                entry: Some(self.entry_for(desired, None, &fields)),
                secrets: self.secrets(key, &fields),
                fields: Some(fields),
                before: None,
            },
        }
    }

    /// A delete, then a create, because a field cannot be changed in place.
    fn replace(&mut self, desired: &Desired, update: Operation, frozen: &[&str]) {
        let key = &desired.key;
        let is_protected = desired.lifecycle.prevent_destroy
            || self.entry(key).is_some_and(|entry| entry.protected);
        let fields = frozen.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        if is_protected {
            self.guard(
                desired,
                format!("{key} would be replaced, because {fields} cannot be changed, and it is protected"),
                "take `prevent_destroy` off it first, and apply",
            );
            return;
        }
        let dependents = self.dependents(key);
        let mut reason = format!("{fields} cannot be changed in place");
        if !dependents.is_empty() {
            reason += &format!("; {} depend on it", dependents.join(", "));
        }
        self.push(Operation {
            action: Action::Delete,
            replaces: true,
            reason: reason.clone(),
            changes: Vec::new(),
            work: Work { observed: update.work.observed.clone(), ..Work::default() },
            ..update.clone()
        });
        let entry = self.entry_for(desired, None, &desired.fields);
        self.push(Operation {
            action: Action::Create,
            replaces: true,
            reason,
            fingerprint: None,
            work: Work { observed: None, entry: Some(entry), ..update.work },
            ..update
        });
    }

    fn dependents(&self, key: &Key) -> Vec<String> {
        self.desired
            .values()
            .filter(|other| {
                self.known.references(&other.key, &other.fields).iter().any(|(_, to)| match to {
                    Resolved::Object(found) => found == key,
                    _ => false,
                })
            })
            .map(|other| other.key.to_string())
            .collect()
    }

    fn field_changes(
        &self,
        desired: &Desired,
        observed: Option<&Tree>,
        fields: &Tree,
    ) -> Vec<FieldChange> {
        let fingerprinter = self.fingerprinter(&desired.key);
        let memory = Memory {
            fingerprinter: &fingerprinter,
            applied: self.entry(&desired.key).and_then(|entry| entry.applied.as_ref()),
        };
        let mut changes =
            diff::changes(desired.key.kind.kind().shape(), observed, Some(fields), memory);
        for change in &mut changes {
            change.place = desired.origin.place_of(&change.path);
        }
        changes
    }

    fn changes(&self, desired: &Desired, observed: &Observed, fields: &Tree) -> Vec<FieldChange> {
        self.field_changes(desired, Some(&observed.fields), fields)
    }

    /// The owner annotation is a field like any other, so its change is shown.
    fn owner_change(&self, key: &Key, observed: &Observed) -> Option<FieldChange> {
        let is_missing =
            key.kind.kind().carries_owner() && observed.owner.as_ref() != Some(&self.policy.set);
        is_missing.then(|| FieldChange {
            path: FieldPath::of(&["metadata", "annotations", OWNER_ANNOTATION]),
            old: observed.owner.clone().map(Tree::Text),
            new: Some(Tree::text(self.policy.set.clone())),
            place: None,
        })
    }

    fn entry_for(&self, desired: &Desired, id: Option<String>, fields: &Tree) -> Entry {
        Entry {
            id,
            applied: Some(fields.recorded(&self.fingerprinter(&desired.key))),
            protected: desired.lifecycle.prevent_destroy,
            orphan: desired.is_orphaned(),
        }
    }

    /// The fields with every secret referred to by its name, also where the manifest gives
    /// the platform's id.
    fn by_name(&self, key: &Key, mut fields: Tree) -> Tree {
        for (path, name) in self.secrets(key, &fields) {
            if let Some(leaf) = fields.at_mut(&path) {
                *leaf = Tree::text(name);
            }
        }
        fields
    }

    /// The fields whose names become ids when they are sent.
    fn secrets(&self, key: &Key, fields: &Tree) -> Vec<(FieldPath, String)> {
        self.known
            .references(key, fields)
            .into_iter()
            .filter_map(|(path, resolved)| match (path, resolved) {
                (Some(path), Resolved::Object(to)) if to.kind == KindName::Secret => {
                    Some((path, to.name))
                }
                _ => None,
            })
            .collect()
    }

    fn guard(&mut self, desired: &Desired, message: String, hint: &str) {
        let problem =
            desired.origin.document.problem_at(&FieldPath::of(&["metadata", "name"]), message);
        self.guards.push(problem.hint(hint));
    }

    /// What the set owns and no longer declares.
    fn decide_leavers(&mut self) {
        let state = self.state;
        for (key, entry) in state.inventories.values().flat_map(|inventory| &inventory.entries) {
            if !self.desired.contains_key(key) {
                self.decide_leaver(key, entry);
            }
        }
        for (key, observed) in &state.objects {
            let names_us = observed.owner.as_ref() == Some(&self.policy.set);
            if names_us && !self.desired.contains_key(key) && self.entry(key).is_none() {
                self.plan.notes.push(format!(
                    "{key} names the set `{}` as its owner, but the set's inventory does not know it; it is left alone",
                    self.policy.set
                ));
            }
        }
    }

    fn decide_leaver(&mut self, key: &Key, entry: &Entry) {
        // Gone from both sides: the inventory simply forgets it.
        let Some(observed) = self.state.objects.get(key) else { return };
        if !self.policy.prune && !self.policy.destroy {
            self.plan.kept.insert(key.clone(), entry.clone());
            return;
        }
        let (action, reason) = match self.ownership(key, observed) {
            Ownership::Foreign(owner) => {
                (Action::Release, format!("the set `{owner}` owns it now"))
            }
            Ownership::Nobodys => (Action::Release, "another object has taken its name".to_owned()),
            Ownership::Ours if entry.protected => {
                let verb = if self.policy.destroy {
                    "destroyed"
                } else {
                    "deleted, because no document declares it any more"
                };
                self.guards.push(
                    Problem::new(format!("{key} would be {verb}, and it is protected")).hint(
                        "declare it with `lifecycle: {prevent_destroy: false}` and apply first",
                    ),
                );
                return;
            }
            Ownership::Ours if entry.orphan => {
                (Action::Release, "its lifecycle says to leave it".to_owned())
            }
            Ownership::Ours if !key.kind.kind().is_deletable() => (
                Action::Release,
                format!("the platform has no call that deletes a {}", key.kind).to_lowercase(),
            ),
            Ownership::Ours if self.policy.destroy => {
                (Action::Delete, "the set is destroyed".to_owned())
            }
            Ownership::Ours => (Action::Delete, "no document declares it any more".to_owned()),
        };
        let fingerprint = fingerprint(observed, &self.fingerprinter(key));
        self.push(Operation {
            key: key.clone(),
            action,
            replaces: false,
            reason,
            changes: if action == Action::Release {
                self.disown(key, observed)
            } else {
                Vec::new()
            },
            waits_for: Vec::new(),
            place: None,
            derived_from: None,
            fingerprint: Some(fingerprint),
            work: Work { observed: Some(observed.clone()), ..Work::default() },
        });
    }

    /// An object that is released must not go on naming the set as its owner.
    fn disown(&self, key: &Key, observed: &Observed) -> Vec<FieldChange> {
        let is_named =
            key.kind.kind().carries_owner() && observed.owner.as_ref() == Some(&self.policy.set);
        let change = is_named.then(|| FieldChange {
            path: FieldPath::of(&["metadata", "annotations", OWNER_ANNOTATION]),
            old: observed.owner.clone().map(Tree::Text),
            new: None,
            place: None,
        });
        change.into_iter().collect()
    }

    /// The objects that will be gone when the plan is done.
    fn deleted(&self) -> BTreeSet<&Key> {
        self.operations
            .iter()
            .filter(|operation| operation.action == Action::Delete && !operation.replaces)
            .map(|operation| &operation.key)
            .collect()
    }

    fn check_references(&mut self) {
        let deleted = self.deleted();
        let mut faults = Vec::new();
        for desired in self.desired.values() {
            for (path, resolved) in self.known.references(&desired.key, &desired.fields) {
                let at = |message: String| {
                    let path = path.clone().unwrap_or_else(|| FieldPath::of(&["room"]));
                    desired.origin.document.problem_at(&path, message)
                };
                match resolved {
                    Resolved::Missing(message) => faults.push(at(message)),
                    Resolved::Object(to) if deleted.contains(&to) => {
                        faults.push(at(format!(
                            "{to} is deleted by this plan, and {} refers to it",
                            desired.key
                        )));
                    }
                    _ => {}
                }
            }
        }
        self.faults.extend(faults);
    }

    /// A room takes its services with it, so none of them may be somebody else's.
    fn check_deleted_rooms(&mut self) {
        let deleted = self.deleted();
        let mut guards = Vec::new();
        for room in deleted.iter().filter(|key| key.kind == KindName::Room) {
            for (key, observed) in &self.state.objects {
                let is_inside =
                    key.project == room.project && key.room.as_ref() == Some(&room.name);
                if is_inside
                    && !deleted.contains(key)
                    && !matches!(self.ownership(key, observed), Ownership::Ours)
                {
                    guards.push(
                        Problem::new(format!(
                            "{room} would be deleted, and {key} in it is not owned by the set"
                        ))
                        .hint("delete or move that service first"),
                    );
                }
            }
        }
        self.guards.extend(guards);
    }

    fn edges(&self) -> Vec<Edge> {
        let mut edges = Vec::new();
        for (index, operation) in self.operations.iter().enumerate() {
            // A replacement deletes first.
            if operation.replaces && operation.action == Action::Create {
                let halves = &self.by_key[&operation.key];
                edges.extend(
                    halves.iter().filter(|half| **half != index).map(|half| (*half, index)),
                );
            }
            // What an object will refer to must be there before it.
            if let Some(fields) = &operation.work.fields {
                for to in self.targets(&operation.key, fields) {
                    for before in self.by_key.get(&to).into_iter().flatten() {
                        if self.operations[*before].action != Action::Release {
                            edges.push((*before, index));
                        }
                    }
                }
            }
            // What an object refers to now goes away after it.
            if let Some(observed) = &operation.work.observed {
                for to in self.targets(&operation.key, &observed.fields) {
                    for after in self.by_key.get(&to).into_iter().flatten() {
                        // What keeps referring to a replaced object waits for its new half.
                        let stays =
                            self.operations[*after].replaces && operation.action != Action::Delete;
                        if self.operations[*after].action == Action::Delete && !stays {
                            edges.push((index, *after));
                        }
                    }
                }
            }
        }
        edges
    }

    fn targets(&self, key: &Key, fields: &Tree) -> Vec<Key> {
        self.known
            .references(key, fields)
            .into_iter()
            .flat_map(|(_, resolved)| match resolved {
                Resolved::Object(key) => vec![key],
                Resolved::Any(keys) => keys,
                Resolved::Missing(_) => Vec::new(),
            })
            .collect()
    }
}

/// The fields to send: what the manifest says, but what the platform has where
/// `lifecycle.ignore` says to leave a field as it is.
fn with_ignored(desired: &Desired, observed: &Observed) -> Tree {
    let mut fields = desired.fields.clone();
    for rule in &desired.lifecycle.ignore {
        let path = FieldPath::of(&rule.split('.').collect::<Vec<_>>());
        let Some((Step::Field(last), parents)) = path.0.split_last() else { continue };
        let parent = FieldPath(parents.to_vec());
        match (observed.fields.at(&path), fields.at_mut(&parent)) {
            (Some(value), Some(parent)) => parent.set(last, value.clone()),
            (None, Some(Tree::Map(parent))) => {
                parent.shift_remove(last);
            }
            _ => {}
        }
    }
    fields
}

/// What tells two states of one object apart.
fn fingerprint(observed: &Observed, fingerprinter: &Fingerprinter) -> String {
    fingerprinter.of(&observed.fields.recorded(fingerprinter).to_string())
}
