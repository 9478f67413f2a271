//! What `lifecycle` says can mean something, or is refused at its place.

use super::{Sandbox, room, run, told, write};

#[track_caller]
fn refused(text: &str, message: &str, hint: &str) {
    let sandbox = Sandbox::new();
    write(&sandbox, "m.yaml", text);
    let said = run(&sandbox, 2, &["validate", "-f", "m.yaml", "--project-id", "p"]);
    told(&said, message);
    told(&said, &format!("hint: {hint}"));
}

fn document(kind: &str, name: &str, rest: &str) -> String {
    format!("version: v1\nkind: {kind}\nmetadata: {{name: {name}}}\n{rest}")
}

#[test]
fn a_former_name_is_a_name_alone() {
    let service = document("Service", "s", "rooms: [a, b]\ncontainer: {image: x}\n");
    let mailbox = document("Mailbox", "a@b.example", "room: r\nqueue: q\n");
    let secret = document("Secret", "s", "type: keys\ndata: {A: b}\n");
    for (text, former, hint) in [
        (&room("a"), "Room/lobby", "write `moved_from: lobby`"),
        (&room("a"), "room/lobby", "write `moved_from: lobby`"),
        (&service, "bot@lobby", "write `moved_from: bot`"),
        (&service, "Service/bot", "write `moved_from: bot`"),
        (&service, "Service/bot@lobby", "write `moved_from: bot`"),
        (&mailbox, "Mailbox/c@b.example", "write `moved_from: c@b.example`"),
        (&secret, "Secret/old", "write `moved_from: old`"),
    ] {
        let text = format!("{text}lifecycle:\n  moved_from: {former}\n");
        let line = text.lines().count();
        let message =
            format!("m.yaml:{line}:3: `moved_from` must be just the former name, not `{former}`");
        refused(&text, &message, hint);
    }
    let text = format!("{mailbox}lifecycle: {{moved_from: c@b@lobby}}\n");
    refused(
        &text,
        "`moved_from` must be a mail address",
        "write the name that the object had before",
    );
    let text = format!("{}lifecycle: {{moved_from: ''}}\n", room("a"));
    refused(&text, "`moved_from` must not be empty", "write the name");
    let sandbox = Sandbox::new();
    for (text, former) in [(&mailbox, "c@b.example"), (&room("a"), "Old Lobby"), (&secret, "a/b")] {
        write(&sandbox, "m.yaml", format!("{text}lifecycle: {{moved_from: {former}}}\n"));
        run(&sandbox, 0, &["validate", "-f", "m.yaml", "--project-id", "p"]);
    }
}

#[test]
fn a_project_was_never_called_otherwise() {
    for former in ["old", "Project/old", "new"] {
        let text = document("Project", "new", &format!("lifecycle:\n  moved_from: {former}\n"));
        refused(&text, "m.yaml:5:3: a project cannot be renamed", "remove it");
    }
}

#[test]
fn a_rule_that_can_never_match_is_refused() {
    let service = document(
        "Service",
        "s",
        "container: {image: x, environment: [{name: A, value: b}]}\nports: [{num: 80}]\n",
    );
    let meta = format!("{}room_metadata: {{list: [{{v: 1}}], m: {{a: 1}}}}\n", room("a"));
    let task = document(
        "ScheduledTask",
        "t",
        "room: r\nqueue: q\nschedule: '@daily'\npayload: {to: [1]}\n",
    );
    for (text, rule, hint) in [
        (
            &service,
            "container.environment.*.value",
            "write `container.environment[name=…]` for an item, or `container.environment` for the whole list",
        ),
        (
            &service,
            "container.environment.0.value",
            "write `container.environment[name=…]` for an item, or `container.environment` for the whole list",
        ),
        (
            &service,
            "container.environment.A.value",
            "write `container.environment[name=A]` for an item",
        ),
        (
            &service,
            "ports.80.published",
            "write `ports[num=…]` for an item, or `ports` for the whole list",
        ),
        (
            &service,
            "container.secrets.1",
            "its items have no names; write `container.secrets` for the whole list",
        ),
        (&service, "metadata.annotations.*", "write `metadata.annotations` for everything in it"),
        (&service, "container[0]", "write `container.NAME` for a field of it"),
        (&meta, "room_metadata.list.0.v", "write `room_metadata.list[0]` for an item"),
        (&meta, "room_metadata.list.*.v", "write `room_metadata.list[0]` for an item"),
        (&meta, "room_metadata.m.*", "write `room_metadata.m` for everything in it"),
        (&meta, "room_metadata.m[0]", "write `room_metadata.m.NAME` for a field of it"),
        (&task, "payload.to.*", "write `payload.to[0]` for an item"),
    ] {
        let text = format!("{text}lifecycle:\n  ignore:\n  - '{rule}'\n");
        let line = text.lines().count();
        refused(&text, &format!("m.yaml:{line}:5: `{rule}` can never match"), hint);
    }
    let sandbox = Sandbox::new();
    let fine = "'container.environment[name=A].value', 'ports[num=80]', container.image, 'metadata.annotations[\"*\"]'";
    write(&sandbox, "m.yaml", format!("{service}lifecycle: {{ignore: [{fine}]}}\n"));
    run(&sandbox, 0, &["validate", "-f", "m.yaml", "--project-id", "p"]);
    let fine = "room_metadata.m.a, 'room_metadata.list[0].v', room_metadata.later.0";
    write(&sandbox, "m.yaml", format!("{meta}lifecycle: {{ignore: [{fine}]}}\n"));
    run(&sandbox, 0, &["validate", "-f", "m.yaml", "--project-id", "p"]);
}

#[test]
fn an_item_of_a_list_is_named_by_what_tells_it_apart() {
    let service = document(
        "Service",
        "s",
        "container:\n  image: x\n  environment: [{name: A, value: b}, {name: B.C, value: d}]\n  secrets: [k]\n  storage: {room: [{path: /data}]}\nports: [{num: 80, endpoints: [{path: /x}]}, {num: 443, type: tcp}]\nagents: [{name: helper}]\n",
    );
    let moved = "names an item by its position, which changes when an item is added before it";
    for (rule, what, hint) in [
        ("ports[0].published", moved, "write `ports[num=80]`"),
        ("ports[1]", moved, "write `ports[num=443]`"),
        ("ports[7].type", moved, "write `ports[num=…]`"),
        ("container.environment[1].value", moved, "write `container.environment[name=\"B.C\"]`"),
        (
            "container.storage.room[0].read_only",
            moved,
            "write `container.storage.room[path=/data]`",
        ),
        ("ports[num=80].endpoints[0]", moved, "write `ports[num=80].endpoints[path=/x]`"),
        ("agents[0].description", moved, "write `agents[name=helper]`"),
        (
            "ports[type=tcp].num",
            "does not name an item by `num`, which identifies the items of `ports`",
            "write `ports[num=443]`",
        ),
        (
            "ports[num=080].endpoints",
            "can never match, because that item's `num` is `80`",
            "write `ports[num=80]`",
        ),
        (
            "ports[num=http]",
            "can never match, because `num` must be a port number",
            "write an item as `ports[num=…]`",
        ),
        (
            "container.secrets[0]",
            "names an item of `container.secrets`, but its items have neither order nor names",
            "write `container.secrets` for the whole list",
        ),
    ] {
        let text = format!("{service}lifecycle:\n  ignore:\n  - '{rule}'\n");
        let line = text.lines().count();
        refused(&text, &format!("m.yaml:{line}:5: `{rule}` {what}"), hint);
    }
    let sandbox = Sandbox::new();
    let fine = "'ports[num=80].endpoints[path=/x]', 'container.environment[name=\"B.C\"].value', container.secrets";
    write(&sandbox, "m.yaml", format!("{service}lifecycle: {{ignore: [{fine}]}}\n"));
    run(&sandbox, 0, &["validate", "-f", "m.yaml", "--project-id", "p"]);
}

/// What a placed service was called is no former name of what is made from it.
#[test]
fn a_placement_that_is_renamed_leaves_others_of_its_old_name_alone() {
    let template = "---\nversion: v1\nkind: ServiceTemplate\nmetadata: {name: t}\nvariables: [{name: mail, type: email}]\nagents:\n- name: a\n  annotations:\n    meshagent.agent.schedule: '{\"queue\": \"q\", \"schedule\": \"@daily\"}'\ncontainer: {image: x}\n";
    let task = "---\nversion: v1\nkind: ScheduledTask\nmetadata: {name: report}\nroom: lobby\nqueue: other\nschedule: '@hourly'\n";
    let mailbox = "---\nversion: v1\nkind: Mailbox\nmetadata: {name: report@mail.meshagent.com}\nroom: lobby\nqueue: other\n";
    let service = |name: &str, rest: &str| {
        format!(
            "---\nversion: v1\nkind: Service\nmetadata: {{name: {name}}}\nroom: lobby\ntemplate: t\nvalues: {{mail: a@mail.meshagent.com}}\n{rest}"
        )
    };
    let all = |service: String| format!("{}{template}{task}{mailbox}{service}", room("lobby"));
    let sandbox = Sandbox::new();
    write(&sandbox, "m.yaml", all(service("report", "")));
    sandbox.embedded(0, &["apply", "-f", "m.yaml", "--yes"]);
    write(&sandbox, "m.yaml", all(service("reporter", "lifecycle: {moved_from: report}\n")));
    let plan = sandbox.embedded(0, &["plan", "-f", "m.yaml"]);
    // What the template brought stays with its service.
    assert!(plan.stdout.ends_with("Plan: 1 to rename, 5 unchanged.\n"), "{}", plan.stdout);
    assert!(!plan.stdout.contains("ScheduledTask/report"), "{}", plan.stdout);
    assert!(!plan.stdout.contains("Mailbox/"), "{}", plan.stdout);
    sandbox.embedded(0, &["apply", "-f", "m.yaml", "--yes"]);
    let after = sandbox.embedded(0, &["plan", "-f", "m.yaml", "--exit-code"]);
    assert!(after.stdout.starts_with("Nothing to change"), "{}", after.stdout);
    // Nothing that the set never had follows from the former name either.
    let only = format!(
        "{}{template}{task}{}",
        room("lobby"),
        service("third", "lifecycle: {moved_from: report}\n")
    );
    let sandbox = Sandbox::new();
    write(&sandbox, "m.yaml", format!("{}{task}", room("lobby")));
    sandbox.embedded(0, &["apply", "-f", "m.yaml", "--yes"]);
    write(&sandbox, "m.yaml", only);
    let plan = sandbox.embedded(0, &["plan", "-f", "m.yaml"]);
    assert!(!plan.stdout.contains("delete"), "{}", plan.stdout);
    assert!(!plan.stdout.contains("in its place"), "{}", plan.stdout);
}
