//! What is logged in a room, for those who watch.

use std::sync::Arc;

use futures_util::future::join_all;
use serde_json::{Map, Value, json};

use crate::platform::live::calls::{Caller, Stream, chunk};
use crate::platform::live::guest::Guest;
use crate::platform::live::outgoing::Letter;
use crate::platform::live::room::{Room, since_1970};
use crate::room::content::Refused;
use crate::room::developer::{Error, Event, Info, Log, Warning};

/// Somebody who watches the log.
#[derive(Debug)]
pub struct Watcher {
    /// The participant.
    pub guest: Arc<Guest>,
    /// The call that the events are parts of.
    call: String,
}

/// Logs an event as it is.
pub async fn log(caller: &Caller, asked: Log) -> Result<(), Refused> {
    caller.room.log_and_wait(&Event { kind: asked.kind, data: asked.data }).await;
    Ok(())
}

/// Logs that something happened.
pub async fn info(caller: &Caller, asked: Info) -> Result<(), Refused> {
    line(caller, "INFO", &asked.message, asked.extra).await;
    Ok(())
}

/// Logs that something may be wrong.
pub async fn warning(caller: &Caller, asked: Warning) -> Result<(), Refused> {
    line(caller, "WARN", &asked.message, asked.extra).await;
    Ok(())
}

/// Logs that something is wrong.
pub async fn error(caller: &Caller, asked: Error) -> Result<(), Refused> {
    line(caller, "ERROR", &asked.message, asked.extra).await;
    Ok(())
}

async fn line(caller: &Caller, severity: &str, body: &str, extra: Option<Map<String, Value>>) {
    let about = [
        ("service.name", caller.guest.name.as_str()),
        ("meshagent.room", caller.room.name.as_str()),
        ("meshagent.session", caller.room.session.as_str()),
        ("meshagent.participant", caller.guest.id.as_str()),
    ];
    let extra = extra.unwrap_or_default();
    let event = Event::logged(since_1970().as_nanos(), severity, body, &extra, &about);
    caller.room.log_and_wait(&event).await;
}

impl Room {
    /// Tells an event to those who watch.
    pub fn log(&self, event: &Event) {
        self.logged(event).iter().for_each(|(guest, letter)| guest.push(letter));
    }

    /// Tells an event to those who watch. Who logs much is as fast as they read.
    pub async fn log_and_wait(&self, event: &Event) {
        let letters = self.logged(event);
        join_all(letters.iter().map(|(guest, letter)| guest.relay(letter, self))).await;
    }

    /// An event as it is told to each of those who watch.
    fn logged(&self, event: &Event) -> Vec<(Arc<Guest>, Letter)> {
        let told = |watcher: &Watcher| {
            let part = chunk(self, &watcher.call, event.part());
            (Arc::clone(&watcher.guest), part.into())
        };
        self.state().watchers.iter().map(told).collect()
    }
}

/// Watches the log until the caller ends its stream.
pub async fn logs(stream: &mut Stream, _: Value) -> Result<(), Refused> {
    let (guest, call) = (Arc::clone(&stream.caller.guest), stream.call().to_owned());
    let room = Arc::clone(&stream.caller.room);
    room.state().watchers.push(Watcher { guest: Arc::clone(&guest), call: call.clone() });
    room.record("developer.logs.watched", json!({ "participant_id": guest.id }));
    while stream.next().await.is_some() {}
    room.state().watchers.retain(|it| !(it.guest.id == guest.id && it.call == call));
    Ok(())
}
