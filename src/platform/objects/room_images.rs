//! The names of images that rooms brought: only these may they change and remove.

use crate::platform::error::Result;
use crate::platform::store::{Store, select};

/// Whether a room brought an image of this name.
///
/// # Errors
///
/// The store failed.
pub async fn is_of(store: &Store, (room, name): (&str, &str)) -> Result<bool> {
    let found = select("SELECT 1 FROM room_images WHERE room_id = $1 AND name = $2")
        .bind(room)
        .bind(name)
        .find(store.reads())
        .await?;
    Ok(found.is_some_and(|(_,): (i64,)| true))
}

/// Notes that a room brings an image of this name.
///
/// # Errors
///
/// The store failed.
pub async fn note(store: &Store, (room, name): (&str, &str)) -> Result<()> {
    let mut change = store.write().await?.without_condition();
    sqlx::query("INSERT INTO room_images (room_id, name) VALUES ($1, $2) ON CONFLICT DO NOTHING")
        .bind(room)
        .bind(name)
        .execute(change.on())
        .await?;
    change.commit().await
}

/// Forgets that a room brought an image.
///
/// # Errors
///
/// The store failed.
pub async fn forget(store: &Store, (room, name): (&str, &str)) -> Result<()> {
    let mut change = store.write().await?.without_condition();
    sqlx::query("DELETE FROM room_images WHERE room_id = $1 AND name = $2")
        .bind(room)
        .bind(name)
        .execute(change.on())
        .await?;
    change.commit().await
}
