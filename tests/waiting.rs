//! `apply --wait`: what was applied works, or the exit code says that it does not.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::process::{Child, ChildStderr, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use meshagent::room::client::Room;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::cli::{Run, Sandbox};
use crate::in_rooms::Place;

/// A service that answers its first calls with 503 and further ones with 200, and enters the room
/// then; its URL, and how often it was called.
fn service(failures: usize) -> (String, Arc<AtomicUsize>) {
    service_that(failures, true)
}

/// A service that answers so and enters only if that is wanted.
fn service_that(failures: usize, enters: bool) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let called = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&called);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            let mut length = 0;
            let mut line = String::new();
            while reader.read_line(&mut line).unwrap() > 2 {
                if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
                    length = value.trim().parse().unwrap();
                }
                line.clear();
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body).unwrap();
            let call: Value = serde_json::from_slice(&body).unwrap();
            assert_eq!(call["event"], "room.call");
            let status = match count.fetch_add(1, Ordering::SeqCst) < failures {
                true => "503 Service Unavailable",
                false => "200 OK",
            };
            let answer =
                format!("HTTP/1.1 {status}\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{{}}");
            stream.write_all(answer.as_bytes()).unwrap();
            if enters && status == "200 OK" {
                std::thread::spawn(move || stay(&call["data"]));
            }
        }
    });
    (url, called)
}

/// Enters the room of a call, and stays until it ends.
fn stay(call: &Value) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let text = |name: &str| call[name].as_str().unwrap().to_owned();
        let entered = Room::enter(&text("room_url"), &text("token").into(), false).await;
        let (_room, mut incoming) = entered.unwrap();
        while incoming.next().await.is_some() {}
    });
}

/// A command that runs, and what it tells.
struct Running(Child, BufReader<ChildStderr>);

impl Running {
    fn start(mut command: std::process::Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let told = BufReader::new(child.stderr.take().unwrap());
        Self(child, told)
    }

    /// Reads up to a line that contains this.
    fn until(&mut self, what: &str) {
        let (mut line, mut all) = (String::new(), String::new());
        while !line.contains(what) {
            line.clear();
            assert!(self.1.read_line(&mut line).unwrap() > 0, "{what:?} is not in {all}");
            all += &line;
        }
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(i32::try_from(self.0.id()).unwrap()), signal).unwrap();
    }

    /// How it ends, before this long.
    fn ends(self, within: Duration) -> Run {
        let Self(mut child, mut told) = self;
        let begun = Instant::now();
        let (mut stdout, mut stderr) = (String::new(), String::new());
        told.read_to_string(&mut stderr).unwrap();
        child.stdout.take().unwrap().read_to_string(&mut stdout).unwrap();
        let code = child.wait().unwrap().code().unwrap_or(-1);
        assert!(begun.elapsed() < within, "{:?}: {stderr}", begun.elapsed());
        Run { code, stdout, stderr }
    }
}

/// The manifests of a service in a room, both with this name.
fn in_room(name: &str, url: &str) -> String {
    external(url, "").replace("calc", name).replace("demo", name)
}

fn external(url: &str, agents: &str) -> String {
    format!(
        "version: v1\nkind: Room\nmetadata: {{name: demo}}\n---\n\
         version: v1\nkind: Service\nmetadata: {{name: calc}}\nroom: demo\n{agents}\
         external: {{url: \"{url}\"}}\nports:\n  - num: 80\n    type: http\n    endpoints:\n      \
         - {{path: /math, meshagent: {{identity: calculator}}}}\n"
    )
}

#[test]
fn a_service_that_comes_to_work_in_time_is_waited_for() {
    let sandbox = Sandbox::new();
    let (url, called) = service(1);
    sandbox.write("m.yaml", &external(&url, ""));
    let done = sandbox.embedded(0, &["apply", "-f", "m.yaml", "--yes", "--wait=1m"]);
    assert_eq!(called.load(Ordering::SeqCst), 2);
    let told = "Service/calc@demo: it is failing, started again once: ";
    assert!(done.stderr.contains(told), "{}", done.stderr);
    let why = format!("{url}/math answered with 503 Service Unavailable\n");
    assert!(done.stderr.contains(&why), "{}", done.stderr);
    assert!(done.stderr.ends_with("Service/calc@demo works\n"), "{}", done.stderr);
    assert!(done.stdout.ends_with("Applied: 2 done.\n"), "{}", done.stdout);
    // Neither a plan nor an apply without the option enters a room.
    sandbox.embedded(0, &["plan", "-f", "m.yaml"]);
    sandbox.embedded(0, &["apply", "-f", "m.yaml", "--yes"]);
    assert_eq!(called.load(Ordering::SeqCst), 2);
    // What is declared has to work, also where nothing was changed.
    let again = sandbox.embedded(0, &["apply", "-f", "m.yaml", "--yes", "--wait"]);
    assert_eq!(called.load(Ordering::SeqCst), 3);
    assert!(again.stderr.ends_with("Service/calc@demo works\n"), "{}", again.stderr);
    sandbox.write("rooms.yaml", "version: v1\nkind: Room\nmetadata: {name: other}\n");
    let none = ["apply", "-f", "rooms.yaml", "--set", "rooms", "--yes", "--wait"];
    let none = sandbox.embedded(0, &none);
    assert!(none.stderr.ends_with("note: there is no service to wait for\n"), "{}", none.stderr);
}

#[test]
fn a_service_does_not_work_whose_endpoint_brings_nobody() {
    let sandbox = Sandbox::new();
    let (url, called) = service_that(0, false);
    sandbox.write("m.yaml", &external(&url, ""));
    for _ in 0..2 {
        let arguments = ["apply", "-f", "m.yaml", "--yes", "--wait=2s", "-o", "json"];
        let failed = sandbox.embedded(7, &arguments);
        let events = failed.events();
        let [.., last, summary] = events.as_slice() else { panic!("{events:?}") };
        let told = "its agent \"calculator\" has not joined the room";
        assert_eq!(
            (&last["event"], &last["address"], &last["health"], &last["message"]),
            (&"health".into(), &"Service/calc@demo".into(), &"unhealthy".into(), &told.into())
        );
        assert_eq!(
            (&summary["event"], &summary["complete"], &summary["healthy"]),
            (&"summary".into(), &true.into(), &false.into())
        );
    }
    assert_eq!(called.load(Ordering::SeqCst), 2);
}

#[test]
fn a_signal_ends_the_wait_and_what_was_applied_stays() {
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        let sandbox = Sandbox::new();
        let (url, _) = service_that(0, false);
        sandbox.write("m.yaml", &external(&url, ""));
        let arguments = ["apply", "-f", "m.yaml", "--yes", "--wait=10m", "--embedded"];
        let mut waiting = Running::start(sandbox.command(&arguments));
        waiting.until("has not joined the room");
        waiting.signal(signal);
        let ended = waiting.ends(Duration::from_secs(20));
        assert_eq!(ended.code, 7, "{}", ended.stderr);
        let told = "warning: the wait is stopped; what was applied stays applied\n";
        assert!(ended.stderr.contains(told), "{}", ended.stderr);
        let told = "everything was applied, but the wait was stopped before the service was seen to work: Service/calc@demo: its agent";
        assert!(ended.stderr.contains(told), "{}", ended.stderr);
        assert!(ended.stdout.ends_with("Applied: 2 done.\n"), "{}", ended.stdout);
        sandbox.embedded(0, &["plan", "-f", "m.yaml", "--exit-code"]);
    }
}

#[test]
fn a_room_that_is_full_is_entered_later_and_the_others_are_watched_meanwhile() {
    // Whoever waits in one room keeps itself out of the other.
    let place = Place::with(&["--max-participants", "1"]);
    let alone = |name: &str| {
        let all = in_room(name, "http://127.0.0.1:1");
        all.split("ports:").next().unwrap().to_owned()
    };
    place.sandbox.write("m.yaml", &[alone("one"), alone("two")].join("---\n"));
    let done = place.run(&["apply", "-f", "m.yaml", "--yes", "--wait=1m"]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert!(done.stderr.contains("its room cannot be entered now: "), "{}", done.stderr);
    for name in ["one", "two"] {
        let told = format!("Service/{name}@{name} works\n");
        assert!(done.stderr.contains(&told), "{}", done.stderr);
    }
}

#[test]
fn a_room_that_cannot_be_entered_is_told_with_its_service() {
    let place = Place::with(&[]);
    place.sandbox.write("m.yaml", &in_room("one", "http://127.0.0.1:1"));
    // Nothing listens there.
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut apply = place.command(&["apply", "-f", "m.yaml", "--yes", "--wait=3s", "-o", "json"]);
    apply.env("MESHAGENT_ROOM_URL", format!("ws://{closed}"));
    let failed = Run::of(apply.output().unwrap());
    assert_eq!(failed.code, 7, "{}", failed.stderr);
    let told = "everything was applied, but the service does not work: Service/one@one: its room cannot be entered now: ";
    assert!(failed.stderr.contains(told), "{}", failed.stderr);
    let events = failed.events();
    let [.., last, _] = events.as_slice() else { panic!("{events:?}") };
    assert_eq!((&last["event"], &last["health"]), (&"health".into(), &"unhealthy".into()));
}

#[test]
fn a_room_that_is_deleted_meanwhile_is_not_waited_for() {
    let place = Place::with(&[]);
    let (url, _) = service_that(0, false);
    place.sandbox.write("m.yaml", &in_room("one", &url));
    let apply = place.command(&["apply", "-f", "m.yaml", "--yes", "--wait=10m"]);
    let mut waiting = Running::start(apply);
    waiting.until("has not joined the room");
    assert_eq!(place.run(&["rooms", "delete", "--name", "one"]).code, 0);
    waiting.until("Service/one@one: the connection to its room was lost: ");
    let ended = waiting.ends(Duration::from_secs(20));
    assert_eq!(ended.code, 7, "{}", ended.stderr);
    let told = "Service/one@one cannot work: its room cannot be entered: ";
    assert!(ended.stderr.contains(told), "{}", ended.stderr);
    assert!(!ended.stderr.contains("has not joined"), "{}", ended.stderr);
}

#[test]
fn a_platform_that_is_gone_meanwhile_is_told_at_once_and_tried_again() {
    let mut place = Place::with(&[]);
    let (url, _) = service_that(0, false);
    place.sandbox.write("m.yaml", &in_room("one", &url));
    let apply = place.command(&["apply", "-f", "m.yaml", "--yes", "--wait=6s"]);
    let mut waiting = Running::start(apply);
    waiting.until("has not joined the room");
    place.process.child.kill().unwrap();
    waiting.until("Service/one@one: the connection to its room was lost: ");
    let ended = waiting.ends(Duration::from_secs(20));
    assert_eq!(ended.code, 7, "{}", ended.stderr);
    assert!(ended.stderr.contains("the service does not work"), "{}", ended.stderr);
    assert!(!ended.stderr.contains("has not joined"), "{}", ended.stderr);
}

#[test]
fn what_does_not_work_in_time_is_named_and_has_a_code_of_its_own() {
    let sandbox = Sandbox::new();
    let (url, _) = service_that(0, false);
    // Its agent never joins.
    sandbox.write("m.yaml", &external(&url, "agents: [{name: calculator}]\n"));
    let failed = sandbox.embedded(7, &["apply", "-f", "m.yaml", "--yes", "--wait=2s"]);
    let told = "Service/calc@demo: its agent \"calculator\" has not joined the room";
    assert!(failed.stderr.contains(told), "{}", failed.stderr);
    let told = "everything was applied, but the service does not work";
    assert!(failed.stderr.contains(told), "{}", failed.stderr);
    assert!(failed.stderr.contains("meshagent room service list"), "{}", failed.stderr);
}

#[test]
fn what_the_platform_cannot_run_is_not_waited_for() {
    let sandbox = Sandbox::new();
    sandbox.write(
        "m.yaml",
        "version: v1\nkind: Room\nmetadata: {name: demo}\n---\n\
         version: v1\nkind: Service\nmetadata: {name: boxed}\nroom: demo\n\
         container: {image: x}\nports: [{num: 80}]\n---\n\
         version: v1\nkind: Service\nmetadata: {name: everywhere}\n\
         container: {image: x}\nports: [{num: 80}]\n",
    );
    let arguments = ["apply", "-f", "m.yaml", "--yes", "--wait=10m", "-o", "json"];
    let failed = sandbox.embedded(7, &arguments);
    let events: Vec<Value> =
        failed.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let told = |event: &str| events.iter().filter(|it| it["event"] == event).collect::<Vec<_>>();
    let health = told("health");
    assert_eq!(health.len(), 1, "{health:?}");
    assert_eq!(
        (&health[0]["address"], &health[0]["health"]),
        (&"Service/boxed@demo".into(), &"broken".into())
    );
    let note = told("note").into_iter().map(|it| it["message"].as_str().unwrap().to_owned());
    let expected = "Service/everywhere is not checked: no room of the project runs";
    assert!(note.collect::<Vec<_>>().contains(&expected.to_owned()));
    assert_eq!(events.last().unwrap()["event"], "summary");
}
