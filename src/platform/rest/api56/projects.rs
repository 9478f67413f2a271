//! Projects. Their settings are documents of their own, so a project does not show any.
//!
//! The key of a project is a short name for it in addresses: the first digits of its id.

use axum::extract::{Path, State};
use serde::Deserialize;
use serde_json::{Value, json};

use super::super::projects::{self, Project};
use super::{Refusal, Result, Route};
use crate::platform::App;
use crate::platform::auth::{Access, Caller, Principal};
use crate::platform::exchange::{Answer, Body};

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get("/accounts/projects", Access::Signed, list),
        Route::post("/accounts/projects", Access::Owner, create),
        Route::get("/accounts/projects/{project}", Access::Belong, get),
        Route::get("/accounts/projects/by-key/{key}", Access::Signed, by_key),
    ]
}

/// How many digits of an id are its key.
const DIGITS: usize = 10;

fn key(id: &str) -> String {
    id.chars().filter(|c| *c != '-').take(DIGITS).collect()
}

fn whole(project: &Project) -> Value {
    let mut item = project.item();
    item["project_key"] = json!(key(&project.id));
    item["created_at"] = Value::Null;
    item
}

async fn list(State(app): State<App>, principal: Principal) -> Result<Answer> {
    let projects = projects::of(&app, &principal);
    Answer::list(&app, "projects", projects, |project: &Project| Ok(whole(project))).await
}

#[derive(Deserialize)]
struct NewProject {
    name: String,
}

async fn create(
    State(app): State<App>,
    principal: Principal,
    Body(new): Body<NewProject>,
) -> Result<Answer> {
    let project = projects::created(&app, &principal, &new.name, None).await?;
    Ok(Answer::json(&whole(&project)).created().tagged(project.rev))
}

async fn get(State(app): State<App>, caller: Caller) -> Result<Answer> {
    let project = Project::read(&app, &caller.project).await?;
    Ok(Answer::json(&whole(&project)).tagged(project.rev))
}

/// Among the projects of the caller only, so that nobody learns of others.
async fn by_key(
    State(app): State<App>,
    principal: Principal,
    Path(asked): Path<String>,
) -> Result<Answer> {
    use futures_util::TryStreamExt;

    let mut projects = projects::of(&app, &principal);
    while let Some(project) = projects.try_next().await? {
        if key(&project.id).eq_ignore_ascii_case(&asked) {
            return Ok(Answer::json(&whole(&project)).tagged(project.rev));
        }
    }
    Err(Refusal::missing("project with the key", &asked))
}
