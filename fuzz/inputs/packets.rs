//! What a room sends: packets, each behind its length, that are put together to messages. Each
//! is also taken for what a header of a handshake says.

use meshagent::room::content::Content;
use meshagent::room::developer::Event;
use meshagent::room::handshake;
use meshagent::room::message::{Assembler, LARGE, Message, SLICE};
use meshagent::room::messaging::Participant;
use meshagent::room::toolkit;
use reqwest::header::{HeaderMap, HeaderValue, SEC_WEBSOCKET_KEY};
use serde_json::Value;

/// How many bytes a message may have here, so that few packets exceed it.
const LIMIT: usize = 1_000;

/// Feeds it in.
pub fn feed(bytes: &[u8]) {
    let (mut assembler, mut strict) = (Assembler::default(), Some(Assembler::new(LIMIT)));
    let mut rest = bytes;
    while let Some((length, after)) = rest.split_first() {
        let (packet, after) = after.split_at(usize::from(*length).min(after.len()));
        rest = after;
        header(packet);
        let taken = assembler.take(packet);
        // Who accepts less ends sooner, and takes the same until then.
        let also = strict.take().and_then(|mut strict| {
            let taken = strict.take(packet).ok()?;
            assert!(strict.held() <= LIMIT);
            Some((strict, taken))
        });
        if let Some((begun, also)) = also {
            assert_eq!(taken, Ok(also));
            strict = Some(begun);
        }
        match taken {
            Ok(Some(message)) => heard(message),
            Ok(None) => {}
            Err(_) => return,
        }
    }
}

/// What a handshake says.
fn header(bytes: &[u8]) {
    let Ok(value) = HeaderValue::from_bytes(bytes) else { return };
    let mut headers = HeaderMap::new();
    headers.insert(handshake::SLICES, value.clone());
    headers.insert(SEC_WEBSOCKET_KEY, value);
    assert!((SLICE..=LARGE).contains(&handshake::slices(&headers)));
    assert!(handshake::accepted(&headers).is_err());
}

/// A message goes through again, and is taken for anything that it may be.
fn heard(message: Message) {
    let mut assembler = Assembler::default();
    let again = message.packets(100).find_map(|it| assembler.take(&it).ok().flatten());
    // A fraction may not come out as the very same one.
    assert!(again.is_some_and(|again| again == message || has_fraction(&message.header)));
    let _ = Participant::listed(&message);
    let _ = toolkit::forwarded("storage", message.clone());
    let part = Content::of_part(&message.header["chunk"], message.bytes.clone());
    let _ = part.map(|part| (Event::of(part.clone()), part.done()));
    if let Ok(content) = Content::of(&message.header, message.bytes) {
        let (header, bytes) = content.clone().into_parts();
        assert_eq!(Content::of(&header, bytes), Ok(content));
    }
}

fn has_fraction(value: &Value) -> bool {
    match value {
        Value::Number(number) => number.is_f64(),
        Value::Array(items) => items.iter().any(has_fraction),
        Value::Object(members) => members.values().any(has_fraction),
        _ => false,
    }
}
