//! *Pure*: the toolkit `queues`, which every room has. A message is any JSON; each is received by
//! one receiver, in the order in which they were sent.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::content::Content;
use super::operation::{At, Operation, done, yes, yes_unless_false};

/// Which queues there are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct List {}

/// The queues of a room.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Queues {
    /// In the order of their names.
    pub queues: Vec<Queue>,
}

/// A queue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Queue {
    /// Its name.
    pub name: String,
    /// How many messages wait in it. Rooms may say so with a text.
    #[serde(deserialize_with = "count")]
    pub size: u64,
}

/// Creates a queue, or opens it again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Open {
    /// Its name.
    pub name: String,
}

/// Removes all messages of a queue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drain {
    /// Its name.
    pub name: String,
}

/// Closes a queue: nothing is sent to it or received from it until it is opened again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Close {
    /// Its name.
    pub name: String,
}

/// Sends a message to a queue.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Send {
    /// The queue's name.
    pub name: String,
    /// Whether a queue that does not exist is created.
    #[serde(default = "yes", deserialize_with = "yes_unless_false")]
    pub create: bool,
    /// The message: any JSON.
    #[serde(default)]
    pub message: Value,
}

/// Receives a message from a queue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receive {
    /// The queue's name.
    pub name: String,
    /// Whether a queue that does not exist is created.
    #[serde(default = "yes", deserialize_with = "yes_unless_false")]
    pub create: bool,
    /// Whether to wait, without limit, until there is a message.
    #[serde(default = "yes", deserialize_with = "yes_unless_false")]
    pub wait: bool,
}

impl Operation for List {
    type Answer = Queues;
    const AT: At = At::Tool("queues", "list");
}

impl Operation for Receive {
    /// The message; `None` if there is none.
    type Answer = Option<Value>;
    const AT: At = At::Tool("queues", "receive");

    fn waits(&self) -> bool {
        self.wait
    }

    /// The public SDK takes a text for a text, an empty content for no message, and anything else
    /// as it is.
    fn answer(answer: &Option<Value>) -> Content {
        match answer {
            Some(Value::String(text)) => Content::Text(text.clone()),
            Some(message) => Content::Json(message.clone()),
            None => Content::Empty,
        }
    }

    fn answered(answer: Content) -> Option<Option<Value>> {
        match answer {
            Content::Text(text) => Some(Some(Value::String(text))),
            Content::Json(message) => Some(Some(message)),
            Content::Empty => Some(None),
            _ => None,
        }
    }
}

done! {
    Open => At::Tool("queues", "open"),
    Drain => At::Tool("queues", "drain"),
    Close => At::Tool("queues", "close"),
    Send => At::Tool("queues", "send"),
}

fn count<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    let value = Value::deserialize(deserializer)?;
    let count = value.as_u64().or_else(|| value.as_str()?.trim().parse().ok());
    count.ok_or_else(|| serde::de::Error::custom("a size is not a whole number"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_missing_or_null_has_its_default() {
        let all = Receive { name: "q".to_owned(), create: true, wait: true };
        for header in [json!({"name": "q"}), json!({"name": "q", "create": null, "wait": null})] {
            assert_eq!(Receive::read(&header).unwrap(), all, "{header}");
        }
        let none = Receive::read(&json!({"name": "q", "create": false, "wait": false})).unwrap();
        assert_eq!((none.create, none.wait), (false, false));
        let sent = Send::read(&json!({"name": "q"})).unwrap();
        assert_eq!(sent, Send { name: "q".to_owned(), create: true, message: Value::Null });
        assert!(Send::read(&json!({"message": 1})).is_err());
    }

    #[test]
    fn a_message_comes_out_as_it_went_in() {
        for message in [json!({"a": 1}), json!("text"), json!(null), json!([1, "x"]), json!(5)] {
            let answer = Receive::answer(&Some(message.clone()));
            assert_eq!(Receive::answered(answer), Some(Some(message)));
        }
        assert_eq!(Receive::answered(Receive::answer(&None)), Some(None));
        assert_eq!(Receive::answered(Content::Open), None);
    }

    #[test]
    fn sizes_may_be_texts() {
        let told = json!({"queues": [{"name": "a", "size": "3"}, {"name": "b", "size": 4}]});
        let queues = List::answered(Content::Json(told)).unwrap().queues;
        assert_eq!(queues.iter().map(|queue| queue.size).collect::<Vec<_>>(), [3, 4]);
        assert_eq!(List::answered(Content::Json(json!({"queues": [{"name": "a"}]}))), None);
    }
}
