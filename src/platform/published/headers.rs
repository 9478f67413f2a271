//! *Pure*: which headers go on to a container and back, and which are put there.
//!
//! What concerns one connection alone stays there (RFC 9110, 7.6.1). What a client says of who sent
//! its request, and how, is not believed: `X-Forwarded-*` and `Forwarded` are written anew.

use std::net::IpAddr;

use axum::http::header::{
    self, AUTHORIZATION, CONNECTION, CONTENT_LENGTH, EXPECT, HOST, HeaderName, TE, TRAILER,
    TRANSFER_ENCODING, UPGRADE,
};
use axum::http::{HeaderMap, HeaderValue};

use crate::platform::error::{Refusal, Result};

/// What concerns one connection alone, whatever `Connection` names.
const OF_CONNECTION: [HeaderName; 9] = [
    CONNECTION,
    HeaderName::from_static("keep-alive"),
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    HeaderName::from_static("proxy-connection"),
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
];

/// Who sent a request, to which host, and how.
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// How the names of headers begin that say so.
const FORWARDED: &str = "x-forwarded-";

/// The only protocol that a connection may become. Others, such as HTTP/2, hold requests that nobody
/// here would see.
const WEBSOCKET: &str = "websocket";

/// Refuses a request whose length two headers tell differently: a container could see the end of
/// it elsewhere.
///
/// # Errors
///
/// 400.
pub fn check(headers: &HeaderMap) -> Result<()> {
    let lengths = headers.get_all(CONTENT_LENGTH).iter().count();
    let encodings = headers.get_all(TRANSFER_ENCODING).iter().count();
    if lengths > 1 || encodings > 1 || (lengths > 0 && encodings > 0) {
        let message = "the length of the body is told more than once".to_owned();
        return Err(Refusal::Invalid { field: None, message });
    }
    Ok(())
}

/// Whether a message asks that its connection becomes a websocket, or says so.
pub fn is_websocket(headers: &HeaderMap) -> bool {
    has_word(headers, &CONNECTION, "upgrade") && has_word(headers, &UPGRADE, WEBSOCKET)
}

fn has_word(headers: &HeaderMap, name: &HeaderName, word: &str) -> bool {
    words(headers, name).any(|it| it.eq_ignore_ascii_case(word))
}

/// The words in a list.
fn words<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(str::trim)
}

/// Takes off what concerns one connection alone; what makes it a websocket stays.
fn keep_off(headers: &mut HeaderMap) {
    let is_websocket = is_websocket(headers);
    let named: Vec<HeaderName> =
        words(headers, &CONNECTION).filter_map(|it| it.parse().ok()).collect();
    for name in named.iter().chain(&OF_CONNECTION) {
        // Nobody takes off what says where a request goes, or where its body ends.
        if *name != HOST && *name != CONTENT_LENGTH {
            headers.remove(name);
        }
    }
    if is_websocket {
        headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(UPGRADE, HeaderValue::from_static(WEBSOCKET));
    }
}

/// The headers of a request as a container gets them. `is_ours` says whether the credential in them
/// was for the platform, which keeps it.
pub fn onward(headers: &mut HeaderMap, (host, peer): (&str, IpAddr), is_ours: bool) {
    keep_off(headers);
    headers.remove(EXPECT);
    if is_ours {
        headers.remove(AUTHORIZATION);
    }
    let told: Vec<HeaderName> =
        headers.keys().filter(|name| name.as_str().starts_with(FORWARDED)).cloned().collect();
    for name in told.iter().chain([&header::FORWARDED]) {
        headers.remove(name);
    }
    let text = |text: &str| HeaderValue::try_from(text);
    if let (Ok(peer), Ok(name)) = (text(&peer.to_canonical().to_string()), text(host)) {
        headers.insert(FORWARDED_FOR, peer);
        headers.insert(FORWARDED_HOST, name.clone());
        headers.insert(FORWARDED_PROTO, HeaderValue::from_static("http"));
        if !headers.contains_key(HOST) {
            headers.insert(HOST, name);
        }
    }
}

/// The headers of an answer as the client gets them.
pub fn back(headers: &mut HeaderMap) {
    keep_off(headers);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
        let pair = |(name, value): &(&str, &str)| {
            (HeaderName::try_from(*name).unwrap(), HeaderValue::try_from(*value).unwrap())
        };
        let mut headers = HeaderMap::new();
        pairs.iter().map(pair).for_each(|(name, value)| {
            headers.append(name, value);
        });
        headers
    }

    fn lines(headers: &HeaderMap) -> Vec<String> {
        let line = |(name, value): (&HeaderName, &HeaderValue)| {
            format!("{name}: {}", value.to_str().unwrap())
        };
        let mut lines: Vec<_> = headers.iter().map(line).collect();
        lines.sort();
        lines
    }

    #[test]
    fn what_is_of_the_connection_stays_there_and_nobody_is_believed() {
        let mut given = headers(&[
            ("host", "a.test:80"),
            ("connection", "close, X-Own, content-length, host"),
            ("x-own", "1"),
            ("keep-alive", "1"),
            ("te", "trailers"),
            ("upgrade", "h2c"),
            ("http2-settings", "x"),
            ("content-length", "3"),
            ("expect", "100-continue"),
            ("x-forwarded-for", "9.9.9.9"),
            ("x-forwarded-user", "admin"),
            ("forwarded", "for=9.9.9.9"),
            ("authorization", "Bearer t"),
            ("cookie", "a=b"),
        ]);
        onward(&mut given, ("a.test", "::ffff:192.0.2.1".parse().unwrap()), true);
        let expected = [
            "content-length: 3",
            "cookie: a=b",
            "host: a.test:80",
            "http2-settings: x",
            "x-forwarded-for: 192.0.2.1",
            "x-forwarded-host: a.test",
            "x-forwarded-proto: http",
        ];
        assert_eq!(lines(&given), expected);
    }

    #[test]
    fn a_credential_for_the_service_goes_on() {
        let mut given = headers(&[("authorization", "Basic x"), ("host", "a.test")]);
        onward(&mut given, ("a.test", "192.0.2.1".parse().unwrap()), false);
        assert_eq!(given["authorization"], "Basic x");
    }

    #[test]
    fn a_websocket_is_asked_for_in_both_headers() {
        let mut given = headers(&[
            ("connection", "keep-alive, Upgrade"),
            ("upgrade", "WebSocket"),
            ("sec-websocket-key", "k"),
        ]);
        assert!(is_websocket(&given));
        back(&mut given);
        let expected = ["connection: Upgrade", "sec-websocket-key: k", "upgrade: websocket"];
        assert_eq!(lines(&given), expected);
        for pairs in [
            &[("upgrade", "websocket")][..],
            &[("connection", "upgrade")],
            &[("connection", "upgrade"), ("upgrade", "h2c")],
        ] {
            assert!(!is_websocket(&headers(pairs)), "{pairs:?}");
        }
    }

    #[test]
    fn a_body_has_one_length() {
        assert!(check(&headers(&[("content-length", "1")])).is_ok());
        assert!(check(&headers(&[("transfer-encoding", "chunked")])).is_ok());
        for pairs in [
            &[("content-length", "1"), ("transfer-encoding", "chunked")][..],
            &[("content-length", "1"), ("content-length", "1")],
            &[("transfer-encoding", "gzip"), ("transfer-encoding", "chunked")],
        ] {
            assert!(check(&headers(pairs)).is_err(), "{pairs:?}");
        }
    }
}
