//! Profiles of people: a change says only what changes.

use axum::extract::{Path, State};
use serde_json::{Map, Value};

use super::super::users::{ProfileBody, partly_changed_profile};
use super::{Refusal, Result, Route};
use crate::platform::App;
use crate::platform::auth::{Access, Principal};
use crate::platform::exchange::{self, Answer, Body, Condition};

pub(super) fn routes() -> Vec<Route> {
    vec![Route::put("/accounts/profiles/{user}", Access::Signed, put)]
}

/// What is not given stays. What is kept of nobody here is refused.
async fn put(
    State(app): State<App>,
    principal: Principal,
    Path(user): Path<String>,
    condition: Condition,
    Body(body): Body<Map<String, Value>>,
) -> Result<Answer> {
    if let Some(field) = ["metadata", "annotations"].into_iter().find(|it| body.contains_key(*it)) {
        return Err(Refusal::field(field, "is not kept of people on this platform"));
    }
    let body: ProfileBody = exchange::decode(Value::Object(body))?;
    partly_changed_profile(&app, (&principal, &user), &condition, body).await
}
