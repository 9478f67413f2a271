//! What only 0.56 has: it is written there, and refused in 0.31 by name.

use meshagent::api::spoken::Spoken;
use serde_json::{Value, json};

use super::stand_in::StandIn;
use crate::platform::harness::Server;

const APPLY: [&str; 6] = ["apply", "-f", "set.yaml", "--set", "s", "--yes"];
const PLAN: [&str; 6] = ["plan", "-f", "set.yaml", "--set", "s", "--exit-code"];

const ROOM: &str = "version: v1\nkind: Room\nmetadata: {name: lobby}\n";
const SERVICE: &str =
    "version: v1\nkind: Service\nmetadata: {name: bot}\nroom: lobby\ncontainer: {image: x}\n";
const ROUTE: &str =
    "version: v1\nkind: Route\nmetadata: {name: a.meshagent.app}\nroom: lobby\nport: 8000\n";
const SETTINGS: &str = "version: v1\nkind: SettingsDocument\nmetadata: {name: openai}\n\
                        settings:\n  api_key: sk-canary-0123456789\n  base_url: https://a.example\n";

/// A platform of 0.56 to which this was applied.
fn applied(set: &str) -> StandIn {
    let platform = StandIn::of(Spoken::V0_56);
    platform.sandbox.write("set.yaml", set);
    platform.ends(0, &APPLY);
    platform.ends(0, &PLAN);
    platform.take_asked();
    platform
}

/// The bodies of the writes since the last time, each with what it writes to.
fn writes(platform: &StandIn) -> Vec<(String, Value)> {
    let writes = platform.take_asked().into_iter();
    let writes = writes.filter(|it| it.method != "GET" && !it.path.contains("/storage"));
    writes.map(|it| (format!("{} {}", it.method, it.path), it.body)).collect()
}

#[test]
fn what_only_0_56_has_is_refused_in_0_31_at_its_place() {
    let cases = [
        (format!("{ROOM}enabled: false\n"), "4:1", "has no field `enabled`"),
        (format!("{SERVICE}enabled: true\n"), "6:1", "has no field `enabled`"),
        (
            SERVICE.replace(
                "{image: x}",
                "\n  image: x\n  storage:\n    volumes: [{name: v, path: /v}]",
            ),
            "8:5",
            "has no field `container.storage.volumes`",
        ),
        (
            SERVICE.replace("{image: x}", "\n  image: x\n  storage:\n    configs: [{}]"),
            "8:5",
            "has no field `container.storage.configs`",
        ),
        (
            ROUTE.replace(
                "room: lobby\nport: 8000\n",
                "backend: {room: {name: lobby}}\npaths: [{path: /a, targetPort: 80}]\n",
            ),
            "5:1",
            "has no field `paths`",
        ),
        (SETTINGS.to_owned(), "1:1", "has no SettingsDocument"),
        (
            "version: v1\nkind: RoomRoles\nmetadata: {name: room-roles}\nroles: {}\n".to_owned(),
            "1:1",
            "has no RoomRoles",
        ),
    ];
    let platform = StandIn::of(Spoken::V0_31);
    let room = json!({"id": "r", "name": "lobby", "metadata": {}, "annotations": {}});
    platform.put("rooms", [room]);
    for (text, place, told) in cases {
        platform.sandbox.write("set.yaml", &text);
        for command in [&["plan", "--adopt"][..], &["apply", "--yes", "--adopt"]] {
            let run = platform.ends(6, &[command, &["-f", "set.yaml"]].concat());
            let line = run.stderr.lines().find(|line| line.contains(told));
            let line = line.unwrap_or_else(|| panic!("{told}: {}", run.stderr));
            assert!(line.starts_with(&format!("set.yaml:{place}: ")), "{line}");
            assert!(run.stderr.contains("hint: "), "{}", run.stderr);
            assert_eq!(platform.take_writes(), Vec::<String>::new(), "{told}");
        }
    }
}

#[test]
fn settings_of_a_project_are_documents_of_their_own() {
    let platform = StandIn::of(Spoken::V0_56);
    platform.sandbox.write(
        "set.yaml",
        "version: v1\nkind: Project\nmetadata: {name: one}\nsettings: {openai: {a: b}}\n",
    );
    let run = platform.ends(6, &["plan", "-f", "set.yaml", "--adopt"]);
    assert!(run.stderr.contains("has no field `settings`"), "{}", run.stderr);
    assert!(run.stderr.contains("of kind `SettingsDocument`"), "{}", run.stderr);
}

#[test]
fn whether_something_is_enabled_is_left_alone_until_somebody_says_it() {
    let platform = applied(&format!("{ROOM}---\n{SERVICE}"));
    for (list, id) in [("rooms", "id-1"), ("rooms/lobby/services", "id-1")] {
        let mut item = platform.list(list).remove(0);
        item["enabled"] = false.into();
        assert_eq!(item["id"], id);
        platform.replace(list, item);
    }
    platform.ends(0, &PLAN);
    let both = |said: &str| {
        let changed = SERVICE.replace("image: x", "image: y");
        format!("{ROOM}room_metadata: {{a: b}}\n{said}---\n{changed}{said}")
    };
    // What else is changed changes nothing about it.
    platform.sandbox.write("set.yaml", &both(""));
    platform.ends(0, &APPLY);
    let mut sent = writes(&platform);
    sent.sort_by(|one, other| one.0.cmp(&other.0));
    assert_eq!(sent.len(), 2, "{sent:?}");
    assert_eq!((&sent[0].0[..], sent[0].1.get("enabled")), ("PUT rooms/id-1", None));
    assert_eq!(sent[1].1["enabled"], false, "{sent:?}");
    // What is said counts, and what is not said any more is as it was before.
    for (said, enabled) in [("enabled: true\n", true), ("enabled: false\n", false), ("", true)] {
        platform.sandbox.write("set.yaml", &both(said));
        platform.ends(0, &APPLY);
        for (path, body) in writes(&platform) {
            assert_eq!(body["enabled"], enabled, "{said}{path}");
        }
        assert_eq!(platform.list("rooms")[0]["enabled"], enabled, "{said}");
        platform.ends(0, &PLAN);
    }
}

#[test]
fn a_settings_document_is_written_as_a_whole_and_never_shown() {
    let platform = StandIn::of(Spoken::V0_56);
    platform.sandbox.write("set.yaml", SETTINGS);
    let plan = platform.ends(3, &PLAN);
    platform.ends(0, &APPLY);
    let whole = json!({"api_key": "sk-canary-0123456789", "base_url": "https://a.example"});
    assert_eq!(writes(&platform), [("PUT settings/openai".to_owned(), whole)]);
    platform.ends(0, &PLAN);
    platform.put("settings/otel", [json!({"of": "others"})]);
    // Somebody else writes to it: all of that is drift.
    platform.remove("settings/openai");
    platform.put("settings/openai", [json!({"api_key": "sk-canary-other-9876", "more": 1})]);
    let drift = platform.ends(3, &PLAN);
    for text in [&plan.stdout, &plan.stderr, &drift.stdout, &drift.stderr] {
        assert!(!text.contains("canary") && !text.contains("a.example"), "{text}");
    }
    for field in ["settings.api_key", "settings.base_url", "settings.more"] {
        assert!(drift.stdout.contains(field), "{}", drift.stdout);
    }
    platform.ends(0, &APPLY);
    assert_eq!(platform.list("settings/openai")[0]["base_url"], "https://a.example");
    platform.ends(0, &["destroy", "--set", "s", "--yes"]);
    assert_eq!(platform.list("settings/openai"), Vec::<Value>::new());
    assert_eq!(platform.list("settings/otel").len(), 1);
}

#[test]
fn a_settings_document_that_cannot_be_read_is_neither_gone_nor_replaced() {
    let platform = applied(SETTINGS);
    platform.deny("settings/openai");
    for (code, command) in [(6, &PLAN[..]), (6, &APPLY), (0, &["destroy", "--set", "s", "--yes"])] {
        let run = platform.ends(code, command);
        assert!(run.stderr.contains("settings/openai"), "{command:?}: {}", run.stderr);
        assert_eq!(platform.take_writes(), Vec::<String>::new(), "{command:?}");
    }
}

#[test]
fn a_settings_document_that_was_made_by_hand_is_not_taken() {
    let platform = StandIn::of(Spoken::V0_56);
    platform.put("settings/openai", [json!({"api_key": "of others"})]);
    platform.sandbox.write("set.yaml", SETTINGS);
    platform.ends(6, &APPLY);
    assert_eq!(platform.take_writes(), Vec::<String>::new());
    platform.ends(0, &[&APPLY[..], &["--adopt"]].concat());
    assert_eq!(platform.list("settings/openai")[0]["base_url"], "https://a.example");
}

#[test]
fn what_a_later_platform_says_of_the_router_stays() {
    let set = "version: v1\nkind: SettingsDocument\nmetadata: {name: router}\n\
               settings: {apps: {mode: blocked}}\n";
    let platform = applied(set);
    platform.remove("settings/router");
    let answered = json!({
        "allowedModels": null, "rules": [], "later": {"a": 1},
        "apps": {"mode": "blocked", "userAgentPatterns": [], "blockMissingUserAgent": false, "b": 2},
    });
    platform.put("settings/router", [answered]);
    platform.ends(0, &PLAN);
    platform.sandbox.write("set.yaml", &set.replace("blocked", "allowed"));
    platform.ends(0, &APPLY);
    let after = platform.list("settings/router").remove(0);
    assert_eq!(after, json!({"apps": {"mode": "allowed", "b": 2}, "later": {"a": 1}}));
}

#[test]
fn all_paths_of_a_route_are_its_documents() {
    let platform = applied(&format!("{ROOM}---\n{ROUTE}"));
    let mut route = platform.list("routes").remove(0);
    let first = json!({"path": "/", "pathType": "prefix", "targetPort": 8000, "later": 1});
    let second = json!({"path": "/docs", "targetContent": {"subpath": "docs"}});
    route["spec"]["paths"] = json!([first, second]);
    platform.replace("routes", route);
    let plan = platform.ends(3, &PLAN).stdout;
    assert!(plan.contains("paths"), "{plan}");
    platform.ends(0, &APPLY);
    // The port stays a number, and what is not known of the path stays.
    let kept = json!([{"path": "/", "pathType": "prefix", "targetPort": 8000, "later": 1}]);
    assert_eq!(platform.list("routes")[0]["spec"]["paths"], kept);
    platform.ends(0, &PLAN);
    // A command for the one route leaves the paths that it does not name.
    let mut route = platform.list("routes").remove(0);
    route["spec"]["paths"] = json!([first, second]);
    platform.replace("routes", route);
    platform.ends(0, &["route", "update", "a.meshagent.app", "--room", "lobby", "--port", "9000"]);
    let paths = platform.list("routes")[0]["spec"]["paths"].clone();
    assert_eq!((&paths[0]["targetPort"], &paths[1]["path"]), (&"9000".into(), &"/docs".into()));
}

#[test]
fn an_export_reads_settings_from_elsewhere_and_leaves_out_what_it_cannot_say() {
    let platform = applied(SETTINGS);
    platform.put("settings/otel", [json!({"endpoint": "canary-endpoint", "ratio": 5})]);
    platform.put("settings/router", [json!({"apps": {"mode": "blocked"}})]);
    platform.put("settings/room-roles", [json!({"roles": {"viewer": {"site_user": true}}})]);
    let run = platform.ends(0, &["export", "-d", "out"]);
    assert!(
        run.stderr.contains("SettingsDocument/otel is left out: it holds a number"),
        "{}",
        run.stderr
    );
    let read = |name: &str| std::fs::read_to_string(platform.sandbox.path(&format!("out/{name}")));
    let openai = read("settings-document/openai.yaml").expect("a manifest");
    assert!(openai.contains("env: SETTING_OPENAI_API_KEY"), "{openai}");
    let router = read("settings-document/router.yaml").expect("a manifest");
    assert!(router.contains("mode: blocked"), "{router}");
    assert!(read("settings-document/otel.yaml").is_err());
    let roles = read("room-roles/room-roles.yaml").expect("a manifest");
    assert!(roles.contains("site_user: true"), "{roles}");
    for text in [&openai, &router, &run.stdout, &run.stderr] {
        assert!(!text.contains("canary"), "{text}");
    }
}

#[tokio::test]
async fn the_platform_refuses_in_0_31_what_only_0_56_has() {
    let server = Server::start().await;
    let service = |container: Value| json!({"version": "v1", "kind": "Service", "metadata": {"name": "a"}, "container": container});
    let mounted = json!({"image": "x", "storage": {"volumes": [{"name": "v", "path": "/v"}]}});
    let mut disabled = service(json!({"image": "x"}));
    disabled["enabled"] = false.into();
    server.send("POST", "/services", disabled).await.refuses("enabled");
    let reply = server.send("POST", "/services", service(mounted)).await;
    reply.refuses("container.storage.volumes");
    let template = "version: v1\nkind: ServiceTemplate\nmetadata: {name: t}\ncontainer:\n  image: x\n  storage: {configs: [{}]}\n";
    let body = json!({"template": template, "values": {}});
    let reply = server.ask("POST", "/templates/render").bearer(&server.owner).json(&body);
    let reply = reply.send().await.refuses("template");
    assert!(reply.text.contains("container.storage.configs"), "{}", reply.text);
}
