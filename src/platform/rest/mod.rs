//! The REST API: one file per resource, and the table of all routes.
//!
//! Paths, envelopes and answers are those that release 0.31.4 of the public SDK reads. A
//! route is a method, a path, an access and a handler; nothing is served that is not in
//! the table, so a test can walk it.
//!
//! What the plain resources share is in `plain`. A resource imports no rows of another one: rows
//! that several need are in `objects`. Nothing here lives longer than a request.

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
}

impl Route {
    /// Whether it changes nothing.
    pub fn is_read(&self) -> bool {
        self.method.is_safe()
    }

    fn get<T: 'static>(path: &'static str, access: Access, handler: impl Handler<T, App>) -> Self {
        Self { method: Method::GET, path, access, handler: on(MethodFilter::GET, handler) }
    }

    fn post<T: 'static>(path: &'static str, access: Access, handler: impl Handler<T, App>) -> Self {
        Self { method: Method::POST, path, access, handler: on(MethodFilter::POST, handler) }
    }

    fn put<T: 'static>(path: &'static str, access: Access, handler: impl Handler<T, App>) -> Self {
        Self { method: Method::PUT, path, access, handler: on(MethodFilter::PUT, handler) }
    }

    fn delete<T: 'static>(
        path: &'static str,
        access: Access,
        handler: impl Handler<T, App>,
    ) -> Self {
        Self { method: Method::DELETE, path, access, handler: on(MethodFilter::DELETE, handler) }
    }

    /// The route without its handler.
    pub fn summary(&self) -> RouteSummary {
        RouteSummary { method: self.method.clone(), path: self.path, access: self.access }
    }
}

/// Makes the modules of the resources, and the table of their routes.
macro_rules! resources {
    ($($module:ident,)+) => {
        $(mod $module;)+

        /// Every route of the platform.
        pub fn routes() -> Vec<Route> {
            [$($module::routes()),+].into_iter().flatten().collect()
        }
    };
}

resources! {
    oauth,
    config,
    projects,
    users,
    api_keys,
    rooms,
    connect,
    room_files,
    grants,
    services,
    templates,
    secrets,
    mailboxes,
    routes,
    tasks,
    webhooks,
    sessions,
    storage,
}

/// The page of a list. The SDK always asks for one if a list has pages.
#[derive(Debug, Deserialize)]
struct Page {
    limit: Option<i64>,
    offset: Option<i64>,
}

impl Page {
    /// Limit and offset, as the query takes them. There is no upper bound, because a list that is
    /// silently truncated would be taken for a complete one.
    fn bounds(&self, default: i64) -> Result<(i64, i64)> {
        let check = |field: &str, value: i64| match value {
            0.. => Ok(value),
            _ => Err(Refusal::field(field, "must not be negative")),
        };
        let limit = check("limit", self.limit.unwrap_or(default))?;
        Ok((limit, check("offset", self.offset.unwrap_or(0))?))
    }
}

/// Refuses annotations that are too large. The mark of the owning set does not count.
fn check_annotations(annotations: Option<&BTreeMap<String, String>>) -> Result<()> {
    let own = annotations.into_iter().flatten().filter(|(name, _)| *name != OWNER_ANNOTATION);
    rules::annotations_size(own.map(|(name, text)| name.len() + text.len()).sum())
        .map_err(Refusal::at("annotations"))
}
