//! Scheduled tasks as the clock sees them: when they are due, and the record of their runs.
//!
//! A run and its message are one write, which is done only if the task is what it was and due for
//! that time. So nothing runs twice for one time, whatever happens to the process.
//!
//! What is written here leaves the revision of a task as it is, because it is no part of what its
//! entity tag stands for. A task that has run its only time is another one, since it is inactive.

use jiff::Timestamp;

use super::sessions::now;
use crate::platform::error::Result;
use crate::platform::store::{Change, Store, of_row};

/// How many runs of a task are remembered.
pub const KEPT: i64 = 50;

/// How many tasks are read at once.
pub const AT_ONCE: i64 = 256;

/// For which time a task is due that does not run again: later than all others.
pub const NEVER: &str = "9999-12-31T23:59:59.000000Z";

/// What of a task the clock needs.
#[derive(Debug, Clone)]
pub struct Task {
    /// Its project.
    pub project: String,
    /// Its id, unique in the project.
    pub id: String,
    /// Its name, if it has one beside the id.
    pub name: Option<String>,
    /// Its revision.
    pub rev: i64,
    /// The name of its room.
    pub room_name: String,
    /// The id of the room, if there is one of that name.
    pub room_id: Option<String>,
    /// The queue that its payload is put into.
    pub queue: String,
    /// When it runs.
    pub schedule: String,
    /// Since when it has that schedule and is active, if that is known.
    pub since: Option<String>,
    /// For which time it is due next; empty if that is not known yet.
    pub due_at: String,
    /// The last time for which it has run, or failed to.
    pub fired_for: Option<String>,
}

impl Task {
    /// Its place in the order in which tasks are due.
    fn place(&self) -> (&str, &str, &str) {
        (&self.due_at, &self.project, &self.id)
    }
}

of_row!(Task {
    project = "project_id",
    id,
    name,
    rev,
    room_name,
    room_id,
    queue = "queue_name",
    schedule,
    since,
    due_at,
    fired_for
});

/// A run of a task that is due.
#[derive(Debug, Clone)]
pub struct Run {
    /// The task.
    pub task: Task,
    /// For which time it is due after that, as it is stored.
    pub next: String,
    /// When the run began, as it is stored.
    pub started_at: String,
}

/// A time as it is stored. All have the same length, so they are in order as texts.
pub fn stamp(time: Timestamp) -> String {
    format!("{time:.6}")
}

/// The active tasks that put something into queues, with the ids of their rooms.
macro_rules! tasks {
    ($condition:literal) => {
        concat!(
            "SELECT tasks.project_id, tasks.id, tasks.name, tasks.rev, tasks.room_name, \
             rooms.id AS room_id, tasks.queue_name, tasks.schedule, tasks.since, tasks.due_at, \
             tasks.fired_for FROM scheduled_tasks AS tasks LEFT JOIN rooms \
             ON rooms.project_id = tasks.project_id AND rooms.name = tasks.room_name \
             WHERE tasks.active AND tasks.container IS NULL AND ",
            $condition
        )
    };
}

const DUE: &str = tasks!(
    "tasks.due_at <= $1 AND (tasks.due_at, tasks.project_id, tasks.id) > ($2, $3, $4) \
     ORDER BY tasks.due_at, tasks.project_id, tasks.id LIMIT $5"
);
const NEXT: &str = "SELECT MIN(due_at) FROM scheduled_tasks WHERE active AND container IS NULL";

/// The first of all active tasks after one of them, in the order of their keys.
///
/// # Errors
///
/// The store failed.
pub async fn active(store: &Store, (project, id): (&str, &str)) -> Result<Vec<Task>> {
    let sql = tasks!(
        "(tasks.project_id, tasks.id) > ($1, $2) ORDER BY tasks.project_id, tasks.id LIMIT $3"
    );
    let rows = sqlx::query_as(sql).bind(project).bind(id).bind(AT_ONCE);
    Ok(rows.fetch_all(store.reads()).await?)
}

/// The first tasks that are due at a time, or of which that is not known, after one of them.
///
/// # Errors
///
/// The store failed.
pub async fn due(store: &Store, until: &str, after: Option<&Task>) -> Result<Vec<Task>> {
    behind(store, until, after.map_or(("", "", ""), Task::place)).await
}

/// The first tasks that are due at a time, after one of them. Of those that were just created, it is
/// not known when they are due.
///
/// # Errors
///
/// The store failed.
pub async fn ready(store: &Store, until: &str, after: Option<&Task>) -> Result<Vec<Task>> {
    // Times begin with a digit, and what is not known is empty.
    behind(store, until, after.map_or(("0", "", ""), Task::place)).await
}

async fn behind(
    store: &Store,
    until: &str,
    (due_at, project, id): (&str, &str, &str),
) -> Result<Vec<Task>> {
    let rows = sqlx::query_as(DUE).bind(until).bind(due_at).bind(project).bind(id).bind(AT_ONCE);
    Ok(rows.fetch_all(store.reads()).await?)
}

/// When the next task is due; none if no task is active.
///
/// # Errors
///
/// The store failed.
pub async fn next(store: &Store) -> Result<Option<String>> {
    Ok(sqlx::query_scalar(NEXT).fetch_one(store.reads()).await?)
}

/// Notes for which times tasks are due, and since when their schedules count where that is not
/// known. Tasks that were changed meanwhile stay as they are.
///
/// # Errors
///
/// The store failed: nothing is noted.
pub async fn note(store: &Store, since: &str, due: &[(Task, String)]) -> Result<()> {
    if due.is_empty() {
        return Ok(());
    }
    let mut change = store.write().await?.without_condition();
    for (task, due_at) in due {
        sqlx::query(
            "UPDATE scheduled_tasks SET due_at = $1, since = COALESCE(since, $2) \
             WHERE project_id = $3 AND id = $4 AND rev = $5 AND due_at = $6",
        )
        .bind(due_at)
        .bind(since)
        .bind(&task.project)
        .bind(&task.id)
        .bind(task.rev)
        .bind(&task.due_at)
        .execute(change.on())
        .await?;
    }
    change.commit().await
}

/// Puts the payload of a task into its queue, which is there, and records the run: both or neither.
/// Gives the place of the message; none if the task is no longer due for that time, or the queue is
/// gone.
///
/// # Errors
///
/// The store failed.
pub async fn run(change: &mut Change, (room, run): (&str, &Run)) -> Result<Option<i64>> {
    // Outside of what may be undone: a revision that was drawn is never drawn again.
    let seq = change.revision().await?;
    sqlx::query("SAVEPOINT run").execute(change.on()).await?;
    let ran = put(change, (room, run, seq)).await;
    if ran.is_err() {
        sqlx::query("ROLLBACK TO run").execute(change.on()).await?;
    }
    sqlx::query("RELEASE run").execute(change.on()).await?;
    Ok(ran?.then_some(seq))
}

async fn put(change: &mut Change, (room, run, seq): (&str, &Run, i64)) -> Result<bool> {
    let task = &run.task;
    let is_due = sqlx::query(
        "UPDATE scheduled_tasks SET fired_for = due_at, \
         due_at = CASE WHEN once THEN '' ELSE $1 END, active = NOT once, \
         rev = CASE WHEN once THEN $2 ELSE rev END, last_run_id = $2, last_start_time = $3, \
         last_end_time = $4, last_status = 'succeeded', last_return_message = NULL \
         WHERE project_id = $5 AND id = $6 AND rev = $7 AND active AND due_at = $8 AND EXISTS \
         (SELECT 1 FROM queues WHERE room_id = $9 AND name = scheduled_tasks.queue_name)",
    )
    .bind(&run.next)
    .bind(seq)
    .bind(&run.started_at)
    .bind(now())
    .bind(&task.project)
    .bind(&task.id)
    .bind(task.rev)
    .bind(&task.due_at)
    .bind(room)
    .execute(change.on())
    .await?;
    if is_due.rows_affected() == 0 {
        return Ok(false);
    }
    sqlx::query(
        "INSERT INTO queue_messages (room_id, queue, seq, message) \
         SELECT $1, queue_name, $2, payload FROM scheduled_tasks WHERE project_id = $3 AND id = $4",
    )
    .bind(room)
    .bind(seq)
    .bind(&task.project)
    .bind(&task.id)
    .execute(change.on())
    .await?;
    record(change, (run, seq, None)).await?;
    Ok(true)
}

/// Records that a task could not run for its time, and why; one that runs once stays active. A task
/// that is no longer due for that time stays as it is.
///
/// # Errors
///
/// The store failed: nothing is recorded.
pub async fn fail(store: &Store, run: &Run, why: &str) -> Result<()> {
    let mut change = store.write().await?.without_condition();
    let seq = change.revision().await?;
    let task = &run.task;
    let is_due = sqlx::query(
        "UPDATE scheduled_tasks SET fired_for = due_at, due_at = $1, last_run_id = $2, \
         last_start_time = $3, last_end_time = $4, last_status = 'failed', \
         last_return_message = $5 \
         WHERE project_id = $6 AND id = $7 AND rev = $8 AND active AND due_at = $9",
    )
    .bind(&run.next)
    .bind(seq)
    .bind(&run.started_at)
    .bind(now())
    .bind(why)
    .bind(&task.project)
    .bind(&task.id)
    .bind(task.rev)
    .bind(&task.due_at)
    .execute(change.on())
    .await?;
    if is_due.rows_affected() > 0 {
        record(&mut change, (run, seq, Some(why))).await?;
    }
    change.commit().await
}

/// Records a run, and forgets those of the task that were long ago.
async fn record(change: &mut Change, (run, seq, error): (&Run, i64, Option<&str>)) -> Result<()> {
    let task = &run.task;
    sqlx::query(
        "INSERT INTO task_runs (project_id, task_id, seq, room_id, room_name, status, error, \
         scheduled_time, started_at, completed_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
    )
    .bind(&task.project)
    .bind(&task.id)
    .bind(seq)
    .bind(task.room_id.as_deref().unwrap_or_default())
    .bind(&task.room_name)
    .bind(if error.is_some() { "failed" } else { "submitted" })
    .bind(error)
    .bind(&task.due_at)
    .bind(&run.started_at)
    .bind(now())
    .execute(change.on())
    .await?;
    sqlx::query(
        "DELETE FROM task_runs WHERE project_id = $1 AND task_id = $2 AND seq NOT IN \
         (SELECT seq FROM task_runs WHERE project_id = $1 AND task_id = $2 \
         ORDER BY seq DESC LIMIT $3)",
    )
    .bind(&task.project)
    .bind(&task.id)
    .bind(KEPT)
    .execute(change.on())
    .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn tasks_that_are_not_due_are_not_read() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("data").as_path().into()).await.unwrap();
        for sql in [DUE, NEXT] {
            let plan = sqlx::AssertSqlSafe(format!("EXPLAIN QUERY PLAN {sql}"));
            let steps: Vec<(i64, i64, i64, String)> =
                sqlx::query_as(plan).fetch_all(store.reads()).await.unwrap();
            let first = &steps[0].3;
            assert!(first.starts_with("SEARCH"), "{first}");
            assert!(first.contains("scheduled_tasks_due"), "{first}");
        }
        store.close().await;
    }
}
