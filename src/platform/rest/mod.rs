//! The REST API: one file per resource, and the table of all routes.
//!
//! Paths, envelopes and answers are those that release 0.31.4 of the public SDK reads; what
//! release 0.56.0 spells otherwise is in `api56`, with a table of its own. A route is a method, a
//! path, an access and a handler; nothing is served that is not in a table, so a test can walk it.
//!
//! What the plain resources share is in `plain`. A resource imports no rows of another one: rows
//! that several need are in `objects`. Nothing here lives longer than a request.

mod api56;
mod columns;
mod plain;

use std::collections::BTreeMap;

use axum::handler::Handler;
use axum::http::Method;
use axum::routing::{MethodFilter, MethodRouter, on};
use serde::Deserialize;

use super::auth::Access;
use super::error::{Refusal, Result};
use super::{App, RouteSummary};
use crate::api::spoken::Spoken;
use crate::kinds::OWNER_ANNOTATION;
use crate::kinds::specs::rules;

/// A route: nothing is served without an access.
pub struct Route {
    method: Method,
    /// The path, in the router's syntax.
    pub path: &'static str,
    /// The access that it requires.
    pub access: Access,
    /// The handler.
    pub handler: MethodRouter<App>,
    /// Whether 0.56 has it no more.
    is_past: bool,
}

impl Route {
    /// Whether it changes nothing.
    pub fn is_read(&self) -> bool {
        self.method.is_safe()
    }

    fn new<T: 'static>(
        (method, filter): (Method, MethodFilter),
        path: &'static str,
        access: Access,
        handler: impl Handler<T, App>,
    ) -> Self {
        Self { method, path, access, handler: on(filter, handler), is_past: false }
    }

    fn get<T: 'static>(path: &'static str, access: Access, handler: impl Handler<T, App>) -> Self {
        Self::new((Method::GET, MethodFilter::GET), path, access, handler)
    }

    fn post<T: 'static>(path: &'static str, access: Access, handler: impl Handler<T, App>) -> Self {
        Self::new((Method::POST, MethodFilter::POST), path, access, handler)
    }

    fn put<T: 'static>(path: &'static str, access: Access, handler: impl Handler<T, App>) -> Self {
        Self::new((Method::PUT, MethodFilter::PUT), path, access, handler)
    }

    fn patch<T: 'static>(
        path: &'static str,
        access: Access,
        handler: impl Handler<T, App>,
    ) -> Self {
        Self::new((Method::PATCH, MethodFilter::PATCH), path, access, handler)
    }

    fn delete<T: 'static>(
        path: &'static str,
        access: Access,
        handler: impl Handler<T, App>,
    ) -> Self {
        Self::new((Method::DELETE, MethodFilter::DELETE), path, access, handler)
    }

    /// The same, which 0.56 has no more.
    #[must_use]
    fn past(self) -> Self {
        Self { is_past: true, ..self }
    }

    /// The route without its handler.
    pub fn summary(&self) -> RouteSummary {
        RouteSummary { method: self.method.clone(), path: self.path, access: self.access }
    }
}

/// Makes the modules of the resources, and the table of their routes. Those after the semicolon
/// are past: 0.56 has none of them.
macro_rules! resources {
    ($($module:ident),+; $($past:ident,)+) => {
        $(mod $module;)+
        $(mod $past;)+

        /// Every route of 0.31.
        fn routes_of_old() -> Vec<Route> {
            let past = [$($past::routes()),+].into_iter().flatten().map(Route::past);
            [$($module::routes()),+].into_iter().flatten().chain(past).collect()
        }
    };
}

resources! {
    oauth,
    config,
    projects,
    users,
    rooms,
    connect,
    room_files,
    tunnels,
    services,
    templates,
    mailboxes,
    routes,
    tasks,
    sessions,
    storage;
    api_keys,
    grants,
    secrets,
    webhooks,
}

/// Every route of an API. What 0.56 spells as 0.31 did is served by the same handlers.
pub fn routes(spoken: Spoken) -> Vec<Route> {
    let old = routes_of_old();
    if spoken == Spoken::V0_31 {
        return old;
    }
    let mut routes = api56::routes();
    let is_shared = |route: &Route| {
        let mut own = routes.iter();
        !route.is_past && !own.any(|own| own.path == route.path && own.method == route.method)
    };
    let shared: Vec<Route> = old.into_iter().filter(is_shared).collect();
    routes.extend(shared);
    routes
}

/// The page of a list. The SDK always asks for one if a list has pages.
#[derive(Debug, Deserialize)]
struct Page {
    limit: Option<i64>,
    offset: Option<i64>,
}

impl Page {
    /// Limit and offset, as the query takes them. There is no upper bound but the one that the
    /// platform was started with, because a list that is silently truncated would be taken for a
    /// complete one.
    fn bounds(&self, app: &App, default: i64) -> Result<(i64, i64)> {
        let check = |field: &str, value: i64| match value {
            0.. => Ok(value),
            _ => Err(Refusal::field(field, "must not be negative")),
        };
        let limit = check("limit", self.limit.unwrap_or(default))?.min(app.page_cap(i64::MAX));
        Ok((limit, check("offset", self.offset.unwrap_or(0))?))
    }
}

/// Refuses annotations that are too large. The mark of the owning set does not count.
fn check_annotations(annotations: Option<&BTreeMap<String, String>>) -> Result<()> {
    let own = annotations.into_iter().flatten().filter(|(name, _)| *name != OWNER_ANNOTATION);
    rules::annotations_size(own.map(|(name, text)| name.len() + text.len()).sum())
        .map_err(Refusal::at("annotations"))
}
