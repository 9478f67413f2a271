//! Room grants: what a user may do in a room.

use crate::kinds::specs::scope::ApiScope;
use crate::platform::error::Result;
use crate::platform::store::{Reads, Write, insert, select};

/// The stored permissions of a user in a room, and their revision.
///
/// # Errors
///
/// The store failed.
pub async fn granted(
    reads: impl Reads,
    (room, user): (&str, &str),
) -> Result<Option<(String, i64)>> {
    select("SELECT permissions, rev FROM room_grants WHERE room_id = $1 AND user_id = $2")
        .bind(room)
        .bind(user)
        .find(reads)
        .await
}

/// Stores a grant of a room and a user, and returns its revision.
///
/// # Errors
///
/// 409 if the user already has one; the store failed.
pub async fn add(write: &mut Write, (room, user): (&str, &str), scope: &ApiScope) -> Result<i64> {
    let revision = write.revision().await?;
    insert("INSERT INTO room_grants (room_id, user_id, permissions, rev) VALUES ($1, $2, $3, $4)")
        .bind(room)
        .bind(user)
        .bind(serde_json::to_string(scope)?)
        .bind(revision)
        .run(write, || format!("user {user:?} already has a grant in this room"))
        .await?;
    Ok(revision)
}
