//! Webhooks as what rooms tell is delivered to them, and the record of that.

use serde_json::Value;

use crate::platform::error::Result;
use crate::platform::objects::stored;
use crate::platform::store::{Store, of_row};

/// How many deliveries of a webhook are remembered.
const KEPT: i64 = 50;

/// Where something is to be delivered.
#[derive(Debug, Clone)]
pub struct Target {
    /// The webhook's id.
    pub id: String,
    /// Its URL.
    pub url: String,
    /// What it adds to each delivery, if anything.
    pub action: Option<String>,
    /// An object that is part of the data of each delivery, as JSON.
    pub payload: String,
    /// The events that it wants, as a JSON list.
    pub events: String,
}

of_row!(Target { id, url, action, payload, events });

impl Target {
    /// Whether it wants an event.
    fn wants(&self, event: &str) -> bool {
        let events = stored(&self.events).unwrap_or_default();
        let mut events = events.as_array().into_iter().flatten().filter_map(Value::as_str);
        events.any(|wanted| wanted == event || wanted == "*")
    }
}

/// The webhooks of a project that want an event.
///
/// # Errors
///
/// The store failed.
pub async fn targets(store: &Store, project: &str, event: &str) -> Result<Vec<Target>> {
    let sql =
        "SELECT id, url, action, payload, events FROM webhooks WHERE project_id = $1 ORDER BY seq";
    let rows: Vec<Target> = sqlx::query_as(sql).bind(project).fetch_all(store.reads()).await?;
    Ok(rows.into_iter().filter(|target| target.wants(event)).collect())
}

/// What became of a delivery.
#[derive(Debug)]
pub struct Delivered {
    /// The webhook's id.
    pub webhook: String,
    /// The event.
    pub event: String,
    /// How often it was tried.
    pub attempts: i64,
    /// What went wrong at last; none if it arrived.
    pub problem: Option<String>,
}

/// Records a delivery, and forgets old ones.
///
/// # Errors
///
/// The store failed.
pub async fn record(store: &Store, delivered: &Delivered) -> Result<()> {
    let mut change = store.write().await?.without_condition();
    let seq = change.revision().await?;
    // The webhook may be gone by now.
    sqlx::query(
        "INSERT INTO webhook_deliveries (webhook_id, seq, event, ended_at, attempts, problem) \
         SELECT id, $2, $3, $4, $5, $6 FROM webhooks WHERE id = $1",
    )
    .bind(&delivered.webhook)
    .bind(seq)
    .bind(&delivered.event)
    .bind(format!("{:.6}", jiff::Timestamp::now()))
    .bind(delivered.attempts)
    .bind(&delivered.problem)
    .execute(change.on())
    .await?;
    sqlx::query(
        "DELETE FROM webhook_deliveries WHERE webhook_id = $1 AND seq NOT IN \
         (SELECT seq FROM webhook_deliveries WHERE webhook_id = $1 ORDER BY seq DESC LIMIT $2)",
    )
    .bind(&delivered.webhook)
    .bind(KEPT)
    .execute(change.on())
    .await?;
    change.commit().await
}
