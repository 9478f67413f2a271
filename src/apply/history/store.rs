//! Reads what is kept: the list of runs, and a state with its plan.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::index::{Index, Record, VERSION};
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

/// The runs of a set in a project whose states are kept; none if no run has kept one.
///
/// # Errors
///
/// The platform's; a list that cannot be read.
pub async fn index(reader: &Reader, set: &str, project_id: &str) -> Result<Option<Index>> {
    Ok(read_index(reader, set, project_id).await?.map(|(index, _)| index))
}

/// The same, with what a write has to ask for.
pub(super) async fn read_index(
    reader: &Reader,
    set: &str,
    project_id: &str,
) -> Result<Option<(Index, Precondition)>> {
    let path = index_path(set);
    let answer = match reader.get(&reader.dialect().download(project_id, &path)).await {
        Ok(answer) => answer,
        Err(ApiError { status: Some(404), .. }) => return Ok(None),
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
    Ok(Some((index, precondition)))
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
    (project, id): &(String, String),
) -> Result<()> {
    let reader = client.reader();
    let (Some(index), None) = (index(&reader, from, id).await?, index(&reader, to, id).await?)
    else {
        return Ok(());
    };
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
        written.map_err(lost)?;
    }
    let list = serde_json::to_vec(&index.renamed(to))
        .map_err(|error| Error::failed("failed to write the history").because(error))?;
    storage::upload(client, id, &index_path(to), list, &Precondition::Absent).await?;
    Ok(())
}
