//! `Room` on the wire.

use serde_json::Value;

use super::PAGE;
use crate::api::request::Request;
use crate::dialect::v0_31::room::Room as Former;
use crate::dialect::{Collection, Lookup, Seen, Spelling, Target};

/// How it is spelled.
pub const SPELLING: Option<&dyn Spelling> = Some(&Room);

/// The spelling.
pub struct Room;

impl Spelling for Room {
    fn collection(&self) -> Collection {
        Collection { paging: PAGE, ..Former.collection() }
    }

    /// With those in which the caller has not been.
    fn all(&self, project: &str) -> Request {
        Former.all(project).query("view", "all")
    }

    fn sorts_by(&self, field: &str) -> bool {
        matches!(field, "room_name" | "name")
    }

    fn seen(&self, item: &Value) -> Result<Seen, String> {
        Former.seen(item)
    }

    fn lookup(&self, target: &Target<'_>) -> Option<Lookup> {
        match Former.lookup(target)? {
            Lookup::Among(_) => self.list(target.project, None).map(Lookup::Among),
            one @ Lookup::One(..) => Some(one),
        }
    }

    fn new_body(&self, target: &Target<'_>) -> Value {
        Former.new_body(target)
    }

    /// Whether the room is enabled is left as it is.
    fn body(&self, target: &Target<'_>) -> Value {
        Former.body(target)
    }
}
