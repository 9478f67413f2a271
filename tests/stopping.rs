//! A run that is told to stop in the middle finishes what it has begun, also where the terminal
//! that tells it is gone.

use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::cli::Sandbox;
use crate::hostile::plans;
use crate::hostile::proxy::{Hostile, Moment};
use crate::platform::harness::Server;

const SET: &str = "version: v1\nkind: Room\nmetadata: {name: lobby}\n---\n\
                   version: v1\nkind: Service\nmetadata: {name: bot}\nroom: lobby\ncontainer: {image: 'x:1'}\n";

/// The write that creates the room: the lease, the list of sets and the inventory come first.
const CREATES_ROOM: usize = 4;

/// The exit code of a run that stopped in the middle, and what the next plan says.
async fn hung_up(launcher: &[&str]) -> (Option<i32>, String) {
    let server = Server::start().await;
    let sandbox = Sandbox::new();
    sandbox.write("set.yaml", SET);
    let proxy = Hostile::in_front_of(&server).pausing(CREATES_ROOM, Moment::Before).start().await;
    let place = ["--project-id", "default", "--api-url", &proxy.url];
    let words = [&["apply", "-f", "set.yaml", "--yes"], &place[..]].concat();
    let plain = sandbox.command(&words);
    let mut command = match launcher.split_first() {
        None => sandbox.command(&words),
        Some((first, rest)) => {
            let mut command = std::process::Command::new(first);
            command.args(rest).arg(plain.get_program()).args(plain.get_args());
            command.current_dir(plain.get_current_dir().unwrap()).env_clear();
            command.envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
            command
        }
    };
    command.env("MESHAGENT_API_KEY", &server.owner);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut told = BufReader::new(child.stderr.take().unwrap());
    let id = Pid::from_raw(i32::try_from(child.id()).unwrap());
    proxy.paused().await;
    kill(id, Signal::SIGHUP).unwrap();
    if launcher.is_empty() {
        let mut line = String::new();
        while !line.contains("stopping: running operations are finished") {
            line.clear();
            assert!(told.read_line(&mut line).unwrap() > 0, "it says nothing of that it stops");
        }
    }
    // The shell tells it again, and nobody reads what is told any more.
    drop((told, child.stdout.take()));
    kill(id, Signal::SIGHUP).unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    proxy.resume(&server.url);
    let ended = tokio::task::spawn_blocking(move || child.wait()).await.unwrap().unwrap();
    let quiet = Hostile::in_front_of(&server).start().await;
    let plan = plans::run(&sandbox, &server, &quiet, &["plan", "-f", "set.yaml"]).await;
    (ended.code(), plan.stdout)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_whose_terminal_is_gone_finishes_what_it_has_begun() {
    let (code, plan) = hung_up(&[]).await;
    assert_eq!(code, Some(4));
    assert!(plan.contains("Plan: 1 to create, 1 unchanged."), "{plan}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_to_outlive_its_terminal_goes_on() {
    let (code, plan) = hung_up(&["nohup"]).await;
    assert_eq!(code, Some(0));
    assert!(plan.contains("2 objects are as declared"), "{plan}");
}
