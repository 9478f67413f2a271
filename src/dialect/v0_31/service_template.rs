//! `ServiceTemplate` is not on the wire: what is made of a template are services.

use crate::dialect::Spelling;

/// How it is spelled.
pub const SPELLING: Option<&dyn Spelling> = None;
