//! Messages between participants. A broadcast does not go to its sender.

use serde_json::Value;

use crate::platform::live::calls::{Caller, refused};
use crate::platform::live::outgoing::Letter;
use crate::room::codes;
use crate::room::content::Refused;
use crate::room::message::Message;
use crate::room::messaging::{Broadcast, DELIVERED, Disable, Enable, Send};

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

/// Sends a message to one participant that takes part in messaging.
pub async fn send(caller: &Caller, asked: Send) -> Result<(), Refused> {
    let letter = letter(caller, asked.letter.delivered(&caller.guest.id)?);
    let state = caller.room.state();
    let present = state.present.get(&asked.to_participant_id).filter(|it| it.is_enabled);
    let present =
        present.ok_or_else(|| refused(codes::NOT_FOUND, "the participant was not found"))?;
    present.guest.push(&letter);
    Ok(())
}

/// Sends a message to all others that take part in messaging.
pub async fn broadcast(caller: &Caller, asked: Broadcast) -> Result<(), Refused> {
    let letter = letter(caller, asked.letter.delivered(&caller.guest.id)?);
    let state = caller.room.state();
    let others = state.present.values().filter(|it| it.guest.id != caller.guest.id);
    others.filter(|it| it.is_enabled).for_each(|it| it.guest.push(&letter));
    Ok(())
}

fn letter(caller: &Caller, (header, bytes): (Value, Vec<u8>)) -> Letter {
    Message { id: caller.room.number(), kind: DELIVERED.to_owned(), header, bytes }.into()
}
