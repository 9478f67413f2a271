//! Every field with a text, sealed: it reaches the platform as it is, or it is refused at its
//! line.

use serde_json::Value;

use super::write;
use crate::cli::{Run, Sandbox};
use crate::hostile::proxy::Hostile;
use crate::platform::harness::Server;

/// Documents in which each text between `<` and `>` is taken from the environment.
const FIELDS: &str = "\
version: v1
kind: Room
metadata: {name: a, description: <a room>, annotations: {k: <note>}}
room_metadata: {k: <text>, l: [<item>]}
---
version: v1
kind: Mailbox
metadata: {name: m@mail.meshagent.com, annotations: {k: <of mail>}}
room: a
queue: <mail-queue>
---
version: v1
kind: Route
metadata: {name: every.meshagent.app, annotations: {k: <of route>}}
room: a
port: 8080
---
version: v1
kind: ScheduledTask
metadata: {name: t, annotations: {k: <of task>}}
room: a
queue: <task-queue>
schedule: <0 8 * * 1>
payload: {prompt: <do it>}
---
version: v1
kind: Webhook
metadata: {name: w}
url: <https://hooks.example.com/x>
events: [<room.started>]
description: <hooks>
action: <act>
payload: {k: <load>}
---
version: v1
kind: Secret
metadata: {name: keys}
type: keys
data: {A: <pair>}
---
version: v1
kind: Secret
metadata: {name: pull}
type: docker
server: <r.example.com>
username: <user>
password: <pw-1>
email: <u@example.com>
---
version: v1
kind: Service
metadata: {name: s, description: <serves>, repo: <https://git.example.com/r>, icon: <https://i.example.com/i.png>, annotations: {k: <of service>}}
room: a
agents: [{name: bot, description: <talks>, annotations: {k: <of agent>}}]
ports:
  - num: 8080
    published: true
    liveness: </live>
    annotations: {k: <of port>}
    endpoints:
      - path: </mcp>
        mcp: {label: <label>, description: <tools>}
        annotations: {k: <of endpoint>}
container:
  image: <img/x:1>
  command: <run it>
  working_dir: </work>
  environment:
    - {name: A, value: <value>}
    - {name: B, token: {identity: <me>, role: <agent>}}
    - {name: C, secret: {identity: <them>, id: <of-room>}}
  api_key: {role: admin, name: <api>}
  storage:
    room: [{path: /r, subpath: <sub/r>}]
    project: [{path: /p, subpath: <sub/p>}]
    images: [{path: /i, image: <img/y:2>, subpath: <sub/i>}]
    files: [{path: /f, text: <of file>}]
---
version: v1
kind: Service
metadata: {name: e}
external: {url: <https://e.example.com>}
";

/// The texts to seal, the documents with them, and with variables in their place.
fn documents() -> (Vec<&'static str>, String, String) {
    let (mut texts, mut plain, mut sealed) = (Vec::new(), String::new(), String::new());
    for (index, part) in FIELDS.split('<').enumerate() {
        if index == 0 {
            plain += part;
            sealed += part;
            continue;
        }
        let (text, rest) = part.split_once('>').unwrap();
        plain += &format!("\"{text}\"{rest}");
        sealed += &format!("\"{{{{ env('F{}') }}}}\"{rest}", texts.len());
        texts.push(text);
    }
    (texts, plain, sealed)
}

/// What a platform holds once the documents are applied, without what it makes itself.
async fn held(sandbox: &Sandbox, file: &str, texts: &[&'static str]) -> Vec<Value> {
    let platform = Server::start().await;
    let proxy = Hostile::in_front_of(&platform).start().await;
    let names: Vec<String> = (0..texts.len()).map(|index| format!("F{index}")).collect();
    // One after the other, so that lists have one order.
    let mut words =
        vec!["apply", "-f", file, "--yes", "--parallelism", "1", "--api-url", &proxy.url];
    for name in &names {
        words.extend(["--allow-env", name.as_str()]);
    }
    let mut command = sandbox.command(&words);
    command.envs(names.iter().zip(texts)).env("MESHAGENT_API_KEY", &platform.owner);
    let output = tokio::task::spawn_blocking(move || command.output()).await;
    let applied = Run::of(output.expect("no panic").expect("a run"));
    assert_eq!(applied.code, 0, "{}{}", applied.stdout, applied.stderr);
    let mut all = Vec::new();
    for path in [
        "/rooms/a",
        "/mailboxes",
        "/routes",
        "/scheduled-tasks",
        "/webhooks",
        "/secrets",
        "/rooms/a/services",
        "/services",
    ] {
        let mut held = platform.read(path).await.expect(200).json();
        without_what_is_made(&mut held);
        all.push(held);
    }
    all
}

fn without_what_is_made(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(without_what_is_made),
        Value::Object(fields) => {
            let is_made = |name: &str| {
                ["etag", "room_id", "project_id"].contains(&name)
                    || name.ends_with("_at")
                    || name.ends_with("_run")
            };
            fields.retain(|name, value| {
                !is_made(name) && (name != "id" || value.as_str() == Some("of-room"))
            });
            fields.values_mut().for_each(without_what_is_made);
        }
        _ => {}
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_sealed_text_is_what_the_platform_holds() {
    let sandbox = Sandbox::new();
    let (texts, plain, sealed) = documents();
    write(&sandbox, "sealed.yaml.j2", sealed);
    write(&sandbox, "plain.yaml", plain);
    let sealed = held(&sandbox, "sealed.yaml.j2", &texts).await;
    let plain = held(&sandbox, "plain.yaml", &texts).await;
    assert_eq!(sealed, plain);
    // A room's description is for readers of the manifest; the values of secrets are not told.
    let seen = Value::Array(plain).to_string();
    let unseen: Vec<_> = texts.iter().filter(|text| !seen.contains(**text)).collect();
    assert_eq!(unseen, [&"a room", &"pair", &"pw-1"]);
}

#[test]
fn references_and_ports_are_refused_at_their_lines() {
    let service = "version: v1\nkind: Service\nmetadata: {name: s}\n";
    let e = "{{ env('CI_TOKEN') }}";
    let container = format!("{service}container:\n  image: x\n");
    let shown = "cannot be the value of a field that is always shown";
    let port = "cannot be a port";
    let cases = [
        (format!("{container}  secrets: [k, \"{e}\"]\n"), "6:16", shown),
        (format!("{container}  pull_secret: \"{e}-x\"\n"), "6:16", shown),
        (format!("{container}ports:\n  - num: 80\n  - num: \"{e}\"\n"), "8:10", port),
        (format!("{container}ports: [{{num: {e}}}]\n"), "6:15", port),
        (
            format!(
                "version: v1\nkind: Route\nmetadata: {{name: a.meshagent.app}}\nroom: r\nport: \"8{e}\"\n"
            ),
            "5:7",
            port,
        ),
    ];
    for (document, place, message) in cases {
        let sandbox = Sandbox::new();
        write(&sandbox, "a.yaml.j2", &document);
        let words = ["plan", "-f", "a.yaml.j2", "--embedded", "--allow-env", "CI_TOKEN"];
        let run = Run::of(sandbox.command(&words).env("CI_TOKEN", "80").output().unwrap());
        assert_eq!(run.code, 6, "{document}{}{}", run.stdout, run.stderr);
        let told = format!(
            ":{place}: the value of the environment variable CI_TOKEN is hidden, so it {message}"
        );
        for part in [told.as_str(), "add --allow-env CI_TOKEN=public to let plans show it"] {
            assert!(run.stderr.contains(part), "{part} in {document}: {}", run.stderr);
        }
        assert!(!run.stderr.contains("100000"), "{}", run.stderr);
    }
}
