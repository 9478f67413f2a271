//! The toolkit `storage`: reads, searches and writes the files of the room that it is in.

mod text;

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures_util::future::BoxFuture;
use serde_json::Value;

use self::text::Search;
use super::toolkit::{Hosted, Offer, Toolkit};
use crate::api::http::{self, Told, Unread};
use crate::api::python_json;
use crate::error::with_causes;
use crate::room::client::Room;
use crate::room::content::{Content, Refused};
use crate::room::files::File;
use crate::room::message::MAX_BYTES;
use crate::room::mime;

/// How long a download may take.
const PATIENCE: Duration = Duration::from_secs(300);

static OFFER: LazyLock<Arc<Offer>> = LazyLock::new(|| {
    Arc::new(Offer::parse(include_str!("toolkit.json")).expect("a test parses it, too"))
});

/// The toolkit.
#[derive(Debug, Clone, Copy)]
pub struct Storage;

impl Storage {
    /// The toolkit, to be offered to one room.
    #[must_use]
    pub fn hosted() -> Hosted<Self> {
        Hosted::new(Self, OFFER.clone())
    }
}

impl Toolkit for Storage {
    fn call<'a>(
        &'a self,
        room: &'a Room,
        tool: &'a str,
        arguments: &'a Value,
    ) -> BoxFuture<'a, Result<Content, Refused>> {
        Box::pin(async move {
            let given = Given(arguments);
            match tool {
                "list_files_in_room" => list(room, &given).await,
                "write_file" => write(room, &given).await,
                "read_file" => read(room, &given).await,
                "grep_file" => grep(room, &given).await,
                "save_file_from_url" => save(room, &given).await,
                _ => Err(Refused::invalid(format!("there is no tool {tool:?}"))),
            }
        })
    }
}

/// Arguments that fit the schema of their tool.
struct Given<'a>(&'a Value);

impl Given<'_> {
    fn text(&self, name: &str) -> &str {
        self.0[name].as_str().unwrap_or_default()
    }

    /// The path as the room spells it: without slashes before it.
    fn path(&self) -> Result<&str, Refused> {
        let path = self.text("path").trim();
        let path = if path == "." { "" } else { path.trim_start_matches('/') };
        if path.split('/').any(|part| part == "." || part == "..") {
            let text = format!("the path {:?} must not contain . or ..", self.text("path"));
            return Err(Refused::invalid(text));
        }
        Ok(path)
    }

    /// A number; null means zero.
    fn number(&self, name: &str) -> Result<usize, Refused> {
        let value = &self.0[name];
        let number = if value.is_null() { Some(0) } else { value.as_u64() };
        number.map(|number| usize::try_from(number).unwrap_or(usize::MAX)).ok_or_else(|| {
            Refused::invalid(format!("{name} must be a whole number from 0, or null"))
        })
    }

    fn overwrite(&self) -> bool {
        self.0["overwrite"] == true
    }
}

async fn list(room: &Room, given: &Given<'_>) -> Result<Content, Refused> {
    let mut files = room.list_files(given.path()?).await?;
    for file in &mut files {
        let Value::Object(told) = std::mem::take(file) else {
            return Err(Refused::unexpected("storage.list"));
        };
        *file = ["name", "is_folder", "size", "created_at", "updated_at"]
            .map(|name| (name.to_owned(), told.get(name).cloned().unwrap_or_default()))
            .into_iter()
            .collect();
    }
    Ok(Content::Json(serde_json::json!({ "files": files })))
}

async fn write(room: &Room, given: &Given<'_>) -> Result<Content, Refused> {
    let path = given.path()?;
    room.upload(path, given.text("text").as_bytes(), given.overwrite()).await?;
    Ok(Content::Text(format!("stored as {path}")))
}

/// The contents of a file. A document that several participants edit is given as JSON.
async fn file(room: &Room, given: &Given<'_>) -> Result<File, Refused> {
    let (told, path) = (given.text("path"), given.path()?);
    if let Some((_, ending)) = mime::split(told) {
        let is_document = matches!(ending, "transcript" | "thread")
            || room.has_file(&format!(".schemas/{ending}.json")).await?;
        if is_document {
            let document = room.describe(path).await?;
            return Ok(File {
                name: told.rsplit('/').next().unwrap_or_default().to_owned(),
                mime_type: "application/json".to_owned(),
                bytes: python_json::dumps(&document).into_bytes(),
            });
        }
    }
    room.download(path).await
}

async fn read(room: &Room, given: &Given<'_>) -> Result<Content, Refused> {
    let offset = given.number("offset")?;
    let File { name, mime_type, bytes } = file(room, given).await?;
    if !text::is_text(&mime_type, given.text("path")) {
        return Ok(Content::File { name, mime_type, bytes });
    }
    Ok(Content::Text(text::page(&String::from_utf8_lossy(&bytes), offset)))
}

async fn grep(room: &Room, given: &Given<'_>) -> Result<Content, Refused> {
    let (offset, before) = (given.number("offset")?, given.number("before")?);
    let after = given.number("after")?;
    let file = file(room, given).await?;
    if text::is_picture(&file.mime_type, given.text("path")) {
        let told = "pictures and PDF files have no lines to search: use read_file";
        return Ok(Content::Text(told.to_owned()));
    }
    let pattern = given.text("pattern").to_owned();
    // A pattern may take long, and others must not wait for it.
    let found = tokio::task::spawn_blocking(move || {
        let text = String::from_utf8_lossy(&file.bytes);
        text::search(&text, &Search { pattern: &pattern, offset, before, after })
    });
    let found = found.await.map_err(|_| Refused::new("the search was interrupted"))??;
    Ok(Content::Text(found))
}

async fn save(room: &Room, given: &Given<'_>) -> Result<Content, Refused> {
    let path = given.path()?;
    let bytes = fetch(given.text("url")).await?;
    if !given.overwrite() && room.has_file(path).await? {
        return Err(Refused::invalid(format!("a file already exists at {path}")));
    }
    room.upload(path, &bytes, given.overwrite()).await?;
    Ok(Content::Empty)
}

/// Downloads what is at a URL.
async fn fetch(url: &str) -> Result<Vec<u8>, Refused> {
    if let Some(inline) = url.strip_prefix("data:") {
        let (_, data) = inline
            .split_once(',')
            .ok_or_else(|| Refused::new("the data URL has no comma before its data"))?;
        return STANDARD
            .decode(data)
            .map_err(|error| Refused::new(format!("the data URL is not base64: {error}")));
    }
    let failed =
        |error: Unread| Refused::new(format!("the download failed: {}", with_causes(&error)));
    let client = http::of_anything(url).map_err(|error| Refused::new(error.to_string()))?;
    let told = http::ask(client.get(url), PATIENCE, MAX_BYTES);
    let Told { status, body } = told.await.map_err(failed)?;
    match status.is_success() {
        true => Ok(body),
        false => Err(Refused::new(format!("the download was answered with {status}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_offer_is_whole() {
        LazyLock::force(&OFFER);
    }

    #[test]
    fn paths_stay_in_the_room() {
        for (told, expected) in
            [("", ""), (".", ""), ("/", ""), ("//a/b/ ", "a/b/"), (" a//b", "a//b")]
        {
            assert_eq!(Given(&json!({ "path": told })).path().unwrap(), expected, "{told:?}");
        }
        for told in ["..", "a/../b", "/./a", "a/."] {
            assert_eq!(Given(&json!({ "path": told })).path().unwrap_err().code, Some(1002));
        }
    }
}
