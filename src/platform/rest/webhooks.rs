//! Webhooks: where the platform's events are to be sent. Rooms deliver to them; what became of the
//! last deliveries is listed here, which the public SDK does not ask for.

use std::collections::BTreeSet;

use axum::extract::{Path, State};
use serde::Deserialize;
use serde_json::{Value, json};
use sqlx::FromRow;
use sqlx::sqlite::SqliteRow;
use uuid::Uuid;

use super::Route;
use super::columns::Columns;
use super::plain::{self, Draft, Plain, Resource};
use crate::kinds::specs::rules;
use crate::platform::App;
use crate::platform::auth::{Access, Caller};
use crate::platform::error::{Refusal, Result};
use crate::platform::exchange::Answer;
use crate::platform::objects::stored;
use crate::platform::store::{of_row, select};

pub(super) fn routes() -> Vec<Route> {
    const ALL: &str = "/accounts/projects/{project}/webhooks";
    const ONE: &str = "/accounts/projects/{project}/webhooks/{webhook}";
    const DELIVERIES: &str = "/accounts/projects/{project}/webhooks/{webhook}/deliveries";
    vec![
        Route::post(ALL, Access::Write, plain::create::<Webhook>),
        Route::get(ALL, Access::Read, plain::list::<Webhook>),
        Route::put(ONE, Access::Write, plain::put::<Webhook>),
        Route::delete(ONE, Access::Write, plain::delete::<Webhook>),
        Route::get(DELIVERIES, Access::Read, deliveries),
    ]
}

/// The SDK sends an empty text for a payload that is absent on create and null on update.
#[derive(Deserialize)]
struct WebhookBody {
    name: String,
    description: Option<String>,
    url: String,
    events: Vec<String>,
    action: Option<String>,
    #[serde(default)]
    payload: Value,
}

impl WebhookBody {
    fn check(&self) -> Result<()> {
        rules::name(&self.name).map_err(Refusal::at("name"))?;
        rules::web_url(&self.url).map_err(Refusal::at("url"))?;
        rules::not_empty(self.events.len()).map_err(Refusal::at("events"))?;
        let mut seen = BTreeSet::new();
        for (index, event) in self.events.iter().enumerate() {
            let at = format!("events[{index}]");
            rules::event(event).map_err(Refusal::at(&at))?;
            if !seen.insert(event) {
                return Err(Refusal::field(at, "appears twice"));
            }
        }
        for (field, text) in [("description", &self.description), ("action", &self.action)] {
            rules::text(text.as_deref().unwrap_or_default()).map_err(Refusal::at(field))?;
        }
        rules::texts(&self.payload).map_err(Refusal::at("payload"))?;
        match &self.payload {
            Value::Null | Value::Object(_) => Ok(()),
            Value::String(text) if text.is_empty() => Ok(()),
            _ => Err(Refusal::field("payload", "must be an object, null or an empty text")),
        }
    }
}

struct Webhook {
    id: String,
    name: String,
    description: String,
    url: String,
    events: String,
    action: Option<String>,
    payload: String,
}

of_row!(Webhook { id, name, description, url, events, action, payload });

impl Resource for Webhook {
    const TABLE: &'static str = "webhooks";
    const KEY: &'static str = "id";
    const NOUN: &'static str = "webhook";

    fn whole(&self) -> Result<Value> {
        Ok(json!({
            "id": self.id,
            "name": self.name,
            "description": self.description,
            "url": self.url,
            "events": stored(&self.events)?,
            "action": self.action,
            "payload": stored(&self.payload)?,
        }))
    }
}

struct Delivery {
    event_id: String,
    event: String,
    noted_at: Option<String>,
    attempts: i64,
    problem: Option<String>,
    next_attempt_at: Option<String>,
    ended_at: Option<String>,
}

of_row!(Delivery { event_id, event, noted_at, attempts, problem, next_attempt_at, ended_at });

impl Delivery {
    fn whole(&self) -> Value {
        json!({
            "event_id": self.event_id,
            "event": self.event,
            "noted_at": self.noted_at,
            "attempts": self.attempts,
            "delivered": self.ended_at.is_some() && self.problem.is_none(),
            "problem": self.problem,
            "next_attempt_at": self.next_attempt_at,
            "ended_at": self.ended_at,
        })
    }
}

/// The last deliveries of a webhook, the latest first, after the one that is being tried; how many
/// wait, with that one; and how many were left out because too many waited.
async fn deliveries(
    State(app): State<App>,
    caller: Caller,
    Path((_, webhook)): Path<(String, String)>,
) -> Result<Answer> {
    let reads = app.store().reads();
    let known = select("SELECT id FROM webhooks WHERE id = $1 AND project_id = $2")
        .bind(&webhook)
        .bind(&caller.project);
    let known: Option<(String,)> = known.find(reads).await?;
    let (id,) = known.ok_or_else(|| Refusal::missing("webhook", &webhook))?;
    let rows: Vec<Delivery> = sqlx::query_as(
        "SELECT event_id, event, noted_at, attempts, problem, next_attempt_at, ended_at \
         FROM deliveries WHERE webhook_id = $1 AND (ended_at IS NOT NULL OR seq = \
         (SELECT MIN(seq) FROM deliveries WHERE webhook_id = $1 AND ended_at IS NULL)) \
         ORDER BY seq DESC",
    )
    .bind(&id)
    .fetch_all(reads)
    .await?;
    let (waiting,): (i64,) = sqlx::query_as(
        "SELECT COUNT(*) FROM deliveries WHERE webhook_id = $1 AND ended_at IS NULL",
    )
    .bind(&id)
    .fetch_one(reads)
    .await?;
    let left_out = select("SELECT count, last_at FROM left_out WHERE webhook_id = $1").bind(&id);
    let left_out: Option<(i64, String)> = left_out.find(reads).await?;
    let (count, last_at) = left_out.unzip();
    Ok(Answer::json(&json!({
        "deliveries": rows.iter().map(Delivery::whole).collect::<Vec<_>>(),
        "waiting": waiting,
        "left_out": {"count": count.unwrap_or_default(), "last_at": last_at},
    })))
}

impl Plain for Webhook {
    type New = WebhookBody;
    type Change = WebhookBody;

    fn create(new: WebhookBody) -> Result<(String, Draft)> {
        Ok((Uuid::new_v4().to_string(), Self::change(new)?))
    }

    fn change(body: WebhookBody) -> Result<Draft> {
        body.check()?;
        let taken = format!("a webhook named {:?} already exists", body.name);
        let columns = Columns::default()
            .text("name", body.name)
            .text("description", body.description.unwrap_or_default())
            .text("url", body.url)
            .text("events", serde_json::to_string(&body.events)?)
            .text("action", body.action)
            .text("payload", body.payload.to_string());
        Ok(Draft { columns, room: None, taken })
    }

    fn written(row: &SqliteRow, _is_new: bool) -> Result<Value> {
        Self::from_row(row)?.whole()
    }
}
