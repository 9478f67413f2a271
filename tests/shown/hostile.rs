//! Every text from outside, through every output form: what manifests, a platform, rules,
//! file names, the command line and the environment say neither moves the cursor nor hides
//! itself nor begins a command of a CI runner.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::process::Command;

use axum::Json;
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use meshagent::error::{Place, Problem};
use meshagent::kinds::path::FieldPath;
use meshagent::kinds::tree::Tree;
use meshagent::kinds::{Key, KindName};
use meshagent::plan::graph::{Graph, Language};
use meshagent::plan::text::Detail;
use meshagent::plan::{
    Action, FieldChange, Observed, Operation, Plan, ProjectState, Reason, Why, html, markdown,
    text, unified,
};
use serde_json::{Value, json};

use super::all;
use crate::cli::{Run, Sandbox};
use crate::reconciler::effect;

/// What is hidden or obeyed, each in a text of its own and all in one.
const PARTS: [&str; 13] = [
    "\u{1b}[2J\u{1b}]0;title\u{7}",
    "\r\n::warning::x",
    "\n  ::add-mask::x",
    "##[group]x",
    "##vso[task.complete]x",
    "\u{202e}\u{2066}",
    "\u{200b}\u{feff}\u{ad}",
    "\u{9b}31m\u{85}",
    "\u{2028}\u{2029}",
    "cafe\u{301}",
    "\u{a0}\u{e0041}",
    "`@octocat` <b>[l](http://e)</details>|",
    "\t\u{8}\u{7f}",
];

fn hostile() -> String {
    PARTS.concat()
}

/// What may stand nowhere.
const NOWHERE: [&str; 20] = [
    "\u{1b}",
    "\u{7}",
    "\r",
    "\u{8}",
    "\u{7f}",
    "\u{9b}",
    "\u{85}",
    "\u{202e}",
    "\u{2066}",
    "\u{200b}",
    "\u{feff}",
    "\u{ad}",
    "\u{2028}",
    "\u{2029}",
    "e\u{301}",
    "\u{a0}",
    "\u{e0041}",
    "##[",
    "##vso[",
    "\u{0}",
];

#[track_caller]
fn is_harmless(text: &str, whence: &dyn std::fmt::Debug) {
    for part in NOWHERE {
        assert!(!text.contains(part), "{part:?} of {whence:?} in\n{text:?}");
    }
    for line in text.lines() {
        let is_ours = line.starts_with("::error file=") && line.contains(",title=meshagent::");
        assert!(is_ours || !line.trim_start().starts_with("::"), "{whence:?}: {line:?} in\n{text}");
    }
}

/// Runs as on a CI runner, with each level of the log that says something.
#[track_caller]
fn ran(mut command: Command) -> Run {
    let words: Vec<String> =
        command.get_args().map(|word| word.to_string_lossy().into_owned()).collect();
    let run = Run::of(command.env("GITHUB_ACTIONS", "true").output().unwrap());
    is_harmless(&all(&run), &words);
    assert!(!run.stderr.contains("panicked"), "{words:?}: {}", run.stderr);
    run
}

fn operation(action: Action, replaces: bool, text: &str) -> Operation {
    let tree = |last: &str| {
        Tree::List(vec![Tree::text(text), Tree::map([(text, Tree::text(format!("{text}{last}")))])])
    };
    let change = |old: Option<Tree>, new: Option<Tree>| FieldChange {
        path: FieldPath::of(&["room_metadata", text]),
        old,
        new,
        place: Some(Place { file: text.to_owned(), line: 1, column: 1, from: None }),
        cause: None,
    };
    let long = |last: &str| Tree::text(format!("{}{last}", text.repeat(20)));
    let lines = |last: &str| Tree::text(format!("a\n{text}\n{text}{last}\n"));
    let fields = || Tree::map([(text, tree("1")), ("x", lines("1"))]);
    let key = Key::new(KindName::Service, text, Some(text.to_owned()), text);
    let met = Observed {
        id: None,
        owner: None,
        fields: Tree::map([(text, tree("2")), ("x", lines("2"))]).into(),
        answered: None,
        revision: None,
        called: None,
        also_called: Vec::new(),
        is_remembered: false,
    };
    let effect = effect((action, replaces), &fields(), Some(&met));
    Operation {
        changes: vec![
            change(None, Some(tree("1"))),
            change(Some(tree("1")), None),
            change(Some(tree("1")), Some(tree("2"))),
            change(Some(Tree::text(text)), Some(Tree::text("x"))),
            change(Some(long("1")), Some(long("2"))),
            change(Some(lines("1")), Some(lines("2"))),
        ],
        place: Some(Place { file: text.to_owned(), line: 1, column: 1, from: None }),
        derived_from: Some(text.to_owned()),
        ..Operation::new(key, effect, Reason::new(Why::Differs, text))
    }
}

/// A plan in which this text stands wherever one may.
fn plan(part: &str) -> Plan {
    let operations = [
        (Action::Create, false),
        (Action::Update, false),
        (Action::Rename, false),
        (Action::Create, true),
        (Action::Adopt, false),
        (Action::Delete, false),
        (Action::Release, false),
        (Action::Record, false),
    ];
    let state = ProjectState { id: None };
    let operations = operations.into_iter().enumerate().map(|(index, (action, is))| Operation {
        waits_for: (0..index).collect(),
        ..operation(action, is, part)
    });
    Plan {
        set: part.to_owned(),
        platform: part.to_owned(),
        projects: [(part.to_owned(), state.clone()), ("other".to_owned(), state)].into(),
        operations: operations.collect(),
        notes: vec![part.to_owned()],
        refused: vec![Problem::new(part).hint(part)],
        ..Plan::default()
    }
}

/// The tags of a page with their attributes, but for the numbers in them.
fn tags(page: &str) -> BTreeSet<String> {
    let tags = page.split('<').skip(1).map(|rest| rest.split('>').next().unwrap_or_default());
    let without_numbers = |tag: &str| tag.chars().filter(|c| !c.is_ascii_digit()).collect();
    tags.map(without_numbers).collect()
}

#[test]
fn no_text_from_outside_is_markup_of_a_page() {
    let markup = [
        "<script>alert(1)</script>",
        "\"><img src=x onerror=alert(1)>",
        "'><svg/onload=alert(1)>",
        "</title></style></svg><iframe srcdoc='&lt;script&gt;'>",
        "<!--",
        "]]><![CDATA[",
        "{{ 1111 * 1111 }}{% raw %}",
        "&lt;b&gt;",
    ];
    let pages = ["harmless".to_owned(), "harmless ".repeat(40)].map(|part| {
        let plan = plan(&part);
        tags(
            &(html::render(&plan, true).unwrap()
                + &Graph::of(&plan).render(Language::Svg).unwrap()),
        )
    });
    let known: BTreeSet<String> = pages.into_iter().flatten().collect();
    for part in markup.into_iter().map(str::to_owned).chain([hostile()]) {
        let plan = plan(&part);
        let page = html::render(&plan, true).unwrap();
        let others: Vec<_> = tags(&page).difference(&known).cloned().collect();
        assert_eq!(others, [""; 0], "{part}");
        assert!(!page.contains("1234321"), "{part}: {page}");
        for language in [Language::Svg, Language::Html] {
            let drawn = Graph::of(&plan).render(language).unwrap();
            let others: Vec<_> = tags(&drawn).difference(&known).cloned().collect();
            assert_eq!(others, [""; 0], "{part}");
        }
    }
}

#[test]
fn every_form_of_a_plan_shows_what_it_is_made_of() {
    let own_styles = |text: &str| anstream::adapter::strip_str(text).to_string();
    for part in PARTS.map(str::to_owned).into_iter().chain([hostile()]) {
        let plan = plan(&part);
        for (form, shown) in [
            ("text", text::render(&plan)),
            ("suggestions", text::render_in(&plan, Detail { suggests: true, is_whole: true })),
            ("markdown", markdown::render(&plan, false)),
            ("diff", unified::render(&plan)),
            ("mermaid", Graph::of(&plan).render(Language::Mermaid).unwrap()),
            ("dot", Graph::of(&plan).render(Language::Dot).unwrap()),
            ("svg", Graph::of(&plan).render(Language::Svg).unwrap()),
            ("html", html::render(&plan, true).unwrap()),
        ] {
            // The printer is left out, but for what only it knows: where a line begins.
            let shown =
                if form == "diff" { meshagent::visible::lines(&shown).into_owned() } else { shown };
            // A diff has more lines where a text has.
            is_harmless(&strip(&shown, &own_styles), &(form, &part));
        }
    }
}

/// Takes the program's own styles off, and nothing else.
fn strip(shown: &str, own_styles: &dyn Fn(&str) -> String) -> String {
    let mut out = String::new();
    for piece in shown.split_inclusive('m') {
        match piece.rfind("\u{1b}[") {
            Some(at)
                if piece[at + 2..piece.len() - 1]
                    .chars()
                    .all(|c| c.is_ascii_digit() || c == ';') =>
            {
                out += &piece[..at];
                assert_eq!(own_styles(&piece[at..]), "");
            }
            _ => out += piece,
        }
    }
    out
}

/// Documents with such texts wherever one may stand.
fn documents(text: &str) -> Vec<Value> {
    let metadata =
        |name: &str| json!({"name": name, "description": text, "annotations": {text: text}});
    let of = |kind: &str, name: &str, more: Value| {
        let mut document = json!({"version": "v1", "kind": kind, "metadata": metadata(name)});
        document.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        document
    };
    let container = json!({
        "image": "x", "command": text,
        "environment": [{"name": "A", "value": text}],
        "storage": {"files": [{"path": "/a", "text": text}]},
    });
    vec![
        json!({"version": "v1", "kind": text, "metadata": {"name": "a"}}),
        json!({"version": "v1", "kind": "Room", "metadata": {"name": "a"}, text: 1}),
        of("Room", "a", json!({"room_metadata": {text: [text, {text: text}]}})),
        of("Room", text, json!({})),
        of("Room", "a", json!({"project": text})),
        of("Room", "a", json!({"lifecycle": {"moved_from": text}})),
        of("Room", "a", json!({"lifecycle": {"ignore": [text]}})),
        of("Service", text, json!({"container": container})),
        of("Service", "a", json!({"container": container, "room": text})),
        of("Service", "a", json!({"template": text, "values": {text: text}})),
        of("Service", "a", json!({"container": {"image": "x", "secrets": [text]}})),
        of("ServiceTemplate", text, json!({"container": container, "variables": [{"name": text}]})),
        of("Mailbox", text, json!({"room": "a", "queue": text})),
        of("Route", text, json!({"room": "a", "port": text})),
        of(
            "ScheduledTask",
            "t",
            json!({"room": text, "queue": text, "schedule": text, "payload": {text: text}}),
        ),
        of("Webhook", text, json!({"url": text, "events": [text], "payload": {text: text}})),
        of("Secret", text, json!({"type": "keys", "data": {text: {"from": {"env": text}}}})),
        of("Secret", text, json!({"type": "keys", "data": {text: {"from": {"file": text}}}})),
        of("Secret", "a", json!({"type": text, "data": {"A": "x"}})),
    ]
}

#[test]
fn manifests_and_their_names_are_shown_as_they_are() {
    for (index, document) in documents(&hostile()).into_iter().enumerate() {
        let sandbox = Sandbox::new();
        let name = format!("set-{index}{}.yaml", hostile().replace(['/', '\0'], ""));
        std::fs::create_dir(sandbox.path("set")).unwrap();
        sandbox.write(&format!("set/{name}"), &meshagent::visible::json(&document.to_string()));
        let set = ["-f", "set"];
        let run = |words: &[&str]| {
            let words = [words, &set, &["--embedded"]].concat();
            ran(sandbox.command(&words))
        };
        ran(sandbox.command(&["validate", "-f", "set"]));
        run(&["plan", "--suggest-ignore"]);
        run(&["plan", "-o", "markdown"]);
        run(&["diff"]);
        run(&["graph", "-l", "dot"]);
        run(&["apply", "--yes", "-o", "json"]);
        run(&["--log", "trace", "apply", "--yes", "--set", "s", "--report", "/dev/stdout"]);
    }
}

#[test]
fn a_set_with_hostile_values_is_shown_exported_and_destroyed() {
    let sandbox = Sandbox::new();
    let of = |kind: &str, more: Value| {
        let mut document = json!({
            "version": "v1", "kind": kind,
            "metadata": {"name": format!("a-{}", kind.to_lowercase())},
        });
        document.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        document.to_string()
    };
    let hostile = hostile();
    let write = |last: &str| {
        let value = format!("{hostile}{last}");
        let room = of(
            "Room",
            json!({"room_metadata": {&hostile: [&value], "text": format!("a\n{value}\nb\n")}}),
        );
        let task = of(
            "ScheduledTask",
            json!({"room": "a-room", "queue": "q", "schedule": "0 0 * * *", "payload": {&hostile: &value}}),
        );
        let text = format!("{room}\n---\n{task}\n");
        // YAML takes no control characters as they are.
        sandbox.write("set.yaml", &meshagent::visible::json(&text));
    };
    let run = |words: &[&str]| {
        let run = ran(sandbox.command(&[words, &["--embedded"]].concat()));
        assert_eq!(run.code, 0, "{words:?}: {}", all(&run));
        run
    };
    let set = ["-f", "set.yaml"];
    for last in ["1", "2"] {
        write(last);
        for form in ["text", "json", "markdown"] {
            let shown = run(&[&["plan", "-o", form], &set[..]].concat()).stdout;
            assert!(shown.contains(if form == "json" { "\\u202e" } else { "202e" }), "{shown}");
        }
        assert!(run(&[&["diff"], &set[..]].concat()).stdout.contains("\\u{202e}"));
        run(&[&["apply", "--yes"], &set[..]].concat());
    }
    for words in
        [&["rooms", "get", "--name", "a-room"][..], &["rooms", "list"], &["scheduled-task", "list"]]
    {
        for form in ["json", "yaml", "table"] {
            run(&[words, &["-o", form]].concat());
        }
    }
    // What is written back means the same, and hides nothing either.
    run(&["export", "-d", "exported"]);
    for entry in walkdir::WalkDir::new(sandbox.path("exported")).into_iter().map(Result::unwrap) {
        if entry.file_type().is_file() {
            is_harmless(&std::fs::read_to_string(entry.path()).unwrap(), &entry.path());
        }
    }
    let plan = run(&["plan", "-f", "exported", "--no-prune"]);
    assert!(plan.stdout.starts_with("Nothing to change"), "{}", plan.stdout);
    run(&[
        "rooms",
        "update",
        "--name",
        "a-room",
        "--new-name",
        "a-room",
        "--annotations",
        "{\"\\u202e\": \"\\u200bx\"}",
    ]);
    run(&[&["plan", "--drift-only"], &set[..]].concat());
    run(&[&["accept", "--dry-run"], &set[..]].concat());
    run(&["destroy", "--yes", "-o", "json"]);
}

#[test]
fn rules_speak_as_one_line() {
    let sandbox = Sandbox::new();
    sandbox.write("set.yaml", "version: v1\nkind: Room\nmetadata: {name: a}\n");
    std::fs::create_dir(sandbox.path("rules")).unwrap();
    let text = Value::from(hostile()).to_string();
    sandbox.write(
        "rules/a.rego",
        &format!(
            "package meshagent\nwarn contains {text}\ndeny contains {text} if {{ print({text}) }}\n"
        ),
    );
    let words = ["plan", "-f", "set.yaml", "--policy", "rules", "--embedded"];
    let run = ran(sandbox.command(&words));
    assert_eq!(run.code, 6, "{}", run.stderr);
    assert!(run.stderr.contains("warning:") && run.stderr.contains("\\u{202e}"), "{}", run.stderr);
}

/// A platform whose every text is hostile; it refuses what is written.
async fn answer(method: Method) -> Response {
    let text = hostile();
    if method != Method::GET {
        let body = json!({"error": text, "field": text, "message": text});
        return (StatusCode::BAD_REQUEST, Json(body)).into_response();
    }
    let container =
        json!({"image": text, "command": text, "environment": [{"name": text, "value": text}]});
    let object = json!({
        "id": text, "name": text, "key": text, "type": text, "description": text,
        "address": text, "domain": text, "room": text, "room_name": text, "room_id": text,
        "queue": text, "schedule": text, "url": text, "events": [text], "port": text,
        "created_at": text, "data": {&text: text}, "data_keys": [text], "payload": {&text: text},
        "metadata": {"name": text, "displayName": text, "description": text},
        "annotations": {&text: text}, "version": "v1", "kind": "Service", "container": container,
        "is_active": true, "participants": text, "purpose": text, "public": false,
    });
    let lists = [
        "projects",
        "rooms",
        "services",
        "mailboxes",
        "routes",
        "tasks",
        "secrets",
        "webhooks",
        "keys",
        "sessions",
        "events",
    ];
    let mut body = object.clone();
    for list in lists {
        body[list] = json!([object]);
    }
    body["total"] = 1.into();
    // What it says of itself is tried elsewhere, because without it nothing else is asked.
    body["api_version"] = "0.31.4".into();
    Json(body).into_response()
}

const READING: [&[&str]; 13] = [
    &["project", "list"],
    &["api-key", "list"],
    &["session", "list"],
    &["session", "show", "s"],
    &["rooms", "list"],
    &["rooms", "get", "--name", "r"],
    &["service", "list"],
    &["service", "show", "s"],
    &["mailbox", "list"],
    &["route", "list"],
    &["scheduled-task", "list"],
    &["webhook", "list"],
    &["secret", "list"],
];

#[tokio::test(flavor = "multi_thread")]
async fn a_hostile_platform_is_shown_as_it_is() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let router = axum::Router::new().fallback(answer);
    tokio::spawn(async move { axum::serve(listener, router).await });
    tokio::task::spawn_blocking(move || walk(&url)).await.unwrap();
}

fn walk(url: &str) {
    let sandbox = Sandbox::new();
    sandbox.write("set.yaml", "version: v1\nkind: Room\nmetadata: {name: a}\n");
    sandbox.write("spec.yaml", &meshagent::visible::json(&documents(&hostile())[7].to_string()));
    let hostile = hostile();
    let map = json!({&hostile: hostile}).to_string();
    let command = |words: &[&str]| {
        let mut command = sandbox.command(words);
        command.env("MESHAGENT_API_URL", url).env("MESHAGENT_API_KEY", "k");
        command.env("MESHAGENT_PROJECT_ID", "0b0e7e91-1762-450c-ac3b-e3396e0af0de");
        command
    };
    for words in READING {
        let mut answered = 0;
        for more in [&["-o", "json"][..], &["-o", "yaml"], &["-o", "table"], &["--quiet"]] {
            let run = ran(command(&[words, more].concat()));
            answered += usize::from(run.code == 0 && run.stdout.contains("202e"));
        }
        assert!(answered >= 3, "{words:?}: {answered} forms showed what there is");
    }
    for words in [
        &["rooms", "create", "--name", "r"][..],
        &["rooms", "create", "--name", &hostile, "--metadata", &map, "--dry-run"],
        &["rooms", "create", "--name", "r", "--metadata", &map, "--as-manifest"],
        &["rooms", "delete", "--id", &hostile],
        &[
            "rooms",
            "update",
            "--name",
            "r",
            "--new-name",
            &hostile,
            "--annotations",
            &map,
            "--dry-run",
        ],
        &["rooms", "update", "--id", &hostile, "--new-name", &hostile, "--annotations", &map],
        &["project", "create", &hostile],
        &["project", "activate", &hostile],
        &["api-key", "create", &hostile, "--dry-run"],
        &["api-key", "create", &hostile],
        &[
            "mailbox",
            "create",
            "--address",
            &hostile,
            "--room",
            &hostile,
            "--queue",
            &hostile,
            "--dry-run",
        ],
        &["mailbox", "create", "--address", &hostile, "--room", &hostile, "--queue", &hostile],
        &["route", "delete", &hostile],
        &["service", "create", "--file", "spec.yaml", "--dry-run"],
        &["service", "create", "--file", "spec.yaml", "--as-manifest"],
        &["service", "create", "--file", "spec.yaml"],
        &["service", "spec", "--file", "spec.yaml"],
        &["service", "validate", "--file", "spec.yaml"],
        &[
            "webhook",
            "create",
            "--name",
            &hostile,
            "--url",
            &hostile,
            "--event",
            &hostile,
            "--dry-run",
        ],
        &["session", "show", &hostile],
        &["plan", "-f", "set.yaml"],
        &["--log", "trace", "plan", "-f", "set.yaml"],
        &["apply", "-f", "set.yaml", "--yes", "-o", "json"],
        &["export", "-d", "exported"],
        &["destroy", "--yes"],
        &["set", "list"],
        &["set", "list", "-o", "json"],
        &["set", "list", "--project-id", &hostile],
        &["set", "move", &hostile, "--to", "b", "--dry-run"],
        &["set", "move", "Room/a", "--set", &hostile, "--to", &hostile, "--yes"],
        &["set", "rename", &hostile, &hostile, "--yes"],
        &["set", "rename", "a", "b", "--dry-run"],
        &["accept", "-f", "set.yaml"],
        &["accept", &hostile, "-f", "set.yaml"],
        &["plan", "-f", &hostile],
        &["plan", "-f", "set.yaml", "--set", &hostile],
        &["plan", "-f", "set.yaml", "--target", &hostile],
        &["plan", "-f", "set.yaml", "--project-id", &hostile],
        &["plan", "-f", "set.yaml", "--out", &hostile],
        &["plan", "-f", "set.yaml", "--policy", &hostile],
        &["plan", "-f", "set.yaml", "--api-url", &hostile],
        &["apply", &hostile],
        &["explain", &hostile],
        &["schema", &hostile],
        &["--log", &hostile, "version"],
        &[&hostile],
        &["rooms", &hostile],
    ] {
        ran(command(words));
    }
    let variable = OsStr::from_bytes(hostile.as_bytes());
    for name in
        ["MESHAGENT_PROJECT_ID", "MESHAGENT_API_URL", "MESHAGENT_LOG", "MESHAGENT_ROOM", "USER"]
    {
        for words in [&["rooms", "list"][..], &["plan", "-f", "set.yaml"]] {
            let mut command = command(words);
            ran({
                command.env(name, variable);
                command
            });
        }
    }
    // Nothing is offered to a shell that it would split, run, or that nobody sees.
    for words in [&["rooms", "get", "--name", ""][..], &["project", "activate", ""]] {
        let mut command = command(&[&["--", "meshagent"], words].concat());
        command
            .env("MESHAGENT_COMPLETE", "bash")
            .env("_CLAP_COMPLETE_INDEX", words.len().to_string())
            .env("_CLAP_IFS", "\n");
        let run = ran(command);
        assert!(!run.stdout.contains("octocat"), "{}", run.stdout);
    }
}
