//! Files in a project's storage that several writers share: each write requires that the file is
//! still what was read. If the answer is lost, the file itself shows what happened.

use std::time::Duration;

use crate::api::client::Client;
use crate::api::failure::ApiError;
use crate::api::request::{Precondition, Request};
use crate::dialect::Speaks;

/// How long to wait before reading a file whose write had no answer; doubled each time.
const FIRST_WAIT: Duration = Duration::from_millis(50);

/// How often a write is sent whose answer is lost each time.
const ATTEMPTS: u32 = 5;

/// Writes a file if it is still what the precondition says, exactly once. Returns the precondition
/// of the next write; nothing if the platform has no revisions.
///
/// # Errors
///
/// The platform's; 412 when somebody else wrote the file.
pub(super) async fn upload(
    client: &Client,
    project_id: &str,
    path: &str,
    bytes: Vec<u8>,
    precondition: &Precondition,
) -> Result<Precondition, ApiError> {
    let read = client.dialect().download(project_id, path);
    let write = client.dialect().upload(project_id, path, bytes.clone());
    let write = Request { precondition: precondition.clone(), ..write };
    let revision = |etag: Option<String>| etag.map_or(Precondition::None, Precondition::Revision);
    let mut wait = FIRST_WAIT;
    let mut attempts = 0;
    loop {
        attempts += 1;
        let error = match client.send(&write).await {
            Ok(answer) => return Ok(revision(answer.etag)),
            Err(error) => error,
        };
        // After a lost answer, it may be our own write that changed the file.
        let is_conflict = error.status == Some(412) && attempts > 1;
        if !is_conflict && !error.is_ambiguous() {
            return Err(error);
        }
        if !is_conflict {
            tokio::time::sleep(wait).await;
            wait *= 2;
        }
        match client.send(&read).await {
            Ok(answer) if answer.body == bytes => return Ok(revision(answer.etag)),
            _ if is_conflict || attempts == ATTEMPTS => return Err(error),
            // It did not happen, not yet, or somebody else wrote: sent again, it happens
            // once, or is refused.
            _ => {}
        }
    }
}
