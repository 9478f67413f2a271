//! *Pure*: which route answers, where several could. A route of a folder answers to its path and to
//! everything below it; static routes come before handlers.

use super::pattern::{place, shape};
use super::{OF_STATIC, Source, Website};

/// What is wrong with a route, or is only noted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remark {
    /// The position of the route in the list.
    pub route: usize,
    /// What is said of it, as a sentence.
    pub told: String,
}

/// What a route answers to.
struct Mount<'a> {
    /// The position of the route in the list.
    route: usize,
    /// The path; that of a folder without slashes at its end.
    path: &'a str,
    methods: Vec<&'a str>,
    is_static: bool,
    is_folder: bool,
}

/// All routes in the order in which the server has them: static ones before handlers.
fn mounted<'a>(website: &'a Website, folders: &[bool]) -> Vec<Mount<'a>> {
    let mut all = Vec::new();
    for (route, it) in website.routes.iter().enumerate() {
        let is_folder = folders.get(route).copied().unwrap_or_default();
        let path = match it.path.trim_end_matches('/') {
            "" => "/",
            path if is_folder => path,
            _ => it.path.as_str(),
        };
        let (is_static, methods) = match &it.source {
            Source::Static(_) => (true, OF_STATIC.to_vec()),
            Source::Python { methods, .. } => (false, methods.iter().map(String::as_str).collect()),
        };
        all.push(Mount { route, path, methods, is_static, is_folder });
    }
    all.sort_by_key(|mount| !mount.is_static);
    all
}

/// Routes that keep the server from starting, or are never answered to, because of a static one: a
/// folder answers to all of its path, and the router refuses a second one that follows on the same
/// path. `folders` says which routes are of folders.
#[must_use]
pub fn clashes(website: &Website, folders: &[bool]) -> Vec<Remark> {
    let mounted = mounted(website, folders);
    let mut found = Vec::new();
    for (position, mount) in mounted.iter().enumerate().filter(|(_, mount)| mount.is_static) {
        let trimmed = |mount: &Mount<'_>| mount.path.trim_end_matches('/').to_owned();
        let other = mounted[..position]
            .iter()
            .find(|other| (other.is_folder || mount.is_folder) && trimmed(other) == trimmed(mount));
        let own = &website.routes[mount.route].path;
        if let Some(other) = other {
            let what = if other.is_folder { "folder" } else { "file" };
            let told = format!("{own} has a static {what} already");
            found.push(Remark { route: mount.route, told });
        } else if let Some(folder) = tail_of(mount, &mounted) {
            let folder = &website.routes[folder.route].path;
            let told = format!("{own} is what the static folder {folder} answers to itself");
            found.push(Remark { route: mount.route, told });
        } else if mount.is_folder && has_variable(mount.path, "tail") {
            let told = format!("{own} has the variable tail, which folders have themselves");
            found.push(Remark { route: mount.route, told });
        }
    }
    for mount in mounted.iter().filter(|mount| !mount.is_static) {
        let own = &website.routes[mount.route].path;
        if shared(&OF_STATIC, &mount.methods).is_none() || mount.methods.contains(&"*") {
            continue;
        }
        let is_file =
            |other: &&Mount<'_>| other.is_static && !other.is_folder && other.path == mount.path;
        if mounted.iter().any(|other| is_file(&other)) {
            let told = format!("{own} has a static file already, which answers to GET and HEAD");
            found.push(Remark { route: mount.route, told });
        } else if let Some(folder) = tail_of(mount, &mounted) {
            let folder = &website.routes[folder.route].path;
            let told = format!("{own} is what the static folder {folder} answers to itself");
            found.push(Remark { route: mount.route, told });
        }
    }
    found
}

/// The folder whose router has the path of a route for what is below it.
fn tail_of<'a>(mount: &Mount<'_>, mounted: &'a [Mount<'a>]) -> Option<&'a Mount<'a>> {
    let above = mount.path.strip_suffix("/{tail:.*}")?;
    mounted.iter().find(|other| other.is_folder && other.path.trim_end_matches('/') == above)
}

fn has_variable(path: &str, name: &str) -> bool {
    let forms = [format!("{{{name}}}"), format!("{{{name}:"), format!("(?P<{name}>")];
    forms.iter().any(|form| path.contains(form))
}

/// Routes that are not called as they look, because another one answers first.
#[must_use]
pub fn hidden(website: &Website, folders: &[bool]) -> Vec<Remark> {
    let mounted = mounted(website, folders);
    let mut found = Vec::new();
    for (position, mount) in mounted.iter().enumerate() {
        let own = &website.routes[mount.route].path;
        let told = mounted[..position].iter().find_map(|other| {
            let methods = shared(&other.methods, &mount.methods)?;
            let of_other = &website.routes[other.route].path;
            if shape(other.path) == shape(mount.path) && other.is_static != mount.is_static {
                Some(format!(
                    "{own} has a static route, too, which answers to {methods} before this handler"
                ))
            } else if shape(other.path) == shape(mount.path) {
                let is_other = other.path != mount.path;
                is_other.then(|| {
                    format!(
                        "{own} is the path of {of_other}, too, which answers to {methods} first"
                    )
                })
            } else if other.is_folder && !mount.is_static && place(mount.path) == other.path {
                Some(format!(
                    "{own} is below the static folder {of_other}, which answers to {methods} first"
                ))
            } else {
                None
            }
        });
        found.extend(told.map(|told| Remark { route: mount.route, told }));
    }
    found.sort_by_key(|remark| remark.route);
    found
}

/// The methods that both have, of which one may have all.
fn shared(first: &[&str], second: &[&str]) -> Option<String> {
    let all = |methods: &[&str]| methods.contains(&"*");
    let both: Vec<&str> = match (all(first), all(second)) {
        (_, true) => first.to_vec(),
        (true, false) => second.to_vec(),
        (false, false) => first.iter().copied().filter(|it| second.contains(it)).collect(),
    };
    match both.as_slice() {
        [] => None,
        ["*"] => Some("all methods".to_owned()),
        both => Some(both.join(" and ")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// What is found of routes, of which those with `static: folder` are of folders.
    fn found(of: fn(&Website, &[bool]) -> Vec<Remark>, routes: &serde_json::Value) -> Vec<String> {
        let document = json!({"kind": "WebServer", "version": "v1", "routes": routes});
        let website = Website::read(&document).unwrap();
        let folders: Vec<bool> =
            website.routes.iter().map(|route| route.source.path() == "folder").collect();
        let remarks = of(&website, &folders).into_iter();
        remarks.map(|remark| format!("{}: {}", remark.route, remark.told)).collect()
    }

    fn get(path: &str) -> serde_json::Value {
        json!({"path": path, "python": "h.py"})
    }

    #[test]
    fn static_routes_of_one_path_are_told() {
        let folder = |path: &str| json!({"path": path, "static": "folder"});
        let file = |path: &str| json!({"path": path, "static": "file"});
        for (routes, told) in [
            (json!([folder("/a"), folder("/a/")]), "1: /a/ has a static folder already"),
            (json!([file("/s"), folder("/s/")]), "1: /s/ has a static file already"),
            (json!([folder("/s"), file("/s/")]), "1: /s/ has a static folder already"),
            (
                json!([folder("/x/{tail}")]),
                "0: /x/{tail} has the variable tail, which folders have themselves",
            ),
        ] {
            assert_eq!(found(clashes, &routes), [told]);
        }
        let post = |path: &str| json!({"path": path, "python": "h.py", "methods": ["POST"]});
        for (routes, told) in [
            (
                json!([get("/a"), file("/a")]),
                "0: /a has a static file already, which answers to GET and HEAD",
            ),
            (
                json!([folder("/"), get("/{tail:.*}")]),
                "1: /{tail:.*} is what the static folder / answers to itself",
            ),
            (
                json!([folder("/app"), file("/app/{tail:.*}")]),
                "1: /app/{tail:.*} is what the static folder /app answers to itself",
            ),
            (
                json!([folder("/x{a:(?P<tail>q)}")]),
                "0: /x{a:(?P<tail>q)} has the variable tail, which folders have themselves",
            ),
        ] {
            assert_eq!(found(clashes, &routes), [told]);
        }
        assert!(
            found(clashes, &json!([file("/a"), post("/a"), folder("/b"), get("/b")])).is_empty()
        );
        assert!(found(clashes, &json!([file("/s"), file("/s/"), folder("/t")])).is_empty());
        assert!(found(clashes, &json!([folder("/s"), get("/s/")])).is_empty());
    }

    /// What aiohttp 3.13.5 answered with was compared with this.
    #[test]
    fn handlers_that_are_not_called_are_told() {
        let folder = json!({"path": "/a/", "static": "folder"});
        let below = json!([
            get("/a/b"), get("/a/{x}"), get("/a/c/{x}"), get("/a/d{x}"), get("/a/"), folder,
            {"path": "/a/{y}", "python": "h.py", "methods": ["POST"]}, get("/a{x}"),
            {"path": "/a", "python": "h.py", "methods": ["*"]},
        ]);
        let first = "is below the static folder /a/, which answers to GET first";
        assert_eq!(
            found(hidden, &below),
            [
                format!("1: /a/{{x}} {first}"),
                format!("3: /a/d{{x}} {first}"),
                format!("4: /a/ {first}"),
                "8: /a has a static route, too, which answers to GET and HEAD before this handler"
                    .to_owned(),
            ]
        );
        let same = json!([get("/a/{x}"), get("/a/{y}"), {"path": "/a/{z}", "python": "h.py", "methods": ["PUT"]}]);
        assert_eq!(
            found(hidden, &same),
            ["1: /a/{y} is the path of /a/{x}, too, which answers to GET first"]
        );
    }
}
