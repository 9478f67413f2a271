//! What stands twice is told at each place where it stands again.

use super::{Sandbox, service, tells, validate};

#[track_caller]
fn told(sandbox: &Sandbox, container: &str, expected: &[&str]) {
    let run = validate(sandbox, 2, "s.yaml", &service(container));
    for line in expected {
        tells(&run, line);
    }
    let again = run.stderr.matches("which occurs twice").count();
    assert_eq!(again, expected.len(), "{}", run.stderr);
}

#[test]
fn all_that_stands_twice_in_a_service_is_told_at_once() {
    let sandbox = Sandbox::new();
    let container = "  environment:\n  - {name: A, value: '1'}\n  - {name: B}\n  - {name: A}\n  - {name: B}\n  - {name: A}\n  \
        secrets: [a, b, a, b]\n  storage:\n    files:\n    - {path: /f, text: x}\n    - {path: /f, text: y}\n    \
        room: [{path: /r}, {path: /r}]\nports:\n- {num: 80}\n- {num: 81}\n- {num: '80'}\n";
    told(
        &sandbox,
        container,
        &[
            "s.yaml:11:6: `container.environment[2].name` is `A`, which occurs twice, first at [0]",
            "s.yaml:12:6: `container.environment[3].name` is `B`, which occurs twice, first at [1]",
            "s.yaml:13:6: `container.environment[4].name` is `A`, which occurs twice, first at [0]",
            "`container.secrets[2]` is `a`, which occurs twice, first at [0]",
            "`container.secrets[3]` is `b`, which occurs twice, first at [1]",
            "`container.storage.files[1].path` is `/f`, which occurs twice, first at [0]",
            "`container.storage.room[1].path` is `/r`, which occurs twice, first at [0]",
            "`ports[2].num` is `80`, which occurs twice, first at [0]",
        ],
    );
}

#[test]
fn paths_that_lead_to_one_place_are_one_mount() {
    let sandbox = Sandbox::new();
    for (one, other, place) in [
        ("/d", "/e/../d", "/d"),
        ("//a", "/a", "/a"),
        ("/a/", "/a", "/a"),
        ("/a/./b", "/a//b/.", "/a/b"),
        ("/../a", "/a", "/a"),
        ("/", "/a/..", "/"),
    ] {
        let mounts = format!(
            "  storage:\n    room: [{{path: {one}}}]\n    empty_dirs: [{{path: /else}}, {{path: {other}}}]\n"
        );
        let expected = format!(
            "`container.storage.empty_dirs[1].path` is `{place}`, which occurs twice, first at `container.storage.room[0]`"
        );
        told(&sandbox, &mounts, &[&expected]);
    }
    for (one, other) in [("/a", "/A"), ("/a", "/a/b"), ("/a", "/a.."), ("/a b", "/ab")] {
        let mounts = format!("  storage:\n    room: [{{path: {one:?}}}, {{path: {other:?}}}]\n");
        validate(&sandbox, 0, "s.yaml", &service(&mounts));
    }
}

#[test]
fn other_lists_have_nothing_twice_either() {
    let sandbox = Sandbox::new();
    told(
        &sandbox,
        "ports:\n- num: 80\n  endpoints:\n  - {path: /a, mcp: {label: l}}\n  - {path: /b, mcp: {label: l}}\n  - {path: /a, mcp: {label: m}}\n",
        &["`ports[0].endpoints[2].path` is `/a`, which occurs twice, first at [0]"],
    );
    let scope = "  environment:\n  - name: T\n    token:\n      identity: i\n      api:\n        \
        queues: {send: [q, r, q]}\n        storage: {paths: [{path: a}, {path: b, read_only: true}, {path: a, read_only: true}]}\n        \
        database: {tables: [{name: t}, {name: t, namespace: [n]}, {name: t}]}\n";
    told(
        &sandbox,
        scope,
        &[
            "token.api.queues.send[2]` is `q`, which occurs twice",
            "token.api.storage.paths[2].path` is `a`, which occurs twice",
            "token.api.database.tables[2].name` is `t`, which occurs twice, first at [0]",
        ],
    );
    let webhook = "version: v1\nkind: Webhook\nmetadata: {name: w}\nproject: p\nurl: https://example.com\n\
        events: [room.started, room.ended, room.started, room.ended]\n";
    let run = validate(&sandbox, 2, "w.yaml", webhook);
    tells(&run, "w.yaml:6:36: `events[2]` is `room.started`, which occurs twice, first at [0]");
    tells(&run, "w.yaml:6:50: `events[3]` is `room.ended`, which occurs twice, first at [1]");
}

/// The platform's own examples bring one agent with several annotations.
#[test]
fn agents_of_one_name_are_taken() {
    let sandbox = Sandbox::new();
    let agents = "agents:\n- {name: g, annotations: {a: x}}\n- {name: g, annotations: {a: y}}\n";
    validate(&sandbox, 0, "s.yaml", &service(agents));
}

#[test]
fn rooms_and_fields_of_secrets_are_told_all_at_once() {
    let sandbox = Sandbox::new();
    let run = validate(&sandbox, 2, "s.yaml", &service("rooms: [a, b, a, b]\n"));
    tells(&run, "s.yaml:8:15: room `a` is named twice");
    tells(&run, "s.yaml:8:18: room `b` is named twice");
    let secret =
        "version: v1\nkind: Secret\nmetadata: {name: s}\nproject: p\ntype: docker\njson_key: x\n";
    let run = validate(&sandbox, 2, "s.yaml", secret);
    for field in
        ["has no field `json_key`", "needs `server`", "needs `username`", "needs `password`"]
    {
        tells(&run, &format!("a secret of type `docker` {field}"));
    }
}

#[test]
fn of_a_template_the_variables_are_told_too() {
    let sandbox = Sandbox::new();
    let template = "version: v1\nkind: ServiceTemplate\nmetadata: {name: t}\nvalues: {}\nproject: p\ncontainer:\n  \
        image: x\n  environment: [{name: A}, {name: A}, {name: B}, {name: B}]\n";
    let run = validate(&sandbox, 2, "s.yaml", template);
    tells(&run, "is `A`, which occurs twice");
    tells(&run, "is `B`, which occurs twice");
}
