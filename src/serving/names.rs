//! Which names a server goes by.
//!
//! Any web page can make a browser request `http://its.own.name:8787/`, and make that name resolve
//! to 127.0.0.1. For the browser this is the page's own site, so the page may read the answers.
//! But such a request cannot name another host than its own. So requests over loopback must be for
//! an address, for `localhost`, or for a name that was allowed.

use std::net::IpAddr;

use axum::http::uri::Authority;
use axum::http::{HeaderMap, Uri, header};

/// The names that a server goes by besides its addresses and `localhost`.
#[derive(Debug, Clone, Default)]
pub struct Names(Vec<String>);

/// Why a request is not for a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unknown {
    /// It names no host, or several.
    Unclear,
    /// It names this host.
    Other(String),
}

impl Names {
    /// Names without ports.
    pub fn new(names: impl IntoIterator<Item = String>) -> Self {
        Self(names.into_iter().map(|name| plain(&name)).collect())
    }

    /// Checks which host a request is for.
    ///
    /// # Errors
    ///
    /// It names no host, or several, or another one.
    pub fn check(&self, uri: &Uri, headers: &HeaderMap) -> Result<(), Unknown> {
        self.check_name(host(uri, headers)?)
    }

    /// Checks which site a request comes from, if a browser says so.
    ///
    /// # Errors
    ///
    /// Another one.
    pub fn check_origin(&self, headers: &HeaderMap) -> Result<(), Unknown> {
        for origin in headers.get_all(header::ORIGIN) {
            let origin = origin.to_str().map_err(|_| Unknown::Unclear)?;
            let (_, authority) =
                origin.split_once("://").ok_or_else(|| Unknown::Other(origin.to_owned()))?;
            self.check_authority(authority)?;
        }
        Ok(())
    }

    fn check_authority(&self, given: &str) -> Result<(), Unknown> {
        self.check_name(named(given)?)
    }

    fn check_name(&self, name: String) -> Result<(), Unknown> {
        if self.has(&name) { Ok(()) } else { Err(Unknown::Other(name)) }
    }

    fn has(&self, name: &str) -> bool {
        let address = name.strip_prefix('[').and_then(|name| name.strip_suffix(']'));
        address.unwrap_or(name).parse::<IpAddr>().is_ok()
            || name == "localhost"
            || name.ends_with(".localhost")
            || self.0.iter().any(|known| known == name)
    }
}

/// The host that a request is for, without a port, in the form in which names are compared.
///
/// # Errors
///
/// It names no host, or several.
pub fn host(uri: &Uri, headers: &HeaderMap) -> Result<String, Unknown> {
    let mut given = headers.get_all(header::HOST).iter();
    let target = uri.authority().map(|it| named(it.as_str())).transpose()?;
    let host = match (given.next(), given.next()) {
        (Some(host), None) => Some(named(host.to_str().map_err(|_| Unknown::Unclear)?)?),
        (None, None) => None,
        _ => return Err(Unknown::Unclear),
    };
    match (target, host) {
        (Some(target), Some(host)) if target != host => Err(Unknown::Unclear),
        (target, host) => host.or(target).ok_or(Unknown::Unclear),
    }
}

/// The name in a host with a port.
fn named(given: &str) -> Result<String, Unknown> {
    let host: Authority = given.parse().map_err(|_| Unknown::Unclear)?;
    match given.contains('@') {
        true => Err(Unknown::Unclear),
        false => Ok(plain(host.host())),
    }
}

/// A name in the form in which names are compared.
fn plain(name: &str) -> String {
    name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(names: &[&str], hosts: &[&str]) -> Result<(), Unknown> {
        let names = Names::new(names.iter().map(|&name| name.to_owned()));
        let mut headers = HeaderMap::new();
        for host in hosts {
            headers.append(header::HOST, host.parse().expect("a value"));
        }
        names.check(&Uri::from_static("/config"), &headers)
    }

    #[test]
    fn addresses_and_localhost_are_known() {
        for host in [
            "127.0.0.1:8787",
            "127.9.9.9",
            "[::1]:80",
            "[::1]",
            "localhost",
            "LOCALHOST:1",
            "localhost.:1",
            "a.localhost:9",
        ] {
            assert!(checked(&[], &[host]).is_ok(), "{host}");
        }
    }

    #[test]
    fn other_names_are_not() {
        for host in [
            "evil.example",
            "evil.example:8787",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "notlocalhost",
            "localhost@evil.example",
            "evil.example@localhost",
            "127.0.0.1@evil",
            "",
        ] {
            assert!(checked(&[], &[host]).is_err(), "{host}");
        }
        assert!(
            matches!(checked(&[], &["Evil.Example."]), Err(Unknown::Other(name)) if name == "evil.example")
        );
        assert!(checked(&[], &[]).is_err());
        assert!(checked(&[], &["localhost", "evil.example"]).is_err());
        assert!(checked(&[], &["localhost", "localhost"]).is_err());
    }

    #[test]
    fn a_name_can_be_allowed() {
        assert!(checked(&["Box.Lan"], &["box.lan:8787"]).is_ok());
        assert!(checked(&["box.lan"], &["other.lan"]).is_err());
    }

    #[test]
    fn an_absolute_target_counts_where_no_header_does() {
        let names = Names::default();
        let to = |uri: &str| names.check(&uri.parse().expect("a URI"), &HeaderMap::new());
        assert!(to("http://localhost:1/x").is_ok());
        assert!(to("http://evil.example/x").is_err());
    }

    #[test]
    fn a_target_and_a_header_name_one_host() {
        let asked = |uri: &str, given: &str| {
            let headers = HeaderMap::from_iter([(header::HOST, given.parse().expect("a value"))]);
            host(&uri.parse().expect("a URI"), &headers)
        };
        assert_eq!(asked("/x", "A.test.:80").as_deref(), Ok("a.test"));
        assert_eq!(asked("http://a.test/x", "a.test:80").as_deref(), Ok("a.test"));
        for (uri, given) in [("http://b.test/x", "a.test"), ("/x", "u@a.test"), ("/x", "")] {
            assert_eq!(asked(uri, given), Err(Unknown::Unclear), "{uri} {given}");
        }
    }

    #[test]
    fn a_browser_says_which_site_asks() {
        let names = Names::new(["box.lan".to_owned()]);
        let from = |origin: &str| {
            let headers = [(header::ORIGIN, origin.parse().expect("a value"))];
            names.check_origin(&HeaderMap::from_iter(headers)).is_ok()
        };
        assert!(from("http://localhost:3000") && from("https://box.lan") && from("http://[::1]"));
        assert!(!from("http://evil.example") && !from("null") && !from("http://"));
        assert!(names.check_origin(&HeaderMap::new()).is_ok());
    }
}
