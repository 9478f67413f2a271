//! API keys: credentials of a project, and what its participant tokens are signed with.

use axum::extract::{Path, State};
use secrecy::ExposeSecret;
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::Route;
use crate::api::key::ApiKey;
use crate::api::specs::rules;
use crate::platform::App;
use crate::platform::auth::{Access, Caller};
use crate::platform::digest;
use crate::platform::error::{Refusal, Result};
use crate::platform::exchange::{self, Answer, Body, Condition};
use crate::platform::store::{KEY_SECRET, Vault, Write};

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::post("/accounts/projects/{project}/api-keys", Access::Admin, create),
        Route::get("/accounts/projects/{project}/api-keys", Access::Admin, list),
        Route::delete("/accounts/projects/{project}/api-keys/{key}", Access::Admin, delete),
    ]
}

#[derive(Deserialize)]
struct CreateKey {
    name: String,
    #[serde(default)]
    description: Option<String>,
}

/// The full text of the key is in this answer and in no other. Names may repeat.
async fn create(
    State(app): State<App>,
    caller: Caller,
    Body(wanted): Body<CreateKey>,
) -> Result<Answer> {
    rules::name(&wanted.name).map_err(Refusal::at("name"))?;
    let description = wanted.description.unwrap_or_default();
    let key = ApiKey::generate(Uuid::parse_str(&caller.project).map_err(Refusal::internal)?)
        .map_err(Refusal::internal)?;
    let created_by = caller.principal.name();
    let new = NewKey {
        key: &key,
        purpose: "project",
        user: None,
        name: &wanted.name,
        description: &description,
        created_by: Some(created_by),
    };
    let mut write = app.store().write().await?;
    let revision = new.insert(app.store().vault(), &mut write).await?;
    write.commit().await?;
    let body = json!({
        "id": key.id.to_string(),
        "name": wanted.name,
        "description": description,
        "created_by": created_by,
        "value": key.text().expose_secret(),
    });
    Ok(Answer::json(&body).created().tagged(revision))
}

#[derive(sqlx::FromRow)]
struct Row {
    id: String,
    name: String,
    description: String,
    created_by: Option<String>,
    rev: i64,
}

/// Keys without their secrets. The platform's own signing keys are not listed.
async fn list(State(app): State<App>, caller: Caller) -> Result<Answer> {
    let rows = sqlx::query_as(
        "SELECT id, name, description, created_by, rev FROM api_keys \
         WHERE project_id = $1 AND purpose <> 'signing' ORDER BY seq",
    )
    .bind(&caller.project)
    .fetch(app.store().reads());
    let item = |row: &Row| -> Result<Value> {
        Ok(json!({
            "id": row.id,
            "name": row.name,
            "description": row.description,
            "created_by": row.created_by,
            "etag": exchange::tag(row.rev),
        }))
    };
    Answer::list(&app, "keys", rows, item).await
}

/// Ends a key and every token signed with it. The owner's key stays, because without it
/// nobody could reach the platform.
async fn delete(
    State(app): State<App>,
    caller: Caller,
    Path((_, id)): Path<(String, String)>,
    condition: Condition,
) -> Result<Answer> {
    let mut write = app.store().write().await?;
    let (purpose, revision): (String, i64) = sqlx::query_as(
        "SELECT purpose, rev FROM api_keys \
         WHERE id = $1 AND project_id = $2 AND purpose <> 'signing'",
    )
    .bind(&id)
    .bind(&caller.project)
    .fetch_optional(write.on())
    .await?
    .ok_or_else(|| Refusal::missing("API key", &id))?;
    condition.allows(revision)?;
    if purpose == "owner" {
        return Err(Refusal::Conflict("the owner's key cannot be deleted".into()));
    }
    sqlx::query("DELETE FROM api_keys WHERE id = $1").bind(&id).execute(write.on()).await?;
    write.commit().await?;
    Ok(Answer::nothing())
}

/// A key about to be stored.
pub struct NewKey<'a> {
    /// The key itself.
    pub key: &'a ApiKey,
    /// `owner`, `project` or `signing`.
    pub purpose: &'a str,
    /// The user it acts for.
    pub user: Option<&'a str>,
    /// A name for people.
    pub name: &'a str,
    /// What it is for.
    pub description: &'a str,
    /// Who made it.
    pub created_by: Option<&'a str>,
}

impl NewKey<'_> {
    /// Stores it and gives its revision.
    ///
    /// # Errors
    ///
    /// The store failed.
    pub async fn insert(&self, vault: &Vault, write: &mut Write) -> Result<i64> {
        let revision = write.revision().await?;
        let (id, secret) = (self.key.id.to_string(), self.key.secret.expose_secret());
        let sealed = vault.seal(write, (KEY_SECRET, &id), secret).await?;
        // What only signs is presented by nobody.
        let digest = (self.purpose != "signing").then(|| digest::of(secret));
        sqlx::query(
            "INSERT INTO api_keys (id, project_id, purpose, user_id, name, description, secret, \
             digest, created_by, seq, rev) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $10)",
        )
        .bind(id)
        .bind(self.key.project.to_string())
        .bind(self.purpose)
        .bind(self.user)
        .bind(self.name)
        .bind(self.description)
        .bind(sealed)
        .bind(digest)
        .bind(self.created_by)
        .bind(revision)
        .execute(write.on())
        .await?;
        Ok(revision)
    }
}
