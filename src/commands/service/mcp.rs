//! `--mcp URL`: a service that stands for an MCP server elsewhere, made from the server's OAuth
//! metadata.

use std::time::Duration;

use serde_json::{Value, json};
use url::Url;

use super::source::SERVICE_ID;
use crate::api::http::{self, Told};
use crate::error::{Error, Result};
use crate::kinds::specs::service::ServiceSpec;
use crate::visible;

/// How long one request to the server may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// The server's URL in one form: with a scheme, and without a slash at its end.
fn normalized(text: &str) -> Result<Url> {
    let text = text.trim();
    if text.is_empty() {
        return Err(Error::usage("--mcp is empty"));
    }
    let shown = visible::url(text);
    let with_scheme =
        if text.contains("://") { text.to_owned() } else { format!("https://{text}") };
    let url = Url::parse(&with_scheme)
        .map_err(|error| Error::usage(format!("{shown:?} is not a URL")).because(error))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(Error::usage(format!("{shown:?} is neither http nor https")));
    }
    if url.host_str().is_none_or(str::is_empty) {
        return Err(Error::usage(format!("{shown:?} has no host")));
    }
    if url.query().is_some_and(|query| !query.is_empty())
        || url.fragment().is_some_and(|fragment| !fragment.is_empty())
    {
        return Err(Error::usage(format!("{shown:?} has a query or a fragment"))
            .hint("an MCP server is identified by its host and path"));
    }
    Ok(url)
}

/// A URL's scheme, host and port as they were written.
fn origin(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    match url.port() {
        Some(port) => format!("{}://{host}:{port}", url.scheme()),
        None => format!("{}://{host}", url.scheme()),
    }
}

/// The path without a slash at its end; empty for the root.
fn path(url: &Url) -> &str {
    url.path().trim_end_matches('/')
}

/// Where the server may publish its OAuth metadata, in the order of the requests.
fn places(url: &Url) -> Vec<String> {
    let kinds = ["oauth-authorization-server", "openid-configuration"];
    let mut places: Vec<String> = Vec::new();
    for below in [path(url), ""] {
        for kind in kinds {
            let place = format!("{}/.well-known/{kind}{below}", origin(url));
            if !places.contains(&place) {
                places.push(place);
            }
        }
    }
    places
}

/// The server's OAuth metadata; what cannot be read is skipped.
async fn discover(url: &Url) -> Result<Option<Value>> {
    let client = http::of_anything(url.as_str())?;
    for place in places(url) {
        let request = client.get(&place).header("Accept", "application/json");
        let Ok(Told { status, body }) = http::ask(request, PATIENCE, http::STANDARD).await else {
            continue;
        };
        if !status.is_success() {
            continue;
        }
        let Ok(told) = serde_json::from_slice::<Value>(&body) else { continue };
        let is_told = |field: &str| {
            told.get(field).and_then(Value::as_str).is_some_and(|text| !text.trim().is_empty())
        };
        if is_told("authorization_endpoint") && is_told("token_endpoint") {
            return Ok(Some(told));
        }
    }
    Ok(None)
}

/// Whether a client must work without PKCE: the server lists methods, but none that clients know.
fn no_pkce(told: &Value) -> bool {
    let methods: Vec<String> = told
        .get("code_challenge_methods_supported")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .map(|method| method.trim().to_uppercase())
        .filter(|method| !method.is_empty())
        .collect();
    !methods.is_empty() && !methods.iter().any(|method| method == "S256" || method == "PLAIN")
}

/// A name for the service, made from the host and the path.
fn name(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    let host = host.strip_prefix("www.").unwrap_or(host);
    let labels: Vec<&str> = host.split('.').filter(|label| !label.is_empty()).collect();
    let label = match labels.as_slice() {
        ["mcp", second, ..] => second,
        [first, ..] => first,
        [] => "mcp",
    };
    let segments: Vec<&str> = url.path().split('/').filter(|part| !part.is_empty()).collect();
    let is_mcp = |segment: &str| segment.eq_ignore_ascii_case("mcp");
    let below = match segments.as_slice() {
        [.., before, last] if is_mcp(last) => Some(*before),
        [.., last] if !is_mcp(last) => Some(*last),
        _ => None,
    };
    match below.filter(|below| !below.eq_ignore_ascii_case(label)) {
        Some(below) => slug(&format!("{label}-{below}")),
        None => slug(label),
    }
}

fn slug(text: &str) -> String {
    let mut slug = String::new();
    for c in text.to_lowercase().chars() {
        match c {
            c if c.is_ascii_alphanumeric() => slug.push(c),
            _ if slug.is_empty() || slug.ends_with('-') => {}
            _ => slug.push('-'),
        }
    }
    let slug = slug.trim_end_matches('-');
    match slug.chars().next() {
        None => "mcp-service".to_owned(),
        Some(first) if !first.is_ascii_alphabetic() => format!("mcp-{slug}"),
        Some(_) => slug.to_owned(),
    }
}

/// The service that stands for an MCP server.
///
/// # Errors
///
/// A URL that is not of an MCP server; a server that does not register clients.
pub async fn service(text: &str) -> Result<ServiceSpec> {
    let url = normalized(text)?;
    let oauth = match discover(&url).await? {
        None => None,
        Some(told) => {
            let registers = told.get("registration_endpoint").and_then(Value::as_str);
            if registers.is_none_or(|endpoint| endpoint.trim().is_empty()) {
                return Err(Error::usage(format!(
                    "{:?} uses OAuth, but does not register clients: it reports no registration_endpoint",
                    visible::url(text)
                )));
            }
            Some(no_pkce(&told))
        }
    };
    specification(&url, text, oauth)
}

/// The service, without any requests.
fn specification(url: &Url, text: &str, oauth: Option<bool>) -> Result<ServiceSpec> {
    let name = name(url);
    let address = match (path(url), text.trim().ends_with('/')) {
        ("", true) => format!("{}/", origin(url)),
        (path, _) => format!("{}{path}", origin(url)),
    };
    let path = if path(url).is_empty() { "/" } else { path(url) };
    let port = url.port().unwrap_or(if url.scheme() == "http" { 80 } else { 443 });
    let mut mcp = json!({
        "label": name,
        // The texts are data that the platform keeps, and those of the reference.
        "description": format!("MCP tools exposed by {address}"),
    });
    if let Some(no_pkce) = oauth {
        mcp["oauth"] = json!({ "no_pkce": no_pkce });
    }
    let document = json!({
        "version": "v1",
        "kind": "Service",
        "metadata": {
            "name": name,
            "description": format!("External MCP service at {address}"),
            "annotations": { SERVICE_ID: address },
        },
        "external": { "url": origin(url) },
        "ports": [{ "num": port, "type": "http", "endpoints": [{ "path": path, "mcp": mcp }] }],
    });
    serde_json::from_value(document)
        .map_err(|error| Error::failed("failed to make a service from the URL").because(error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_named_after_its_host_and_path() {
        for (text, wanted) in [
            ("https://mcp.linear.app/sse", "linear-sse"),
            ("www.example.com", "example"),
            ("https://api.github.com/copilot/mcp/", "api-copilot"),
            ("https://mcp.example.com/mcp", "example"),
            ("https://10.0.0.1:8080/x", "mcp-10-x"),
            ("https://tools.dev/tools", "tools"),
        ] {
            assert_eq!(name(&normalized(text).unwrap()), wanted, "{text}");
        }
        for text in ["", "ftp://x", "https://", "https://x/?a=b", "https://x/#y"] {
            assert!(normalized(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_server_is_asked_at_its_path_and_at_its_root() {
        let url = normalized("https://x.y/a/mcp").unwrap();
        assert_eq!(
            places(&url),
            [
                "https://x.y/.well-known/oauth-authorization-server/a/mcp",
                "https://x.y/.well-known/openid-configuration/a/mcp",
                "https://x.y/.well-known/oauth-authorization-server",
                "https://x.y/.well-known/openid-configuration",
            ]
        );
        assert_eq!(places(&normalized("x.y").unwrap()).len(), 2);
    }

    #[test]
    fn pkce_is_left_out_only_where_the_server_knows_none_of_its_methods() {
        for (methods, wanted) in [
            (json!(null), false),
            (json!([]), false),
            (json!(["s256"]), false),
            (json!(["plain"]), false),
            (json!(["S512"]), true),
        ] {
            let told = json!({ "code_challenge_methods_supported": methods });
            assert_eq!(no_pkce(&told), wanted, "{methods}");
        }
    }
}
