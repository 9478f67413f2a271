//! What changed behind the set's back, told apart from what the manifests ask for.

use serde_json::{Value, json};

use crate::cli::{Run, Sandbox};
use crate::hostile::plans;
use crate::hostile::proxy::{Hostile, Running};
use crate::platform::harness::Server;

struct Drifted {
    platform: Server,
    proxy: Running,
    sandbox: Sandbox,
}

impl Drifted {
    /// A room whose `theirs` drifted and whose `ours` the manifest changed, and one that was
    /// deleted by hand.
    async fn start() -> Self {
        let platform = Server::start().await;
        let proxy = Hostile::in_front_of(&platform).start().await;
        let drifted = Self { platform, proxy, sandbox: Sandbox::new() };
        drifted.write(1);
        assert_eq!(drifted.run(&["apply", "--yes"]).await.code, 0);
        let room = drifted.platform.read("/rooms/lobby").await.expect(200).json();
        let path = format!("/rooms/{}", room["id"].as_str().unwrap());
        let metadata = json!({"ours": 1, "theirs": 7, "both": 7});
        let changed = json!({
            "name": "lobby", "metadata": metadata, "annotations": room["annotations"],
        });
        drifted.platform.send("PUT", &path, changed).await.expect(200);
        let hall = drifted.platform.read("/rooms/hall").await.expect(200).json();
        let path = format!("/rooms/{}", hall["id"].as_str().unwrap());
        drifted.platform.own("DELETE", &path).send().await;
        drifted.write(2);
        drifted
    }

    fn write(&self, version: u8) {
        self.sandbox.write(
            "set.yaml",
            &format!(
                "version: v1\nkind: Room\nmetadata: {{name: lobby}}\n\
                 room_metadata: {{ours: {version}, theirs: 1, both: {version}}}\n---\n\
                 version: v1\nkind: Room\nmetadata: {{name: hall}}\n"
            ),
        );
    }

    async fn run(&self, arguments: &[&str]) -> Run {
        let arguments = [arguments, &["-f", "set.yaml"]].concat();
        plans::run(&self.sandbox, &self.platform, &self.proxy, &arguments).await
    }

    async fn metadata(&self) -> Value {
        self.platform.read("/rooms/lobby").await.expect(200).json()["metadata"].clone()
    }
}

/// The changed fields of a plan with who changed them.
fn causes(plan: &Value) -> Vec<(String, String)> {
    let operations = plan["operations"].as_array().unwrap().iter();
    let changes = operations.flat_map(|operation| operation["changes"].as_array().unwrap());
    changes
        .map(|change| {
            let text = |name: &str| change[name].as_str().unwrap_or_default().to_owned();
            (text("path"), text("cause"))
        })
        .collect()
}

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected.iter().map(|(path, cause)| ((*path).to_owned(), (*cause).to_owned())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_says_who_changed_each_field() {
    let drifted = Drifted::start().await;
    let plan = drifted.run(&["plan", "-o", "json"]).await.json();
    let all = [
        ("room_metadata.ours", "manifest"),
        ("room_metadata.theirs", "drift"),
        ("room_metadata.both", "both"),
    ];
    let mut told = causes(&plan);
    told.sort();
    let mut expected = pairs(&all);
    expected.sort();
    assert_eq!(told, expected);
    let only = drifted.run(&["plan", "--drift-only", "-o", "json"]).await.json();
    assert_eq!(causes(&only).len(), 2, "{only}");
    assert!(!causes(&only).contains(&pairs(&all)[0]), "{only}");
    let addresses = only["operations"].as_array().unwrap().iter();
    let addresses: Vec<&Value> = addresses.map(|operation| &operation["address"]).collect();
    assert_eq!(addresses, ["Room/hall", "Room/lobby"]);
    drifted.write(1);
    drifted.run(&["apply", "--yes"]).await;
    let none = drifted.run(&["plan", "--drift-only", "--exit-code"]).await;
    assert_eq!(none.code, 0, "{}", none.stdout);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_drifted_is_left_alone_when_that_is_asked() {
    let drifted = Drifted::start().await;
    let run = drifted.run(&["apply", "--yes", "--ignore-drift"]).await;
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert_eq!(drifted.metadata().await, json!({"ours": 2, "theirs": 7, "both": 2}));
    let still = drifted.run(&["plan", "--drift-only", "-o", "json"]).await.json();
    assert_eq!(causes(&still), pairs(&[("room_metadata.theirs", "drift")]));
    // What was deleted by hand is not created again either.
    assert!(addresses(&still).contains(&"Room/hall"), "{still}");
    assert_eq!(drifted.run(&["apply", "--yes"]).await.code, 0);
    assert_eq!(drifted.metadata().await, json!({"ours": 2, "theirs": 1, "both": 2}));
}

/// What a plan is for, by name.
fn addresses(plan: &Value) -> Vec<&str> {
    let operations = plan["operations"].as_array().unwrap().iter();
    operations.map(|operation| operation["address"].as_str().unwrap()).collect()
}

struct Renamed {
    platform: Server,
    proxy: Running,
    sandbox: Sandbox,
}

impl Renamed {
    /// A room with a service and a mailbox, a secret and a webhook, of which the room and the
    /// webhook got another name by hand, and the secret was deleted.
    async fn start() -> Self {
        let platform = Server::start().await;
        let proxy = Hostile::in_front_of(&platform).start().await;
        let renamed = Self { platform, proxy, sandbox: Sandbox::new() };
        renamed.write(1);
        assert_eq!(renamed.run(&["apply", "--yes"]).await.code, 0);
        let platform = &renamed.platform;
        let mut room = platform.read("/rooms/lobby").await.expect(200).json();
        let path = format!("/rooms/{}", room["id"].as_str().unwrap());
        room["name"] = "hall".into();
        platform.send("PUT", &path, room).await.expect(200);
        let hooks = platform.read("/webhooks").await.expect(200).json();
        let mut hook = hooks["webhooks"][0].clone();
        let path = format!("/webhooks/{}", hook["id"].as_str().unwrap());
        hook["name"] = "other".into();
        platform.send("PUT", &path, hook).await.expect(200);
        let secrets = platform.read("/secrets").await.expect(200).json();
        let path = format!("/secrets/{}", secrets["secrets"][0]["id"].as_str().unwrap());
        platform.own("DELETE", &path).send().await;
        renamed
    }

    fn write(&self, version: u8) {
        self.sandbox.write(
            "set.yaml",
            &format!(
                "version: v1\nkind: Room\nmetadata: {{name: lobby}}\nroom_metadata: {{ours: {version}}}\n---\n\
                 version: v1\nkind: Service\nmetadata: {{name: bot}}\nroom: lobby\n\
                 container: {{image: 'busybox:{version}'}}\n---\n\
                 version: v1\nkind: Room\nmetadata: {{name: free}}\nroom_metadata: {{ours: {version}}}\n---\n\
                 version: v1\nkind: Mailbox\nmetadata: {{name: a@mail.localhost}}\nroom: lobby\nqueue: q{version}\n---\n\
                 version: v1\nkind: Webhook\nmetadata: {{name: hook}}\nurl: https://example.com\nevents: ['*']\n---\n\
                 version: v1\nkind: Secret\nmetadata: {{name: keys}}\ntype: keys\ndata: {{A: one}}\n"
            ),
        );
    }

    async fn run(&self, arguments: &[&str]) -> Run {
        let arguments = [arguments, &["-f", "set.yaml"]].concat();
        plans::run(&self.sandbox, &self.platform, &self.proxy, &arguments).await
    }

    async fn drift(&self) -> Value {
        self.run(&["plan", "--drift-only", "-o", "json"]).await.json()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_name_is_drift_that_apply_takes_back_and_accept_names() {
    let renamed = Renamed::start().await;
    let mut expected = ["Room/lobby", "Secret/keys", "Webhook/hook"];
    let drift = renamed.drift().await;
    let mut told = addresses(&drift);
    told.sort_unstable();
    expected.sort_unstable();
    assert_eq!(told, expected, "{drift}");
    assert_eq!(
        causes(&drift).into_iter().filter(|(path, _)| path == "metadata.name").collect::<Vec<_>>(),
        pairs(&[("metadata.name", "drift"), ("metadata.name", "drift")])
    );
    let accepted = renamed.run(&["accept"]).await;
    assert_eq!(accepted.code, 1, "{}", accepted.stderr);
    for (object, name) in [("Room/lobby", "hall"), ("Webhook/hook", "other")] {
        let told = format!("not accepted: {object} metadata.name: it was renamed to `{name}`");
        assert!(accepted.stderr.contains(&told), "{}", accepted.stderr);
    }
    assert_eq!(renamed.run(&["apply", "--yes"]).await.code, 0);
    renamed.platform.read("/rooms/lobby").await.expect(200);
    assert_eq!(addresses(&renamed.drift().await), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn whole_objects_that_drifted_are_left_with_what_needs_them() {
    let renamed = Renamed::start().await;
    renamed.write(2);
    let plan = renamed.run(&["plan", "--ignore-drift", "-o", "json"]).await.json();
    assert_eq!(addresses(&plan), ["Room/free"], "{plan}");
    let run = renamed.run(&["apply", "--yes", "--ignore-drift"]).await;
    assert_eq!(run.code, 0, "{}{}", run.stdout, run.stderr);
    renamed.platform.read("/rooms/hall").await.expect(200);
    let secrets = renamed.platform.read("/secrets").await.expect(200).json();
    assert_eq!(secrets["secrets"], json!([]));
    let told = run.stdout + &run.stderr;
    for note in [
        "Room/lobby was renamed to Room/hall on the platform, not by this set, and --ignore-drift keeps that name",
        "Service/bot@lobby stays as it is: it needs something that --ignore-drift leaves alone",
        "Mailbox/a@mail.localhost stays as it is",
        "Secret/keys was deleted on the platform, not by this set, and --ignore-drift does not create it",
    ] {
        assert!(told.contains(note), "{note}\n{told}");
    }
    // It is drift as before, and what waited is done with it.
    let drift = renamed.drift().await;
    assert_eq!(addresses(&drift).len(), 3, "{drift}");
    assert_eq!(renamed.run(&["apply", "--yes"]).await.code, 0);
    let again = renamed.run(&["plan", "--exit-code"]).await;
    assert_eq!(again.code, 0, "{}", again.stdout);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_left_alone_is_told_and_is_not_counted_as_declared() {
    let drifted = Drifted::start().await;
    assert_eq!(drifted.run(&["apply", "--yes", "--ignore-drift"]).await.code, 0);
    let plan = drifted.run(&["plan", "--ignore-drift"]).await;
    let note =
        "note: --ignore-drift leaves `room_metadata.theirs` of Room/lobby as the platform has it";
    assert!(plan.stderr.contains(note), "{}", plan.stderr);
    let counted = "0 objects are as declared; drift in 2 objects ignored.";
    assert!(plan.stdout.contains(counted), "{}", plan.stdout);
    // Once nothing drifted there is nothing to tell.
    assert_eq!(drifted.run(&["apply", "--yes"]).await.code, 0);
    let plan = drifted.run(&["plan", "--ignore-drift"]).await;
    assert!(plan.stdout.contains("2 objects are as declared.\n"), "{}", plan.stdout);
    assert!(!plan.stderr.contains("--ignore-drift"), "{}", plan.stderr);
}
