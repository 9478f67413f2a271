//! `Secret` on the wire: secrets belong to service accounts.

use crate::dialect::Spelling;
use crate::dialect::unspoken::Unspoken;

/// How it is spelled.
pub const SPELLING: Option<&dyn Spelling> = Some(&Unspoken {
    way_out: Some("say which service account it belongs to: `service_account: NAME`"),
});
