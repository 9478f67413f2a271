//! A client of one API on a platform of the other, as it was recorded with the public clients: it is
//! stopped before its first write, with a line that says why. The API was named wrongly, because
//! what stands before the platform hides what it says of itself.

use meshagent::api::spoken::Spoken;
use serde_json::{Value, json};

use super::stand_in::StandIn;

fn document(kind: &str, name: &str, more: &str) -> String {
    format!("version: v1\nkind: {kind}\nmetadata: {{name: {name}}}\n{more}---\n")
}

fn room(name: &str) -> Value {
    json!({"id": format!("id-{name}"), "name": name, "metadata": {}, "annotations": {}})
}

fn mailbox(name: &str) -> Value {
    json!({"address": name, "room": "lobby", "queue": "q", "public": false, "annotations": {}})
}

/// What is in the lists, what is declared, and what is told.
struct Case {
    lists: Vec<(&'static str, Vec<Value>)>,
    declared: String,
    told: &'static str,
}

/// What a platform of 0.56 has in its lists, as one that was recorded.
fn new_service() -> Value {
    json!({
        "id": "s", "version": "v1", "kind": "Service", "enabled": true,
        "metadata": {"name": "bot"}, "ports": [],
        "container": {"image": "x", "template": "none", "run_as": null, "private": true},
    })
}

fn new_task() -> Value {
    json!({
        "id": "t", "project_id": "p", "room_id": "r", "room_name": "lobby", "queue_name": "q",
        "payload": {}, "schedule": "0 7 * * *", "active": true, "once": false, "annotations": {},
        "spec": {"metadata": {"name": "daily"}, "schedule": "0 7 * * *", "queue": {"name": "q"}},
    })
}

fn new_route() -> Value {
    let path = json!({"path": "/", "pathType": "prefix", "targetPort": "80"});
    let spec = json!({
        "version": "v1", "kind": "Route", "metadata": {"name": "a.example"}, "domain": "a.example",
        "backend": {"room": {"name": "lobby"}, "agent": null}, "paths": [path],
    });
    json!({"domain": "a.example", "spec": spec})
}

#[test]
fn a_client_of_0_31_writes_nothing_on_a_platform_of_0_56() {
    let rooms = |count: usize| (0..count).map(|it| room(&format!("room-{it}"))).collect();
    let mailboxes: Vec<Value> = (0..5).map(|it| mailbox(&format!("{it}@mail.localhost"))).collect();
    let cases = [
        Case {
            lists: vec![("rooms", rooms(5))],
            declared: document("Room", "room-4", ""),
            told: "/rooms returned only the first page of its list: this platform does not speak the API of 0.31",
        },
        Case {
            lists: vec![("mailboxes", mailboxes)],
            declared: document("Mailbox", "4@mail.localhost", "room: lobby\n"),
            told: "/mailboxes returned only the first page of its list: this platform does not",
        },
        Case {
            lists: vec![("routes", vec![new_route()])],
            declared: document("Route", "b.example", "room: lobby\nport: 80\n"),
            told: "/routes returned routes in another form (with `spec`)",
        },
        Case {
            lists: vec![("services", vec![new_service()])],
            declared: document("Service", "bot", "container: {image: y}\n"),
            told: "/services returned services in another form (with `enabled`)",
        },
        Case {
            lists: vec![("scheduled-tasks", vec![new_task()])],
            declared: document(
                "ScheduledTask",
                "weekly",
                "room: lobby\nqueue: q\nschedule: 0 7 * * 1\n",
            ),
            told: "/scheduled-tasks returned tasks in another form (with `spec`)",
        },
        // What is not there any more is not an empty list.
        Case {
            lists: vec![],
            declared: document("Secret", "k", "type: keys\ndata: {A: b}\n"),
            told: "/secrets was answered with 404",
        },
        Case {
            lists: vec![],
            declared: document("Webhook", "w", "url: https://a.example\nevents: [room.started]\n"),
            told: "/webhooks was answered with 404",
        },
    ];
    for Case { lists, declared, told } in cases {
        let platform = StandIn::of(Spoken::V0_56);
        platform.cap(2);
        // A room that others refer to.
        platform.put("rooms", [room("lobby")]);
        lists.into_iter().for_each(|(list, items)| platform.put(list, items));
        platform.sandbox.write("set.yaml", &declared);
        platform.says(None);
        let apply = ["apply", "-f", "set.yaml", "--yes"];
        // Found: nothing is known of it, so nothing is done.
        let run = platform.ends(6, &apply);
        assert!(run.stderr.contains("it is not known which API"), "{}", run.stderr);
        let run = platform.run(&[&apply[..], &["--dialect", "0.31"]].concat());
        assert!(matches!(run.code, 1 | 6), "{told}: {}{}", run.stdout, run.stderr);
        let lines: Vec<&str> =
            run.stderr.lines().filter(|line| line.starts_with("error: ")).collect();
        assert!(lines.len() == 1 && lines[0].contains(told), "{told}: {}", run.stderr);
        assert_eq!(platform.take_writes(), Vec::<String>::new(), "{told}");
    }
}

#[test]
fn a_client_of_0_56_writes_nothing_on_a_platform_of_0_31() {
    let old_service = json!({
        "id": "s", "version": "v1", "kind": "Service", "metadata": {"name": "bot"}, "ports": [],
        "container": {"image": "x", "secrets": null, "api_key": null, "private": true},
    });
    let old_route =
        json!({"domain": "a.example", "room_name": "lobby", "port": "80", "annotations": {}});
    let old_task = json!({
        "id": "t", "room_id": "r", "room_name": "lobby", "queue_name": "q", "payload": {},
        "schedule": "0 7 * * *", "active": true, "once": false, "annotations": {},
    });
    let cases = [
        // The page that the platform usually sends, and nothing tells that there are more.
        Case {
            lists: vec![("rooms", (0..60).map(|it| room(&format!("room-{it}"))).collect())],
            declared: document("Room", "room-57", ""),
            told: "Room/room-57",
        },
        Case {
            lists: vec![("routes", vec![old_route])],
            declared: document("Route", "b.example", "room: lobby\nport: 80\n"),
            told: "/routes returned routes in another form (without `spec`): this platform does not speak the API of 0.56",
        },
        Case {
            lists: vec![("services", vec![old_service])],
            declared: document("Service", "bot", "container: {image: y}\n"),
            told: "/services returned services in another form (with `container.secrets`)",
        },
        Case {
            lists: vec![("scheduled-tasks", vec![old_task])],
            declared: document(
                "ScheduledTask",
                "weekly",
                "room: lobby\nqueue: q\nschedule: 0 7 * * 1\n",
            ),
            told: "/scheduled-tasks returned tasks in another form (without `spec`)",
        },
    ];
    for Case { lists, declared, told } in cases {
        let platform = StandIn::of(Spoken::V0_31);
        platform.put("rooms", [room("lobby")]);
        lists.into_iter().for_each(|(list, items)| platform.put(list, items));
        platform.sandbox.write("set.yaml", &declared);
        let apply = ["apply", "-f", "set.yaml", "--yes", "--dialect", "0.56"];
        // Found: the platform shows that it is an older one.
        let run = platform.ends(6, &apply);
        let why =
            "--dialect names the API of 0.56, and the platform says that it speaks that of 0.31";
        assert!(run.stderr.contains(why), "{}", run.stderr);
        // Something before the platform answers in its place.
        platform.says(Some(json!({"hello": "world"})));
        let run = platform.ends(6, &apply);
        let lines: Vec<&str> =
            run.stderr.lines().filter(|line| line.starts_with("error: ")).collect();
        assert!(lines.len() == 1 && lines[0].contains(told), "{told}: {}", run.stderr);
        assert_eq!(platform.take_writes(), Vec::<String>::new(), "{told}");
    }
}
