//! What becomes of what the set owns and no longer declares.

use super::{Ownership, Planner, Prune, fingerprint};
use crate::error::Problem;
use crate::kinds::path::FieldPath;
use crate::kinds::tree::Tree;
use crate::kinds::{Key, OWNER_ANNOTATION};
use crate::manifest::declared_in::Miss;
use crate::manifest::set::Desired;
use crate::plan::{Action, Entry, FieldChange, Observed, Operation, Work};

/// Why an object stays that no document declares any more.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stays {
    /// Nothing is pruned.
    NotPruned,
    /// Where it was declared was not kept.
    Unknown,
    /// What declared it, in this folder, was not looked at.
    Missed(Miss, String),
}

impl Planner<'_> {
    /// What the set owns and no longer declares.
    pub(super) fn decide_leavers(&mut self) {
        let state = self.state;
        for (key, entry) in state.inventories.values().flat_map(|inventory| &inventory.entries) {
            if !self.desired.contains_key(key) {
                self.decide_leaver(key, entry);
            }
        }
        self.tell_staying();
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
        let name = self.named_now(key);
        let is_displaced = self.renames.displaces(key);
        let observed = self.state.objects.get(key);
        let scope = &self.policy.scope;
        if !scope.is_everything()
            && !is_displaced
            && !scope.wants_leaver(key, observed.map(|observed| &*observed.fields))
        {
            self.plan.kept.insert(key.clone(), entry.clone());
            return;
        }
        // What goes with an object, or would be left without it, must be known too.
        let doubt = self.state.doubt(key).or_else(|| self.state.doubt_of_referrers(key));
        if let Some(doubt) = doubt {
            self.plan.notes.push(format!("{name} is not deleted by this run: {doubt}"));
            self.plan.kept.insert(key.clone(), entry.clone());
            return;
        }
        let Some(observed) = observed else {
            self.forget(key, entry);
            return;
        };
        let stays = self.stays(key, entry);
        if matches!(stays, Some(Stays::NotPruned)) {
            self.plan.kept.insert(key.clone(), entry.clone());
            return;
        }
        let (action, reason) = match self.ownership(key, observed) {
            Ownership::Foreign(owner) => {
                (Action::Release, format!("the set `{owner}` owns it now"))
            }
            Ownership::Nobodys if entry.is_claim_to(observed.id.as_deref()) => {
                (Action::Release, "the set never learned whether it created it".to_owned())
            }
            Ownership::Nobodys => (Action::Release, "another object has taken its name".to_owned()),
            Ownership::Ours if let Some(why) = stays => {
                *self.staying.entry(why).or_default() += 1;
                self.plan.kept.insert(key.clone(), entry.clone());
                return;
            }
            Ownership::Ours if let Some(to) = &entry.moving_to => {
                (Action::Release, format!("it is on its way to the set `{to}`"))
            }
            Ownership::Ours if self.is_protected(key, entry) => {
                let verb = if self.policy.destroy {
                    "destroyed"
                } else {
                    "deleted, because no document declares it any more"
                };
                self.guards.push(
                    Problem::new(format!("{name} would be {verb}, and it is protected")).hint(
                        "declare it with `lifecycle: {prevent_destroy: false}` and apply first",
                    ),
                );
                return;
            }
            Ownership::Ours if self.is_orphan(key, entry) => {
                (Action::Release, "its lifecycle says to leave it".to_owned())
            }
            Ownership::Ours if !key.kind.kind().is_deletable() => (
                Action::Release,
                format!("the platform has no call that deletes a {}", key.kind).to_lowercase(),
            ),
            Ownership::Ours if self.is_wanted_elsewhere(key, entry) => return,
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
            work: Work {
                secrets: match action {
                    Action::Release => self.secrets(key, &observed.fields),
                    _ => Vec::new(),
                },
                observed: Some(observed.clone()),
                ..Work::default()
            },
        });
    }

    /// What is neither declared nor on the platform leaves the inventory, and the plan says so:
    /// a list may have hidden it. What was declared where nobody looked is still known.
    fn forget(&mut self, key: &Key, entry: &Entry) {
        if self.stays(key, entry).is_some() {
            self.plan.kept.insert(key.clone(), entry.clone());
            return;
        }
        let reason = match entry.applied {
            Some(_) => "it is not on the platform any more",
            None => "it was to be created and is not on the platform",
        };
        self.push(Operation {
            key: key.clone(),
            action: Action::Release,
            replaces: false,
            reason: reason.to_owned(),
            changes: Vec::new(),
            waits_for: Vec::new(),
            place: None,
            derived_from: None,
            fingerprint: None,
            work: Work::default(),
        });
    }

    /// Why an object stays although no document declares it any more: what was not looked
    /// at is not gone.
    fn stays(&self, key: &Key, entry: &Entry) -> Option<Stays> {
        match self.policy.prune {
            _ if self.policy.destroy => return None,
            // A document that was looked at says that the object moved on.
            _ if self.former.contains(key) => return None,
            Prune::None => return Some(Stays::NotPruned),
            Prune::All => return None,
            Prune::Given => {}
        }
        let Some(file) = &entry.declared_in else { return Some(Stays::Unknown) };
        let looked_at = &self.policy.looked_at;
        let stays = |miss| Stays::Missed(miss, file.folder_beside(looked_at));
        looked_at.miss(file).map(stays)
    }

    /// Tells which objects stay, and where they are declared.
    fn tell_staying(&mut self) {
        for (why, count) in std::mem::take(&mut self.staying) {
            let (objects, are, they) = match count {
                1 => ("1 object".to_owned(), "is", "it stays"),
                count => (format!("{count} objects"), "are", "they stay"),
            };
            let them = if count == 1 { "it" } else { "them" };
            self.plan.notes.push(match why {
                Stays::NotPruned => continue,
                Stays::Unknown => format!(
                    "{objects} of this set {are} not declared, and where {they_were} declared was not kept; {they}. --prune=all deletes {them}",
                    they_were = if count == 1 { "it was" } else { "they were" },
                ),
                Stays::Missed(Miss::NotGiven, folder) => format!(
                    "{objects} of this set {are} declared in {folder}, which was not given; {they}. --prune=all deletes {them}"
                ),
                Stays::Missed(Miss::Skipped, folder) => format!(
                    "{objects} of this set {are} declared in {folder} in what was skipped; {they}. --prune=all deletes {them}"
                ),
            });
        }
    }

    fn is_protected(&self, key: &Key, entry: &Entry) -> bool {
        let declared = self.declared.get(key);
        entry.protected || declared.is_some_and(|declared| declared.lifecycle.prevent_destroy)
    }

    fn is_orphan(&self, key: &Key, entry: &Entry) -> bool {
        entry.orphan || self.declared.get(key).is_some_and(Desired::is_orphaned)
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
            cause: None,
        });
        change.into_iter().collect()
    }
}
