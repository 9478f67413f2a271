//! `ServiceAccount` on the wire: 0.31 has none.

use crate::dialect::Spelling;
use crate::dialect::unspoken::Unspoken;

/// How it is spelled.
pub const SPELLING: Option<&dyn Spelling> = Some(&Unspoken {
    way_out: Some(
        "use a platform with API 0.56, which has service accounts; in 0.31, secrets belong to the project (`kind: Secret`), and containers act for nobody",
    ),
});
