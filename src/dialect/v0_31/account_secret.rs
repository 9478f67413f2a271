//! `AccountSecret` on the wire: 0.31 has none.

use crate::dialect::Spelling;
use crate::dialect::unspoken::Unspoken;

/// How it is spelled.
pub const SPELLING: Option<&dyn Spelling> = Some(&Unspoken {
    way_out: Some(
        "declare a `kind: Secret`, which belongs to the project, or use a platform with API 0.56",
    ),
});
