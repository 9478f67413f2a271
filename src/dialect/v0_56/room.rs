//! `Room` on the wire.

use serde_json::{Value, json};

use super::PAGE;
use crate::api::request::Request;
use crate::dialect::v0_31::room::Room as Former;
use crate::dialect::{Collection, Lookup, Seen, Spelling, Target};
use crate::kinds::path::FieldPath;
use crate::kinds::tree::Tree;

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
        let mut seen = Former.seen(item)?;
        if let Some(Value::Bool(enabled)) = item.get("enabled") {
            seen.fields.set("enabled", Tree::Bool(*enabled));
        }
        Ok(seen)
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

    /// A new room is enabled, so one that is not to be takes a change.
    fn after(&self, target: &Target<'_>, is_new: bool) -> Option<Vec<Request>> {
        if !is_new || said_enabled(target) != Some(false) {
            return Some(Vec::new());
        }
        let path = self.collection().path(target.project, Some(target.id?));
        let body = json!({ "name": target.name, "enabled": false });
        Some(vec![Request::put(&path, body)])
    }

    /// Whether the room is enabled is left as it is, if nobody says it, and was not said before.
    fn body(&self, target: &Target<'_>) -> Value {
        let mut body = Former.body(target);
        if let Some(enabled) = said_enabled(target).filter(|_| target.sends("enabled")) {
            body["enabled"] = enabled.into();
        }
        body
    }
}

/// Whether an object is to be enabled, if that is said, or was.
pub(super) fn said_enabled(target: &Target<'_>) -> Option<bool> {
    match target.fields.get("enabled") {
        Some(Tree::Bool(enabled)) => Some(*enabled),
        // What is not said any more is as it is by default.
        _ => target.removed.contains(&FieldPath::of(&["enabled"])).then_some(true),
    }
}
