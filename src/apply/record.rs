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
    /// be created, so that a run that dies leaves nothing behind that nobody owns.
    pub async fn claim(&self, project: &str) -> Result<()> {
        let Some(cell) = self.claims.get(project) else { return Ok(()) };
        cell.get_or_try_init(|| async {
            let entries = self.entries(project, |_, operation, old| match operation.action {
                Action::Create | Action::Rename => {
                    operation.work.entry.clone().map(|entry| Entry {
                        applied: None,
                        id: operation.work.renamed_from.as_ref().and(entry.id),
                        ..entry
                    })
                }
                _ => old.cloned().or_else(|| operation.work.entry.clone()),
            });
            self.save(project, entries).await
        })
        .await
        .copied()
    }

    /// What the inventory of a project says, where `of` decides for each operation.
    async fn save(
        &self,
        project: &str,
        entries: impl Future<Output = BTreeMap<Key, Entry>>,
    ) -> Result<()> {
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
        let entries = entries.await;
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

    async fn entries(
        &self,
        project: &str,
        of: impl Fn(usize, &Operation, Option<&Entry>) -> Option<Entry>,
    ) -> BTreeMap<Key, Entry> {
        let Some(stored) = self.stored.get(project) else { return BTreeMap::new() };
        let old = stored.lock().await.inventory.entries.clone();
        let mut entries: BTreeMap<Key, Entry> = self
            .plan
            .kept
            .iter()
            .filter(|(key, _)| key.project == project)
            .map(|(key, entry)| (key.clone(), entry.clone()))
            .collect();
        for (index, operation) in self.plan.operations.iter().enumerate() {
            if operation.key.project != project {
                continue;
            }
            match of(index, operation, old.get(&operation.key)) {
                Some(entry) => entries.insert(operation.key.clone(), entry),
                None => entries.remove(&operation.key),
            };
            // Until the new name is known to be there, the former one is kept.
            if let Some(former) = &operation.work.renamed_from
                && entries.get(&operation.key).is_none_or(|entry| entry.applied.is_none())
                && let Some(entry) = old.get(former)
            {
                entries.insert(former.clone(), entry.clone());
            }
        }
        entries
    }

    /// Writes what was done.
    pub async fn record(&self, outcomes: &[Outcome]) -> Result<()> {
        for project in self.stored.keys() {
            let entries = self.entries(project, |index, operation, old| {
                match (&outcomes[index], operation.action) {
                    (Outcome::Done, _) => operation.work.entry.clone().map(|entry| {
                        let id =
                            locked(&self.ids).get(&operation.key).cloned().or(entry.id.clone());
                        Entry { id, ..entry }
                    }),
                    // It may have been created all the same, so the claim stays.
                    (Outcome::Failed { refused: false, .. }, Action::Create | Action::Rename) => {
                        old.cloned().or_else(|| {
                            operation
                                .work
                                .entry
                                .clone()
                                .map(|entry| Entry { applied: None, ..entry })
                        })
                    }
                    // What did not happen leaves the inventory as it was before this run.
                    (_, Action::Create | Action::Adopt | Action::Rename) => {
                        operation.work.before.clone()
                    }
                    _ => operation.work.before.clone().or_else(|| old.cloned()),
                }
            });
            self.save(project, entries).await?;
        }
        Ok(())
    }
}
