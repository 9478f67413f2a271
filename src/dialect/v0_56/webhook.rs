//! `Webhook` on the wire: there are none any more.

use crate::dialect::Spelling;
use crate::dialect::unspoken::Unspoken;

/// How it is spelled.
pub const SPELLING: Option<&dyn Spelling> = Some(&Unspoken {
    way_out: Some(
        "this API has no webhooks: let a feed with a subscription write events into a room, give a service the annotation `meshagent.events.*`, or keep the webhooks in a set for platforms of 0.31",
    ),
});
