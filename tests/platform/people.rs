//! Whom a project learns of.

use serde_json::{Value, json};

use super::harness::{Reply, Server};

/// A key of one project gets the same answer for somebody of another as for nobody at all.
#[tokio::test]
async fn a_project_learns_nothing_of_the_people_of_others() {
    let server = Server::start().await;
    server.send("POST", "/users", json!({"user_id": "ada@example.com"})).await.expect(201);
    let (project, key) = server.other_project("other").await;
    let users = format!("/accounts/projects/{project}/users");
    let add = async |key: &str, user: &str| {
        let ask = server.ask("POST", &users).bearer(key);
        ask.json(&json!({ "user_id": user })).send().await
    };
    let mut answers = Vec::new();
    for user in ["ada@example.com", "bob@example.com", "nobody"] {
        let told = add(&key, user).await.expect(403).json()["error"].to_string();
        answers.push(told.replace(user, "USER"));
        let profile = server.ask("GET", &format!("/accounts/profiles/{user}")).bearer(&key);
        profile.send().await.expect(404);
    }
    assert!(answers.iter().all(|told| *told == answers[0]), "{answers:?}");
    // The owner adds both, and whoever is in the project already is nobody new.
    for user in ["ada@example.com", "bob@example.com"] {
        add(&server.owner, user).await.expect(201);
        add(&key, user).await.expect(409);
    }
    // Who is an admin in two projects brings people of one into the other.
    let admin = json!({"user_id": "eve", "is_admin": true});
    server.send("POST", "/users", admin.clone()).await.expect(201);
    server.send("POST", "/users", json!({"user_id": "sam"})).await.expect(201);
    let eve = server.key_for_user("eve").await;
    add(&eve, "sam").await.expect(403);
    let ask = server.ask("POST", &users).bearer(&server.owner);
    ask.json(&admin).send().await.expect(201);
    add(&eve, "sam").await.expect(201);
    add(&eve, "zoe").await.expect(403);
}

/// Asks for the policy of a project with a key: `how` is `policy:grant` or `policy:revoke`.
async fn policy(server: &Server, (project, key): (&str, &str), how: &str, whom: Value) -> Reply {
    let path = format!("/accounts/projects/{project}/iam/project/{project}/{how}");
    let body = json!({ "subject": whom, "roles": ["developer"] });
    server.ask("POST", &path).bearer(key).json(&body).send().await
}

/// The members and their roles.
async fn members(server: &Server) -> Vec<(String, bool)> {
    let users = server.read("/users").await.expect(200).json();
    let users = users["users"].as_array().expect("a list").clone();
    let member = |user: &Value| {
        let id = user["id"].as_str().expect("an id").to_owned();
        (id, user["is_developer"].as_bool().expect("a flag"))
    };
    users
        .iter()
        .map(member)
        .filter(|(id, _)| id.to_lowercase().contains("dup") || id == "nomail")
        .collect()
}

#[tokio::test]
async fn a_grant_is_for_the_one_with_exactly_this_id() {
    let server = Server::start().await;
    for user in ["dup@x.example", "other", "nomail"] {
        server.send("POST", "/users", json!({ "user_id": user })).await.expect(201);
    }
    // Platforms of earlier versions allowed two people of one address.
    let pool = server.store().await;
    let update =
        "UPDATE users SET id = 'DUP@x.example', email = 'DUP@x.example' WHERE id = 'other'";
    let mut connection = pool.acquire().await.expect("a connection");
    for sql in ["PRAGMA foreign_keys = OFF", update] {
        sqlx::query(sql).execute(&mut *connection).await.expect("a user");
    }
    let update = "UPDATE members SET user_id = 'DUP@x.example' WHERE user_id = 'other'";
    sqlx::query(update).execute(&mut *connection).await.expect("a member");
    drop(connection);
    pool.close().await;

    let (account, admin) = server.account("adm").await;
    server.granted(&account, "admin").await;
    let all = |first, second| {
        [("dup@x.example", first), ("nomail", false), ("DUP@x.example", second)]
            .map(|(id, builds)| (id.to_owned(), builds))
    };
    let sorted = async || {
        let mut members = members(&server).await;
        members.sort_by_key(|(id, _)| {
            ["dup@x.example", "nomail"].iter().position(|it| it == id).unwrap_or(2)
        });
        members
    };
    let here = server.project.as_str();
    for key in [&*server.owner, &*admin] {
        let by = async |how, whom| policy(&server, (here, key), how, whom).await;
        by("policy:grant", json!({"type": "user", "id": "DUP@x.example"})).await.expect(200);
        assert_eq!(sorted().await, all(false, true));
        // Whom an address means that several have is not guessed, and the empty one is nobody's.
        for how in ["policy:grant", "policy:revoke"] {
            by(how, json!({"type": "user", "email": "Dup@x.example"})).await.expect(409);
            by(how, json!({"type": "user", "id": "Dup@x.example"})).await.expect(409);
            by(how, json!({"type": "user", "id": ""})).await.refuses("subject.id");
            by(how, json!({"type": "user", "email": ""})).await.refuses("subject.email");
            by(how, json!({"type": "user", "email": "nomail"})).await.refuses("subject.email");
        }
        assert_eq!(sorted().await, all(false, true));
    }
    let group = server.send("POST", "/groups", json!({"name": "g"})).await.expect(201).json();
    let group = format!("/groups/{}/members", group["id"].as_str().expect("an id"));
    for (whom, status) in [("", 400), ("Dup@x.example", 409), ("DUP@x.example", 200)] {
        let subject = json!({"subject": {"type": "user", "id": whom}});
        server.send("POST", &group, subject).await.expect(status);
    }
    let listed = server.read(&group).await.expect(200).json();
    assert_eq!(listed["members"][0]["subject"]["id"], "DUP@x.example", "{listed}");

    let whom = json!({"type": "user", "id": "DUP@x.example"});
    policy(&server, (here, &admin), "policy:revoke", whom).await.expect(200);
    assert_eq!(sorted().await, all(false, false)[..2]);
}

#[tokio::test]
async fn no_two_people_have_one_address() {
    let server = Server::start().await;
    server.send("POST", "/users", json!({"user_id": "dup@x.example"})).await.expect(201);
    for user in ["DUP@x.example", "owner@localhost", "Owner@LocalHost"] {
        let told = server.send("POST", "/users", json!({ "user_id": user })).await.expect(409);
        assert!(told.text.contains("is that of the user"), "{}", told.text);
    }
    // By the address, it is the same person.
    let here = (server.project.as_str(), server.owner.as_str());
    let whom = json!({"type": "user", "email": "DUP@x.example"});
    policy(&server, here, "policy:grant", whom).await.expect(200);
    assert_eq!(members(&server).await, [("dup@x.example".to_owned(), true)]);
}

/// How an address is written by somebody else is not told to those who do not see that person.
#[tokio::test]
async fn an_address_does_not_tell_whether_others_have_such_a_person() {
    let server = Server::start().await;
    let (other, _) = server.other_project("other").await;
    let users = format!("/accounts/projects/{other}/users");
    let ask = server.ask("POST", &users).bearer(&server.owner);
    ask.json(&json!({"user_id": "secret@other.example"})).send().await.expect(201);
    let room = server.room("hall").await;
    let group = server.send("POST", "/groups", json!({"name": "g"})).await.expect(201).json();
    let group = group["id"].as_str().expect("an id");
    let (account, admin) = server.account("adm").await;
    server.granted(&account, "admin").await;
    let policy = format!("/iam/project/{}/policy", server.project);
    for (path, role, status) in [
        (format!("{policy}:grant"), "developer", 403),
        (format!("{policy}:revoke"), "developer", 404),
        (format!("/iam/room/{room}/policy:grant"), "viewer", 400),
        (format!("/iam/room/{room}/policy:revoke"), "viewer", 404),
        (format!("/groups/{group}/members"), "member", 400),
    ] {
        let path = format!("/accounts/projects/{}{path}", server.project);
        for by in ["id", "email"] {
            let mut told = Vec::new();
            for whom in ["SECRET@other.example", "NOBODY@other.example"] {
                let body = json!({"subject": {"type": "user", by: whom}, "roles": [role]});
                let reply = server.ask("POST", &path).bearer(&admin).json(&body).send().await;
                told.push(reply.expect(status).json()["error"].to_string().replace(whom, "WHOM"));
            }
            assert_eq!(told[0], told[1], "{path}");
            assert!(told[0].contains("WHOM"), "{told:?}");
        }
    }
}

/// What is granted to groups, agents and everyone, and to accounts in rooms, is shown until it is taken
/// back or they are deleted, and lets nobody do anything.
#[tokio::test]
async fn what_has_no_effect_here_is_kept() {
    let server = Server::start().await;
    let room = server.room("hall").await;
    let made = server.send("POST", "/groups", json!({"name": "g"})).await.expect(201).json();
    let group = made["id"].as_str().expect("an id").to_owned();
    let (account, key) = server.account("bot").await;
    let ends = [format!("project/{}", server.project), format!("room/{room}")];
    let path = |end: &str, how: &str| format!("/iam/{end}/policy{how}");
    let lines = async |end: &str| {
        let told = server.own("GET", &path(end, "")).header("consistency", "fast").send().await;
        let told = told.expect(200).json();
        let of = |line: &Value| {
            let kind = line["subject"]["type"].as_str().expect("a type").to_owned();
            format!("{kind} {} {}", line["subject"]["name"], line["direct_roles"])
        };
        let lines = told["access_grants"].as_array().expect("a list").iter().map(of);
        let mut lines: Vec<String> = lines.filter(|it| !it.starts_with("user ")).collect();
        lines.sort();
        lines
    };
    let subjects = [
        json!({"type": "group", "id": group}),
        json!({"type": "everyone", "id": "all"}),
        json!({"type": "service_account", "id": account}),
    ];
    for (end, role) in ends.iter().zip(["admin", "viewer"]) {
        for subject in &subjects {
            // What an account was granted in the project has an effect.
            if end.starts_with("project") && subject["type"] == "service_account" {
                continue;
            }
            let body = json!({"subject": subject, "roles": [role]});
            for _ in 0..2 {
                server.send("POST", &path(end, ":grant"), body.clone()).await.expect(200);
            }
        }
    }
    let of = |role: &str| {
        [format!("everyone \"everyone\" [\"{role}\"]"), format!("group \"g\" [\"{role}\"]")]
    };
    assert_eq!(lines(&ends[0]).await, of("admin"));
    let [everyone, of_group] = of("viewer");
    let bot = "service_account \"bot\" [\"viewer\"]".to_owned();
    assert_eq!(lines(&ends[1]).await, [everyone.clone(), of_group.clone(), bot.clone()]);
    // Neither as everyone nor by a role in a room does the account see the project.
    let rooms = format!("/accounts/projects/{}/rooms", server.project);
    let denied = server.ask("GET", &rooms).bearer(&key).send().await;
    assert!((401..=404).contains(&denied.status), "{denied:?}");
    server
        .send("POST", &path(&ends[1], ":revoke"), json!({"subject": subjects[1]}))
        .await
        .expect(200);
    server
        .send("POST", &path(&ends[1], ":revoke"), json!({"subject": subjects[1]}))
        .await
        .expect(404);
    assert_eq!(lines(&ends[1]).await, [of_group, bot.clone()]);
    server.own("DELETE", &format!("/groups/{group}")).send().await.expect(204);
    assert_eq!(lines(&ends[1]).await, [bot]);
    assert_eq!(lines(&ends[0]).await, of("admin")[..1]);
    server.own("DELETE", &format!("/service-accounts/{account}")).send().await;
    assert_eq!(lines(&ends[1]).await, Vec::<String>::new());
}

#[tokio::test]
async fn whoever_is_not_there_is_refused_clearly() {
    let server = Server::start().await;
    let here = (server.project.as_str(), server.owner.as_str());
    for (whom, field, told) in [
        (json!({"type": "everyone", "id": "some"}), "subject.id", "must be all"),
        (json!({"type": "group"}), "subject.id", "is required"),
        (json!({"type": "group", "id": "g"}), "subject.id", "group \"g\" does not exist"),
        (json!({"type": "agent", "id": "a"}), "subject.id", "agent \"a\" does not exist"),
        (json!({"type": "robot", "id": "r"}), "subject.type", "must be user, service_account"),
        (json!({"type": "service_account", "id": ""}), "subject.id", "does not exist"),
        (json!({"type": "service_account", "email": ""}), "subject.id", "does not exist"),
    ] {
        for how in ["policy:grant", "policy:revoke"] {
            let refused = policy(&server, here, how, whom.clone()).await.refuses(field).text;
            assert!(refused.contains(told.split('"').next().expect("a text")), "{refused}");
        }
    }
}
