//! The queues of a room, as its operations use them. [`super::keeper`] looks after them.

use std::sync::Arc;

use serde_json::Value;
use tokio::sync::{mpsc, oneshot};

use super::calls::refused;
use super::keeper::Keeper;
use crate::platform::objects::tasks::Run;
use crate::platform::store::Store;
use crate::room::codes;
use crate::room::content::Refused;
use crate::room::queues::{Queues, Receive, Send};

/// How long the name of a queue may be, in bytes.
const LENGTH: usize = 512;

/// The queues of a room. Clones are the same.
#[derive(Debug, Clone)]
pub struct RoomQueues {
    asked: mpsc::UnboundedSender<Asked>,
}

/// A message that was handed out. Dropping it gives it back.
#[derive(Debug)]
pub struct Delivery {
    queue: String,
    seq: i64,
    asked: mpsc::UnboundedSender<Asked>,
    is_done: bool,
}

/// Where the outcome of something is told.
pub type Told<T> = oneshot::Sender<Result<T, Refused>>;
/// What was received, if anything was.
pub type Received = Option<(Value, Delivery)>;

/// What the keeper of the queues is asked.
#[derive(Debug)]
pub enum Asked {
    /// All queues.
    List(Told<Queues>),
    /// To create a queue, or open it again.
    Open(String, Told<()>),
    /// To remove the messages of a queue.
    Drain(String, Told<()>),
    /// To close a queue.
    Close(String, Told<()>),
    /// To take a message.
    Send(Send, Told<()>),
    /// To take the message of a scheduled task, and record its run.
    Run(Box<Run>, Told<bool>),
    /// To give a message.
    Receive(Receive, Told<Received>),
    /// A message was sent to its receiver.
    Done(String, i64),
    /// A message was not sent, and can be received again.
    Back(String, i64),
}

impl Delivery {
    /// A message of a queue that is handed out.
    pub const fn of(queue: String, seq: i64, asked: mpsc::UnboundedSender<Asked>) -> Self {
        Self { queue, seq, asked, is_done: false }
    }

    /// The message was sent to its receiver.
    pub fn done(mut self) {
        self.is_done = true;
        let _ = self.asked.send(Asked::Done(std::mem::take(&mut self.queue), self.seq));
    }
}

impl Drop for Delivery {
    fn drop(&mut self) {
        if !self.is_done {
            let _ = self.asked.send(Asked::Back(std::mem::take(&mut self.queue), self.seq));
        }
    }
}

impl RoomQueues {
    /// The queues of a room, and what looks after them until nobody needs them any more.
    pub fn of(
        store: Arc<Store>,
        room: String,
    ) -> (Self, impl Future<Output = ()> + std::marker::Send) {
        let (asked, taken) = mpsc::unbounded_channel();
        let keeper = Keeper::new(store, room, asked.downgrade());
        (Self { asked }, keeper.run(taken))
    }

    async fn ask<T>(&self, asked: impl FnOnce(Told<T>) -> Asked) -> Result<T, Refused> {
        let (tell, told) = oneshot::channel();
        let gone = || refused(codes::OPERATION_FAILED, "the room is closing");
        self.asked.send(asked(tell)).map_err(|_| gone())?;
        told.await.map_err(|_| gone())?
    }

    /// All queues, by name.
    ///
    /// # Errors
    ///
    /// The store failed.
    pub async fn list(&self) -> Result<Queues, Refused> {
        self.ask(Asked::List).await
    }

    /// Creates a queue, or opens one that was closed.
    ///
    /// # Errors
    ///
    /// It is open; its name is not valid; the store failed.
    pub async fn open(&self, name: String) -> Result<(), Refused> {
        check(&name)?;
        self.ask(|tell| Asked::Open(name, tell)).await
    }

    /// Removes the messages of a queue.
    ///
    /// # Errors
    ///
    /// There is no such queue; the store failed.
    pub async fn drain(&self, name: String) -> Result<(), Refused> {
        self.ask(|tell| Asked::Drain(name, tell)).await
    }

    /// Closes a queue. Its messages stay; whoever waits for it is told.
    ///
    /// # Errors
    ///
    /// There is no such queue, or it is closed; the store failed.
    pub async fn close(&self, name: String) -> Result<(), Refused> {
        self.ask(|tell| Asked::Close(name, tell)).await
    }

    /// Sends a message.
    ///
    /// # Errors
    ///
    /// The queue does not exist and is not to be created; it is closed; the store failed.
    pub async fn send(&self, message: Send) -> Result<(), Refused> {
        check(&message.name)?;
        self.ask(|tell| Asked::Send(message, tell)).await
    }

    /// Sends the message of a scheduled task, to a queue that is created if it is missing, and
    /// records the run. Says whether it was sent: a task that was changed meanwhile is not run.
    ///
    /// # Errors
    ///
    /// The queue is closed, or one too many; the store failed: nothing was sent or recorded.
    pub async fn run(&self, run: Run) -> Result<bool, Refused> {
        check(&run.task.queue)?;
        self.ask(|tell| Asked::Run(Box::new(run), tell)).await
    }

    /// Receives a message. One that gives up waiting takes none.
    ///
    /// # Errors
    ///
    /// The queue does not exist and is not to be created; it is closed; the store failed.
    pub async fn receive(&self, asked: Receive) -> Result<Received, Refused> {
        check(&asked.name)?;
        self.ask(|tell| Asked::Receive(asked, tell)).await
    }
}

fn check(name: &str) -> Result<(), Refused> {
    match name.is_empty() || name.len() > LENGTH || name.chars().any(char::is_control) {
        true => Err(Refused::invalid(format!("a queue needs a name of at most {LENGTH} bytes"))),
        false => Ok(()),
    }
}
