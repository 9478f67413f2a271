//! A room that tests play, in memory: they say what it says, and hear what it hears.

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::io::DuplexStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message as Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role};

use super::client::{Incoming, Room};
use super::content::Content;
use super::message::{Assembler, Message, SLICE};

/// How many bytes are on their way, in each direction.
pub const PIPE: usize = 64 * 1024;

/// A room for one participant.
pub struct Played {
    /// Its end of the connection.
    pub socket: WebSocketStream<DuplexStream>,
    /// Puts together what the participant sends.
    pub assembler: Assembler,
    /// How large the slices are that it sends.
    pub slice: usize,
    pushed: u64,
}

/// A participant's end of a connection, and the room at the other end.
pub async fn sockets() -> (WebSocketStream<DuplexStream>, Played) {
    let (here, there) = tokio::io::duplex(PIPE);
    let here = WebSocketStream::from_raw_socket(here, Role::Client, None).await;
    let socket = WebSocketStream::from_raw_socket(there, Role::Server, None).await;
    (here, Played { socket, assembler: Assembler::default(), slice: SLICE, pushed: 0 })
}

/// A participant in a room.
pub async fn entered() -> (Room, Incoming, Played) {
    let (here, mut played) = sockets().await;
    let (entered, ()) = tokio::join!(Room::over(here, SLICE), played.greet());
    let (room, incoming) = entered.unwrap();
    (room, incoming, played)
}

/// Who the participant is.
pub fn init() -> Value {
    json!({"type": "init", "participantId": "me", "attributes": {"name": "bot", "mood": "good"}})
}

/// Where it is.
pub fn ready() -> Value {
    json!({"room_name": "demo", "room_url": "ws://x", "session_id": "s1"})
}

impl Played {
    /// Lets the participant in.
    pub async fn greet(&mut self) {
        self.push("connected", init(), b"").await;
        self.push("room_ready", ready(), b"").await;
    }

    /// The next message; none once the participant is gone.
    pub async fn next(&mut self) -> Option<Message> {
        while let Some(Ok(frame)) = self.socket.next().await {
            let Frame::Binary(packet) = frame else { continue };
            if let Some(message) = self.assembler.take(&packet).unwrap() {
                return Some(message);
            }
        }
        None
    }

    /// The next message, which is of this kind.
    pub async fn hear(&mut self, kind: &str) -> Message {
        let message = self.next().await.expect("the participant is gone");
        assert_eq!(message.kind, kind, "{}", message.header);
        message
    }

    /// The next message, which calls a tool, and the id of the call.
    pub async fn called(&mut self) -> (Message, String) {
        let message = self.hear("room.invoke_tool").await;
        let call = message.header["tool_call_id"].as_str().unwrap().to_owned();
        (message, call)
    }

    /// The next part of what a tool takes, which is acknowledged.
    pub async fn taken(&mut self) -> Content {
        let message = self.hear("room.tool_call_request_chunk").await;
        self.answer(&message, Content::Empty).await;
        Content::of_part(&message.header["chunk"], message.bytes).unwrap()
    }

    /// Says something, unless the participant is gone.
    pub async fn say(&mut self, message: Message) {
        for packet in message.packets(self.slice) {
            let _ = self.socket.feed(Frame::Binary(packet)).await;
        }
        let _ = self.socket.flush().await;
    }

    /// Says something that is no answer.
    pub async fn push(&mut self, kind: &str, header: Value, bytes: &[u8]) {
        self.pushed += 1;
        let (id, kind, bytes) = (self.pushed, kind.to_owned(), bytes.to_vec());
        self.say(Message { id, kind, header, bytes }).await;
    }

    /// Answers a request.
    pub async fn answer(&mut self, to: &Message, content: Content) {
        let (header, bytes) = content.into_parts();
        let kind = "__response__".to_owned();
        self.say(Message { id: to.id, kind, header, bytes }).await;
    }

    /// Answers a call with a stream; its id.
    pub async fn stream(&mut self) -> String {
        let (asked, call) = self.called().await;
        self.answer(&asked, Content::Open).await;
        call
    }

    /// Says a part of a stream.
    pub async fn part(&mut self, call: &str, part: Content) {
        let (header, bytes) = part.into_parts();
        let header = json!({"tool_call_id": call, "chunk": header});
        self.push("room.tool_call_response_chunk", header, &bytes).await;
    }

    /// Closes the connection with a status and a reason.
    pub async fn close(&mut self, code: CloseCode, reason: &str) {
        let frame = CloseFrame { code, reason: reason.to_owned().into() };
        let _ = self.socket.close(Some(frame)).await;
    }
}
