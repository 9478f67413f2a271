//! Routes: a domain, unique across all projects, that leads to a published port of a room.
//!
//! Like mailboxes they keep the *name* of their room, and may outlive it.

use std::collections::BTreeMap;

use axum::extract::{Path, State};
use serde::Deserialize;
use serde_json::{Value, json};
use sqlx::SqliteConnection;

use super::rooms::{self, Room};
use super::{Route, check_annotations, kept, stored};
use crate::api::specs::rules;
use crate::platform::App;
use crate::platform::auth::{Access, Caller};
use crate::platform::error::{Refusal, Result};
use crate::platform::exchange::{self, Answer, Body, Condition};

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::post("/accounts/projects/{project}/routes", Access::Write, create),
        Route::get("/accounts/projects/{project}/routes", Access::Read, list),
        Route::get("/accounts/projects/{project}/rooms/{room}/routes", Access::Read, of_room),
        Route::get("/accounts/projects/{project}/routes/{domain}", Access::Read, get),
        Route::put("/accounts/projects/{project}/routes/{domain}", Access::Write, put),
        Route::delete("/accounts/projects/{project}/routes/{domain}", Access::Write, delete),
    ]
}

#[derive(Deserialize)]
struct NewRoute {
    domain: String,
    room_name: String,
    port: String,
    annotations: Option<BTreeMap<String, String>>,
}

async fn create(
    State(app): State<App>,
    caller: Caller,
    Body(new): Body<NewRoute>,
) -> Result<Answer> {
    let domain = rules::domain(&new.domain).map_err(Refusal::at("domain"))?;
    rules::port(&new.port).map_err(Refusal::at("port"))?;
    check_annotations(new.annotations.as_ref())?;
    let mut write = app.store().write().await?;
    rooms::required(write.on(), &caller.project, ("room_name", &new.room_name)).await?;
    let revision = write.revision().await?;
    sqlx::query(
        "INSERT INTO routes (domain, given, project_id, room_name, port, annotations, seq, rev) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $7)",
    )
    .bind(&domain)
    .bind(&new.domain)
    .bind(&caller.project)
    .bind(&new.room_name)
    .bind(&new.port)
    .bind(kept(new.annotations.as_ref())?)
    .bind(revision)
    .execute(write.on())
    .await
    .map_err(|error| Refusal::taken(error, || format!("the domain {domain:?} is taken")))?;
    write.commit().await?;
    Ok(Answer::json(&json!({})).created().tagged(revision))
}

#[derive(sqlx::FromRow)]
struct Row {
    given: String,
    project_id: String,
    room_name: String,
    room_id: Option<String>,
    port: String,
    annotations: String,
    rev: i64,
}

impl Row {
    fn whole(&self) -> Result<Value> {
        Ok(json!({
            "domain": self.given,
            "room_name": self.room_name,
            "room_id": self.room_id,
            "port": self.port,
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
        "SELECT routes.*, rooms.id AS room_id FROM routes \
         LEFT JOIN rooms ON rooms.project_id = routes.project_id \
         AND rooms.name = routes.room_name \
         WHERE routes.project_id = $1 ORDER BY routes.seq",
    )
    .bind(&caller.project)
    .fetch(app.store().reads());
    Answer::list(&app, "routes", rows, Row::item).await
}

async fn of_room(
    State(app): State<App>,
    caller: Caller,
    Path((_, room)): Path<(String, String)>,
) -> Result<Answer> {
    let room = Room::named(app.store().reads(), &caller.project, &room).await?;
    let rows = sqlx::query_as(
        "SELECT routes.*, rooms.id AS room_id FROM routes \
         JOIN rooms ON rooms.project_id = routes.project_id AND rooms.name = routes.room_name \
         WHERE rooms.id = $1 ORDER BY routes.seq",
    )
    .bind(&room.id)
    .fetch(app.store().reads());
    Answer::list(&app, "routes", rows, Row::item).await
}

async fn get(
    State(app): State<App>,
    caller: Caller,
    Path((_, domain)): Path<(String, String)>,
) -> Result<Answer> {
    let row: Row = sqlx::query_as(
        "SELECT routes.*, rooms.id AS room_id FROM routes \
         LEFT JOIN rooms ON rooms.project_id = routes.project_id \
         AND rooms.name = routes.room_name WHERE routes.domain = $1",
    )
    .bind(domain.to_ascii_lowercase())
    .fetch_optional(app.store().reads())
    .await?
    .ok_or_else(|| Refusal::missing("route", &domain))?;
    owned(&caller, &row.project_id)?;
    Ok(Answer::json(&json!({ "route": row.whole()? })).tagged(row.rev))
}

/// Another project's route is 403, not 404, as for mailboxes.
fn owned(caller: &Caller, project: &str) -> Result<()> {
    if caller.project == project {
        return Ok(());
    }
    Err(Refusal::Forbidden("the domain belongs to another project".into()))
}

/// The revision of a route of the project.
async fn current(on: &mut SqliteConnection, caller: &Caller, domain: &str) -> Result<i64> {
    let (project, revision): (String, i64) =
        sqlx::query_as("SELECT project_id, rev FROM routes WHERE domain = $1")
            .bind(domain)
            .fetch_optional(on)
            .await?
            .ok_or_else(|| Refusal::missing("route", domain))?;
    owned(caller, &project)?;
    Ok(revision)
}

#[derive(Deserialize)]
struct RouteBody {
    room_name: String,
    port: String,
    annotations: Option<BTreeMap<String, String>>,
}

/// Replaces everything but the domain; annotations that are absent are gone.
async fn put(
    State(app): State<App>,
    caller: Caller,
    Path((_, domain)): Path<(String, String)>,
    condition: Condition,
    Body(body): Body<RouteBody>,
) -> Result<Answer> {
    let domain = domain.to_ascii_lowercase();
    rules::port(&body.port).map_err(Refusal::at("port"))?;
    check_annotations(body.annotations.as_ref())?;
    let mut write = app.store().write().await?;
    condition.allows(current(write.on(), &caller, &domain).await?)?;
    rooms::required(write.on(), &caller.project, ("room_name", &body.room_name)).await?;
    let revision = write.revision().await?;
    sqlx::query(
        "UPDATE routes SET room_name = $1, port = $2, annotations = $3, rev = $4 \
         WHERE domain = $5",
    )
    .bind(&body.room_name)
    .bind(&body.port)
    .bind(kept(body.annotations.as_ref())?)
    .bind(revision)
    .bind(&domain)
    .execute(write.on())
    .await?;
    write.commit().await?;
    Ok(Answer::json(&json!({})).tagged(revision))
}

async fn delete(
    State(app): State<App>,
    caller: Caller,
    Path((_, domain)): Path<(String, String)>,
    condition: Condition,
) -> Result<Answer> {
    let domain = domain.to_ascii_lowercase();
    let mut write = app.store().write().await?;
    condition.allows(current(write.on(), &caller, &domain).await?)?;
    sqlx::query("DELETE FROM routes WHERE domain = $1").bind(&domain).execute(write.on()).await?;
    write.commit().await?;
    Ok(Answer::nothing())
}
