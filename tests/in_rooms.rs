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
