//! Secrets of rooms. One belongs to an identity, which is the name of a participant, so everybody
//! who enters under that name has it. Values are encrypted on the disk, and are given to nobody else
//! but those to whom their owner has delegated them.

use std::time::Duration;

use secrecy::ExposeSecret;
use serde_json::{Number, json};
use uuid::Uuid;

use crate::platform::digest;
use crate::platform::error::Refusal;
use crate::platform::live::calls::{Caller, refused, short};
use crate::platform::live::requests::What;
use crate::platform::objects::room_secrets::{self, New, Origin, Wanted};
use crate::room::codes;
use crate::room::content::Refused;
use crate::room::operation::Secret;
use crate::room::secrets::{
    BYTES, Delete, DeleteRequested, Get, Held, Info, List, PATIENCE, Provide, Request,
    SECRET_REQUESTED, Secrets, Set,
};

/// How large a secret may be, in bytes.
const DATA: usize = 64 * 1024;

/// How long an id, a type or the name of an identity may be, in bytes.
const SHORT: usize = 256;

/// How long the name of a secret may be, or what it is requested for, in bytes.
const LONG: usize = 1024;

/// How much is repeated of why somebody gives no secret, in characters.
const REASON: usize = 1000;

/// How long somebody who is asked may take at most, in seconds.
const LONGEST: f64 = 3600.0;

/// Lists the caller's secrets, without their values.
pub async fn list(caller: &Caller, _: List) -> Result<Secrets, Refused> {
    let room = &caller.room;
    let listed = room_secrets::list(&room.house.store, &room.id, identity(caller)?).await;
    let secrets: Vec<Info> = listed.map_err(told)?;
    Ok(Secrets { secrets })
}

/// Stores a secret, or replaces it as a whole. It is on disk when that is answered.
pub async fn set(caller: &Caller, asked: Set) -> Result<(), Refused> {
    let own = identity(caller)?;
    bounded(&asked.data)?;
    if asked.has_data == Some(false) {
        return Err(Refused::invalid("a secret is stored as a whole: send its value, too"));
    }
    let owner = given(asked.for_identity, "for_identity", SHORT)?;
    let owner = owner.as_deref().unwrap_or(own);
    let delegated_to = delegate(owner, asked.delegated_to)?;
    let kind = given(asked.kind, "type", SHORT)?.unwrap_or_else(|| BYTES.to_owned());
    let name = given(asked.name, "name", LONG)?;
    let id = match (given(asked.secret_id, "secret_id", SHORT)?, &name) {
        (Some(id), _) => id,
        // Without an id, a name says which one is meant.
        (None, Some(name)) => known(caller, (owner, &delegated_to), (&kind, name)).await?,
        (None, None) => Uuid::new_v4().to_string(),
    };
    let new = New {
        owner,
        delegated_to: &delegated_to,
        origin: Origin::Stored,
        secret_id: &id,
        kind: &kind,
        name: name.as_deref().unwrap_or(&id),
        provider: None,
    };
    put(caller, new, &asked.data).await
}

/// The id of a secret with a type and a name; a new one if there is none.
async fn known(
    caller: &Caller,
    (owner, delegated_to): (&str, &str),
    (kind, name): (&str, &str),
) -> Result<String, Refused> {
    let wanted = Wanted {
        reader: owner,
        delegated_to: Some(delegated_to).filter(|whom| !whom.is_empty()),
        delegated_by: None,
        is_token: false,
        secret_id: None,
        kind: Some(kind),
        name: Some(name),
    };
    let room = &caller.room;
    let found = room_secrets::find(&room.house.store, &room.id, wanted).await.map_err(told)?;
    Ok(found.map_or_else(|| Uuid::new_v4().to_string(), |found| found.secret_id))
}

/// Gives a secret out that the caller has, or that is delegated to it.
pub async fn get(caller: &Caller, asked: Get) -> Result<Option<Held>, Refused> {
    if asked.secret_id.is_none() && asked.kind.is_none() && asked.name.is_none() {
        return Err(Refused::invalid("say which secret: by secret_id, type or name"));
    }
    let wanted = Wanted {
        reader: identity(caller)?,
        delegated_to: asked.delegated_to.as_deref().filter(|whom| !whom.is_empty()),
        delegated_by: None,
        is_token: false,
        secret_id: asked.secret_id.as_deref(),
        kind: asked.kind.as_deref(),
        name: asked.name.as_deref(),
    };
    held(caller, wanted).await
}

async fn held(caller: &Caller, wanted: Wanted<'_>) -> Result<Option<Held>, Refused> {
    let room = &caller.room;
    let store = &room.house.store;
    let found = room_secrets::find(store, &room.id, wanted).await.map_err(told)?;
    let Some(found) = found else { return Ok(None) };
    let data = room_secrets::open(store, &found).await.map_err(told)?;
    Ok(Some(Held { name: found.name, mime_type: found.kind, data }))
}

/// Deletes a secret of the caller, however it came to be there.
pub async fn delete(caller: &Caller, asked: Delete) -> Result<(), Refused> {
    let (room, owner) = (&caller.room, identity(caller)?);
    let delegated_to = delegate(owner, asked.delegated_to)?;
    let which = (asked.id.as_str(), None);
    let done =
        room_secrets::delete(&room.house.store, &room.id, (owner, &delegated_to), which).await;
    match done.map_err(told)? {
        true => Ok(()),
        false => {
            let whom = match delegated_to.is_empty() {
                true => String::new(),
                false => format!(" that is delegated to {:?}", short(&delegated_to)),
            };
            let text = format!("{:?} has no secret {:?}{whom}", short(owner), short(&asked.id));
            Err(refused(codes::NOT_FOUND, text))
        }
    }
}

/// Asks another participant for a secret, and keeps what it gives. What was given before is not
/// asked for again.
pub async fn request(caller: &Caller, asked: Request) -> Result<Held, Refused> {
    let owner = identity(caller)?;
    let url = needed(asked.url, "url", LONG)?;
    let kind = needed(asked.kind, "type", SHORT)?;
    let delegated_to = delegate(owner, asked.delegate_to)?;
    let patience = patience(asked.timeout.as_ref())?;
    let id = requested(&url, &kind);
    let wanted = Wanted {
        reader: owner,
        delegated_to: Some(delegated_to.as_str()).filter(|whom| !whom.is_empty()),
        delegated_by: None,
        is_token: false,
        secret_id: Some(&id),
        kind: Some(&kind),
        name: Some(&url),
    };
    if let Some(held) = held(caller, wanted).await? {
        return Ok(held);
    }
    let provider = caller.room.asked(&asked.participant_id)?.name.clone();
    let message = |request: &str| {
        let about = json!({
            "url": url,
            "type": kind,
            "participant_id": asked.participant_id,
            "timeout": patience.as_secs(),
            "delegate_to": Some(&delegated_to).filter(|whom| !whom.is_empty()),
        });
        (SECRET_REQUESTED, json!({"request_id": request, "request": about}))
    };
    let whom = (asked.participant_id.as_str(), What::Secret);
    let data = caller.room.request(&caller.guest, whom, patience, message).await?;
    let new = New {
        owner,
        delegated_to: &delegated_to,
        origin: Origin::Requested,
        secret_id: &id,
        kind: &kind,
        name: &url,
        provider: Some(&provider),
    };
    put(caller, new, &data).await?;
    Ok(Held { name: url, mime_type: kind, data })
}

/// Answers a request for a secret.
pub async fn provide(caller: &Caller, asked: Provide) -> Result<(), Refused> {
    bounded(&asked.data)?;
    let answer = match asked.error {
        Some(reason) => Err(declined(&reason)),
        None => Ok(asked.data),
    };
    caller.room.requests.answer(&caller.guest, (&asked.request_id, What::Secret), answer)
}

/// Forgets a secret that was asked for, if there is one.
pub async fn delete_requested(caller: &Caller, asked: DeleteRequested) -> Result<(), Refused> {
    let (room, owner) = (&caller.room, identity(caller)?);
    let delegated_to = delegate(owner, asked.delegated_to)?;
    let id = requested(&asked.url, &asked.kind);
    let which = (id.as_str(), Some(Origin::Requested));
    let done = room_secrets::delete(&room.house.store, &room.id, (owner, &delegated_to), which);
    done.await.map(drop).map_err(told)
}

/// The id of a secret that was asked for.
fn requested(url: &str, kind: &str) -> String {
    format!("request:{}", digest::of(&json!([url, kind]).to_string()))
}

/// The identity of a caller.
pub fn identity(caller: &Caller) -> Result<&str, Refused> {
    match caller.guest.name.as_str() {
        "" => Err(Refused::invalid("a participant without a name has no secrets")),
        name => Ok(name),
    }
}

/// The identity to which something is delegated; empty if it stays with its owner.
pub fn delegate(owner: &str, whom: Option<String>) -> Result<String, Refused> {
    let whom = given(whom, "the identity to delegate to", SHORT)?;
    Ok(whom.filter(|whom| whom != owner).unwrap_or_default())
}

/// How long somebody who is asked may take.
pub fn patience(seconds: Option<&Number>) -> Result<Duration, Refused> {
    let seconds = seconds.map_or(PATIENCE.into(), |seconds| seconds.as_f64().unwrap_or_default());
    match seconds > 0.0 {
        true => Ok(Duration::from_secs_f64(seconds.min(LONGEST))),
        false => Err(Refused::invalid("timeout is not a positive number of seconds")),
    }
}

/// Why somebody has declined, as the one who asked is told.
pub fn declined(reason: &str) -> Refused {
    let reason: String = reason.chars().take(REASON).collect();
    let text = match reason.is_empty() {
        true => "the participant declined".to_owned(),
        false => format!("the participant declined: {reason}"),
    };
    refused(codes::OPERATION_FAILED, text)
}

/// Stores a secret in the caller's room.
pub async fn put(caller: &Caller, new: New<'_>, data: &Secret) -> Result<(), Refused> {
    let room = &caller.room;
    room_secrets::put(&room.house.store, &room.id, new, data).await.map_err(told)
}

/// What the store refuses, for the caller.
pub fn told(refusal: Refusal) -> Refused {
    let code = match &refusal {
        Refusal::Conflict(_) => codes::INVALID_STATE,
        _ => codes::OPERATION_FAILED,
    };
    refused(code, refusal.to_string())
}

/// A text that may be left out; an empty one is none.
fn given(text: Option<String>, what: &str, most: usize) -> Result<Option<String>, Refused> {
    text.filter(|text| !text.is_empty()).map(|text| needed(text, what, most)).transpose()
}

/// A text that must be there.
fn needed(text: String, what: &str, most: usize) -> Result<String, Refused> {
    match text.is_empty() || text.len() > most || text.contains(char::is_control) {
        true => Err(Refused::invalid(format!(
            "{what} is not a text of 1 to {most} bytes, without control characters"
        ))),
        false => Ok(text),
    }
}

fn bounded(data: &Secret) -> Result<(), Refused> {
    match data.expose_secret().len() > DATA {
        true => Err(Refused::invalid(format!("a secret has at most {DATA} bytes"))),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_is_bounded() {
        let text = |length: usize| Some("x".repeat(length));
        assert_eq!(given(None, "a", 2), Ok(None));
        assert_eq!(given(text(0), "a", 2), Ok(None));
        assert_eq!(given(text(2), "a", 2), Ok(text(2)));
        for odd in [text(3), Some("\n".to_owned())] {
            assert_eq!(given(odd, "a", 2).unwrap_err().code, Some(1002));
        }
        assert_eq!(delegate("a", Some("a".to_owned())).as_deref(), Ok(""));
        assert_eq!(delegate("a", Some("b".to_owned())).as_deref(), Ok("b"));
        assert_eq!(
            declined(&"x".repeat(5000)).text.len(),
            "the participant declined: ".len() + REASON
        );
    }

    #[test]
    fn nobody_is_waited_for_without_end() {
        let within = |seconds: f64| patience(Number::from_f64(seconds).as_ref());
        assert_eq!(patience(None), Ok(Duration::from_secs(300)));
        assert_eq!(within(0.5), Ok(Duration::from_millis(500)));
        assert_eq!(within(1e300), Ok(Duration::from_secs(3600)));
        for odd in [0.0, -1.0] {
            assert_eq!(within(odd).unwrap_err().code, Some(1002), "{odd}");
        }
    }
}
