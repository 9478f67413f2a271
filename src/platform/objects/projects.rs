//! Projects about to be created, with everything that belongs to a new one.

use uuid::Uuid;

use super::keys;
use super::people::{self, Flags};
use crate::platform::error::Result;
use crate::platform::store::{SETTINGS, Vault, Write, insert};

/// A project about to be created.
pub struct New<'a> {
    /// The user who owns it.
    pub owner: &'a str,
    /// Its name.
    pub name: &'a str,
    /// Its settings, as JSON.
    pub settings: &'a str,
}

impl New<'_> {
    /// Creates it, with its owner as a member and a key of its own, with which the platform
    /// signs participant tokens: no key that a person deletes then ends the tokens of others.
    /// Returns its id.
    ///
    /// # Errors
    ///
    /// 409 if the owner already has a project with that name.
    pub async fn insert(&self, vault: &Vault, write: &mut Write) -> Result<String> {
        let project = Uuid::new_v4();
        let id = project.to_string();
        let revision = write.revision().await?;
        let settings = vault.seal(write, (SETTINGS, &id), self.settings).await?;
        insert(
            "INSERT INTO projects (id, owner_user_id, name, settings, seq, rev) \
             VALUES ($1, $2, $3, $4, $5, $5)",
        )
        .bind(&id)
        .bind(self.owner)
        .bind(self.name)
        .bind(settings)
        .bind(revision)
        .run(write, || format!("a project named {:?} already exists", self.name))
        .await?;
        let flags = Flags { is_admin: true, is_developer: true, can_create_rooms: true };
        people::join(write, &id, self.owner, flags).await?;
        keys::add_signing(vault, write, project).await?;
        Ok(id)
    }
}
