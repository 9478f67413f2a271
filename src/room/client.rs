//! A participant's connection with a room.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures_util::{SinkExt, StreamExt};
use reqwest::header::{
    CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::Role;
use tokio_tungstenite::tungstenite::{self, Message as Frame};

use super::message::{Assembler, Message};
use crate::api::http;
use crate::api::token::VERSION;
use crate::error::{Error, Result};

/// How long a room has to let a participant in.
const READY: Duration = Duration::from_secs(30);

/// How long a room has to answer a question.
const ANSWER: Duration = Duration::from_secs(120);

/// A participant in a room.
pub struct Room {
    socket: WebSocketStream<reqwest::Upgraded>,
    assembler: Assembler,
    asked: u64,
}

impl Room {
    /// Enters the room at this websocket URL with a participant's token, and waits until the
    /// room is ready.
    ///
    /// # Errors
    ///
    /// A URL that is none; a room that cannot be reached or does not let the participant in.
    pub async fn enter(url: &str, token: &SecretString) -> Result<Self> {
        let failed = || format!("failed to enter the room at {url}");
        let socket = timeout(READY, connect(url, token))
            .await
            .map_err(|_| Error::failed(failed()).because(told_late(READY)))?
            .map_err(|what| Error::failed(failed()).because(what))?;
        let mut room = Self { socket, assembler: Assembler::default(), asked: 0 };
        timeout(READY, room.ready())
            .await
            .map_err(|_| Error::failed(failed()).because(told_late(READY)))?
            .map_err(|what| Error::failed(failed()).because(what))?;
        Ok(room)
    }

    /// A room tells who one is and that it is ready, in any order, and maybe more.
    async fn ready(&mut self) -> Result<(), String> {
        let (mut is_known, mut is_ready) = (false, false);
        while !(is_known && is_ready) {
            let message = self.next().await?;
            match message.kind.as_str() {
                "connected" => is_known |= message.header["type"] == "init",
                "room_ready" => is_ready = true,
                _ => {}
            }
        }
        Ok(())
    }

    /// Asks the room for something, and returns the header of its answer.
    ///
    /// # Errors
    ///
    /// What the room has against it; a connection that is lost, or an answer that takes too
    /// long.
    pub async fn ask(&mut self, kind: &str, header: Value) -> Result<Value> {
        self.asked += 1;
        let question = Message::new(self.asked, kind, header);
        let failed = || format!("the room did not answer {kind}");
        let answer = timeout(ANSWER, self.exchange(&question))
            .await
            .map_err(|_| Error::failed(failed()).because(told_late(ANSWER)))?
            .map_err(|what| Error::failed(failed()).because(what))?;
        if answer["type"] != "error" {
            return Ok(answer);
        }
        let text = answer["text"].as_str().unwrap_or("no reason was given");
        let code = answer["code"].as_i64().map(|code| format!(" ({code})")).unwrap_or_default();
        Err(Error::failed(format!("the room refused {kind}")).because(format!("{text}{code}")))
    }

    async fn exchange(&mut self, question: &Message) -> Result<Value, String> {
        for packet in question.packets() {
            self.socket.feed(Frame::binary(packet)).await.map_err(lost)?;
        }
        self.socket.flush().await.map_err(lost)?;
        loop {
            let message = self.next().await?;
            if message.kind == "__response__" && message.id == question.id {
                return Ok(message.header);
            }
        }
    }

    async fn next(&mut self) -> Result<Message, String> {
        loop {
            match self.socket.next().await.ok_or("the room closed the connection")? {
                Ok(Frame::Binary(packet)) => {
                    if let Some(message) = self.assembler.take(&packet)? {
                        return Ok(message);
                    }
                }
                Ok(Frame::Close(_)) => return Err("the room closed the connection".to_owned()),
                // Pings are answered by the library; text is not part of the protocol.
                Ok(_) => {}
                Err(error) => return Err(lost(error)),
            }
        }
    }

    /// Leaves the room.
    pub async fn leave(mut self) {
        // Who leaves does not mind that the room is gone already.
        let _ = timeout(Duration::from_secs(1), self.socket.close(None)).await;
    }
}

fn told_late(time: Duration) -> String {
    format!("nothing came for {} s", time.as_secs())
}

fn lost(error: tungstenite::Error) -> String {
    format!("the connection was lost: {error}")
}

/// The handshake, over the same HTTP client as everything else, so that proxies and
/// certificates are the same.
async fn connect(
    url: &str,
    token: &SecretString,
) -> Result<WebSocketStream<reqwest::Upgraded>, String> {
    let mut address = match url.strip_prefix("ws") {
        Some(rest) => url::Url::parse(&format!("http{rest}")),
        None => url::Url::parse(url),
    }
    .map_err(|error| error.to_string())?;
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
    let answer = client
        .get(address)
        .header(CONNECTION, "Upgrade")
        .header(UPGRADE, "websocket")
        .header(SEC_WEBSOCKET_VERSION, "13")
        .header(SEC_WEBSOCKET_KEY, &key)
        .send()
        .await
        // The URL holds the token.
        .map_err(|error| told(&error.without_url()))?;
    if answer.status() != reqwest::StatusCode::SWITCHING_PROTOCOLS {
        return Err(format!("it answered with {}", answer.status()));
    }
    let accepted = answer.headers().get(SEC_WEBSOCKET_ACCEPT).map(|accept| accept.as_bytes());
    if accepted != Some(derive_accept_key(key.as_bytes()).as_bytes()) {
        return Err("what answered is no room".to_owned());
    }
    let socket = answer.upgrade().await.map_err(|error| told(&error.without_url()))?;
    Ok(WebSocketStream::from_raw_socket(socket, Role::Client, None).await)
}

/// An error with its causes.
fn told(error: &dyn std::error::Error) -> String {
    let mut told = error.to_string();
    let mut cause = error.source();
    while let Some(source) = cause {
        told += &format!(": {source}");
        cause = source.source();
    }
    told
}
