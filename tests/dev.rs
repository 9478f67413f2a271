//! `dev` and `build`: a platform that follows a folder, and images that are built of one.

use std::io::{BufRead as _, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::cli::{Run, Sandbox};
use crate::engine_here::{EngineHere, IMAGE};
use crate::needs;

/// How long something may take on a machine that does other things as well.
const PATIENCE: Duration = Duration::from_secs(120);

const ROOM: &str = "version: v1\nkind: Room\nmetadata:\n  name: lobby\n";

/// A run of `dev`. It is killed if the test fails.
struct Dev {
    child: Child,
    lines: Receiver<String>,
    aside: Receiver<String>,
}

/// The lines of a pipe, as they come.
fn lines(pipe: impl Read + Send + 'static) -> Receiver<String> {
    let (send, receive) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(pipe).lines().map_while(Result::ok) {
            if send.send(line).is_err() {
                return;
            }
        }
    });
    receive
}

impl Dev {
    fn start(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let lines_of = lines(child.stdout.take().unwrap());
        let aside = lines(child.stderr.take().unwrap());
        Self { child, lines: lines_of, aside }
    }

    /// Waits for an event for which something holds, over all others.
    #[track_caller]
    fn event(&self, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
        loop {
            let line = self.lines.recv_timeout(PATIENCE);
            let line = line.unwrap_or_else(|_| panic!("{what} does not come: {}", self.told()));
            let event: Value = serde_json::from_str(&line).unwrap();
            if holds(&event) {
                return event;
            }
        }
    }

    /// Waits for the end of a round that did something.
    #[track_caller]
    fn applied(&self) -> Value {
        let summary = self.event("a summary", |it| it["event"] == "summary");
        assert_eq!(summary["complete"], true, "{summary}");
        summary
    }

    /// Waits for a line beside the data.
    #[track_caller]
    fn aside(&self, part: &str) -> String {
        loop {
            let line = self.aside.recv_timeout(PATIENCE);
            let line = line.unwrap_or_else(|_| panic!("{part:?} is not told"));
            if line.contains(part) {
                return line;
            }
        }
    }

    /// What was told beside the data and not asked for.
    fn told(&self) -> String {
        self.aside.try_iter().collect::<Vec<_>>().join("\n")
    }

    /// The exit code after a signal.
    fn ended(mut self, signal: Signal) -> Option<i32> {
        // Errors that were asked for have come.
        let _ = self.told();
        kill(Pid::from_raw(i32::try_from(self.child.id()).unwrap()), signal).unwrap();
        let code = self.child.wait().unwrap().code();
        // What it still had to say was said without an error.
        let told = self.told();
        assert!(!told.contains("error:"), "{told}");
        code
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs a command on the platform of a run of `dev`, as its variables say.
fn there(sandbox: &Sandbox, ready: &Value, words: &[&str]) -> Run {
    let script = format!(". ./{} && exec \"$M\" \"$@\"", ready["variables"].as_str().unwrap());
    let mut command = sandbox.command(&[]);
    let mut shell = Command::new("sh");
    shell.args(["-c", &script, "sh"]).args(words).current_dir(sandbox.path("."));
    shell.env_clear().env("M", command.get_program()).env("HOME", sandbox.path("."));
    shell.env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command.stdin(Stdio::null());
    Run::of(shell.output().unwrap())
}

const WORDS: [&str; 6] = ["dev", "manifests", "--listen", "127.0.0.1:0", "--output", "json"];

#[test]
fn a_folder_is_followed_until_a_signal_ends_it() {
    let sandbox = Sandbox::new();
    std::fs::create_dir(sandbox.path("manifests")).unwrap();
    sandbox.write("manifests/room.yaml", ROOM);
    let dev = Dev::start(sandbox.command(&[&WORDS[..], &["--containers", "none"]].concat()));
    let ready = dev.event("the platform", |it| it["event"] == "ready");
    assert_eq!(dev.applied()["done"], 1);
    let rooms = there(&sandbox, &ready, &["rooms", "list"]);
    assert!(rooms.stdout.contains("lobby"), "{}{}", rooms.stdout, rooms.stderr);

    // What somebody writes is applied.
    sandbox.write("manifests/hall.yaml", &ROOM.replace("lobby", "hall"));
    let planned = dev.event("a plan", |it| it["event"] == "planned");
    assert_eq!(planned["plan"]["operations"][0]["key"]["name"], "hall", "{planned}");
    dev.applied();

    // What is wrong is told at its place, and nothing else becomes of it.
    sandbox.write("manifests/hall.yaml", &ROOM.replace("Room", "Rom"));
    let error = dev.event("an error", |it| it["event"] == "error");
    assert_eq!(error["problems"][0]["place"]["file"], "manifests/hall.yaml", "{error}");
    assert_eq!(error["problems"][0]["place"]["line"], 2, "{error}");
    dev.aside("manifests/hall.yaml:2:");
    let rooms = there(&sandbox, &ready, &["rooms", "list"]);
    assert!(rooms.stdout.contains("hall"), "{}", rooms.stdout);

    // What is mended is applied, and what left the folder is deleted, which is shown.
    std::fs::remove_file(sandbox.path("manifests/hall.yaml")).unwrap();
    let gone = dev.event("a delete", |it| it["event"] == "finished");
    assert_eq!((&gone["action"], &gone["address"]), (&"delete".into(), &"Room/hall".into()));
    dev.applied();

    // What is logged in a room that is declared is shown: whoever watches it is in it.
    let words = [
        "room",
        "agent",
        "invoke-tool",
        "--room",
        "lobby",
        "--toolkit",
        "developer",
        "--timeout",
        "0",
    ];
    let logged = ["--tool", "info", "--arguments", "{\"message\": \"hello\\nthere\"}"];
    let invoked = there(&sandbox, &ready, &[&words[..], &logged].concat());
    assert_eq!(invoked.code, 0, "{}{}", invoked.stdout, invoked.stderr);
    let log = dev.event("a log", |it| it["event"] == "log" && it["message"] == "hello\nthere");
    assert_eq!((&log["room"], &log["severity"]), (&"lobby".into(), &"INFO".into()), "{log}");

    let variables = sandbox.path(ready["variables"].as_str().unwrap());
    assert!(variables.exists());
    assert_eq!(dev.ended(Signal::SIGINT), Some(0));
    assert!(!variables.exists(), "the variables of a platform that is gone are left");
    let url = ready["url"].as_str().unwrap().trim_start_matches("http://");
    assert!(std::net::TcpStream::connect(url).is_err(), "something still listens");

    // What was there is there again, and shown to people this time.
    let mut words = WORDS[..4].to_vec();
    words.extend(["--containers", "none"]);
    let dev = Dev::start(sandbox.command(&words));
    dev.aside("nothing to change");
    sandbox.write("manifests/hall.yaml", &ROOM.replace("lobby", "hall"));
    let line = dev.lines.recv_timeout(PATIENCE).unwrap();
    assert_eq!(line, "done: create Room/hall");
    assert_eq!(dev.ended(Signal::SIGTERM), Some(0));
}

#[test]
fn a_project_file_says_what_is_followed_and_secrets_are_not_shown() {
    let sandbox = Sandbox::new();
    std::fs::create_dir(sandbox.path("manifests")).unwrap();
    // The project and the platform of an environment are those of others.
    let project = "version: v1\nenvironments:\n  prod:\n    project: elsewhere\n    \
                   api_url: https://example.invalid\n    values: {room: hall}\n    \
                   overrides:\n      Room/hall: {room_metadata.displayName: Overridden}\n";
    sandbox.write("meshagent.yaml", project);
    sandbox.write("manifests/room.yaml.j2", &ROOM.replace("lobby", "{{ room }}"));
    let secret = "version: v1\nkind: Secret\nmetadata: {name: keys}\ntype: keys\n\
                  data: {TOKEN: {from: {file: token.txt}}}\n";
    sandbox.write("manifests/secret.yaml", secret);
    sandbox.write("manifests/token.txt", "open-sesame-1\n");
    let mut command = sandbox.command(&["dev", "--listen", "127.0.0.1:0", "--containers", "none"]);
    command.args(["--output", "json", "-e", "prod"]);
    let dev = Dev::start(command);
    let ready = dev.event("the platform", |it| it["event"] == "ready");
    let planned = dev.event("a plan", |it| it["event"] == "planned");
    assert!(planned.to_string().contains("Overridden"), "{planned}");
    assert!(!planned.to_string().contains("open-sesame"), "{planned}");
    dev.applied();
    let rooms = there(&sandbox, &ready, &["rooms", "list"]);
    assert!(rooms.stdout.contains("hall"), "{}{}", rooms.stdout, rooms.stderr);
    // A secret that somebody logs is not shown.
    let words = [
        "room",
        "agent",
        "invoke-tool",
        "--room",
        "hall",
        "--toolkit",
        "developer",
        "--timeout",
        "0",
    ];
    let logged = ["--tool", "info", "--arguments", "{\"message\": \"it is open-sesame-1 .\"}"];
    assert_eq!(there(&sandbox, &ready, &[&words[..], &logged].concat()).code, 0);
    let log = dev.event("a log", |it| it["event"] == "log");
    let message = log["message"].as_str().unwrap();
    assert!(message.starts_with("it is ") && !message.contains("open-sesame"), "{log}");
    // The file of a secret is followed, and the project file.
    sandbox.write("manifests/token.txt", "open-sesame-2\n");
    let planned = dev.event("a plan", |it| it["event"] == "planned");
    assert_eq!(planned["plan"]["operations"][0]["key"]["kind"], "Secret", "{planned}");
    dev.applied();
    sandbox.write("meshagent.yaml", &project.replace("Overridden", "Other"));
    let planned = dev.event("a plan", |it| it["event"] == "planned");
    assert!(planned.to_string().contains("Other"), "{planned}");
    dev.applied();
    assert_eq!(dev.ended(Signal::SIGINT), Some(0));
}

#[test]
fn what_cannot_be_followed_is_refused() {
    let sandbox = Sandbox::new();
    let nothing = sandbox.run(&["dev", "--listen", "127.0.0.1:0"]);
    assert_eq!(nothing.code, 2, "{}", nothing.stderr);
    assert!(nothing.stderr.contains("no manifests are given"), "{}", nothing.stderr);
    let piped = sandbox.run(&["dev", "-f", "-", "--listen", "127.0.0.1:0"]);
    assert_eq!(piped.code, 2, "{}", piped.stderr);
    assert!(piped.stderr.contains("cannot be read again"), "{}", piped.stderr);
    sandbox.write("room.yaml", ROOM);
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let busy = sandbox.run(&["dev", "room.yaml", "--listen", &address]);
    assert_eq!(busy.code, 1);
    assert!(busy.stderr.contains("choose another port with --listen"), "{}", busy.stderr);
    assert!(!sandbox.path(".meshagent").exists(), "something is left");
}

/// A service whose image is built.
const SERVICE: &str = "version: v1\nkind: Service\nmetadata:\n  name: agent\nroom: lobby\n\
                       build:\n  context: ../agent\ncontainer:\n  command: /bin/sleep 600\n";

/// A project with an agent whose image is built.
fn with_agent() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.repository("project");
    for folder in ["manifests", "agent"] {
        std::fs::create_dir(sandbox.path("project").join(folder)).unwrap();
    }
    sandbox.write("project/manifests/room.yaml", ROOM);
    sandbox.write("project/manifests/service.yaml", SERVICE);
    sandbox.write("project/agent/Containerfile", &format!("FROM {IMAGE}\nCOPY text /text\n"));
    sandbox.write("project/agent/text", "one\n");
    sandbox
}

#[test]
fn a_plan_tells_of_an_image_that_somebody_has_to_build_and_needs_no_engine() {
    let sandbox = with_agent();
    let without = |words: &[&str]| {
        let mut command = sandbox.command(words);
        command.env("CONTAINER_HOST", "unix:///nowhere").env("DOCKER_HOST", "unix:///nowhere");
        Run::of(command.output().unwrap())
    };
    let valid = without(&["validate", "-f", "project/manifests"]);
    assert_eq!(valid.code, 0, "{}", valid.stderr);
    let plan = without(&["plan", "-f", "project/manifests", "--embedded"]);
    assert!(plan.stderr.contains("must be built: `meshagent build`"), "{}", plan.stderr);
    let applied = without(&["apply", "-f", "project/manifests", "--embedded", "--yes"]);
    assert_eq!(applied.code, 0, "{}", applied.stderr);
    assert!(applied.stderr.contains("must be built: `meshagent build`"), "{}", applied.stderr);
    let again = without(&["plan", "-f", "project/manifests", "--embedded"]);
    assert!(!again.stderr.contains("must be built"), "{}", again.stderr);
    sandbox.write("project/agent/text", "two\n");
    let changed = without(&["plan", "-f", "project/manifests", "--embedded"]);
    let images = changed.stdout.matches("localhost/agent:").count();
    assert!(changed.stdout.contains("image") && images == 2, "{}", changed.stdout);
    let service = without(&["service", "list", "--room", "lobby", "--embedded", "-o", "json"]);
    assert!(!service.stdout.contains("build"), "{}", service.stdout);
    // What an operator wrote is not written into the place of a folder.
    let built = without(&["build", "-f", "project/manifests"]);
    assert_eq!(built.code, 1, "{}", built.stderr);
    assert!(built.stderr.contains("no engine for containers"), "{}", built.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_is_built_once_for_each_content() {
    if !needs::podman("images of folders") {
        return;
    }
    let here = EngineHere::start("").await;
    let sandbox = with_agent();
    let socket = here.engine.socket().display().to_string();
    let build = |more: &[&str]| {
        let words = [&["build", "-f", "project/manifests", "--containers", &socket], more].concat();
        sandbox.run(&words)
    };
    let first = build(&["--output", "json"]);
    assert_eq!(first.code, 0, "{}{}", first.stdout, first.stderr);
    let first = &first.json()[0];
    assert_eq!(
        (&first["built"], &first["services"][0]),
        (&true.into(), &"Service/agent@lobby".into())
    );
    let again = build(&[]);
    let image = first["image"].as_str().unwrap();
    assert_eq!(again.stdout, format!("Service/agent@lobby  {image} (was there)\n"));
    here.engine.digest_of(image).await.expect("the image");
    let pushed = build(&["--push"]);
    assert_eq!(pushed.code, 2);
    assert!(pushed.stderr.contains("say its name with its registry"), "{}", pushed.stderr);
    sandbox.write("project/agent/Containerfile", &format!("FROM {IMAGE}\nRUN [\"/bin/false\"]\n"));
    let failed = build(&[]);
    assert_eq!(failed.code, 1);
    assert!(failed.stderr.contains("/bin/false"), "{}", failed.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_is_built_again_when_its_folder_changes() {
    if !needs::podman("images of folders") {
        return;
    }
    let here = EngineHere::start("").await;
    let sandbox = with_agent();
    let socket = here.engine.socket().display().to_string();
    let mut words = [&WORDS[..], &["--containers", &socket]].concat();
    words[1] = "project/manifests";
    let dev = Dev::start(sandbox.command(&words));
    let image = |event: &Value| event["image"].as_str().unwrap_or_default().to_owned();
    let first = dev.event("an image", |it| it["event"] == "image");
    assert_eq!(first["failure"], Value::Null, "{first}");
    assert_eq!(dev.applied()["done"], 2);

    sandbox.write("project/agent/text", "two\n");
    let second = dev.event("an image", |it| it["event"] == "image");
    assert_ne!(image(&second), image(&first));
    let planned = dev.event("a plan", |it| it["event"] == "planned");
    let change = &planned["plan"]["operations"][0]["changes"][0];
    assert_eq!(
        (&change["path"], &change["old"], &change["new"]),
        (&"container.image".into(), &image(&first).into(), &image(&second).into()),
        "{planned}"
    );
    dev.applied();
    here.engine.digest_of(&image(&second)).await.expect("the image");

    // An image that cannot be built leaves the old one, and what else changed is applied.
    sandbox.write("project/agent/Containerfile", &format!("FROM {IMAGE}\nRUN [\"/bin/false\"]\n"));
    sandbox.write("project/manifests/hall.yaml", &ROOM.replace("lobby", "hall"));
    let third = dev.event("a failure", |it| it["event"] == "image");
    assert_ne!(third["failure"], Value::Null, "{third}");
    let finished = dev.event("an operation", |it| it["event"] == "finished");
    assert_eq!(finished["address"], "Room/hall", "{finished}");
    dev.aside("stays as it is");
    sandbox.write("project/agent/Containerfile", &format!("FROM {IMAGE}\nCOPY text /text\n"));
    // The image of this content is there: nothing is built, and nothing has to change.
    sandbox.write("project/agent/text", "three\n");
    let fourth = dev.event("an image", |it| it["event"] == "image");
    assert_eq!(fourth["failure"], Value::Null, "{fourth}");
    dev.applied();
    assert_eq!(dev.ended(Signal::SIGINT), Some(0));
    let left = here.engine.list(&std::collections::BTreeMap::new(), true).await.unwrap();
    assert_eq!(left, [], "containers are left");
}
