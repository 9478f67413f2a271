//! Rooms: their list in pages, whether they are enabled, and whether they run.

use axum::extract::{Path, State};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::super::rooms::{NewRoom, RoomChange, changed, created};
use super::page::{self, Tokens, View};
use super::{Refusal, Result, Route};
use crate::platform::App;
use crate::platform::auth::{Access, Caller, Role};
use crate::platform::exchange::{self, Answer, Asked, Body, Condition};
use crate::platform::objects::rooms::Room;
use crate::platform::store::select;

pub(super) fn routes() -> Vec<Route> {
    const ALL: &str = "/accounts/projects/{project}/rooms";
    const ONE: &str = "/accounts/projects/{project}/rooms/{room}";
    const STATUS: &str = "/accounts/projects/{project}/rooms/{room}/status";
    vec![
        Route::post(ALL, Access::CreateRoom, create),
        Route::get(ALL, Access::Read, list),
        Route::get(ONE, Access::Read, get),
        Route::put(ONE, Access::Write, put),
        Route::get(STATUS, Access::Read, status),
    ]
}

fn whole(room: &Room) -> Result<Value> {
    let mut whole = room.whole()?;
    whole["enabled"] = json!(room.enabled);
    Ok(whole)
}

fn answer(room: &Room) -> Result<Answer> {
    Ok(Answer::json(&whole(room)?).tagged(room.rev))
}

/// What 0.56 calls `dataset` was `database`.
fn in_old_words(new: &mut Value) {
    let scopes = new.get_mut("permissions").and_then(Value::as_object_mut);
    for scope in scopes.into_iter().flat_map(Map::values_mut).filter_map(Value::as_object_mut) {
        if let Some(dataset) = scope.remove("dataset").filter(|dataset| !dataset.is_null()) {
            scope.insert("database".to_owned(), dataset);
        }
    }
}

async fn create(
    State(app): State<App>,
    caller: Caller,
    Body(mut body): Body<Value>,
) -> Result<Answer> {
    in_old_words(&mut body);
    let new: NewRoom = exchange::decode(body)?;
    let (room, is_new) = created(&app, &caller, new).await?;
    let answer = answer(&room)?;
    Ok(if is_new { answer.created() } else { answer })
}

/// By name. Whoever builds in the project sees all rooms; others see those that they may enter, and
/// may not ask for all: a list that is cut by what its reader may see must not look complete.
async fn list(
    State(app): State<App>,
    caller: Caller,
    Asked(tokens): Asked<Tokens>,
) -> Result<Answer> {
    let builds = caller.role >= Role::Developer;
    if tokens.view == Some(View::All) && !builds {
        let message = "only those who build in the project list all of its rooms; `view=my` lists those that you may enter";
        return Err(Refusal::Forbidden(message.into()));
    }
    let size = tokens.size(&app)?;
    let rows = sqlx::query_as(
        "SELECT id, name, metadata, annotations, enabled, rev FROM rooms \
         WHERE project_id = $1 AND ($2 IS NULL OR name > $2) \
         AND ($3 IS NULL OR instr(lower(name), lower($3)) > 0) \
         AND ($4 OR id IN (SELECT room_id FROM room_grants WHERE user_id = $5)) \
         ORDER BY name LIMIT $6",
    )
    .bind(&caller.project)
    .bind(tokens.after("rooms")?)
    .bind(&tokens.filter)
    .bind(builds)
    .bind(caller.principal.user())
    .bind(size + 1)
    .fetch(app.store().reads());
    let item = |room: &Room| {
        let mut item = whole(room)?;
        item["etag"] = json!(exchange::tag(room.rev));
        Ok(item)
    };
    page::of(&app, ("rooms", size), rows, |room: &Room| room.name.clone(), item).await
}

/// By its name or its id. A name that is the id of another room wins.
async fn get(
    State(app): State<App>,
    caller: Caller,
    Path((_, given)): Path<(String, String)>,
) -> Result<Answer> {
    let reads = app.store().reads();
    if let Some(room) = Room::find(reads, &caller.project, &given).await? {
        return answer(&room);
    }
    let room = Room::find_by_id(reads, &caller.project, &given).await?;
    answer(&room.ok_or_else(|| Refusal::missing("room", &given))?)
}

/// Whether the room is enabled, if the body says so.
#[derive(Deserialize)]
struct Enabled {
    enabled: Option<bool>,
}

async fn put(
    State(app): State<App>,
    caller: Caller,
    Path((_, id)): Path<(String, String)>,
    condition: Condition,
    Body(body): Body<Value>,
) -> Result<Answer> {
    let Enabled { enabled } = exchange::decode(body.clone())?;
    let wanted: RoomChange = exchange::decode(body)?;
    answer(&changed(&app, (&caller, &id), &condition, (wanted, enabled)).await?)
}

/// Whether the room runs, by its session, which another process may have begun.
async fn status(
    State(app): State<App>,
    caller: Caller,
    Path((_, name)): Path<(String, String)>,
) -> Result<Answer> {
    let reads = app.store().reads();
    let room = Room::named(reads, &caller.project, &name).await?;
    let begun: Option<(String,)> = select(
        "SELECT created_at FROM sessions WHERE room_id = $1 AND ended_at IS NULL \
         ORDER BY seq DESC LIMIT 1",
    )
    .bind(&room.id)
    .find(reads)
    .await?;
    let Some((begun,)) = begun else {
        return Ok(Answer::json(&json!({ "status": "Unallocated" })));
    };
    let since: jiff::Timestamp = begun.parse().map_err(Refusal::internal)?;
    let seconds = jiff::Timestamp::now().duration_since(since).as_secs().max(0);
    Ok(Answer::json(&json!({
        "status": "Allocated",
        "allocated_at": begun,
        "running_for_seconds": seconds,
    })))
}
