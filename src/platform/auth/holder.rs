//! Whoever holds an API key. All that is proven or signed with a key is its holder's, and is
//! worth what the holder may do *now*: when the key goes, it goes too.

use secrecy::ExposeSecret;
use sqlx::SqlitePool;

use super::{Flags, Role};
use crate::api::key::ApiKey;
use crate::platform::digest;
use crate::platform::error::{Refusal, Result};

/// A key as it is stored, without its secret.
#[derive(Debug, sqlx::FromRow)]
pub struct StoredKey {
    /// Its id.
    pub id: String,
    /// Its project.
    pub project_id: String,
    purpose: String,
    user_id: Option<String>,
    digest: Option<String>,
}

impl StoredKey {
    /// Finds a key by its id.
    ///
    /// # Errors
    ///
    /// The store failed.
    pub async fn find(reads: &SqlitePool, id: &str) -> Result<Option<Self>> {
        let key = sqlx::query_as(
            "SELECT id, project_id, purpose, user_id, digest FROM api_keys WHERE id = $1",
        )
        .bind(id)
        .fetch_optional(reads)
        .await?;
        Ok(key)
    }

    /// Whose it is; nobody's when the platform alone signs with it.
    pub fn holder(self) -> Option<Holder> {
        if self.purpose == "signing" {
            return None;
        }
        let is_owner = self.purpose == "owner";
        let person = self.user_id.map(|id| Person { id, is_owner });
        Some(Holder { key: self.id, project: self.project_id, person, sign_in: None })
    }
}

/// A user, by a key that acts for it.
#[derive(Debug, Clone)]
pub struct Person {
    /// The user's id.
    pub id: String,
    /// Whether it owns the platform.
    pub is_owner: bool,
}

/// Whoever holds a key: a person, or else a project.
#[derive(Debug, Clone)]
pub struct Holder {
    /// The key's id.
    pub key: String,
    /// The project that the key belongs to.
    pub project: String,
    /// The person whom the key acts for.
    pub person: Option<Person>,
    /// The sign-in that it was proven by, when it was not the key itself.
    pub sign_in: Option<String>,
}

impl Holder {
    /// Whose an API key is.
    ///
    /// # Errors
    ///
    /// 401 for a key that is not valid.
    pub async fn of(reads: &SqlitePool, key: &ApiKey) -> Result<Self> {
        let refused = Refusal::Unauthenticated("the credential is not valid");
        let stored = StoredKey::find(reads, &key.id.to_string()).await?;
        let fits = |stored: &StoredKey| {
            let secret = key.secret.expose_secret();
            stored.digest.as_deref().is_some_and(|digest| digest::fits(secret, digest))
                && stored.project_id == key.project.to_string()
        };
        stored.filter(fits).and_then(StoredKey::holder).ok_or(refused)
    }

    /// The same, by a sign-in.
    #[must_use]
    pub fn signed_in(self, sign_in: String) -> Self {
        Self { sign_in: Some(sign_in), ..self }
    }

    /// What it is in a project now: a person's own role, or admin of the key's project.
    ///
    /// # Errors
    ///
    /// The store failed.
    pub async fn role_in(&self, reads: &SqlitePool, project: &str) -> Result<Option<Role>> {
        match &self.person {
            Some(person) => role_of_user(reads, &person.id, project).await,
            None => Ok((self.project == project).then_some(Role::Admin)),
        }
    }
}

async fn role_of_user(reads: &SqlitePool, user: &str, project: &str) -> Result<Option<Role>> {
    let owned: Option<String> =
        sqlx::query_scalar("SELECT id FROM projects WHERE id = $1 AND owner_user_id = $2")
            .bind(project)
            .bind(user)
            .fetch_optional(reads)
            .await?;
    if owned.is_some() {
        return Ok(Some(Role::Admin));
    }
    let flags: Option<Flags> = sqlx::query_as(
        "SELECT is_admin, is_developer, can_create_rooms FROM members \
         WHERE project_id = $1 AND user_id = $2",
    )
    .bind(project)
    .bind(user)
    .fetch_optional(reads)
    .await?;
    Ok(flags.map(Flags::role))
}
