//! What an object holds that is in none of its fields, such as the rows of a table.

use serde_json::Value;

/// What is known of what an object holds that is deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Held<'a> {
    /// It was looked at, and this is how much it is.
    Known(&'a Value),
    /// Nobody looked at it, so it stays if there is something.
    Unseen,
    /// Nobody looked at it, and it goes with the room.
    Gone,
}
