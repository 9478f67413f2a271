//! Project secrets. Values go in and never come out: lists mask them, and they are kept
//! encrypted.

use std::collections::BTreeMap;

use axum::extract::{Path, State};
use futures_util::TryStreamExt;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sqlx::SqliteConnection;
use uuid::Uuid;

use super::Route;
use crate::api::specs::rules::{self, MASK, Rule};
use crate::platform::App;
use crate::platform::auth::{Access, Caller};
use crate::platform::error::{Refusal, Result};
use crate::platform::exchange::{self, Answer, Body, Condition, Listing};
use crate::platform::store::{SECRET_DATA, Store};

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::post("/accounts/projects/{project}/secrets", Access::Write, create),
        Route::get("/accounts/projects/{project}/secrets", Access::Read, list),
        Route::put("/accounts/projects/{project}/secrets/{secret}", Access::Write, put),
        Route::delete("/accounts/projects/{project}/secrets/{secret}", Access::Write, delete),
    ]
}

#[derive(Deserialize)]
struct SecretBody {
    name: String,
    #[serde(rename = "type")]
    kind: String,
    data: Value,
}

/// A registry credential; the address is required by registries and used by nobody.
#[derive(Deserialize, Serialize)]
struct Docker {
    server: String,
    username: String,
    password: String,
    #[serde(default = "no_email")]
    email: String,
}

fn no_email() -> String {
    "none@example.com".into()
}

impl SecretBody {
    /// The name, the type and the data, checked against the type.
    fn checked(self) -> Result<(String, String, SecretString)> {
        rules::name(&self.name).map_err(Refusal::at("name"))?;
        for (key, value) in self.data.as_object().into_iter().flatten() {
            let text = value.as_str().unwrap_or_default();
            Rule::Unmasked.check(text).map_err(Refusal::at(&format!("data.{key}")))?;
        }
        let data = match self.kind.as_str() {
            "docker" => serde_json::to_string(&within_data::<Docker>(self.data)?)?,
            "keys" => serde_json::to_string(&within_data::<BTreeMap<String, String>>(self.data)?)?,
            _ => return Err(Refusal::field("type", "must be \"keys\" or \"docker\"")),
        };
        Ok((self.name, self.kind, data.into()))
    }
}

/// Decodes the data, and names fields below `data`. The text of a wrong value is not
/// repeated, since it is a secret.
fn within_data<T: serde::de::DeserializeOwned>(data: Value) -> Result<T> {
    exchange::decode(data).map_err(|refusal| match refusal {
        Refusal::Invalid { field: Some(field), .. } => {
            Refusal::field(format!("data.{field}"), "must be text")
        }
        _ => Refusal::field("data", "must be an object of texts"),
    })
}

async fn create(
    State(app): State<App>,
    caller: Caller,
    Body(body): Body<SecretBody>,
) -> Result<Answer> {
    let (name, kind, data) = body.checked()?;
    let id = Uuid::new_v4().to_string();
    let mut write = app.store().write().await?;
    let revision = write.revision().await?;
    let at = (SECRET_DATA, id.as_str());
    let data = app.store().vault().seal(&mut write, at, data.expose_secret()).await?;
    sqlx::query(
        "INSERT INTO secrets (id, project_id, name, type, data, seq, rev) \
         VALUES ($1, $2, $3, $4, $5, $6, $6)",
    )
    .bind(&id)
    .bind(&caller.project)
    .bind(&name)
    .bind(kind)
    .bind(data)
    .bind(revision)
    .execute(write.on())
    .await
    .map_err(|error| Refusal::taken(error, || format!("a secret named {name:?} exists")))?;
    write.commit().await?;
    Ok(Answer::json(&json!({ "id": id })).created().tagged(revision))
}

#[derive(sqlx::FromRow)]
struct Row {
    id: String,
    name: String,
    #[sqlx(rename = "type")]
    kind: String,
    data: String,
    rev: i64,
}

impl Row {
    /// The secret with its values masked.
    async fn item(&self, store: &Store) -> Result<Value> {
        let at = (SECRET_DATA, self.id.as_str());
        let plain = store.vault().open_value(store.reads(), at, &self.data).await?;
        let plain = plain.expose_secret();
        let data = if self.kind == "docker" {
            let docker: Docker = serde_json::from_str(plain)?;
            serde_json::to_value(Docker { password: MASK.into(), ..docker })?
        } else {
            let keys: BTreeMap<String, serde::de::IgnoredAny> = serde_json::from_str(plain)?;
            keys.into_keys().map(|key| (key, json!(MASK))).collect()
        };
        Ok(json!({
            "id": self.id,
            "name": self.name,
            "type": self.kind,
            "data": data,
            "etag": exchange::tag(self.rev),
        }))
    }
}

async fn list(State(app): State<App>, caller: Caller) -> Result<Answer> {
    let mut rows = sqlx::query_as(
        "SELECT id, name, type, data, rev FROM secrets WHERE project_id = $1 ORDER BY seq",
    )
    .bind(&caller.project)
    .fetch(app.store().reads());
    let mut list = Listing::new("secrets");
    while let Some(row) = rows.try_next().await? {
        let row: Row = row;
        list.push(&app, row.item(app.store()).await?).await?;
    }
    list.end(&app).await?;
    Ok(Answer::listed(list))
}

/// What is needed to judge a write to a secret that exists.
async fn current(on: &mut SqliteConnection, caller: &Caller, id: &str) -> Result<(String, i64)> {
    sqlx::query_as("SELECT type, rev FROM secrets WHERE id = $1 AND project_id = $2")
        .bind(id)
        .bind(&caller.project)
        .fetch_optional(on)
        .await?
        .ok_or_else(|| Refusal::missing("secret", id))
}

/// A service that refers to the secret, when there is one.
async fn user_of(on: &mut SqliteConnection, id: &str) -> Result<Option<String>> {
    let service = sqlx::query_scalar(
        "SELECT services.name FROM service_secrets \
         JOIN services ON services.id = service_secrets.service_id \
         WHERE service_secrets.secret_id = $1 ORDER BY services.seq LIMIT 1",
    )
    .bind(id)
    .fetch_optional(on)
    .await?;
    Ok(service)
}

/// Replaces a secret as a whole. One that a service refers to keeps its type.
async fn put(
    State(app): State<App>,
    caller: Caller,
    Path((_, id)): Path<(String, String)>,
    condition: Condition,
    Body(body): Body<SecretBody>,
) -> Result<Answer> {
    let (name, kind, data) = body.checked()?;
    let mut write = app.store().write().await?;
    let (old_kind, revision) = current(write.on(), &caller, &id).await?;
    condition.allows(revision)?;
    if old_kind != kind
        && let Some(service) = user_of(write.on(), &id).await?
    {
        let message = format!("the service {service:?} needs the secret to be of type {old_kind}");
        return Err(Refusal::Conflict(message));
    }
    let revision = write.revision().await?;
    let at = (SECRET_DATA, id.as_str());
    let data = app.store().vault().seal(&mut write, at, data.expose_secret()).await?;
    sqlx::query("UPDATE secrets SET name = $1, type = $2, data = $3, rev = $4 WHERE id = $5")
        .bind(&name)
        .bind(kind)
        .bind(data)
        .bind(revision)
        .bind(&id)
        .execute(write.on())
        .await
        .map_err(|error| Refusal::taken(error, || format!("a secret named {name:?} exists")))?;
    write.commit().await?;
    Ok(Answer::json(&json!({ "id": id })).tagged(revision))
}

async fn delete(
    State(app): State<App>,
    caller: Caller,
    Path((_, id)): Path<(String, String)>,
    condition: Condition,
) -> Result<Answer> {
    let mut write = app.store().write().await?;
    let (_, revision) = current(write.on(), &caller, &id).await?;
    condition.allows(revision)?;
    if let Some(service) = user_of(write.on(), &id).await? {
        let message = format!("the service {service:?} refers to the secret");
        return Err(Refusal::Conflict(message));
    }
    sqlx::query("DELETE FROM secrets WHERE id = $1").bind(&id).execute(write.on()).await?;
    write.commit().await?;
    Ok(Answer::nothing())
}
