//! A set that owns nothing and is still on a project's list of sets: a run was cut off after it
//! put the set on the list and before the set owned anything, or after the set owned nothing any
//! more. A run that is under way looks the same from outside.

use tokio_util::sync::CancellationToken;

use super::Target;
use crate::api::reader::Reader;
use crate::apply::lock::{self, Terms};
use crate::apply::{inventory, sets};
use crate::error::Result;

/// Whether the set is left on the list of a project, given by its name and id.
///
/// # Errors
///
/// The platform's; a list or an inventory that cannot be read.
pub async fn is_left(reader: &Reader, set: &str, (project, id): (&str, &str)) -> Result<bool> {
    if !sets::listed(reader, id).await?.names.contains(set) {
        return Ok(false);
    }
    let stored = inventory::load(reader, set, project, id).await?;
    // A set that moved to other projects may still be on the list.
    Ok(stored.inventory.entries.is_empty() && stored.projects.is_empty())
}

/// Removes the set from the list of a project if it is left there, under the lease of the set.
/// Returns whether it was.
///
/// # Errors
///
/// As [`is_left`]; a run that is under way.
pub async fn end(
    target: &Target,
    set: &str,
    project: (&str, &str),
    break_lock: bool,
) -> Result<bool> {
    let reader = target.client.reader();
    if !is_left(&reader, set, project).await? {
        return Ok(false);
    }
    let terms = Terms { set, project, break_it: break_lock, lasts: lock::LASTS };
    let lock = lock::take(&target.client, terms, &CancellationToken::new()).await?;
    let ended = async {
        // Whoever had the lease before may have applied the set.
        if !is_left(&reader, set, project).await? {
            return Ok(false);
        }
        let mut stored = inventory::load(&reader, set, project.0, project.1).await?;
        inventory::retire(&target.client, set, project.1, &mut stored).await.map(|()| true)
    };
    let ended = ended.await;
    if let Some(lock) = lock {
        lock.release().await?;
    }
    ended
}

/// The message once that is done.
#[must_use]
pub fn ended(set: &str, project: &str) -> String {
    format!(
        "the set `{set}` owns nothing in project `{project}` and was removed from the project's list of sets"
    )
}
