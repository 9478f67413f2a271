//! The program from the outside: what it prints, where, and how it ends.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use crate::needs;

/// A folder, a home and an environment of its own for one test.
pub struct Sandbox {
    folder: tempfile::TempDir,
}

/// How a run ended.
pub struct Run {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Sandbox {
    pub fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    /// One in which the embedded platform is there already, so that nothing is told of that.
    pub fn with_platform() -> Self {
        let sandbox = Self::new();
        sandbox.embedded(0, &["rooms", "list"]);
        sandbox
    }

    pub fn with_examples() -> Self {
        let sandbox = Self::new();
        let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
        for entry in walkdir::WalkDir::new(&examples).into_iter().map(Result::unwrap) {
            let to = sandbox.path("examples").join(entry.path().strip_prefix(&examples).unwrap());
            if entry.file_type().is_dir() {
                std::fs::create_dir_all(to).unwrap();
            } else {
                std::fs::copy(entry.path(), to).unwrap();
            }
        }
        sandbox
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Makes a folder the root of a repository.
    pub fn repository(&self, folder: &str) {
        let git = self.path(folder).join(".git");
        std::fs::create_dir_all(&git).unwrap();
        std::fs::write(git.join("HEAD"), "ref: refs/heads/main\n").unwrap();
    }

    pub fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    fn edit(&self, name: &str, from: &str, to: &str) {
        let text = std::fs::read_to_string(self.path(name)).unwrap();
        assert!(text.contains(from), "{name} does not hold {from:?}");
        self.write(name, &text.replace(from, to));
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_meshagent"));
        command
            .args(arguments)
            .current_dir(self.folder.path())
            .env_clear()
            .env("HOME", self.folder.path())
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .envs([needs::NO_ENGINE])
            .stdin(Stdio::null());
        command
    }

    pub fn run(&self, arguments: &[&str]) -> Run {
        Run::of(self.command(arguments).output().unwrap())
    }

    /// Runs on the embedded platform and expects this exit code.
    #[track_caller]
    pub fn embedded(&self, code: i32, arguments: &[&str]) -> Run {
        let run = self.run(&[arguments, &["--embedded"]].concat());
        assert_eq!(run.code, code, "{}\n{}", run.stdout, run.stderr);
        run
    }
}

impl Run {
    /// The lines of standard output, each of them JSON.
    pub fn events(&self) -> Vec<serde_json::Value> {
        self.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    pub fn of(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("{error}: {}", self.stdout))
    }
}

const FILES: [&str; 2] = ["-f", "examples/manifests"];

fn words<'a>(command: &[&'a str]) -> Vec<&'a str> {
    [command, &FILES].concat()
}

#[test]
fn the_example_is_applied_changed_and_destroyed() {
    let sandbox = Sandbox::with_examples();
    let first = sandbox.embedded(0, &words(&["apply", "--yes"]));
    assert!(first.stdout.ends_with("Applied: 15 done.\n"), "{}", first.stdout);
    insta::assert_snapshot!("example_plan", first.stdout);
    let again = sandbox.embedded(0, &words(&["apply", "--yes"]));
    let nothing =
        "Nothing to change in acme-support on the embedded platform: 15 objects are as declared.\n";
    assert_eq!(again.stdout, nothing);
    assert_eq!(again.stderr, "");

    sandbox.edit("examples/manifests/services/crm-tools.yaml", "crm-tools:1.4", "crm-tools:1.5");
    sandbox.edit("examples/manifests/rooms.yaml", "displayName: Lobby", "displayName: Entrance");
    sandbox.write("examples/manifests/secrets/crm-token.txt", "rotated\n");
    std::fs::remove_file(sandbox.path("examples/manifests/services/status-page.yaml")).unwrap();
    insta::assert_snapshot!(
        "changed_plan",
        sandbox.embedded(3, &words(&["plan", "--exit-code"])).stdout
    );
    insta::assert_snapshot!(
        "changed_diff",
        sandbox.embedded(3, &words(&["diff", "--exit-code"])).stdout
    );
    insta::assert_snapshot!("changed_graph", sandbox.embedded(0, &words(&["graph"])).stdout);
    insta::assert_snapshot!(
        "changed_dot",
        sandbox.embedded(0, &words(&["graph", "-l", "dot"])).stdout
    );
    insta::assert_snapshot!(
        "changed_markdown",
        sandbox.embedded(0, &words(&["plan", "-o", "markdown"])).stdout
    );
    let plan = sandbox.embedded(0, &words(&["plan", "-o", "json", "--out", "plan.json"])).json();
    let mut written: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(sandbox.path("plan.json")).unwrap()).unwrap();
    // A saved plan also says what it was made from.
    let inputs = written.as_object_mut().unwrap().shift_remove("inputs").unwrap();
    assert_eq!(inputs["files"], serde_json::json!(["examples/manifests"]));
    assert_eq!(plan, written);
    let schemas = meshagent::commands::schema::all();
    let (_, schema) = schemas.iter().find(|(name, _)| name == "plan.json").unwrap();
    jsonschema::validator_for(schema).unwrap().validate(&plan).unwrap();
    let events = sandbox.embedded(0, &words(&["apply", "--yes", "-o", "json"])).events();
    assert_eq!(events.iter().filter(|event| event["event"] == "finished").count(), 4);
    let (_, schema) = schemas.iter().find(|(name, _)| name == "events.json").unwrap();
    let validator = jsonschema::validator_for(schema).unwrap();
    for event in &events {
        assert!(validator.is_valid(event), "{event}");
    }
    assert_eq!(events[0]["event"], "planned");
    let summary = events.last().unwrap();
    assert_eq!((&summary["event"], &summary["done"]), (&"summary".into(), &4.into()));

    let refused = sandbox.embedded(6, &words(&["destroy", "--yes"]));
    assert!(refused.stderr.contains("Room/back-office would be destroyed, but it is protected"));
    sandbox.edit(
        "examples/manifests/rooms.yaml",
        "prevent_destroy: true",
        "prevent_destroy: false",
    );
    sandbox.embedded(0, &words(&["apply", "--yes"]));
    let destroyed = sandbox.embedded(0, &["destroy", "--yes"]);
    assert!(destroyed.stdout.ends_with("Applied: 14 done.\n"), "{}", destroyed.stdout);
    assert!(sandbox.embedded(0, &["destroy", "--yes"]).stdout.starts_with("Nothing to destroy: "));
}

#[test]
fn no_output_holds_a_secret() {
    let sandbox = Sandbox::with_examples();
    for (canary, change) in [("canary-old-8d1f", false), ("canary-new-8d1f", true)] {
        sandbox.write("examples/manifests/secrets/crm-token.txt", canary);
        sandbox.write("examples/manifests/secrets/registry-password.txt", canary);
        for command in [
            &["--log", "trace", "plan", "-o", "json", "--out", "plan.json"][..],
            &["--log", "trace", "plan", "-o", "markdown"],
            &["diff"],
            &["--log", "trace", "apply", "--yes"],
        ] {
            let run = sandbox.run(&[command, &FILES, &["--embedded"]].concat());
            assert!(
                !format!("{}{}", run.stdout, run.stderr).contains("canary"),
                "{command:?} of {change}"
            );
        }
        assert!(!std::fs::read_to_string(sandbox.path("plan.json")).unwrap().contains("canary"));
    }
}

#[test]
fn manifests_come_from_standard_input_and_templates() {
    use std::io::Write;
    let sandbox = Sandbox::new();
    let mut child = sandbox
        .command(&["plan", "-f", "-", "--embedded", "-o", "json"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(b"{\"version\": \"v1\", \"kind\": \"Room\", \"metadata\": {\"name\": \"a\"}}")
        .unwrap();
    let run = Run::of(child.wait_with_output().unwrap());
    assert_eq!(run.json()["operations"][0]["address"], "Room/a", "{}", run.stderr);

    std::fs::create_dir(sandbox.path("m")).unwrap();
    sandbox.write("m/values.yaml", "count: 2\nname: lobby\n");
    sandbox.write(
        "m/rooms.yaml.j2",
        "{% for i in range(count) %}\n---\nversion: v1\nkind: Room\nmetadata: {name: {{ name }}-{{ i }}}\n{% endfor %}",
    );
    let plan = sandbox.embedded(0, &["plan", "-f", "m", "-v", "name=hall", "-o", "json"]).json();
    let names: Vec<_> = plan["operations"]
        .as_array()
        .unwrap()
        .iter()
        .map(|op| op["address"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["Room/hall-0", "Room/hall-1"]);
    sandbox.write("m/values.yaml", "name: lobby\n");
    let run = sandbox.embedded(6, &["plan", "-f", "m"]);
    assert!(run.stderr.starts_with("m/rooms.yaml.j2:1:1: "), "{}", run.stderr);
}

#[test]
fn wrong_usage_is_told_in_one_line_with_a_hint() {
    let sandbox = Sandbox::with_examples();
    sandbox.embedded(0, &["rooms", "list"]);
    let cases: [&[&str]; 9] = [
        &["plan", "-f", "examples/manifests"],
        &["plan", "-f", "examples/manifests", "--embedded", "--set", "../x"],
        &["plan", "-f", "examples/manifests", "--api-url", "ftp://x"],
        &["apply", "-f", "examples/manifests", "--embedded"],
        &["validate", "-f", "nowhere"],
        &["explain", "Sevice"],
        &["explain", "Service.container.imag"],
        &["schema", "Nothing"],
        &["server", "--listen", "256.0.0.1:1"],
    ];
    let mut shown = String::new();
    for case in cases {
        let run = sandbox
            .command(case)
            .env("MESHAGENT_API_KEY", if case.contains(&"ftp://x") { "k" } else { "" })
            .output()
            .map(Run::of)
            .unwrap();
        // The plan itself is shown before it is asked for.
        shown += &format!("$ meshagent {}\n{}[exit {}]\n\n", case.join(" "), run.stderr, run.code);
    }
    let shown = crate::scenarios::without_kinds(&shown);
    insta::assert_snapshot!(shown);
}

#[test]
fn help_is_what_it_was() {
    let sandbox = Sandbox::new();
    let mut shown = String::new();
    for command in [
        "",
        "plan",
        "diff",
        "graph",
        "show",
        "apply",
        "accept",
        "destroy",
        "validate",
        "export",
        "explain",
        "schema",
        "secret",
        "secret encrypt",
        "secret decrypt",
        "secret keygen",
        "server",
    ] {
        let words: Vec<&str> = command.split_whitespace().chain(["--help"]).collect();
        let run = sandbox.run(&words);
        assert_eq!((run.code, run.stderr.as_str()), (0, ""));
        shown += &format!("$ meshagent {}\n{}\n", words.join(" "), run.stdout);
    }
    insta::assert_snapshot!(shown);
}

#[test]
fn every_kind_and_field_can_be_explained() {
    let sandbox = Sandbox::new();
    assert_eq!(sandbox.run(&["explain"]).stdout.lines().count(), meshagent::kinds::ALL.len());
    insta::assert_snapshot!(sandbox.run(&["explain", "mailbox"]).stdout);
    let field = sandbox.run(&["explain", "Service.container.environment.token.api.queues"]);
    assert!(field.stdout.contains("Queues that may be sent to"), "{}", field.stdout);
    for kind in meshagent::kinds::ALL {
        let example = sandbox.run(&["explain", &kind.name().to_string(), "--example"]);
        assert_eq!(example.stdout, kind.example());
    }
}

#[test]
fn the_settings_of_the_reference_are_honoured() {
    let sandbox = Sandbox::new();
    sandbox.write("room.yaml", "version: v1\nkind: Room\nmetadata: {name: a}\n");
    std::fs::create_dir(sandbox.path(".meshagent")).unwrap();
    sandbox.write(
        ".meshagent/project.json",
        "{\"active_project\": \"p-1\", \"active_api_keys\": {\"p-1\": \"ma-x\"}}",
    );
    // Nothing listens there; that it is asked shows that the key of the file was taken.
    let run = sandbox
        .command(&["plan", "-f", "room.yaml"])
        .env("MESHAGENT_API_URL", "http://127.0.0.1:9")
        .output()
        .map(Run::of)
        .unwrap();
    assert_eq!(run.code, 1);
    assert!(run.stderr.contains("GET /config had no answer"), "{}", run.stderr);
    sandbox.write(".meshagent/project.json", "{");
    let run = sandbox.run(&["plan", "-f", "room.yaml"]);
    assert_eq!(run.code, 2);
    assert!(
        run.stderr.contains("project.json:1:1: this is not a valid project file"),
        "{}",
        run.stderr
    );
}

#[test]
fn problems_are_shown_beside_their_lines_on_github() {
    let sandbox = Sandbox::new();
    std::fs::create_dir(sandbox.path("deploy")).unwrap();
    sandbox.write("deploy/room.yaml", "version: v1\nkind: Room\nmetadata: {name: a}\nrom: 1\n");
    let mut command = sandbox.command(&["validate", "-f", "room.yaml"]);
    command.current_dir(sandbox.path("deploy"));
    let quiet = Run::of(command.output().unwrap());
    assert!(!quiet.stderr.contains("::error"), "{}", quiet.stderr);
    command.env("GITHUB_ACTIONS", "true").env("GITHUB_WORKSPACE", sandbox.path(""));
    let run = Run::of(command.output().unwrap());
    assert_eq!((run.code, run.stdout.as_str()), (2, ""));
    let line = run.stderr.lines().find(|line| line.starts_with("::error ")).unwrap();
    assert!(
        line.starts_with(
            "::error file=deploy/room.yaml,line=4,col=1,title=meshagent::unknown field `rom`"
        ),
        "{line}"
    );
}
