//! Which rooms run.

use crate::api::project;
use crate::api::reader::Reader;
use crate::dialect::Speaks;
use crate::error::Result;
use crate::plan::Plan;

/// The id of a project of a plan; of one that the plan created it is asked for.
///
/// # Errors
///
/// The platform's.
pub async fn project_id(plan: &Plan, reader: &Reader, name: &str) -> Result<String> {
    match plan.projects.get(name).and_then(|it| it.id.clone()) {
        Some(id) => Ok(id),
        None => project::id_of(reader, name).await,
    }
}

/// The names of the rooms that run in a project of a plan.
///
/// # Errors
///
/// The platform's.
pub async fn rooms(plan: &Plan, reader: &Reader, project: &str) -> Result<Vec<String>> {
    let id = project_id(plan, reader, project).await?;
    let listing = reader.dialect().active_sessions(&id);
    let sessions = reader.items(&listing.request, listing.envelope).await?;
    let active = sessions.iter().filter(|session| session["is_active"] == true);
    let names = active.filter_map(|session| session["room_name"].as_str().map(str::to_owned));
    let mut names: Vec<String> = names.collect();
    names.sort();
    names.dedup();
    Ok(names)
}
