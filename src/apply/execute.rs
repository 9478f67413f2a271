//! Performs a plan: what waits for nothing runs at once, up to a limit; what waits for a
//! failed operation is skipped and says so; once stopped, nothing new starts and what runs
//! is finished. The executor decides nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::OnceCell;
use tokio_util::sync::CancellationToken;

use super::history::Occasion;
use super::inventory::Stored;
use super::journal::Journal;
use super::look_up::Lists;
use super::owners::OfOthers;
use super::schedule::Schedule;
use crate::api::client::Client;
use crate::error::{Error, Result};
use crate::kinds::Key;
use crate::plan::{Action, Incomplete, Operation, Plan};

/// How a plan is performed.
#[derive(Debug, Clone)]
pub struct Options {
    /// How many operations run at once, at least one.
    pub parallelism: usize,
    /// Cancelled when nothing new may start. What was deleted in order to be created again is.
    pub stop: CancellationToken,
    /// Cancelled when nothing at all may be written any more, such as without the lease of the set.
    /// [`super::run::run`] has one of its own, so whoever calls that gives `stop`.
    pub halt: CancellationToken,
    /// Whether each object is read again right before its write and must still be what the
    /// plan looked at.
    pub bound: bool,
    /// How often a write is tried whose answer was lost, at least once.
    pub attempts: u32,
    /// How long is waited before an object is looked up whose write had no answer; doubled
    /// each time, since a platform may commit late.
    pub first_wait: Duration,
    /// What is known of the run for the history of its set; without it, no state is kept.
    pub occasion: Option<Arc<Occasion>>,
}

impl Options {
    /// The defaults.
    #[must_use]
    pub fn standard(parallelism: usize) -> Self {
        Self {
            parallelism,
            stop: CancellationToken::new(),
            halt: CancellationToken::new(),
            bound: false,
            attempts: 5,
            first_wait: Duration::from_millis(100),
            occasion: None,
        }
    }

    /// Whether nothing new may start.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.stop.is_cancelled() || self.halt.is_cancelled()
    }
}

/// Receives the progress while a plan is performed.
pub trait Progress: Sync {
    /// An operation starts.
    fn started(&self, operation: &Operation);
    /// An operation is done, or was not done for the reason given.
    fn finished(&self, operation: &Operation, outcome: &Outcome);
    /// The platform answered a write; `null` where its answer was lost.
    fn answered(&self, _operation: &Operation, _id: Option<&str>, _answer: &Value) {}
}

/// Who receives the progress while a plan is performed.
#[derive(Clone, Copy)]
pub struct Listeners<'a> {
    /// The user.
    pub progress: &'a dyn Progress,
    /// The journal on disk, for the next run if this one is killed.
    pub journal: Option<&'a Journal>,
}

/// What became of an operation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(tag = "status", rename_all = "snake_case")]
pub enum Outcome {
    /// It was done.
    Done,
    /// It failed.
    Failed {
        /// What went wrong, in one line.
        message: String,
        /// The method and path of the last request, if there was one.
        #[serde(skip_serializing_if = "Option::is_none")]
        request: Option<String>,
        /// Whether it is certain that the platform did not do it.
        refused: bool,
        /// Whether a part of it was done: a write of several requests, of which a later one failed.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        begun: bool,
        /// The status of the last answer, if there was one.
        #[serde(skip_serializing_if = "Option::is_none")]
        code: Option<u16>,
        /// The platform's id for the last request.
        #[serde(skip_serializing_if = "Option::is_none")]
        request_id: Option<String>,
        /// How often it was tried.
        attempts: u32,
    },
    /// It was not done, because the object is not what the plan was made for.
    Stale {
        /// What differs, in one line.
        message: String,
        /// Whether nobody had looked at it: it is inside of a room, and counted as last applied.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        unseen: bool,
    },
    /// It was not started, because of another that failed or was skipped.
    Skipped {
        /// That other object.
        because: String,
    },
    /// It was not started, because the run was stopped.
    NotStarted,
}

impl Outcome {
    /// An object is not what the plan was made for.
    #[must_use]
    pub fn stale(message: impl Into<String>) -> Self {
        Self::Stale { message: message.into(), unseen: false }
    }

    /// The status with which the platform refused, where it did.
    #[must_use]
    pub fn refused_with(&self) -> Option<u16> {
        match self {
            Self::Failed { refused: true, code, .. } => *code,
            _ => None,
        }
    }

    /// The request that failed, how it was answered, and how often it was tried.
    #[must_use]
    pub fn request_told(&self) -> Option<String> {
        let Self::Failed { request: Some(request), code, request_id, attempts, .. } = self else {
            return None;
        };
        let answered = code.map(|code| format!(" was answered with {code}")).unwrap_or_default();
        let tries = (*attempts > 1).then(|| format!("{attempts} tries"));
        let id = request_id.as_ref().map(|id| format!("request {id}"));
        let details: Vec<String> = [tries, id].into_iter().flatten().collect();
        let details = match details.is_empty() {
            true => String::new(),
            false => format!(" ({})", details.join(", ")),
        };
        Some(format!("{request}{answered}{details}"))
    }

    /// Whether the platform refused the request itself, so that trying again would bring the same
    /// answer.
    #[must_use]
    pub fn is_refusal(&self) -> bool {
        matches!(self, Self::Failed { code: Some(400..=499), .. })
            && !matches!(self, Self::Failed { code: Some(408 | 425 | 429), .. })
    }
}

/// What became of a plan.
#[derive(Debug)]
pub struct Report {
    /// One outcome for each operation, in the order of the plan.
    pub outcomes: Vec<Outcome>,
    /// Why an inventory could not be written at the end, if one could not.
    pub inventory_error: Option<Error>,
    /// Why the run lost the lease of its set and started nothing more, if it did.
    pub lost_lease: Option<String>,
    /// What is to be told besides: of what is replaced by half, of odd answers, and of the history of
    /// the set, such as why the state was not kept.
    pub notes: Vec<String>,
}

impl Report {
    /// The report on a plan of so many operations that was not performed.
    #[must_use]
    pub fn not_started(operations: usize) -> Self {
        let outcomes = vec![Outcome::NotStarted; operations];
        Self::of(outcomes)
    }

    /// The report of a run with these outcomes, in which nothing else went wrong.
    #[must_use]
    pub fn of(outcomes: Vec<Outcome>) -> Self {
        Self { outcomes, inventory_error: None, lost_lease: None, notes: Vec::new() }
    }

    /// Whether something was written: an operation was done, or a part of one.
    #[must_use]
    pub fn has_written(&self) -> bool {
        self.count(|it| matches!(it, Outcome::Done | Outcome::Failed { begun: true, .. })) > 0
    }

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
/// because somebody else applied the same set meanwhile; nothing was done then.
pub async fn execute(
    client: &Client,
    plan: &Plan,
    stored: BTreeMap<String, Stored>,
    options: &Options,
    listeners: Listeners<'_>,
) -> Result<Report> {
    let progress = listeners.progress;
    let run = Run::new(client, plan, stored, options, listeners);
    for (name, project) in &plan.projects {
        let has_work = plan.operations.iter().any(|operation| operation.key.project == *name);
        if project.id.is_some() && has_work {
            run.claim(name).await?;
        }
    }
    // What is to be known about the history is asked for meanwhile.
    let occasion = options.occasion.as_deref();
    let asking = async {
        match occasion {
            Some(occasion) => run.basis(occasion).await,
            None => None,
        }
    };
    let (outcomes, basis) = tokio::join!(run.perform_all(progress), asking);
    let after = run.after(&outcomes);
    let is_complete = outcomes.iter().all(|outcome| *outcome == Outcome::Done);
    // A state that is written and that no list names is no state: whether what was done could be
    // recorded need not be known.
    let writing = async {
        match (occasion, basis) {
            (Some(occasion), Some(basis)) => {
                Some(run.write_states(occasion, basis, &outcomes, &after).await)
            }
            _ => None,
        }
    };
    let (recorded, written) = tokio::join!(run.record(&after, is_complete), writing);
    let inventory_error = recorded.err();
    let notes = match written {
        Some((states, mut told)) if inventory_error.is_none() => {
            told.extend(run.list_states(states).await);
            told
        }
        // Without a record of what was applied, it is not known which state this is.
        Some(_) => vec![UNKNOWN_STATE.to_owned()],
        None => Vec::new(),
    };
    let remarks = std::mem::take(&mut *locked(&run.remarks));
    let notes = half_replaced(plan, &outcomes).into_iter().chain(remarks).chain(notes).collect();
    Ok(Report { inventory_error, notes, ..Report::of(outcomes) })
}

/// What is told of the history where the inventory was not written.
const UNKNOWN_STATE: &str = "the history of the set does not have this run: what was done is not recorded, so the state that it led to is not known";

/// Which of the operations that a skipped one waits for was not done.
fn because(
    plan: &Plan,
    skipped: &Operation,
    failed: usize,
    outcomes: &[Option<Outcome>],
) -> String {
    let is_open = |before: &&usize| {
        **before == failed || matches!(outcomes[**before], Some(Outcome::Skipped { .. }))
    };
    let cause = skipped.waits_for.iter().find(is_open).copied().unwrap_or(failed);
    plan.address(&plan.operations[cause].key)
}

/// The halves of replacements, the deleting one first.
fn halves(plan: &Plan) -> impl Iterator<Item = (usize, usize)> {
    let indexed = plan.operations.iter().enumerate();
    let creating: BTreeMap<&Key, usize> = indexed
        .clone()
        .filter(|(_, it)| it.replaces() && it.action() == Action::Create)
        .map(|(index, it)| (&it.key, index))
        .collect();
    let deleting = indexed.filter(|(_, it)| it.is_first_half());
    deleting.filter_map(move |(index, it)| Some((index, *creating.get(&it.key)?)))
}

/// The operations without which something that was deleted would not be created again.
fn owed_now(
    plan: &Plan,
    halves: &[(usize, usize)],
    outcomes: &[Option<Outcome>],
) -> BTreeSet<usize> {
    let is_begun = |(delete, _): &&(usize, usize)| outcomes[*delete] == Some(Outcome::Done);
    let begun = halves.iter().filter(is_begun);
    let mut open: Vec<usize> = begun.map(|(_, create)| *create).collect();
    let mut owed = BTreeSet::new();
    while let Some(index) = open.pop() {
        if owed.insert(index) {
            open.extend(&plan.operations[index].waits_for);
        }
    }
    owed
}

/// What is told of objects that were deleted and could not be created again.
fn half_replaced(plan: &Plan, outcomes: &[Outcome]) -> Vec<String> {
    let is_half = |(delete, create): &(usize, usize)| {
        outcomes[*delete] == Outcome::Done && outcomes[*create] != Outcome::Done
    };
    let told = halves(plan).filter(is_half).map(|(_, create)| {
        let address = plan.address(&plan.operations[create].key);
        format!("{address} was deleted and is not created again: the next apply creates it")
    });
    told.collect()
}

/// What one run works with.
pub(in crate::apply) struct Run<'a> {
    pub client: &'a Client,
    pub plan: &'a Plan,
    pub options: &'a Options,
    pub listeners: Listeners<'a>,
    /// The ids that are known, of projects and objects.
    pub ids: Mutex<BTreeMap<Key, String>>,
    /// The mail addresses that are known, of objects that others refer to by them.
    pub emails: Mutex<BTreeMap<Key, String>>,
    /// The revisions that the run's own writes made, if the platform returned them.
    pub revisions: Mutex<BTreeMap<Key, String>>,
    /// The inventories; claimed once before a project's first operation.
    pub stored: BTreeMap<String, tokio::sync::Mutex<Stored>>,
    /// The projects in which the set had an inventory before the run.
    pub existed: BTreeSet<String>,
    /// The ids of the projects in which the set owned something before the run.
    pub seen_before: BTreeSet<String>,
    pub claims: BTreeMap<String, OnceCell<()>>,
    /// What other sets own, read where that matters, once a project is claimed.
    pub others: BTreeMap<String, OnceCell<OfOthers>>,
    /// The lists that turned out to be incomplete.
    pub incomplete: Mutex<Vec<Incomplete>>,
    /// What was odd about answers to writes that were done.
    pub remarks: Mutex<Vec<String>>,
    /// The lists that were read again.
    pub lists: Lists,
}

pub(super) fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

impl<'a> Run<'a> {
    fn new(
        client: &'a Client,
        plan: &'a Plan,
        stored: BTreeMap<String, Stored>,
        options: &'a Options,
        listeners: Listeners<'a>,
    ) -> Self {
        let mut ids = BTreeMap::new();
        for (name, project) in &plan.projects {
            if let Some(id) = &project.id {
                ids.insert(Key::of_project(name), id.clone());
            }
        }
        for (key, entry) in &plan.kept {
            if let Some(id) = &entry.id {
                ids.insert(key.clone(), id.clone());
            }
        }
        for (key, id) in &plan.ids {
            ids.insert(key.clone(), id.clone());
        }
        let claims = plan.projects.keys().map(|name| (name.clone(), OnceCell::new())).collect();
        let others = plan.projects.keys().map(|name| (name.clone(), OnceCell::new())).collect();
        let existed = stored.iter().filter(|(_, it)| it.exists());
        let existed = existed.map(|(name, _)| name.clone()).collect();
        let seen_before = stored.values().flat_map(|it| it.projects.iter().cloned()).collect();
        let stored = stored
            .into_iter()
            .map(|(name, stored)| (name, tokio::sync::Mutex::new(stored)))
            .collect();
        let (ids, revisions, incomplete) = (Mutex::new(ids), Mutex::default(), Mutex::default());
        Self {
            client,
            plan,
            options,
            listeners,
            ids,
            emails: Mutex::new(plan.emails.clone()),
            revisions,
            stored,
            existed,
            seen_before,
            claims,
            others,
            incomplete,
            remarks: Mutex::default(),
            lists: Lists::default(),
        }
    }

    /// Performs the operations, each once those that it waits for are done.
    async fn perform_all(&self, progress: &dyn Progress) -> Vec<Outcome> {
        let (plan, options) = (self.plan, self.options);
        let mut outcomes: Vec<Option<Outcome>> = vec![None; plan.operations.len()];
        let waits_for: Vec<Vec<usize>> =
            plan.operations.iter().map(|operation| operation.waits_for.clone()).collect();
        let mut schedule = Schedule::new(&waits_for);
        let halves: Vec<(usize, usize)> = halves(plan).collect();
        let mut running = FuturesUnordered::new();
        loop {
            // What is started changes nothing of this; what is done may.
            let mut owed = None;
            while running.len() < options.parallelism.max(1) && !options.halt.is_cancelled() {
                let next = match options.stop.is_cancelled() {
                    false => schedule.next(),
                    true => {
                        let owed = owed.get_or_insert_with(|| owed_now(plan, &halves, &outcomes));
                        schedule.next_of(owed)
                    }
                };
                let Some(index) = next else { break };
                let operation = &plan.operations[index];
                progress.started(operation);
                running.push(async move { (index, self.perform(operation).await) });
            }
            let Some((index, outcome)) = running.next().await else { break };
            progress.finished(&plan.operations[index], &outcome);
            if outcome == Outcome::Done {
                schedule.done(index);
            } else {
                for skipped in schedule.failed(index) {
                    let operation = &plan.operations[skipped];
                    let because = because(plan, operation, index, &outcomes);
                    let outcome = Outcome::Skipped { because };
                    progress.finished(operation, &outcome);
                    outcomes[skipped] = Some(outcome);
                }
            }
            outcomes[index] = Some(outcome);
        }
        outcomes.into_iter().map(|outcome| outcome.unwrap_or(Outcome::NotStarted)).collect()
    }
}
