//! Participants send mail: who is taken for one, and what it may send.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jsonwebtoken::Algorithm;
use serde_json::{Value, json};

use super::super::harness::{claims, parts, signed, token, token_for};
use super::Post;

/// The answer to AUTH PLAIN.
fn plain(name: &str, token: &str) -> String {
    format!("AUTH PLAIN {}", STANDARD.encode(format!("\0{name}\0{token}")))
}

#[tokio::test]
async fn only_the_token_of_a_room_proves_who_somebody_is() {
    let post = Post::start().await;
    let key = post.reached().key.clone();
    let good = token(&key, json!({}));
    let with = |change: &dyn Fn(&mut Value)| {
        let mut claims = claims(&key, Some(json!({})));
        change(&mut claims);
        signed(Algorithm::HS256, &claims, &key)
    };
    let made = post.reached().own("POST", "/api-keys");
    let made = made.body(json!({"name": "k", "description": ""}).to_string()).send().await;
    let made = made.expect("an answer").text().await.expect("a body");
    let made: Value = serde_json::from_str(&made).expect("JSON");
    let revoked = made["value"].as_str().expect("a key");
    let path = format!("/api-keys/{}", parts(revoked).0);
    let gone = post.reached().own("DELETE", &path).send().await.expect("an answer");
    assert!(gone.status().is_success());
    let made = post.reached().own("POST", "/rooms").body(json!({"name": "off"}).to_string());
    let made = made.send().await.expect("an answer").text().await.expect("a body");
    let made: Value = serde_json::from_str(&made).expect("JSON");
    let path = format!("/rooms/{}", made["id"].as_str().expect("an id"));
    let off = post.reached().own("PUT", &path).header("consistency", "fast");
    let off = off.body(json!({"name": "off", "enabled": false}).to_string()).send().await;
    assert!(off.expect("an answer").status().is_success());

    let table: [(&str, &str, String, &str); 14] = [
        ("its own", "ada", good.clone(), "235"),
        ("none", "ada", String::new(), "535"),
        ("no token", "ada", "secret".to_owned(), "535"),
        ("of somebody else", "bob", good.clone(), "535"),
        ("changed", "ada", format!("{good}x"), "535"),
        (
            "signed with another key",
            "ada",
            signed(Algorithm::HS256, &claims(&key, Some(json!({}))), &format!("{key}x")),
            "535",
        ),
        (
            "another algorithm",
            "ada",
            signed(Algorithm::HS512, &claims(&key, Some(json!({}))), &key),
            "535",
        ),
        ("expired", "ada", with(&|it| it["exp"] = json!(1)), "535"),
        ("of a room that is not there", "ada", token_for(&key, "nowhere", json!({})), "535"),
        ("of a room that is disabled", "ada", token_for(&key, "off", json!({})), "535"),
        ("of no room", "ada", with(&|it| it["grants"][0]["name"] = json!("role")), "535"),
        ("without an api grant", "ada", signed(Algorithm::HS256, &claims(&key, None), &key), "535"),
        ("of a key that was revoked", "ada", token(revoked, json!({})), "535"),
        ("a key", "ada", key.clone(), "535"),
    ];
    for (what, name, token, code) in &table {
        let mut client = post.client().await;
        client.code("EHLO a").await;
        assert_eq!(client.code(&plain(name, token)).await, *code, "{what}");
        client.code("RSET").await;
        client.code("EHLO a").await;
        let again = if *code == "235" { "503" } else { "334" };
        assert_eq!(client.code("AUTH LOGIN").await, again, "{what}");
        if again == "334" {
            assert_eq!(client.code(&STANDARD.encode(name)).await, "334");
            assert_eq!(client.code(&STANDARD.encode(token)).await, *code, "{what}");
        }
        // Whoever is not known is a stranger.
        client.code("MAIL FROM:<a@b.test>").await;
        let to = client.code("RCPT TO:<own@mail.localhost>").await;
        assert_eq!(to, if *code == "235" { "503" } else { "530" }, "{what}");
    }
    let mut client = post.client().await;
    assert_eq!(client.code("HELO a").await, "250");
    assert_eq!(client.code(&plain("ada", &good)).await, "503");
}

#[tokio::test]
async fn a_participant_sends_as_a_mailbox_of_its_room_and_as_nobody_else() {
    let post = Post::start().await;
    let key = &post.reached().key;
    assert_eq!(post.reached().create_room("other").await, Some(201));
    post.mailbox("other@mail.localhost", "other", false).await;
    let mail = |from: &str| format!("From: {from}\r\nSubject: x\r\n\r\nx\r\n.");
    // The sender, the recipient, the author, and the codes of MAIL, RCPT, DATA and the mail.
    let table = [
        ("own@mail.localhost", "open@mail.localhost", "Me <OWN@mail.localhost>", "250 250 354 250"),
        ("open@mail.localhost", "own@mail.localhost", "own@mail.localhost", "250 250 354 250"),
        ("own@mail.localhost", "own@mail.localhost", "ceo@elsewhere.test", "250 250 354 550"),
        (
            "own@mail.localhost",
            "own@mail.localhost",
            "own@mail.localhost, a@b.test",
            "250 250 354 550",
        ),
        (
            "own@mail.localhost",
            "own@mail.localhost",
            "own@mail.localhost\r\nSender: a@b.test",
            "250 250 354 550",
        ),
        ("own@mail.localhost", "own@mail.localhost", "other@mail.localhost", "250 250 354 550"),
        ("own@mail.localhost", "other@mail.localhost", "own@mail.localhost", "250 550 554 500"),
        ("own@mail.localhost", "a@elsewhere.test", "own@mail.localhost", "250 550 554 500"),
        ("other@mail.localhost", "open@mail.localhost", "own@mail.localhost", "550 503 503 500"),
        ("a@b.test", "open@mail.localhost", "own@mail.localhost", "550 503 503 500"),
        ("", "open@mail.localhost", "own@mail.localhost", "550 503 503 500"),
    ];
    for (from, to, author, expected) in table {
        let mut client = post.client().await;
        client.code("EHLO a").await;
        assert_eq!(client.code(&plain("ada", &token(key, json!({})))).await, "235");
        let (from, to) = (format!("MAIL FROM:<{from}>"), format!("RCPT TO:<{to}>"));
        let codes = client.codes(&[&from, &to, "DATA"]).await;
        let text = mail(author);
        // What is sent where no mail is wanted is no command.
        let text = if codes.ends_with("354") { text.as_str() } else { "." };
        let codes = format!("{codes} {}", client.code(text).await);
        assert_eq!(codes, expected, "{from} {to} {author}");
    }
    // A stranger says that it is somebody here in no place.
    for (envelope, author, expected) in [
        ("a@b.test", "Me <a@b.test>", "250 250 354 250"),
        ("a@b.test", "Boss <own@mail.localhost>", "250 250 354 530"),
        ("a@b.test", "a@b.test\r\nSender: OWN@mail.localhost.", "250 250 354 530"),
        ("", "own@mail.localhost", "250 250 354 530"),
        ("own@mail.localhost.", "a@b.test", "530 503 503 500"),
    ] {
        let mut client = post.client().await;
        client.code("EHLO a").await;
        let from = format!("MAIL FROM:<{envelope}>");
        let codes = client.codes(&[&from, "RCPT TO:<open@mail.localhost>", "DATA"]).await;
        let text = mail(author);
        let text = if codes.ends_with("354") { text.as_str() } else { "." };
        assert_eq!(format!("{codes} {}", client.code(text).await), expected, "{envelope} {author}");
    }
    assert_eq!(
        post.queues().await,
        ["open@mail.localhost", "Own@mail.localhost", "open@mail.localhost"]
    );
    assert!(post.mails().await[0].1.contains("with ESMTPA;"));
}

#[tokio::test]
async fn what_let_a_participant_in_may_be_taken_back() {
    let post = Post::start().await;
    let made = post.reached().own("POST", "/api-keys");
    let made = made.body(json!({"name": "k", "description": ""}).to_string()).send().await;
    let made = made.expect("an answer").text().await.expect("a body");
    let made: Value = serde_json::from_str(&made).expect("JSON");
    let key = made["value"].as_str().expect("a key");
    let mut client = post.client().await;
    client.code("EHLO a").await;
    assert_eq!(client.code(&plain("ada", &token(key, json!({})))).await, "235");
    assert_eq!(client.codes(&["MAIL FROM:<own@mail.localhost>", "RSET"]).await, "250 250");
    let path = format!("/api-keys/{}", parts(key).0);
    let gone = post.reached().own("DELETE", &path).send().await.expect("an answer");
    assert!(gone.status().is_success());
    assert_eq!(client.codes(&["MAIL FROM:<own@mail.localhost>"]).await, "530");
    // It goes on as a stranger.
    assert_eq!(
        client.codes(&["MAIL FROM:<a@b.test>", "RCPT TO:<own@mail.localhost>"]).await,
        "250 530"
    );
}
