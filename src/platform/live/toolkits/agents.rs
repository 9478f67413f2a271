//! Calling agents to the room.

use crate::platform::live::calls::{Caller, refused};
use crate::room::agents::CallAgent;
use crate::room::content::Refused;

/// Calls an agent to the room: posts the call, with a token, to where the agent is.
pub async fn call(_caller: &Caller, _asked: CallAgent) -> Result<(), Refused> {
    Err(refused(1007, "x"))
}
