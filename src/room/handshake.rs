//! How a room is reached, and how a room that calls this program is answered.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hyper_util::rt::TokioIo;
use reqwest::header::{
    CONNECTION, HeaderMap, HeaderName, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY,
    SEC_WEBSOCKET_VERSION, UPGRADE,
};
use secrecy::{ExposeSecret, SecretString};
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};

use super::message::{LARGE, SLICE};
use crate::api::failure::explanation;
use crate::api::http;
use crate::api::token::VERSION;
use crate::error::{Error, causes, with_causes};

/// The header in which each side says how large the slices may be that it is sent. It is ours:
/// others leave it out, and get the slices that every peer takes.
pub const SLICES: HeaderName = HeaderName::from_static("meshagent-slice");

/// How large the slices may be that a peer with these headers is sent, in bytes: [`SLICE`], unless
/// it says that it takes larger ones, and not more than [`LARGE`].
#[must_use]
pub fn slices(headers: &HeaderMap) -> usize {
    let told = headers.get(SLICES).and_then(|value| value.to_str().ok()).unwrap_or_default().trim();
    let is_number = !told.is_empty() && told.bytes().all(|byte| byte.is_ascii_digit());
    // A number that is larger than any is one that is too large.
    let told = is_number.then(|| told.parse().unwrap_or(usize::MAX));
    told.unwrap_or(SLICE).clamp(SLICE, LARGE)
}

/// How long the reason may take why a room lets nobody in.
const REASON: Duration = Duration::from_secs(5);

/// The longest reason that is read, in bytes.
const LONGEST_REASON: usize = 16 * 1024;

/// Parts of a token that are so long, in bytes, are secret; shorter ones are in any text.
const TELLING: usize = 8;

/// Why there is no connection to a room.
#[derive(Debug, thiserror::Error)]
#[error("{what}")]
pub struct Unconnected {
    /// What went wrong, as a phrase.
    pub what: String,
    /// The status of the answer, if there was an answer that let nobody in.
    pub status: Option<u16>,
    /// Whether another try may help, as far as this side knows: it does not if the URL is wrong, or
    /// the token must not be sent there.
    pub is_transient: bool,
}

impl Unconnected {
    /// What there is of this among the causes of an error.
    #[must_use]
    pub fn among_causes<'a>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a Self> {
        causes(error).find_map(|cause| cause.downcast_ref())
    }

    /// Something that may be otherwise at another try.
    pub(super) fn for_now(what: impl Into<String>) -> Self {
        Self { what: what.into(), status: None, is_transient: true }
    }

    /// Something that is the same at every try.
    pub(super) fn always(what: impl Into<String>) -> Self {
        Self { is_transient: false, ..Self::for_now(what) }
    }
}

/// The handshake, over the same HTTP client as everything else, so that proxies and certificates
/// are the same. The token goes to another machine only over TLS, unless `insecure` allows
/// otherwise. It returns the connection, and how large the slices may be that the room is sent.
pub(super) async fn connect(
    url: &str,
    token: &SecretString,
    insecure: bool,
) -> Result<(WebSocketStream<reqwest::Upgraded>, usize), Unconnected> {
    let mut address = match url.strip_prefix("ws") {
        Some(rest) => url::Url::parse(&format!("http{rest}")),
        None => url::Url::parse(url),
    }
    .map_err(|error| Unconnected::always(error.to_string()))?;
    if !insecure {
        let refused = http::refuse_plain(address.as_str());
        refused.map_err(|error| Unconnected::always(with_hint(&error)))?;
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
    let client = http::build(http::of_platform(address.as_str()).http1_only())
        .map_err(|error| Unconnected::always(error.to_string()))?;
    let request = client.get(address).header(SLICES, LARGE);
    let (headers, socket) = upgraded(request, token, None).await?;
    Ok((socket, slices(&headers)))
}

/// Makes a websocket of a request that carries a token. It returns the connection, and the headers
/// with which it was accepted.
pub(super) async fn upgraded(
    request: reqwest::RequestBuilder,
    token: &SecretString,
    config: Option<WebSocketConfig>,
) -> Result<(HeaderMap, WebSocketStream<reqwest::Upgraded>), Unconnected> {
    let mut key = [0; 16];
    getrandom::fill(&mut key).map_err(|error| Unconnected::for_now(error.to_string()))?;
    let key = STANDARD.encode(key);
    let request = request
        .header(CONNECTION, "Upgrade")
        .header(UPGRADE, "websocket")
        .header(SEC_WEBSOCKET_VERSION, "13")
        .header(SEC_WEBSOCKET_KEY, &key);
    let answer = http::send(request).await.map_err(|unanswered| {
        let hint = unanswered.hint.as_ref().map(|hint| format!(" ({hint})")).unwrap_or_default();
        let failed = Unconnected::for_now(format!("{unanswered}{hint}"));
        Unconnected { is_transient: unanswered.is_transient, ..failed }
    })?;
    if answer.status() != reqwest::StatusCode::SWITCHING_PROTOCOLS {
        let status = answer.status();
        // The status says enough if the reason does not come.
        let why = match timeout(REASON, http::body(answer, LONGEST_REASON)).await {
            Ok(Ok(body)) if !repeats(&body, token) => explanation(&body),
            _ => String::new(),
        };
        let failed = Unconnected::for_now(format!("it answered with {status}{why}"));
        return Err(Unconnected { status: Some(status.as_u16()), ..failed });
    }
    let accepted = answer.headers().get(SEC_WEBSOCKET_ACCEPT).map(|accept| accept.as_bytes());
    if accepted != Some(derive_accept_key(key.as_bytes()).as_bytes()) {
        return Err(Unconnected::for_now("the server that answered is not a room"));
    }
    let headers = answer.headers().clone();
    // The URL may hold the token.
    let socket = answer.upgrade().await;
    let socket = socket.map_err(|error| Unconnected::for_now(with_causes(&error.without_url())))?;
    Ok((headers, WebSocketStream::from_raw_socket(socket, Role::Client, config).await))
}

/// Whether a text repeats a token, or a part of it: some servers quote the URL that they were asked.
fn repeats(body: &[u8], token: &SecretString) -> bool {
    let body = String::from_utf8_lossy(body);
    let parts = token.expose_secret().split('.');
    parts.filter(|part| part.len() >= TELLING).any(|part| body.contains(part))
}

/// An error as a phrase, with what to do about it.
fn with_hint(error: &Error) -> String {
    let hint = error.hint.as_ref().map(|hint| format!(" ({hint})")).unwrap_or_default();
    format!("{error}{hint}")
}

/// The answer to a caller that asks for a websocket: the value of `Sec-WebSocket-Accept`.
///
/// # Errors
///
/// What is missing in the caller's headers, as a sentence.
pub fn accepted(headers: &HeaderMap) -> Result<String, String> {
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

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    #[test]
    fn slices_are_as_large_as_the_other_side_takes_them_and_we_make_them() {
        let told = |value: &'static [u8]| {
            let mut headers = HeaderMap::new();
            headers.insert(SLICES, reqwest::header::HeaderValue::from_bytes(value).unwrap());
            slices(&headers)
        };
        for (value, expected) in [
            (&b"65536"[..], 65_536),
            (b" 4096 ", 4096),
            (b"65537", 65_536),
            (b"99999999999999999999999999", 65_536),
            (b"1025", 1025),
            (b"1023", 1024),
            (b"0", 1024),
            (b"", 1024),
            (b"+65536", 1024),
            (b"-1", 1024),
            (b"x", 1024),
            (b"\xff", 1024),
        ] {
            assert_eq!(told(value), expected, "{value:?}");
        }
        assert_eq!(slices(&HeaderMap::new()), SLICE);
    }

    /// Asks a room that answers so; why it lets nobody in, and what it was asked.
    async fn refused(answer: &'static [u8]) -> (Unconnected, String) {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let url = format!("ws://{}/rooms/demo", listener.local_addr().unwrap());
        let answering = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(stream.read_u8().await.unwrap());
            }
            stream.write_all(answer).await.unwrap();
            String::from_utf8(head).unwrap()
        });
        let token = SecretString::from("ab.cd-canary-secretive");
        let refused = connect(&url, &token, true).await.map(drop).unwrap_err();
        (refused, answering.await.unwrap())
    }

    #[tokio::test]
    async fn a_room_that_lets_nobody_in_says_so_by_a_status() {
        let answer = b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n";
        let (refused, asked) = refused(answer).await;
        assert_eq!(refused.to_string(), "it answered with 403 Forbidden");
        let error = Error::failed("failed to enter").because(refused);
        let told = Unconnected::among_causes(&error).map(|it| (it.status, it.is_transient));
        assert_eq!(told, Some((Some(403), true)));
        assert!(Unconnected::among_causes(&Error::failed("x").because("y")).is_none());
        assert!(asked.to_lowercase().contains("\r\nmeshagent-slice: 65536\r\n"), "{asked}");
    }

    #[tokio::test]
    async fn a_room_that_says_why_it_lets_nobody_in_is_heard() {
        for (answer, told) in [
            (
                &b"HTTP/1.1 503 X\r\ncontent-length: 24\r\n\r\n{\"error\": \"it is\\nfull\"}"[..],
                "it answered with 503 Service Unavailable: it is\nfull",
            ),
            // Nothing is shown of a page that quotes the token, or a part of it.
            (
                b"HTTP/1.1 503 X\r\ncontent-length: 26\r\n\r\nno /r?cd-canary-secretive!",
                "it answered with 503 Service Unavailable",
            ),
            // A reason that is cut off is none.
            (
                b"HTTP/1.1 503 X\r\ncontent-length: 99\r\n\r\nonly the beginning",
                "it answered with 503 Service Unavailable",
            ),
        ] {
            assert_eq!(refused(answer).await.0.to_string(), told);
        }
    }

    #[tokio::test]
    async fn what_is_wrong_on_this_side_is_not_tried_again() {
        for (url, insecure) in [("ws://192.0.2.1/rooms/demo", false), ("ws://", true), ("x", true)]
        {
            let refused = connect(url, &SecretString::from("t"), insecure).await.map(drop);
            let refused = refused.unwrap_err();
            assert!(!refused.is_transient && refused.status.is_none(), "{url}: {refused}");
        }
    }
}
