//! Sessions: one run of a room from its start to its end, with what was recorded in it.
//!
//! Rooms record them while they run; here they are only read, and ended.

use std::collections::BTreeMap;

use axum::extract::{Path, State};
use serde_json::{Value, json};
use sqlx::SqlitePool;

use super::Route;
use crate::platform::App;
use crate::platform::auth::{Access, Caller};
use crate::platform::error::{Refusal, Result};
use crate::platform::exchange::Answer;
use crate::platform::objects::{sessions, stored};
use crate::platform::store::of_row;

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get("/accounts/projects/{project}/sessions", Access::Read, list),
        Route::get("/accounts/projects/{project}/sessions/active", Access::Read, active),
        Route::get("/accounts/projects/{project}/sessions/{session}", Access::Read, get),
        Route::get("/accounts/projects/{project}/sessions/{session}/events", Access::Read, events),
        Route::get("/accounts/projects/{project}/sessions/{session}/spans", Access::Read, spans),
        Route::get(
            "/accounts/projects/{project}/sessions/{session}/metrics",
            Access::Read,
            metrics,
        ),
        Route::post(
            "/accounts/projects/{project}/sessions/{session}/terminate",
            Access::Write,
            terminate,
        ),
    ]
}

/// A session as it is stored.
pub(super) struct Row {
    id: String,
    room_id: Option<String>,
    room_name: String,
    created_at: String,
    ended_at: Option<String>,
    participants: Option<String>,
}

of_row!(Row { id, room_id, room_name, created_at, ended_at, participants });

impl Row {
    /// How many participants there are, by their roles; nothing where that was not counted.
    pub(super) fn participants(&self) -> Result<Option<BTreeMap<String, i64>>> {
        Ok(self.participants.as_deref().map(serde_json::from_str).transpose()?)
    }

    /// The key `room_id` is present even if it is null, because the SDK requires it.
    fn whole(&self) -> Result<Value> {
        let participants = self.participants()?;
        Ok(json!({
            "id": self.id,
            "room_id": self.room_id,
            "room_name": self.room_name,
            "created_at": self.created_at,
            "is_active": self.ended_at.is_none(),
            "participants": participants,
        }))
    }
}

async fn listed(app: &App, caller: &Caller, only_active: bool) -> Result<Answer> {
    among(app, caller, only_active, None).await
}

/// Those of one room, the latest first.
pub(super) async fn of_room(app: &App, caller: &Caller, room: &str) -> Result<Answer> {
    among(app, caller, false, Some(room)).await
}

async fn among(
    app: &App,
    caller: &Caller,
    only_active: bool,
    room: Option<&str>,
) -> Result<Answer> {
    let rows = sqlx::query_as(
        "SELECT id, room_id, room_name, created_at, ended_at, participants FROM sessions \
         WHERE project_id = $1 AND ($2 = FALSE OR ended_at IS NULL) \
         AND ($3 IS NULL OR room_id = $3) ORDER BY seq DESC",
    )
    .bind(&caller.project)
    .bind(only_active)
    .bind(room)
    .fetch(app.store().reads());
    Answer::list(app, "sessions", rows, Row::whole).await
}

/// The latest first.
async fn list(State(app): State<App>, caller: Caller) -> Result<Answer> {
    listed(&app, &caller, false).await
}

async fn active(State(app): State<App>, caller: Caller) -> Result<Answer> {
    listed(&app, &caller, true).await
}

/// A session of the caller's project.
pub(super) async fn find(reads: &SqlitePool, caller: &Caller, id: &str) -> Result<Row> {
    sqlx::query_as(
        "SELECT id, room_id, room_name, created_at, ended_at, participants FROM sessions \
         WHERE id = $1 AND project_id = $2",
    )
    .bind(id)
    .bind(&caller.project)
    .fetch_optional(reads)
    .await?
    .ok_or_else(|| Refusal::missing("session", id))
}

async fn get(
    State(app): State<App>,
    caller: Caller,
    Path((_, id)): Path<(String, String)>,
) -> Result<Answer> {
    Ok(Answer::json(&find(app.store().reads(), &caller, &id).await?.whole()?))
}

/// The records of one kind, in the order in which they were made; the list is named by their
/// plural.
async fn records(app: &App, caller: &Caller, (id, kind): (&str, &str)) -> Result<Answer> {
    let session = find(app.store().reads(), caller, id).await?;
    let documents = sqlx::query_scalar(
        "SELECT document FROM session_records WHERE session_id = $1 AND kind = $2 ORDER BY seq",
    )
    .bind(&session.id)
    .bind(kind)
    .fetch(app.store().reads());
    Answer::list(app, &format!("{kind}s"), documents, |document: &String| stored(document)).await
}

async fn events(
    State(app): State<App>,
    caller: Caller,
    Path((_, id)): Path<(String, String)>,
) -> Result<Answer> {
    records(&app, &caller, (&id, "event")).await
}

async fn spans(
    State(app): State<App>,
    caller: Caller,
    Path((_, id)): Path<(String, String)>,
) -> Result<Answer> {
    records(&app, &caller, (&id, "span")).await
}

async fn metrics(
    State(app): State<App>,
    caller: Caller,
    Path((_, id)): Path<(String, String)>,
) -> Result<Answer> {
    records(&app, &caller, (&id, "metric")).await
}

/// Ends a session; one that has ended stays as it is.
pub(super) async fn terminate(
    State(app): State<App>,
    caller: Caller,
    Path((_, id)): Path<(String, String)>,
) -> Result<Answer> {
    sessions::end(app.store(), &caller.project, &id).await?;
    app.rooms().end_session(&id);
    Ok(Answer::nothing())
}
