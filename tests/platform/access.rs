//! Every route against every credential that must not pass.

use jsonwebtoken::Algorithm;
use meshagent::platform::{Access, Platform, RouteSummary};
use serde_json::json;

use super::harness::{Server, claims, parts, signed, token};

/// The route's path with a project filled in, and something for everything else.
fn path(route: &RouteSummary, project: &str) -> String {
    let segments = route.path.split('/').map(|segment| match segment {
        "{project}" => project,
        "{user}" => "me",
        segment if segment.starts_with('{') => "x",
        segment => segment,
    });
    segments.collect::<Vec<_>>().join("/")
}

/// Every route but those where people sign in, which have tests of their own.
fn guarded() -> impl Iterator<Item = RouteSummary> {
    Platform::routes().into_iter().filter(|route| route.access != Access::Open)
}

async fn status(server: &Server, route: &RouteSummary, credential: Option<&str>) -> u16 {
    let ask = server.ask(route.method.as_str(), &path(route, &server.project)).text("{}");
    let ask = match credential {
        Some(credential) => ask.header("authorization", credential),
        None => ask,
    };
    let reply = ask.send().await;
    if reply.status == 401 {
        assert_eq!(reply.header("www-authenticate"), "Bearer");
    }
    reply.status
}

#[tokio::test]
async fn no_route_is_reached_without_a_valid_credential() {
    let server = Server::start().await;
    let key = server.key_of(&server.project).await;
    let (other_project, other_key) = server.other_project("other").await;
    let full = || claims(&key, Some(json!({"admin": {}})));

    let (id, project, secret) = parts(&key);
    let mut expired = full();
    expired["exp"] = json!(1);
    let mut not_yet = full();
    not_yet["nbf"] = json!(u32::MAX);
    let mut elsewhere = full();
    elsewhere["sub"] = json!(other_project);
    let mut unknown = full();
    unknown["kid"] = json!(uuid::Uuid::new_v4());
    // A forger with a key of another project names this project and its key.
    let forged = signed(Algorithm::HS256, &full(), &other_key);
    let none = {
        let good = token(&key, json!({}));
        let payload = good.split('.').nth(1).expect("a payload");
        // {"alg":"none","typ":"JWT"}
        format!("eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.{payload}.")
    };
    let sign = |claims| signed(Algorithm::HS256, claims, &key);
    let refused = [
        None,
        Some("Bearer None".to_owned()),
        Some("Bearer ".to_owned()),
        Some("garbage".to_owned()),
        Some(format!("Basic {key}")),
        Some(format!("Bearer {key}x")),
        Some(format!("Bearer {}", &key[..key.len() - 1])),
        Some(format!("Bearer {}", key.replace(&secret, ""))),
        Some(format!("Bearer {}", other_key.replacen(&parts(&other_key).2, &secret, 1))),
        Some(format!("Bearer ma-{id}-{project}-{secret}")),
        Some(format!("Bearer {}", sign(&expired))),
        Some(format!("Bearer {}", sign(&not_yet))),
        Some(format!("Bearer {}", sign(&elsewhere))),
        Some(format!("Bearer {}", sign(&unknown))),
        Some(format!("Bearer {forged}")),
        Some("Bearer oa-".to_owned()),
        Some(format!("Bearer oa-{secret}")),
        Some(format!("Bearer {none}")),
        Some(format!("Bearer {}", signed(Algorithm::HS512, &full(), &key))),
    ];
    for route in guarded() {
        for credential in &refused {
            let status = status(&server, &route, credential.as_deref()).await;
            assert_eq!(status, 401, "{} {} with {credential:?}", route.method, route.path);
        }
    }
}

#[tokio::test]
async fn a_project_that_is_not_theirs_tells_others_nothing() {
    let server = Server::start().await;
    let (project, key) = server.other_project("other").await;
    let nowhere = uuid::Uuid::new_v4().to_string();
    let ask = |project: &str, credential: &str| {
        server.ask("GET", &format!("/accounts/projects/{project}")).bearer(credential).send()
    };
    let theirs = ask(&server.project, &key).await.expect(403);
    let none = ask(&nowhere, &key).await.expect(403);
    assert_eq!(theirs.text, none.text);
    ask("no-uuid", &key).await.expect(403);
    ask(&nowhere, &server.owner).await.expect(404);
    ask("no-uuid", &server.owner).await.expect(404);
    ask(&project, &key).await.expect(200);
    // The same project in capitals is the same project, not a way around.
    ask(&project.to_uppercase(), &key).await.expect(200);
    ask(&server.project.to_uppercase(), &key).await.expect(403);
}

#[tokio::test]
async fn projects_are_listed_to_those_who_belong() {
    let server = Server::start().await;
    let (project, key) = server.other_project("other").await;
    let list = |credential: String| {
        let ask = server.ask("GET", "/accounts/projects").bearer(&credential);
        async move {
            let reply = ask.send().await.expect(200).json();
            let projects = reply["projects"].as_array().expect("a list").clone();
            projects.iter().map(|one| one["id"].clone()).collect::<Vec<_>>()
        }
    };
    assert_eq!(list(server.owner.clone()).await, [json!(server.project), json!(project)]);
    assert_eq!(list(key.clone()).await, [json!(project)]);
    assert_eq!(list(token(&key, json!({}))).await, [json!(project)]);
}

#[tokio::test]
async fn the_role_is_the_callers() {
    let server = Server::start().await;
    let key = server.key_of(&server.project).await;
    for (credential, role) in [
        (server.owner.clone(), "admin"),
        (key.clone(), "admin"),
        (token(&key, json!({"admin": {}})), "developer"),
        (token(&key, json!({})), "member"),
    ] {
        let path = format!("/accounts/projects/{}/role", server.project);
        let reply = server.ask("GET", &path).bearer(&credential).send().await.expect(200);
        assert_eq!(reply.json(), json!({ "role": role }));
    }
}

#[tokio::test]
async fn a_token_for_a_room_tells_which_project_it_is_in_and_nothing_else_of_it() {
    let server = Server::start().await;
    let key = server.key_of(&server.project).await;
    server.send("POST", "/users", json!({"user_id": "ada@example.com"})).await.expect(201);
    let all = json!({
        "agents": {}, "developer": {}, "services": {}, "storage": {}, "secrets": {}, "queues": {},
    });
    let [narrow, wide, admin] =
        [json!({}), all, json!({"admin": {}})].map(|scope| token(&key, scope));
    let profile = "/accounts/profiles/ada@example.com";
    for token in [&narrow, &wide] {
        let project = format!("/accounts/projects/{}", server.project);
        let seen = server.ask("GET", &project).bearer(token).send().await.expect(200).json();
        assert!(seen.get("settings").is_none(), "{seen}");
        let refused = server.ask("GET", &format!("{project}/users")).bearer(token).send().await;
        let told = refused.expect(403).text;
        assert!(told.contains("the token is for rooms"), "{told}");
        server.ask("GET", profile).bearer(token).send().await.expect(404);
        let listed = server.ask("GET", "/accounts/projects").bearer(token).send().await;
        let listed = listed.expect(200).json();
        assert_eq!(listed["projects"].as_array().map(Vec::len), Some(1), "{listed}");
    }
    server.ask("GET", profile).bearer(&admin).send().await.expect(200);
}

#[tokio::test]
async fn a_deleted_key_ends_itself_and_its_tokens() {
    let server = Server::start().await;
    let key = server.key_of(&server.project).await;
    let token = token(&key, json!({"admin": {}}));
    let (id, ..) = parts(&key);
    let read = |credential: &str| {
        let path = format!("/accounts/projects/{}/rooms", server.project);
        server.ask("GET", &path).bearer(credential).send()
    };
    read(&token).await.expect(200);
    server.own("DELETE", &format!("/api-keys/{id}")).send().await.expect(204);
    read(&key).await.expect(401);
    read(&token).await.expect(401);
    let (owner, ..) = parts(&server.owner);
    server.own("DELETE", &format!("/api-keys/{owner}")).send().await.expect(409);
}

#[tokio::test]
async fn connecting_gives_no_more_than_the_caller_has() {
    let server = Server::start().await;
    server.room("demo").await;
    let key = server.key_of(&server.project).await;
    let path = format!("/accounts/projects/{}/rooms/demo/connect", server.project);
    let connect = |credential: &str| server.ask("POST", &path).bearer(credential).text("{}").send();
    connect(&token(&key, json!({}))).await.expect(403);

    let ends = jsonwebtoken::get_current_timestamp() + 60;
    let mut brief = claims(&key, Some(json!({"admin": {}, "queues": {"send": ["q"]}})));
    brief["exp"] = json!(ends);
    let reply = connect(&signed(Algorithm::HS256, &brief, &key)).await.expect(200).json();
    let jwt = reply["jwt"].as_str().expect("a token");
    let minted: serde_json::Value =
        jsonwebtoken::dangerous::insecure_decode_claims(jwt).expect("claims");
    assert_eq!(minted["exp"], json!(ends));
    assert_eq!(minted["grants"][2]["scope"], json!({"admin": {}, "queues": {"send": ["q"]}}));
    assert_eq!(minted["sub"], json!(server.project));
    // What was minted is accepted by the platform that minted it.
    let role = format!("/accounts/projects/{}/role", server.project);
    let role = server.ask("GET", &role).bearer(jwt).send().await.expect(200);
    assert_eq!(role.json()["role"], "developer");
}

#[tokio::test]
async fn members_do_what_their_flags_allow() {
    let server = Server::start().await;
    server.room("demo").await;
    let (project, _) = server.other_project("other").await;
    let reach = [Access::Belong, Access::Read, Access::CreateRoom, Access::Write];
    for (user, is_developer, can_create_rooms, reach) in [
        ("member", false, false, &reach[..2]),
        ("creator", false, true, &reach[..3]),
        ("developer", true, false, &reach[..4]),
    ] {
        let flags = json!({
            "user_id": user, "is_developer": is_developer, "can_create_rooms": can_create_rooms,
        });
        server.send("POST", "/users", flags).await.expect(201);
        let key = server.key_for_user(user).await;
        for route in Platform::routes().iter().filter(|route| route.path.contains("{project}")) {
            let status = status(&server, route, Some(&format!("Bearer {key}"))).await;
            let line = format!("{} {} as {user}: {status}", route.method, route.path);
            assert_eq!(status == 403, !reach.contains(&route.access), "{line}");
        }
        let elsewhere = format!("/accounts/projects/{project}");
        server.ask("GET", &elsewhere).bearer(&key).send().await.expect(403);
        let own = format!("/accounts/projects/{}", server.project);
        let seen = server.ask("GET", &own).bearer(&key).send().await.expect(200).json();
        assert_eq!(seen.get("settings").is_some(), is_developer);
    }
}

#[tokio::test]
async fn a_member_enters_the_rooms_that_were_granted() {
    let server = Server::start().await;
    let room = server.room("demo").await;
    server.room("other").await;
    server.send("POST", "/users", json!({"user_id": "ada"})).await.expect(201);
    let key = server.key_for_user("ada").await;
    let grant = json!({
        "room_id": room, "user_id": "ada", "email": null,
        "permissions": {"queues": {"send": ["q"], "receive": null, "list": false}, "admin": null},
    });
    server.send("POST", "/room-grants", grant).await.expect(201);
    let connect = |room: &str| {
        let path = format!("/accounts/projects/{}/rooms/{room}/connect", server.project);
        server.ask("POST", &path).bearer(&key).text("{}").send()
    };
    connect("other").await.expect(403);
    let reply = connect("demo").await.expect(200).json();
    let jwt = reply["jwt"].as_str().expect("a token");
    let minted: serde_json::Value =
        jsonwebtoken::dangerous::insecure_decode_claims(jwt).expect("claims");
    assert_eq!(minted["name"], "ada");
    let scope = json!({"queues": {"send": ["q"], "list": false}});
    assert_eq!(minted["grants"][2]["scope"], scope);
    // Who leaves the project loses what was granted.
    server.own("DELETE", "/users/ada").send().await.expect(200);
    connect("demo").await.expect(403);
    server.send("POST", "/users", json!({"user_id": "ada"})).await.expect(201);
    connect("demo").await.expect(403);
}

#[tokio::test]
async fn the_owner_signs_for_every_project_of_his_and_other_keys_for_their_own() {
    let server = Server::start().await;
    let (second, its_key) = server.other_project("second").await;
    server.room("demo").await;
    let sign = |key: &str, project: &str| {
        let mut said = claims(key, Some(json!({"secrets": {}})));
        said["sub"] = json!(project);
        said["grants"][0]["scope"] = json!("demo");
        signed(Algorithm::HS256, &said, key)
    };
    let key = server.key_of(&server.project).await;
    let nobody = uuid::Uuid::new_v4().to_string();
    // Whoever is let in is told that a websocket must be asked for.
    let table = [
        ("the owner in his first project", sign(&server.owner, &server.project), 400),
        ("the owner in his second project", sign(&server.owner, &second), 400),
        ("the owner in no project", sign(&server.owner, &nobody), 401),
        ("a key in its project", sign(&key, &server.project), 400),
        ("a key in another project of its maker", sign(&key, &second), 401),
        ("the other key in the first project", sign(&its_key, &server.project), 401),
    ];
    for (who, token, expected) in table {
        let reply = server.ask("GET", "/rooms/demo").bearer(&token).send().await;
        assert_eq!(reply.status, expected, "{who}: {}", reply.text);
    }
}
