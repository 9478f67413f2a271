//! *Pure*: messages and the packets that they are split into.
//!
//! Every websocket message holds one packet. A message is a packet with its id, the number of
//! slices that follow and its kind, and then the slices of its payload. A payload is the length of
//! a JSON header, the header, and bytes. Recorded from release 0.31.4.

use serde_json::Value;
use tokio_tungstenite::tungstenite::Bytes;

/// The largest message that a client accepts: the bytes of its kind and its payload.
pub const MAX_BYTES: usize = 64 * 1024 * 1024;

/// The largest slice that is sent to somebody of whom nothing is known, in bytes: as the public
/// SDK cuts.
pub const SLICE: usize = 1024;

/// The largest slice that is sent to somebody who sends larger ones than [`SLICE`], in bytes.
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

    /// The packets, in the order in which they are sent, with slices of at most so many bytes.
    /// Each is made when it is asked for.
    pub fn packets(&self, slice: usize) -> impl Iterator<Item = Bytes> + Send {
        let header = self.header.to_string().into_bytes();
        let front = [&(header.len() as u64).to_be_bytes()[..], &header].concat();
        let (slice, length) = (slice.max(1), front.len() + self.bytes.len());
        let count = u32::try_from(length.div_ceil(slice)).unwrap_or(u32::MAX);
        let first = [&head(self.id, 0), &count.to_be_bytes()[..], self.kind.as_bytes()].concat();
        let starts = (0..length).step_by(slice);
        let rest = (1..).zip(starts).map(move |(number, start)| {
            let end = length.min(start + slice);
            let of_front = front.get(start..end.min(front.len())).unwrap_or_default();
            let of_bytes = start.saturating_sub(front.len())..end.saturating_sub(front.len());
            let of_bytes = self.bytes.get(of_bytes).unwrap_or_default();
            Bytes::from([&head(self.id, number), of_front, of_bytes].concat())
        });
        std::iter::once(Bytes::from(first)).chain(rest)
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
#[derive(Debug)]
pub struct Assembler {
    begun: Option<Begun>,
    /// How many bytes a message may have, with its kind.
    limit: usize,
    largest: usize,
    unreadable: Option<u64>,
}

impl Default for Assembler {
    fn default() -> Self {
        Self::new(MAX_BYTES)
    }
}

#[derive(Debug)]
struct Begun {
    id: u64,
    kind: String,
    /// How many slices there are, and how many came.
    slices: (u32, u32),
    payload: Vec<u8>,
}

impl Begun {
    const fn held(&self) -> usize {
        self.kind.len() + self.payload.len()
    }
}

impl Assembler {
    /// Accepts messages of up to so many bytes: those of the kind and of the payload.
    #[must_use]
    pub const fn new(limit: usize) -> Self {
        Self { begun: None, limit, largest: 0, unreadable: None }
    }

    /// How many bytes the largest slice had that came so far. Somebody who sends larger ones than
    /// [`SLICE`] takes larger ones.
    #[must_use]
    pub const fn largest_slice(&self) -> usize {
        self.largest
    }

    /// How many bytes it holds of a message that is not complete.
    #[must_use]
    pub fn held(&self) -> usize {
        self.begun.as_ref().map_or(0, Begun::held)
    }

    /// Takes a packet; the message that it completes, if it does.
    ///
    /// # Errors
    ///
    /// What is wrong with the packet, as a phrase. The connection cannot be used any more then,
    /// unless only a message was [`Self::unreadable`].
    pub fn take(&mut self, packet: &[u8]) -> Result<Option<Message>, String> {
        self.unreadable = None;
        let (head, rest) = packet.split_at_checked(12).ok_or("a packet is too short")?;
        let (id, number) = head.split_at(8);
        let id = u64::from_be_bytes(id.try_into().unwrap_or_default());
        let number = u32::from_be_bytes(number.try_into().unwrap_or_default());
        let begun = match (self.begun.take(), number) {
            (None, 0) => {
                let (count, kind) = rest.split_at_checked(4).ok_or("a packet is too short")?;
                let count = u32::from_be_bytes(count.try_into().unwrap_or_default());
                self.check(kind.len())?;
                let kind = std::str::from_utf8(kind).map_err(|_| "a message's kind is not text")?;
                Begun { id, kind: kind.to_owned(), slices: (count, 0), payload: Vec::new() }
            }
            (Some(mut begun), _) if begun.id == id && begun.slices.1 + 1 == number => {
                self.check(begun.held() + rest.len())?;
                begun.slices.1 = number;
                begun.payload.extend_from_slice(rest);
                self.largest = self.largest.max(rest.len());
                begun
            }
            _ => return Err("a packet came out of order".to_owned()),
        };
        if begun.slices.1 < begun.slices.0 {
            self.begun = Some(begun);
            return Ok(None);
        }
        // From here on the packets are in order again, whatever the message says.
        self.unreadable = Some(begun.id);
        let (header, bytes) = unpack(&begun.payload)?;
        self.unreadable = None;
        Ok(Some(Message { id: begun.id, kind: begun.kind, header, bytes }))
    }

    /// The id of the message that could not be read, if the packets themselves were right.
    #[must_use]
    pub const fn unreadable(&self) -> Option<u64> {
        self.unreadable
    }

    /// How many slices the message has that is arriving.
    #[must_use]
    pub fn slices(&self) -> usize {
        self.begun.as_ref().map_or(0, |begun| usize::try_from(begun.slices.0).unwrap_or(usize::MAX))
    }

    fn check(&self, length: usize) -> Result<(), String> {
        match length > self.limit {
            true => Err(format!("a message has more than {} bytes", self.limit)),
            false => Ok(()),
        }
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
        let message = Message::new(1, "room.invoke_tool", json!({"a": 1}));
        let packets: Vec<Bytes> = message.packets(SLICE).collect();
        assert_eq!(packets[0][..], *b"\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\x01room.invoke_tool");
        assert_eq!(packets[1][..], *b"\0\0\0\0\0\0\0\x01\0\0\0\x01\0\0\0\0\0\0\0\x07{\"a\":1}");
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

    #[test]
    fn a_message_may_have_as_many_bytes_as_its_reader_allows_and_no_more() {
        let message = Message { bytes: vec![7; 100], ..Message::new(1, "a", json!({})) };
        let take = |limit: usize| {
            let mut assembler = Assembler::new(limit);
            let mut taken = message.packets(20).map(|packet| {
                let taken = assembler.take(&packet);
                assert!(assembler.held() <= limit);
                taken
            });
            taken.find_map(Result::transpose).unwrap()
        };
        // A byte for the kind, eight for the length of the header, two for the header.
        assert_eq!(take(111).unwrap(), message);
        assert_eq!(take(110).unwrap_err(), "a message has more than 110 bytes");
        let long = Message::new(1, "kind", json!({}));
        let mut packets = long.packets(SLICE);
        assert!(Assembler::new(3).take(&packets.next().unwrap()).is_err());
    }

    proptest! {
        #[test]
        fn messages_come_out_as_they_went_in(
            id: u64,
            kind in "[a-z_.]{1,20}",
            text in ".{0,3000}",
            bytes in proptest::collection::vec(any::<u8>(), 0..5000),
            slice in 1..5000usize,
        ) {
            let message = Message { id, kind, header: json!({ "text": text }), bytes };
            let mut assembler = Assembler::default();
            let packets: Vec<Bytes> = message.packets(slice).collect();
            let (last, others) = packets.split_last().unwrap();
            for packet in others {
                prop_assert_eq!(assembler.take(packet).unwrap(), None);
            }
            prop_assert_eq!(assembler.take(last).unwrap(), Some(message));
            prop_assert!((1..=slice).contains(&assembler.largest_slice()));
            prop_assert_eq!(assembler.held(), 0);
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
