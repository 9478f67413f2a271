//! A kind that an API does not know: it has no objects, and none can be created.

use serde_json::Value;

use super::{Collection, Seen, Spelling, Target};
use crate::api::request::{Listing, Request};

/// The spelling of a kind that has none.
pub(super) struct Unspoken {
    /// What to do instead, if manifests may have the kind all the same.
    pub way_out: Option<&'static str>,
}

impl Spelling for Unspoken {
    fn collection(&self) -> Collection {
        Collection::plain("")
    }

    fn unspoken(&self) -> Option<&'static str> {
        self.way_out
    }

    fn list(&self, _project: &str, _room: Option<&str>) -> Option<Listing> {
        None
    }

    fn seen(&self, _item: &Value) -> Result<Seen, String> {
        Err("the platform has no objects of this kind".to_owned())
    }

    fn body(&self, _target: &Target<'_>) -> Value {
        Value::Null
    }

    fn create(&self, _target: &Target<'_>) -> Option<Request> {
        None
    }

    fn update(&self, _target: &Target<'_>) -> Option<Request> {
        None
    }

    fn delete(&self, _target: &Target<'_>) -> Option<Request> {
        None
    }
}
