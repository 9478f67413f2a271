//! `ScheduledTask` on the wire.

use crate::dialect::Spelling;
use crate::dialect::unspoken::Unspoken;

/// How it is spelled.
pub const SPELLING: Option<&dyn Spelling> = Some(&Unspoken {
    way_out: Some("this program does not write scheduled tasks of this API yet"),
});
