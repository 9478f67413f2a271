//! The rows that more than one module needs: handlers, `auth`, the setup of a new platform, and
//! rooms.
//!
//! | module | holds |
//! |---|---|
//! | `deliveries` | webhooks as something is delivered to them |
//! | `grants` | what a user may do in a room |
//! | `keys` | API keys about to be stored, and the key that the platform signs with |
//! | `mailboxes` | mailboxes as mail sees them, and the domains that they are in |
//! | `people` | users, and their membership in projects |
//! | `project_files` | the files of a project, copied into a folder |
//! | `projects` | projects about to be created |
//! | `roles` | what was granted to people in rooms and to service accounts |
//! | `room_files` | media types of files in rooms |
//! | `room_images` | the names of images that rooms brought |
//! | `room_secrets` | secrets of rooms |
//! | `rooms` | rooms, by name and id, and the rows that name them |
//! | `routes` | where domains lead |
//! | `service_secrets` | the secrets that services name, with their values |
//! | `services` | the services that are effective in a room |
//! | `sessions` | sessions, from their beginning to their end |
//! | `tasks` | scheduled tasks, when they are due, and their runs |
//! | `versions` | the versions of secrets, and to which accounts secrets are attached |
//!
//! Nothing here knows about requests and callers, or about what lives in memory. SQL that only one
//! handler needs stays beside it in `rest`.

pub mod deliveries;
pub mod grants;
pub mod keys;
pub mod mailboxes;
pub mod people;
pub mod project_files;
pub mod projects;
pub mod roles;
pub mod room_files;
pub mod room_images;
pub mod room_secrets;
pub mod rooms;
pub mod routes;
pub mod service_secrets;
pub mod services;
pub mod sessions;
pub mod tasks;
pub mod versions;

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

/// A set of annotations or another map as text to be stored; `None` becomes an empty map, because
/// the SDK refuses null when it reads them back.
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
