//! The websocket of a participant: incoming messages go to the room, and the room's messages are
//! sent.
//!
//! It ends with its participant, with its room, when it breaks the protocol, when it is silent for
//! too long, or when it does not read what it is sent.

use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, Stream, StreamExt};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::time::{Instant, interval_at, timeout, timeout_at};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::error::CapacityError;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message as Frame};

use super::calls::Caller;
use super::guest::{End, Guest, UNREAD};
use super::outgoing::{Outgoing, Parcel};
use super::room::Room;
use super::{Arrival, Seat};
use crate::platform::auth::participant::Participant;
use crate::room::content::{Content, Refused};
use crate::room::message::{Assembler, LARGE, SLICE};

/// How long a connection may take to become a websocket.
const UPGRADING: Duration = Duration::from_secs(10);

/// How often a participant is pinged; it must answer before the next ping.
const HEARTBEAT: Duration = Duration::from_secs(60);

/// How long a participant has to close the connection.
const GOODBYE: Duration = Duration::from_secs(1);

/// How long a message may take to arrive, from its first packet to its last.
const COMING: Duration = Duration::from_secs(30);

/// How long nothing of a message may arrive that has begun.
const PAUSE: Duration = Duration::from_secs(10);

/// How many bytes may wait in the connection itself, including answers to pings.
const UNSENT: usize = 1024 * 1024;

/// How much is read at once. It is allocated for each participant.
const READ: usize = 16 * 1024;

/// How much of a message may have arrived before it counts towards what all participants may have
/// arriving, in bytes.
const FREE: usize = 64 * 1024;

/// How much is written before it is handed to the system.
const WRITTEN: usize = 256 * 1024;

/// How long a participant may take to read that much.
const READING: Duration = Duration::from_secs(10);

/// Runs a participant's connection from its beginning to its end.
pub async fn attend(arrival: Arrival, seat: Seat) {
    let Arrival { participant, room: row, url, upgrade, lasting, slices } = arrival;
    let upgraded = tokio::select! {
        upgraded = timeout(UPGRADING, upgrade) => upgraded,
        () = seat.room.stop.cancelled() => return,
    };
    let Ok(Ok(upgraded)) = upgraded else { return };
    // What a participant is told of the session can be looked up.
    seat.begun.cancelled().await;
    let room = Arc::clone(&seat.room);
    let comer = Comer { participant, room: (row.name, url), slices };
    converse(TokioIo::new(upgraded), comer, room, Some(seat)).await;
    drop(lasting);
}

/// Who comes to a room.
pub struct Comer {
    /// The participant.
    pub participant: Participant,
    /// The room's name and URL as it reached it.
    pub room: (String, String),
    /// How large the slices may be that it is sent, in bytes.
    pub slices: usize,
}

/// Lets a participant take part in a room, over a connection that is a websocket from now on.
pub async fn converse<S>(socket: S, comer: Comer, room: Arc<Room>, seat: Option<Seat>)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let most = room.house.limits.message;
    let config = WebSocketConfig::default()
        .read_buffer_size(READ)
        .max_message_size(Some(most))
        .max_frame_size(Some(most))
        .write_buffer_size(UNSENT / 16)
        .max_write_buffer_size(UNSENT);
    let socket = WebSocketStream::from_raw_socket(socket, Role::Server, Some(config)).await;
    let (mut sink, mut stream) = socket.split();
    let (outgoing, parcels) = Outgoing::new();
    outgoing.takes_slices(comer.slices);
    let id = uuid::Uuid::new_v4().to_string();
    let guest =
        Arc::new(Guest::new(id, comer.participant, comer.room, outgoing, room.house.limits.calls));
    room.enter(&guest);
    let caller = Caller { room: Arc::clone(&room), guest: Arc::clone(&guest) };
    let end = tokio::select! {
        end = read(&mut stream, &caller) => end,
        end = write(&mut sink, parcels) => end,
        () = guest.dismissed.cancelled() => guest.why(),
        () = room.stop.cancelled() => Some((CloseCode::Away, "the room is closing")),
    };
    room.leave(&guest);
    drop((caller, guest, room, seat));
    let _ = timeout(GOODBYE, take_leave(&mut sink, &mut stream, end)).await;
}

/// Passes incoming messages on, until nothing may arrive any more.
async fn read(
    stream: &mut (impl Stream<Item = Result<Frame, Error>> + Unpin),
    caller: &Caller,
) -> End {
    let house = &caller.room.house;
    let mut assembler = Assembler::default();
    let mut coming = Coming::default();
    loop {
        let silence = Instant::now() + HEARTBEAT * 2;
        let until = coming.due.map_or(silence, |due| due.min(Instant::now() + PAUSE));
        let Ok(frame) = timeout_at(until, stream.next()).await else {
            return Some(match coming.due {
                Some(_) => TOO_SLOW,
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
        coming.length += packet.len();
        if coming.length > house.limits.message {
            return TOO_LARGE;
        }
        if packet.len() > SLICE * 2 {
            caller.guest.outgoing.takes_slices(LARGE);
        }
        if !coming.has_room(&caller.room, &assembler, packet.len()).await {
            return Some((CloseCode::Again, "too many large messages are arriving"));
        }
        // Parsed, it may take many times as much memory, and all rooms share that.
        let weight = u32::try_from(coming.length).unwrap_or(u32::MAX);
        let Ok(share) = Arc::clone(&house.reading).acquire_many_owned(weight).await else {
            return Some((CloseCode::Away, "the room is closing"));
        };
        match assembler.take(&packet) {
            Ok(None) => coming.due = coming.due.or_else(|| Some(Instant::now() + COMING)),
            Ok(Some(message)) => {
                coming = Coming::default();
                caller.take(message, share).await;
            }
            Err(what) => {
                let Some(id) = assembler.unreadable() else {
                    return Some((CloseCode::Protocol, "this is not a message"));
                };
                coming = Coming::default();
                drop(share);
                caller.answer(id, Content::Error(Refused::invalid(what))).await;
            }
        }
    }
}

const TOO_LARGE: End = Some((CloseCode::Size, "the message is larger than the platform allows"));

const TOO_SLOW: (CloseCode, &str) = (CloseCode::Policy, "a message took too long to arrive");

/// A message that is arriving.
#[derive(Default)]
struct Coming {
    length: usize,
    /// When it must be complete.
    due: Option<Instant>,
    share: Option<OwnedSemaphorePermit>,
}

impl Coming {
    /// Waits until there is room for the rest of the message; false if there is none in time. The
    /// message has that much more time to arrive.
    async fn has_room(&mut self, room: &Room, assembler: &Assembler, packet: usize) -> bool {
        let has = self.share.as_ref().map_or(FREE, OwnedSemaphorePermit::num_permits);
        if self.length <= has {
            return true;
        }
        let most = room.house.limits.message;
        if let Some(share) = &mut self.share {
            // Its slices are larger than the first ones, which nobody needs.
            let more = u32::try_from(self.length - has).unwrap_or(u32::MAX);
            let more = Arc::clone(&room.arriving).try_acquire_many_owned(more);
            return more.is_ok_and(|more| {
                share.merge(more);
                true
            });
        }
        // All of it at once: who waits holds nothing that others wait for.
        let whole =
            assembler.slices().saturating_mul(packet).clamp(self.length, most.max(self.length));
        let weight = u32::try_from(whole).unwrap_or(u32::MAX);
        let begun = Instant::now();
        let share = Arc::clone(&room.arriving).acquire_many_owned(weight);
        let Ok(Ok(share)) = timeout(COMING, share).await else { return false };
        if let Some(due) = &mut self.due {
            *due += begun.elapsed();
        }
        self.share = Some(share);
        true
    }
}

/// Sends the room's messages, until there are no more.
async fn write<S>(
    sink: &mut SplitSink<WebSocketStream<S>, Frame>,
    mut parcels: mpsc::UnboundedReceiver<Parcel>,
) -> End
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut beat = interval_at(Instant::now() + HEARTBEAT, HEARTBEAT);
    loop {
        let done = tokio::select! {
            next = parcels.recv() => match next {
                Some(parcel) => send(sink, parcel, &mut parcels).await,
                None => return Some((CloseCode::Away, "the room is closing")),
            },
            _ = beat.tick() => in_time(sink.send(Frame::Ping(Vec::new().into()))).await,
        };
        if let Err(end) = done {
            return end;
        }
    }
}

/// Hands a message to the system, with what waits behind it.
async fn send<S>(
    sink: &mut SplitSink<WebSocketStream<S>, Frame>,
    first: Parcel,
    parcels: &mut mpsc::UnboundedReceiver<Parcel>,
) -> Result<(), End>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let (mut sent, mut bytes, mut total) = (Vec::new(), 0, 0);
    let mut next = Some(first);
    while let Some(parcel) = next {
        let mut packets = parcel.packets.iter();
        while packets.len() > 0 {
            let written = async {
                for packet in packets.by_ref() {
                    bytes += packet.len();
                    sink.feed(Frame::Binary(packet.clone())).await?;
                    if bytes >= WRITTEN {
                        total += std::mem::take(&mut bytes);
                        return sink.flush().await;
                    }
                }
                Ok(())
            };
            in_time(written).await?;
        }
        sent.push(parcel);
        next = if total + bytes < WRITTEN { parcels.try_recv().ok() } else { None };
    }
    in_time(sink.flush()).await?;
    for parcel in sent {
        if let Some(then) = parcel.sent {
            then();
        }
    }
    Ok(())
}

/// Waits for a piece to be written; a participant that does not read it has to go.
async fn in_time(written: impl Future<Output = Result<(), Error>>) -> Result<(), End> {
    match timeout(READING, written).await {
        Ok(written) => written.map_err(|_| None),
        Err(_) => Err(Some((CloseCode::Policy, UNREAD))),
    }
}

/// Says why the connection ends, and waits until the other side has read it.
async fn take_leave<S>(
    sink: &mut SplitSink<WebSocketStream<S>, Frame>,
    stream: &mut SplitStream<WebSocketStream<S>>,
    end: End,
) where
    S: AsyncRead + AsyncWrite + Unpin,
{
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
