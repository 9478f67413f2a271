//! Calls of tools that take a stream, or answer with one, or both.

use std::time::Duration;

use serde_json::{Value, json};

use super::budget;
use super::client::{Awaited, Room};
use super::content::{Content, INVALID_DATA, Refused};

/// A call that has begun, and whose answer is to come.
pub struct Begun {
    /// What the tool takes.
    pub input: Input,
    /// What the tool answers.
    pub answer: Answer,
}

/// A call whose answer is a stream. Both of its halves can be used at once. They must be if the
/// tool may answer while it takes parts: a part counts as sent once the room has taken it, and the
/// room may say so behind more of the answer than may wait to be read.
pub struct Call {
    /// What the tool takes.
    pub input: Input,
    /// What the tool answers.
    pub output: Output,
}

/// What a tool answers.
pub enum Answered {
    /// A content.
    Content(Content),
    /// A stream.
    Stream(Output),
}

/// An answer that is to come. Dropping it only ignores the answer.
pub struct Answer {
    awaited: Awaited,
    output: Output,
    patience: Option<Duration>,
}

impl Answer {
    /// Waits for the answer.
    ///
    /// # Errors
    ///
    /// The room refuses the call, is gone, or does not answer in time.
    pub async fn wait(mut self) -> Result<Answered, Refused> {
        let room = self.output.room.clone();
        match room.within(self.patience, self.awaited.answer()).await? {
            Content::Open => Ok(Answered::Stream(self.output)),
            content => Ok(Answered::Content(content)),
        }
    }
}

/// What a tool takes: a stream, or just the arguments that it was called with. Dropping it ends
/// the stream, as well as it can.
pub struct Input {
    room: Room,
    call: String,
    is_open: bool,
    /// What the room is told if the stream is not closed.
    abandoned: Content,
}

impl Drop for Input {
    fn drop(&mut self) {
        if self.is_open {
            let (header, _) = self.abandoned.clone().into_parts();
            self.room.send_soon(CHUNK, self.chunk(header));
        }
    }
}

/// The kind of messages that are parts of what a tool takes.
const CHUNK: &str = "room.tool_call_request_chunk";

impl Input {
    pub(super) const fn new(room: Room, call: String, is_open: bool) -> Self {
        Self { room, call, is_open, abandoned: Content::close() }
    }

    /// Tells the room that the stream failed, and not just that it ended, unless it is closed.
    pub(super) fn fails_unless_closed(&mut self, message: &str) {
        let message = Some(message.to_owned());
        self.abandoned = Content::Close { status: INVALID_DATA, message };
    }

    fn chunk(&self, part: Value) -> Value {
        json!({"tool_call_id": self.call, "chunk": part})
    }

    /// Sends a part, and waits until the room has taken it. It may do so as slowly as the tool
    /// does.
    ///
    /// # Errors
    ///
    /// The room refuses it, or is gone; the tool takes no stream, or it is closed.
    pub async fn send(&mut self, part: Content) -> Result<(), Refused> {
        if !self.is_open {
            return Err(Refused::invalid("nothing more can be sent to the tool"));
        }
        let (header, bytes) = part.into_parts();
        let part = (CHUNK, self.chunk(header), bytes);
        self.room.request_within(None, part).await.map(drop)
    }

    /// Tells the room that nothing more will be sent; only once, however often this is called. The
    /// rest of the answer can still be read. What the room says to that changes nothing, so it is
    /// not waited for.
    pub async fn close(&mut self) {
        if self.is_open {
            let (header, _) = Content::close().into_parts();
            self.room.tell(CHUNK, self.chunk(header)).await;
            self.is_open = false;
        }
    }
}

/// What a tool answers: a stream. A tool may be silent for as long as it likes. Dropping it only
/// ignores what still arrives.
pub struct Output {
    room: Room,
    call: String,
    parts: budget::Receiver<Content>,
    is_over: bool,
}

impl Drop for Output {
    fn drop(&mut self) {
        self.room.forget(&self.call);
    }
}

impl Output {
    pub(super) const fn new(room: Room, call: String, parts: budget::Receiver<Content>) -> Self {
        Self { room, call, parts, is_over: false }
    }

    pub(super) const fn after(self, awaited: Awaited, patience: Option<Duration>) -> Answer {
        Answer { awaited, output: self, patience }
    }

    /// The next part of the answer; none after its end.
    ///
    /// # Errors
    ///
    /// An error that the tool sends instead of a part, which may not be the end; a stream that does
    /// not end well, which is; the room is gone.
    pub async fn next(&mut self) -> Result<Option<Content>, Refused> {
        if self.is_over {
            return Ok(None);
        }
        let part = self.parts.next().await;
        let part = part.ok_or_else(|| Refused::new(self.room.why_ended()))?;
        self.is_over = matches!(part, Content::Close { .. });
        match part.done()? {
            Content::Close { .. } => Ok(None),
            part => Ok(Some(part)),
        }
    }
}

#[cfg(test)]
mod tests;
