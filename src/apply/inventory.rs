//! What a set owns in a project, kept in the project's storage.
//!
//! One file per set: `.meshagent/sets/NAME.json`. It is written with the revision that was read,
//! so that two writers cannot overwrite each other where the platform has revisions. Secrets are
//! in it as fingerprints only.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

use super::packed::{Object, Packed};
use super::{sets, storage};
use crate::api::client::Client;
use crate::api::failure::ApiError;
use crate::api::reader::Reader;
use crate::api::request::Precondition;
use crate::api::spoken::Spoken;
use crate::dialect::Speaks;
use crate::error::{Class, Error, Result};
use crate::kinds::Key;
use crate::kinds::fingerprint::Memory;
use crate::manifest::declared_in::DeclaredIn;
use crate::plan::fingerprints::Fingerprints;
use crate::plan::{Entry, Facts, Inventory};

/// The version of the file's form.
const VERSION: u32 = 2;

/// The version of what is kept of objects that are written in another API than that of 0.31:
/// programs that speak only this one must not take it for theirs.
const OTHER_API: u32 = 3;

/// The version that keeps the key of its fingerprints beside them.
const KEYED: u32 = 1;

/// The fingerprints that were made: an inventory is read more than once in a run.
static MADE: LazyLock<Memory> = LazyLock::new(Memory::default);

/// An inventory with what is needed to write it back.
#[derive(Debug, Clone)]
pub struct Stored {
    /// What the set owns.
    pub inventory: Inventory,
    /// The ids of the projects in which the set owns something.
    pub projects: BTreeSet<String>,
    precondition: Precondition,
    exists: bool,
    /// Whether the set is on the list of the project's sets.
    is_listed: bool,
}

#[derive(Serialize, Deserialize)]
struct File {
    version: u32,
    set: String,
    tool: String,
    /// The API in which the objects were written; none for that of 0.31.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    api: Option<String>,
    /// The key of fingerprints that version 1 made, as long as there are any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    fingerprint_key: Option<String>,
    /// What the salts of objects are made from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    salt: Option<String>,
    /// What shows of many secrets at once that they have not changed.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    seals: BTreeMap<String, String>,
    /// Whether the set is on the list of the project's sets.
    #[serde(default)]
    listed: bool,
    /// The ids of all projects that the set has been applied to, so that one whose last
    /// document is gone is not forgotten.
    #[serde(default)]
    projects: Vec<String>,
    /// The files that declare the objects; objects name theirs by its position here.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    files: Vec<DeclaredIn>,
    objects: Vec<Object>,
}

/// Whether this can be the name of a set: it becomes the name of a file.
#[must_use]
pub fn is_set_name(name: &str) -> bool {
    (1..=64).contains(&name.len())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
}

/// Random bytes as hex.
///
/// # Errors
///
/// The machine gives none.
pub fn random<const BYTES: usize>() -> Result<String> {
    let mut bytes = [0; BYTES];
    getrandom::fill(&mut bytes)
        .map_err(|error| Error::failed("failed to get random bytes").because(error))?;
    Ok(bytes.iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}")))
}

fn path(set: &str) -> String {
    format!(".meshagent/sets/{set}.json")
}

impl Stored {
    /// An inventory that owns nothing yet, with new random salts for its fingerprints.
    ///
    /// # Errors
    ///
    /// The machine gives no random bytes.
    pub fn empty() -> Result<Self> {
        Ok(Self {
            inventory: Inventory::new(Fingerprints::new(random::<16>()?).remembering(&MADE)),
            projects: BTreeSet::new(),
            precondition: Precondition::Absent,
            exists: false,
            is_listed: false,
        })
    }

    /// The same with this key for fingerprints of an earlier version, unless it has some already.
    #[must_use]
    pub fn with_key(mut self, key: Option<&SecretString>) -> Self {
        let is_empty = self.inventory.entries.is_empty();
        let own = &mut self.inventory.fingerprints.key;
        if is_empty || own.is_none() {
            *own = key.cloned().or_else(|| own.take());
        }
        self
    }

    /// The key of its fingerprints of an earlier version.
    #[must_use]
    pub fn key(&self) -> Option<&SecretString> {
        self.inventory.fingerprints.key.as_ref()
    }

    /// Whether the set owned something once and owns nothing any more, here or elsewhere.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.exists && self.inventory.entries.is_empty() && self.projects.is_empty()
    }

    /// Whether the platform has it.
    #[must_use]
    pub fn exists(&self) -> bool {
        self.exists
    }
}

/// Reads the inventory of a set in a project; one that does not exist owns nothing.
///
/// # Errors
///
/// The platform's, and a file that this program cannot read: what it owns is not known
/// then, so nothing may be decided.
pub async fn load(reader: &Reader, set: &str, project: &str, project_id: &str) -> Result<Stored> {
    Ok(load_if_allowed(reader, set, project, project_id).await??)
}

/// The same, with a result of its own if the credential may not read it.
///
/// # Errors
///
/// As [`load`].
pub async fn load_if_allowed(
    reader: &Reader,
    set: &str,
    project: &str,
    project_id: &str,
) -> Result<Result<Stored, ApiError>> {
    load_of(reader, set, (project, project_id), Takes::Spoken).await
}

/// The same for what is only shown: it may have been written in another API.
///
/// # Errors
///
/// As [`load`].
pub async fn load_to_show(
    reader: &Reader,
    set: &str,
    project: &str,
    project_id: &str,
) -> Result<Stored> {
    Ok(load_of(reader, set, (project, project_id), Takes::Any).await??)
}

/// In which APIs an inventory may have been written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Takes {
    /// In that of the platform.
    Spoken,
    /// In that, or in 0.31, from which it is migrated.
    Older,
    /// In any: nothing is decided on it.
    Any,
}

/// The same. An inventory may have been written in another API.
///
/// # Errors
///
/// As [`load`].
pub async fn load_of(
    reader: &Reader,
    set: &str,
    (project, project_id): (&str, &str),
    takes: Takes,
) -> Result<Result<Stored, ApiError>> {
    let request = reader.dialect().download(project_id, &path(set));
    let answer = match reader.get(&request).await {
        Ok(answer) => answer,
        Err(ApiError { status: Some(404), .. }) => return Stored::empty().map(Ok),
        Err(refused @ ApiError { status: Some(403), .. }) => return Ok(Err(refused)),
        Err(error) => return Err(error.into()),
    };
    let broken = |what: String| {
        Error::failed(format!(
            "the inventory of the set `{set}` in project `{project}` cannot be read: {what}"
        ))
        .hint(format!("it is the file {} in the project's storage", path(set)))
    };
    let file: File =
        serde_json::from_slice(&answer.body).map_err(|error| broken(error.to_string()))?;
    if ![KEYED, VERSION, OTHER_API].contains(&file.version) {
        return Err(broken(format!("its version is {}, written by {}", file.version, file.tool)));
    }
    let spoken = reader.spoken().to_string();
    let written = file.api.unwrap_or_else(|| Spoken::V0_31.to_string());
    // What it says of objects means nothing to the other API: ids and names are others there.
    let is_of_other_api = written != spoken && !file.objects.is_empty();
    let is_older = written == Spoken::V0_31.to_string();
    let is_taken = match takes {
        Takes::Spoken => !is_of_other_api,
        Takes::Older => !is_of_other_api || is_older,
        Takes::Any => true,
    };
    if !is_taken {
        let is_spoken = reader.also().is_some_and(|other| other.to_string() == written);
        let as_before = format!(
            "this platform speaks that of {written}, too: --dialect {written} goes on with it"
        );
        let hint = match (is_older, is_spoken) {
            (true, _) => {
                let as_before = if is_spoken { format!("; {as_before}") } else { String::new() };
                format!(
                    "nothing was changed; if this platform was upgraded, `meshagent set migrate -f MANIFESTS --set {set} --dialect {spoken}` takes the set over{as_before}"
                )
            }
            (false, true) => format!("nothing was changed; {as_before}"),
            (false, false) => {
                "nothing was changed; apply it with a program and a platform of the same release"
                    .to_owned()
            }
        };
        return Err(Error::new(
            Class::Refused,
            format!(
                "the set `{set}` in project `{project}` was applied in the API of {written}, and the platform speaks that of {spoken} now"
            ),
        )
        .hint(hint));
    }
    let key = file.fingerprint_key;
    let fingerprints = match (file.salt, &key) {
        (Some(salt), key) => Fingerprints::new(salt).with_key(key.clone().map(SecretString::from)),
        (None, Some(key)) => Fingerprints::of_key(key),
        (None, None) => return Err(broken("it has no salt".to_owned())),
    };
    let fingerprints = fingerprints.remembering(&MADE);
    let packed = Packed { files: file.files, objects: file.objects };
    let mut entries = packed.entries(project).map_err(broken)?;
    if is_of_other_api {
        // Which object has which id there is not known, and neither which revision.
        let forget = |it: &mut Facts| (it.id, it.revision) = (None, None);
        entries = entries.into_iter().map(|(key, entry)| (key, entry.but(forget))).collect();
    }
    Ok(Ok(Stored {
        inventory: Inventory { entries, fingerprints, seals: file.seals, is_of_other_api },
        projects: file.projects.into_iter().collect(),
        precondition: answer.etag.map_or(Precondition::None, Precondition::Revision),
        exists: true,
        is_listed: file.listed,
    }))
}

/// Writes what a set owns, unless somebody else wrote it meanwhile.
///
/// # Errors
///
/// The platform's; [`Class::Stale`] when somebody else wrote it.
pub async fn save(
    client: &Client,
    set: &str,
    project_id: &str,
    stored: &mut Stored,
    entries: BTreeMap<Key, Entry>,
) -> Result<()> {
    if !stored.is_listed {
        sets::add(client, project_id, set).await?;
        stored.is_listed = true;
    }
    write(client, set, project_id, stored, entries).await
}

/// Removes a set that owns nothing from the list of the project's sets. Its inventory stays,
/// because not every platform can delete files; it no longer says that the set is listed.
///
/// # Errors
///
/// As [`save`].
pub async fn retire(
    client: &Client,
    set: &str,
    project_id: &str,
    stored: &mut Stored,
) -> Result<()> {
    if stored.is_listed || !stored.inventory.entries.is_empty() {
        stored.is_listed = false;
        write(client, set, project_id, stored, BTreeMap::new()).await?;
    }
    // A run may have been cut off between the two.
    sets::remove(client, project_id, set).await
}

async fn write(
    client: &Client,
    set: &str,
    project_id: &str,
    stored: &mut Stored,
    entries: BTreeMap<Key, Entry>,
) -> Result<()> {
    let Packed { files, objects } = Packed::of(&entries);
    // Until all of a set is taken over, it is not one of this API.
    let is_first = client.spoken() == Spoken::V0_31 || stored.inventory.is_of_other_api;
    let file = File {
        version: if is_first { VERSION } else { OTHER_API },
        set: set.to_owned(),
        api: (!is_first).then(|| client.spoken().to_string()),
        tool: concat!("meshagent ", env!("CARGO_PKG_VERSION")).to_owned(),
        fingerprint_key: stored
            .key()
            .filter(|_| entries.values().any(|entry| entry.is_keyed()))
            .map(|key| key.expose_secret().to_owned()),
        salt: Some(stored.inventory.fingerprints.salt.clone()),
        seals: stored.inventory.seals.clone(),
        listed: stored.is_listed,
        projects: stored.projects.iter().cloned().collect(),
        files,
        objects,
    };
    let bytes = serde_json::to_vec(&file)
        .map_err(|error| Error::failed("failed to write the inventory").because(error))?;
    match storage::upload(client, project_id, &path(set), bytes, &stored.precondition).await {
        Ok(precondition) => {
            stored.precondition = precondition;
            stored.inventory.entries = entries;
            stored.exists = true;
            Ok(())
        }
        Err(ApiError { status: Some(412), .. }) => Err(changed(set)),
        Err(error) => Err(error.into()),
    }
}

/// Somebody else wrote the inventory since it was read, so their apply was not seen.
fn changed(set: &str) -> Error {
    let message = format!(
        "somebody else applied the set `{set}` meanwhile: its inventory changed since it was read"
    );
    Error::new(Class::Stale, message).hint("run the same command again; it makes a new plan")
}

/// Makes sure that the inventory is still what was read.
///
/// # Errors
///
/// It is not; the platform's.
pub async fn check(client: &Client, set: &str, project_id: &str, stored: &Stored) -> Result<()> {
    let Precondition::Revision(read) = &stored.precondition else { return Ok(()) };
    match client.send(&client.dialect().download(project_id, &path(set))).await {
        Ok(answer) if answer.etag.as_ref() == Some(read) => Ok(()),
        Ok(_) | Err(ApiError { status: Some(404), .. }) => Err(changed(set)),
        Err(error) => Err(error.into()),
    }
}
