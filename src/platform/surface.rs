//! Which API a request is in. Both have the same paths, with other forms.
//!
//! A client of 0.56 sends `Consistency: fast` or `high` with each request but its first one, that
//! for `/config`, which both answer alike; a client of 0.31 never does. A request without it is in
//! 0.56, too, if its query has a parameter that only 0.56 has, or if only 0.56 has its path. All
//! others are in 0.31.

use axum::Router;
use axum::extract::Request;

use super::rest::{self, Route};
use super::{App, router};
use crate::api::spoken::Spoken;

/// Which APIs a platform serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Serves {
    /// That of 0.31 alone.
    #[value(name = "0.31")]
    Old,
    /// That of 0.56 alone.
    #[value(name = "0.56")]
    New,
    /// Each client gets the one that it speaks.
    #[value(name = "both")]
    Both,
}

/// The header that only clients of 0.56 send.
const CONSISTENCY: &str = "consistency";

/// The parameters of queries that only 0.56 has.
const OF_NEW: [&str; 3] = ["page_size", "continuation_token", "view"];

/// What answers the requests in each API.
pub struct Surfaces {
    old: Router,
    new: Router,
}

impl Surfaces {
    /// Those of a platform.
    pub fn new(app: App) -> Self {
        let serves = app.serves();
        let of = |spoken| router(app.clone(), rest::routes(spoken));
        match serves {
            Serves::Old => Self::same(of(Spoken::V0_31)),
            Serves::New => Self::same(of(Spoken::V0_56)),
            Serves::Both => {
                let mut old = rest::routes(Spoken::V0_31);
                let paths: Vec<&str> = old.iter().map(|route| route.path).collect();
                let is_only_new = |route: &Route| !paths.contains(&route.path);
                old.extend(rest::routes(Spoken::V0_56).into_iter().filter(is_only_new));
                Self { old: router(app.clone(), old), new: of(Spoken::V0_56) }
            }
        }
    }

    fn same(router: Router) -> Self {
        Self { old: router.clone(), new: router }
    }

    /// What answers a request.
    pub fn of(&self, request: &Request) -> &Router {
        if is_new(request) { &self.new } else { &self.old }
    }
}

fn is_new(request: &Request) -> bool {
    let query = request.uri().query().unwrap_or_default().as_bytes();
    request.headers().contains_key(CONSISTENCY)
        || url::form_urlencoded::parse(query).any(|(name, _)| OF_NEW.contains(&&*name))
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    #[test]
    fn a_request_is_in_the_api_whose_marks_it_has() {
        let request = |path: &str, header: Option<&str>| {
            let request = Request::builder().uri(path);
            let request = match header {
                Some(value) => request.header("Consistency", value),
                None => request,
            };
            request.body(Body::empty()).unwrap()
        };
        for (path, header, expected) in [
            ("/rooms", None, false),
            ("/rooms?limit=1&offset=2", None, false),
            ("/rooms?filter=page_size", None, false),
            ("/rooms", Some("fast"), true),
            ("/rooms?limit=1", Some("high"), true),
            ("/rooms?page_size=1", None, true),
            ("/rooms?a=b&page%5Fsize=1", None, true),
            ("/rooms?view=all", None, true),
        ] {
            assert_eq!(is_new(&request(path, header)), expected, "{path} {header:?}");
        }
    }
}
