//! *Pure*: what is desired and what was observed become a plan, and a plan becomes text,
//! JSON, Markdown, a unified difference or a graph.
//!
//! Must not live here: input, output, anything async, anything that knows a kind by name.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::{Place, Problem};
use crate::kinds::document::FormerNames;
use crate::kinds::path::FieldPath;
use crate::kinds::recorded::Recorded;
use crate::kinds::tree::Tree;
use crate::kinds::{Asked, By, Key, KindName};
use crate::manifest::brought::Brought;
use crate::manifest::declared_in::DeclaredIn;
use crate::visible;

use self::fingerprints::Fingerprints;

pub mod acceptance;
pub mod derived;
pub mod diff;
pub mod document;
pub mod fingerprints;
pub mod graph;
pub mod guards;
pub mod ignored;
pub mod markdown;
pub mod naming;
pub mod order;
pub mod planner;
pub mod policy;
pub mod references;
pub mod renames;
pub mod scope;
pub mod shown;
pub mod suggestion;
pub mod summed;
pub mod text;
pub mod transfer;
pub mod unified;
pub mod warnings;

/// One object as the platform answered with it.
#[derive(Clone)]
pub struct Observed {
    /// The platform's id, for kinds that are addressed by one.
    pub id: Option<String>,
    /// The set that the owner annotation names.
    pub owner: Option<String>,
    /// Its fields; references by id are turned back into names. Where they are just what
    /// the set wants, both hold the same tree.
    pub fields: Arc<Tree>,
    /// What is to be sent back of the platform's answer, because this program does not know
    /// it; see [`crate::kinds::Kind::kept`].
    pub answered: Value,
    /// Its revision, where the platform tells it in a list.
    pub revision: Option<String>,
    /// What the platform calls it, where it was looked up alone.
    pub called: Option<String>,
}

impl fmt::Debug for Observed {
    /// Without the answer, in which secrets stand as they are.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Observed")
            .field("id", &self.id)
            .field("owner", &self.owner)
            .field("fields", &self.fields)
            .finish_non_exhaustive()
    }
}

/// What a set knows of one object that it owns.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Entry {
    /// The platform's id, when it was known.
    pub id: Option<String>,
    /// The fields that were last applied; secrets as fingerprints. `None` while an apply
    /// that would create the object has not said that it did.
    pub applied: Option<Recorded>,
    /// The fields that it was to be created with, while `applied` is `None`.
    pub claimed: Option<Recorded>,
    /// Whether the object must not be deleted or replaced, also once its document is gone.
    pub protected: bool,
    /// Whether the object stays on the platform once its document is gone.
    pub orphan: bool,
    /// The former names that its document gave and that have been dealt with, so that the
    /// document can keep saying them.
    pub moved_from: FormerNames,
    /// The name under which documents know the object, while the platform has it under
    /// another one: a rename is under way, or somebody renamed it by hand.
    pub was: Option<String>,
    /// The fields that are left as they are on the platform, as `lifecycle.ignore` has them.
    pub ignore: Vec<String>,
    /// The files that declare the object, as far as they were looked at; none where that was
    /// not kept.
    pub declared_in: Vec<DeclaredIn>,
    /// The service that brought the object along, where a placed template did.
    pub brought: Option<Brought>,
    /// Whether it came from another set, and no document of this one has declared it since.
    pub arrived: bool,
    /// The set to which the object is on its way, so that this one leaves it alone.
    pub moving_to: Option<String>,
    /// The platform's revision of a secret after the set's last write to it, where it tells one:
    /// another one means that somebody else wrote it.
    pub revision: Option<String>,
    /// The salt of the fingerprints in it; none where there are none, or where an earlier
    /// version of this program made them.
    pub salt: Option<String>,
}

impl Entry {
    /// Whether fingerprints are in it that an earlier version of this program made.
    #[must_use]
    pub fn is_keyed(&self) -> bool {
        let mut recorded = self.applied.iter().chain(&self.claimed);
        self.salt.is_none() && recorded.any(Recorded::may_have_secrets)
    }

    /// Whether it only says that the set was about to create an object: what is met under its
    /// key may be somebody else's.
    #[must_use]
    pub fn is_claim_to(&self, id: Option<&str>) -> bool {
        let is_known = self.id.is_some() && (id.is_none() || self.id.as_deref() == id);
        self.applied.is_none() && !is_known
    }
}

/// What a set owns in one project.
#[derive(Debug, Clone)]
pub struct Inventory {
    /// The objects.
    pub entries: BTreeMap<Key, Entry>,
    /// What makes the fingerprints of its secrets.
    pub fingerprints: Fingerprints,
    /// What tells of many secrets at once that they are as they were, by name.
    pub seals: BTreeMap<String, String>,
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
    /// The lists that could not be read whole, with the reason.
    pub incomplete: Vec<Incomplete>,
    /// The objects of which it is not known whether another set owns them, with the reason.
    pub unknown_owners: BTreeMap<Key, UnknownOwner>,
    /// The projects in which the credential may not read what the set owns.
    pub unread: BTreeSet<String>,
    /// What documents declare and another project has, of the names that are one on the whole
    /// platform.
    pub taken: BTreeSet<Key>,
    /// The names that rooms and secrets had to which documents refer, with those that they
    /// have by now.
    pub renamed: BTreeMap<Key, Key>,
    /// What the set owns in projects that no document names, by their names, where it is new
    /// in the one that documents do name: it may have come from there.
    pub left_behind: BTreeMap<String, LeftBehind>,
    /// How many objects the set owns in projects that are left alone, since just one is meant.
    pub elsewhere: BTreeMap<String, usize>,
    /// How many more projects there are of which it is not known whether the set owns something
    /// in them, where that matters.
    pub unknown_homes: usize,
}

/// What a set owns in a project that no document names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftBehind {
    /// How many objects.
    pub objects: usize,
    /// A file that was looked at and declares some of them, if it is the same file: it lies in
    /// no repository, so that another one may have its path.
    pub perhaps_from: Option<String>,
}

/// Why it is not known who owns an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownOwner {
    /// What could not be read.
    pub reason: String,
    /// What to do about it.
    pub hint: String,
}

/// A list that could not be read whole: what is not in it may exist all the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Incomplete {
    /// The kind of its objects.
    pub kind: KindName,
    /// The project.
    pub project: String,
    /// The room, for the services of one room.
    pub room: Option<String>,
    /// Why.
    pub reason: String,
    /// What to do about it.
    pub hint: String,
}

impl Incomplete {
    /// What helps where reading again may bring the whole list.
    pub const AGAIN: &str = "run the same command again";
}

/// Why a command of its own does something.
pub const ASKED_FOR: &str = "asked for";

/// Why most objects are created.
pub const NOT_THERE: &str = "it is not on the platform";

impl Incomplete {
    /// Whether an object may be in the list that was not met.
    #[must_use]
    pub fn may_hold(&self, key: &Key) -> bool {
        self.kind == key.kind && self.project == key.project && self.room == key.room
    }

    /// Whether objects may be in the list that are in another one or refer to it, and would go
    /// with it or be left without it.
    #[must_use]
    pub fn may_hold_what_refers_to(&self, key: &Key) -> bool {
        let refers = self.kind.refers_to(key.kind).is_some_and(|by| by != By::Port);
        let is_in_it = key.is_room() && self.room.as_ref() == Some(&key.name);
        // Where the rooms are not known, what is in them is not either.
        let hides_them = self.kind.is_room() && key.kind.is_referred_to_in_rooms();
        self.project == key.project && (refers || is_in_it || hides_them)
    }
}

impl State {
    /// Why it is not known what may be in an object or refer to it; `None` when it is.
    #[must_use]
    pub fn doubt_of_referrers(&self, key: &Key) -> Option<&str> {
        let mut lists = self.incomplete.iter();
        lists.find(|list| list.may_hold_what_refers_to(key)).map(|list| list.reason.as_str())
    }

    /// Why it is not known whether an object exists that was not met; `None` when it is.
    #[must_use]
    pub fn doubt(&self, key: &Key) -> Option<&Incomplete> {
        self.incomplete.iter().find(|list| list.may_hold(key))
    }
}

/// What becomes of an object.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// It is created.
    Create,
    /// Some of its fields are changed.
    Update,
    /// Just the set takes note of something, such as a new `lifecycle`; nothing is sent.
    Record,
    /// It gets another name, and may be changed with it.
    Rename,
    /// It exists, and the set takes it over.
    Adopt,
    /// It is deleted.
    Delete,
    /// It stays on the platform, and the set no longer owns it.
    Release,
}

impl fmt::Display for Action {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Create => "create",
            Self::Update => "update",
            Self::Record => "record",
            Self::Rename => "rename",
            Self::Adopt => "adopt",
            Self::Delete => "delete",
            Self::Release => "release",
        })
    }
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
    /// Who made the difference; `None` where nothing was applied before.
    pub cause: Option<Cause>,
}

impl FieldChange {
    /// Whether there may be no change: what the field is to be was not read, and something that
    /// it may be stands there.
    #[must_use]
    pub fn is_uncertain(&self) -> bool {
        self.new.as_ref().is_some_and(Tree::is_unread)
            && !matches!(self.old, None | Some(Tree::Map(_) | Tree::List(_)))
    }
}

/// A value that was not read, in a plan that is for reading only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NotRead {
    /// Where the manifest says what it is read from.
    pub place: Option<Place>,
    /// Why it was not read.
    pub reason: String,
    /// What would let it be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

impl From<Problem> for NotRead {
    fn from(problem: Problem) -> Self {
        Self { place: problem.place, reason: problem.message, hint: problem.hint }
    }
}

/// Who made a difference between a manifest and the platform.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Cause {
    /// The manifest changed since it was last applied.
    Manifest,
    /// The platform changed since then, and no manifest asked for it.
    Drift,
    /// Both changed.
    Both,
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

impl Operation {
    /// Whether there may be nothing to do: just values that were not read may differ.
    #[must_use]
    pub fn is_uncertain(&self) -> bool {
        self.action == Action::Update
            && !self.changes.is_empty()
            && self.changes.iter().all(FieldChange::is_uncertain)
    }

    /// What is done to an object, and why, with nothing more known of it.
    #[must_use]
    pub fn new(key: Key, action: Action, reason: impl Into<String>) -> Self {
        Self {
            key,
            action,
            replaces: false,
            reason: reason.into(),
            changes: Vec::new(),
            waits_for: Vec::new(),
            place: None,
            derived_from: None,
            fingerprint: None,
            work: Work::default(),
        }
    }
}

/// What the executor needs to perform an operation, as the planner decided it.
#[derive(Debug, Clone, Default)]
pub struct Work {
    /// The fields to send; secrets are referred to by name.
    pub fields: Option<Arc<Tree>>,
    /// The object as it was observed.
    pub observed: Option<Observed>,
    /// What the inventory will say of the object; `None` when it will not be in it.
    pub entry: Option<Entry>,
    /// What the inventory says of the object before the plan.
    pub before: Option<Entry>,
    /// The object's key before it was renamed.
    pub renamed_from: Option<Key>,
    /// Whether a rename changes the object's revision before this operation is its turn.
    pub follows_rename: bool,
    /// Whether an earlier operation of the plan writes the same fields to the same object.
    pub is_second: bool,
    /// The key under which the inventory keeps the object until it is gone, where another
    /// one takes its own.
    pub kept_as: Option<Key>,
    /// The references whose names become ids before the fields are sent.
    pub by_id: Vec<(FieldPath, Key)>,
    /// The platform's id, where it is known without having observed the object.
    pub id: Option<String>,
    /// What a command asks for beyond the fields.
    pub asked: Asked,
}

/// What is to be done, in an order in which it can be done.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    /// The set's name; empty where no set is meant, so that nothing becomes owned.
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
    /// The objects that were seen to be as they are declared.
    pub as_declared: BTreeSet<Key>,
    /// What the user should know and need not act on.
    pub notes: Vec<String>,
    /// What the inventories will say of objects that no operation touches.
    pub kept: BTreeMap<Key, Entry>,
    /// The ids of what is on the platform and referred to by them.
    pub ids: BTreeMap<Key, String>,
    /// Whether a scope left some of the set out.
    pub partial: bool,
    /// What makes the fingerprints of secrets, by project.
    pub fingerprints: BTreeMap<String, Fingerprints>,
    /// The projects in which it is not known what the set owns: such a plan is only shown.
    pub unread: BTreeSet<String>,
    /// Whether it is just what changed behind the set's back.
    pub is_drift: bool,
    /// The objects that the manifests change and that stay as they are for now, because of what
    /// is left alone on the platform.
    pub waiting: BTreeSet<Key>,
    /// Why it is not to be performed: it is shown, so that somebody can judge it.
    pub refused: Vec<Problem>,
    /// The values that were not read. A plan with any is for reading, not for applying.
    pub not_read: Vec<NotRead>,
}

/// How many operations a plan has of each sort.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Counts {
    /// Objects that are created.
    pub create: usize,
    /// Objects that are changed.
    pub update: usize,
    /// Objects of which just the set takes note.
    pub record: usize,
    /// Objects that get another name.
    pub rename: usize,
    /// Objects that are deleted and created again.
    pub replace: usize,
    /// Objects that the set takes over.
    pub adopt: usize,
    /// Objects that are deleted.
    pub delete: usize,
    /// Objects that stay and are no longer owned.
    pub release: usize,
    /// Objects of which just values may differ that were not read.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub may_update: usize,
    /// Objects that are as they should be.
    pub unchanged: usize,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_zero(count: &usize) -> bool {
    *count == 0
}

impl Plan {
    /// Whether there is nothing to do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.operations.is_empty()
    }

    /// Whether something is to be done, by this plan or by a later one.
    #[must_use]
    pub fn is_pending(&self) -> bool {
        !self.is_empty() || !self.waiting.is_empty()
    }

    /// What is said of the objects that wait, behind all that is counted; nothing without any.
    #[must_use]
    pub fn waits(&self) -> String {
        match self.waiting.len() {
            0 => String::new(),
            1 => "; 1 waits".to_owned(),
            count => format!("; {count} wait"),
        }
    }

    /// The projects that it writes to.
    #[must_use]
    pub fn writes_to(&self) -> BTreeSet<&str> {
        self.operations.iter().map(|operation| operation.key.project.as_str()).collect()
    }

    /// Where it writes, or would write, for people: `acme on https://…`; `None` for a plan
    /// that was made for no platform.
    #[must_use]
    pub fn target(&self) -> Option<String> {
        /// More names than these say no more than their number.
        const NAMED: usize = 5;
        let platform = match self.platform.as_str() {
            "" => return None,
            "embedded" => "the embedded platform".into(),
            url => visible::line(url),
        };
        let mut projects = self.writes_to();
        if projects.is_empty() {
            projects = self.projects.keys().map(String::as_str).collect();
        }
        let names: Vec<_> = projects.iter().take(NAMED).map(|name| visible::line(name)).collect();
        let more = if projects.len() > NAMED { ", …" } else { "" };
        Some(match names.as_slice() {
            [] => platform.into_owned(),
            [only] => format!("{only} on {platform}"),
            names => {
                format!("{} projects on {platform}: {}{more}", projects.len(), names.join(", "))
            }
        })
    }

    /// The set that will own what is written.
    #[must_use]
    pub fn owner(&self) -> Option<&str> {
        (!self.set.is_empty()).then_some(self.set.as_str())
    }

    /// How many operations there are of each sort; a replacement counts once.
    #[must_use]
    pub fn counts(&self) -> Counts {
        Counts { unchanged: self.unchanged, ..Counts::of(&self.operations) }
    }

    /// Just what changed on the platform behind the set's back: fields that drifted, and
    /// objects that were deleted. It is for reading, not for applying.
    #[must_use]
    pub fn drift(&self) -> Self {
        let drifted =
            |change: &FieldChange| matches!(change.cause, Some(Cause::Drift | Cause::Both));
        let mut position = vec![None; self.operations.len()];
        let mut operations: Vec<Operation> = Vec::new();
        for (index, operation) in self.operations.iter().enumerate() {
            let was_deleted = operation.action == Action::Create
                && !operation.replaces
                && operation.work.before.as_ref().is_some_and(|entry| entry.applied.is_some());
            let mut operation = operation.clone();
            if !was_deleted {
                operation.changes.retain(drifted);
                if operation.changes.is_empty() {
                    continue;
                }
            }
            operation.waits_for =
                operation.waits_for.iter().filter_map(|before| position[*before]).collect();
            position[index] = Some(operations.len());
            operations.push(operation);
        }
        let mut notes = self.notes.clone();
        match self.operations.len() - operations.len() {
            0 => {}
            1 => notes.push("1 operation is not shown: it is no drift".to_owned()),
            more => notes.push(format!("{more} operations are not shown: they are no drift")),
        }
        Self { operations, notes, is_drift: true, ..self.clone() }
    }

    /// How many values were not read, and what that means, as one sentence; `None` where all
    /// were.
    #[must_use]
    pub fn unread(&self) -> Option<String> {
        let (count, were, them) = match self.not_read.len() {
            0 => return None,
            1 => ("1 value".to_owned(), "was", "it"),
            more => (format!("{more} values"), "were", "them"),
        };
        Some(format!("{count} {were} not read, so what apply would do about {them} is not known."))
    }

    /// The kinds that the plan touches.
    #[must_use]
    pub fn kinds(&self) -> BTreeSet<KindName> {
        self.operations.iter().map(|operation| operation.key.kind).collect()
    }

    /// The object's name as it is shown: with its project when the plan has several.
    #[must_use]
    pub fn address(&self, key: &Key) -> String {
        if self.projects.len() > 1 && !key.is_project() {
            format!("{key} in {}", visible::line(&key.project))
        } else {
            key.to_string()
        }
    }
}

impl Counts {
    /// Counts operations; a replacement counts once, by the half that creates.
    #[must_use]
    pub fn of<'a>(operations: impl IntoIterator<Item = &'a Operation>) -> Self {
        let mut counts = Self::default();
        for operation in operations {
            match (operation.action, operation.replaces) {
                (Action::Create, true) => counts.replace += 1,
                (Action::Delete, true) => {}
                (Action::Create, false) => counts.create += 1,
                (Action::Update, _) if operation.is_uncertain() => counts.may_update += 1,
                (Action::Update, _) => counts.update += 1,
                (Action::Record, _) => counts.record += 1,
                (Action::Rename, _) => counts.rename += 1,
                (Action::Adopt, _) => counts.adopt += 1,
                (Action::Delete, false) => counts.delete += 1,
                (Action::Release, _) => counts.release += 1,
            }
        }
        counts
    }

    /// One sentence: `2 to create, 1 to delete, 5 unchanged`.
    #[must_use]
    pub fn sentence(&self) -> String {
        let parts: Vec<String> = [
            (self.create, "to create"),
            (self.update, "to update"),
            (self.may_update, "that may change"),
            (self.record, "to record"),
            (self.rename, "to rename"),
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
