//! *Pure*: what was read before anything is decided: objects, inventories, and what is not known.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use serde_json::Value;

use super::fingerprints::Fingerprints;
use crate::kinds::document::FormerNames;
use crate::kinds::recorded::Recorded;
use crate::kinds::tree::Tree;
use crate::kinds::{By, Key, KindName};
use crate::manifest::brought::Brought;
use crate::manifest::declared_in::DeclaredIn;
use crate::manifest::export::Kept;
use crate::manifest::set::Sources;

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
    /// The part of the platform's answer that is sent back, because this program does not know it;
    /// see [`crate::dialect::Spelling::sent_back`].
    pub answered: Option<Recorded>,
    /// Its revision, if the platform shows it in a list.
    pub revision: Option<String>,
    /// What the platform calls it, if it was looked up alone.
    pub called: Option<String>,
    /// Its other names, where it has several; see [`crate::dialect::Spelling::also_called`].
    pub also_called: Vec<String>,
    /// Whether nobody looked: this is how it was last applied.
    pub is_remembered: bool,
}

impl Observed {
    /// All keys that the object may be known by, beginning with the given one.
    pub fn keys<'a>(&'a self, key: &'a Key) -> impl Iterator<Item = Key> + 'a {
        let others = self.also_called.iter().map(|name| key.with_name(name.clone()));
        std::iter::once(key.clone()).chain(others)
    }

    /// What an update sends back of the platform's answer.
    #[must_use]
    pub fn sent_back(&self) -> Option<Value> {
        self.answered.as_ref().map(Recorded::value)
    }

    /// The mail address that others refer to it by, if it has one.
    #[must_use]
    pub fn email(&self) -> Option<String> {
        self.sent_back()?.get("email")?.as_str().map(str::to_owned)
    }

    /// What stands on the wire for it where others refer to it.
    pub fn handles(&self) -> impl Iterator<Item = String> {
        self.id.clone().into_iter().chain(self.email())
    }
}

impl fmt::Debug for Observed {
    /// Without the answer, which holds secrets in plain text.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Observed")
            .field("id", &self.id)
            .field("owner", &self.owner)
            .field("fields", &self.fields)
            .finish_non_exhaustive()
    }
}

/// What a set knows of one object that it owns. Most objects do not change, so an entry is held
/// once, however many plans and inventories have it.
#[derive(Clone, Default)]
pub struct Entry(Arc<Facts>);

/// What an entry says.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Facts {
    /// The platform's id, when it was known.
    pub id: Option<String>,
    /// The fields that were last applied; secrets as fingerprints. `None` while an apply
    /// that would create the object has not said that it did.
    pub applied: Option<Recorded>,
    /// The fields that it was to be created with, while `applied` is `None`. Beside `applied`, the
    /// fields that a change was to write which takes back first what is there.
    pub claimed: Option<Recorded>,
    /// Whether the object must not be deleted or replaced, also once its document is gone.
    pub protected: bool,
    /// Whether the object stays on the platform once its document is gone.
    pub orphan: bool,
    /// The former names from its document that have been dealt with, so that the document can keep
    /// them.
    pub moved_from: FormerNames,
    /// The name that documents use for the object, while the platform has another one: a rename is
    /// in progress, or somebody renamed it by hand.
    pub was: Option<String>,
    /// The fields that are left as they are on the platform, as `lifecycle.ignore` has them.
    pub ignore: Vec<String>,
    /// Whether what somebody else wrote is overwritten, as `lifecycle.overwrite` has it.
    pub overwrite: bool,
    /// Where its secrets were read from when they were last applied, by their fields; none for
    /// those that a manifest has in plain text.
    pub sources: Sources,
    /// The files that declare the object, as far as they were read; none if that was not recorded.
    pub declared_in: Vec<DeclaredIn>,
    /// The service that brought the object along, where a placed template did.
    pub brought: Option<Brought>,
    /// Whether it came from another set, and no document of this one has declared it since.
    pub arrived: bool,
    /// The set that the object is being moved to, so that this one leaves it alone.
    pub moving_to: Option<String>,
    /// The platform's revision of a secret after the set's last write to it, if the platform has
    /// one: another revision means that somebody else wrote it.
    pub revision: Option<String>,
    /// The salt of the fingerprints in it; none where there are none, or where an earlier
    /// version of this program made them.
    pub salt: Option<String>,
}

impl From<Facts> for Entry {
    fn from(facts: Facts) -> Self {
        Self(Arc::new(facts))
    }
}

impl Deref for Entry {
    type Target = Facts;

    fn deref(&self) -> &Facts {
        &self.0
    }
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.0 == other.0
    }
}

impl fmt::Debug for Entry {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(out)
    }
}

impl Entry {
    /// The same, but for what changes.
    #[must_use]
    pub fn but(mut self, change: impl FnOnce(&mut Facts)) -> Self {
        change(Arc::make_mut(&mut self.0));
        self
    }
}

impl Facts {
    /// How its set treats the object.
    #[must_use]
    pub const fn kept(&self) -> Kept {
        let Self { protected, orphan, overwrite, .. } = *self;
        Kept { is_protected: protected, is_orphaned: orphan, overwrite }
    }

    /// Whether fingerprints are in it that an earlier version of this program made.
    #[must_use]
    pub fn is_keyed(&self) -> bool {
        let mut recorded = self.applied.iter().chain(&self.claimed);
        self.salt.is_none() && recorded.any(Recorded::may_have_secrets)
    }

    /// Whether the set had the object on the platform, as far as its own runs are concerned: none of
    /// them was cut off while it took back what is there in order to write it anew.
    #[must_use]
    pub fn was_there(&self) -> bool {
        self.applied.is_some() && self.claimed.is_none()
    }

    /// Whether it only says that the set was about to create an object: what is found under its key
    /// may belong to somebody else.
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
    /// The seals, by name, each of which shows that many secrets are unchanged.
    pub seals: BTreeMap<String, String>,
    /// Whether it was written in another API than the platform speaks now, and is being taken over.
    pub is_of_other_api: bool,
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
    /// Declared objects whose names are unique on the whole platform, and which another project
    /// has.
    pub taken: BTreeSet<Key>,
    /// The fields that the platform's API cannot change in place, by kind, where they are others
    /// than the kind says.
    pub immutable: BTreeMap<KindName, &'static [&'static str]>,
    /// The kinds that the platform's API lacks, in a project of which a set is taken over that was
    /// applied in another one.
    pub unspoken: BTreeSet<KindName>,
    /// The objects of a set that is taken over of which it is not known which they are now: none is
    /// like them, or several.
    pub alike: BTreeSet<Key>,
    /// The keys that several objects have, of which nothing tells which one is meant.
    pub ambiguous: BTreeSet<Key>,
    /// What is about whoever reads this: what he may do, or himself.
    pub own: BTreeSet<Key>,
    /// The projects in which whoever reads this is an admin, where that matters: what is said of them
    /// in a room takes nothing from them.
    pub own_admin_in: BTreeSet<String>,
    /// What other sets own that goes with something that this one may delete.
    pub others_along: BTreeSet<Along>,
    /// What the sets that own objects call them, where that is another name of the object than the
    /// one under which it is known here.
    pub called_by_owners: BTreeMap<Key, Key>,
    /// The former names, used in documents, of rooms and secrets, with their present names.
    pub renamed: BTreeMap<Key, Key>,
    /// What the set owns in projects that no document names, by project, if the set is new in the
    /// project that documents do name: it may have come from there.
    pub left_behind: BTreeMap<String, LeftBehind>,
    /// How many objects the set owns in projects that are left alone, because only one is in scope.
    pub elsewhere: BTreeMap<String, usize>,
    /// How many more projects there are in which the set may own something, if that matters.
    pub unknown_homes: usize,
}

/// What somebody may do that another set owns, and that goes with an object.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Along {
    /// What it goes with.
    pub with: Key,
    /// The set that owns it.
    pub set: String,
    /// What goes.
    pub key: Key,
}

/// What a set owns in a project that no document names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftBehind {
    /// How many objects.
    pub objects: usize,
    /// A file that was read and declares some of them, if it is the same file: it is not in a
    /// repository, so another file may have its path.
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

/// A list that could not be read completely: objects that are not in it may still exist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Incomplete {
    /// The kind of its objects.
    pub kind: KindName,
    /// The project.
    pub project: String,
    /// The place, for what is in one room or belongs to one service account.
    pub room: Option<String>,
    /// Why.
    pub reason: String,
    /// What to do about it.
    pub hint: String,
}

impl Incomplete {
    /// The hint for when reading again may return the complete list.
    pub const AGAIN: &str = "run the same command again";

    /// A list that may be complete when it is read again.
    #[must_use]
    pub fn new(kind: KindName, project: &str, room: Option<&str>, reason: String) -> Self {
        let (project, room) = (project.to_owned(), room.map(str::to_owned));
        Self { kind, project, room, reason, hint: Self::AGAIN.to_owned() }
    }

    /// Whether an object that was not found may be in the list.
    #[must_use]
    pub fn may_hold(&self, key: &Key) -> bool {
        self.kind == key.kind && self.project == key.project && self.room.as_deref() == key.place()
    }

    /// Whether the list may have objects that are in the given one or refer to it, and would be
    /// deleted with it or be left without it.
    #[must_use]
    pub fn may_hold_what_refers_to(&self, key: &Key) -> bool {
        // What somebody may do there goes with it in any case.
        if self.kind.kind().is_access() {
            return false;
        }
        let refers = self.kind.refers_to(key.kind).is_some_and(|by| by != By::Port);
        let may_be_in_it = self.kind.kind().placed_in() == Some(key.kind);
        let is_in_it = may_be_in_it && self.room.as_ref() == Some(&key.name);
        // If the rooms are not known, their contents are not known either.
        let hides_them = self.kind.is_room() && key.kind.is_referred_to_in_rooms();
        self.project == key.project && (refers && !may_be_in_it || is_in_it || hides_them)
    }
}

impl State {
    /// Why it is not known what may be in an object or refer to it; `None` when it is.
    #[must_use]
    pub fn doubt_of_referrers(&self, key: &Key) -> Option<&str> {
        let mut lists = self.incomplete.iter();
        lists.find(|list| list.may_hold_what_refers_to(key)).map(|list| list.reason.as_str())
    }

    /// Why it is not known whether an object that was not found exists; `None` when it is known.
    #[must_use]
    pub fn doubt(&self, key: &Key) -> Option<&Incomplete> {
        self.incomplete.iter().find(|list| list.may_hold(key))
    }
}
