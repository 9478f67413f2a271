//! Documents of rooms, which several edit at once.

use serde_json::{Value, json};

use super::{Failed, files, odd};
use crate::api::request::{Body, Method, Request};
use crate::documents::edit::edit;
use crate::room::client::Room;
use crate::room::storage::Delete;
use crate::room::sync::{Create, Open, Opened};

/// Carries out a request about a document; what it contains, if it was read.
pub(super) async fn carry_out(
    room: &Room,
    path: &str,
    request: &Request,
) -> Result<Option<Value>, Failed> {
    match (request.method, &request.body) {
        (Method::Get, _) => {
            let document = open(room, path).await?;
            let content = document.told(room, path, false).await?;
            let schema = document.schema.source().clone();
            document.close().await?;
            Ok(Some(json!({"schema": schema, "content": content})))
        }
        (Method::Post, Body::Json(body)) => {
            let field = |name: &str| body.get(name).filter(|it| !it.is_null()).cloned();
            let (json, schema) = (field("content"), field("schema"));
            let path = path.to_owned();
            let made = room.perform(&Create { path, json, schema, schema_path: None }).await;
            match made.map_err(Failed::from) {
                Err(failed) if failed.status == Some(409) => Err(Failed::exists()),
                made => made.map(|()| None),
            }
        }
        (Method::Put, Body::Json(body)) => {
            update(room, path, &body["content"]).await?;
            Ok(None)
        }
        (Method::Delete, _) => {
            files::there(room, path).await?;
            room.perform(&Delete { path: path.to_owned(), recursive: None }).await?;
            Ok(None)
        }
        (method, _) => Err(odd(method)),
    }
}

async fn open(room: &Room, path: &str) -> Result<Opened, Failed> {
    files::there(room, path).await?;
    let asked = Open { path: path.to_owned(), ..Open::default() };
    Ok(room.open_document(&asked).await?)
}

/// Makes the smallest edit that brings a document to its contents.
async fn update(room: &Room, path: &str, content: &Value) -> Result<(), Failed> {
    let mut document = open(room, path).await?;
    let before = document.told(room, path, false).await?;
    let schema = &document.schema;
    let update = document.replica.change(|txn| edit(txn, schema, (&before, content)));
    let update =
        update.map_err(|what| Failed::status(400, format!("cannot become that: {what}")))?;
    if let Some(update) = update {
        document.send(&update).await?;
    }
    Ok(document.close().await?)
}
