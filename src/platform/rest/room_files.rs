//! Files of rooms, by an address that a room has signed. Whoever has the address may read the
//! file for a while; everything else about files goes over the room's websocket.

use axum::body::Body;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::{HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use tokio::io::AsyncReadExt;
use tokio::task::spawn_blocking;

use super::Route;
use crate::platform::App;
use crate::platform::auth::Access;
use crate::platform::error::{Refusal, Result};
use crate::platform::live::downloads::Signed;
use crate::platform::objects::room_files;
use crate::room::mime;

/// How much of a file is read at once, in bytes.
const PART: usize = 64 * 1024;

pub(super) fn routes() -> Vec<Route> {
    vec![Route::get("/rooms/{room}/files", Access::Open, download)]
}

/// Sends a file. A browser only saves it: files of participants must not run as pages of the
/// platform.
async fn download(
    State(app): State<App>,
    query: Result<Query<Signed>, QueryRejection>,
) -> Result<Response> {
    let unsigned = || Refusal::Forbidden("the address is not valid, or no longer".to_owned());
    let Query(signed) = query.map_err(|_| unsigned())?;
    let house = app.rooms().house();
    let path = house.downloads.check(&signed)?;
    let files = house.files(&signed.room);
    let missing = || Refusal::missing("file", path.text());
    let of = path.clone();
    let opened = spawn_blocking(move || files.open(&of)).await.map_err(Refusal::internal)?;
    let (file, size) = opened.map_err(|_| missing())?;
    let mime_type = room_files::mime_type(app.store(), (&signed.room, path.text())).await?;
    let mime_type = mime_type.unwrap_or_else(|| mime::of_name(path.name()).to_owned());
    let file = tokio::fs::File::from_std(file).take(size);
    let parts = stream::try_unfold(file, async |mut file| {
        let mut part = vec![0; PART];
        let length = file.read(&mut part).await?;
        part.truncate(length);
        Ok::<_, std::io::Error>((length > 0).then_some((part, file)))
    });
    let bytes = HeaderValue::from_static(mime::BYTES);
    let plain = |text: &'static str| HeaderValue::from_static(text);
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::try_from(mime_type).unwrap_or(bytes)),
        (header::CONTENT_LENGTH, HeaderValue::from(size)),
        (header::CONTENT_DISPOSITION, plain("attachment")),
        (header::X_CONTENT_TYPE_OPTIONS, plain("nosniff")),
        (header::CACHE_CONTROL, plain("private, no-store")),
        (HeaderName::from_static("content-security-policy"), plain("sandbox")),
    ];
    Ok((headers, Body::from_stream(parts)).into_response())
}
