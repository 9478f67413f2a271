//! Programs that are called to rooms of the embedded platform, by the commands for that.

use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::cli::{Run, Sandbox};
use crate::helper::program::Program;
use crate::needs;
use crate::platform::process::{Process, Reached, server};

/// A platform, and a folder for the commands that use it.
pub struct Place {
    pub sandbox: Sandbox,
    pub process: Process,
}

impl Place {
    fn new() -> Self {
        let place = Self::with(&[]);
        assert_eq!(place.run(&["rooms", "create", "--name", "demo"]).code, 0);
        place
    }

    /// A platform without rooms, whose server has these options.
    pub fn with(options: &[&str]) -> Self {
        let sandbox = Sandbox::new();
        let process = Process::start(server(&sandbox.path("data"), "").args(options));
        Self { sandbox, process }
    }

    pub fn command(&self, arguments: &[&str]) -> std::process::Command {
        let Reached { url, key, project, .. } = &self.process.reached;
        let mut command = self.sandbox.command(arguments);
        command
            .env("MESHAGENT_API_URL", url)
            .env("MESHAGENT_API_KEY", key)
            .env("MESHAGENT_PROJECT_ID", project);
        command
    }

    pub fn run(&self, arguments: &[&str]) -> Run {
        Run::of(self.command(arguments).output().expect("it runs"))
    }

    /// What a command prints once it prints what is expected.
    fn until(&self, arguments: &[&str], expected: impl Fn(&str) -> bool) -> String {
        let begun = Instant::now();
        loop {
            let run = self.run(arguments);
            assert_eq!(run.code, 0, "{}", run.stderr);
            if expected(&run.stdout) {
                return run.stdout;
            }
            assert!(begun.elapsed() < Duration::from_secs(30), "{}", run.stdout);
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

/// A child that is ended with this value.
struct Ends(Child);

impl Drop for Ends {
    fn drop(&mut self) {
        let id = i32::try_from(self.0.id()).expect("an id");
        let _ = kill(Pid::from_raw(id), Signal::SIGTERM);
        let _ = self.0.wait();
    }
}

#[tokio::test]
async fn a_helper_is_called_to_a_room_that_is_recorded() {
    let helper = Program::start().await;
    let place = Place::new();
    let url = format!("http://{}/toolkits/storage", helper.address);
    let called = place.run(&[
        "call",
        "toolkit",
        "--room",
        "demo",
        "--participant-name",
        "files",
        "--url",
        &url,
    ]);
    assert_eq!(called.code, 0, "{}", called.stderr);
    let list = ["room", "agent", "list-toolkits", "--room", "demo", "-q"];
    assert_eq!(place.until(&list, |listed| !listed.is_empty()), "storage\n");
    // Who is in the room is listed without entering it.
    let there = place.run(&["room", "list", "--room", "demo", "-o", "json"]).json();
    assert_eq!((there.as_array().map(Vec::len), &there[0]["name"]), (Some(1), &"files".into()));
    let named = there[0]["id"].as_str().expect("an id");
    let quiet = place.run(&["room", "list", "--room", "demo", "-q"]);
    assert_eq!(quiet.stdout, format!("{named}\n"));
    assert_eq!(place.run(&["room", "list", "--room", "none"]).code, 1);
    // The room goes on for the helper, and what happened in it can be read.
    let sessions = place.run(&["session", "list", "-o", "json"]).json();
    let session =
        sessions["sessions"].as_array().expect("sessions").first().expect("a session").clone();
    assert_eq!((&session["room_name"], &session["is_active"]), (&"demo".into(), &true.into()));
    let id = session["id"].as_str().expect("an id");
    let events = place.run(&["session", "show", id, "-o", "json"]).json();
    let kinds =
        events["events"].as_array().expect("events").iter().map(|event| event["type"].clone());
    let kinds: Vec<_> = kinds.collect();
    assert!(kinds.contains(&"participant.joined".into()), "{kinds:?}");
    assert!(kinds.contains(&"toolkit.registered".into()), "{kinds:?}");
    assert_eq!(helper.end(Signal::SIGTERM).0, Some(0));
    place.until(&["session", "list", "-o", "json"], |listed| !listed.contains("true"));
}

#[test]
fn a_command_that_a_signal_ends_gives_its_number() {
    let place = Place::new();
    for (signal, code) in [("KILL", 137), ("TERM", 143)] {
        let command = format!("sh -c 'kill -{signal} $$'");
        let run = place.run(&["service", "run", "--room", "demo", &command]);
        assert_eq!(run.code, code, "{}", run.stderr);
        assert!(run.stderr.contains("error: the command ended with signal"), "{}", run.stderr);
    }
    assert_eq!(place.run(&["service", "run", "--room", "demo", "false"]).code, 1);
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a listener");
    let port = taken.local_addr().expect("an address").port().to_string();
    let run = place.run(&["service", "run", "--room", "demo", "--port", &port, "true"]);
    assert!(run.stderr.contains(&format!("listens on port {port} already")), "{}", run.stderr);
}

/// A participant that may do little.
const LITTLE: &str = "version: v1\nkind: ParticipantToken\nidentity: x\nroom: demo\n\
                      api: {storage: {paths: [{path: data, read_only: true}]}}\n";

#[test]
fn what_a_token_does_not_grant_is_named_at_once() {
    let place = Place::new();
    place.sandbox.write("token.yaml", LITTLE);
    place.sandbox.write("a.txt", "a");
    let token = place.run(&["token", "generate", "-i", "token.yaml"]).stdout;
    for (arguments, grant) in [
        (&["messaging", "list"][..], "messaging"),
        (&["messaging", "broadcast", "--data", "{}"], "messaging"),
        (&["queue", "receive", "--queue", "q"], "queues.receive"),
        (&["developer", "watch"], "developer.logs"),
        (&["storage", "cp", "a.txt", "room://data/a.txt"], "storage.paths, not read_only"),
    ] {
        let words = [&["room"], arguments, &["--room", "demo"]].concat();
        let mut command = place.command(&words);
        command.env_remove("MESHAGENT_API_KEY").env_remove("MESHAGENT_PROJECT_ID");
        command.env("MESHAGENT_ROOM", "demo").env("MESHAGENT_TOKEN", token.trim());
        let begun = Instant::now();
        let run = Run::of(command.output().expect("it runs"));
        assert_eq!(run.code, 1, "{arguments:?}");
        let hint = format!("(1001)\nhint: the token for the room must grant {grant}\n");
        assert!(run.stderr.ends_with(&hint), "{}", run.stderr);
        assert!(begun.elapsed() < Duration::from_secs(5), "{arguments:?}");
    }
}

#[test]
fn a_room_says_why_it_cannot_be_entered() {
    let place = Place::new();
    let url = |process: &Process| process.reached.url.clone();
    // A room that runs keeps its process from leaving it to another one.
    let second = Process::start(&mut server(&place.sandbox.path("data"), ""));
    let mut command = place.command(&["room", "queue", "size", "--room", "demo", "--queue", "q"]);
    command.env("MESHAGENT_API_URL", url(&second));
    let run = Run::of(command.output().expect("it runs"));
    assert_eq!(run.code, 1);
    let why = "it answered with 503 Service Unavailable: another process runs the rooms";
    assert!(run.stderr.contains(why), "{}", run.stderr);
    assert!(run.stderr.contains("\nhint: "), "{}", run.stderr);
}

#[test]
fn a_server_refuses_what_would_be_no_secret_and_no_folder_of_its_own() {
    let sandbox = Sandbox::new();
    std::fs::create_dir(sandbox.path("holds")).expect("a folder");
    sandbox.write("holds/x", "x");
    sandbox.write("blank", " \n");
    let large = "100000000";
    for (arguments, told) in [
        (["--data", "holds"], "holds holds other files and no embedded platform"),
        (["--webhook-secret", ""], "--webhook-secret is empty"),
        (["--webhook-secret-file", "blank"], "the file blank is empty"),
        (["--max-rooms", "0"], "write a number from 1"),
        (["--max-participants", "0"], "write a number from 1"),
    ] {
        let run = sandbox.run(&[&["server", "--listen", "127.0.0.1:0"], &arguments[..]].concat());
        assert_eq!(run.code, 2, "{arguments:?}: {}", run.stderr);
        assert!(run.stderr.contains(told), "{}", run.stderr);
    }
    assert_eq!(std::fs::read_dir(sandbox.path("holds")).expect("a folder").count(), 1);
    // A folder that holds a platform is one, whatever else is in it.
    drop(Process::start(&mut server(&sandbox.path("data"), "")));
    sandbox.write("data/x", "x");
    let said = sandbox.path("said");
    let mut command = server(&sandbox.path("data"), "ulimit -n 4096;");
    command.args(["--max-participants", large]);
    command.stderr(std::fs::File::create(&said).expect("a file"));
    let process = Process::start(&mut command);
    // It is ready before it has said everything.
    let told = || std::fs::read_to_string(&said).expect("a file");
    let begun = std::time::Instant::now();
    while !told().contains("connections in all, participants among them") {
        assert!(begun.elapsed() < std::time::Duration::from_secs(10), "{}", told());
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    drop(process);
}

/// A service of the public SDK with one toolkit.
const SERVICE: &str = r#"
import asyncio
from meshagent.api.services import ServiceHost
from meshagent.tools.hosting import RemoteToolkit
from meshagent.tools.tool import FunctionTool
from meshagent.api.messaging import JsonContent

class Add(FunctionTool):
    def __init__(self):
        super().__init__(name="add", input_schema={
            "type": "object", "properties": {"a": {"type": "number"}, "b": {"type": "number"}},
            "required": ["a", "b"], "additionalProperties": False})
    async def execute(self, context, *, a, b):
        return JsonContent(json={"sum": a + b})

service = ServiceHost(host="127.0.0.1")

@service.path(path="/math", identity="calculator")
class Math(RemoteToolkit):
    def __init__(self):
        super().__init__(name="math", tools=[Add()])

asyncio.run(service.run())
"#;

#[test]
fn a_service_of_the_public_sdk_runs_in_a_room() {
    let Some(python) = needs::python("`service run` with the public SDK") else { return };
    let place = Place::new();
    place.sandbox.write("service.py", SERVICE);
    let command = format!("{} service.py", python.display());
    let mut running = place.command(&["service", "run", "--room", "demo", &command]);
    let running = running.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let running = Ends(running.spawn().expect("it runs"));
    let list = ["room", "agent", "list-toolkits", "--room", "demo", "-q"];
    assert_eq!(place.until(&list, |listed| !listed.is_empty()), "math\n");
    drop(running);
    assert_eq!(place.until(&list, str::is_empty), "");
}
