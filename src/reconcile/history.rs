//! The past states of a set, in all projects in which it owns something, or did.

use std::collections::btree_map::Entry::{Occupied, Vacant};
use std::collections::{BTreeMap, BTreeSet};

use futures_util::stream::{self, StreamExt, TryStreamExt};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::recalled;
use super::target::Target;
use crate::api::client::Client;
use crate::api::failure::ApiError;
use crate::api::reader::Reader;
use crate::apply::history::{self, Index, PastState, Record};
use crate::apply::inventory;
use crate::apply::survey;
use crate::error::{Class, Error, Result};
use crate::kinds::document::FormerNames;
use crate::kinds::{Key, KindName};
use crate::listed::few;
use crate::manifest::set::Desired;
use crate::plan::Entry;
use crate::plan::document::PlanDocument;

/// How many projects are read at once.
const CONCURRENT_READS: usize = 8;

/// The history of a set in the projects where it owns something, or did.
pub struct History {
    set: String,
    /// The projects by id, each with its name, its list if a run kept one, and what the set owns.
    projects: BTreeMap<String, Part>,
    /// The options that select the same platform, for command lines in hints.
    flags: String,
}

/// The history in one project.
struct Part {
    name: String,
    index: Option<Index>,
    exists: bool,
    entries: BTreeMap<Key, Entry>,
    /// Why it is not known, where the credential may not read it.
    forbidden: Option<String>,
}

/// A past state of a set, in all its projects.
#[derive(Debug)]
pub struct Past {
    /// Its number.
    pub number: u64,
    /// Its parts, one for each project in which something is recorded.
    pub parts: Vec<PastState>,
    /// What the set owned.
    pub entries: BTreeMap<Key, Entry>,
    /// What it wants if it goes back.
    pub(super) wanted: BTreeMap<Key, Desired>,
    /// What was recorded of these.
    pub(super) recorded: BTreeMap<Key, Entry>,
    /// The objects of it that have another name by now.
    pub(super) renamed: BTreeSet<Key>,
    /// The project that is meant if the state has no objects, by id.
    pub(super) project: String,
}

impl History {
    /// Reads the lists of a set: that of this project, by name or id, and those of the others in
    /// which the set owns something, or did. What the credential may not read of the others is left
    /// out; no state is known then.
    ///
    /// # Errors
    ///
    /// The platform's; a list that cannot be read.
    pub async fn read(target: &Target, set: &str, project: &str) -> Result<Self> {
        let reader = &target.client.reader();
        let (_, id) = survey::find_project(reader, project).await?;
        let names = survey::project_names(reader).await?;
        let mut projects: BTreeMap<String, Part> = BTreeMap::new();
        let given = id.clone();
        let mut open = BTreeSet::from([id]);
        while !open.is_empty() {
            // What the set had in a project that is gone went with it.
            let named = std::mem::take(&mut open).into_iter();
            let named = named.filter_map(|id| Some((names.get(&id)?.clone(), id)));
            let parts: Vec<(String, Part, BTreeSet<String>)> = stream::iter(named)
                .map(async |(name, id)| {
                    let part = match Part::read(reader, set, (&name, &id)).await? {
                        Ok(part) => part,
                        Err(refused) if id == given => return Err(refused.into()),
                        Err(refused) => (Part::forbidden(name, &refused), BTreeSet::new()),
                    };
                    Ok::<_, Error>((id, part.0, part.1))
                })
                .buffered(CONCURRENT_READS)
                .try_collect()
                .await?;
            for (id, part, others) in parts {
                projects.insert(id, part);
                open.extend(others);
            }
            open.retain(|id| !projects.contains_key(id));
        }
        Ok(Self { set: set.to_owned(), projects, flags: target.flags.clone() })
    }

    /// The runs, the oldest first. A run that wrote to several projects is told once, with what was
    /// planned in all of them.
    #[must_use]
    pub fn runs(&self) -> Vec<Record> {
        let indexes = self.projects.values().filter_map(|part| part.index.as_ref());
        let mut runs: BTreeMap<(u64, &str), Record> = BTreeMap::new();
        for run in indexes.flat_map(Index::runs) {
            match runs.entry((run.number, run.run.as_str())) {
                Vacant(entry) => drop(entry.insert(run.clone())),
                Occupied(mut entry) => entry.get_mut().add(run),
            }
        }
        let mut runs: Vec<Record> = runs.into_values().collect();
        runs.sort_by_key(|run| (run.number, run.at));
        runs
    }

    /// The projects whose part is not known, and why.
    pub fn forbidden(&self) -> impl Iterator<Item = (&str, &str)> {
        self.projects
            .values()
            .filter_map(|part| Some((part.name.as_str(), part.forbidden.as_deref()?)))
    }

    /// The last number that two runs have: those of a set that was in projects which did not know
    /// of each other. What it owned in all of them until then is not known.
    fn apart_until(&self) -> Option<u64> {
        let runs = self.runs();
        let twice = runs.windows(2).filter(|two| two[0].number == two[1].number);
        twice.map(|two| two[0].number).next_back()
    }

    /// Copies the history to a set of another name, in each project in which that one has none.
    ///
    /// # Errors
    ///
    /// The platform's; a state that cannot be read.
    pub(super) async fn copy_to(&self, client: &Client, set: &str) -> Result<()> {
        for (id, part) in &self.projects {
            history::copy(client, (&self.set, set), (&part.name, id)).await?;
        }
        Ok(())
    }

    /// The error for a state that is not there.
    fn unknown(&self, number: u64) -> Error {
        let (runs, set, flags) = (self.runs(), &self.set, &self.flags);
        let (Some(first), Some(last)) = (runs.first(), runs.last()) else {
            return Error::usage(format!("there is no history of the set `{set}`")).hint(
                "each apply keeps the state that it leads to; `meshagent set list` shows the sets",
            );
        };
        let what = match number {
            0 => "does not exist",
            _ if number > last.number => "does not exist",
            _ if number < first.number => "is not kept any more",
            _ => "is not kept",
        };
        let mut numbers: Vec<u64> = runs.iter().map(|run| run.number).collect();
        numbers.dedup();
        let is_without_gaps = last.number - first.number == numbers.len() as u64 - 1;
        let kept = match is_without_gaps {
            true => format!("states {} to {} are kept", first.number, last.number),
            false => format!("kept are {}", few(numbers)),
        };
        Error::usage(format!("state {number} of the set `{set}` {what}"))
            .hint(format!("{kept}; `meshagent history --set {set}{flags}` lists them"))
    }

    /// A state, in all projects.
    ///
    /// # Errors
    ///
    /// A state that does not exist, or is not kept in one of the projects; the platform's.
    pub async fn state(&self, reader: &Reader, number: u64) -> Result<Past> {
        if !self.runs().iter().any(|run| run.number == number) {
            return Err(self.unknown(number));
        }
        if let Some((project, why)) = self.forbidden().next() {
            return Err(Error::new(
                Class::Refused,
                format!(
                    "what the set `{}` owned in project {project} in state {number} is not known: {why}",
                    self.set
                ),
            )
            .hint("use a credential that may read the storage of all projects of the set"));
        }
        if let Some(last) = self.apart_until().filter(|last| number <= *last) {
            return Err(Error::new(
                Class::Refused,
                format!(
                    "what the set `{}` owned in state {number} is not known: two runs have number {last}, because they were in projects that did not know of each other",
                    self.set
                ),
            )
            .hint(format!("states after {last} are known")));
        }
        let mut past = Past {
            number,
            parts: Vec::new(),
            entries: BTreeMap::new(),
            wanted: BTreeMap::new(),
            recorded: BTreeMap::new(),
            renamed: BTreeSet::new(),
            project: String::new(),
        };
        for (id, part) in &self.projects {
            let found = match &part.index {
                Some(index) => {
                    index.at(number).map_err(|oldest| self.not_kept(number, part, oldest))?
                }
                None if part.exists && !part.entries.is_empty() => {
                    return Err(self.not_kept(number, part, None));
                }
                None => None,
            };
            let Some(record) = found else { continue };
            let state = history::state(reader, &self.set, (&part.name, id), record).await?;
            if record.number == number || past.project.is_empty() {
                past.project.clone_from(id);
            }
            past.parts.push(state);
        }
        for part in &past.parts {
            past.entries
                .extend(part.entries.iter().flatten().map(|(key, it)| (key.clone(), it.clone())));
        }
        Ok(past)
    }

    /// The error for a state that is not kept in a project.
    fn not_kept(&self, number: u64, part: &Part, oldest: Option<u64>) -> Error {
        let (set, project) = (&self.set, &part.name);
        let error = Error::usage(format!(
            "what the set `{set}` owned in project {project} in state {number} is not known"
        ));
        match oldest {
            Some(oldest) => error.hint(format!("there, states from {oldest} on are kept")),
            None => error.hint("no state was kept there; the next apply keeps one"),
        }
    }

    /// A state that the set can go back to.
    ///
    /// # Errors
    ///
    /// As [`History::state`]; a state whose documents were too large to be kept.
    pub async fn back_to(&self, reader: &Reader, number: u64) -> Result<Past> {
        let mut past = self.state(reader, number).await?;
        past.whole(&format!("the set `{}` cannot go back to state {number}", self.set))?;
        let now: BTreeMap<&Key, &Entry> =
            self.projects.values().flat_map(|part| &part.entries).collect();
        let by_id = now.iter().filter_map(|(key, entry)| Some((id_of(key, entry)?, *key)));
        let by_id: BTreeMap<_, &Key> = by_id.collect();
        for (key, entry) in &past.entries {
            // A run that was cut off may have left an object under a name that nobody wants.
            let meant = entry.was.as_ref().map(|was| key.with_name(was.as_str()));
            let is_free =
                |key: &Key| !past.entries.contains_key(key) && !past.wanted.contains_key(key);
            let key = meant.filter(is_free).unwrap_or_else(|| key.clone());
            // Where it is not known whether it was created, what there is now stays.
            let entry = match (&entry.applied, now.get(&key)) {
                (None, Some(now)) => (*now).clone(),
                _ => entry.clone(),
            };
            let Some(mut desired) = recalled::wanted(number, &key, &entry) else { continue };
            let itself = id_of(&key, &entry).and_then(|id| by_id.get(&id));
            let renamed = itself.map(|now| &now.name).filter(|name| **name != key.name);
            let is_free = |name: &&String| !now.contains_key(&key.with_name(name.as_str()));
            let known = entry.moved_from.0.iter().filter(is_free);
            let names = renamed.into_iter().chain(known).cloned().collect();
            desired.lifecycle.moved_from = FormerNames(names);
            past.renamed.extend(renamed.map(|_| key.clone()));
            past.wanted.insert(key.clone(), desired);
            past.recorded.insert(key, entry);
        }
        Ok(past)
    }
}

impl Part {
    /// Reads the part of a project, and the ids of the projects that it names; with a result of its
    /// own if the credential may not read it.
    async fn read(
        reader: &Reader,
        set: &str,
        (name, id): (&str, &str),
    ) -> Result<Result<(Self, BTreeSet<String>), ApiError>> {
        let stored = match inventory::load_if_allowed(reader, set, name, id).await? {
            Ok(stored) => stored,
            Err(refused) => return Ok(Err(refused)),
        };
        let index = match history::index(reader, set, id).await? {
            Ok(index) => index,
            Err(refused) => return Ok(Err(refused)),
        };
        let mut others = stored.projects.clone();
        others.extend(index.iter().flat_map(Index::projects).map(str::to_owned));
        let (exists, entries) = (stored.exists(), stored.inventory.entries);
        let part = Self { name: name.to_owned(), index, exists, entries, forbidden: None };
        Ok(Ok((part, others)))
    }

    fn forbidden(name: String, refused: &ApiError) -> Self {
        let forbidden = Some(refused.to_string());
        Self { name, index: None, exists: true, entries: BTreeMap::new(), forbidden }
    }
}

/// What identifies an object whatever it is called.
fn id_of<'a>(key: &'a Key, entry: &'a Entry) -> Option<(&'a str, KindName, &'a str)> {
    Some((&key.project, key.kind, entry.id.as_deref()?))
}

impl Past {
    /// How many objects the set owned.
    #[must_use]
    pub fn owned(&self) -> usize {
        self.parts.iter().map(|part| part.record.objects).sum()
    }

    /// Refuses what needs the documents of the state if they were not kept.
    ///
    /// # Errors
    ///
    /// [`Class::Refused`], with what is refused.
    pub fn whole(&self, what: &str) -> Result<()> {
        match self.parts.iter().find_map(|part| part.record.without.as_ref()) {
            Some(without) => Err(Error::new(Class::Refused, format!("{what}: {without}"))),
            None => Ok(()),
        }
    }

    /// What tells the state from any other.
    pub(super) fn digest(&self) -> String {
        let mut digest = Sha256::new();
        for part in &self.parts {
            digest.update(part.record.number.to_be_bytes());
            digest.update(&part.record.run);
        }
        format!("{:x}", digest.finalize())
    }

    /// What is told of the state itself.
    pub(super) fn note(&self) -> String {
        let at = self.run().map(|record| format!(" of {:.0}", record.at)).unwrap_or_default();
        format!("this goes back to state {}{at}", self.number)
    }
}

/// The past states of a set, as a document for programs, with a published schema
/// (`schemas/history.json`).
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(title = "MeshAgent history")]
pub struct HistoryDocument {
    /// The states that are kept, the oldest first. In a list they come without plans and documents.
    pub states: Vec<StateDocument>,
}

/// A past state.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct StateDocument {
    /// The run that led to it.
    #[serde(flatten)]
    pub run: Record,
    /// What it is in each project; left out in a list.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<PartDocument>,
}

/// A past state in one project.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct PartDocument {
    /// The project's name.
    pub project: String,
    /// The number of the state that was the newest one in this project then.
    pub number: u64,
    /// The plan of the run that led to it, without the fields of what was created.
    pub plan: Option<PlanDocument>,
    /// The documents of the objects that the set owned, by their addresses, without secrets; absent
    /// if they were too large to be kept.
    pub documents: Option<BTreeMap<String, Value>>,
}

impl Past {
    /// The state as a document.
    #[must_use]
    pub fn document(self) -> Option<StateDocument> {
        let run = self.run()?.clone();
        let parts = self.parts.into_iter().map(|part| {
            let documents = part.entries.map(|entries| {
                let value =
                    |(key, entry): (&Key, &Entry)| (key.to_string(), recalled::value(key, entry));
                entries.iter().map(value).collect()
            });
            let PastState { project, record, plan, .. } = part;
            PartDocument { project, number: record.number, plan, documents }
        });
        Some(StateDocument { run, parts: parts.collect() })
    }

    /// The run that led to it.
    #[must_use]
    pub fn run(&self) -> Option<&Record> {
        self.parts.iter().map(|part| &part.record).max_by_key(|it| it.number)
    }
}
