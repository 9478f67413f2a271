//! A room: who is in it, and what it answers.
//!
//! It has no toolkits of its own yet, and participants bring none. What it cannot do is refused
//! with the number that the public SDK has for that.

use std::collections::HashMap;

use serde_json::{Map, Value, json};
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use uuid::Uuid;

use crate::room::agents::{LIST_TOOLKITS, ListToolkits, Toolkits};
use crate::room::content::{Content, INVALID_REQUEST, Refused};
use crate::room::message::Message;
use crate::room::operation::Operation;

/// The numbers that rooms have for refusals.
const PERMISSION_DENIED: i64 = 1001;
const NOT_FOUND: i64 = 1003;

/// The text that the public SDK looks for if something is not allowed.
const DENIED: &str = "you do not have permission to perform the requested action";

/// How large the attributes of a participant may be, as JSON, in bytes.
const ATTRIBUTES: usize = 64 * 1024;

/// How much of a name is repeated in an answer, in characters.
const NAME: usize = 100;

/// What happens to a room.
#[derive(Debug)]
pub enum Event {
    /// A participant enters.
    Entered(String, Box<Guest>),
    /// A participant sends a message, with its share of what all rooms may parse at once.
    Said(String, Box<Message>, OwnedSemaphorePermit),
    /// A participant left.
    Left(String),
}

/// A participant in a room.
#[derive(Debug)]
pub struct Guest {
    /// What is known of it; its `name` is the token's.
    attributes: Map<String, Value>,
    /// Whether it may call anything: its token has an `api` grant.
    may_call: bool,
    /// The room's name and URL as this participant reached it: a room may be renamed.
    room: String,
    url: String,
    outgoing: mpsc::Sender<Message>,
    /// How many messages the room has sent to it unasked.
    pushed: u64,
}

impl Guest {
    /// A participant with this name.
    pub fn new(
        name: &str,
        may_call: bool,
        (room, url): (String, String),
        outgoing: mpsc::Sender<Message>,
    ) -> Self {
        let attributes = Map::from_iter([("name".to_owned(), json!(name))]);
        Self { attributes, may_call, room, url, outgoing, pushed: 0 }
    }

    /// Sends it a message. Returns whether it accepts that.
    fn push(&mut self, kind: &str, header: Value) -> bool {
        self.pushed += 1;
        self.send(Message::new(self.pushed, kind, header))
    }

    fn send(&self, message: Message) -> bool {
        // A room does not wait for a participant.
        self.outgoing.try_send(message).is_ok()
    }

    /// Sets attributes. The name stays the one in the token.
    fn set(&mut self, changes: Value) -> bool {
        let Value::Object(changes) = changes else { return true };
        self.attributes.extend(changes.into_iter().filter(|(name, _)| name != "name"));
        serde_json::to_vec(&self.attributes).is_ok_and(|text| text.len() <= ATTRIBUTES)
    }

    /// The answer to a message, if it has one.
    fn answer(&self, message: &Message) -> Option<Content> {
        let refused = |code, text: String| Content::Error(Refused { text, code: Some(code) });
        Some(match message.kind.as_str() {
            // Answers to requests that this room never sends.
            "__response__" | "room.tool_call_response" | "room.tool_call_response_chunk" => {
                return None;
            }
            // The end of an input may come after the call has ended.
            "room.tool_call_request_chunk" if is_end(&message.header["chunk"]) => Content::Empty,
            _ if !self.may_call => refused(PERMISSION_DENIED, DENIED.to_owned()),
            LIST_TOOLKITS => match ListToolkits::read(&message.header) {
                Ok(_) => ListToolkits::answer(&Toolkits::default()),
                Err(refused) => Content::Error(refused),
            },
            "room.invoke_tool" => {
                let toolkit = message.header["toolkit"].as_str().unwrap_or_default();
                let toolkit: String = toolkit.chars().take(NAME).collect();
                refused(NOT_FOUND, format!("the room has no toolkit {toolkit:?}"))
            }
            "room.tool_call_request_chunk" => {
                refused(NOT_FOUND, "there is no such tool call".to_owned())
            }
            _ => refused(INVALID_REQUEST, "the room does not know this request".to_owned()),
        })
    }
}

fn is_end(chunk: &Value) -> bool {
    chunk["type"] == "control" && chunk["method"] == "close"
}

/// A room that runs.
pub struct Running {
    session: String,
    guests: HashMap<String, Guest>,
}

impl Running {
    /// An empty room.
    pub fn begin() -> Self {
        Self { session: Uuid::new_v4().to_string(), guests: HashMap::new() }
    }

    /// Runs as long as anybody may send something.
    pub async fn run(mut self, mut events: mpsc::Receiver<Event>) {
        while let Some(event) = events.recv().await {
            self.take(event);
        }
    }

    /// Handles an event. A participant that does not read its messages is removed: its queue ends,
    /// and so its connection ends.
    fn take(&mut self, event: Event) {
        match event {
            Event::Entered(id, mut guest) => {
                if self.greet(&id, &mut guest) {
                    self.guests.insert(id, *guest);
                }
            }
            Event::Said(id, message, _share) => {
                let Some(guest) = self.guests.get_mut(&id) else { return };
                if !respond(guest, *message) {
                    self.guests.remove(&id);
                }
            }
            Event::Left(id) => drop(self.guests.remove(&id)),
        }
    }

    /// Tells a participant who it is and that the room is ready, each once.
    fn greet(&self, id: &str, guest: &mut Guest) -> bool {
        let attributes = guest.attributes.clone();
        let init = json!({ "type": "init", "participantId": id, "attributes": attributes });
        let ready = json!({
            "room_name": guest.room,
            "room_url": guest.url,
            "session_id": self.session,
        });
        guest.push("connected", init) && guest.push("room_ready", ready)
    }
}

/// Does what a message asks for, and sends the answer if there is one. Returns whether its sender
/// stays.
fn respond(guest: &mut Guest, message: Message) -> bool {
    if message.kind == "set_attributes" {
        return guest.set(message.header);
    }
    let Some(answer) = guest.answer(&message) else { return true };
    let (header, bytes) = answer.into_parts();
    guest.send(Message { id: message.id, kind: "__response__".to_owned(), header, bytes })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::sync::Semaphore;

    use super::*;

    fn guest(may_call: bool) -> (Guest, mpsc::Receiver<Message>) {
        let (outgoing, sent) = mpsc::channel(4);
        let room = ("demo".to_owned(), "ws://x/rooms/demo".to_owned());
        (Guest::new("ada", may_call, room, outgoing), sent)
    }

    fn code(guest: &Guest, kind: &str, header: Value) -> Option<i64> {
        match guest.answer(&Message::new(7, kind, header)) {
            Some(Content::Error(refused)) => refused.code,
            _ => None,
        }
    }

    #[test]
    fn what_a_room_does_not_know_is_refused_by_number() {
        let (caller, _sent) = guest(true);
        let call = json!({"toolkit": "storage", "tool": "list", "arguments": {"type": "empty"}});
        assert_eq!(code(&caller, "room.invoke_tool", call.clone()), Some(1003));
        assert_eq!(code(&caller, "room.rabbit", json!({})), Some(1002));
        let part = |chunk: Value| json!({"tool_call_id": "c", "chunk": chunk});
        let text = part(json!({"type": "text", "text": "x"}));
        assert_eq!(code(&caller, "room.tool_call_request_chunk", text), Some(1003));
        let end = part(json!({"type": "control", "method": "close", "status_code": 1000}));
        let message = Message::new(7, "room.tool_call_request_chunk", end.clone());
        assert_eq!(caller.answer(&message), Some(Content::Empty));
        let (visitor, _sent) = guest(false);
        assert_eq!(visitor.answer(&message), Some(Content::Empty));
        for kind in ["room.invoke_tool", "room.list_toolkits", "room.call", "room.rabbit"] {
            assert_eq!(code(&visitor, kind, call.clone()), Some(1001), "{kind}");
        }
        for kind in ["__response__", "room.tool_call_response", "room.tool_call_response_chunk"] {
            assert_eq!(caller.answer(&Message::new(7, kind, json!({}))), None, "{kind}");
        }
    }

    #[test]
    fn who_asks_for_toolkits_of_nobody_is_told_of_all() {
        let (caller, _sent) = guest(true);
        for header in [json!({}), json!(null), json!([]), json!("x"), json!(5)] {
            let answer = caller.answer(&Message::new(1, LIST_TOOLKITS, header.clone()));
            assert_eq!(answer, Some(Content::Json(json!({"tools": {}}))), "{header}");
        }
    }

    #[test]
    fn a_long_name_is_not_repeated_whole() {
        let (caller, _sent) = guest(true);
        let call = Message::new(1, "room.invoke_tool", json!({"toolkit": "x".repeat(10_000)}));
        let Some(Content::Error(refused)) = caller.answer(&call) else { panic!("no error") };
        assert!(refused.text.len() < 200, "{}", refused.text.len());
    }

    #[test]
    fn attributes_have_an_end_and_names_stay() {
        let (mut guest, _sent) = guest(true);
        assert!(guest.set(json!({"name": "eve", "mood": [1]})));
        assert_eq!(Value::Object(guest.attributes.clone()), json!({"name": "ada", "mood": [1]}));
        assert!(guest.set(json!("nothing")));
        assert!(!guest.set(json!({"long": "x".repeat(ATTRIBUTES)})));
    }

    #[test]
    fn who_takes_nothing_is_let_go() {
        let mut room = Running::begin();
        let (guest, sent) = guest(true);
        room.take(Event::Entered("a".to_owned(), Box::new(guest)));
        assert_eq!(sent.len(), 2, "the greeting");
        for _ in 0..3 {
            let asked = Message::new(1, "room.list_toolkits", json!({}));
            let share = Arc::new(Semaphore::new(1)).try_acquire_owned().expect("a share");
            room.take(Event::Said("a".to_owned(), Box::new(asked), share));
        }
        assert!(room.guests.is_empty() && sent.is_closed());
    }
}
