//! Reads what is kept: the list of runs, and a state with its plan.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::stream::{self, StreamExt, TryStreamExt};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::index::{Index, MOST_PROJECTS, Record, VERSION};
use crate::api::client::Client;
use crate::api::failure::ApiError;
use crate::api::reader::Reader;
use crate::api::request::Precondition;
use crate::apply::packed::{Object, Packed};
use crate::apply::storage;
use crate::dialect::Speaks;
use crate::error::{Error, Result};
use crate::kinds::Key;
use crate::manifest::declared_in::DeclaredIn;
use crate::plan::Entry;
use crate::plan::document::PlanDocument;

/// How many lists are read at once.
pub(super) const CONCURRENT_READS: usize = 8;

/// A list of runs, with what a write has to ask for.
pub(super) type Listed = (Index, Precondition);

/// A state of a set in one project, with the plan that led to it.
#[derive(Debug)]
pub struct PastState {
    /// The project's name.
    pub project: String,
    /// The run.
    pub record: Record,
    /// Its plan, without the fields of what was created. They are in the state.
    pub plan: Option<PlanDocument>,
    /// What the set owned afterwards; none if that was too much to be kept.
    pub entries: Option<BTreeMap<Key, Entry>>,
}

/// The file of a state.
#[derive(Serialize, Deserialize)]
pub(super) struct File {
    pub version: u32,
    pub set: String,
    pub number: u64,
    pub run: String,
    pub plan: Option<PlanDocument>,
    pub files: Vec<DeclaredIn>,
    pub objects: Option<Vec<Object>>,
}

/// Where the list of a set is.
pub(super) fn index_path(set: &str) -> String {
    format!(".meshagent/history/{set}/index.json")
}

/// Where a state of a set is.
pub(super) fn slot_path(set: &str, slot: u32) -> String {
    format!(".meshagent/history/{set}/{slot}.json")
}

/// What tells the content of a file from any other.
pub(super) fn digest(bytes: &[u8]) -> String {
    format!("{:x}", Sha256::digest(bytes))
}

/// The runs of a set in a project whose states are kept; none if no run has kept one. With a result
/// of its own if the credential may not read them.
///
/// # Errors
///
/// The platform's; a list that cannot be read.
pub async fn index(
    reader: &Reader,
    set: &str,
    project_id: &str,
) -> Result<Result<Option<Index>, ApiError>> {
    Ok(read_if_allowed(reader, set, project_id).await?.map(|read| Some(read?.0)))
}

/// The same, with what a write has to ask for.
pub(super) async fn read_index(
    reader: &Reader,
    set: &str,
    project_id: &str,
) -> Result<Option<Listed>> {
    Ok(read_if_allowed(reader, set, project_id).await??)
}

/// The same, with a result of its own if the credential may not read it.
async fn read_if_allowed(
    reader: &Reader,
    set: &str,
    project_id: &str,
) -> Result<Result<Option<Listed>, ApiError>> {
    let path = index_path(set);
    let answer = match reader.get(&reader.dialect().download(project_id, &path)).await {
        Ok(answer) => answer,
        Err(ApiError { status: Some(404), .. }) => return Ok(Ok(None)),
        Err(refused @ ApiError { status: Some(403), .. }) => return Ok(Err(refused)),
        Err(error) => return Err(error.into()),
    };
    let broken = |what: String| {
        Error::failed(format!("the history of the set `{set}` cannot be read: {what}"))
            .hint(format!("it is the file {path} in the project's storage"))
    };
    let index: Index =
        serde_json::from_slice(&answer.body).map_err(|error| broken(error.to_string()))?;
    if let Some(fault) = index.fault(set) {
        return Err(broken(fault));
    }
    let precondition = answer.etag.map_or(Precondition::None, Precondition::Revision);
    Ok(Ok(Some((index, precondition))))
}

/// The lists of a set in these projects, and in those that the runs in them name: what the set owned
/// there once. Projects are given by their ids; lists that are known are not read again.
///
/// # Errors
///
/// The platform's; a list that cannot be read, or that names too many projects.
pub(super) async fn read_lists(
    reader: &Reader,
    set: &str,
    given: BTreeSet<String>,
    known: BTreeMap<String, Option<Listed>>,
) -> Result<BTreeMap<String, Option<Listed>>> {
    let mut lists = known;
    let named = |lists: &BTreeMap<String, Option<Listed>>| {
        let indexes = lists.values().filter_map(|list| Some(&list.as_ref()?.0));
        let named = indexes.flat_map(Index::projects).map(str::to_owned);
        named.filter(|id| !lists.contains_key(id)).collect::<BTreeSet<String>>()
    };
    let mut open = named(&lists);
    open.extend(given.iter().filter(|id| !lists.contains_key(*id)).cloned());
    while !open.is_empty() {
        let read: Vec<(String, Option<Listed>)> = stream::iter(std::mem::take(&mut open))
            .map(async |id| {
                let list = match read_if_allowed(reader, set, &id).await? {
                    // Who may not read what the set once owned there does not go back to it either.
                    Err(_) if !given.contains(&id) => None,
                    list => list?,
                };
                Ok::<_, Error>((id, list))
            })
            .buffered(CONCURRENT_READS)
            .try_collect()
            .await?;
        lists.extend(read);
        open = named(&lists);
        if lists.len() + open.len() > MOST_PROJECTS {
            let why = format!("it is in more than {MOST_PROJECTS} projects");
            return Err(Error::failed(format!("the set `{set}` has no history: {why}")));
        }
    }
    Ok(lists)
}

/// The state that a run led to.
///
/// # Errors
///
/// The platform's; a state that is not whole: a run that was cut off, or another program, wrote
/// its file.
pub async fn state(
    reader: &Reader,
    set: &str,
    (project, project_id): (&str, &str),
    record: &Record,
) -> Result<PastState> {
    let path = slot_path(set, record.slot);
    let lost = |what: String| {
        let number = record.number;
        Error::failed(format!("state {number} of the set `{set}` cannot be read: {what}"))
            .hint(format!("it is the file {path} in the storage of project {project}"))
    };
    let answer = match reader.get(&reader.dialect().download(project_id, &path)).await {
        Ok(answer) => answer,
        Err(ApiError { status: Some(404), .. }) => {
            return Err(lost("its file does not exist".to_owned()));
        }
        Err(error) => return Err(error.into()),
    };
    if digest(&answer.body) != record.digest {
        return Err(lost("its file is not what was written then".to_owned()));
    }
    let file: File =
        serde_json::from_slice(&answer.body).map_err(|error| lost(error.to_string()))?;
    if (file.version, file.number, &file.run) != (VERSION, record.number, &record.run) {
        return Err(lost("its file is that of another run".to_owned()));
    }
    let File { files, objects, plan, .. } = file;
    let entries = objects.map(|objects| Packed { files, objects }.entries(project));
    let entries = entries.transpose().map_err(lost)?;
    Ok(PastState { project: project.to_owned(), record: record.clone(), plan, entries })
}

/// Copies the history of a set to a set of another name that has none, when the first one is
/// renamed.
///
/// # Errors
///
/// The platform's; a history that cannot be read.
pub async fn copy(
    client: &Client,
    (from, to): (&str, &str),
    (project, id): (&str, &str),
) -> Result<()> {
    let reader = client.reader();
    let (Some(index), None) = (index(&reader, from, id).await??, index(&reader, to, id).await??)
    else {
        return Ok(());
    };
    let mut files = BTreeMap::new();
    for record in index.runs() {
        let lost = |error: ApiError| {
            Error::failed(format!("state {} in project {project} was not copied", record.number))
                .because(error)
        };
        let read = reader.dialect().download(id, &slot_path(from, record.slot));
        let answer = reader.get(&read).await.map_err(lost)?;
        let path = slot_path(to, record.slot);
        let written =
            storage::upload(client, id, &path, answer.body.to_vec(), &Precondition::None).await;
        let revision = match written.map_err(lost)? {
            Precondition::Revision(revision) => Some(revision),
            _ => None,
        };
        files.insert(record.slot, revision);
    }
    let list = serde_json::to_vec(&index.renamed(to, files))
        .map_err(|error| Error::failed("failed to write the history").because(error))?;
    storage::upload(client, id, &index_path(to), list, &Precondition::Absent).await?;
    Ok(())
}
