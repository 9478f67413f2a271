//! The websocket of a participant: incoming messages go to the room, and the room's messages are
//! sent.
//!
//! It ends with its participant, with its room, when it breaks the protocol, when it is silent for
//! too long, or when it does not read what it is sent.

use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, Stream, StreamExt};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::sync::mpsc;
use tokio::time::{Instant, interval_at, timeout, timeout_at};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::error::CapacityError;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message as Frame};

use super::room::{Event, Guest};
use super::{Arrival, Seat};
use crate::room::message::{Assembler, Message, SLICE};

type Socket = WebSocketStream<TokioIo<Upgraded>>;

/// How long a connection may take to become a websocket.
const UPGRADING: Duration = Duration::from_secs(10);

/// How many messages may wait to be sent before their participant is removed.
const WAITING: usize = 64;

/// How often a participant is pinged; it must answer before the next ping.
const HEARTBEAT: Duration = Duration::from_secs(60);

/// How long a participant has to close the connection.
const GOODBYE: Duration = Duration::from_secs(1);

/// The largest message that is accepted, in bytes. No toolkit needs more.
const MOST: usize = 128 * 1024;

/// How long a message may take to arrive, from its first packet to its last.
const COMING: Duration = Duration::from_secs(30);

/// How many bytes may wait for a participant to read them, including answers to its pings.
const UNSENT: usize = 1024 * 1024;

/// Why a connection ends, for the other side; `None` if that is gone.
type End = Option<(CloseCode, &'static str)>;

/// Runs a participant's connection from its beginning to its end.
pub async fn attend(arrival: Arrival, seat: Seat) {
    let Arrival { entrant, url, upgrade, lasting } = arrival;
    let upgraded = tokio::select! {
        upgraded = timeout(UPGRADING, upgrade) => upgraded,
        () = seat.stop.cancelled() => return,
    };
    let Ok(Ok(upgraded)) = upgraded else { return };
    let config = WebSocketConfig::default()
        .max_message_size(Some(MOST))
        .max_frame_size(Some(MOST))
        .write_buffer_size(UNSENT / 16)
        .max_write_buffer_size(UNSENT);
    let socket = TokioIo::new(upgraded);
    let socket = WebSocketStream::from_raw_socket(socket, Role::Server, Some(config)).await;
    let (mut sink, mut stream) = socket.split();
    let (outgoing, sent) = mpsc::channel(WAITING);
    let participant = &entrant.participant;
    let may_call = participant.scope().is_some();
    let room = (entrant.room.name.clone(), url);
    let guest = Guest::new(&participant.claims.name, may_call, room, outgoing);
    let id = || seat.participant.clone();
    if seat.events.send(Event::Entered(id(), Box::new(guest))).await.is_err() {
        return;
    }
    let end = tokio::select! {
        end = read(&mut stream, &seat) => end,
        end = write(&mut sink, sent) => end,
        () = seat.stop.cancelled() => Some((CloseCode::Away, "the room is closing")),
    };
    // A room that has ended does not have to know.
    let _ = seat.events.send(Event::Left(id())).await;
    drop(seat);
    let _ = timeout(GOODBYE, take_leave(&mut sink, &mut stream, end)).await;
    drop(lasting);
}

/// Passes incoming messages on, until nothing may arrive any more.
async fn read(stream: &mut (impl Stream<Item = Result<Frame, Error>> + Unpin), seat: &Seat) -> End {
    let (mut assembler, mut length) = (Assembler::default(), 0);
    // When a message that has begun must be complete.
    let mut due: Option<Instant> = None;
    loop {
        let silence = Instant::now() + HEARTBEAT * 2;
        let until = due.map_or(silence, |due| due.min(silence));
        let Ok(frame) = timeout_at(until, stream.next()).await else {
            return Some(match due {
                Some(_) => (CloseCode::Policy, "a message took too long to arrive"),
                None => (CloseCode::Policy, "nothing was received"),
            });
        };
        let packet = match frame {
            Some(Ok(Frame::Binary(packet))) => packet,
            Some(Ok(Frame::Text(_))) => {
                return Some((CloseCode::Unsupported, "text is not part of the protocol"));
            }
            // The library answers pings and closes.
            Some(Ok(Frame::Ping(_) | Frame::Pong(_) | Frame::Frame(_))) => continue,
            Some(Err(Error::Capacity(CapacityError::MessageTooLong { .. }))) => return TOO_LARGE,
            Some(Err(Error::Protocol(_))) => {
                return Some((CloseCode::Protocol, "this is not a websocket frame"));
            }
            Some(Err(Error::Utf8(_))) => {
                return Some((CloseCode::Invalid, "the text is not UTF-8"));
            }
            Some(Ok(Frame::Close(_)) | Err(_)) | None => return None,
        };
        length += packet.len();
        if length > MOST {
            return TOO_LARGE;
        }
        // Parsed, it may take many times as much memory, and all rooms share that.
        let weight = u32::try_from(length).unwrap_or(u32::MAX);
        let Ok(share) = Arc::clone(&seat.rooms.reading).acquire_many_owned(weight).await else {
            return Some((CloseCode::Away, "the room is closing"));
        };
        match assembler.take(&packet) {
            Ok(None) => due = due.or_else(|| Some(Instant::now() + COMING)),
            Ok(Some(message)) => {
                (length, due) = (0, None);
                let said = Event::Said(seat.participant.clone(), Box::new(message), share);
                if seat.events.send(said).await.is_err() {
                    return Some((CloseCode::Away, "the room is closing"));
                }
            }
            Err(_) => return Some((CloseCode::Protocol, "this is not a message")),
        }
    }
}

const TOO_LARGE: End = Some((CloseCode::Size, "a message is larger than 128 KiB"));

/// Sends the room's messages, until there are no more.
async fn write(sink: &mut SplitSink<Socket, Frame>, mut sent: mpsc::Receiver<Message>) -> End {
    let mut beat = interval_at(Instant::now() + HEARTBEAT, HEARTBEAT);
    loop {
        let done = tokio::select! {
            next = sent.recv() => match next {
                Some(message) => {
                    let packets = message.packets(SLICE);
                    let frames = packets.map(|packet| Ok(Frame::Binary(packet)));
                    sink.send_all(&mut futures_util::stream::iter(frames)).await
                }
                None => return Some((CloseCode::Policy, "the room removed the participant")),
            },
            _ = beat.tick() => sink.send(Frame::Ping(Vec::new().into())).await,
        };
        if done.is_err() {
            return None;
        }
    }
}

/// Says why the connection ends, and waits until the other side has read it.
async fn take_leave(
    sink: &mut SplitSink<Socket, Frame>,
    stream: &mut SplitStream<Socket>,
    end: End,
) {
    let said = match end {
        Some((code, reason)) => {
            sink.send(Frame::Close(Some(CloseFrame { code, reason: reason.into() }))).await
        }
        None => sink.close().await,
    };
    if said.is_ok() {
        while let Some(Ok(_)) = stream.next().await {}
    }
}

#[cfg(test)]
mod tests {
    use futures_util::stream;
    use serde_json::json;
    use tokio_tungstenite::tungstenite::Bytes;
    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::platform::live::{READING, Rooms};

    fn seat(events: mpsc::Sender<Event>) -> Seat {
        Seat {
            rooms: Rooms::new(8),
            room: "r".to_owned(),
            participant: "p".to_owned(),
            events,
            stop: CancellationToken::new(),
        }
    }

    fn packets(size: usize) -> Vec<Bytes> {
        let header = json!({ "text": "x".repeat(size) });
        Message::new(1, "room.list_toolkits", header).packets(SLICE).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_read_at_once_is_bounded() {
        const SIZE: usize = 100_000;
        const COUNT: usize = 40;
        let (events, mut taken) = mpsc::channel(COUNT * 2);
        let seat = seat(events);
        let free = Arc::clone(&seat.rooms.reading);
        let frames = (0..COUNT).flat_map(|_| packets(SIZE)).map(|it| Ok(Frame::binary(it)));
        let mut frames = stream::iter(frames.collect::<Vec<_>>());
        let reading = tokio::spawn(async move { read(&mut frames, &seat).await.is_none() });
        tokio::time::sleep(Duration::from_secs(1)).await;
        // The room takes none of them, and so no more than these are held.
        assert!((2..=READING / SIZE).contains(&taken.len()), "{}", taken.len());
        assert!(free.available_permits() < SIZE * 2);
        let mut count = 0;
        while let Some(Event::Said(..)) = taken.recv().await {
            count += 1;
        }
        assert_eq!(count, COUNT);
        assert!(reading.await.expect("the end of what comes"));
        assert_eq!(free.available_permits(), READING);
    }

    #[tokio::test(start_paused = true)]
    async fn a_message_that_was_begun_must_come() {
        let (events, _taken) = mpsc::channel(1);
        let begun = packets(MOST / 2).remove(0);
        let ping = || Some((Ok(Frame::Ping(Vec::new().into())), ()));
        // Pings do not make up for the rest of it.
        let pings = stream::unfold((), |()| async move {
            tokio::time::sleep(Duration::from_secs(10)).await;
            ping()
        });
        let mut frames = Box::pin(stream::iter([Ok(Frame::binary(begun))]).chain(pings));
        let start = Instant::now();
        let end = read(&mut frames, &seat(events)).await;
        assert_eq!(end, Some((CloseCode::Policy, "a message took too long to arrive")));
        assert_eq!(start.elapsed(), COMING);
    }
}
