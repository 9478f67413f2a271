//! `Mailbox` on the wire.

use super::PAGE;
use crate::dialect::Spelling;
use crate::dialect::v0_31::mailbox::Mailbox;

/// How it is spelled: as in 0.31, but for the pages of its lists.
pub const SPELLING: Option<&dyn Spelling> = Some(&Mailbox { paging: PAGE });
