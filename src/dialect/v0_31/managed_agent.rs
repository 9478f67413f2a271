//! `ManagedAgent` on the wire: there are none yet.

use crate::dialect::Spelling;
use crate::dialect::unspoken::Unspoken;

/// How it is spelled.
pub const SPELLING: Option<&dyn Spelling> = Some(&Unspoken {
    way_out: Some(
        "this API has no managed agents: describe the agent as an `Agent` or a `Service`, which runs in a container, or use a platform of 0.56",
    ),
});
