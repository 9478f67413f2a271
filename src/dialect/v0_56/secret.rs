//! `Secret` on the wire: secrets belong to service accounts.

use crate::dialect::Spelling;
use crate::dialect::unspoken::Unspoken;

/// How it is spelled.
pub const SPELLING: Option<&dyn Spelling> = Some(&Unspoken {
    way_out: Some(
        "secrets of this API belong to service accounts; this program does not write them yet",
    ),
});
