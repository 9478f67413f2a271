//! `Memory` is inside of rooms, which no API of projects reaches.

use crate::dialect::Spelling;
use crate::dialect::inside;

/// How it is spelled.
pub const SPELLING: Option<&dyn Spelling> = Some(&inside::MEMORY);
