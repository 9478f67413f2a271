//! Sessions: one run of a room from its start to its end.

use crate::platform::error::{Refusal, Result};
use crate::platform::store::Store;

/// Ends a session; one that has ended stays as it is. It is a record and has no entity tag.
///
/// # Errors
///
/// 404; the store failed.
pub async fn end(store: &Store, project: &str, id: &str) -> Result<()> {
    let mut change = store.write().await?.without_condition();
    let ended = sqlx::query(
        "UPDATE sessions SET ended_at = COALESCE(ended_at, $1) WHERE id = $2 AND project_id = $3",
    )
    .bind(format!("{:.6}", jiff::Timestamp::now()))
    .bind(id)
    .bind(project)
    .execute(change.on())
    .await?;
    if ended.rows_affected() == 0 {
        return Err(Refusal::missing("session", id));
    }
    change.commit().await
}
