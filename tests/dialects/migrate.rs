//! `set migrate`: a set that was applied in 0.31 is taken over on a platform that was upgraded since,
//! here the embedded one, which speaks both.

use meshagent::api::spoken::Spoken;
use serde_json::{Value, json};

use super::stand_in::StandIn;
use crate::cli::{Run, Sandbox};
use crate::hostile::proxy::{Fault, Hostile, Mischief};
use crate::platform::harness::{Server, client};

const REST: &str = "---
version: v1
kind: Room
metadata: {name: lobby}
---
version: v1
kind: Service
metadata: {name: bot}
room: lobby
container: {image: busybox, secrets: [keys]}
---
version: v1
kind: Mailbox
metadata: {name: a@mail.localhost}
room: lobby
---
version: v1
kind: Route
metadata: {name: a.meshagent.app}
room: lobby
port: 8000
---
version: v1
kind: ScheduledTask
metadata: {name: daily}
room: lobby
queue: q
schedule: \"0 7 * * *\"
";

const SECRET: &str = "version: v1\nkind: Secret\nmetadata: {name: keys}\ntype: keys\ndata: {TOKEN: {from: {env: TOKEN}}}\n";

const WEBHOOK: &str = "---\nversion: v1\nkind: Webhook\nmetadata: {name: w}\nurl: https://a.example\nevents: [room.started]\n";

const ACCOUNT: &str = "---\nversion: v1\nkind: ServiceAccount\nmetadata: {name: support}\n";

/// A platform that speaks both APIs.
pub struct Upgraded {
    server: Server,
    /// What the program is told to ask.
    pub url: String,
    pub sandbox: Sandbox,
}

impl Upgraded {
    /// One with nothing in it.
    pub async fn new() -> Self {
        let server = Server::start().await;
        Self { url: server.url.clone(), server, sandbox: Sandbox::new() }
    }

    /// A platform on which the set was applied in 0.31.
    async fn start(before: &str) -> Self {
        let it = Self::new().await;
        it.sandbox.write("set.yaml", before);
        it.ends(0, "0.31", &["apply", "-f", "set.yaml", "--set", "s", "--yes"]);
        it
    }

    /// Runs the program in an API.
    pub fn run(&self, dialect: &str, arguments: &[&str]) -> Run {
        let mut command = self.sandbox.command(&[arguments, &["--dialect", dialect]].concat());
        command
            .env("MESHAGENT_API_URL", &self.url)
            .env("MESHAGENT_API_KEY", &self.server.owner)
            .env("MESHAGENT_PROJECT_ID", "default")
            .env("TOKEN", "the-value-of-it")
            .env("SECRET_BOTS_K_VALUE", "the-value-of-it");
        Run::of(command.output().expect("a run"))
    }

    /// The same with another key than the owner's.
    pub fn run_with(&self, key: &str, dialect: &str, arguments: &[&str]) -> Run {
        let mut command = self.sandbox.command(&[arguments, &["--dialect", dialect]].concat());
        command
            .env("MESHAGENT_API_URL", &self.url)
            .env("MESHAGENT_API_KEY", key)
            .env("MESHAGENT_PROJECT_ID", "default");
        Run::of(command.output().expect("a run"))
    }

    /// A service account with a key: its id, and the key.
    pub async fn account(&self, name: &str) -> (String, String) {
        self.server.account(name).await
    }

    /// The same, with the exit code that is expected.
    #[track_caller]
    pub fn ends(&self, code: i32, dialect: &str, arguments: &[&str]) -> Run {
        let run = self.run(dialect, arguments);
        assert_eq!(run.code, code, "{arguments:?}: {}{}", run.stdout, run.stderr);
        run
    }

    /// Gives an account a role in the project.
    pub async fn grant(&self, account: &str, role: &str) {
        let id = self.get(&format!("/service-accounts/by-name/{account}")).await["id"].clone();
        let path = format!("/iam/project/{}/policy:grant", self.server.project);
        let body = json!({"subject": {"type": "service_account", "id": id}, "roles": [role]});
        let ask = self.server.own("POST", &path).header("consistency", "fast").json(&body);
        let reply = ask.send().await;
        assert!(reply.status < 300, "{reply:?}");
    }

    /// What is at a path below the project, as 0.56 has it.
    pub async fn get(&self, path: &str) -> Value {
        let ask = self.server.own("GET", path).header("consistency", "fast");
        ask.send().await.expect(200).json()
    }
}

const MIGRATE: [&str; 6] = ["set", "migrate", "-f", "set.yaml", "--set", "s"];
const PLAN: [&str; 6] = ["plan", "-f", "set.yaml", "--set", "s", "--exit-code"];

fn with(more: &[&str]) -> Vec<&'static str> {
    let more: Vec<&'static str> = more.iter().map(|it| &*it.to_string().leak()).collect();
    [&MIGRATE[..], &more].concat()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_set_is_taken_over_with_all_that_can_be() {
    let it = Upgraded::start(&(SECRET.to_owned() + REST + WEBHOOK)).await;
    let room = it.get("/rooms/lobby").await["id"].clone();
    let after = SECRET.to_owned() + "service_account: support\n" + REST + ACCOUNT;
    it.sandbox.write("set.yaml", &after);
    let refused = it.ends(6, "0.56", &PLAN);
    let way_out = "`meshagent set migrate -f MANIFESTS --set s --dialect 0.56` takes the set over";
    assert!(refused.stderr.contains(way_out), "{}", refused.stderr);

    // What cannot be read any more is not forgotten in silence.
    let refused = it.ends(6, "0.56", &with(&["--yes"]));
    assert!(
        refused.stderr.contains("Webhook/w can neither be read nor deleted through this API"),
        "{}",
        refused.stderr
    );
    assert!(refused.stderr.contains("--let-go"), "{}", refused.stderr);
    let shown = it.ends(0, "0.56", &with(&["--let-go", "--dry-run"])).stdout;
    for told in [
        "Room/lobby  it was applied in the API that the platform spoke before",
        "Mailbox/a@mail.localhost  it was applied",
        "Route/a.meshagent.app  it was applied",
        "ScheduledTask/daily  it was applied",
        "create ServiceAccount/support",
        "create AccountSecret/support/keys.TOKEN",
        "update Service/bot@lobby",
        "release Secret/keys  this API can neither read nor delete it",
        "release Webhook/w  this API can neither read nor delete it",
    ] {
        assert!(shown.contains(told), "{told}: {shown}");
    }
    assert!(!shown.contains("- delete ") && !shown.contains("the-value-of-it"), "{shown}");
    it.ends(6, "0.56", &PLAN);

    it.ends(0, "0.56", &with(&["--let-go", "--yes"]));
    it.ends(0, "0.56", &PLAN);
    assert_eq!(it.get("/rooms/lobby").await["id"], room);
    let tasks = it.get("/scheduled-tasks?page_size=100").await;
    assert_eq!(tasks["tasks"].as_array().map(Vec::len), Some(1), "{tasks}");
    let service = it.get("/rooms/lobby/services").await["services"][0].clone();
    let variable = &service["container"]["environment"][0];
    assert_eq!(variable["name"], "TOKEN", "{service}");
    assert!(variable["secret"]["id"].is_string(), "{service}");
    // Those who speak the former API leave it alone from now on.
    let refused = it.ends(6, "0.31", &PLAN);
    assert!(refused.stderr.contains("was applied in the API of 0.56"), "{}", refused.stderr);
    // It is the set's in all ways.
    it.ends(0, "0.56", &["destroy", "--set", "s", "--yes"]);
    assert_eq!(it.get("/rooms?page_size=100").await["rooms"], json!([]));
}

/// Whatever fails of it, the set is taken over by the next run, and nothing is there twice.
#[tokio::test(flavor = "multi_thread")]
async fn what_stops_part_way_goes_on_with_the_next_run() {
    let faults = [
        Fault::Status(403).on("POST").at("/service-accounts"),
        Fault::Status(403).on("POST").at("/versions"),
        Fault::DropAfter.on("POST").at("/versions"),
        Fault::Status(403).on("PUT").about("/services/"),
        Fault::BadGatewayAfter.on("PUT").about("/services/"),
    ];
    futures_util::future::join_all(faults.map(stops_part_way)).await;
}

async fn stops_part_way(fault: Mischief) {
    let told = format!("{fault:?}");
    let mut it = Upgraded::start(&(SECRET.to_owned() + REST)).await;
    let (room, direct) = (it.get("/rooms/lobby").await["id"].clone(), it.url.clone());
    let after = SECRET.to_owned() + "service_account: support\n" + REST + ACCOUNT;
    it.sandbox.write("set.yaml", &after);
    let proxy = Hostile::before(&direct, client()).with(fault).start().await;
    it.url.clone_from(&proxy.url);
    let stopped = it.run("0.56", &with(&["--yes", "--retries", "0"]));
    assert!([0, 4].contains(&stopped.code), "{told}: {}{}", stopped.stdout, stopped.stderr);
    it.url = direct;
    if stopped.code != 0 {
        // It is neither of one API nor of the other, and says what helps.
        let refused = it.ends(6, "0.56", &PLAN);
        assert!(
            refused.stderr.contains("set migrate -f MANIFESTS --set s"),
            "{told}: {}",
            refused.stderr
        );
        it.ends(0, "0.56", &with(&["--yes"]));
    }
    it.ends(0, "0.56", &PLAN);
    assert_eq!(it.get("/rooms/lobby").await["id"], room, "{told}");
    let account = it.get("/service-accounts/by-name/support").await["id"].clone();
    let secrets =
        format!("/service-accounts/{}/secrets?page_size=9", account.as_str().expect(&told));
    let secrets = it.get(&secrets).await["secrets"].clone();
    assert_eq!(secrets.as_array().map(Vec::len), Some(1), "{told}: {secrets}");
    let services = it.get("/rooms/lobby/services").await["services"].clone();
    assert_eq!(services.as_array().map(Vec::len), Some(1), "{told}: {services}");
    let variable = &services[0]["container"]["environment"][0];
    assert_eq!(variable["secret"]["id"], secrets[0]["id"], "{told}: {services}");
    let tasks = it.get("/scheduled-tasks?page_size=9").await["tasks"].clone();
    assert_eq!(tasks.as_array().map(Vec::len), Some(1), "{told}: {tasks}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_pruned_and_a_second_migration_has_nothing_to_do() {
    let it =
        Upgraded::start(REST.replace(", secrets: [keys]", "").trim_start_matches("---\n")).await;
    it.sandbox.write("set.yaml", "version: v1\nkind: Room\nmetadata: {name: lobby}\n");
    let shown = it.ends(0, "0.56", &with(&["--yes"])).stdout;
    assert!(!shown.contains("delete"), "{shown}");
    let again = it.ends(0, "0.56", &with(&["--yes"])).stdout;
    assert!(again.contains("Nothing to change"), "{again}");
    // What was left is the set's all the same.
    let all = [&PLAN[..], &["--allow-deletes", "9"]].concat();
    let plan = it.ends(3, "0.56", &all).stdout;
    for gone in ["Service/bot@lobby", "Mailbox/a@mail.localhost", "ScheduledTask/daily"] {
        assert!(plan.contains(&format!("- delete {gone}")), "{plan}");
    }
}

#[test]
fn a_task_that_has_another_id_since_is_found_and_gets_its_name() {
    let platform = StandIn::of(Spoken::V0_31);
    let set = "version: v1\nkind: Room\nmetadata: {name: lobby}\n---\nversion: v1\nkind: ScheduledTask\nmetadata: {name: daily}\nroom: lobby\nqueue: q\nschedule: \"0 7 * * *\"\n";
    platform.sandbox.write("set.yaml", set);
    platform.ends(0, &["apply", "-f", "set.yaml", "--set", "s", "--yes"]);
    platform.becomes(Spoken::V0_56);
    platform.clear("scheduled-tasks");
    let spec = json!({
        "version": "v1", "kind": "ScheduledTask", "schedule": "0 7 * * *",
        "metadata": {"annotations": {"meshagent.set": "s"}},
        "active": true, "once": false, "queue": {"name": "q", "payload": {}},
    });
    platform.put("scheduled-tasks", [json!({"id": "another", "room_name": "lobby", "spec": spec})]);
    platform.take_asked();
    let shown = platform.ends(0, &with(&["--yes"])).stdout;
    assert!(shown.contains("metadata.name: \"another\" → \"daily\""), "{shown}");
    assert_eq!(platform.take_writes(), ["PUT scheduled-tasks/another"]);
    let tasks = platform.list("scheduled-tasks");
    assert_eq!((tasks.len(), &tasks[0]["spec"]["metadata"]["name"]), (1, &"daily".into()));
    platform.ends(0, &PLAN);
}

#[test]
fn tasks_that_cannot_be_told_apart_are_not_made_again() {
    let task = |name: &str| {
        format!(
            "---\nversion: v1\nkind: ScheduledTask\nmetadata: {{name: {name}}}\nroom: lobby\nqueue: q\nschedule: \"0 7 * * *\"\n"
        )
    };
    let platform = StandIn::of(Spoken::V0_31);
    let set =
        "version: v1\nkind: Room\nmetadata: {name: lobby}\n".to_owned() + &task("a") + &task("b");
    platform.sandbox.write("set.yaml", &set);
    platform.ends(0, &["apply", "-f", "set.yaml", "--set", "s", "--yes"]);
    platform.becomes(Spoken::V0_56);
    platform.clear("scheduled-tasks");
    let spec = json!({
        "version": "v1", "kind": "ScheduledTask", "schedule": "0 7 * * *",
        "metadata": {"annotations": {"meshagent.set": "s"}},
        "active": true, "once": false, "queue": {"name": "q", "payload": {}},
    });
    let of = |id: &str| json!({"id": id, "room_name": "lobby", "spec": spec});
    platform.put("scheduled-tasks", [of("one"), of("two")]);
    platform.take_asked();
    let refused = platform.ends(6, &with(&["--yes"]));
    assert!(
        refused.stderr.contains("it is not known which object ScheduledTask/a is now"),
        "{}",
        refused.stderr
    );
    assert_eq!(platform.take_writes(), Vec::<String>::new());
    // Whoever lets them go has them made anew, and those that no document declares forgotten.
    platform.sandbox.write("set.yaml", &set.replace(&task("b"), ""));
    let shown = platform.ends(0, &with(&["--let-go", "--yes"])).stdout;
    assert!(shown.contains("create ScheduledTask/a"), "{shown}");
    assert!(shown.contains("release ScheduledTask/b  it is not found on the platform"), "{shown}");
}

#[test]
fn there_is_no_way_back_to_the_former_api() {
    let platform = StandIn::of(Spoken::V0_56);
    platform.sandbox.write("set.yaml", "version: v1\nkind: Room\nmetadata: {name: lobby}\n");
    platform.ends(0, &["apply", "-f", "set.yaml", "--set", "s", "--yes"]);
    platform.becomes(Spoken::V0_31);
    platform.take_asked();
    let refused = platform.ends(6, &with(&["--yes"]));
    assert!(refused.stderr.contains("was applied in the API of 0.56"), "{}", refused.stderr);
    assert_eq!(platform.take_writes(), Vec::<String>::new());
}

/// While one set of a project is migrated and another one is not yet, all of them are listed, and the
/// project is exported, in either API.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_shown_is_shown_while_sets_are_of_both_apis() {
    let platform = Upgraded::new().await;
    for set in ["a", "b"] {
        let room = format!("version: v1\nkind: Room\nmetadata: {{name: r{set}}}\n");
        platform.sandbox.write(&format!("{set}.yaml"), &room);
        let file = format!("{set}.yaml");
        platform.ends(0, "0.31", &["apply", "-f", &file, "--set", set, "--yes"]);
    }
    platform.ends(0, "0.56", &["set", "migrate", "-f", "a.yaml", "--set", "a", "--yes"]);
    for (dialect, other) in [("0.31", "a"), ("0.56", "b")] {
        let listed = platform.ends(0, dialect, &["set", "list", "--output", "json"]);
        let sets: Value = serde_json::from_str(&listed.stdout).expect("JSON");
        let names: Vec<&Value> =
            sets["sets"].as_array().expect("a list").iter().map(|set| &set["name"]).collect();
        assert_eq!(names, ["a", "b"], "{dialect}");
        let told = format!("the set `{other}` was applied in another API than that of {dialect}");
        assert!(listed.stderr.contains(&told), "{}", listed.stderr);
        let folder = format!("exported-{dialect}");
        platform.ends(0, dialect, &["export", "--dir", &folder]);
        let dry = platform.ends(0, dialect, &["rooms", "delete", "--name", "ra", "--dry-run"]);
        assert!(!dry.stderr.contains("cannot be read"), "{}", dry.stderr);
    }
}
