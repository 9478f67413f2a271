//! Rooms. GET takes a room's *name*, as everything below a room does; PUT and DELETE take its
//! *id*, in the same place of the path.

use std::collections::BTreeMap;

use axum::extract::{Path, State};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::{Page, Route, check_annotations};
use crate::kinds::specs::rules;
use crate::kinds::specs::scope::ApiScope;
use crate::platform::App;
use crate::platform::auth::{Access, Caller};
use crate::platform::error::{Refusal, Result};
use crate::platform::exchange::{self, Answer, Asked, Body, Condition};
use crate::platform::objects::rooms::{self, Room, Runtime};
use crate::platform::objects::{grants, people, text_of};

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::post("/accounts/projects/{project}/rooms", Access::CreateRoom, create),
        Route::get("/accounts/projects/{project}/rooms", Access::Read, list),
        Route::get("/accounts/projects/{project}/rooms/{room}", Access::Read, get),
        Route::put("/accounts/projects/{project}/rooms/{room}", Access::Write, put),
        Route::delete("/accounts/projects/{project}/rooms/{room}", Access::Write, delete),
    ]
}

/// Refuses annotations that are too large, and those about how long the room runs that cannot be
/// read.
fn check(annotations: Option<&BTreeMap<String, String>>) -> Result<()> {
    check_annotations(annotations)?;
    let mut runtime = Runtime::default();
    annotations.into_iter().flatten().try_for_each(|(name, text)| {
        let refused = |problem| Refusal::field(format!("annotations.{name}"), problem);
        runtime.read((name, text)).map_err(refused)
    })
}

fn item(room: &Room) -> Result<Value> {
    let mut item = room.whole()?;
    item["etag"] = json!(exchange::tag(room.rev));
    Ok(item)
}

fn answer(room: &Room) -> Result<Answer> {
    Ok(Answer::json(&room.whole()?).tagged(room.rev))
}

/// A room that is asked for.
#[derive(Deserialize)]
pub(super) struct NewRoom {
    name: String,
    #[serde(default)]
    if_not_exists: bool,
    metadata: Option<Map<String, Value>>,
    annotations: Option<BTreeMap<String, String>>,
    permissions: Option<BTreeMap<String, ApiScope>>,
}

async fn create(
    State(app): State<App>,
    caller: Caller,
    Body(new): Body<NewRoom>,
) -> Result<Answer> {
    let (room, is_new) = created(&app, &caller, new).await?;
    let answer = answer(&room)?;
    Ok(if is_new { answer.created() } else { answer })
}

/// With `if_not_exists` an existing room is returned as it is, with 200; nothing of the request is
/// applied to it. A caller who may create a room may also say who enters it, so that room creators
/// can enter their own rooms, but nobody grants more than they have. The flag says whether the room
/// is new.
pub(super) async fn created(app: &App, caller: &Caller, new: NewRoom) -> Result<(Room, bool)> {
    rules::room_name(&new.name).map_err(Refusal::at("name"))?;
    check(new.annotations.as_ref())?;
    if let Some(metadata) = &new.metadata {
        rules::texts_of(metadata).map_err(Refusal::at("metadata"))?;
    }
    let permissions = new.permissions.unwrap_or_default();
    for (user, scope) in &permissions {
        caller.may_grant(&format!("permissions.{user}"), scope)?;
    }
    let mut write = app.store().write().await?;
    if new.if_not_exists
        && let Some(room) = Room::find(write.reads(), &caller.project, &new.name).await?
    {
        return Ok((room, false));
    }
    let room = Room {
        id: Uuid::new_v4().to_string(),
        metadata: text_of(new.metadata.as_ref())?,
        annotations: text_of(new.annotations.as_ref())?,
        name: new.name,
        enabled: true,
        rev: write.revision().await?,
    };
    room.insert(&mut write, &caller.project).await?;
    for (user, scope) in &permissions {
        let user = caller.principal.resolve(user)?;
        let field = format!("permissions.{user}");
        people::required(write.reads(), &caller.project, (&field, user)).await?;
        grants::add(&mut write, (&room.id, user), scope).await?;
    }
    write.commit().await?;
    Ok((room, true))
}

#[derive(Deserialize)]
struct Order {
    order_by: Option<String>,
}

/// By default fifty rooms, by name. The order is total, so pages do not overlap.
async fn list(
    State(app): State<App>,
    caller: Caller,
    Asked(page): Asked<Page>,
    Asked(order): Asked<Order>,
) -> Result<Answer> {
    let (limit, offset) = page.bounds(&app, 50)?;
    let sql = match order.order_by.as_deref().unwrap_or("room_name") {
        "room_name" | "name" => {
            "SELECT id, name, metadata, annotations, enabled, rev FROM rooms \
             WHERE project_id = $1 ORDER BY name LIMIT $2 OFFSET $3"
        }
        "created_at" => {
            "SELECT id, name, metadata, annotations, enabled, rev FROM rooms \
             WHERE project_id = $1 ORDER BY seq LIMIT $2 OFFSET $3"
        }
        _ => return Err(Refusal::field("order_by", "must be room_name or created_at")),
    };
    let rows = sqlx::query_as(sql)
        .bind(&caller.project)
        .bind(limit)
        .bind(offset)
        .fetch(app.store().reads());
    Answer::list(&app, "rooms", rows, item).await
}

async fn get(
    State(app): State<App>,
    caller: Caller,
    Path((_, name)): Path<(String, String)>,
) -> Result<Answer> {
    answer(&Room::named(app.store().reads(), &caller.project, &name).await?)
}

/// A change of a room. In 0.31 a room is always enabled, and this leaves it as it is.
#[derive(Deserialize)]
pub(super) struct RoomChange {
    name: String,
    metadata: Option<Map<String, Value>>,
    annotations: Option<BTreeMap<String, String>>,
}

async fn put(
    State(app): State<App>,
    caller: Caller,
    Path((_, id)): Path<(String, String)>,
    condition: Condition,
    Body(wanted): Body<RoomChange>,
) -> Result<Answer> {
    answer(&changed(&app, (&caller, &id), &condition, (wanted, None)).await?)
}

/// Absent or null leaves metadata and annotations as they are. A new name also changes the rows
/// that name the room, in the same transaction, so mailboxes, routes and tasks follow it. A name
/// that no new room could have stays until the room is renamed. Whoever is in a room that becomes
/// disabled is disconnected.
pub(super) async fn changed(
    app: &App,
    (caller, id): (&Caller, &str),
    condition: &Condition,
    (wanted, enabled): (RoomChange, Option<bool>),
) -> Result<Room> {
    check(wanted.annotations.as_ref())?;
    if let Some(metadata) = &wanted.metadata {
        rules::texts_of(metadata).map_err(Refusal::at("metadata"))?;
    }
    let mut write = app.store().write().await?;
    let mut room = Room::by_id(write.reads(), &caller.project, id).await?;
    let mut change = condition.admits(write, room.rev)?;
    let renamed = (room.name != wanted.name).then(|| room.name.clone());
    if renamed.is_some() {
        rules::room_name(&wanted.name).map_err(Refusal::at("name"))?;
    }
    room.name = wanted.name;
    if let Some(metadata) = &wanted.metadata {
        room.metadata = serde_json::to_string(metadata)?;
    }
    if let Some(annotations) = &wanted.annotations {
        room.annotations = serde_json::to_string(annotations)?;
    }
    room.enabled = enabled.unwrap_or(room.enabled);
    room.rev = change.revision().await?;
    sqlx::query(
        "UPDATE rooms SET name = $1, metadata = $2, annotations = $3, enabled = $4, rev = $5 \
         WHERE id = $6",
    )
    .bind(&room.name)
    .bind(&room.metadata)
    .bind(&room.annotations)
    .bind(room.enabled)
    .bind(room.rev)
    .bind(&room.id)
    .execute(change.on())
    .await
    .map_err(|error| Refusal::taken(error, || room.taken()))?;
    if let Some(former) = renamed {
        rooms::follow(&mut change, &caller.project, (&room, &former)).await?;
    }
    change.commit().await?;
    if !room.enabled {
        app.rooms().end(&room.id);
    }
    Ok(room)
}

/// The room's services and grants are deleted with it, and its participants are disconnected.
/// Mailboxes, routes and tasks keep its name, and have no target until a room with that name
/// exists again.
async fn delete(
    State(app): State<App>,
    caller: Caller,
    Path((_, id)): Path<(String, String)>,
    condition: Condition,
) -> Result<Answer> {
    let mut write = app.store().write().await?;
    let room = Room::by_id(write.reads(), &caller.project, &id).await?;
    let mut change = condition.admits(write, room.rev)?;
    sqlx::query("DELETE FROM rooms WHERE id = $1").bind(&room.id).execute(change.on()).await?;
    change.commit().await?;
    app.rooms().delete(&room.id);
    Ok(Answer::nothing())
}
