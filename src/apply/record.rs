//! What a run writes into the inventories: claims before the first write, what was done
//! after the last.

use std::collections::{BTreeMap, BTreeSet};

use super::execute::{Outcome, Run, locked, project_key};
use super::inventory;
use crate::error::Result;
use crate::kinds::Key;
use crate::plan::{Action, Entry, Operation};

impl Run<'_> {
    /// Before the first write in a project, its inventory says which objects are about to
    /// be created, so that a run that dies leaves nothing behind that nobody owns; and the
    /// ids of those that get another name, so that they are found under any.
    pub async fn claim(&self, project: &str) -> Result<()> {
        let Some(cell) = self.claims.get(project) else { return Ok(()) };
        cell.get_or_try_init(|| async {
            self.save(project, self.entries(project, |_, operation| claimed(operation))).await
        })
        .await
        .copied()
    }

    /// What the inventory of a project says, where `of` decides for each operation.
    async fn save(&self, project: &str, entries: BTreeMap<Key, Entry>) -> Result<()> {
        let Some(stored) = self.stored.get(project) else { return Ok(()) };
        let (id, projects) = {
            let ids = locked(&self.ids);
            let id_of = |name: &String| ids.get(&project_key(name)).cloned();
            (
                id_of(&project.to_owned()),
                self.plan.projects.keys().filter_map(id_of).collect::<BTreeSet<_>>(),
            )
        };
        let Some(id) = id else { return Ok(()) };
        let mut stored = stored.lock().await;
        // A plan need not be of all projects in which the set owns something.
        let projects = &projects | &stored.projects;
        let is_new = !stored.exists() && !entries.is_empty();
        if !is_new
            && stored.inventory.entries == entries
            && (entries.is_empty() || stored.projects == projects)
        {
            return Ok(());
        }
        stored.projects = projects;
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
            let key = operation.work.kept_as.as_ref().unwrap_or(&operation.key);
            match of(index, operation) {
                Some(entry) => entries.insert(key.clone(), entry),
                None => entries.remove(key),
            };
        }
        entries
    }

    /// Writes what was done.
    pub async fn record(&self, outcomes: &[Outcome]) -> Result<()> {
        for project in self.stored.keys() {
            let entries = self.entries(project, |index, operation| {
                match (&outcomes[index], operation.action) {
                    (Outcome::Done, _) => operation.work.entry.clone().map(|entry| {
                        let id =
                            locked(&self.ids).get(&operation.key).cloned().or(entry.id.clone());
                        Entry { id, ..entry }
                    }),
                    // It may have been created all the same, so the claim stays.
                    (Outcome::Failed { refused: false, .. }, Action::Create | Action::Rename) => {
                        claimed(operation)
                    }
                    // What did not happen leaves the inventory as it was before this run.
                    _ => operation.work.before.clone(),
                }
            });
            self.save(project, entries).await?;
        }
        Ok(())
    }
}

/// What the inventory says of an object before it is known whether its operation was done.
fn claimed(operation: &Operation) -> Option<Entry> {
    let work = &operation.work;
    let claim = || Some(Entry { applied: None, ..work.entry.clone()? });
    match operation.action {
        Action::Create => Some(Entry { id: None, ..claim()? }),
        Action::Rename => work.before.clone().or_else(|| {
            let was = work.renamed_from.as_ref().map(|former| former.name.clone());
            Some(Entry { was, moved_from: None, ..claim()? })
        }),
        _ => work.before.clone().or_else(|| work.entry.clone()),
    }
}
