//! Queues. They survive the room; [`crate::platform::live::queues`] keeps them.

use serde_json::Value;

use crate::platform::live::calls::{Caller, Reply};
use crate::room::content::Refused;
use crate::room::operation::Operation;
use crate::room::queues::{Close, Drain, List, Open, Queues, Receive, Send};

/// Lists the queues of the room.
pub async fn list(caller: &Caller, _: List) -> Result<Queues, Refused> {
    caller.room.queues().list().await
}

/// Creates a queue, or opens it again.
pub async fn open(caller: &Caller, asked: Open) -> Result<(), Refused> {
    caller.room.queues().open(asked.name).await
}

/// Removes all messages of a queue.
pub async fn drain(caller: &Caller, asked: Drain) -> Result<(), Refused> {
    caller.room.queues().drain(asked.name).await
}

/// Closes a queue.
pub async fn close(caller: &Caller, asked: Close) -> Result<(), Refused> {
    caller.room.queues().close(asked.name).await
}

/// Sends a message to a queue. It is on disk when that is answered.
pub async fn send(caller: &Caller, asked: Send) -> Result<(), Refused> {
    caller.room.queues().send(asked).await
}

/// Receives a message from a queue. It leaves the queue once it was handed to the system for the
/// caller, and goes back to its place if that does not happen.
pub async fn receive(caller: Caller, header: Value) -> Result<Reply, Refused> {
    let asked = Receive::read(&header)?;
    drop(header);
    let delivery = caller.room.queues().receive(asked).await?;
    let Some((message, delivery)) = delivery else {
        return Ok(Receive::answer(&None).into());
    };
    let content = Receive::answer(&Some(message));
    Ok(Reply { content, sent: Some(Box::new(move || delivery.done())) })
}
