//! Service accounts, for which programs act, and their API keys.
//!
//! Names and keys are compared without case. The address of an account is made of its key; it gets
//! no mail.

use std::collections::BTreeMap;

use axum::extract::{Path, State};
use secrecy::ExposeSecret;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::super::check_annotations;
use super::super::plain::{Resource, Stored};
use super::named::{self, Named};
use super::page::{self, Filtered};
use super::{Refusal, Result, Route};
use crate::api::key::ApiKey;
use crate::kinds::specs::rules;
use crate::platform::App;
use crate::platform::auth::{Access, Caller};
use crate::platform::exchange::{Answer, Body, Condition};
use crate::platform::objects::keys::NewKey;
use crate::platform::objects::sessions::now;
use crate::platform::objects::{stored, text_of};
use crate::platform::store::{Write, insert, of_row, select};

pub(super) fn routes() -> Vec<Route> {
    const ALL: &str = "/accounts/projects/{project}/service-accounts";
    const ONE: &str = "/accounts/projects/{project}/service-accounts/{account}";
    const NAMED: &str = "/accounts/projects/{project}/service-accounts/by-name/{account}";
    const KEYS: &str = "/accounts/projects/{project}/service-accounts/{account}/api-keys";
    const REVOKE: &str = "/accounts/projects/{project}/service-accounts/{account}/api-keys:revoke";
    const KEY: &str = "/accounts/projects/{project}/service-accounts/{account}/api-keys/{key}";
    vec![
        Route::get(ALL, Access::Read, page::list::<Account>),
        Route::post(ALL, Access::Admin, create),
        Route::get(ONE, Access::Read, named::get::<Account>),
        Route::get(NAMED, Access::Read, named::get_named::<Account>),
        Route::put(ONE, Access::Admin, put),
        Route::delete(ONE, Access::Admin, delete),
        Route::get(KEYS, Access::Admin, keys),
        Route::post(KEYS, Access::Admin, create_key),
        Route::post(REVOKE, Access::Admin, revoke_keys),
        Route::delete(KEY, Access::Admin, delete_key),
    ]
}

/// The domain of the addresses of accounts. It is reserved, so nobody else has one there.
const DOMAIN: &str = "service-accounts.invalid";

/// A service account as it is stored.
pub struct Account {
    /// Its id.
    pub id: String,
    project_id: String,
    key: String,
    name: String,
    /// The address by which services name it.
    pub email: String,
    display_name: Option<String>,
    description: String,
    metadata: String,
    annotations: String,
    created_at: String,
    updated_at: String,
}

of_row!(Account {
    id,
    project_id,
    key,
    name,
    email,
    display_name,
    description,
    metadata,
    annotations,
    created_at,
    updated_at
});

impl Resource for Account {
    const TABLE: &'static str = "service_accounts";
    const KEY: &'static str = "id";
    const NOUN: &'static str = "service account";

    fn whole(&self) -> Result<Value> {
        Ok(json!({
            "id": self.id,
            "project_id": self.project_id,
            "key": self.key,
            "name": self.name,
            "email": self.email,
            "display_name": self.display_name,
            "description": self.description,
            "metadata": stored(&self.metadata)?,
            "annotations": stored(&self.annotations)?,
            "created_at": self.created_at,
            "updated_at": self.updated_at,
        }))
    }
}

impl Filtered for Account {
    const FILTER: &'static str =
        "id || ' ' || key || ' ' || name || ' ' || email || ' ' || COALESCE(display_name, '')";
}

impl Named for Account {}

#[derive(Deserialize)]
struct AccountBody {
    name: String,
    #[serde(default)]
    description: Option<String>,
    key: Option<String>,
    display_name: Option<String>,
    metadata: Option<Map<String, Value>>,
    annotations: Option<BTreeMap<String, String>>,
}

impl AccountBody {
    fn check(&self) -> Result<()> {
        rules::segment(&self.name).map_err(Refusal::at("name"))?;
        check_annotations(self.annotations.as_ref())?;
        if let Some(metadata) = &self.metadata {
            rules::texts_of(metadata).map_err(Refusal::at("metadata"))?;
        }
        for (field, text) in
            [("description", &self.description), ("display_name", &self.display_name)]
        {
            rules::text(text.as_deref().unwrap_or_default()).map_err(Refusal::at(field))?;
        }
        self.key.as_ref().map_or(Ok(()), |key| check_key(key))
    }

    fn taken(&self) -> String {
        format!("a service account with the name {:?} or its key already exists", self.name)
    }
}

/// A key is the local part of an address.
fn check_key(key: &str) -> Result<()> {
    let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    match !key.is_empty() && key.len() <= 63 && key.chars().all(is_plain) {
        true => Ok(()),
        false => Err(Refusal::field("key", "must be 1 to 63 of a-z, 0-9 and -")),
    }
}

/// A key made of a name.
fn key_of(name: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
    let key: String = name.chars().map(plain).take(63).collect();
    let key = key.trim_matches('-');
    if key.is_empty() { Uuid::new_v4().simple().to_string() } else { key.to_owned() }
}

async fn create(
    State(app): State<App>,
    caller: Caller,
    Body(new): Body<AccountBody>,
) -> Result<Answer> {
    new.check()?;
    let key = new.key.clone().unwrap_or_else(|| key_of(&new.name));
    let project: String = caller.project.chars().filter(|c| *c != '-').take(10).collect();
    let time = now();
    let mut write = app.store().write().await?;
    let revision = write.revision().await?;
    let account = Account {
        id: Uuid::new_v4().to_string(),
        project_id: caller.project.clone(),
        email: format!("{key}@{project}.{DOMAIN}"),
        key,
        metadata: text_of(new.metadata.as_ref())?,
        annotations: text_of(new.annotations.as_ref())?,
        created_at: time.clone(),
        updated_at: time,
        display_name: new.display_name.clone(),
        description: new.description.clone().unwrap_or_default(),
        name: new.name.clone(),
    };
    insert(
        "INSERT INTO service_accounts (id, project_id, key, name, email, display_name, \
         description, metadata, annotations, created_at, updated_at, seq, rev) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $10, $11, $11)",
    )
    .bind(&account.id)
    .bind(&account.project_id)
    .bind(&account.key)
    .bind(&account.name)
    .bind(&account.email)
    .bind(&account.display_name)
    .bind(&account.description)
    .bind(&account.metadata)
    .bind(&account.annotations)
    .bind(&account.created_at)
    .bind(revision)
    .run(&mut write, || new.taken())
    .await?;
    write.commit().await?;
    Ok(Answer::json(&account.whole()?).created().tagged(revision))
}

/// The name and the description are always replaced, anything else where it is given. A new key
/// makes a new address; services that name the former one keep it, and are refused at their next
/// change.
async fn put(
    State(app): State<App>,
    caller: Caller,
    Path((_, id)): Path<(String, String)>,
    condition: Condition,
    Body(body): Body<AccountBody>,
) -> Result<Answer> {
    body.check()?;
    let mut write = app.store().write().await?;
    let Stored { row: mut account, rev, .. } =
        named::by_id::<Account>(write.reads(), &caller.project, &id).await?;
    let mut change = condition.admits(write, rev)?;
    if let Some(key) = &body.key {
        let (_, domain) = account.email.split_once('@').unwrap_or_default();
        account.email = format!("{key}@{domain}");
        account.key.clone_from(key);
    }
    if let Some(metadata) = &body.metadata {
        account.metadata = serde_json::to_string(metadata)?;
    }
    if let Some(annotations) = &body.annotations {
        account.annotations = serde_json::to_string(annotations)?;
    }
    account.display_name = body.display_name.clone().or(account.display_name);
    account.name.clone_from(&body.name);
    account.description = body.description.clone().unwrap_or_default();
    account.updated_at = now();
    let revision = change.revision().await?;
    sqlx::query(
        "UPDATE service_accounts SET key = $1, name = $2, email = $3, display_name = $4, \
         description = $5, metadata = $6, annotations = $7, updated_at = $8, rev = $9 \
         WHERE id = $10",
    )
    .bind(&account.key)
    .bind(&account.name)
    .bind(&account.email)
    .bind(&account.display_name)
    .bind(&account.description)
    .bind(&account.metadata)
    .bind(&account.annotations)
    .bind(&account.updated_at)
    .bind(revision)
    .bind(&account.id)
    .execute(change.on())
    .await
    .map_err(|error| Refusal::taken(error, || body.taken()))?;
    change.commit().await?;
    Ok(Answer::json(&account.whole()?).tagged(revision))
}

/// Its keys, secrets and roles end with it. An account for which something acts, or
/// whose secrets something names, stays.
async fn delete(
    State(app): State<App>,
    caller: Caller,
    Path((_, id)): Path<(String, String)>,
    condition: Condition,
) -> Result<Answer> {
    let mut write = app.store().write().await?;
    let Stored { row: account, rev, .. } =
        named::by_id::<Account>(write.reads(), &caller.project, &id).await?;
    require_unused(&mut write, &account).await?;
    let mut change = condition.admits(write, rev)?;
    sqlx::query("DELETE FROM service_accounts WHERE id = $1")
        .bind(&account.id)
        .execute(change.on())
        .await?;
    sqlx::query(
        "DELETE FROM role_grants WHERE project_id = $1 AND \
         ((subject_type = 'service_account' AND subject_id = $2) \
         OR (resource_type = 'service_account' AND resource_id = $2))",
    )
    .bind(&caller.project)
    .bind(&account.id)
    .execute(change.on())
    .await?;
    change.commit().await?;
    Ok(Answer::nothing())
}

async fn require_unused(write: &mut Write, account: &Account) -> Result<()> {
    let found: Option<(String, String)> = select(
        "SELECT 'service', services.name FROM services WHERE project_id = $1 \
         AND (id IN (SELECT service_id FROM service_held_secrets \
         JOIN held_secrets ON held_secrets.id = secret_id WHERE service_account_id = $2) \
         OR json_extract(whole, '$.container.run_as.email') = $3) \
         UNION ALL SELECT 'agent', agents.name FROM agents WHERE project_id = $1 \
         AND (id IN (SELECT agent_id FROM agent_held_secrets \
         JOIN held_secrets ON held_secrets.id = secret_id WHERE service_account_id = $2) \
         OR json_extract(configuration, '$.run_as.email') = $3) LIMIT 1",
    )
    .bind(&account.project_id)
    .bind(&account.id)
    .bind(&account.email)
    .find(write.reads())
    .await?;
    match found {
        None => Ok(()),
        Some((what, name)) => {
            let message = format!("the {what} {name:?} acts for the account, or names its secrets");
            Err(Refusal::Conflict(message))
        }
    }
}

/// A key without its secret.
struct Key {
    id: String,
    project_id: String,
    service_account_id: String,
    name: String,
    description: String,
    created_at: Option<String>,
}

of_row!(Key { id, project_id, service_account_id, name, description, created_at });

async fn keys(
    State(app): State<App>,
    caller: Caller,
    Path((_, id)): Path<(String, String)>,
) -> Result<Answer> {
    let account = named::by_id::<Account>(app.store().reads(), &caller.project, &id).await?.row;
    let rows = sqlx::query_as(
        "SELECT id, project_id, service_account_id, name, description, created_at FROM api_keys \
         WHERE service_account_id = $1 ORDER BY seq",
    )
    .bind(&account.id)
    .fetch(app.store().reads());
    let item = |key: &Key| {
        Ok(json!({
            "id": key.id,
            "project_id": key.project_id,
            "service_account_id": key.service_account_id,
            "name": key.name,
            "description": key.description,
            "created_at": key.created_at,
        }))
    };
    Answer::list(&app, "keys", rows, item).await
}

#[derive(Deserialize)]
struct NewAccountKey {
    name: String,
    #[serde(default)]
    description: Option<String>,
}

/// The full text of the key is in this answer and in no other. Names may repeat.
async fn create_key(
    State(app): State<App>,
    caller: Caller,
    Path((_, id)): Path<(String, String)>,
    Body(new): Body<NewAccountKey>,
) -> Result<Answer> {
    rules::name(&new.name).map_err(Refusal::at("name"))?;
    let description = new.description.unwrap_or_default();
    rules::text(&description).map_err(Refusal::at("description"))?;
    let project = Uuid::parse_str(&caller.project).map_err(Refusal::internal)?;
    let key = ApiKey::generate(project).map_err(Refusal::internal)?;
    let created_at = now();
    let mut write = app.store().write().await?;
    let account = named::by_id::<Account>(write.reads(), &caller.project, &id).await?.row;
    let stored = NewKey {
        key: &key,
        purpose: "project",
        user: None,
        account: Some((&account.id, &created_at)),
        name: &new.name,
        description: &description,
        created_by: Some(caller.principal.name()),
    };
    let revision = stored.insert(app.store().vault(), &mut write).await?;
    write.commit().await?;
    let body = json!({
        "id": key.id.to_string(),
        "project_id": caller.project,
        "service_account_id": account.id,
        "name": new.name,
        "description": description,
        "created_at": created_at,
        "value": key.text().expose_secret(),
    });
    Ok(Answer::json(&body).created().tagged(revision))
}

async fn delete_key(
    State(app): State<App>,
    caller: Caller,
    Path((_, id, key)): Path<(String, String, String)>,
    condition: Condition,
) -> Result<Answer> {
    let mut write = app.store().write().await?;
    let account = named::by_id::<Account>(write.reads(), &caller.project, &id).await?.row;
    let found: Option<(i64,)> =
        select("SELECT rev FROM api_keys WHERE id = $1 AND service_account_id = $2")
            .bind(&key)
            .bind(&account.id)
            .find(write.reads())
            .await?;
    let (revision,) = found.ok_or_else(|| Refusal::missing("API key", &key))?;
    let mut change = condition.admits(write, revision)?;
    sqlx::query("DELETE FROM api_keys WHERE id = $1").bind(&key).execute(change.on()).await?;
    change.commit().await?;
    Ok(Answer::nothing())
}

#[derive(Deserialize)]
struct Revocation {
    msid: String,
}

/// Revokes the keys that were made in one sign-in. Keys do not remember one here, so none is, and
/// the answer says so.
async fn revoke_keys(
    State(app): State<App>,
    caller: Caller,
    Path((_, id)): Path<(String, String)>,
    Body(Revocation { msid }): Body<Revocation>,
) -> Result<Answer> {
    rules::name(&msid).map_err(Refusal::at("msid"))?;
    named::by_id::<Account>(app.store().reads(), &caller.project, &id).await?;
    Ok(Answer::json(&json!({ "revoked": [] })))
}
