//! Which service accounts may use a user's secret: services that act for one of them may name it,
//! and nobody reads its value by that.

use axum::extract::State;
use serde::Deserialize;
use serde_json::json;

use super::page::{self, Tokens};
use super::secrets::{Asker, Owner, Secret};
use super::{Refusal, Result, Route};
use crate::platform::App;
use crate::platform::auth::Access;
use crate::platform::exchange::{Answer, Asked, Body};
use crate::platform::objects::roles;
use crate::platform::store::{Write, insert, of_row, select};

pub(super) fn routes() -> Vec<Route> {
    const ALL: &str = "/accounts/users/me/secrets/{secret}/access";
    const GRANT: &str = "/accounts/users/me/secrets/{secret}/access:grant-proxy";
    const REVOKE: &str = "/accounts/users/me/secrets/{secret}/access:revoke-proxy";
    vec![
        Route::get(ALL, Access::Signed, list),
        Route::post(GRANT, Access::Signed, grant),
        Route::post(REVOKE, Access::Signed, revoke),
    ]
}

/// An account that may use a secret.
struct Proxy {
    id: String,
    name: String,
    email: String,
    seq: i64,
}

of_row!(Proxy { id, name, email, seq });

async fn list(
    State(app): State<App>,
    Asker { principal, place }: Asker,
    Asked(tokens): Asked<Tokens>,
) -> Result<Answer> {
    const LIST: &str = "access_grants";
    let reads = app.store().reads();
    let secret = Owner::of(reads, &principal, &place).await?.secret(reads, &place).await?;
    let size = tokens.size(&app)?;
    let rows = sqlx::query_as(
        "SELECT accounts.id, accounts.name, accounts.email, secret_proxies.seq \
         FROM secret_proxies JOIN service_accounts AS accounts \
         ON accounts.id = secret_proxies.service_account_id \
         WHERE secret_proxies.secret_id = $1 AND ($2 IS NULL OR secret_proxies.seq > $2) \
         ORDER BY secret_proxies.seq LIMIT $3",
    )
    .bind(&secret.id)
    .bind(tokens.after_seq(LIST)?)
    .bind(size + 1)
    .fetch(reads);
    let item = |Proxy { id, name, email, .. }: &Proxy| {
        let subject = json!({"type": "service_account", "id": id, "name": name, "email": email});
        Ok(json!({ "subject": subject, "roles": ["use_proxy"] }))
    };
    page::of(&app, (LIST, size), rows, |proxy: &Proxy| proxy.seq.to_string(), item).await
}

#[derive(Deserialize)]
struct ProxyBody {
    subject: Subject,
}

#[derive(Deserialize)]
struct Subject {
    #[serde(rename = "type")]
    kind: String,
    id: String,
}

impl Subject {
    /// The account, which is one of the secret's project.
    async fn account(&self, write: &mut Write, secret: &Secret) -> Result<String> {
        if self.kind != "service_account" {
            return Err(Refusal::field("subject.type", "must be service_account"));
        }
        let found: Option<(String,)> =
            select("SELECT id FROM service_accounts WHERE project_id = $1 AND id = $2")
                .bind(&secret.project_id)
                .bind(&self.id)
                .find(write.reads())
                .await?;
        let message = || format!("service account {:?} does not exist", self.id);
        Ok(found.ok_or_else(|| Refusal::field("subject.id", message()))?.0)
    }
}

/// What was granted already stays.
async fn grant(
    State(app): State<App>,
    Asker { principal, place }: Asker,
    Body(ProxyBody { subject }): Body<ProxyBody>,
) -> Result<Answer> {
    let mut write = app.store().write().await?;
    let owner = Owner::of(write.reads(), &principal, &place).await?;
    let secret = owner.secret(write.reads(), &place).await?;
    let account = subject.account(&mut write, &secret).await?;
    if !is_granted(&mut write, &secret.id, &account).await? {
        let revision = write.revision().await?;
        insert(
            "INSERT INTO secret_proxies (secret_id, service_account_id, seq) VALUES ($1, $2, $3)",
        )
        .bind(&secret.id)
        .bind(&account)
        .bind(revision)
        .run(&mut write, || "the account may use the secret already".to_owned())
        .await?;
        write.commit().await?;
    }
    Ok(Answer::json(&json!({})))
}

/// Services that name the secret keep it: they are refused at their next change.
async fn revoke(
    State(app): State<App>,
    Asker { principal, place }: Asker,
    Body(ProxyBody { subject }): Body<ProxyBody>,
) -> Result<Answer> {
    let mut write = app.store().write().await?;
    let owner = Owner::of(write.reads(), &principal, &place).await?;
    let secret = owner.secret(write.reads(), &place).await?;
    let account = subject.account(&mut write, &secret).await?;
    roles::revoke_proxy(write, (&secret.id, &account)).await?;
    Ok(Answer::json(&json!({})))
}

/// Whether a service account may use a user's secret.
///
/// # Errors
///
/// The store failed.
pub async fn is_granted(write: &mut Write, secret: &str, account: &str) -> Result<bool> {
    let found: Option<(i64,)> =
        select("SELECT seq FROM secret_proxies WHERE secret_id = $1 AND service_account_id = $2")
            .bind(secret)
            .bind(account)
            .find(write.reads())
            .await?;
    Ok(found.is_some())
}
