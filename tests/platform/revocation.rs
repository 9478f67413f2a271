//! Power that is taken away, lent or taken too much of: it ends at once, and never grows.

use meshagent::platform::{Place, Platform, Rotation};
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use super::harness::{Reply, Server, parts, token};
use super::sign_in::Browser;

async fn join(server: &Server, user: &str, flags: Value) -> String {
    let mut body = flags;
    body["user_id"] = json!(user);
    server.send("POST", "/users", body).await.expect(201);
    server.key_for_user(user).await
}

async fn flags(server: &Server, user: &str, (is_developer, can_create_rooms): (bool, bool)) {
    let flags = json!({
        "is_admin": false, "is_developer": is_developer, "can_create_rooms": can_create_rooms,
    });
    server.send("PUT", &format!("/users/{user}"), flags).await.expect(200);
}

/// A request below the first project.
async fn send(server: &Server, who: &str, (method, path): (&str, &str), body: Value) -> Reply {
    let path = format!("/accounts/projects/{}{path}", server.project);
    server.ask(method, &path).bearer(who).json(&body).send().await
}

async fn role(server: &Server, who: &str) -> String {
    let reply = send(server, who, ("GET", "/role"), Value::Null).await;
    match reply.status {
        200 => reply.json()["role"].as_str().expect("a role").to_owned(),
        status => status.to_string(),
    }
}

#[tokio::test]
async fn a_token_is_worth_what_its_signer_is_at_that_moment() {
    let server = Server::start().await;
    let key = join(&server, "ada", json!({})).await;
    let token = token(&key, json!({"admin": {}, "queues": {}}));
    let hook = || json!({"name": "w", "url": "http://x", "events": ["*"]});
    let build = || send(&server, &token, ("POST", "/webhooks"), hook());
    let room = || send(&server, &token, ("POST", "/rooms"), json!({"name": "hall"}));
    assert_eq!(role(&server, &token).await, "member");
    build().await.expect(403);
    room().await.expect(403);
    flags(&server, "ada", (false, true)).await;
    room().await.expect(201);
    build().await.expect(403);
    flags(&server, "ada", (true, false)).await;
    assert_eq!(role(&server, &token).await, "developer");
    build().await.expect(201);
    flags(&server, "ada", (false, false)).await;
    assert_eq!(role(&server, &token).await, "member");
    server.own("DELETE", "/users/ada").send().await.expect(200);
    assert_eq!(role(&server, &token).await, "401");
    assert_eq!(role(&server, &key).await, "403");
    // Whoever comes back comes back with what they are then.
    server.send("POST", "/users", json!({"user_id": "ada"})).await.expect(201);
    assert_eq!(role(&server, &token).await, "member");
}

#[tokio::test]
async fn whoever_leaves_and_comes_back_brings_no_old_token_back() {
    let server = Server::start().await;
    server.room("hall").await;
    let key = join(&server, "ada", json!({"is_developer": true})).await;
    let before = server.connect(&key, "hall").await;
    // Another role in between is no reason to connect again.
    flags(&server, "ada", (true, true)).await;
    assert_eq!(role(&server, &before).await, "developer");
    server.own("DELETE", "/users/ada").send().await.expect(200);
    assert_eq!(role(&server, &before).await, "401");
    let again = json!({"user_id": "ada", "is_developer": true});
    server.send("POST", "/users", again).await.expect(201);
    assert_eq!(role(&server, &before).await, "401");
    assert_eq!(role(&server, &server.connect(&key, "hall").await).await, "developer");
}

#[tokio::test]
async fn whoever_may_build_again_brings_no_old_token_back() {
    let server = Server::start().await;
    let room = server.room("hall").await;
    let key = join(&server, "ada", json!({})).await;
    let grant = json!({"room_id": room, "user_id": "ada", "permissions": {"queues": {}}});
    server.send("POST", "/room-grants", grant).await.expect(201);
    let of_member = server.connect(&key, "hall").await;
    flags(&server, "ada", (true, false)).await;
    let before = server.connect(&key, "hall").await;
    let admin = json!({"is_admin": true, "is_developer": false, "can_create_rooms": false});
    server.send("PUT", "/users/ada", admin).await.expect(200);
    // From one role that builds to another, nothing was taken back.
    assert_eq!(role(&server, &before).await, "developer");
    flags(&server, "ada", (false, true)).await;
    assert_eq!(role(&server, &before).await, "401");
    flags(&server, "ada", (true, false)).await;
    assert_eq!(role(&server, &before).await, "401");
    assert_eq!(role(&server, &server.connect(&key, "hall").await).await, "developer");
    // What was given for a grant ends with the grant alone.
    assert_eq!(role(&server, &of_member).await, "member");
}

#[tokio::test]
async fn whatever_is_granted_to_an_account_again_brings_no_old_token_back() {
    let server = Server::start().await;
    server.room("hall").await;
    let (account, key) = server.account("bot").await;
    server.granted(&account, "developer").await;
    let mint = async || {
        let body = json!({"name": "bot", "room_name": "hall", "api": {"admin": {}}});
        let made = send(&server, &key, ("POST", "/participant-tokens"), body).await.expect(200);
        made.json()["token"].as_str().expect("a token").to_owned()
    };
    let before = [mint().await, server.connect(&key, "hall").await];
    // A further role takes nothing back.
    server.granted(&account, "room_creator").await;
    for token in &before {
        assert_eq!(role(&server, token).await, "developer");
    }
    let revoke = json!({"subject": {"type": "service_account", "id": account}});
    let path = format!("/iam/project/{}/policy:revoke", server.project);
    server.send("POST", &path, revoke).await.expect(200);
    for again in ["", "member", "developer"] {
        if !again.is_empty() {
            server.granted(&account, again).await;
        }
        for token in &before {
            assert_eq!(role(&server, token).await, "401", "{again}");
        }
    }
    for token in [mint().await, server.connect(&key, "hall").await] {
        assert_eq!(role(&server, &token).await, "developer");
    }
}

#[tokio::test]
async fn a_participant_is_told_as_nobody_else() {
    let server = Server::start().await;
    server.room("hall").await;
    let (admin, _) = server.account("adm").await;
    let (account, key) = server.account("dev").await;
    server.granted(&account, "developer").await;
    let person = join(&server, "ada", json!({"is_developer": true})).await;
    let project_key = server.key_of(&server.project).await;
    let whoami = async |credential: &str| {
        let ask = server.ask("GET", "/accounts/whoami").bearer(credential);
        ask.send().await.expect(200).json()
    };
    for (key, id) in
        [(&key, account), (&person, parts(&person).0), (&project_key, parts(&project_key).0)]
    {
        for name in [&*admin, "ada", "owner@localhost"] {
            let body = json!({"name": name, "room_name": "hall", "api": {"admin": {}}});
            let made = send(&server, key, ("POST", "/participant-tokens"), body).await.expect(200);
            let token = made.json()["token"].as_str().expect("a token").to_owned();
            let told = whoami(&token).await;
            assert_eq!(told, json!({"id": id, "email": "", "type": "service_account"}));
        }
    }
    // Whoever signs a token with a key of their own chooses its name, too.
    let signed = token(&project_key, json!({"admin": {}}));
    assert_eq!(whoami(&signed).await["id"], parts(&project_key).0);
}

#[tokio::test]
async fn what_is_given_for_a_room_names_who_stands_behind_it() {
    let server = Server::start().await;
    let room = server.room("hall").await;
    let key = join(&server, "ada", json!({})).await;
    let grant = json!({"room_id": room, "user_id": "ada", "permissions": {"queues": {}}});
    let revision = server.send("POST", "/room-grants", grant).await.expect(201).header("etag");
    let browser = Browser::new(&server.url);
    let access = browser.tokens(&key).await["access_token"].as_str().expect("one").to_owned();
    let principal = |jwt: &str| {
        let claims: Value = jsonwebtoken::dangerous::insecure_decode_claims(jwt).expect("claims");
        claims["principal"].clone()
    };
    let by_key = principal(&server.connect(&key, "hall").await);
    let (id, ..) = parts(&key);
    assert_eq!((&by_key["key"], &by_key["user"]), (&json!(id), &json!("ada")));
    assert_eq!(format!("\"{}\"", by_key["grant"]), revision);
    assert_eq!(by_key.get("sign_in"), None);
    let by_sign_in = principal(&server.connect(&access, "hall").await);
    assert_eq!((&by_sign_in["key"], by_sign_in["sign_in"].is_string()), (&json!(id), true));
    // A project's key is nobody in person, and whoever builds needs no grant.
    let project_key = server.key_of(&server.project).await;
    let given = server.connect(&project_key, "hall").await;
    assert_eq!(principal(&given), json!({"key": parts(&project_key).0}));
    // What is given by something that was given is no other's, and no longer.
    assert_eq!(principal(&server.connect(&given, "hall").await), principal(&given));
}

#[tokio::test]
async fn a_sign_in_that_ends_takes_its_tokens_for_rooms_with_it() {
    let server = Server::start().await;
    server.room("hall").await;
    let key = join(&server, "ada", json!({"is_developer": true})).await;
    let browser = Browser::new(&server.url);
    let access = browser.tokens(&key).await["access_token"].as_str().expect("one").to_owned();
    let (by_sign_in, by_key) =
        (server.connect(&access, "hall").await, server.connect(&key, "hall").await);
    assert_eq!(role(&server, &by_sign_in).await, "developer");
    let pool = server.store().await;
    sqlx::query("DELETE FROM sign_ins").execute(&pool).await.expect("an end");
    pool.close().await;
    assert_eq!(role(&server, &by_sign_in).await, "401");
    assert_eq!(role(&server, &by_key).await, "developer");
}

#[tokio::test]
async fn whoever_creates_a_room_grants_no_more_than_the_usual() {
    let server = Server::start().await;
    let key = join(&server, "ada", json!({"can_create_rooms": true})).await;
    join(&server, "bob", json!({})).await;
    let create = |name: &str, permissions: Value| {
        let body = json!({"name": name, "permissions": permissions});
        let (server, key) = (&server, key.as_str());
        async move { send(server, key, ("POST", "/rooms"), body).await }
    };
    for (number, permissions) in [
        json!({"me": {"admin": {}}}),
        json!({"ada": {"queues": {}, "admin": {"config": false}}}),
        json!({"bob": {"admin": {}}}),
        json!({"ada": {"queues": {}}, "bob": {"secrets": {}}}),
        json!({"me": {"tunnels": {"ports": []}}}),
    ]
    .into_iter()
    .enumerate()
    {
        let name = format!("room-{number}");
        let reply = create(&name, permissions).await.expect(403);
        assert!(
            reply.json()["error"].as_str().expect("text").contains("permissions."),
            "{reply:?}"
        );
        // Nothing of it was done.
        server.read(&format!("/rooms/{name}")).await.expect(404);
    }
    let usual = json!({"me": {"queues": {}, "storage": {}, "agents": {"call": false}}, "bob": {}});
    create("hall", usual).await.expect(201);
    let given = server.connect(&key, "hall").await;
    assert_eq!(role(&server, &given).await, "member");
    // An owner may still grant anything, and even then a member is no developer.
    let permissions = json!({"ada": {"admin": {}}});
    let office = json!({"name": "office", "permissions": permissions});
    server.send("POST", "/rooms", office).await.expect(201);
    let given = server.connect(&key, "office").await;
    assert_eq!(role(&server, &given).await, "member");
    send(&server, &given, ("POST", "/rooms/office/connect"), json!({})).await.expect(403);
}

#[tokio::test]
async fn a_token_grants_no_more_than_it_holds() {
    let server = Server::start().await;
    let room = server.room("hall").await;
    join(&server, "ada", json!({})).await;
    let key = server.key_of(&server.project).await;
    let token = token(&key, json!({"admin": {}, "queues": {"send": ["a", "b"], "list": false}}));
    let grant =
        |permissions: Value| json!({"room_id": room, "user_id": "ada", "permissions": permissions});
    for beyond in [
        json!({"storage": {}}),
        json!({"queues": {}}),
        json!({"queues": {"send": ["a", "c"], "list": false}}),
        json!({"queues": {"send": ["a"], "list": true}}),
        json!({"secrets": {}}),
    ] {
        let reply = send(&server, &token, ("POST", "/room-grants"), grant(beyond.clone())).await;
        assert_eq!(reply.status, 403, "{beyond}");
        let body = json!({"name": "new", "permissions": {"ada": beyond}});
        send(&server, &token, ("POST", "/rooms"), body).await.expect(403);
    }
    let within = grant(json!({"queues": {"send": ["b"], "list": false}}));
    send(&server, &token, ("POST", "/room-grants"), within).await.expect(201);
    let change = ("PUT", "/room-grants/unused");
    send(&server, &token, change, grant(json!({"storage": {}}))).await.expect(403);
    send(&server, &token, change, grant(json!({"admin": {}}))).await.expect(200);
}

#[tokio::test]
async fn only_the_owner_brings_in_people_whom_the_platform_does_not_know() {
    let server = Server::start().await;
    let room = server.room("hall").await;
    let (project, other) = server.other_project("other").await;
    let key = server.key_of(&server.project).await;
    let admin = join(&server, "ada", json!({"is_admin": true})).await;
    join(&server, "bob@example.com", json!({})).await;
    let invite = |email: &str| json!({"room_id": room, "email": email, "permissions": {}});
    for who in [&key, &admin] {
        for user in ["eve", "eve@example.com", "EVE@example.com"] {
            send(&server, who, ("POST", "/users"), json!({"user_id": user})).await.expect(403);
            send(&server, who, ("POST", "/room-grants"), invite(user)).await.expect(400);
        }
    }
    let list = server.read("/users").await.json();
    let users = list["users"].as_array().expect("users").iter().map(|user| user["id"].clone());
    assert_eq!(users.filter(|id| id.as_str().is_some_and(|id| id.contains("eve"))).count(), 0);

    // To another project, an address of somebody whom the platform knows is like any other.
    let rooms = format!("/accounts/projects/{project}/rooms");
    let made =
        server.ask("POST", &rooms).bearer(&other).json(&json!({"name": "hall"})).send().await;
    let theirs = made.expect(201).json()["id"].clone();
    let path = format!("/accounts/projects/{project}/room-grants");
    let mut told = Vec::new();
    for email in ["bob@example.com", "nobody@example.com"] {
        let body = json!({"room_id": theirs, "email": email, "permissions": {}});
        let reply = server.ask("POST", &path).bearer(&other).json(&body).send().await;
        told.push(reply.refuses("email").text);
    }
    assert_eq!(told[0], told[1]);

    // Members are granted by their address as before, and the owner invites whom they like.
    send(&server, &key, ("POST", "/room-grants"), invite("BOB@example.com")).await.expect(201);
    server.send("POST", "/room-grants", invite("eve@example.com")).await.expect(201);
}

#[tokio::test]
async fn replaced_keys_end_what_hangs_on_them_in_a_platform_that_runs() {
    let server = Server::start().await;
    server.room("hall").await;
    let key = server.key_of(&server.project).await;
    let given = server.connect(&key, "hall").await;
    let owners = server.connect(&server.owner, "hall").await;
    let browser = Browser::new(&server.url);
    let access =
        browser.tokens(&server.owner).await["access_token"].as_str().expect("one").to_owned();
    let place = Place::from(&server.folder());

    let which = Rotation { owner_key: true, ..Rotation::default() };
    let platform = Platform::replace_keys(&place, which).await.expect("a new key");
    let new = platform.bootstrap();
    platform.close().await;
    assert_eq!(new.project_id, server.project);
    let new = new.api_key.expose_secret();
    for (who, wanted) in [
        (server.owner.as_str(), "401"),
        (&access, "401"),
        (&owners, "401"),
        (&token(&server.owner, json!({})), "401"),
        (new, "admin"),
        (&key, "admin"),
        (&given, "developer"),
    ] {
        assert_eq!(role(&server, who).await, wanted, "{who}");
    }
    // It is the owner's as before, in person.
    let made = server.ask("POST", "/accounts/projects").bearer(new).json(&json!({"name": "new"}));
    made.send().await.expect(201);

    let which = Rotation { signing_keys: true, ..Rotation::default() };
    Platform::replace_keys(&place, which).await.expect("new keys").close().await;
    assert_eq!(role(&server, &given).await, "401");
    assert_eq!(role(&server, &key).await, "admin");
    assert_eq!(role(&server, &server.connect(&key, "hall").await).await, "developer");
    assert_eq!(role(&server, new).await, "admin");
}

#[tokio::test]
async fn keys_are_replaced_only_where_there_is_a_platform() {
    let folder = tempfile::tempdir().expect("a folder");
    let place = Place::from(&folder.path().join("typo"));
    let which = Rotation { owner_key: true, ..Rotation::default() };
    let error = Platform::replace_keys(&place, which).await.expect_err("nothing is there");
    assert!(error.message.contains("there is no platform in"), "{error}");
    assert!(!place.data.exists());
}

#[tokio::test]
async fn inventories_are_for_those_who_may_build() {
    let server = Server::start().await;
    let key = server.key_of(&server.project).await;
    let path =
        |verb: &str, file: &str| format!("/projects/{}/storage/{verb}?path={file}", server.project);
    for file in [".meshagent/sets/s.json", "/.meshagent/sets.json", "notes/.meshagent/x", "a.txt"] {
        server.ask("POST", &path("upload", file)).bearer(&key).text("{}").send().await.expect(201);
    }
    let member = join(&server, "ada", json!({})).await;
    let developer = token(&key, json!({"admin": {}}));
    for (file, status) in [
        (".meshagent/sets/s.json", 403),
        ("/.meshagent/sets.json", 403),
        ("//.meshagent/sets/s.json", 403),
        (".meshagent/none", 403),
        ("notes/.meshagent/x", 200),
        ("a.txt", 200),
    ] {
        let read = server.ask("GET", &path("download", file)).bearer(&member).send().await;
        assert_eq!(read.status, status, "{file}");
        if !file.ends_with("none") {
            let read = server.ask("GET", &path("download", file)).bearer(&developer).send().await;
            assert_eq!(read.status, 200, "{file}");
        }
    }
}
