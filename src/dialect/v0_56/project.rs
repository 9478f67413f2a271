//! `Project` on the wire. Settings are documents of their own.

use std::sync::LazyLock;

use serde_json::{Value, json};

use crate::api::request::Request;
use crate::dialect::v0_31::project::Project as Former;
use crate::dialect::{Collection, Seen, Spelling, Target, Unsaid};
use crate::kinds::KindName;
use crate::kinds::path::FieldPath;
use crate::kinds::tree::Tree;

/// How it is spelled.
pub const SPELLING: Option<&dyn Spelling> = Some(&Project);

/// The spelling.
pub struct Project;

/// A project has no field at all.
static UNSAID: LazyLock<Unsaid> =
    LazyLock::new(|| Unsaid::of(KindName::Project.kind().shape(), ""));

impl Spelling for Project {
    fn collection(&self) -> Collection {
        Former.collection()
    }

    fn all(&self, project: &str) -> Request {
        Former.all(project)
    }

    /// Settings that an answer has all the same are not this program's.
    fn seen(&self, item: &Value) -> Result<Seen, String> {
        Ok(Seen { fields: Tree::map([]), ..Former.seen(item)? })
    }

    fn unsaid(&self) -> &'static Unsaid {
        &UNSAID
    }

    fn instead_of(&self, _field: &FieldPath) -> &'static str {
        "write a document of kind `SettingsDocument` for each part of them, such as `openai`"
    }

    fn create(&self, target: &Target<'_>) -> Option<Request> {
        Some(Request::post(&["accounts", "projects"], self.body(target)))
    }

    fn body(&self, target: &Target<'_>) -> Value {
        json!({ "name": target.name })
    }

    fn update(&self, _target: &Target<'_>) -> Option<Request> {
        None
    }

    fn delete(&self, _target: &Target<'_>) -> Option<Request> {
        None
    }
}
