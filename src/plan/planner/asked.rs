//! What the user decides before anything is planned.

use crate::plan::InEnvironment;
use std::collections::{BTreeMap, BTreeSet};

use crate::error::Problem;
use crate::kinds::Key;
use crate::manifest::declared_in::LookedAt;
use crate::manifest::set::Desired;
use crate::plan::renames::former_keys;
use crate::plan::scope::{Scope, matches, meant};

/// What the user decided.
#[derive(Debug, Clone)]
pub struct Policy {
    /// The set's name.
    pub set: String,
    /// Which of the objects that left the manifests are deleted.
    pub prune: Prune,
    /// The environment that is meant, if there are any.
    pub environment: Option<InEnvironment>,
    /// What was looked at for documents.
    pub looked_at: LookedAt,
    /// Whether everything that the set owns is deleted.
    pub destroy: bool,
    /// Which objects that exist and are not owned may be taken over.
    pub adopt: Adopt,
    /// Whether fields that changed outside of the set are left as they are.
    pub ignore_drift: bool,
    /// Whether rooms are entered, which starts them, to look at what is inside; it counts as it was
    /// last applied otherwise.
    pub enters_rooms: bool,
    /// Whether the plan is only shown, and may be made without knowing what the set owns.
    pub is_only_shown: bool,
    /// Which part of the set is meant.
    pub scope: Scope,
    /// The options that select the platform, each after a space, for command lines in hints.
    pub flags: String,
    /// Whether a set is taken over that was applied in another API, before the platform was upgraded.
    /// Nothing is pruned then.
    pub migrates: bool,
    /// Whether what that API lacks is let go of, although nobody can read or delete it any more.
    pub lets_go: bool,
    /// Whether the plan is for reading only, and is made without the secrets that are missing here.
    pub may_miss: bool,
}

impl Policy {
    /// The policy of a set without any options.
    #[must_use]
    pub fn standard(set: &str) -> Self {
        Self {
            set: set.to_owned(),
            prune: Prune::All,
            environment: None,
            looked_at: LookedAt::default(),
            destroy: false,
            adopt: Adopt::None,
            ignore_drift: false,
            enters_rooms: false,
            is_only_shown: false,
            scope: Scope::default(),
            flags: String::new(),
            migrates: false,
            lets_go: false,
            may_miss: false,
        }
    }
}

/// Which of the objects that the set owns and the manifests no longer declare are deleted.
#[derive(
    Debug,
    Clone,
    Copy,
    Default,
    PartialEq,
    Eq,
    clap::ValueEnum,
    serde::Serialize,
    serde::Deserialize,
    schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Prune {
    /// Those that were declared in a file or folder that is given now
    #[default]
    Given,
    /// All, wherever they were declared
    All,
    /// None
    None,
}

/// Which objects that exist and are not owned may be taken over.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Adopt {
    /// None.
    #[default]
    None,
    /// All that the set declares.
    All,
    /// These, as `Kind/name` with `*` and `?`.
    These(BTreeSet<String>),
}

impl Adopt {
    /// What should be taken over but is not declared.
    pub(super) fn unmatched(&self, desired: &BTreeMap<Key, Desired>) -> Vec<Problem> {
        let Self::These(names) = self else { return Vec::new() };
        // An object that will be renamed is taken over under its present name.
        let former: Vec<Key> = desired.values().flat_map(former_keys).collect();
        let keys: Vec<&Key> = desired.keys().chain(&former).collect();
        let is_declared = |name: &&String| keys.iter().any(|key| matches(name, key));
        let unknown = names.iter().filter(|name| !is_declared(name));
        unknown
            .map(|name| {
                Problem::new(format!("--adopt names `{name}`, which the manifests do not declare"))
                    .hint(meant(name, &keys))
            })
            .collect()
    }

    pub(super) fn covers(&self, key: &Key) -> bool {
        match self {
            Self::None => false,
            Self::All => true,
            Self::These(names) => names.iter().any(|name| matches(name, key)),
        }
    }
}
