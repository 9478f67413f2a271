//! Projects.

use axum::extract::State;
use futures_util::stream::BoxStream;
use secrecy::ExposeSecret;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::Route;
use crate::kinds::specs::rules;
use crate::platform::App;
use crate::platform::auth::{Access, Caller, Principal, Role};
use crate::platform::error::{Refusal, Result};
use crate::platform::exchange::{Answer, Body, Condition};
use crate::platform::objects::projects::New;
use crate::platform::objects::{stored, text_of};
use crate::platform::store::{SETTINGS, of_row, select};

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get("/accounts/projects", Access::Signed, list),
        Route::post("/accounts/projects", Access::Owner, create),
        Route::get("/accounts/projects/{project}", Access::Belong, get),
        Route::put("/accounts/projects/{project}/settings", Access::Admin, put_settings).past(),
        Route::get("/accounts/projects/{project}/role", Access::Belong, role).past(),
        Route::get("/accounts/projects/{project}/status", Access::Belong, status),
    ]
}

/// A project.
pub(super) struct Project {
    /// Its id.
    pub id: String,
    owner_user_id: String,
    name: String,
    /// They are kept encrypted.
    settings: String,
    enabled: bool,
    /// Its revision.
    pub rev: i64,
}

of_row!(Project { id, owner_user_id, name, settings, enabled, rev });

impl Project {
    /// The project with an id.
    pub async fn read(app: &App, id: &str) -> Result<Self> {
        sqlx::query_as(
            "SELECT id, owner_user_id, name, settings, enabled, rev FROM projects WHERE id = $1",
        )
        .bind(id)
        .fetch_optional(app.store().reads())
        .await?
        .ok_or_else(|| Refusal::missing("project", id))
    }

    /// The project as lists have it.
    pub fn item(&self) -> Value {
        json!({ "id": self.id, "name": self.name, "owner_user_id": self.owner_user_id })
    }

    /// Settings hold provider keys, so members do not see them.
    async fn whole(&self, app: &App, role: Role) -> Result<Value> {
        let mut item = self.item();
        if role >= Role::Developer {
            let (store, at) = (app.store(), (SETTINGS, self.id.as_str()));
            let plain = store.vault().open_value(store.reads(), at, &self.settings).await?;
            item["settings"] = stored(plain.expose_secret())?;
        }
        Ok(item)
    }
}

/// The projects of the caller: those that a user owns or has joined, otherwise the one project.
pub(super) fn of<'a>(
    app: &'a App,
    principal: &'a Principal,
) -> BoxStream<'a, Result<Project, sqlx::Error>> {
    sqlx::query_as(
        "SELECT id, owner_user_id, name, settings, enabled, rev FROM projects \
         WHERE id = $1 OR owner_user_id = $2 \
         OR id IN (SELECT project_id FROM members WHERE user_id = $2) ORDER BY seq",
    )
    .bind(principal.project())
    .bind(principal.user())
    .fetch(app.store().reads())
}

async fn list(State(app): State<App>, principal: Principal) -> Result<Answer> {
    let projects = of(&app, &principal);
    Answer::list(&app, "projects", projects, |project: &Project| Ok(project.item())).await
}

#[derive(Deserialize)]
struct NewProject {
    name: String,
    settings: Option<Map<String, Value>>,
}

async fn create(
    State(app): State<App>,
    principal: Principal,
    Body(new): Body<NewProject>,
) -> Result<Answer> {
    let project = created(&app, &principal, &new.name, new.settings.as_ref()).await?;
    Ok(Answer::json(&project.item()).created().tagged(project.rev))
}

/// Only the owner creates projects; two projects of one owner never have the same name.
pub(super) async fn created(
    app: &App,
    principal: &Principal,
    name: &str,
    settings: Option<&Map<String, Value>>,
) -> Result<Project> {
    rules::name(name).map_err(Refusal::at("name"))?;
    if let Some(settings) = settings {
        rules::texts_of(settings).map_err(Refusal::at("settings"))?;
    }
    let owner = principal.resolve("me")?;
    let settings = text_of(settings)?;
    let mut write = app.store().write().await?;
    let project = New { owner, name, settings: &settings };
    let id = project.insert(app.store().vault(), &mut write).await?;
    write.commit().await?;
    Project::read(app, &id).await
}

async fn get(State(app): State<App>, caller: Caller) -> Result<Answer> {
    let project = Project::read(&app, &caller.project).await?;
    Ok(Answer::json(&project.whole(&app, caller.role).await?).tagged(project.rev))
}

/// The body is the settings themselves, which are replaced as a whole.
async fn put_settings(
    State(app): State<App>,
    caller: Caller,
    condition: Condition,
    Body(settings): Body<Map<String, Value>>,
) -> Result<Answer> {
    rules::texts_of(&settings).map_err(Refusal::at("settings"))?;
    let mut write = app.store().write().await?;
    let (current,): (i64,) = select("SELECT rev FROM projects WHERE id = $1")
        .bind(&caller.project)
        .find(write.reads())
        .await?
        .ok_or_else(|| Refusal::missing("project", &caller.project))?;
    let mut change = condition.admits(write, current)?;
    let revision = change.revision().await?;
    let at = (SETTINGS, caller.project.as_str());
    let settings = serde_json::to_string(&settings)?;
    let settings = app.store().vault().seal(&mut change, at, &settings).await?;
    sqlx::query("UPDATE projects SET settings = $1, rev = $2 WHERE id = $3")
        .bind(settings)
        .bind(revision)
        .bind(&caller.project)
        .execute(change.on())
        .await?;
    change.commit().await?;
    let project = Project::read(&app, &caller.project).await?;
    Ok(Answer::json(&project.whole(&app, caller.role).await?).tagged(revision))
}

async fn role(caller: Caller) -> Answer {
    Answer::json(&json!({ "role": caller.role.word() }))
}

async fn status(State(app): State<App>, caller: Caller) -> Result<Answer> {
    let project = Project::read(&app, &caller.project).await?;
    Ok(Answer::json(&json!({ "enabled": project.enabled })))
}
