//! Secrets of users and service accounts: one value a version, kept encrypted. Names may repeat, and
//! an id says which one is meant.
//!
//! Both owners share their handlers; the path says whose they are. A user's secrets are for a
//! project that the body names, and only the user sees them; those of an account are for all who
//! build in its project. What is `http_only` is never read again.

use axum::extract::{FromRequestParts, Path, State};
use axum::http::request::Parts;
use futures_util::TryStreamExt;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::accounts::Account;
use super::named;
use super::page::{self, Tokens};
use super::versions;
use super::{Refusal, Result, Route};
use crate::kinds::specs::rules;
use crate::platform::App;
use crate::platform::auth::{Access, Principal};
use crate::platform::exchange::{self, Answer, Asked, Body, Condition};
use crate::platform::objects::sessions::now;
use crate::platform::objects::versions::detach;
use crate::platform::objects::{stored, text_of};
use crate::platform::store::{Reads, insert, of_row, select};

pub(super) fn routes() -> Vec<Route> {
    const OWNERS: [(&str, Access); 2] = [
        ("/accounts/users/me/secrets", Access::Signed),
        ("/accounts/projects/{project}/service-accounts/{account}/secrets", Access::Write),
    ];
    const SEARCHES: [&str; 2] = [
        "/accounts/users/me/secrets:search",
        "/accounts/projects/{project}/service-accounts/{account}/secrets:search",
    ];
    const ONE: [&str; 2] = [
        "/accounts/users/me/secrets/{secret}",
        "/accounts/projects/{project}/service-accounts/{account}/secrets/{secret}",
    ];
    const PULLS: &str = "/accounts/projects/{project}/service-accounts/{account}/pull-secrets";
    const PULL: &str =
        "/accounts/projects/{project}/service-accounts/{account}/pull-secrets/{secret}";
    let mut routes = vec![
        Route::get(PULLS, Access::Write, pulls),
        Route::put(PULL, Access::Write, put_pull),
        Route::delete(PULL, Access::Write, delete_pull),
    ];
    for (number, (all, access)) in OWNERS.into_iter().enumerate() {
        routes.extend([
            Route::post(all, access, create),
            Route::get(all, access, list),
            Route::post(SEARCHES[number], access, search),
            Route::get(ONE[number], access, get),
            Route::patch(ONE[number], access, patch),
            Route::delete(ONE[number], access, delete),
        ]);
    }
    routes
}

/// What a path names.
#[derive(Deserialize)]
pub struct Place {
    project: Option<String>,
    account: Option<String>,
    secret: Option<String>,
    /// The version, and what is to be done with it.
    pub version: Option<String>,
}

/// The caller, and what the path names. Only users have secrets of their own, so nobody else gets
/// there.
pub struct Asker {
    /// The caller.
    pub principal: Principal,
    /// What the path names.
    pub place: Place,
}

impl FromRequestParts<App> for Asker {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self> {
        let principal = Principal::from_request_parts(parts, app).await?;
        let place = Path::<Place>::from_request_parts(parts, app).await;
        let Path(place) = place.map_err(|_| Refusal::NotFound("no such path".into()))?;
        if place.project.is_none() && principal.user().is_none() {
            let message = "only users have secrets of their own; service accounts have theirs below the project";
            return Err(Refusal::Forbidden(message.into()));
        }
        Ok(Self { principal, place })
    }
}

/// Whose secrets they are.
pub enum Owner {
    /// Those of a user.
    User(String),
    /// Those of a service account.
    Account { id: String, project: String },
}

impl Owner {
    /// The owner that a path names.
    pub async fn of(reads: impl Reads, principal: &Principal, place: &Place) -> Result<Self> {
        if let (Some(project), Some(account)) = (&place.project, &place.account) {
            let id = named::by_id::<Account>(reads, project, account).await?.row.id;
            return Ok(Self::Account { id, project: project.clone() });
        }
        Ok(Self::User(principal.resolve("me")?.to_owned()))
    }

    /// The columns `user_id` and `service_account_id`.
    fn columns(&self) -> (Option<&str>, Option<&str>) {
        match self {
            Self::User(id) => (Some(id), None),
            Self::Account { id, .. } => (None, Some(id)),
        }
    }

    /// The secret with an id, if it is the owner's.
    pub async fn secret(&self, reads: impl Reads, place: &Place) -> Result<Secret> {
        let id = place.secret.as_deref().unwrap_or_default();
        let (user, account) = self.columns();
        select(
            "SELECT * FROM held_secrets WHERE id = $1 \
             AND user_id IS $2 AND service_account_id IS $3",
        )
        .bind(id)
        .bind(user)
        .bind(account)
        .find(reads)
        .await?
        .ok_or_else(|| Refusal::missing("secret", id))
    }
}

/// A secret as it is stored, without values.
pub struct Secret {
    /// Its id.
    pub id: String,
    /// Its project.
    pub project_id: String,
    user_id: Option<String>,
    service_account_id: Option<String>,
    name: String,
    kind: String,
    /// Whether its value is never read again.
    pub http_only: bool,
    metadata: String,
    annotations: String,
    /// The version that is used.
    pub current_version_id: Option<String>,
    created_by: Option<String>,
    created_at: String,
    updated_at: String,
    seq: i64,
    rev: i64,
}

of_row!(Secret {
    id,
    project_id,
    user_id,
    service_account_id,
    name,
    kind = "type",
    http_only,
    metadata,
    annotations,
    current_version_id,
    created_by,
    created_at,
    updated_at,
    seq,
    rev
});

impl Secret {
    fn whole(&self) -> Result<Value> {
        Ok(json!({
            "id": self.id,
            "project_id": self.project_id,
            "owner_user_id": self.user_id,
            "owner_service_account_id": self.service_account_id,
            "created_by_user_id": self.created_by,
            "type": self.kind,
            "name": self.name,
            "http_only": self.http_only,
            "metadata": stored(&self.metadata)?,
            "annotations": stored(&self.annotations)?,
            "current_version_id": self.current_version_id,
            "created_at": self.created_at,
            "updated_at": self.updated_at,
        }))
    }

    fn item(&self) -> Result<Value> {
        let mut item = self.whole()?;
        item["etag"] = json!(exchange::tag(self.rev));
        Ok(item)
    }
}

fn opaque() -> String {
    "opaque".to_owned()
}

#[derive(Deserialize)]
struct NewSecret {
    project_id: Option<String>,
    name: String,
    #[serde(rename = "type", default = "opaque")]
    kind: String,
    #[serde(default)]
    http_only: bool,
    metadata: Option<Map<String, Value>>,
    annotations: Option<Map<String, Value>>,
}

fn check(
    (name, kind): (Option<&String>, Option<&String>),
    maps: [(&str, Option<&Map<String, Value>>); 2],
) -> Result<()> {
    for (field, text) in [("name", name), ("type", kind)] {
        text.map_or(Ok(()), |text| rules::name(text)).map_err(Refusal::at(field))?;
    }
    for (field, map) in maps {
        map.map_or(Ok(()), rules::texts_of).map_err(Refusal::at(field))?;
        let size = map.map(serde_json::to_string).transpose()?;
        rules::annotations_size(size.map_or(0, |text| text.len())).map_err(Refusal::at(field))?;
    }
    Ok(())
}

/// A secret has no value until a version is added.
async fn create(
    State(app): State<App>,
    Asker { principal, place }: Asker,
    Body(new): Body<NewSecret>,
) -> Result<Answer> {
    let maps = [("metadata", new.metadata.as_ref()), ("annotations", new.annotations.as_ref())];
    check((Some(&new.name), Some(&new.kind)), maps)?;
    let mut write = app.store().write().await?;
    let owner = Owner::of(write.reads(), &principal, &place).await?;
    let project = match &owner {
        Owner::Account { project, .. } => project.clone(),
        Owner::User(user) => {
            let asked = new.project_id.as_deref().unwrap_or_default();
            let found: Option<(String,)> =
                select("SELECT project_id FROM members WHERE project_id = $1 AND user_id = $2")
                    .bind(asked)
                    .bind(user)
                    .find(write.reads())
                    .await?;
            let refused = || Refusal::field("project_id", "is not one of your projects");
            found.ok_or_else(refused)?.0
        }
    };
    let (user, account) = owner.columns();
    let time = now();
    let revision = write.revision().await?;
    let secret = Secret {
        id: Uuid::new_v4().to_string(),
        project_id: project,
        user_id: user.map(str::to_owned),
        service_account_id: account.map(str::to_owned),
        name: new.name,
        kind: new.kind,
        http_only: new.http_only,
        metadata: text_of(new.metadata.as_ref())?,
        annotations: text_of(new.annotations.as_ref())?,
        current_version_id: None,
        created_by: principal.user().map(str::to_owned),
        created_at: time.clone(),
        updated_at: time,
        seq: revision,
        rev: revision,
    };
    insert(
        "INSERT INTO held_secrets (id, project_id, user_id, service_account_id, name, type, \
         http_only, metadata, annotations, created_by, created_at, updated_at, seq, rev) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $11, $12, $12)",
    )
    .bind(&secret.id)
    .bind(&secret.project_id)
    .bind(&secret.user_id)
    .bind(&secret.service_account_id)
    .bind(&secret.name)
    .bind(&secret.kind)
    .bind(secret.http_only)
    .bind(&secret.metadata)
    .bind(&secret.annotations)
    .bind(&secret.created_by)
    .bind(&secret.created_at)
    .bind(revision)
    .run(&mut write, || "the secret already exists".to_owned())
    .await?;
    write.commit().await?;
    Ok(Answer::json(&secret.whole()?).created().tagged(revision))
}

/// What secrets are looked for by.
#[derive(Default, Deserialize)]
struct Search {
    #[serde(flatten)]
    tokens: Tokens,
    name: Option<String>,
    #[serde(rename = "type")]
    kind: Option<String>,
    http_only: Option<bool>,
    metadata: Option<Map<String, Value>>,
    annotations: Option<Map<String, Value>>,
}

impl Search {
    fn finds(&self, secret: &Secret) -> bool {
        let has = |wanted: &Option<Map<String, Value>>, text: &str| {
            let there = stored(text).unwrap_or_default();
            wanted.iter().flatten().all(|(name, value)| there.get(name) == Some(value))
        };
        self.name.as_ref().is_none_or(|name| *name == secret.name)
            && self.kind.as_ref().is_none_or(|kind| *kind == secret.kind)
            && self.http_only.is_none_or(|http_only| http_only == secret.http_only)
            && has(&self.metadata, &secret.metadata)
            && has(&self.annotations, &secret.annotations)
    }
}

/// The names of metadata that a search takes as fields of its own.
const OF_METADATA: [&str; 8] = [
    "provider",
    "service",
    "account",
    "username",
    "email",
    "url",
    "oauth_provider",
    "oauth_scopes",
];

async fn list(
    State(app): State<App>,
    Asker { principal, place }: Asker,
    Asked(tokens): Asked<Tokens>,
) -> Result<Answer> {
    found(&app, &principal, &place, Search { tokens, ..Search::default() }).await
}

async fn search(
    State(app): State<App>,
    Asker { principal, place }: Asker,
    Body(mut body): Body<Map<String, Value>>,
) -> Result<Answer> {
    let of_metadata = OF_METADATA.map(|name| Some((name.to_owned(), body.remove(name)?)));
    let of_metadata = of_metadata.into_iter().flatten().filter(|(_, value)| !value.is_null());
    let of_metadata: Map<String, Value> = of_metadata.collect();
    let mut search: Search = exchange::decode(Value::Object(body))?;
    search.metadata.get_or_insert_default().extend(of_metadata);
    found(&app, &principal, &place, search).await
}

async fn found(app: &App, principal: &Principal, place: &Place, search: Search) -> Result<Answer> {
    const LIST: &str = "secrets";
    let reads = app.store().reads();
    let owner = Owner::of(reads, principal, place).await?;
    let (user, account) = owner.columns();
    let size = search.tokens.size(app)?;
    let rows = sqlx::query_as(
        "SELECT * FROM held_secrets WHERE user_id IS $1 AND service_account_id IS $2 \
         AND ($3 IS NULL OR seq > $3) \
         AND ($4 IS NULL OR instr(lower(name || ' ' || type), lower($4)) > 0) ORDER BY seq",
    )
    .bind(user)
    .bind(account)
    .bind(search.tokens.after_seq(LIST)?)
    .bind(&search.tokens.filter)
    .fetch(reads);
    let rows = rows.try_filter(|row: &Secret| std::future::ready(search.finds(row)));
    page::of(app, (LIST, size), rows, |row: &Secret| row.seq.to_string(), Secret::item).await
}

#[derive(Deserialize)]
struct WithValue {
    #[serde(default)]
    include_value: bool,
}

async fn get(
    State(app): State<App>,
    Asker { principal, place }: Asker,
    Asked(WithValue { include_value }): Asked<WithValue>,
) -> Result<Answer> {
    let reads = app.store().reads();
    let owner = Owner::of(reads, &principal, &place).await?;
    let secret = owner.secret(reads, &place).await?;
    let mut whole = secret.whole()?;
    if let Some(version) = secret.current_version_id.as_ref().filter(|_| include_value)
        && !secret.http_only
    {
        whole["value_base64"] = json!(versions::opened(&app, &secret, version).await?);
    }
    Ok(Answer::json(&whole).tagged(secret.rev))
}

/// What is changed of a secret: what is given.
#[derive(Deserialize)]
struct SecretChange {
    name: Option<String>,
    #[serde(rename = "type")]
    kind: Option<String>,
    http_only: Option<bool>,
    metadata: Option<Map<String, Value>>,
    annotations: Option<Map<String, Value>>,
}

/// What was never to be read stays so: `http_only` is not taken back.
async fn patch(
    State(app): State<App>,
    Asker { principal, place }: Asker,
    condition: Condition,
    Body(body): Body<SecretChange>,
) -> Result<Answer> {
    let maps = [("metadata", body.metadata.as_ref()), ("annotations", body.annotations.as_ref())];
    check((body.name.as_ref(), body.kind.as_ref()), maps)?;
    let mut write = app.store().write().await?;
    let owner = Owner::of(write.reads(), &principal, &place).await?;
    let mut secret = owner.secret(write.reads(), &place).await?;
    if secret.http_only && body.http_only == Some(false) {
        return Err(Refusal::field("http_only", "cannot be taken back: make another secret"));
    }
    let mut change = condition.admits(write, secret.rev)?;
    secret.name = body.name.unwrap_or(secret.name);
    secret.kind = body.kind.unwrap_or(secret.kind);
    secret.http_only = body.http_only.unwrap_or(secret.http_only);
    if let Some(metadata) = &body.metadata {
        secret.metadata = serde_json::to_string(metadata)?;
    }
    if let Some(annotations) = &body.annotations {
        secret.annotations = serde_json::to_string(annotations)?;
    }
    secret.updated_at = now();
    secret.rev = change.revision().await?;
    sqlx::query(
        "UPDATE held_secrets SET name = $1, type = $2, http_only = $3, metadata = $4, \
         annotations = $5, updated_at = $6, rev = $7 WHERE id = $8",
    )
    .bind(&secret.name)
    .bind(&secret.kind)
    .bind(secret.http_only)
    .bind(&secret.metadata)
    .bind(&secret.annotations)
    .bind(&secret.updated_at)
    .bind(secret.rev)
    .bind(&secret.id)
    .execute(change.on())
    .await?;
    change.commit().await?;
    Ok(Answer::json(&secret.whole()?).tagged(secret.rev))
}

/// A secret that a service or an agent names stays.
async fn delete(
    State(app): State<App>,
    Asker { principal, place }: Asker,
    condition: Condition,
) -> Result<Answer> {
    let mut write = app.store().write().await?;
    let owner = Owner::of(write.reads(), &principal, &place).await?;
    let secret = owner.secret(write.reads(), &place).await?;
    let referrer: Option<(String, String)> = select(
        "SELECT 'service', services.name FROM service_held_secrets \
         JOIN services ON services.id = service_held_secrets.service_id \
         WHERE service_held_secrets.secret_id = $1 \
         UNION ALL SELECT 'agent', agents.name FROM agent_held_secrets \
         JOIN agents ON agents.id = agent_held_secrets.agent_id \
         WHERE agent_held_secrets.secret_id = $1 LIMIT 1",
    )
    .bind(&secret.id)
    .find(write.reads())
    .await?;
    if let Some((what, name)) = referrer {
        let message = format!("the {what} {name:?} refers to the secret");
        return Err(Refusal::Conflict(message));
    }
    let mut change = condition.admits(write, secret.rev)?;
    sqlx::query("DELETE FROM held_secrets WHERE id = $1")
        .bind(&secret.id)
        .execute(change.on())
        .await?;
    change.commit().await?;
    Ok(Answer::nothing())
}

async fn pulls(State(app): State<App>, Asker { principal, place }: Asker) -> Result<Answer> {
    let reads = app.store().reads();
    let owner = Owner::of(reads, &principal, &place).await?;
    let (_, account) = owner.columns();
    let rows = sqlx::query_as(
        "SELECT held_secrets.* FROM pull_secrets \
         JOIN held_secrets ON held_secrets.id = pull_secrets.secret_id \
         WHERE pull_secrets.service_account_id = $1 ORDER BY pull_secrets.seq",
    )
    .bind(account)
    .fetch(reads);
    Answer::list(&app, "secrets", rows, Secret::item).await
}

/// Attaches a secret of the account; one that is attached stays so.
async fn put_pull(State(app): State<App>, Asker { principal, place }: Asker) -> Result<Answer> {
    let mut write = app.store().write().await?;
    let owner = Owner::of(write.reads(), &principal, &place).await?;
    let secret = owner.secret(write.reads(), &place).await?;
    let there: Option<(i64,)> = select("SELECT seq FROM pull_secrets WHERE secret_id = $1")
        .bind(&secret.id)
        .find(write.reads())
        .await?;
    if there.is_none() {
        let revision = write.revision().await?;
        insert("INSERT INTO pull_secrets (service_account_id, secret_id, seq) VALUES ($1, $2, $3)")
            .bind(&secret.service_account_id)
            .bind(&secret.id)
            .bind(revision)
            .run(&mut write, || "the secret is attached already".to_owned())
            .await?;
        write.commit().await?;
    }
    Ok(Answer::json(&json!({})))
}

async fn delete_pull(State(app): State<App>, Asker { principal, place }: Asker) -> Result<Answer> {
    let mut write = app.store().write().await?;
    let owner = Owner::of(write.reads(), &principal, &place).await?;
    let secret = owner.secret(write.reads(), &place).await?;
    detach(write, &secret.id).await?;
    Ok(Answer::nothing())
}
