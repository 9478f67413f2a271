//! The sign-in page: plain HTML without scripts. The template engine escapes everything in it that
//! came with a request.

use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use minijinja::{AutoEscape, Environment, Value, context};
use sha2::{Digest, Sha256};

use super::REDIRECT_ORIGIN;
use crate::platform::error::{Refusal, Result};

const TEMPLATE: &str = include_str!("sign_in.html");

const STYLE: &str = "\
:root{color-scheme:light dark;font:1rem/1.5 system-ui,sans-serif}\
main{max-width:34rem;margin:4rem auto;padding:0 1rem}\
label{display:block;font-weight:600}\
input{box-sizing:border-box;width:100%;padding:.5rem;font:inherit}\
button{padding:.5rem 1rem;font:inherit}\
.problem{border-left:.25rem solid #c00;padding-left:.75rem}";

/// A page.
#[derive(Debug)]
pub struct Page<'a> {
    /// Its status.
    pub status: StatusCode,
    /// What is wrong.
    pub problem: Option<&'a str>,
    /// The platform's host, and the hidden fields of the form; without them there is no form.
    pub form: Option<(&'a str, Vec<(&'a str, &'a str)>)>,
    /// A cookie to set.
    pub cookie: Option<HeaderValue>,
}

impl Page<'_> {
    /// The page as an answer.
    ///
    /// # Errors
    ///
    /// A fault of the template.
    pub fn answer(self) -> Result<Response> {
        let (host, form) = match self.form {
            Some((host, form)) => (host, Some(fields(&form))),
            None => ("", None),
        };
        let title = if form.is_some() { "Sign in" } else { "This cannot be done" };
        let html = render(&context! {
            title,
            host => host.to_owned(),
            form,
            problem => self.problem.map(str::to_owned),
            style => Value::from_safe_string(STYLE.to_owned()),
        })
        .map_err(Refusal::internal)?;
        let mut response = (self.status, Html(html)).into_response();
        protect(response.headers_mut());
        if let Some(cookie) = self.cookie {
            response.headers_mut().insert(header::SET_COOKIE, cookie);
        }
        Ok(response)
    }
}

fn fields(form: &[(&str, &str)]) -> Vec<Vec<String>> {
    form.iter().map(|(name, value)| vec![(*name).to_owned(), (*value).to_owned()]).collect()
}

fn render(values: &Value) -> std::result::Result<String, minijinja::Error> {
    let mut environment = Environment::new();
    environment.set_auto_escape_callback(|_| AutoEscape::Html);
    environment.render_str(TEMPLATE, values)
}

/// Keeps an answer out of caches, frames and other sites, and lets nothing in it run.
pub fn protect(headers: &mut HeaderMap) {
    // Browsers apply `form-action` to the redirect after the form, too.
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{}'; form-action 'self' {REDIRECT_ORIGIN}; \
         frame-ancestors 'none'; base-uri 'none'",
        STANDARD.encode(Sha256::digest(STYLE))
    );
    if let Ok(policy) = HeaderValue::try_from(policy) {
        headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    for (name, value) in [
        (header::CACHE_CONTROL, "no-store"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        // With `no-referrer` the form would not say where it comes from.
        (header::REFERRER_POLICY, "same-origin"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_with_a_request_is_escaped() {
        let evil = "\"><script>alert(1)</script>'";
        let form = fields(&[("state", evil), (evil, "x")]);
        let html = render(&context! { title => evil, host => evil, form, problem => evil });
        let html = html.expect("a page");
        assert!(!html.contains("<script") && !html.contains("\">&lt;script\""), "{html}");
        assert_eq!(html.matches("&lt;script&gt;").count(), 6, "{html}");
    }
}
