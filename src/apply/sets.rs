//! Which sets a project has: a list in the project's storage, since a platform need not be
//! able to list files. A set is put on the list before its inventory is written for the first
//! time, so a set that owns something is on it.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::inventory::is_set_name;
use super::storage;
use crate::api::client::Client;
use crate::api::failure::ApiError;
use crate::api::reader::Reader;
use crate::api::request::Precondition;
use crate::dialect::Speaks;
use crate::error::{Class, Error, Result};

/// Where the list is.
const PATH: &str = ".meshagent/sets.json";

/// The version of the file's form.
const VERSION: u32 = 1;

/// The most sets that a project has: the inventory of each is read.
const MOST: usize = 10_000;

/// How often the list is read again because somebody else wrote it.
const ATTEMPTS: u32 = 8;

#[derive(Serialize, Deserialize)]
struct File {
    version: u32,
    sets: BTreeSet<String>,
}

/// The sets of a project.
#[derive(Debug, Default)]
pub struct Listed {
    /// Their names, in their order. Sets that only earlier versions of this program applied
    /// are not among them.
    pub names: BTreeSet<String>,
    /// What is on the list and cannot be the name of a set.
    pub bad: BTreeSet<String>,
}

impl Listed {
    /// Why not every set is known, if not every set is.
    #[must_use]
    pub fn doubt(&self) -> Option<String> {
        let bad = self.bad.first()?;
        Some(format!(
            "the list of the project's sets contains {bad:?}, which cannot be the name of a set"
        ))
    }
}

/// The sets of a project.
///
/// # Errors
///
/// The platform's, and a list that cannot be read: which sets there are is not known then.
pub async fn listed(reader: &Reader, project_id: &str) -> Result<Listed> {
    let (all, _) = read(reader, project_id).await?;
    let (names, bad) = all.into_iter().partition(|name| is_set_name(name));
    Ok(Listed { names, bad })
}

/// Puts a set on the list.
pub(super) async fn add(client: &Client, project_id: &str, set: &str) -> Result<()> {
    if !is_set_name(set) {
        return Err(Error::usage(format!("{set:?} cannot be the name of a set")));
    }
    change(client, project_id, |sets| sets.insert(set.to_owned())).await
}

/// Removes a set from the list.
pub(super) async fn remove(client: &Client, project_id: &str, set: &str) -> Result<()> {
    change(client, project_id, |sets| sets.remove(set)).await
}

/// Changes the list, again where somebody else changed it meanwhile.
async fn change(
    client: &Client,
    project_id: &str,
    change: impl Fn(&mut BTreeSet<String>) -> bool,
) -> Result<()> {
    for _ in 0..ATTEMPTS {
        let (mut sets, precondition) = read(&client.reader(), project_id).await?;
        if !change(&mut sets) {
            return Ok(());
        }
        let bytes = serde_json::to_vec(&File { version: VERSION, sets })
            .map_err(|error| Error::failed("failed to write the list of sets").because(error))?;
        match storage::upload(client, project_id, PATH, bytes, &precondition).await {
            Ok(_) => return Ok(()),
            Err(ApiError { status: Some(412), .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(Error::new(Class::Failed, "failed to write the list of sets: it changed at every attempt")
        .hint("run the same command again"))
}

/// The list, and what a write of it has to ask for.
async fn read(reader: &Reader, project_id: &str) -> Result<(BTreeSet<String>, Precondition)> {
    let answer = match reader.get(&reader.dialect().download(project_id, PATH)).await {
        Ok(answer) => answer,
        Err(ApiError { status: Some(404), .. }) => {
            return Ok((BTreeSet::new(), Precondition::Absent));
        }
        Err(error) => return Err(error.into()),
    };
    let broken = |what: String| {
        Error::failed(format!("the list of the project's sets cannot be read: {what}"))
            .hint(format!("it is the file {PATH} in the project's storage"))
    };
    let file: File =
        serde_json::from_slice(&answer.body).map_err(|error| broken(error.to_string()))?;
    if file.version != VERSION {
        return Err(broken(format!("its version is {}", file.version)));
    }
    if file.sets.len() > MOST {
        return Err(broken(format!("it names more than {MOST} sets")));
    }
    let precondition = answer.etag.map_or(Precondition::None, Precondition::Revision);
    Ok((file.sets, precondition))
}
