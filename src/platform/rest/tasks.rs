//! Scheduled tasks: on a schedule in UTC, a payload goes to a queue of a room.

use std::collections::BTreeMap;

use axum::extract::State;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use sqlx::Row;
use sqlx::sqlite::SqliteRow;
use uuid::Uuid;

use super::columns::Columns;
use super::plain::{self, Draft, Plain, Resource, Stored};
use super::{Page, Route, check_annotations};
use crate::kinds::specs::rules;
use crate::platform::App;
use crate::platform::auth::{Access, Caller};
use crate::platform::error::{Refusal, Result};
use crate::platform::exchange::{Answer, Asked};
use crate::platform::objects::sessions::now;
use crate::platform::objects::stored;
use crate::platform::store::{Write, of_row};

pub(super) fn routes() -> Vec<Route> {
    const ALL: &str = "/accounts/projects/{project}/scheduled-tasks";
    const ONE: &str = "/accounts/projects/{project}/scheduled-tasks/{task}";
    vec![
        Route::post(ALL, Access::Write, plain::create::<Task>).past(),
        Route::get(ALL, Access::Read, list),
        Route::put(ONE, Access::Write, plain::put::<Task>),
        Route::delete(ONE, Access::Write, plain::delete::<Task>),
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

/// Given fields are changed and the rest stays; whether a task runs once cannot be changed.
#[derive(Deserialize)]
struct TaskChange {
    room_name: Option<String>,
    queue_name: Option<String>,
    payload: Option<Map<String, Value>>,
    schedule: Option<String>,
    active: Option<bool>,
    annotations: Option<BTreeMap<String, String>>,
}

struct Task {
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
    container: Option<String>,
    last_run_id: Option<i64>,
    last_start_time: Option<String>,
    last_end_time: Option<String>,
    last_status: Option<String>,
    last_return_message: Option<String>,
}

of_row!(Task {
    id,
    project_id,
    room_name,
    room_id,
    queue_name,
    payload,
    schedule,
    active,
    once,
    annotations,
    container,
    last_run_id,
    last_start_time,
    last_end_time,
    last_status,
    last_return_message
});

/// A task whose schedule counts from now on, for the clock.
pub(super) fn begun(columns: Columns) -> Columns {
    columns.text("since", now()).text("due_at", String::new())
}

/// A change of a task with that schedule, which is active or not, and runs a container or not. If
/// one of these becomes another one, the schedule counts from now on.
pub(super) fn timed(draft: Draft, (schedule, active, contained): (&str, bool, bool)) -> Draft {
    let columns = &draft.columns;
    let same = columns.get("schedule").is_none_or(|it| it == schedule)
        && columns.flagged("active").is_none_or(|it| it == active)
        && columns.get("container").is_some() == contained;
    match same {
        true => draft,
        false => Draft { columns: begun(draft.columns), ..draft },
    }
}

impl Resource for Task {
    const TABLE: &'static str = "scheduled_tasks";
    const KEY: &'static str = "id";
    const NOUN: &'static str = "scheduled task";
    const TELLS_ROOM_ID: bool = true;
    const LIST: &'static str = "tasks";

    fn whole(&self) -> Result<Value> {
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
        }))
    }

    fn implied(&self, draft: Draft) -> Draft {
        timed(draft, (&self.schedule, self.active, self.container.is_some()))
    }

    /// A change must not lose what it cannot say.
    async fn spare(&self, _: &mut Write, draft: Option<&Draft>) -> Result<()> {
        if draft.is_some() && self.container.is_some() {
            let message = "the task runs a container, which the API 0.31 cannot say; change it with a client of 0.56";
            return Err(Refusal::Conflict(message.into()));
        }
        Ok(())
    }
}

impl Plain for Task {
    type New = NewTask;
    type Change = TaskChange;

    /// The caller may choose the id; it is unique in a project.
    fn create(new: NewTask) -> Result<(String, Draft)> {
        if let Some(id) = &new.id {
            rules::segment(id).map_err(Refusal::at("id"))?;
        }
        let mut draft = Self::change(TaskChange {
            room_name: Some(new.room_name),
            queue_name: Some(new.queue_name),
            payload: Some(new.payload),
            schedule: Some(new.schedule),
            active: Some(new.active.unwrap_or(true)),
            annotations: Some(new.annotations.unwrap_or_default()),
        })?;
        draft.columns = begun(draft.columns).flag("once", new.once.unwrap_or(false));
        let id = new.id.unwrap_or_else(|| Uuid::new_v4().to_string());
        draft.taken = format!("a scheduled task {id:?} already exists");
        Ok((id, draft))
    }

    fn change(change: TaskChange) -> Result<Draft> {
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
        let columns = Columns::default()
            .given("room_name", change.room_name.clone())
            .given("queue_name", change.queue_name)
            .given("payload", payload)
            .given("schedule", change.schedule)
            .given("annotations", annotations);
        let columns = match change.active {
            Some(active) => columns.flag("active", active),
            None => columns,
        };
        let room = change.room_name.map(|name| ("room_name", name));
        Ok(Draft { columns, room, taken: String::new() })
    }

    /// The answer to a change has all annotations, which name the owner.
    fn written(row: &SqliteRow, is_new: bool) -> Result<Value> {
        if is_new {
            return Ok(json!({ "task_id": row.try_get::<String, _>("id")? }));
        }
        Ok(json!({ "annotations": stored(row.try_get("annotations")?)? }))
    }
}

/// Filters of the list; absent ones do not filter.
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
    let (limit, offset) = page.bounds(&app, 200)?;
    let rows = plain::question::<Task>(
        "scheduled_tasks.project_id = $1 \
         AND ($2 IS NULL OR scheduled_tasks.room_name = $2) \
         AND ($3 IS NULL OR scheduled_tasks.id = $3) \
         AND ($4 IS NULL OR scheduled_tasks.active = $4) \
         ORDER BY scheduled_tasks.seq LIMIT $5 OFFSET $6",
    );
    let rows = sqlx::query_as(rows)
        .bind(&caller.project)
        .bind(filter.room_name)
        .bind(filter.task_id)
        .bind(filter.active)
        .bind(limit)
        .bind(offset)
        .fetch(app.store().reads());
    Answer::list(&app, Task::LIST, rows, Stored::<Task>::item).await
}
