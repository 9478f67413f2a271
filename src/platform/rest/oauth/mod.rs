//! Signing in with a browser: OAuth 2.0, code flow with PKCE, for the one public client
//! that the command line is.
//!
//! No bearer credential is required here: `/oauth/authorize` asks for a key on its page, and
//! `/oauth/token` for a code or a refresh token.
//!
//! A request of an unknown client, or with another redirect address than that client's, is
//! answered with a page and never redirected. Only other errors are reported by a redirect.

mod page;
mod token;

use axum::extract::rejection::{FormRejection, QueryRejection};
use axum::extract::{Extension, Form, Query, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use subtle::ConstantTimeEq;
use url::Url;

use self::page::Page;
use super::Route;
use crate::api::key::ApiKey;
use crate::api::oauth::{CLIENT_ID, REDIRECT_URI, SCOPE};
use crate::platform::App;
use crate::platform::auth::Access;
use crate::platform::auth::holder::Holder;
use crate::platform::auth::sign_in::{self, Asked};
use crate::platform::error::{Refusal, Result};
use crate::serving::Connection;

/// The redirect address of the client.
const REDIRECT_ORIGIN: &str = "http://localhost:8765";

/// The cookie that proves that a form comes from a page that was sent to this browser.
const COOKIE: &str = "meshagent_sign_in";

/// The longest `state` that is passed on.
const STATE: usize = 1024;

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get("/oauth/authorize", Access::Open, show),
        Route::post("/oauth/authorize", Access::Open, submit),
        Route::post("/oauth/token", Access::Open, token::exchange),
    ]
}

/// What a program asks for.
#[derive(Debug, Default, Deserialize)]
struct Wanted {
    response_type: Option<String>,
    client_id: Option<String>,
    redirect_uri: Option<String>,
    scope: Option<String>,
    state: Option<String>,
    code_challenge: Option<String>,
    code_challenge_method: Option<String>,
}

/// The form of the page. Its debug output shows no key.
#[derive(Deserialize)]
struct Submitted {
    response_type: Option<String>,
    client_id: Option<String>,
    redirect_uri: Option<String>,
    scope: Option<String>,
    state: Option<String>,
    code_challenge: Option<String>,
    code_challenge_method: Option<String>,
    page: Option<String>,
    key: Option<String>,
    decision: Option<String>,
}

/// Why a request is refused.
enum Wrong {
    /// Reported on a page, because the client is not certain.
    Page(&'static str),
    /// Reported to the program.
    Redirect(&'static str, &'static str),
}

impl Wanted {
    fn check(&self) -> std::result::Result<Asked, Wrong> {
        if self.client_id.as_deref() != Some(CLIENT_ID) {
            return Err(Wrong::Page(
                "The program that sent you here is not known to this platform.",
            ));
        }
        if self.redirect_uri.as_deref() != Some(REDIRECT_URI) {
            return Err(Wrong::Page(
                "The program asks to send you to an address that is not its own.",
            ));
        }
        if self.state.as_ref().is_some_and(|state| state.len() > STATE) {
            return Err(Wrong::Page("The program sent more than is accepted."));
        }
        if self.response_type.as_deref() != Some("code") {
            return Err(Wrong::Redirect("unsupported_response_type", "response_type must be code"));
        }
        let challenge = self.code_challenge.clone().unwrap_or_default();
        // PKCE is not optional, and `plain` would protect nothing.
        let is_digest = URL_SAFE_NO_PAD.decode(&challenge).is_ok_and(|bytes| bytes.len() == 32);
        if self.code_challenge_method.as_deref() != Some("S256") || !is_digest {
            let what = "code_challenge is required, with code_challenge_method S256";
            return Err(Wrong::Redirect("invalid_request", what));
        }
        let scope = self.scope.clone().unwrap_or_else(|| SCOPE.to_owned());
        // A smaller scope would be a promise that is not kept.
        if scope != SCOPE {
            return Err(Wrong::Redirect("invalid_scope", "the only scope is admin"));
        }
        Ok(Asked {
            client_id: CLIENT_ID.to_owned(),
            redirect_uri: REDIRECT_URI.to_owned(),
            scope,
            challenge,
        })
    }

    /// Sends the browser back to the program.
    fn back(&self, told: &[(&str, &str)]) -> Result<Response> {
        let mut url = Url::parse(REDIRECT_URI).map_err(Refusal::internal)?;
        url.query_pairs_mut().extend_pairs(told);
        if let Some(state) = &self.state {
            url.query_pairs_mut().append_pair("state", state);
        }
        let place = HeaderValue::try_from(url.as_str()).map_err(Refusal::internal)?;
        let mut response = StatusCode::SEE_OTHER.into_response();
        page::protect(response.headers_mut());
        response.headers_mut().insert(header::LOCATION, place);
        response.headers_mut().insert(header::SET_COOKIE, cookie("", 0)?);
        Ok(response)
    }

    fn refuse(&self, wrong: &Wrong) -> Result<Response> {
        match wrong {
            Wrong::Page(problem) => refuse(StatusCode::BAD_REQUEST, problem),
            Wrong::Redirect(error, description) => {
                self.back(&[("error", error), ("error_description", description)])
            }
        }
    }

    /// The page with the form, which works once it comes back with the cookie set here.
    fn ask(&self, host: &str, status: StatusCode, problem: Option<&str>) -> Result<Response> {
        let mut bytes = [0u8; 32];
        getrandom::fill(&mut bytes).map_err(Refusal::internal)?;
        let nonce = URL_SAFE_NO_PAD.encode(bytes);
        let fields = [
            ("response_type", &self.response_type),
            ("client_id", &self.client_id),
            ("redirect_uri", &self.redirect_uri),
            ("scope", &self.scope),
            ("state", &self.state),
            ("code_challenge", &self.code_challenge),
            ("code_challenge_method", &self.code_challenge_method),
        ];
        let mut form: Vec<(&str, &str)> = fields
            .into_iter()
            .filter_map(|(name, value)| Some((name, value.as_deref()?)))
            .collect();
        form.push(("page", &nonce));
        let cookie = Some(cookie(&nonce, 600)?);
        Page { status, problem, form: Some((host, form)), cookie }.answer()
    }
}

/// The cookie of the page. It travels unencrypted, as everything does on loopback.
fn cookie(nonce: &str, seconds: u32) -> Result<HeaderValue> {
    let text = format!(
        "{COOKIE}={nonce}; Path=/oauth/authorize; Max-Age={seconds}; HttpOnly; SameSite=Strict"
    );
    HeaderValue::try_from(text).map_err(Refusal::internal)
}

fn refuse(status: StatusCode, problem: &str) -> Result<Response> {
    Page { status, problem: Some(problem), form: None, cookie: None }.answer()
}

fn host(app: &App, headers: &HeaderMap) -> String {
    let named = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    named.map_or_else(|| app.address().to_string(), str::to_owned)
}

async fn show(
    State(app): State<App>,
    headers: HeaderMap,
    wanted: std::result::Result<Query<Wanted>, QueryRejection>,
) -> Result<Response> {
    let Ok(Query(wanted)) = wanted else {
        return refuse(StatusCode::BAD_REQUEST, "The request cannot be read.");
    };
    match wanted.check() {
        Ok(_) => wanted.ask(&host(&app, &headers), StatusCode::OK, None),
        Err(wrong) => wanted.refuse(&wrong),
    }
}

async fn submit(
    State(app): State<App>,
    Extension(connection): Extension<Connection>,
    headers: HeaderMap,
    form: std::result::Result<Form<Submitted>, FormRejection>,
) -> Result<Response> {
    let Ok(Form(form)) = form else {
        return refuse(StatusCode::BAD_REQUEST, "The form cannot be read.");
    };
    let wanted = Wanted {
        response_type: form.response_type,
        client_id: form.client_id,
        redirect_uri: form.redirect_uri,
        scope: form.scope,
        state: form.state,
        code_challenge: form.code_challenge,
        code_challenge_method: form.code_challenge_method,
    };
    let asked = match wanted.check() {
        Ok(asked) => asked,
        Err(wrong) => return wanted.refuse(&wrong),
    };
    let (host, from) = (host(&app, &headers), connection.peer());
    if !is_from_here(&headers, &host, form.page.as_deref()) {
        let problem = "The page was too old, or another site sent the form. Try again.";
        return wanted.ask(&host, StatusCode::FORBIDDEN, Some(problem));
    }
    if form.decision.as_deref() == Some("deny") {
        return wanted.back(&[("error", "access_denied")]);
    }
    if let Some(wait) = app.sign_ins().begin(from) {
        let seconds = wait.as_secs() + 1;
        let problem = format!("Too many keys were wrong. Try again in {seconds} seconds.");
        let mut response = wanted.ask(&host, StatusCode::TOO_MANY_REQUESTS, Some(&problem))?;
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        return Ok(response);
    }
    let key = SecretString::from(form.key.unwrap_or_default());
    let key = match ApiKey::parse(key.expose_secret().trim()) {
        Some(key) => match Holder::of(app.store().reads(), &key, None).await {
            Ok((holder, _)) => Ok(holder),
            Err(Refusal::Unauthenticated(_)) => Err("The key is not valid."),
            Err(error) => return Err(error),
        },
        None => Err("That is not an API key: one begins with ma-."),
    };
    let problem = match key {
        Ok(Holder { key, person: Some(_), .. }) => {
            app.sign_ins().succeeded(from);
            let code = sign_in::code(app.store(), &key, &asked).await?;
            return wanted.back(&[("code", code.expose_secret())]);
        }
        Ok(_) => "The key acts for a project and not for a person, so it cannot sign you in.",
        Err(problem) => problem,
    };
    wanted.ask(&host, StatusCode::UNAUTHORIZED, Some(problem))
}

/// Whether a form comes from a page that was sent to this browser: browsers say where a form comes
/// from, and only this platform's page knows the value of the cookie.
fn is_from_here(headers: &HeaderMap, host: &str, page: Option<&str>) -> bool {
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or_default());
    let origin = text("origin").is_none_or(|origin| {
        origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://")) == Some(host)
    });
    let site = text("sec-fetch-site").is_none_or(|site| site == "same-origin");
    let mut cookies = headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .filter(|(name, _)| *name == COOKIE);
    // Two such cookies mean that somebody else has set one.
    let (first, second) = (cookies.next(), cookies.next());
    let same = match (first, second, page) {
        (Some((_, nonce)), None, Some(page)) if !page.is_empty() => {
            nonce.as_bytes().ct_eq(page.as_bytes()).into()
        }
        _ => false,
    };
    origin && site && same
}
