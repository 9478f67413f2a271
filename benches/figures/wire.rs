//! Websockets as the benchmarks of rooms use them, and a bare peer that knows nothing of rooms.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use futures_util::{SinkExt, StreamExt};
use meshagent::room::message::{Assembler, Message};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::broadcast;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Bytes, Message as Frame};

/// The first argument of a process that is a bare peer.
pub const PEER: &str = "--peer";

/// A participant, or a client of a bare peer.
pub struct Wire {
    socket: WebSocketStream<TcpStream>,
    assembler: Assembler,
}

impl Wire {
    /// Connects to a path.
    pub async fn connect(address: &str, path: &str) -> Self {
        let stream = TcpStream::connect(address).await.expect("a connection");
        stream.set_nodelay(true).expect("an option");
        let mut request = format!("ws://{address}{path}").into_client_request().expect("a request");
        request.headers_mut().insert("meshagent-slice", "65536".parse().expect("a header"));
        let connected = tokio_tungstenite::client_async(request, stream).await;
        Self { socket: connected.expect("a websocket").0, assembler: Assembler::default() }
    }

    /// Sends frames.
    pub async fn send(&mut self, frames: &[Bytes]) {
        for frame in frames {
            self.socket.feed(Frame::Binary(frame.clone())).await.expect("a way out");
        }
        self.socket.flush().await.expect("a way out");
    }

    /// Receives so many frames; how many bytes they have.
    pub async fn frames(&mut self, count: usize) -> usize {
        let mut bytes = 0;
        for _ in 0..count {
            bytes += self.socket.next().await.expect("a frame").expect("a frame").len();
        }
        bytes
    }

    /// Receives a message.
    pub async fn message(&mut self) -> Message {
        loop {
            let frame = self.socket.next().await.expect("a frame").expect("a frame");
            let Frame::Binary(packet) = frame else { continue };
            if let Some(message) = self.assembler.take(&packet).expect("a packet") {
                return message;
            }
        }
    }

    /// Closes it, and waits until the other side has, too.
    pub async fn close(mut self) {
        self.socket.close(None).await.expect("a way out");
        while let Some(Ok(_)) = self.socket.next().await {}
    }
}

/// A bare peer in a process of its own. It ends with this value.
pub struct Peer {
    process: Child,
    /// Where it listens.
    pub address: String,
}

impl Peer {
    /// Starts one.
    pub fn start() -> Self {
        let own = std::env::current_exe().expect("this program");
        let mut process =
            Command::new(own).arg(PEER).stdout(Stdio::piped()).spawn().expect("a peer");
        let mut line = String::new();
        let mut printed = BufReader::new(process.stdout.take().expect("its output"));
        printed.read_line(&mut line).expect("a line");
        Self { process, address: line.trim().to_owned() }
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// What a bare peer does: it sends each frame back; on the path `/all` to all others; and on
/// `/N/M/BYTES`, after every N frames, M frames of the size of an acknowledgement, and one of so
/// many bytes.
pub fn peer() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        println!("{}", listener.local_addr().expect("an address"));
        let (all, _) = broadcast::channel::<Frame>(100_000);
        while let Ok((stream, _)) = listener.accept().await {
            stream.set_nodelay(true).expect("an option");
            let all = all.clone();
            tokio::spawn(async move {
                let mut path = String::new();
                #[expect(clippy::result_large_err, reason = "the type is the library's")]
                let seen =
                    |request: &tokio_tungstenite::tungstenite::handshake::server::Request,
                     answer| {
                        request.uri().path().clone_into(&mut path);
                        Ok(answer)
                    };
                let Ok(socket) = tokio_tungstenite::accept_hdr_async(stream, seen).await else {
                    return;
                };
                serve(socket, &path, all).await;
            });
        }
    });
}

async fn serve(socket: WebSocketStream<TcpStream>, path: &str, all: broadcast::Sender<Frame>) {
    let (mut sink, mut stream) = socket.split();
    let numbers: Vec<usize> = path.split('/').filter_map(|part| part.parse().ok()).collect();
    if path == "/listen" {
        let mut heard = all.subscribe();
        while let Ok(frame) = heard.recv().await {
            if sink.send(frame).await.is_err() {
                return;
            }
        }
        return;
    }
    let mut count = 0;
    while let Some(Ok(frame)) = stream.next().await {
        if !frame.is_binary() {
            continue;
        }
        let done = match numbers[..] {
            [every, answers, large] => {
                count += 1;
                if count % every > 0 {
                    continue;
                }
                for _ in 0..answers {
                    sink.feed(Frame::binary(vec![0; 64])).await.expect("a way out");
                }
                if large > 0 {
                    sink.feed(Frame::binary(vec![0; large])).await.expect("a way out");
                }
                sink.flush().await
            }
            _ if path == "/all" => {
                let _ = all.send(frame);
                Ok(())
            }
            _ => sink.send(frame).await,
        };
        if done.is_err() {
            return;
        }
    }
}
