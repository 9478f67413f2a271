//! A call of a tool that takes a stream and answers with one.

use serde_json::json;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::client::{ANSWER, Room};
use super::content::{Content, Refused};

/// A running call. Dropping it only ignores what still arrives; [`Self::close`] also tells the
/// room.
pub struct Call {
    room: Room,
    id: String,
    parts: mpsc::Receiver<Content>,
    is_closed: bool,
}

impl Drop for Call {
    fn drop(&mut self) {
        self.room.forget(&self.id);
    }
}

impl Call {
    pub(super) const fn new(room: Room, id: String, parts: mpsc::Receiver<Content>) -> Self {
        Self { room, id, parts, is_closed: false }
    }

    /// Sends a part, and waits until the room has it.
    ///
    /// # Errors
    ///
    /// The room refuses it, or is gone.
    pub async fn send(&self, part: Content) -> Result<(), Refused> {
        let (header, bytes) = part.into_parts();
        let header = json!({"tool_call_id": self.id, "chunk": header});
        self.room.request("room.tool_call_request_chunk", header, bytes).await.map(drop)
    }

    /// The next part of the answer; none at its end.
    ///
    /// # Errors
    ///
    /// The error that the room sends instead of a part; the room is gone or sends nothing.
    pub async fn next(&mut self) -> Result<Option<Content>, Refused> {
        let part = timeout(ANSWER, self.parts.recv()).await;
        match part.map_err(|_| Refused::new("the room stopped sending without ending the call"))? {
            None => Err(Refused::new(self.room.why_ended())),
            Some(Content::Error(refused)) => Err(refused),
            Some(Content::Close { status: 1000, .. }) => Ok(None),
            Some(Content::Close { message, .. }) => {
                let text = message.unwrap_or_else(|| "the room aborted the call".to_owned());
                Err(Refused::new(text))
            }
            Some(part) => Ok(Some(part)),
        }
    }

    /// Tells the room that nothing more will be sent; only once, however often this is called.
    pub async fn close(&mut self) {
        if !std::mem::replace(&mut self.is_closed, true) {
            // The answer of the room does not change what was done.
            let _ = self.send(Content::close()).await;
        }
    }
}
