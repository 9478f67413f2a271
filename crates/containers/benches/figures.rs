//! How long a command in a container takes, beside the engine's own client, and a container from
//! its start to its end: `cargo bench -p meshagent-containers`. It needs Podman, as the tests do.

#![allow(clippy::print_stdout)]

#[path = "../tests/engine_here/mod.rs"]
#[expect(dead_code, reason = "the tests need more")]
mod engine_here;

use std::process::Stdio;
use std::time::{Duration, Instant};

use engine_here::{EngineHere, IMAGE};
use meshagent_containers::{Command, Exec, Limits, Mount, Session, Spec};

/// Rounds, of which the middle one is told.
const ROUNDS: usize = 15;

#[tokio::main]
async fn main() {
    let here = EngineHere::start("").await;
    let words = |words: &[&str]| words.iter().map(|&it| it.to_owned()).collect::<Vec<_>>();
    let spec = |command: &[&str]| Spec {
        image: IMAGE.to_owned(),
        command: Command::Words(words(command)),
        ..Spec::default()
    };
    let id = here.engine.run(&spec(&["sleep", "1000"])).await.expect("a container");
    let exec = Exec { command: words(&["true"]), ..Exec::default() };
    let (mut ours, mut theirs, mut runs, mut client) = (vec![], vec![], vec![], vec![]);
    // Side by side, for others use the machine as well.
    for _ in 0..ROUNDS {
        let started = Instant::now();
        let session = here.engine.exec(&id, &exec).await.expect("a command");
        let Session { input, mut output, mut control } = session;
        drop(input);
        while output.next().await.is_some() {}
        assert_eq!(control.status().await, Ok(0));
        ours.push(started.elapsed());

        let mut command = here.podman();
        command.args(["exec", &id, "true"]).stdin(Stdio::null());
        theirs.push(timed(command));

        let started = Instant::now();
        let folder = Mount::Folder {
            trusted: here.folder().to_owned(),
            below: String::new(),
            target: "/given".to_owned(),
            read_only: true,
        };
        let run = Spec { mounts: vec![folder], ..spec(&["true"]) };
        let run = here.engine.run(&run).await.expect("a container");
        assert_eq!(here.engine.wait(&run).await, Ok(0));
        runs.push(started.elapsed());
        here.engine.remove(&run, true).await.expect("it is removed");

        let Limits { memory, processes, .. } = Limits::default();
        let mut command = here.podman();
        command.args(["run", "--init", "--network", "none", "--ulimit", "nofile=1024:1024"]);
        command.args([
            "--ulimit",
            "nproc=1024:1024",
            "--read-only",
            "--memory",
            &memory.to_string(),
        ]);
        command.args(["--pids-limit", &processes.to_string(), IMAGE, "true"]);
        client.push(timed(command));
    }
    let (ours, theirs) = (middle(ours), middle(theirs));
    println!(
        "exec true             {ours:>9.1?}  podman exec {theirs:>9.1?}  {:.2} times",
        ratio(ours, theirs)
    );
    let (ours, theirs) = (middle(runs), middle(client));
    println!(
        "run true to its end   {ours:>9.1?}  podman run  {theirs:>9.1?}  {:.2} times",
        ratio(ours, theirs)
    );
}

fn timed(mut command: std::process::Command) -> Duration {
    let started = Instant::now();
    let status = command.stdout(Stdio::null()).status().expect("podman runs");
    assert!(status.success());
    started.elapsed()
}

fn middle(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

fn ratio(ours: Duration, theirs: Duration) -> f64 {
    ours.as_secs_f64() / theirs.as_secs_f64()
}
