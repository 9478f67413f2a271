//! Sessions: those of one room, who is in one, and its end by another name.

use axum::extract::{Path, State};
use serde_json::json;

use super::super::sessions::{find, of_room, terminate};
use super::{Result, Route};
use crate::platform::App;
use crate::platform::auth::{Access, Caller};
use crate::platform::exchange::Answer;
use crate::platform::objects::rooms::Room;

pub(super) fn routes() -> Vec<Route> {
    const OF_ROOM: &str = "/accounts/projects/{project}/rooms/{room}/sessions";
    const PARTICIPANTS: &str = "/accounts/projects/{project}/sessions/{session}/participants";
    const KILL: &str = "/accounts/projects/{project}/sessions/{session}/kill";
    vec![
        Route::get(OF_ROOM, Access::Read, list),
        Route::get(PARTICIPANTS, Access::Read, participants),
        Route::post(KILL, Access::Write, terminate),
    ]
}

async fn list(
    State(app): State<App>,
    caller: Caller,
    Path((_, name)): Path<(String, String)>,
) -> Result<Answer> {
    let room = Room::named(app.store().reads(), &caller.project, &name).await?;
    of_room(&app, &caller, &room.id).await
}

/// How many there are, by their roles.
async fn participants(
    State(app): State<App>,
    caller: Caller,
    Path((_, id)): Path<(String, String)>,
) -> Result<Answer> {
    let session = find(app.store().reads(), &caller, &id).await?;
    let participants = session.participants()?.unwrap_or_default();
    Ok(Answer::json(&json!({ "participants": participants })))
}
