//! Whom a project learns of.

use serde_json::json;

use super::harness::Server;

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
