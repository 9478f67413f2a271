//! How many grants there are, by room and by user.

use axum::extract::State;
use serde_json::json;

use crate::platform::App;
use crate::platform::auth::Caller;
use crate::platform::error::Result;
use crate::platform::exchange::{Answer, Asked};
use crate::platform::objects::rooms::Room;
use crate::platform::rest::Page;
use crate::platform::store::of_row;

struct RoomCount {
    room: Room,
    grants: i64,
}

of_row!(RoomCount { grants; room });

/// The rooms with grants, each with its number of users.
pub(super) async fn of_rooms(
    State(app): State<App>,
    caller: Caller,
    Asked(page): Asked<Page>,
) -> Result<Answer> {
    let (limit, offset) = page.bounds(&app, 50)?;
    let counts = sqlx::query_as(
        "SELECT rooms.id, rooms.name, rooms.metadata, rooms.annotations, rooms.enabled, rooms.rev, \
         COUNT(*) AS grants FROM room_grants JOIN rooms ON rooms.id = room_grants.room_id \
         WHERE rooms.project_id = $1 GROUP BY rooms.id ORDER BY rooms.name LIMIT $2 OFFSET $3",
    )
    .bind(&caller.project)
    .bind(limit)
    .bind(offset)
    .fetch(app.store().reads());
    let item =
        |count: &RoomCount| Ok(json!({ "room": count.room.whole()?, "count": count.grants }));
    Answer::list(&app, "rooms", counts, item).await
}

struct UserCount {
    id: String,
    first_name: Option<String>,
    last_name: Option<String>,
    email: String,
    grants: i64,
}

of_row!(UserCount { id, first_name, last_name, email, grants });

/// The users with grants, each with their number of rooms.
pub(super) async fn of_users(
    State(app): State<App>,
    caller: Caller,
    Asked(page): Asked<Page>,
) -> Result<Answer> {
    let (limit, offset) = page.bounds(&app, 50)?;
    let counts = sqlx::query_as(
        "SELECT users.id, users.first_name, users.last_name, users.email, COUNT(*) AS grants \
         FROM room_grants JOIN rooms ON rooms.id = room_grants.room_id \
         JOIN users ON users.id = room_grants.user_id WHERE rooms.project_id = $1 \
         GROUP BY users.id ORDER BY users.email, users.id LIMIT $2 OFFSET $3",
    )
    .bind(&caller.project)
    .bind(limit)
    .bind(offset)
    .fetch(app.store().reads());
    let item = |count: &UserCount| {
        Ok(json!({
            "user_id": count.id,
            "count": count.grants,
            "first_name": count.first_name,
            "last_name": count.last_name,
            "email": count.email,
        }))
    };
    Answer::list(&app, "users", counts, item).await
}
