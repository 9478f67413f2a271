//! Webhooks: where the platform's events are to be sent. They are kept, not delivered.

use std::collections::BTreeSet;

use axum::extract::{Path, State};
use serde::Deserialize;
use serde_json::{Value, json};
use sqlx::SqliteConnection;
use uuid::Uuid;

use super::{Route, stored};
use crate::api::specs::rules;
use crate::platform::App;
use crate::platform::auth::{Access, Caller};
use crate::platform::error::{Refusal, Result};
use crate::platform::exchange::{self, Answer, Body, Condition};

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::post("/accounts/projects/{project}/webhooks", Access::Write, create),
        Route::get("/accounts/projects/{project}/webhooks", Access::Read, list),
        Route::put("/accounts/projects/{project}/webhooks/{webhook}", Access::Write, put),
        Route::delete("/accounts/projects/{project}/webhooks/{webhook}", Access::Write, delete),
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
                return Err(Refusal::field(at, "stands twice"));
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

    fn row(self, id: String, rev: i64) -> Result<Row> {
        Ok(Row {
            id,
            name: self.name,
            description: self.description.unwrap_or_default(),
            url: self.url,
            events: serde_json::to_string(&self.events)?,
            action: self.action,
            payload: self.payload.to_string(),
            rev,
        })
    }
}

#[derive(sqlx::FromRow)]
struct Row {
    id: String,
    name: String,
    description: String,
    url: String,
    events: String,
    action: Option<String>,
    payload: String,
    rev: i64,
}

impl Row {
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

    fn item(&self) -> Result<Value> {
        let mut item = self.whole()?;
        item["etag"] = json!(exchange::tag(self.rev));
        Ok(item)
    }

    fn taken(&self, error: sqlx::Error) -> Refusal {
        Refusal::taken(error, || format!("a webhook named {:?} exists", self.name))
    }
}

async fn create(
    State(app): State<App>,
    caller: Caller,
    Body(body): Body<WebhookBody>,
) -> Result<Answer> {
    body.check()?;
    let mut write = app.store().write().await?;
    let revision = write.revision().await?;
    let row = body.row(Uuid::new_v4().to_string(), revision)?;
    sqlx::query(
        "INSERT INTO webhooks \
         (id, project_id, name, description, url, events, action, payload, seq, rev) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $9)",
    )
    .bind(&row.id)
    .bind(&caller.project)
    .bind(&row.name)
    .bind(&row.description)
    .bind(&row.url)
    .bind(&row.events)
    .bind(&row.action)
    .bind(&row.payload)
    .bind(revision)
    .execute(write.on())
    .await
    .map_err(|error| row.taken(error))?;
    write.commit().await?;
    Ok(Answer::json(&row.whole()?).created().tagged(revision))
}

async fn list(State(app): State<App>, caller: Caller) -> Result<Answer> {
    let rows = sqlx::query_as(
        "SELECT id, name, description, url, events, action, payload, rev FROM webhooks \
         WHERE project_id = $1 ORDER BY seq",
    )
    .bind(&caller.project)
    .fetch(app.store().reads());
    Answer::list(&app, "webhooks", rows, Row::item).await
}

/// The revision of a webhook of the project, or 404.
async fn current(on: &mut SqliteConnection, caller: &Caller, id: &str) -> Result<i64> {
    sqlx::query_scalar("SELECT rev FROM webhooks WHERE id = $1 AND project_id = $2")
        .bind(id)
        .bind(&caller.project)
        .fetch_optional(on)
        .await?
        .ok_or_else(|| Refusal::missing("webhook", id))
}

async fn put(
    State(app): State<App>,
    caller: Caller,
    Path((_, id)): Path<(String, String)>,
    condition: Condition,
    Body(body): Body<WebhookBody>,
) -> Result<Answer> {
    body.check()?;
    let mut write = app.store().write().await?;
    condition.allows(current(write.on(), &caller, &id).await?)?;
    let revision = write.revision().await?;
    let row = body.row(id, revision)?;
    sqlx::query(
        "UPDATE webhooks SET name = $1, description = $2, url = $3, events = $4, action = $5, \
         payload = $6, rev = $7 WHERE id = $8",
    )
    .bind(&row.name)
    .bind(&row.description)
    .bind(&row.url)
    .bind(&row.events)
    .bind(&row.action)
    .bind(&row.payload)
    .bind(revision)
    .bind(&row.id)
    .execute(write.on())
    .await
    .map_err(|error| row.taken(error))?;
    write.commit().await?;
    Ok(Answer::json(&row.whole()?).tagged(revision))
}

async fn delete(
    State(app): State<App>,
    caller: Caller,
    Path((_, id)): Path<(String, String)>,
    condition: Condition,
) -> Result<Answer> {
    let mut write = app.store().write().await?;
    condition.allows(current(write.on(), &caller, &id).await?)?;
    sqlx::query("DELETE FROM webhooks WHERE id = $1").bind(&id).execute(write.on()).await?;
    write.commit().await?;
    Ok(Answer::nothing())
}
