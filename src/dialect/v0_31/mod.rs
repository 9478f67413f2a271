//! The API as the public SDK 0.31.4 spells it: a file a kind, each with its `SPELLING`.
//!
//! Must not live here: what a kind means, and anything that decides what is to be done.

use serde::Deserialize;
use serde_json::{Value, json};

use super::{Dialect, Holder, Spelling};
use crate::api::request::{Body, Listing, Method, Paging, Request};
use crate::kinds::KindName;
use crate::kinds::specs::template::ServiceTemplateSpec;

/// Makes the modules of the spellings and the choice between them, of the list of kinds.
macro_rules! spellings {
    ($($(#[doc = $what:literal])+ $kind:ident in $module:ident,)+) => {
        $(pub(in crate::dialect) mod $module;)+

        /// How a kind is spelled, where it is.
        fn spelling(kind: KindName) -> Option<&'static dyn Spelling> {
            match kind {
                $(KindName::$kind => $module::SPELLING,)+
            }
        }
    };
}

crate::kinds::every_kind!(spellings);
pub mod wire;

/// The path of a project's keys, and below it of one. There are no service accounts that have some.
fn keys<'a>(of: Holder<'a>, one: Option<&'a str>) -> Option<Vec<&'a str>> {
    let mut path = vec!["accounts", "projects", of.project, "api-keys"];
    path.extend(one);
    of.account.is_none().then_some(path)
}

/// The dialect.
pub struct V0_31;

impl Dialect for V0_31 {
    fn of(&self, kind: KindName) -> Option<&'static dyn Spelling> {
        spelling(kind)
    }

    fn own_profile(&self) -> Request {
        Request::get(&["accounts", "profiles", "me"])
    }

    /// There are none.
    fn service_account(&self, _project: &str, _name: &str) -> Option<Request> {
        None
    }

    fn api_keys(&self, of: Holder<'_>) -> Option<Listing> {
        let request = Request::get(&keys(of, None)?);
        Some(Listing { request, envelope: "keys", paging: Paging::Whole, below: None })
    }

    fn make_api_key(&self, of: Holder<'_>, name: &str, description: &str) -> Option<Request> {
        let body = json!({"name": name, "description": description});
        Some(Request::post(&keys(of, None)?, body))
    }

    fn delete_api_key(&self, of: Holder<'_>, id: &str) -> Option<Request> {
        Some(Request::delete(&keys(of, Some(id))?))
    }

    fn sessions(&self, project: &str) -> Listing {
        let request = Request::get(&["accounts", "projects", project, "sessions"]);
        Listing { request, envelope: "sessions", paging: Paging::Whole, below: None }
    }

    fn active_sessions(&self, project: &str) -> Listing {
        let request = Request::get(&["accounts", "projects", project, "sessions", "active"]);
        Listing { request, ..self.sessions(project) }
    }

    fn events(&self, project: &str, session: &str) -> Listing {
        let path = ["accounts", "projects", project, "sessions", session, "events"];
        Listing {
            request: Request::get(&path),
            envelope: "events",
            paging: Paging::Whole,
            below: None,
        }
    }

    fn download(&self, project: &str, path: &str) -> Request {
        Request::get(&["projects", project, "storage", "download"]).query("path", path)
    }

    fn upload(&self, project: &str, path: &str, bytes: Vec<u8>) -> Request {
        let request = Request::new(Method::Post, &["projects", project, "storage", "upload"]);
        Request { body: Body::Bytes(bytes), ..request.query("path", path) }
    }

    fn connect(&self, project: &str, room: &str) -> Request {
        let path = ["accounts", "projects", project, "rooms", room, "connect"];
        Request::post(&path, json!({}))
    }

    fn config(&self) -> Request {
        Request::get(&["config"])
    }

    fn render(&self, template: &str, values: &Value) -> Request {
        Request::post(&["templates", "render"], json!({"template": template, "values": values}))
    }

    fn rendered(&self, answer: Value) -> serde_json::Result<ServiceTemplateSpec> {
        wire::ServiceTemplateSpec::deserialize(answer)
    }
}
