//! `RoomRoles` on the wire: there is none yet.

use crate::dialect::Spelling;
use crate::dialect::unspoken::Unspoken;

/// How it is spelled.
pub const SPELLING: Option<&dyn Spelling> = Some(&Unspoken {
    way_out: Some(
        "this API has no roles of rooms that can be changed: remove the document, or use a platform with a later release",
    ),
});
