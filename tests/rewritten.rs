//! Secrets that somebody else wrote, whose values the platform keeps to itself. Where it tells
//! revisions, that they were written is seen.

use serde_json::{Value, json};

use crate::cli::{Run, Sandbox};
use crate::hostile::plans;
use crate::hostile::proxy::{Hostile, Running};
use crate::platform::harness::Server;

pub struct Written {
    pub platform: Server,
    pub proxy: Running,
    pub sandbox: Sandbox,
}

impl Written {
    pub async fn start(documents: &str) -> Self {
        let platform = Server::start().await;
        let proxy = Hostile::in_front_of(&platform).start().await;
        let written = Self { platform, proxy, sandbox: Sandbox::new() };
        written.sandbox.write("set.yaml", documents);
        written.run(0, &["apply", "--yes"]).await;
        written
    }

    pub async fn run(&self, code: i32, arguments: &[&str]) -> Run {
        let arguments = [arguments, &["-f", "set.yaml"]].concat();
        let run = plans::run(&self.sandbox, &self.platform, &self.proxy, &arguments).await;
        assert_eq!(run.code, code, "{arguments:?}: {}{}", run.stdout, run.stderr);
        run
    }

    pub async fn secrets(&self) -> Vec<Value> {
        let listed = self.platform.read("/secrets").await.expect(200).json();
        listed["secrets"].as_array().unwrap().clone()
    }

    /// Writes a secret behind the set's back.
    pub async fn write(&self, name: &str, data: Value) {
        let secrets = self.secrets().await;
        let secret = secrets.iter().find(|secret| secret["name"] == name).unwrap();
        let path = format!("/secrets/{}", secret["id"].as_str().unwrap());
        let body = json!({"name": name, "type": secret["type"], "data": data});
        self.platform.send("PUT", &path, body).await.expect(200);
    }

    pub async fn settled(&self) {
        let planned = self.run(0, &["plan", "--exit-code"]).await;
        assert!(planned.stdout.starts_with("Nothing to change"), "{}", planned.stdout);
    }
}

pub const KEYS: &str =
    "---\nversion: v1\nkind: Secret\nmetadata: {name: keys}\ntype: keys\ndata: {A: one, B: two}\n";
pub const PULL: &str = "---\nversion: v1\nkind: Secret\nmetadata: {name: pull}\ntype: docker\nserver: r.example\nusername: u\npassword: planted\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_value_that_somebody_wrote_is_drift() {
    let written = Written::start(&(KEYS.to_owned() + PULL)).await;
    written.settled().await;
    written.write("keys", json!({"A": "theirs", "B": "two"})).await;
    let planned = written.run(3, &["plan", "--exit-code"]).await;
    assert!(planned.stdout.contains("~ update Secret/keys"), "{}", planned.stdout);
    assert!(planned.stdout.contains("data.A: (secret, changed)  drifted"), "{}", planned.stdout);
    assert!(!planned.stdout.contains("Secret/pull"), "{}", planned.stdout);
    let drift = written.run(3, &["plan", "--drift-only", "--exit-code"]).await;
    assert!(drift.stdout.contains("Secret/keys"), "{}", drift.stdout);
    // It can be left alone for now, and is not forgotten by that.
    let left = written.run(0, &["apply", "--ignore-drift", "--yes"]).await;
    assert!(left.stdout.starts_with("Nothing to change"), "{}", left.stdout);
    written.run(3, &["plan", "--exit-code"]).await;
    written.run(0, &["apply", "--yes"]).await;
    written.settled().await;
    let password = json!({"server": "r.example", "username": "u", "password": "x", "email": "none@example.com"});
    written.write("pull", password).await;
    let planned = written.run(3, &["plan", "--exit-code"]).await;
    assert!(planned.stdout.contains("password: (secret, changed)  drifted"), "{}", planned.stdout);
    written.run(0, &["apply", "--yes"]).await;
    written.settled().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_rule_ignores_and_what_the_set_itself_writes_is_no_drift() {
    let ignoring = format!("{KEYS}lifecycle: {{ignore: [data]}}\n");
    let written = Written::start(&ignoring).await;
    written.write("keys", json!({"A": "theirs", "B": "theirs"})).await;
    written.settled().await;
    // A new value, a new name, and the way to another set are the set's own writes.
    let written = Written::start(KEYS).await;
    written.sandbox.write("set.yaml", &KEYS.replace("one", "three"));
    written.run(0, &["apply", "--yes"]).await;
    written.settled().await;
    let renamed = KEYS.replace("{name: keys}", "{name: pairs}");
    let renamed = format!("{renamed}lifecycle: {{moved_from: keys}}\n");
    written.sandbox.write("set.yaml", &renamed.replace("one", "three"));
    written.run(0, &["apply", "--yes"]).await;
    written.settled().await;
    written.write("pairs", json!({"A": "theirs", "B": "two"})).await;
    written.run(3, &["plan", "--exit-code"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pairs_that_come_and_go_are_seen_without_revisions() {
    let written = Written::start(KEYS).await;
    written.write("keys", json!({"A": "one", "C": "theirs"})).await;
    let planned = written.run(3, &["plan", "--exit-code"]).await;
    for expected in ["+ data.B: (secret)", "- data.C: (secret)"] {
        assert!(planned.stdout.contains(expected), "{expected}: {}", planned.stdout);
    }
    written.run(0, &["apply", "--yes"]).await;
    written.settled().await;
}
