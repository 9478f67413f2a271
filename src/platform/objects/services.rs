//! Services, as the rooms in which they are effective see them.

use crate::platform::error::Result;
use crate::platform::store::{Store, of_row};

/// A service that is effective in a room.
#[derive(Debug)]
pub struct Effective {
    /// Its id.
    pub id: String,
    /// Its document, as JSON: what 0.31 can say of it.
    pub document: String,
    /// The whole document, if 0.56 wrote it.
    pub whole: Option<String>,
}

of_row!(Effective { id, document, whole });

/// The services of a room and of its project that are started, in the order in which they were
/// created.
///
/// # Errors
///
/// The store failed.
pub async fn effective(store: &Store, project: &str, room: &str) -> Result<Vec<Effective>> {
    let rows = sqlx::query_as(
        "SELECT id, document, whole FROM services WHERE project_id = $1 AND enabled AND (scope = '' OR scope = $2) \
         ORDER BY seq",
    )
    .bind(project)
    .bind(room)
    .fetch_all(store.reads())
    .await?;
    Ok(rows)
}
