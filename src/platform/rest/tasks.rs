//! Scheduled tasks: on a schedule in UTC, a payload goes to a queue of a room.

use std::collections::BTreeMap;

use axum::extract::{Path, State};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::{Page, Route, check_annotations, kept, rooms, stored};
use crate::api::specs::rules;
use crate::platform::App;
use crate::platform::auth::{Access, Caller};
use crate::platform::error::{Refusal, Result};
use crate::platform::exchange::{self, Answer, Asked, Body, Condition};
use crate::platform::store::Write;

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::post("/accounts/projects/{project}/scheduled-tasks", Access::Write, create),
        Route::get("/accounts/projects/{project}/scheduled-tasks", Access::Read, list),
        Route::put("/accounts/projects/{project}/scheduled-tasks/{task}", Access::Write, put),
        Route::delete("/accounts/projects/{project}/scheduled-tasks/{task}", Access::Write, delete),
    ]
}

#[derive(Deserialize)]
struct NewTask {
    id: Option<String>,
    room_name: String,
    queue_name: String,
    payload: Map<String, Value>,
    schedule: String,
    active: Option<bool>,
    once: Option<bool>,
    annotations: Option<BTreeMap<String, String>>,
}

/// The caller may choose the id; it is taken once in a project.
async fn create(
    State(app): State<App>,
    caller: Caller,
    Body(new): Body<NewTask>,
) -> Result<Answer> {
    if let Some(id) = &new.id {
        rules::segment(id).map_err(Refusal::at("id"))?;
    }
    rules::name(&new.queue_name).map_err(Refusal::at("queue_name"))?;
    rules::schedule(&new.schedule).map_err(Refusal::at("schedule"))?;
    rules::texts_of(&new.payload).map_err(Refusal::at("payload"))?;
    check_annotations(new.annotations.as_ref())?;
    let id = new.id.unwrap_or_else(|| Uuid::new_v4().to_string());
    let mut write = app.store().write().await?;
    rooms::required(write.on(), &caller.project, ("room_name", &new.room_name)).await?;
    let revision = write.revision().await?;
    sqlx::query(
        "INSERT INTO scheduled_tasks (project_id, id, room_name, queue_name, payload, schedule, \
         active, once, annotations, seq, rev) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $10)",
    )
    .bind(&caller.project)
    .bind(&id)
    .bind(&new.room_name)
    .bind(&new.queue_name)
    .bind(serde_json::to_string(&new.payload)?)
    .bind(&new.schedule)
    .bind(new.active.unwrap_or(true))
    .bind(new.once.unwrap_or(false))
    .bind(kept(new.annotations.as_ref())?)
    .bind(revision)
    .execute(write.on())
    .await
    .map_err(|error| Refusal::taken(error, || format!("a scheduled task {id:?} exists")))?;
    write.commit().await?;
    Ok(Answer::json(&json!({ "task_id": id })).created().tagged(revision))
}

#[derive(sqlx::FromRow)]
struct Row {
    id: String,
    project_id: String,
    room_name: String,
    room_id: Option<String>,
    queue_name: String,
    payload: String,
    schedule: String,
    active: bool,
    once: bool,
    annotations: String,
    last_run_id: Option<i64>,
    last_start_time: Option<String>,
    last_end_time: Option<String>,
    last_status: Option<String>,
    last_return_message: Option<String>,
    rev: i64,
}

impl Row {
    fn item(&self) -> Result<Value> {
        Ok(json!({
            "id": self.id,
            "project_id": self.project_id,
            "room_name": self.room_name,
            "room_id": self.room_id,
            "queue_name": self.queue_name,
            "payload": stored(&self.payload)?,
            "schedule": self.schedule,
            "active": self.active,
            "once": self.once,
            "annotations": stored(&self.annotations)?,
            "last_run_id": self.last_run_id,
            "last_start_time": self.last_start_time,
            "last_end_time": self.last_end_time,
            "last_status": self.last_status,
            "last_return_message": self.last_return_message,
            "etag": exchange::tag(self.rev),
        }))
    }
}

/// Narrows the list; what is absent does not.
#[derive(Deserialize)]
struct Filter {
    room_name: Option<String>,
    task_id: Option<String>,
    active: Option<bool>,
}

async fn list(
    State(app): State<App>,
    caller: Caller,
    Asked(page): Asked<Page>,
    Asked(filter): Asked<Filter>,
) -> Result<Answer> {
    let (limit, offset) = page.bounds(200)?;
    let rows = sqlx::query_as(
        "SELECT scheduled_tasks.*, rooms.id AS room_id FROM scheduled_tasks \
         LEFT JOIN rooms ON rooms.project_id = scheduled_tasks.project_id \
         AND rooms.name = scheduled_tasks.room_name \
         WHERE scheduled_tasks.project_id = $1 \
         AND ($2 IS NULL OR scheduled_tasks.room_name = $2) \
         AND ($3 IS NULL OR scheduled_tasks.id = $3) \
         AND ($4 IS NULL OR scheduled_tasks.active = $4) \
         ORDER BY scheduled_tasks.seq LIMIT $5 OFFSET $6",
    )
    .bind(&caller.project)
    .bind(filter.room_name)
    .bind(filter.task_id)
    .bind(filter.active)
    .bind(limit)
    .bind(offset)
    .fetch(app.store().reads());
    Answer::list(&app, "tasks", rows, Row::item).await
}

#[derive(Deserialize)]
struct TaskChange {
    room_name: Option<String>,
    queue_name: Option<String>,
    payload: Option<Map<String, Value>>,
    schedule: Option<String>,
    active: Option<bool>,
    annotations: Option<BTreeMap<String, String>>,
}

/// The revision of a task of the project, or 404.
async fn current(write: &mut Write, caller: &Caller, id: &str) -> Result<i64> {
    sqlx::query_scalar("SELECT rev FROM scheduled_tasks WHERE project_id = $1 AND id = $2")
        .bind(&caller.project)
        .bind(id)
        .fetch_optional(write.on())
        .await?
        .ok_or_else(|| Refusal::missing("scheduled task", id))
}

/// Changes what is given and leaves the rest; whether a task runs once cannot be changed.
async fn put(
    State(app): State<App>,
    caller: Caller,
    Path((_, id)): Path<(String, String)>,
    condition: Condition,
    Body(change): Body<TaskChange>,
) -> Result<Answer> {
    if let Some(queue) = &change.queue_name {
        rules::name(queue).map_err(Refusal::at("queue_name"))?;
    }
    if let Some(schedule) = &change.schedule {
        rules::schedule(schedule).map_err(Refusal::at("schedule"))?;
    }
    if let Some(payload) = &change.payload {
        rules::texts_of(payload).map_err(Refusal::at("payload"))?;
    }
    check_annotations(change.annotations.as_ref())?;
    let payload = change.payload.as_ref().map(serde_json::to_string).transpose()?;
    let annotations = change.annotations.as_ref().map(serde_json::to_string).transpose()?;
    let mut write = app.store().write().await?;
    condition.allows(current(&mut write, &caller, &id).await?)?;
    if let Some(room) = &change.room_name {
        rooms::required(write.on(), &caller.project, ("room_name", room)).await?;
    }
    let revision = write.revision().await?;
    let annotations: String = sqlx::query_scalar(
        "UPDATE scheduled_tasks SET room_name = COALESCE($1, room_name), \
         queue_name = COALESCE($2, queue_name), payload = COALESCE($3, payload), \
         schedule = COALESCE($4, schedule), active = COALESCE($5, active), \
         annotations = COALESCE($6, annotations), rev = $7 WHERE project_id = $8 AND id = $9 \
         RETURNING annotations",
    )
    .bind(change.room_name)
    .bind(change.queue_name)
    .bind(payload)
    .bind(change.schedule)
    .bind(change.active)
    .bind(annotations)
    .bind(revision)
    .bind(&caller.project)
    .bind(&id)
    .fetch_one(write.on())
    .await?;
    write.commit().await?;
    // Who changes a part of it learns what the rest says of its owner.
    Ok(Answer::json(&json!({ "annotations": stored(&annotations)? })).tagged(revision))
}

async fn delete(
    State(app): State<App>,
    caller: Caller,
    Path((_, id)): Path<(String, String)>,
    condition: Condition,
) -> Result<Answer> {
    let mut write = app.store().write().await?;
    condition.allows(current(&mut write, &caller, &id).await?)?;
    sqlx::query("DELETE FROM scheduled_tasks WHERE project_id = $1 AND id = $2")
        .bind(&caller.project)
        .bind(&id)
        .execute(write.on())
        .await?;
    write.commit().await?;
    Ok(Answer::nothing())
}
