//! Mail of participants for others goes to a relay.

use std::sync::{Arc, Mutex};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

use super::super::harness::token;
use super::Post;

/// A server that answers DATA as it is told, and remembers what it was sent.
struct Relay {
    address: String,
    heard: Arc<Mutex<Vec<String>>>,
}

impl Relay {
    async fn start(answer: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        let heard: Arc<Mutex<Vec<String>>> = Arc::default();
        let hears = Arc::clone(&heard);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(talk(stream, Arc::clone(&hears), answer));
            }
        });
        Self { address, heard }
    }

    fn heard(&self) -> String {
        self.heard.lock().expect("what was heard").join("")
    }
}

async fn talk(stream: TcpStream, hears: Arc<Mutex<Vec<String>>>, answer: &str) {
    let mut stream = BufReader::new(stream);
    let _ = stream.get_mut().write_all(b"220 relay ESMTP\r\n").await;
    let mut is_mail = false;
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await.unwrap_or(0) == 0 {
            return;
        }
        hears.lock().expect("what was heard").push(line.clone());
        let reply = match line.trim_end() {
            "." if is_mail => {
                is_mail = false;
                answer
            }
            _ if is_mail => continue,
            "DATA" => {
                is_mail = true;
                "354 go on"
            }
            line if line.starts_with("EHLO") => "250-relay\r\n250-AUTH PLAIN\r\n250 8BITMIME",
            line if line.starts_with("AUTH") => "235 ok",
            _ => "250 ok",
        };
        let _ = stream.get_mut().write_all(format!("{reply}\r\n").as_bytes()).await;
    }
}

/// Sends a mail of a participant to others, here and elsewhere.
async fn send(post: &Post, to: &[&str]) -> String {
    let mut client = post.client().await;
    client.code("EHLO a").await;
    let token = token(&post.reached().key, json!({}));
    let auth = format!("AUTH PLAIN {}", STANDARD.encode(format!("\0ada\0{token}")));
    assert_eq!(client.codes(&[&auth, "MAIL FROM:<own@mail.localhost>"]).await, "235 250");
    for to in to {
        assert_eq!(client.code(&format!("RCPT TO:<{to}>")).await, "250", "{to}");
    }
    client.codes(&["DATA", "From: own@mail.localhost\r\n\r\n..\r\n."]).await
}

#[tokio::test]
async fn a_relay_gets_what_is_for_others_and_its_answer_counts_for_all() {
    let folder = tempfile::tempdir().expect("a folder");
    let password = folder.path().join("password");
    std::fs::write(&password, "secret\n").expect("a file");
    let password = password.to_str().expect("a text");
    let both = ["a@elsewhere.test", "open@mail.localhost", "b@elsewhere.test"];
    // What the relay answers, what the client is answered, and how many mails are here.
    let table = [("250 ok", "354 250", 1), ("554 no", "354 554", 0), ("451 later", "354 451", 0)];
    for (answer, code, mails) in table {
        let relay = Relay::start(answer).await;
        let options = ["--smtp-relay", &relay.address, "--smtp-relay-user", "me"];
        let options = [&options[..], &["--smtp-relay-password-file", password]].concat();
        let post = Post::with(&options).await;
        assert_eq!(send(&post, &both).await, code, "{answer}");
        assert_eq!(post.queues().await.len(), mails, "{answer}");
        let heard = relay.heard();
        let auth = format!("AUTH PLAIN {}\r\n", STANDARD.encode("\0me\0secret"));
        let envelope = "MAIL FROM:<own@mail.localhost>\r\nRCPT TO:<a@elsewhere.test>\r\nRCPT TO:<b@elsewhere.test>\r\nDATA\r\nReceived: from a ([127.0.0.1])";
        for part in [auth.as_str(), envelope, "\r\nFrom: own@mail.localhost\r\n\r\n..\r\n.\r\n"] {
            assert!(heard.contains(part), "{part} {heard}");
        }
        // What is only for mailboxes is not the relay's.
        assert_eq!(send(&post, &["open@mail.localhost"]).await, "354 250");
        assert_eq!(relay.heard().matches("DATA\r\n").count(), 1);
        // No stranger reaches it.
        let mut client = post.client().await;
        let lines = ["EHLO a", "MAIL FROM:<a@b.test>", "RCPT TO:<a@elsewhere.test>"];
        assert_eq!(client.codes(&lines).await, "250 250 550");
    }
}

#[tokio::test]
async fn a_relay_that_is_not_there_is_waited_for_by_those_who_send() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    drop(listener);
    let post = Post::with(&["--smtp-relay", &address]).await;
    assert_eq!(send(&post, &["a@elsewhere.test", "open@mail.localhost"]).await, "354 451");
    assert_eq!(post.queues().await, Vec::<String>::new());
}
