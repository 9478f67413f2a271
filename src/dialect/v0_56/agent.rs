//! `Agent` is not on the wire: an agent is a service.

use crate::dialect::Spelling;

/// How it is spelled.
pub const SPELLING: Option<&dyn Spelling> = None;
