//! Encryption at rest: the secrets of keys, the data of secrets, the settings of projects.
//!
//! The database has a key of its own, which is stored only in wrapped form, wrapped by the key in
//! the key file (an envelope). With only the database, a copy of it or its disk, nobody can read
//! these values or exchange one for another.
//!
//! Several processes may have the database open. The key for encryption is therefore looked up in
//! the transaction that writes, and a value says which key it needs.

mod cipher;
mod key_file;

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use secrecy::{ExposeSecret, SecretString};
use sqlx::{Connection, SqliteConnection, SqlitePool};

use self::cipher::{Fault, Key};
use self::key_file::KeyFile;
use super::{Write, files, of_row};
use crate::error::{self, Class, Context};
use crate::output;
use crate::platform::digest;
use crate::platform::error::{Refusal, Result};

/// A column whose values are kept encrypted, of a table whose key is `id`.
#[derive(Debug, Clone, Copy)]
pub struct Column {
    name: &'static str,
    select: &'static str,
    update: &'static str,
}

/// The secrets of API keys, with which tokens are signed.
pub const KEY_SECRET: Column = Column {
    name: "api_keys.secret",
    select: "SELECT id, secret FROM api_keys",
    update: "UPDATE api_keys SET secret = $1 WHERE id = $2",
};

/// The values of a project's secret.
pub const SECRET_DATA: Column = Column {
    name: "secrets.data",
    select: "SELECT id, data FROM secrets",
    update: "UPDATE secrets SET data = $1 WHERE id = $2",
};

/// A project's settings, which contain keys of providers.
pub const SETTINGS: Column = Column {
    name: "projects.settings",
    select: "SELECT id, settings FROM projects",
    update: "UPDATE projects SET settings = $1 WHERE id = $2",
};

/// The value of a version of a secret.
pub const HELD_VALUE: Column = Column {
    name: "secret_versions.value",
    select: "SELECT id, value FROM secret_versions",
    update: "UPDATE secret_versions SET value = $1 WHERE id = $2",
};

/// A document of a project's settings.
pub const SETTINGS_DOCUMENT: Column = Column {
    name: "settings_documents.document",
    select: "SELECT id, document FROM settings_documents",
    update: "UPDATE settings_documents SET document = $1 WHERE id = $2",
};

/// The value of a secret of a room.
pub const ROOM_SECRET: Column = Column {
    name: "room_secrets.data",
    select: "SELECT id, data FROM room_secrets",
    update: "UPDATE room_secrets SET data = $1 WHERE id = $2",
};

const COLUMNS: [Column; 6] =
    [KEY_SECRET, SECRET_DATA, SETTINGS, HELD_VALUE, SETTINGS_DOCUMENT, ROOM_SECRET];

/// The place of the database's own key, as one of those above.
const OWN: &str = "vault.key";

impl Column {
    fn of(self, id: &str) -> String {
        format!("{} {id}", self.name)
    }
}

/// The vault of an open store.
#[derive(Debug)]
pub struct Vault {
    file: KeyFile,
    /// The keys that were in use since the store was opened, the newest last.
    keys: RwLock<Vec<Arc<Key>>>,
    /// The key file as it was when it last fitted the database.
    seen: Mutex<Option<Stamp>>,
}

/// How often a key file that does not fit is read again before that is reported.
const TRIES: usize = 3;

/// The identity of a file, with its size and the time of its last change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    device: u64,
    number: u64,
    size: u64,
    changed: (i64, i64),
}

impl Stamp {
    fn of(path: &Path) -> Option<Self> {
        let about = std::fs::metadata(path).ok()?;
        Some(Self {
            device: about.dev(),
            number: about.ino(),
            size: about.size(),
            changed: (about.mtime(), about.mtime_nsec()),
        })
    }
}

/// The database's own key as it is stored.
struct Stored {
    /// The key's id, and the key as wrapped by the one in the key file.
    wrapped: String,
    /// Whether the file no longer contains anything from before it was encrypted, or that was
    /// encrypted with another key.
    is_clean: bool,
}

of_row!(Stored { wrapped, is_clean });

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Self {
        Self::internal(fault)
    }
}

async fn stored(on: &mut SqliteConnection) -> Result<Option<Stored>, sqlx::Error> {
    sqlx::query_as("SELECT wrapped, is_clean FROM vault").fetch_optional(on).await
}

impl Vault {
    /// A vault with a key file at a path. [`Vault::open`] opens it.
    pub const fn new(file: PathBuf) -> Self {
        Self { file: KeyFile::at(file), keys: RwLock::new(Vec::new()), seen: Mutex::new(None) }
    }

    /// Refuses an empty database if there is a key file: the database of that key is lost or was
    /// not restored yet, and a new platform would hide that.
    ///
    /// # Errors
    ///
    /// There is a key file.
    pub fn expect_none(&self, database: &str) -> error::Result<()> {
        if !self.file.exists()? {
            return Ok(());
        }
        let key = self.file.path().display();
        let told = format!("{database}, but its key {key} exists, so this is not a new platform");
        Err(error::Error::new(Class::Refused, told).hint(format!(
            "restore the database from a copy, or move {key} away to start over without the old data"
        )))
    }

    /// Where the key file is.
    pub fn path(&self) -> &Path {
        self.file.path()
    }

    /// Refuses a key file that is not the one of a database, and changes neither.
    ///
    /// # Errors
    ///
    /// The key file is missing, open to others, or not this database's; the system's.
    pub async fn fits(&self, on: &mut SqliteConnection) -> error::Result<()> {
        match stored(on).await.context(|| "failed to read the vault".to_owned())? {
            Some(stored) => self.unwrap(&stored.wrapped).map(drop),
            None if self.file.exists()? => self.file.read().map(drop),
            None => Ok(()),
        }
    }

    /// Checks whether the key file still exists and is the one that the database needs. If the
    /// file is unchanged, only its metadata is read.
    ///
    /// # Errors
    ///
    /// It does not exist or is not the right one; the store failed.
    pub async fn look(&self, reads: &SqlitePool) -> Result<()> {
        let stamp = Stamp::of(self.file.path());
        if stamp.is_some() && stamp == *self.seen.lock().unwrap_or_else(PoisonError::into_inner) {
            return Ok(());
        }
        // While it is replaced, the database may be read before and the file afterwards.
        for _ in 0..TRIES {
            let stamp = Stamp::of(self.file.path());
            if self.current_by_file(reads).await? {
                *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = stamp;
                return Ok(());
            }
        }
        Err(Refusal::Gone(files::Fault::Key(files::name(self.file.path()))))
    }

    /// Whether the key file fits the database now.
    async fn current_by_file(&self, reads: &SqlitePool) -> Result<bool> {
        let mut on = reads.acquire().await?;
        let stored =
            stored(&mut on).await?.ok_or_else(|| Refusal::internal("the vault is gone"))?;
        Ok(self.unwrap(&stored.wrapped).is_ok())
    }

    /// Opens the vault, on a connection on which nobody else writes yet. A database without a key
    /// of its own gets one, and its values in clear text are encrypted.
    ///
    /// # Errors
    ///
    /// The key file is missing, open to others, or not this database's; the system's.
    pub async fn open(&self, writer: &mut SqliteConnection) -> error::Result<()> {
        let failed = || "failed to read the vault".to_owned();
        let is_clean = match stored(writer).await.context(failed)? {
            Some(stored) => {
                self.hold(self.unwrap(&stored.wrapped)?);
                stored.is_clean
            }
            None => self.begin(writer).await?,
        };
        // Everything is encrypted now, so a full disk is no reason not to serve.
        if !is_clean && let Err(cause) = clean(writer).await {
            output::warning(&format!(
                "the file of the database still contains what was in it before it was encrypted, until it is opened again: {cause}"
            ));
        }
        Ok(())
    }

    fn hold(&self, key: Key) -> Arc<Key> {
        let key = Arc::new(key);
        let mut keys = self.keys.write().unwrap_or_else(PoisonError::into_inner);
        keys.retain(|held| held.id() != key.id());
        keys.push(Arc::clone(&key));
        key
    }

    fn held(&self, id: &str) -> Option<Arc<Key>> {
        let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        keys.iter().rev().find(|key| key.id() == id).cloned()
    }

    /// The database's own key, unwrapped with the key file.
    fn unwrap(&self, stored: &str) -> error::Result<Key> {
        let path = self.file.path().display();
        let keys = self.file.read()?;
        let (_, wrapped) = stored.split_once(' ').unwrap_or_default();
        // A new key is beside the old one until it has replaced it.
        let opened = keys.iter().map(|key| Key::unwrapped(wrapped, key, OWN));
        opened.filter_map(std::result::Result::ok).next().ok_or_else(|| {
            let told = format!("the key in {path} is not the key of the database");
            error::Error::new(Class::Refused, told)
                .hint("put the key file of this database back, or the database of this key file")
        })
    }

    /// Gives a database a key of its own, and returns whether there was nothing to encrypt.
    async fn begin(&self, writer: &mut SqliteConnection) -> error::Result<bool> {
        let failed = || "failed to encrypt the contents of the database".to_owned();
        // The key file comes first: what is encrypted must never be without its key.
        let outer = match self.file.exists()? {
            true => self.file.read()?.into_iter().next(),
            false => None,
        };
        let outer = match outer {
            Some(outer) => outer,
            None => {
                let outer = Key::generate().context(failed)?;
                self.file.write(&[&outer])?;
                outer
            }
        };
        let own = Key::generate().context(failed)?;
        let mut transaction = writer.begin_with("BEGIN IMMEDIATE").await.context(failed)?;
        let mut is_empty = true;
        digest_keys(&mut transaction).await.context(failed)?;
        for column in COLUMNS {
            let rows: Vec<(String, String)> =
                sqlx::query_as(column.select).fetch_all(&mut *transaction).await.context(failed)?;
            is_empty &= rows.is_empty();
            for (id, plain) in rows {
                let sealed = own.seal(&plain, &column.of(&id)).context(failed)?;
                let update = sqlx::query(column.update).bind(sealed).bind(id);
                update.execute(&mut *transaction).await.context(failed)?;
            }
        }
        keep(&mut transaction, &own, &outer, is_empty).await.context(failed)?;
        transaction.commit().await.context(failed)?;
        self.hold(own);
        Ok(is_empty)
    }

    /// The key that the database has now. Another process may have replaced it.
    async fn current(&self, on: &mut SqliteConnection) -> Result<Arc<Key>> {
        let stored = stored(on).await?.ok_or_else(|| Refusal::internal("the vault is gone"))?;
        let stored = stored.wrapped.as_str();
        let (id, _) = stored.split_once(' ').unwrap_or_default();
        match self.held(id) {
            Some(key) => Ok(key),
            None => self.unwrap(stored).map(|key| self.hold(key)).map_err(Refusal::internal),
        }
    }

    /// Encrypts a value for its place in the database, in the write that puts it there.
    ///
    /// # Errors
    ///
    /// The store failed, or the key file was removed.
    pub async fn seal(
        &self,
        write: &mut Write,
        (column, id): (Column, &str),
        plain: &str,
    ) -> Result<String> {
        let key = self.current(write.on()).await?;
        Ok(key.seal(plain, &column.of(id))?)
    }

    /// Decrypts a value from its place in the database.
    ///
    /// # Errors
    ///
    /// It is not what was stored there; the store failed; the key file was removed.
    pub async fn open_value(
        &self,
        reads: &SqlitePool,
        (column, id): (Column, &str),
        sealed: &str,
    ) -> Result<SecretString> {
        let needed = sealed.split_once('.').map(|(needed, _)| needed).unwrap_or_default();
        let key = match self.held(needed) {
            Some(key) => key,
            None => self.current(&mut *reads.acquire().await?).await?,
        };
        let place = column.of(id);
        let plain = key.open(sealed, &place).map_err(|fault| {
            tracing::error!(%place, %fault, "a value cannot be decrypted");
            Refusal::internal(fault)
        })?;
        let text = std::str::from_utf8(plain.expose_secret()).map_err(Refusal::internal)?;
        Ok(SecretString::from(text))
    }

    /// Replaces the key file and the database's own key, and encrypts everything again. The
    /// database always has the key file that it needs.
    ///
    /// # Errors
    ///
    /// The system's, or a value that cannot be decrypted; then everything is as it was.
    pub async fn rotate(&self, mut write: Write) -> error::Result<()> {
        let (outer, own) = self.prepare(&mut write).await?;
        write.commit().await.context(|| "failed to replace the key file".to_owned())?;
        self.file.write(&[&outer])?;
        self.hold(own);
        Ok(())
    }

    /// Encrypts everything with a new key, which is wrapped by a new one for the key file. Until
    /// that write is done or given up, the file contains both keys.
    async fn prepare(&self, write: &mut Write) -> error::Result<(Key, Key)> {
        let failed = || "failed to replace the key file".to_owned();
        let (outer, own) = (Key::generate().context(failed)?, Key::generate().context(failed)?);
        let before = self.current(write.on()).await.context(failed)?;
        let old = self.file.read()?;
        for column in COLUMNS {
            let rows: Vec<(String, String)> =
                sqlx::query_as(column.select).fetch_all(write.on()).await.context(failed)?;
            for (id, sealed) in rows {
                let place = column.of(&id);
                let plain = before.open(&sealed, &place).context(failed)?;
                let plain = std::str::from_utf8(plain.expose_secret()).context(failed)?;
                let sealed = own.seal(plain, &place).context(failed)?;
                let update = sqlx::query(column.update).bind(sealed).bind(id);
                update.execute(write.on()).await.context(failed)?;
            }
        }
        sqlx::query("DELETE FROM vault").execute(write.on()).await.context(failed)?;
        keep(write.on(), &own, &outer, false).await.context(failed)?;
        let beside: Vec<&Key> = std::iter::once(&outer).chain(&old).collect();
        self.file.write(&beside)?;
        Ok((outer, own))
    }
}

/// Rewrites the database's file without what was deleted or replaced in it. If another process
/// reads from it at this moment, the next opening does it.
async fn clean(writer: &mut SqliteConnection) -> Result<(), sqlx::Error> {
    sqlx::query("VACUUM").execute(&mut *writer).await?;
    let busy: i64 =
        sqlx::query_scalar("PRAGMA wal_checkpoint(TRUNCATE)").fetch_one(&mut *writer).await?;
    if busy == 0 {
        sqlx::query("UPDATE vault SET is_clean = TRUE").execute(&mut *writer).await?;
    }
    Ok(())
}

/// Makes the digests of keys that had none yet: of all but those that only sign.
async fn digest_keys(on: &mut SqliteConnection) -> Result<(), sqlx::Error> {
    let keys: Vec<(String, String)> =
        sqlx::query_as("SELECT id, secret FROM api_keys WHERE purpose <> 'signing'")
            .fetch_all(&mut *on)
            .await?;
    for (id, secret) in keys {
        let update = sqlx::query("UPDATE api_keys SET digest = $1 WHERE id = $2");
        update.bind(digest::of(&secret)).bind(id).execute(&mut *on).await?;
    }
    Ok(())
}

/// Stores a database's own key, wrapped.
async fn keep(
    on: &mut SqliteConnection,
    own: &Key,
    outer: &Key,
    is_clean: bool,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let wrapped = outer.seal(own.text().expose_secret(), OWN)?;
    sqlx::query("INSERT INTO vault (id, wrapped, is_clean) VALUES (1, $1, $2)")
        .bind(format!("{} {wrapped}", own.id()))
        .bind(is_clean)
        .execute(on)
        .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::{Place, Store};

    #[tokio::test]
    async fn a_process_that_dies_while_it_replaces_the_key_file_locks_nobody_out() {
        let folder = tempfile::tempdir().unwrap();
        let place = Place::from(folder.path());
        for is_committed in [false, true] {
            let store = Store::open(&place).await.unwrap();
            let mut write = store.write().await.unwrap();
            store.vault().prepare(&mut write).await.unwrap();
            if is_committed {
                write.commit().await.unwrap();
            } else {
                drop(write);
            }
            store.close().await;
            let store = Store::open(&place).await.unwrap();
            store.replace_key_file().await.unwrap();
            assert_eq!(store.vault().file.read().unwrap().len(), 1, "{is_committed}");
            store.close().await;
            Store::open(&place).await.unwrap().close().await;
        }
    }
}
