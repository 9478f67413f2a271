//! Secrets of rooms: whose they are, how they are asked for, and what is on the disk.

mod oauth;
mod requests;

use meshagent::room::client::{Incoming, Room};
use meshagent::room::content::Refused;
use meshagent::room::operation::Secret;
use meshagent::room::secrets::{Delete, Get, Info, List, Set};
use secrecy::{ExposeSecret, SecretBox, SecretString};
use serde_json::{Value, json};

use super::harness::{Server, claims, signed};
use super::process::{Process, server};

/// Enters the room `demo` under a name, with a scope.
async fn entered(url: &str, key: &str, name: &str, scope: Value) -> (Room, Incoming) {
    let mut claims = claims(key, Some(scope));
    claims["name"] = json!(name);
    let token = SecretString::from(signed(jsonwebtoken::Algorithm::HS256, &claims, key));
    let url = format!("{}/rooms/demo", url.replace("http", "ws"));
    Room::enter(&url, &token, true).await.expect("a way in")
}

/// A platform with the room `demo`, and a key of its project.
struct Demo {
    server: Server,
    key: String,
}

impl Demo {
    async fn start() -> Self {
        let server = Server::start().await;
        server.room("demo").await;
        let key = server.key_of(&server.project).await;
        Self { server, key }
    }

    /// Enters with all that secrets need.
    async fn enter(&self, name: &str) -> (Room, Incoming) {
        entered(&self.server.url, &self.key, name, json!({"secrets": {}})).await
    }
}

fn secret(bytes: &[u8]) -> Secret {
    SecretBox::new(Box::new(bytes.to_vec()))
}

/// A secret with an id, and with what else is said of it.
fn set(id: &str, value: &[u8], more: Value) -> Set {
    let mut header = json!({"secret_id": id});
    for (name, value) in more.as_object().expect("an object") {
        header[name] = value.clone();
    }
    Set { data: secret(value), ..serde_json::from_value(header).expect("a secret") }
}

fn get(asked: Value) -> Get {
    serde_json::from_value(asked).expect("a question")
}

/// The value of a secret, if there is one.
async fn value(room: &Room, asked: Value) -> Option<Vec<u8>> {
    let held = room.perform(&get(asked)).await.expect("an answer");
    held.map(|held| held.data.expose_secret().clone())
}

async fn listed(room: &Room) -> Vec<Info> {
    room.perform(&List {}).await.expect("a list").secrets
}

fn code<T>(done: Result<T, Refused>) -> Option<i64> {
    done.err().expect("a refusal").code
}

#[tokio::test]
async fn a_secret_is_its_identitys_and_whose_it_is_delegated_to() {
    let demo = Demo::start().await;
    let (ada, _a) = demo.enter("ada").await;
    let (bob, _b) = demo.enter("bob").await;
    let (eve, _e) = demo.enter("eve").await;
    let all = [0, 255, 10];
    ada.perform(&set("key", &all, json!({"type": "t/x", "name": "Key"}))).await.expect("stored");
    ada.perform(&set("empty", b"", json!({}))).await.expect("stored");
    ada.perform(&set("key", b"for bob", json!({"delegated_to": "bob"}))).await.expect("stored");
    let info = |id: &str, kind: &str, name: &str, whom: Option<&str>| Info {
        id: id.to_owned(),
        kind: kind.to_owned(),
        name: name.to_owned(),
        delegated_to: whom.map(str::to_owned),
    };
    let bytes = "application/octet-stream";
    let own = vec![
        info("key", "t/x", "Key", None),
        info("empty", bytes, "empty", None),
        info("key", bytes, "key", Some("bob")),
    ];
    assert_eq!(listed(&ada).await, own);
    // Another connection of the same name has them, too.
    let (again, _again) = demo.enter("ada").await;
    assert_eq!(listed(&again).await, own);
    let held = again.perform(&get(json!({"secret_id": "key"}))).await.expect("a secret");
    let held = held.expect("a secret");
    assert_eq!((held.name.as_str(), held.mime_type.as_str()), ("Key", "t/x"));
    assert_eq!(held.data.expose_secret(), &all);
    for asked in [json!({"type": "t/x"}), json!({"name": "Key"})] {
        assert_eq!(value(&ada, asked).await.as_deref(), Some(&all[..]));
    }
    assert_eq!(value(&ada, json!({"secret_id": "key", "type": "other"})).await, None);
    assert_eq!(value(&ada, json!({"secret_id": "empty"})).await.as_deref(), Some(&b""[..]));
    // What is delegated needs that name, of its owner and of whom it is delegated to.
    let delegated = json!({"secret_id": "key", "delegated_to": "bob"});
    for room in [&ada, &bob] {
        assert_eq!(value(room, delegated.clone()).await.as_deref(), Some(&b"for bob"[..]));
    }
    assert_eq!(value(&bob, json!({"secret_id": "key"})).await, None);
    assert_eq!(value(&eve, delegated.clone()).await, None);
    assert_eq!(value(&eve, json!({"secret_id": "key", "delegated_to": "ada"})).await, None);
    assert_eq!((listed(&bob).await, listed(&eve).await), (Vec::new(), Vec::new()));
    // Nobody puts a secret before another one that was delegated earlier, or deletes it.
    eve.perform(&set("key", b"false", json!({"delegated_to": "bob"}))).await.expect("stored");
    assert_eq!(value(&bob, delegated.clone()).await.as_deref(), Some(&b"for bob"[..]));
    let gone =
        |whom: Option<&str>| Delete { id: "key".to_owned(), delegated_to: whom.map(str::to_owned) };
    assert_eq!(code(bob.perform(&gone(Some("bob"))).await), Some(1003));
    assert_eq!(code(bob.perform(&gone(None)).await), Some(1003));
    ada.perform(&gone(Some("bob"))).await.expect("deleted");
    assert_eq!(code(ada.perform(&gone(Some("bob"))).await), Some(1003));
    assert_eq!(value(&ada, json!({"secret_id": "key"})).await.as_deref(), Some(&all[..]));
    // A secret that is stored again is replaced as a whole; one without an id by its name.
    ada.perform(&set("key", b"new", json!({}))).await.expect("stored");
    for value in [b"one", b"two"] {
        let named = Set { secret_id: None, ..set("", value, json!({"name": "named"})) };
        ada.perform(&named).await.expect("stored");
    }
    let known = listed(&ada).await;
    assert_eq!(known.len(), 3, "{known:?}");
    assert_eq!(known[0], info("key", bytes, "key", None));
    assert_eq!(value(&ada, json!({"name": "named"})).await.as_deref(), Some(&b"two"[..]));
}

#[tokio::test]
async fn only_administrators_store_secrets_for_others() {
    let demo = Demo::start().await;
    let scope = json!({"secrets": {}, "admin": {}});
    let (admin, _a) = entered(&demo.server.url, &demo.key, "admin", scope).await;
    let (ada, _b) = demo.enter("ada").await;
    let for_ada = || set("key", b"given", json!({"for_identity": "ada"}));
    assert_eq!(code(ada.perform(&for_ada()).await), Some(1001));
    admin.perform(&for_ada()).await.expect("stored");
    assert_eq!(value(&ada, json!({"secret_id": "key"})).await.as_deref(), Some(&b"given"[..]));
    // It is not the administrator's.
    assert_eq!(listed(&admin).await, []);
    assert_eq!(value(&admin, json!({"secret_id": "key"})).await, None);
    assert_eq!(listed(&ada).await.len(), 1);
}

#[tokio::test]
async fn what_is_too_much_or_says_nothing_is_refused() {
    let demo = Demo::start().await;
    let (ada, _a) = demo.enter("ada").await;
    ada.perform(&set("most", &[7; 64 * 1024], json!({}))).await.expect("stored");
    assert_eq!(value(&ada, json!({"secret_id": "most"})).await.map(|it| it.len()), Some(65536));
    for wrong in [
        set("more", &[7; 64 * 1024 + 1], json!({})),
        set(&"x".repeat(257), b"x", json!({})),
        set("line\nbreak", b"x", json!({})),
        set("x", b"x", json!({"name": "x".repeat(1025)})),
        set("x", b"x", json!({"delegated_to": "x".repeat(257)})),
        set("x", b"", json!({"has_data": false})),
    ] {
        assert_eq!(code(ada.perform(&wrong).await), Some(1002), "{wrong:?}");
    }
    assert_eq!(code(ada.perform(&get(json!({}))).await), Some(1002));
    let (unnamed, _u) = demo.enter("").await;
    assert_eq!(code(unnamed.perform(&List {}).await), Some(1002));
    // An identity has so many, and no more.
    let pool = demo.server.store().await;
    sqlx::query(
        "INSERT INTO room_secrets WITH RECURSIVE n (n) AS (SELECT 2 UNION ALL SELECT n + 1 FROM n \
         WHERE n < 1000) SELECT 'i' || n, (SELECT id FROM rooms), 'ada', '', 'stored', 's' || n, \
         't', 'n', NULL, '', n FROM n",
    )
    .execute(&pool)
    .await
    .expect("secrets");
    pool.close().await;
    assert_eq!(code(ada.perform(&set("last", b"x", json!({}))).await), Some(1006));
    ada.perform(&set("most", b"x", json!({}))).await.expect("replaced");
    assert_eq!(listed(&ada).await.len(), 1000);
    let (bob, _b) = demo.enter("bob").await;
    bob.perform(&set("first", b"x", json!({}))).await.expect("stored");
}

/// Whether a text is in a file of a folder.
fn is_on_disk(folder: &std::path::Path, text: &str) -> bool {
    let files = walkdir::WalkDir::new(folder).into_iter().map(|entry| entry.expect("an entry"));
    let mut files = files.filter(|entry| entry.file_type().is_file());
    files.any(|file| {
        let bytes = std::fs::read(file.path()).expect("a file");
        bytes.windows(text.len()).any(|window| window == text.as_bytes())
    })
}

#[tokio::test]
async fn secrets_outlive_a_killed_server_and_are_nowhere_in_clear_text() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    let canary = "canary-of-a-room-secret";
    let mut first = Process::start(&mut server(&data, ""));
    assert_eq!(first.reached.create_room("demo").await, Some(201));
    let key = first.reached.key.clone();
    let (ada, _a) = entered(&first.reached.url, &key, "ada", json!({"secrets": {}})).await;
    ada.perform(&set("key", canary.as_bytes(), json!({"name": "plain-name"}))).await.expect("kept");
    first.child.kill().expect("killed");
    first.child.wait().expect("an end");
    assert!(!is_on_disk(&data, canary));
    assert!(!is_on_disk(&data, "Y2FuYXJ5LW9mLWEtcm9vbS1zZWNyZXQ"));
    // What the test would find if it were there.
    assert!(is_on_disk(&data, "plain-name"));
    // All is encrypted anew with another key, and still opens.
    let rotated = std::process::Command::new(env!("CARGO_BIN_EXE_meshagent"))
        .args(["server", "--rotate-key-file", "--data"])
        .arg(&data)
        .env("HOME", folder.path())
        .output()
        .expect("a run");
    assert!(rotated.status.success(), "{}", String::from_utf8_lossy(&rotated.stderr));
    let second = Process::start(&mut server(&data, ""));
    let (ada, _a) = entered(&second.reached.url, &key, "ada", json!({"secrets": {}})).await;
    let kept = value(&ada, json!({"secret_id": "key"})).await;
    assert_eq!(kept.as_deref(), Some(canary.as_bytes()));
    // They go with the room, and another one of its name has none of them.
    let reached = &second.reached;
    let room = reached.own("GET", "/rooms/demo").send().await.expect("an answer");
    let room: Value = serde_json::from_str(&room.text().await.expect("a body")).expect("a room");
    let path = format!("/rooms/{}", room["id"].as_str().expect("an id"));
    let gone = reached.own("DELETE", &path).send().await.expect("an answer");
    assert!(gone.status().is_success(), "{gone:?}");
    assert_eq!(reached.create_room("demo").await, Some(201));
    let (ada, _a) = entered(&reached.url, &key, "ada", json!({"secrets": {}})).await;
    assert_eq!(listed(&ada).await, []);
}

#[tokio::test]
async fn a_secret_in_the_place_of_another_does_not_open() {
    let demo = Demo::start().await;
    let (ada, _a) = demo.enter("ada").await;
    for id in ["one", "two"] {
        ada.perform(&set(id, id.as_bytes(), json!({}))).await.expect("stored");
    }
    let pool = demo.server.store().await;
    let swap = "UPDATE room_secrets SET data = (SELECT data FROM room_secrets WHERE secret_id = \
                'two') WHERE secret_id = 'one'";
    sqlx::query(swap).execute(&pool).await.expect("a change");
    pool.close().await;
    let refused = ada.perform(&get(json!({"secret_id": "one"}))).await.expect_err("a refusal");
    assert_eq!((refused.text.as_str(), refused.code), ("the platform failed", Some(1008)));
    assert_eq!(value(&ada, json!({"secret_id": "two"})).await.as_deref(), Some(&b"two"[..]));
}
