//! HTTP with the engine: one connection for each request, all of them bounded in time and memory.
//!
//! What an engine sends is not trusted: headers, answers and errors have a size at most, and what
//! is to be answered at once is answered within [`PATIENCE`].

use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Body as _, Incoming};
use hyper::client::conn::http1;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;
use tokio::task::JoinHandle;

use crate::error::{Error, Result};

/// The version of Docker's interface that everything is said in. Docker 20.10 and Podman 4 have it.
const VERSION: &str = "/v1.41";

/// How long an engine has for what it does at once. Podman copies a whole image for a container
/// where its storage knows nothing better.
const PATIENCE: Duration = Duration::from_secs(120);

/// How long an engine has to accept a connection.
const TO_CONNECT: Duration = Duration::from_secs(5);

/// How long an answer may be that is read as a whole.
const MOST_ANSWER: usize = 16 << 20;

/// How much of an answer that is an error is read.
const MOST_ERROR: usize = 64 << 10;

/// How long the headers of an answer may be.
const MOST_HEADERS: usize = 64 << 10;

/// What is sent.
pub(crate) type Body = UnsyncBoxBody<Bytes, std::io::Error>;

/// What stands for itself in an address.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A text as a part of an address.
pub(crate) fn escaped(text: &str) -> String {
    utf8_percent_encode(text, PLAIN).to_string()
}

/// What is looked for, for the error that tells that it is not there.
#[derive(Debug, Clone)]
pub(crate) enum Subject {
    Container(String),
    Image(String),
    Network(String),
    /// Nothing that can be absent.
    None,
}

/// A request, before it is sent.
pub(crate) struct Call {
    method: Method,
    address: String,
    headers: Vec<(&'static str, String)>,
    body: Body,
    what: String,
    subject: Subject,
    patience: Option<Duration>,
}

impl Call {
    /// A request for `what`, which stands behind "cannot" in errors. The path is an address
    /// already; [`escaped`] makes one of a name.
    pub fn new(method: Method, path: impl AsRef<str>, what: impl Into<String>) -> Self {
        Self {
            method,
            address: format!("{VERSION}{}", path.as_ref()),
            headers: Vec::new(),
            body: empty(),
            what: what.into(),
            subject: Subject::None,
            patience: Some(PATIENCE),
        }
    }

    pub fn get(path: impl AsRef<str>, what: impl Into<String>) -> Self {
        Self::new(Method::GET, path, what)
    }

    pub fn post(path: impl AsRef<str>, what: impl Into<String>) -> Self {
        Self::new(Method::POST, path, what)
    }

    pub fn delete(path: impl AsRef<str>, what: impl Into<String>) -> Self {
        Self::new(Method::DELETE, path, what)
    }

    /// A request that only Podman knows.
    pub fn of_podman(mut self, path: &str) -> Self {
        self.address = format!("/v4.0.0/libpod{path}");
        self
    }

    /// What an answer of 404 is about.
    pub fn about(mut self, subject: Subject) -> Self {
        self.subject = subject;
        self
    }

    /// One more value behind the question mark.
    pub fn with(mut self, key: &str, value: &str) -> Self {
        let mark = if self.address.contains('?') { '&' } else { '?' };
        self.address = format!("{}{mark}{key}={}", self.address, escaped(value));
        self
    }

    pub fn header(mut self, name: &'static str, value: String) -> Self {
        self.headers.push((name, value));
        self
    }

    pub fn json(self, value: &impl Serialize) -> Self {
        // Keys are texts and no value is a map of anything else, so that this cannot fail.
        let text = serde_json::to_vec(value).unwrap_or_default();
        let body = Full::new(Bytes::from(text)).map_err(|never| match never {}).boxed_unsync();
        self.body("application/json", body)
    }

    pub fn body(mut self, content_type: &str, body: Body) -> Self {
        self.headers.push(("content-type", content_type.to_owned()));
        self.body = body;
        self
    }

    /// It takes as long as it takes: the end of something is waited for.
    pub fn however_long(mut self) -> Self {
        self.patience = None;
        self
    }

    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = Some(patience);
        self
    }
}

fn empty() -> Body {
    Full::new(Bytes::new()).map_err(|never| match never {}).boxed_unsync()
}

/// Where an engine listens.
#[derive(Debug, Clone)]
pub(crate) struct Wire {
    socket: PathBuf,
}

/// A connection, which ends with this.
#[derive(Debug)]
struct Connection(JoinHandle<()>);

impl Drop for Connection {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Wire {
    pub fn new(socket: &Path) -> Self {
        Self { socket: socket.to_owned() }
    }

    /// Sends a request, and has the headers of its answer, which is no error.
    async fn send(&self, call: Call) -> Result<(Response<Incoming>, Connection, Named)> {
        let Call { method, address, headers, body, what, subject, patience } = call;
        let named = Named { what, subject };
        let request = Request::builder().method(method).uri(address).header("host", "engine");
        let request = headers.iter().fold(request, |it, (name, value)| it.header(*name, value));
        let request = request.body(body);
        let request = request.map_err(|error| Error::system(&named.what, error))?;
        let answered = async {
            let stream = within(TO_CONNECT, &named.what, UnixStream::connect(&self.socket)).await?;
            let stream = stream.map_err(|error| Error::gone(&named.what, &error))?;
            let io = TokioIo::new(stream);
            let mut client = http1::Builder::new();
            let opened = client.max_buf_size(MOST_HEADERS).handshake(io).await;
            let (mut sender, connection) =
                opened.map_err(|error| Error::gone(&named.what, &error))?;
            let connection = Connection(tokio::spawn(async move {
                // Its error is that of the request.
                let _ = connection.with_upgrades().await;
            }));
            let answer = sender.send_request(request).await;
            let answer = answer.map_err(|error| Error::gone(&named.what, &error))?;
            if answer.status().is_success()
                || answer.status() == StatusCode::SWITCHING_PROTOCOLS
                || answer.status() == StatusCode::NOT_MODIFIED
            {
                return Ok((answer, connection));
            }
            let status = answer.status();
            let text = whole(answer.into_body(), MOST_ERROR, &named.what).await;
            Err(named.error(status, &text.unwrap_or_default()))
        };
        let (answer, connection) = match patience {
            Some(patience) => within(patience, &named.what, answered).await??,
            None => answered.await?,
        };
        Ok((answer, connection, named))
    }

    /// What an answer says as JSON.
    pub async fn json<T: DeserializeOwned>(&self, call: Call) -> Result<T> {
        let patience = call.patience;
        let (answer, connection, named) = self.send(call).await?;
        let read = whole(answer.into_body(), MOST_ANSWER, &named.what);
        let text = match patience {
            Some(patience) => within(patience, &named.what, read).await??,
            None => read.await?,
        };
        drop(connection);
        serde_json::from_slice(&text)
            .map_err(|error| Error::nonsense(&named.what, error.to_string()))
    }

    /// Nothing is read of the answer.
    pub async fn done(&self, call: Call) -> Result<()> {
        self.send(call).await.map(drop)
    }

    /// What an answer says, piece by piece.
    pub async fn stream(&self, call: Call) -> Result<Pieces> {
        let (answer, connection, named) = self.send(call).await?;
        let body = answer.into_body();
        Ok(Pieces { body, what: named.what, _connection: connection })
    }

    /// A connection that becomes one of bytes both ways.
    pub async fn both_ways(&self, call: Call) -> Result<(UnixStream, Bytes)> {
        let call = call.header("connection", "Upgrade".to_owned());
        let call = call.header("upgrade", "tcp".to_owned());
        let patience = call.patience.unwrap_or(PATIENCE);
        let (answer, connection, named) = self.send(call).await?;
        if answer.status() != StatusCode::SWITCHING_PROTOCOLS {
            let text = format!("it answers {} and does not open a stream", answer.status());
            return Err(Error::nonsense(&named.what, text));
        }
        let upgraded = within(patience, &named.what, hyper::upgrade::on(answer)).await?;
        let upgraded = upgraded.map_err(|error| Error::gone(&named.what, &error))?;
        let parts = upgraded.downcast::<TokioIo<UnixStream>>();
        let parts = parts.map_err(|_| Error::nonsense(&named.what, "it is no socket"))?;
        drop(connection);
        Ok((parts.io.into_inner(), parts.read_buf))
    }
}

/// What a request was about, for its errors.
struct Named {
    what: String,
    subject: Subject,
}

impl Named {
    /// The error that an answer is.
    fn error(&self, status: StatusCode, body: &[u8]) -> Error {
        #[derive(serde::Deserialize)]
        struct Said {
            message: String,
            #[serde(default)]
            cause: String,
        }
        let (text, cause) = match serde_json::from_slice::<Said>(body) {
            Ok(said) => (said.message, said.cause),
            Err(_) => (String::from_utf8_lossy(body).into_owned(), String::new()),
        };
        let text = if text.trim().is_empty() { format!("it answers {status}") } else { text };
        match (status, &self.subject) {
            (StatusCode::NOT_FOUND, Subject::Container(id)) => {
                Error::NoContainer { id: id.clone() }
            }
            (StatusCode::NOT_FOUND, Subject::Image(image)) => {
                Error::NoImage { image: image.clone() }
            }
            (StatusCode::NOT_FOUND, Subject::Network(name)) => {
                Error::NoNetwork { name: name.clone() }
            }
            _ if status == StatusCode::CONFLICT || is_conflict(&cause, &text) => {
                Error::conflict(&self.what, text)
            }
            _ => Error::refused(&self.what, text),
        }
    }
}

/// Whether what an engine calls a failure of another kind is one of how things are now: Podman
/// tells it in the cause, and Docker forbids to remove a network that is in use.
fn is_conflict(cause: &str, text: &str) -> bool {
    let causes = ["state improper", "already in use", "in use by", "being used"];
    causes.iter().any(|it| cause.contains(it)) || text.contains("has active endpoints")
}

/// What comes of something within a time.
pub(crate) async fn within<T>(
    patience: Duration,
    what: &str,
    done: impl Future<Output = T>,
) -> Result<T> {
    let late = |_| Error::TimedOut { what: what.to_owned(), patience };
    tokio::time::timeout(patience, done).await.map_err(late)
}

/// All of an answer, which is no longer than it may be.
async fn whole(mut body: Incoming, most: usize, what: &str) -> Result<Bytes> {
    let mut text = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| Error::gone(what, &error))?;
        let Ok(data) = frame.into_data() else { continue };
        if text.len() + data.len() > most {
            return Err(Error::nonsense(what, format!("it is longer than {most} bytes")));
        }
        text.extend_from_slice(&data);
    }
    Ok(text.freeze())
}

/// An answer, piece by piece.
#[derive(Debug)]
pub(crate) struct Pieces {
    body: Incoming,
    pub what: String,
    _connection: Connection,
}

impl Pieces {
    pub fn poll_piece(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Bytes>>> {
        loop {
            let frame = std::task::ready!(Pin::new(&mut self.body).poll_frame(context));
            let Some(frame) = frame else { return Poll::Ready(None) };
            match frame {
                Ok(frame) => match frame.into_data() {
                    Ok(data) if data.is_empty() => {}
                    Ok(data) => return Poll::Ready(Some(Ok(data))),
                    // Trailers say nothing.
                    Err(_) => {}
                },
                Err(error) => return Poll::Ready(Some(Err(Error::gone(&self.what, &error)))),
            }
        }
    }

    pub async fn next(&mut self) -> Option<Result<Bytes>> {
        std::future::poll_fn(|context| self.poll_piece(context)).await
    }
}
