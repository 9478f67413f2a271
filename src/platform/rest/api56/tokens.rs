//! Participant tokens: the platform signs them for callers that have no key to sign with, and says
//! what is in one, to whoever has it.

use axum::Json;
use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Refusal, Result, Route};
use crate::kinds::specs::rules;
use crate::platform::App;
use crate::platform::auth::participant::{Given, Participant};
use crate::platform::auth::token::{self, Claims, Grant};
use crate::platform::auth::{Access, Caller, Principal};
use crate::platform::exchange::{Answer, Body};
use crate::platform::objects::{keys, people, rooms};

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::post("/accounts/projects/{project}/participant-tokens", Access::Write, mint),
        Route::post("/api/participant-token/validate", Access::Open, validate),
    ]
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

#[derive(Deserialize)]
struct Presented {
    token: String,
}

/// The claims of a token that is valid now; 401 for any other one. Whoever asks is not known, so the
/// body is small.
async fn validate(
    State(app): State<App>,
    body: Result<Json<Presented>, JsonRejection>,
) -> Result<Answer> {
    let refused = |rejection: JsonRejection| match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => Refusal::TooLarge,
        _ => Refusal::field("token", "is required in an object of JSON, as text"),
    };
    let Json(Presented { token }) = body.map_err(refused)?;
    let participant = Participant::in_rooms(app.store(), &token).await?;
    let mut claims = participant.claims;
    // Who is behind it is between the platform and its key.
    claims.principal = None;
    Ok(Answer::json(&serde_json::to_value(claims)?))
}
