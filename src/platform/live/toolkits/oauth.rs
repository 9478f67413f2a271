//! Tokens for which participants sign in elsewhere. They are secrets of rooms, too: one belongs to an
//! identity, and is renewed when it is old.

use std::sync::Arc;

use secrecy::{ExposeSecret, SecretBox, SecretString};
use serde_json::{Value, json};

use super::secrets::{declined, delegate, identity, patience, told};
use crate::platform::digest;
use crate::platform::live::calls::{Caller, refused};
use crate::platform::live::requests::What;
use crate::platform::live::room::Room;
use crate::platform::live::tokens::{self, ADDRESS, Client, Credential};
use crate::platform::objects::room_secrets::{self, New, Origin, Stored, Wanted};
use crate::room::codes;
use crate::room::content::Refused;
use crate::room::secrets::{
    AUTHORIZATION_REQUESTED, GetToken, OAuthClient, ProvideAuthorization, RequestToken, Token,
};

/// The type of tokens, as they are listed.
const KIND: &str = "oauth";

/// How long a code may be, in bytes.
const CODE: usize = 4096;

/// How large the description of a connector may be, as JSON, in bytes.
const CONNECTOR: usize = 4096;

/// A token for the caller. One that is kept is renewed if it is old; without one, another
/// participant is asked to sign in.
pub async fn request(caller: &Caller, asked: RequestToken) -> Result<Token, Refused> {
    let owner = identity(caller)?.to_owned();
    let client = Client::of(described(asked.oauth)?)?;
    let delegated_to = delegate(&owner, asked.delegate_to)?;
    let patience = patience(asked.timeout.as_ref())?;
    let redirect_uri = asked.redirect_uri;
    if redirect_uri.is_empty() || redirect_uri.len() > ADDRESS {
        let text = format!("redirect_uri is not an address of 1 to {ADDRESS} bytes");
        return Err(Refused::invalid(text));
    }
    let connector = asked.connector.unwrap_or(Value::Null);
    if connector.to_string().len() > CONNECTOR {
        return Err(Refused::invalid(format!("connector has more than {CONNECTOR} bytes")));
    }
    let key = client.key();
    let wanted = Wanted {
        reader: &owner,
        delegated_to: Some(delegated_to.as_str()).filter(|whom| !whom.is_empty()),
        delegated_by: None,
        is_token: true,
        secret_id: Some(&key),
        kind: None,
        name: None,
    };
    if let Some(token) = kept(caller, wanted, &client).await? {
        return Ok(Token { access_token: Some(token) });
    }
    let provider = caller.room.asked(&asked.participant_id)?.name.clone();
    let verifier = if client.no_pkce { None } else { Some(tokens::verifier()?) };
    let message = |request: &str| {
        let about = json!({
            "connector": connector,
            "oauth": client.told(),
            "redirect_uri": redirect_uri,
            "participant_id": asked.participant_id,
            "timeout": patience.as_secs(),
            "delegate_to": Some(&delegated_to).filter(|whom| !whom.is_empty()),
        });
        let challenge = verifier.as_ref().map(|verifier| digest::of(verifier.expose_secret()));
        let header = json!({"request_id": request, "request": about, "challenge": challenge});
        (AUTHORIZATION_REQUESTED, header)
    };
    let whom = (asked.participant_id.as_str(), What::Authorization);
    let code = caller.room.request(&caller.guest, whom, patience, message).await?;
    let place = caller.room.endpoints.place().await?;
    // Somebody has signed in for it, so it is kept even if the caller leaves now.
    let room = Arc::clone(&caller.room);
    let work = async move {
        let how = (redirect_uri.as_str(), verifier.as_ref());
        let credential = tokens::exchange(&client, &code, how).await?;
        drop(place);
        let new = New {
            owner: &owner,
            delegated_to: &delegated_to,
            origin: Origin::OAuth,
            secret_id: &key,
            kind: KIND,
            name: &name(&client),
            provider: Some(&provider),
        };
        keep(&room, new, &credential).await?;
        Ok(Token { access_token: credential.access_token })
    };
    caller.room.to_the_end(work).await
}

/// The program for which a token is asked.
fn described(oauth: Option<OAuthClient>) -> Result<OAuthClient, Refused> {
    let text = "the embedded platform looks nothing up for a connector: give oauth, too, with client_id, \
                authorization_endpoint and token_endpoint";
    oauth.ok_or_else(|| refused(codes::DEPENDENCY_MISSING, text))
}

/// What a token is listed as.
fn name(client: &Client) -> String {
    let name = format!("{} at {}", client.id, client.authorization_endpoint);
    name.chars().take(256).collect()
}

/// Answers a request for a sign-in.
pub async fn provide(caller: &Caller, asked: ProvideAuthorization) -> Result<(), Refused> {
    let answer = match (asked.code, asked.error) {
        (_, Some(reason)) => Err(declined(&reason)),
        (Some(code), None) if code.expose_secret().len() <= CODE => {
            Ok(SecretBox::new(Box::new(code.expose_secret().as_bytes().to_vec())))
        }
        (Some(_), None) => {
            return Err(Refused::invalid(format!("a code has at most {CODE} bytes")));
        }
        (None, None) => return Err(Refused::invalid("give a code, or an error without one")),
    };
    caller.room.requests.answer(&caller.guest, (&asked.request_id, What::Authorization), answer)
}

/// A token that is kept for the caller, or that was delegated to it.
pub async fn get(caller: &Caller, asked: GetToken) -> Result<Token, Refused> {
    let reader = identity(caller)?;
    // Of what is not described, nothing is kept.
    let Some(Ok(client)) = asked.oauth.map(Client::of) else { return Ok(Token::default()) };
    let wanted = Wanted {
        reader,
        delegated_to: asked.delegated_to.as_deref().filter(|whom| !whom.is_empty()),
        delegated_by: asked.delegated_by.as_deref().filter(|whom| !whom.is_empty()),
        is_token: true,
        secret_id: Some(&client.key()),
        kind: None,
        name: None,
    };
    Ok(Token { access_token: kept(caller, wanted, &client).await? })
}

/// A token that is kept, renewed if it is old; none if it cannot be renewed.
async fn kept(
    caller: &Caller,
    wanted: Wanted<'_>,
    client: &Client,
) -> Result<Option<SecretString>, Refused> {
    let room = &caller.room;
    let Some((found, credential)) = found(room, wanted).await? else { return Ok(None) };
    if let Some(token) = credential.token() {
        return Ok(Some(token));
    }
    let turn = room.endpoints.turn(&found.id).await;
    // Another call may have renewed or deleted it meanwhile.
    let Some((found, credential)) = self::found(room, wanted).await? else { return Ok(None) };
    if let Some(token) = credential.token() {
        return Ok(Some(token));
    }
    let place = room.endpoints.place().await?;
    // What makes a new one may be used up by that, so its answer is not lost.
    let (client, of) = (client.clone(), Arc::clone(room));
    let work = async move {
        let renewed = renewed(&of, &client, (&found, &credential)).await;
        drop((turn, place));
        renewed
    };
    room.to_the_end(work).await
}

/// A secret that is a token, and what is in it.
async fn found(room: &Room, wanted: Wanted<'_>) -> Result<Option<(Stored, Credential)>, Refused> {
    let store = &room.house.store;
    let found = room_secrets::find(store, &room.id, wanted).await.map_err(told)?;
    let Some(found) = found else { return Ok(None) };
    let stored = room_secrets::open(store, &found).await.map_err(told)?;
    let credential = Credential::read(&stored)?;
    Ok(Some((found, credential)))
}

/// Renews a token, and keeps the new one. One that cannot be renewed any more is forgotten.
async fn renewed(
    room: &Room,
    client: &Client,
    (found, old): (&Stored, &Credential),
) -> Result<Option<SecretString>, Refused> {
    match tokens::renew(client, old).await {
        Ok(None) => Ok(None),
        Ok(Some(new)) => {
            let place = New {
                owner: &found.owner,
                delegated_to: &found.delegated_to,
                origin: Origin::OAuth,
                secret_id: &found.secret_id,
                kind: KIND,
                name: &found.name,
                provider: found.provider.as_deref(),
            };
            keep(room, place, &new).await?;
            Ok(new.access_token)
        }
        Err(no_token) if no_token.is_final => {
            let whose = (found.owner.as_str(), found.delegated_to.as_str());
            let which = (found.secret_id.as_str(), Some(Origin::OAuth));
            let done = room_secrets::delete(&room.house.store, &room.id, whose, which);
            done.await.map(|_| None).map_err(told)
        }
        // It may be renewed another time.
        Err(_) => Ok(None),
    }
}

async fn keep(room: &Room, new: New<'_>, credential: &Credential) -> Result<(), Refused> {
    let data = credential.write()?;
    room_secrets::put(&room.house.store, &room.id, new, &data).await.map_err(told)
}
