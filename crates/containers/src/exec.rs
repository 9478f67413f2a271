//! Commands in containers that run: what goes in and comes out, and their end.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use futures_core::Stream;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};

use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::frames::{Channel, Frames};
use crate::host::{self, Killed};
use crate::spec;
use crate::wire::{Call, Subject, escaped};

/// How much is read at once.
const AT_ONCE: usize = 32 << 10;

/// How long an engine has to start what it said it starts.
const TO_START: Duration = Duration::from_secs(10);

/// How often is asked at first whether a command has ended, and at last.
const FIRST_ASKED: Duration = Duration::from_millis(2);
const LAST_ASKED: Duration = Duration::from_millis(250);

/// How large a terminal is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// Lines.
    pub rows: u16,
    /// Letters of a line.
    pub columns: u16,
}

/// A command that is to run in a container.
#[derive(Debug, Clone, Default)]
pub struct Exec {
    /// The program and its arguments, as they are.
    pub command: Vec<String>,
    /// Whether it has a terminal.
    pub tty: bool,
    /// Variables on top of those of the container.
    pub env: spec::Variables,
    /// Where it runs, if not where the container does.
    pub working_dir: Option<String>,
    /// How large its terminal is.
    pub size: Option<Size>,
}

/// A command that runs in a container. It is killed with its children when [`Self::control`] is
/// dropped before its end was seen.
#[derive(Debug)]
pub struct Session {
    /// What it reads. Dropping this is the end of its input.
    pub input: Input,
    /// What it writes.
    pub output: Output,
    /// Its terminal and its end.
    pub control: Control,
}

/// What a command reads. To shut it down is the end of the input.
#[derive(Debug)]
pub struct Input(OwnedWriteHalf);

/// What a command writes, piece by piece. Nothing is read ahead of whoever reads: a command that is
/// not read waits when the pipes are full.
#[derive(Debug)]
pub struct Output {
    half: OwnedReadHalf,
    /// Nothing where the command has a terminal, which mixes what it writes.
    frames: Option<Frames>,
    piece: Bytes,
    what: String,
    is_over: bool,
}

/// A command's terminal and its end.
#[derive(Debug)]
pub struct Control {
    engine: Engine,
    container: String,
    id: String,
    what: String,
    is_over: bool,
}

/// What an engine says of a command.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Inspected {
    running: bool,
    #[serde(default)]
    exit_code: Option<i64>,
    #[serde(default)]
    pid: i32,
}

impl Inspected {
    /// How it ended. Docker tells no code of what has not started, and Podman one of what runs.
    fn ended(&self) -> Option<i64> {
        self.exit_code.filter(|_| !self.running)
    }
}

impl Engine {
    /// Starts a command in a container that runs.
    pub async fn exec(&self, id: &str, exec: &Exec) -> Result<Session> {
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct Created {
            id: String,
        }
        spec::words_and_env(Some(&exec.command), &exec.env)?;
        spec::working_dir(exec.working_dir.as_deref())?;
        let mut body = json!({
            "AttachStdin": true,
            "AttachStdout": true,
            "AttachStderr": true,
            "Tty": exec.tty,
            "Cmd": exec.command,
            "Env": spec::assignments(&exec.env),
            "Privileged": false,
        });
        if let Some(folder) = &exec.working_dir {
            body["WorkingDir"] = Value::String(folder.clone());
        }
        let call = Self::of_container(id, Call::post, "/exec", "run a command in")?;
        let created: Created = self.wire.json(call.json(&body)).await?;
        let control = Control {
            engine: self.clone(),
            container: id.to_owned(),
            id: created.id,
            what: format!("run a command in the container {id}"),
            is_over: false,
        };
        let call = control.call(Call::post, "/start");
        let call = call.json(&json!({ "Detach": false, "Tty": exec.tty }));
        let size = exec.size.filter(|_| exec.tty);
        let frames = (!exec.tty).then(Frames::default);
        // A task of its own, for what is started must be killed even if this is dropped meanwhile. An
        // engine starts it all the same when nobody is there any more, and then says that it has ended.
        let started = tokio::spawn(async move {
            let (stream, piece) = control.engine.wire.both_ways(call).await?;
            let (half, input) = stream.into_split();
            let what = control.what.clone();
            let output = Output { half, frames, piece, what, is_over: false };
            if let Some(size) = size {
                control.first_size(size).await?;
            }
            Ok(Session { input: Input(input), output, control })
        });
        let what = || format!("run a command in the container {id}");
        started.await.map_err(|error| Error::system(what(), error))?
    }
}

impl Control {
    fn call(&self, call: fn(String, String) -> Call, rest: &str) -> Call {
        let call = call(format!("/exec/{}{rest}", escaped(&self.id)), self.what.clone());
        // What is forgotten of a command is so with its container.
        call.about(Subject::Container(self.container.clone()))
    }

    async fn inspect(&self) -> Result<Inspected> {
        self.engine.wire.json(self.call(Call::get, "/json")).await
    }

    /// Makes the terminal larger or smaller.
    pub async fn resize(&self, size: Size) -> Result<()> {
        let call = self.call(Call::post, "/resize");
        let call = call.with("h", &size.rows.to_string()).with("w", &size.columns.to_string());
        self.engine.wire.done(call).await
    }

    /// Tells the size of the terminal as soon as there is one.
    async fn first_size(&self, size: Size) -> Result<()> {
        let (until, mut pause) = (Instant::now() + TO_START, FIRST_ASKED);
        loop {
            let resized = self.resize(size).await;
            let is_early = matches!(resized, Err(Error::Conflict { .. } | Error::Refused { .. }));
            if !is_early {
                return resized;
            }
            // What has ended already needs no size.
            if self.inspect().await?.ended().is_some() {
                return Ok(());
            }
            if Instant::now() > until {
                return resized;
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LAST_ASKED);
        }
    }

    /// Waits for the end of the command, and has its exit code. Who reads its output to the end
    /// first waits for nothing, unless it closed its output and goes on. Podman forgets the code some
    /// minutes after the end.
    pub async fn status(&mut self) -> Result<i64> {
        let mut pause = FIRST_ASKED;
        loop {
            if let Some(code) = self.inspect().await?.ended() {
                self.is_over = true;
                return Ok(code);
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LAST_ASKED);
        }
    }

    /// Kills the command, with all processes that it started and that made no session of their own.
    pub async fn kill(&self) -> Result<()> {
        let Some(leader) = self.process().await? else { return Ok(()) };
        let Some(first) = self.engine.process(&self.container).await? else { return Ok(()) };
        let killed = tokio::task::spawn_blocking(move || host::kill_session(leader, first)).await;
        match killed.map_err(|error| Error::system(&self.what, error))? {
            Killed::All => Ok(()),
            Killed::NotFromHere => self.kill_from_inside().await,
        }
    }

    /// Kills the command by another one in the container, which needs a shell there. This is how
    /// [`Self::kill`] does it where this process may not signal those of the engine.
    pub async fn kill_from_inside(&self) -> Result<()> {
        let cannot = |why: &str| {
            Error::refused(&format!("kill a command in the container {}", self.container), why)
        };
        let Some(leader) = self.process().await? else { return Ok(()) };
        let number = host::number_inside(leader);
        let number = number.ok_or_else(|| {
            cannot("its processes are not to be seen from here; it ends with its container")
        })?;
        let line = format!("kill -KILL -{number} || kill -KILL {number}");
        let exec =
            Exec { command: ["sh", "-c", &line].map(str::to_owned).to_vec(), ..Exec::default() };
        let killer = Box::pin(self.engine.exec(&self.container, &exec)).await?;
        let Session { input, mut output, mut control } = killer;
        drop(input);
        while output.next().await.transpose()?.is_some() {}
        // What has ended meanwhile could not be killed.
        if control.status().await? != 0 && self.inspect().await?.ended().is_none() {
            return Err(cannot("there is no shell in it that could; it ends with its container"));
        }
        Ok(())
    }

    /// The number of the command's process, or nothing if it has ended.
    async fn process(&self) -> Result<Option<i32>> {
        let (until, mut pause) = (Instant::now() + TO_START, FIRST_ASKED);
        loop {
            let inspected = self.inspect().await?;
            if inspected.ended().is_some() {
                return Ok(None);
            }
            if inspected.pid > 0 {
                return Ok(Some(inspected.pid));
            }
            if Instant::now() > until {
                return Err(Error::TimedOut { what: self.what.clone(), patience: TO_START });
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LAST_ASKED);
        }
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        if self.is_over {
            return;
        }
        let killer = Self {
            engine: self.engine.clone(),
            container: std::mem::take(&mut self.container),
            id: std::mem::take(&mut self.id),
            what: std::mem::take(&mut self.what),
            // It is not killed once more.
            is_over: true,
        };
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move { killer.kill().await });
        }
    }
}

impl AsyncWrite for Input {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}

impl Output {
    /// The next piece, or nothing at the end.
    pub async fn next(&mut self) -> Option<Result<(Channel, Bytes)>> {
        std::future::poll_fn(|context| Pin::new(&mut *self).poll_next(context)).await
    }

    /// What there is to read of this.
    fn poll_bytes(&mut self, context: &mut Context<'_>) -> Poll<io::Result<Bytes>> {
        let mut bytes = BytesMut::zeroed(AT_ONCE);
        let mut buffer = ReadBuf::new(&mut bytes);
        ready!(Pin::new(&mut self.half).poll_read(context, &mut buffer))?;
        let length = buffer.filled().len();
        bytes.truncate(length);
        Poll::Ready(Ok(bytes.freeze()))
    }

    fn cut(&mut self) -> Option<Result<(Channel, Bytes)>> {
        match &mut self.frames {
            None if self.piece.is_empty() => None,
            None => Some(Ok((Channel::Out, std::mem::take(&mut self.piece)))),
            Some(frames) => match frames.next(&mut self.piece) {
                Ok(piece) => piece.map(Ok),
                Err(error) => Some(Err(Error::nonsense(&self.what, error.to_string()))),
            },
        }
    }
}

impl Stream for Output {
    type Item = Result<(Channel, Bytes)>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        loop {
            if this.is_over {
                return Poll::Ready(None);
            }
            if let Some(cut) = this.cut() {
                this.is_over = cut.is_err();
                return Poll::Ready(Some(cut));
            }
            match ready!(this.poll_bytes(context)) {
                Ok(bytes) if bytes.is_empty() => {
                    this.is_over = true;
                    if this.frames.as_ref().is_some_and(|it| !it.is_between()) {
                        let error = Error::nonsense(&this.what, "the output ends in the middle");
                        return Poll::Ready(Some(Err(error)));
                    }
                }
                Ok(bytes) => this.piece = bytes,
                Err(error) => {
                    this.is_over = true;
                    return Poll::Ready(Some(Err(Error::gone(&this.what, &error))));
                }
            }
        }
    }
}
