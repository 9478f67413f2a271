//! *Pure*: URLs as they are shown, without what lets somebody in: a user, a password, and what
//! a query says.

use std::borrow::Cow;
use std::fmt::Write;

use url::Url;

/// A URL without user and password, without the values of its query, and without its fragment. A
/// text that is not a URL is cut in the same way.
#[must_use]
pub fn url(text: &str) -> String {
    let (rest, query) = match text.split_once(['?', '#']) {
        Some((rest, query)) if text[rest.len()..].starts_with('?') => (rest, Some(query)),
        Some((rest, _)) => (rest, None),
        None => (text, None),
    };
    let mut shown = without_user(rest);
    if let Some(query) = query {
        let query = query.split('#').next().unwrap_or_default();
        for (index, pair) in query.split('&').enumerate() {
            shown.push(if index == 0 { '?' } else { '&' });
            // A pair without `=` may be a value alone.
            match pair.split_once('=') {
                Some((name, _)) => drop(write!(shown, "{name}=…")),
                None if pair.is_empty() => {}
                None => shown.push('…'),
            }
        }
    }
    shown
}

/// A text without the users and passwords of the URLs in it. Over ssh, the user alone is a part of
/// where something is.
#[must_use]
pub fn without_users(text: &str) -> Cow<'_, str> {
    if !text.contains("://") {
        return text.into();
    }
    let is_of_scheme = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.');
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let begin = rest[..at]
            .rfind(|c| !is_of_scheme(c))
            .map_or(0, |last| last + rest[last..].chars().next().map_or(1, char::len_utf8));
        let end = rest[at..].find(char::is_whitespace).map_or(rest.len(), |end| at + end);
        let url = &rest[begin..end];
        let users = &url[at + 3 - begin..];
        let user = users.split(['@', '/']).next().unwrap_or_default();
        out.push_str(&rest[..begin]);
        match rest[begin..at] == *"ssh" && !user.contains(':') {
            true => out.push_str(url),
            false => out.push_str(&without_user(url)),
        }
        rest = &rest[end..];
    }
    out.push_str(rest);
    out.into()
}

/// What stands before a query, without user and password. A password that holds a slash as it
/// is makes something else of the URL; all that stands before the last `@` is left out then.
fn without_user(text: &str) -> String {
    let (scheme, rest) = match text.split_once("://") {
        Some((scheme, rest)) => (format!("{scheme}://"), rest),
        None => (String::new(), text),
    };
    let end = rest.find(['/', '\\']).unwrap_or(rest.len());
    let (host, path) = rest.split_at(end);
    let is_told = Url::parse(text).is_ok() && !scheme.is_empty();
    let kept = match (host.rsplit_once('@'), path.rsplit_once('@')) {
        (Some((_, host)), None) => format!("{host}{path}"),
        (None, Some((_, kept))) if host.contains(':') || !is_told => kept.to_owned(),
        (Some(_), Some((_, kept))) if !is_told => kept.to_owned(),
        (Some((_, host)), Some(_)) => format!("{host}{path}"),
        (None, _) => rest.to_owned(),
    };
    scheme + &kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_shown_without_what_lets_somebody_in() {
        for (text, shown) in [
            ("https://a.test/b/c", "https://a.test/b/c"),
            ("https://a.test", "https://a.test"),
            ("https://ada:hunter2@a.test:8/x", "https://a.test:8/x"),
            ("https://hunter2@a.test", "https://a.test"),
            ("https://a:b@c@d.test/", "https://d.test/"),
            ("https://ada:hun/ter2@a.test/x", "https://a.test/x"),
            ("https://ada:12/ter2@a.test/x", "https://a.test/x"),
            ("https:\\\\ada:hunter2@a.test", "a.test"),
            ("ada:hunter2@a.test/x", "a.test/x"),
            ("https://a.test/@scope/x", "https://a.test/@scope/x"),
            ("https://a.test/x?token=hunter2&v=1#hunter2", "https://a.test/x?token=…&v=…"),
            ("https://a.test/x?hunter2", "https://a.test/x?…"),
            ("https://a.test/x#token=hunter2?a", "https://a.test/x"),
            ("wss://a.test/x?&a=", "wss://a.test/x?&a=…"),
            ("", ""),
        ] {
            assert_eq!(url(text), shown, "{text}");
        }
    }

    #[test]
    fn the_urls_of_a_text_are_shown_without_users() {
        for (text, shown) in [
            (
                "fatal: could not read Password for 'https://ghs_hunter2@127.0.0.1:1': disabled",
                "fatal: could not read Password for 'https://127.0.0.1:1': disabled",
            ),
            ("(http://a:hunter2@x.test/y) https://b:c@z.test", "(http://x.test/y) https://z.test"),
            ("'https://a:hun'ter2@x.test/y'", "'https://x.test/y'"),
            ("'ssh://git@x.test/y' ssh://git:hunter2@x.test", "'ssh://git@x.test/y' ssh://x.test"),
            ("git@x.test:y/z", "git@x.test:y/z"),
            ("a ://b é://c@d", "a ://b é://d"),
            ("https://x.test/@scope/y", "https://x.test/@scope/y"),
        ] {
            assert_eq!(without_users(text), shown, "{text}");
        }
    }
}
