//! How a room is reached, and how a room that calls this program is answered.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hyper_util::rt::TokioIo;
use reqwest::header::{
    CONNECTION, HeaderName, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use secrecy::{ExposeSecret, SecretString};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::Role;

use super::message::{LARGE, SLICE};
use crate::api::http;
use crate::api::token::VERSION;
use crate::error::{Error, with_causes};

/// The handshake, over the same HTTP client as everything else, so that proxies and certificates
/// are the same. The token goes to another machine only over TLS, unless `insecure` allows
/// otherwise.
pub(super) async fn connect(
    url: &str,
    token: &SecretString,
    insecure: bool,
) -> Result<WebSocketStream<reqwest::Upgraded>, String> {
    let mut address = match url.strip_prefix("ws") {
        Some(rest) => url::Url::parse(&format!("http{rest}")),
        None => url::Url::parse(url),
    }
    .map_err(|error| error.to_string())?;
    if !insecure {
        http::refuse_plain(address.as_str()).map_err(|error| with_hint(&error))?;
    }
    let others: Vec<(String, String)> = address
        .query_pairs()
        .filter(|(name, _)| name != "token" && name != "v")
        .map(|(name, value)| (name.into_owned(), value.into_owned()))
        .collect();
    address
        .query_pairs_mut()
        .clear()
        .extend_pairs(others)
        .append_pair("token", token.expose_secret())
        .append_pair("v", VERSION);
    let mut key = [0; 16];
    getrandom::fill(&mut key).map_err(|error| error.to_string())?;
    let key = STANDARD.encode(key);
    let client = http::build(http::of_platform(address.as_str()).http1_only())
        .map_err(|error| error.to_string())?;
    let request = client
        .get(address)
        .header(CONNECTION, "Upgrade")
        .header(UPGRADE, "websocket")
        .header(SEC_WEBSOCKET_VERSION, "13")
        .header(SEC_WEBSOCKET_KEY, &key);
    let answer = http::send(request).await.map_err(|unanswered| match &unanswered.hint {
        Some(hint) => format!("{unanswered} ({hint})"),
        None => unanswered.to_string(),
    })?;
    if answer.status() != reqwest::StatusCode::SWITCHING_PROTOCOLS {
        return Err(format!("it answered with {}", answer.status()));
    }
    let accepted = answer.headers().get(SEC_WEBSOCKET_ACCEPT).map(|accept| accept.as_bytes());
    if accepted != Some(derive_accept_key(key.as_bytes()).as_bytes()) {
        return Err("the server that answered is not a room".to_owned());
    }
    // The URL holds the token.
    let socket = answer.upgrade().await.map_err(|error| with_causes(&error.without_url()))?;
    Ok(WebSocketStream::from_raw_socket(socket, Role::Client, None).await)
}

/// An error as a phrase, with what to do about it.
fn with_hint(error: &Error) -> String {
    let hint = error.hint.as_ref().map(|hint| format!(" ({hint})")).unwrap_or_default();
    format!("{error}{hint}")
}

/// The header in which each side says how large the slices may be that it is sent. It is ours:
/// others leave it out, and get the slices that every peer takes.
pub const SLICES: HeaderName = HeaderName::from_static("meshagent-slice");

/// How large the slices may be that a peer with these headers is sent, in bytes.
#[must_use]
pub fn slices(headers: &reqwest::header::HeaderMap) -> usize {
    let given = headers.get(SLICES).and_then(|value| value.to_str().ok()?.trim().parse().ok());
    given.unwrap_or(SLICE).clamp(SLICE, LARGE)
}

/// The answer to a caller that asks for a websocket: the value of `Sec-WebSocket-Accept`.
///
/// # Errors
///
/// What is missing in the caller's headers, as a sentence.
pub fn accepted(headers: &reqwest::header::HeaderMap) -> Result<String, String> {
    let has = |name, word: &str| {
        let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
        values.flat_map(|value| value.split(',')).any(|it| it.trim().eq_ignore_ascii_case(word))
    };
    if !has(UPGRADE, "websocket") || !has(CONNECTION, "upgrade") {
        return Err("the headers Connection and Upgrade do not ask for a websocket".to_owned());
    }
    if !has(SEC_WEBSOCKET_VERSION, "13") {
        return Err("the header Sec-WebSocket-Version is not 13".to_owned());
    }
    let mut keys = headers.get_all(SEC_WEBSOCKET_KEY).iter();
    let key = keys.next().ok_or("the header Sec-WebSocket-Key is missing")?;
    let is_key = STANDARD.decode(key.as_bytes()).is_ok_and(|key| key.len() == 16);
    if !is_key || keys.next().is_some() {
        return Err(
            "the header Sec-WebSocket-Key must be given once and be 16 bytes in base64".to_owned()
        );
    }
    Ok(derive_accept_key(key.as_bytes()))
}

/// The websocket of a caller that was answered with [`accepted`].
pub async fn answer(
    socket: hyper::upgrade::Upgraded,
) -> WebSocketStream<TokioIo<hyper::upgrade::Upgraded>> {
    WebSocketStream::from_raw_socket(TokioIo::new(socket), Role::Server, None).await
}
