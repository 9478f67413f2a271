//! Reading one object, to show it or to show how it would change.

use std::collections::BTreeMap;
use std::process::ExitCode;

use serde_json::Value;

use crate::api::failure::ApiError;
use crate::api::reader::ListError;
use crate::apply::{absent, look_up};
use crate::commands::show::ShowArgs;
use crate::connection::Connection;
use crate::dialect::{Lookup, Speaks, Target};
use crate::error::{Error, Result};
use crate::kinds::{Key, KindName};
use crate::listed::word;
use crate::plan::Observed;
use crate::settings::PlatformArgs;

async fn key(connection: &Connection, kind: KindName, name: &str) -> Result<Key> {
    let project = connection.project_id().await?.to_owned();
    Ok(Key::new(kind, project, None, name))
}

/// Reads an object by its id if that is known, else by its name, and returns it with its name;
/// `None` if it does not exist.
///
/// # Errors
/// Errors of the platform.
pub async fn look_up(
    connection: &Connection,
    key: &Key,
    id: Option<&str>,
) -> Result<Option<(String, Observed)>> {
    let target = Target::looked_for(key, &key.project, id);
    let reader = connection.client.reader();
    match look_up::find(&reader, key, &target, &BTreeMap::new()).await {
        Err(error) => match absent::held_elsewhere(&reader, key, &key.project).await {
            Some(taken) => Err(taken.hint(ELSEWHERE)),
            None => Err(error),
        },
        found => found,
    }
}

/// What to do about an object of another project.
const ELSEWHERE: &str = "this name must be unique on the whole platform: use another one, or give the project that has it with --project-id";

/// Reads the object with an id. If the platform finds objects only by name, the names that it may
/// have are tried before the whole list is read.
///
/// # Errors
/// Errors of the platform.
pub async fn look_up_id(
    connection: &Connection,
    key: &Key,
    id: &str,
    names: &[&str],
) -> Result<Option<(String, Observed)>> {
    let nameless = key.with_name(String::new());
    let by_id = Target::looked_for(&nameless, &key.project, Some(id));
    let spelling = connection.client.spelling(key.kind);
    let lookup = spelling.lookup(&by_id);
    if matches!(lookup, Some(Lookup::Among(_))) {
        for name in names.iter().filter(|name| !name.is_empty()) {
            let key = key.with_name((*name).to_owned());
            let target = Target::looked_for(&key, &key.project, None);
            let is_alone = spelling.lookup(&target);
            if !matches!(is_alone, Some(Lookup::One(..))) {
                continue;
            }
            let found = look_up(connection, &key, None).await?;
            if found.as_ref().is_some_and(|(_, seen)| seen.id.as_deref() == Some(id)) {
                return Ok(found);
            }
        }
    }
    look_up(connection, &nameless, Some(id)).await
}

/// Reads the object with this name.
///
/// # Errors
///
/// There is none; errors of the platform.
pub async fn find(connection: &Connection, kind: KindName, name: &str) -> Result<Observed> {
    let key = key(connection, kind, name).await?;
    let found = look_up(connection, &key, None).await?;
    found
        .map(|(_, observed)| observed)
        .ok_or_else(|| Error::failed(format!("{key} does not exist")))
}

/// The objects of a kind in the project, or in one of its rooms, as the platform returns them.
///
/// # Errors
/// Errors of the platform.
pub async fn listed(
    connection: &Connection,
    kind: KindName,
    room: Option<&str>,
) -> Result<Vec<Value>> {
    let project = match kind.is_project() {
        true => "",
        false => connection.project_id().await?,
    };
    let reader = connection.client.reader();
    let listing = reader.spelling(kind).list(project, room);
    let listing = listing.ok_or_else(|| no_list(kind, room))?;
    let items = reader.list(&listing).await;
    items.map_err(|error| match (room, &error) {
        (Some(room), ListError::Failed(ApiError { status: Some(404), .. })) => {
            Error::from(error).hint(format!(
                "`meshagent rooms list` shows the rooms, and `meshagent rooms create --name {}` creates this one",
                word(room)
            ))
        }
        _ => error.into(),
    })
}

/// The error if there is no path to a list.
pub fn no_list(kind: KindName, room: Option<&str>) -> Error {
    match room {
        Some(room) => Error::failed(format!(
            "no URL path leads to the room {room:?}, so its {} cannot be listed",
            kind.kind().plural()
        )),
        None => Error::failed(format!("the platform has no list of {}", kind.kind().plural())),
    }
}

/// Shows one object that the platform finds by its name.
///
/// # Errors
/// Errors of the platform.
pub async fn show(
    platform: &PlatformArgs,
    args: ShowArgs,
    kind: KindName,
    name: &str,
) -> Result<ExitCode> {
    platform
        .with(async |connection| {
            let key = key(connection, kind, name).await?;
            let target = Target::looked_for(&key, &key.project, None);
            let reader = connection.client.reader();
            let Some(Lookup::One(request, envelope)) = reader.spelling(kind).lookup(&target) else {
                return Err(Error::failed(format!("a {kind} cannot be read by its name")));
            };
            let mut answer = match reader.get_json(&request).await {
                Ok(answer) => answer,
                Err(error) if error.status != Some(403) => return Err(error.into()),
                Err(error) => {
                    let taken = absent::held_elsewhere(&reader, &key, &key.project).await;
                    return Err(taken.map_or(error.into(), |taken| taken.hint(ELSEWHERE)));
                }
            };
            let item = match envelope {
                Some(field) => answer.get_mut(field).map(Value::take).unwrap_or_default(),
                None => answer,
            };
            args.print(&item)
        })
        .await
}
