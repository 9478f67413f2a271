//! *Pure*: the toolkit `messaging`, which every room has: messages between participants, for those
//! who have enabled it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::content::Refused;
use super::message::Message;
use super::operation::{At, done};

/// The kind of the messages in which a participant's message is delivered.
pub const DELIVERED: &str = "messaging.send";

/// The types of messages that a room sends itself.
pub mod news {
    /// To a participant who has just enabled messaging: who else has.
    pub const EVERYBODY: &str = "messaging.enabled";
    /// To the others: a participant has enabled messaging.
    pub const ENABLED: &str = "participant.enabled";
    /// To the others: a participant has disabled messaging, or left.
    pub const DISABLED: &str = "participant.disabled";
    /// To the others: attributes of a participant changed.
    pub const ATTRIBUTES: &str = "participant.attributes";
    /// All of them.
    pub const ALL: [&str; 4] = [EVERYBODY, ENABLED, DISABLED, ATTRIBUTES];
}

/// Enables messaging for the caller.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Enable {}

/// Disables it again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Disable {}

/// Sends a message to one participant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Send {
    /// The recipient.
    pub to_participant_id: String,
    /// What is sent.
    #[serde(flatten)]
    pub letter: Letter,
}

/// Sends a message to all participants except the caller.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Broadcast {
    /// What is sent.
    #[serde(flatten)]
    pub letter: Letter,
}

/// What participants send to each other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Letter {
    /// What kind of message it is, such as `chat`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The message: the text of a JSON object.
    pub message_json: String,
    /// Bytes that come with it, in base64.
    #[serde(default)]
    pub attachment_base64: Option<String>,
}

/// A participant, as others see it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Participant {
    /// Its id.
    pub id: String,
    /// Its role: `user`, `agent` or `tool`.
    pub role: String,
    /// Its attributes; `name` is among them.
    pub attributes: Map<String, Value>,
}

impl Participant {
    /// The participants that a room names to one that has just enabled messaging.
    #[must_use]
    pub fn listed(message: &Message) -> Option<Vec<Self>> {
        if message.kind != DELIVERED || message.header["type"] != news::EVERYBODY {
            return None;
        }
        Vec::deserialize(&message.header["message"]["participants"]).ok()
    }
}

done! {
    Enable => At::Tool("messaging", "enable"),
    Disable => At::Tool("messaging", "disable"),
    Send => At::Tool("messaging", "send"),
    Broadcast => At::Tool("messaging", "broadcast"),
}

impl Letter {
    /// A message without an attachment.
    #[must_use]
    pub fn new(kind: &str, message: &Value) -> Self {
        Self { kind: kind.to_owned(), message_json: message.to_string(), attachment_base64: None }
    }

    /// What is delivered: the header of the message, and the bytes that come with it.
    ///
    /// # Errors
    ///
    /// The message is not a JSON object; the attachment is not base64.
    pub fn delivered(&self, from: &str) -> Result<(Value, Vec<u8>), Refused> {
        let message: Map<String, Value> =
            serde_json::from_str(&self.message_json).map_err(|error| {
                Refused::invalid(format!("the message is not a JSON object: {error}"))
            })?;
        let bytes = self.attachment_base64.as_deref().map(|text| STANDARD.decode(text));
        let bytes = bytes
            .transpose()
            .map_err(|error| Refused::invalid(format!("the attachment is not base64: {error}")))?;
        Ok((news(from, &self.kind, message), bytes.unwrap_or_default()))
    }
}

/// The header of a message that is delivered.
#[must_use]
pub fn news(from: &str, kind: &str, message: impl Into<Value>) -> Value {
    serde_json::json!({"from_participant_id": from, "type": kind, "message": message.into()})
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::room::operation::Operation;

    #[test]
    fn a_message_is_sent_as_the_public_sdk_sends_it() {
        let header = json!({
            "to_participant_id": "p", "type": "chat", "message_json": "{\"a\":1}",
            "attachment_base64": "aGk=",
        });
        let sent = Send::read(&header).unwrap();
        assert_eq!(serde_json::to_value(&sent).unwrap(), header);
        let (told, bytes) = sent.letter.delivered("me").unwrap();
        let expected = json!({"from_participant_id": "me", "type": "chat", "message": {"a": 1}});
        assert_eq!((told, bytes.as_slice()), (expected, &b"hi"[..]));
    }

    #[test]
    fn what_nobody_could_read_is_refused() {
        let letter = |json: &str, base64: Option<&str>| Letter {
            kind: "x".to_owned(),
            message_json: json.to_owned(),
            attachment_base64: base64.map(str::to_owned),
        };
        for wrong in [letter("[1]", None), letter("", None), letter("{}", Some("?"))] {
            assert_eq!(wrong.delivered("me").unwrap_err().code, Some(1002), "{wrong:?}");
        }
        assert!(letter("{}", Some("")).delivered("me").unwrap().1.is_empty());
    }

    #[test]
    fn participants_are_listed_in_the_message_that_lists_them() {
        let one =
            Participant { id: "a".to_owned(), role: "user".to_owned(), attributes: Map::new() };
        let header = news("a", news::EVERYBODY, json!({"participants": [one]}));
        let message = Message::new(1, DELIVERED, header.clone());
        assert_eq!(Participant::listed(&message), Some(vec![one]));
        assert_eq!(Participant::listed(&Message::new(1, "room.status", header)), None);
        let other = Message::new(1, DELIVERED, news("a", "chat", json!({"participants": []})));
        assert_eq!(Participant::listed(&other), None);
    }
}
