//! The task behind a participant's connection: it hands what arrives to those who wait for it, and
//! sends what they say.
//!
//! The reading half waits for one thing besides the connection: a share of the [`budget`] for what
//! the room pushed. It never waits for a particular reader. An answer needs no share; but it comes
//! behind all that the room sent before it, so it cannot be read while the budget is used up.
//!
//! [`budget`]: super::budget

use std::collections::HashMap;
use std::fmt;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::stream::SplitStream;
use futures_util::{SinkExt, StreamExt};
use serde_json::{Map, Value};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{self, Message as Frame};
use tokio_util::sync::CancellationToken;

use super::budget::{self, BUDGET, Budget};
use super::content::{Content, Refused};
use super::message::{Assembler, LARGE, Message, SLICE};

/// How long leaving may take.
pub(super) const GOODBYE: Duration = Duration::from_secs(1);

/// What the participant shares with the task.
#[derive(Debug, Default)]
pub(super) struct Shared {
    expected: Mutex<Expected>,
    asked: AtomicU64,
    /// How large the slices may be that the room is sent, in bytes.
    slice: AtomicUsize,
    pub(super) budget: Budget,
    /// Cuts the connection.
    pub(super) cut: CancellationToken,
}

/// What is to be sent.
pub(super) enum Outgoing {
    Message(Message),
    /// The room is left. The answer comes when the connection is closed.
    Goodbye(oneshot::Sender<()>),
}

/// Where what the room sends goes.
#[derive(Debug, Default)]
struct Expected {
    answers: HashMap<u64, oneshot::Sender<Content>>,
    parts: HashMap<String, budget::Sender<Content>>,
    /// Why nothing is expected any more.
    ended: Option<Ended>,
}

/// Why a connection ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// This participant left the room.
    Left,
    /// The room closed the connection.
    Closed {
        /// The websocket's status, if there is one, such as 1000 for a normal end.
        status: Option<u16>,
        /// Why, in the room's words; often nothing.
        reason: String,
    },
    /// Something went wrong, as a phrase.
    Lost(String),
}

impl Ended {
    /// Whether the participant would still be in the room if everything had gone well: the
    /// connection was lost, or the room closed it with a status that is not the normal one.
    #[must_use]
    pub const fn is_too_early(&self) -> bool {
        match self {
            Self::Left | Self::Closed { status: None | Some(1000 | 1005), .. } => false,
            Self::Closed { .. } | Self::Lost(_) => true,
        }
    }
}

impl fmt::Display for Ended {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Left => out.write_str("the room was left"),
            Self::Closed { reason, .. } if reason.is_empty() => {
                out.write_str("the room closed the connection")
            }
            Self::Closed { reason, .. } => write!(out, "the room closed the connection: {reason}"),
            Self::Lost(why) => out.write_str(why),
        }
    }
}

impl From<String> for Ended {
    fn from(why: String) -> Self {
        Self::Lost(why)
    }
}

/// Who a participant is, and where.
#[derive(Debug, Clone, PartialEq)]
pub struct Identity {
    /// The participant's id in the room.
    pub participant_id: String,
    /// Its attributes; its `name` is among them.
    pub attributes: Map<String, Value>,
    /// The room's name.
    pub room_name: String,
    /// The room's URL, as the room tells it.
    pub room_url: String,
    /// The id of the room's session. The room has another one each time that it starts.
    pub session_id: String,
}

/// What a room has told of [`Identity`] so far. It says each half once, in any order, and what it
/// says again does not count.
#[derive(Debug, Default)]
struct Greeting {
    participant: Option<(String, Map<String, Value>)>,
    room: Option<[String; 3]>,
}

impl Greeting {
    /// Takes a message. Returns any that has nothing to do with a greeting.
    ///
    /// # Errors
    ///
    /// What is missing in it, as a phrase.
    fn take(&mut self, message: Message) -> Result<Option<Message>, String> {
        let header = &message.header;
        let text = |name: &str| {
            let text = header[name].as_str().map(str::to_owned);
            text.ok_or_else(|| format!("the room's message {} has no {name}", message.kind))
        };
        match message.kind.as_str() {
            "connected" if header["type"] == "init" && self.participant.is_none() => {
                let attributes = header["attributes"].as_object().cloned().unwrap_or_default();
                self.participant = Some((text("participantId")?, attributes));
            }
            "room_ready" if self.room.is_none() => {
                self.room = Some([text("room_name")?, text("room_url")?, text("session_id")?]);
            }
            "connected" | "room_ready" => {}
            _ => return Ok(Some(message)),
        }
        Ok(None)
    }

    /// Who the participant is, if the room has told all of it.
    fn identity(&self) -> Option<Identity> {
        let (participant_id, attributes) = self.participant.clone()?;
        let [room_name, room_url, session_id] = self.room.clone()?;
        Some(Identity { participant_id, attributes, room_name, room_url, session_id })
    }
}

impl Shared {
    /// What a participant shares in a room that is sent slices of up to so many bytes.
    pub(super) fn new(slice: usize) -> Self {
        Self { slice: AtomicUsize::new(slice), ..Self::default() }
    }

    /// A number for a message, which no other message of this participant has.
    pub(super) fn number(&self) -> u64 {
        self.asked.fetch_add(1, Ordering::Relaxed) + 1
    }

    fn expected(&self) -> MutexGuard<'_, Expected> {
        self.expected.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn expect(&self, change: impl FnOnce(&mut Expected)) -> Result<(), Refused> {
        let mut expected = self.expected();
        match &expected.ended {
            Some(ended) => Err(Refused::new(ended.to_string())),
            None => {
                change(&mut expected);
                Ok(())
            }
        }
    }

    /// Expects the answer to a request.
    ///
    /// # Errors
    ///
    /// The connection has ended.
    pub(super) fn expect_answer(&self, id: u64) -> Result<oneshot::Receiver<Content>, Refused> {
        let (answer, answered) = oneshot::channel();
        self.expect(|expected| drop(expected.answers.insert(id, answer)))?;
        Ok(answered)
    }

    /// Expects the parts of a call's answer.
    ///
    /// # Errors
    ///
    /// The connection has ended.
    pub(super) fn expect_parts(&self, call: &str) -> Result<budget::Receiver<Content>, Refused> {
        let (part, parts) = budget::channel();
        self.expect(|expected| drop(expected.parts.insert(call.to_owned(), part)))?;
        Ok(parts)
    }

    /// Forgets a request that is over.
    pub(super) fn forget_answer(&self, id: u64) {
        self.expected().answers.remove(&id);
    }

    /// Forgets a call that is over.
    pub(super) fn forget_parts(&self, call: &str) {
        self.expected().parts.remove(call);
    }

    /// Why nothing more arrives, if that is so.
    pub(super) fn ended(&self) -> Option<Ended> {
        self.expected().ended.clone()
    }

    /// Tells all waiting callers that nothing more arrives.
    fn end(&self, ended: Ended) {
        *self.expected() = Expected { ended: Some(ended), ..Expected::default() };
    }

    /// Notes how large the slices are that the room sends. What it said itself counts more.
    fn saw_slice(&self, largest: usize) {
        if largest > SLICE && self.slice.load(Ordering::Relaxed) == SLICE {
            self.slice.store(LARGE, Ordering::Relaxed);
        }
    }

    /// Passes an answer or a part of a stream to the caller that waits for it. What nobody waits
    /// for any more is dropped. Returns any other message.
    async fn hand(&self, message: Message) -> Option<Message> {
        match message.kind.as_str() {
            "__response__" => {
                let answer = self.expected().answers.remove(&message.id);
                if let Some(answer) = answer {
                    let content = Content::of(&message.header, message.bytes);
                    let _ = answer.send(content.unwrap_or_else(|what| {
                        Content::Error(Refused::new(format!("the answer is not valid: {what}")))
                    }));
                }
            }
            "room.tool_call_response_chunk" => {
                let call = message.header["tool_call_id"].as_str().unwrap_or_default();
                let part = self.expected().parts.get(call).cloned();
                if let Some(part) = part {
                    let content = Content::of_part(&message.header["chunk"], message.bytes)
                        .unwrap_or_else(|what| Content::Error(Refused::new(what)));
                    self.budget.hold(content, &part).await;
                }
            }
            _ => return Some(message),
        }
        None
    }
}

/// Where the task puts what is not for a caller.
pub(super) struct Unasked {
    /// For what the room pushes.
    pub pushed: budget::Sender<Message>,
    /// For who the participant is, once that is known and the room is ready.
    pub is_ready: oneshot::Sender<Identity>,
}

/// Runs a connection from its beginning to its end.
pub(super) async fn run<S>(
    socket: WebSocketStream<S>,
    shared: Arc<Shared>,
    sent: mpsc::Receiver<Outgoing>,
    unasked: Unasked,
    heartbeat: Duration,
) where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let (sink, stream) = socket.split();
    let mut reader = Reader { stream, assembler: Assembler::default(), heartbeat };
    let goodbye = {
        let mut reading = pin!(reader.read(&shared, unasked));
        let mut writing = pin!(write(sink, sent, &shared, heartbeat));
        let (ended, goodbye) = tokio::select! {
            ended = &mut reading => (ended, None),
            goodbye = &mut writing => (Ended::Left, goodbye),
            () = shared.cut.cancelled() => (Ended::Left, None),
        };
        // Nobody who waits is told that nothing more comes before the reason is known, and so
        // neither half ends before that.
        shared.end(ended);
        goodbye
    };
    if let Some(said) = goodbye {
        // What the room has not read yet would be lost if the connection were just cut.
        let _ = timeout(GOODBYE, reader.until_closed()).await;
        let _ = said.send(());
    }
}

struct Reader<S> {
    stream: SplitStream<WebSocketStream<S>>,
    assembler: Assembler,
    heartbeat: Duration,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Reader<S> {
    /// Reads messages until the connection ends, and returns why.
    async fn read(&mut self, shared: &Shared, unasked: Unasked) -> Ended {
        let Unasked { pushed, is_ready } = unasked;
        let (mut greeting, mut is_ready) = (Greeting::default(), Some(is_ready));
        loop {
            let message = match self.next().await {
                Ok(message) => message,
                Err(ended) => return ended,
            };
            shared.saw_slice(self.assembler.largest_slice());
            let message = match greeting.take(message) {
                Ok(Some(message)) => message,
                Ok(None) => {
                    let identity = is_ready.as_ref().and_then(|_| greeting.identity());
                    if let Some(identity) = identity
                        && let Some(is_ready) = is_ready.take()
                    {
                        let _ = is_ready.send(identity);
                    }
                    continue;
                }
                Err(what) => return Ended::Lost(what),
            };
            let Some(message) = shared.hand(message).await else { continue };
            if is_ready.is_none() {
                shared.budget.hold(message, &pushed).await;
            } else if shared.budget.hold_now(message, &pushed).is_err() {
                // Whoever would read it waits until the room is ready, so waiting would be vain.
                let most = BUDGET / (1024 * 1024);
                let what = format!("the room sent more than {most} MiB before it was ready");
                return Ended::Lost(what);
            }
        }
    }

    async fn next(&mut self) -> Result<Message, Ended> {
        loop {
            // Pings are sent, so a live peer sends something.
            let silence = self.heartbeat * 2;
            let frame = timeout(silence, self.stream.next())
                .await
                .map_err(|_| format!("nothing was received for {} s", silence.as_secs_f64()))?;
            match frame.ok_or_else(|| Ended::Lost("the connection was cut".to_owned()))? {
                Ok(Frame::Binary(packet)) => {
                    if let Some(message) = self.assembler.take(&packet)? {
                        return Ok(message);
                    }
                }
                Ok(Frame::Close(frame)) => {
                    let (status, reason) = frame
                        .map(|frame| (u16::from(frame.code), frame.reason.as_str().to_owned()))
                        .unzip();
                    let reason = reason.unwrap_or_default();
                    return Err(Ended::Closed { status, reason });
                }
                // Pings are answered by the library; text is not part of the protocol.
                Ok(_) => {}
                Err(error) => return Err(Ended::Lost(format!("the connection was lost: {error}"))),
            }
        }
    }

    /// Reads what still comes, and ignores it, until the room has closed its side, too.
    async fn until_closed(&mut self) {
        while let Some(Ok(frame)) = self.stream.next().await {
            if frame.is_close() {
                return;
            }
        }
    }
}

/// Sends messages until the room is left; returns whom to tell that, if somebody asked for it.
async fn write<S>(
    mut sink: S,
    mut sent: mpsc::Receiver<Outgoing>,
    shared: &Shared,
    heartbeat: Duration,
) -> Option<oneshot::Sender<()>>
where
    S: futures_util::Sink<Frame, Error = tungstenite::Error> + Unpin,
{
    let mut beat = interval_at(Instant::now() + heartbeat, heartbeat);
    // Pings that were late because the room read nothing are not all made up for.
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let next = tokio::select! {
            next = sent.recv() => Some(next),
            _ = beat.tick() => None,
        };
        let done = match next {
            Some(Some(Outgoing::Message(message))) => {
                let packets = message.packets(shared.slice.load(Ordering::Relaxed));
                let frames = packets.map(|packet| Ok(Frame::Binary(packet)));
                sink.send_all(&mut futures_util::stream::iter(frames)).await
            }
            Some(Some(Outgoing::Goodbye(said))) => {
                let normal = CloseFrame { code: CloseCode::Normal, reason: "".into() };
                let _ = sink.send(Frame::Close(Some(normal))).await;
                return Some(said);
            }
            Some(None) => return None,
            None => sink.send(Frame::Ping(Vec::new().into())).await,
        };
        // The reading half reports what went wrong, after it has read what came before.
        if done.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
