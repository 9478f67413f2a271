//! API keys: credentials of a project, with which its participant tokens are also signed.

use secrecy::{ExposeSecret, SecretString};
use uuid::Uuid;

use crate::api::key::ApiKey;
use crate::platform::digest;
use crate::platform::error::{Refusal, Result};
use crate::platform::store::{KEY_SECRET, Store, Vault, Write, insert, select};

/// A key about to be stored.
pub struct NewKey<'a> {
    /// The key itself.
    pub key: &'a ApiKey,
    /// `owner`, `project` or `signing`.
    pub purpose: &'a str,
    /// The user it acts for.
    pub user: Option<&'a str>,
    /// The service account it acts for, and when it was made.
    pub account: Option<(&'a str, &'a str)>,
    /// A name for people.
    pub name: &'a str,
    /// What it is for.
    pub description: &'a str,
    /// Who made it.
    pub created_by: Option<&'a str>,
}

impl NewKey<'_> {
    /// Stores it and returns its revision.
    ///
    /// # Errors
    ///
    /// The store failed.
    pub async fn insert(&self, vault: &Vault, write: &mut Write) -> Result<i64> {
        let revision = write.revision().await?;
        let (id, secret) = (self.key.id.to_string(), self.key.secret.expose_secret());
        let sealed = vault.seal(write, (KEY_SECRET, &id), secret).await?;
        // A key that only signs is never presented as a credential.
        let digest = (self.purpose != "signing").then(|| digest::of(secret));
        insert(
            "INSERT INTO api_keys (id, project_id, purpose, user_id, name, description, secret, \
             digest, created_by, service_account_id, created_at, seq, rev) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $12)",
        )
        .bind(&id)
        .bind(self.key.project.to_string())
        .bind(self.purpose)
        .bind(self.user)
        .bind(self.name)
        .bind(self.description)
        .bind(sealed)
        .bind(digest)
        .bind(self.created_by)
        .bind(self.account.map(|(account, _)| account))
        .bind(self.account.map(|(_, created_at)| created_at))
        .bind(revision)
        .run(write, || format!("an API key {id:?} already exists"))
        .await?;
        Ok(revision)
    }
}

/// Makes the key with which the platform signs for a project that has none.
///
/// # Errors
///
/// The store failed.
pub async fn add_signing(vault: &Vault, write: &mut Write, project: Uuid) -> Result<()> {
    let key = ApiKey::generate(project).map_err(Refusal::internal)?;
    let signing = NewKey {
        key: &key,
        purpose: "signing",
        user: None,
        account: None,
        name: "signing",
        description: "",
        created_by: None,
    };
    signing.insert(vault, write).await?;
    Ok(())
}

/// The key with which the platform signs for a project: its id and its secret.
///
/// # Errors
///
/// The store failed.
pub async fn signing(store: &Store, project: &str) -> Result<(String, SecretString)> {
    let (id, secret): (String, String) =
        select("SELECT id, secret FROM api_keys WHERE project_id = $1 AND purpose = 'signing'")
            .bind(project)
            .find(store.reads())
            .await?
            .ok_or_else(|| Refusal::internal("the project has no key to sign with"))?;
    let at = (KEY_SECRET, id.as_str());
    let secret = store.vault().open_value(store.reads(), at, &secret).await?;
    Ok((id, secret))
}
