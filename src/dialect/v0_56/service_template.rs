//! `ServiceTemplate` is not on the wire: services are made from a template.

use crate::dialect::Spelling;

/// How it is spelled.
pub const SPELLING: Option<&dyn Spelling> = None;
