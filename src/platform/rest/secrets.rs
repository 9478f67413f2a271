//! Project secrets. Values are never returned: lists mask them, and they are stored encrypted.

use std::collections::BTreeMap;

use axum::extract::State;
use futures_util::TryStreamExt;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sqlx::Row;
use sqlx::sqlite::SqliteRow;
use uuid::Uuid;

use super::Route;
use super::columns::Columns;
use super::plain::{self, Draft, Plain, Resource, Stored};
use crate::kinds::specs::rules::{self, MASK, Rule};
use crate::platform::App;
use crate::platform::auth::{Access, Caller};
use crate::platform::error::{Refusal, Result};
use crate::platform::exchange::{self, Answer, Listing};
use crate::platform::store::{SECRET_DATA, Store, Write, of_row, select};

pub(super) fn routes() -> Vec<Route> {
    const ALL: &str = "/accounts/projects/{project}/secrets";
    const ONE: &str = "/accounts/projects/{project}/secrets/{secret}";
    vec![
        Route::post(ALL, Access::Write, plain::create::<Secret>),
        Route::get(ALL, Access::Read, list),
        Route::put(ONE, Access::Write, plain::put::<Secret>),
        Route::delete(ONE, Access::Write, plain::delete::<Secret>),
    ]
}

#[derive(Deserialize)]
struct SecretBody {
    name: String,
    #[serde(rename = "type")]
    kind: String,
    data: Value,
}

/// A registry credential; registries require the address, and nobody uses it.
#[derive(Deserialize, Serialize)]
struct Docker {
    server: String,
    username: String,
    password: String,
    #[serde(default = "no_email")]
    email: String,
}

fn no_email() -> String {
    "none@example.com".into()
}

impl SecretBody {
    /// The name, the type and the data, checked against the type.
    fn checked(self) -> Result<(String, String, SecretString)> {
        rules::name(&self.name).map_err(Refusal::at("name"))?;
        for (key, value) in self.data.as_object().into_iter().flatten() {
            let text = value.as_str().unwrap_or_default();
            Rule::Unmasked.check(text).map_err(Refusal::at(&format!("data.{key}")))?;
        }
        let data = match self.kind.as_str() {
            "docker" => serde_json::to_string(&within_data::<Docker>(self.data)?)?,
            "keys" => serde_json::to_string(&within_data::<BTreeMap<String, String>>(self.data)?)?,
            _ => return Err(Refusal::field("type", "must be \"keys\" or \"docker\"")),
        };
        Ok((self.name, self.kind, data.into()))
    }
}

/// Decodes the data, and names fields below `data`. The text of a wrong value is not
/// repeated, since it is a secret.
fn within_data<T: serde::de::DeserializeOwned>(data: Value) -> Result<T> {
    exchange::decode(data).map_err(|refusal| match refusal {
        Refusal::Invalid { field: Some(field), .. } => {
            Refusal::field(format!("data.{field}"), "must be text")
        }
        _ => Refusal::field("data", "must be an object of texts"),
    })
}

struct Secret {
    id: String,
    name: String,
    kind: String,
    data: String,
}

of_row!(Secret { id, name, kind = "type", data });

impl Resource for Secret {
    const TABLE: &'static str = "secrets";
    const KEY: &'static str = "id";
    const NOUN: &'static str = "secret";

    /// Its data is not here: only the vault knows which values there are to mask.
    fn whole(&self) -> Result<Value> {
        Ok(json!({ "id": self.id, "name": self.name, "type": self.kind }))
    }

    /// A secret that a service refers to stays, and keeps its type.
    async fn spare(&self, write: &mut Write, draft: Option<&Draft>) -> Result<()> {
        let kind = draft.map(|draft| draft.columns.get("type"));
        if kind == Some(Some(&self.kind)) {
            return Ok(());
        }
        let service: Option<(String,)> = select(
            "SELECT services.name FROM service_secrets \
             JOIN services ON services.id = service_secrets.service_id \
             WHERE service_secrets.secret_id = $1 ORDER BY services.seq LIMIT 1",
        )
        .bind(&self.id)
        .find(write.reads())
        .await?;
        let Some((service,)) = service else { return Ok(()) };
        Err(Refusal::Conflict(match kind {
            Some(_) => {
                format!("the service {service:?} needs the secret to be of type {}", self.kind)
            }
            None => format!("the service {service:?} refers to the secret"),
        }))
    }
}

impl Plain for Secret {
    type New = SecretBody;
    type Change = SecretBody;

    fn create(new: SecretBody) -> Result<(String, Draft)> {
        Ok((Uuid::new_v4().to_string(), Self::change(new)?))
    }

    /// A secret is replaced as a whole.
    fn change(body: SecretBody) -> Result<Draft> {
        let (name, kind, data) = body.checked()?;
        let taken = format!("a secret named {name:?} already exists");
        let columns = Columns::default().text("name", name).text("type", kind).secret(
            "data",
            SECRET_DATA,
            data,
        );
        Ok(Draft { columns, room: None, taken })
    }

    fn written(row: &SqliteRow, _is_new: bool) -> Result<Value> {
        Ok(json!({ "id": row.try_get::<String, _>("id")? }))
    }
}

impl Secret {
    /// The values, masked.
    async fn masked(&self, store: &Store) -> Result<Value> {
        let at = (SECRET_DATA, self.id.as_str());
        let plain = store.vault().open_value(store.reads(), at, &self.data).await?;
        let plain = plain.expose_secret();
        if self.kind == "docker" {
            let docker: Docker = serde_json::from_str(plain)?;
            return Ok(serde_json::to_value(Docker { password: MASK.into(), ..docker })?);
        }
        let keys: BTreeMap<String, serde::de::IgnoredAny> = serde_json::from_str(plain)?;
        Ok(keys.into_keys().map(|key| (key, json!(MASK))).collect())
    }
}

async fn list(State(app): State<App>, caller: Caller) -> Result<Answer> {
    let rows = plain::question::<Secret>("project_id = $1 ORDER BY seq");
    let mut rows = sqlx::query_as(rows).bind(&caller.project).fetch(app.store().reads());
    let mut list = Listing::new(Secret::LIST);
    while let Some(Stored { row, rev, .. }) = rows.try_next().await? {
        let row: Secret = row;
        let mut item = row.whole()?;
        item["data"] = row.masked(app.store()).await?;
        item["etag"] = json!(exchange::tag(rev));
        list.push(&app, item).await?;
    }
    list.end(&app).await?;
    Ok(Answer::listed(list))
}
