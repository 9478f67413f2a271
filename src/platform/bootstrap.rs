//! The first owner, project and key of a new platform, and keys that take the place of others.

use secrecy::SecretString;
use uuid::Uuid;

use super::error::{Refusal, Result};
use super::rest::api_keys::NewKey;
use super::rest::projects::{self, signing_key};
use super::store::{KEY_SECRET, Store, Write};
use crate::api::key::ApiKey;

/// What the owner needs to use the platform.
#[derive(Debug, Clone)]
pub struct Bootstrap {
    /// The owner's key: it acts as the owner, in every project it owns.
    pub api_key: SecretString,
    /// The first project.
    pub project_id: String,
}

/// Which keys of a platform are replaced.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Rotation {
    /// The owner's key; what was signed in or signed with it ends.
    pub owner_key: bool,
    /// The keys that the platform signs tokens with for those who connect to rooms; those
    /// tokens end.
    pub signing_keys: bool,
    /// The key file, and the key with which the database's secrets are encrypted.
    pub key_file: bool,
}

#[derive(sqlx::FromRow)]
struct OwnerKey {
    id: String,
    project_id: String,
    user_id: String,
    secret: String,
}

impl OwnerKey {
    async fn find(write: &mut Write) -> Result<Option<Self>> {
        let found = sqlx::query_as(
            "SELECT id, project_id, user_id, secret FROM api_keys WHERE purpose = 'owner'",
        )
        .fetch_optional(write.on())
        .await?;
        Ok(found)
    }
}

fn uuid(text: &str) -> Result<Uuid> {
    Uuid::parse_str(text).map_err(Refusal::internal)
}

/// Reads what the owner needs, and creates it in a platform that has no owner yet.
///
/// # Errors
///
/// The store failed.
pub async fn ensure(store: &Store) -> Result<Bootstrap> {
    // Inside one write, so that two processes that open a new folder agree on one owner.
    let mut write = store.write().await?;
    if let Some(stored) = OwnerKey::find(&mut write).await? {
        let at = (KEY_SECRET, stored.id.as_str());
        let secret = store.vault().open_value(store.reads(), at, &stored.secret).await?;
        let key = ApiKey { id: uuid(&stored.id)?, project: uuid(&stored.project_id)?, secret };
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
    let project = projects::New { owner: &owner, name: "default", settings: "{}" };
    let project = project.insert(store.vault(), &mut write).await?.id;
    let api_key = owner_key(store, &mut write, (&project, &owner)).await?;
    write.commit().await?;
    Ok(Bootstrap { api_key, project_id: project })
}

async fn owner_key(
    store: &Store,
    write: &mut Write,
    (project, owner): (&str, &str),
) -> Result<SecretString> {
    let key = ApiKey::generate(uuid(project)?).map_err(Refusal::internal)?;
    let new = NewKey {
        key: &key,
        purpose: "owner",
        user: Some(owner),
        name: "owner",
        description: "acts as the owner of this platform",
        created_by: Some(owner),
    };
    new.insert(store.vault(), write).await?;
    Ok(key.text())
}

/// Replaces the owner's key and the signing keys, or one of them. What hangs on a key that is
/// gone has ended, in processes that serve at this moment, too.
///
/// # Errors
///
/// The store failed; then nothing is replaced.
pub async fn replace_keys(store: &Store, which: Rotation) -> Result<()> {
    let mut write = store.write().await?;
    if which.owner_key
        && let Some(old) = OwnerKey::find(&mut write).await?
    {
        sqlx::query("DELETE FROM api_keys WHERE id = $1").bind(&old.id).execute(write.on()).await?;
        owner_key(store, &mut write, (&old.project_id, &old.user_id)).await?;
    }
    if which.signing_keys {
        let projects: Vec<String> =
            sqlx::query_scalar("SELECT id FROM projects").fetch_all(write.on()).await?;
        for project in projects {
            signing_key(store.vault(), &mut write, uuid(&project)?).await?;
        }
    }
    write.commit().await
}
