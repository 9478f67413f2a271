//! Secrets that one participant asks another one for.

use std::time::Duration;

use meshagent::room::client::{Incoming, Room};
use meshagent::room::content::Refused;
use meshagent::room::messaging::Enable;
use meshagent::room::secrets::{DeleteRequested, Held, Provide, Request};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use tokio::time::timeout;

use super::{Demo, code, entered, get, listed, secret, value};

/// What is asked of a participant.
fn request(whom: &Room, more: Value) -> Request {
    let mut asked =
        json!({"url": "https://x", "type": "t", "participant_id": whom.identity().participant_id});
    for (name, value) in more.as_object().expect("an object") {
        asked[name] = value.clone();
    }
    serde_json::from_value(asked).expect("a request")
}

/// The next request that a participant hears of, and its id.
async fn heard(incoming: &mut Incoming) -> (String, Value) {
    loop {
        let message = timeout(Duration::from_secs(20), incoming.next()).await;
        let message = message.expect("something is heard").expect("a message");
        if message.kind == "secrets.request_secret" {
            let id = message.header["request_id"].as_str().expect("an id").to_owned();
            return (id, message.header["request"].clone());
        }
    }
}

fn provided(id: &str, value: &[u8]) -> Provide {
    Provide { request_id: id.to_owned(), error: None, data: secret(value) }
}

fn declined(id: &str, why: &str) -> Provide {
    Provide { error: Some(why.to_owned()), ..provided(id, b"") }
}

fn bytes(held: Result<Held, Refused>) -> Vec<u8> {
    held.expect("a secret").data.expose_secret().clone()
}

#[tokio::test]
async fn a_secret_is_asked_for_once_and_kept() {
    let demo = Demo::start().await;
    let (ada, _a) = demo.enter("ada").await;
    let (bob, mut of_bob) = demo.enter("bob").await;
    let (eve, _e) = demo.enter("eve").await;
    let asked = request(&bob, json!({}));
    let answer = async {
        let (id, about) = heard(&mut of_bob).await;
        let told = json!({
            "url": "https://x", "type": "t", "participant_id": bob.identity().participant_id, "timeout": 300,
            "delegate_to": null,
        });
        assert_eq!(about, told);
        // Only whoever was asked answers, and only once.
        assert_eq!(code(eve.perform(&provided(&id, b"false")).await), Some(1003));
        let large = provided(&id, &[7; 64 * 1024 + 1]);
        assert_eq!(code(bob.perform(&large).await), Some(1002));
        bob.perform(&provided(&id, b"\0given")).await.expect("taken");
        assert_eq!(code(bob.perform(&provided(&id, b"again")).await), Some(1003));
    };
    let (held, ()) = tokio::join!(ada.perform(&asked), answer);
    assert_eq!(bytes(held), b"\0given");
    // It is the one of whoever has asked, who is not asked again for whom it is.
    assert_eq!(bytes(ada.perform(&asked).await), b"\0given");
    let known = listed(&ada).await;
    assert_eq!(
        (known.len(), known[0].name.as_str(), known[0].kind.as_str()),
        (1, "https://x", "t")
    );
    assert_eq!(value(&ada, json!({"name": "https://x"})).await.as_deref(), Some(&b"\0given"[..]));
    assert_eq!(value(&bob, json!({"name": "https://x"})).await, None);
    // What is forgotten is asked for again.
    let forget = DeleteRequested { url: asked.url.clone(), kind: "t".into(), delegated_to: None };
    for _ in 0..2 {
        ada.perform(&forget).await.expect("forgotten");
    }
    let answer = async {
        let (id, _) = heard(&mut of_bob).await;
        bob.perform(&declined(&id, "not you")).await.expect("taken");
    };
    let (refused, ()) = tokio::join!(ada.perform(&asked), answer);
    let refused = refused.expect_err("declined");
    let told = "the participant declined: not you";
    assert_eq!((refused.text.as_str(), refused.code), (told, Some(1008)));
    assert_eq!(listed(&ada).await, []);
}

#[tokio::test]
async fn what_is_asked_for_somebody_else_is_delegated_to_them() {
    let demo = Demo::start().await;
    let (ada, _a) = demo.enter("ada").await;
    let (bob, mut of_bob) = demo.enter("bob").await;
    let (bot, _c) = demo.enter("bot").await;
    let answer = async {
        let (id, about) = heard(&mut of_bob).await;
        assert_eq!(about["delegate_to"], "bot");
        bob.perform(&provided(&id, b"for bot")).await.expect("taken");
    };
    let asked = request(&bob, json!({"delegate_to": "bot", "timeout": 20}));
    let (held, ()) = tokio::join!(ada.perform(&asked), answer);
    assert_eq!(bytes(held), b"for bot");
    let of_bot = json!({"name": "https://x", "delegated_to": "bot"});
    for room in [&ada, &bot] {
        assert_eq!(value(room, of_bot.clone()).await.as_deref(), Some(&b"for bot"[..]));
    }
    assert!(ada.perform(&get(json!({"name": "https://x"}))).await.expect("an answer").is_none());
    let forget = |whom: Option<&str>| DeleteRequested {
        url: "https://x".into(),
        kind: "t".into(),
        delegated_to: whom.map(str::to_owned),
    };
    ada.perform(&forget(None)).await.expect("nothing");
    assert_eq!(listed(&ada).await.len(), 1);
    ada.perform(&forget(Some("bot"))).await.expect("forgotten");
    assert_eq!(listed(&ada).await, []);
}

#[tokio::test]
async fn nobody_waits_for_whom_is_silent_gone_or_mute() {
    let demo = Demo::start().await;
    let (ada, _a) = demo.enter("ada").await;
    let (bob, mut of_bob) = demo.enter("bob").await;
    let missing = Request { participant_id: "none".into(), ..request(&bob, json!({})) };
    assert_eq!(code(ada.perform(&missing).await), Some(1003));
    for timeout in [json!(0), json!(-1)] {
        let wrong = request(&bob, json!({ "timeout": timeout }));
        assert_eq!(code(ada.perform(&wrong).await), Some(1002), "{timeout}");
    }
    let mute = json!({"queues": {}});
    let (mute, _m) = entered(&demo.server.url, &demo.key, "mute", mute).await;
    let refused = ada.perform(&request(&mute, json!({}))).await.expect_err("a refusal");
    assert!(refused.text.contains("does not grant `secrets`"), "{refused}");
    // Whoever is silent is waited for as long as was said; what comes then is for nobody.
    let late = ada.perform(&request(&bob, json!({"timeout": 0.05}))).await;
    assert_eq!(code(late), Some(1009));
    let (id, _) = heard(&mut of_bob).await;
    assert_eq!(code(bob.perform(&provided(&id, b"late")).await), Some(1003));
    assert_eq!(listed(&ada).await, []);
    // A browser that comes back is the same identity.
    let (again, _again) = demo.enter("bob").await;
    let asked = request(&bob, json!({"url": "first"}));
    let answer = async {
        let (id, _) = heard(&mut of_bob).await;
        bob.leave().await;
        again.perform(&provided(&id, b"back")).await.expect("taken");
    };
    let (held, ()) = tokio::join!(ada.perform(&asked), answer);
    assert_eq!(bytes(held), b"back");
    // When nobody of it is there any more, the request ends.
    let asked = request(&again, json!({"url": "second"}));
    let (begun, leaving) = (ada.clone(), again.clone());
    let asking = tokio::spawn(async move { begun.perform(&asked).await });
    let mut of_again = _again;
    heard(&mut of_again).await;
    leaving.leave().await;
    let refused = asking.await.expect("an end").expect_err("a refusal");
    assert!(refused.text.contains("left the room before it answered"), "{refused}");
}

#[tokio::test]
async fn what_is_given_to_whom_has_left_is_not_taken() {
    let demo = Demo::start().await;
    let enter = async |name: &str| {
        let scope = json!({"secrets": {}, "messaging": {}});
        let (room, incoming) = entered(&demo.server.url, &demo.key, name, scope).await;
        room.perform(&Enable {}).await.expect("enabled");
        (room, incoming)
    };
    let (ada, _a) = enter("ada").await;
    let (bob, mut of_bob) = enter("bob").await;
    let asked = request(&bob, json!({}));
    let begun = ada.clone();
    let asking = tokio::spawn(async move { begun.perform(&asked).await });
    let (id, _) = heard(&mut of_bob).await;
    ada.leave().await;
    asking.await.expect("an end").expect_err("no answer");
    // The room tells that to those who take part in messaging.
    loop {
        let message = of_bob.next().await.expect("a message");
        if message.header["type"] == "participant.disabled" {
            break;
        }
    }
    let refused = bob.perform(&provided(&id, b"x")).await.expect_err("a refusal");
    assert_eq!(refused.code, Some(1003));
    let (ada, _a) = demo.enter("ada").await;
    assert_eq!(listed(&ada).await, []);
}
