//! The first owner, project and key of a new platform.

use secrecy::SecretString;
use uuid::Uuid;

use super::error::{Refusal, Result};
use super::rest::api_keys::NewKey;
use super::rest::projects;
use super::store::Store;
use crate::api::key::ApiKey;

/// What the owner needs to use the platform.
#[derive(Debug, Clone)]
pub struct Bootstrap {
    /// The owner's key: it acts as the owner, in every project it owns.
    pub api_key: SecretString,
    /// The first project.
    pub project_id: String,
}

#[derive(sqlx::FromRow)]
struct OwnerKey {
    id: String,
    project_id: String,
    secret: String,
}

/// Reads what the owner needs, and creates it in a platform that has no owner yet.
///
/// # Errors
///
/// The store failed.
pub async fn ensure(store: &Store) -> Result<Bootstrap> {
    // Inside one write, so that two processes that open a new folder agree on one owner.
    let mut write = store.write().await?;
    let stored: Option<OwnerKey> =
        sqlx::query_as("SELECT id, project_id, secret FROM api_keys WHERE purpose = 'owner'")
            .fetch_optional(write.on())
            .await?;
    if let Some(stored) = stored {
        let id = |text: &str| Uuid::parse_str(text).map_err(Refusal::internal);
        let key = ApiKey {
            id: id(&stored.id)?,
            project: id(&stored.project_id)?,
            secret: stored.secret.into(),
        };
        return Ok(Bootstrap { api_key: key.text(), project_id: stored.project_id });
    }
    let owner = Uuid::new_v4().to_string();
    let revision = write.revision().await?;
    sqlx::query("INSERT INTO users (id, email, rev) VALUES ($1, $2, $3)")
        .bind(&owner)
        .bind("owner@localhost")
        .bind(revision)
        .execute(write.on())
        .await?;
    let project = projects::insert(&mut write, &owner, "default", "{}").await?.id;
    let key = ApiKey::generate(Uuid::parse_str(&project).map_err(Refusal::internal)?)
        .map_err(Refusal::internal)?;
    let new = NewKey {
        key: &key,
        purpose: "owner",
        user: Some(&owner),
        name: "owner",
        description: "acts as the owner of this platform",
        created_by: Some(&owner),
    };
    new.insert(&mut write).await?;
    write.commit().await?;
    Ok(Bootstrap { api_key: key.text(), project_id: project })
}
