//! What is stored of the files of rooms beside their contents: media types that do not follow from
//! their names.

use crate::platform::error::{Refusal, Result};
use crate::platform::store::{Store, select};

/// The media type of a file, given as the room's id and the path, if it is an unusual one.
///
/// # Errors
///
/// The store failed.
pub async fn mime_type(store: &Store, (room, path): (&str, &str)) -> Result<Option<String>> {
    let found = select("SELECT mime_type FROM room_files WHERE room_id = $1 AND path = $2")
        .bind(room)
        .bind(path)
        .find(store.reads())
        .await?;
    Ok(found.map(|(mime_type,): (String,)| mime_type))
}

/// Notes the media type of a file; none if it follows from the name.
///
/// # Errors
///
/// The store failed.
pub async fn note(store: &Store, file: (&str, &str), mime_type: Option<&str>) -> Result<()> {
    if self::mime_type(store, file).await?.as_deref() == mime_type {
        return Ok(());
    }
    let mut change = store.write().await?.without_condition();
    let statement = match mime_type {
        Some(mime_type) => sqlx::query(
            "INSERT INTO room_files (room_id, path, mime_type) VALUES ($1, $2, $3) \
             ON CONFLICT (room_id, path) DO UPDATE SET mime_type = excluded.mime_type",
        )
        .bind(file.0)
        .bind(file.1)
        .bind(mime_type),
        None => sqlx::query("DELETE FROM room_files WHERE room_id = $1 AND path = $2")
            .bind(file.0)
            .bind(file.1),
    };
    statement.execute(change.on()).await?;
    change.commit().await
}

/// Forgets what is noted of files that are gone.
///
/// # Errors
///
/// The store failed.
pub async fn forget(store: &Store, room: &str, paths: &[String]) -> Result<()> {
    let paths = serde_json::to_string(paths).map_err(Refusal::internal)?;
    // Nearly all files have the type that their name says, and nothing is written for them.
    let noted = select(
        "SELECT 1 FROM room_files \
         WHERE room_id = $1 AND path IN (SELECT value FROM json_each($2)) LIMIT 1",
    );
    let noted: Option<(i64,)> = noted.bind(room).bind(&paths).find(store.reads()).await?;
    if noted.is_none() {
        return Ok(());
    }
    let mut change = store.write().await?.without_condition();
    sqlx::query(
        "DELETE FROM room_files \
         WHERE room_id = $1 AND path IN (SELECT value FROM json_each($2))",
    )
    .bind(room)
    .bind(&paths)
    .execute(change.on())
    .await?;
    change.commit().await
}
