//! The rows that more than one place asks for: handlers, `auth`, what is set up at the start,
//! and what lives in rooms.
//!
//! | module | holds |
//! |---|---|
//! | `grants` | what a user may do in a room |
//! | `keys` | API keys about to be stored, and the key that the platform signs with |
//! | `people` | users, and their membership in projects |
//! | `projects` | projects about to be made |
//! | `rooms` | rooms, by name and id, and what names them |
//! | `sessions` | the ends of sessions |
//!
//! Nothing here knows of requests and who sends them, nor of what lives in memory. SQL that a
//! single handler asks stays beside it in `rest`.

pub mod grants;
pub mod keys;
pub mod people;
pub mod projects;
pub mod rooms;
pub mod sessions;

use serde_json::Value;

use super::error::Result;

/// Stored JSON as a value.
///
/// # Errors
///
/// It is not what was stored.
pub fn stored(text: &str) -> Result<Value> {
    Ok(serde_json::from_str(text)?)
}

/// A set of annotations or another map as text to be stored; nothing is an empty map, because
/// the SDK refuses null where it reads them back.
///
/// # Errors
///
/// It cannot be written as JSON.
pub fn text_of<T: serde::Serialize + Default>(value: Option<&T>) -> Result<String> {
    Ok(match value {
        Some(value) => serde_json::to_string(value)?,
        None => serde_json::to_string(&T::default())?,
    })
}
