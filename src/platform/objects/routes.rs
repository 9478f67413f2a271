//! Routes, as what listens for their domains sees them.

use sqlx::SqlitePool;

use crate::kinds::specs::route::RoutePath;
use crate::platform::error::Result;
use crate::platform::store::of_row;

/// Where a domain leads.
#[derive(Debug)]
pub struct Led {
    /// The project.
    pub project: String,
    /// The name of the room, which may be gone; empty if it leads into something else.
    pub room: String,
    /// Which paths lead where.
    pub paths: Vec<RoutePath>,
}

struct Row {
    project_id: String,
    room_name: String,
    port: String,
    paths: Option<String>,
}

of_row!(Row { project_id, room_name, port, paths });

/// Where a domain leads, in lower case, if there is a route for it.
///
/// # Errors
///
/// The store failed.
pub async fn of_domain(reads: &SqlitePool, domain: &str) -> Result<Option<Led>> {
    let row: Option<Row> =
        sqlx::query_as("SELECT project_id, room_name, port, paths FROM routes WHERE domain = $1")
            .bind(domain)
            .fetch_optional(reads)
            .await?;
    let Some(Row { project_id, room_name, port, paths }) = row else { return Ok(None) };
    let paths = match paths {
        Some(paths) => serde_json::from_str(&paths)?,
        None => vec![RoutePath::plain(&port)],
    };
    Ok(Some(Led { project: project_id, room: room_name, paths }))
}
