//! Performs a plan: what waits for nothing runs at once, up to a limit; what waits for a
//! failed operation is skipped and says so; once stopped, nothing new starts and what runs
//! is finished. The executor decides nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

use futures_util::stream::{FuturesUnordered, StreamExt};
use serde::Serialize;
use tokio::sync::OnceCell;
use tokio_util::sync::CancellationToken;

use super::inventory::{self, Stored};
use crate::api::client::{ApiError, Client};
use crate::api::request::Request;
use crate::error::{Error, Result};
use crate::kinds::path::FieldPath;
use crate::kinds::tree::Tree;
use crate::kinds::{Key, KindName, Target};
use crate::plan::{Action, Entry, Operation, Plan};

/// How a plan is performed.
#[derive(Debug, Clone)]
pub struct Options {
    /// How many operations run at once, at least one.
    pub parallelism: usize,
    /// Cancelled when nothing new may start.
    pub stop: CancellationToken,
}

/// What is told while a plan is performed.
pub trait Progress {
    /// An operation starts.
    fn started(&self, operation: &Operation);
    /// An operation is done, or was not done for the reason given.
    fn finished(&self, operation: &Operation, outcome: &Outcome);
}

/// What became of an operation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, schemars::JsonSchema)]
#[serde(tag = "status", rename_all = "snake_case")]
pub enum Outcome {
    /// It was done.
    Done,
    /// It failed.
    Failed {
        /// What went wrong, in one line.
        message: String,
        /// Whether the platform surely did not do it.
        refused: bool,
    },
    /// It was not started, because of another that failed or was skipped.
    Skipped {
        /// That other object.
        because: String,
    },
    /// It was not started, because the run was stopped.
    NotStarted,
}

/// What became of a plan.
#[derive(Debug)]
pub struct Report {
    /// One outcome for each operation, in the order of the plan.
    pub outcomes: Vec<Outcome>,
    /// Why an inventory could not be written at the end, if one could not.
    pub inventory_error: Option<Error>,
}

impl Report {
    /// How many operations have an outcome.
    #[must_use]
    pub fn count(&self, wanted: impl Fn(&Outcome) -> bool) -> usize {
        self.outcomes.iter().filter(|outcome| wanted(outcome)).count()
    }

    /// Whether every operation was done and recorded.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.inventory_error.is_none()
            && self.outcomes.iter().all(|outcome| *outcome == Outcome::Done)
    }
}

/// Performs the plan and records in the inventories what was done.
///
/// # Errors
///
/// The inventory of a project cannot be written before the first operation, for example
/// because somebody else is applying the same set; nothing was done then.
pub async fn execute(
    client: &Client,
    plan: &Plan,
    stored: BTreeMap<String, Stored>,
    options: &Options,
    progress: &dyn Progress,
) -> Result<Report> {
    let run = Run::new(client, plan, stored);
    for (name, project) in &plan.projects {
        let has_work = plan.operations.iter().any(|operation| operation.key.project == *name);
        if project.id.is_some() && has_work {
            run.claim(name).await?;
        }
    }
    let mut outcomes: Vec<Option<Outcome>> = vec![None; plan.operations.len()];
    let mut waiting: Vec<usize> =
        plan.operations.iter().map(|operation| operation.waits_for.len()).collect();
    let mut followers: Vec<Vec<usize>> = vec![Vec::new(); plan.operations.len()];
    for (index, operation) in plan.operations.iter().enumerate() {
        for before in &operation.waits_for {
            followers[*before].push(index);
        }
    }
    let mut ready: BTreeSet<usize> =
        (0..waiting.len()).filter(|index| waiting[*index] == 0).collect();
    let mut running = FuturesUnordered::new();
    loop {
        while running.len() < options.parallelism.max(1) && !options.stop.is_cancelled() {
            let Some(index) = ready.pop_first() else { break };
            let operation = &plan.operations[index];
            progress.started(operation);
            let run = &run;
            running.push(async move { (index, run.perform(operation).await) });
        }
        let Some((index, outcome)) = running.next().await else { break };
        progress.finished(&plan.operations[index], &outcome);
        let is_done = outcome == Outcome::Done;
        outcomes[index] = Some(outcome);
        let mut settled = vec![index];
        while let Some(index) = settled.pop() {
            for follower in followers[index].clone() {
                if outcomes[follower].is_some() {
                    continue;
                }
                waiting[follower] -= 1;
                if is_done {
                    if waiting[follower] == 0 {
                        ready.insert(follower);
                    }
                } else {
                    let skipped =
                        Outcome::Skipped { because: plan.address(&plan.operations[index].key) };
                    progress.finished(&plan.operations[follower], &skipped);
                    outcomes[follower] = Some(skipped);
                    settled.push(follower);
                }
            }
        }
    }
    drop(running);
    let outcomes: Vec<Outcome> =
        outcomes.into_iter().map(|outcome| outcome.unwrap_or(Outcome::NotStarted)).collect();
    let inventory_error = run.record(&outcomes).await.err();
    Ok(Report { outcomes, inventory_error })
}

struct Run<'a> {
    client: &'a Client,
    plan: &'a Plan,
    /// The ids that are known, of projects and objects.
    ids: Mutex<BTreeMap<Key, String>>,
    /// The inventories; claimed once before a project's first operation.
    stored: BTreeMap<String, tokio::sync::Mutex<Stored>>,
    claims: BTreeMap<String, OnceCell<()>>,
}

fn project_key(name: &str) -> Key {
    Key { kind: KindName::Project, project: name.to_owned(), room: None, name: name.to_owned() }
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

fn failed(error: &ApiError) -> Outcome {
    Outcome::Failed { message: error.to_string(), refused: error.is_refusal() }
}

impl<'a> Run<'a> {
    fn new(client: &'a Client, plan: &'a Plan, stored: BTreeMap<String, Stored>) -> Self {
        let mut ids = BTreeMap::new();
        for (name, project) in &plan.projects {
            if let Some(id) = &project.id {
                ids.insert(project_key(name), id.clone());
            }
        }
        for (key, entry) in &plan.kept {
            if let Some(id) = &entry.id {
                ids.insert(key.clone(), id.clone());
            }
        }
        for (key, id) in &plan.secret_ids {
            ids.insert(key.clone(), id.clone());
        }
        let claims = plan.projects.keys().map(|name| (name.clone(), OnceCell::new())).collect();
        let stored = stored
            .into_iter()
            .map(|(name, stored)| (name, tokio::sync::Mutex::new(stored)))
            .collect();
        Self { client, plan, ids: Mutex::new(ids), stored, claims }
    }

    async fn perform(&self, operation: &Operation) -> Outcome {
        let key = &operation.key;
        if (key.kind != KindName::Project || operation.action != Action::Create)
            && let Err(error) = self.claim(&key.project).await
        {
            return Outcome::Failed { message: error.to_string(), refused: true };
        }
        let request = match self.request(operation) {
            Ok(Some(request)) => request,
            Ok(None) => return Outcome::Done,
            Err(message) => return Outcome::Failed { message, refused: true },
        };
        let answer = match self.client.send(&request).await {
            Ok(answer) => answer,
            // What is to be gone is gone.
            Err(ApiError { status: Some(404), .. }) if operation.action == Action::Delete => {
                return Outcome::Done;
            }
            Err(error) => return failed(&error),
        };
        if operation.action == Action::Create
            && let Some(id) =
                answer.json().ok().and_then(|answer| key.kind.kind().created_id(&answer))
        {
            locked(&self.ids).insert(key.clone(), id);
        }
        Outcome::Done
    }

    /// The request that an operation stands for; `None` when it only concerns the inventory.
    fn request(&self, operation: &Operation) -> Result<Option<Request>, String> {
        let key = &operation.key;
        let kind = key.kind.kind();
        let ids = locked(&self.ids);
        let project = ids.get(&project_key(&key.project)).cloned().unwrap_or_default();
        let mut fields = match (&operation.work.fields, &operation.work.observed) {
            (Some(fields), _) => fields.clone(),
            (None, Some(observed)) => observed.fields.clone(),
            (None, None) => Tree::map([]),
        };
        for (path, name) in &operation.work.secrets {
            let secret = Key {
                kind: KindName::Secret,
                project: key.project.clone(),
                room: None,
                name: name.clone(),
            };
            let id =
                ids.get(&secret).ok_or_else(|| format!("the platform told no id of {secret}"))?;
            if let Some(leaf) = fields.at_mut(path) {
                *leaf = Tree::text(id.clone());
            }
        }
        let observed = operation.work.observed.as_ref();
        let removed: Vec<FieldPath> = operation
            .changes
            .iter()
            .filter(|change| change.new.is_none())
            .map(|change| change.path.clone())
            .collect();
        let target = Target {
            project: &project,
            room: key.room.as_deref(),
            name: &key.name,
            id: observed.and_then(|observed| observed.id.as_deref()),
            fields: &fields,
            owner: (operation.action != Action::Release).then_some(self.plan.set.as_str()),
            answered: observed.map(|observed| &observed.answered),
            removed: &removed,
        };
        Ok(match operation.action {
            Action::Create => Some(kind.create(&target)),
            Action::Update => Some(kind.update(&target)),
            Action::Adopt | Action::Release if operation.changes.is_empty() => None,
            Action::Adopt | Action::Release => Some(kind.update(&target)),
            Action::Delete => Some(
                kind.delete(&target).ok_or_else(|| format!("{} cannot be deleted", key.kind))?,
            ),
        })
    }

    /// Before the first write in a project, its inventory says which objects are about to
    /// be created, so that a run that dies leaves nothing behind that nobody owns.
    async fn claim(&self, project: &str) -> Result<()> {
        let Some(cell) = self.claims.get(project) else { return Ok(()) };
        cell.get_or_try_init(|| async {
            let entries = self.entries(project, |_, operation, old| match operation.action {
                Action::Create => operation.work.entry.clone().map(|entry| Entry {
                    applied: None,
                    id: None,
                    ..entry
                }),
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
        }
        entries
    }

    /// Writes what was done.
    async fn record(&self, outcomes: &[Outcome]) -> Result<()> {
        for project in self.stored.keys() {
            let entries = self.entries(project, |index, operation, old| {
                match (&outcomes[index], operation.action) {
                    (Outcome::Done, _) => operation.work.entry.clone().map(|entry| {
                        let id =
                            locked(&self.ids).get(&operation.key).cloned().or(entry.id.clone());
                        Entry { id, ..entry }
                    }),
                    // It may have been created all the same, so the claim stays.
                    (Outcome::Failed { refused: false, .. }, Action::Create) => {
                        old.cloned().or_else(|| {
                            operation
                                .work
                                .entry
                                .clone()
                                .map(|entry| Entry { applied: None, ..entry })
                        })
                    }
                    // What did not happen leaves the inventory as it was before this run.
                    (_, Action::Create | Action::Adopt) => operation.work.before.clone(),
                    _ => operation.work.before.clone().or_else(|| old.cloned()),
                }
            });
            self.save(project, entries).await?;
        }
        Ok(())
    }
}
