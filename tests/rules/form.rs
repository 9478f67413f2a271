//! A table of texts against every field that has a rule: manifests and the embedded platform
//! must say the same of each.

use std::path::PathBuf;
use std::sync::Arc;

use meshagent::api::request::Body;
use meshagent::dialect::Target;
use meshagent::error::Problem;
use meshagent::kinds::{self, Asked, schema};
use meshagent::manifest::set::{self, Input, Set};
use meshagent::manifest::source::Source;
use meshagent::manifest::yaml;
use serde_json::{Value, json};

use crate::cli::Sandbox;
use crate::plain;
use crate::platform::harness::Server;
use crate::reconciler::spelling;

/// Documents with a hole in one line, which each text of the table fills.
const HOLES: [&str; 32] = [
    "kind: Service\nmetadata: {name: four}\ncontainer:\n  image: x\n  environment:\n  - value: v\n    name: @\n",
    "kind: Service\nmetadata: {name: five}\ncontainer:\n  image: x\n  working_dir: @\n",
    "kind: Service\nmetadata: {name: six}\ncontainer:\n  image: x\n  storage:\n    images:\n    - path: /x\n      image: @\n",
    "kind: Service\nmetadata: {name: seven}\ncontainer:\n  image: x\n  storage:\n    room:\n    - path: @\n",
    "kind: Service\nmetadata: {name: eight}\ncontainer:\n  image: x\n  storage:\n    empty_dirs:\n    - path: @\n",
    "kind: Service\nmetadata: {name: nine}\ncontainer:\n  image: x\n  storage:\n    files:\n    - text: t\n      path: @\n",
    "kind: Service\nmetadata: {name: ten}\nexternal:\n  url: @\n",
    "kind: Project\nmetadata:\n  name: @\n",
    "kind: Room\nmetadata:\n  name: @\n",
    "kind: Secret\nmetadata:\n  name: @\ntype: keys\ndata: {A: b}\n",
    "kind: Secret\nmetadata:\n  name: one\ntype: keys\ndata:\n  A: @\n",
    "kind: Secret\nmetadata:\n  name: two\ntype: docker\nserver: @\nusername: u\npassword: p\n",
    "kind: Secret\nmetadata:\n  name: three\ntype: docker\nserver: s\nusername: @\npassword: p\n",
    "kind: Secret\nmetadata:\n  name: four\ntype: docker\nserver: s\nusername: u\npassword: @\n",
    "kind: Secret\nmetadata:\n  name: five\ntype: docker\nserver: s\nusername: u\npassword: p\nemail: @\n",
    "kind: Service\nmetadata:\n  name: @\ncontainer: {image: x}\n",
    "kind: Service\nmetadata: {name: one}\ncontainer:\n  image: @\n",
    "kind: Service\nmetadata: {name: two}\ncontainer: {image: x}\nports:\n- published: true\n  num: @\n",
    "kind: Service\nmetadata: {name: three}\nroom: @\ncontainer: {image: x}\n",
    "kind: Mailbox\nmetadata:\n  name: @\nroom: lobby\n",
    "kind: Mailbox\nmetadata: {name: one}\naddress: @\nroom: lobby\nqueue: q\n",
    "kind: Mailbox\nmetadata: {name: a@mail.localhost}\nroom: lobby\nqueue: @\n",
    "kind: Route\nmetadata:\n  name: @\nroom: lobby\nport: 80\n",
    "kind: Route\nmetadata: {name: one}\ndomain: @\nroom: lobby\nport: 80\n",
    "kind: Route\nmetadata: {name: a.example.com}\nroom: lobby\nport: @\n",
    "kind: ScheduledTask\nmetadata:\n  name: @\nroom: lobby\nqueue: q\nschedule: '@hourly'\n",
    "kind: ScheduledTask\nmetadata: {name: one}\nid: @\nroom: lobby\nqueue: q\nschedule: '@hourly'\n",
    "kind: ScheduledTask\nmetadata: {name: two}\nroom: lobby\nqueue: @\nschedule: '@hourly'\n",
    "kind: ScheduledTask\nmetadata: {name: three}\nroom: lobby\nqueue: q\nschedule: @\n",
    "kind: Webhook\nmetadata:\n  name: @\nurl: http://x\nevents: ['*']\n",
    "kind: Webhook\nmetadata: {name: one}\nurl: @\nevents: ['*']\n",
    "kind: Webhook\nmetadata: {name: two}\nurl: http://x\nevents:\n- '*'\n- @\n",
];

/// The text of a hole in a document that is written out.
const HOLE: &str = "the-hole-in-it";

/// The same of every text of a plain kind's own, in its example: so that a kind which was just
/// added, or a new field, is held to the rule.
fn holes_of_plain_kinds() -> Vec<String> {
    let mut holes = Vec::new();
    for kind in plain::all() {
        let example = document(kind.kind().example());
        let properties = schema::inlined(kind.kind())["properties"].as_object().expect("fields");
        let is_text = |of: &Value| {
            let is_string = |it: &Value| it == "string";
            let types = &of["type"];
            (is_string(types) || types.as_array().is_some_and(|it| it.iter().any(is_string)))
                && of["enum"].is_null()
        };
        // Which rooms and projects there are is no matter of form.
        let fields = properties.iter().filter(|(name, of)| {
            is_text(of) && !["version", "kind", "project", "room"].contains(&name.as_str())
        });
        for pointer in fields.map(|(name, _)| format!("/{name}")).chain(["/metadata/name".into()]) {
            let mut holed = example.clone();
            if plain::names_room(kind) {
                holed["room"] = "lobby".into();
            }
            let (parent, name) = pointer.rsplit_once('/').expect("a pointer");
            holed.pointer_mut(parent).expect("a map")[name] = HOLE.into();
            holes.push(meshagent::visible::yaml(&holed).replace(HOLE, "@"));
        }
    }
    holes
}

/// Texts that are good somewhere and bad elsewhere.
fn texts() -> Vec<Value> {
    let long = ["x".repeat(63), "x".repeat(64), "x".repeat(255), "x".repeat(256)];
    let address = format!("{}@mail.localhost", "x".repeat(65));
    let texts = [
        "",
        " ",
        "\t",
        "a",
        "A",
        "0",
        "-",
        "a-",
        "-a",
        "a--b",
        "a_b",
        "a b",
        "a.b",
        ".",
        "..",
        "...",
        "a/b",
        "../a",
        "a\nb",
        "a\u{0}b",
        "a\u{7f}",
        "a\u{85}b",
        "ä",
        "日本",
        "\u{202e}",
        "lobby",
        "support@mail.localhost",
        "Support@MAIL.localhost",
        "@mail.localhost",
        "support@",
        "a b@mail.localhost",
        "a..b@mail.localhost",
        ".a@mail.localhost",
        "Sales <a@mail.localhost>",
        "a@mail.localhost.",
        "a@@mail.localhost",
        "a@-x.example",
        "app.example.com",
        "APP.Example.com",
        "app.example.com.",
        "*.example.com",
        "https://app.example.com",
        "app.example.com:80",
        "bücher.example",
        "xn--bcher-kva.example",
        "http://x/y",
        "http://x/a b",
        "http://x\u{feff}",
        "/data",
        "/data/a b",
        "A=B",
        "\u{feff}x",
        "HTTPS://x",
        "http://",
        "ftp://x/y",
        "mailto:a@b",
        "//x/y",
        "0 * * * *",
        "*/5 0-6 1,15 * MON",
        "0 0 0 * * *",
        "0 0 * *",
        "61 * * * *",
        "* 24 * * *",
        "*/0 * * * *",
        "0 22-4 * * *",
        "0 0 31 2 *",
        "0 9 * * 8",
        "@hourly",
        "@reboot",
        "@never",
        "TZ=UTC 0 9 * * *",
        "room.started",
        "storage.file.deleted",
        "room.start",
        "ROOM.STARTED",
        "*",
        "********",
        "*******",
        "80",
        "080",
        "65535",
        "65536",
        "70000",
        "-1",
        "1.5",
        "+80",
        "0x50",
        "http",
        "99999999999999999999",
    ];
    let numbers =
        [json!(0), json!(1), json!(8080), json!(65535), json!(65536), json!(-1), json!(1.5)];
    let texts = texts.into_iter().map(str::to_owned).chain(long).chain([address]);
    texts.map(Value::from).chain(numbers).collect()
}

fn read(text: &str) -> Result<Set, Vec<Problem>> {
    let source = Source::new("m.yaml".to_owned(), PathBuf::new(), text.to_owned());
    let input = Input { project: Some("p".to_owned()), ..Input::default() };
    set::from_sources(&[Arc::new(source)], Vec::new(), &input)
}

/// The document as JSON, without any check.
fn document(text: &str) -> Value {
    yaml::parse(text).expect("YAML").remove(0).to_json()
}

/// Whether the platform refuses a document by its form: asked for what its kind sends for
/// it, unchecked. `None` when its types are so wrong that nothing can be sent, and for the
/// room of a service, which is a part of the path.
async fn is_refused(server: &Server, document: &Value) -> Option<bool> {
    let kind = kinds::find(document["kind"].as_str().expect("a kind")).expect("a kind");
    let declared = kind.declare(document).ok()?.remove(0);
    // A task without an id gets one, which no manifest can ask for.
    let gets_an_id = declared.name.is_empty() && document["kind"] == "ScheduledTask";
    if declared.room.is_some() || gets_an_id {
        return None;
    }
    let target = Target {
        project: &server.project,
        room: declared.room.as_deref(),
        name: &declared.name,
        id: None,
        fields: &declared.fields,
        owner: None,
        answered: None,
        place_id: None,
        named_id: None,
        changed: &[],
        removed: &[],
        asked: &Asked::NOTHING,
    };
    let request = spelling(kind.name()).create(&target).expect("a create");
    let Body::Json(body) = &request.body else { panic!("no body") };
    let reply = server.ask("POST", &request.path).bearer(&server.owner).json(body).send().await;
    let said = reply.json()["error"].as_str().unwrap_or_default().to_owned();
    match reply.status {
        // Which rooms there are, and which domains are served, is no matter of form.
        400 => Some(!said.contains("does not exist") && !said.contains("not served")),
        200 | 201 | 409 => Some(false),
        _ => panic!("{document}: {reply:?}"),
    }
}

#[tokio::test]
async fn manifests_are_refused_where_the_platform_refuses_and_nowhere_else() {
    let server = Server::start().await;
    server.room("lobby").await;
    let (mut refused, mut accepted, mut unsendable) = (0, 0, 0);
    let by_hand = HOLES.iter().map(|hole| format!("version: v1\n{hole}"));
    for template in by_hand.chain(holes_of_plain_kinds()) {
        let line = template.lines().position(|line| line.ends_with('@')).expect("a hole") + 1;
        let kind = template.lines().find_map(|line| line.strip_prefix("kind: ")).expect("a kind");
        let published = schema::published(kinds::find(kind).expect("a kind"));
        let published = jsonschema::validator_for(&published).expect("a schema");
        for text in texts() {
            // JSON may hold these two as they are, YAML may not.
            let text = text.to_string().replace('\u{7f}', "\\x7f").replace('\u{85}', "\\x85");
            let manifest = template.replacen(": @\n", &format!(": {text}\n"), 1);
            let manifest = manifest.replacen("- @\n", &format!("- {text}\n"), 1);
            let document = document(&manifest);
            let read = read(&manifest);
            match is_refused(&server, &document).await {
                Some(is_refused) => assert_eq!(read.is_err(), is_refused, "{manifest}{read:?}"),
                None => unsendable += 1,
            }
            match read {
                Ok(_) => {
                    accepted += 1;
                    assert!(published.is_valid(&document), "the schema refuses\n{manifest}");
                }
                Err(problems) => {
                    refused += 1;
                    for problem in problems {
                        let place = problem.place.expect("a place");
                        assert_eq!(
                            place.to_string().split(':').nth(1),
                            Some(&*line.to_string()),
                            "{manifest}"
                        );
                    }
                }
            }
        }
    }
    assert!(refused > 500 && accepted > 500, "{refused} refused, {accepted} accepted");
    assert!(unsendable * 7 < refused + accepted, "{unsendable} could not be sent");
}

/// What is wrong, with its line, in a manifest that the platform would refuse.
fn problems(text: &str) -> Vec<String> {
    let said = |problem: &Problem| {
        let place = problem.place.as_ref().expect("a place").to_string();
        format!("{} {}", place.trim_start_matches("m.yaml:"), problem.message)
    };
    read(text).expect_err(text).iter().map(said).collect()
}

#[test]
fn what_is_more_than_one_text_is_told_at_its_line_too() {
    let long = "x".repeat(1_100_000);
    let annotated = |kind: &str, rest: &str| {
        format!(
            "version: v1\nkind: {kind}\nmetadata:\n  name: a\n  annotations:\n    k: {long}\n{rest}"
        )
    };
    for (kind, rest) in [
        ("Room", ""),
        ("Mailbox", "address: a@b.c\nroom: r\n"),
        ("Route", "room: r\nport: 1\n"),
        ("ScheduledTask", "room: r\nqueue: q\nschedule: '@daily'\n"),
        ("Service", "container: {image: x}\n"),
    ] {
        let said = problems(&annotated(kind, rest));
        assert_eq!(said, ["5:3 `metadata.annotations` is larger than 1 MiB"], "{kind}");
    }
    let agent = format!(
        "version: v1\nkind: Service\nmetadata: {{name: s}}\ncontainer: {{image: x}}\nagents:\n- name: a\n  annotations:\n    k: {long}\n"
    );
    assert_eq!(problems(&agent), ["7:3 `agents[0].annotations` is larger than 1 MiB"]);
    for (text, wanted) in [
        (
            "version: v1\nkind: Webhook\nmetadata: {name: w}\nurl: http://x\nevents: []\n",
            "5:1 `events` must not be empty",
        ),
        (
            "version: v1\nkind: Webhook\nmetadata: {name: w}\nurl: http://x\nevents: [room.ended, room.called]\n",
            "5:22 `events[1]` is an unknown event; did you mean \"room.call\"?",
        ),
        (
            "version: v1\nkind: Service\nmetadata: {name: s}\nrooms:\n- lobby\n- \"..\"\ncontainer: {image: x}\n",
            "6:3 `rooms[1]` must not be `.` or `..`",
        ),
        (
            "version: v1\nkind: Route\nmetadata: {name: a.b}\nroom: r\nport: 65536\n",
            "5:1 `port` must be a port number from 1 to 65535",
        ),
    ] {
        assert_eq!(problems(text), [wanted], "{text}");
    }
}

#[test]
fn the_forms_of_a_service_are_told_at_their_lines() {
    let service = |rest: &str| format!("version: v1\nkind: Service\nmetadata: {{name: s}}\n{rest}");
    for (rest, wanted) in [
        (
            "container:\n  image: x\n  environment: [{name: A B}]\n",
            "6:18 `container.environment[0].name` must not contain blanks or control characters",
        ),
        (
            "container:\n  image: x\n  environment: [{name: A=B}]\n",
            "6:18 `container.environment[0].name` must not contain `=`",
        ),
        (
            "container:\n  image: x\n  working_dir: src\n",
            "6:3 `container.working_dir` must be an absolute path, such as /data",
        ),
        (
            "container:\n  image: x\n  storage: {project: [{path: ./x}]}\n",
            "6:24 `container.storage.project[0].path` must be an absolute path, such as /data",
        ),
        (
            "container:\n  image: x\n  storage: {images: [{path: /x, image: ''}]}\n",
            "6:33 `container.storage.images[0].image` must not be empty",
        ),
        (
            "external: {url: not a url}\n",
            "4:12 `external.url` must be an absolute http or https URL",
        ),
        ("external: {url: ''}\n", "4:12 `external.url` must be an absolute http or https URL"),
        (
            "external: {url: example.com/x}\n",
            "4:12 `external.url` must be an absolute http or https URL",
        ),
        ("external: {}\n", "4:1 a service that runs elsewhere needs its `url`"),
        (
            "external: {}\nports: [{num: 80, endpoints: [{path: /, mcp: {label: l}}]}]\n",
            "4:1 a service that runs elsewhere needs its `url`",
        ),
    ] {
        assert_eq!(problems(&service(rest)), [wanted], "{rest}");
    }
    let webhook =
        "version: v1\nkind: Webhook\nmetadata: {name: w}\nurl: http://x/a b\nevents: ['*']\n";
    assert_eq!(problems(webhook), ["4:1 `url` must not contain blanks or control characters"]);
    let connector = "external: {}\nports: [{num: 80, endpoints: [{path: /, mcp: {label: l, openai_connector_id: c}}]}]\n";
    assert!(read(&service(connector)).is_ok());
}

/// Whatever a template makes is held to the same rules.
#[test]
fn what_follows_from_a_template_is_checked_at_its_values() {
    let template = "version: v1\nkind: ServiceTemplate\nmetadata: {name: t}\nvariables:\n- {name: mail, type: email, optional: true}\n- {name: site, type: route, optional: true, annotations: {meshagent.route.port: \"80\"}}\n- {name: image}\n- {name: when, optional: true}\nagents:\n- name: a\n  annotations:\n    meshagent.agent.schedule: '{\"queue\": \"q\", \"schedule\": \"{{ when or \"@daily\" }}\"}'\ncontainer: {image: \"{{ image }}\"}\n---\n";
    for (value, wanted) in [
        ("mail: not an address", "`address` of the Mailbox must be a mail address"),
        ("site: https://x.example", "`domain` of the Route must be a host name"),
        ("image: ' '", "`container.image` must not be empty"),
        ("when: every day", "`schedule` of the ScheduledTask must be five cron fields"),
    ] {
        let image = if value.starts_with("image") { "" } else { ", image: x" };
        let text = format!(
            "{template}version: v1\nkind: Service\nmetadata: {{name: s}}\nroom: lobby\ntemplate: t\nvalues: {{{value}{image}}}\n"
        );
        let said = problems(&text);
        assert!(said.len() == 1 && said[0].contains(wanted), "{value}: {said:?}");
    }
    let good = format!(
        "{template}version: v1\nkind: Service\nmetadata: {{name: s}}\nroom: lobby\ntemplate: t\nvalues: {{mail: a@b.example, site: x.example, image: x}}\n"
    );
    assert_eq!(read(&good).expect("a set").objects.len(), 4);
}

#[test]
fn a_secret_that_is_the_mask_of_one_is_refused_wherever_it_is_read_from() {
    let sandbox = Sandbox::new();
    sandbox.write("mask", "********\n");
    sandbox.write("s.yaml", "version: v1\nkind: Secret\nmetadata: {name: k}\ntype: keys\ndata:\n  A: {from: {file: mask}}\n");
    let run = sandbox.embedded(6, &["plan", "-f", "s.yaml", "--allow-files", "."]);
    assert!(run.stderr.contains("s.yaml:6:"), "{}", run.stderr);
    assert!(run.stderr.contains("is the mask that lists show"), "{}", run.stderr);
}

/// Which mail domains there are is the platform's to say: a manifest may be for another one.
#[test]
fn a_mailbox_in_a_domain_that_is_not_served_is_refused_before_anything_is_written() {
    let sandbox = Sandbox::new();
    let mailbox = |address: &str| {
        format!(
            "version: v1\nkind: Room\nmetadata: {{name: lobby}}\n---\nversion: v1\nkind: Mailbox\nmetadata:\n  name: {address}\nroom: lobby\n"
        )
    };
    for address in ["sales@acme.example", "sales@x.mail.localhost"] {
        sandbox.write("m.yaml", &mailbox(address));
        assert_eq!(sandbox.run(&["validate", "-f", "m.yaml"]).code, 0);
        for command in [&["plan"][..], &["apply", "--yes"]] {
            let run = sandbox.embedded(6, &[command, &["-f", "m.yaml"]].concat());
            assert!(run.stderr.contains("m.yaml:8:3: "), "{}", run.stderr);
            assert!(
                run.stderr.contains("not served; known domains are mail.meshagent.com"),
                "{}",
                run.stderr
            );
        }
    }
    assert_eq!(sandbox.embedded(0, &["rooms", "list", "-q"]).stdout, "");
    sandbox.write("m.yaml", &mailbox("Sales@Mail.LOCALHOST"));
    sandbox.embedded(0, &["apply", "-f", "m.yaml", "--yes"]);
}

/// A room that an older platform let be called so stays within reach.
#[tokio::test]
async fn a_room_of_an_older_name_is_exported_renamed_and_deleted() {
    for name in ["..", "My Room", "a/b?"] {
        let server = Server::start().await;
        server.room_of_old(name).await;
        let sandbox = Sandbox::new();
        let run = async |arguments: &[&str]| {
            let mut command = sandbox.command(arguments);
            command.env("MESHAGENT_API_URL", &server.url).env("MESHAGENT_API_KEY", &server.owner);
            let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap();
            let run = crate::cli::Run::of(output.unwrap());
            assert_eq!(run.code, 0, "{name} {arguments:?}\n{}\n{}", run.stdout, run.stderr);
            run
        };
        let exported = run(&["export", "-d", "out"]).await;
        assert!(
            exported
                .stderr
                .contains(" cannot be applied as it is: `metadata.name` must be 1 to 63")
        );
        assert!(!exported.stderr.contains("left out"), "{}", exported.stderr);
        let found = run(&["rooms", "list"]).await.json();
        assert_eq!(found[0]["name"], name);
        let moved = json!({"version": "v1", "kind": "Room", "metadata": {"name": "my-room"}, "lifecycle": {"moved_from": name}});
        sandbox.write("m.yaml", &moved.to_string());
        run(&["apply", "-f", "m.yaml", "--adopt", "--yes"]).await;
        assert_eq!(run(&["rooms", "list", "-q"]).await.stdout, "my-room\n");
        server.room_of_old(name).await;
        run(&["rooms", "delete", "--name", name]).await;
        assert_eq!(run(&["rooms", "list", "-q"]).await.stdout, "my-room\n");
    }
}

#[test]
fn editors_are_shown_the_rules() {
    let valid = |document: Value| {
        let validator = jsonschema::validator_for(&schema::combined()).expect("a schema");
        validator.is_valid(&document)
    };
    let of = |kind: &str, name: &str, rest: Value| {
        let mut document = json!({"version": "v1", "kind": kind, "metadata": {"name": name}});
        document.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
        document
    };
    let task = |schedule: &str| {
        of("ScheduledTask", "t", json!({"room": "r", "queue": "q", "schedule": schedule}))
    };
    for (good, document) in [
        (true, of("Room", "lobby", json!({}))),
        (false, of("Room", "Lobby", json!({}))),
        (false, of("Route", "https://x", json!({"room": "r", "port": 80}))),
        (true, of("Route", "a name", json!({"domain": "x.example", "room": "r", "port": 80}))),
        (false, of("Route", "a name", json!({"domain": "x y", "room": "r", "port": 80}))),
        (false, of("Route", "x.example", json!({"room": "r", "port": 65536}))),
        (false, of("Mailbox", "nobody", json!({"room": "r"}))),
        (true, task("@daily")),
        (false, task("0 0 * *")),
        (false, of("Webhook", "w", json!({"url": "ftp://x", "events": ["*"]}))),
        (false, of("Webhook", "w", json!({"url": "http://x", "events": []}))),
        (false, of("Webhook", "w", json!({"url": "http://x", "events": ["room.start"]}))),
        (false, of("Service", "s", json!({"container": {"image": ""}}))),
    ] {
        assert_eq!(valid(document.clone()), good, "{document}");
    }
}
