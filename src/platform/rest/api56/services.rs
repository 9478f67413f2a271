//! Services of both scopes. Answers contain exactly the fields of the model, which is strict.

use std::collections::BTreeSet;

use axum::extract::{Path, State};
use serde_json::{Value, json};
use uuid::Uuid;

use super::super::services::{Place, PlaceOfOne, name_taken, refusal, scope};
use super::super::templates::{self, TemplateBody};
use super::held;
use super::service_spec::{Service, of_old};
use super::{Refusal, Result, Route};
use crate::kinds::service;
use crate::platform::App;
use crate::platform::auth::{Access, Caller, Principal};
use crate::platform::exchange::{self, Answer, Body, Condition};
use crate::platform::objects::stored;
use crate::platform::store::{Reads, Write, insert, of_row, select};

pub(super) fn routes() -> Vec<Route> {
    const ALL: [&str; 2] = [
        "/accounts/projects/{project}/services",
        "/accounts/projects/{project}/rooms/{room}/services",
    ];
    const ONE: [&str; 2] = [
        "/accounts/projects/{project}/services/{service}",
        "/accounts/projects/{project}/rooms/{room}/services/{service}",
    ];
    const NAMED: [&str; 2] = [
        "/accounts/projects/{project}/services/by-name/{service}",
        "/accounts/projects/{project}/rooms/{room}/services/by-name/{service}",
    ];
    let mut routes = vec![Route::post("/templates/render", Access::Signed, render)];
    for path in ALL {
        routes.push(Route::post(path, Access::Write, create));
        routes.push(Route::get(path, Access::Read, list));
    }
    for path in ONE {
        routes.push(Route::get(path, Access::Read, get));
        routes.push(Route::put(path, Access::Write, put));
    }
    routes.extend(NAMED.map(|path| Route::get(path, Access::Read, by_name)));
    routes
}

/// A service as it is stored.
struct Row56 {
    id: String,
    document: String,
    whole: Option<String>,
    rev: i64,
}

of_row!(Row56 { id, document, whole, rev });

impl Row56 {
    /// The service as 0.56 reads it.
    fn shown(&self) -> Result<Value> {
        let mut document = match &self.whole {
            Some(whole) => stored(whole)?,
            None => of_old(stored(&self.document)?).0,
        };
        document["id"] = json!(self.id);
        Ok(document)
    }

    /// Refuses to replace what 0.56 cannot say. A container that is given an account has other
    /// secrets from then on: nobody writes that who does not know of them.
    fn require_sayable(&self, acts_for_account: bool) -> Result<()> {
        if self.whole.is_some() {
            return Ok(());
        }
        let (_, mut lost) = of_old(stored(&self.document)?);
        let is_replaced = |field: &str| {
            matches!(field, "container.secrets" | "container.pull_secret" | "container.api_key")
        };
        lost.retain(|field| !acts_for_account || !is_replaced(field));
        if lost.is_empty() {
            return Ok(());
        }
        Err(Refusal::Conflict(format!(
            "the service has what the API 0.56 has no more ({}); change it with a client of 0.31, or delete it first",
            lost.join(", ")
        )))
    }
}

/// A service as it was requested.
struct Wanted {
    service: Service,
    id: Option<String>,
    from_template: bool,
}

/// The service that a rendered template stands for. A template has no id, no switch and no pull
/// secret.
fn of_template(mut template: Value) -> Result<Value> {
    let refused = |field: &str, message: &str| Refusal::field(format!("template.{field}"), message);
    if template["kind"] != "ServiceTemplate" {
        return Err(refused("kind", "must be ServiceTemplate"));
    }
    for name in ["id", "enabled"] {
        if template.get(name).is_some() {
            return Err(refused(name, "is not a field of templates"));
        }
    }
    if template["container"].get("pull_secret").is_some() {
        return Err(refused("container.pull_secret", "is not a field of templates"));
    }
    if let Some(fields) = template.as_object_mut() {
        fields.remove("variables");
        fields.insert("kind".to_owned(), json!("Service"));
    }
    if template["container"].is_object() && template["container"]["environment"].is_null() {
        template["container"]["environment"] = json!([]);
    }
    Ok(template)
}

/// Names fields below `template`.
fn within_template(refusal: Refusal) -> Refusal {
    match refusal {
        Refusal::Invalid { field: Some(field), message } if !field.starts_with("template") => {
            Refusal::field(format!("template.{field}"), message)
        }
        refusal => refusal,
    }
}

impl Wanted {
    /// Reads either a service, or a template with values, which becomes a service.
    async fn read(principal: &Principal, body: Value) -> Result<Self> {
        let from_template = body.get("template").is_some();
        let body = if from_template {
            let asked: TemplateBody = exchange::decode(body)?;
            of_template(templates::document(principal, asked).await?)?
        } else {
            body
        };
        let id = body.get("id").and_then(Value::as_str).map(str::to_owned);
        let read = Service::read(body);
        let service = if from_template { read.map_err(within_template)? } else { read? };
        service::check(&service.old).map_err(refusal)?;
        Ok(Self { service, id, from_template })
    }

    /// What is stored of it under an id: both documents, and whether 0.31 can say all.
    fn documents(&mut self, id: &str) -> Result<(String, String, bool)> {
        let is_beyond = !self.service.is_plain()?;
        self.service.old.id = Some(id.to_owned());
        let old = serde_json::to_string(&self.service.old)?;
        Ok((old, self.service.whole.to_string(), is_beyond))
    }

    /// The answer to a write: the whole service, but a short one for a plain write in a room.
    fn answer(&self, id: &str, in_room: bool, brief: &Value) -> Answer {
        if in_room && !self.from_template {
            return Answer::json(brief);
        }
        let mut whole = self.service.whole.clone();
        whole["id"] = json!(id);
        Answer::json(&whole)
    }

    /// The secrets that it names. Each must be within reach.
    async fn secrets(&self, write: &mut Write, caller: &Caller) -> Result<BTreeSet<String>> {
        let run_as = self.service.run_as.as_deref();
        let account =
            held::account(write, &caller.project, ("container.run_as.email", run_as)).await?;
        held::named(write, (caller, account.as_deref()), &self.service.secrets).await
    }
}

async fn refer(write: &mut Write, service: &str, secrets: &BTreeSet<String>) -> Result<()> {
    for secret in secrets {
        insert("INSERT INTO service_held_secrets (service_id, secret_id) VALUES ($1, $2)")
            .bind(service)
            .bind(secret)
            .run(write, || format!("the service refers to the secret {secret:?}"))
            .await?;
    }
    Ok(())
}

async fn create(
    State(app): State<App>,
    caller: Caller,
    Path(place): Path<Place>,
    Body(body): Body<Value>,
) -> Result<Answer> {
    let mut wanted = Wanted::read(&caller.principal, body).await?;
    if wanted.id.is_some() {
        return Err(Refusal::field("id", "is chosen by the platform"));
    }
    let id = Uuid::new_v4().to_string();
    let (document, whole, is_beyond) = wanted.documents(&id)?;
    let name = &wanted.service.old.metadata.name;
    let mut write = app.store().write().await?;
    let scope = scope(write.reads(), &caller, place.room.as_deref()).await?;
    let secrets = wanted.secrets(&mut write, &caller).await?;
    let revision = write.revision().await?;
    insert(
        "INSERT INTO services (id, project_id, room_id, scope, name, document, whole, is_beyond, \
         enabled, seq, rev) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $10)",
    )
    .bind(&id)
    .bind(&caller.project)
    .bind((!scope.is_empty()).then_some(&scope))
    .bind(&scope)
    .bind(name)
    .bind(&document)
    .bind(&whole)
    .bind(is_beyond)
    .bind(wanted.service.enabled)
    .bind(revision)
    .run(&mut write, || name_taken(name))
    .await?;
    refer(&mut write, &id, &secrets).await?;
    write.commit().await?;
    app.rooms().services_changed(&caller.project);
    let answer = wanted.answer(&id, place.room.is_some(), &json!({ "id": id }));
    Ok(answer.created().tagged(revision))
}

/// The services of exactly this scope, all of them: this list has no pages.
async fn list(State(app): State<App>, caller: Caller, Path(place): Path<Place>) -> Result<Answer> {
    let scope = scope(app.store().reads(), &caller, place.room.as_deref()).await?;
    let rows = sqlx::query_as(
        "SELECT id, document, whole, rev FROM services WHERE project_id = $1 AND scope = $2 \
         ORDER BY seq",
    )
    .bind(&caller.project)
    .bind(&scope)
    .fetch(app.store().reads());
    Answer::list(&app, "services", rows, Row56::shown).await
}

/// The service of a scope with an id or a name.
async fn find(
    reads: impl Reads,
    (caller, scope): (&Caller, &str),
    (column, given): (&'static str, &str),
) -> Result<Row56> {
    let sql = match column {
        "name" => {
            "SELECT id, document, whole, rev FROM services \
             WHERE project_id = $1 AND scope = $2 AND name = $3"
        }
        _ => {
            "SELECT id, document, whole, rev FROM services \
             WHERE project_id = $1 AND scope = $2 AND id = $3"
        }
    };
    let found = select(sql).bind(&caller.project).bind(scope).bind(given).find(reads).await?;
    found.ok_or_else(|| Refusal::missing("service", given))
}

async fn shown(app: &App, caller: &Caller, place: &PlaceOfOne, by: &'static str) -> Result<Answer> {
    let reads = app.store().reads();
    let scope = scope(reads, caller, place.room.as_deref()).await?;
    let row = find(reads, (caller, &scope), (by, &place.service)).await?;
    Ok(Answer::json(&row.shown()?).tagged(row.rev))
}

async fn get(
    State(app): State<App>,
    caller: Caller,
    Path(place): Path<PlaceOfOne>,
) -> Result<Answer> {
    shown(&app, &caller, &place, "id").await
}

async fn by_name(
    State(app): State<App>,
    caller: Caller,
    Path(place): Path<PlaceOfOne>,
) -> Result<Answer> {
    shown(&app, &caller, &place, "name").await
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
    if wanted.id.as_ref().is_some_and(|id| *id != place.service) {
        return Err(Refusal::field("id", "is not the id in the path"));
    }
    let (document, whole, is_beyond) = wanted.documents(&place.service)?;
    let name = &wanted.service.old.metadata.name;
    let mut write = app.store().write().await?;
    let scope = scope(write.reads(), &caller, place.room.as_deref()).await?;
    let current = find(write.reads(), (&caller, &scope), ("id", &place.service)).await?;
    current.require_sayable(wanted.service.run_as.is_some())?;
    let mut change = condition.admits(write, current.rev)?;
    let secrets = wanted.secrets(&mut change, &caller).await?;
    let revision = change.revision().await?;
    sqlx::query(
        "UPDATE services SET name = $1, document = $2, whole = $3, is_beyond = $4, enabled = $5, \
         rev = $6 WHERE id = $7",
    )
    .bind(name)
    .bind(&document)
    .bind(&whole)
    .bind(is_beyond)
    .bind(wanted.service.enabled)
    .bind(revision)
    .bind(&place.service)
    .execute(change.on())
    .await
    .map_err(|error| Refusal::taken(error, || name_taken(name)))?;
    for table in ["service_secrets", "service_held_secrets"] {
        let sql = sqlx::AssertSqlSafe(format!("DELETE FROM {table} WHERE service_id = $1"));
        sqlx::query(sql).bind(&place.service).execute(change.on()).await?;
    }
    refer(&mut change, &place.service, &secrets).await?;
    change.commit().await?;
    app.rooms().services_changed(&caller.project);
    Ok(wanted.answer(&place.service, place.room.is_some(), &json!({})).tagged(revision))
}

/// Renders a template, and answers with it as it was written: what it leaves out stays so.
async fn render(principal: Principal, Body(body): Body<TemplateBody>) -> Result<Answer> {
    let document = templates::document(&principal, body).await?;
    let mut service = of_template(document.clone())?;
    // An image is needed only to place it.
    if let Some(container) = service["container"].as_object_mut() {
        container.entry("image").or_insert(json!("image"));
        // So is the account.
        for variable in container["environment"].as_array_mut().into_iter().flatten() {
            if let Some(variable) = variable.as_object_mut() {
                variable.remove("secret");
            }
        }
    }
    Service::read(service).map_err(within_template)?;
    Ok(Answer::json(&document))
}
