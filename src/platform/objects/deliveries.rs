//! Webhooks as what rooms tell is delivered to them, what waits for that, and the record of it.
//!
//! A delivery is a row from the moment in which the event is noted. So it can be looked up while
//! it is tried, and what waits when a process ends is delivered by the next one.

use serde_json::Value;
use uuid::Uuid;

use super::sessions::now;
use crate::platform::error::Result;
use crate::platform::objects::stored;
use crate::platform::store::{Change, Store, of_row};

/// How many deliveries of a webhook are remembered after their end.
pub const KEPT: i64 = 50;

/// Something that happened and that webhooks are told.
#[derive(Debug, Clone)]
pub struct Event {
    /// Its id, by which receivers recognize an event that they get twice.
    pub id: String,
    /// What happened, such as `room.started`.
    pub kind: &'static str,
    /// What is told about it, an object.
    pub data: Value,
}

impl Event {
    /// An event with a new id.
    pub fn new(kind: &'static str, data: Value) -> Self {
        Self { id: Uuid::new_v4().to_string(), kind, data }
    }
}

/// Where something is to be delivered.
#[derive(Debug, Clone)]
pub struct Target {
    /// The webhook's id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its URL.
    pub url: String,
    /// What it adds to each delivery, if anything.
    pub action: Option<String>,
    /// An object that is part of the data of each delivery, as JSON.
    pub payload: String,
    /// The events that it wants, as a JSON list.
    pub events: String,
}

of_row!(Target { id, name, url, action, payload, events });

impl Target {
    /// Whether it wants an event.
    fn wants(&self, event: &str) -> bool {
        let events = stored(&self.events).unwrap_or_default();
        let mut events = events.as_array().into_iter().flatten().filter_map(Value::as_str);
        events.any(|wanted| wanted == event || wanted == "*")
    }
}

/// A webhook as it is now; none if it was deleted.
///
/// # Errors
///
/// The store failed.
pub async fn target(store: &Store, webhook: &str) -> Result<Option<Target>> {
    let sql = "SELECT id, name, url, action, payload, events FROM webhooks WHERE id = $1";
    Ok(sqlx::query_as(sql).bind(webhook).fetch_optional(store.reads()).await?)
}

/// What came of noting events for a webhook.
#[derive(Debug)]
pub struct Noted {
    /// The webhook.
    pub target: Target,
    /// How many of the events were left out.
    pub left_out: usize,
}

/// Notes events for the webhooks of a project that want them, in this order. So many may wait for
/// a webhook at most; what is more is left out for it, and counted.
///
/// # Errors
///
/// The store failed: none of them is noted.
pub async fn note(
    store: &Store,
    project: &str,
    (events, most): (&[Event], usize),
) -> Result<Vec<Noted>> {
    let sql = "SELECT id, name, url, action, payload, events FROM webhooks \
         WHERE project_id = $1 ORDER BY seq";
    let targets: Vec<Target> = sqlx::query_as(sql).bind(project).fetch_all(store.reads()).await?;
    let wanted = targets.into_iter().filter_map(|target| {
        let wanted: Vec<&Event> = events.iter().filter(|event| target.wants(event.kind)).collect();
        (!wanted.is_empty()).then_some((target, wanted))
    });
    let wanted: Vec<_> = wanted.collect();
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    let mut change = store.write().await?.without_condition();
    let mut noted = Vec::new();
    for (target, events) in wanted {
        let left_out = note_for(&mut change, &target.id, (&events, most)).await?;
        noted.push(Noted { target, left_out });
    }
    change.commit().await?;
    Ok(noted)
}

/// Notes events for one webhook; how many had to be left out.
async fn note_for(
    change: &mut Change,
    webhook: &str,
    (events, most): (&[&Event], usize),
) -> Result<usize> {
    let waiting: i64 = sqlx::query_scalar(
        "SELECT COUNT(*) FROM deliveries WHERE webhook_id = $1 AND ended_at IS NULL",
    )
    .bind(webhook)
    .fetch_one(change.on())
    .await?;
    let room = most.saturating_sub(usize::try_from(waiting).unwrap_or(usize::MAX));
    let (noted, left_out) = events.split_at(room.min(events.len()));
    for event in noted {
        let seq = change.revision().await?;
        // The webhook may be gone by now.
        sqlx::query(
            "INSERT INTO deliveries (webhook_id, seq, event_id, event, data, noted_at, attempts) \
             SELECT id, $2, $3, $4, $5, $6, 0 FROM webhooks WHERE id = $1",
        )
        .bind(webhook)
        .bind(seq)
        .bind(&event.id)
        .bind(event.kind)
        .bind(event.data.to_string())
        .bind(now())
        .execute(change.on())
        .await?;
    }
    if !left_out.is_empty() {
        sqlx::query(
            "INSERT INTO left_out (webhook_id, count, last_at) \
             SELECT id, $2, $3 FROM webhooks WHERE id = $1 \
             ON CONFLICT (webhook_id) \
             DO UPDATE SET count = count + excluded.count, last_at = excluded.last_at",
        )
        .bind(webhook)
        .bind(i64::try_from(left_out.len()).unwrap_or(i64::MAX))
        .bind(now())
        .execute(change.on())
        .await?;
    }
    Ok(left_out.len())
}

/// A delivery that waits.
#[derive(Debug)]
pub struct Waiting {
    /// Its place in the order of all revisions.
    pub seq: i64,
    /// The event's id.
    pub event_id: String,
    /// The event.
    pub event: String,
    /// What is told about it, as JSON.
    pub data: String,
    /// How often it was tried.
    pub attempts: i64,
}

of_row!(Waiting { seq, event_id, event, data, attempts });

/// The first deliveries that wait for a webhook after a place in their order.
///
/// # Errors
///
/// The store failed.
pub async fn waiting(store: &Store, webhook: &str, after: i64) -> Result<Vec<Waiting>> {
    let rows = sqlx::query_as(
        "SELECT seq, event_id, event, COALESCE(data, 'null') AS data, attempts FROM deliveries \
         WHERE webhook_id = $1 AND ended_at IS NULL AND seq > $2 ORDER BY seq LIMIT 64",
    )
    .bind(webhook)
    .bind(after)
    .fetch_all(store.reads())
    .await?;
    Ok(rows)
}

/// The webhooks that something waits for, each with how much.
///
/// # Errors
///
/// The store failed.
pub async fn awaited(store: &Store) -> Result<Vec<(String, i64)>> {
    let rows = sqlx::query_as(
        "SELECT webhook_id, COUNT(*) FROM deliveries WHERE ended_at IS NULL GROUP BY webhook_id",
    )
    .fetch_all(store.reads())
    .await?;
    Ok(rows)
}

/// What an attempt came to.
#[derive(Debug)]
pub struct Outcome {
    /// The delivery.
    pub seq: i64,
    /// How often it was tried so far.
    pub attempts: i64,
    /// What went wrong; none if it arrived.
    pub problem: Option<String>,
    /// When it is tried again, as it is stored; none if it has ended.
    pub next_attempt_at: Option<String>,
}

/// Records what attempts came to, and forgets what ended long ago.
///
/// # Errors
///
/// The store failed.
pub async fn record(store: &Store, webhook: &str, outcomes: &[Outcome]) -> Result<()> {
    let mut change = store.write().await?.without_condition();
    for outcome in outcomes {
        let ended_at = outcome.next_attempt_at.is_none().then(now);
        sqlx::query(
            "UPDATE deliveries SET attempts = $3, problem = $4, next_attempt_at = $5, \
             ended_at = $6, data = CASE WHEN $6 IS NULL THEN data END \
             WHERE webhook_id = $1 AND seq = $2",
        )
        .bind(webhook)
        .bind(outcome.seq)
        .bind(outcome.attempts)
        .bind(&outcome.problem)
        .bind(&outcome.next_attempt_at)
        .bind(ended_at)
        .execute(change.on())
        .await?;
    }
    sqlx::query(
        "DELETE FROM deliveries WHERE webhook_id = $1 AND ended_at IS NOT NULL AND seq NOT IN \
         (SELECT seq FROM deliveries WHERE webhook_id = $1 AND ended_at IS NOT NULL \
         ORDER BY seq DESC LIMIT $2)",
    )
    .bind(webhook)
    .bind(KEPT)
    .execute(change.on())
    .await?;
    change.commit().await
}
