//! What a run writes into the inventories: claims before the first write, what was done
//! after the last.

use std::collections::{BTreeMap, BTreeSet};

use super::execute::{Outcome, Run, locked};
use super::history::After;
use super::inventory;
use crate::error::Result;
use crate::kinds::Key;
use crate::kinds::document::FormerNames;
use crate::plan::{Action, Effect, Entry, Operation};

/// When an inventory is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Before the first write to the platform.
    Claimed,
    /// After the last one.
    Done,
    /// After the last one, and all was done.
    Complete,
}

impl Run<'_> {
    /// Before the first write in a project, its inventory says which objects are about to
    /// be created, so that a run that dies leaves nothing behind that nobody owns; and the
    /// ids of those that get another name, so that they are found under any.
    pub async fn claim(&self, project: &str) -> Result<()> {
        let Some(cell) = self.claims.get(project) else { return Ok(()) };
        cell.get_or_try_init(|| async {
            let of = |_, operation: &Operation| match self.takes_back_first(operation) {
                true => begun(operation),
                false => claimed(operation),
            };
            self.save(project, self.entries(project, of), &self.owned(of), Stage::Claimed).await
        })
        .await
        .copied()
    }

    /// The projects of the plan in which the set owns something, where `of` decides for each
    /// operation. More may have been looked at.
    fn owned(&self, of: impl Fn(usize, &Operation) -> Option<Entry>) -> BTreeSet<&str> {
        let is_owned = |project: &&str| !self.entries(project, &of).is_empty();
        self.plan.projects.keys().map(String::as_str).filter(is_owned).collect()
    }

    /// Writes the inventory of a project, with new seals once it is done; `owned` are the
    /// projects of the plan in which the set owns something.
    async fn save(
        &self,
        project: &str,
        entries: BTreeMap<Key, Entry>,
        owned: &BTreeSet<&str>,
        stage: Stage,
    ) -> Result<()> {
        let Some(stored) = self.stored.get(project) else { return Ok(()) };
        let (id, seen, owned) = {
            let ids = locked(&self.ids);
            let id_of = |name: &str| ids.get(&Key::of_project(name)).cloned();
            let seen = self.plan.projects.keys().filter_map(|name| id_of(name));
            let owned = owned.iter().filter_map(|name| id_of(name));
            (id_of(project), seen.collect::<BTreeSet<_>>(), owned.collect::<BTreeSet<_>>())
        };
        let Some(id) = id else { return Ok(()) };
        let mut stored = stored.lock().await;
        // A set is taken over once all of it is.
        let is_settled = stage == Stage::Complete && stored.inventory.is_of_other_api;
        stored.inventory.is_of_other_api &= !is_settled;
        let is_over = stage != Stage::Claimed;
        // A plan need not be of all projects in which the set owns something.
        let unseen = &stored.projects - &seen;
        let projects = &owned | &unseen;
        if is_over && entries.is_empty() && stored.exists() {
            stored.projects = projects;
            return inventory::retire(self.client, &self.plan.set, &id, &mut stored).await;
        }
        let is_new = !stored.exists() && !entries.is_empty();
        if !is_new
            && !is_settled
            && stored.inventory.entries == entries
            && (entries.is_empty() || stored.projects == projects)
        {
            return match stage {
                // What is written does not show it, so it is looked at: whoever applied the set
                // since it was planned may have written what this run would write over.
                Stage::Claimed => inventory::check(self.client, &self.plan.set, &id, &stored).await,
                Stage::Done | Stage::Complete => Ok(()),
            };
        }
        stored.projects = projects;
        if is_over {
            stored.inventory.seals = stored.inventory.sealed(&entries);
        }
        inventory::save(self.client, &self.plan.set, &id, &mut stored, entries).await
    }

    /// What the inventory says of each object: under the key that it is to have, whatever
    /// the platform calls it so far.
    fn entries(
        &self,
        project: &str,
        of: impl Fn(usize, &Operation) -> Option<Entry>,
    ) -> BTreeMap<Key, Entry> {
        let kept = self.plan.kept.iter().filter(|(key, _)| key.project == project);
        let mut entries: BTreeMap<Key, Entry> =
            kept.map(|(key, entry)| (key.clone(), entry.clone())).collect();
        for (index, operation) in self.plan.operations.iter().enumerate() {
            if operation.key.project != project {
                continue;
            }
            let key = operation.sequel.kept_as.as_ref().unwrap_or(&operation.key);
            match of(index, operation) {
                Some(entry) => entries.insert(key.clone(), entry),
                None => entries.remove(key),
            };
        }
        entries
    }

    /// The revision that a secret has after an operation that was done.
    fn revision(&self, operation: &Operation, entry: &Entry) -> Option<String> {
        if !operation.key.kind.kind().hides_values() {
            return None;
        }
        let made = locked(&self.revisions).get(&operation.key).cloned();
        // Without a write nothing changed; of a write that told none, nothing is known.
        let is_written = !matches!(operation.action(), Action::Record);
        made.or_else(|| entry.revision.clone().filter(|_| !is_written))
    }

    /// What the set owns in each project of the plan after this.
    pub fn after(&self, outcomes: &[Outcome]) -> After<'_> {
        let of = |index: usize, operation: &Operation| {
            match (&outcomes[index], operation.action()) {
                (Outcome::Done, _) => operation.entry.clone().map(|entry| {
                    let id = locked(&self.ids).get(&operation.key).cloned().or(entry.id.clone());
                    let revision = self.revision(operation, &entry);
                    entry.but(|it| (it.id, it.revision) = (id, revision))
                }),
                // It may have been created all the same, so the claim stays.
                (Outcome::Failed { refused: false, .. }, Action::Create | Action::Rename) => {
                    claimed(operation)
                }
                // It may have been taken back, which the next run makes good.
                (Outcome::Failed { refused: false, .. }, _) if self.takes_back_first(operation) => {
                    begun(operation)
                }
                // What did not happen leaves the inventory as it was before this run.
                _ => known(operation),
            }
        };
        let projects = self.plan.projects.keys().chain(self.stored.keys());
        projects.map(|project| (project.as_str(), self.entries(project, of))).collect()
    }

    /// Writes what the set owns now.
    pub async fn record(&self, after: &After<'_>, is_complete: bool) -> Result<()> {
        let stage = if is_complete { Stage::Complete } else { Stage::Done };
        let owned = after.iter().filter(|(project, entries)| {
            !entries.is_empty() && self.plan.projects.contains_key(**project)
        });
        let owned = owned.map(|(project, _)| *project).collect();
        for project in self.stored.keys() {
            let entries = after.get(project.as_str()).cloned().unwrap_or_default();
            self.save(project, entries, &owned, stage).await?;
        }
        Ok(())
    }
}

/// What the inventory says of an object before it is known whether its operation was done.
fn claimed(operation: &Operation) -> Option<Entry> {
    let claim = || Some(operation.entry.clone()?.but(|it| it.claimed = it.applied.take()));
    match &operation.effect {
        // Until the half of a replacement that deletes is done, the object is the former one.
        Effect::Create { replaces, .. } => {
            let former = operation.before.as_ref().filter(|_| *replaces);
            Some(claim()?.but(|it| it.id = former.and_then(|entry| entry.id.clone())))
        }
        Effect::Rename { former, .. } => operation.before.clone().map(unwritten).or_else(|| {
            Some(claim()?.but(|it| {
                it.was = Some(former.name.clone());
                it.moved_from = FormerNames::default();
            }))
        }),
        _ => known(operation).or_else(|| operation.entry.clone()),
    }
}

/// What the inventory says of an object before a change that takes back first what is there, and after
/// one of which it is not known how far it came: what is missing then was not taken by others.
fn begun(operation: &Operation) -> Option<Entry> {
    let wanted = operation.entry.as_ref().and_then(|entry| entry.applied.clone());
    Some(claimed(operation)?.but(|it| it.claimed = wanted))
}

/// What is known of an object that is about to be written.
fn unwritten(entry: Entry) -> Entry {
    entry.but(|it| it.revision = None)
}

/// What is known of an existing object before the run changes it: what was known, and what the
/// plan concluded. An object that was found under a claim is the one that was to be created. That
/// its former name has been dealt with must be recorded: if the run is cut off, the new owner of
/// that name would otherwise be taken for the former object.
fn known(operation: &Operation) -> Option<Entry> {
    let before = operation.before.clone()?;
    let (Action::Update | Action::Adopt | Action::Record, Some(entry)) =
        (operation.action(), &operation.entry)
    else {
        return Some(before);
    };
    Some(before.but(|it| {
        if let (None, Some(id)) = (&it.applied, &entry.id) {
            it.id = Some(id.clone());
        }
        it.moved_from = entry.moved_from.clone();
    }))
}
