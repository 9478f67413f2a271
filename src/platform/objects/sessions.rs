//! Sessions: one run of a room from its start to its end.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::platform::error::{Refusal, Result};
use crate::platform::store::{Store, insert};

/// A session that begins.
#[derive(Debug, Clone)]
pub struct Session {
    /// Its id.
    pub id: String,
    /// The project of the room.
    pub project: String,
    /// The id of the room.
    pub room_id: String,
    /// The name that the room has now.
    pub room_name: String,
}

/// The time, as it is stored.
pub fn now() -> String {
    format!("{:.6}", jiff::Timestamp::now())
}

/// Records that a session begins.
///
/// # Errors
///
/// The store failed.
pub async fn begin(store: &Store, session: &Session) -> Result<()> {
    let mut write = store.write().await?;
    let seq = write.revision().await?;
    insert(
        "INSERT INTO sessions (id, project_id, room_id, room_name, created_at, seq) \
         VALUES ($1, $2, $3, $4, $5, $6)",
    )
    .bind(&session.id)
    .bind(&session.project)
    .bind(&session.room_id)
    .bind(&session.room_name)
    .bind(now())
    .bind(seq)
    .run(&mut write, || format!("the session {:?} has already begun", session.id))
    .await?;
    write.commit().await
}

/// Records events of a session, and how many participants there were by their roles.
///
/// # Errors
///
/// The store failed.
pub async fn record(
    store: &Store,
    id: &str,
    events: Vec<Value>,
    roles: &BTreeMap<String, u64>,
) -> Result<()> {
    let mut change = store.write().await?.without_condition();
    for event in events {
        let seq = change.revision().await?;
        sqlx::query(
            "INSERT INTO session_records (session_id, kind, seq, document) \
             SELECT id, 'event', $2, $3 FROM sessions WHERE id = $1",
        )
        .bind(id)
        .bind(seq)
        .bind(event.to_string())
        .execute(change.on())
        .await?;
    }
    sqlx::query("UPDATE sessions SET participants = $1 WHERE id = $2")
        .bind(serde_json::to_string(roles)?)
        .bind(id)
        .execute(change.on())
        .await?;
    change.commit().await
}

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
    .bind(now())
    .bind(id)
    .bind(project)
    .execute(change.on())
    .await?;
    if ended.rows_affected() == 0 {
        return Err(Refusal::missing("session", id));
    }
    change.commit().await
}

/// Ends the sessions that began before a time: those of rooms whose process was killed.
///
/// # Errors
///
/// The store failed.
pub async fn end_all(store: &Store, before: &str) -> Result<()> {
    let open: Option<(i64,)> =
        sqlx::query_as("SELECT 1 FROM sessions WHERE ended_at IS NULL LIMIT 1")
            .fetch_optional(store.reads())
            .await?;
    if open.is_none() {
        return Ok(());
    }
    let mut change = store.write().await?.without_condition();
    sqlx::query("UPDATE sessions SET ended_at = $1 WHERE ended_at IS NULL AND created_at < $2")
        .bind(now())
        .bind(before)
        .execute(change.on())
        .await?;
    change.commit().await
}
