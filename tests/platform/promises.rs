//! What the platform refuses, and what it keeps together.

use serde_json::{Value, json};

use super::harness::{Server, service};

#[tokio::test]
async fn names_are_taken_once() {
    let server = Server::start().await;
    server.room("demo").await;
    server.room("other").await;
    let mailbox = json!({"room": "demo", "queue": "q", "address": "a@mail.localhost"});
    let route = json!({"domain": "a.example.com", "room_name": "demo", "port": "80"});
    let task = json!({
        "id": "t", "room_name": "demo", "queue_name": "q", "payload": {}, "schedule": "@daily",
    });
    let hook = json!({"name": "w", "url": "http://x", "events": ["*"]});
    let objects = [
        ("/rooms", json!({"name": "new"})),
        ("/services", service("s")),
        ("/rooms/demo/services", service("s")),
        ("/rooms/other/services", service("s")),
        ("/secrets", json!({"name": "s", "type": "keys", "data": {}})),
        ("/mailboxes", mailbox.clone()),
        ("/routes", route.clone()),
        ("/scheduled-tasks", task.clone()),
        ("/webhooks", hook),
        ("/users", json!({"user_id": "ada"})),
    ];
    for (path, body) in &objects {
        server.send("POST", path, body.clone()).await.expect(201);
    }
    for (path, body) in &objects {
        server.send("POST", path, body.clone()).await.expect(409);
    }
    let project = json!({"name": "default"});
    let again = server.ask("POST", "/accounts/projects").bearer(&server.owner).json(&project);
    again.send().await.expect(409);
    // An update may not take a name either.
    let other = server.read("/rooms/other").await.json()["id"].clone();
    let path = format!("/rooms/{}", other.as_str().expect("an id"));
    server.send("PUT", &path, json!({"name": "demo"})).await.expect(409);

    // Addresses and domains are taken across projects, tasks are not.
    let (project, key) = server.other_project("other").await;
    let send = |path: &str, body: &Value| {
        let path = format!("/accounts/projects/{project}{path}");
        server.ask("POST", &path).bearer(&key).json(body).send()
    };
    send("/rooms", &json!({"name": "demo"})).await.expect(201);
    let loud = json!({"room": "demo", "queue": "q", "address": "A@MAIL.localhost"});
    send("/mailboxes", &loud).await.expect(409);
    send("/routes", &route).await.expect(409);
    send("/scheduled-tasks", &task).await.expect(201);
    for path in ["/mailboxes/a@mail.localhost", "/routes/a.example.com"] {
        for method in ["GET", "DELETE"] {
            let path = format!("/accounts/projects/{project}{path}");
            server.ask(method, &path).bearer(&key).send().await.expect(403);
        }
    }
}

#[tokio::test]
async fn a_name_is_taken_once_even_at_once() {
    let server = Server::start().await;
    let tries = (0..16).map(|_| server.own("POST", "/rooms").json(&json!({"name": "demo"})).send());
    let mut set = tokio::task::JoinSet::new();
    tries.for_each(|one| {
        set.spawn(one);
    });
    let replies = set.join_all().await;
    let count = |status| replies.iter().filter(|reply| reply.status == status).count();
    assert_eq!((count(201), count(409)), (1, 15));
}

#[tokio::test]
async fn what_does_not_exist_is_404() {
    let server = Server::start().await;
    server.room("demo").await;
    for path in [
        "/rooms/none",
        "/rooms/none/services",
        "/rooms/demo/services/none",
        "/rooms/none/mailboxes",
        "/rooms/none/routes",
        "/services/none",
        "/mailboxes/none@mail.localhost",
        "/routes/none",
        "/sessions/none",
        "/sessions/none/events",
        "/room-grants/none/me",
        "/room-grants/by-room/none",
        // Not of this platform yet.
        "/shares",
        "/oauth/clients",
        "/balance",
    ] {
        server.read(path).await.expect(404);
    }
    for path in [
        "/rooms/demo",
        "/services/none",
        "/secrets/none",
        "/webhooks/none",
        "/mailboxes/none@mail.localhost",
        "/routes/none",
        "/scheduled-tasks/none",
        "/api-keys/none",
        "/users/none",
    ] {
        server.own("DELETE", path).send().await.expect(404);
    }
    let other = server.own("PATCH", "/rooms").send().await.expect(405);
    assert_eq!(other.header("allow"), "POST,GET,HEAD");
    server.ask("GET", "/").send().await.expect(404);
}

#[tokio::test]
async fn what_is_malformed_is_400_with_its_field() {
    let server = Server::start().await;
    server.room("demo").await;
    let post = |path: &str, body: Value| {
        let ask = server.own("POST", path).json(&body);
        ask.send()
    };
    let with = |field: &str, value: Value| {
        let mut body = service("s");
        body[field] = value;
        body
    };
    let container = |rest: Value| {
        let mut body = service("s");
        body["container"]
            .as_object_mut()
            .expect("an object")
            .extend(rest.as_object().expect("an object").clone());
        body
    };
    for (body, field) in [
        (with("id", json!("mine")), "id"),
        (with("external", json!({"url": "http://x"})), "external"),
        (with("container", Value::Null), "container"),
        (with("kind", json!("Room")), "kind"),
        (with("extra", json!(1)), "extra"),
        (with("metadata", json!({})), "metadata.name"),
        (with("metadata", json!({"name": ""})), "metadata.name"),
        (with("ports", json!([{"num": 0}])), "ports[0].num"),
        (with("ports", json!([{"num": 70000}])), "ports[0].num"),
        (container(json!({"image": 5})), "container.image"),
        (container(json!({"secrets": ["none"]})), "container.secrets[0]"),
        (container(json!({"pull_secret": "none"})), "container.pull_secret"),
        (json!({"template": "{{", "values": {}}), "template"),
        (json!({"template": "a: b", "values": {"a": 1}}), "values.a"),
    ] {
        for path in ["/services", "/rooms/demo/services"] {
            post(path, body.clone()).await.refuses(field);
        }
    }
    let long = "x".repeat(1_100_000);
    post("/rooms", json!({})).await.refuses("name");
    post("/rooms", json!({"name": "a\nb"})).await.refuses("name");
    post("/rooms", json!({"name": "a", "metadata": [1]})).await.refuses("metadata");
    post("/rooms", json!({"name": "a", "annotations": {"k": 1}})).await.refuses("annotations.k");
    post("/rooms", json!({"name": "a", "annotations": {"k": long}})).await.refuses("annotations");
    post("/rooms", json!({"name": "a", "permissions": {"bob": {}}}))
        .await
        .refuses("permissions.bob");
    // Nothing of a refused request stays.
    server.read("/rooms/a").await.expect(404);
    post("/secrets", json!({"name": "s", "type": "acr", "data": {}})).await.refuses("type");
    let masked = json!({"name": "s", "type": "keys", "data": {"A": "********"}});
    post("/secrets", masked).await.refuses("data.A");
    let secret = post("/secrets", json!({"name": "s", "type": "keys", "data": {"A": 12345}})).await;
    assert!(!secret.text.contains("12345"), "{secret:?}");
    secret.refuses("data.A");
    let mailbox =
        |room: &str, address: &str| json!({"room": room, "queue": "q", "address": address});
    post("/mailboxes", mailbox("none", "a@mail.localhost")).await.refuses("room");
    post("/mailboxes", mailbox("demo", "a@example.com")).await.refuses("address");
    let route =
        |domain: &str, port: &str| json!({"domain": domain, "room_name": "demo", "port": port});
    post("/routes", route("a b", "80")).await.refuses("domain");
    post("/routes", route("a.b", "http")).await.refuses("port");
    post("/routes", json!({"domain": "a.b", "room_name": "none", "port": "80"}))
        .await
        .refuses("room_name");
    post("/routes", json!({"domain": "a.b", "room_name": "demo", "port": 80}))
        .await
        .refuses("port");
    let task = |rest: Value| {
        let mut body =
            json!({"room_name": "demo", "queue_name": "q", "payload": {}, "schedule": "@daily"});
        body.as_object_mut()
            .expect("an object")
            .extend(rest.as_object().expect("an object").clone());
        body
    };
    post("/scheduled-tasks", task(json!({"schedule": "0 0 * * * *"}))).await.refuses("schedule");
    post("/scheduled-tasks", task(json!({"payload": "text"}))).await.refuses("payload");
    post("/scheduled-tasks", task(json!({"room_name": "none"}))).await.refuses("room_name");
    let hook = |url: &str, events: Value| json!({"name": "w", "url": url, "events": events});
    post("/webhooks", hook("u", json!(["*"]))).await.refuses("url");
    post("/webhooks", hook("http://x", json!([]))).await.refuses("events");
    post("/webhooks", hook("http://x", json!(["room.begun"]))).await.refuses("events[0]");
    for (query, field) in
        [("limit=-1", "limit"), ("limit=x", "limit"), ("order_by=size", "order_by")]
    {
        server.read(&format!("/rooms?{query}")).await.refuses(field);
    }
    for body in ["", "{", "[", "{} {}", "null", "\u{0}"] {
        server.own("POST", "/rooms").text(body).send().await.expect(400);
    }
    server.own("GET", "/rooms/%FF").send().await.expect(400);
    let large = "x".repeat(meshagent::platform::BODY_LIMIT + 1);
    server.own("POST", "/rooms").text(&large).send().await.expect(413);
}

#[tokio::test]
async fn rooms_of_older_names_can_be_read_and_deleted() {
    let server = Server::start().await;
    for (name, path) in [
        ("a b", "a%20b"),
        ("a/b", "a%2Fb"),
        ("a?b#c", "a%3Fb%23c"),
        ("100%", "100%25"),
        ("%2F", "%252F"),
        ("../x", "..%2Fx"),
        ("日本 ä", "%E6%97%A5%E6%9C%AC%20%C3%A4"),
        ("by-room", "by-room"),
        ("a'b\"; DROP TABLE rooms; --", "a'b%22%3B%20DROP%20TABLE%20rooms%3B%20--"),
    ] {
        if name != "by-room" {
            let refused = server.send("POST", "/rooms", json!({"name": name})).await;
            refused.refuses("name");
        }
        let id = server.room_of_old(name).await;
        let room = server.read(&format!("/rooms/{path}")).await.expect(200).json();
        assert_eq!((room["id"].as_str(), room["name"].as_str()), (Some(&*id), Some(name)));
        // It keeps its name until it gets another, which must be one that clients can enter.
        let change = |name: &str| json!({"name": name, "annotations": {"k": "v"}});
        let room = format!("/rooms/{id}");
        server.send("PUT", &room, change(name)).await.expect(200);
        server.send("PUT", &room, change("Other Name")).await.refuses("name");
        server.send("POST", &format!("/rooms/{path}/services"), service(name)).await.expect(201);
        let list = server.read(&format!("/rooms/{path}/services")).await.expect(200).json();
        assert_eq!(list["services"][0]["metadata"]["name"], name);
        let connect = server.send("POST", &format!("/rooms/{path}/connect"), json!({})).await;
        let url = connect.expect(200).json()["room_url"].as_str().expect("a URL").to_owned();
        let parsed = url::Url::parse(&url).expect("a URL");
        assert_eq!(parsed.path_segments().map(Iterator::count), Some(2), "{url}");
        server.own("DELETE", &room).send().await.expect(204);
    }
}

#[tokio::test]
async fn pages_do_not_overlap_and_miss_nothing() {
    let server = Server::start().await;
    for number in 0..7 {
        server.room(&format!("r{number}")).await;
    }
    for order in ["room_name", "created_at"] {
        let mut names = Vec::new();
        for offset in [0, 3, 6, 9] {
            let path = format!("/rooms?limit=3&offset={offset}&order_by={order}");
            let page = server.read(&path).await.expect(200).json();
            let page = page["rooms"].as_array().expect("rooms").clone();
            names.extend(page.iter().map(|room| room["name"].as_str().expect("a name").to_owned()));
        }
        assert_eq!(names, ["r0", "r1", "r2", "r3", "r4", "r5", "r6"]);
    }
}

#[tokio::test]
async fn a_write_that_looked_at_something_else_is_412() {
    let server = Server::start().await;
    let room = server.room("demo").await;
    let secret = json!({"name": "s", "type": "keys", "data": {}});
    let made = server.send("POST", "/secrets", secret.clone()).await.expect(201);
    let secret_path = format!("/secrets/{}", made.json()["id"].as_str().expect("an id"));
    let made_service = server.send("POST", "/services", service("s")).await.expect(201);
    let service_path = format!("/services/{}", made_service.json()["id"].as_str().expect("an id"));
    let mailbox = json!({"room": "demo", "queue": "q", "address": "a@mail.localhost"});
    let made_mailbox = server.send("POST", "/mailboxes", mailbox.clone()).await.expect(201);
    let room_tag = server.read("/rooms/demo").await.header("etag");
    let me = server.ask("GET", "/accounts/profiles/me").bearer(&server.owner).send().await.json();
    let me = me["id"].as_str().expect("an id").to_owned();
    let settings_tag = server.read("").await.header("etag");
    let grant = json!({"room_id": room, "user_id": me, "permissions": {}});
    let made_grant = server.send("POST", "/room-grants", grant.clone()).await.expect(201);
    for (path, body, tag) in [
        ("/settings", json!({}), settings_tag),
        (&*format!("/rooms/{room}"), json!({"name": "demo"}), room_tag),
        (&*secret_path, secret, made.header("etag")),
        (&*service_path, service("s"), made_service.header("etag")),
        ("/mailboxes/a@mail.localhost", mailbox.clone(), made_mailbox.header("etag")),
        ("/room-grants/unused", grant, made_grant.header("etag")),
    ] {
        let put = |tag: &str| server.own("PUT", path).header("if-match", tag).json(&body).send();
        let next = put(&tag).await.expect(200).header("etag");
        assert_ne!(tag, next, "{path}");
        put(&tag).await.expect(412);
        put(&format!("W/{next}")).await.expect(412);
        let last = put(&format!("\"x\", {next}")).await.expect(200).header("etag");
        put("*").await.expect(200);
        if path.starts_with("/settings") || path.ends_with("unused") {
            continue;
        }
        server.own("DELETE", path).header("if-match", &last).send().await.expect(412);
    }
    // A list says the same tag as the object.
    let list = server.read("/mailboxes").await.json();
    let one = server.read("/mailboxes/a@mail.localhost").await.header("etag");
    assert_eq!(list["mailboxes"][0]["etag"], one);
    // Something new under an old name is not what was looked at.
    server.own("DELETE", "/mailboxes/a@mail.localhost").send().await.expect(204);
    server.send("POST", "/mailboxes", mailbox).await.expect(201);
    let stale = server.own("DELETE", "/mailboxes/a@mail.localhost").header("if-match", &one);
    stale.send().await.expect(412);
}

#[tokio::test]
async fn files_can_be_compared_and_set() {
    let server = Server::start().await;
    let upload = |condition: (&str, &str), text: &str| {
        let path = format!("/projects/{}/storage/upload?path=a/b", server.project);
        let ask = server.ask("POST", &path).bearer(&server.owner);
        ask.header(condition.0, condition.1).text(text).send()
    };
    upload(("if-match", "\"none\""), "zero").await.expect(412);
    let one = upload(("if-none-match", "*"), "one").await.expect(201).header("etag");
    upload(("if-none-match", "*"), "two").await.expect(412);
    let two = upload(("if-match", &one), "two").await.expect(200).header("etag");
    upload(("if-match", &one), "three").await.expect(412);
    let path = format!("/projects/{}/storage/download?path=a/b", server.project);
    let file = server.ask("GET", &path).bearer(&server.owner).send().await.expect(200);
    assert_eq!((file.text.as_str(), file.header("etag")), ("two", two));
    for path in ["", "?path=", "?path=../x", "?path=a//b"] {
        let path = format!("/projects/{}/storage/download{path}", server.project);
        server.ask("GET", &path).bearer(&server.owner).send().await.refuses("path");
    }
    let path = format!("/projects/{}/storage/download?path=none", server.project);
    server.ask("GET", &path).bearer(&server.owner).send().await.expect(404);
}

#[tokio::test]
async fn a_secret_that_is_referred_to_stays() {
    let server = Server::start().await;
    let keys = json!({"name": "k", "type": "keys", "data": {"A": "1"}});
    let keys_id = server.send("POST", "/secrets", keys.clone()).await.json()["id"].clone();
    let docker = json!({
        "name": "d", "type": "docker", "data": {"server": "s", "username": "u", "password": "p"},
    });
    let docker_id = server.send("POST", "/secrets", docker.clone()).await.json()["id"].clone();
    let mut wrong = service("s");
    wrong["container"]["secrets"] = json!([docker_id]);
    server.send("POST", "/services", wrong).await.refuses("container.secrets[0]");
    let mut right = service("user");
    right["container"]["secrets"] = json!([keys_id]);
    right["container"]["pull_secret"] = docker_id.clone();
    let made = server.send("POST", "/services", right).await.expect(201).json();
    let path = |id: &Value| format!("/secrets/{}", id.as_str().expect("an id"));
    let refused = server.own("DELETE", &path(&keys_id)).send().await.expect(409);
    assert!(refused.text.contains("user"), "{refused:?}");
    server.send("PUT", &path(&keys_id), docker).await.expect(409);
    server.send("PUT", &path(&keys_id), keys).await.expect(200);
    let service_path = format!("/services/{}", made["id"].as_str().expect("an id"));
    server.own("DELETE", &service_path).send().await.expect(204);
    server.own("DELETE", &path(&keys_id)).send().await.expect(204);
    server.own("DELETE", &path(&docker_id)).send().await.expect(204);
}

#[tokio::test]
async fn what_names_a_room_follows_it_and_outlives_it() {
    let server = Server::start().await;
    let room = server.room("demo").await;
    let secret = json!({"name": "k", "type": "keys", "data": {}});
    let secret = server.send("POST", "/secrets", secret).await.json()["id"].clone();
    let mut body = service("s");
    body["container"]["secrets"] = json!([secret]);
    server.send("POST", "/rooms/demo/services", body).await.expect(201);
    let mailbox = json!({"room": "demo", "queue": "q", "address": "a@mail.localhost"});
    server.send("POST", "/mailboxes", mailbox).await.expect(201);
    let route = json!({"domain": "a.b", "room_name": "demo", "port": "80"});
    server.send("POST", "/routes", route).await.expect(201);
    let task = json!({"room_name": "demo", "queue_name": "q", "payload": {}, "schedule": "@daily"});
    server.send("POST", "/scheduled-tasks", task).await.expect(201);
    let named = async || {
        let mailbox = server.read("/mailboxes").await.json()["mailboxes"][0].clone();
        let route = server.read("/routes").await.json()["routes"][0].clone();
        let task = server.read("/scheduled-tasks").await.json()["tasks"][0].clone();
        assert_eq!(
            (&mailbox["room"], &route["room_name"]),
            (&task["room_name"], &task["room_name"])
        );
        assert_eq!((&mailbox["room_id"], &route["room_id"]), (&task["room_id"], &task["room_id"]));
        (task["room_name"].clone(), task["room_id"].clone())
    };
    let path = format!("/rooms/{room}");
    assert_eq!(named().await, (json!("demo"), json!(room)));
    server.send("PUT", &path, json!({"name": "new-name"})).await.expect(200);
    assert_eq!(named().await, (json!("new-name"), json!(room)));
    let list = server.read("/rooms/new-name/services").await.json();
    assert_eq!(list["services"].as_array().map(Vec::len), Some(1));

    server.own("DELETE", &path).send().await.expect(204);
    assert_eq!(named().await, (json!("new-name"), Value::Null));
    // The service went with the room, so nothing refers to the secret any more.
    let secret = format!("/secrets/{}", secret.as_str().expect("an id"));
    server.own("DELETE", &secret).send().await.expect(204);
    let again = server.room("new-name").await;
    assert_eq!(named().await, (json!("new-name"), json!(again)));
    let list = server.read("/rooms/new-name/services").await.json();
    assert_eq!(list, json!({"services": []}));
}

#[tokio::test]
async fn the_owner_stays_in_the_project() {
    let server = Server::start().await;
    let flags = json!({"is_admin": false, "is_developer": false, "can_create_rooms": false});
    server.send("PUT", "/users/me", flags).await.expect(409);
    server.own("DELETE", "/users/me").send().await.expect(409);
}
