//! What changes between the moment when a plan was made and the one when it is carried out.

use serde_json::{Value, json};

use crate::cli::{Run, Sandbox};
use crate::hostile::plans::run;
use crate::hostile::proxy::{Fault, Hostile, Mischief, Moment};
use crate::platform::harness::Server;

const ROOM: &str = "version: v1\nkind: Room\nmetadata: {name: lobby}\n";

/// A set that was applied, and whoever else works on its project.
struct Meanwhile {
    platform: Server,
    sandbox: Sandbox,
}

impl Meanwhile {
    async fn applied(documents: &[&str]) -> Self {
        let meanwhile = Self { platform: Server::start().await, sandbox: Sandbox::new() };
        let run = meanwhile.apply(documents, vec![], async || {}).await;
        assert_eq!(run.code, 0, "{}{}", run.stdout, run.stderr);
        meanwhile
    }

    /// Applies the documents, and has something happen once they were planned: the first write
    /// of an apply is its lease.
    async fn apply(
        &self,
        documents: &[&str],
        faults: Vec<Mischief>,
        meanwhile: impl AsyncFnOnce(),
    ) -> Run {
        self.apply_with(&[], documents, faults, meanwhile).await
    }

    /// The same, with more options.
    async fn apply_with(
        &self,
        more: &[&str],
        documents: &[&str],
        faults: Vec<Mischief>,
        meanwhile: impl AsyncFnOnce(),
    ) -> Run {
        self.sandbox.write("set.yaml", &documents.join("---\n"));
        let hostile = Hostile::in_front_of(&self.platform).pausing(1, Moment::Before);
        let proxy = faults.into_iter().fold(hostile, Hostile::with).start().await;
        let project = self.platform.project.as_str();
        let words =
            ["apply", "-f", "set.yaml", "--yes", "--allow-deletes", "9", "--project-id", project];
        let words = [&words[..], more].concat();
        let applied = run(&self.sandbox, &self.platform, &proxy, &words);
        let happens = async {
            proxy.paused().await;
            meanwhile().await;
            proxy.resume(&self.platform.url);
        };
        tokio::join!(applied, happens).0
    }

    async fn services(&self) -> Vec<Value> {
        let mut listed = self.platform.read("/rooms/lobby/services").await.expect(200).json();
        match listed["services"].take() {
            Value::Array(services) => services,
            other => panic!("{other}"),
        }
    }

    /// Changes the one service by hand.
    async fn deploy(&self, change: impl FnOnce(&mut Value)) {
        let mut service = self.services().await.remove(0);
        let path = format!("/rooms/lobby/services/{}", service["id"].as_str().expect("an id"));
        change(&mut service);
        self.platform.send("PUT", &path, service).await.expect(200);
    }

    async fn rename(&self, name: &str, new: &str) {
        let mut room = self.platform.read(&format!("/rooms/{name}")).await.expect(200).json();
        let path = format!("/rooms/{}", room["id"].as_str().expect("an id"));
        room["name"] = json!(new);
        self.platform.send("PUT", &path, room).await.expect(200);
    }

    async fn has_room(&self, name: &str) -> bool {
        self.platform.read(&format!("/rooms/{name}")).await.status == 200
    }
}

fn service(container: &str, lifecycle: &str) -> String {
    format!(
        "version: v1\nkind: Service\nmetadata: {{name: s}}\nroom: lobby\ncontainer: {{{container}}}\n{lifecycle}"
    )
}

/// The list of services tells no revisions.
#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_changed_is_not_written_over() {
    let ignored = "lifecycle: {ignore: [container.image]}\n";
    let before = service("image: \"x:1\", command: run 0", ignored);
    let after = service("image: \"x:1\", command: run 1", ignored);
    let meanwhile = Meanwhile::applied(&[ROOM, &before]).await;
    let deploy = async || {
        meanwhile.deploy(|service| service["container"]["image"] = json!("x:deployed")).await;
    };
    let run = meanwhile.apply(&[ROOM, &after], vec![], deploy).await;
    assert_eq!(run.code, 5, "{}{}", run.stdout, run.stderr);
    let told = "Service/s@lobby changed in container.image since it was read";
    assert!(run.stderr.contains(told), "{}", run.stderr);
    assert_eq!(meanwhile.services().await[0]["container"]["image"], "x:deployed");
    // Once more, and both are there.
    let run = meanwhile.apply(&[ROOM, &after], vec![], async || {}).await;
    assert_eq!(run.code, 0, "{}{}", run.stdout, run.stderr);
    let container = meanwhile.services().await[0]["container"].clone();
    assert_eq!(
        (&container["image"], &container["command"]),
        (&json!("x:deployed"), &json!("run 1"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_went_is_no_update_that_was_done() {
    let meanwhile = Meanwhile::applied(&[ROOM, &service("image: x", "")]).await;
    let delete = async || {
        let service = meanwhile.services().await.remove(0);
        let path = format!("/rooms/lobby/services/{}", service["id"].as_str().expect("an id"));
        meanwhile.platform.own("DELETE", &path).send().await.expect(204);
    };
    let run = meanwhile.apply(&[ROOM, &service("image: y", "")], vec![], delete).await;
    assert_eq!(run.code, 5, "{}{}", run.stdout, run.stderr);
    assert!(
        run.stderr.contains("Service/s@lobby existed when it was read, but no longer exists"),
        "{}",
        run.stderr
    );
}

/// What this run would not write shows nothing of that, so the inventory is looked at.
#[tokio::test(flavor = "multi_thread")]
async fn an_apply_of_somebody_else_that_ended_meanwhile_is_not_written_over() {
    let task = |queue: &str| {
        format!(
            "version: v1\nkind: ScheduledTask\nmetadata: {{name: t}}\nroom: lobby\nqueue: {queue}\nschedule: '@daily'\n"
        )
    };
    let service = |image: &str| service(&format!("image: {image}"), "");
    let before = [ROOM.to_owned(), task("a"), service("a")].join("---\n");
    let meanwhile = Meanwhile::applied(&[&before]).await;
    // The other one changes nothing that this run changes.
    let theirs = [ROOM.to_owned(), task("b"), service("a")].join("---\n");
    let ours = [ROOM.to_owned(), task("a"), service("b")].join("---\n");
    let others = Sandbox::new();
    others.write("set.yaml", &theirs);
    let apply = async || {
        let quiet = Hostile::in_front_of(&meanwhile.platform).start().await;
        let words =
            ["apply", "-f", "set.yaml", "--yes", "--project-id", &meanwhile.platform.project];
        let run = run(&others, &meanwhile.platform, &quiet, &words).await;
        assert_eq!(run.code, 0, "{}{}", run.stdout, run.stderr);
    };
    let run = meanwhile.apply(&[&ours], vec![], apply).await;
    assert_eq!(run.code, 5, "{}{}", run.stdout, run.stderr);
    assert!(run.stderr.contains("somebody else applied the set `default`"), "{}", run.stderr);
    assert!(!run.stdout.contains("done:"), "{}", run.stdout);
    assert_eq!(meanwhile.services().await[0]["container"]["image"], "a");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_signal_ends_it_at_once_and_says_what_is_left() {
    let meanwhile = Meanwhile::applied(&[ROOM]).await;
    meanwhile.sandbox.write("set.yaml", &[ROOM, &ROOM.replace("lobby", "den")].join("---\n"));
    // The lease, the claim, the room.
    let proxy = Hostile::in_front_of(&meanwhile.platform).pausing(3, Moment::Before).start().await;
    let project = meanwhile.platform.project.as_str();
    let words = ["apply", "-f", "set.yaml", "--yes", "--project-id", project];
    let mut command = meanwhile.sandbox.command(&words);
    command.args(["--api-url", &proxy.url]).env("MESHAGENT_API_KEY", &meanwhile.platform.owner);
    command.stderr(std::process::Stdio::piped()).stdout(std::process::Stdio::null());
    let child = command.spawn().expect("a run");
    let id = child.id().to_string();
    proxy.paused().await;
    let signal = || {
        let sent = std::process::Command::new("kill").args(["-INT", &id]).status();
        assert!(sent.expect("kill").success());
    };
    signal();
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    signal();
    let ended = tokio::task::spawn_blocking(move || child.wait_with_output());
    let run = Run::of(ended.await.expect("no panic").expect("a run"));
    assert_eq!(run.code, 130, "{}", run.stderr);
    assert!(run.stderr.contains("stopped at once: it is unknown whether"), "{}", run.stderr);
    proxy.resume(&meanwhile.platform.url);
}

fn without_revisions(body: &mut Value) {
    let items =
        body.as_object_mut().and_then(|body| body.values_mut().find_map(Value::as_array_mut));
    for item in items.into_iter().flatten().filter_map(Value::as_object_mut) {
        item.shift_remove("etag");
    }
}

/// A room is looked up by its name; under its former one it is not found.
#[tokio::test(flavor = "multi_thread")]
async fn a_room_that_was_renamed_is_not_taken_for_deleted() {
    let other = ROOM.replace("lobby", "other");
    for faults in [vec![], vec![Fault::Edited(without_revisions).at("/rooms")]] {
        let meanwhile = Meanwhile::applied(&[ROOM, &other]).await;
        let rename = async || meanwhile.rename("lobby", "entrance").await;
        let run = meanwhile.apply(&[&other], faults, rename).await;
        assert_eq!(run.code, 5, "{}{}", run.stdout, run.stderr);
        assert!(
            run.stderr.contains("Room/lobby was renamed to `entrance` since it was read"),
            "{}",
            run.stderr
        );
        assert!(meanwhile.has_room("entrance").await);
        // The set still knows it.
        let run = meanwhile.apply(&[&other], vec![], async || {}).await;
        assert_eq!(run.code, 0, "{}{}", run.stdout, run.stderr);
        assert!(!meanwhile.has_room("entrance").await, "{}", run.stdout);
    }
}

/// Nothing but a look that finds nothing shows that something is gone.
#[tokio::test(flavor = "multi_thread")]
async fn a_delete_that_is_answered_with_nothing_to_delete_is_looked_after() {
    let other = ROOM.replace("lobby", "other");
    let lost = || Fault::Status(502).on("DELETE").times(1);
    let gone = || Fault::Status(404).on("DELETE");
    let unread = || Fault::Status(500).at("/rooms/lobby").on("GET");
    for faults in [vec![gone(), unread()], vec![lost(), gone()], vec![lost(), gone(), unread()]] {
        let meanwhile = Meanwhile::applied(&[ROOM, &other]).await;
        let run = meanwhile.apply(&[&other], faults, async || {}).await;
        assert_eq!(run.code, 1, "{}{}", run.stdout, run.stderr);
        assert!(!run.stdout.contains("done: delete"), "{}", run.stdout);
        assert!(meanwhile.has_room("lobby").await);
        let run = meanwhile.apply(&[&other], vec![], async || {}).await;
        assert_eq!(run.code, 0, "{}{}", run.stdout, run.stderr);
        assert!(!meanwhile.has_room("lobby").await, "{}", run.stdout);
    }
}

/// What cannot say itself whose it is, is taken over by one set alone, also where nothing is
/// written to it.
#[tokio::test]
async fn two_sets_do_not_take_over_the_same_object() {
    let webhook = "version: v1\nkind: Webhook\nmetadata: {name: w}\nurl: https://example.com/\nevents: [room.started]\n";
    let meanwhile = Meanwhile::applied(&[ROOM]).await;
    let body = json!({"name": "w", "url": "https://example.com/", "events": ["room.started"]});
    meanwhile.platform.send("POST", "/webhooks", body).await.expect(201);
    let own = ["--set", "one", "--adopt"];
    let first = meanwhile
        .apply_with(&own, &[webhook], vec![], async || {
            let other = ["--set", "other", "--adopt"];
            let second = meanwhile.apply_with(&other, &[webhook], vec![], async || {}).await;
            assert_eq!(second.code, 0, "{}{}", second.stdout, second.stderr);
        })
        .await;
    assert_eq!(first.code, 5, "{}{}", first.stdout, first.stderr);
    let told = "adopt Webhook/w: the set `other` owns it now";
    assert!(first.stderr.contains(told) || first.stdout.contains(told), "{}", first.stderr);
    let words = ["destroy", "--set", "one", "--yes"];
    let destroyed = run_alone(&meanwhile, &words).await;
    assert_eq!(destroyed.code, 0, "{}{}", destroyed.stdout, destroyed.stderr);
    let left = meanwhile.platform.read("/webhooks").await.expect(200).json();
    assert_eq!(left["webhooks"].as_array().map(Vec::len), Some(1), "{left}");
}

async fn run_alone(meanwhile: &Meanwhile, words: &[&str]) -> Run {
    let proxy = Hostile::in_front_of(&meanwhile.platform).start().await;
    let project = meanwhile.platform.project.as_str();
    let words = [words, &["--project-id", project]].concat();
    run(&meanwhile.sandbox, &meanwhile.platform, &proxy, &words).await
}
