//! The secrets that services name, with their values: for the containers that are given them, and for
//! nobody else.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use meshagent_containers::Credentials;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use crate::platform::error::{Refusal, Result};
use crate::platform::store::{HELD_VALUE, SECRET_DATA, Store, select};

/// The pairs of a project's secret of type `keys`, if a service names it.
///
/// # Errors
///
/// There is none, as a phrase with its id; the store failed.
pub async fn keys(
    store: &Store,
    service: &str,
    secret: &str,
) -> Result<BTreeMap<String, SecretString>> {
    let text = of_project(store, (service, secret), "keys").await?;
    let pairs: BTreeMap<String, String> = serde_json::from_str(text.expose_secret())?;
    Ok(pairs.into_iter().map(|(name, value)| (name, value.into())).collect())
}

/// What a service pulls its image with, if it names that: a secret of the project, or one of a
/// user or a service account.
///
/// # Errors
///
/// As [`keys`]; its value is no name and password.
pub async fn registry(store: &Store, service: &str, secret: &str) -> Result<Credentials> {
    let text = match held(store, service, secret).await? {
        Some(held) => held.value,
        None => of_project(store, (service, secret), "docker").await?,
    };
    let unread = |_| {
        let message = format!("the secret {secret:?} holds no name and password of a registry");
        Refusal::Conflict(message)
    };
    #[derive(Deserialize)]
    struct Parts {
        server: String,
        username: String,
        password: String,
    }
    let Parts { server, username, password } =
        serde_json::from_str(text.expose_secret()).map_err(unread)?;
    Ok(Credentials { registry: server, username, password: password.into() })
}

async fn of_project(
    store: &Store,
    (service, secret): (&str, &str),
    kind: &str,
) -> Result<SecretString> {
    let found: Option<(String,)> = select(
        "SELECT secrets.data FROM service_secrets \
         JOIN secrets ON secrets.id = service_secrets.secret_id \
         WHERE service_secrets.service_id = $1 AND secrets.id = $2 AND secrets.type = $3",
    )
    .bind(service)
    .bind(secret)
    .bind(kind)
    .find(store.reads())
    .await?;
    let (sealed,) = found.ok_or_else(|| Refusal::missing("secret", secret))?;
    store.vault().open_value(store.reads(), (SECRET_DATA, secret), &sealed).await
}

/// A secret of a user or a service account.
pub struct Held {
    /// Whether its value is used only in requests, and never read.
    pub http_only: bool,
    /// The value of its version of now.
    pub value: SecretString,
}

/// A secret of a user or a service account, if there is one that a service names.
///
/// # Errors
///
/// It has no value, or none that is text; the store failed.
pub async fn held(store: &Store, service: &str, secret: &str) -> Result<Option<Held>> {
    let found: Option<(bool, Option<String>, Option<String>)> = select(
        "SELECT held_secrets.http_only, secret_versions.id, secret_versions.value \
         FROM service_held_secrets \
         JOIN held_secrets ON held_secrets.id = service_held_secrets.secret_id \
         LEFT JOIN secret_versions ON secret_versions.id = held_secrets.current_version_id \
         WHERE service_held_secrets.service_id = $1 AND held_secrets.id = $2",
    )
    .bind(service)
    .bind(secret)
    .find(store.reads())
    .await?;
    let Some((http_only, version, sealed)) = found else { return Ok(None) };
    let (Some(version), Some(sealed)) = (version, sealed) else {
        return Err(Refusal::Conflict(format!("the secret {secret:?} has no value")));
    };
    let at = (HELD_VALUE, version.as_str());
    let encoded = store.vault().open_value(store.reads(), at, &sealed).await?;
    let bytes = STANDARD.decode(encoded.expose_secret()).map_err(Refusal::internal)?;
    let no_text = |_| Refusal::Conflict(format!("the value of the secret {secret:?} is no text"));
    let value = String::from_utf8(bytes).map_err(no_text)?.into();
    Ok(Some(Held { http_only, value }))
}
