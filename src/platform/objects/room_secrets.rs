//! Secrets of rooms, each of which belongs to an identity: the name of a participant. Their values
//! are kept encrypted.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret, SecretBox, SecretString};
use uuid::Uuid;

use crate::platform::error::{Refusal, Result};
use crate::platform::store::{ROOM_SECRET, Store, insert, of_row, select};
use crate::room::operation::Secret;
use crate::room::secrets::Info;

/// How many secrets an identity may have in a room.
pub const OF_ONE: i64 = 1_000;

/// How many secrets a room may have.
pub const OF_ALL: i64 = 10_000;

/// How a secret came to be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// Somebody stored it.
    Stored,
    /// Another participant was asked for it.
    Requested,
    /// It is a token for which somebody signed in.
    OAuth,
}

impl Origin {
    const fn text(self) -> &'static str {
        match self {
            Self::Stored => "stored",
            Self::Requested => "requested",
            Self::OAuth => "oauth",
        }
    }
}

/// A secret to be stored.
#[derive(Debug, Clone, Copy)]
pub struct New<'a> {
    /// The identity to which it belongs.
    pub owner: &'a str,
    /// The identity to which it is delegated; empty without one.
    pub delegated_to: &'a str,
    /// How it came to be there.
    pub origin: Origin,
    /// What its owner calls it. Another one of the same name and origin is replaced.
    pub secret_id: &'a str,
    /// Its media type, or what else it is.
    pub kind: &'a str,
    /// Its name.
    pub name: &'a str,
    /// The identity that was asked for it.
    pub provider: Option<&'a str>,
}

/// A secret as it is stored, with its value encrypted.
#[derive(Debug)]
pub struct Stored {
    /// The id of its row.
    pub id: String,
    /// The identity to which it belongs.
    pub owner: String,
    /// The identity to which it is delegated; empty without one.
    pub delegated_to: String,
    /// What its owner calls it.
    pub secret_id: String,
    /// Its media type, or what else it is.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// The identity that was asked for it.
    pub provider: Option<String>,
    data: String,
}

of_row!(Stored { id, owner, delegated_to, secret_id, kind = "type", name, provider, data });

/// Which secret a participant wants to read. What is not said is any.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// The identity that reads.
    pub reader: &'a str,
    /// The identity to which it is delegated: another one, or the reader itself.
    pub delegated_to: Option<&'a str>,
    /// Who has delegated it, or was asked for it.
    pub delegated_by: Option<&'a str>,
    /// Whether it is a token for which somebody signed in.
    pub is_token: bool,
    /// What its owner calls it.
    pub secret_id: Option<&'a str>,
    /// Its media type, or what else it is.
    pub kind: Option<&'a str>,
    /// Its name.
    pub name: Option<&'a str>,
}

/// The secrets of an identity, without those that others have delegated to it.
///
/// # Errors
///
/// The store failed.
pub async fn list(store: &Store, room: &str, owner: &str) -> Result<Vec<Info>> {
    let sql = "SELECT secret_id, type, name, delegated_to FROM room_secrets \
         WHERE room_id = $1 AND owner = $2 ORDER BY seq";
    let rows: Vec<(String, String, String, String)> =
        sqlx::query_as(sql).bind(room).bind(owner).fetch_all(store.reads()).await?;
    let info = |(id, kind, name, delegated_to): (String, String, String, String)| {
        let delegated_to = Some(delegated_to).filter(|whom| !whom.is_empty());
        Info { id, kind, name, delegated_to }
    };
    Ok(rows.into_iter().map(info).collect())
}

/// The secret that a participant wants to read, if it may: its own one before those that are
/// delegated to it. Of several own ones it is the last, and of others the first, so that nobody can
/// put another one before it.
///
/// # Errors
///
/// The store failed.
pub async fn find(store: &Store, room: &str, wanted: Wanted<'_>) -> Result<Option<Stored>> {
    let to_others = wanted.delegated_to.filter(|whom| *whom != wanted.reader);
    let is_delegate = wanted.delegated_to == Some(wanted.reader) || wanted.delegated_by.is_some();
    select(
        "SELECT id, owner, delegated_to, secret_id, type, name, provider, data FROM room_secrets \
         WHERE room_id = $1 \
         AND (owner = $2 AND delegated_to = $3 OR $4 AND delegated_to = $2) \
         AND ($5 IS NULL OR owner = $5 OR provider = $5) \
         AND (origin = 'oauth') = $6 \
         AND ($7 IS NULL OR secret_id = $7) \
         AND ($8 IS NULL OR type = $8) \
         AND ($9 IS NULL OR name = $9) \
         ORDER BY owner = $2 DESC, CASE WHEN owner = $2 THEN -seq ELSE seq END LIMIT 1",
    )
    .bind(room)
    .bind(wanted.reader)
    .bind(to_others.unwrap_or_default())
    .bind(is_delegate && to_others.is_none())
    .bind(wanted.delegated_by)
    .bind(wanted.is_token)
    .bind(wanted.secret_id)
    .bind(wanted.kind)
    .bind(wanted.name)
    .find(store.reads())
    .await
}

/// The value of a secret.
///
/// # Errors
///
/// It is not what was stored; the store failed.
pub async fn open(store: &Store, secret: &Stored) -> Result<Secret> {
    let at = (ROOM_SECRET, secret.id.as_str());
    let text = store.vault().open_value(store.reads(), at, &secret.data).await?;
    let bytes = STANDARD.decode(text.expose_secret()).map_err(Refusal::internal)?;
    Ok(SecretBox::new(Box::new(bytes)))
}

/// Stores a secret, or replaces the one that its owner calls so.
///
/// # Errors
///
/// 409 if there are too many; the store failed.
pub async fn put(store: &Store, room: &str, new: New<'_>, data: &Secret) -> Result<()> {
    let text = SecretString::from(STANDARD.encode(data.expose_secret()));
    let mut write = store.write().await?;
    let known: Option<(String,)> = select(
        "SELECT id FROM room_secrets WHERE room_id = $1 AND owner = $2 AND delegated_to = $3 \
         AND origin = $4 AND secret_id = $5",
    )
    .bind(room)
    .bind(new.owner)
    .bind(new.delegated_to)
    .bind(new.origin.text())
    .bind(new.secret_id)
    .find(write.reads())
    .await?;
    if let Some((id,)) = known {
        let at = (ROOM_SECRET, id.as_str());
        let sealed = store.vault().seal(&mut write, at, text.expose_secret()).await?;
        let mut change = write.without_condition();
        sqlx::query(
            "UPDATE room_secrets SET type = $1, name = $2, provider = $3, data = $4 WHERE id = $5",
        )
        .bind(new.kind)
        .bind(new.name)
        .bind(new.provider)
        .bind(sealed)
        .bind(&id)
        .execute(change.on())
        .await?;
        return change.commit().await;
    }
    let counts: Option<(i64, i64)> = select(
        "SELECT COUNT(*), COALESCE(SUM(CASE WHEN owner = $2 THEN 1 ELSE 0 END), 0) \
         FROM room_secrets WHERE room_id = $1",
    )
    .bind(room)
    .bind(new.owner)
    .find(write.reads())
    .await?;
    let (all, own) = counts.unwrap_or_default();
    if own >= OF_ONE {
        return Err(Refusal::Conflict(format!("{:?} has {OF_ONE} secrets already", new.owner)));
    }
    if all >= OF_ALL {
        return Err(Refusal::Conflict(format!("the room has {OF_ALL} secrets already")));
    }
    let id = Uuid::new_v4().to_string();
    let at = (ROOM_SECRET, id.as_str());
    let sealed = store.vault().seal(&mut write, at, text.expose_secret()).await?;
    let seq = write.revision().await?;
    insert(
        "INSERT INTO room_secrets (id, room_id, owner, delegated_to, origin, secret_id, type, \
         name, provider, data, seq) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
    )
    .bind(&id)
    .bind(room)
    .bind(new.owner)
    .bind(new.delegated_to)
    .bind(new.origin.text())
    .bind(new.secret_id)
    .bind(new.kind)
    .bind(new.name)
    .bind(new.provider)
    .bind(sealed)
    .bind(seq)
    .run(&mut write, || "the secret exists already".to_owned())
    .await?;
    write.commit().await
}

/// Deletes the secrets that their owner calls so; of one origin, if one is given. Whether there were
/// any.
///
/// # Errors
///
/// The store failed.
pub async fn delete(
    store: &Store,
    room: &str,
    (owner, delegated_to): (&str, &str),
    (secret_id, origin): (&str, Option<Origin>),
) -> Result<bool> {
    let mut change = store.write().await?.without_condition();
    let done = sqlx::query(
        "DELETE FROM room_secrets WHERE room_id = $1 AND owner = $2 AND delegated_to = $3 \
         AND secret_id = $4 AND ($5 IS NULL OR origin = $5)",
    )
    .bind(room)
    .bind(owner)
    .bind(delegated_to)
    .bind(secret_id)
    .bind(origin.map(Origin::text))
    .execute(change.on())
    .await?;
    if done.rows_affected() == 0 {
        return Ok(false);
    }
    change.commit().await?;
    Ok(true)
}
