//! Managed agents in 0.56, and what becomes of them where the platform speaks 0.31.

use meshagent::api::spoken::Spoken;
use meshagent::kinds::KindName;
use serde_json::json;

use super::stand_in::StandIn;
use crate::cli::Sandbox;

const APPLY: [&str; 6] = ["apply", "-f", "set.yaml", "--set", "s", "--yes"];
const PLAN: [&str; 6] = ["plan", "-f", "set.yaml", "--set", "s", "--exit-code"];

const AGENT: &str = "\
version: v1
kind: ManagedAgent
metadata: {name: Planner}
allowed_models: [{provider: openai, model: m}]
run_as: {email: Bot@Accounts.Example}
";

#[test]
fn an_agent_is_made_changed_and_deleted() {
    let platform = StandIn::of(Spoken::V0_56);
    platform.sandbox.write("set.yaml", AGENT);
    platform.ends(0, &APPLY);
    let made = platform.list("agents");
    let wanted = json!({
        "version": "v1", "kind": "ManagedAgent",
        "metadata": {"name": "planner", "annotations": {"meshagent.set": "s"}},
        "allowed_models": [{"provider": "openai", "model": "m"}],
        "instructions": null, "run_as": {"email": "bot@accounts.example"},
        "llm_delegation": "optional", "thread_isolation": "global", "toolkits": null, "tools": [],
        "connections": {}, "environment": [], "guardrails": null, "output_modalities": null,
        "store": true,
    });
    assert_eq!(made[0]["configuration"], wanted);
    let asked = platform.take_asked();
    let created = asked.iter().find(|it| it.method == "POST" && it.path == "agents").unwrap();
    assert_eq!(created.body["if_not_exists"], false);
    let listed = asked.iter().find(|it| it.method == "GET" && it.path == "agents").unwrap();
    assert_eq!(listed.query.get("view").map(String::as_str), Some("all"));
    platform.ends(0, &PLAN);
    platform.sandbox.write("set.yaml", &format!("{AGENT}store: false\n"));
    platform.ends(0, &APPLY);
    assert_eq!(platform.take_writes(), ["PUT agents/id-1"]);
    assert_eq!(platform.list("agents")[0]["configuration"]["store"], false);
    platform.ends(0, &PLAN);
    platform.ends(0, &["destroy", "--set", "s", "--yes"]);
    assert_eq!(platform.take_writes(), ["DELETE agents/id-1"]);
}

#[test]
fn a_change_keeps_what_manifests_cannot_say() {
    let platform = StandIn::of(Spoken::V0_56);
    let checks = "guardrails:\n  input:\n  - name: a\n    check: {model: openai/m, instructions: i, minimum_allow_probability: 1}\n";
    let set = format!(
        "{AGENT}{checks}toolkits: [{{type: web_fetch}}, {{type: mcp, servers: [{{server_label: l, server_url: \"https://a.example\"}}]}}]\n"
    );
    platform.sandbox.write("set.yaml", &set);
    platform.ends(0, &APPLY);
    let mut agent = platform.list("agents").remove(0);
    let places = [
        ("", "speed"),
        ("/metadata", "labels"),
        ("/allowed_models/0", "effort"),
        ("/run_as", "until"),
        ("/toolkits/0", "depth"),
        ("/toolkits/1/servers/0", "timeout"),
        ("/guardrails", "mode"),
        ("/guardrails/input/0", "weight"),
        ("/guardrails/input/0/check", "seed"),
    ];
    for (place, name) in places {
        agent["configuration"].pointer_mut(place).unwrap()[name] = json!({"new": 1});
    }
    // What a server says of the defaults is no difference.
    agent["configuration"]["id"] = "id-1".into();
    agent["configuration"]["run_as"]["scopes"] = json!(["llm_proxy", "secrets:proxy"]);
    agent["configuration"]["guardrails"]["input"][0]["on_error"] =
        json!({"action": "fail", "message": null});
    platform.replace("agents", agent);
    platform.ends(0, &PLAN);
    platform.sandbox.write("set.yaml", &format!("{set}store: false\n"));
    platform.ends(0, &APPLY);
    let after = &platform.list("agents")[0]["configuration"];
    assert_eq!(after["store"], false);
    for (place, name) in places {
        assert_eq!(after.pointer(place).unwrap()[name], json!({"new": 1}), "{place}/{name}");
    }
    platform.ends(0, &PLAN);
}

#[test]
fn an_agent_that_the_list_does_not_show_any_more_is_looked_up_and_not_made_again() {
    let platform = StandIn::of(Spoken::V0_56);
    platform.sandbox.write("set.yaml", AGENT);
    platform.ends(0, &APPLY);
    platform.hide("agents");
    platform.take_asked();
    let run = platform.ends(6, &APPLY);
    assert!(run.stderr.contains("ManagedAgent/planner"), "{}", run.stderr);
    let asked = platform.take_asked();
    assert!(asked.iter().any(|it| it.method == "GET" && it.path == "agents/planner"), "{asked:?}");
    let is_write = |path: &str| !path.contains("/storage");
    assert!(asked.iter().all(|it| it.method == "GET" || !is_write(&it.path)), "{asked:?}");
}

#[test]
fn a_platform_of_0_31_has_no_managed_agents() {
    let platform = StandIn::of(Spoken::V0_31);
    let options = "version: v1\nkind: Agent\nmetadata: {name: a}\ntype: chatbot\nmanaged: true\n";
    for set in [AGENT, options] {
        platform.sandbox.write("set.yaml", set);
        for command in [&PLAN[..5], &APPLY] {
            let run = platform.ends(6, command);
            assert!(run.stderr.contains("has no ManagedAgent"), "{}", run.stderr);
            assert!(run.stderr.contains("describe the agent as an `Agent`"), "{}", run.stderr);
            assert_eq!(platform.take_writes(), Vec::<String>::new());
        }
    }
}

#[test]
fn an_agent_of_options_becomes_a_managed_one_where_that_is_asked_for() {
    let platform = StandIn::of(Spoken::V0_56);
    let set = "\
version: v1
kind: Agent
metadata: {name: Helper, annotations: {team: a}}
type: process
managed: true
channels: [chat]
model: claude-x
rules: [Be brief., Never promise a date.]
tools: {web_search: true, image_generation: gpt-image-1, storage: false}
environment: [{name: A, value: b}]
";
    platform.sandbox.write("set.yaml", set);
    platform.ends(0, &APPLY);
    let made = &platform.list("agents")[0]["configuration"];
    for (field, value) in [
        ("metadata", json!({"name": "helper", "annotations": {"team": "a", "meshagent.set": "s"}})),
        ("allowed_models", json!([{"provider": "anthropic", "model": "claude-x"}])),
        ("instructions", json!("Be brief.\nNever promise a date.")),
        ("environment", json!([{"name": "A", "value": "b"}])),
        (
            "toolkits",
            json!([{"type": "web_search"}, {"type": "image_generation", "model": "gpt-image-1"}]),
        ),
    ] {
        assert_eq!(made[field], value, "{field}");
    }
    platform.ends(0, &PLAN);
    assert_eq!(platform.list("services"), Vec::<serde_json::Value>::new());
}

#[test]
fn each_field_that_a_managed_agent_cannot_have_is_refused_at_its_place() {
    let platform = StandIn::of(Spoken::V0_56);
    let document = |more: &str| {
        format!("version: v1\nkind: Agent\nmetadata: {{name: a}}\nmanaged: true\n{more}\n")
    };
    for (more, place, told) in [
        ("type: worker\nqueue: q", "5:1", "an agent of type `worker` cannot be managed"),
        ("type: chatbot\nroom: lobby", "6:1", "a managed agent has no `room`"),
        ("type: chatbot\nrooms: [lobby]", "6:1", "a managed agent has no `rooms`"),
        ("type: chatbot\nimage: x", "6:1", "a managed agent has no `image`"),
        ("type: chatbot\nsecrets: [k]", "6:1", "a managed agent has no `secrets`"),
        ("type: chatbot\nagent_name: b", "6:1", "a managed agent is called by its `metadata.name`"),
        ("type: chatbot\nthreading: {mode: default-new}", "6:13", "has no `threading.mode`"),
        ("type: chatbot\ntools: {storage: true}", "6:9", "has no `tools.storage`"),
        ("type: chatbot\nskills: [/s]", "6:1", "has no `skills`"),
        ("type: process\nchannels: [chat, \"queue:q\"]", "6:18", "`channels[1]` is a channel that"),
        (
            "type: chatbot\nenvironment: [{name: A, token: {identity: i}}]",
            "6:25",
            "has no `environment[0].token`",
        ),
        (
            "type: chatbot\nenvironment: [{name: A-B, value: x}]",
            "6:16",
            "`environment[0].name` must",
        ),
    ] {
        platform.sandbox.write("set.yaml", &document(more));
        let run = platform.ends(2, &["validate", "-f", "set.yaml"]);
        let line = run.stderr.lines().find(|line| line.contains(told));
        let line = line.unwrap_or_else(|| panic!("{told}: {}", run.stderr));
        assert!(line.starts_with(&format!("set.yaml:{place}: ")), "{line}");
        assert!(
            run.stderr.lines().filter(|line| line.starts_with("set.yaml")).count() == 1,
            "{}",
            run.stderr
        );
    }
    platform
        .sandbox
        .write("set.yaml", &document("type: chatbot\nagent_name: a\ntools: {time: false}"));
    platform.ends(0, &["validate", "-f", "set.yaml"]);
}

#[test]
fn what_is_exported_declares_the_same_agent() {
    let sandbox = Sandbox::new();
    sandbox.write("set.yaml", KindName::ManagedAgent.kind().example());
    let of_set = ["--set", "s", "--dialect", "0.56"];
    sandbox.embedded(0, &[&["apply", "-f", "set.yaml", "--yes"], &of_set[..]].concat());
    sandbox.embedded(0, &[&["export", "--dir", "exported"], &of_set[..]].concat());
    let plan = ["plan", "-f", "exported", "--exit-code"];
    let plan = sandbox.embedded(0, &[&plan, &of_set[..]].concat());
    assert!(plan.stdout.contains("1 object is as declared"), "{}", plan.stdout);
}
