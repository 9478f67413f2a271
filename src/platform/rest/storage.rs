//! Files of a project: bytes under a path.
//!
//! The tag of a file is the digest of its content. Uploads honour `If-Match` and
//! `If-None-Match: *`, so that two writers can compare and set; `DELETE` is an extension
//! that the public SDK does not know.

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use super::Route;
use crate::own_folder;
use crate::platform::App;
use crate::platform::auth::{Access, Caller};
use crate::platform::error::{Refusal, Result};
use crate::platform::exchange::{Answer, Asked, Condition, Download, Upload};
use crate::platform::store::{Write, select};

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::post("/projects/{project}/storage/upload", Access::Write, upload),
        Route::get("/projects/{project}/storage/download", Access::Read, download),
        Route::delete("/projects/{project}/storage", Access::Write, delete),
    ]
}

#[derive(Deserialize)]
struct Named {
    path: String,
}

impl Named {
    fn path(&self) -> Result<String> {
        file_path(&self.path)
    }
}

/// The path of a file of a project: segments joined by slashes, none empty, none relative.
fn file_path(path: &str) -> Result<String> {
    let path = path.trim_start_matches('/');
    let odd = |segment: &str| segment.is_empty() || segment == "." || segment == "..";
    if path.split('/').any(odd) || path.chars().any(char::is_control) || path.len() > 1024 {
        let message = "must be a path of at most 1024 bytes without . or ..";
        return Err(Refusal::field("path", message));
    }
    Ok(path.to_owned())
}

/// Whether a file is one in which sets keep what they own. It contains fingerprints of secrets
/// beside their key, so whoever reads it can test guesses.
fn is_of_sets(path: &str) -> bool {
    path.split('/').next() == Some(own_folder::NAME)
}

/// The tag of the stored file, if there is one.
async fn current(write: &mut Write, caller: &Caller, path: &str) -> Result<Option<String>> {
    let digest = select("SELECT digest FROM files WHERE project_id = $1 AND path = $2")
        .bind(&caller.project)
        .bind(path)
        .find(write.reads())
        .await?;
    Ok(digest.map(|(digest,): (String,)| digest))
}

async fn upload(
    State(app): State<App>,
    caller: Caller,
    Asked(named): Asked<Named>,
    condition: Condition,
    upload: Upload,
) -> Result<Answer> {
    let path = named.path()?;
    let digest = format!("\"{}\"", upload.digest);
    let mut write = app.store().write().await?;
    let before = current(&mut write, &caller, &path).await?;
    let mut change = condition.admits_tag(write, before.as_deref())?;
    // Only the write whose turn it is holds a large file in memory.
    let content = upload.content().await?;
    sqlx::query(
        "INSERT INTO files (project_id, path, content, digest) VALUES ($1, $2, $3, $4) \
         ON CONFLICT (project_id, path) \
         DO UPDATE SET content = excluded.content, digest = excluded.digest",
    )
    .bind(&caller.project)
    .bind(&path)
    .bind(content)
    .bind(&digest)
    .execute(change.on())
    .await?;
    change.commit().await?;
    let answer = Answer::json(&serde_json::json!({})).with_tag(digest);
    Ok(if before.is_none() { answer.created() } else { answer })
}

async fn download(
    State(app): State<App>,
    caller: Caller,
    Asked(named): Asked<Named>,
) -> Result<Response> {
    let path = named.path()?;
    if is_of_sets(&path) && !caller.role.reaches(Access::Write) {
        let message = "only those who may build in the project may read which sets it has";
        return Err(Refusal::Forbidden(message.to_owned()));
    }
    let missing = || Refusal::missing("file", &path);
    let length: i64 =
        sqlx::query_scalar("SELECT length(content) FROM files WHERE project_id = $1 AND path = $2")
            .bind(&caller.project)
            .bind(&path)
            .fetch_optional(app.store().reads())
            .await?
            .ok_or_else(missing)?;
    let room = app.memory().room(usize::try_from(length).map_err(Refusal::internal)?, 0).await?;
    let (content, digest): (Vec<u8>, String) =
        sqlx::query_as("SELECT content, digest FROM files WHERE project_id = $1 AND path = $2")
            .bind(&caller.project)
            .bind(&path)
            .fetch_optional(app.store().reads())
            .await?
            .ok_or_else(missing)?;
    let tag = HeaderValue::try_from(digest).map_err(Refusal::internal)?;
    let bytes = HeaderValue::from_static("application/octet-stream");
    let headers = [(header::CONTENT_TYPE, bytes), (header::ETAG, tag)];
    Ok((headers, Body::new(Download::new(content, room))).into_response())
}

async fn delete(
    State(app): State<App>,
    caller: Caller,
    Asked(named): Asked<Named>,
    condition: Condition,
) -> Result<Answer> {
    let path = named.path()?;
    let mut write = app.store().write().await?;
    let before = current(&mut write, &caller, &path).await?;
    let mut change = condition.admits_tag(write, before.as_deref())?;
    if before.is_none() {
        return Err(Refusal::missing("file", &path));
    }
    sqlx::query("DELETE FROM files WHERE project_id = $1 AND path = $2")
        .bind(&caller.project)
        .bind(&path)
        .execute(change.on())
        .await?;
    change.commit().await?;
    Ok(Answer::nothing())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_stay_below_their_project() {
        assert_eq!(file_path("/a b/c+d.txt").expect("good"), "a b/c+d.txt");
        for bad in ["", "/", "a//b", "../a", "a/./b", "a\u{0}"] {
            assert!(file_path(bad).is_err(), "{bad:?}");
        }
    }
}
