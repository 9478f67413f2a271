//! Every route once, as the public SDK 0.31.4 uses it, and what that SDK needs of the answer.

use std::collections::BTreeSet;

use meshagent::dialect::Seen;
use meshagent::kinds::KindName;
use meshagent::platform::{Access, Platform};
use serde_json::{Value, json};

use super::harness::{Reply, Server, parts, service};
use crate::plain::{self, Form};
use crate::reconciler::spelling;

/// Remembers which routes were walked.
struct Walk {
    server: Server,
    walked: BTreeSet<String>,
}

impl Walk {
    /// Asks below the first project: the route's path, then what to put into its parameters.
    async fn go(&mut self, method: &str, route: &str, values: &[&str], body: Value) -> Reply {
        let (path, query) = route.split_once('?').unwrap_or((route, ""));
        self.walked.insert(format!("{method} {path}"));
        let mut values = values.iter();
        let segments = path.split('/').map(|segment| match segment {
            "{project}" => self.server.project.clone(),
            segment if segment.starts_with('{') => (*values.next().expect("a value")).to_owned(),
            segment => segment.to_owned(),
        });
        let url = format!("{}?{query}", segments.collect::<Vec<_>>().join("/"));
        let ask = self.server.ask(method, &url).bearer(&self.server.owner);
        let ask = if body.is_null() { ask } else { ask.json(&body) };
        let reply = ask.send().await;
        assert!(reply.status < 300, "{method} {url}: {reply:?}");
        reply
    }

    async fn get(&mut self, route: &str, values: &[&str]) -> Value {
        self.go("GET", route, values, Value::Null).await.json()
    }
}

fn id(reply: &Reply) -> String {
    reply.json()["id"].as_str().expect("an id").to_owned()
}

/// The keys of an object, in order.
fn keys(value: &Value) -> Vec<&str> {
    value.as_object().expect("an object").keys().map(String::as_str).collect()
}

#[tokio::test]
async fn every_route_answers_as_the_sdk_reads_it() {
    let mut walk = Walk { server: Server::start().await, walked: BTreeSet::new() };
    projects(&mut walk).await;
    people(&mut walk).await;
    rooms(&mut walk).await;
    grants(&mut walk).await;
    services(&mut walk).await;
    secrets_and_webhooks(&mut walk).await;
    addresses(&mut walk).await;
    tasks(&mut walk).await;
    sessions(&mut walk).await;
    storage(&mut walk).await;
    plain_kinds(&mut walk).await;
    // The SDK does not sign in, and enters rooms over websockets, which `rooms` does. Tunnels lead to
    // containers.
    let mut routes = Platform::routes();
    let is_walked = |access| !matches!(access, Access::Open | Access::Participant | Access::Tunnel);
    routes.retain(|route| is_walked(route.access));
    let all: BTreeSet<String> =
        routes.iter().map(|route| format!("{} {}", route.method, route.path)).collect();
    assert_eq!(all.len(), routes.len(), "a route is there twice");
    assert_eq!(walk.walked, all, "routes without a walk, or walks without a route");
}

/// What is asked of the list and the objects of every plain kind, in its own spelling.
async fn plain_kinds(walk: &mut Walk) {
    for kind in plain::all() {
        let (spelling, project) = (spelling(kind), walk.server.project.clone());
        let base = format!("{PROJECT}/{}", spelling.collection().noun);
        let of_room = format!("{PROJECT}/rooms/{{room}}/{}", spelling.collection().noun);
        let routes: Vec<_> = Platform::routes();
        let one = routes.iter().find(|route| route.path.starts_with(&format!("{base}/")));
        let one = one.unwrap_or_else(|| panic!("{kind}: no route below {base}")).path;
        let has = |path: &str| {
            routes.iter().any(|route| route.method.as_str() == "GET" && route.path == path)
        };
        let of = |form| plain::declared(kind, &plain::document(kind, "walked", "demo", form));
        let first = of(Form::First);
        let body = spelling.new_body(&plain::target(&project, &first, None));
        let made = walk.go("POST", &base, &[], body).await.json();
        let id = spelling.created_id(&made);
        let second = of(Form::Second);
        let target = plain::target(&project, &second, id.as_deref());
        let name = spelling.segment(&target).expect("a name in paths");
        for (declared, is_changed) in [(&first, false), (&second, true)] {
            if is_changed {
                walk.go("PUT", one, &[name], spelling.body(&target)).await;
            }
            let (item, seen) = listed(walk, kind, (&base, &[]), &declared.name).await;
            assert!(item["etag"].is_string(), "{kind}: {item}");
            assert_eq!(seen.id, id, "{kind}: {item}");
            assert_eq!(seen.fields.redacted(), declared.fields.redacted(), "{kind}: {item}");
        }
        if has(one) {
            walk.get(one, &[name]).await;
        }
        if has(&of_room) {
            listed(walk, kind, (&of_room, &["demo"]), &second.name).await;
        }
        walk.go("DELETE", one, &[name], Value::Null).await;
        let list = walk.get(&base, &[]).await;
        assert_eq!(list[spelling.collection().envelope], json!([]), "{kind}: {list}");
    }
}

/// An object in a list of the platform, and what it is read as.
async fn listed(
    walk: &mut Walk,
    kind: KindName,
    (route, values): (&str, &[&str]),
    name: &str,
) -> (Value, Seen) {
    let list = walk.get(route, values).await;
    let items = list[spelling(kind).collection().envelope].as_array().expect("a list").clone();
    let read = |item: Value| {
        let seen = spelling(kind).seen(&item).unwrap_or_else(|why| panic!("{kind}: {why}: {item}"));
        (item, seen)
    };
    let found = items.into_iter().map(read).find(|(_, seen)| seen.name == name);
    found.unwrap_or_else(|| panic!("{kind}: {name} is not in {list}"))
}

const PROJECT: &str = "/accounts/projects/{project}";

async fn projects(walk: &mut Walk) {
    let config = walk.server.ask("GET", "/config").send().await.expect(200).json();
    assert_eq!(config["embedded"], true);
    let body = json!({"name": "My Proj", "settings": null});
    let made = walk.go("POST", "/accounts/projects", &[], body).await.json();
    assert_eq!(keys(&made), ["id", "name", "owner_user_id"]);
    assert_eq!(walk.get("/accounts/projects", &[]).await["projects"][1], made);
    let settings = json!({"otel": {"endpoint": "http://x"}});
    walk.go("PUT", &format!("{PROJECT}/settings"), &[], settings.clone()).await;
    assert_eq!(walk.get(PROJECT, &[]).await["settings"], settings);
    assert_eq!(walk.get(&format!("{PROJECT}/role"), &[]).await, json!({"role": "admin"}));
    assert_eq!(walk.get(&format!("{PROJECT}/status"), &[]).await, json!({"enabled": true}));

    let base = format!("{PROJECT}/api-keys");
    let body = json!({"name": "k1", "description": "desc"});
    let made = walk.go("POST", &base, &[], body).await.json();
    let (key, project, _) = parts(made["value"].as_str().expect("a key"));
    assert_eq!((made["id"].as_str(), project.as_str()), (Some(&*key), &*walk.server.project));
    let list = walk.get(&base, &[]).await;
    let names: Vec<_> =
        list["keys"].as_array().expect("keys").iter().map(|key| &key["name"]).collect();
    assert_eq!(names, ["owner", "k1"]);
    assert!(!list.to_string().contains("value"));
    walk.go("DELETE", &format!("{base}/{{key}}"), &[&key], Value::Null).await;
}

async fn people(walk: &mut Walk) {
    let base = format!("{PROJECT}/users");
    let body = json!({
        "project_id": walk.server.project, "user_id": "ada@example.com",
        "is_admin": false, "is_developer": true, "can_create_rooms": false,
    });
    let ok = json!({ "ok": true });
    assert_eq!(walk.go("POST", &base, &[], body).await.json(), ok);
    let flags = json!({"is_admin": false, "is_developer": false, "can_create_rooms": true});
    let one = format!("{base}/{{user}}");
    assert_eq!(walk.go("PUT", &one, &["ada@example.com"], flags).await.json(), ok);
    let ada = walk.get(&base, &[]).await["users"][1].clone();
    assert_eq!(
        (&ada["email"], &ada["can_create_rooms"]),
        (&json!("ada@example.com"), &json!(true))
    );
    let profile = "/accounts/profiles/{user}";
    let name = json!({"first_name": "Grace", "last_name": "Hopper"});
    walk.go("PUT", profile, &["me"], name).await;
    let me = walk.get(profile, &["me"]).await;
    assert_eq!(keys(&me), ["id", "first_name", "last_name", "email"]);
    assert_eq!(me["first_name"], "Grace");
    walk.go("DELETE", &one, &["ada@example.com"], Value::Null).await;
}

async fn rooms(walk: &mut Walk) {
    let base = format!("{PROJECT}/rooms");
    let body = json!({
        "name": "demo", "if_not_exists": false, "metadata": null, "annotations": null,
        "permissions": { "me": { "queues": {} } },
    });
    let made = walk.go("POST", &base, &[], body).await;
    let demo = made.json();
    assert_eq!((&demo["metadata"], &demo["annotations"]), (&json!({}), &json!({})));
    let again = json!({"name": "demo", "if_not_exists": true});
    assert_eq!(walk.go("POST", &base, &[], again).await.json(), demo);
    let one = format!("{base}/{{room}}");
    assert_eq!(walk.get(&one, &["demo"]).await, demo);
    let change = json!({"name": "demo", "metadata": {"a": [1]}});
    walk.go("PUT", &one, &[&id(&made)], change).await;
    let list = walk.get(&format!("{base}?limit=50&offset=0&order_by=room_name"), &[]).await;
    assert_eq!(list["rooms"][0]["metadata"], json!({"a": [1]}));
    assert!(list["rooms"][0]["etag"].is_string());
    let connection = walk.go("POST", &format!("{one}/connect"), &["demo"], json!({})).await.json();
    assert_eq!(keys(&connection), ["jwt", "room_name", "project_id", "room_url"]);
    let url = format!("{}/rooms/demo", walk.server.url.replace("http", "ws"));
    assert_eq!(connection["room_url"], url);
    let other = walk.go("POST", &base, &[], json!({"name": "other"})).await;
    walk.go("DELETE", &one, &[&id(&other)], Value::Null).await;
}

async fn grants(walk: &mut Walk) {
    let base = format!("{PROJECT}/room-grants");
    let room = walk.server.read("/rooms/demo").await;
    let room = id(&room);
    let body = json!({
        "room_id": room, "user_id": null, "email": "bob@example.com",
        "permissions": {"queues": {"send": null, "receive": null, "list": true}, "admin": null},
    });
    walk.go("POST", &base, &[], body).await;
    let users = walk.get(&format!("{base}/by-user?limit=50&offset=0"), &[]).await;
    let bob = users["users"][0].clone();
    assert_eq!((&bob["email"], &bob["count"]), (&json!("bob@example.com"), &json!(1)));
    let bob = bob["user_id"].as_str().expect("an id").to_owned();
    let one = format!("{base}/{{room}}/{{user}}");
    let grant = walk.get(&one, &[&room, &bob]).await;
    assert_eq!(keys(&grant), ["room", "user_id", "permissions"]);
    assert_eq!(keys(&grant["permissions"]).len(), 14);
    let change = json!({"room_id": room, "user_id": bob, "permissions": {"admin": {}}});
    walk.go("PUT", &format!("{base}/{{grant}}"), &["unused"], change).await;
    for (route, values) in
        [("", vec![]), ("/by-user/{user}", vec![&*bob]), ("/by-room/{room}", vec!["demo"])]
    {
        let list = walk.get(&format!("{base}{route}"), &values).await;
        let grants = list["room_grants"].as_array().expect("grants");
        let bobs = grants.iter().find(|grant| grant["user_id"] == *bob).expect("Bob's");
        assert_eq!(bobs["permissions"]["admin"], json!({"config": true}));
    }
    let counts = walk.get(&format!("{base}/by-room"), &[]).await;
    assert_eq!(
        (&counts["rooms"][0]["count"], &counts["rooms"][0]["room"]["name"]),
        (&json!(2), &json!("demo"))
    );
    walk.go("DELETE", &one, &[&room, &bob], Value::Null).await;
}

async fn services(walk: &mut Walk) {
    let template = "version: v1\nkind: ServiceTemplate\nmetadata: {name: '{{ name }}'}\ncontainer: {image: busybox}\n";
    let rendered = json!({"template": template, "values": {"name": "rendered"}});
    let spec = walk.go("POST", "/templates/render", &[], rendered.clone()).await.json();
    assert_eq!(
        (&spec["kind"], &spec["metadata"]["name"]),
        (&json!("ServiceTemplate"), &json!("rendered"))
    );
    // The global scope answers with the whole service, a room's plain calls with less.
    for (base, values, in_room) in [
        (format!("{PROJECT}/services"), vec![], false),
        (format!("{PROJECT}/rooms/{{room}}/services"), vec!["demo"], true),
    ] {
        let made = walk.go("POST", &base, &values, service("a")).await;
        let service_id = id(&made);
        assert_eq!(keys(&made.json()).len(), if in_room { 1 } else { 8 });
        let from_template = walk.go("POST", &base, &values, rendered.clone()).await.json();
        assert_eq!(keys(&from_template).len(), 8);
        let annotations = keys(&from_template["metadata"]["annotations"]);
        assert_eq!(
            annotations,
            ["meshagent.service.template.values", "meshagent.service.template.yaml"]
        );
        let one = format!("{base}/{{service}}");
        let at = |id| [values.clone(), vec![id]].concat();
        let mut whole = walk.get(&one, &at(&*service_id)).await;
        let fields =
            ["version", "kind", "id", "metadata", "agents", "ports", "container", "external"];
        assert_eq!(keys(&whole), fields);
        assert_eq!(
            (&whole["ports"], &whole["container"]["environment"]),
            (&json!([]), &Value::Null)
        );
        assert_eq!(walk.get(&base, &values).await["services"], json!([whole, from_template]));
        whole["container"]["image"] = json!("other");
        let changed = walk.go("PUT", &one, &at(&*service_id), whole.clone()).await.json();
        assert_eq!(changed, if in_room { json!({}) } else { whole });
        let other = from_template["id"].as_str().expect("an id");
        let again = walk.go("PUT", &one, &at(other), rendered.clone()).await.json();
        assert_eq!(again, from_template);
        walk.go("DELETE", &one, &at(&*service_id), Value::Null).await;
    }
}

async fn secrets_and_webhooks(walk: &mut Walk) {
    let base = format!("{PROJECT}/secrets");
    let body = json!({"name": "s1", "type": "keys", "data": {"A": "canary-1", "B": "x=y"}});
    let made = walk.go("POST", &base, &[], body).await;
    let docker = json!({
        "name": "d", "type": "docker",
        "data": {"server": "s", "username": "u", "password": "canary-2", "email": "none@example.com"},
    });
    walk.go("POST", &base, &[], docker).await;
    let change = json!({"name": "s1", "type": "keys", "data": {"A": "canary-3"}});
    walk.go("PUT", &format!("{base}/{{secret}}"), &[&id(&made)], change).await;
    let list = walk.get(&base, &[]).await;
    assert_eq!(list["secrets"][0]["data"], json!({"A": "********"}));
    let masked = json!({"server": "s", "username": "u", "password": "********", "email": "none@example.com"});
    assert_eq!(list["secrets"][1]["data"], masked);
    assert!(!list.to_string().contains("canary"));
    walk.go("DELETE", &format!("{base}/{{secret}}"), &[&id(&made)], Value::Null).await;

    let base = format!("{PROJECT}/webhooks");
    let mut hook = json!({
        "name": "w", "description": "", "url": "http://x/y", "events": ["room.started"],
        "action": "", "payload": "",
    });
    let made = walk.go("POST", &base, &[], hook.clone()).await;
    hook["payload"] = json!({"a": 1});
    hook["action"] = Value::Null;
    walk.go("PUT", &format!("{base}/{{webhook}}"), &[&id(&made)], hook).await;
    let listed = walk.get(&base, &[]).await["webhooks"][0].clone();
    let fields = ["id", "name", "description", "url", "events", "action", "payload", "etag"];
    assert_eq!(keys(&listed), fields);
    assert_eq!((&listed["payload"], &listed["action"]), (&json!({"a": 1}), &Value::Null));
    let deliveries = walk.get(&format!("{base}/{{webhook}}/deliveries"), &[&id(&made)]).await;
    let left_out = json!({"count": 0, "last_at": null});
    assert_eq!(deliveries, json!({"deliveries": [], "waiting": 0, "left_out": left_out}));
    walk.go("DELETE", &format!("{base}/{{webhook}}"), &[&id(&made)], Value::Null).await;
}

async fn addresses(walk: &mut Walk) {
    let in_room = format!("{PROJECT}/rooms/{{room}}");
    let base = format!("{PROJECT}/mailboxes");
    let address = "b+c@mail.meshagent.com";
    let body = json!({"room": "demo", "queue": "q1", "address": address, "public": false, "annotations": null});
    walk.go("POST", &base, &[], body).await;
    let one = format!("{base}/{{address}}");
    let body = json!({"room": "demo", "queue": "q2", "public": true, "annotations": null});
    walk.go("PUT", &one, &[address], body).await;
    let mailbox = walk.get(&one, &[address]).await["mailbox"].clone();
    assert_eq!(keys(&mailbox), ["address", "room", "room_id", "queue", "public", "annotations"]);
    assert_eq!((&mailbox["queue"], &mailbox["annotations"]), (&json!("q2"), &json!({})));
    assert_eq!(walk.get(&base, &[]).await["mailboxes"][0]["address"], address);
    let list = walk.get(&format!("{in_room}/mailboxes"), &["demo"]).await;
    assert_eq!(list["mailboxes"][0]["room_id"], mailbox["room_id"]);
    walk.go("DELETE", &one, &[address], Value::Null).await;

    let base = format!("{PROJECT}/routes");
    let body = json!({"domain": "App.meshagent.app", "room_name": "demo", "port": "5002", "annotations": {}});
    walk.go("POST", &base, &[], body).await;
    let one = format!("{base}/{{domain}}");
    let body = json!({"room_name": "demo", "port": "99", "annotations": {"q": "r"}});
    walk.go("PUT", &one, &["app.meshagent.app"], body).await;
    let route = walk.get(&one, &["APP.meshagent.app"]).await["route"].clone();
    assert_eq!((&route["domain"], &route["port"]), (&json!("App.meshagent.app"), &json!("99")));
    assert_eq!(walk.get(&base, &[]).await["routes"][0]["port"], "99");
    let list = walk.get(&format!("{in_room}/routes"), &["demo"]).await;
    assert_eq!(list["routes"][0]["annotations"], json!({"q": "r"}));
    walk.go("DELETE", &one, &["app.meshagent.app"], Value::Null).await;
}

async fn tasks(walk: &mut Walk) {
    let base = format!("{PROJECT}/scheduled-tasks");
    let body = json!({
        "id": "t1", "room_name": "demo", "queue_name": "q", "payload": {"f": 1},
        "schedule": "0 * * * *", "active": false, "once": true, "annotations": {"e": "f"},
    });
    let made = walk.go("POST", &base, &[], body).await.json();
    assert_eq!(made, json!({"task_id": "t1"}));
    let one = format!("{base}/{{task}}");
    walk.go("PUT", &one, &["t1"], json!({"schedule": "5 * * * *", "active": true})).await;
    let query = "limit=3&offset=0&room_name=demo&task_id=t1&active=true";
    let task = walk.get(&format!("{base}?{query}"), &[]).await["tasks"][0].clone();
    assert_eq!((&task["schedule"], &task["payload"]), (&json!("5 * * * *"), &json!({"f": 1})));
    assert_eq!((&task["once"], &task["last_run_id"]), (&json!(true), &Value::Null));
    let none = walk.get(&format!("{base}?limit=200&offset=0&active=false"), &[]).await;
    assert_eq!(none, json!({"tasks": []}));
    walk.go("DELETE", &one, &["t1"], Value::Null).await;
}

/// No room has run, so there is no session to show; its routes answer 404 and nothing made up.
async fn sessions(walk: &mut Walk) {
    let base = format!("{PROJECT}/sessions");
    assert_eq!(walk.get(&base, &[]).await, json!({"sessions": []}));
    assert_eq!(walk.get(&format!("{base}/active"), &[]).await, json!({"sessions": []}));
    for (method, route) in [
        ("GET", "/{session}"),
        ("GET", "/{session}/events"),
        ("GET", "/{session}/spans"),
        ("GET", "/{session}/metrics"),
        ("POST", "/{session}/terminate"),
    ] {
        walk.walked.insert(format!("{method} {base}{route}"));
        let path = format!("/sessions{}", route.replace("{session}", "s1"));
        walk.server.own(method, &path).send().await.expect(404);
    }
}

async fn storage(walk: &mut Walk) {
    let body = json!({"any": "bytes"});
    let upload = "/projects/{project}/storage/upload?path=a+b/c.txt";
    let tag = walk.go("POST", upload, &[], body.clone()).await.header("etag");
    let download = "/projects/{project}/storage/download?path=a%20b/c.txt";
    let reply = walk.go("GET", download, &[], Value::Null).await;
    assert_eq!((reply.json(), reply.header("etag")), (body, tag));
    assert_eq!(reply.header("content-type"), "application/octet-stream");
    walk.go("DELETE", "/projects/{project}/storage?path=a+b/c.txt", &[], Value::Null).await;
}

#[tokio::test]
async fn sessions_that_were_recorded_are_shown() {
    let server = Server::start().await;
    let room = server.room("demo").await;
    let (other, other_key) = server.other_project("other").await;
    let store = server.store().await;
    for (id, ended) in [("old", Some("2026-01-01T00:00:01Z")), ("new", None)] {
        sqlx::query(
            "INSERT INTO sessions (id, project_id, room_id, room_name, created_at, ended_at, \
             participants, seq) VALUES ($1, $2, $3, 'demo', '2026-01-01T00:00:00Z', $4, \
             '{\"user\": 2}', (SELECT COUNT(*) FROM sessions))",
        )
        .bind(id)
        .bind(&server.project)
        .bind(&room)
        .bind(ended)
        .execute(&store)
        .await
        .expect("a session");
    }
    sqlx::query(
        "INSERT INTO session_records (session_id, kind, seq, document) \
         VALUES ('new', 'event', 1, '{\"type\": \"a\", \"data\": {}}'), ('new', 'span', 1, '{}')",
    )
    .execute(&store)
    .await
    .expect("records");
    store.close().await;

    let ids = |list: &Value| {
        let sessions = list["sessions"].as_array().expect("sessions").clone();
        sessions.iter().map(|one| one["id"].as_str().expect("an id").to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(ids(&server.read("/sessions").await.json()), ["new", "old"]);
    assert_eq!(ids(&server.read("/sessions/active").await.json()), ["new"]);
    let new = server.read("/sessions/new").await.expect(200).json();
    assert_eq!(
        new,
        json!({
            "id": "new", "room_id": room, "room_name": "demo",
            "created_at": "2026-01-01T00:00:00Z", "is_active": true, "participants": {"user": 2},
        })
    );
    let events = server.read("/sessions/new/events").await.expect(200).json();
    assert_eq!(events, json!({"events": [{"type": "a", "data": {}}]}));
    assert_eq!(server.read("/sessions/new/spans").await.json(), json!({"spans": [{}]}));
    assert_eq!(server.read("/sessions/new/metrics").await.json(), json!({"metrics": []}));

    for path in ["", "/events"] {
        let path = format!("/accounts/projects/{other}/sessions/new{path}");
        server.ask("GET", &path).bearer(&other_key).send().await.expect(404);
    }
    let path = format!("/accounts/projects/{other}/sessions/new/terminate");
    server.ask("POST", &path).bearer(&other_key).send().await.expect(404);
    server.own("POST", "/sessions/new/terminate").send().await.expect(204);
    assert_eq!(ids(&server.read("/sessions/active").await.json()), Vec::<String>::new());

    // A session outlives its room, and then says so with a null that is there.
    server.own("DELETE", &format!("/rooms/{room}")).send().await.expect(204);
    let old = server.read("/sessions/old").await.expect(200).json();
    assert_eq!((old.get("room_id"), &old["is_active"]), (Some(&Value::Null), &json!(false)));
}
