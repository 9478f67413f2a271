//! What participants ask of a room, from the message to the answer.
//!
//! Each message is one of a few kinds. Calls of built-in tools are looked up in the one table of
//! operations, checked against the caller's scope, and run; calls of other tools are forwarded to
//! the participant that hosts them. What is done at once is answered at once, in the order in
//! which it was asked; what has to wait goes on as a task of its participant.

use std::future::Future;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use futures_util::future::BoxFuture;
use secrecy::SecretBox;
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::{OwnedSemaphorePermit, mpsc};

use super::guest::{Arrived, Guest, Input, PARTS, Part, Running};
use super::hosted::Elsewhere;
use super::operations::{self, Run};
use super::outgoing::Sent;
use super::room::{Room, part};
use crate::kinds::specs::scope::ApiScope;
use crate::room::codes;
use crate::room::content::{Content, NORMAL, Refused};
use crate::room::message::Message;

/// The text that the public SDK looks for if something is not allowed.
const DENIED: &str = "you do not have permission to perform the requested action";

/// Why a stream without an id is refused.
pub const NEEDS_ID: &str = "a stream needs a tool_call_id";

/// How much of a name is repeated in an answer, in characters.
const NAME: usize = 100;

/// A refusal with its number.
pub fn refused(code: i64, text: impl Into<String>) -> Refused {
    Refused { text: text.into(), code: Some(code) }
}

/// The refusal of something that the caller may not do.
pub fn denied() -> Refused {
    refused(codes::PERMISSION_DENIED, DENIED)
}

/// A name as it is repeated in an answer.
pub fn short(name: &str) -> String {
    name.chars().take(NAME).collect()
}

/// A call of a tool, as it is asked for.
#[derive(Debug, Deserialize)]
pub struct Invoke {
    /// The toolkit's name.
    #[serde(default)]
    pub toolkit: String,
    /// The tool's name.
    #[serde(default)]
    pub tool: String,
    /// The participant whose toolkit is meant.
    #[serde(default)]
    pub participant_id: Option<String>,
    /// For whom the caller acts; the host is told.
    #[serde(default)]
    pub on_behalf_of_id: Option<String>,
    /// The arguments: the header of a content.
    #[serde(default)]
    pub arguments: Value,
    /// What the caller tells the host besides.
    #[serde(default)]
    pub caller_context: Option<Value>,
    /// By which parts of streams are matched to the call.
    #[serde(default)]
    pub tool_call_id: Option<String>,
}

/// Who asks, where.
#[derive(Debug, Clone)]
pub struct Caller {
    /// The room.
    pub room: Arc<Room>,
    /// The participant.
    pub guest: Arc<Guest>,
}

/// How long the id of a call may be, in bytes.
const CALL_ID: usize = 256;

/// What became of a request.
enum Asked {
    /// It is done, and this is the answer.
    Done(Reply),
    /// It goes on by itself, and is answered then.
    Going,
    /// It is a stream; what goes on with it runs once it is said to be open.
    Opened(Option<BoxFuture<'static, ()>>),
    /// Another participant has to answer it.
    Elsewhere(Elsewhere),
}

/// An answer, and what follows once it was handed to the system.
pub struct Reply {
    /// The answer.
    pub content: Content,
    /// What is called then; it is dropped if that never happens.
    pub sent: Option<Sent>,
}

impl From<Content> for Reply {
    fn from(content: Content) -> Self {
        Self { content, sent: None }
    }
}

/// A call that takes a stream and answers with one.
pub struct Stream {
    /// Who calls.
    pub caller: Caller,
    call: String,
    running: Running,
    input: mpsc::Receiver<Part>,
    is_over: bool,
    is_given_up: bool,
}

/// A part that was not acknowledged yet. It counts as waiting as long as this is held.
pub struct Received {
    id: u64,
    share: OwnedSemaphorePermit,
}

impl Stream {
    /// The next part that the caller sends, which is acknowledged thereby; none at the end.
    pub async fn next(&mut self) -> Option<Content> {
        let (content, received) = self.arrived().await?;
        self.acknowledge(received).await;
        (!self.is_over).then_some(content)
    }

    /// The next part that the caller sends, before it is acknowledged; none behind the end, which is
    /// a part itself. To wait for it can be given up.
    pub async fn arrived(&mut self) -> Option<(Content, Received)> {
        if self.is_over {
            return None;
        }
        // A caller that leaves without ending its stream ends this task, too.
        let Part { id, content, share } = self.input.recv().await?;
        if let Content::Close { status, .. } = &content {
            self.is_over = true;
            self.is_given_up = *status != NORMAL;
        }
        Some((content, Received { id, share }))
    }

    /// Tells the caller that what was to be done with a part is done.
    pub async fn acknowledge(&self, Received { id, share }: Received) {
        drop(share);
        self.caller.answer(id, Content::Empty).await;
    }

    /// Tells the caller why what was to be done with a part is not done.
    pub async fn decline(&self, Received { id, share }: Received, why: Refused) {
        drop(share);
        self.caller.answer(id, Content::Error(why)).await;
    }

    /// Sends a part to the caller, when there is room for it.
    ///
    /// # Errors
    ///
    /// The caller does not read, and is dismissed.
    pub async fn send(&self, content: Content) -> Result<(), Refused> {
        let Caller { room, guest } = &self.caller;
        let sent = guest.reply(chunk(room, &self.call, content).into(), None, room).await;
        sent.map_err(|_| Refused::new("the caller does not read the answer"))
    }

    /// Whether the caller has ended its stream because something went wrong.
    pub const fn is_given_up(&self) -> bool {
        self.is_given_up
    }

    /// The id of the call, as the caller knows it.
    pub fn call(&self) -> &str {
        &self.call
    }

    /// Ends the stream. What went wrong is told before.
    async fn end(self, outcome: Result<(), Refused>) {
        let Self { caller, call, running, mut input, .. } = self;
        // From here on parts are late. Those that waited are acknowledged, too.
        drop(running);
        while let Ok(part) = input.try_recv() {
            caller.answer(part.id, Content::Empty).await;
        }
        let Caller { room, guest } = &caller;
        let wrong = outcome.err().map(Content::Error);
        for content in wrong.into_iter().chain([Content::close()]) {
            let letter = chunk(room, &call, content).into();
            if guest.reply(letter, None, room).await.is_err() {
                return;
            }
        }
    }
}

/// A part of an answer as a message to the caller.
pub fn chunk(room: &Room, call: &str, content: Content) -> Message {
    let (header, bytes) = part(call, content);
    let kind = "room.tool_call_response_chunk".to_owned();
    Message { id: room.number(), kind, header, bytes }
}

impl Caller {
    /// Does what a message asks for. Returns once it is done, or goes on by itself. The share of
    /// what may be parsed at once is not held while anything waits.
    pub async fn take(&self, message: Message, share: OwnedSemaphorePermit) {
        let id = message.id;
        let kind = message.kind.as_str();
        match kind {
            "set_attributes" => return self.room.set_attributes(&self.guest, message.header),
            // Answers to requests that this room never sends.
            "__response__" => return,
            "room.tool_call_response" => return self.host_answered(message, share).await,
            "room.tool_call_response_chunk" => return self.host_sent(message, share).await,
            "room.tool_call_request_chunk" => {
                if let Some(answer) = self.part(message, share).await {
                    self.answer(id, answer).await;
                }
                return;
            }
            _ => {}
        }
        let done = match self.asked(message) {
            Ok(Asked::Going) => return,
            Ok(Asked::Done(reply)) => reply,
            Ok(Asked::Opened(task)) => {
                drop(share);
                self.answer(id, Content::Open).await;
                if let Some(task) = task {
                    self.guest.run(task);
                }
                return;
            }
            Ok(Asked::Elsewhere(letter)) => {
                drop(share);
                return self.forward(letter).await;
            }
            Err(refused) => Content::Error(refused).into(),
        };
        drop(share);
        self.finish(id, Ok(done)).await;
    }

    /// Answers a request.
    pub async fn answer(&self, id: u64, answer: Content) {
        self.guest.answer(id, answer, None, &self.room).await;
    }

    /// Begins what a message asks for.
    fn asked(&self, message: Message) -> Result<Asked, Refused> {
        let scope = self.guest.scope.as_ref().ok_or_else(denied)?;
        let Message { id, kind, header, bytes } = message;
        if kind != "room.invoke_tool" {
            let found = operations::of_room(&kind);
            let found =
                found.ok_or_else(|| Refused::invalid("the room does not know this request"))?;
            if !found.gate.admits(scope, &header) {
                return Err(denied());
            }
            let Run::Once(run) = found.run else {
                return Err(Refused::invalid("the room does not know this request"));
            };
            return self.start(id, run(self.clone(), header));
        }
        let invoke = Invoke::deserialize(&header)
            .map_err(|error| Refused::invalid(format!("the call cannot be read: {error}")))?;
        drop(header);
        if invoke.tool_call_id.as_ref().is_some_and(|call| call.len() > CALL_ID) {
            let text = format!("a tool_call_id has at most {CALL_ID} bytes");
            return Err(Refused::invalid(text));
        }
        match operations::is_built_in(&invoke.toolkit, &invoke.tool) {
            true if invoke.participant_id.is_none() => self.built_in(id, scope, invoke, bytes),
            _ => self.forwarding(id, scope, invoke, bytes).map(Asked::Elsewhere),
        }
    }

    /// Calls a tool of the room itself.
    fn built_in(
        &self,
        id: u64,
        scope: &ApiScope,
        invoke: Invoke,
        bytes: Vec<u8>,
    ) -> Result<Asked, Refused> {
        let found = operations::of_tool(&invoke.toolkit, &invoke.tool)?;
        let arguments = Content::of(&invoke.arguments, bytes);
        let arguments = arguments
            .map_err(|what| Refused::invalid(format!("the arguments cannot be used: {what}")))?;
        match (found.run, arguments) {
            (Run::Once(run), Content::Json(arguments)) => {
                if !found.gate.admits(scope, &arguments) {
                    return Err(denied());
                }
                self.start(id, run(self.clone(), arguments))
            }
            (Run::Once(run), Content::Empty) => {
                if !found.gate.admits(scope, &Value::Null) {
                    return Err(denied());
                }
                self.start(id, run(self.clone(), Value::Null))
            }
            (Run::Bytes(run), Content::Binary { headers, bytes }) => {
                if !found.gate.admits(scope, &headers) {
                    return Err(denied());
                }
                let bytes = SecretBox::new(Box::new(bytes));
                self.start(id, run(self.clone(), headers, bytes))
            }
            (Run::Stream { starts, run }, Content::Open) => {
                // Without a part that starts it, everything is known by now.
                if !starts && !found.gate.admits(scope, &Value::Null) {
                    return Err(denied());
                }
                let call = invoke.tool_call_id.filter(|call| !call.is_empty());
                let call = call.ok_or_else(|| Refused::invalid(NEEDS_ID))?;
                let (parts, input) = mpsc::channel(PARTS);
                let running = self.guest.open(&call, Input::Tool(parts))?;
                let mut stream = Stream {
                    caller: self.clone(),
                    call,
                    running,
                    input,
                    is_over: false,
                    is_given_up: false,
                };
                let gate = found.gate;
                let mut task: BoxFuture<'static, ()> = Box::pin(async move {
                    let outcome = async {
                        let start = if starts { started(&mut stream).await? } else { Value::Null };
                        let scope = stream.caller.guest.scope.as_ref().ok_or_else(denied)?;
                        if !gate.admits(scope, &start) {
                            return Err(denied());
                        }
                        run(&mut stream, start).await
                    };
                    let outcome = outcome.await;
                    stream.end(outcome).await;
                });
                // It has its first turn before it is told to be open: who is told that a log is
                // watched misses nothing from then on.
                let first = task.as_mut().poll(&mut Context::from_waker(Waker::noop()));
                Ok(Asked::Opened(first.is_pending().then_some(task)))
            }
            (Run::Stream { .. }, _) => {
                Err(Refused::invalid(format!("{}.{} takes a stream", invoke.toolkit, invoke.tool)))
            }
            (Run::Bytes(_), _) => {
                Err(Refused::invalid(format!("{}.{} takes bytes", invoke.toolkit, invoke.tool)))
            }
            (Run::Once(_), _) => {
                Err(Refused::invalid(format!("{}.{} takes JSON", invoke.toolkit, invoke.tool)))
            }
        }
    }

    /// Runs an operation. It has its first turn at once, so that what is asked one after another
    /// is begun in that order, and what does not wait needs no task.
    fn start(
        &self,
        id: u64,
        run: impl Future<Output = Result<Reply, Refused>> + Send + 'static,
    ) -> Result<Asked, Refused> {
        let running = self.guest.place()?;
        let mut run: BoxFuture<'static, _> = Box::pin(run);
        if let Poll::Ready(done) = run.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return done.map(Asked::Done);
        }
        let caller = self.clone();
        self.guest.run(async move {
            caller.finish(id, run.await).await;
            drop(running);
        });
        Ok(Asked::Going)
    }

    async fn finish(&self, id: u64, done: Result<Reply, Refused>) {
        let Reply { content, sent } = done.unwrap_or_else(|refused| Content::Error(refused).into());
        self.guest.answer(id, content, sent, &self.room).await;
    }

    /// Hands a part of a stream to the tool that it is for; the answer, unless the tool gives it.
    async fn part(&self, message: Message, share: OwnedSemaphorePermit) -> Option<Content> {
        let Message { id, mut header, bytes, .. } = message;
        let call = header["tool_call_id"].as_str().unwrap_or_default().to_owned();
        let chunk = header["chunk"].take();
        let is_end = chunk["type"] == "control" && chunk["method"] == "close";
        let content = match Content::of(&chunk, bytes) {
            Ok(content) => content,
            Err(what) => {
                return Some(Content::Error(Refused::invalid(format!(
                    "the part cannot be used: {what}"
                ))));
            }
        };
        // What waits is no longer being parsed, and has a share of its own.
        drop(share);
        if let Some(number) = self.guest.forwarded(&call) {
            return Some(self.forward_part(number, content).await);
        }
        let size = content_size(&content);
        let Some(share) = self.room.waiting(size) else {
            return Some(Content::Error(Refused::invalid("too many parts wait for their tools")));
        };
        match self.guest.hand(&call, Part { id, content, share }) {
            Arrived::Handed => None,
            // The end of an input may come after the call has ended, and so may a part that was on
            // its way.
            Arrived::Late => Some(Content::Empty),
            Arrived::Unknown if is_end => Some(Content::Empty),
            Arrived::Unknown if self.guest.scope.is_none() => Some(Content::Error(denied())),
            Arrived::Unknown => {
                Some(Content::Error(refused(codes::NOT_FOUND, "there is no such tool call")))
            }
            Arrived::TooMany => {
                let text = "a part was sent before the last ones were acknowledged";
                Some(Content::Error(Refused::invalid(text)))
            }
        }
    }
}

/// About how many bytes a part takes while it waits.
fn content_size(content: &Content) -> usize {
    match content {
        Content::Binary { bytes, .. } | Content::File { bytes, .. } => bytes.len() + 1024,
        Content::Json(value) => value.to_string().len() * 4 + 1024,
        Content::Text(text) => text.len() + 1024,
        _ => 1024,
    }
}

/// The description in the part that starts a stream.
async fn started(stream: &mut Stream) -> Result<Value, Refused> {
    match stream.next().await {
        Some(Content::Binary { headers, .. } | Content::Json(headers))
            if headers["kind"] == "start" =>
        {
            Ok(headers)
        }
        _ => Err(Refused::invalid("the stream does not begin with a part of the kind \"start\"")),
    }
}
