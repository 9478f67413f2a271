//! The toolkit `sync`, which every room has: documents that several edit at once.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use yrs::Transact;

use super::call::{Call, Input, Output};
use super::client::Room;
use super::content::{Content, Refused};
use super::invocation::Invocation;
use super::operation::{At, Operation, done};
use crate::documents::replica::Replica;
use crate::documents::schema::Schema;
use crate::documents::shape;

/// Asks for the contents of a document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Describe {
    /// Its path.
    pub path: String,
    /// The file of its schema; without it, the one that follows from its name.
    #[serde(default)]
    pub schema_path: Option<String>,
}

/// Makes a document without opening it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Create {
    /// Its path.
    pub path: String,
    /// What it contains: an object with its root element.
    #[serde(default)]
    pub json: Option<Value>,
    /// What it may contain.
    #[serde(default)]
    pub schema: Option<Value>,
    /// The file of its schema; without both, the one that follows from its name.
    #[serde(default)]
    pub schema_path: Option<String>,
}

done! { Create => At::Tool("sync", "create") }

/// What a participant says that opens a document.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Open {
    /// Its path.
    pub path: String,
    /// Whether it is made if there is none.
    #[serde(default)]
    pub create: bool,
    /// What the participant has of it already, as Yjs encodes it, in base64.
    #[serde(default)]
    pub vector: Option<String>,
    /// What it may contain, if it is made.
    #[serde(default)]
    pub schema: Option<Value>,
    /// The file of that.
    #[serde(default)]
    pub schema_path: Option<String>,
    /// What it contains, if it is made.
    #[serde(default)]
    pub initial_json: Option<Value>,
}

impl Operation for Describe {
    /// The document as an object.
    type Answer = Map<String, Value>;
    const AT: At = At::Tool("sync", "describe");
}

impl Room {
    /// The contents of a document: an object.
    ///
    /// # Errors
    ///
    /// As [`Room::request`]; an answer that is not an object.
    pub async fn describe(&self, path: &str) -> Result<Value, Refused> {
        let asked = Describe { path: path.to_owned(), schema_path: None };
        self.perform(&asked).await.map(Value::Object)
    }

    /// Opens a document.
    ///
    /// # Errors
    ///
    /// The room refuses; an answer that is no document; the room is gone.
    pub async fn open_document(&self, asked: &Open) -> Result<Opened, Refused> {
        let mut start = serde_json::to_value(asked).map_err(|it| Refused::new(it.to_string()))?;
        start["kind"] = "start".into();
        let Call { mut input, mut output } =
            self.open(Invocation::new("sync", "open", Content::Open)).await?;
        // The state may come before the start is acknowledged.
        let started = async { input.send(Content::part(start, Vec::new())).await };
        let (started, first) = tokio::join!(started, output.next());
        let first = first?;
        started?;
        let odd = || Refused::unexpected("sync.open");
        let Some(Content::Binary { mut headers, bytes }) = first else { return Err(odd()) };
        if headers["kind"] != "state" {
            return Err(odd());
        }
        let schema = Schema::parse(headers["schema"].take());
        let schema = schema.map_err(|what| Refused::new(format!("the room's schema: {what}")))?;
        let mut opened = Opened { replica: Replica::of_a_client(), schema, input, output };
        opened.apply(&bytes)?;
        Ok(opened)
    }
}

/// A document that is open in a room.
pub struct Opened {
    /// What is in it.
    pub replica: Replica,
    /// What may be in it.
    pub schema: Schema,
    input: Input,
    output: Output,
}

impl Opened {
    /// Applies what the room sends. It may send anything.
    fn apply(&mut self, data: &[u8]) -> Result<(), Refused> {
        if data.is_empty() {
            return Ok(());
        }
        let odd =
            |what: &str| Refused::new(format!("an update of the room cannot be used: {what}"));
        let bytes = STANDARD.decode(data).map_err(|_| odd("it is not in base64"))?;
        self.replica.apply(&bytes).map(drop).map_err(|wrong| odd(&wrong.what))
    }

    /// Sends a change, and waits until the room has it on disk. What others change meanwhile is
    /// applied.
    ///
    /// # Errors
    ///
    /// The room refuses it, or is gone.
    pub async fn send(&mut self, update: &[u8]) -> Result<(), Refused> {
        let data = STANDARD.encode(update).into_bytes();
        let mut news = Vec::new();
        {
            let part = Content::part(json!({"kind": "sync"}), data);
            let mut sending = std::pin::pin!(self.input.send(part));
            loop {
                tokio::select! {
                    sent = &mut sending => { sent?; break }
                    part = self.output.next() => match part? {
                        Some(Content::Binary { bytes, .. }) => news.push(bytes),
                        _ => return Err(Refused::unexpected("sync.open")),
                    }
                }
            }
        }
        news.iter().try_for_each(|data| self.apply(data))
    }

    /// What is in it, as JSON.
    ///
    /// # Errors
    ///
    /// The room refuses, or is gone; elements that are nested too deep.
    pub async fn told(&self, room: &Room, path: &str, with_ids: bool) -> Result<Value, Refused> {
        // The values of the root element are not in the document itself.
        let described = room.describe(path).await?;
        let schema = &self.schema;
        let root = described.get(schema.root()).and_then(Value::as_object);
        let is_value = |name: &String| schema.of_root().values.contains(name);
        let values = root.into_iter().flatten().filter(|(name, _)| is_value(name));
        let values: Map<String, Value> =
            values.map(|(name, it)| (name.clone(), it.clone())).collect();
        shape::project(&self.replica.doc.transact(), schema, &values, with_ids)
            .map_err(Refused::new)
    }

    /// Closes it: the room has done everything that was sent before.
    ///
    /// # Errors
    ///
    /// The room refused something, or is gone.
    pub async fn close(mut self) -> Result<(), Refused> {
        self.input.close().await;
        while self.output.next().await?.is_some() {}
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::room::content::Content;

    #[test]
    fn a_document_is_asked_for_as_the_public_sdk_does_and_is_an_object() {
        let header = json!({"path": "a.thread", "schema_path": null});
        let asked = Describe { path: "a.thread".to_owned(), schema_path: None };
        assert_eq!(serde_json::to_value(&asked).unwrap(), header);
        assert_eq!(Describe::read(&header).unwrap(), asked);
        assert!(Describe::answered(Content::Json(json!({"root": []}))).is_some());
        for answer in [Content::Empty, Content::Json(json!([])), Content::Json(json!(null))] {
            assert_eq!(Describe::answered(answer), None);
        }
    }
}
