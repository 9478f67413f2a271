//! Webhooks of a platform that runs: how they are signed, and what their record shows.

use std::time::Duration;

use axum::Router;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::net::TcpListener;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::timeout;

use super::harness::{Server, token};
use super::process::{Process, server};
use super::rooms::Visitor;

/// A receiver that answers everything with one status.
struct Receiver {
    url: String,
    heard: UnboundedReceiver<(HeaderMap, String)>,
}

impl Receiver {
    async fn start(status: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}/hook", listener.local_addr().expect("an address"));
        let (hear, heard) = unbounded_channel();
        let answer = async move |headers: HeaderMap, body: String| {
            let _ = hear.send((headers, body));
            StatusCode::from_u16(status).expect("a status")
        };
        let router = Router::new().route("/hook", post(answer));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, heard }
    }

    /// What arrives next.
    async fn next(&mut self) -> (HeaderMap, String) {
        let next = timeout(Duration::from_secs(20), self.heard.recv()).await;
        next.expect("something arrives").expect("a delivery")
    }

    fn webhook(&self, name: &str) -> Value {
        json!({"name": name, "url": self.url, "events": ["*"]})
    }
}

/// Whether a delivery is signed with a secret, for the body that it came with.
fn is_signed((headers, body): &(HeaderMap, String), secret: &str) -> bool {
    let signature = headers["meshagent-signature"].to_str().expect("text");
    let signature = signature.strip_prefix("Bearer ").expect("a token");
    let mut rules = Validation::new(Algorithm::HS256);
    rules.required_spec_claims.clear();
    rules.validate_exp = false;
    let key = DecodingKey::from_secret(secret.as_bytes());
    let Ok(claims) = jsonwebtoken::decode::<Value>(signature, &key, &rules) else { return false };
    let digest = Sha256::digest(body.as_bytes());
    let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    claims.claims["sha256"] == json!(digest)
}

#[tokio::test]
async fn deliveries_are_signed_with_the_secret_that_an_option_or_a_file_gives() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("secret");
    std::fs::write(&file, "of a file\n").expect("a file");
    let file = file.to_str().expect("text");
    for (option, value, secret) in [
        ("--webhook-secret", "of an option", Some("of an option")),
        ("--webhook-secret-file", file, Some("of a file")),
        ("--max-rooms", "9", None),
    ] {
        let mut command = server(&folder.path().join(option), "");
        let process = Process::start(command.args([option, value]));
        let mut receiver = Receiver::start(200).await;
        let made = process.reached.own("POST", "/webhooks");
        let made = made.body(receiver.webhook("all").to_string()).send().await.expect("an answer");
        assert_eq!(made.status(), 201);
        let given = token(&process.reached.key, json!({}));
        let entered = Visitor::try_enter(&process.reached.url, "demo", &given, false).await;
        entered.expect("a way in").leave().await;
        for event in ["room.started", "room.ended"] {
            let told = receiver.next().await;
            let body: Value = serde_json::from_str(&told.1).expect("JSON");
            assert_eq!(body["event"], json!(event), "{body}");
            match secret {
                Some(secret) => {
                    assert!(is_signed(&told, secret), "{told:?}");
                    assert!(!is_signed(&told, "another"), "{told:?}");
                }
                None => assert!(!told.0.contains_key("meshagent-signature"), "{told:?}"),
            }
        }
    }
}

/// The record of a webhook, once it is as expected.
async fn record(server: &Server, id: &str, expected: impl Fn(&Value) -> bool) -> Value {
    for _ in 0..2000 {
        let path = format!("/webhooks/{id}/deliveries");
        let record = server.read(&path).await.expect(200).json();
        if expected(&record) {
            return record;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{}", server.read(&format!("/webhooks/{id}/deliveries")).await.text);
}

#[tokio::test]
async fn the_record_of_a_webhook_shows_what_is_being_tried_and_what_has_ended() {
    let server = Server::start().await;
    server.room("demo").await;
    let (mut failing, healthy) = (Receiver::start(500).await, Receiver::start(204).await);
    let mut ids = Vec::new();
    for (name, receiver) in [("failing", &failing), ("healthy", &healthy)] {
        let made = server.send("POST", "/webhooks", receiver.webhook(name)).await.expect(201);
        ids.push(made.json()["id"].as_str().expect("an id").to_owned());
    }
    let nothing =
        json!({"deliveries": [], "waiting": 0, "left_out": {"count": 0, "last_at": null}});
    assert_eq!(record(&server, &ids[0], |_| true).await, nothing);
    let key = server.key_of(&server.project).await;
    Visitor::enter(&server, "demo", &token(&key, json!({}))).await.leave().await;

    let tried = |record: &Value| record["deliveries"][0]["attempts"].as_i64() >= Some(2);
    let tried = record(&server, &ids[0], tried).await;
    // What comes later waits for it.
    assert_eq!(
        (&tried["waiting"], tried["deliveries"].as_array().map(Vec::len)),
        (&json!(2), Some(1))
    );
    let one = &tried["deliveries"][0];
    assert_eq!((&one["event"], &one["delivered"]), (&json!("room.started"), &json!(false)));
    assert_eq!(one["ended_at"], Value::Null);
    let time = |name: &str| one[name].as_str().and_then(|text| text.parse().ok());
    let (noted, next): (Option<jiff::Timestamp>, _) = (time("noted_at"), time("next_attempt_at"));
    assert!(noted.is_some() && noted < next, "{one}");
    let problem = one["problem"].as_str().expect("a problem");
    assert!(problem.contains("answered with 500"), "{problem}");
    let ids_told: Vec<_> = [failing.next().await, failing.next().await]
        .map(|(headers, _)| headers["meshagent-event-id"].to_str().expect("text").to_owned())
        .into();
    assert_eq!(ids_told[0], ids_told[1]);
    assert_eq!(one["event_id"], json!(ids_told[0]));

    let ended = |record: &Value| record["deliveries"].as_array().map(Vec::len) == Some(2);
    let ended = |record: &Value| ended(record) && record["waiting"] == json!(0);
    let ended = record(&server, &ids[1], ended).await;
    let told: Vec<_> = ended["deliveries"].as_array().into_iter().flatten().collect();
    assert_eq!(
        (&told[0]["event"], &told[1]["event"]),
        (&json!("room.ended"), &json!("room.started"))
    );
    for one in told {
        assert_eq!((&one["attempts"], &one["delivered"]), (&json!(1), &json!(true)), "{one}");
        assert!(one["ended_at"].is_string() && one["problem"].is_null(), "{one}");
    }
}

#[tokio::test]
async fn whoever_is_told_that_a_room_started_is_told_that_it_ended_even_if_the_server_is_killed() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    let process = Process::start(&mut server(&data, ""));
    let mut receiver = Receiver::start(200).await;
    let made = process.reached.own("POST", "/webhooks");
    let made = made.body(receiver.webhook("all").to_string()).send().await.expect("an answer");
    assert_eq!(made.status(), 201);
    let given = token(&process.reached.key, json!({}));
    let entered = Visitor::try_enter(&process.reached.url, "demo", &given, false).await;
    let mut visitor = entered.expect("a way in");
    visitor.greeting().await;
    assert!(receiver.next().await.1.contains("room.started"));
    drop(process);
    let _next = Process::start(&mut server(&data, ""));
    let (_, mut told) = receiver.next().await;
    if told.contains("room.started") {
        // It was killed before it was recorded that this had arrived.
        told = receiver.next().await.1;
    }
    let told: Value = serde_json::from_str(&told).expect("JSON");
    assert_eq!(told, json!({"event": "room.ended", "data": {"room_name": "demo"}}));
}

#[tokio::test]
async fn what_waits_when_the_server_ends_is_logged_and_delivered_by_the_next() {
    let folder = tempfile::tempdir().expect("a folder");
    let (data, log) = (folder.path().join("data"), folder.path().join("log"));
    let mut command = server(&data, "");
    let file = std::fs::File::create(&log).expect("a file");
    let mut process = Process::start(command.stderr(file));
    let mut receiver = Receiver::start(500).await;
    let made = process.reached.own("POST", "/webhooks");
    let made = made.body(receiver.webhook("all").to_string()).send().await.expect("an answer");
    assert_eq!(made.status(), 201);
    let given = token(&process.reached.key, json!({}));
    let entered = Visitor::try_enter(&process.reached.url, "demo", &given, false).await;
    entered.expect("a way in").leave().await;
    let id = |(headers, _): &(HeaderMap, String)| headers["meshagent-event-id"].clone();
    let first = receiver.next().await;
    process.terminate();
    assert_eq!(process.ends(Duration::from_secs(20)), Some(0));
    let log = std::fs::read_to_string(log).expect("a log");
    assert!(log.contains("2 events could not be delivered to webhooks in time"), "{log}");
    // What was tried meanwhile is there before what the next server tries.
    while receiver.heard.try_recv().is_ok() {}
    let _next = Process::start(&mut server(&data, ""));
    assert_eq!(id(&receiver.next().await), id(&first));
}
