//! A participant in a room, as long as its connection lasts.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use serde::Deserialize;
use serde_json::Value;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_util::sync::CancellationToken;

use super::outgoing::{Letter, NotTaken, Outgoing, Sent};
use super::room::Room;
use crate::kinds::specs::scope::ApiScope;
use crate::platform::auth::participant::Participant;
use crate::room::content::{Content, Refused};
use crate::room::message::Message;

/// How many parts of a stream may wait for their tool. The public SDK sends one and waits until it
/// is acknowledged.
pub const PARTS: usize = 4;

/// How many ended calls are remembered, for parts that come late.
const ENDED: usize = 256;

/// Why a participant is dismissed that does not read.
pub const UNREAD: &str = "the participant does not read what it is sent";

/// Why a connection ends, for the other side; `None` if that is gone.
pub type End = Option<(CloseCode, &'static str)>;

/// A participant.
#[derive(Debug)]
pub struct Guest {
    /// Its id, which is unique to its connection.
    pub id: String,
    /// The name in its token.
    pub name: String,
    /// Its role: `user`, `agent` or `tool`.
    pub role: String,
    /// By which token it is here.
    pub participant: Participant,
    /// What it may do; without a scope it may not call anything.
    pub scope: Option<ApiScope>,
    /// The room's name and URL as this participant reached it: a room may be renamed.
    pub room: (String, String),
    /// The way to it.
    pub outgoing: Outgoing,
    /// Signals that it has to go.
    pub dismissed: CancellationToken,
    why: OnceLock<(CloseCode, &'static str)>,
    /// How many calls may run at once, here and at other participants; with a permit for each.
    most: usize,
    places: Arc<Semaphore>,
    tasks: Mutex<Tasks>,
    calls: Mutex<Calls>,
}

/// What a participant has running.
#[derive(Debug, Default)]
struct Tasks {
    running: JoinSet<()>,
    has_left: bool,
}

/// Which calls take parts.
#[derive(Debug, Default)]
struct Calls {
    /// Where the parts go that it sends, by the ids of its calls.
    inputs: HashMap<String, Input>,
    /// Those that took parts, and have ended.
    ended: VecDeque<String>,
}

/// Where the parts of a participant's stream go.
#[derive(Debug)]
pub enum Input {
    /// To a tool of the room.
    Tool(mpsc::Sender<Part>),
    /// To the participant that answers the call with this number.
    Host(u64),
}

/// A call that runs: it has a place among those that may, and its parts find it. Both end with
/// this.
#[derive(Debug)]
pub struct Running {
    guest: Arc<Guest>,
    call: Option<String>,
    _place: OwnedSemaphorePermit,
}

impl Running {
    /// The id by which its parts find it, if it has one.
    pub fn call(&self) -> Option<&str> {
        self.call.as_deref()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(call) = self.call.take() {
            self.guest.ended(call);
        }
    }
}

/// A part of a stream that a participant sends.
pub struct Part {
    /// The message's number, by which it is acknowledged.
    pub id: u64,
    /// The part; [`Content::Close`] is the end of the stream.
    pub content: Content,
    /// Its share of what may wait in all rooms.
    pub share: OwnedSemaphorePermit,
}

impl fmt::Debug for Part {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Part").field("id", &self.id).finish_non_exhaustive()
    }
}

/// What became of a part that arrived.
#[derive(Debug, PartialEq, Eq)]
pub enum Arrived {
    /// Its tool gets it, and acknowledges it.
    Handed,
    /// Its call has ended.
    Late,
    /// More parts wait than may.
    TooMany,
    /// There is no such call.
    Unknown,
}

impl Guest {
    /// A participant that enters a room.
    pub fn new(
        id: String,
        participant: Participant,
        room: (String, String),
        outgoing: Outgoing,
        most: usize,
    ) -> Self {
        let scope =
            participant.scope().map(|scope| ApiScope::deserialize(scope).unwrap_or_default());
        Self {
            id,
            name: participant.claims.name.clone(),
            role: participant.claims.role().to_owned(),
            participant,
            scope,
            room,
            outgoing,
            dismissed: CancellationToken::new(),
            why: OnceLock::new(),
            most,
            places: Arc::new(Semaphore::new(most)),
            tasks: Mutex::default(),
            calls: Mutex::default(),
        }
    }

    fn tasks(&self) -> MutexGuard<'_, Tasks> {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn calls(&self) -> MutexGuard<'_, Calls> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends its connection, with a reason for it.
    pub fn dismiss(&self, code: CloseCode, reason: &'static str) {
        let _ = self.why.set((code, reason));
        self.dismissed.cancel();
    }

    /// Why it was dismissed.
    pub fn why(&self) -> End {
        self.why.get().copied()
    }

    /// Sends it a message without waiting. A participant that does not read is dismissed.
    pub fn push(&self, letter: &Letter) {
        if self.outgoing.push(letter) == Err(NotTaken) {
            self.dismiss(CloseCode::Policy, UNREAD);
        }
    }

    /// Sends it a message of another participant when there is room for that; meanwhile it counts
    /// towards what may wait in the room. A participant that does not read for too long is
    /// dismissed.
    ///
    /// # Errors
    ///
    /// It is, or was gone.
    pub async fn relay(&self, letter: &Letter, room: &Room) -> Result<(), NotTaken> {
        let relayed = self.outgoing.relay(letter, &room.held).await;
        if relayed.is_err() {
            self.dismiss(CloseCode::Policy, UNREAD);
        }
        relayed
    }

    /// Sends it what it asked for, once it has read enough of what it was sent before. What is
    /// given is called once that was handed to the system.
    ///
    /// # Errors
    ///
    /// It is, or was gone.
    pub async fn reply(
        &self,
        letter: Letter,
        sent: Option<Sent>,
        room: &Room,
    ) -> Result<(), NotTaken> {
        let replied = self.outgoing.reply(letter, sent, &room.held).await;
        if replied.is_err() {
            self.dismiss(CloseCode::Policy, UNREAD);
        }
        replied
    }

    /// Answers a request like that.
    pub async fn answer(&self, id: u64, answer: Content, sent: Option<Sent>, room: &Room) {
        let (header, bytes) = answer.into_parts();
        let message = Message { id, kind: "__response__".to_owned(), header, bytes };
        // Nobody hears an answer once the participant is gone.
        let _ = self.reply(message.into(), sent, room).await;
    }

    /// Tells it that a call failed, without waiting.
    pub fn fail(&self, id: u64, why: Refused) {
        let (header, bytes) = Content::Error(why).into_parts();
        let message = Message { id, kind: "__response__".to_owned(), header, bytes };
        self.push(&message.into());
    }

    /// Gives a call its place, before it begins.
    ///
    /// # Errors
    ///
    /// Too many run already.
    pub fn place(self: &Arc<Self>) -> Result<Running, Refused> {
        let most = self.most;
        let place = Arc::clone(&self.places).try_acquire_owned();
        let place = place
            .map_err(|_| Refused::invalid(format!("more than {most} calls would run at once")))?;
        Ok(Running { guest: Arc::clone(self), call: None, _place: place })
    }

    /// Gives a call whose parts go somewhere its place, before it begins.
    ///
    /// # Errors
    ///
    /// Too many run already; one of them has this id.
    pub fn open(self: &Arc<Self>, call: &str, input: Input) -> Result<Running, Refused> {
        let mut running = self.place()?;
        match self.calls().inputs.entry(call.to_owned()) {
            Entry::Occupied(_) => {
                Err(Refused::invalid("another call with this tool_call_id is running"))
            }
            Entry::Vacant(free) => {
                free.insert(input);
                running.call = Some(call.to_owned());
                Ok(running)
            }
        }
    }

    /// Runs a call of this participant to its end, or until it leaves.
    pub fn run(&self, call: impl Future<Output = ()> + Send + 'static) {
        let mut tasks = self.tasks();
        while tasks.running.try_join_next().is_some() {}
        if !tasks.has_left {
            tasks.running.spawn(call);
        }
    }

    /// The number of the call that another participant answers, if this id stands for one.
    pub fn forwarded(&self, call: &str) -> Option<u64> {
        match self.calls().inputs.get(call) {
            Some(Input::Host(number)) => Some(*number),
            _ => None,
        }
    }

    /// Hands a part to the call that it is for.
    pub fn hand(&self, call: &str, part: Part) -> Arrived {
        let calls = self.calls();
        let Some(Input::Tool(input)) = calls.inputs.get(call) else {
            let is_late = calls.ended.iter().any(|ended| ended == call);
            return if is_late { Arrived::Late } else { Arrived::Unknown };
        };
        match input.try_send(part) {
            Ok(()) => Arrived::Handed,
            Err(mpsc::error::TrySendError::Full(_)) => Arrived::TooMany,
            Err(mpsc::error::TrySendError::Closed(_)) => Arrived::Late,
        }
    }

    /// Notes that a call has ended; parts for it may still come.
    fn ended(&self, call: String) {
        let mut calls = self.calls();
        calls.inputs.remove(&call);
        if calls.ended.len() >= ENDED {
            calls.ended.pop_front();
        }
        calls.ended.push_back(call);
    }

    /// Ends everything that it has running.
    pub fn leave(&self) {
        let mut tasks = self.tasks();
        tasks.has_left = true;
        tasks.running.abort_all();
        drop(tasks);
        self.calls().inputs.clear();
    }
}

/// A participant as others see it.
pub fn seen(guest: &Guest, attributes: &serde_json::Map<String, Value>) -> Value {
    serde_json::json!({"id": guest.id, "role": guest.role, "attributes": attributes})
}
