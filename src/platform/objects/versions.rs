//! The versions of secrets, and to which service accounts secrets are attached. Both come and go
//! without an entity tag: no version is ever changed.

use crate::platform::error::{Refusal, Result};
use crate::platform::store::{HELD_VALUE, Vault, Write, insert, of_row};

/// A version without its value.
#[derive(Debug)]
pub struct Version {
    /// Its id.
    pub id: String,
    /// The secret.
    pub secret_id: String,
    /// Its number.
    pub version: i64,
    /// The digest of the value's bytes, in hexadecimal digits.
    pub value_sha256: String,
    /// When it was made.
    pub created_at: String,
}

of_row!(Version { id, secret_id, version, value_sha256, created_at });

/// Adds a version with its value, in base64, and makes it the current one if that is asked for.
///
/// # Errors
///
/// The store failed.
pub async fn add(
    vault: &Vault,
    write: Write,
    (version, value): (&Version, &str),
    is_current: bool,
) -> Result<()> {
    let mut change = write.without_condition();
    let at = (HELD_VALUE, version.id.as_str());
    let sealed = vault.seal(&mut change, at, value).await?;
    insert(
        "INSERT INTO secret_versions (id, secret_id, version, value, value_sha256, created_at) \
         VALUES ($1, $2, $3, $4, $5, $6)",
    )
    .bind(&version.id)
    .bind(&version.secret_id)
    .bind(version.version)
    .bind(sealed)
    .bind(&version.value_sha256)
    .bind(&version.created_at)
    .run(&mut change, || "the version already exists".to_owned())
    .await?;
    if is_current {
        let revision = change.revision().await?;
        sqlx::query(
            "UPDATE held_secrets SET current_version_id = $1, updated_at = $2, rev = $3 \
             WHERE id = $4",
        )
        .bind(&version.id)
        .bind(&version.created_at)
        .bind(revision)
        .bind(&version.secret_id)
        .execute(change.on())
        .await?;
    }
    change.commit().await
}

/// Removes a version of a secret.
///
/// # Errors
///
/// 404; the store failed.
pub async fn remove(write: Write, secret: &str, version: &str) -> Result<()> {
    let mut change = write.without_condition();
    let deleted = sqlx::query("DELETE FROM secret_versions WHERE id = $1 AND secret_id = $2")
        .bind(version)
        .bind(secret)
        .execute(change.on())
        .await?;
    if deleted.rows_affected() == 0 {
        return Err(Refusal::missing("version", version));
    }
    change.commit().await
}

/// Detaches a secret from its account.
///
/// # Errors
///
/// 404 if it is not attached; the store failed.
pub async fn detach(write: Write, secret: &str) -> Result<()> {
    let mut change = write.without_condition();
    let deleted = sqlx::query("DELETE FROM pull_secrets WHERE secret_id = $1")
        .bind(secret)
        .execute(change.on())
        .await?;
    if deleted.rows_affected() == 0 {
        return Err(Refusal::missing("pull secret", secret));
    }
    change.commit().await
}
