//! `RoleGrant` on the wire: 0.31 has no policies.

use crate::dialect::Spelling;
use crate::dialect::unspoken::Unspoken;

/// How it is spelled.
pub const SPELLING: Option<&dyn Spelling> = Some(&Unspoken {
    way_out: Some(
        "this API has no policies: remove the document, and give roles to people as this platform has it, or use a platform with API 0.56",
    ),
});
