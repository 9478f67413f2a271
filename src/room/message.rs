//! *Pure*: messages and the packets that they are split into.
//!
//! Every websocket message holds one packet. A message is a packet with its id, the number of
//! slices that follow and its kind, and then the slices of its payload. A payload is the length of
//! a JSON header, the header, and bytes. Recorded from release 0.31.4.

use serde_json::Value;

/// The largest payload that is accepted, in bytes.
pub const MAX_BYTES: usize = 64 * 1024 * 1024;

/// The slices that every peer takes, in bytes.
pub const SLICE: usize = 1024;

/// The largest slices that are sent to a peer that has sent larger ones than [`SLICE`], in bytes.
pub const LARGE: usize = 64 * 1024;

/// A message.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    /// Its number among those of its sender; an answer has the number of its request.
    pub id: u64,
    /// What it is, such as `room.call`.
    pub kind: String,
    /// What it says.
    pub header: Value,
    /// The bytes that it carries besides.
    pub bytes: Vec<u8>,
}

impl Message {
    /// A message without bytes.
    #[must_use]
    pub fn new(id: u64, kind: &str, header: Value) -> Self {
        Self { id, kind: kind.to_owned(), header, bytes: Vec::new() }
    }

    /// The packets, in the order in which they are sent, as every peer takes them.
    #[must_use]
    pub fn packets(&self) -> Vec<Vec<u8>> {
        self.packets_of(SLICE)
    }

    /// The same with slices of so many bytes.
    #[must_use]
    pub fn packets_of(&self, slice: usize) -> Vec<Vec<u8>> {
        let header = self.header.to_string().into_bytes();
        let mut payload = (header.len() as u64).to_be_bytes().to_vec();
        payload.extend(header);
        payload.extend(&self.bytes);
        let slices = payload.chunks(slice.max(1));
        let count = u32::try_from(slices.len()).unwrap_or(u32::MAX);
        let first = [&head(self.id, 0), &count.to_be_bytes()[..], self.kind.as_bytes()].concat();
        let rest =
            (1..).zip(slices).map(|(number, slice)| [&head(self.id, number), slice].concat());
        std::iter::once(first).chain(rest).collect()
    }
}

/// What every packet starts with: the message's id and the packet's number.
fn head(id: u64, number: u32) -> [u8; 12] {
    let mut head = [0; 12];
    head[..8].copy_from_slice(&id.to_be_bytes());
    head[8..].copy_from_slice(&number.to_be_bytes());
    head
}

/// Puts messages together again.
#[derive(Debug, Default)]
pub struct Assembler {
    begun: Option<Begun>,
}

#[derive(Debug)]
struct Begun {
    id: u64,
    kind: String,
    /// How many slices there are, and how many came.
    slices: (u32, u32),
    payload: Vec<u8>,
}

impl Assembler {
    /// Takes a packet; the message that it completes, if it does.
    ///
    /// # Errors
    ///
    /// What is wrong with the packet, as a phrase. The connection cannot be used any more then.
    pub fn take(&mut self, packet: &[u8]) -> Result<Option<Message>, String> {
        let (head, rest) = packet.split_at_checked(12).ok_or("a packet is too short")?;
        let (id, number) = head.split_at(8);
        let id = u64::from_be_bytes(id.try_into().unwrap_or_default());
        let number = u32::from_be_bytes(number.try_into().unwrap_or_default());
        let begun = match (self.begun.take(), number) {
            (None, 0) => {
                let (count, kind) = rest.split_at_checked(4).ok_or("a packet is too short")?;
                let count = u32::from_be_bytes(count.try_into().unwrap_or_default());
                let kind = std::str::from_utf8(kind).map_err(|_| "a message's kind is not text")?;
                Begun { id, kind: kind.to_owned(), slices: (count, 0), payload: Vec::new() }
            }
            (Some(mut begun), _) if begun.id == id && begun.slices.1 + 1 == number => {
                begun.slices.1 = number;
                begun.payload.extend(rest);
                begun
            }
            _ => return Err("a packet came out of order".to_owned()),
        };
        if begun.payload.len() > MAX_BYTES {
            return Err(format!("a message has more than {MAX_BYTES} bytes"));
        }
        if begun.slices.1 < begun.slices.0 {
            self.begun = Some(begun);
            return Ok(None);
        }
        let (header, bytes) = unpack(&begun.payload)?;
        Ok(Some(Message { id: begun.id, kind: begun.kind, header, bytes }))
    }
}

fn unpack(payload: &[u8]) -> Result<(Value, Vec<u8>), String> {
    let (length, rest) = payload.split_at_checked(8).ok_or("a message has no header")?;
    let length = u64::from_be_bytes(length.try_into().unwrap_or_default());
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    let (header, bytes) = rest.split_at_checked(length).ok_or("a message is cut off")?;
    let mut header: Value = serde_json::from_slice(header)
        .map_err(|error| format!("a message's header is not JSON: {error}"))?;
    // Tracing of a call concerns only the sender.
    if let Value::Object(fields) = &mut header {
        fields.shift_remove("__meshagent__");
    }
    Ok((header, bytes.to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn a_message_is_cut_as_recorded() {
        let packets = Message::new(1, "room.invoke_tool", json!({"a": 1})).packets();
        assert_eq!(packets[0], b"\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\x01room.invoke_tool");
        assert_eq!(packets[1], b"\0\0\0\0\0\0\0\x01\0\0\0\x01\0\0\0\0\0\0\0\x07{\"a\":1}");
        assert_eq!(packets.len(), 2);
    }

    #[test]
    fn what_is_no_message_is_told() {
        let told = |packets: &[&[u8]]| {
            let mut assembler = Assembler::default();
            packets.iter().find_map(|packet| assembler.take(packet).err()).unwrap()
        };
        let first = b"\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\x02a";
        for (packets, expected) in [
            (vec![&b""[..]], "a packet is too short"),
            (vec![&b"\0\0\0\0\0\0\0\x01\0\0\0\0\0"[..]], "a packet is too short"),
            (vec![&b"\0\0\0\0\0\0\0\x01\0\0\0\x01"[..]], "a packet came out of order"),
            (vec![first, b"\0\0\0\0\0\0\0\x02\0\0\0\x01"], "a packet came out of order"),
            (vec![first, b"\0\0\0\0\0\0\0\x01\0\0\0\x02"], "a packet came out of order"),
            (vec![first, first], "a packet came out of order"),
            (vec![&b"\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\0a"[..]], "a message has no header"),
            (vec![&b"\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\0\xff"[..]], "a message's kind is not text"),
            (
                vec![
                    &b"\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\x01a"[..],
                    b"\0\0\0\0\0\0\0\x01\0\0\0\x01\xff\xff\xff\xff\xff\xff\xff\xff{}",
                ],
                "a message is cut off",
            ),
        ] {
            assert_eq!(told(&packets), expected, "{packets:?}");
        }
    }

    proptest! {
        #[test]
        fn messages_come_out_as_they_went_in(
            id: u64,
            kind in "[a-z_.]{1,20}",
            text in ".{0,3000}",
            bytes in proptest::collection::vec(any::<u8>(), 0..5000),
        ) {
            let message = Message { id, kind, header: json!({ "text": text }), bytes };
            let mut assembler = Assembler::default();
            let packets = message.packets();
            let (last, others) = packets.split_last().unwrap();
            for packet in others {
                prop_assert_eq!(assembler.take(packet).unwrap(), None);
            }
            prop_assert_eq!(assembler.take(last).unwrap(), Some(message));
        }

        #[test]
        fn no_packet_ends_in_a_panic(
            packets in proptest::collection::vec(
                (0..3u64, 0..3u32, proptest::collection::vec(any::<u8>(), 0..20)),
                0..6,
            ),
        ) {
            let mut assembler = Assembler::default();
            for (id, number, rest) in packets {
                let _ = assembler.take(&[&head(id, number)[..], &rest].concat());
            }
        }
    }
}
