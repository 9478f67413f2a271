//! *Pure*: which path of a route a request is for, and what its service sees.

use crate::kinds::specs::route::{PathType, RoutePath, TargetPort};

/// The port of a service, as a route names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// The service's name, if it is named.
    pub service: Option<String>,
    /// The port, if it is said.
    pub port: Option<u16>,
}

impl Wanted {
    /// Reads a number, the name of a service, or `service:port`.
    pub fn of(target: &TargetPort) -> Self {
        let text = target.text();
        let text = text.trim();
        if let Ok(port) = text.parse() {
            return Self { service: None, port: Some(port) };
        }
        match text.rsplit_once(':').map(|(name, port)| (name, port.parse())) {
            Some((name, Ok(port))) => Self { service: Some(name.to_owned()), port: Some(port) },
            _ => Self { service: Some(text.to_owned()), port: None },
        }
    }
}

/// The path of a route that a request's path is for: one that is the same, else the longest that is
/// the beginning of it, by whole segments.
pub fn of_request<'a>(paths: &'a [RoutePath], asked: &str) -> Option<&'a RoutePath> {
    let fits = |it: &&RoutePath| match it.path_type {
        PathType::Exact => it.path == asked,
        PathType::Prefix => behind(&it.path, asked).is_some(),
    };
    let rank = |it: &&RoutePath| (it.path_type == PathType::Exact, it.path.len());
    // Of several that are the same, the first counts.
    paths.iter().rev().filter(fits).max_by_key(rank)
}

/// What a service sees of a request's path and query.
pub fn seen(path: &RoutePath, asked: &str) -> String {
    if path.strip_prefix != Some(true) || path.path_type == PathType::Exact {
        return asked.to_owned();
    }
    let (plain, query) = match asked.split_once('?') {
        Some((plain, query)) => (plain, Some(query)),
        None => (asked, None),
    };
    let rest = behind(&path.path, plain).unwrap_or(plain).trim_start_matches('/');
    let query = query.map(|query| format!("?{query}")).unwrap_or_default();
    format!("/{rest}{query}")
}

/// What is behind the beginning of a path, if that is its beginning.
fn behind<'a>(beginning: &str, path: &'a str) -> Option<&'a str> {
    let rest = path.strip_prefix(beginning.trim_end_matches('/'))?;
    (rest.is_empty() || rest.starts_with('/')).then_some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(path: &str, path_type: PathType, port: &str) -> RoutePath {
        RoutePath { path: path.to_owned(), path_type, ..RoutePath::plain(port) }
    }

    #[test]
    fn the_longest_path_counts_and_the_same_one_before_all() {
        let (prefix, exact) = (PathType::Prefix, PathType::Exact);
        let paths = [
            path("/", prefix, "1"),
            path("/api", prefix, "2"),
            path("/api/v1/", prefix, "3"),
            path("/api/v1/me", exact, "4"),
        ];
        let led = |asked: &str| {
            let target = of_request(&paths, asked)?.target_port.as_ref();
            target.map(TargetPort::text)
        };
        for (asked, port) in [
            ("/", "1"),
            ("/apis", "1"),
            ("/api", "2"),
            ("/api/x", "2"),
            ("/api/v1", "3"),
            ("/api/v1/me", "4"),
            ("/api/v1/me/x", "3"),
        ] {
            assert_eq!(led(asked).as_deref(), Some(port), "{asked}");
        }
        assert_eq!(of_request(&paths[1..], "/"), None);
        assert_eq!(of_request(&paths, "*"), None);
    }

    #[test]
    fn a_service_may_see_only_what_is_behind_the_path() {
        let plain = path("/api", PathType::Prefix, "1");
        assert_eq!(seen(&plain, "/api/x?q=/api"), "/api/x?q=/api");
        let stripped = RoutePath { strip_prefix: Some(true), ..plain };
        for (asked, expected) in
            [("/api/x?q=/api", "/x?q=/api"), ("/api", "/"), ("/api/", "/"), ("/api//x", "/x")]
        {
            assert_eq!(seen(&stripped, asked), expected, "{asked}");
        }
    }

    #[test]
    fn a_port_is_a_number_or_of_a_service() {
        let of = |text: &str| {
            let Wanted { service, port } = Wanted::of(&TargetPort::Text(text.to_owned()));
            (service, port)
        };
        let web = || Some("web".to_owned());
        assert_eq!(of("8000"), (None, Some(8000)));
        assert_eq!(of("web"), (web(), None));
        assert_eq!(of("web:80"), (web(), Some(80)));
        assert_eq!(of("web:x"), (Some("web:x".to_owned()), None));
        assert_eq!(Wanted::of(&TargetPort::Number(80)).port, Some(80));
    }
}
