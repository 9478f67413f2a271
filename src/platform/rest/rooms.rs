//! Rooms. GET takes a room's *name*, as everything below a room does; PUT and DELETE take its
//! *id*, in the same place of the path.

use std::collections::BTreeMap;

use axum::extract::{Path, State};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use sqlx::SqliteConnection;
use uuid::Uuid;

use super::{Page, Route, check_annotations, grants, kept, stored};
use crate::api::specs::rules;
use crate::api::specs::scope::ApiScope;
use crate::platform::App;
use crate::platform::auth::{Access, Caller};
use crate::platform::error::{Refusal, Result};
use crate::platform::exchange::{self, Answer, Asked, Body, Condition};

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::post("/accounts/projects/{project}/rooms", Access::CreateRoom, create),
        Route::get("/accounts/projects/{project}/rooms", Access::Read, list),
        Route::get("/accounts/projects/{project}/rooms/{room}", Access::Read, get),
        Route::put("/accounts/projects/{project}/rooms/{room}", Access::Write, put),
        Route::delete("/accounts/projects/{project}/rooms/{room}", Access::Write, delete),
    ]
}

/// A stored room.
#[derive(Debug, sqlx::FromRow)]
pub(super) struct Room {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    metadata: String,
    annotations: String,
    rev: i64,
}

impl Room {
    /// Finds a room by its name, or answers 404.
    pub(super) async fn named(
        on: impl sqlx::SqliteExecutor<'_>,
        project: &str,
        name: &str,
    ) -> Result<Self> {
        Self::find(on, project, name).await?.ok_or_else(|| Refusal::missing("room", name))
    }

    async fn find(
        on: impl sqlx::SqliteExecutor<'_>,
        project: &str,
        name: &str,
    ) -> Result<Option<Self>> {
        let room = sqlx::query_as(
            "SELECT id, name, metadata, annotations, rev FROM rooms \
             WHERE project_id = $1 AND name = $2",
        )
        .bind(project)
        .bind(name)
        .fetch_optional(on)
        .await?;
        Ok(room)
    }

    async fn by_id(on: &mut SqliteConnection, project: &str, id: &str) -> Result<Self> {
        sqlx::query_as(
            "SELECT id, name, metadata, annotations, rev FROM rooms \
             WHERE project_id = $1 AND id = $2",
        )
        .bind(project)
        .bind(id)
        .fetch_optional(on)
        .await?
        .ok_or_else(|| Refusal::missing("room", id))
    }

    /// The room as the wire has it; neither map is ever null there.
    pub(super) fn whole(&self) -> Result<Value> {
        Ok(json!({
            "id": self.id,
            "name": self.name,
            "metadata": stored(&self.metadata)?,
            "annotations": stored(&self.annotations)?,
        }))
    }

    fn item(&self) -> Result<Value> {
        let mut item = self.whole()?;
        item["etag"] = json!(exchange::tag(self.rev));
        Ok(item)
    }

    fn answer(&self) -> Result<Answer> {
        Ok(Answer::json(&self.whole()?).tagged(self.rev))
    }
}

/// Refuses a room name that a document refers to and that does not exist: 400 naming the
/// field, because the request is at fault and not its path.
pub(super) async fn required(
    on: &mut SqliteConnection,
    project: &str,
    (field, name): (&str, &str),
) -> Result<()> {
    match Room::find(on, project, name).await? {
        Some(_) => Ok(()),
        None => Err(Refusal::field(field, format!("room {name:?} does not exist"))),
    }
}

#[derive(Deserialize)]
struct NewRoom {
    name: String,
    #[serde(default)]
    if_not_exists: bool,
    metadata: Option<Map<String, Value>>,
    annotations: Option<BTreeMap<String, String>>,
    permissions: Option<BTreeMap<String, ApiScope>>,
}

/// With `if_not_exists` a room that exists is answered as it is, with 200; nothing of the
/// request is applied to it. Whoever may create a room may say who enters it, so that room
/// creators can enter their own, but grants nobody more than they have.
async fn create(
    State(app): State<App>,
    caller: Caller,
    Body(new): Body<NewRoom>,
) -> Result<Answer> {
    rules::room_name(&new.name).map_err(Refusal::at("name"))?;
    check_annotations(new.annotations.as_ref())?;
    if let Some(metadata) = &new.metadata {
        rules::texts_of(metadata).map_err(Refusal::at("metadata"))?;
    }
    let permissions = new.permissions.unwrap_or_default();
    for (user, scope) in &permissions {
        caller.may_grant(&format!("permissions.{user}"), scope)?;
    }
    let mut write = app.store().write().await?;
    if new.if_not_exists
        && let Some(room) = Room::find(write.on(), &caller.project, &new.name).await?
    {
        return room.answer();
    }
    let revision = write.revision().await?;
    let room = Room {
        id: Uuid::new_v4().to_string(),
        metadata: kept(new.metadata.as_ref())?,
        annotations: kept(new.annotations.as_ref())?,
        name: new.name,
        rev: revision,
    };
    sqlx::query(
        "INSERT INTO rooms (id, project_id, name, metadata, annotations, seq, rev) \
         VALUES ($1, $2, $3, $4, $5, $6, $6)",
    )
    .bind(&room.id)
    .bind(&caller.project)
    .bind(&room.name)
    .bind(&room.metadata)
    .bind(&room.annotations)
    .bind(revision)
    .execute(write.on())
    .await
    .map_err(|error| Refusal::taken(error, || format!("a room named {:?} exists", room.name)))?;
    for (user, scope) in &permissions {
        let user = caller.principal.resolve(user)?;
        grants::require_member(write.on(), &caller.project, (&format!("permissions.{user}"), user))
            .await?;
        grants::insert(&mut write, (&room.id, user), scope).await?;
    }
    write.commit().await?;
    Ok(room.answer()?.created())
}

#[derive(Deserialize)]
struct Order {
    order_by: Option<String>,
}

/// Fifty rooms by name unless asked otherwise. The order is total, so pages do not overlap.
async fn list(
    State(app): State<App>,
    caller: Caller,
    Asked(page): Asked<Page>,
    Asked(order): Asked<Order>,
) -> Result<Answer> {
    let (limit, offset) = page.bounds(50)?;
    let sql = match order.order_by.as_deref().unwrap_or("room_name") {
        "room_name" | "name" => {
            "SELECT id, name, metadata, annotations, rev FROM rooms \
             WHERE project_id = $1 ORDER BY name LIMIT $2 OFFSET $3"
        }
        "created_at" => {
            "SELECT id, name, metadata, annotations, rev FROM rooms \
             WHERE project_id = $1 ORDER BY seq LIMIT $2 OFFSET $3"
        }
        _ => return Err(Refusal::field("order_by", "must be room_name or created_at")),
    };
    let rows = sqlx::query_as(sql)
        .bind(&caller.project)
        .bind(limit)
        .bind(offset)
        .fetch(app.store().reads());
    Answer::list(&app, "rooms", rows, Room::item).await
}

async fn get(
    State(app): State<App>,
    caller: Caller,
    Path((_, name)): Path<(String, String)>,
) -> Result<Answer> {
    Room::named(app.store().reads(), &caller.project, &name).await?.answer()
}

#[derive(Deserialize)]
struct RoomChange {
    name: String,
    metadata: Option<Map<String, Value>>,
    annotations: Option<BTreeMap<String, String>>,
}

/// Absent or null leaves metadata and annotations as they are. A new name moves what names
/// the room in the same transaction, so mailboxes, routes and tasks follow it; a name that
/// no new room could have stays until then.
async fn put(
    State(app): State<App>,
    caller: Caller,
    Path((_, id)): Path<(String, String)>,
    condition: Condition,
    Body(change): Body<RoomChange>,
) -> Result<Answer> {
    check_annotations(change.annotations.as_ref())?;
    if let Some(metadata) = &change.metadata {
        rules::texts_of(metadata).map_err(Refusal::at("metadata"))?;
    }
    let mut write = app.store().write().await?;
    let mut room = Room::by_id(write.on(), &caller.project, &id).await?;
    condition.allows(room.rev)?;
    let renamed = (room.name != change.name).then(|| room.name.clone());
    if renamed.is_some() {
        rules::room_name(&change.name).map_err(Refusal::at("name"))?;
    }
    room.name = change.name;
    if let Some(metadata) = &change.metadata {
        room.metadata = serde_json::to_string(metadata)?;
    }
    if let Some(annotations) = &change.annotations {
        room.annotations = serde_json::to_string(annotations)?;
    }
    room.rev = write.revision().await?;
    sqlx::query(
        "UPDATE rooms SET name = $1, metadata = $2, annotations = $3, rev = $4 WHERE id = $5",
    )
    .bind(&room.name)
    .bind(&room.metadata)
    .bind(&room.annotations)
    .bind(room.rev)
    .bind(&room.id)
    .execute(write.on())
    .await
    .map_err(|error| Refusal::taken(error, || format!("a room named {:?} exists", room.name)))?;
    if let Some(old) = renamed {
        for sql in [
            "UPDATE mailboxes SET room_name = $1, rev = $2 WHERE project_id = $3 AND room_name = $4",
            "UPDATE routes SET room_name = $1, rev = $2 WHERE project_id = $3 AND room_name = $4",
            "UPDATE scheduled_tasks SET room_name = $1, rev = $2 \
             WHERE project_id = $3 AND room_name = $4",
        ] {
            sqlx::query(sql)
                .bind(&room.name)
                .bind(room.rev)
                .bind(&caller.project)
                .bind(&old)
                .execute(write.on())
                .await?;
        }
    }
    write.commit().await?;
    room.answer()
}

/// The room's services and grants go with it. Mailboxes, routes and tasks keep its name,
/// and lead nowhere until a room of that name exists again.
async fn delete(
    State(app): State<App>,
    caller: Caller,
    Path((_, id)): Path<(String, String)>,
    condition: Condition,
) -> Result<Answer> {
    let mut write = app.store().write().await?;
    let room = Room::by_id(write.on(), &caller.project, &id).await?;
    condition.allows(room.rev)?;
    sqlx::query("DELETE FROM rooms WHERE id = $1").bind(&room.id).execute(write.on()).await?;
    write.commit().await?;
    Ok(Answer::nothing())
}
