//! The API as the public SDK 0.56.0 spells it: a file a kind, each with its `SPELLING`. What a kind
//! has in common with 0.31 is taken from there.
//!
//! Lists are walked by tokens. Their parameters are those that the SDK sends, with `view=all` where
//! it knows that one, because other views leave out what the caller has not used.
//!
//! Must not live here: what a kind means, and anything that decides what is to be done.

use serde_json::{Value, json};

use super::v0_31::V0_31;
use super::{Dialect, Holder, Spelling};
use crate::api::request::{Listing, Paging, Request};
use crate::kinds::KindName;
use crate::kinds::specs::template::ServiceTemplateSpec;

/// Makes the modules of the spellings and the choice between them, of the list of kinds.
macro_rules! spellings {
    ($($(#[doc = $what:literal])+ $kind:ident in $module:ident,)+) => {
        $(mod $module;)+

        /// How a kind is spelled, where it is.
        fn spelling(kind: KindName) -> Option<&'static dyn Spelling> {
            match kind {
                $(KindName::$kind => $module::SPELLING,)+
            }
        }
    };
}

crate::kinds::every_kind!(spellings);

/// The largest page that a client of this API asks for.
const PAGE: Paging = Paging::Token(100);

/// The path of an account's keys, and below it of one. Projects have none.
fn keys<'a>(of: Holder<'a>, one: Option<&'a str>) -> Option<Vec<&'a str>> {
    let mut path = vec!["accounts", "projects", of.project, "service-accounts", of.account?];
    path.push("api-keys");
    path.extend(one);
    Some(path)
}

/// The dialect.
pub struct V0_56;

impl Dialect for V0_56 {
    fn of(&self, kind: KindName) -> Option<&'static dyn Spelling> {
        spelling(kind)
    }

    fn has_project_secrets(&self) -> bool {
        false
    }

    fn own_profile(&self) -> Request {
        V0_31.own_profile()
    }

    fn whose(&self) -> Option<Request> {
        Some(Request::get(&["accounts", "whoami"]))
    }

    fn roles_of(&self, project: &str, subject: &Value) -> Option<Request> {
        let resource = json!({ "type": "project", "id": project });
        let path = ["accounts", "projects", project, "access:effective"];
        Some(Request::ask(&path, json!({ "subject": subject, "resource": resource })))
    }

    fn service_account(&self, project: &str, name: &str) -> Option<Request> {
        service_account::by_name(project, name)
    }

    fn api_keys(&self, of: Holder<'_>) -> Option<Listing> {
        let request = Request::get(&keys(of, None)?);
        Some(Listing { request, envelope: "keys", paging: Paging::Whole, below: None })
    }

    fn make_api_key(&self, of: Holder<'_>, name: &str, description: &str) -> Option<Request> {
        let body = json!({ "name": name, "description": description });
        Some(Request::post(&keys(of, None)?, body))
    }

    fn delete_api_key(&self, of: Holder<'_>, id: &str) -> Option<Request> {
        Some(Request::delete(&keys(of, Some(id))?))
    }

    /// The newest ones. The list says neither how many there are nor where more of them begin.
    fn sessions(&self, project: &str) -> Listing {
        let listing = V0_31.sessions(project);
        Listing { request: listing.request.query("limit", "100"), ..listing }
    }

    fn active_sessions(&self, project: &str) -> Listing {
        V0_31.active_sessions(project)
    }

    fn events(&self, project: &str, session: &str) -> Listing {
        V0_31.events(project, session)
    }

    fn download(&self, project: &str, path: &str) -> Request {
        V0_31.download(project, path)
    }

    fn upload(&self, project: &str, path: &str, bytes: Vec<u8>) -> Request {
        V0_31.upload(project, path, bytes)
    }

    fn connect(&self, project: &str, room: &str) -> Request {
        V0_31.connect(project, room)
    }

    fn config(&self) -> Request {
        V0_31.config()
    }

    fn render(&self, template: &str, values: &Value) -> Request {
        V0_31.render(template, values)
    }

    fn rendered(&self, answer: Value) -> serde_json::Result<ServiceTemplateSpec> {
        V0_31.rendered(answer)
    }
}
