//! Messages between participants. A broadcast does not go to its sender.

use std::sync::Arc;

use crate::platform::live::calls::{Caller, refused};
use crate::platform::live::guest::Guest;
use crate::platform::live::outgoing::Letter;
use crate::room::codes;
use crate::room::content::Refused;
use crate::room::message::Message;
use crate::room::messaging::{self, Broadcast, DELIVERED, Disable, Enable, Send, news};

/// Makes the caller take part in messaging.
pub async fn enable(caller: &Caller, _: Enable) -> Result<(), Refused> {
    caller.room.enable(&caller.guest);
    Ok(())
}

/// Makes the caller take no more part in it.
pub async fn disable(caller: &Caller, _: Disable) -> Result<(), Refused> {
    caller.room.disable(&caller.guest);
    Ok(())
}

/// Sends a message to one participant that takes part in messaging, once it has read enough of
/// what it was sent before.
pub async fn send(caller: &Caller, asked: Send) -> Result<(), Refused> {
    let letter = letter(caller, asked.letter)?;
    let there = {
        let state = caller.room.state();
        let present = state.present.get(&asked.to_participant_id).filter(|it| it.is_enabled);
        present.map(|it| Arc::clone(&it.guest))
    };
    let gone = || refused(codes::NOT_FOUND, "the participant was not found");
    there.ok_or_else(gone)?.relay(&letter, &caller.room).await.map_err(|_| gone())
}

/// Sends a message to all others that take part in messaging. Those who are slow to read are
/// waited for, and the others have it by then.
pub async fn broadcast(caller: &Caller, asked: Broadcast) -> Result<(), Refused> {
    let letter = letter(caller, asked.letter)?;
    let others: Vec<Arc<Guest>> = {
        let state = caller.room.state();
        let others = state.present.values().filter(|it| it.guest.id != caller.guest.id);
        others.filter(|it| it.is_enabled).map(|it| Arc::clone(&it.guest)).collect()
    };
    caller.room.tell(&others, &letter).await;
    Ok(())
}

/// The message as it is delivered. News of the room itself comes from the room alone.
fn letter(caller: &Caller, given: messaging::Letter) -> Result<Letter, Refused> {
    if news::ALL.contains(&given.kind.as_str()) {
        let text = format!("only the room sends messages of the type {:?}", given.kind);
        return Err(Refused::invalid(text));
    }
    let (header, bytes) = given.delivered(&caller.guest.id)?;
    Ok(Message { id: caller.room.number(), kind: DELIVERED.to_owned(), header, bytes }.into())
}
