//! Scheduled tasks: a document, made below a room. They run at most every fifteen minutes, and
//! clients check that in what they read: one that 0.31 made with a shorter interval would make the
//! whole list unreadable for them, so it is not in theirs.
//!
//! The documents of lists are checked here for that, and so a page may be shorter than it could be.

use std::collections::BTreeMap;

use axum::extract::{Path, State};
use futures_util::TryStreamExt;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::super::plain::{self, Draft, Plain, Resource};
use super::super::tasks::{begun, timed};
use super::super::{Page, check_annotations};
use super::page::{self, Placed, Tokens};
use super::route_spec::Version;
use super::service_spec::Service;
use super::{Refusal, Result, Route};
use crate::kinds::specs::rules;
use crate::platform::App;
use crate::platform::auth::{Access, Caller};
use crate::platform::exchange::{Answer, Asked, Body, Listing, decode};
use crate::platform::objects::rooms::Room;
use crate::platform::objects::stored;
use crate::platform::rest::columns::{At, Columns};
use crate::platform::schedule::Schedule;
use crate::platform::store::of_row;

pub(super) fn routes() -> Vec<Route> {
    const OF_ROOM: &str = "/accounts/projects/{project}/rooms/{room}/scheduled-tasks";
    const ALL: &str = "/accounts/projects/{project}/scheduled-tasks";
    const ONE: &str = "/accounts/projects/{project}/scheduled-tasks/{task}";
    const RUNS: &str = "/accounts/projects/{project}/scheduled-tasks/{task}/runs";
    vec![
        Route::post(OF_ROOM, Access::Write, create),
        Route::get(ALL, Access::Read, list),
        Route::put(ONE, Access::Write, plain::put::<Task>),
        Route::get(RUNS, Access::Read, runs),
    ]
}

/// The shortest interval between two runs, in seconds.
const SHORTEST: i64 = 15 * 60;

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Spec {
    #[serde(default)]
    version: Version,
    #[serde(default)]
    kind: Kind,
    #[serde(default)]
    metadata: Metadata,
    schedule: String,
    #[serde(default = "yes")]
    active: bool,
    #[serde(default)]
    once: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    queue: Option<Queue>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    container: Option<Value>,
}

#[derive(Default, Deserialize, Serialize)]
enum Kind {
    #[default]
    ScheduledTask,
}

#[derive(Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Metadata {
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Queue {
    name: String,
    #[serde(default)]
    payload: Map<String, Value>,
    #[serde(default)]
    storage_write_path: Option<String>,
}

const fn yes() -> bool {
    true
}

/// The shortest interval of a schedule that is one.
fn interval(schedule: &str) -> Option<i64> {
    Schedule::read(schedule)?.shortest()
}

fn check_schedule(schedule: &str) -> Result<()> {
    let refused = |message: &str| Refusal::field("spec.schedule", message);
    if schedule.len() > rules::SCHEDULE_LIMIT {
        return Err(refused("is too long"));
    }
    match interval(schedule) {
        None => Err(refused(
            "must be fields of cron in UTC, such as `0 9 * * 1-5`, or an interval such as `30 minutes`",
        )),
        Some(SHORTEST..) => Ok(()),
        Some(_) => Err(refused("must leave at least 15 minutes between two runs")),
    }
}

/// A task as it is stored.
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
    name: Option<String>,
    container: Option<String>,
    storage_write_path: Option<String>,
    last: Last,
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
    name,
    container,
    storage_write_path;
    last
});

/// Its last run.
#[derive(Serialize)]
struct Last {
    last_run_id: Option<i64>,
    last_start_time: Option<String>,
    last_end_time: Option<String>,
    last_status: Option<String>,
    last_return_message: Option<String>,
}

of_row!(Last { last_run_id, last_start_time, last_end_time, last_status, last_return_message });

impl Resource for Task {
    const TABLE: &'static str = "scheduled_tasks";
    const KEY: &'static str = "id";
    const NOUN: &'static str = "scheduled task";
    const TELLS_ROOM_ID: bool = true;
    const LIST: &'static str = "tasks";

    fn implied(&self, draft: Draft) -> Draft {
        timed(draft, (&self.schedule, self.active, self.container.is_some()))
    }

    fn whole(&self) -> Result<Value> {
        let container: Option<Value> = self.container.as_deref().map(stored).transpose()?;
        let payload: Map<String, Value> = serde_json::from_str(&self.payload)?;
        let annotations: BTreeMap<String, String> = serde_json::from_str(&self.annotations)?;
        let queue = container.is_none().then(|| Queue {
            name: self.queue_name.clone(),
            payload: payload.clone(),
            storage_write_path: self.storage_write_path.clone(),
        });
        let queue_name = queue.is_some().then_some(&self.queue_name);
        let mut whole = serde_json::to_value(&self.last)?;
        let fields = json!({
            "id": self.id,
            "project_id": self.project_id,
            "room_name": self.room_name,
            "room_id": self.room_id.as_deref().unwrap_or_default(),
            "queue_name": queue_name,
            "payload": payload,
            "container": container,
            "storage_write_path": self.storage_write_path,
            "schedule": self.schedule,
            "active": self.active,
            "once": self.once,
            "annotations": annotations,
            "spec": Spec {
                version: Version::V1,
                kind: Kind::ScheduledTask,
                metadata: Metadata { name: self.name.clone(), annotations },
                schedule: self.schedule.clone(),
                active: self.active,
                once: self.once,
                queue,
                container: container.clone(),
            },
        });
        if let (Some(whole), Value::Object(fields)) = (whole.as_object_mut(), fields) {
            whole.extend(fields);
        }
        Ok(whole)
    }
}

/// The body of a request. It names no room: a task stays in the one that it was made in.
#[derive(Deserialize)]
struct Wrapped {
    spec: Spec,
}

impl Plain for Task {
    type New = Wrapped;
    type Change = Wrapped;

    fn create(new: Wrapped) -> Result<(String, Draft)> {
        let draft = Self::change(new)?;
        let draft = Draft { columns: begun(draft.columns), ..draft };
        Ok((Uuid::new_v4().to_string(), draft))
    }

    /// A task is replaced as a whole.
    fn change(Wrapped { spec }: Wrapped) -> Result<Draft> {
        check_schedule(&spec.schedule)?;
        if let Some(name) = &spec.metadata.name {
            rules::name(name).map_err(Refusal::at("spec.metadata.name"))?;
        }
        check_annotations(Some(&spec.metadata.annotations))?;
        let (queue, container) = match (spec.queue, spec.container) {
            (Some(queue), None) => (queue, None),
            (None, Some(container)) => {
                let container = checked(container)?.to_string();
                let none =
                    Queue { name: String::new(), payload: Map::new(), storage_write_path: None };
                (none, Some(container))
            }
            _ => return Err(Refusal::field("spec", "must have either `queue` or `container`")),
        };
        if container.is_none() {
            rules::name(&queue.name).map_err(Refusal::at("spec.queue.name"))?;
        }
        rules::texts_of(&queue.payload).map_err(Refusal::at("spec.queue.payload"))?;
        if let Some(path) = &queue.storage_write_path {
            rules::text(path).map_err(Refusal::at("spec.queue.storage_write_path"))?;
        }
        let columns = Columns::default()
            .text("queue_name", queue.name)
            .text("payload", serde_json::to_string(&queue.payload)?)
            .text("schedule", spec.schedule)
            .flag("active", spec.active)
            .flag("once", spec.once)
            .text("annotations", serde_json::to_string(&spec.metadata.annotations)?)
            .text("name", spec.metadata.name)
            .text("container", container)
            .text("storage_write_path", queue.storage_write_path);
        Ok(Draft { columns, room: None, taken: "the scheduled task already exists".into() })
    }
}

/// A container as that of a service: it has the same rules, and the same defaults.
fn checked(container: Value) -> Result<Value> {
    let service = json!({
        "version": "v1",
        "kind": "Service",
        "metadata": {"name": "task"},
        "container": container,
    });
    let below = |refusal| match refusal {
        Refusal::Invalid { field: Some(field), message } => {
            Refusal::field(format!("spec.{field}"), message)
        }
        refusal => refusal,
    };
    let mut service = Service::read(service).map_err(below)?;
    crate::kinds::service::check(&service.old)
        .map_err(super::super::services::refusal)
        .map_err(below)?;
    Ok(service.whole["container"].take())
}

async fn create(
    State(app): State<App>,
    caller: Caller,
    Path((_, room)): Path<(String, String)>,
    Body(body): Body<Value>,
) -> Result<Answer> {
    let (id, draft) = Task::create(decode(body)?)?;
    let (mut write, vault) = (app.store().write().await?, app.store().vault());
    let room = Room::named(write.reads(), &caller.project, &room).await?;
    let at = At { table: Task::TABLE, column: Task::KEY, key: &id, project: &caller.project };
    let columns = draft.columns.text("room_name", room.name);
    let (_, revision) = columns.insert(vault, &mut write, (at, &draft.taken)).await?;
    write.commit().await?;
    Ok(Answer::json(&json!({ "task_id": id })).created().tagged(revision))
}

/// Filters of the list; absent ones do not filter.
#[derive(Deserialize)]
struct Filter {
    task_id: Option<String>,
    active: Option<bool>,
    room_id: Option<String>,
    offset: Option<i64>,
}

/// Of one room by offsets, otherwise by tokens.
async fn list(
    State(app): State<App>,
    caller: Caller,
    Asked(tokens): Asked<Tokens>,
    Asked(filter): Asked<Filter>,
) -> Result<Answer> {
    let size = tokens.size(&app)?;
    let is_of_room = filter.room_id.is_some();
    let skipped = if is_of_room { filter.offset.unwrap_or(0) } else { 0 };
    if skipped < 0 {
        return Err(Refusal::field("offset", "must not be negative"));
    }
    let rows = plain::question::<Task>(
        "scheduled_tasks.project_id = $1 \
         AND ($2 IS NULL OR scheduled_tasks.seq > $2) \
         AND ($3 IS NULL OR scheduled_tasks.id = $3) \
         AND ($4 IS NULL OR scheduled_tasks.active = $4) \
         AND ($5 IS NULL OR rooms.id = $5) \
         AND ($6 IS NULL OR instr(lower(COALESCE(scheduled_tasks.name, '') || ' ' || \
         scheduled_tasks.queue_name || ' ' || scheduled_tasks.id), lower($6)) > 0) \
         ORDER BY scheduled_tasks.seq",
    );
    let rows = sqlx::query_as(rows)
        .bind(&caller.project)
        .bind(tokens.after_seq(Task::LIST)?)
        .bind(&filter.task_id)
        .bind(filter.active)
        .bind(&filter.room_id)
        .bind(&tokens.filter)
        .fetch(app.store().reads());
    let readable = rows.try_filter(|row: &Placed<Task>| {
        let seconds = interval(&row.stored.row.schedule);
        std::future::ready(seconds.is_some_and(|seconds| seconds >= SHORTEST))
    });
    if !is_of_room {
        let position = |row: &Placed<Task>| row.seq.to_string();
        return page::of(&app, (Task::LIST, size), readable, position, |row| row.stored.item())
            .await;
    }
    let (mut list, mut total) = (Listing::new(Task::LIST), 0);
    let mut rows = std::pin::pin!(readable);
    while let Some(row) = rows.try_next().await? {
        let Placed { stored, .. }: Placed<Task> = row;
        if (skipped..skipped.saturating_add(size)).contains(&total) {
            list.push(&app, stored.item()?).await?;
        }
        total += 1;
    }
    list.end_with(&app, &[("total", json!(total))]).await?;
    Ok(Answer::listed(list))
}

/// A run of a task. Tasks that run containers have none.
struct Run {
    seq: i64,
    project_id: String,
    task_id: String,
    room_id: String,
    room_name: String,
    status: String,
    error: Option<String>,
    scheduled_time: String,
    started_at: String,
    completed_at: String,
}

of_row!(Run {
    seq,
    project_id,
    task_id,
    room_id,
    room_name,
    status,
    error,
    scheduled_time,
    started_at,
    completed_at
});

impl Run {
    fn item(&self) -> Value {
        json!({
            "id": self.seq.to_string(),
            "task_id": self.task_id,
            "project_id": self.project_id,
            "room_id": self.room_id,
            "room_name": self.room_name,
            "target": "queue",
            "status": self.status,
            "attempt_count": 1,
            "error": self.error,
            "scheduled_time": self.scheduled_time,
            "started_at": self.started_at,
            "completed_at": self.completed_at,
        })
    }
}

/// The last runs of a task, the newest first.
async fn runs(
    State(app): State<App>,
    caller: Caller,
    Path((_, task)): Path<(String, String)>,
    Asked(page): Asked<Page>,
) -> Result<Answer> {
    let (limit, offset) = page.bounds(&app, 100)?;
    let (reads, project) = (app.store().reads(), &caller.project);
    plain::find::<Task>(reads, project, (&task, &task)).await?;
    let total = "SELECT COUNT(*) FROM task_runs WHERE project_id = $1 AND task_id = $2";
    let total: i64 = sqlx::query_scalar(total).bind(project).bind(&task).fetch_one(reads).await?;
    let mut rows = sqlx::query_as(
        "SELECT seq, project_id, task_id, room_id, room_name, status, error, scheduled_time, \
         started_at, completed_at FROM task_runs WHERE project_id = $1 AND task_id = $2 \
         ORDER BY seq DESC LIMIT $3 OFFSET $4",
    )
    .bind(project)
    .bind(&task)
    .bind(limit)
    .bind(offset)
    .fetch(reads);
    let mut list = Listing::new("runs");
    while let Some(run) = rows.try_next().await? {
        let run: Run = run;
        list.push(&app, run.item()).await?;
    }
    list.end_with(&app, &[("total", json!(total))]).await?;
    Ok(Answer::listed(list))
}
