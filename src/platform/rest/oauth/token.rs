//! `POST /oauth/token`: codes and refresh tokens become tokens. Errors are those of
//! RFC 6749, section 5.2.

use axum::Json;
use axum::extract::rejection::FormRejection;
use axum::extract::{Form, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use secrecy::ExposeSecret;
use serde::Deserialize;
use serde_json::json;

use crate::api::oauth::CLIENT_ID;
use crate::platform::App;
use crate::platform::auth::sign_in::{self, ACCESS_LASTS, Presented, Tokens};
use crate::platform::error::Result;

/// What a program sends.
#[derive(Deserialize)]
pub(super) struct Asked {
    grant_type: Option<String>,
    client_id: Option<String>,
    code: Option<String>,
    redirect_uri: Option<String>,
    code_verifier: Option<String>,
    refresh_token: Option<String>,
}

pub(super) async fn exchange(
    State(app): State<App>,
    form: std::result::Result<Form<Asked>, FormRejection>,
) -> Result<Response> {
    let Ok(Form(asked)) = form else {
        return Ok(refuse("invalid_request", "the form cannot be read"));
    };
    let Some(client_id) = &asked.client_id else {
        return Ok(refuse("invalid_request", "client_id is missing"));
    };
    if client_id != CLIENT_ID {
        return Ok(refuse("invalid_client", "the client is not known"));
    }
    let tokens = match asked.grant_type.as_deref() {
        Some("authorization_code") => {
            let (Some(code), Some(redirect_uri), Some(verifier)) =
                (&asked.code, &asked.redirect_uri, &asked.code_verifier)
            else {
                let what = "code, redirect_uri and code_verifier are required";
                return Ok(refuse("invalid_request", what));
            };
            sign_in::redeem(app.store(), &Presented { code, client_id, redirect_uri, verifier })
                .await?
        }
        Some("refresh_token") => {
            let Some(token) = &asked.refresh_token else {
                return Ok(refuse("invalid_request", "refresh_token is missing"));
            };
            sign_in::refresh(app.store(), token, client_id).await?
        }
        Some(_) => return Ok(refuse("unsupported_grant_type", "the grant type is not known")),
        None => return Ok(refuse("invalid_request", "grant_type is missing")),
    };
    Ok(match tokens {
        Some(tokens) => answer(&tokens),
        // The reason is not reported: a legitimate client can sign in again.
        None => refuse("invalid_grant", "the code or token is not valid, or no longer valid"),
    })
}

fn answer(tokens: &Tokens) -> Response {
    let body = json!({
        "access_token": tokens.access.expose_secret(),
        "token_type": "Bearer",
        "expires_in": ACCESS_LASTS,
        "refresh_token": tokens.refresh.expose_secret(),
        "scope": tokens.scope,
    });
    unkept(StatusCode::OK, &body)
}

fn refuse(error: &str, description: &str) -> Response {
    let body = json!({ "error": error, "error_description": description });
    unkept(StatusCode::BAD_REQUEST, &body)
}

/// An answer that caches must not store.
fn unkept(status: StatusCode, body: &serde_json::Value) -> Response {
    let mut response = (status, Json(body)).into_response();
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
