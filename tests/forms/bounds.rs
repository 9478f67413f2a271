//! Every text has a bound, in manifests, schemas and on the platform.

use super::{Sandbox, service, tells, validate};
use meshagent::kinds::specs::rules::{SCHEDULE_LIMIT, TEXT_LIMIT};

fn longer() -> String {
    "x".repeat(TEXT_LIMIT + 1)
}

#[test]
fn a_schedule_that_is_valid_and_far_too_long_is_refused() {
    let sandbox = Sandbox::new();
    let minutes = vec!["0"; 5_000].join(",");
    let text = format!(
        "version: v1\nkind: ScheduledTask\nmetadata: {{name: t}}\nproject: p\nroom: r\nqueue: q\nschedule: {minutes} * * * *\n"
    );
    let run = validate(&sandbox, 2, "t.yaml", &text);
    tells(&run, &format!("t.yaml:7:1: `schedule` is longer than {SCHEDULE_LIMIT} characters"));
}

#[test]
fn every_text_of_a_service_has_a_bound() {
    let sandbox = Sandbox::new();
    let long = longer();
    let most = &long[1..];
    for (field, container) in [
        ("container.command", format!("  command: {long}\n")),
        (
            "container.environment[0].value",
            format!("  environment: [{{name: A, value: {long}}}]\n"),
        ),
        (
            "container.environment[0].name",
            format!("  environment: [{{name: {}}}]\n", &long[..5000]),
        ),
        ("container.working_dir", format!("  working_dir: /{}\n", &long[..5000])),
        (
            "container.storage.files[0].text",
            format!("  storage: {{files: [{{path: /a, text: {long}}}]}}\n"),
        ),
        ("container.secrets[0]", format!("  secrets: [{long}]\n")),
        ("agents[0].description", format!("agents: [{{name: a, description: {long}}}]\n")),
    ] {
        let run = validate(&sandbox, 2, "s.yaml", &service(&container));
        tells(&run, &format!("`{field}` is longer than"));
        assert!(run.stderr.len() < 10_000, "{field}");
    }
    validate(&sandbox, 0, "s.yaml", &service(&format!("  command: {most}\n")));
}

#[test]
fn texts_in_other_documents_and_in_any_json_have_one() {
    let sandbox = Sandbox::new();
    let long = longer();
    let head =
        |kind: &str| format!("version: v1\nkind: {kind}\nmetadata: {{name: a}}\nproject: p\n");
    for (field, text) in [
        (
            "room_metadata.deep.k",
            format!("{}room_metadata: {{deep: {{k: {long}}}}}\n", head("Room")),
        ),
        (
            "description",
            format!("{}url: https://x\nevents: ['*']\ndescription: {long}\n", head("Webhook")),
        ),
        ("url", format!("{}url: https://x/{}\nevents: ['*']\n", head("Webhook"), &long[..5000])),
        (
            "payload.a[1]",
            format!(
                "{}room: r\nqueue: q\nschedule: '@daily'\npayload: {{a: [1, {long}]}}\n",
                head("ScheduledTask")
            ),
        ),
        ("data.K", format!("{}type: keys\ndata: {{K: {long}}}\n", head("Secret"))),
        (
            "metadata.description",
            format!(
                "version: v1\nkind: Room\nmetadata: {{name: a, description: {long}}}\nproject: p\n"
            ),
        ),
    ] {
        let run = validate(&sandbox, 2, "m.yaml", &text);
        tells(&run, &format!("`{field}` is longer than"));
    }
}

/// Every text of every schema says how long it may be.
#[test]
fn schemas_show_a_bound_for_every_text() {
    fn unbounded(schema: &serde_json::Value, path: &str, found: &mut Vec<String>) {
        match schema {
            serde_json::Value::Array(items) => {
                items.iter().for_each(|item| unbounded(item, path, found));
            }
            serde_json::Value::Object(keywords) => {
                let is_text = keywords.get("type").is_some_and(|kind| {
                    kind == "string"
                        || kind
                            .as_array()
                            .is_some_and(|kinds| kinds.iter().any(|it| it == "string"))
                });
                let has_bound =
                    ["maxLength", "enum", "const"].iter().any(|name| keywords.contains_key(*name));
                if is_text && !has_bound {
                    found.push(path.to_owned());
                }
                for (name, below) in keywords {
                    unbounded(below, &format!("{path}/{name}"), found);
                }
            }
            _ => {}
        }
    }
    for kind in meshagent::kinds::ALL {
        let mut found = Vec::new();
        let schema = meshagent::kinds::schema::published(kind);
        unbounded(&schema, &kind.name().to_string(), &mut found);
        assert!(found.is_empty(), "{found:?}");
        assert!(schema.to_string().contains("maxLength"));
    }
}

#[test]
fn the_platform_has_the_same_bounds() {
    let sandbox = Sandbox::new();
    sandbox.write("r.yaml", "version: v1\nkind: Room\nmetadata: {name: r}\n");
    sandbox.embedded(0, &["apply", "-f", "r.yaml", "--yes"]);
    let minutes = format!("{} * * * *", vec!["0"; 5_000].join(","));
    let task =
        ["scheduled-task", "add", "--room", "r", "--queue", "q", "--payload", "{}", "--schedule"];
    let run = sandbox.embedded(1, &[&task[..], &[&minutes]].concat());
    tells(&run, &format!("is longer than {SCHEDULE_LIMIT} characters"));
    let spec = "version: v1\nkind: Service\nmetadata: {name: s}\n";
    sandbox.write("s.yaml", &format!("{spec}container: {{image: x, command: {}}}\n", longer()));
    let run = sandbox.embedded(1, &["service", "create", "--file", "s.yaml", "--room", "r"]);
    tells(&run, &format!("is longer than {TEXT_LIMIT} characters"));
}

#[test]
fn what_is_wrong_with_a_port_is_told() {
    let sandbox = Sandbox::new();
    for (port, what) in [
        ("\" 80\"", "must be a port number without blanks around it"),
        ("\"8080\\t\"", "must be a port number without blanks around it"),
        ("\"'80'\"", "must be a port number without quotes in it"),
        ("'\" 443\"'", "must be a port number without quotes in it"),
        ("\"+80\"", "must be a port number without a sign"),
        ("80/tcp", "must be one port number from 1 to 65535 and nothing else"),
        ("\"8080:80\"", "must be one port number from 1 to 65535 and nothing else"),
        ("65536", "must be a port number from 1 to 65535"),
        ("http", "must be a port number from 1 to 65535"),
    ] {
        let run = validate(&sandbox, 2, "s.yaml", &service(&format!("ports:\n- num: {port}\n")));
        tells(&run, &format!("s.yaml:9:3: `ports[0].num` {what}"));
        let route = format!(
            "version: v1\nkind: Route\nmetadata: {{name: d.example.com}}\nproject: p\nroom: r\nport: {port}\n"
        );
        let run = validate(&sandbox, 2, "r.yaml", &route);
        tells(&run, &format!("r.yaml:6:1: `port` {what}"));
    }
}
