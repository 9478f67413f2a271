//! Who the caller is.

use axum::extract::State;
use serde_json::json;

use super::super::plain::Resource as _;
use super::accounts::Account;
use super::named;
use super::{Refusal, Result, Route};
use crate::platform::App;
use crate::platform::auth::{Access, Principal};
use crate::platform::exchange::Answer;
use crate::platform::store::{of_row, select};

pub(super) fn routes() -> Vec<Route> {
    vec![Route::get("/accounts/whoami", Access::Signed, whoami)]
}

struct User {
    id: String,
    email: String,
    first_name: Option<String>,
    last_name: Option<String>,
}

of_row!(User { id, email, first_name, last_name });

/// Service accounts are told with their record. A key of a whole project and a participant are neither
/// users nor service accounts: they are named as service accounts that have no record, since 0.56
/// knows nobody else.
async fn whoami(State(app): State<App>, principal: Principal) -> Result<Answer> {
    let reads = app.store().reads();
    if let (Some(account), Some(project)) = (principal.account(), principal.project()) {
        let account = named::by_id::<Account>(reads, project, account).await?.row;
        return Ok(Answer::json(&json!({
            "id": account.id,
            "email": account.email,
            "type": "service_account",
            "service_account": account.whole()?,
        })));
    }
    let Some(id) = principal.user() else {
        let id = principal.name();
        return Ok(Answer::json(&json!({ "id": id, "email": "", "type": "service_account" })));
    };
    let user: Option<User> =
        select("SELECT id, email, first_name, last_name FROM users WHERE id = $1")
            .bind(id)
            .find(reads)
            .await?;
    let User { id, email, first_name, last_name } =
        user.ok_or_else(|| Refusal::missing("user", id))?;
    let user = json!({
        "id": id,
        "email": email,
        "first_name": first_name,
        "last_name": last_name,
    });
    Ok(Answer::json(&json!({ "id": id, "email": email, "type": "user", "user": user })))
}
