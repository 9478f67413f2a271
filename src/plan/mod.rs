//! *Pure*: what is desired and what was observed become a plan, and a plan becomes text,
//! JSON, Markdown, HTML, a unified difference or a graph.
//!
//! Must not live here: input, output, anything async, anything that knows a kind by name.

use std::collections::{BTreeMap, BTreeSet};

use crate::api::spoken::Spoken;
use crate::error::Problem;
use crate::kinds::{Key, KindName};
use crate::visible;

use self::fingerprints::Fingerprints;

mod changed;
mod counts;
pub mod derived;
pub mod diff;
pub mod document;
pub mod fingerprints;
pub mod graph;
pub mod guards;
pub mod html;
pub mod ignored;
pub mod markdown;
pub mod naming;
mod operation;
pub mod order;
pub mod ownership;
pub mod planner;
pub mod policy;
pub mod references;
pub mod renames;
pub mod restored;
pub mod scope;
pub mod shown;
mod state;
pub mod suggestion;
pub mod summed;
pub mod text;
pub mod transfer;
pub mod unified;
pub mod waits;
pub mod warnings;

pub use counts::Counts;
pub use operation::{
    Action, Cause, Effect, FieldChange, Met, NotRead, Operation, Reason, Sent, Sequel, Why,
};
pub use state::{
    Along, Entry, Facts, Incomplete, Inventory, LeftBehind, Observed, ProjectState, State,
    UnknownOwner,
};

/// The set of whoever names none.
pub const DEFAULT_SET: &str = "default";

/// What is to be done, in an order in which it can be done.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    /// The set's name; empty where no set is meant, so that nothing becomes owned.
    pub set: String,
    /// The environment that it is for, if there are any.
    pub environment: Option<InEnvironment>,
    /// The platform's base URL.
    pub platform: String,
    /// The API in which the platform was read, if it is known.
    pub api: Option<Spoken>,
    /// SHA-256 of the rendered manifests.
    pub digest: String,
    /// The projects, by name.
    pub projects: BTreeMap<String, ProjectState>,
    /// The operations; each waits only for earlier ones.
    pub operations: Vec<Operation>,
    /// How many objects are as they should be.
    pub unchanged: usize,
    /// The objects that are as they are declared.
    pub as_declared: BTreeSet<Key>,
    /// What the user should know and need not act on.
    pub notes: Vec<String>,
    /// What the inventories will say of objects that no operation touches.
    pub kept: BTreeMap<Key, Entry>,
    /// Those of them that are not on the platform. Their list may come to have them again, so the
    /// set still knows them; no state of it has them.
    pub missing: BTreeSet<Key>,
    /// The ids of what is on the platform and referred to by them.
    pub ids: BTreeMap<Key, String>,
    /// The mail addresses of what is on the platform and referred to by them.
    pub emails: BTreeMap<Key, String>,
    /// Whether a scope left some of the set out.
    pub partial: bool,
    /// What makes the fingerprints of secrets, by project.
    pub fingerprints: BTreeMap<String, Fingerprints>,
    /// The projects in which it is not known what the set owns: such a plan is only shown.
    pub unread: BTreeSet<String>,
    /// Whether it holds only what changed outside of the set.
    pub is_drift: bool,
    /// The objects whose changes in the manifests wait, because something is left alone on the
    /// platform.
    pub waiting: BTreeSet<Key>,
    /// The objects that have drift which is left alone.
    pub left_drifted: BTreeSet<Key>,
    /// Why it must not be performed; it is only shown, so that somebody can judge it.
    pub refused: Vec<Problem>,
    /// The values that were not read. A plan with any is for reading, not for applying.
    pub not_read: Vec<NotRead>,
}

/// The environment that a plan is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InEnvironment {
    /// Its name.
    pub name: String,
    /// Whether it is meant because none was named.
    pub is_default: bool,
    /// The other environments that have the same set on the same platform, each with its project,
    /// by name or id.
    pub alike: Vec<(String, String)>,
}

impl InEnvironment {
    /// How it is told.
    #[must_use]
    pub fn told(&self) -> String {
        let name = visible::line(&self.name);
        let default = if self.is_default { " (the default)" } else { "" };
        format!("environment `{name}`{default}")
    }
}

impl Plan {
    /// Whether there is nothing to do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.operations.is_empty()
    }

    /// Whether something remains to be done, by this plan or by a later one.
    #[must_use]
    pub fn is_pending(&self) -> bool {
        !self.is_empty() || !self.waiting.is_empty()
    }

    /// The text after the counts about the objects that wait, and those whose drift is left alone;
    /// empty without any.
    #[must_use]
    pub fn waits(&self) -> String {
        let waits = match self.waiting.len() {
            0 => String::new(),
            count => format!("; {count} waiting"),
        };
        match self.left_drifted.len() {
            0 => waits,
            1 => format!("{waits}; drift in 1 object ignored"),
            count => format!("{waits}; drift in {count} objects ignored"),
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
        /// More names than these are no more useful than their number.
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

    /// Only what changed on the platform outside of the set: fields that drifted, and objects that
    /// were deleted. It is for reading, not for applying.
    #[must_use]
    pub fn drift(&self) -> Self {
        let drifted =
            |change: &FieldChange| matches!(change.cause, Some(Cause::Drift | Cause::Both));
        let mut position = vec![None; self.operations.len()];
        let mut operations: Vec<Operation> = Vec::new();
        for (index, operation) in self.operations.iter().enumerate() {
            let was_deleted = operation.is_new()
                && operation.before.as_ref().is_some_and(|entry| entry.was_there());
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
            1 => notes.push("1 operation is not shown, because it is not drift".to_owned()),
            more => {
                notes.push(format!("{more} operations are not shown, because they are not drift"))
            }
        }
        Self { operations, notes, is_drift: true, ..self.clone() }
    }

    /// How many values were not read, and what that means, as one sentence; `None` where all
    /// were.
    #[must_use]
    pub fn unread(&self) -> Option<String> {
        let (count, were, changes) = match self.not_read.len() {
            0 => return None,
            1 => ("1 value".to_owned(), "was", "its change is"),
            more => (format!("{more} values"), "were", "their changes are"),
        };
        Some(format!("{count} {were} not read, so {changes} unknown."))
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
