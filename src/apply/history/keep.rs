//! Keeps the state that a run led to, once it is over. What is kept is what was recorded in the
//! inventory, so it is what was applied and not what was wanted.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use futures_util::stream::{self, StreamExt, TryStreamExt};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::index::{Index, Record, VERSION};
use super::store::{
    CONCURRENT_READS, File, Listed, digest, index_path, read_index, read_lists, slot_path,
};
use crate::api::failure::ApiError;
use crate::api::request::Precondition;
use crate::apply::execute::{Outcome, Run, locked};
use crate::apply::inventory::random;
use crate::apply::packed::Packed;
use crate::apply::storage;
use crate::dialect::Speaks;
use crate::error::{Error, Result};
use crate::kinds::Key;
use crate::plan::document::{PlanDocument, TOOL};
use crate::plan::{Counts, Entry};

/// The most bytes of one state.
const MOST_BYTES: usize = 8 * 1024 * 1024;

/// The longest text that is kept of who ran something.
const MOST_LETTERS: usize = 500;

/// What is known of a run before it begins.
#[derive(Debug, Clone)]
pub struct Occasion {
    /// What is run.
    pub what: What,
    /// The state that it goes back to, if it does.
    pub back_to: Option<u64>,
    /// Who runs it, as far as it is known here.
    pub by: Author,
    /// The environment of the project file that is meant.
    pub environment: Option<String>,
    /// Who approved the plan.
    pub approvals: Vec<String>,
    /// How many states are kept from now on, if somebody says so; 0 keeps none of this run.
    pub keep: Option<u32>,
}

impl Occasion {
    /// An occasion of which nothing else is known.
    #[must_use]
    pub fn of(what: What, by: Author) -> Self {
        let approvals = Vec::new();
        Self { what, back_to: None, by, environment: None, approvals, keep: None }
    }
}

/// What was run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum What {
    /// A plan was applied.
    Apply,
    /// The set was destroyed, or a part of it.
    Destroy,
    /// The set went back to a state.
    Rollback,
    /// Objects moved to another set, or from one.
    Move,
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Ended {
    /// All was done.
    Done,
    /// Some of it was done.
    Partly,
    /// Nothing was done.
    Failed,
    /// It was stopped before it was done.
    Stopped,
}

/// Who ran something.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Author {
    /// The person whose credential it was, as the platform knows it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub person: Option<String>,
    /// The credential, by where it came from and never by its text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub credential: Option<String>,
    /// The user and the machine.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub machine: Option<String>,
    /// The run of a continuous integration.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ci: Option<CiRun>,
    /// The commit of the checkout that was worked in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub commit: Option<Commit>,
}

/// The run of a continuous integration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CiRun {
    /// The system, such as `GitHub`.
    pub system: String,
    /// Where the run is shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Who started it, as the system says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
}

/// A commit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Commit {
    /// Its id.
    pub id: String,
    /// Whether files differed from it; `null` if that is not known.
    pub dirty: Option<bool>,
}

/// What a run has to know before it keeps its state; it is asked for while the run goes on.
pub(in crate::apply) struct Basis {
    /// The lists of the projects of the plan, which nobody else changes under the leases of the run.
    lists: Result<BTreeMap<String, Option<Listed>>>,
    by: Author,
    note: Option<String>,
}

/// A state that is written and that no list names yet.
pub(in crate::apply) struct Unlisted {
    project: String,
    id: String,
    index: Index,
    precondition: Precondition,
    record: Record,
}

/// What is the same in all projects of a run.
struct Common {
    number: u64,
    run: String,
    ended: Ended,
    by: Author,
    done: usize,
}

/// What the set owns in each project after a run.
pub(in crate::apply) type After<'a> = BTreeMap<&'a str, BTreeMap<Key, Entry>>;

impl Run<'_> {
    /// Asks for what has to be known to keep the state that the run leads to.
    pub(in crate::apply) async fn basis(&self, occasion: &Occasion) -> Option<Basis> {
        if occasion.keep == Some(0) {
            return None;
        }
        let ids = self.known_projects().into_values();
        let reader = self.client.reader();
        let lists = stream::iter(ids)
            .map(async |id| Ok((id.clone(), read_index(&reader, &self.plan.set, &id).await?)))
            .buffered(CONCURRENT_READS)
            .try_collect();
        let (lists, (by, note)) = tokio::join!(lists, self.author(&occasion.by));
        Some(Basis { lists, by, note })
    }

    /// Writes the state that the run led to in each project in which it did something. Returns
    /// those that a list must name now, and what is to be told: what was applied is applied,
    /// whether its state can be kept or not.
    pub(in crate::apply) async fn write_states(
        &self,
        occasion: &Occasion,
        basis: Basis,
        outcomes: &[Outcome],
        after: &After<'_>,
    ) -> (Vec<Unlisted>, Vec<String>) {
        let is_tried = |outcome: &Outcome| {
            matches!(outcome, Outcome::Done | Outcome::Failed { .. } | Outcome::Stale { .. })
        };
        let mut tried = self.plan.operations.iter().zip(outcomes);
        if !tried.any(|(_, outcome)| is_tried(outcome)) {
            return Default::default();
        }
        match self.try_write(occasion, basis, outcomes, after).await {
            Ok(written) => written,
            Err(error) => (Vec::new(), vec![unkept(&error)]),
        }
    }

    /// The ids of the projects of the plan, as far as they are known, by name.
    fn known_projects(&self) -> BTreeMap<&str, String> {
        let ids = locked(&self.ids);
        let id = |name: &str| ids.get(&Key::of_project(name)).cloned();
        self.plan.projects.keys().filter_map(|name| Some((name.as_str(), id(name)?))).collect()
    }

    async fn try_write(
        &self,
        occasion: &Occasion,
        basis: Basis,
        outcomes: &[Outcome],
        after: &After<'_>,
    ) -> Result<(Vec<Unlisted>, Vec<String>)> {
        let Basis { lists, by, note } = basis;
        let set = &self.plan.set;
        let ids = self.known_projects();
        let mut all: BTreeSet<String> = ids.values().cloned().collect();
        all.extend(self.seen_before.iter().cloned());
        // Where the set owns nothing any more, or what this plan is not of, counts as well: numbers
        // are those of the whole set.
        let mut lists = read_lists(&self.client.reader(), set, all, lists?).await?;
        let newest = lists.values().filter_map(|list| Some(list.as_ref()?.0.newest())).max();
        let done = outcomes.iter().filter(|outcome| **outcome == Outcome::Done).count();
        let common = Common {
            number: newest.unwrap_or_default() + 1,
            run: random::<8>()?,
            ended: match (done, self.options.is_stopped()) {
                (done, _) if done == outcomes.len() => Ended::Done,
                (_, true) => Ended::Stopped,
                (0, false) => Ended::Failed,
                (_, false) => Ended::Partly,
            },
            by,
            done,
        };
        let written = self.plan.writes_to();
        let (mut unlisted, mut told) = (Vec::new(), Vec::from_iter(note));
        for (name, id) in ids.into_iter().filter(|(name, _)| written.contains(name)) {
            let Some(entries) = after.get(name) else { continue };
            let index = lists.remove(&id).flatten();
            match self.write_in((name, id), entries, index, occasion, &common).await {
                Ok(state) => unlisted.push(state),
                Err(error) => told.push(unkept(&error)),
            }
        }
        Ok((unlisted, told))
    }

    /// Writes the state of one project.
    async fn write_in(
        &self,
        (project, id): (&str, String),
        entries: &BTreeMap<Key, Entry>,
        index: Option<Listed>,
        occasion: &Occasion,
        common: &Common,
    ) -> Result<Unlisted> {
        let set = &self.plan.set;
        let is_new = !self.existed.contains(project);
        let (mut index, precondition) =
            index.unwrap_or_else(|| (Index::new(set, is_new), Precondition::Absent));
        index.keep(occasion.keep);
        // What somebody deleted is not in the state, although the inventory still knows it.
        let missing = &self.plan.missing;
        let mut entries = Cow::Borrowed(entries);
        if entries.keys().any(|key| missing.contains(key)) {
            entries.to_mut().retain(|key, _| !missing.contains(key));
        }
        let Packed { files, objects } = Packed::of(&entries);
        let mut file = File {
            version: VERSION,
            set: set.clone(),
            number: common.number,
            run: common.run.clone(),
            plan: Some(PlanDocument::without_state(self.plan, project)),
            files,
            objects: Some(objects),
        };
        let (mut bytes, mut without) = (encoded(&file)?, None);
        if bytes.len() > MOST_BYTES {
            let size = bytes.len().div_ceil(1024 * 1024);
            let why = format!("its documents take {size} MiB, and at most 8 MiB are kept");
            (file.plan, file.objects, file.files) = (None, None, Vec::new());
            (bytes, without) = (encoded(&file)?, Some(why));
        }
        let mut record = Record {
            number: common.number,
            run: common.run.clone(),
            at: self.client.now(),
            what: occasion.what,
            back_to: occasion.back_to,
            ended: common.ended,
            by: common.by.clone(),
            environment: occasion.environment.clone(),
            approvals: occasion.approvals.clone(),
            tool: TOOL.to_owned(),
            planned: Counts {
                unchanged: self.plan.unchanged,
                ..Counts::of(self.plan.operations.iter().filter(|it| it.key.project == project))
            },
            partial: self.plan.partial,
            done: common.done,
            projects: Vec::new(),
            objects: entries.len(),
            without,
            slot: 0,
            digest: digest(&bytes),
            bytes: bytes.len() as u64,
        };
        record.slot = self.write_state(&mut index, &id, bytes).await?;
        let project = project.to_owned();
        Ok(Unlisted { project, id, index, precondition, record })
    }

    /// Puts the states that were written on the lists, once the inventories have what they have.
    /// Returns what is to be told.
    pub(in crate::apply) async fn list_states(&self, unlisted: Vec<Unlisted>) -> Vec<String> {
        let mut told = Vec::new();
        for state in unlisted {
            told.extend(self.list_state(state).await.unwrap_or_else(|error| vec![unkept(&error)]));
        }
        told
    }

    async fn list_state(&self, state: Unlisted) -> Result<Vec<String>> {
        let Unlisted { project, id, mut index, precondition, mut record } = state;
        let Some(stored) = self.stored.get(&project) else { return Ok(Vec::new()) };
        record.projects = stored.lock().await.projects.iter().cloned().collect();
        let (client, set) = (self.client, &self.plan.set);
        let mut notes = Vec::new();
        if let Some(why) = &record.without {
            let number = record.number;
            notes.push(format!("the set cannot go back to state {number}: {why}"));
        }
        let forgotten = index.push(record);
        if let Some(fault) = index.fault(set) {
            return Err(Error::failed(fault));
        }
        let list = encoded(&index)?;
        match storage::upload(client, &id, &index_path(set), list, &precondition).await {
            Ok(_) => {}
            Err(ApiError { status: Some(412), .. }) => return Err(lost_race()),
            Err(error) => return Err(error.into()),
        }
        if let (Some(first), Some(last)) = (forgotten.large.first(), forgotten.large.last()) {
            notes.push(format!(
                "states {} to {} are not kept any more, because the states of a set take at most 64 MiB",
                first.number, last.number
            ));
        }
        for slot in forgotten.slots {
            // Its file is not read any more; it should not take its space either.
            let path = slot_path(set, slot);
            let emptied = storage::upload(client, &id, &path, b"{}".to_vec(), &Precondition::None);
            if let Err(error) = emptied.await {
                notes.push(format!(
                    "a state that is not kept any more still takes its space: {error}"
                ));
            }
        }
        Ok(notes)
    }

    /// Writes a state to a file that the list does not name, and to which nobody else has written
    /// since the list was, as long as there is one of which that is known: two runs that read the
    /// same list do not write to the same file then.
    async fn write_state(&self, index: &mut Index, id: &str, bytes: Vec<u8>) -> Result<u32> {
        for (slot, precondition) in index.free_files() {
            let path = slot_path(&self.plan.set, slot);
            match storage::upload(self.client, id, &path, bytes.clone(), &precondition).await {
                Ok(revision) => {
                    index.wrote(slot, Some(&revision));
                    return Ok(slot);
                }
                Err(ApiError { status: Some(412), .. }) => index.wrote(slot, None),
                Err(error) => return Err(error.into()),
            }
        }
        Err(lost_race())
    }

    /// Who runs it, with the person that the platform knows behind the credential, and what is to
    /// be told if it does not say.
    async fn author(&self, known: &Author) -> (Author, Option<String>) {
        let reader = self.client.reader();
        let (profile, note) = match reader.get_json(&reader.dialect().own_profile()).await {
            Ok(profile) => (profile, None),
            // A credential need not be a person's, nor a platform know people.
            Err(ApiError { status: Some(401 | 403 | 404 | 405), .. }) => Default::default(),
            Err(error) => {
                let note = format!("the history of the set does not say who ran this: {error}");
                (Value::Null, Some(note))
            }
        };
        let person = ["email", "id"].iter().find_map(|field| profile.get(field)?.as_str());
        let person = person.map(|text| text.chars().take(MOST_LETTERS).collect());
        (Author { person: person.or_else(|| known.person.clone()), ..known.clone() }, note)
    }
}

/// The error where another run kept its state first.
fn lost_race() -> Error {
    Error::failed(
        "somebody else applied the set meanwhile, and the state of that run was kept instead",
    )
}

fn encoded(value: &impl Serialize) -> Result<Vec<u8>> {
    serde_json::to_vec(value)
        .map_err(|error| Error::failed("failed to write the state").because(error))
}

/// What is told where a state could not be kept.
fn unkept(error: &Error) -> String {
    let cause = std::error::Error::source(error).map(|cause| format!(": {cause}"));
    format!(
        "all is as reported, but the state was not kept in the history of the set: {error}{}",
        cause.unwrap_or_default()
    )
}
