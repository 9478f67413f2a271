//! A room that runs: who is in it, what they offer, and what they are told.
//!
//! Its state is behind a lock that is never held while anything waits. What is sent under the
//! lock only joins a queue ([`super::outgoing`]), so all participants see the same order.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures_util::future::join_all;
use indexmap::IndexMap;
use serde_json::{Map, Value, json};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::House;
use super::calls::refused;
use super::containers::jobs::Jobs;
use super::databases;
use super::documents::InRoom;
use super::files::Files;
use super::guest::{Guest, seen};
use super::hosted::{Forwarded, Hosted};
use super::localhost::Lent;
use super::outgoing::Letter;
use super::queues::RoomQueues;
use super::requests::Requests;
use super::services::Services;
use super::session::Records;
use super::tokens::Endpoints;
use super::toolkits::developer::Watcher;
use crate::room::codes;
use crate::room::content::{Content, Refused};
use crate::room::message::Message;
use crate::room::messaging::{DELIVERED, news};

/// How large the attributes of a participant may be, as JSON, in bytes.
const ATTRIBUTES: usize = 64 * 1024;

/// How much may wait for those who are slow to read, in bytes.
const HELD: usize = 64 * 1024 * 1024;

/// A room that runs.
#[derive(Debug)]
pub struct Room {
    /// The id of its row.
    pub id: String,
    /// Its project.
    pub project: String,
    /// Its name when it began.
    pub name: String,
    /// Its URL as its first participant reached it.
    pub url: String,
    /// The id of its session.
    pub session: String,
    /// What all rooms share.
    pub house: Arc<House>,
    /// Its services.
    pub services: Services,
    /// Its work with images.
    pub jobs: Jobs,
    /// What its participants are asked for.
    pub requests: Requests,
    /// What it asks of endpoints for tokens.
    pub endpoints: Endpoints,
    /// Signals that it ends.
    pub stop: CancellationToken,
    /// What may wait for participants that are slow to read, with a permit for each byte.
    pub held: Arc<Semaphore>,
    /// What may wait for its tools, with a permit for each byte.
    taken: Arc<Semaphore>,
    /// What its participants may have arriving, with a permit for each byte.
    pub arriving: Arc<Semaphore>,
    /// What happens in it, for its session.
    records: Records,
    databases: OnceLock<Arc<databases::InRoom>>,
    numbers: AtomicU64,
    state: Mutex<State>,
}

/// What changes in a room.
#[derive(Debug, Default)]
pub struct State {
    /// The participants, in the order in which they came.
    pub present: IndexMap<String, Present>,
    /// The toolkits that participants offer, in the order in which they were offered.
    pub hosted: Vec<Hosted>,
    /// The calls that participants are answering, by the numbers under which they were forwarded.
    pub forwarded: HashMap<u64, Forwarded>,
    /// With which scopes the toolkit for files is there.
    pub lent: BTreeMap<String, Lent>,
    /// Who watches the log.
    pub watchers: Vec<Watcher>,
}

/// A participant that is in the room.
#[derive(Debug)]
pub struct Present {
    /// The participant.
    pub guest: Arc<Guest>,
    /// What is known of it; its `name` is the token's.
    pub attributes: Map<String, Value>,
    /// Whether it takes part in messaging.
    pub is_enabled: bool,
}

impl Present {
    /// Whether it hears who else takes part in messaging.
    fn hears_of_others(&self) -> bool {
        let messaging = self.guest.scope.as_ref().and_then(|scope| scope.messaging.as_ref());
        self.is_enabled && messaging.is_some_and(|messaging| messaging.list)
    }
}

impl Room {
    /// A room that begins.
    pub fn new(
        (id, project, name, url): (String, String, String, String),
        house: Arc<House>,
        records: Records,
    ) -> Self {
        let arriving = arriving(&house);
        Self {
            id,
            project,
            name,
            url,
            services: Services::default(),
            jobs: Jobs::default(),
            requests: Requests::default(),
            endpoints: Endpoints::default(),
            session: Uuid::new_v4().to_string(),
            stop: CancellationToken::new(),
            held: Arc::new(Semaphore::new(HELD)),
            taken: Arc::new(Semaphore::new(arriving)),
            arriving: Arc::new(Semaphore::new(arriving)),
            records,
            databases: OnceLock::new(),
            numbers: AtomicU64::new(0),
            house,
            state: Mutex::default(),
        }
    }

    /// What changes in it. Nothing may wait while this is held.
    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next number of a message that the room sends unasked. Numbers are unique to the room.
    pub fn number(&self) -> u64 {
        self.numbers.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// A message that the room sends unasked.
    pub fn letter(&self, kind: &str, header: Value) -> Letter {
        Message::new(self.number(), kind, header).into()
    }

    /// Notes something in the session of the room.
    pub fn record(&self, kind: &'static str, data: Value) {
        self.records.note(kind, data);
    }

    /// Lets a participant in: tells it who it is and that the room is ready, each once.
    pub fn enter(&self, guest: &Arc<Guest>) {
        let attributes = Map::from_iter([("name".to_owned(), json!(guest.name))]);
        let init = json!({"type": "init", "participantId": guest.id, "attributes": attributes});
        let (name, url) = &guest.room;
        let ready = json!({"room_name": name, "room_url": url, "session_id": self.session});
        let mut state = self.state();
        guest.push(&self.letter("connected", init));
        guest.push(&self.letter("room_ready", ready));
        let present = Present { guest: Arc::clone(guest), attributes, is_enabled: false };
        state.present.insert(guest.id.clone(), present);
        self.house.entered();
        self.record(
            "participant.joined",
            json!({"participant_id": guest.id, "name": guest.name, "role": guest.role}),
        );
    }

    /// Lets a participant go, with everything that it had here.
    pub fn leave(&self, guest: &Guest) {
        guest.leave();
        let mut state = self.state();
        let Some(present) = state.present.shift_remove(&guest.id) else { return };
        let is_gone = !state.present.values().any(|it| it.guest.name == guest.name);
        self.requests.left(guest, is_gone);
        if present.is_enabled {
            self.tell_disabled(&state, guest);
        }
        state.watchers.retain(|watcher| watcher.guest.id != guest.id);
        self.drop_hosted(&mut state, guest);
        self.record("participant.left", json!({"participant_id": guest.id, "name": guest.name}));
    }

    /// Sets attributes of a participant, and tells those who know it. The name stays the one in
    /// the token.
    pub fn set_attributes(&self, guest: &Guest, changes: Value) {
        let Value::Object(mut changes) = changes else { return };
        changes.shift_remove("name");
        let mut state = self.state();
        let Some(present) = state.present.get_mut(&guest.id) else { return };
        present.attributes.extend(changes.clone());
        let size = serde_json::to_vec(&present.attributes).map_or(usize::MAX, |text| text.len());
        if size > ATTRIBUTES {
            guest.dismiss(CloseCode::Policy, "the attributes are larger than 64 KiB");
            return;
        }
        if present.is_enabled && !changes.is_empty() {
            let told = json!({ "attributes": changes });
            self.tell_others(&state, guest, news::ATTRIBUTES, told);
        }
    }

    /// Makes a participant take part in messaging: it hears who else does, and they hear of it.
    pub fn enable(&self, guest: &Guest) {
        let mut state = self.state();
        let Some(present) = state.present.get_mut(&guest.id) else { return };
        let was_enabled = std::mem::replace(&mut present.is_enabled, true);
        let (hears, attributes) = (present.hears_of_others(), present.attributes.clone());
        let others = state.present.values().filter(|it| it.is_enabled && it.guest.id != guest.id);
        let others: Vec<Value> =
            others.filter(|_| hears).map(|it| seen(&it.guest, &it.attributes)).collect();
        let told = news(&guest.id, news::EVERYBODY, json!({ "participants": others }));
        guest.push(&self.letter(DELIVERED, told));
        if !was_enabled {
            self.tell_others(&state, guest, news::ENABLED, seen(guest, &attributes));
        }
    }

    /// Makes a participant take no more part in messaging.
    pub fn disable(&self, guest: &Guest) {
        let mut state = self.state();
        let Some(present) = state.present.get_mut(&guest.id) else { return };
        if std::mem::replace(&mut present.is_enabled, false) {
            self.tell_disabled(&state, guest);
        }
    }

    fn tell_disabled(&self, state: &State, guest: &Guest) {
        self.tell_others(state, guest, news::DISABLED, json!({ "id": guest.id }));
    }

    /// Tells news of a participant to the others that take part in messaging and may know it.
    fn tell_others(&self, state: &State, guest: &Guest, kind: &str, message: Value) {
        let letter = self.letter(DELIVERED, news(&guest.id, kind, message));
        let others = state.present.values().filter(|it| it.guest.id != guest.id);
        others.filter(|it| it.hears_of_others()).for_each(|it| it.guest.push(&letter));
    }

    /// Sends a message of a participant to others. Those who are slow to read are waited for, once
    /// the others have it.
    pub async fn tell(&self, others: &[Arc<Guest>], letter: &Letter) {
        // Who has just left needs nothing any more.
        let slow = others.iter().filter(|guest| guest.outgoing.relay_at_once(letter).is_none());
        join_all(slow.map(|guest| guest.relay(letter, self))).await;
    }

    /// Sends a message to everybody in the room.
    pub fn tell_all(&self, kind: &str, header: Value) {
        let letter = self.letter(kind, header);
        self.state().present.values().for_each(|it| it.guest.push(&letter));
    }

    /// Does something to its end, even if the participant who wants it leaves meanwhile.
    ///
    /// # Errors
    ///
    /// Those of the work; the platform closes.
    pub async fn to_the_end<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, Refused>> + Send + 'static,
    ) -> Result<T, Refused> {
        let (tell, told) = oneshot::channel();
        self.house.run(async move {
            // Nobody may wait for it any more.
            let _ = tell.send(work.await);
        });
        let closes = |_| refused(codes::OPERATION_FAILED, "the room is closing");
        told.await.map_err(closes)?
    }

    /// Its queues, which outlive it.
    pub fn queues(&self) -> RoomQueues {
        self.house.queues(&self.id)
    }

    /// Its files, which outlive it.
    pub fn files(&self) -> Files {
        self.house.files(&self.id)
    }

    /// Its open documents, whose files outlive it.
    pub fn documents(&self) -> Arc<InRoom> {
        self.house.documents.of(&self.id)
    }

    /// Its tables and memories, which stay open as long as it runs.
    pub fn databases(&self) -> Arc<databases::InRoom> {
        let open = || self.house.databases.of(&self.id, self.files().folder().to_owned());
        Arc::clone(self.databases.get_or_init(open))
    }

    /// Ends the room: its participants have to go.
    pub fn end(&self) {
        self.stop.cancel();
    }
}

impl Room {
    /// A share of what may wait for its tools; none if too much waits.
    pub fn waiting(&self, bytes: usize) -> Option<OwnedSemaphorePermit> {
        let weight = u32::try_from(bytes.min(arriving(&self.house))).unwrap_or(u32::MAX);
        Arc::clone(&self.taken).try_acquire_many_owned(weight).ok()
    }
}

/// How much may be arriving in a room, and wait for its tools, in bytes. Other rooms have their own.
fn arriving(house: &House) -> usize {
    house.limits.arriving.max(house.limits.message * 2)
}

/// A part of an answer, as its caller gets it.
pub fn part(call: &str, content: Content) -> (Value, Vec<u8>) {
    let (chunk, bytes) = content.into_parts();
    (json!({"tool_call_id": call, "chunk": chunk}), bytes)
}

/// The time since 1970.
pub fn since_1970() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// The same in seconds.
pub fn now() -> f64 {
    since_1970().as_secs_f64()
}
