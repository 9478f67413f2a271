//! Routes: a domain, unique across all projects, that leads to a published port of a room.
//!
//! Like mailboxes they keep the *name* of their room, and may outlive it. In 0.56 a route may have
//! several paths (`api56::routes`): here it shows its first port, or an empty one, and cannot be
//! changed.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};

use super::columns::Columns;
use super::plain::{self, Draft, Plain, Resource};
use super::{Route, api56, check_annotations};
use crate::kinds::specs::rules;
use crate::platform::auth::Access;
use crate::platform::error::{Refusal, Result};
use crate::platform::objects::{stored, text_of};
use crate::platform::store::{Write, of_row};

pub(super) fn routes() -> Vec<Route> {
    const ALL: &str = "/accounts/projects/{project}/routes";
    const ONE: &str = "/accounts/projects/{project}/routes/{domain}";
    const OF_ROOM: &str = "/accounts/projects/{project}/rooms/{room}/routes";
    vec![
        Route::post(ALL, Access::Write, plain::create::<Domain>),
        Route::get(ALL, Access::Read, plain::list::<Domain>),
        Route::get(OF_ROOM, Access::Read, plain::of_room::<Domain>),
        Route::get(ONE, Access::Read, plain::get::<Domain>),
        Route::put(ONE, Access::Write, plain::put::<Domain>),
        Route::delete(ONE, Access::Write, plain::delete::<Domain>),
    ]
}

#[derive(Deserialize)]
struct NewRoute {
    domain: String,
    room_name: String,
    port: String,
    annotations: Option<BTreeMap<String, String>>,
}

/// Everything but the domain; absent annotations are removed.
#[derive(Deserialize)]
struct RouteBody {
    room_name: String,
    port: String,
    annotations: Option<BTreeMap<String, String>>,
}

/// A route of the resource, as opposed to one of the API.
struct Domain {
    given: String,
    room_name: String,
    room_id: Option<String>,
    port: String,
    annotations: String,
    paths: Option<String>,
}

of_row!(Domain { given, room_name, room_id, port, annotations, paths });

/// The message about a route of another project.
pub(super) const ELSEWHERE: &str = "the domain belongs to another project";

impl Resource for Domain {
    const TABLE: &'static str = "routes";
    const KEY: &'static str = "domain";
    const NOUN: &'static str = "route";
    const TELLS_ROOM_ID: bool = true;
    const ELSEWHERE: Option<&'static str> = Some(ELSEWHERE);

    fn key(given: &str) -> String {
        given.to_ascii_lowercase()
    }

    fn whole(&self) -> Result<Value> {
        Ok(json!({
            "domain": self.given,
            "room_name": self.room_name,
            "room_id": self.room_id,
            "port": self.port,
            "annotations": stored(&self.annotations)?,
        }))
    }

    /// A change must not lose what it cannot say.
    async fn spare(&self, _: &mut Write, draft: Option<&Draft>) -> Result<()> {
        match &self.paths {
            Some(paths) if draft.is_some() && !api56::routes::is_plain(paths) => {
                let message = "the route has paths that the API 0.31 cannot say; change it with a client of 0.56";
                Err(Refusal::Conflict(message.into()))
            }
            _ => Ok(()),
        }
    }
}

impl Plain for Domain {
    type New = NewRoute;
    type Change = RouteBody;

    fn create(new: NewRoute) -> Result<(String, Draft)> {
        let domain = rules::domain(&new.domain).map_err(Refusal::at("domain"))?;
        let NewRoute { room_name, port, annotations, .. } = new;
        let mut draft = Self::change(RouteBody { room_name, port, annotations })?;
        draft.columns = draft.columns.text("given", new.domain);
        draft.taken = format!("the domain {domain:?} is taken");
        Ok((domain, draft))
    }

    fn change(body: RouteBody) -> Result<Draft> {
        rules::port(&body.port).map_err(Refusal::at("port"))?;
        check_annotations(body.annotations.as_ref())?;
        let columns = Columns::default()
            .text("room_name", body.room_name.clone())
            .text("port", body.port)
            .text("annotations", text_of(body.annotations.as_ref())?)
            .text("paths", None);
        Ok(Draft { columns, room: Some(("room_name", body.room_name)), taken: String::new() })
    }
}
