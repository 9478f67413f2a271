//! The record of a room's run: when it began and ended, who was in it, and what happened.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};

use super::House;
use super::deliveries::Event;
use crate::notice;
use crate::platform::error::Result;
use crate::platform::objects::sessions::{self, Session};
use crate::room::storage::{DELETED, UPDATED};

/// How many events of a session are kept. More are not recorded.
const EVENTS: usize = 10_000;

/// The events that are told to webhooks, beside the room's beginning and end.
const TOLD: [&str; 2] = [UPDATED, DELETED];

/// How many events are written at once.
const AT_ONCE: usize = 256;

/// Something that happened in a room.
#[derive(Debug)]
pub struct Record {
    /// Its type, such as `participant.joined`.
    pub kind: &'static str,
    /// What is told about it.
    pub data: Value,
}

/// Writes down the run of a room, from its beginning until nothing more can happen in it. Says
/// when the beginning is on disk, so that whoever is told of the session can look it up.
pub async fn keep(
    about: Session,
    room_url: String,
    house: Arc<House>,
    mut records: mpsc::UnboundedReceiver<Record>,
    begun: oneshot::Sender<()>,
) {
    let store = Arc::clone(&house.store);
    let (events, delivering) = house.deliveries.in_order(Arc::clone(&house));
    house.run(delivering);
    let tell = |kind: &'static str, data: Value| {
        let event = Event { project: about.project.clone(), kind, data };
        if events.try_send(event).is_err() {
            notice::tell("an event of a room was not told to webhooks", "too many wait");
        }
    };
    if let Err(refusal) = sessions::begin(&store, &about).await {
        notice::tell("the session of a room is not recorded", &refusal);
    }
    // A room works without its record.
    let _ = begun.send(());
    tell("room.started", json!({"room_name": about.room_name, "room_url": room_url}));
    let mut kept = Kept::default();
    let mut waiting = Vec::new();
    while records.recv_many(&mut waiting, AT_ONCE).await > 0 {
        let told = waiting.iter().filter(|record| TOLD.contains(&record.kind));
        told.for_each(|record| tell(record.kind, record.data.clone()));
        let events = waiting.drain(..).filter_map(|record| kept.take(record)).collect();
        note(sessions::record(&store, &about.id, events, &kept.roles).await);
    }
    note(sessions::end(&store, &about.project, &about.id).await);
    tell("room.ended", json!({"room_name": about.room_name}));
}

fn note(done: Result<()>) {
    if let Err(refusal) = done {
        notice::tell("the session of a room is not recorded completely", &refusal);
    }
}

/// What was recorded so far.
#[derive(Default)]
struct Kept {
    count: usize,
    /// How many participants there were, by their roles.
    roles: BTreeMap<String, u64>,
}

impl Kept {
    /// The event of a record, unless there are too many.
    fn take(&mut self, record: Record) -> Option<Value> {
        if record.kind == "participant.joined" {
            let role = record.data["role"].as_str().unwrap_or("user").to_owned();
            *self.roles.entry(role).or_default() += 1;
        }
        self.count += 1;
        let at = jiff::Timestamp::now().to_string();
        (self.count <= EVENTS)
            .then(|| json!({"type": record.kind, "data": record.data, "created_at": at}))
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
        assert_eq!(kept.roles["tool"], 1);
    }
}
