//! What is inside of rooms: it is read and written by entering the room, which starts it. One
//! connection a room and identity serves all requests of a run.
//!
//! Must not live here: what a plan decides, and how a kind is spelled.

use std::collections::HashMap;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{BoxFuture, join_all};
use percent_encoding::percent_decode_str;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use tokio::sync::Mutex;
use tokio::time::timeout;

use crate::api::client::{Answer, Client};
use crate::api::failure::ApiError;
use crate::api::inside::{Enters, Inside};
use crate::api::key::ApiKey;
use crate::api::request::{Method, Request};
use crate::api::token::{Signer, Token};
use crate::conceal;
use crate::dialect::Speaks;
use crate::dialect::inside::{DOCUMENTS, FILES, MEMORIES, SECRETS, TABLES};
use crate::error::{Error, with_causes};
use crate::room::client::Room;
use crate::room::codes;
use crate::room::content::Refused;
use crate::room::handshake::Unconnected;
use crate::settings::{is_insecure, room_url};

mod documents;
mod files;
mod memories;
pub mod observe;
mod secrets;
mod seeds;
mod tables;

/// In how many rooms this program is at once; what is not in use beyond that is left.
const OPEN: usize = 32;

/// How long to write a table may take at least.
const LONGEST: Duration = Duration::from_secs(10 * 60);

/// How much is repeated of what a room says, in characters.
const SAID: usize = 500;

/// The role of participants whose tokens this program signs.
const ROLE: &str = "user";

/// What to do where a room lets somebody in only under another name, or not at all.
const KEY: &str = "use an API key of the project, which may enter the room as anybody";

/// A way into a room.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Door {
    /// The project's id.
    project: String,
    room: String,
    /// The room's id: its name may be another one's after a rename.
    room_id: Option<String>,
    /// As whom it is entered, if that is somebody else.
    identity: Option<String>,
}

/// A room that is entered by whoever needs it first.
type Entered = Arc<Mutex<Option<Room>>>;

/// A room in use: as long as somebody has this, it is not left.
struct InUse {
    room: Room,
    _entered: Entered,
}

impl Deref for InUse {
    type Target = Room;

    fn deref(&self) -> &Room {
        &self.room
    }
}

/// The rooms that a run enters.
pub struct EnteredRooms {
    /// The URL below which the rooms are.
    base: String,
    /// Whether tokens may go to other machines without TLS.
    insecure: bool,
    open: Mutex<HashMap<Door, Entered>>,
}

/// Why a request was not carried out.
struct Failed {
    /// The status that says so over HTTP; none without an answer.
    status: Option<u16>,
    what: String,
    hint: Option<String>,
    /// Whether something may have been done.
    sent: bool,
}

impl Failed {
    fn unsent(what: impl Into<String>) -> Self {
        Self { status: None, what: what.into(), hint: None, sent: false }
    }

    fn status(status: u16, what: impl Into<String>) -> Self {
        Self { status: Some(status), what: what.into(), hint: None, sent: true }
    }

    /// There is nothing of that name.
    fn missing() -> Self {
        Self::status(404, "is not there")
    }

    /// There is something of that name.
    fn exists() -> Self {
        Self::status(
            409,
            "there is one in the room already, which the set does not own: --enter-rooms --adopt takes it over",
        )
    }

    fn error(self, request: &Request) -> ApiError {
        ApiError {
            method: request.method,
            path: request.path.clone(),
            status: self.status,
            request_id: None,
            what: match self.status {
                // As for what HTTP refuses.
                Some(status) => format!("was answered with {status}: {}", self.what),
                None => self.what,
            },
            attempts: 1,
            sent: self.sent,
            is_unusable: false,
            hint: self.hint,
        }
    }
}

impl From<Refused> for Failed {
    /// What the room said. Without a number nothing is known of what it did.
    fn from(refused: Refused) -> Self {
        let status = refused.code.map(|code| match code {
            codes::PERMISSION_DENIED => 403,
            // What else is not found may be the toolkit.
            codes::FILE_NOT_FOUND | codes::MEMORY_NOT_FOUND => 404,
            codes::ALREADY_EXISTS | codes::FILE_EXISTS | codes::MEMORY_EXISTS => 409,
            codes::TIMEOUT => 504,
            codes::OPERATION_FAILED | codes::UNEXPECTED => 502,
            _ => 400,
        });
        // A room may say anything, at any length.
        let said: String = refused.text.chars().take(SAID).collect();
        Self { status, what: format!("failed in the room: {said}"), hint: None, sent: true }
    }
}

/// An object that was read.
struct Item {
    fields: Value,
    /// How much it holds, if that is in no field.
    holds: Option<Value>,
    /// What changes with all that it holds.
    revision: Option<String>,
}

impl From<Value> for Item {
    fn from(fields: Value) -> Self {
        Self { fields, holds: None, revision: None }
    }
}

/// What an object is called in answers, and what was read of it.
fn told(inside: &Inside, name: &str, read: Option<impl Into<Item>>) -> Value {
    let id = inside.room_id.as_ref().map(|room| format!("{room}/{name}"));
    let mut told = json!({"name": name, "id": id});
    if let Some(Item { fields, holds, revision }) = read.map(Into::into) {
        told["fields"] = fields;
        told["holds"] = holds.unwrap_or_default();
        told["etag"] = revision.into();
    }
    told
}

impl EnteredRooms {
    /// Enters rooms below this URL.
    #[must_use]
    pub fn new(base: String, insecure: bool) -> Self {
        Self { base, insecure, open: Mutex::default() }
    }

    /// The room behind a door. It is entered where that was not done, or where the connection was
    /// lost since.
    async fn room(&self, client: &Client, door: Door) -> Result<InUse, Failed> {
        let (entered, idle) = {
            let mut open = self.open.lock().await;
            let mut idle = Vec::new();
            if !open.contains_key(&door) && open.len() >= OPEN {
                let is_idle = |entered: &Entered| Arc::strong_count(entered) == 1;
                idle.extend(open.extract_if(|_, entered| is_idle(entered)).map(|(_, it)| it));
            }
            (Arc::clone(open.entry(door.clone()).or_default()), idle)
        };
        leave_all(idle).await;
        let room = {
            let mut entered = entered.lock().await;
            let there = entered.as_ref().filter(|room| room.ended().is_none()).cloned();
            match there {
                Some(room) => room,
                None => entered.insert(self.enter(client, &door).await?).clone(),
            }
        };
        Ok(InUse { room, _entered: entered })
    }

    async fn enter(&self, client: &Client, door: &Door) -> Result<Room, Failed> {
        let token = match &door.identity {
            None => own_token(client, door).await?,
            Some(identity) => match signed_token(client, door, identity).await? {
                Some(token) => token,
                None => own_token(client, door).await?,
            },
        };
        conceal::credential(&token);
        let insecure = self.insecure || is_insecure();
        let url = room_url(&self.base, &door.room);
        let (room, _) = Room::enter(&url, &token, insecure).await.map_err(not_entered)?;
        let own = room.identity().attributes.get("name").and_then(Value::as_str).map(str::to_owned);
        if let Some(identity) = door.identity.as_ref().filter(|it| own.as_ref() != Some(it)) {
            room.leave().await;
            let what = format!("was not sent: only {identity:?} has access to its secrets");
            return Err(Failed { hint: Some(KEY.to_owned()), ..Failed::unsent(what) });
        }
        Ok(room)
    }

    async fn answer(
        &self,
        client: &Client,
        (request, inside): (&Request, &Inside),
    ) -> Result<Value, Failed> {
        let parts = request.path.split('/').skip(3);
        let parts = parts.map(|part| percent_decode_str(part).decode_utf8_lossy().into_owned());
        let parts: Vec<String> = parts.collect();
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        let door = |identity: Option<&str>| Door {
            project: inside.project.clone(),
            room: inside.room.clone(),
            room_id: inside.room_id.clone(),
            identity: identity.map(str::to_owned),
        };
        match parts[..] {
            [FILES, path] => {
                let room = self.room(client, door(None)).await?;
                let fields = files::carry_out(&room, path, request).await?;
                Ok(told(inside, path, fields))
            }
            [DOCUMENTS, path] => {
                let room = self.room(client, door(None)).await?;
                let fields = documents::carry_out(&room, path, request).await?;
                Ok(told(inside, path, fields))
            }
            [SECRETS, identity, name] => {
                let room = self.room(client, door(Some(identity))).await?;
                let fields = secrets::carry_out(&room, (identity, name), request).await?;
                Ok(told(inside, &format!("{identity}/{name}"), fields))
            }
            [TABLES, path] => {
                let room = self.room(client, door(None)).await?;
                Ok(told(inside, path, tables::carry_out(&room, path, request).await?))
            }
            [MEMORIES, path] => {
                let room = self.room(client, door(None)).await?;
                Ok(told(inside, path, memories::carry_out(&room, path, request).await?))
            }
            _ => Err(Failed::unsent("was not sent: rooms have no such objects")),
        }
    }
}

impl Enters for EnteredRooms {
    fn carry_out<'a>(
        &'a self,
        client: &'a Client,
        request: &'a Request,
        inside: &'a Inside,
    ) -> BoxFuture<'a, Result<Answer, ApiError>> {
        Box::pin(async move {
            let answer = self.answer(client, (request, inside));
            let answer = match timeout(patience(client, request), answer).await {
                Ok(answer) => answer,
                Err(_) => {
                    // What does not answer is entered anew.
                    let is_other = |door: &Door| {
                        (&door.project, &door.room) != (&inside.project, &inside.room)
                    };
                    self.open.lock().await.retain(|door, _| is_other(door));
                    Err(Failed { sent: true, ..Failed::unsent("had no answer in time") })
                }
            };
            let answer = answer.map_err(|failed| failed.error(request))?;
            let body = answer.to_string().into_bytes();
            Ok(Answer { body, etag: None, attempts: 1 })
        })
    }

    fn leave(&self) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            let open = std::mem::take(&mut *self.open.lock().await);
            leave_all(open.into_values()).await;
        })
    }
}

/// How long a request may take. To write a table may be work over all of its rows.
fn patience(client: &Client, request: &Request) -> Duration {
    let is_written = matches!(request.method, Method::Post | Method::Put);
    match is_written && request.path.split('/').nth(3) == Some(TABLES) {
        true => client.timeout().max(LONGEST),
        false => client.timeout(),
    }
}

async fn leave_all(entered: impl IntoIterator<Item = Entered>) {
    let leaving = entered.into_iter().map(|entered| async move {
        if let Some(room) = entered.lock().await.take() {
            room.leave().await;
        }
    });
    join_all(leaving).await;
}

/// A token of the caller's own, from the platform.
async fn own_token(client: &Client, door: &Door) -> Result<SecretString, Failed> {
    let request = client.dialect().connect(&door.project, &door.room);
    let answer = client.send_json(&request).await.map_err(|error| Failed {
        // Where there is no room, nothing is known of what was in it.
        status: error.status.filter(|status| *status != 404),
        what: format!("was not sent: {error}"),
        hint: error.hint.clone(),
        sent: false,
    })?;
    let token = answer.get("jwt").and_then(Value::as_str);
    let token = token.ok_or_else(|| Failed::unsent("was not sent: the platform gave no token"))?;
    Ok(SecretString::from(token))
}

/// A token for somebody else, signed with the API key of the project, if the credential is one.
async fn signed_token(
    client: &Client,
    door: &Door,
    identity: &str,
) -> Result<Option<SecretString>, Failed> {
    let bearer = client.bearer().await.map_err(|error| Failed::unsent(with_causes(&error)))?;
    let project = door.project.parse().ok();
    let key = ApiKey::parse(bearer.expose_secret()).zip(project);
    Ok(key.map(|(key, project)| {
        // A platform's owner has one key for all projects.
        let key = ApiKey { project, ..key };
        let token = Token::new(identity).grant("room", &door.room).grant("role", ROLE);
        token.api(json!({"secrets": {}})).sign(&Signer::Key(key)).into()
    }))
}

fn not_entered(error: Error) -> Failed {
    let status = Unconnected::among_causes(&error).and_then(|it| it.status);
    let hint = match status {
        Some(401 | 403) => Some(KEY.to_owned()),
        _ => error.hint.clone(),
    };
    Failed { hint, ..Failed::unsent(format!("was not sent: {}", with_causes(&error))) }
}

/// The request is none that is carried out.
fn odd(method: Method) -> Failed {
    Failed::unsent(format!("was not sent: {method} means nothing inside of a room"))
}

/// The value of a parameter of a request.
fn query<'a>(request: &'a Request, name: &str) -> Option<&'a str> {
    request.query.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str())
}
