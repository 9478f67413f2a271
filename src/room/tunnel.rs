//! Tunnels: a TCP connection that is carried over a websocket, to a port of a container.
//!
//! Each binary message holds bytes as they came, in either direction; text is ignored (recorded from
//! the public SDK 0.31.4, which makes one websocket for each TCP connection, at
//! `/tunnel/{container}/{port}/`). There, the end of either direction ends both: a client that says
//! all it has to say and then waits for the answer gets none. Here, each side says in the header
//! [`ENDS`] that it knows the text `end`, which ends one direction alone. Others never see that text.
//!
//! What was not carried to its end is not made to look so: the TCP connection is reset then.

use std::io;
use std::time::Duration;

use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use percent_encoding::utf8_percent_encode;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use secrecy::{ExposeSecret, SecretString};
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::time::{Instant, interval_at, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message as Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, WebSocketConfig};
use tokio_util::bytes::BytesMut;
use tokio_util::sync::CancellationToken;

use super::handshake::{Unconnected, upgraded};
use crate::api::http;
use crate::api::request::SEGMENT;
use crate::serving::silence::Silence;

/// How many bytes are read at once, and so the largest message that is sent.
const PART: usize = 64 * 1024;

/// The largest message that is taken, in bytes.
const LARGEST: usize = 1024 * 1024;

/// How often the other side is pinged: what is between may end what is silent.
const HEARTBEAT: Duration = Duration::from_secs(60);

/// How long the other side has to close what has ended.
const GOODBYE: Duration = Duration::from_secs(5);

/// The header in which each side says that it knows how one direction ends. It is ours: others leave
/// it out.
pub const ENDS: HeaderName = HeaderName::from_static("meshagent-tunnel-ends");

/// What it says.
pub const TOLD: HeaderValue = HeaderValue::from_static("told");

/// The text after which nothing more comes in its direction.
const END: &str = "end";

/// Whether a peer with these headers knows how one direction ends.
#[must_use]
pub fn tells_ends(headers: &HeaderMap) -> bool {
    headers.get(ENDS).is_some_and(|value| value == TOLD)
}

/// How much a websocket holds that is a tunnel. Nothing waits in it that the other side has not read
/// but one message in each direction.
#[must_use]
pub fn config() -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(PART)
        .max_message_size(Some(LARGEST))
        .max_frame_size(Some(LARGEST))
        .write_buffer_size(0)
        .max_write_buffer_size(LARGEST)
}

/// The way to a port of a container: the platform's URL, and how it is spoken with. Connections
/// share it.
#[derive(Debug, Clone)]
pub struct Way {
    client: reqwest::Client,
    url: String,
}

/// A tunnel that is open.
pub struct Tunnel {
    /// The websocket.
    pub socket: WebSocketStream<reqwest::Upgraded>,
    /// Whether the other side knows how one direction ends.
    pub tells_ends: bool,
}

impl Way {
    /// The way to a port of a container, given by its id, of the platform with this URL. The token
    /// goes to another machine only over TLS, unless `insecure` allows otherwise.
    ///
    /// # Errors
    ///
    /// The URL cannot be used.
    pub fn new(
        platform: &str,
        (container, port): (&str, u16),
        insecure: bool,
    ) -> crate::error::Result<Self> {
        let base = match platform.strip_prefix("ws") {
            Some(rest) => format!("http{rest}"),
            None => platform.to_owned(),
        };
        if !insecure {
            http::refuse_plain(&base)?;
        }
        let base = base.trim_end_matches('/');
        let url = format!("{base}/tunnel/{}/{port}/", utf8_percent_encode(container, SEGMENT));
        let client = http::of_platform(&url).http1_only().tcp_keepalive(HEARTBEAT);
        Ok(Self { client: http::build(client)?, url })
    }

    /// Opens a tunnel.
    ///
    /// # Errors
    ///
    /// Why there is none, with the status that was answered.
    pub async fn open(&self, token: &SecretString) -> Result<Tunnel, Unconnected> {
        let bearer = HeaderValue::try_from(format!("Bearer {}", token.expose_secret()));
        let mut bearer = bearer.map_err(|_| Unconnected::always("the token is no header"))?;
        bearer.set_sensitive(true);
        let request = self.client.get(&self.url).header(AUTHORIZATION, bearer).header(ENDS, TOLD);
        let (headers, socket) = upgraded(request, token, Some(config())).await?;
        Ok(Tunnel { socket, tells_ends: tells_ends(&headers) })
    }
}

/// Why bytes were not carried to their end.
#[derive(Debug, thiserror::Error)]
pub enum Cut {
    /// The TCP connection broke.
    #[error("the connection broke: {0}")]
    Broken(#[from] io::Error),
    /// The other side of the tunnel ended it.
    #[error("{0}")]
    Told(String),
    /// The websocket broke.
    #[error("the tunnel broke")]
    Lost,
    /// This side was told to stop.
    #[error("it was stopped")]
    Stopped,
}

/// How bytes are carried.
#[derive(Debug)]
pub struct Carrying<'a> {
    /// Whether the other side knows how one direction ends.
    pub halves: bool,
    /// How long nothing must have come from the other side before the tunnel is closed after the
    /// end of the TCP connection, if it does not know that.
    pub lingers: Duration,
    /// Tells it to stop.
    pub stop: &'a CancellationToken,
}

/// What has come from the other side.
struct Coming {
    /// How long nothing has come.
    silence: Silence,
    /// Whether all of them have.
    ended: CancellationToken,
}

type Sink<S> = SplitSink<WebSocketStream<S>, Frame>;
type Stream<S> = SplitStream<WebSocketStream<S>>;

impl Carrying<'_> {
    /// Carries bytes both ways until both directions have ended, one side breaks, or it is told to
    /// stop. Whoever is slow to read is waited for: a message in each direction is all that is held.
    ///
    /// # Errors
    ///
    /// Not everything was carried. The TCP connection was reset.
    pub async fn carry<S>(
        self,
        mut connection: TcpStream,
        socket: WebSocketStream<S>,
    ) -> Result<(), Cut>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let (mut sink, mut stream) = socket.split();
        let ended = self.both_ways(&mut connection, &mut sink, &mut stream).await;
        let said = match &ended {
            Ok(()) => (CloseCode::Normal, ""),
            Err(Cut::Stopped) => (CloseCode::Away, "the room is closing"),
            Err(_) => (CloseCode::Error, "the connection broke"),
        };
        if ended.is_err() {
            reset(connection);
            let _ = timeout(GOODBYE, take_leave(&mut sink, &mut stream, said, None)).await;
            return ended;
        }
        let rest = take_leave(&mut sink, &mut stream, said, Some(&mut connection));
        let _ = timeout(GOODBYE, rest).await;
        // If something were left to read here, what was written could be lost.
        let _ = timeout(GOODBYE, read_to_end(&mut connection)).await;
        ended
    }

    async fn both_ways<S>(
        &self,
        connection: &mut TcpStream,
        sink: &mut Sink<S>,
        stream: &mut Stream<S>,
    ) -> Result<(), Cut>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let (reader, writer) = connection.split();
        let coming = Coming { silence: Silence::default(), ended: CancellationToken::new() };
        let mut sending = std::pin::pin!(self.send(reader, sink));
        let mut receiving = std::pin::pin!(self.receive(writer, stream, &coming));
        let mut is_sent = false;
        loop {
            tokio::select! {
                sent = &mut sending, if !is_sent => {
                    sent?;
                    is_sent = true;
                }
                received = &mut receiving => return received,
                () = coming.ended.cancelled(), if is_sent && self.halves => return Ok(()),
                () = coming.silence.lasts(self.lingers), if is_sent && !self.halves => return Ok(()),
                () = self.stop.cancelled() => return Err(Cut::Stopped),
            }
        }
    }

    /// Sends what the TCP connection has, until it ends.
    async fn send<S>(&self, mut reader: ReadHalf<'_>, sink: &mut Sink<S>) -> Result<(), Cut>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let mut beat = interval_at(Instant::now() + HEARTBEAT, HEARTBEAT);
        let mut buffer = BytesMut::new();
        loop {
            buffer.reserve(PART);
            let frame = tokio::select! {
                read = reader.read_buf(&mut buffer) => match read? {
                    0 => break,
                    _ => Frame::Binary(buffer.split().freeze()),
                },
                _ = beat.tick() => Frame::Ping(Default::default()),
            };
            sink.send(frame).await.map_err(|_| Cut::Lost)?;
        }
        match self.halves {
            true => sink.send(Frame::text(END)).await.map_err(|_| Cut::Lost),
            false => Ok(()),
        }
    }

    /// Writes what comes to the TCP connection, until the other side closes the tunnel.
    async fn receive<S>(
        &self,
        mut writer: WriteHalf<'_>,
        stream: &mut Stream<S>,
        coming: &Coming,
    ) -> Result<(), Cut>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        loop {
            match stream.next().await {
                Some(Ok(Frame::Binary(bytes))) => {
                    writer.write_all(&bytes).await?;
                    coming.silence.broken();
                }
                Some(Ok(Frame::Text(text))) if self.halves && text.as_str() == END => {
                    writer.shutdown().await?;
                    coming.ended.cancel();
                }
                // Others say something to people.
                Some(Ok(Frame::Text(_) | Frame::Ping(_) | Frame::Pong(_) | Frame::Frame(_))) => {}
                Some(Ok(Frame::Close(None))) => break,
                Some(Ok(Frame::Close(Some(frame)))) if frame.code == CloseCode::Normal => break,
                Some(Ok(Frame::Close(Some(CloseFrame { code, reason })))) => {
                    let code = u16::from(code);
                    return Err(Cut::Told(match reason.as_str() {
                        "" => format!("the other side closed the tunnel with {code}"),
                        reason => reason.to_owned(),
                    }));
                }
                Some(Err(_)) | None => return Err(Cut::Lost),
            }
        }
        if !coming.ended.is_cancelled() {
            writer.shutdown().await?;
        }
        Ok(())
    }
}

/// Closes the tunnel, and waits until the other side has. What it sent before it saw that is still
/// carried to a connection that goes on.
async fn take_leave<S>(
    sink: &mut Sink<S>,
    stream: &mut Stream<S>,
    (code, reason): (CloseCode, &'static str),
    mut connection: Option<&mut TcpStream>,
) where
    S: AsyncRead + AsyncWrite + Unpin,
{
    // It may be closed already.
    let _ = sink.send(Frame::Close(Some(CloseFrame { code, reason: reason.into() }))).await;
    while let Some(Ok(frame)) = stream.next().await {
        if let (Frame::Binary(bytes), Some(connection)) = (frame, &mut connection)
            && connection.write_all(&bytes).await.is_err()
        {
            return;
        }
    }
    if let Some(connection) = connection {
        let _ = connection.shutdown().await;
    }
}

/// Ends a connection so that the other side does not take what it has for everything.
pub fn reset(connection: TcpStream) {
    if let Err(cause) = SockRef::from(&connection).set_linger(Some(Duration::ZERO)) {
        tracing::debug!(%cause, "failed to set SO_LINGER");
    }
}

/// Reads what nobody wants any more.
async fn read_to_end(connection: &mut TcpStream) {
    let mut forgotten = vec![0; PART];
    while matches!(connection.read(&mut forgotten).await, Ok(1..)) {}
}
