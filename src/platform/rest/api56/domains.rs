//! Custom domains: those that a project has for its routes.
//!
//! Nothing here asks name servers or gets certificates, so a domain stays `pending_dns` and is not
//! available, and routes need none. What holds all the same: a domain is of one project, and it stays
//! as long as one of the project's routes uses it.

use axum::extract::{Path, State};
use serde::Deserialize;
use serde_json::{Value, json};

use super::page::{self, Tokens};
use super::{Refusal, Result, Route};
use crate::kinds::specs::rules;
use crate::platform::App;
use crate::platform::auth::{Access, Caller};
use crate::platform::exchange::{self, Answer, Asked, Body, Condition};
use crate::platform::objects::sessions::now;
use crate::platform::store::{Reads, insert, of_row, select};

pub(super) fn routes() -> Vec<Route> {
    const ALL: &str = "/accounts/projects/{project}/custom-domains";
    const ONE: &str = "/accounts/projects/{project}/custom-domains/{domain}";
    vec![
        Route::get(ALL, Access::Read, list),
        Route::post(ALL, Access::Write, create),
        Route::get(ONE, Access::Read, get),
        Route::delete(ONE, Access::Write, delete),
    ]
}

/// A domain as it is stored.
struct Domain {
    domain: String,
    project_id: String,
    created_at: String,
    seq: i64,
    rev: i64,
}

of_row!(Domain { domain, project_id, created_at, seq, rev });

impl Domain {
    async fn find(reads: impl Reads, project: &str, given: &str) -> Result<Self> {
        let domain = given.to_lowercase();
        select("SELECT * FROM custom_domains WHERE project_id = $1 AND domain = $2")
            .bind(project)
            .bind(&domain)
            .find(reads)
            .await?
            .ok_or_else(|| Refusal::missing("custom domain", given))
    }

    fn shown(&self) -> Value {
        json!({
            "domain": self.domain,
            "project_id": self.project_id,
            "phase": "pending_dns",
            "available": false,
            "dns_authorization_record": null,
            "routing_records": [],
            "certificate_state": null,
            "map_entry_state": null,
            "conditions": [],
            "created_at": self.created_at,
        })
    }
}

async fn list(
    State(app): State<App>,
    caller: Caller,
    Asked(tokens): Asked<Tokens>,
) -> Result<Answer> {
    const LIST: &str = "custom_domains";
    let size = tokens.size(&app)?;
    let rows = sqlx::query_as(
        "SELECT * FROM custom_domains WHERE project_id = $1 AND ($2 IS NULL OR seq > $2) \
         AND ($3 IS NULL OR instr(domain, lower($3)) > 0) ORDER BY seq LIMIT $4",
    )
    .bind(&caller.project)
    .bind(tokens.after_seq(LIST)?)
    .bind(&tokens.filter)
    .bind(size + 1)
    .fetch(app.store().reads());
    let position = |domain: &Domain| domain.seq.to_string();
    let item = |domain: &Domain| {
        let mut item = domain.shown();
        item["etag"] = json!(exchange::tag(domain.rev));
        Ok(item)
    };
    page::of(&app, (LIST, size), rows, position, item).await
}

#[derive(Deserialize)]
struct NewDomain {
    domain: String,
}

/// A domain, or all names one level below it, as in `*.example.com`.
fn checked(given: &str) -> Result<String> {
    let (wildcard, rest) = match given.strip_prefix("*.") {
        Some(rest) => ("*.", rest),
        None => ("", given),
    };
    let domain = rules::domain(rest).map_err(Refusal::at("domain"))?;
    Ok(format!("{wildcard}{domain}"))
}

async fn create(
    State(app): State<App>,
    caller: Caller,
    Body(NewDomain { domain: given }): Body<NewDomain>,
) -> Result<Answer> {
    let domain = checked(&given)?;
    let mut write = app.store().write().await?;
    let revision = write.revision().await?;
    let (project_id, created_at) = (caller.project.clone(), now());
    insert(
        "INSERT INTO custom_domains (domain, project_id, created_at, seq, rev) \
         VALUES ($1, $2, $3, $4, $4)",
    )
    .bind(&domain)
    .bind(&project_id)
    .bind(&created_at)
    .bind(revision)
    .run(&mut write, || format!("the domain {domain:?} is taken"))
    .await?;
    write.commit().await?;
    let domain = Domain { domain, project_id, created_at, seq: revision, rev: revision };
    Ok(Answer::json(&json!({ "custom_domain": domain.shown() })).created().tagged(revision))
}

async fn get(
    State(app): State<App>,
    caller: Caller,
    Path((_, given)): Path<(String, String)>,
) -> Result<Answer> {
    let domain = Domain::find(app.store().reads(), &caller.project, &given).await?;
    Ok(Answer::json(&json!({ "custom_domain": domain.shown() })).tagged(domain.rev))
}

/// A domain that a route uses stays.
async fn delete(
    State(app): State<App>,
    caller: Caller,
    Path((_, given)): Path<(String, String)>,
    condition: Condition,
) -> Result<Answer> {
    let mut write = app.store().write().await?;
    let found = Domain::find(write.reads(), &caller.project, &given).await?;
    let Domain { domain, rev, .. } = found;
    let using: Option<(String,)> = select(
        "SELECT domain FROM routes WHERE project_id = $1 AND (domain = $2 OR \
         (substr($2, 1, 2) = '*.' AND substr(domain, instr(domain, '.') + 1) = substr($2, 3))) \
         ORDER BY seq LIMIT 1",
    )
    .bind(&caller.project)
    .bind(&domain)
    .find(write.reads())
    .await?;
    if let Some((route,)) = using {
        return Err(Refusal::Conflict(format!("the route {route:?} uses the domain")));
    }
    let mut change = condition.admits(write, rev)?;
    sqlx::query("DELETE FROM custom_domains WHERE domain = $1")
        .bind(&domain)
        .execute(change.on())
        .await?;
    change.commit().await?;
    Ok(Answer::nothing())
}
