//! What is logged in a room, for those who watch.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Map, Value, json};

use crate::platform::live::calls::{Caller, Stream, chunk};
use crate::platform::live::guest::Guest;
use crate::platform::live::room::Room;
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
    caller.room.log(&Event { kind: asked.kind, data: asked.data });
    Ok(())
}

/// Logs that something happened.
pub async fn info(caller: &Caller, asked: Info) -> Result<(), Refused> {
    line(caller, "INFO", &asked.message, asked.extra);
    Ok(())
}

/// Logs that something may be wrong.
pub async fn warning(caller: &Caller, asked: Warning) -> Result<(), Refused> {
    line(caller, "WARN", &asked.message, asked.extra);
    Ok(())
}

/// Logs that something is wrong.
pub async fn error(caller: &Caller, asked: Error) -> Result<(), Refused> {
    line(caller, "ERROR", &asked.message, asked.extra);
    Ok(())
}

fn line(caller: &Caller, severity: &str, body: &str, extra: Option<Map<String, Value>>) {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let about = [
        ("service.name", caller.guest.name.as_str()),
        ("meshagent.room", caller.room.name.as_str()),
        ("meshagent.session", caller.room.session.as_str()),
        ("meshagent.participant", caller.guest.id.as_str()),
    ];
    let extra = extra.unwrap_or_default();
    caller.room.log(&Event::logged(since.as_nanos(), severity, body, &extra, &about));
}

impl Room {
    /// Tells an event to those who watch.
    pub fn log(&self, event: &Event) {
        for watcher in &self.state().watchers {
            watcher.guest.push(&chunk(self, &watcher.call, event.part()).into());
        }
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
