//! Calling agents to the room: the call is posted to where the agent is, with a token by which it
//! may enter as a participant of its own.

use std::time::Duration;

use secrecy::SecretString;
use serde_json::{Map, Value, json};

use crate::api::http;
use crate::api::post::{self, Webhook};
use crate::platform::auth::token::{self, Claims, Grant};
use crate::platform::auth::{participant::Given, scope};
use crate::platform::error::{Refusal, Result};
use crate::platform::live::calls::{Caller, denied, refused};
use crate::platform::live::localhost::Helper;
use crate::platform::live::room::Room;
use crate::platform::objects::keys;
use crate::platform::objects::rooms::Room as StoredRoom;
use crate::room::agents::CallAgent;
use crate::room::codes;
use crate::room::content::Refused;
use crate::settings::is_insecure;

/// How long a callee may take to answer the call.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long the token of a callee may be used to enter, in seconds.
const SECONDS: u64 = 24 * 60 * 60;

/// Calls an agent to the room. It gets no more than the caller has.
pub async fn call(caller: &Caller, asked: CallAgent) -> std::result::Result<(), Refused> {
    let guest = &caller.guest;
    let own = guest.participant.scope().cloned().unwrap_or_default();
    let api = match asked.api.filter(|api| !api.is_null()) {
        Some(api) => match scope::excess(&api, own).map_err(|refusal| told(&refusal))? {
            None => api,
            Some(what) => {
                let text = format!("the call grants {what:?}, which is more than the caller has");
                return Err(Refused { text, ..denied() });
            }
        },
        None => match scope::excess(&scope::usual(), own.clone()) {
            Ok(None) => scope::usual(),
            _ => own,
        },
    };
    if let Some(helper) = Helper::at(&asked.url) {
        return helper.call(caller, api).await;
    }
    let signed = async {
        let given = guest.participant.given(caller.room.house.store.reads()).await?;
        admit(&caller.room, given, (&asked.name, "agent"), api).await
    };
    let token = signed.await.map_err(|refusal| told(&refusal))?;
    invite(&caller.room, &guest.room.1, &token, (&asked.url, asked.arguments)).await
}

/// The name of a room now: it may have been renamed since it began.
///
/// # Errors
///
/// The store failed.
async fn name_of(room: &Room) -> Result<String> {
    let row = StoredRoom::find_by_id(room.house.store.reads(), &room.project, &room.id).await?;
    Ok(row.map_or_else(|| room.name.clone(), |row| row.name))
}

/// A token by which another participant enters the room. It ends with what it is given for.
///
/// # Errors
///
/// The store failed.
pub async fn admit(
    room: &Room,
    given: Given,
    (name, role): (&str, &str),
    api: Value,
) -> Result<SecretString> {
    let store = &room.house.store;
    let (kid, secret) = keys::signing(store, &room.project).await?;
    let grant = |name: &str, scope: Value| Grant { name: name.to_owned(), scope };
    let claims = Claims {
        exp: Some(jsonwebtoken::get_current_timestamp() + SECONDS),
        name: name.to_owned(),
        grants: vec![
            grant("room", json!(name_of(room).await?)),
            grant("role", json!(role)),
            grant("api", api),
        ],
        version: token::VERSION.into(),
        kid,
        sub: room.project.clone(),
        principal: Some(serde_json::to_value(given)?),
    };
    token::sign(&claims, &secret).map(SecretString::from)
}

/// Posts a call to an agent, with the room's URL as it was reached, under the room's name of now.
///
/// # Errors
///
/// A URL to which a token may not be sent; no answer, or a refusal.
pub async fn invite(
    room: &Room,
    reached: &str,
    token: &SecretString,
    (url, arguments): (&str, Value),
) -> std::result::Result<(), Refused> {
    let is_web = |url: &url::Url| matches!(url.scheme(), "http" | "https");
    if !url::Url::parse(url).is_ok_and(|url| is_web(&url)) {
        return Err(Refused::invalid("the URL of an agent is neither http nor https"));
    }
    if !is_insecure() {
        http::refuse_plain(url).map_err(|error| Refused::invalid(error.to_string()))?;
    }
    let client = post::client(url).map_err(|error| Refused::new(error.to_string()))?;
    invite_by(&client, (room, reached), token, (url, arguments)).await
}

/// The same by a client of the caller's, who knows that the token is not sent in the open.
///
/// # Errors
///
/// No answer, or a refusal.
pub async fn invite_by(
    client: &reqwest::Client,
    (room, reached): (&Room, &str),
    token: &SecretString,
    (url, arguments): (&str, Value),
) -> std::result::Result<(), Refused> {
    use secrecy::ExposeSecret;
    let name = name_of(room).await.map_err(|refusal| told(&refusal))?;
    let mut room_url = url::Url::parse(reached).map_err(|error| Refused::new(error.to_string()))?;
    if let Ok(mut path) = room_url.path_segments_mut() {
        path.pop().push(&name);
    }
    let arguments = match arguments {
        Value::Object(arguments) => arguments,
        _ => Map::new(),
    };
    let body = json!({
        "event": "room.call",
        "data": {
            "room_url": room_url.as_str(),
            "room_name": name,
            "token": token.expose_secret(),
            "arguments": arguments,
        },
    });
    let webhook = Webhook {
        url,
        body: &body,
        id: None,
        secret: room.house.deliveries.secret(),
        patience: PATIENCE,
    };
    webhook
        .post_with(client)
        .await
        .map_err(|error| refused(codes::OPERATION_FAILED, crate::error::with_causes(&error)))
}

fn told(refusal: &Refusal) -> Refused {
    refused(codes::OPERATION_FAILED, refusal.to_string())
}
