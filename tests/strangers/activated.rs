//! An activated key works for the project that it is of, however that is named.

use serde_json::json;

use crate::cli::{Run, Sandbox};
use crate::platform::harness::Server;

struct Setting {
    server: Server,
    sandbox: Sandbox,
}

impl Setting {
    async fn run(&self, variables: &[(&str, &str)], words: &[&str]) -> Run {
        let mut command = self.sandbox.command(words);
        command.env("MESHAGENT_API_URL", &self.server.url);
        command.envs(variables.iter().copied());
        let output = tokio::task::spawn_blocking(move || command.output());
        Run::of(output.await.unwrap().unwrap())
    }

    async fn activated(&self, key: &str, project: &str) {
        let words = ["api-key", "activate", key, "--project-id", project];
        let run = self.run(&[], &words).await;
        assert_eq!(run.code, 0, "{}", run.stderr);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_activated_key_works_for_its_project_by_name() {
    let setting = Setting { server: Server::start().await, sandbox: Sandbox::new() };
    let (shop, shop_key) = setting.server.other_project("shop").await;
    let (desk, desk_key) = setting.server.other_project("desk").await;
    let whoami = ["auth", "whoami", "-o", "json"];
    let run = setting.run(&[], &whoami).await;
    assert_eq!(run.json(), json!({"signed_in": false}));
    setting.activated(&desk_key, &desk).await;
    setting.activated(&shop_key, &shop).await;

    for (project, name) in [(&shop, "shop"), (&desk, "desk")] {
        let room = format!("of-{name}");
        let create = ["rooms", "create", "--name", &room, "--project-id", name];
        let run = setting.run(&[], &create).await;
        assert_eq!(run.code, 0, "{}", run.stderr);
        for named in [name, project] {
            let run = setting.run(&[], &["rooms", "list", "--project-id", named]).await;
            assert_eq!(run.code, 0, "{}", run.stderr);
            assert!(run.stdout.contains(&room), "{}", run.stdout);
            let run = setting.run(&[("MESHAGENT_PROJECT_ID", named)], &["rooms", "list"]).await;
            assert!(run.stdout.contains(&room), "{}{}", run.stdout, run.stderr);
            let me = [&whoami[..], &["--project-id", named]].concat();
            let me = setting.run(&[], &me).await.json();
            assert_eq!(me["credential"], "activated key", "{me}");
            assert_eq!(me["signed_in"], true, "{me}");
            assert_eq!(me["project_id"], project.as_str(), "{me}");
        }
    }
    let run = setting.run(&[], &["rooms", "list", "--project-id", "none"]).await;
    assert_eq!(run.code, 2, "{}", run.stderr);
    assert!(run.stderr.contains("there are no credentials"), "{}", run.stderr);

    // A key that was deleted hides no other.
    let listed = setting.server.ask("GET", &format!("/accounts/projects/{desk}/api-keys"));
    let listed = listed.bearer(&setting.server.owner).send().await.expect(200).json();
    let id = listed["keys"][0]["id"].as_str().unwrap().to_owned();
    let path = format!("/accounts/projects/{desk}/api-keys/{id}");
    let gone = setting.server.ask("DELETE", &path).bearer(&setting.server.owner).send().await;
    assert!(gone.status < 300);
    let run = setting.run(&[], &["rooms", "list", "--project-id", "shop"]).await;
    assert_eq!(run.code, 0, "{}", run.stderr);
}
