//! Volumes of rooms: named storage that services of the room may mount.
//!
//! Nothing runs containers here, so a volume has no bytes: it stays `pending`, and what is kept is
//! what was asked for. It may grow and not shrink.

use std::collections::BTreeMap;

use axum::extract::{Path, State};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::super::check_annotations;
use super::{Refusal, Result, Route};
use crate::kinds::specs::rules;
use crate::platform::App;
use crate::platform::auth::{Access, Caller};
use crate::platform::exchange::{self, Answer, Body, Condition};
use crate::platform::objects::rooms::Room;
use crate::platform::objects::sessions::now;
use crate::platform::objects::{stored, text_of};
use crate::platform::store::{Reads, Write, insert, of_row, select};

pub(super) fn routes() -> Vec<Route> {
    const ALL: &str = "/accounts/projects/{project}/rooms/{room}/volumes";
    const ONE: &str = "/accounts/projects/{project}/rooms/{room}/volumes/{volume}";
    vec![
        Route::get(ALL, Access::Read, list),
        Route::post(ALL, Access::Write, create),
        Route::patch(ONE, Access::Write, expand),
        Route::delete(ONE, Access::Write, delete),
    ]
}

/// What stores them.
const CLASSES: [&str; 3] = ["standard", "juice", "zerofs"];

/// A volume as it is stored.
struct Volume {
    id: String,
    room_id: String,
    name: String,
    description: String,
    metadata: String,
    annotations: String,
    storage_class: String,
    max_size_mb: Option<i64>,
    created_at: String,
    updated_at: String,
    rev: i64,
}

of_row!(Volume {
    id,
    room_id,
    name,
    description,
    metadata,
    annotations,
    storage_class,
    max_size_mb,
    created_at,
    updated_at,
    rev
});

impl Volume {
    async fn by_id(reads: impl Reads, room: &Room, id: &str) -> Result<Self> {
        let found = select("SELECT * FROM volumes WHERE room_id = $1 AND id = $2")
            .bind(&room.id)
            .bind(id)
            .find(reads)
            .await?;
        found.ok_or_else(|| Refusal::missing("volume", id))
    }

    fn shown(&self, phase: &str) -> Result<Value> {
        Ok(json!({
            "id": self.id,
            "room_id": self.room_id,
            "name": self.name,
            "subpath": self.id,
            "description": self.description,
            "metadata": stored(&self.metadata)?,
            "annotations": stored(&self.annotations)?,
            "storage_class": self.storage_class,
            "max_size_mb": self.max_size_mb,
            "phase": phase,
            "provisioned": false,
            "reconcile_error": null,
            "created_at": self.created_at,
            "updated_at": self.updated_at,
        }))
    }
}

async fn list(
    State(app): State<App>,
    caller: Caller,
    Path((_, room)): Path<(String, String)>,
) -> Result<Answer> {
    let reads = app.store().reads();
    let room = Room::named(reads, &caller.project, &room).await?;
    let rows = sqlx::query_as("SELECT * FROM volumes WHERE room_id = $1 ORDER BY seq")
        .bind(&room.id)
        .fetch(reads);
    let item = |volume: &Volume| {
        let mut item = volume.shown("pending")?;
        item["etag"] = json!(exchange::tag(volume.rev));
        Ok(item)
    };
    Answer::list(&app, "volumes", rows, item).await
}

#[derive(Deserialize)]
struct NewVolume {
    name: String,
    #[serde(default)]
    description: Option<String>,
    metadata: Option<Map<String, Value>>,
    annotations: Option<BTreeMap<String, String>>,
    storage_class: Option<String>,
    max_size_mb: Option<i64>,
}

fn check_size(size: Option<i64>) -> Result<()> {
    match size {
        Some(..=0) => Err(Refusal::field("max_size_mb", "must be at least 1")),
        _ => Ok(()),
    }
}

async fn create(
    State(app): State<App>,
    caller: Caller,
    Path((_, room)): Path<(String, String)>,
    Body(new): Body<NewVolume>,
) -> Result<Answer> {
    rules::segment(&new.name).map_err(Refusal::at("name"))?;
    check_annotations(new.annotations.as_ref())?;
    new.metadata.as_ref().map_or(Ok(()), rules::texts_of).map_err(Refusal::at("metadata"))?;
    let description = new.description.unwrap_or_default();
    rules::text(&description).map_err(Refusal::at("description"))?;
    let storage_class = new.storage_class.unwrap_or_else(|| CLASSES[0].to_owned());
    if !CLASSES.contains(&storage_class.as_str()) {
        let message = format!("must be one of {}", CLASSES.join(", "));
        return Err(Refusal::field("storage_class", message));
    }
    check_size(new.max_size_mb)?;
    let mut write = app.store().write().await?;
    let room = Room::named(write.reads(), &caller.project, &room).await?;
    let revision = write.revision().await?;
    let time = now();
    let volume = Volume {
        id: Uuid::new_v4().to_string(),
        room_id: room.id,
        name: new.name,
        description,
        metadata: text_of(new.metadata.as_ref())?,
        annotations: text_of(new.annotations.as_ref())?,
        storage_class,
        max_size_mb: new.max_size_mb,
        created_at: time.clone(),
        updated_at: time,
        rev: revision,
    };
    insert(
        "INSERT INTO volumes (id, room_id, name, description, metadata, annotations, \
         storage_class, max_size_mb, created_at, updated_at, seq, rev) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $9, $10, $10)",
    )
    .bind(&volume.id)
    .bind(&volume.room_id)
    .bind(&volume.name)
    .bind(&volume.description)
    .bind(&volume.metadata)
    .bind(&volume.annotations)
    .bind(&volume.storage_class)
    .bind(volume.max_size_mb)
    .bind(&volume.created_at)
    .bind(revision)
    .run(&mut write, || format!("the room has a volume {:?} already", volume.name))
    .await?;
    write.commit().await?;
    Ok(Answer::json(&volume.shown("pending")?).created().tagged(revision))
}

#[derive(Deserialize)]
struct Growth {
    max_size_mb: i64,
}

/// The volume that a path names, about to be changed.
async fn found(
    write: &mut Write,
    caller: &Caller,
    (_, room, id): &(String, String, String),
) -> Result<Volume> {
    let room = Room::named(write.reads(), &caller.project, room).await?;
    Volume::by_id(write.reads(), &room, id).await
}

async fn expand(
    State(app): State<App>,
    caller: Caller,
    Path(place): Path<(String, String, String)>,
    condition: Condition,
    Body(Growth { max_size_mb }): Body<Growth>,
) -> Result<Answer> {
    check_size(Some(max_size_mb))?;
    let mut write = app.store().write().await?;
    let mut volume = found(&mut write, &caller, &place).await?;
    if volume.max_size_mb.is_none_or(|size| size > max_size_mb) {
        return Err(Refusal::field("max_size_mb", "must not be less than it was"));
    }
    let mut change = condition.admits(write, volume.rev)?;
    volume.rev = change.revision().await?;
    volume.max_size_mb = Some(max_size_mb);
    volume.updated_at = now();
    sqlx::query("UPDATE volumes SET max_size_mb = $1, updated_at = $2, rev = $3 WHERE id = $4")
        .bind(volume.max_size_mb)
        .bind(&volume.updated_at)
        .bind(volume.rev)
        .bind(&volume.id)
        .execute(change.on())
        .await?;
    change.commit().await?;
    Ok(Answer::json(&volume.shown("pending")?).tagged(volume.rev))
}

async fn delete(
    State(app): State<App>,
    caller: Caller,
    Path(place): Path<(String, String, String)>,
    condition: Condition,
) -> Result<Answer> {
    let mut write = app.store().write().await?;
    let volume = found(&mut write, &caller, &place).await?;
    let mut change = condition.admits(write, volume.rev)?;
    sqlx::query("DELETE FROM volumes WHERE id = $1").bind(&volume.id).execute(change.on()).await?;
    change.commit().await?;
    Ok(Answer::json(&volume.shown("deleting")?))
}
