//! *Pure*: toolkits that a participant offers to a room, in the form of messages.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::content::{Content, Refused};
use super::message::Message;
use super::operation::{At, Operation, done};

/// Offers a toolkit to the room.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Register(
    /// The toolkit: its `name`, its texts for people, and its `tools`.
    pub Value,
);

/// A toolkit that the room accepted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Registered {
    /// The room's id of the registration.
    pub id: Value,
}

impl Operation for Register {
    type Answer = Registered;
    const AT: At = At::Room("room.register_toolkit");

    fn answered(answer: Content) -> Option<Registered> {
        let Content::Json(answer) = answer else { return None };
        Registered::deserialize(answer).ok().filter(|registered| !registered.id.is_null())
    }
}

/// Removes a toolkit again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Unregister {
    /// The room's id of the registration.
    pub id: Value,
}

done! { Unregister => At::Room("room.unregister_toolkit") }

/// A tool call that the room forwards.
#[derive(Debug, Clone, PartialEq)]
pub struct Forwarded {
    /// The room's number of the message, which the answer has too.
    pub id: u64,
    /// The name of the tool.
    pub tool: String,
    /// The arguments; or what is wrong with them.
    pub arguments: Result<Content, Refused>,
}

/// The call in a message, if it is for a tool of this toolkit.
#[must_use]
pub fn forwarded(toolkit: &str, message: Message) -> Option<Forwarded> {
    if message.kind.strip_prefix("room.tool_call.")? != toolkit {
        return None;
    }
    let Message { id, header, bytes, .. } = message;
    let tool = header["name"].as_str().unwrap_or_default().to_owned();
    let is_bare = bytes.is_empty();
    let arguments = match Content::of(&header["arguments"], bytes) {
        Ok(content) => Ok(content),
        // Older rooms sent the arguments themselves.
        Err(_) if is_bare && header["arguments"].is_object() => {
            Ok(Content::Json(header["arguments"].clone()))
        }
        Err(what) => Err(Refused::invalid(format!("the arguments cannot be used: {what}"))),
    };
    Some(Forwarded { id, tool, arguments })
}

/// The answer to a forwarded call.
#[must_use]
pub fn answer(id: u64, answer: Result<Content, Refused>) -> Message {
    let (header, bytes) = answer.unwrap_or_else(Content::Error).into_parts();
    Message { id, kind: "room.tool_call_response".to_owned(), header, bytes }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_room_that_takes_a_toolkit_says_what_it_calls_it() {
        let header = json!({"name": "storage", "tools": {}});
        assert_eq!(serde_json::to_value(Register(header.clone())).unwrap(), header);
        let id = |answer: Content| Register::answered(answer).map(|registered| registered.id);
        assert_eq!(id(Content::Json(json!({"id": "r"}))), Some(json!("r")));
        for answer in [json!({"id": null}), json!({}), json!("r")] {
            assert_eq!(id(Content::Json(answer)), None);
        }
        assert_eq!(id(Content::Empty), None);
        let gone = Unregister { id: json!("r") };
        assert_eq!(serde_json::to_value(&gone).unwrap(), json!({"id": "r"}));
        assert_eq!(Unregister::answered(Content::Empty), Some(()));
    }

    fn call(arguments: Value, bytes: &[u8]) -> Option<Result<Content, Refused>> {
        let header = json!({"name": "x", "arguments": arguments, "caller_id": "c"});
        let message = Message {
            id: 7,
            kind: "room.tool_call.storage".to_owned(),
            header,
            bytes: bytes.to_vec(),
        };
        assert_eq!(forwarded("stor", message.clone()), None);
        assert_eq!(forwarded("storage2", message.clone()), None);
        forwarded("storage", message).map(|call| call.arguments)
    }

    #[test]
    fn arguments_stand_in_a_content_or_by_themselves() {
        let bare = json!({"path": "x"});
        for arguments in [bare.clone(), json!({"type": "json", "json": bare})] {
            assert_eq!(call(arguments, b""), Some(Ok(Content::Json(bare.clone()))));
        }
        let odd = json!({"type": "rabbit"});
        assert_eq!(call(odd.clone(), b""), Some(Ok(Content::Json(odd.clone()))));
        for (arguments, bytes) in [(odd, &b"x"[..]), (json!(null), b""), (json!([1]), b"")] {
            let refused = call(arguments, bytes).unwrap().unwrap_err();
            assert_eq!(refused.code, Some(1002), "{refused}");
        }
    }
}
