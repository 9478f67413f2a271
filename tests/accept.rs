//! What people change on the platform is accepted into the manifests, and what is to be
//! left alone is left alone.

use serde_json::{Value, json};

use crate::cli::{Run, Sandbox};
use crate::platform::harness::Server;

const MANIFEST: &str = r#"# The front door.
version: v1
kind: Room
metadata:
  name: lobby # never renamed
room_metadata:
  displayName: 'Lobby'   # shown to people
  floor: 1
---
version: v1
kind: Service
metadata: {name: support}
room: lobby
container:
  image: "busybox:1"
  environment:
    # how much is told
    - name: LEVEL
      value: info
    - {name: MODE, value: "fast"}
---
version: v1
kind: Mailbox
metadata: {name: help@mail.meshagent.com}
room: lobby
public: false
---
version: v1
kind: ScheduledTask
metadata: {name: nightly}
room: lobby
queue: jobs
schedule: 0 3 * * *  # at night
---
version: v1
kind: Route
metadata: {name: front.meshagent.app}
room: lobby
port: 5000  # a number, and the platform has a text
---
version: v1
kind: Secret
metadata: {name: keys}
type: keys
data: {A: one}
"#;

struct Setting {
    server: Server,
    sandbox: Sandbox,
}

impl Setting {
    async fn start(manifest: &str) -> Self {
        let setting = Self { server: Server::start().await, sandbox: Sandbox::new() };
        setting.sandbox.write("set.yaml", manifest);
        setting.run(0, &["apply", "-f", "set.yaml", "--yes"]).await;
        setting
    }

    async fn run(&self, code: i32, arguments: &[&str]) -> Run {
        let mut command = self.sandbox.command(arguments);
        command
            .env("MESHAGENT_API_URL", &self.server.url)
            .env("MESHAGENT_API_KEY", &self.server.owner)
            .env("MESHAGENT_PROJECT_ID", &self.server.project);
        let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
        let run = Run::of(output);
        assert_eq!(run.code, code, "{arguments:?}\n{}\n{}", run.stdout, run.stderr);
        run
    }

    async fn read(&self, path: &str) -> Value {
        self.server.read(path).await.expect(200).json()
    }

    /// Changes an object by a raw call: reads it, lets `change` do so, writes it back.
    async fn change(&self, read: &str, write: &str, of: &str, change: impl FnOnce(&mut Value)) {
        let mut object = self.read(read).await;
        if !of.is_empty() {
            object = object[of].take();
        }
        change(&mut object);
        let reply = self.server.send("PUT", write, object).await;
        assert!(reply.status < 300, "{write}: {reply:?}");
    }

    async fn drift(&self) {
        let room = self.read("/rooms/lobby").await;
        let path = format!("/rooms/{}", room["id"].as_str().unwrap());
        self.change("/rooms/lobby", &path, "", |room| {
            room["metadata"] =
                json!({"displayName": "It's the entrance", "open": true, "hours": {"from": 9}});
        })
        .await;
        self.change_service(|service| {
            service["container"]["image"] = "busybox:2".into();
            service["container"]["environment"] = json!([
                {"name": "LEVEL", "value": "debug: all"},
                {"name": "EXTRA", "value": "yes"},
            ]);
        })
        .await;
        let mailbox = "/mailboxes/help@mail.meshagent.com";
        self.change(mailbox, mailbox, "mailbox", |mailbox| mailbox["public"] = true.into()).await;
        let route = "/routes/front.meshagent.app";
        self.change(route, route, "route", |route| route["port"] = "8080".into()).await;
        let mut task = self.read("/scheduled-tasks?task_id=nightly").await["tasks"][0].take();
        task["schedule"] = "*/5 * * * *".into();
        let reply = self.server.send("PUT", "/scheduled-tasks/nightly", task).await;
        assert!(reply.status < 300, "{reply:?}");
    }

    async fn service(&self) -> Value {
        self.read("/rooms/lobby/services").await["services"][0].take()
    }

    async fn change_service(&self, change: impl FnOnce(&mut Value)) {
        let mut service = self.service().await;
        let path = format!("/rooms/lobby/services/{}", service["id"].as_str().unwrap());
        change(&mut service);
        let reply = self.server.send("PUT", &path, service).await;
        assert!(reply.status < 300, "{reply:?}");
    }

    fn manifest(&self) -> String {
        std::fs::read_to_string(self.sandbox.path("set.yaml")).unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_drifted_is_written_back_and_the_plan_is_empty() {
    use std::os::unix::fs::PermissionsExt;
    let setting = Setting::start(MANIFEST).await;
    assert!(setting.run(0, &["accept", "-f", "set.yaml"]).await.stderr.contains("nothing drifted"));
    setting.drift().await;
    let path = setting.sandbox.path("set.yaml");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();

    let shown = setting.run(0, &["accept", "-f", "set.yaml", "--dry-run"]).await;
    assert_eq!(setting.manifest(), MANIFEST);
    let only = setting.run(0, &["accept", "-f", "set.yaml", "--dry-run", "Room/lobby"]).await;
    assert!(
        only.stdout.contains("displayName") && !only.stdout.contains("image"),
        "{}",
        only.stdout
    );
    let unknown = setting.run(2, &["accept", "-f", "set.yaml", "Room/nowhere"]).await;
    assert!(unknown.stderr.contains("do not declare Room/nowhere"), "{}", unknown.stderr);

    let accepted = setting.run(0, &["accept", "-f", "set.yaml"]).await;
    assert_eq!(accepted.stdout, shown.stdout);
    insta::assert_snapshot!("accepted", accepted.stdout);
    insta::assert_snapshot!("accepted_manifest", setting.manifest());
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);
    let plan = setting.run(0, &["plan", "-f", "set.yaml", "--exit-code"]).await;
    assert!(plan.stdout.starts_with("Nothing to change in "), "{}", plan.stdout);
    assert!(plan.stdout.ends_with(": 6 objects are as declared.\n"), "{}", plan.stdout);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_accepted_is_told_and_left() {
    let setting = Setting::start(MANIFEST).await;
    setting.drift().await;
    // A template, an anchor, and an object that is gone.
    let text = MANIFEST
        .replace("floor: 1", "floor: &floor 1\n  storey: *floor")
        .replace("image: \"busybox:1\"", "image: \"busybox:3\"");
    setting.sandbox.write("set.yaml", &text);
    let deleted = setting.server.own("DELETE", "/scheduled-tasks/nightly").send().await;
    assert!(deleted.status < 300, "{deleted:?}");
    let run = setting.run(1, &["accept", "-f", "set.yaml"]).await;
    for told in [
        "not accepted: ScheduledTask/nightly: it was deleted on the platform",
        "not accepted: Service/support@lobby container.image: the manifest changed too",
        "not accepted: Room/lobby room_metadata.floor: it has an anchor that is used elsewhere",
    ] {
        assert!(run.stderr.contains(told), "{told}: {}", run.stderr);
    }
    let manifest = setting.manifest();
    assert!(manifest.contains("public: true") && manifest.contains("&floor 1"), "{manifest}");

    std::fs::create_dir(setting.sandbox.path("m")).unwrap();
    setting.sandbox.write("m/set.yaml.j2", MANIFEST);
    let run = setting.run(1, &["accept", "-f", "m"]).await;
    assert!(run.stderr.contains("m/set.yaml.j2 is a template"), "{}", run.stderr);
    assert_eq!(run.stdout, "");
}

/// A document that another part of its platform's object would make wrong keeps nobody else's
/// drift from being accepted.
#[tokio::test(flavor = "multi_thread")]
async fn what_would_make_a_document_wrong_is_left_and_the_rest_is_accepted() {
    let setting = Setting::start(MANIFEST).await;
    setting
        .change_service(|service| {
            service.as_object_mut().unwrap().remove("container");
            service["external"] = json!({"url": "https://a.example/"});
        })
        .await;
    let mailbox = "/mailboxes/help@mail.meshagent.com";
    setting.change(mailbox, mailbox, "mailbox", |mailbox| mailbox["public"] = true.into()).await;
    let run = setting.run(1, &["accept", "-f", "set.yaml"]).await;
    assert!(run.stderr.contains("not accepted: Service/support@lobby"), "{}", run.stderr);
    assert!(run.stderr.contains("accepted: 1 field in 1 file"), "{}", run.stderr);
    assert_eq!(setting.manifest(), MANIFEST.replace("public: false", "public: true"));
}

/// A secret stands in the lines around what is accepted, and in what is accepted itself.
#[tokio::test(flavor = "multi_thread")]
async fn the_lines_of_documents_that_hold_secrets_are_not_shown() {
    let documents = "version: v1
kind: Secret
metadata: {name: m3sec}
type: keys
data: {PW: hunter2-canary-secret}
---
kind: Room
room_metadata: {displayName: Lobby}
version: v1
metadata: {name: lobby}
---
version: v1
kind: ServiceTemplate
metadata: {name: t}
variables: [{name: token, obscure: true}]
container: {image: x, environment: [{name: T, value: '{token}'}]}
---
{version: v1, kind: Service, metadata: {name: s, description: one}, room: lobby, template: t, values: {token: other-canary-secret}}
";
    let setting = Setting::start(documents).await;
    let room = setting.read("/rooms/lobby").await["id"].as_str().unwrap().to_owned();
    setting
        .change("/rooms/lobby", &format!("/rooms/{room}"), "", |room| {
            room["metadata"] = json!({"displayName": "Entrance"});
        })
        .await;
    let run = setting.run(0, &["accept", "-f", "set.yaml", "--dry-run"]).await;
    assert!(run.stdout.contains("+room_metadata: {displayName: Entrance}"), "{}", run.stdout);
    assert!(run.stdout.contains(" (a line of a Secret that holds secrets)\n"), "{}", run.stdout);
    assert!(!run.stdout.contains("canary"), "{}", run.stdout);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ignored_field_is_neither_planned_nor_sent() {
    let manifest = MANIFEST.replace(
        "room: lobby\ncontainer:",
        "room: lobby\nlifecycle:\n  ignore:\n    - container.environment[name=LEVEL].value\n    - container.environment[name=EXTRA]\n    - metadata.annotations[\"a.b/c\"]\ncontainer:",
    );
    let setting = Setting::start(&manifest).await;
    setting
        .change_service(|service| {
            service["metadata"]["annotations"]["a.b/c"] = "theirs".into();
            service["container"]["environment"][0]["value"] = "theirs".into();
            let environment = service["container"]["environment"].as_array_mut().unwrap();
            environment.push(json!({"name": "EXTRA", "value": "theirs"}));
        })
        .await;
    setting.run(0, &["plan", "-f", "set.yaml", "--exit-code"]).await;
    setting.sandbox.write("set.yaml", &manifest.replace("busybox:1", "busybox:9"));
    let plan = setting.run(0, &["plan", "-f", "set.yaml", "-o", "json"]).await.json();
    assert_eq!(plan["operations"][0]["changes"].as_array().unwrap().len(), 1, "{plan}");
    setting.run(0, &["apply", "-f", "set.yaml", "--yes"]).await;
    let service = setting.service().await;
    assert_eq!(service["container"]["image"], "busybox:9");
    assert_eq!(service["metadata"]["annotations"]["a.b/c"], "theirs");
    let values: Vec<_> = service["container"]["environment"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| (item["name"].as_str().unwrap(), item["value"].as_str().unwrap()))
        .collect();
    assert_eq!(values, [("LEVEL", "theirs"), ("MODE", "fast"), ("EXTRA", "theirs")]);
}

/// A run that was killed while it wrote leaves a part of a file behind, which is no manifest, and
/// which the next run takes away.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_killed_run_left_behind_is_no_manifest_and_goes() {
    let setting = Setting::start(MANIFEST).await;
    std::fs::create_dir(setting.sandbox.path("m")).unwrap();
    std::fs::rename(setting.sandbox.path("set.yaml"), setting.sandbox.path("m/set.yaml")).unwrap();
    let left = setting.sandbox.path("m/.meshagent-aBc123.new");
    std::fs::write(&left, "version: v1\nkind: Room\nmeta").unwrap();
    setting.run(0, &["plan", "-f", "m"]).await;
    setting.drift().await;
    assert!(left.exists());
    setting.run(0, &["accept", "-f", "m"]).await;
    let names = std::fs::read_dir(setting.sandbox.path("m")).unwrap();
    let names: Vec<_> = names.map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["set.yaml"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_set_that_was_never_applied_has_not_drifted() {
    let setting = Setting { server: Server::start().await, sandbox: Sandbox::new() };
    setting.sandbox.write("set.yaml", "version: v1\nkind: Room\nmetadata: {name: hall}\n");
    let run = setting.run(0, &["accept", "-f", "set.yaml"]).await;
    assert!(
        run.stderr.contains("the set `default` has not been applied here yet"),
        "{}",
        run.stderr
    );
    assert!(!run.stderr.contains("nothing drifted"), "{}", run.stderr);
    setting.run(0, &["apply", "-f", "set.yaml", "--yes"]).await;
    let run = setting.run(0, &["accept", "-f", "set.yaml"]).await;
    assert_eq!(run.stderr, "nothing drifted\n");
}

/// The name of an image that is built says what is in a folder, so another image is not written into
/// the place of the folder, nor beside it.
#[tokio::test(flavor = "multi_thread")]
async fn another_image_is_not_written_where_one_is_built() {
    let setting = Setting { server: Server::start().await, sandbox: Sandbox::new() };
    std::fs::create_dir(setting.sandbox.path("agent")).unwrap();
    setting.sandbox.write("agent/Containerfile", "FROM busybox\n");
    let manifest = MANIFEST.split("---\n").nth(1).unwrap();
    let manifest = manifest.replace("  image: \"busybox:1\"\n", "")
        + "build: {context: ./agent}\n---\nversion: v1\nkind: Room\nmetadata: {name: lobby}\n";
    setting.sandbox.write("set.yaml", &manifest);
    // A file in the home folder reaches itself alone.
    let files = ["-f", "set.yaml", "--allow-files", "agent"];
    setting.run(0, &[&["apply", "--yes"], &files[..]].concat()).await;
    let image = setting.service().await["container"]["image"].clone();
    assert!(image.as_str().unwrap().starts_with("localhost/support:"), "{image}");
    setting.change_service(|service| service["container"]["image"] = "busybox:2".into()).await;
    let accepted = setting.run(1, &[&["accept"], &files[..]].concat()).await;
    let told = format!("{}{}", accepted.stdout, accepted.stderr);
    assert!(told.contains("it comes of `build.context`"), "{told}");
    assert_eq!(setting.manifest(), manifest);
}
