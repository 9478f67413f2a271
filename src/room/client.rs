//! A participant's connection to a room: it sends requests and receives what the room pushes.
//!
//! What waits to be read is bounded for the whole connection, as [`super::budget`] explains. So
//! whoever waits for an answer must let its streams be read meanwhile, by another task or another
//! branch of a `select!`, or drop them. Otherwise the answer may be behind more than may wait, and
//! never comes.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use secrecy::SecretString;
use serde_json::{Map, Value};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::runtime::Handle;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;

use super::budget::{self, BUDGET};
use super::call::{Answered, Begun, Call, Input, Output};
use super::connection::{self, Ended, GOODBYE, Identity, Outgoing, Shared, Unasked};
use super::content::{Content, Refused};
use super::handshake::{self, Unconnected};
use super::invocation::{ANSWER, Invocation};
use super::message::Message;
use super::operation::not_done;
use crate::error::{Error, Result};
use crate::visible;

/// How long a room has to let a participant in.
const READY: Duration = Duration::from_secs(30);

/// How many messages may wait to be sent before the producer has to wait.
const WAITING: usize = 64;

/// A participant in a room. Clones are the same participant. Dropping the last one ends the
/// connection, without leaving the room properly.
#[derive(Clone)]
pub struct Room {
    shared: Arc<Shared>,
    identity: Arc<Mutex<Identity>>,
    outgoing: mpsc::Sender<Outgoing>,
}

/// What a room pushes, other than answers and parts of streams; also what it pushed before it was
/// ready. Whoever does not want it drops this.
pub struct Incoming(budget::Receiver<Message>);

impl Incoming {
    /// The next message; none once the connection is closed.
    pub async fn next(&mut self) -> Option<Message> {
        self.0.next().await
    }
}

impl Room {
    /// Enters the room at this websocket URL with a participant's token, and waits until the
    /// room is ready. Without `insecure` the token goes to no other machine without TLS.
    ///
    /// # Errors
    ///
    /// An invalid URL; a room that cannot be reached or does not let the participant in. If there
    /// was no connection, [`Unconnected`] is among the causes.
    pub async fn enter(
        url: &str,
        token: &SecretString,
        insecure: bool,
    ) -> Result<(Self, Incoming)> {
        let shown = visible::url(url);
        let failed = || Error::failed(format!("failed to enter the room at {shown}"));
        heartbeat().map_err(|what| failed().because(Unconnected::always(what)))?;
        let connected = timeout(READY, handshake::connect(url, token, insecure)).await;
        let connected = connected.unwrap_or_else(|_| Err(Unconnected::for_now(told_late(READY))));
        let (socket, slices) = connected.map_err(|what| failed().because(what))?;
        Self::over(socket, slices).await.map_err(|what| failed().because(what))
    }

    /// Becomes a participant over an existing connection, and waits until the room is ready.
    /// `slices` is how large the slices may be that the room is sent, in bytes, as far as that is
    /// known. A room that sends large ones takes large ones.
    ///
    /// # Errors
    ///
    /// Why the room does not let the participant in, as a phrase.
    pub async fn over<S>(
        socket: WebSocketStream<S>,
        slices: usize,
    ) -> Result<(Self, Incoming), String>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let heartbeat = heartbeat()?;
        let shared = Arc::new(Shared::new(slices));
        let (outgoing, sent) = mpsc::channel(WAITING);
        let (pushed, incoming) = budget::channel();
        let (is_ready, ready) = oneshot::channel();
        let unasked = Unasked { pushed, is_ready };
        tokio::spawn(connection::run(socket, shared.clone(), sent, unasked, heartbeat));
        match timeout(READY, ready).await {
            Ok(Ok(identity)) => {
                let identity = Arc::new(Mutex::new(identity));
                Ok((Self { shared, identity, outgoing }, Incoming(incoming)))
            }
            Ok(Err(_)) => Err(why_ended(&shared)),
            Err(_) => Err(told_late(READY)),
        }
    }

    /// Who the participant is, and where.
    #[must_use]
    pub fn identity(&self) -> Identity {
        self.known().clone()
    }

    fn known(&self) -> MutexGuard<'_, Identity> {
        self.identity.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sets attributes of the participant; the others stay. The room says nothing to that.
    ///
    /// # Errors
    ///
    /// The connection is lost.
    pub async fn set_attributes(&self, changes: Map<String, Value>) -> Result<(), Refused> {
        let header = Value::Object(changes.clone());
        self.send(Message::new(self.shared.number(), "set_attributes", header)).await?;
        self.known().attributes.extend(changes);
        Ok(())
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

    /// Sends a request to the room, and returns its answer, which is not an error. The room has two
    /// minutes for it.
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
        self.request_within(Some(ANSWER), (kind, header, bytes)).await
    }

    /// Sends a request to the room as [`Self::request`] does. Without a time limit, the room may
    /// answer as long as the connection lasts.
    pub(super) async fn request_within(
        &self,
        patience: Option<Duration>,
        (kind, header, bytes): (&str, Value, Vec<u8>),
    ) -> Result<Content, Refused> {
        let asked = async { self.begin_request(kind, header, bytes).await?.answer().await };
        self.within(patience, asked).await
    }

    /// Sends a request, whose answer is waited for separately.
    async fn begin_request(
        &self,
        kind: &str,
        header: Value,
        bytes: Vec<u8>,
    ) -> Result<Awaited, Refused> {
        let id = self.shared.number();
        let answer = self.shared.expect_answer(id)?;
        let awaited = Awaited { room: self.clone(), id, answer };
        self.send(Message { id, kind: kind.to_owned(), header, bytes }).await?;
        Ok(awaited)
    }

    /// Waits for an answer, but not longer than its time limit, if it has one.
    pub(super) async fn within<T>(
        &self,
        patience: Option<Duration>,
        answer: impl Future<Output = Result<T, Refused>>,
    ) -> Result<T, Refused> {
        let Some(patience) = patience else { return answer.await };
        timeout(patience, answer).await.unwrap_or_else(|_| {
            let late = format!("no answer was received for {} s", patience.as_secs_f64());
            Err(Refused::new(match self.shared.budget.is_used_up() {
                true => {
                    let waiting = BUDGET / (1024 * 1024);
                    format!("{late}: it may be behind {waiting} MiB that came and were not read")
                }
                false => late,
            }))
        })
    }

    /// Calls a tool, and returns its answer, which is not a stream.
    ///
    /// # Errors
    ///
    /// As [`Self::request`]; an answer that is a stream.
    pub async fn invoke(&self, invocation: Invocation) -> Result<Content, Refused> {
        let name = format!("{}.{}", invocation.toolkit, invocation.tool);
        match self.call(invocation).await? {
            Answered::Content(content) => Ok(content),
            Answered::Stream(_) => Err(Refused::unexpected(&name)),
        }
    }

    /// Calls a tool whose answer may be a content or a stream. A stream that it is to take is empty.
    ///
    /// # Errors
    ///
    /// As [`Self::request`].
    pub async fn call(&self, invocation: Invocation) -> Result<Answered, Refused> {
        let Begun { mut input, answer } = self.begin(invocation).await?;
        input.close().await;
        answer.wait().await
    }

    /// Calls a tool that answers with a stream.
    ///
    /// # Errors
    ///
    /// As [`Self::request`]; an answer that is not a stream.
    pub async fn open(&self, invocation: Invocation) -> Result<Call, Refused> {
        let name = format!("{}.{}", invocation.toolkit, invocation.tool);
        let Begun { input, answer } = self.begin(invocation).await?;
        match answer.wait().await? {
            Answered::Stream(output) => Ok(Call { input, output }),
            Answered::Content(_) => Err(Refused::unexpected(&name)),
        }
    }

    /// Calls a tool without waiting for its answer: a tool that takes a stream may answer only at
    /// the end of that.
    ///
    /// # Errors
    ///
    /// The connection is lost.
    pub async fn begin(&self, invocation: Invocation) -> Result<Begun, Refused> {
        let id = uuid::Uuid::new_v4().simple().to_string();
        let is_stream = invocation.arguments == Content::Open;
        let patience = invocation.patience;
        // Parts may come before the answer does.
        let output = Output::new(self.clone(), id.clone(), self.shared.expect_parts(&id)?);
        let (header, bytes) = invocation.into_parts(&id);
        let answer = self.begin_request("room.invoke_tool", header, bytes).await?;
        let input = Input::new(self.clone(), id, is_stream);
        Ok(Begun { input, answer: output.after(answer, patience) })
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

    /// Sends a request whose answer nobody waits for.
    pub(super) async fn tell(&self, kind: &str, header: Value) {
        // A connection that is closed takes nothing more.
        let _ = self.send(Message::new(self.shared.number(), kind, header)).await;
    }

    /// Sends a request whose answer nobody waits for, as soon as the connection takes it.
    pub(super) fn send_soon(&self, kind: &str, header: Value) {
        let message = Outgoing::Message(Message::new(self.shared.number(), kind, header));
        // A connection that is closed takes nothing more.
        if let Err(TrySendError::Full(message)) = self.outgoing.try_send(message)
            && let Ok(runtime) = Handle::try_current()
        {
            let outgoing = self.outgoing.clone();
            runtime.spawn(async move { drop(outgoing.send(message).await) });
        }
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
        // A room that takes nothing does not take a goodbye, either.
        self.shared.cut.cancel();
    }

    /// Why the connection ended, if it did.
    #[must_use]
    pub fn ended(&self) -> Option<Ended> {
        self.shared.ended()
    }

    /// What went wrong with the connection, if it did not end properly.
    #[must_use]
    pub fn what_went_wrong(&self) -> Option<String> {
        match self.ended() {
            Some(Ended::Lost(why)) => Some(why),
            Some(Ended::Left | Ended::Closed { .. }) | None => None,
        }
    }

    /// Forgets a call that is over.
    pub(super) fn forget(&self, call: &str) {
        self.shared.forget_parts(call);
    }

    /// Why nothing more arrives.
    pub(super) fn why_ended(&self) -> String {
        why_ended(&self.shared)
    }
}

/// A request whose answer is to come. Dropping it only ignores the answer.
pub(super) struct Awaited {
    room: Room,
    id: u64,
    answer: oneshot::Receiver<Content>,
}

impl Awaited {
    /// The answer, which is not an error.
    pub(super) async fn answer(&mut self) -> Result<Content, Refused> {
        let answer = (&mut self.answer).await;
        answer.map_err(|_| Refused::new(self.room.why_ended()))?.done()
    }
}

impl Drop for Awaited {
    fn drop(&mut self) {
        self.room.shared.forget_answer(self.id);
    }
}

fn why_ended(shared: &Shared) -> String {
    let ended = shared.ended();
    ended.map_or_else(|| "the connection was closed".to_owned(), |ended| ended.to_string())
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

fn told_late(time: Duration) -> String {
    format!("nothing was received for {} s", time.as_secs_f64())
}

#[cfg(test)]
mod tests;
