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
    assert_eq!(drifted.run(&["apply", "--yes"]).await.code, 0);
    assert_eq!(drifted.metadata().await, json!({"ours": 2, "theirs": 1, "both": 2}));
}
