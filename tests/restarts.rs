//! Services that take variables from a secret are started again when it changes, in the rooms that
//! run.

use meshagent::room::client::{Incoming, Room};
use serde_json::{Value, json};

use crate::cli::Run;
use crate::helper::room::{Manner, Rooms};
use crate::in_rooms::Place;

/// A secret with this value, and what takes it: a service in each of two rooms, and one in all.
fn manifests(value: &str, room: &str) -> String {
    format!(
        "version: v1\nkind: Secret\nmetadata: {{name: keys}}\ntype: keys\ndata: {{TOKEN: {value}}}\n---\n\
         version: v1\nkind: Room\nmetadata: {{name: {room}}}\n---\n\
         version: v1\nkind: Room\nmetadata: {{name: idle}}\n---\n\
         version: v1\nkind: Service\nmetadata: {{name: bot}}\nroom: {room}\n\
         container: {{image: x, secrets: [keys]}}\n---\n\
         version: v1\nkind: Service\nmetadata: {{name: rest}}\nroom: idle\n\
         container: {{image: x, secrets: [keys]}}\n---\n\
         version: v1\nkind: Service\nmetadata: {{name: all}}\n\
         container: {{image: x, secrets: [keys]}}\n"
    )
}

/// A platform on which that was applied. Its secret is about to change, and one of its rooms runs.
struct Applied {
    place: Place,
    _inside: (Room, Incoming),
}

impl Applied {
    async fn with_room(name: &str) -> Self {
        let place = Place::with(&[]);
        place.sandbox.write("m.yaml", &manifests("first", name));
        let applied = place.run(&["apply", "-f", "m.yaml", "--yes"]);
        assert_eq!(applied.code, 0, "{}", applied.stderr);
        assert!(!applied.stderr.contains("restart"), "{}", applied.stderr);
        place.sandbox.write("m.yaml", &manifests("second", name));
        let reached = &place.process.reached;
        let asked = reached.own("POST", &format!("/rooms/{name}/connect")).body("{}");
        let answer: Value = asked.send().await.unwrap().json().await.unwrap();
        let url = format!("ws://{}/rooms/{name}", reached.address());
        let token = answer["jwt"].as_str().unwrap().to_owned();
        let inside = Room::enter(&url, &token.into(), false).await.unwrap();
        Self { place, _inside: inside }
    }

    /// Applies; the rooms are somewhere else, if that is given.
    fn apply(&self, more: &[&str], rooms: Option<&str>) -> Run {
        let words = [&["apply", "-f", "m.yaml", "--yes"], more].concat();
        let mut command = self.place.command(&words);
        command.envs(rooms.map(|url| ("MESHAGENT_ROOM_URL", url)));
        Run::of(command.output().unwrap())
    }
}

/// Where rooms of a manner are, without what is said of a single one.
fn base(rooms: &Rooms) -> String {
    rooms.url(Manner::Good).split("/rooms/").next().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn services_are_started_again_in_the_rooms_that_run_once_their_secret_was_written() {
    let mut rooms = Rooms::open().await;
    let applied = Applied::with_room("good").await;
    let plan = applied.place.run(&["plan", "-f", "m.yaml"]).stdout;
    for name in ["bot@good", "rest@idle", "all"] {
        let told = format!("\n    ↻ restarts Service/{name}, where it runs\n");
        assert!(plan.contains(&told), "{plan}");
    }
    let done = applied.apply(&[], Some(&base(&rooms)));
    assert_eq!(done.code, 0, "{}", done.stderr);
    let mut told: Vec<&str> = done.stderr.lines().collect();
    told.sort_unstable();
    assert_eq!(
        told,
        [
            "done: restart Service/all in room good",
            "done: restart Service/bot@good",
            "done: update Secret/keys",
            "not needed: restart Service/rest@idle: its room does not run",
        ]
    );
    let mut session = rooms.entered().await;
    let services = applied.place.run(&["service", "list", "-o", "json"]).stdout;
    for _ in 0..2 {
        let asked = session.until(|message| message.kind == "room.invoke_tool").await;
        let header = &asked.last().unwrap().header;
        assert_eq!((&header["toolkit"], &header["tool"]), (&json!("services"), &json!("restart")));
        let id = header["arguments"]["json"]["service_id"].as_str().unwrap();
        assert!(id.len() > 10 && header["arguments"]["type"] == "json", "{header} {services}");
    }
    // It is as declared now.
    let again = applied.apply(&[], Some(&base(&rooms)));
    assert!(!again.stderr.contains("restart"), "{}", again.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_not_started_again_is_told_and_has_the_code_of_what_is_partly_done() {
    let rooms = Rooms::open().await;
    let applied = Applied::with_room("denies").await;
    applied.place.sandbox.write("m.yaml", &manifests("second", "denies"));
    let saved = applied.place.run(&["plan", "-f", "m.yaml", "--out", "plan.json", "-o", "json"]);
    let restarts = &saved.json()["operations"][0]["restarts"];
    assert_eq!(restarts.as_array().unwrap().len(), 3, "{restarts}");
    let mut command = applied.place.command(&[
        "apply",
        "plan.json",
        "-o",
        "json",
        "--wait",
        "--report",
        "report.json",
    ]);
    command.env("MESHAGENT_ROOM_URL", base(&rooms));
    let failed = Run::of(command.output().unwrap());
    assert_eq!(failed.code, 4, "{}", failed.stderr);
    let told = "everything was written, but 2 services were not started again and may have the old values of secrets: failed: restart Service/";
    assert!(failed.stderr.contains(told), "{}", failed.stderr);
    let events = failed.events();
    let restarted: Vec<&Value> = events.iter().filter(|it| it["event"] == "restarted").collect();
    let count = |word: &str| restarted.iter().filter(|it| it["restart"] == word).count();
    assert_eq!((count("failed"), count("not_running")), (2, 1), "{restarted:?}");
    assert!(restarted.iter().all(|it| it["message"].is_string()), "{restarted:?}");
    let summary = events.last().unwrap();
    assert_eq!((&summary["complete"], &summary["restarts_failed"]), (&json!(true), &json!(2)));
    // What has old values is not waited for.
    assert!(summary.get("healthy").is_none(), "{summary}");
    let shown = applied.place.sandbox.run(&["show", "report.json"]).stdout;
    assert!(shown.contains("\nfailed: restart Service/bot@denies: no\\nway\n"), "{shown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_platform_does_not_run_need_not_be_started_again() {
    let applied = Applied::with_room("lobby").await;
    let done = applied.apply(&[], None);
    assert_eq!(done.code, 0, "{}", done.stderr);
    let told = "not needed: restart Service/bot@lobby: it does not run there: no containers run here: there is no engine for containers: looked at /nonexistent/engine.sock";
    assert!(done.stderr.contains(told), "{}", done.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_out_of_scope_is_not_started_again_and_that_is_noted() {
    let applied = Applied::with_room("lobby").await;
    let plan = applied.place.run(&["plan", "-f", "m.yaml", "--target", "Secret/keys"]);
    assert!(!plan.stdout.contains("restart"), "{}", plan.stdout);
    let told = "note: Service/all takes variables from Secret/keys and is out of scope, so it is not started again\n";
    assert!(plan.stderr.contains(told), "{}", plan.stderr);
}
