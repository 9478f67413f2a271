//! Services, of the whole project or of one room. Those that 0.56 wrote are shown as far as 0.31 can
//! say them, and cannot be changed where that is not all (`api56::service_spec`).
//!
//! Both scopes share their handlers; the path says which one it is. The answers differ, because
//! the SDK reads different things: a plain create in a room returns only the id and a plain update
//! there an empty object, everything else the whole service. Answers contain exactly the fields of
//! the model, so a service has no entity tag in its body.

use std::collections::BTreeSet;

use axum::extract::{Path, State};
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::Route;
use super::templates::{self, TemplateBody};
use crate::dialect::wire::{self, ServiceSpec};
use crate::kinds::{Fault, service};
use crate::platform::App;
use crate::platform::auth::{Access, Caller, Principal};
use crate::platform::error::{Refusal, Result};
use crate::platform::exchange::{self, Answer, Body, Condition};
use crate::platform::objects::rooms::Room;
use crate::platform::store::{Reads, Write, insert, select};

pub(super) fn routes() -> Vec<Route> {
    ["/accounts/projects/{project}/services", "/accounts/projects/{project}/rooms/{room}/services"]
        .into_iter()
        .flat_map(|path| {
            [Route::post(path, Access::Write, create), Route::get(path, Access::Read, list)]
        })
        .chain(
            [
                "/accounts/projects/{project}/services/{service}",
                "/accounts/projects/{project}/rooms/{room}/services/{service}",
            ]
            .into_iter()
            .flat_map(|path| {
                [
                    Route::get(path, Access::Read, get),
                    Route::put(path, Access::Write, put),
                    Route::delete(path, Access::Write, delete),
                ]
            }),
        )
        .collect()
}

/// What the path names besides the project.
#[derive(Deserialize)]
pub(super) struct Place {
    /// The room, if it is not the whole project.
    pub room: Option<String>,
}

/// The same with the service's id.
#[derive(Deserialize)]
pub(super) struct PlaceOfOne {
    /// The room, if it is not the whole project.
    pub room: Option<String>,
    /// The id.
    pub service: String,
}

/// The value of the column `scope`: the id of the room, or empty for the whole project.
pub(super) async fn scope(
    reads: impl Reads,
    caller: &Caller,
    room: Option<&str>,
) -> Result<String> {
    match room {
        Some(name) => Ok(Room::named(reads, &caller.project, name).await?.id),
        None => Ok(String::new()),
    }
}

/// How many faults of a service are reported.
const TOLD: usize = 10;

/// The refusal of a service that breaks rules of form: its field is the first wrong one.
pub(super) fn refusal(faults: Vec<Fault>) -> Refusal {
    let field = faults.first().map(|fault| fault.path.to_string()).unwrap_or_default();
    let told = |(index, fault): (usize, &Fault)| match index {
        0 => fault.message.clone(),
        _ => format!("{} {}", fault.path, fault.message),
    };
    let mut messages: Vec<_> = faults.iter().enumerate().take(TOLD).map(told).collect();
    if let Some(more) = faults.len().checked_sub(TOLD).filter(|more| *more > 0) {
        messages.push(format!("and {more} more"));
    }
    Refusal::field(field, messages.join("; "))
}

/// A service as it was requested.
struct Wanted {
    spec: ServiceSpec,
    from_template: bool,
}

impl Wanted {
    /// Reads either a service, or a template with values, which becomes a service.
    async fn read(principal: &Principal, body: Value) -> Result<Self> {
        let from_template = body.get("template").is_some();
        let spec = if from_template {
            let asked: TemplateBody = exchange::decode(body)?;
            let rendered = templates::rendered(principal, asked).await?;
            rendered.into_service().map_err(|message| Refusal::field("template", message))?
        } else {
            exchange::decode(body)?
        };
        service::check(&spec).map_err(refusal)?;
        // Manifests may say more than this API.
        let beyond = wire::beyond(&service::fields_of(&spec));
        if !beyond.is_empty() {
            return Err(refusal(beyond));
        }
        Ok(Self { spec, from_template })
    }

    fn answer(&self, document: String, in_room: bool, brief: Value) -> Answer {
        if in_room && !self.from_template { Answer::json(&brief) } else { Answer::text(document) }
    }

    /// The secrets that it refers to, each of which must exist with the right type.
    async fn secrets(&self, write: &mut Write, project: &str) -> Result<BTreeSet<String>> {
        let Some(container) = &self.spec.container else { return Ok(BTreeSet::new()) };
        let keys = container.secrets.iter().flatten().enumerate();
        let keys = keys.map(|(index, id)| (format!("container.secrets[{index}]"), id, "keys"));
        let pull = container.pull_secret.iter();
        let pull = pull.map(|id| ("container.pull_secret".to_owned(), id, "docker"));
        let mut ids = BTreeSet::new();
        for (field, id, kind) in keys.chain(pull) {
            let found: Option<(String,)> =
                select("SELECT type FROM secrets WHERE id = $1 AND project_id = $2")
                    .bind(id)
                    .bind(project)
                    .find(write.reads())
                    .await?;
            match found {
                Some((found,)) if found == kind => ids.insert(id.clone()),
                Some((found,)) => {
                    let message = format!("secret {id:?} is of type {found}, not {kind}");
                    return Err(Refusal::field(field, message));
                }
                None => {
                    return Err(Refusal::field(field, format!("secret {id:?} does not exist")));
                }
            };
        }
        Ok(ids)
    }
}

async fn refer(write: &mut Write, service: &str, secrets: &BTreeSet<String>) -> Result<()> {
    for secret in secrets {
        insert("INSERT INTO service_secrets (service_id, secret_id) VALUES ($1, $2)")
            .bind(service)
            .bind(secret)
            .run(write, || format!("the service refers to the secret {secret:?}"))
            .await?;
    }
    Ok(())
}

/// The message if a name is taken.
pub(super) fn name_taken(name: &str) -> String {
    format!("a service named {name:?} already exists")
}

/// The platform chooses ids, and names are unique in a scope.
async fn create(
    State(app): State<App>,
    caller: Caller,
    Path(place): Path<Place>,
    Body(body): Body<Value>,
) -> Result<Answer> {
    let mut wanted = Wanted::read(&caller.principal, body).await?;
    if wanted.spec.id.is_some() {
        return Err(Refusal::field("id", "is chosen by the platform and must be null"));
    }
    let id = Uuid::new_v4().to_string();
    wanted.spec.id = Some(id.clone());
    let document = serde_json::to_string(&wanted.spec)?;
    let name = &wanted.spec.metadata.name;

    let mut write = app.store().write().await?;
    let scope = scope(write.reads(), &caller, place.room.as_deref()).await?;
    let secrets = wanted.secrets(&mut write, &caller.project).await?;
    let revision = write.revision().await?;
    insert(
        "INSERT INTO services (id, project_id, room_id, scope, name, document, seq, rev) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $7)",
    )
    .bind(&id)
    .bind(&caller.project)
    .bind((!scope.is_empty()).then_some(&scope))
    .bind(&scope)
    .bind(name)
    .bind(&document)
    .bind(revision)
    .run(&mut write, || name_taken(name))
    .await?;
    refer(&mut write, &id, &secrets).await?;
    write.commit().await?;
    app.rooms().services_changed(&caller.project);
    let brief = json!({ "id": id });
    Ok(wanted.answer(document, place.room.is_some(), brief).created().tagged(revision))
}

/// The services of exactly this scope: a room's list does not repeat the project's.
async fn list(State(app): State<App>, caller: Caller, Path(place): Path<Place>) -> Result<Answer> {
    let scope = scope(app.store().reads(), &caller, place.room.as_deref()).await?;
    let documents = sqlx::query_scalar(
        "SELECT document FROM services WHERE project_id = $1 AND scope = $2 ORDER BY seq",
    )
    .bind(&caller.project)
    .bind(&scope)
    .fetch(app.store().reads());
    Answer::list(&app, "services", documents, |document: &String| Ok(document.clone())).await
}

async fn get(
    State(app): State<App>,
    caller: Caller,
    Path(place): Path<PlaceOfOne>,
) -> Result<Answer> {
    let scope = scope(app.store().reads(), &caller, place.room.as_deref()).await?;
    let (document, revision): (String, i64) = sqlx::query_as(
        "SELECT document, rev FROM services WHERE project_id = $1 AND scope = $2 AND id = $3",
    )
    .bind(&caller.project)
    .bind(&scope)
    .bind(&place.service)
    .fetch_optional(app.store().reads())
    .await?
    .ok_or_else(|| Refusal::missing("service", &place.service))?;
    Ok(Answer::text(document).tagged(revision))
}

/// The revision of a service in its scope, or 404.
async fn current(write: &mut Write, caller: &Caller, place: &PlaceOfOne) -> Result<i64> {
    let scope = scope(write.reads(), caller, place.room.as_deref()).await?;
    let found: Option<(i64,)> =
        select("SELECT rev FROM services WHERE project_id = $1 AND scope = $2 AND id = $3")
            .bind(&caller.project)
            .bind(&scope)
            .bind(&place.service)
            .find(write.reads())
            .await?;
    found.map(|(revision,)| revision).ok_or_else(|| Refusal::missing("service", &place.service))
}

/// Replaces a service as a whole. An id in the body must be the one of the path.
async fn put(
    State(app): State<App>,
    caller: Caller,
    Path(place): Path<PlaceOfOne>,
    condition: Condition,
    Body(body): Body<Value>,
) -> Result<Answer> {
    let mut wanted = Wanted::read(&caller.principal, body).await?;
    if wanted.spec.id.as_ref().is_some_and(|id| *id != place.service) {
        return Err(Refusal::field("id", "is not the id in the path"));
    }
    wanted.spec.id = Some(place.service.clone());
    let document = serde_json::to_string(&wanted.spec)?;
    let name = &wanted.spec.metadata.name;

    let mut write = app.store().write().await?;
    let current = current(&mut write, &caller, &place).await?;
    let beyond: Option<(bool,)> = select("SELECT is_beyond FROM services WHERE id = $1")
        .bind(&place.service)
        .find(write.reads())
        .await?;
    if beyond == Some((true,)) {
        let message =
            "the service has fields that the API 0.31 cannot say; change it with a client of 0.56";
        return Err(Refusal::Conflict(message.into()));
    }
    let mut change = condition.admits(write, current)?;
    let secrets = wanted.secrets(&mut change, &caller.project).await?;
    let revision = change.revision().await?;
    sqlx::query(
        "UPDATE services SET name = $1, document = $2, whole = NULL, rev = $3 WHERE id = $4",
    )
    .bind(name)
    .bind(&document)
    .bind(revision)
    .bind(&place.service)
    .execute(change.on())
    .await
    .map_err(|error| Refusal::taken(error, || name_taken(name)))?;
    sqlx::query("DELETE FROM service_secrets WHERE service_id = $1")
        .bind(&place.service)
        .execute(change.on())
        .await?;
    refer(&mut change, &place.service, &secrets).await?;
    change.commit().await?;
    app.rooms().services_changed(&caller.project);
    Ok(wanted.answer(document, place.room.is_some(), json!({})).tagged(revision))
}

/// Deletes a service, whichever API wrote it.
pub(super) async fn delete(
    State(app): State<App>,
    caller: Caller,
    Path(place): Path<PlaceOfOne>,
    condition: Condition,
) -> Result<Answer> {
    let mut write = app.store().write().await?;
    let current = current(&mut write, &caller, &place).await?;
    let mut change = condition.admits(write, current)?;
    sqlx::query("DELETE FROM services WHERE id = $1")
        .bind(&place.service)
        .execute(change.on())
        .await?;
    change.commit().await?;
    app.rooms().services_changed(&caller.project);
    Ok(Answer::nothing())
}
