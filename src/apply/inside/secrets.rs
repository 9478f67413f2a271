//! Secrets of rooms. The room was entered as whoever they belong to.

use secrecy::{ExposeSecret, SecretBox};
use serde_json::{Value, json};

use super::{Failed, odd, query};
use crate::api::request::{Body, Method, Request};
use crate::dialect::inside::PLAIN;
use crate::room::client::Room;
use crate::room::secrets::{Delete, Get, Info, List, Set};

/// Carries out a request about a secret; its fields, if it was read.
pub(super) async fn carry_out(
    room: &Room,
    (identity, name): (&str, &str),
    request: &Request,
) -> Result<Option<Value>, Failed> {
    let delegated_to = query(request, "delegated_to").map(str::to_owned);
    let is_it = |info: &Info| info.id == name && info.delegated_to == delegated_to;
    let listed = async || room.perform(&List {}).await.map(|it| it.secrets.into_iter().find(is_it));
    match (request.method, &request.body) {
        (Method::Get, _) => {
            let info = listed().await?.ok_or_else(Failed::missing)?;
            let get = Get {
                secret_id: Some(name.to_owned()),
                kind: None,
                name: None,
                delegated_to: delegated_to.clone(),
            };
            let held = room.perform(&get).await?.ok_or_else(Failed::missing)?;
            // What is no text is none that was declared.
            let value = String::from_utf8_lossy(held.data.expose_secret()).into_owned();
            let mut fields = json!({"identity": identity, "type": info.kind, "value": value});
            if let Some(whom) = delegated_to {
                fields["delegated_to"] = whom.into();
            }
            Ok(Some(fields))
        }
        (Method::Post, Body::Json(body)) => {
            if listed().await?.is_some() {
                return Err(Failed::exists());
            }
            set(room, (name, delegated_to), body).await
        }
        (Method::Put, Body::Json(body)) => set(room, (name, delegated_to), body).await,
        (Method::Delete, _) => {
            if listed().await?.is_none() {
                return Err(Failed::missing());
            }
            room.perform(&Delete { id: name.to_owned(), delegated_to }).await?;
            Ok(None)
        }
        (method, _) => Err(odd(method)),
    }
}

async fn set(
    room: &Room,
    (name, delegated_to): (&str, Option<String>),
    body: &Value,
) -> Result<Option<Value>, Failed> {
    let text = |field: &str| body.get(field).and_then(Value::as_str);
    let set = Set {
        secret_id: Some(name.to_owned()),
        kind: Some(text("type").unwrap_or(PLAIN).to_owned()),
        name: Some(name.to_owned()),
        delegated_to,
        for_identity: None,
        has_data: Some(true),
        data: SecretBox::new(Box::new(text("value").unwrap_or_default().as_bytes().to_vec())),
    };
    room.perform(&set).await?;
    Ok(None)
}
