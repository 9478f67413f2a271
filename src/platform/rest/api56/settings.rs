//! The settings of a project: a document for each of some names. They hold keys of providers, so
//! they are kept encrypted, and members do not see them.

use axum::extract::{Path, State};
use secrecy::ExposeSecret;
use serde_json::{Map, Value, json};

use super::{Refusal, Result, Route};
use crate::kinds::specs::rules;
use crate::platform::App;
use crate::platform::auth::{Access, Caller};
use crate::platform::exchange::{Answer, Body, Condition};
use crate::platform::store::{SETTINGS_DOCUMENT, Write, insert, of_row, select};

pub(super) fn routes() -> Vec<Route> {
    const ONE: &str = "/accounts/projects/{project}/settings/{name}";
    vec![
        Route::get(ONE, Access::Write, get),
        Route::put(ONE, Access::Admin, put),
        Route::delete(ONE, Access::Admin, delete),
    ]
}

/// The documents that there may be.
const NAMES: [&str; 8] =
    ["openai", "anthropic", "grok", "otel", "admission", "room", "room-roles", "router"];

/// The roles of rooms.
const ROLES: [&str; 5] = ["guest", "viewer", "operator", "developer", "admin"];

/// A document as it is stored.
struct Stored {
    document: String,
    rev: i64,
}

of_row!(Stored { document, rev });

/// The id of a document, if there may be one with this name.
fn id(caller: &Caller, name: &str) -> Result<String> {
    match NAMES.contains(&name) {
        true => Ok(format!("{}/{name}", caller.project)),
        false => Err(Refusal::missing("settings document", name)),
    }
}

async fn find(write: &mut Write, id: &str) -> Result<Option<i64>> {
    let found: Option<(i64,)> = select("SELECT rev FROM settings_documents WHERE id = $1")
        .bind(id)
        .find(write.reads())
        .await?;
    Ok(found.map(|(rev,)| rev))
}

async fn get(
    State(app): State<App>,
    caller: Caller,
    Path((_, name)): Path<(String, String)>,
) -> Result<Answer> {
    let (id, store) = (id(&caller, &name)?, app.store());
    let found: Option<Stored> =
        select("SELECT document, rev FROM settings_documents WHERE id = $1")
            .bind(&id)
            .find(store.reads())
            .await?;
    let Stored { document, rev } =
        found.ok_or_else(|| Refusal::missing("settings document", &name))?;
    let at = (SETTINGS_DOCUMENT, id.as_str());
    let plain = store.vault().open_value(store.reads(), at, &document).await?;
    Ok(Answer::text(plain.expose_secret().to_owned()).tagged(rev))
}

/// What is known of the form of the documents: roles of rooms are those that there are.
fn check(name: &str, document: &Map<String, Value>) -> Result<()> {
    rules::texts_of(document).map_err(|message| Refusal::Invalid { field: None, message })?;
    if name != "room-roles" {
        return Ok(());
    }
    let roles = document.get("roles").and_then(Value::as_object);
    let roles = roles.ok_or_else(|| Refusal::field("roles", "must be an object"))?;
    if let Some(unknown) = document.keys().find(|field| *field != "roles") {
        return Err(Refusal::field(unknown, "is not a known field"));
    }
    match roles.keys().find(|role| !ROLES.contains(&role.as_str())) {
        Some(unknown) => {
            let message = format!("is not a role of rooms: {}", ROLES.join(", "));
            Err(Refusal::field(format!("roles.{unknown}"), message))
        }
        None => Ok(()),
    }
}

/// The body is the document itself, which is replaced as a whole.
async fn put(
    State(app): State<App>,
    caller: Caller,
    Path((_, name)): Path<(String, String)>,
    condition: Condition,
    Body(document): Body<Map<String, Value>>,
) -> Result<Answer> {
    let id = id(&caller, &name)?;
    check(&name, &document)?;
    let mut write = app.store().write().await?;
    let current = find(&mut write, &id).await?;
    let tag = current.map(crate::platform::exchange::tag);
    let mut change = condition.admits_tag(write, tag.as_deref())?;
    let revision = change.revision().await?;
    let text = serde_json::to_string(&document)?;
    let at = (SETTINGS_DOCUMENT, id.as_str());
    let sealed = app.store().vault().seal(&mut change, at, &text).await?;
    if current.is_some() {
        sqlx::query("UPDATE settings_documents SET document = $1, rev = $2 WHERE id = $3")
            .bind(sealed)
            .bind(revision)
            .bind(&id)
            .execute(change.on())
            .await?;
    } else {
        insert("INSERT INTO settings_documents (id, project_id, document, rev) VALUES ($1, $2, $3, $4)")
            .bind(&id)
            .bind(&caller.project)
            .bind(sealed)
            .bind(revision)
            .run(&mut change, || format!("the settings document {name:?} already exists"))
            .await?;
    }
    change.commit().await?;
    Ok(Answer::json(&json!({})).tagged(revision))
}

async fn delete(
    State(app): State<App>,
    caller: Caller,
    Path((_, name)): Path<(String, String)>,
    condition: Condition,
) -> Result<Answer> {
    let id = id(&caller, &name)?;
    let mut write = app.store().write().await?;
    let current = find(&mut write, &id).await?;
    let current = current.ok_or_else(|| Refusal::missing("settings document", &name))?;
    let mut change = condition.admits(write, current)?;
    sqlx::query("DELETE FROM settings_documents WHERE id = $1")
        .bind(&id)
        .execute(change.on())
        .await?;
    change.commit().await?;
    Ok(Answer::json(&json!({})))
}
