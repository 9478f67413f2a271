//! Containers and images of the room.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use meshagent_containers::{
    Channel, Command, Engine, Error, Exec, Input as Stdin, Session, Size, Spec,
};
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::io::AsyncWriteExt;

use crate::platform::live::calls::{Caller, Received, Stream, refused};
use crate::platform::live::containers::given::{Giving, TOKEN, pairs};
use crate::platform::live::containers::jobs::Job;
use crate::platform::live::containers::owned::{self, Ownership, labels, missing, shown};
use crate::platform::live::containers::told;
use crate::platform::live::services::on_demand;
use crate::room::codes;
use crate::room::containers::{
    CommandLine, Containers, Delete, Event, ExecStart, Exit, Input, List, LogsStart, Run,
    RunService, Started, Stop, WaitForExit,
};
use crate::room::content::{Content, Refused};

/// How long a container has to end by itself when it is stopped.
const GRACE: Duration = Duration::from_secs(10);

/// What runs where a command is not named.
const SHELL: &str = "sh";

/// The engine, for a caller.
async fn engine(caller: &Caller) -> Result<&Engine, Refused> {
    caller.room.house.containers.engine().await
}

/// Lists the containers of the room, and its jobs.
pub async fn list(caller: &Caller, asked: List) -> Result<Containers, Refused> {
    let all = asked.all.unwrap_or_default();
    let own = caller.room.house.containers.labels(&caller.room.id);
    let found = engine(caller).await?.list(&own, all).await.map_err(told)?;
    let mut containers: Vec<_> = found.into_iter().map(shown).collect();
    containers.extend(caller.room.jobs.shown(all));
    Ok(Containers { containers })
}

/// Starts a container.
pub async fn run(caller: &Caller, asked: Run) -> Result<Started, Refused> {
    let room = &caller.room;
    let containers = &room.house.containers;
    let engine = engine(caller).await?;
    let giving = Giving { room, caller: Some(caller) };
    let mut mounts = match &asked.mounts {
        Some(spec) => giving.mounts(spec).await?,
        None => Vec::new(),
    };
    if let Some(target) = &asked.mount_path {
        let below = asked.mount_subpath.as_deref().unwrap_or_default();
        mounts.push(giving.of_room(below, target, false).await?);
    }
    let _place = containers.place(&room.id).await?;
    super::images::ensure(caller, &asked.image, &asked.credentials).await?;
    let kept = containers.keep_network(&room.id).await;
    let mut env = giving.variables(containers, pairs(asked.env)).await?;
    if let Some(name) = &asked.participant_name {
        let role = asked.role.as_deref().unwrap_or("user");
        if env.iter().all(|(name, _)| name != TOKEN) {
            env.push((TOKEN.to_owned(), giving.token(caller, (name, role)).await?));
        }
    }
    let common = containers.spec(room);
    let mut own = common.labels.clone();
    Ownership::of(caller, asked.private.unwrap_or_default()).label(&mut own);
    if let Some(name) = &asked.name {
        own.insert(labels::NAME.to_owned(), name.clone());
    }
    let spec = Spec {
        image: asked.image,
        command: asked.command.map_or(Command::OfImage, Command::Line),
        working_dir: asked.working_dir,
        env,
        mounts,
        writable_root: asked.writable_root_fs.unwrap_or_default(),
        ports: asked
            .ports
            .iter()
            .map(|pair| meshagent_containers::Port {
                inside: pair.container_port,
                outside: Some(pair.host_port).filter(|port| *port != 0),
            })
            .collect(),
        labels: own,
        ..common
    };
    let engine = engine.clone();
    // Whoever leaves meanwhile leaves a container that the room has, and no half of one.
    let run = async move {
        let container_id = engine.run(&spec).await.map_err(told)?;
        drop(kept);
        Ok(Started { container_id })
    };
    room.to_the_end(run).await
}

/// Runs the container of a service that starts on demand.
pub async fn run_service(caller: &Caller, asked: RunService) -> Result<Started, Refused> {
    engine(caller).await?;
    let container_id = on_demand::run(caller, &asked.service_id, pairs(asked.env)).await?;
    Ok(Started { container_id })
}

/// What a caller means by an id.
enum Meant {
    Container(String),
    Job(Arc<Job>),
}

async fn meant(caller: &Caller, id: &str) -> Result<Meant, Refused> {
    match caller.room.jobs.find(caller, id)? {
        Some(job) => Ok(Meant::Job(job)),
        None => owned::find(engine(caller).await?, caller, id)
            .await
            .map(|found| Meant::Container(found.id)),
    }
}

/// Stops a container or a job.
pub async fn stop(caller: &Caller, asked: Stop) -> Result<(), Refused> {
    match meant(caller, &asked.container_id).await? {
        Meant::Job(job) => {
            job.stop();
            job.ended().await;
            Ok(())
        }
        Meant::Container(id) => {
            let engine = engine(caller).await?;
            let stopped = match asked.force {
                true => engine.kill(&id).await,
                false => engine.stop(&id, GRACE).await,
            };
            match stopped {
                // It has ended already, or is gone, which is as well.
                Err(Error::Conflict { .. }) => Ok(()),
                Err(error) if owned::is_gone(&error) => Ok(()),
                stopped => stopped.map_err(told),
            }
        }
    }
}

/// Waits until a container or a job ends.
pub async fn wait_for_exit(caller: &Caller, asked: WaitForExit) -> Result<Exit, Refused> {
    let exit_code = match meant(caller, &asked.container_id).await? {
        Meant::Job(job) => job.ended().await,
        Meant::Container(id) => engine(caller).await?.wait(&id).await.map_err(told)?,
    };
    Ok(Exit { exit_code })
}

/// Removes a container that has ended.
pub async fn delete(caller: &Caller, asked: Delete) -> Result<(), Refused> {
    let runs =
        || refused(codes::INVALID_STATE, "the container runs; stop it first, and remove it then");
    match meant(caller, &asked.container_id).await? {
        Meant::Job(job) => {
            job.exit().ok_or_else(runs)?;
            caller.room.jobs.forget(&job.id);
            Ok(())
        }
        Meant::Container(id) => match engine(caller).await?.remove(&id, false).await {
            Err(Error::Conflict { .. }) => Err(runs()),
            Err(error) if owned::is_gone(&error) => Err(missing(&id)),
            removed => removed.map_err(told),
        },
    }
}

/// Reads what a caller says first.
fn started<T: DeserializeOwned>(start: &Value, operation: &str) -> Result<T, Refused> {
    T::deserialize(start).map_err(|error| {
        Refused::invalid(format!("the start of {operation} is not valid: {error}"))
    })
}

/// Tells what a container or a job wrote.
pub async fn logs(stream: &mut Stream, start: Value) -> Result<(), Refused> {
    let start: LogsStart = started(&start, "containers.logs")?;
    let about = (start.request_id.clone(), start.container_id.clone());
    let part = |bytes: Vec<u8>| Event::Output(bytes).part((&about.0, &about.1));
    match meant(&stream.caller, &start.container_id).await? {
        Meant::Job(job) => {
            let mut at = 0;
            loop {
                let next = tokio::select! {
                    next = job.log(at, start.follow) => next,
                    // The caller has seen enough.
                    _ = stream.arrived() => return Ok(()),
                };
                let Some((told, end)) = next else { return Ok(()) };
                at = end;
                stream.send(part(told)).await?;
            }
        }
        Meant::Container(id) => {
            let caller = stream.caller.clone();
            let mut logs = engine(&caller).await?.logs(&id, start.follow).await.map_err(told)?;
            let mut text = meshagent_containers::text::Characters::default();
            loop {
                let next = tokio::select! {
                    next = logs.next() => next,
                    _ = stream.arrived() => return Ok(()),
                };
                let Some(piece) = next else { break };
                let whole = text.feed(&piece.map_err(told)?.1);
                if !whole.is_empty() {
                    stream.send(part(whole.into_bytes())).await?;
                }
            }
            let rest = text.finish();
            if !rest.is_empty() {
                stream.send(part(rest.into_bytes())).await?;
            }
            Ok(())
        }
    }
}

/// Runs a command in a container.
pub async fn exec(stream: &mut Stream, start: Value) -> Result<(), Refused> {
    let start: ExecStart = started(&start, "containers.exec")?;
    let caller = stream.caller.clone();
    let Meant::Container(id) = meant(&caller, &start.container_id).await? else {
        return Err(refused(codes::INVALID_STATE, "a job with images runs no commands"));
    };
    let command = match start.command.clone() {
        None => vec![SHELL.to_owned()],
        Some(CommandLine::Words(words)) => words,
        Some(CommandLine::Text(text)) => shlex::split(&text)
            .ok_or_else(|| Refused::invalid("the command has a quote that does not end"))?,
    };
    let tty = start.tty.unwrap_or_default();
    let asked = Exec { command, tty, ..Exec::default() };
    let session = engine(&caller).await?.exec(&id, &asked).await.map_err(told)?;
    attend(stream, &start, session).await
}

/// How many parts may wait for a command to read them, so that those behind them can still be seen.
const UNREAD: usize = 4;

/// What a command reads: parts that wait, and what takes them.
struct Reading {
    /// None while a part is being written, and once the command reads no more.
    input: Option<Stdin>,
    writing: Option<BoxFuture<'static, Option<Stdin>>>,
    waiting: VecDeque<(Option<Vec<u8>>, Received)>,
    /// The part that is being written.
    current: Option<Received>,
}

impl Reading {
    fn of(input: Stdin) -> Self {
        Self { input: Some(input), writing: None, waiting: VecDeque::new(), current: None }
    }

    /// Begins to write the next part, if none is being written. A part without bytes is the end.
    fn begin(&mut self) {
        while self.writing.is_none() {
            let Some((bytes, received)) = self.waiting.pop_front() else { return };
            self.current = Some(received);
            let mut input = self.input.take();
            self.writing = Some(Box::pin(async move {
                let open = input.as_mut()?;
                let written = match bytes {
                    Some(bytes) => open.write_all(&bytes).await,
                    None => {
                        let _ = open.shutdown().await;
                        return None;
                    }
                };
                // What does not read any more ends in a moment, and says how.
                written.ok().and(input)
            }));
        }
    }

    /// The part that was written last, once it is.
    async fn written(&mut self) -> Option<Received> {
        match &mut self.writing {
            Some(writing) => self.input = writing.await,
            None => std::future::pending().await,
        }
        self.writing = None;
        self.current.take()
    }
}

/// Hands on what a command reads and writes, until it ends. A caller that goes ends it.
async fn attend(stream: &mut Stream, start: &ExecStart, session: Session) -> Result<(), Refused> {
    let Session { input, mut output, mut control } = session;
    let about = (start.request_id.as_str(), start.container_id.as_str());
    let mut reading = Reading::of(input);
    loop {
        reading.begin();
        tokio::select! {
            piece = output.next() => {
                let Some(piece) = piece else { break };
                let (channel, bytes) = piece.map_err(told)?;
                let bytes = bytes.to_vec();
                let event = match channel {
                    Channel::Out => Event::Output(bytes),
                    Channel::Err => Event::Error(bytes),
                };
                stream.send(event.part(about)).await?;
            }
            written = reading.written() => {
                if let Some(received) = written {
                    stream.acknowledge(received).await;
                }
            }
            part = stream.arrived(), if reading.waiting.len() < UNREAD => {
                // Dropping the session ends the command.
                let Some((content, received)) = part else { return Ok(()) };
                if matches!(content, Content::Close { .. }) {
                    stream.acknowledge(received).await;
                    return Ok(());
                }
                let done = match Input::of(content) {
                    Ok(Input::Bytes(bytes)) => {
                        reading.waiting.push_back((Some(bytes), received));
                        continue;
                    }
                    Ok(Input::End) => {
                        reading.waiting.push_back((None, received));
                        continue;
                    }
                    Ok(Input::Resize(columns, rows)) => {
                        control.resize(Size { rows, columns }).await.map_err(told)
                    }
                    Ok(Input::Kill) => control.kill().await.map_err(told),
                    Err(refused) => Err(refused),
                };
                match done {
                    Ok(()) => stream.acknowledge(received).await,
                    Err(why) => stream.decline(received, why).await,
                }
            }
        }
    }
    let status = control.status().await.map_err(told)?;
    stream.send(Event::Status(status).part(about)).await
}
