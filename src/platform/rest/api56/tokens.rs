//! Participant tokens that the platform signs, for callers that have no key to sign with.

use axum::extract::State;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Refusal, Result, Route};
use crate::kinds::specs::rules;
use crate::platform::App;
use crate::platform::auth::participant::Given;
use crate::platform::auth::token::{self, Claims, Grant};
use crate::platform::auth::{Access, Caller, Principal};
use crate::platform::exchange::{Answer, Body};
use crate::platform::objects::{keys, people, rooms};

pub(super) fn routes() -> Vec<Route> {
    vec![Route::post("/accounts/projects/{project}/participant-tokens", Access::Write, mint)]
}

/// How long a token lasts.
const SECONDS: u64 = 24 * 60 * 60;

/// What may be in a token: the same as in those that people sign.
const GRANTS: [&str; 3] = ["room", "role", "api"];

#[derive(Deserialize)]
struct Wanted {
    name: Option<String>,
    email: Option<String>,
    room_name: Option<String>,
    role: Option<String>,
    api: Option<Value>,
    grants: Option<Vec<Grant>>,
}

impl Wanted {
    /// The grants, spelled out or as fields of their own.
    fn grants(&mut self) -> Result<Vec<Grant>> {
        if let Some(grants) = self.grants.take() {
            let unknown = grants.iter().position(|grant| !GRANTS.contains(&grant.name.as_str()));
            return match unknown {
                None => Ok(grants),
                Some(number) => {
                    let message = format!("must be one of {}", GRANTS.join(", "));
                    Err(Refusal::field(format!("grants[{number}].name"), message))
                }
            };
        }
        let fields = [
            ("room", self.room_name.take().map(Value::String)),
            ("role", self.role.take().map(Value::String)),
            ("api", self.api.take()),
        ];
        let grant = |(name, scope): (&str, Option<Value>)| {
            Some(Grant { name: name.to_owned(), scope: scope? })
        };
        Ok(fields.into_iter().filter_map(grant).collect())
    }
}

/// A token names who it was made for, and never allows more than that one may do, whatever it
/// says. It ends with the key behind it, and after a day.
async fn mint(
    State(app): State<App>,
    caller: Caller,
    Body(mut wanted): Body<Wanted>,
) -> Result<Answer> {
    let Principal::Holder(holder) = &caller.principal else {
        let message = "a participant token makes no others: use an API key";
        return Err(Refusal::Forbidden(message.into()));
    };
    let grants = wanted.grants()?;
    let reads = app.store().reads();
    for grant in &grants {
        match (grant.name.as_str(), &grant.scope) {
            ("room", Value::String(room)) => {
                rooms::required(reads, &caller.project, ("room_name", room)).await?;
            }
            ("role", Value::String(_)) | ("api", Value::Object(_)) => {}
            (name, _) => {
                let message = "must be text, and for `api` an object";
                return Err(Refusal::field(format!("grants.{name}"), message));
            }
        }
    }
    let name = match wanted.name.or(wanted.email) {
        Some(name) => name,
        None => match &holder.person {
            Some(person) => people::email(reads, &person.id).await?.unwrap_or(person.id.clone()),
            None => caller.principal.name().to_owned(),
        },
    };
    rules::name(&name).map_err(Refusal::at("name"))?;
    let given = Given::to(reads, &caller.project, holder, None).await?;
    let (kid, secret) = keys::signing(app.store(), &caller.project).await?;
    let claims = Claims {
        exp: Some(jsonwebtoken::get_current_timestamp() + SECONDS),
        name,
        grants,
        version: token::VERSION.into(),
        kid,
        sub: caller.project.clone(),
        principal: Some(serde_json::to_value(given)?),
    };
    Ok(Answer::json(&json!({ "token": token::sign(&claims, &secret)? })))
}
