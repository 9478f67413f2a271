//! The commands that write one object, against the embedded platform: what they show, what
//! they write, and what they say of sets.

use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;
use std::time::{Duration, Instant};

use axum::http::{HeaderMap, HeaderValue};
use axum::routing::{get, post};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::sync::mpsc::UnboundedReceiver;

use crate::cli::{Run, Sandbox};
use crate::hostile::plans;
use crate::hostile::proxy::Hostile;
use crate::platform::harness::Server;

/// Each creates one object; those before it make what it needs.
const CREATES: [&[&str]; 6] = [
    &["rooms", "create", "--name", "lobby", "--metadata", r#"{"displayName":"Lobby"}"#],
    &["mailbox", "create", "-a", "a@mail.meshagent.com", "--room", "lobby", "-q", "mail"],
    &["route", "create", "-d", "a.meshagent.app", "--room", "lobby", "-p", "80"],
    &[
        "scheduled-task",
        "add",
        "--id",
        "t1",
        "-r",
        "lobby",
        "-q",
        "q",
        "-s",
        "0 * * * *",
        "--payload",
        r#"{"a":1}"#,
    ],
    &["webhook", "create", "--name", "w", "--url", "http://127.0.0.1:9/x", "-e", "room.started"],
    &["secret", "key", "create", "--name", "k", "--data", "A=canary-41f0"],
];

#[test]
fn a_command_shows_what_it_would_do_and_does_it_when_it_is_told_to() {
    let sandbox = Sandbox::new();
    let mut shown = String::new();
    for words in CREATES {
        let line = words.join(" ");
        let plan = sandbox.embedded(0, &[words, &["--dry-run"]].concat());
        let manifest = sandbox.embedded(0, &[words, &["--as-manifest"]].concat());
        assert!(!format!("{}{}", plan.stdout, manifest.stdout).contains("canary"), "{line}");
        // The embedded platform makes up the project's id.
        let project = plan.stdout.strip_prefix("Plan for ").and_then(|it| it.split(' ').next());
        let plan = plan.stdout.replace(project.unwrap(), "(project)");
        shown += &format!("$ meshagent {line}\n{plan}{}\n", manifest.stdout);
        // Nothing was done, so the next one finds nothing in its way.
        sandbox.embedded(0, &[words, &["--report", "report.json"]].concat());
        let report = std::fs::read_to_string(sandbox.path("report.json")).unwrap();
        assert!(!report.contains("canary"), "{line}");
        let report: Value = serde_json::from_str(&report).unwrap();
        assert_eq!(report["outcomes"][0]["status"], "done", "{line}");
    }
    insta::assert_snapshot!(shown);
}

#[test]
fn the_manifest_of_a_command_declares_what_the_command_made() {
    let sandbox = Sandbox::new();
    std::fs::create_dir(sandbox.path("m")).unwrap();
    // The value of a secret cannot be compared, so it would be written once more.
    for (index, words) in CREATES[..5].iter().enumerate() {
        let manifest = sandbox.embedded(0, &[words, &["--as-manifest"][..]].concat());
        sandbox.write(&format!("m/{index}.yaml"), &manifest.stdout);
        sandbox.embedded(0, words);
    }
    let plan = sandbox.embedded(0, &["plan", "-f", "m", "--adopt", "-o", "json"]).json();
    assert_adopts(&plan, 5);
}

/// Nothing changes but who owns so many objects.
fn assert_adopts(plan: &Value, objects: usize) {
    let operations = plan["operations"].as_array().unwrap();
    assert_eq!((&plan["counts"]["adopt"], operations.len()), (&objects.into(), objects), "{plan}");
    for operation in operations {
        let changes = operation["changes"].as_array().unwrap();
        let is_owner =
            |change: &Value| change["path"] == r#"metadata.annotations["meshagent.set"]"#;
        assert!(changes.iter().all(is_owner), "{operation}");
    }
}

/// Placed by a manifest, it would bring a mailbox; the command brings the service alone.
const TEMPLATE: &str = r#"# Greets whoever comes in.
version: v1
kind: ServiceTemplate
metadata:
  name: greeter
  annotations: {meshagent.service.id: acme.greeter}
variables:
  - name: language
    enum: [English, French]
  - name: address
    type: email
    optional: true
  - name: token
    obscure: true
    optional: true
container:
  image: busybox
  command: greet --in "{{ language }}"
  storage:
    empty_dirs: [{path: /tmp}]"#;

#[test]
fn the_manifest_of_a_template_command_places_the_template() {
    let sandbox = Sandbox::new();
    sandbox.write("t.yaml", TEMPLATE);
    let values = ["-v", "language=French", "-v", "address=a@mail.meshagent.com"];
    let source = [&["-f", "t.yaml", "--room", "lobby"], &values[..]].concat();
    let create = [&["service", "create-template"], &source[..]].concat();
    let update = [&["service", "update-template", "--replace"], &source[..]].concat();
    let room = sandbox.embedded(0, &[CREATES[0], &["--as-manifest"]].concat());
    sandbox.embedded(0, CREATES[0]);
    let manifest = sandbox.embedded(0, &[&create[..], &["--as-manifest"]].concat()).stdout;
    assert!(manifest.ends_with(&format!("---\n{TEMPLATE}")), "{manifest}");
    assert_eq!(sandbox.embedded(0, &["service", "list", "--room", "lobby"]).stdout, "");
    // What no path leads to is no empty list.
    let refused = sandbox.embedded(1, &["service", "list", "--room", ".."]);
    assert!(refused.stderr.contains("cannot be listed"), "{}", refused.stderr);
    std::fs::create_dir(sandbox.path("m")).unwrap();
    sandbox.write("m/room.yaml", &room.stdout);
    sandbox.write("m/service.yaml", &manifest);
    for words in [&create, &update] {
        sandbox.embedded(0, words);
        assert_eq!(
            sandbox.embedded(0, &[&update[..], &["--as-manifest"]].concat()).stdout,
            manifest
        );
        let plan = sandbox.embedded(0, &["plan", "-f", "m", "--adopt", "-o", "json"]).json();
        assert_adopts(&plan, 2);
    }
    // The same file of another checkout, with other line ends, is the same template.
    sandbox.write("t.yaml", &TEMPLATE.replace('\n', "\r\n"));
    assert_eq!(sandbox.embedded(0, &[&update[..], &["--as-manifest"]].concat()).stdout, manifest);
    // What the template calls obscure is not printed, and nothing is declared without it.
    let line = [&create[..], &["-v", "token=canary-90c1", "--as-manifest"]].concat();
    let run = sandbox.embedded(1, &[&line[..], &["--force"]].concat());
    assert_eq!(run.stdout, "");
    assert!(!run.stderr.contains("canary") && run.stderr.contains("obscure"), "{}", run.stderr);
}

#[test]
fn a_template_that_is_written_as_one_keeps_its_variables_and_empty_folders() {
    let sandbox = Sandbox::new();
    sandbox.write("t.yaml", TEMPLATE);
    let run = sandbox.run(&["service", "spec", "-f", "t.yaml", "--format", "template"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    for part in ["variables:\n- name: language\n", "empty_dirs:\n", "path: /tmp\n"] {
        assert!(run.stdout.contains(part), "{part:?}: {}", run.stdout);
    }
}

#[test]
fn an_api_key_is_made_and_deleted_only_when_it_is_told_to() {
    let sandbox = Sandbox::new();
    let create = ["api-key", "create", "ci", "--description", "for CI"];
    let ids = |sandbox: &Sandbox| sandbox.embedded(0, &["api-key", "list", "-q"]).stdout;
    let before = ids(&sandbox);
    let plan = sandbox.embedded(0, &[&create[..], &["--dry-run"]].concat());
    let wanted = "+ create ApiKey/ci\n    + description: \"for CI\"\n\nPlan: 1 to create.\n";
    assert_eq!((plan.stdout.as_str(), ids(&sandbox)), (wanted, before.clone()));
    sandbox.embedded(0, &create);
    let after = ids(&sandbox);
    let id = after.lines().find(|id| !before.contains(id)).unwrap();
    let plan = sandbox.embedded(0, &["api-key", "delete", id, "--dry-run"]);
    let wanted = format!("- delete ApiKey/{id}  requested by this command\n\nPlan: 1 to delete.\n");
    assert_eq!((plan.stdout, ids(&sandbox)), (wanted, after.clone()));
    sandbox.embedded(0, &["api-key", "delete", id]);
    let run = sandbox.embedded(1, &["api-key", "delete", id, "--dry-run"]);
    assert!(run.stderr.contains("does not exist"), "{}", run.stderr);
}

#[test]
fn a_command_names_the_set_that_owns_what_it_touches() {
    let sandbox = Sandbox::new();
    sandbox.write(
        "set.yaml",
        "version: v1\nkind: Room\nmetadata: {name: lobby}\n---\nversion: v1\nkind: Mailbox\nmetadata: {name: a@mail.meshagent.com}\nroom: lobby\n---\nversion: v1\nkind: ScheduledTask\nmetadata: {name: t1}\nroom: lobby\nqueue: q\nschedule: 0 * * * *\n",
    );
    sandbox.embedded(0, &["apply", "-f", "set.yaml", "--set", "staging", "--yes"]);
    let cases: [(&[&str], bool); 6] = [
        (&["scheduled-task", "update", "t1", "-q", "other"], true),
        (&["mailbox", "delete", "a@mail.meshagent.com", "--dry-run"], true),
        (&["mailbox", "update", "a@mail.meshagent.com", "-q", "other"], true),
        (&["rooms", "create", "--name", "mine"], false),
        (&["rooms", "update", "--name", "mine", "--new-name", "yours"], false),
        (&["rooms", "update", "--name", "lobby", "--new-name", "hall"], true),
    ];
    for (words, is_owned) in cases {
        let run = sandbox.embedded(0, words);
        assert_eq!(
            run.stderr.contains("is owned by the set `staging`"),
            is_owned,
            "{words:?}: {}",
            run.stderr
        );
    }
    // Who owns the mailbox is still written on it.
    let plan = sandbox.embedded(0, &["plan", "-f", "set.yaml", "--set", "staging", "-o", "json"]);
    let plan = plan.json();
    let operations = plan["operations"].as_array().unwrap();
    let mailbox = operations.iter().find(|it| it["address"] == "Mailbox/a@mail.meshagent.com");
    let changes = mailbox.unwrap()["changes"].as_array().unwrap();
    assert!(changes.iter().any(|change| change["path"] == "queue"), "{plan}");
    assert!(
        !changes.iter().any(|change| change["path"].to_string().contains("annotations")),
        "{plan}"
    );
}

#[test]
fn a_mailbox_that_is_public_stays_public() {
    let sandbox = Sandbox::new();
    sandbox.embedded(0, CREATES[0]);
    sandbox.embedded(0, &[CREATES[1], &["--public"]].concat());
    let address = "a@mail.meshagent.com";
    let shown = |sandbox: &Sandbox| sandbox.embedded(0, &["mailbox", "show", address]).json();
    sandbox.embedded(0, &["mailbox", "update", address, "-q", "new"]);
    assert_eq!(
        (&shown(&sandbox)["public"], &shown(&sandbox)["queue"]),
        (&true.into(), &"new".into())
    );
    sandbox.embedded(0, &["mailbox", "update", address, "--no-public"]);
    assert_eq!(shown(&sandbox)["public"], false);
}

#[test]
fn what_is_activated_is_written_for_its_owner_only_and_keeps_what_it_does_not_know() {
    let sandbox = Sandbox::new();
    std::fs::create_dir(sandbox.path(".meshagent")).unwrap();
    sandbox.write(
        ".meshagent/project.json",
        r#"{"active_project":"11111111-1111-4111-8111-111111111111","later":{"a":1}}"#,
    );
    let run = sandbox.run(&["api-key", "activate", "ma-a-b-c"]);
    assert_eq!((run.code, run.stdout.as_str()), (0, ""), "{}", run.stderr);
    let path = sandbox.path(".meshagent/project.json");
    assert_eq!(
        std::fs::read_to_string(&path).unwrap(),
        r#"{"active_project":"11111111-1111-4111-8111-111111111111","active_api_keys":{"11111111-1111-4111-8111-111111111111":"ma-a-b-c"},"later":{"a":1}}"#
    );
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
}

/// A webhook's signature and its body.
type Called = (HeaderValue, String);

/// A descriptor and an endpoint, as the command would serve them.
fn serve(runtime: &tokio::runtime::Runtime) -> (u16, UnboundedReceiver<Called>) {
    let (called, calls) = tokio::sync::mpsc::unbounded_channel();
    let descriptor = json!({"ports": [{"num": "*", "endpoints": [
        {"path": "/agent", "meshagent": {"identity": "helper", "api": {"queues": {}}}}
    ]}]});
    let app = axum::Router::new()
        .route(
            "/.well-known/meshagent-service.json",
            get(move || async move { axum::Json(descriptor) }),
        )
        .route(
            "/agent",
            post(move |headers: HeaderMap, body: String| async move {
                called.send((headers["Meshagent-Signature"].clone(), body)).unwrap();
            }),
        );
    let listener = runtime.block_on(tokio::net::TcpListener::bind(("127.0.0.1", 0))).unwrap();
    let port = listener.local_addr().unwrap().port();
    runtime.spawn(async move { axum::serve(listener, app).await });
    (port, calls)
}

#[test]
fn a_local_service_is_called_into_its_room_and_ends_with_all_that_it_started() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (port, mut calls) = serve(&runtime);
    let sandbox = Sandbox::new();
    // The command stands in for one that serves; what it starts must end with it.
    let script = "sleep 300 & echo $! > child.pid; echo $MESHAGENT_PORT > port; wait";
    sandbox.write("agent.sh", script);
    let mut running = sandbox
        .command(&["service", "run", "sh agent.sh", "--room", "demo", "--port", &port.to_string()])
        .env("MESHAGENT_API_KEY", crate::commands::KEY)
        .env("MESHAGENT_WEBHOOK_SECRET", "whs-canary")
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let (signature, body) = runtime
        .block_on(async { tokio::time::timeout(Duration::from_secs(30), calls.recv()).await })
        .unwrap()
        .unwrap();
    let key = jsonwebtoken::DecodingKey::from_secret(b"whs-canary");
    let mut validation = jsonwebtoken::Validation::new(jsonwebtoken::Algorithm::HS256);
    validation.required_spec_claims.clear();
    let token = signature.to_str().unwrap().strip_prefix("Bearer ").unwrap();
    let signed = jsonwebtoken::decode::<Value>(token, &key, &validation).unwrap();
    let digest = Sha256::digest(&body);
    let digest = digest.iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"));
    assert_eq!(signed.claims, json!({"sha256": digest}));
    let call: Value = serde_json::from_str(&body).unwrap();
    assert_eq!((&call["event"], &call["data"]["room_name"]), (&"room.call".into(), &"demo".into()));
    assert_eq!(std::fs::read_to_string(sandbox.path("port")).unwrap().trim(), port.to_string());
    let child: i32 =
        std::fs::read_to_string(sandbox.path("child.pid")).unwrap().trim().parse().unwrap();
    let id = nix::unistd::Pid::from_raw(i32::try_from(running.id()).unwrap());
    nix::sys::signal::kill(id, nix::sys::signal::Signal::SIGTERM).unwrap();
    let status = running.wait().unwrap();
    assert_eq!(status.code(), Some(143));
    let deadline = Instant::now() + Duration::from_secs(10);
    while std::path::Path::new(&format!("/proc/{child}")).exists() {
        let stat = std::fs::read_to_string(format!("/proc/{child}/stat")).unwrap_or_default();
        if stat.contains(") Z ") {
            break;
        }
        assert!(Instant::now() < deadline, "what the command started runs on: {stat}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_command_that_fails_is_told() {
    let sandbox = Sandbox::new();
    let run = sandbox
        .command(&["service", "run", "sh -c 'exit 3'", "--room", "demo"])
        .env("MESHAGENT_API_KEY", crate::commands::KEY)
        .output()
        .map(Run::of)
        .unwrap();
    assert_eq!(run.code, 1);
    assert!(run.stderr.contains("the command ended with exit status: 3"), "{}", run.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_room_that_is_told_by_its_id_is_read_by_the_name_that_it_may_have() {
    let platform = Server::start().await;
    let proxy = Hostile::in_front_of(&platform).start().await;
    let sandbox = Sandbox::new();
    let run = async |words: &[&str]| plans::run(&sandbox, &platform, &proxy, words).await;
    let room = run(&["rooms", "create", "--name", "lobby"]).await.json();
    let id = room["id"].as_str().unwrap();
    let lists = || {
        let requests = proxy.requests();
        let lists = requests.iter().filter(|(request, _)| request.contains("/rooms?"));
        lists
            .filter(|(request, _)| request.starts_with("GET"))
            .map(|(_, count)| *count)
            .sum::<u64>()
    };
    let notes = |text: &'static str| ["--annotations", text];
    for (words, note) in [
        (&["--new-name", "lobby"][..], r#"{"a": "1"}"#),
        (&["--name", "lobby", "--new-name", "hall"], r#"{"a": "2"}"#),
    ] {
        let words = [&["rooms", "update", "--id", id], words, &notes(note)].concat();
        let done = run(&words).await;
        assert_eq!((done.code, lists()), (0, 0), "{} {:?}", done.stderr, proxy.requests());
    }
    let read = platform.read("/rooms/hall").await.expect(200).json();
    assert_eq!((&read["id"], &read["annotations"]["a"]), (&id.into(), &"2".into()));
    // A name that another room has does not lead to that one.
    run(&["rooms", "create", "--name", "other"]).await;
    let words = ["rooms", "update", "--id", id, "--name", "other", "--new-name", "hall"];
    let done = run(&[&words[..], &notes(r#"{"a": "3"}"#)].concat()).await;
    assert_eq!((done.code, lists()), (0, 0), "{}", done.stderr);
    let words = ["rooms", "update", "--id", id, "--new-name", "den"];
    let done = run(&[&words[..], &notes(r#"{"a": "4"}"#)].concat()).await;
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert!(lists() > 0, "{:?}", proxy.requests());
    let read = platform.read("/rooms/den").await.expect(200).json();
    assert_eq!((&read["id"], &read["annotations"]["a"]), (&id.into(), &"4".into()));
}

#[test]
fn a_credential_goes_to_no_platform_but_its_own_and_not_in_the_open() {
    let sandbox = Sandbox::new();
    let project = "11111111-1111-4111-8111-111111111111";
    let list = |more: &[&str], key: Option<&str>| {
        let mut command = sandbox.command(&[&["rooms", "list", "--timeout", "1s"], more].concat());
        key.map(|key| command.env("MESHAGENT_API_KEY", key));
        Run::of(command.output().unwrap())
    };
    // Nobody is asked: names that cannot be looked up would be told of otherwise.
    let plain = ["--api-url", "http://platform.invalid", "--project-id", project];
    let run = list(&plain, Some("ma-key"));
    assert_eq!(run.code, 2, "{}", run.stderr);
    assert!(run.stderr.contains("between this machine and platform.invalid"), "{}", run.stderr);
    assert!(run.stderr.contains("--insecure"), "{}", run.stderr);
    let run = list(&[&plain[..], &["--insecure"]].concat(), Some("ma-key"));
    assert_eq!(run.code, 1, "{}", run.stderr);
    let mut command =
        sandbox.command(&[&["rooms", "list", "--timeout", "1s"], &plain[..]].concat());
    command.env("MESHAGENT_API_KEY", "ma-key").env("MESHAGENT_INSECURE", "1");
    assert_eq!(command.output().unwrap().status.code(), Some(1));
    let sign_in = ["auth", "login", "--no-browser", "--api-url", "http://platform.invalid"];
    let refused = sandbox.run(&sign_in);
    assert_eq!(refused.code, 2, "{}", refused.stderr);
    assert!(refused.stderr.contains("MESHAGENT_INSECURE=1"), "{}", refused.stderr);
    std::fs::create_dir(sandbox.path(".meshagent")).unwrap();
    let file = |platforms: &str| {
        let keys = format!(r#""active_api_keys":{{"{project}":"ma-key"}}"#);
        let text = format!(r#"{{"active_project":"{project}",{keys}{platforms}}}"#);
        sandbox.write(".meshagent/project.json", &text);
    };
    let elsewhere = ["--api-url", "https://platform.invalid"];
    let theirs = format!(r#","api_key_platforms":{{"{project}":"https://other.invalid"}}"#);
    for (platforms, told) in [
        ("", "does not say that it is for https://platform.invalid"),
        (
            &*theirs,
            "is for https://other.invalid, but the platform in use is https://platform.invalid",
        ),
    ] {
        file(platforms);
        let run = list(&elsewhere, None);
        assert_eq!(run.code, 2, "{}", run.stderr);
        assert!(run.stderr.contains(told), "{}", run.stderr);
    }
    // Whoever activates a key says of which platform it is.
    let mut command = sandbox.command(&["api-key", "activate", "ma-key"]);
    let run =
        Run::of(command.env("MESHAGENT_API_URL", "https://platform.invalid/").output().unwrap());
    assert_eq!(run.code, 0, "{}", run.stderr);
    let run = list(&elsewhere, None);
    assert_eq!(run.code, 1, "{}", run.stderr);
    let run = sandbox.run(&["api-key", "activate", "ma-key"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    let text = std::fs::read_to_string(sandbox.path(".meshagent/project.json")).unwrap();
    assert!(!text.contains("api_key_platforms"), "{text}");
}

#[test]
fn the_mark_of_an_owner_is_nobodys_to_give() {
    let sandbox = Sandbox::new();
    sandbox.embedded(0, &["rooms", "create", "--name", "a"]);
    let mark = r#"{"meshagent.set":"zz"}"#;
    for words in [
        &["rooms", "create", "--name", "b", "--annotations", mark][..],
        &["rooms", "update", "--name", "a", "--new-name", "a", "--annotations", mark],
        &["rooms", "update", "--name", "a", "--new-name", "a", "--annotations", mark, "--dry-run"],
        &["rooms", "create", "--name", "b", "--annotations", mark, "--as-manifest"],
        &[
            "mailbox",
            "create",
            "--address",
            "x@mail.localhost",
            "--room",
            "a",
            "--queue",
            "q",
            "--annotations",
            mark,
        ],
        &[
            "route",
            "create",
            "--domain",
            "x.meshagent.app",
            "--room",
            "a",
            "--port",
            "80",
            "--annotations",
            mark,
        ],
    ] {
        let run = sandbox.embedded(2, words);
        assert!(run.stderr.contains("only the program sets it"), "{words:?}: {}", run.stderr);
    }
    assert_eq!(sandbox.embedded(0, &["rooms", "list", "-q"]).stdout, "a\n");
}

/// What was shown can be edited and written back: the mark in it is the object's own.
#[test]
fn a_mark_that_is_shown_is_taken_back_unless_it_is_another() {
    let sandbox = Sandbox::new();
    sandbox.write(
        "set.yaml",
        "version: v1\nkind: Room\nmetadata: {name: a}\n---\nversion: v1\nkind: Service\nmetadata: {name: bot, annotations: {x: y}}\nroom: a\ncontainer: {image: 'x:1'}\n",
    );
    sandbox.embedded(0, &["apply", "-f", "set.yaml", "--set", "s", "--yes"]);
    let id = sandbox.embedded(0, &["service", "list", "--room", "a", "-q"]).stdout;
    let show = ["service", "show", id.trim(), "--room", "a", "-o", "yaml"];
    let shown = sandbox.embedded(0, &show).stdout;
    assert!(shown.contains("meshagent.set: s\n"), "{shown}");
    let update = ["service", "update", "--room", "a", "--file", "edited.yaml"];
    sandbox.write("edited.yaml", &shown.replace("x:1", "x:2"));
    let plan = sandbox.embedded(0, &[&update[..], &["--dry-run"]].concat());
    assert!(plan.stdout.ends_with("Plan: 1 to update.\n"), "{}", plan.stdout);
    assert!(!plan.stdout.contains("meshagent.set"), "{}", plan.stdout);
    sandbox.embedded(0, &update);
    let written = sandbox.embedded(0, &show).stdout;
    assert_eq!(written, shown.replace("x:1", "x:2"));
    for other in ["meshagent.set: t", "meshagent.set: ''"] {
        sandbox.write("edited.yaml", &shown.replace("meshagent.set: s", other));
        let run = sandbox.embedded(2, &update);
        assert!(run.stderr.contains("only the program sets it"), "{other}: {}", run.stderr);
    }
    // Whoever leaves it out keeps it, too.
    sandbox.write("edited.yaml", &shown.replace("    meshagent.set: s\n", ""));
    sandbox.embedded(0, &update);
    assert_eq!(sandbox.embedded(0, &show).stdout, shown);
    let rename = ["rooms", "update", "--name", "a", "--new-name", "a", "--annotations"];
    for (code, mark) in [(0, r#"{"meshagent.set":"s"}"#), (2, r#"{"meshagent.set":"t"}"#)] {
        sandbox.embedded(code, &[&rename[..], &[mark]].concat());
        let room = sandbox.embedded(0, &["rooms", "get", "--name", "a"]).json();
        assert_eq!(room["annotations"], json!({"meshagent.set": "s"}));
    }
}

/// A list that is cut says so, and how the rest is shown.
#[test]
fn a_list_that_is_cut_tells_that_there_is_more() {
    let sandbox = Sandbox::new();
    for name in ["a", "b", "c"] {
        sandbox.embedded(0, &["rooms", "create", "--name", name]);
        let task = ["scheduled-task", "add", "--id", name, "-r", "a", "-q", "q"];
        let rest = ["--schedule", "0 0 * * *", "--payload", "{}"];
        sandbox.embedded(0, &[&task[..], &rest].concat());
    }
    for list in ["rooms", "scheduled-task"] {
        let page = |page: &[&str]| {
            let run = sandbox.embedded(0, &[&[list, "list", "-q"], page].concat());
            (run.stdout, run.stderr)
        };
        let (shown, told) = page(&["--limit", "2"]);
        assert_eq!(shown, "a\nb\n");
        let note = "note: there are more than these 2: --offset 2 shows the next ones, and --limit more at once\n";
        assert!(told.contains(note), "{list}: {told}");
        for (whole, expected) in [
            (&["--limit", "2", "--offset", "2"][..], "c\n"),
            (&["--limit", "1", "--offset", "2"], "c\n"),
            (&["--limit", "3"], "a\nb\nc\n"),
            (&[], "a\nb\nc\n"),
        ] {
            let (shown, told) = page(whole);
            assert_eq!(shown, expected, "{list} {whole:?}");
            assert!(!told.contains("there are more"), "{list} {whole:?}: {told}");
        }
    }
}
