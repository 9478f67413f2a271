//! The first owner, project and key of a new platform, and the replacement of keys.

use secrecy::SecretString;
use uuid::Uuid;

use super::error::{Refusal, Result};
use super::objects::keys::{self, NewKey};
use super::objects::{people, projects};
use super::store::{KEY_SECRET, Store, Write, of_row, select};
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
    /// The keys with which the platform signs tokens for those who connect to rooms; those tokens
    /// end.
    pub signing_keys: bool,
    /// The API keys of all projects, which are ended and not replaced.
    pub api_keys: bool,
    /// The key file, and the key with which the database's secrets are encrypted.
    pub key_file: bool,
}

struct OwnerKey {
    id: String,
    project_id: String,
    user_id: String,
    secret: String,
}

of_row!(OwnerKey { id, project_id, user_id, secret });

impl OwnerKey {
    async fn find(write: &mut Write) -> Result<Option<Self>> {
        select("SELECT id, project_id, user_id, secret FROM api_keys WHERE purpose = 'owner'")
            .find(write.reads())
            .await
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
    people::add(&mut write, &owner, "owner@localhost").await?;
    let project = projects::New { owner: &owner, name: "default", settings: "{}" };
    let project = project.insert(store.vault(), &mut write).await?;
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
        account: None,
        name: "owner",
        description: "acts as the owner of this platform",
        created_by: Some(owner),
    };
    new.insert(store.vault(), write).await?;
    Ok(key.text())
}

/// Replaces the owner's key and the signing keys, or one of them. Everything that depends on a
/// deleted key ends, also in processes that are serving at this moment.
///
/// # Errors
///
/// The store failed; then nothing is replaced.
pub async fn replace_keys(store: &Store, which: Rotation) -> Result<()> {
    let mut write = store.write().await?.without_condition();
    if which.owner_key
        && let Some(old) = OwnerKey::find(&mut write).await?
    {
        sqlx::query("DELETE FROM api_keys WHERE id = $1").bind(&old.id).execute(write.on()).await?;
        owner_key(store, &mut write, (&old.project_id, &old.user_id)).await?;
    }
    if which.api_keys {
        sqlx::query("DELETE FROM api_keys WHERE purpose = 'project'").execute(write.on()).await?;
    }
    if which.signing_keys {
        sqlx::query("DELETE FROM api_keys WHERE purpose = 'signing'").execute(write.on()).await?;
        let projects: Vec<String> =
            sqlx::query_scalar("SELECT id FROM projects").fetch_all(write.on()).await?;
        for project in projects {
            keys::add_signing(store.vault(), &mut write, uuid(&project)?).await?;
        }
    }
    write.commit().await
}

/// An API key, as the owner sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// The name of its project.
    pub project: String,
    /// Who made it, as an id; `None` if that was not recorded.
    pub created_by: Option<String>,
    /// The user whom it acts for.
    pub user_id: Option<String>,
}

of_row!(Known { id, name, project, created_by, user_id });

/// The API keys of all projects, in the order in which they were made.
///
/// # Errors
///
/// The store failed.
pub async fn api_keys(store: &Store) -> Result<Vec<Known>> {
    let keys = sqlx::query_as(
        "SELECT k.id, k.name, p.name AS project, k.created_by, k.user_id FROM api_keys k \
         JOIN projects p ON p.id = k.project_id WHERE k.purpose = 'project' ORDER BY k.seq",
    );
    Ok(keys.fetch_all(store.reads()).await?)
}

/// Makes a key that acts for a user who is a member of a project, and with which the user signs
/// in. Only somebody who has the platform's folder can make one.
///
/// # Errors
///
/// There is no such user, by id or address, in any project; the store failed.
pub async fn key_for(store: &Store, user: &str) -> Result<SecretString> {
    let mut write = store.write().await?;
    let found: Option<(String, String)> = select(
        "SELECT u.id, m.project_id FROM users u JOIN members m ON m.user_id = u.id \
         WHERE u.id = $1 OR lower(u.email) = lower($1) ORDER BY m.seq",
    )
    .bind(user)
    .find(write.reads())
    .await?;
    let (id, project) = found.ok_or_else(|| Refusal::missing("member of a project", user))?;
    let key = ApiKey::generate(uuid(&project)?).map_err(Refusal::internal)?;
    let new = NewKey {
        key: &key,
        purpose: "project",
        user: Some(&id),
        account: None,
        name: user,
        description: "acts for a person",
        created_by: None,
    };
    new.insert(store.vault(), &mut write).await?;
    write.commit().await?;
    Ok(key.text())
}
