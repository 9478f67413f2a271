//! Room grants: what each user may do in each room, used when `connect` creates a token.
//!
//! A grant is identified by its room and user; the grant id in the path of PUT is ignored. Only
//! members of the project can have grants, and nobody grants more than they have. A grant to an
//! address that nobody in the project has invites that person as a plain member. Only the owner of
//! the platform can do that: others learn nothing about an address, not even whether the platform
//! knows it.

mod counts;

use axum::extract::{Path, State};
use futures_util::TryStreamExt;
use futures_util::stream::BoxStream;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Page, Route};
use crate::kinds::specs::scope::ApiScope;
use crate::platform::App;
use crate::platform::auth::{Access, Caller};
use crate::platform::error::{Refusal, Result};
use crate::platform::exchange::{self, Answer, Asked, Body, Condition};
use crate::platform::objects::people::{self, Flags};
use crate::platform::objects::rooms::Room;
use crate::platform::objects::{grants, stored};
use crate::platform::store::{Write, of_row, select};

const BASE: &str = "/accounts/projects/{project}/room-grants";

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::post(BASE, Access::Write, create),
        Route::get(BASE, Access::Read, list),
        Route::put("/accounts/projects/{project}/room-grants/{grant}", Access::Write, put),
        Route::get("/accounts/projects/{project}/room-grants/{room}/{user}", Access::Read, get),
        Route::delete(
            "/accounts/projects/{project}/room-grants/{room}/{user}",
            Access::Write,
            delete,
        ),
        Route::get(
            "/accounts/projects/{project}/room-grants/by-user",
            Access::Read,
            counts::of_users,
        ),
        Route::get(
            "/accounts/projects/{project}/room-grants/by-room",
            Access::Read,
            counts::of_rooms,
        ),
        Route::get(
            "/accounts/projects/{project}/room-grants/by-user/{user}",
            Access::Read,
            of_user,
        ),
        Route::get(
            "/accounts/projects/{project}/room-grants/by-room/{room}",
            Access::Read,
            of_room,
        ),
    ]
}

#[derive(Deserialize)]
struct NewGrant {
    room_id: String,
    user_id: Option<String>,
    email: Option<String>,
    permissions: ApiScope,
}

async fn create(
    State(app): State<App>,
    caller: Caller,
    Body(new): Body<NewGrant>,
) -> Result<Answer> {
    caller.may_grant("permissions", &new.permissions)?;
    let mut write = app.store().write().await?;
    if Room::find_by_id(write.reads(), &caller.project, &new.room_id).await?.is_none() {
        let message = format!("room {:?} does not exist", new.room_id);
        return Err(Refusal::field("room_id", message));
    }
    let user = match (new.user_id, new.email) {
        (Some(user), None) => {
            let user = caller.principal.resolve(&user)?.to_owned();
            people::required(write.reads(), &caller.project, ("user_id", &user)).await?;
            user
        }
        (None, Some(email)) => by_email(&mut write, &caller, &email).await?,
        _ => return Err(Refusal::field("user_id", "exactly one of user_id and email is required")),
    };
    let revision = grants::add(&mut write, (&new.room_id, &user), &new.permissions).await?;
    write.commit().await?;
    Ok(Answer::json(&json!({})).created().tagged(revision))
}

/// The member with an address; if there is none, the owner invites that person, and nobody else
/// may.
async fn by_email(write: &mut Write, caller: &Caller, email: &str) -> Result<String> {
    let found: Option<(Option<String>, i64)> = select(
        "SELECT MIN(users.id), COUNT(*) FROM users JOIN members ON members.user_id = users.id \
         WHERE members.project_id = $1 AND users.email <> '' \
         AND lower(users.email) = lower($2)",
    )
    .bind(&caller.project)
    .bind(email)
    .find(write.reads())
    .await?;
    if let Some(member) = people::one_of(found.unwrap_or_default(), email)? {
        return Ok(member);
    }
    if !email.contains('@') {
        return Err(Refusal::field("email", "is not a mail address"));
    }
    if !caller.principal.is_owner() {
        let message =
            "nobody in the project has this address, and only the owner can invite others";
        return Err(Refusal::field("email", message));
    }
    let user = people::with_email(write, email).await?;
    let flags = Flags { is_admin: false, is_developer: false, can_create_rooms: false };
    people::join(write, &caller.project, &user, flags).await?;
    Ok(user)
}

#[derive(Deserialize)]
struct GrantChange {
    room_id: String,
    user_id: String,
    permissions: ApiScope,
}

/// The revision of a grant in the project, or 404.
async fn current(write: &mut Write, project: &str, (room, user): (&str, &str)) -> Result<i64> {
    let found: Option<(i64,)> = select(
        "SELECT room_grants.rev FROM room_grants JOIN rooms ON rooms.id = room_grants.room_id \
         WHERE rooms.project_id = $1 AND rooms.id = $2 AND room_grants.user_id = $3",
    )
    .bind(project)
    .bind(room)
    .bind(user)
    .find(write.reads())
    .await?;
    found.map(|(revision,)| revision).ok_or_else(|| Refusal::missing("grant of user", user))
}

async fn put(
    State(app): State<App>,
    caller: Caller,
    condition: Condition,
    Body(wanted): Body<GrantChange>,
) -> Result<Answer> {
    let user = caller.principal.resolve(&wanted.user_id)?;
    caller.may_grant("permissions", &wanted.permissions)?;
    let mut write = app.store().write().await?;
    let current = current(&mut write, &caller.project, (&wanted.room_id, user)).await?;
    let mut change = condition.admits(write, current)?;
    let revision = change.revision().await?;
    sqlx::query(
        "UPDATE room_grants SET permissions = $1, rev = $2 WHERE room_id = $3 AND user_id = $4",
    )
    .bind(serde_json::to_string(&wanted.permissions)?)
    .bind(revision)
    .bind(&wanted.room_id)
    .bind(user)
    .execute(change.on())
    .await?;
    change.commit().await?;
    Ok(Answer::json(&json!({})).tagged(revision))
}

async fn delete(
    State(app): State<App>,
    caller: Caller,
    Path((_, room, user)): Path<(String, String, String)>,
    condition: Condition,
) -> Result<Answer> {
    let user = caller.principal.resolve(&user)?;
    let mut write = app.store().write().await?;
    let current = current(&mut write, &caller.project, (&room, user)).await?;
    let mut change = condition.admits(write, current)?;
    sqlx::query("DELETE FROM room_grants WHERE room_id = $1 AND user_id = $2")
        .bind(&room)
        .bind(user)
        .execute(change.on())
        .await?;
    change.commit().await?;
    Ok(Answer::nothing())
}

/// A grant with its room. The columns of the room keep their names, so that the usual type of
/// rooms can read them.
struct Row {
    room: Room,
    user_id: String,
    permissions: String,
    grant_rev: i64,
}

of_row!(Row { user_id, permissions, grant_rev; room });

impl Row {
    fn whole(&self) -> Result<Value> {
        Ok(json!({
            "room": self.room.whole()?,
            "user_id": self.user_id,
            "permissions": stored(&self.permissions)?,
        }))
    }

    fn item(&self) -> Result<Value> {
        let mut item = self.whole()?;
        item["etag"] = json!(exchange::tag(self.grant_rev));
        Ok(item)
    }
}

/// Which grants of a project to find, and in which order.
#[derive(Default)]
struct Wanted<'a> {
    room: Option<&'a str>,
    user: Option<&'a str>,
    by_user: bool,
}

impl Wanted<'_> {
    /// The order is total, so pages do not overlap.
    fn find<'q>(
        &'q self,
        app: &'q App,
        project: &'q str,
        page: (i64, i64),
    ) -> BoxStream<'q, Result<Row, sqlx::Error>> {
        sqlx::query_as(
            "SELECT rooms.id, rooms.name, rooms.metadata, rooms.annotations, rooms.enabled, rooms.rev, \
             room_grants.user_id, room_grants.permissions, room_grants.rev AS grant_rev \
             FROM room_grants JOIN rooms ON rooms.id = room_grants.room_id \
             WHERE rooms.project_id = $1 AND ($2 IS NULL OR rooms.id = $2) \
             AND ($3 IS NULL OR room_grants.user_id = $3) \
             ORDER BY CASE WHEN $4 THEN room_grants.user_id ELSE '' END, rooms.name, \
             room_grants.user_id LIMIT $5 OFFSET $6",
        )
        .bind(project)
        .bind(self.room)
        .bind(self.user)
        .bind(self.by_user)
        .bind(page.0)
        .bind(page.1)
        .fetch(app.store().reads())
    }

    async fn answer(&self, app: &App, project: &str, page: &Page) -> Result<Answer> {
        let rows = self.find(app, project, page.bounds(app, 50)?);
        Answer::list(app, "room_grants", rows, Row::item).await
    }
}

async fn get(
    State(app): State<App>,
    caller: Caller,
    Path((_, room, user)): Path<(String, String, String)>,
) -> Result<Answer> {
    let user = caller.principal.resolve(&user)?;
    let wanted = Wanted { room: Some(&room), user: Some(user), by_user: false };
    let row = wanted.find(&app, &caller.project, (1, 0)).try_next().await?;
    let row = row.ok_or_else(|| Refusal::missing("grant of user", user))?;
    Ok(Answer::json(&row.whole()?).tagged(row.grant_rev))
}

#[derive(Deserialize)]
struct Order {
    order_by: Option<String>,
}

async fn list(
    State(app): State<App>,
    caller: Caller,
    Asked(page): Asked<Page>,
    Asked(order): Asked<Order>,
) -> Result<Answer> {
    let by_user = match order.order_by.as_deref().unwrap_or("room_name") {
        "room_name" => false,
        "user_id" => true,
        _ => return Err(Refusal::field("order_by", "must be room_name or user_id")),
    };
    let wanted = Wanted { by_user, ..Wanted::default() };
    wanted.answer(&app, &caller.project, &page).await
}

async fn of_user(
    State(app): State<App>,
    caller: Caller,
    Path((_, user)): Path<(String, String)>,
    Asked(page): Asked<Page>,
) -> Result<Answer> {
    let user = caller.principal.resolve(&user)?;
    let wanted = Wanted { user: Some(user), ..Wanted::default() };
    wanted.answer(&app, &caller.project, &page).await
}

/// By the room's name, because that is what the SDK sends, whatever it calls it.
async fn of_room(
    State(app): State<App>,
    caller: Caller,
    Path((_, room)): Path<(String, String)>,
    Asked(page): Asked<Page>,
) -> Result<Answer> {
    let room = Room::named(app.store().reads(), &caller.project, &room).await?;
    let wanted = Wanted { room: Some(&room.id), ..Wanted::default() };
    wanted.answer(&app, &caller.project, &page).await
}
