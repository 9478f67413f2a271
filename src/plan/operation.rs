//! *Pure*: one operation on one object: what is done to it, why, and with what.

use std::fmt;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Entry, Observed};
use crate::error::{Place, Problem};
use crate::kinds::path::FieldPath;
use crate::kinds::tree::Tree;
use crate::kinds::{Asked, Key};

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
    /// Only its inventory entry changes, for example its `lifecycle`; nothing is sent.
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
    /// Whether there may be no change: the new value of the field was not read, and the present
    /// value is one that it may be.
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
    /// What is done to it, with the data that this needs.
    pub effect: Effect,
    /// Why.
    pub reason: Reason,
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
    /// What the inventory says of the object before the plan.
    pub before: Option<Entry>,
    /// What the inventory will say of the object; `None` when it will not be in it.
    pub entry: Option<Entry>,
    /// What follows from the operations before it.
    pub sequel: Sequel,
    /// The objects that are started again after it, in the rooms that run then: they read what it
    /// changes only when they start.
    pub restarts: Vec<Key>,
    /// Whether nobody looked at the object, which is inside of a room: it counts as it was last
    /// applied.
    pub is_unseen: bool,
}

/// What is done to an object.
#[derive(Debug, Clone)]
pub enum Effect {
    /// It is created.
    Create {
        /// With these fields.
        sent: Sent,
        /// Whether it is the second half of a replacement.
        replaces: bool,
    },
    /// Some of its fields are changed.
    Update {
        /// The object.
        of: Met,
        /// To these fields.
        sent: Sent,
    },
    /// Only its inventory entry changes, for example its `lifecycle`; nothing is sent.
    Record {
        /// The object as it was observed, if it is on the platform.
        of: Option<Box<Observed>>,
        /// The fields that it has.
        fields: Option<Arc<Tree>>,
    },
    /// It gets another name, and may be changed with it.
    Rename {
        /// The object.
        of: Met,
        /// Its key so far.
        former: Key,
        /// To these fields.
        sent: Sent,
    },
    /// It exists, and the set takes it over.
    Adopt {
        /// The object.
        of: Box<Observed>,
        /// With these fields.
        sent: Sent,
    },
    /// It is deleted.
    Delete {
        /// The object.
        of: Met,
        /// Its key so far, where it was to get another one.
        former: Option<Key>,
        /// Whether it is the first half of a replacement.
        replaces: bool,
    },
    /// It stays on the platform, and the set no longer owns it.
    Release {
        /// The object as it was observed, if it is on the platform.
        of: Option<Box<Observed>>,
        /// The references that its fields have by name and that are sent by id.
        by_id: Vec<(FieldPath, Key)>,
    },
}

/// How the object that is written to is known.
#[derive(Debug, Clone, Default)]
pub enum Met {
    /// It was observed.
    Observed(Box<Observed>),
    /// By the platform's id alone.
    Id(String),
    /// By its name alone.
    #[default]
    Name,
}

impl Met {
    /// The object as it was observed.
    #[must_use]
    pub fn observed(&self) -> Option<&Observed> {
        match self {
            Self::Observed(observed) => Some(observed),
            Self::Id(_) | Self::Name => None,
        }
    }

    /// The platform's id, as far as it is known.
    #[must_use]
    pub fn id(&self) -> Option<&str> {
        match self {
            Self::Observed(observed) => observed.id.as_deref(),
            Self::Id(id) => Some(id),
            Self::Name => None,
        }
    }
}

impl From<Observed> for Met {
    fn from(observed: Observed) -> Self {
        Self::Observed(Box::new(observed))
    }
}

/// What is sent of an object.
#[derive(Debug, Clone)]
pub struct Sent {
    /// Its fields; what is sent by id is referred to by name.
    pub fields: Arc<Tree>,
    /// The references whose names become ids before the fields are sent.
    pub by_id: Vec<(FieldPath, Key)>,
    /// What a command asks for beyond the fields.
    pub asked: Asked,
}

impl Sent {
    /// Fields, with the references in them that become ids.
    #[must_use]
    pub fn new(fields: Arc<Tree>, by_id: Vec<(FieldPath, Key)>) -> Self {
        Self { fields, by_id, asked: Asked::default() }
    }
}

/// What follows for an operation from those before it.
#[derive(Debug, Clone, Default)]
pub struct Sequel {
    /// Whether a rename changes the object's revision before it is its turn.
    pub follows_rename: bool,
    /// Whether an earlier operation of the plan writes the same fields to the same object.
    pub is_second: bool,
    /// The key under which the inventory keeps the object until it is gone, where another
    /// one takes its own.
    pub kept_as: Option<Key>,
}

/// Why an operation is in a plan: a word for programs, and a sentence for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason {
    /// The word.
    pub why: Why,
    /// The sentence, without its full stop.
    pub text: String,
}

impl Reason {
    /// A reason in its own words.
    #[must_use]
    pub fn new(why: Why, text: impl Into<String>) -> Self {
        Self { why, text: text.into() }
    }
}

impl From<Why> for Reason {
    /// A reason that needs no more than the word.
    fn from(why: Why) -> Self {
        Self::new(why, why.sentence())
    }
}

/// Why an operation is in a plan, as a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Why {
    /// It is declared and not on the platform.
    NotThere,
    /// It was deleted on the platform, not by this set.
    Deleted,
    /// It replaces another object, or another object replaces it.
    InItsStead,
    /// Fields cannot be changed in place.
    Frozen,
    /// Its fields differ.
    Differs,
    /// It is not known whether its fields differ, because values were not read.
    MayDiffer,
    /// It does not say which set owns it.
    Unmarked,
    /// What the set knows of its lifecycle changes.
    Lifecycle,
    /// The set was applied in another API.
    Migrated,
    /// Its document has another name for it.
    Renamed,
    /// It was renamed on the platform, not by this set.
    RenamedByHand,
    /// Another object gets its name, so it is renamed first.
    NameWanted,
    /// It exists and is taken over.
    TakenOver,
    /// It moves from one set to another.
    Moves,
    /// It was to move, and stays.
    Stays,
    /// No document declares it any more.
    Undeclared,
    /// The set is destroyed.
    Destroyed,
    /// Another set owns it.
    OwnedElsewhere,
    /// Another object has its name now.
    NameTaken,
    /// The set does not know whether it created it.
    Unclaimed,
    /// Its lifecycle says to leave it on the platform.
    Orphaned,
    /// The platform cannot delete objects of its kind.
    Undeletable,
    /// It is not on the platform any more.
    Gone,
    /// A command asked for it.
    AskedFor,
}

impl Why {
    /// The sentence for it when there are no details.
    #[must_use]
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::NotThere => "it is not on the platform",
            Self::Deleted => "it was deleted on the platform, not by this set",
            Self::InItsStead => "another object takes its place",
            Self::Frozen => "some of its fields cannot be changed in place",
            Self::Differs => "its fields differ",
            Self::MayDiffer => "it is not known whether its fields differ",
            Self::Unmarked => "it does not name its set",
            Self::Lifecycle => "its lifecycle changes",
            Self::Migrated => "it was applied in the API that the platform spoke before",
            Self::Renamed => "it had another name",
            Self::RenamedByHand => "it was renamed on the platform, not by this set",
            Self::NameWanted => "another object gets its name",
            Self::TakenOver => "it exists and is taken over",
            Self::Moves => "it moves from another set",
            Self::Stays => "it did not move",
            Self::Undeclared => "no document declares it any more",
            Self::Destroyed => "the set is destroyed",
            Self::OwnedElsewhere => "another set owns it now",
            Self::NameTaken => "another object has taken its name",
            Self::Unclaimed => "it is not known whether the set created it",
            Self::Orphaned => "its lifecycle says to leave it",
            Self::Undeletable => "the platform has no call that deletes it",
            Self::Gone => "it is not on the platform any more",
            Self::AskedFor => "requested by this command",
        }
    }

    /// Whether the operation itself already says it.
    #[must_use]
    pub const fn goes_without_saying(self) -> bool {
        matches!(self, Self::NotThere | Self::AskedFor)
    }
}

impl Operation {
    /// An operation on an object, with its reason and without further details.
    #[must_use]
    pub fn new(key: Key, effect: Effect, reason: impl Into<Reason>) -> Self {
        Self {
            key,
            effect,
            reason: reason.into(),
            changes: Vec::new(),
            waits_for: Vec::new(),
            place: None,
            derived_from: None,
            fingerprint: None,
            before: None,
            entry: None,
            sequel: Sequel::default(),
            restarts: Vec::new(),
            is_unseen: false,
        }
    }

    /// What becomes of the object, as a word.
    #[must_use]
    pub const fn action(&self) -> Action {
        match self.effect {
            Effect::Create { .. } => Action::Create,
            Effect::Update { .. } => Action::Update,
            Effect::Record { .. } => Action::Record,
            Effect::Rename { .. } => Action::Rename,
            Effect::Adopt { .. } => Action::Adopt,
            Effect::Delete { .. } => Action::Delete,
            Effect::Release { .. } => Action::Release,
        }
    }

    /// Whether it deletes something inside of a room, which may hold what none of its fields tell.
    #[must_use]
    pub fn deletes_inside(&self) -> bool {
        self.action() == Action::Delete && self.key.kind.kind().is_inside_rooms()
    }

    /// Whether it is one half of a replacement: a delete, then a create.
    #[must_use]
    pub const fn replaces(&self) -> bool {
        matches!(
            self.effect,
            Effect::Create { replaces: true, .. } | Effect::Delete { replaces: true, .. }
        )
    }

    /// Whether it is the half of a replacement that deletes; the other half is shown for both.
    #[must_use]
    pub const fn is_first_half(&self) -> bool {
        matches!(self.effect, Effect::Delete { replaces: true, .. })
    }

    /// Whether it creates an object that does not replace another one.
    #[must_use]
    pub const fn is_new(&self) -> bool {
        matches!(self.effect, Effect::Create { replaces: false, .. })
    }

    /// Whether it deletes an object for good.
    #[must_use]
    pub const fn is_final(&self) -> bool {
        matches!(self.effect, Effect::Delete { replaces: false, .. })
    }

    /// Its place in a review: what removes most comes first.
    #[must_use]
    pub const fn rank_in_review(&self) -> u8 {
        match (self.action(), self.replaces()) {
            (Action::Delete, _) => 0,
            (_, true) => 1,
            (Action::Release, _) => 2,
            (Action::Rename, _) => 3,
            (Action::Adopt, _) => 4,
            (Action::Update, _) => 5,
            (Action::Record, _) => 6,
            (Action::Create, _) => 7,
        }
    }

    fn met(&self) -> Option<&Met> {
        match &self.effect {
            Effect::Update { of, .. } | Effect::Rename { of, .. } | Effect::Delete { of, .. } => {
                Some(of)
            }
            _ => None,
        }
    }

    /// The object as it was observed.
    #[must_use]
    pub fn observed(&self) -> Option<&Observed> {
        match &self.effect {
            Effect::Record { of, .. } | Effect::Release { of, .. } => of.as_deref(),
            Effect::Adopt { of, .. } => Some(of),
            _ => self.met()?.observed(),
        }
    }

    /// The platform's id of the object, as far as it is known before the operation.
    #[must_use]
    pub fn id(&self) -> Option<&str> {
        match self.met() {
            Some(met) => met.id(),
            None => self.observed()?.id.as_deref(),
        }
    }

    /// What is sent of the object, where that is more than its name.
    #[must_use]
    pub const fn sent(&self) -> Option<&Sent> {
        match &self.effect {
            Effect::Create { sent, .. }
            | Effect::Update { sent, .. }
            | Effect::Rename { sent, .. }
            | Effect::Adopt { sent, .. } => Some(sent),
            Effect::Record { .. } | Effect::Delete { .. } | Effect::Release { .. } => None,
        }
    }

    /// The same, to be completed.
    pub(super) const fn sent_mut(&mut self) -> Option<&mut Sent> {
        match &mut self.effect {
            Effect::Create { sent, .. }
            | Effect::Update { sent, .. }
            | Effect::Rename { sent, .. }
            | Effect::Adopt { sent, .. } => Some(sent),
            Effect::Record { .. } | Effect::Delete { .. } | Effect::Release { .. } => None,
        }
    }

    /// The references whose names become ids before fields are sent.
    #[must_use]
    pub fn by_id(&self) -> &[(FieldPath, Key)] {
        match &self.effect {
            Effect::Release { by_id, .. } => by_id,
            _ => self.sent().map_or(&[], |sent| &sent.by_id),
        }
    }

    /// The fields that the object will have, where the plan says so.
    #[must_use]
    pub fn fields(&self) -> Option<&Arc<Tree>> {
        match &self.effect {
            Effect::Record { fields, .. } => fields.as_ref(),
            _ => Some(&self.sent()?.fields),
        }
    }

    /// The object's key so far, where it gets or was to get another one.
    #[must_use]
    pub const fn former(&self) -> Option<&Key> {
        match &self.effect {
            Effect::Rename { former, .. } => Some(former),
            Effect::Delete { former, .. } => former.as_ref(),
            _ => None,
        }
    }

    /// Whether there may be nothing to do: just values that were not read may differ.
    #[must_use]
    pub fn is_uncertain(&self) -> bool {
        matches!(self.effect, Effect::Update { .. })
            && !self.changes.is_empty()
            && self.changes.iter().all(FieldChange::is_uncertain)
    }
}
