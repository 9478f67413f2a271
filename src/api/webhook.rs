//! *Pure*: what a platform sends to a service by a webhook.

use secrecy::SecretString;
use serde_json::Value;

/// The header that may hold a webhook instead of the body; it takes precedence over the body.
pub const HEADER: &str = "Meshagent-Webhook";

/// An event that a service receives.
#[derive(Debug)]
pub enum Event {
    /// The service is called to a room.
    Call(RoomCall),
    /// Anything else, which services only acknowledge.
    Other,
}

/// A room to enter.
#[derive(Debug)]
pub struct RoomCall {
    /// Its name.
    pub room: String,
    /// The URL of its websocket.
    pub url: String,
    /// The participant's token.
    pub token: SecretString,
}

/// Reads the JSON text of a webhook.
///
/// # Errors
///
/// What is wrong with it, as a sentence that says nothing of its values: a token may be
/// among them.
pub fn parse(text: &[u8]) -> Result<Event, String> {
    let webhook: Value =
        serde_json::from_slice(text).map_err(|_| "the webhook is not JSON".to_owned())?;
    if !webhook.is_object() {
        return Err("the webhook is not an object".to_owned());
    }
    let event = &webhook["event"];
    for name in ["event", "data"] {
        let _ = present(&webhook, name, name)?;
    }
    let required: &[&str] = match event.as_str() {
        Some("room.call") => &["room_name", "room_url", "token"],
        Some("room.started") => &["room_name", "room_url"],
        Some("room.ended") => &["room_name"],
        _ => return Ok(Event::Other),
    };
    let data = &webhook["data"];
    let mut texts = Vec::new();
    for name in required {
        let value = present(data, name, &format!("data.{name}"))?;
        texts.push(value.as_str().ok_or_else(|| format!("the key data.{name} is not text"))?);
    }
    let [room, url, token] = texts[..] else { return Ok(Event::Other) };
    let _ = present(data, "arguments", "data.arguments")?;
    Ok(Event::Call(RoomCall {
        room: room.to_owned(),
        url: url.to_owned(),
        token: SecretString::from(token),
    }))
}

fn present<'a>(object: &'a Value, name: &str, path: &str) -> Result<&'a Value, String> {
    object.get(name).ok_or_else(|| format!("the key {path} is missing"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::ExposeSecret;
    use serde_json::json;

    #[test]
    fn a_call_says_where_and_as_whom() {
        let data = json!({"room_name": "r", "room_url": "ws://x", "token": "t", "arguments": null});
        let webhook = json!({"event": "room.call", "data": data}).to_string();
        let Ok(Event::Call(call)) = parse(webhook.as_bytes()) else { panic!("no call") };
        assert_eq!((call.room.as_str(), call.url.as_str()), ("r", "ws://x"));
        assert_eq!(call.token.expose_secret(), "t");
    }

    #[test]
    fn what_is_wrong_is_told_without_its_values() {
        let call = |data: Value| json!({"event": "room.call", "data": data}).to_string();
        let room = |name: &str| json!({"event": name, "data": {"room_name": "r"}}).to_string();
        for (text, expected) in [
            ("{\"event".to_owned(), "the webhook is not JSON"),
            (String::new(), "the webhook is not JSON"),
            ("[]".to_owned(), "the webhook is not an object"),
            ("{}".to_owned(), "the key event is missing"),
            ("{\"event\": 1}".to_owned(), "the key data is missing"),
            (call(json!([])), "the key data.room_name is missing"),
            (call(json!({"room_name": "r", "room_url": "u"})), "the key data.token is missing"),
            (
                call(json!({"room_name": "r", "room_url": "u", "token": ["s"]})),
                "the key data.token is not text",
            ),
            (
                call(json!({"room_name": "r", "room_url": "u", "token": "s"})),
                "the key data.arguments is missing",
            ),
            (room("room.started"), "the key data.room_url is missing"),
        ] {
            assert_eq!(parse(text.as_bytes()).unwrap_err(), expected, "{text}");
        }
        for text in [room("room.ended"), room("x"), json!({"event": 1, "data": 1}).to_string()] {
            assert!(matches!(parse(text.as_bytes()), Ok(Event::Other)), "{text}");
        }
    }
}
