//! The conversations of an export from Claude, as documents of conversations in rooms.

use indexmap::IndexSet;
use serde_json::{Map, Value, json};
use uuid::Uuid;

/// How an export is read.
pub struct Reading {
    /// What the person is called.
    pub user: String,
    /// What the model is called.
    pub assistant: String,
    /// Whether messages without a text are taken.
    pub with_empty: bool,
}

/// A conversation.
#[derive(Debug, PartialEq)]
pub struct Conversation {
    /// Its number: the one that it has, or one that follows from what it has.
    pub id: Uuid,
    /// Its name; empty if it has none.
    pub name: String,
    /// When it began; empty if that is not known.
    pub created_at: String,
    /// When it was last changed; empty if that is not known.
    pub modified_at: String,
    /// Its document as JSON.
    pub document: Value,
}

impl Reading {
    /// Reads a conversation.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub fn conversation(&self, exported: &Value) -> Result<Conversation, String> {
        let exported = exported.as_object().ok_or("it is not an object")?;
        let own = text(exported, "uuid");
        if own.is_empty() {
            return Err("it has no `uuid`".to_owned());
        }
        let messages = exported.get("chat_messages").and_then(Value::as_array);
        let messages = messages.ok_or("it has no list `chat_messages`")?;
        let id = Uuid::parse_str(&own)
            .unwrap_or_else(|_| Uuid::new_v5(&Uuid::NAMESPACE_URL, own.as_bytes()));
        let created_at = text(exported, "created_at");
        let updated_at = text(exported, "updated_at");
        let time = if updated_at.is_empty() { &created_at } else { &updated_at };
        let messages = messages.iter().enumerate();
        let messages: Vec<Map<String, Value>> = messages
            .filter_map(|(index, message)| self.message(message.as_object()?, (&own, index), time))
            .collect();
        let authors = messages.iter().filter_map(|message| message.get("author_name"));
        let authors: IndexSet<&str> = authors.filter_map(Value::as_str).collect();
        let authors = match authors.is_empty() {
            true => [self.user.as_str(), self.assistant.as_str()].into_iter().collect(),
            false => authors,
        };
        let members = authors.iter().map(|name| json!({"member": {"name": name}}));
        let members: Vec<Value> = members.collect();
        let items: Vec<Value> = messages
            .iter()
            .map(|message| {
                let mut message = message.clone();
                message.insert("attachments".to_owned(), json!([]));
                json!({"message": message})
            })
            .collect();
        let document = json!({"thread": {"name": id.to_string(), "properties": [
            {"members": {"items": members}},
            {"messages": {"external_thread_id": own, "items": items}},
        ]}});
        let modified_at = if updated_at.is_empty() { created_at.clone() } else { updated_at };
        Ok(Conversation { id, name: text(exported, "name"), created_at, modified_at, document })
    }

    /// A message; none if it says nothing.
    fn message(
        &self,
        exported: &Map<String, Value>,
        (conversation, index): (&str, usize),
        time: &str,
    ) -> Option<Map<String, Value>> {
        let said = said(exported);
        if said.is_empty() && !self.with_empty {
            return None;
        }
        let author = match text(exported, "sender").to_lowercase().as_str() {
            "human" => self.user.clone(),
            "assistant" => self.assistant.clone(),
            "" => "participant".to_owned(),
            _ => text(exported, "sender"),
        };
        let blocks = blocks(exported);
        let first = blocks.first().and_then(Value::as_object);
        let of_block = |name: &str| first.map(|block| text(block, name)).unwrap_or_default();
        let times = [
            text(exported, "created_at"),
            of_block("start_timestamp"),
            of_block("stop_timestamp"),
            time.to_owned(),
        ];
        let created_at = times.into_iter().find(|time| !time.is_empty()).unwrap_or_default();
        let id = match text(exported, "uuid") {
            id if id.is_empty() => format!("{conversation}:message:{index}"),
            id => id,
        };
        let fields =
            [("id", id), ("text", said), ("created_at", created_at), ("author_name", author)];
        Some(fields.into_iter().map(|(name, value)| (name.to_owned(), json!(value))).collect())
    }
}

/// What a message says: its texts, or which files came with it.
fn said(exported: &Map<String, Value>) -> String {
    let blocks = blocks(exported);
    let texts = blocks.iter().filter(|block| block["type"] == "text");
    let texts: Vec<&str> = texts.filter_map(|block| block["text"].as_str()).collect();
    let said = match texts.is_empty() {
        true => text(exported, "text"),
        false => texts.concat().trim().to_owned(),
    };
    if !said.is_empty() {
        return said;
    }
    let lists = ["attachments", "files"].into_iter();
    let files = lists.filter_map(|list| exported.get(list)?.as_array()).flatten();
    let mut names: Vec<String> = Vec::new();
    for name in files.filter_map(|file| file.as_object()).map(|file| text(file, "file_name")) {
        let is_new = |known: &String| known.to_lowercase() != name.to_lowercase();
        if !name.is_empty() && names.iter().all(is_new) {
            names.push(name);
        }
    }
    match names.as_slice() {
        [] => String::new(),
        [one] => format!("attached file {one}"),
        several => format!("attached files {}", several.join(", ")),
    }
}

fn blocks(exported: &Map<String, Value>) -> &[Value] {
    exported.get("content").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

/// A text without blanks around it; empty if there is none.
fn text(fields: &Map<String, Value>, name: &str) -> String {
    fields.get(name).and_then(Value::as_str).unwrap_or_default().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading() -> Reading {
        Reading { user: "Ada".to_owned(), assistant: "Claude".to_owned(), with_empty: false }
    }

    #[test]
    fn a_conversation_becomes_a_document() {
        let read = reading().conversation(&json!({
            "uuid": "0f3c9a52-6a4f-4c0e-9d6e-0b6a9f3f1c11",
            "name": " Plan ",
            "created_at": "2026-01-01T00:00:00Z",
            "chat_messages": [
                {"uuid": "m1", "sender": "Human", "created_at": "c1", "content": [
                    {"type": "text", "text": " Hello, "}, {"type": "image"}, {"type": "text", "text": "you. "},
                ]},
                {"sender": "assistant", "text": "plain", "content": [
                    {"type": "tool_use", "start_timestamp": "", "stop_timestamp": "s1"},
                ]},
                {"sender": "tool", "attachments": [{"file_name": "A.txt"}, {"file_name": "a.TXT"}]},
                {"files": [{"file_name": "b"}, {"file_name": "c"}, {}]},
                {"sender": "human", "content": []},
                "no message",
            ],
        }));
        insta::assert_json_snapshot!(
            read.map(|read| {
                json!([read.id, read.name, read.created_at, read.modified_at, read.document])
            })
            .unwrap()
        );
    }

    #[test]
    fn what_is_no_conversation_is_told() {
        let id = json!({"uuid": "my id", "chat_messages": []});
        let read = reading().conversation(&id).unwrap();
        assert_eq!(read.id, Uuid::new_v5(&Uuid::NAMESPACE_URL, b"my id"));
        assert_eq!(
            read.document["thread"]["properties"][0]["members"]["items"].as_array().unwrap().len(),
            2
        );
        for (odd, why) in [
            (json!([]), "it is not an object"),
            (json!({"uuid": " ", "chat_messages": []}), "it has no `uuid`"),
            (json!({"uuid": "x", "chat_messages": {}}), "it has no list `chat_messages`"),
        ] {
            assert_eq!(reading().conversation(&odd).unwrap_err(), why);
        }
        let all = Reading { with_empty: true, ..reading() };
        let empty = json!({"uuid": "x", "chat_messages": [{}]});
        let items = "/thread/properties/1/messages/items";
        let count = |reading: Reading| {
            let read = reading.conversation(&empty).unwrap();
            read.document.pointer(items).unwrap().as_array().unwrap().len()
        };
        assert_eq!((count(reading()), count(all)), (0, 1));
    }
}
