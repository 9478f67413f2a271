//! The versions of a secret, each of which has a value.

use axum::extract::State;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use secrecy::ExposeSecret;
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::secrets::{Asker, Owner, Secret};
use super::{Refusal, Result, Route};
use crate::kinds::specs::rules;
use crate::platform::App;
use crate::platform::auth::Access;
use crate::platform::exchange::{Answer, Body};
use crate::platform::objects::sessions::now;
use crate::platform::objects::versions::{self, Version};
use crate::platform::store::{HELD_VALUE, select};

pub(super) fn routes() -> Vec<Route> {
    const ACCESSES: [Access; 2] = [Access::Signed, Access::Write];
    const VERSIONS: [&str; 2] = [
        "/accounts/users/me/secrets/{secret}/versions",
        "/accounts/projects/{project}/service-accounts/{account}/secrets/{secret}/versions",
    ];
    const VERSION: [&str; 2] = [
        "/accounts/users/me/secrets/{secret}/versions/{version}",
        "/accounts/projects/{project}/service-accounts/{account}/secrets/{secret}/versions/{version}",
    ];
    let mut routes = Vec::new();
    for (number, access) in ACCESSES.into_iter().enumerate() {
        routes.extend([
            Route::get(VERSIONS[number], access, list),
            Route::post(VERSIONS[number], access, add_version),
            Route::get(VERSION[number], access, value),
            Route::delete(VERSION[number], access, delete_version),
        ]);
    }
    routes
}

/// The largest value, in bytes.
const LARGEST: usize = rules::TEXT_LIMIT;

/// The value of a version, in base64.
pub async fn opened(app: &App, secret: &Secret, version: &str) -> Result<String> {
    let (store, reads) = (app.store(), app.store().reads());
    let found: Option<(String,)> =
        select("SELECT value FROM secret_versions WHERE id = $1 AND secret_id = $2")
            .bind(version)
            .bind(&secret.id)
            .find(reads)
            .await?;
    let (value,) = found.ok_or_else(|| Refusal::missing("version", version))?;
    let value = store.vault().open_value(reads, (HELD_VALUE, version), &value).await?;
    Ok(value.expose_secret().to_owned())
}

fn whole(version: &Version) -> Value {
    json!({
        "id": version.id,
        "secret_id": version.secret_id,
        "version": version.version,
        "value_sha256": version.value_sha256,
        "created_at": version.created_at,
    })
}

async fn list(State(app): State<App>, Asker { principal, place }: Asker) -> Result<Answer> {
    let reads = app.store().reads();
    let secret = Owner::of(reads, &principal, &place).await?.secret(reads, &place).await?;
    let rows = sqlx::query_as(
        "SELECT id, secret_id, version, value_sha256, created_at FROM secret_versions \
         WHERE secret_id = $1 ORDER BY version",
    )
    .bind(&secret.id)
    .fetch(reads);
    Answer::list(&app, "versions", rows, |version: &Version| Ok(whole(version))).await
}

/// It has no `Debug`, since its text is secret.
#[derive(Deserialize)]
struct NewVersion {
    value_base64: String,
    #[serde(default)]
    set_current: bool,
}

/// The digest is that of the bytes.
async fn add_version(
    State(app): State<App>,
    Asker { principal, place }: Asker,
    Body(new): Body<NewVersion>,
) -> Result<Answer> {
    let refused = |message: &str| Refusal::field("value_base64", message);
    let bytes = STANDARD.decode(&new.value_base64);
    let bytes = bytes.map_err(|_| refused("must be base64"))?;
    if bytes.len() > LARGEST {
        return Err(refused("is larger than 1 MiB"));
    }
    let mut write = app.store().write().await?;
    let owner = Owner::of(write.reads(), &principal, &place).await?;
    let secret = owner.secret(write.reads(), &place).await?;
    let last: Option<(Option<i64>,)> =
        select("SELECT MAX(version) FROM secret_versions WHERE secret_id = $1")
            .bind(&secret.id)
            .find(write.reads())
            .await?;
    let version = Version {
        id: Uuid::new_v4().to_string(),
        secret_id: secret.id.clone(),
        version: last.and_then(|(last,)| last).unwrap_or(0) + 1,
        value_sha256: format!("{:x}", Sha256::digest(&bytes)),
        created_at: now(),
    };
    let value = STANDARD.encode(&bytes);
    let vault = app.store().vault();
    versions::add(vault, write, (&version, &value), new.set_current).await?;
    Ok(Answer::json(&whole(&version)).created())
}

/// The end of a path that asks for a value.
const ACCESS: &str = ":access";

async fn value(State(app): State<App>, Asker { principal, place }: Asker) -> Result<Answer> {
    let version = place.version.as_deref().unwrap_or_default();
    let version = version.strip_suffix(ACCESS);
    let version = version.ok_or_else(|| Refusal::NotFound("no such path".into()))?;
    let reads = app.store().reads();
    let secret = Owner::of(reads, &principal, &place).await?.secret(reads, &place).await?;
    if secret.http_only {
        let message = "the secret is only for the platform to use: its value is never read again";
        return Err(Refusal::Forbidden(message.into()));
    }
    let value = opened(&app, &secret, version).await?;
    Ok(Answer::json(&json!({
        "secret_id": secret.id,
        "version_id": version,
        "value_base64": value,
    })))
}

/// The current version stays.
async fn delete_version(
    State(app): State<App>,
    Asker { principal, place }: Asker,
) -> Result<Answer> {
    let version = place.version.as_deref().unwrap_or_default();
    let mut write = app.store().write().await?;
    let owner = Owner::of(write.reads(), &principal, &place).await?;
    let secret = owner.secret(write.reads(), &place).await?;
    if secret.current_version_id.as_deref() == Some(version) {
        let message = "it is the current version: add another one first, or delete the secret";
        return Err(Refusal::Conflict(message.into()));
    }
    versions::remove(write, &secret.id, version).await?;
    Ok(Answer::nothing())
}
