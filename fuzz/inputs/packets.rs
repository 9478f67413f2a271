//! What a room sends: packets, each behind its length, that are put together to messages.

use meshagent::room::content::Content;
use meshagent::room::message::Assembler;

/// Feeds it in.
pub fn feed(bytes: &[u8]) {
    let mut assembler = Assembler::default();
    let mut rest = bytes;
    while let Some((length, after)) = rest.split_first() {
        let (packet, after) = after.split_at(usize::from(*length).min(after.len()));
        rest = after;
        match assembler.take(packet) {
            Ok(Some(message)) => {
                let _ = Content::of(&message.header, message.bytes);
            }
            Ok(None) => {}
            Err(_) => return,
        }
    }
}
