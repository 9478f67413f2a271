//! Why there was no answer. The message names what failed, which may be a proxy of the environment
//! or a certificate, and not the server that was asked.

use std::error::Error as StdError;

use hyper_util::client::proxy::matcher::Matcher;
use rustls::CertificateError;
use url::Url;

use crate::error::causes;
use crate::visible;

/// There was no answer. The URL may contain a credential, so only its host is kept.
#[derive(Debug, thiserror::Error)]
#[error("{what}")]
pub struct Unanswered {
    what: String,
    /// What to do about it, where that is known.
    pub hint: Option<String>,
    /// Whether it took too long.
    pub is_late: bool,
    /// Whether the server may have acted on the request.
    pub sent: bool,
    /// Whether another try may help.
    pub is_transient: bool,
}

impl From<reqwest::Error> for Unanswered {
    fn from(error: reqwest::Error) -> Self {
        let failed = Self {
            what: "there was no answer in time".to_owned(),
            hint: None,
            is_late: error.is_timeout(),
            sent: !error.is_connect() && !error.is_builder(),
            is_transient: !error.is_builder(),
        };
        let host = error.url().and_then(Url::host_str).unwrap_or("the server");
        if let Some((what, hint)) = causes(&error).find_map(tls).map(|tls| of_tls(tls, host)) {
            return Self { what, hint, is_late: false, is_transient: false, ..failed };
        }
        let is_of_proxy = error.is_connect();
        let proxy = error.url().filter(|_| is_of_proxy).and_then(Proxy::of);
        let cause = match failed.is_late {
            true => failed.what.clone(),
            // The innermost cause says what the outer ones do not.
            false => causes(&error).last().map_or_else(|| error.to_string(), ToString::to_string),
        };
        match proxy {
            Some(Proxy { url, variable }) => Self {
                what: format!("the proxy {url}, which {variable} names, failed: {cause}"),
                hint: Some(format!("check {variable}; hosts in NO_PROXY are reached without it")),
                is_late: false,
                ..failed
            },
            None => Self { what: cause, ..failed },
        }
    }
}

/// The TLS failure that a cause is, or contains.
fn tls<'a>(cause: &'a (dyn StdError + 'static)) -> Option<&'a rustls::Error> {
    // An I/O error skips the error that it contains when it is asked for its source.
    let held = || cause.downcast_ref::<std::io::Error>()?.get_ref();
    cause.downcast_ref().or_else(|| tls(held()?))
}

/// What a failure of TLS means, and what to do about it.
fn of_tls(error: &rustls::Error, host: &str) -> (String, Option<String>) {
    let certificate = |what: &str| format!("the certificate of {host} {what}");
    let rustls::Error::InvalidCertificate(wrong) = error else {
        let what = format!("the TLS handshake with {host} failed: {error}");
        let hint = "check that the URL should begin with https, and check the port";
        return (what, Some(hint.to_owned()));
    };
    match wrong {
        CertificateError::UnknownIssuer | CertificateError::BadSignature => (
            certificate("is not signed by an authority that this machine trusts"),
            Some(unusable_file().unwrap_or_else(|| {
                "if it is the right certificate, set SSL_CERT_FILE to a PEM file with its authority's certificate, which is then trusted instead of the system's"
                    .to_owned()
            })),
        ),
        CertificateError::NotValidForNameContext { .. } | CertificateError::NotValidForName => {
            let hint = "use a name that the certificate covers, or check which server answers there";
            (certificate(&format!("is not for this name: {wrong}")), Some(hint.to_owned()))
        }
        CertificateError::ExpiredContext { .. } | CertificateError::Expired => {
            (certificate("has expired"), Some("it must be renewed on the server; also check this machine's clock".to_owned()))
        }
        CertificateError::Other(_) => (
            certificate("cannot be used as the one of a server"),
            Some(
                "the server must use a certificate that an authority signed, not the authority's own; set SSL_CERT_FILE to a file with the authority's certificate"
                    .to_owned(),
            ),
        ),
        _ => (certificate(&format!("cannot be used: {wrong}")), None),
    }
}

/// What to do about a file of authorities that is named and cannot be read: the library ignores it.
fn unusable_file() -> Option<String> {
    let file = std::env::var_os("SSL_CERT_FILE").filter(|file| !file.is_empty())?;
    let is_usable = std::fs::metadata(&file).is_ok_and(|about| about.is_file() && about.len() > 0)
        && std::fs::File::open(&file).is_ok();
    let shown = visible::line(&file.to_string_lossy()).into_owned();
    (!is_usable)
        .then(|| format!("SSL_CERT_FILE names {shown}, which is not a file that can be read"))
}

/// A proxy of the environment.
struct Proxy {
    url: String,
    variable: &'static str,
}

impl Proxy {
    /// The proxy that is used for a URL, if there is one.
    fn of(url: &Url) -> Option<Self> {
        if super::http::is_direct(url) {
            return None;
        }
        let proxy = Matcher::from_system().intercept(&url.as_str().parse().ok()?)?;
        let of_scheme = match url.scheme() {
            "https" => ["HTTPS_PROXY", "https_proxy"],
            _ => ["HTTP_PROXY", "http_proxy"],
        };
        let mut names = of_scheme.into_iter().chain(["ALL_PROXY", "all_proxy"]);
        let is_set = |name: &&str| std::env::var_os(name).is_some_and(|it| !it.is_empty());
        let variable = names.find(is_set).unwrap_or("the system");
        let url = visible::url(&proxy.uri().to_string());
        Some(Self { url: url.trim_end_matches('/').to_owned(), variable })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_told_with_what_helps() {
        let told = |wrong| of_tls(&rustls::Error::InvalidCertificate(wrong), "a.test");
        for (wrong, what, helps) in [
            (
                CertificateError::UnknownIssuer,
                "not signed by an authority that this machine trusts",
                "set SSL_CERT_FILE to",
            ),
            (
                CertificateError::BadSignature,
                "not signed by an authority that this machine trusts",
                "set SSL_CERT_FILE to",
            ),
            (
                CertificateError::NotValidForName,
                "is not for this name",
                "a name that the certificate covers",
            ),
            (CertificateError::Expired, "has expired", "clock"),
        ] {
            let (message, hint) = told(wrong);
            assert!(message.starts_with("the certificate of a.test "), "{message}");
            assert!(message.contains(what), "{message}");
            assert!(hint.as_ref().is_some_and(|hint| hint.contains(helps)), "{hint:?}");
        }
    }

    #[test]
    fn a_failure_of_tls_is_found_below_errors_of_input_and_output() {
        let inner = std::io::Error::other(rustls::Error::DecryptError);
        let outer = std::io::Error::other(inner);
        assert!(matches!(tls(&outer), Some(rustls::Error::DecryptError)));
        assert!(tls(&std::io::Error::other("no")).is_none());
    }
}
