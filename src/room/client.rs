//! A participant's connection to a room: it sends requests and receives what the room pushes.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::{SinkExt, Stream, StreamExt};
use secrecy::SecretString;
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, interval_at, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{self, Message as Frame};

use super::call::Call;
use super::content::{Content, Refused};
use super::handshake;
use super::message::{Assembler, Message};
use super::operation::not_done;
use crate::error::{Error, Result};
use crate::visible;

/// How long a room has to let a participant in.
const READY: Duration = Duration::from_secs(30);

/// How long a room has to answer a request.
pub(super) const ANSWER: Duration = Duration::from_secs(120);

/// How long leaving may take.
const GOODBYE: Duration = Duration::from_secs(1);

/// How many messages may wait to be sent, or to be read, before the producer has to wait.
const WAITING: usize = 64;

/// How many parts of a stream may be on their way; rooms send one for each request.
const PARTS: usize = 64;

/// A participant in a room. Clones are the same participant. Dropping the last one ends the
/// connection, without leaving the room properly.
#[derive(Clone)]
pub struct Room {
    shared: Arc<Shared>,
    outgoing: mpsc::Sender<Outgoing>,
}

/// What the participant shares with the reading task.
#[derive(Default)]
struct Shared {
    expected: Mutex<Expected>,
    asked: AtomicU64,
}

enum Outgoing {
    Message(Message),
    Goodbye(oneshot::Sender<()>),
}

/// Where the answers of the room go.
#[derive(Default)]
struct Expected {
    answers: HashMap<u64, oneshot::Sender<Content>>,
    parts: HashMap<String, mpsc::Sender<Content>>,
    /// Why nothing is expected any more.
    ended: Option<Ended>,
}

/// Why a connection ended.
#[derive(Clone)]
enum Ended {
    /// The room was left, or closed properly.
    InOrder(&'static str),
    /// Something went wrong.
    Lost(String),
}

impl Ended {
    fn why(&self) -> String {
        match self {
            Self::InOrder(why) => (*why).to_owned(),
            Self::Lost(why) => why.clone(),
        }
    }
}

impl From<String> for Ended {
    fn from(why: String) -> Self {
        Self::Lost(why)
    }
}

/// What a room pushes, other than answers.
pub struct Incoming(mpsc::Receiver<Message>);

impl Incoming {
    /// The next message; none once the connection is closed.
    pub async fn next(&mut self) -> Option<Message> {
        self.0.recv().await
    }
}

impl Room {
    /// Enters the room at this websocket URL with a participant's token, and waits until the
    /// room is ready. Without `insecure` the token goes to no other machine without TLS.
    ///
    /// # Errors
    ///
    /// An invalid URL; a room that cannot be reached or does not let the participant in.
    pub async fn enter(
        url: &str,
        token: &SecretString,
        insecure: bool,
    ) -> Result<(Self, Incoming)> {
        let shown = visible::url(url);
        let failed = || format!("failed to enter the room at {shown}");
        let socket = timeout(READY, handshake::connect(url, token, insecure))
            .await
            .map_err(|_| Error::failed(failed()).because(told_late(READY)))?
            .map_err(|what| Error::failed(failed()).because(what))?;
        Self::over(socket).await.map_err(|what| Error::failed(failed()).because(what))
    }

    /// Becomes a participant over an existing connection, and waits until the room is ready.
    ///
    /// # Errors
    ///
    /// Why the room does not let the participant in, as a phrase.
    pub async fn over<S>(socket: WebSocketStream<S>) -> Result<(Self, Incoming), String>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let heartbeat = heartbeat()?;
        let (sink, stream) = socket.split();
        let (outgoing, sent) = mpsc::channel(WAITING);
        let (pushed, incoming) = mpsc::channel(WAITING);
        let (is_ready, ready) = oneshot::channel();
        let shared = Arc::<Shared>::default();
        let room = Self { shared: shared.clone(), outgoing };
        tokio::spawn(async move {
            let reader = Reader { stream, assembler: Assembler::default(), heartbeat };
            // Waiting callers get no answer before the reason is known.
            let mut is_ready = Some(is_ready);
            let ended = tokio::select! {
                ended = reader.read(&shared, &pushed, &mut is_ready) => ended,
                () = write(sink, sent, heartbeat) => Ended::InOrder("the room was left"),
            };
            shared.end(ended);
        });
        match timeout(READY, ready).await {
            Ok(Ok(())) => Ok((room, Incoming(incoming))),
            Ok(Err(_)) => Err(room.why_ended()),
            Err(_) => Err(told_late(READY)),
        }
    }

    /// Sends a request to the room, and returns the header of its answer.
    ///
    /// # Errors
    ///
    /// The room refuses it; the connection is lost, or the answer takes too long.
    pub async fn ask(&self, kind: &str, header: Value) -> Result<Value> {
        let answer = self.request(kind, header, Vec::new()).await;
        let content = answer.map_err(|refused| not_done(kind, &refused))?;
        Ok(content.into_parts().0)
    }

    /// Sends a request to the room, and returns its answer, which is not an error.
    ///
    /// # Errors
    ///
    /// The room refuses it, is gone, or does not answer.
    pub async fn request(
        &self,
        kind: &str,
        header: Value,
        bytes: Vec<u8>,
    ) -> Result<Content, Refused> {
        let id = self.number();
        let (answer, answered) = oneshot::channel();
        self.shared.expect(|expected| drop(expected.answers.insert(id, answer)))?;
        let asked = Message { id, kind: kind.to_owned(), header, bytes };
        let exchange = async {
            self.send(asked).await?;
            answered.await.map_err(|_| Refused::new(self.why_ended()))
        };
        let answer = timeout(ANSWER, exchange).await;
        self.shared.expected().answers.remove(&id);
        match answer.map_err(|_| Refused::new(told_late(ANSWER)))?? {
            Content::Error(refused) => Err(refused),
            content => Ok(content),
        }
    }

    /// Calls a tool that answers at once.
    ///
    /// # Errors
    ///
    /// As [`Self::request`].
    pub async fn invoke(
        &self,
        toolkit: &str,
        tool: &str,
        arguments: Value,
    ) -> Result<Content, Refused> {
        let (header, bytes) = Content::Json(arguments).into_parts();
        let call = call_id();
        self.request("room.invoke_tool", invocation(toolkit, tool, header, &call), bytes).await
    }

    /// Calls a tool that takes a stream and answers with one.
    ///
    /// # Errors
    ///
    /// As [`Self::request`]; an answer that is not a stream.
    pub async fn open(&self, toolkit: &str, tool: &str) -> Result<Call, Refused> {
        let id = call_id();
        let (part, parts) = mpsc::channel(PARTS);
        // Parts may come before the answer does.
        self.shared.expect(|expected| drop(expected.parts.insert(id.clone(), part)))?;
        let call = Call::new(self.clone(), id.clone(), parts);
        let (header, bytes) = Content::Open.into_parts();
        let header = invocation(toolkit, tool, header, &id);
        match self.request("room.invoke_tool", header, bytes).await? {
            Content::Open => Ok(call),
            _ => Err(Refused::unexpected(&format!("{toolkit}.{tool}"))),
        }
    }

    /// Sends a message that has no answer.
    ///
    /// # Errors
    ///
    /// The connection is lost.
    pub async fn send(&self, message: Message) -> Result<(), Refused> {
        let sent = self.outgoing.send(Outgoing::Message(message)).await;
        sent.map_err(|_| Refused::new(self.why_ended()))
    }

    /// Leaves the room, and drops all that is still running. It is not an error if the room is
    /// already gone.
    pub async fn leave(&self) {
        let (said, heard) = oneshot::channel();
        let goodbye = async {
            if self.outgoing.send(Outgoing::Goodbye(said)).await.is_ok() {
                let _ = heard.await;
            }
        };
        let _ = timeout(GOODBYE, goodbye).await;
    }

    /// What went wrong with the connection, if it did not end properly.
    #[must_use]
    pub fn what_went_wrong(&self) -> Option<String> {
        match &self.shared.expected().ended {
            Some(Ended::Lost(why)) => Some(why.clone()),
            Some(Ended::InOrder(_)) | None => None,
        }
    }

    /// Forgets a call that is over.
    pub(super) fn forget(&self, call: &str) {
        self.shared.expected().parts.remove(call);
    }

    /// Why nothing more arrives.
    pub(super) fn why_ended(&self) -> String {
        let ended = self.shared.expected().ended.clone();
        ended.map_or_else(|| "the connection was closed".to_owned(), |ended| ended.why())
    }

    fn number(&self) -> u64 {
        self.shared.asked.fetch_add(1, Ordering::Relaxed) + 1
    }
}

impl Shared {
    fn expected(&self) -> MutexGuard<'_, Expected> {
        self.expected.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn expect(&self, change: impl FnOnce(&mut Expected)) -> Result<(), Refused> {
        let mut expected = self.expected();
        match &expected.ended {
            Some(ended) => Err(Refused::new(ended.why())),
            None => {
                change(&mut expected);
                Ok(())
            }
        }
    }

    /// Tells all waiting callers that nothing more arrives.
    fn end(&self, ended: Ended) {
        *self.expected() = Expected { ended: Some(ended), ..Expected::default() };
    }

    /// Passes an answer or a part of a stream to the caller that waits for it; returns any other
    /// message.
    fn hand(&self, message: Message) -> Result<Option<Message>, String> {
        match message.kind.as_str() {
            "__response__" => {
                // Answers to requests that were given up are ignored.
                if let Some(answer) = self.expected().answers.remove(&message.id) {
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
                    let content = Content::of(&message.header["chunk"], message.bytes)
                        .unwrap_or_else(|what| Content::Error(Refused::new(what)));
                    if let Err(mpsc::error::TrySendError::Full(_)) = part.try_send(content) {
                        return Err("the room sends more than was requested".to_owned());
                    }
                }
            }
            _ => return Ok(Some(message)),
        }
        Ok(None)
    }
}

struct Reader<S> {
    stream: S,
    assembler: Assembler,
    heartbeat: Duration,
}

impl<S> Reader<S>
where
    S: Stream<Item = Result<Frame, tungstenite::Error>> + Unpin,
{
    /// Reads messages until the connection ends, and returns why.
    async fn read(
        mut self,
        shared: &Shared,
        pushed: &mpsc::Sender<Message>,
        is_ready: &mut Option<oneshot::Sender<()>>,
    ) -> Ended {
        let (mut knows_me, mut is_open) = (false, false);
        loop {
            let message = match self.next().await {
                Ok(message) => message,
                Err(ended) => return ended,
            };
            // A room says who the participant is and that it is ready, in any order, and possibly
            // more.
            match message.kind.as_str() {
                "connected" => knows_me |= message.header["type"] == "init",
                "room_ready" => is_open = true,
                _ => {}
            }
            if knows_me
                && is_open
                && let Some(is_ready) = is_ready.take()
            {
                let _ = is_ready.send(());
            }
            match shared.hand(message) {
                // Nobody reads before the room is ready, and waiting here would block that.
                Ok(Some(message)) if is_ready.is_none() => drop(pushed.send(message).await),
                Ok(_) => {}
                Err(why) => return Ended::Lost(why),
            }
        }
    }

    async fn next(&mut self) -> Result<Message, Ended> {
        loop {
            // Pings are sent, so a live peer sends something.
            let frame = timeout(self.heartbeat * 2, self.stream.next())
                .await
                .map_err(|_| told_late(self.heartbeat * 2))?;
            match frame.ok_or_else(|| Ended::Lost("the connection was cut".to_owned()))? {
                Ok(Frame::Binary(packet)) => {
                    if let Some(message) = self.assembler.take(&packet)? {
                        return Ok(message);
                    }
                }
                Ok(Frame::Close(_)) => {
                    return Err(Ended::InOrder("the room closed the connection"));
                }
                // Pings are answered by the library; text is not part of the protocol.
                Ok(_) => {}
                Err(error) => return Err(Ended::Lost(format!("the connection was lost: {error}"))),
            }
        }
    }
}

/// Sends messages until the room is left.
async fn write<S>(mut sink: S, mut sent: mpsc::Receiver<Outgoing>, heartbeat: Duration)
where
    S: futures_util::Sink<Frame, Error = tungstenite::Error> + Unpin,
{
    let mut beat = interval_at(Instant::now() + heartbeat, heartbeat);
    loop {
        let next = tokio::select! {
            next = sent.recv() => Some(next),
            _ = beat.tick() => None,
        };
        let done = match next {
            Some(Some(Outgoing::Message(message))) => {
                let mut frames = futures_util::stream::iter(
                    message.packets().into_iter().map(|packet| Ok(Frame::binary(packet))),
                );
                sink.send_all(&mut frames).await
            }
            Some(Some(Outgoing::Goodbye(said))) => {
                let normal = CloseFrame { code: CloseCode::Normal, reason: "".into() };
                let _ = sink.send(Frame::Close(Some(normal))).await;
                let _ = said.send(());
                return;
            }
            Some(None) => return,
            None => sink.send(Frame::Ping(Vec::new().into())).await,
        };
        // The reading task reports what went wrong, after it has read what came before.
        if done.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// How often a room is pinged.
fn heartbeat() -> Result<Duration, String> {
    const NAME: &str = "MESHAGENT_WEBSOCKET_HEARTBEAT";
    let given = std::env::var(NAME).ok().filter(|text| !text.is_empty());
    let Some(text) = given else { return Ok(Duration::from_secs(60)) };
    seconds(&text).ok_or_else(|| format!("{NAME} is not a number of seconds: {text:?}"))
}

/// A positive number of seconds, limited to between a millisecond and a day.
fn seconds(text: &str) -> Option<Duration> {
    let seconds = text.trim().parse().ok().filter(|seconds: &f64| *seconds > 0.0)?;
    Some(Duration::from_secs_f64(seconds.clamp(0.001, 86_400.0)))
}

fn call_id() -> String {
    uuid::Uuid::new_v4().simple().to_string()
}

fn invocation(toolkit: &str, tool: &str, arguments: Value, call: &str) -> Value {
    json!({
        "toolkit": toolkit,
        "tool": tool,
        "participant_id": null,
        "on_behalf_of_id": null,
        "arguments": arguments,
        "tool_call_id": call,
    })
}

fn told_late(time: Duration) -> String {
    format!("nothing was received for {} s", time.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_of_seconds_can_be_waited_for() {
        assert_eq!(seconds(" 1.5 "), Some(Duration::from_millis(1500)));
        assert_eq!(seconds("1e-300"), Some(Duration::from_millis(1)));
        for forever in ["1e19", "1e300", "inf"] {
            assert_eq!(seconds(forever), Some(Duration::from_secs(86_400)), "{forever}");
        }
        for none in ["", "0", "-1", "NaN", "x"] {
            assert_eq!(seconds(none), None, "{none}");
        }
    }
}
