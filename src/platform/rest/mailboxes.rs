//! Mailboxes: an address, unique across all projects, whose mail goes to a queue of a room.
//!
//! A mailbox keeps the *name* of its room. Its `room_id` is looked up when it is read, and
//! null while no room has that name.

use std::collections::BTreeMap;

use axum::extract::{Path, State};
use serde::Deserialize;
use serde_json::{Value, json};
use sqlx::SqliteConnection;

use super::config::MAIL_DOMAINS;
use super::rooms::{self, Room};
use super::{Route, check_annotations, kept, stored};
use crate::api::specs::rules;
use crate::platform::App;
use crate::platform::auth::{Access, Caller};
use crate::platform::error::{Refusal, Result};
use crate::platform::exchange::{self, Answer, Body, Condition};

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::post("/accounts/projects/{project}/mailboxes", Access::Write, create),
        Route::get("/accounts/projects/{project}/mailboxes", Access::Read, list),
        Route::get("/accounts/projects/{project}/rooms/{room}/mailboxes", Access::Read, of_room),
        Route::get("/accounts/projects/{project}/mailboxes/{address}", Access::Read, get),
        Route::put("/accounts/projects/{project}/mailboxes/{address}", Access::Write, put),
        Route::delete("/accounts/projects/{project}/mailboxes/{address}", Access::Write, delete),
    ]
}

#[derive(Deserialize)]
struct NewMailbox {
    address: String,
    room: String,
    queue: String,
    #[serde(default)]
    public: bool,
    annotations: Option<BTreeMap<String, String>>,
}

async fn create(
    State(app): State<App>,
    caller: Caller,
    Body(new): Body<NewMailbox>,
) -> Result<Answer> {
    let address = rules::address(&new.address).map_err(Refusal::at("address"))?;
    rules::served(&address, &MAIL_DOMAINS).map_err(Refusal::at("address"))?;
    rules::name(&new.queue).map_err(Refusal::at("queue"))?;
    check_annotations(new.annotations.as_ref())?;
    let mut write = app.store().write().await?;
    rooms::required(write.on(), &caller.project, ("room", &new.room)).await?;
    let revision = write.revision().await?;
    sqlx::query(
        "INSERT INTO mailboxes \
         (address, given, project_id, room_name, queue, public, annotations, seq, rev) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $8)",
    )
    .bind(&address)
    .bind(&new.address)
    .bind(&caller.project)
    .bind(&new.room)
    .bind(&new.queue)
    .bind(new.public)
    .bind(kept(new.annotations.as_ref())?)
    .bind(revision)
    .execute(write.on())
    .await
    .map_err(|error| Refusal::taken(error, || format!("the address {address:?} is taken")))?;
    write.commit().await?;
    Ok(Answer::json(&json!({})).created().tagged(revision))
}

#[derive(sqlx::FromRow)]
struct Row {
    given: String,
    project_id: String,
    room_name: String,
    room_id: Option<String>,
    queue: String,
    public: bool,
    annotations: String,
    rev: i64,
}

impl Row {
    fn whole(&self) -> Result<Value> {
        Ok(json!({
            "address": self.given,
            "room": self.room_name,
            "room_id": self.room_id,
            "queue": self.queue,
            "public": self.public,
            "annotations": stored(&self.annotations)?,
        }))
    }

    fn item(&self) -> Result<Value> {
        let mut item = self.whole()?;
        item["etag"] = json!(exchange::tag(self.rev));
        Ok(item)
    }
}

async fn list(State(app): State<App>, caller: Caller) -> Result<Answer> {
    let rows = sqlx::query_as(
        "SELECT mailboxes.*, rooms.id AS room_id FROM mailboxes \
         LEFT JOIN rooms ON rooms.project_id = mailboxes.project_id \
         AND rooms.name = mailboxes.room_name \
         WHERE mailboxes.project_id = $1 ORDER BY mailboxes.seq",
    )
    .bind(&caller.project)
    .fetch(app.store().reads());
    Answer::list(&app, "mailboxes", rows, Row::item).await
}

async fn of_room(
    State(app): State<App>,
    caller: Caller,
    Path((_, room)): Path<(String, String)>,
) -> Result<Answer> {
    let room = Room::named(app.store().reads(), &caller.project, &room).await?;
    let rows = sqlx::query_as(
        "SELECT mailboxes.*, rooms.id AS room_id FROM mailboxes \
         JOIN rooms ON rooms.project_id = mailboxes.project_id \
         AND rooms.name = mailboxes.room_name \
         WHERE rooms.id = $1 ORDER BY mailboxes.seq",
    )
    .bind(&room.id)
    .fetch(app.store().reads());
    Answer::list(&app, "mailboxes", rows, Row::item).await
}

async fn get(
    State(app): State<App>,
    caller: Caller,
    Path((_, address)): Path<(String, String)>,
) -> Result<Answer> {
    let row: Row = sqlx::query_as(
        "SELECT mailboxes.*, rooms.id AS room_id FROM mailboxes \
         LEFT JOIN rooms ON rooms.project_id = mailboxes.project_id \
         AND rooms.name = mailboxes.room_name WHERE mailboxes.address = $1",
    )
    .bind(address.to_lowercase())
    .fetch_optional(app.store().reads())
    .await?
    .ok_or_else(|| Refusal::missing("mailbox", &address))?;
    owned(&caller, &row.project_id)?;
    Ok(Answer::json(&json!({ "mailbox": row.whole()? })).tagged(row.rev))
}

/// Another project's mailbox is 403, not 404: that it is taken is public anyway, since
/// creating it is 409.
fn owned(caller: &Caller, project: &str) -> Result<()> {
    if caller.project == project {
        return Ok(());
    }
    Err(Refusal::Forbidden("the address belongs to another project".into()))
}

/// The revision of a mailbox of the project.
async fn current(on: &mut SqliteConnection, caller: &Caller, address: &str) -> Result<i64> {
    let (project, revision): (String, i64) =
        sqlx::query_as("SELECT project_id, rev FROM mailboxes WHERE address = $1")
            .bind(address)
            .fetch_optional(on)
            .await?
            .ok_or_else(|| Refusal::missing("mailbox", address))?;
    owned(caller, &project)?;
    Ok(revision)
}

#[derive(Deserialize)]
struct MailboxBody {
    room: String,
    queue: String,
    #[serde(default)]
    public: bool,
    annotations: Option<BTreeMap<String, String>>,
}

/// Replaces everything but the address; annotations that are absent are gone.
async fn put(
    State(app): State<App>,
    caller: Caller,
    Path((_, address)): Path<(String, String)>,
    condition: Condition,
    Body(body): Body<MailboxBody>,
) -> Result<Answer> {
    let address = address.to_lowercase();
    rules::name(&body.queue).map_err(Refusal::at("queue"))?;
    check_annotations(body.annotations.as_ref())?;
    let mut write = app.store().write().await?;
    condition.allows(current(write.on(), &caller, &address).await?)?;
    rooms::required(write.on(), &caller.project, ("room", &body.room)).await?;
    let revision = write.revision().await?;
    sqlx::query(
        "UPDATE mailboxes SET room_name = $1, queue = $2, public = $3, annotations = $4, \
         rev = $5 WHERE address = $6",
    )
    .bind(&body.room)
    .bind(&body.queue)
    .bind(body.public)
    .bind(kept(body.annotations.as_ref())?)
    .bind(revision)
    .bind(&address)
    .execute(write.on())
    .await?;
    write.commit().await?;
    Ok(Answer::json(&json!({})).tagged(revision))
}

async fn delete(
    State(app): State<App>,
    caller: Caller,
    Path((_, address)): Path<(String, String)>,
    condition: Condition,
) -> Result<Answer> {
    let address = address.to_lowercase();
    let mut write = app.store().write().await?;
    condition.allows(current(write.on(), &caller, &address).await?)?;
    sqlx::query("DELETE FROM mailboxes WHERE address = $1")
        .bind(&address)
        .execute(write.on())
        .await?;
    write.commit().await?;
    Ok(Answer::nothing())
}
