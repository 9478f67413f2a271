//! What a member of a project gets who describes it in manifests and may not build in it.

use serde_json::json;

use super::harness::Server;
use crate::cli::{Run, Sandbox};

struct Setting {
    server: Server,
    sandbox: Sandbox,
    member: String,
}

impl Setting {
    async fn new() -> Self {
        let server = Server::start().await;
        server.send("POST", "/users", json!({"user_id": "ada"})).await.expect(201);
        let member = server.key_for_user("ada").await;
        Self { server, sandbox: Sandbox::new(), member }
    }

    async fn run(&self, key: &str, words: &[&str]) -> Run {
        let mut command = self.sandbox.command(words);
        command
            .env("MESHAGENT_API_URL", &self.server.url)
            .env("MESHAGENT_API_KEY", key)
            .env("MESHAGENT_PROJECT_ID", &self.server.project);
        let output = tokio::task::spawn_blocking(move || command.output());
        Run::of(output.await.unwrap().unwrap())
    }

    async fn member(&self, words: &[&str]) -> Run {
        self.run(&self.member, words).await
    }

    async fn owner(&self, words: &[&str]) {
        let run = self.run(&self.server.owner, words).await;
        assert_eq!(run.code, 0, "{}{}", run.stdout, run.stderr);
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::create_dir_all(self.sandbox.path("m")).unwrap();
        self.sandbox.write(name, text);
    }
}

fn secret(value: &str) -> String {
    format!(
        "version: v1\nkind: Secret\nmetadata: {{name: s}}\ntype: keys\ndata: {{A: {{from: {{file: {value}}}}}}}\n"
    )
}

fn mailbox(queue: &str) -> String {
    format!(
        "version: v1\nkind: Mailbox\nmetadata: {{name: a@mail.localhost}}\nroom: r\nqueue: {queue}\npublic: false\n"
    )
}

const NOTE: &str = "the credential may not read what the set `default` owns in project";

#[tokio::test]
async fn a_member_plans_and_is_told_what_the_plan_does_not_know() {
    let setting = Setting::new().await;
    setting.write("m/value", "hunter2hunter2");
    setting.write("m/other", "swordfish");
    setting.write("m/r.yaml", "version: v1\nkind: Room\nmetadata: {name: r}\n");
    setting.write("m/gone.yaml", "version: v1\nkind: Room\nmetadata: {name: gone}\n");
    setting.write("m/s.yaml", &secret("value"));
    setting.write("m/b.yaml", &mailbox("q"));
    let plan = ["plan", "-f", "m", "--exit-code"];
    // Before anything is there, all is to be created, for a member as for anybody.
    let run = setting.member(&plan).await;
    assert_eq!(run.code, 3, "{}{}", run.stdout, run.stderr);
    setting.owner(&["apply", "-f", "m", "--yes"]).await;
    let run = setting.member(&plan).await;
    assert_eq!(run.code, 0, "{}{}", run.stdout, run.stderr);
    assert!(format!("{}{}", run.stdout, run.stderr).contains(NOTE), "{}{}", run.stdout, run.stderr);
    // What changes in the manifests is seen, but for the values of secrets; what is declared
    // no more is left alone.
    setting.write("m/s.yaml", &secret("other"));
    setting.write("m/b.yaml", &mailbox("p"));
    setting.write("m/n.yaml", "version: v1\nkind: Room\nmetadata: {name: new}\n");
    std::fs::remove_file(setting.sandbox.path("m/gone.yaml")).unwrap();
    let run = setting.member(&["plan", "-f", "m", "-o", "json"]).await;
    assert_eq!(run.code, 0, "{}", run.stderr);
    let planned = run.json();
    let mut done: Vec<String> = planned["operations"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| {
            format!("{} {}", one["action"].as_str().unwrap(), one["address"].as_str().unwrap())
        })
        .collect();
    done.sort();
    assert_eq!(done, ["create Room/new", "update Mailbox/a@mail.localhost"]);
    let notes = planned["notes"].to_string();
    assert!(notes.contains(NOTE) && notes.contains("would be deleted"), "{notes}");
    assert!(planned["operations"][0]["changes"].to_string().find("drift").is_none());
    // Another key sees all of it.
    let run = setting.run(&setting.server.owner, &["plan", "-f", "m", "-o", "json"]).await;
    let all = run.json()["operations"].as_array().unwrap().len();
    assert_eq!(all, 4, "{}", run.stdout);
    assert!(!run.stdout.contains(NOTE) && !run.stderr.contains(NOTE));
}

#[tokio::test]
async fn a_plan_of_a_member_is_never_written_or_performed() {
    let setting = Setting::new().await;
    setting.write("m/r.yaml", "version: v1\nkind: Room\nmetadata: {name: r}\n");
    setting.owner(&["apply", "-f", "m", "--yes"]).await;
    setting.write("m/q.yaml", "version: v1\nkind: Room\nmetadata: {name: q}\n");
    let run = setting.member(&["plan", "-f", "m", "--out", "plan.json"]).await;
    assert_eq!(run.code, 6, "{}{}", run.stdout, run.stderr);
    assert!(run.stderr.contains("cannot be applied and was not saved"), "{}", run.stderr);
    assert!(!setting.sandbox.path("plan.json").exists());
    for words in [&["apply", "-f", "m", "--yes"][..], &["destroy", "--yes"]] {
        let run = setting.member(words).await;
        assert!(![0, 4].contains(&run.code), "{words:?} {}{}", run.stdout, run.stderr);
    }
    let rooms = setting.server.read("/rooms").await.expect(200).json();
    assert_eq!(rooms["rooms"].as_array().unwrap().len(), 1, "{rooms}");
    // Diffs and graphs are made in the same way.
    for command in ["diff", "graph"] {
        let run = setting.member(&[command, "-f", "m"]).await;
        assert_eq!(run.code, 0, "{command} {}", run.stderr);
        assert!(run.stdout.contains('q'), "{}", run.stdout);
    }
    // Where a kind carries its owner's name, what has none is nobody's, read or not.
    setting.server.room("by-hand").await;
    setting.write("m/h.yaml", "version: v1\nkind: Room\nmetadata: {name: by-hand}\n");
    let run = setting.member(&["plan", "-f", "m"]).await;
    assert_eq!(run.code, 6, "{}{}", run.stdout, run.stderr);
}
