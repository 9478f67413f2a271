//! API keys: credentials of a project, with which its participant tokens are also signed.

use axum::extract::State;
use secrecy::ExposeSecret;
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::Route;
use super::plain::{self, Draft, Resource};
use crate::api::key::ApiKey;
use crate::kinds::specs::rules;
use crate::platform::App;
use crate::platform::auth::{Access, Caller};
use crate::platform::error::{Refusal, Result};
use crate::platform::exchange::{Answer, Body};
use crate::platform::objects::keys::NewKey;
use crate::platform::store::{Write, of_row};

pub(super) fn routes() -> Vec<Route> {
    const ALL: &str = "/accounts/projects/{project}/api-keys";
    const ONE: &str = "/accounts/projects/{project}/api-keys/{key}";
    vec![
        Route::post(ALL, Access::Admin, create),
        Route::get(ALL, Access::Admin, plain::list::<Key>),
        Route::delete(ONE, Access::Admin, plain::delete::<Key>),
    ]
}

#[derive(Deserialize)]
struct CreateKey {
    name: String,
    #[serde(default)]
    description: Option<String>,
}

/// The full text of the key is in this answer and in no other. Names may repeat.
async fn create(
    State(app): State<App>,
    caller: Caller,
    Body(wanted): Body<CreateKey>,
) -> Result<Answer> {
    rules::name(&wanted.name).map_err(Refusal::at("name"))?;
    let description = wanted.description.unwrap_or_default();
    let key = ApiKey::generate(Uuid::parse_str(&caller.project).map_err(Refusal::internal)?)
        .map_err(Refusal::internal)?;
    let created_by = caller.principal.name();
    let new = NewKey {
        key: &key,
        purpose: "project",
        user: None,
        account: None,
        name: &wanted.name,
        description: &description,
        created_by: Some(created_by),
    };
    let mut write = app.store().write().await?;
    let revision = new.insert(app.store().vault(), &mut write).await?;
    write.commit().await?;
    let body = json!({
        "id": key.id.to_string(),
        "name": wanted.name,
        "description": description,
        "created_by": created_by,
        "value": key.text().expose_secret(),
    });
    Ok(Answer::json(&body).created().tagged(revision))
}

/// A key without its secret. The platform's own signing keys are not listed, and those of service
/// accounts are theirs.
struct Key {
    id: String,
    purpose: String,
    name: String,
    description: String,
    created_by: Option<String>,
}

of_row!(Key { id, purpose, name, description, created_by });

impl Resource for Key {
    const TABLE: &'static str = "api_keys";
    const KEY: &'static str = "id";
    const NOUN: &'static str = "API key";
    const LIST: &'static str = "keys";
    const AMONG: &'static str = " AND purpose <> 'signing' AND service_account_id IS NULL";

    fn whole(&self) -> Result<Value> {
        Ok(json!({
            "id": self.id,
            "name": self.name,
            "description": self.description,
            "created_by": self.created_by,
        }))
    }

    /// Every token that was signed with a key ends with the key. The owner's key cannot be
    /// deleted, because without it nobody could reach the platform.
    async fn spare(&self, _: &mut Write, _: Option<&Draft>) -> Result<()> {
        if self.purpose == "owner" {
            return Err(Refusal::Conflict("the owner's key cannot be deleted".into()));
        }
        Ok(())
    }
}
