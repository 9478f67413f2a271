//! Custom domains: those that a project has for its routes.
//!
//! Nothing here asks name servers or gets certificates, so a domain stays `pending_dns` and is not
//! available, and routes need none. What holds all the same: a domain is of one project, and it stays
//! as long as one of the project's routes uses it.

use axum::extract::{Path, State};
use serde::Deserialize;
use serde_json::{Value, json};

use super::super::plain::{self, Draft, Resource};
use super::named;
use super::page::{self, Filtered};
use super::{Refusal, Result, Route};
use crate::kinds::specs::rules;
use crate::platform::App;
use crate::platform::auth::{Access, Caller};
use crate::platform::exchange::{Answer, Body};
use crate::platform::objects::sessions::now;
use crate::platform::store::{Write, insert, of_row, select};

pub(super) fn routes() -> Vec<Route> {
    const ALL: &str = "/accounts/projects/{project}/custom-domains";
    const ONE: &str = "/accounts/projects/{project}/custom-domains/{domain}";
    vec![
        Route::get(ALL, Access::Read, page::list::<Domain>),
        Route::post(ALL, Access::Write, create),
        Route::get(ONE, Access::Read, get),
        Route::delete(ONE, Access::Write, plain::delete::<Domain>),
    ]
}

/// A domain as it is stored.
struct Domain {
    domain: String,
    project_id: String,
    created_at: String,
}

of_row!(Domain { domain, project_id, created_at });

impl Resource for Domain {
    const TABLE: &'static str = "custom_domains";
    const KEY: &'static str = "domain";
    const NOUN: &'static str = "custom domain";
    const LIST: &'static str = "custom_domains";

    fn key(given: &str) -> String {
        given.to_lowercase()
    }

    fn whole(&self) -> Result<Value> {
        Ok(json!({
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
        }))
    }

    /// A domain that a route uses stays.
    async fn spare(&self, write: &mut Write, _: Option<&Draft>) -> Result<()> {
        let using: Option<(String,)> = select(
            "SELECT domain FROM routes WHERE project_id = $1 AND (domain = $2 OR \
             (substr($2, 1, 2) = '*.' AND substr(domain, instr(domain, '.') + 1) = substr($2, 3))) \
             ORDER BY seq LIMIT 1",
        )
        .bind(&self.project_id)
        .bind(&self.domain)
        .find(write.reads())
        .await?;
        match using {
            Some((route,)) => {
                Err(Refusal::Conflict(format!("the route {route:?} uses the domain")))
            }
            None => Ok(()),
        }
    }
}

impl Filtered for Domain {
    const FILTER: &'static str = "domain";
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
    let domain = Domain { domain, project_id, created_at };
    Ok(Answer::json(&json!({ "custom_domain": domain.whole()? })).created().tagged(revision))
}

async fn get(
    State(app): State<App>,
    caller: Caller,
    Path((_, given)): Path<(String, String)>,
) -> Result<Answer> {
    let found = named::by_id::<Domain>(app.store().reads(), &caller.project, &given).await?;
    Ok(Answer::json(&json!({ "custom_domain": found.row.whole()? })).tagged(found.rev))
}
