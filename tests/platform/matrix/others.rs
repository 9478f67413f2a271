//! What another project has, and every way to name it from one's own.

use meshagent::api::request::Body;
use meshagent::kinds::KindName;
use meshagent::platform::Platform;
use serde_json::{Value, json};

use super::{Row, rows};
use crate::plain::{self, Form};
use crate::platform::harness::{Reply, Server, service};
use crate::reconciler::spelling;

/// What another project has, by the parameter that names it in a path.
pub(super) struct Others {
    pub(super) project: String,
    ids: Vec<(String, String)>,
    room: String,
}

const MARK: &str = "canary";

impl Others {
    pub(super) async fn new(server: &Server) -> Self {
        let (project, _) = server.other_project("canary project").await;
        let mut others = Self { project, ids: Vec::new(), room: String::new() };
        others.room = others.make(server, "/rooms", json!({"name": "canary-room"})).await;
        let secret = json!({"name": "canary", "type": "keys", "data": {"canary": "canary"}});
        let key = json!({"name": "canary", "description": ""});
        for (parameter, path, body) in [
            ("{secret}", "/secrets", secret),
            ("{key}", "/api-keys", key),
            ("{service}", "/services", service("canary")),
        ] {
            let id = others.make(server, path, body).await;
            others.ids.push((parameter.to_owned(), id));
        }
        for kind in plain::all() {
            let name = others.make_plain(server, kind).await;
            others.ids.push((parameter_of(kind), name));
        }
        let user = json!({"user_id": "canary@example.com"});
        let grant =
            json!({"room_id": others.room, "user_id": "canary@example.com", "permissions": {}});
        for (path, body) in [("/users", user), ("/room-grants", grant)] {
            others.send(server, ("POST", path), &body).await.expect(201);
        }
        let session = uuid::Uuid::new_v4().to_string();
        let pool = server.store().await;
        sqlx::query(
            "INSERT INTO sessions (id, project_id, room_id, room_name, created_at, seq) \
             VALUES ($1, $2, $3, 'canary-room', '2026-01-01T00:00:00Z', 0)",
        )
        .bind(&session)
        .bind(&others.project)
        .bind(&others.room)
        .execute(&pool)
        .await
        .expect("a session");
        pool.close().await;
        for (parameter, id) in [
            ("{user}", "canary@example.com"),
            ("{grant}", "unused"),
            ("{session}", &session),
            // Tunnels are for participant tokens, and no container runs.
            ("{container}", "feedfeedfeed"),
            ("{port}", "80"),
        ] {
            others.ids.push((parameter.to_owned(), id.to_owned()));
        }
        others
    }

    /// An object of a plain kind, by what paths call it.
    async fn make_plain(&self, server: &Server, kind: KindName) -> String {
        let document = plain::document(kind, MARK, "canary-room", Form::First);
        let declared = plain::declared(kind, &document);
        let target = plain::target(&self.project, &declared, None);
        let spelling = spelling(kind);
        let create = spelling.create(&target).expect("a create");
        let Body::Json(body) = &create.body else { panic!("{kind}: no body") };
        let made = server.ask("POST", &create.path).bearer(&server.owner).json(body).send().await;
        let id = spelling.created_id(&made.expect(201).json());
        let target = plain::target(&self.project, &declared, id.as_deref());
        spelling.segment(&target).expect("a name in paths").to_owned()
    }

    pub(super) async fn send(
        &self,
        server: &Server,
        (method, path): (&str, &str),
        body: &Value,
    ) -> Reply {
        let path = format!("/accounts/projects/{}{path}", self.project);
        server.ask(method, &path).bearer(&server.owner).json(body).send().await
    }

    pub(super) async fn make(&self, server: &Server, path: &str, body: Value) -> String {
        let made = self.send(server, ("POST", path), &body).await.expect(201).json();
        made["id"].as_str().expect("an id").to_owned()
    }

    /// All that it has, as it is listed.
    pub(super) async fn listed(&self, server: &Server) -> Vec<String> {
        let rows = rows();
        let lists = rows.iter().filter(|row| {
            row.method == "GET" && row.is_in_a_project() && row.path.matches('{').count() == 1
        });
        let mut all = Vec::new();
        for row in lists.filter(|row| !row.path.starts_with("/projects/")) {
            let path = row.filled(&self.project);
            all.push(server.ask("GET", &path).bearer(&server.owner).send().await.expect(200).text);
        }
        all
    }

    /// The path of a route in a project, with what this project has in it: rooms by id or by
    /// name, as they are named in different places.
    pub(super) fn paths(&self, row: &Row, project: &str) -> Vec<String> {
        let filled = |room: &str| {
            let segments = row.path.split('/').map(|segment| match segment {
                "{project}" => project.to_owned(),
                "{room}" => room.to_owned(),
                segment if segment.starts_with('{') => {
                    let known = self.ids.iter().find(|(parameter, _)| parameter == segment);
                    let (_, id) = known
                        .unwrap_or_else(|| panic!("make something for {segment} of {}", row.path));
                    id.clone()
                }
                segment => segment.to_owned(),
            });
            segments.collect::<Vec<_>>().join("/")
        };
        let mut paths = vec![filled(&self.room), filled("canary-room")];
        paths.dedup();
        paths
    }

    /// A body that a route takes, if it takes one.
    pub(super) fn body(&self, row: &Row) -> Value {
        if row.path.contains("/services") {
            return service("taken");
        }
        if let Some(kind) = plain::of_path(&row.path) {
            let document = plain::document(kind, "taken", "taken", Form::Second);
            let declared = plain::declared(kind, &document);
            let target = plain::target(&self.project, &declared, None);
            return match row.method.as_str() {
                "POST" => spelling(kind).new_body(&target),
                _ => spelling(kind).body(&target),
            };
        }
        json!({
            "name": "taken", "type": "keys", "data": {}, "room_id": self.room,
            "user_id": "canary@example.com", "permissions": {}, "is_admin": true,
            "is_developer": true, "can_create_rooms": true, "first_name": "Taken",
        })
    }
}

/// What stands for an object of a kind in the platform's paths.
fn parameter_of(kind: KindName) -> String {
    let list = format!("/accounts/projects/{{project}}/{}/", spelling(kind).collection().noun);
    let routes = Platform::routes().into_iter();
    let mut parameters = routes.filter_map(|route| route.path.strip_prefix(&list));
    parameters.next().unwrap_or_else(|| panic!("{kind} has no routes below {list}")).to_owned()
}

#[tokio::test]
async fn what_another_project_has_is_not_reached_from_ones_own() {
    let server = Server::start().await;
    // The name that is taken everywhere is there, so that nothing fails for want of it.
    server.room("taken").await;
    let key = server.key_of(&server.project).await;
    let others = Others::new(&server).await;
    let before = others.listed(&server).await;
    assert!(before.iter().filter(|list| list.contains(MARK)).count() >= 9, "{before:#?}");
    let mut wrong = Vec::new();
    for row in rows().iter().filter(|row| row.path.replace("{project}", "").contains('{')) {
        for path in others.paths(row, &server.project) {
            let ask = server.ask(&row.method, &path).bearer(&key).json(&others.body(row));
            let reply = ask.send().await;
            // A list of what is here may be empty, and what is told of a wrong name holds it.
            let is_empty = row.method == "GET" && !reply.text.contains(MARK);
            if reply.status >= 500 || (reply.status < 300 && !is_empty) {
                wrong.push(format!("{} {path}: {} {}", row.method, reply.status, reply.text));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(others.listed(&server).await, before, "something of another project has changed");
}

#[tokio::test]
async fn what_another_project_has_cannot_be_named_in_a_body() {
    let server = Server::start().await;
    server.room("demo").await;
    let key = server.key_of(&server.project).await;
    let others = Others::new(&server).await;
    let before = others.listed(&server).await;
    let (_, secret) =
        others.ids.iter().find(|(parameter, _)| parameter == "{secret}").expect("one");
    let mut with_secret = service("a");
    with_secret["container"]["secrets"] = json!([secret]);
    let mut with_pull_secret = service("b");
    with_pull_secret["container"]["pull_secret"] = json!(secret);
    let user = "canary@example.com";
    for (path, body) in [
        ("/services", with_secret),
        ("/services", with_pull_secret),
        ("/room-grants", json!({"room_id": others.room, "user_id": user, "permissions": {}})),
        ("/room-grants", json!({"room_id": others.room, "email": user, "permissions": {}})),
        ("/rooms", json!({"name": "new", "permissions": {user: {}}})),
        ("/mailboxes", json!({"room": "canary-room", "queue": "q", "address": "b@mail.localhost"})),
        ("/routes", json!({"domain": "b.example.com", "room_name": "canary-room", "port": "80"})),
    ] {
        let whole = format!("/accounts/projects/{}{path}", server.project);
        let reply = server.ask("POST", &whole).bearer(&key).json(&body).send().await;
        assert_eq!(reply.status, 400, "{path} {body}: {}", reply.text);
    }
    assert_eq!(others.listed(&server).await, before, "something of another project has changed");
}
