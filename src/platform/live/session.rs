//! The record of a room's run: when it began and ended, who was in it, and what happened.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::{Map, Value, json};
use tokio::sync::{mpsc, oneshot};

use super::House;
use crate::notice;
use crate::platform::error::Result;
use crate::platform::objects::deliveries::Event;
use crate::platform::objects::sessions::{self, Session};
use crate::room::storage::{DELETED, UPDATED};

/// How many events of a session are kept. More are not recorded.
const EVENTS: usize = 10_000;

/// How many bytes the events of a session have together, as they are stored.
const BYTES: usize = 4 * 1024 * 1024;

/// How many bytes the data of one event has, beside the names of what it is about.
const EVENT: usize = 8 * 1024;

/// How many bytes a text in an event has. Paths have no more.
const TEXT: usize = 1024;

/// How many events of a room wait to be recorded.
const WAITING: usize = 4096;

/// The events that are told to webhooks, beside the room's beginning and end.
const TOLD: [&str; 2] = [UPDATED, DELETED];

/// How many events are written at once.
const AT_ONCE: usize = 256;

/// What the last event of a session is called if others were left out; its data is their count.
const LEFT_OUT: &str = "session.events_left_out";

/// Something that happened in a room.
#[derive(Debug)]
struct Record {
    /// Its type, such as `participant.joined`.
    kind: &'static str,
    /// What is told about it.
    data: Value,
}

/// Where a room notes what happens in it.
#[derive(Debug)]
pub struct Records {
    to: mpsc::Sender<Record>,
    /// How many could not wait, because too many did.
    missed: Arc<AtomicU64>,
}

/// What a room has noted, until it is recorded.
#[derive(Debug)]
pub struct Recorded {
    from: mpsc::Receiver<Record>,
    missed: Arc<AtomicU64>,
}

/// Both ends of what a room notes.
pub fn records() -> (Records, Recorded) {
    let (to, from) = mpsc::channel(WAITING);
    let missed = Arc::new(AtomicU64::new(0));
    (Records { to, missed: Arc::clone(&missed) }, Recorded { from, missed })
}

impl Records {
    /// Notes that something happened. Nobody waits for that: if too much waits already, because
    /// the disk is slow, it is left out, and counted.
    pub fn note(&self, kind: &'static str, data: Value) {
        let record = Record { kind, data: short(data) };
        if let Err(mpsc::error::TrySendError::Full(_)) = self.to.try_send(record) {
            self.missed.fetch_add(1, Ordering::Relaxed);
            notice::tell("an event of a room was left out", "too many wait to be recorded");
        }
        // A room that has ended records nothing more.
    }
}

/// What is told about an event, within bounds: long texts and lists end early.
fn short(data: Value) -> Value {
    let Value::Object(members) = data else { return data };
    let mut bytes = 0;
    let short = members.into_iter().map(|(name, value)| match value {
        Value::String(mut text) if text.len() > TEXT => {
            text.truncate(text.floor_char_boundary(TEXT));
            (name, Value::String(text + "…"))
        }
        Value::Array(items) => {
            let whole = items.len();
            let mut items = items.into_iter().peekable();
            let mut kept = Vec::new();
            while let Some(item) = items.next_if(|item| {
                bytes += item.to_string().len();
                bytes <= EVENT
            }) {
                kept.push(item);
            }
            if kept.len() < whole {
                kept.push(format!("… and {} more", whole - kept.len()).into());
            }
            (name, Value::Array(kept))
        }
        value => (name, value),
    });
    Value::Object(short.collect::<Map<_, _>>())
}

/// Writes down the run of a room, from its beginning until nothing more can happen in it. Says
/// when the beginning is on disk, so that whoever is told of the session can look it up.
pub async fn keep(
    about: Session,
    room_url: String,
    house: Arc<House>,
    mut recorded: Recorded,
    begun: oneshot::Sender<()>,
) {
    let store = Arc::clone(&house.store);
    let tell = async |events: Vec<Event>| house.deliveries.tell(&about.project, &events).await;
    if let Err(refusal) = sessions::begin(&store, &about).await {
        notice::tell("the session of a room is not recorded", &refusal);
    }
    // A room works without its record.
    let _ = begun.send(());
    let started = json!({"room_name": about.room_name, "room_url": room_url});
    tell(vec![Event::new("room.started", started)]).await;
    let mut kept = Kept::default();
    let mut waiting = Vec::new();
    while recorded.from.recv_many(&mut waiting, AT_ONCE).await > 0 {
        let told = waiting.iter().filter(|record| TOLD.contains(&record.kind));
        tell(told.map(|record| Event::new(record.kind, record.data.clone())).collect()).await;
        let events = waiting.drain(..).filter_map(|record| kept.take(record)).collect();
        note(sessions::record(&store, &about.id, events, &kept.roles).await);
    }
    let left_out = kept.left_out + recorded.missed.load(Ordering::Relaxed);
    if left_out > 0 {
        let last = event(LEFT_OUT, json!({ "count": left_out }));
        note(sessions::record(&store, &about.id, vec![last], &kept.roles).await);
    }
    note(sessions::end(&store, &about.project, &about.id).await);
    tell(vec![ended(&about.room_name)]).await;
}

/// What is told when a room has ended.
pub fn ended(room: &str) -> Event {
    Event::new("room.ended", json!({ "room_name": room }))
}

fn note(done: Result<()>) {
    if let Err(refusal) = done {
        notice::tell("the session of a room is not recorded completely", &refusal);
    }
}

/// An event as it is stored.
fn event(kind: &str, data: Value) -> Value {
    json!({"type": kind, "data": data, "created_at": jiff::Timestamp::now().to_string()})
}

/// What was recorded so far.
#[derive(Default)]
struct Kept {
    count: usize,
    /// How many bytes that was.
    bytes: usize,
    /// How many events were left out because there were too many.
    left_out: u64,
    /// How many participants there were, by their roles.
    roles: BTreeMap<String, u64>,
}

impl Kept {
    /// The event of a record, unless there are too many. Once one was left out, all are.
    fn take(&mut self, record: Record) -> Option<Value> {
        if record.kind == "participant.joined" {
            let role = record.data["role"].as_str().unwrap_or("user").to_owned();
            *self.roles.entry(role).or_default() += 1;
        }
        let event = event(record.kind, record.data);
        let bytes = self.bytes + event.to_string().len();
        if self.left_out > 0 || self.count >= EVENTS || bytes > BYTES {
            self.left_out += 1;
            return None;
        }
        self.count += 1;
        self.bytes = bytes;
        Some(event)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn participants_are_counted_by_role_and_events_have_an_end() {
        let mut kept = Kept::default();
        let joined =
            |role: &str| Record { kind: "participant.joined", data: json!({"role": role}) };
        for role in ["user", "agent", "user"] {
            assert_eq!(kept.take(joined(role)).unwrap()["type"], "participant.joined");
        }
        let counted = [("agent".to_owned(), 1), ("user".to_owned(), 2)];
        assert_eq!(kept.roles, BTreeMap::from(counted));
        for _ in 3..EVENTS {
            assert!(kept.take(Record { kind: "x", data: json!({}) }).is_some());
        }
        assert!(kept.take(joined("tool")).is_none());
        assert_eq!((kept.roles["tool"], kept.left_out), (1, 1));
    }

    #[test]
    fn a_session_has_an_end_in_bytes_too_and_counts_what_is_left_out() {
        let mut kept = Kept::default();
        let large = || Record { kind: "x", data: json!({"text": "x".repeat(EVENT)}) };
        let taken = (0..1000).filter(|_| kept.take(large()).is_some()).count();
        assert!(taken <= BYTES / EVENT, "{taken}");
        assert_eq!(kept.left_out, 1000 - taken as u64);
        // What is small would fit, but then the record would have gaps.
        assert!(kept.take(Record { kind: "x", data: json!({}) }).is_none());
    }

    #[test]
    fn what_is_told_of_an_event_is_cut() {
        let path = "ä".repeat(TEXT / 2);
        let usual = json!({"path": path, "tools": ["a", "b"], "public": true});
        assert_eq!(short(usual.clone()), usual);
        let names: Vec<String> = (0..20_000).map(|number| format!("tool-{number}")).collect();
        let cut = short(json!({"name": "n".repeat(TEXT + 1), "tools": names}));
        assert!(cut.to_string().len() < EVENT + 2 * TEXT, "{}", cut.to_string().len());
        let tools = cut["tools"].as_array().unwrap();
        assert_eq!(tools[0], "tool-0");
        let left_out = 20_000 - (tools.len() - 1);
        assert_eq!(tools.last().unwrap(), &json!(format!("… and {left_out} more")));
        assert_eq!(cut["name"], json!("n".repeat(TEXT) + "…"));
        let one = short(json!({"tools": ["x".repeat(4 * 1024 * 1024)]}));
        assert_eq!(one, json!({"tools": ["… and 1 more"]}));
    }

    #[test]
    fn a_room_whose_record_is_slow_does_not_wait_and_counts_what_is_left_out() {
        let (records, mut recorded) = records();
        (0..WAITING + 3).for_each(|_| records.note("x", json!({})));
        assert_eq!(recorded.missed.load(Ordering::Relaxed), 3);
        assert!(recorded.from.try_recv().is_ok());
        records.note("x", json!({}));
        assert_eq!(recorded.missed.load(Ordering::Relaxed), 3);
    }
}
