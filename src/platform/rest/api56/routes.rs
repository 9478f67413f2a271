//! Routes of domains: a document with paths. 0.31 knows one path `/` to one port.
//!
//! A row holds what 0.31 shows in its own columns, and the paths only where those do not say it
//! all. The document of a room that was renamed names it as it is called now.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};

use super::super::columns::Columns;
use super::super::plain::{self, Draft, Plain, Resource};
use super::super::{check_annotations, routes as old};
use super::page::{self, Filtered};
use super::route_spec::{Metadata, RouteKind, RouteSpec, Version};
use super::{Refusal, Result, Route};
use crate::kinds::specs::route::{Backend, BackendRoom, RoutePath, TargetPort};
use crate::kinds::specs::rules;
use crate::platform::auth::Access;
use crate::platform::objects::text_of;
use crate::platform::store::{Write, of_row};

pub fn routes() -> Vec<Route> {
    const ALL: &str = "/accounts/projects/{project}/routes";
    const ONE: &str = "/accounts/projects/{project}/routes/{domain}";
    const OF_ROOM: &str = "/accounts/projects/{project}/rooms/{room}/routes";
    vec![
        Route::post(ALL, Access::Write, plain::create::<Domain>),
        Route::get(ALL, Access::Read, page::list::<Domain>),
        Route::get(OF_ROOM, Access::Read, page::of_room::<Domain>),
        Route::get(ONE, Access::Read, plain::get::<Domain>),
        Route::put(ONE, Access::Write, plain::put::<Domain>),
    ]
}

/// A route of the resource, as opposed to one of the API.
struct Domain {
    given: String,
    room_name: String,
    port: String,
    annotations: String,
    name: Option<String>,
    paths: Option<String>,
}

of_row!(Domain { given, room_name, port, annotations, name, paths });

impl Filtered for Domain {
    const FILTER: &'static str = "routes.domain";
}

impl Domain {
    fn spec(&self) -> Result<RouteSpec> {
        let paths = match &self.paths {
            Some(paths) => serde_json::from_str(paths)?,
            None => vec![RoutePath::plain(&self.port)],
        };
        let name = self.name.as_ref().unwrap_or(&self.given).clone();
        let annotations = serde_json::from_str(&self.annotations)?;
        Ok(RouteSpec {
            version: Version::V1,
            kind: RouteKind::Route,
            metadata: Metadata { name, annotations },
            domain: self.given.clone(),
            backend: Backend {
                room: Some(BackendRoom { name: self.room_name.clone() }),
                agent: None,
            },
            paths,
        })
    }
}

impl Resource for Domain {
    const TABLE: &'static str = "routes";
    const KEY: &'static str = "domain";
    const NOUN: &'static str = "route";
    const TELLS_ROOM_ID: bool = true;
    const ELSEWHERE: Option<&'static str> = Some(old::ELSEWHERE);

    fn key(given: &str) -> String {
        given.to_ascii_lowercase()
    }

    fn whole(&self) -> Result<Value> {
        Ok(json!({ "domain": self.given, "spec": self.spec()? }))
    }

    /// The domain of a route is its key.
    async fn spare(&self, _: &mut Write, draft: Option<&Draft>) -> Result<()> {
        let given = draft.and_then(|draft| draft.columns.get("given"));
        match given {
            Some(given) if !given.eq_ignore_ascii_case(&self.given) => {
                Err(Refusal::field("spec.domain", "is not the domain in the path"))
            }
            _ => Ok(()),
        }
    }
}

/// The body of a request, with the form of 0.31 where that names a room.
#[derive(Deserialize)]
struct Wrapped {
    spec: Value,
}

impl Wrapped {
    fn spec(self) -> Result<RouteSpec> {
        let spec = match old_form(&self.spec)? {
            Some(spec) => spec,
            None => crate::platform::exchange::decode(self.spec).map_err(within_spec)?,
        };
        spec.checked()
    }
}

/// Names fields below `spec`.
fn within_spec(refusal: Refusal) -> Refusal {
    match refusal {
        Refusal::Invalid { field, message } => {
            let field = field.map_or("spec".to_owned(), |field| format!("spec.{field}"));
            Refusal::Invalid { field: Some(field), message }
        }
        refusal => refusal,
    }
}

/// A document without a backend that names a room is in the form of 0.31, which 0.56 still reads.
fn old_form(spec: &Value) -> Result<Option<RouteSpec>> {
    #[derive(Deserialize)]
    struct Old {
        domain: String,
        room_name: String,
        port: TargetPort,
        #[serde(default)]
        annotations: Option<BTreeMap<String, String>>,
    }
    if spec.get("backend").is_some() || spec.get("room_name").is_none() {
        return Ok(None);
    }
    let Old { domain, room_name, port, annotations } =
        crate::platform::exchange::decode(spec.clone()).map_err(within_spec)?;
    Ok(Some(RouteSpec {
        version: Version::V1,
        kind: RouteKind::Route,
        metadata: Metadata { name: domain.clone(), annotations: annotations.unwrap_or_default() },
        domain,
        backend: Backend { room: Some(BackendRoom { name: room_name }), agent: None },
        paths: vec![RoutePath { target_port: Some(port), ..RoutePath::plain("") }],
    }))
}

impl Plain for Domain {
    type New = Wrapped;
    type Change = Wrapped;

    fn create(new: Wrapped) -> Result<(String, Draft)> {
        let spec = new.spec()?;
        let domain = rules::domain(&spec.domain).map_err(Refusal::at("spec.domain"))?;
        let mut draft = drafted(spec)?;
        draft.taken = format!("the domain {domain:?} is taken");
        Ok((domain, draft))
    }

    fn change(body: Wrapped) -> Result<Draft> {
        drafted(body.spec()?)
    }
}

fn drafted(spec: RouteSpec) -> Result<Draft> {
    let RouteSpec { metadata, domain, backend, paths, .. } = spec;
    check_annotations(Some(&metadata.annotations))?;
    let Some(BackendRoom { name: room }) = backend.room else {
        let message = "this platform has no managed agents: name a room";
        return Err(Refusal::field("spec.backend.agent", message));
    };
    let port = paths.iter().find_map(|path| path.target_port.as_ref());
    let port = port.map(TargetPort::text).unwrap_or_default();
    // A number stays one, so only a text is said by the column.
    let is_said = paths == [RoutePath::plain(&port)];
    let paths = match is_said {
        true => None,
        false => Some(serde_json::to_string(&paths)?),
    };
    let columns = Columns::default()
        .text("name", (metadata.name != domain).then_some(metadata.name))
        .text("given", domain)
        .text("room_name", room.clone())
        .text("port", port)
        .text("annotations", text_of(Some(&metadata.annotations))?)
        .text("paths", paths);
    let room = Some(("spec.backend.room.name", room));
    Ok(Draft { columns, room, taken: String::new() })
}

/// Whether the paths of a route are no more than 0.31 can say.
pub fn is_plain(paths: &str) -> bool {
    let paths: Vec<RoutePath> = serde_json::from_str(paths).unwrap_or_default();
    matches!(&paths[..], [path] if path.plain_port().is_some())
}
