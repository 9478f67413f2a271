//! Whatever updates or deletes an object does so only to the one that was looked at.

use serde_json::json;

use super::others::Others;
use super::{Asks, Row, rows};
use crate::platform::harness::{Server, service};

impl Others {
    /// The path of what a route changes, with an object behind it.
    fn path_of_one(&self, row: &Row, in_room: &str) -> String {
        match row.path.as_str() {
            "/projects/{project}/storage" => {
                format!("/projects/{}/storage?path=canary", self.project)
            }
            "/accounts/profiles/{user}" => "/accounts/profiles/me".to_owned(),
            path if path.contains("/rooms/{room}/services/") => {
                format!("/accounts/projects/{}/rooms/canary-room/services/{in_room}", self.project)
            }
            // Rooms are changed by their ids, which come first.
            _ => self.paths(row, &self.project).remove(0),
        }
    }
}

#[tokio::test]
async fn nothing_is_changed_or_deleted_by_whoever_looked_at_another_state_of_it() {
    let server = Server::start().await;
    let others = Others::new(&server).await;
    let in_room = others.make(&server, "/rooms/canary-room/services", service("in-room")).await;
    let upload = format!("/projects/{}/storage/upload?path=canary", others.project);
    server.ask("POST", &upload).bearer(&server.owner).text("x").send().await.expect(201);
    let before = others.listed(&server).await;
    let mut walked = 0;
    for row in rows().iter().filter(|row| matches!(row.method.as_str(), "PUT" | "DELETE")) {
        assert_ne!(row.asks, Asks::Open, "{}", row.path);
        let path = others.path_of_one(row, &in_room);
        let body = match row.path.ends_with("/settings") {
            true => json!({"canary": true}),
            false => others.body(row),
        };
        // No object has ever had the revision 0, and whatever is there is something.
        for condition in [("if-match", "\"0\""), ("if-match", "W/\"1\""), ("if-none-match", "*")] {
            let ask = server.ask(&row.method, &path).bearer(&server.owner).json(&body);
            let reply = ask.header(condition.0, condition.1).send().await;
            let what = format!("{} {path} with {condition:?}: {}", row.method, reply.text);
            assert_eq!(reply.status, 412, "{what}");
        }
        walked += 1;
    }
    assert!(walked >= 20, "{walked}");
    assert_eq!(others.listed(&server).await, before, "something has changed");
}

/// Handlers get a write that changes from a condition alone; what has no entity tag is changed
/// elsewhere.
#[test]
fn no_handler_changes_anything_without_a_condition() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/platform/rest");
    let files = walkdir::WalkDir::new(root).into_iter().flatten();
    let files = files.filter(|entry| entry.path().extension().is_some_and(|it| it == "rs"));
    let (mut seen, mut found) = (0, Vec::new());
    for file in files {
        let text = std::fs::read_to_string(file.path()).expect("a file");
        seen += text.matches("condition.admits").count();
        if text.contains("without_condition") {
            found.push(file.path().display().to_string());
        }
    }
    assert!(seen >= 12, "{seen} conditions were seen");
    assert_eq!(found, Vec::<String>::new());
}
