//! Documents, as participants open and change them.
//!
//! A client sends back every change that it gets, so nothing is told to others but what has changed
//! something. A part is acknowledged when it is on disk.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures_util::FutureExt;
use futures_util::future::join_all;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use yrs::StateVector;
use yrs::updates::decoder::Decode;

use super::storage::{blocking, tell};
use crate::documents::schema::{self, Schema};
use crate::platform::live::calls::{Caller, Received, Stream, denied, refused};
use crate::platform::live::documents;
use crate::platform::live::documents::content::New;
use crate::platform::live::documents::open::{Document, Opener};
use crate::platform::live::files::{FilePath, Files, failed};
use crate::platform::live::gates::{STORAGE_READ, SYNC_WRITE};
use crate::platform::live::guest::PARTS;
use crate::room::codes;
use crate::room::content::{Content, Refused};
use crate::room::storage::UPDATED;
use crate::room::sync::{Create, Describe, Open};

/// How long the file of a schema may be, in bytes.
const SCHEMA: u64 = 1024 * 1024;

/// Makes a document without opening it.
pub async fn create(caller: &Caller, asked: Create) -> Result<(), Refused> {
    let Create { path, json, schema, schema_path } = asked;
    let wanted = Wanted { path: FilePath::parse(&path)?, schema, schema_path, json };
    wanted.make(caller).await
}

/// A document as JSON.
pub async fn describe(caller: &Caller, asked: Describe) -> Result<Map<String, Value>, Refused> {
    let path = FilePath::parse(&asked.path)?;
    let document = documents::open(&caller.room, &path).await?;
    match document.ok_or_else(|| missing(&path))?.describe().await? {
        Value::Object(document) => Ok(document),
        _ => Ok(Map::new()),
    }
}

/// Opens a document until the caller ends its stream.
pub async fn open(stream: &mut Stream, start: Value) -> Result<(), Refused> {
    let asked = Open::deserialize(&start);
    let asked = asked.map_err(|error| {
        Refused::invalid(format!("the start of sync.open is not valid: {error}"))
    })?;
    let has = asked.vector.as_deref().map(vector).transpose()?;
    let path = FilePath::parse(&asked.path)?;
    let scope = stream.caller.guest.scope.as_ref().ok_or_else(denied)?;
    let may_write = SYNC_WRITE.admits(scope, &start);
    let document = opened(&stream.caller, &path, asked.clone(), may_write).await?;
    let (mut opener, state) = document.open(may_write, has).await?;
    let schema = document.schema().source().clone();
    drop(document);
    // The caller compares the path with its own.
    let told = json!({"kind": "state", "path": asked.path, "schema": schema});
    stream.send(Content::part(told, STANDARD.encode(state).into_bytes())).await?;
    loop {
        tokio::select! {
            arrived = stream.arrived() => match arrived {
                Some(part) => {
                    if change(stream, &opener, part).await? {
                        return Ok(());
                    }
                }
                None => return Ok(()),
            },
            news = opener.news() => {
                let told = json!({"kind": "sync", "path": asked.path});
                let news = match news? {
                    Some(news) => news,
                    None => opener.whole().await?,
                };
                let data = STANDARD.encode(news).into_bytes();
                stream.send(Content::part(told, data)).await?;
            }
        }
    }
}

/// The document at a path; one that is made, if that is wanted and there is none.
async fn opened(
    caller: &Caller,
    path: &FilePath,
    asked: Open,
    may_write: bool,
) -> Result<Arc<Document>, Refused> {
    if let Some(document) = documents::open(&caller.room, path).await? {
        return Ok(document);
    }
    if !asked.create {
        return Err(missing(path));
    }
    if !may_write {
        return Err(denied());
    }
    let Open { schema, schema_path, initial_json: json, .. } = asked;
    let wanted = Wanted { path: path.clone(), schema, schema_path, json };
    match wanted.make(caller).await {
        // Somebody else was faster.
        Err(refused) if refused.code == Some(codes::ALREADY_EXISTS) => {}
        made => made?,
    }
    documents::open(&caller.room, path).await?.ok_or_else(|| missing(path))
}

/// Does what has arrived from a participant, as much of it as there is; whether the participant has
/// ended its stream.
async fn change(
    stream: &mut Stream,
    opener: &Opener,
    first: (Content, Received),
) -> Result<bool, Refused> {
    let mut arrived = vec![first];
    while arrived.len() < PARTS
        && let Some(Some(part)) = stream.arrived().now_or_never()
    {
        arrived.push(part);
    }
    let mut is_over = false;
    let mut received = Vec::with_capacity(arrived.len());
    let changes: Vec<_> = arrived
        .into_iter()
        .map(|(content, part)| {
            received.push(part);
            is_over |= matches!(content, Content::Close { .. });
            async { opener.change(update(content)?).await }
        })
        .collect();
    let mut failed = None;
    for (part, done) in received.into_iter().zip(join_all(changes).await) {
        match done {
            Ok(()) => stream.acknowledge(part).await,
            Err(why) => {
                stream.decline(part, why.clone()).await;
                failed.get_or_insert(why);
            }
        }
    }
    failed.map_or(Ok(is_over), Err)
}

/// The update in a part; empty if there is nothing to apply.
fn update(part: Content) -> Result<Vec<u8>, Refused> {
    match part {
        Content::Close { .. } => Ok(Vec::new()),
        Content::Binary { headers, bytes } if headers["kind"] == "sync" => {
            STANDARD.decode(bytes).map_err(|_| Refused::invalid("an update is not in base64"))
        }
        _ => Err(Refused::invalid("a part of a document is of the kind \"sync\"")),
    }
}

/// A document that somebody wants to be there.
struct Wanted {
    path: FilePath,
    schema: Option<Value>,
    schema_path: Option<String>,
    json: Option<Value>,
}

impl Wanted {
    /// Makes it, and tells everybody.
    async fn make(self, caller: &Caller) -> Result<(), Refused> {
        let Self { path, schema, schema_path, json } = self;
        // A file that is named is read.
        if let Some(named) = &schema_path {
            let scope = caller.guest.scope.as_ref().ok_or_else(denied)?;
            if !STORAGE_READ.admits(scope, &json!({ "path": named })) {
                return Err(denied());
            }
        }
        let files = caller.room.files();
        let of = path.clone();
        let schema = blocking(&files, move |files| match schema {
            Some(schema) => Schema::parse(schema).map_err(|what| odd("the schema", &what)),
            None => found(files, &of, schema_path.as_deref()),
        })
        .await?;
        let (room, who) = (Arc::clone(&caller.room), caller.guest.id.clone());
        let work = async move {
            documents::create(&room, &path, New { schema, json }).await.map_err(|refused| {
                // To clients of documents, a file that is there is like any other thing.
                match refused.code {
                    Some(codes::FILE_EXISTS) => {
                        Refused { code: Some(codes::ALREADY_EXISTS), ..refused }
                    }
                    _ => refused,
                }
            })?;
            tell(&room, UPDATED, path.text(), &who);
            Ok(())
        };
        caller.room.to_the_end(work).await
    }
}

/// The schema that is in a file: the one that is named, or the one that the document's name says.
fn found(files: &Files, path: &FilePath, named: Option<&str>) -> Result<Schema, Refused> {
    let usual = schema::file_of(path.text());
    let Some(file) = named.or(usual.as_deref()) else { return Err(unknown(path)) };
    let at = FilePath::parse(file)?;
    if files.stat(&at)?.is_none() && named.is_none() {
        return Schema::built_in(path.text()).ok_or_else(|| unknown(path));
    }
    let (source, size) = files.open(&at)?;
    if size > SCHEMA {
        return Err(odd(file, &format!("it has {size} bytes, and at most {SCHEMA} are read")));
    }
    let source = std::io::read_to_string(source).map_err(|error| failed(&error))?;
    let source = serde_json::from_str(&source).map_err(|error| odd(file, &error.to_string()))?;
    Schema::parse(source).map_err(|what| odd(file, &what))
}

fn odd(file: &str, what: &str) -> Refused {
    Refused::invalid(format!("{file} is not valid: {what}"))
}

fn unknown(path: &FilePath) -> Refused {
    let file = schema::file_of(path.text()).unwrap_or_else(|| ".schemas/NAME.json".to_owned());
    Refused::invalid(format!(
        "it is not known what {:?} may contain: give its schema, or put it into {file}",
        path.text()
    ))
}

fn missing(path: &FilePath) -> Refused {
    refused(codes::NOT_FOUND, format!("the document {:?} does not exist", path.text()))
}

/// What a participant has already. Few bytes must not stand for many.
fn vector(text: &str) -> Result<StateVector, Refused> {
    let odd = || Refused::invalid("the vector is not a state vector in base64");
    let bytes = STANDARD.decode(text).map_err(|_| odd())?;
    crate::documents::update::checked_vector(&bytes).map_err(|_| odd())?;
    StateVector::decode_v1(&bytes).map_err(|_| odd())
}
