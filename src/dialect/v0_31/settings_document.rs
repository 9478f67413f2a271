//! `SettingsDocument` on the wire: there is none yet.

use crate::dialect::Spelling;
use crate::dialect::unspoken::Unspoken;

/// How it is spelled.
pub const SPELLING: Option<&dyn Spelling> = Some(&Unspoken {
    way_out: Some(
        "the settings of this API are one object: write them in `settings` of the `Project`, or use a platform with a later release",
    ),
});
