//! Agents that become services of a platform.

use serde_json::{Value, json};

use crate::cli::{Run, Sandbox};
use crate::hostile::plans;
use crate::hostile::proxy::{Fault, Hostile};
use crate::platform::harness::{Server, service};

/// The services of a room, or of the project.
fn services(sandbox: &Sandbox, room: &[&str]) -> Vec<Value> {
    let listed = sandbox.embedded(0, &[&["service", "list", "-o", "json"], room].concat());
    listed.json()["services"].as_array().unwrap().clone()
}

const ROOM: [&str; 2] = ["--room", "lobby"];

fn with_room() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.embedded(0, &["rooms", "create", "--name", "lobby"]);
    sandbox
}

#[test]
fn an_agent_is_deployed_and_then_changed_under_its_name() {
    let sandbox = with_room();
    let deploy = ["worker", "deploy", "--agent-name", "w", "--queue", "q"];
    let planned = sandbox.embedded(0, &[&deploy[..], &ROOM, &["--dry-run"]].concat());
    assert!(planned.stdout.contains("+ create Service/w@lobby"), "{}", planned.stdout);
    assert_eq!(services(&sandbox, &ROOM), Vec::<Value>::new());
    let first = sandbox.embedded(0, &[&deploy[..], &ROOM].concat());
    assert_eq!(first.stderr, "created Service/w\n");
    let more = ["--rule", "über \"alles\" & 'so'", "--log", "warn", "--report", "r.json"];
    let second = sandbox.embedded(0, &[&deploy[..], &ROOM, &more].concat());
    assert_eq!((second.stderr.as_str(), &second.stdout), ("updated Service/w\n", &first.stdout));
    let there = services(&sandbox, &ROOM);
    assert_eq!(there.len(), 1);
    assert_eq!(there[0]["id"], first.stdout.trim_end());
    let command = "meshagent worker join --agent-name w --queue q \
                   --rule 'über \"alles\" & '\"'\"'so'\"'\"''";
    assert_eq!(there[0]["container"]["command"], command);
    let report = std::fs::read_to_string(sandbox.path("r.json")).unwrap();
    let report: Value = serde_json::from_str(&report).unwrap();
    assert_eq!(report["outcomes"][0]["status"], "done");
    // The room may also come from the environment, and the same name is free in the project.
    let run = |words: &[&str], room: &str| {
        let mut command = sandbox.command(&[words, &["--embedded"]].concat());
        Run::of(command.env("MESHAGENT_ROOM", room).output().unwrap())
    };
    assert_eq!(run(&deploy, "lobby").stdout, first.stdout);
    assert!(run(&deploy, "").stderr.contains("MESHAGENT_ROOM is empty"));
    assert_eq!(sandbox.embedded(0, &deploy).stderr, "created Service/w\n");
    assert_eq!((services(&sandbox, &ROOM).len(), services(&sandbox, &[]).len()), (1, 1));
}

#[test]
fn what_was_deployed_is_what_its_manifest_says() {
    let sandbox = with_room();
    std::fs::create_dir(sandbox.path("m")).unwrap();
    let room = "version: v1\nkind: Room\nmetadata: {name: lobby}\n";
    sandbox.write("m/room.yaml", room);
    let line = "codex chatbot deploy --service-name s --agent-name a --port 9000 --path /é";
    let line: Vec<&str> = line.split(' ').chain(ROOM).collect();
    let manifest = sandbox.embedded(0, &[&line[..], &["--as-manifest"]].concat()).stdout;
    assert_eq!(services(&sandbox, &ROOM), Vec::<Value>::new());
    sandbox.write("m/service.yaml", &manifest);
    sandbox.embedded(0, &line);
    sandbox.embedded(0, &line);
    let plan = sandbox.embedded(0, &["plan", "-f", "m", "--adopt", "-o", "json"]).json();
    let counts = &plan["counts"];
    assert_eq!((&counts["adopt"], plan["operations"].as_array().unwrap().len()), (&json!(2), 2));
    // Exported, it is the same.
    sandbox.embedded(0, &["export", "-d", "e"]);
    let plan = sandbox.embedded(0, &["plan", "-f", "e", "--adopt", "-o", "json"]).json();
    for operation in plan["operations"].as_array().unwrap() {
        let changes = operation["changes"].as_array().unwrap();
        let is_mark = |it: &Value| it["path"] == r#"metadata.annotations["meshagent.set"]"#;
        assert!(changes.iter().all(is_mark), "{operation}");
    }
}

#[test]
fn secrets_are_named_and_one_that_is_not_there_is_told_before_anything_is_written() {
    let sandbox = with_room();
    let create = ["secret", "key", "create", "--name", "openai", "--data", "OPENAI_API_KEY=canary"];
    let id = sandbox.embedded(0, &create).stdout;
    let id = id.trim_end();
    let deploy = ["chatbot", "deploy", "--agent-name", "a", "--room", "lobby", "--secret"];
    for more in [&[][..], &["--dry-run"]] {
        let refused = sandbox.embedded(1, &[&deploy[..], &["openia"], more].concat());
        let told = "there is no secret `openia` in the project";
        assert!(refused.stderr.contains(told), "{}", refused.stderr);
        assert!(refused.stderr.contains("did you mean `openai`?"), "{}", refused.stderr);
    }
    assert_eq!(services(&sandbox, &ROOM), Vec::<Value>::new());
    // The name is not said to the agent, and the id is only what the platform is told.
    let planned = sandbox.embedded(0, &[&deploy[..], &["openai", "--dry-run"]].concat()).stdout;
    assert!(planned.contains("\"openai\"") && !planned.contains(id), "{planned}");
    for secret in ["openai", id] {
        sandbox.embedded(0, &[&deploy[..], &[secret]].concat());
        let container = services(&sandbox, &ROOM)[0]["container"].clone();
        assert_eq!(container["secrets"], json!([id]));
        assert_eq!(container["command"], "meshagent chatbot join --agent-name a");
    }
    let again = sandbox.embedded(0, &[&deploy[..], &["openai", "--dry-run"]].concat()).stdout;
    assert!(!again.contains("container.secrets"), "{again}");
}

#[test]
fn a_value_that_looks_secret_is_told_whatever_is_done() {
    let sandbox = with_room();
    let multi = "multi deploy --service-name m --agent-name m -c";
    let piece = "chatbot --agent-name a --shell-set-env API_TOKEN=hush";
    let multi: Vec<&str> = multi.split(' ').chain([piece]).collect();
    let one = ["chatbot", "deploy", "--agent-name", "a", "--shell-set-env", "API_TOKEN=hush"];
    let codex = "codex chatbot deploy --service-name s --agent-name a --set-env API_TOKEN=hush";
    let codex: Vec<&str> = codex.split(' ').collect();
    for words in [&multi[..], &one, &codex] {
        for more in [&["--dry-run"][..], &["--as-manifest"], &[]] {
            let told = sandbox.embedded(0, &[words, &ROOM, more].concat()).stderr;
            assert!(told.contains("API_TOKEN looks like a secret"), "{told}");
            assert!(told.contains("--secret NAME") && told.contains("container.secrets"), "{told}");
            assert!(!told.contains("hush"), "{told}");
        }
    }
}

#[test]
fn a_set_that_owns_the_service_is_named_and_keeps_it() {
    let sandbox = Sandbox::new();
    sandbox.write(
        "set.yaml",
        "version: v1\nkind: Room\nmetadata: {name: lobby}\n---\nversion: v1\nkind: Service\n\
         metadata: {name: a}\nroom: lobby\ncontainer: {image: x}\n",
    );
    sandbox.embedded(0, &["apply", "-f", "set.yaml", "--set", "staging", "--yes"]);
    let deploy = ["chatbot", "deploy", "--agent-name", "a", "--room", "lobby"];
    for more in [&["--dry-run"][..], &[]] {
        let told = sandbox.embedded(0, &[&deploy[..], more].concat()).stderr;
        assert!(told.contains("Service/a@lobby is owned by the set `staging`"), "{told}");
    }
    let owner = &services(&sandbox, &ROOM)[0]["metadata"]["annotations"]["meshagent.set"];
    assert_eq!(*owner, "staging");
}

#[test]
fn what_cannot_be_deployed_is_told() {
    let sandbox = with_room();
    fn deploy<'a>(more: &[&'a str]) -> Vec<&'a str> {
        [&["mailbot", "deploy", "--agent-name", "a"], more].concat()
    }
    let address = ["--email-address", "a@b.c"];
    let nowhere = sandbox.embedded(1, &deploy(&[&address[..], &["--room", "nope"]].concat()));
    assert!(nowhere.stderr.contains("room \"nope\" does not exist"), "{}", nowhere.stderr);
    assert!(nowhere.stderr.contains("meshagent rooms create --name nope"), "{}", nowhere.stderr);
    // A variable that is not set puts no agent into every room.
    let empty = sandbox.embedded(2, &deploy(&[&address[..], &["--room", ""]].concat()));
    assert!(empty.stderr.contains("--room is empty"), "{}", empty.stderr);
    std::fs::create_dir(sandbox.path("skill")).unwrap();
    sandbox.write("skill/SKILL.md", "x");
    let skill = ["--skill-dir", "skill", "--report", "skill/SKILL.md"];
    sandbox.embedded(6, &deploy(&[&address[..], &ROOM, &skill].concat()));
    assert_eq!(std::fs::read_to_string(sandbox.path("skill/SKILL.md")).unwrap(), "x");
    let without = sandbox.embedded(2, &deploy(&ROOM));
    assert!(without.stderr.contains("--email-address"), "{}", without.stderr);
    for (more, told) in [
        (&["--wait", "--dry-run"][..], "cannot be used with"),
        (&["--as-manifest", "--dry-run"], "cannot be used with"),
        (&["--wait=1x"], "write it as 500ms, 30s or 2m"),
        (&["--report", "rules.txt", "--rules-file", "rules.txt"], "rules.txt"),
        (&["--retries", "x"], "invalid value 'x' for '--retries"),
    ] {
        sandbox.write("rules.txt", "be kind\n");
        let run = sandbox.run(&deploy(&[&address[..], &ROOM, more, &["--embedded"]].concat()));
        assert!([2, 6].contains(&run.code), "{more:?}: {} {}", run.code, run.stderr);
        assert!(run.stderr.contains(told), "{more:?}: {}", run.stderr);
        assert_eq!(std::fs::read_to_string(sandbox.path("rules.txt")).unwrap(), "be kind\n");
    }
    assert_eq!(services(&sandbox, &ROOM), Vec::<Value>::new());
    // There are no containers here, and so it does not work.
    let waited = sandbox.embedded(7, &deploy(&[&address[..], &ROOM, &["--wait=9s"]].concat()));
    assert!(waited.stderr.contains("Service/a@lobby cannot work"), "{}", waited.stderr);
    assert_eq!(services(&sandbox, &ROOM)[0]["id"], waited.stdout.trim_end());
}

/// Names are unique on this platform, so another one is only shown to have the same.
pub fn twins(answer: &mut Value) {
    let services = answer["services"].as_array_mut().into_iter().flatten();
    for service in services.filter(|service| service["metadata"]["name"] == "twin") {
        service["metadata"]["name"] = "s".into();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_several_with_the_name_the_last_is_changed_and_of_codex_the_first() {
    let platform = Server::start().await;
    let sandbox = Sandbox::new();
    let named = ["--service-name", "s", "--agent-name", "a", "--room", "r"];
    let cases = [
        (&["chatbot", "deploy"][..], ["twin", "s"]),
        (&["codex", "chatbot", "deploy"], ["s", "twin"]),
    ];
    platform.room("r").await;
    for (words, names) in cases {
        let mut ids = Vec::new();
        for name in names {
            let made = platform.send("POST", "/rooms/r/services", service(name)).await.expect(201);
            ids.push((name, made.json()["id"].as_str().unwrap().to_owned()));
        }
        let (_, id) = ids.iter().find(|(name, _)| *name == "s").unwrap();
        let proxy = Hostile::in_front_of(&platform).with(Fault::Edited(twins)).start().await;
        let run = plans::run(&sandbox, &platform, &proxy, &[words, &named].concat()).await;
        assert_eq!((run.code, run.stdout.trim_end()), (0, id.as_str()), "{}", run.stderr);
        for (_, id) in &ids {
            platform.own("DELETE", &format!("/rooms/r/services/{id}")).send().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_platform_refuses_is_told() {
    let platform = Server::start().await;
    platform.room("r").await;
    let sandbox = Sandbox::new();
    let words = ["chatbot", "deploy", "--agent-name", "a", "--room", "r"];
    for (status, method, told) in [
        (403, "GET", "403"),
        (403, "POST", "403"),
        (409, "POST", "the service name `a` is already in use"),
    ] {
        let proxy = Hostile::in_front_of(&platform).with(Fault::Status(status).on(method));
        let proxy = proxy.start().await;
        let run = plans::run(&sandbox, &platform, &proxy, &words).await;
        assert_eq!((run.code, run.stdout.as_str()), (1, ""), "{}", run.stderr);
        assert!(run.stderr.contains(told), "{}", run.stderr);
    }
}

/// What a second deploy leaves out is told, and that it changes nothing, too.
#[test]
fn what_a_deploy_takes_away_is_told() {
    let sandbox = with_room();
    sandbox.embedded(0, &["secret", "key", "create", "--name", "k", "--data", "A=b"]);
    let deploy = ["chatbot", "deploy", "--agent-name", "a", "--room", "lobby"];
    sandbox.embedded(0, &[&deploy[..], &["--secret", "k"]].concat());
    let again = sandbox.embedded(0, &[&deploy[..], &["--secret", "k", "--dry-run"]].concat());
    assert!(again.stdout.contains("it has all of these fields already"), "{}", again.stdout);
    let without = sandbox.embedded(0, &deploy);
    assert!(without.stderr.contains("has no more: `container.secrets`"), "{}", without.stderr);
    let same = sandbox.embedded(0, &deploy);
    assert_eq!(same.stderr, "updated Service/a\n");
}

/// What is here is not where the agent runs, and a document can take it along.
#[test]
fn files_of_this_machine_are_not_taken_along_in_silence() {
    let sandbox = with_room();
    sandbox.write("rules.txt", "be kind\n");
    let spec = ["chatbot", "spec", "--agent-name", "a", "--rules-file"];
    for (file, told) in
        [("rules.txt", "`rules: [{file: PATH}]`"), ("gone.txt", "there is no gone.txt here")]
    {
        let run = sandbox.run(&[&spec[..], &[file]].concat());
        assert!(run.code == 0 && run.stderr.contains(told), "{}", run.stderr);
    }
    sandbox.write("agent.yaml", "version: v1\nkind: Agent\nmetadata: {name: a}\ntype: chatbot\n");
    let create = ["service", "create", "--file", "agent.yaml", "--room", "lobby"];
    let refused = sandbox.embedded(1, &create);
    assert!(refused.stderr.contains("meshagent apply -f"), "{}", refused.stderr);
}

/// The reference lets the variable change the port of what is deployed.
#[test]
fn the_port_of_this_machine_is_not_that_of_the_service() {
    let sandbox = Sandbox::new();
    let words = ["codex", "chatbot", "spec", "--service-name", "s", "--agent-name", "a"];
    let mut command = sandbox.command(&words);
    let run = Run::of(command.env("MESHAGENT_PORT", "9000").output().unwrap());
    let printed: Value = serde_yaml::from_str(&run.stdout).unwrap();
    assert_eq!(printed["ports"][0]["num"], "*");
}
