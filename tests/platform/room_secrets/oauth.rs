//! Tokens for which participants sign in at a server of the test.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::{Form, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use meshagent::room::client::{Incoming, Room};
use meshagent::room::content::{Content, Refused};
use meshagent::room::invocation::Invocation;
use meshagent::room::secrets::{Delete, Token};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::net::TcpListener;
use tokio::time::timeout;

use super::{Demo, entered, get, listed};

/// What the server for sign-ins answers next, and what it was asked.
#[derive(Default)]
struct Shared {
    answers: Mutex<Vec<Response>>,
    asked: Mutex<Vec<HashMap<String, String>>>,
}

/// A server for sign-ins.
struct Provider {
    url: String,
    shared: Arc<Shared>,
}

impl Provider {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let shared = Arc::new(Shared::default());
        let token = async |State(shared): State<Arc<Shared>>, Form(form)| {
            shared.asked.lock().expect("a lock").push(form);
            // What comes a moment later has others wait meanwhile.
            tokio::time::sleep(Duration::from_millis(50)).await;
            let mut answers = shared.answers.lock().expect("a lock");
            if answers.is_empty() {
                return StatusCode::IM_A_TEAPOT.into_response();
            }
            answers.remove(0)
        };
        let router = Router::new().route("/token", post(token)).with_state(Arc::clone(&shared));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, shared }
    }

    fn will_answer(&self, answer: impl IntoResponse) {
        self.shared.answers.lock().expect("a lock").push(answer.into_response());
    }

    fn will_give(&self, token: &str, refresh: &str, seconds: i64) {
        let answer = json!({
            "access_token": token, "refresh_token": refresh, "expires_in": seconds,
            "token_type": "Bearer",
        });
        self.will_answer(([(header::CONTENT_TYPE, "application/json")], answer.to_string()));
    }

    /// What it was asked since.
    fn asked(&self) -> Vec<HashMap<String, String>> {
        std::mem::take(&mut self.shared.asked.lock().expect("a lock"))
    }

    fn client(&self, more: Value) -> Value {
        let mut client = json!({
            "client_id": "app", "client_secret": "canary-client",
            "authorization_endpoint": format!("{}/authorize", self.url),
            "token_endpoint": format!("{}/token", self.url),
            "no_pkce": false, "scopes": ["a", "b"],
        });
        for (name, value) in more.as_object().expect("an object") {
            client[name] = value.clone();
        }
        client
    }
}

/// Asks for a token. What is asked is spelled here, since others spell it, too.
async fn token(room: &Room, tool: &str, arguments: Value) -> Result<Option<String>, Refused> {
    let call = Invocation::new("secrets", tool, Content::Json(arguments));
    let answer = room.invoke(Invocation { patience: None, ..call }).await?;
    let Content::Json(answer) = answer else { panic!("{answer:?}") };
    let token: Token = serde_json::from_value(answer).expect("a token");
    Ok(token.access_token.map(|token| token.expose_secret().to_owned()))
}

fn request(whom: &Room, oauth: &Value) -> Value {
    json!({
        "connector": null, "oauth": oauth, "redirect_uri": "https://app/back",
        "participant_id": whom.identity().participant_id, "timeout": 300, "delegate_to": null,
    })
}

async fn offline(room: &Room, oauth: &Value, more: Value) -> Option<String> {
    let mut asked = json!({"connector": null, "oauth": oauth});
    for (name, value) in more.as_object().expect("an object") {
        asked[name] = value.clone();
    }
    token(room, "get_offline_oauth_token", asked).await.expect("an answer")
}

/// The next sign-in that a participant is asked for.
async fn heard(incoming: &mut Incoming) -> Value {
    loop {
        let message = timeout(Duration::from_secs(20), incoming.next()).await;
        let message = message.expect("something is heard").expect("a message");
        if message.kind == "secrets.request_oauth_token" {
            return message.header;
        }
    }
}

async fn provide(room: &Room, id: &Value, code: Value, error: Value) -> Result<Content, Refused> {
    let answer = json!({"request_id": id, "code": code, "error": error});
    let tool = "provide_oauth_authorization";
    room.invoke(Invocation::new("secrets", tool, Content::Json(answer))).await
}

/// Signs in when asked to.
async fn signs_in(room: &Room, incoming: &mut Incoming) -> Value {
    let asked = heard(incoming).await;
    provide(room, &asked["request_id"], json!("the code"), Value::Null).await.expect("taken");
    asked
}

#[tokio::test]
async fn somebody_signs_in_once_and_the_token_is_kept_and_renewed() {
    let (demo, provider) = (Demo::start().await, Provider::start().await);
    let (ada, _a) = demo.enter("ada").await;
    let (bob, mut of_bob) = demo.enter("bob").await;
    let client = provider.client(json!({}));
    assert_eq!(offline(&ada, &client, json!({})).await, None);
    provider.will_give("canary-first", "canary-refresh-1", 3600);
    let asked = request(&bob, &client);
    let asking = token(&ada, "request_oauth_token", asked.clone());
    let (given, told) = tokio::join!(asking, signs_in(&bob, &mut of_bob));
    assert_eq!(given.expect("a token").as_deref(), Some("canary-first"));
    // Whoever signs in learns neither the program's secret nor the proof.
    let mut expected = asked.clone();
    expected["oauth"]["client_secret"] = Value::Null;
    assert_eq!(told["request"], expected);
    let forms = provider.asked();
    let form = &forms[0];
    let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(&form["code_verifier"]));
    assert_eq!((forms.len(), told["challenge"].as_str()), (1, Some(challenge.as_str())));
    assert!(form["code_verifier"].len() >= 43);
    for (name, value) in [
        ("grant_type", "authorization_code"),
        ("code", "the code"),
        ("redirect_uri", "https://app/back"),
        ("client_id", "app"),
        ("client_secret", "canary-client"),
    ] {
        assert_eq!(form[name], value, "{name}");
    }
    // It is ada's, and nobody is asked again.
    let again = token(&ada, "request_oauth_token", asked.clone()).await;
    assert_eq!(again.expect("a token").as_deref(), Some("canary-first"));
    assert_eq!(offline(&ada, &client, json!({})).await.as_deref(), Some("canary-first"));
    assert_eq!(offline(&bob, &client, json!({})).await, None);
    let other = provider.client(json!({"scopes": ["a"]}));
    assert_eq!(offline(&ada, &other, json!({})).await, None);
    assert_eq!(provider.asked(), []);
    // It is listed, and not given out as a secret; with its refresh token it is not on the disk.
    let known = listed(&ada).await;
    assert_eq!((known.len(), known[0].kind.as_str()), (1, "oauth"));
    let asked_for = get(json!({"secret_id": known[0].id}));
    assert!(ada.perform(&asked_for).await.expect("an answer").is_none());
    for canary in ["canary-first", "canary-refresh-1", "canary-client"] {
        assert!(!super::is_on_disk(&demo.server.folder(), canary), "{canary}");
    }
    // Who has deleted it has to ask anew.
    let delete = Delete { id: known[0].id.clone(), delegated_to: None };
    ada.perform(&delete).await.expect("deleted");
    assert_eq!(offline(&ada, &client, json!({})).await, None);
}

#[tokio::test]
async fn an_old_token_is_renewed_once_however_many_ask() {
    let (demo, provider) = (Demo::start().await, Provider::start().await);
    let (ada, _a) = demo.enter("ada").await;
    let (bob, mut of_bob) = demo.enter("bob").await;
    let client = provider.client(json!({"no_pkce": true}));
    // A minute before its end it is old.
    provider.will_give("first", "refresh-1", 30);
    let asking = token(&ada, "request_oauth_token", request(&bob, &client));
    let (given, told) = tokio::join!(asking, signs_in(&bob, &mut of_bob));
    assert_eq!(given.expect("a token").as_deref(), Some("first"));
    assert_eq!(told["challenge"], Value::Null);
    assert!(!provider.asked()[0].contains_key("code_verifier"));
    provider.will_give("second", "refresh-2", 3600);
    // The secret of the program is known from the first time.
    let bare = provider.client(json!({"client_secret": null}));
    let ask = || offline(&ada, &bare, json!({}));
    let renewed = futures_util::future::join_all((0..10).map(|_| ask())).await;
    assert!(renewed.iter().all(|token| token.as_deref() == Some("second")), "{renewed:?}");
    let forms = provider.asked();
    assert_eq!(forms.len(), 1);
    assert_eq!(
        (&*forms[0]["grant_type"], &*forms[0]["refresh_token"]),
        ("refresh_token", "refresh-1")
    );
    assert_eq!(forms[0]["client_secret"], "canary-client");
    // What cannot be renewed now may be later; what is not valid any more is forgotten.
    let client = provider.client(json!({"no_pkce": true, "scopes": []}));
    provider.will_give("third", "refresh-3", 0);
    let asking = token(&ada, "request_oauth_token", request(&bob, &client));
    tokio::join!(asking, signs_in(&bob, &mut of_bob)).0.expect("a token");
    provider.will_answer(StatusCode::BAD_GATEWAY);
    assert_eq!(offline(&ada, &client, json!({})).await, None);
    assert_eq!(listed(&ada).await.len(), 2);
    provider.will_answer((StatusCode::BAD_REQUEST, json!({"error": "invalid_grant"}).to_string()));
    assert_eq!(offline(&ada, &client, json!({})).await, None);
    assert_eq!(listed(&ada).await.len(), 1);
}

#[tokio::test]
async fn a_token_is_delegated_to_one_identity() {
    let (demo, provider) = (Demo::start().await, Provider::start().await);
    let (ada, _a) = demo.enter("ada").await;
    let (bob, mut of_bob) = demo.enter("bob").await;
    let (bot, _c) = demo.enter("bot").await;
    let (eve, _e) = demo.enter("eve").await;
    let client = provider.client(json!({}));
    provider.will_give("delegated", "refresh", 3600);
    let mut asked = request(&bob, &client);
    asked["delegate_to"] = json!("bot");
    let asking = token(&ada, "request_oauth_token", asked);
    tokio::join!(asking, signs_in(&bob, &mut of_bob)).0.expect("a token");
    let some = Some("delegated");
    assert_eq!(offline(&ada, &client, json!({"delegated_to": "bot"})).await.as_deref(), some);
    assert_eq!(offline(&ada, &client, json!({})).await, None);
    // The delegate names itself, who has delegated it, or who has signed in.
    for more in [
        json!({"delegated_to": "bot"}),
        json!({"delegated_by": "ada"}),
        json!({"delegated_by": "bob"}),
    ] {
        assert_eq!(offline(&bot, &client, more.clone()).await.as_deref(), some, "{more}");
    }
    assert_eq!(offline(&bot, &client, json!({"delegated_by": "eve"})).await, None);
    for more in [json!({}), json!({"delegated_to": "bot"}), json!({"delegated_by": "ada"})] {
        assert_eq!(offline(&eve, &client, more.clone()).await, None, "{more}");
    }
    // A delegate cannot have the token renewed elsewhere.
    let elsewhere = provider.client(json!({"token_endpoint": format!("{}/other", provider.url)}));
    assert_eq!(offline(&bot, &elsewhere, json!({"delegated_by": "ada"})).await, None);
}

#[tokio::test]
async fn what_an_endpoint_says_is_not_trusted_and_not_shown() {
    let (demo, provider) = (Demo::start().await, Provider::start().await);
    let (ada, _a) = demo.enter("ada").await;
    let (bob, mut of_bob) = demo.enter("bob").await;
    let client = provider.client(json!({}));
    let elsewhere = Provider::start().await;
    let redirect = [(header::LOCATION, format!("{}/token", elsewhere.url))];
    let large = json!({"access_token": "x", "more": "x".repeat(70_000)}).to_string();
    let invalid = json!({"error": "invalid_grant", "error_description": "canary-body"}).to_string();
    let no_token = "the answer of the token endpoint has no access_token";
    for (answer, told) in [
        ((StatusCode::TEMPORARY_REDIRECT, redirect).into_response(), "answered with 307"),
        ((StatusCode::INTERNAL_SERVER_ERROR, "canary-body").into_response(), "answered with 500"),
        ((StatusCode::BAD_REQUEST, invalid).into_response(), "answered with 400: invalid_grant"),
        (
            (StatusCode::FORBIDDEN, r#"{"error": "canary-body"}"#).into_response(),
            "answered with 403",
        ),
        (large.into_response(), "did not answer as it should"),
        ("canary-body".into_response(), no_token),
        (r#"{"access_token": ""}"#.into_response(), no_token),
        (r#"{"access_token": ["canary-body"]}"#.into_response(), no_token),
    ] {
        provider.will_answer(answer);
        let asking = token(&ada, "request_oauth_token", request(&bob, &client));
        let (refused, _) = tokio::join!(asking, signs_in(&bob, &mut of_bob));
        let refused = refused.expect_err("no token");
        assert!(refused.text.ends_with(told), "{refused}");
        assert!(!refused.text.contains("canary"), "{refused}");
        assert_eq!(refused.code, Some(1008));
    }
    assert_eq!(elsewhere.asked(), []);
    assert_eq!(listed(&ada).await, []);
    // Nobody listens there.
    let client = provider.client(json!({"token_endpoint": "http://127.0.0.1:1/token"}));
    let asking = token(&ada, "request_oauth_token", request(&bob, &client));
    let (refused, _) = tokio::join!(asking, signs_in(&bob, &mut of_bob));
    let told = "the token endpoint did not answer as it should";
    assert_eq!(refused.expect_err("no token").text, told);
}

#[tokio::test]
async fn whoever_is_asked_may_decline_and_nobody_else_signs_in() {
    let (demo, provider) = (Demo::start().await, Provider::start().await);
    let (ada, _a) = demo.enter("ada").await;
    let (bob, mut of_bob) = demo.enter("bob").await;
    let (eve, _e) = demo.enter("eve").await;
    let client = provider.client(json!({}));
    let answer = async {
        let id = heard(&mut of_bob).await["request_id"].clone();
        let code_of = async |room: &Room, code: Value, error: Value| {
            provide(room, &id, code, error).await.expect_err("a refusal").code
        };
        assert_eq!(code_of(&eve, json!("false"), Value::Null).await, Some(1003));
        assert_eq!(code_of(&bob, Value::Null, Value::Null).await, Some(1002));
        assert_eq!(code_of(&bob, json!("x".repeat(4097)), Value::Null).await, Some(1002));
        // A secret is not what was asked for.
        let secret = json!({"request_id": id, "error": null});
        let secret = Content::part(secret, b"x".to_vec());
        let secret = bob.invoke(Invocation::new("secrets", "provide_secret", secret)).await;
        assert_eq!(secret.expect_err("a refusal").code, Some(1003));
        provide(&bob, &id, Value::Null, json!("cancelled")).await.expect("taken");
    };
    let asking = token(&ada, "request_oauth_token", request(&bob, &client));
    let (refused, ()) = tokio::join!(asking, answer);
    assert_eq!(refused.expect_err("no token").text, "the participant declined: cancelled");
    assert_eq!(provider.asked(), []);
    // What cannot be asked for is refused at once, and of it nothing is kept.
    let refused = async |oauth: Value, more: Value| {
        let mut asked = request(&bob, &oauth);
        for (name, value) in more.as_object().expect("an object") {
            asked[name] = value.clone();
        }
        token(&ada, "request_oauth_token", asked).await.expect_err("a refusal").code
    };
    let connector = json!({"connector": {"server_url": "https://x"}});
    assert_eq!(refused(Value::Null, connector).await, Some(1007));
    for wrong in [
        json!({"client_id": null}),
        json!({"token_endpoint": "http://10.0.0.1/token"}),
        json!({"token_endpoint": "file:///etc/passwd"}),
        json!({"authorization_endpoint": "javascript:alert(1)"}),
        json!({"more": 1}),
    ] {
        assert_eq!(refused(provider.client(wrong.clone()), json!({})).await, Some(1002), "{wrong}");
    }
    let long = json!({"redirect_uri": "x".repeat(2049)});
    assert_eq!(refused(client.clone(), long).await, Some(1002));
    assert_eq!(offline(&ada, &Value::Null, json!({"connector": {"server_url": "x"}})).await, None);
}

#[tokio::test]
async fn a_scope_names_the_programs_whose_tokens_may_be_asked_for() {
    let (demo, provider) = (Demo::start().await, Provider::start().await);
    let (bob, mut of_bob) = demo.enter("bob").await;
    let entry = json!({"endpoint": format!("{}/*", provider.url), "client_id": "app"});
    let scope = json!({"secrets": {"request_oauth_token": [entry]}});
    let (ada, _a) = entered(&demo.server.url, &demo.key, "ada", scope).await;
    let client = provider.client(json!({}));
    provider.will_give("allowed", "refresh", 3600);
    let asking = token(&ada, "request_oauth_token", request(&bob, &client));
    let (given, _) = tokio::join!(asking, signs_in(&bob, &mut of_bob));
    assert_eq!(given.expect("a token").as_deref(), Some("allowed"));
    for other in [
        json!({"client_id": "other"}),
        json!({"authorization_endpoint": "https://elsewhere/authorize"}),
        json!({"client_id": " "}),
        json!({"authorization_endpoint": null}),
    ] {
        let client = provider.client(other.clone());
        for (tool, asked) in [
            ("request_oauth_token", request(&bob, &client)),
            ("get_offline_oauth_token", json!({"oauth": client})),
        ] {
            let refused = token(&ada, tool, asked).await.expect_err("a refusal");
            assert_eq!(refused.code, Some(1001), "{tool} {other}");
        }
    }
}
