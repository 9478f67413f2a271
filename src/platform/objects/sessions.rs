//! Sessions: one run of a room from its start to its end.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::platform::error::{Refusal, Result};
use crate::platform::store::{Store, insert, of_row};

/// How many sessions of a project are kept after their end.
const KEPT: i64 = 1000;

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

/// Records that a session begins, and forgets those of the project that ended long ago.
///
/// # Errors
///
/// The store failed.
pub async fn begin(store: &Store, session: &Session) -> Result<()> {
    let mut write = store.write().await?.without_condition();
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
    sqlx::query(
        "DELETE FROM sessions WHERE id IN (SELECT id FROM sessions \
         WHERE project_id = $1 AND ended_at IS NOT NULL ORDER BY seq DESC LIMIT -1 OFFSET $2)",
    )
    .bind(&session.project)
    .bind(KEPT)
    .execute(write.on())
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

/// A session that was left open, as it is told.
#[derive(Debug)]
pub struct Ended {
    /// The project of the room.
    pub project: String,
    /// The name that the room had.
    pub room_name: String,
}

of_row!(Ended { project = "project_id", room_name });

/// Ends the sessions that began before a time: those of rooms whose process was killed.
///
/// # Errors
///
/// The store failed.
pub async fn end_all(store: &Store, before: &str) -> Result<Vec<Ended>> {
    let open: Option<(i64,)> =
        sqlx::query_as("SELECT 1 FROM sessions WHERE ended_at IS NULL LIMIT 1")
            .fetch_optional(store.reads())
            .await?;
    if open.is_none() {
        return Ok(Vec::new());
    }
    let mut change = store.write().await?.without_condition();
    let ended = sqlx::query_as(
        "UPDATE sessions SET ended_at = $1 WHERE ended_at IS NULL AND created_at < $2 \
         RETURNING project_id, room_name",
    )
    .bind(now())
    .bind(before)
    .fetch_all(change.on())
    .await?;
    change.commit().await?;
    Ok(ended)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::platform::bootstrap;
    use crate::platform::objects::rooms::Room;

    #[tokio::test]
    async fn the_last_sessions_of_a_project_are_kept_and_those_that_go_on() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("data").as_path().into()).await.unwrap();
        let project = bootstrap::ensure(&store).await.unwrap().project_id;
        let room = Room::ensure(&store, &project, "r").await.unwrap();
        let session = |id: &str| Session {
            id: id.to_owned(),
            project: project.clone(),
            room_id: room.id.clone(),
            room_name: room.name.clone(),
        };
        begin(&store, &session("goes on")).await.unwrap();
        begin(&store, &session("first")).await.unwrap();
        end(&store, &project, "first").await.unwrap();
        let mut change = store.write().await.unwrap().without_condition();
        sqlx::query(
            "WITH RECURSIVE ids (id) AS (SELECT 1 UNION SELECT id + 1 FROM ids WHERE id < $1) \
             INSERT INTO sessions (id, project_id, room_name, created_at, ended_at, seq) \
             SELECT id, $2, 'r', '2026', '2026', 1000 + id FROM ids",
        )
        .bind(KEPT)
        .bind(&project)
        .execute(change.on())
        .await
        .unwrap();
        change.commit().await.unwrap();
        begin(&store, &session("new")).await.unwrap();
        let kept = "SELECT COUNT(*) FROM sessions WHERE ended_at IS NOT NULL";
        let kept: i64 = sqlx::query_scalar(kept).fetch_one(store.reads()).await.unwrap();
        let others = "SELECT id FROM sessions WHERE id IN ('goes on', 'first', 'new') ORDER BY id";
        let others: Vec<String> =
            sqlx::query_scalar(others).fetch_all(store.reads()).await.unwrap();
        assert_eq!((kept, others), (KEPT, vec!["goes on".to_owned(), "new".to_owned()]));
        // What a killed process left open is ended, and named, once.
        let ended = end_all(&store, &now()).await.unwrap();
        assert_eq!(ended.iter().map(|it| it.room_name.as_str()).collect::<Vec<_>>(), ["r", "r"]);
        assert!(end_all(&store, &now()).await.unwrap().is_empty());
        store.close().await;
    }
}
