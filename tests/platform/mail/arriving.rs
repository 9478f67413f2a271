//! Mail that arrives, and mail that does not.

use std::time::Duration;

use serde_json::json;

use super::super::harness::token;
use super::super::hostile_rooms::{ask, invoke};
use super::super::process::Process;
use super::super::rooms::Visitor;
use super::{Client, Post, started, taking_mail};

const MAIL: &str = "Subject: a\r\n\r\nb\r\n.";

#[tokio::test]
async fn mail_lies_in_the_queues_of_its_mailboxes_also_after_a_kill() {
    let mut post = Post::start().await;
    post.mailbox("second@mail.meshagent.com", "demo", true).await;
    let mut client = post.client().await;
    let codes = client
        .codes(&[
            "EHLO client.test",
            "MAIL FROM:<a@b.test> SIZE=100 BODY=8BITMIME",
            "RCPT TO:<OPEN@mail.localhost>",
            "RCPT TO:<open@mail.localhost>",
            "RCPT TO:<second@mail.meshagent.com>",
            "DATA",
            "Subject: a\r\nReturn-Path: <x@y.z>\r\n\r\n..dot\r\n...\r\nü\r\n.",
        ])
        .await;
    assert_eq!(codes, "250 250 250 250 250 354 250");
    post.process.child.kill().expect("a kill");
    post.process.child.wait().expect("its end");
    let mails = post.mails().await;
    let queues: Vec<&str> = mails.iter().map(|(queue, _)| queue.as_str()).collect();
    assert_eq!(queues, ["open@mail.localhost", "second@mail.meshagent.com"]);
    for (queue, mail) in &mails {
        let head = format!(
            "Return-Path: <a@b.test>\r\nDelivered-To: {queue}\r\nReceived: from client.test ([127.0.0.1])\r\n\tby mail.localhost with ESMTP;\r\n\t"
        );
        assert!(mail.starts_with(&head), "{mail}");
        let sent = "+0000\r\nSubject: a\r\nReturn-Path: <x@y.z>\r\n\r\n.dot\r\n..\r\nü\r\n";
        assert!(mail.ends_with(sent), "{mail}");
    }

    // Whoever comes into the room later receives it.
    let (process, _) = started(&mut taking_mail(&post.data));
    let given = token(&process.reached.key, json!({"queues": {}}));
    let mut visitor =
        Visitor::try_enter(&process.reached.url, "demo", &given, false).await.expect("in");
    visitor.greeting().await;
    let asked = invoke(1, "queues", "receive", json!({"name": "open@mail.localhost"}));
    assert!(ask(&mut visitor, asked).await["json"]["base64"].is_string());
}

#[tokio::test]
async fn what_is_refused_and_how() {
    let post = Post::start().await;
    post.mailbox("closed@mail.localhost", "demo", true).await;
    assert_eq!(post.reached().create_room("gone").await, Some(201));
    post.mailbox("gone@mail.localhost", "gone", true).await;
    let room = post.reached().own("GET", "/rooms/gone").send().await.expect("an answer");
    let room: serde_json::Value =
        serde_json::from_str(&room.text().await.expect("a body")).expect("JSON");
    let path = format!("/rooms/{}", room["id"].as_str().expect("an id"));
    let gone = post.reached().own("DELETE", &path).send().await.expect("an answer");
    assert!(gone.status().is_success());
    let given = token(&post.reached().key, json!({"queues": {}}));
    let mut visitor =
        Visitor::try_enter(&post.reached().url, "demo", &given, false).await.expect("in");
    visitor.greeting().await;
    for (id, tool) in [(1, "open"), (2, "close")] {
        ask(&mut visitor, invoke(id, "queues", tool, json!({"name": "closed@mail.localhost"})))
            .await;
    }

    // What a client sends, and with which codes it is answered.
    let table: &[(&[&str], &str)] = &[
        (&["NOOP", "HELP", "VRFY a", "RSET", "QUIT"], "250 214 252 250 221"),
        (&["EHLO a", "EXPN a", "ETRN a", "LHLO a", "ABC", ""], "250 502 502 502 500 500"),
        (&["MAIL FROM:<a@b.test>"], "503"),
        (&["HELO a", "RCPT TO:<open@mail.localhost>", "DATA"], "250 503 503"),
        (
            &["HELO a", "MAIL FROM:<>", "RCPT TO:<open@mail.localhost>", "DATA", MAIL],
            "250 250 250 354 250",
        ),
        (&["HELO a", "MAIL FROM:<a@b.test>", "MAIL FROM:<a@b.test>", "DATA"], "250 250 503 554"),
        (&["HELO", "EHLO", "AUTH", "NOOP x y"], "501 501 501 250"),
        (&["HELO a", "MAIL FROM:a@b.test", "MAIL FROM:<a@@b>", "MAIL"], "250 501 553 501"),
        (&["EHLO a", "MAIL FROM:<a@b.test>", "RCPT TO:<nobody@mail.localhost>"], "250 250 550"),
        (&["EHLO a", "MAIL FROM:<a@b.test>", "RCPT TO:<own@mail.localhost>"], "250 250 530"),
        (&["EHLO a", "MAIL FROM:<a@b.test>", "RCPT TO:<a@elsewhere.test>"], "250 250 550"),
        (&["EHLO a", "MAIL FROM:<a@b.test>", "RCPT TO:<gone@mail.localhost>"], "250 250 550"),
        (&["EHLO a", "MAIL FROM:<a@b.test>", "RCPT TO:<closed@mail.localhost>"], "250 250 450"),
        (
            &["EHLO a", "MAIL FROM:<a@b.test>", "RCPT TO:<postmaster>", "RCPT TO:<>"],
            "250 250 550 550",
        ),
        // Nobody sends as a mailbox without saying who it is.
        (&["EHLO a", "MAIL FROM:<open@mail.localhost>"], "250 530"),
        (&["EHLO a", "MAIL FROM:<a@b.test> SIZE=99999999"], "250 552"),
        (&["EHLO a", "MAIL FROM:<a@b.test> SIZE=x"], "250 501"),
        (&["EHLO a", "MAIL FROM:<a@b.test> BODY=BINARYMIME"], "250 555"),
        (&["EHLO a", "MAIL FROM:<a@b.test> RET=HDRS"], "250 555"),
        (&["EHLO a", "MAIL FROM:<a@b.test> X=1"], "250 555"),
        (
            &["EHLO a", "MAIL FROM:<a@b.test>", "RCPT TO:<open@mail.localhost> NOTIFY=NEVER"],
            "250 250 555",
        ),
        (&["EHLO a", "MAIL FROM:<ä@b.test>", "MAIL FROM:<ä@b.test> SMTPUTF8"], "250 553 250"),
        (&["EHLO a", "STARTTLS"], "250 502"),
        (
            &["EHLO a", "AUTH CRAM-MD5", "AUTH PLAIN !", "AUTH PLAIN =", "AUTH LOGIN", "*"],
            "250 504 501 501 334 501",
        ),
        // A mail would follow at once.
        (&["EHLO a", "BDAT 5 LAST", ""], "250 521 "),
        // A page in a browser does not speak to this server.
        (&["POST / HTTP/1.1", ""], "521 "),
    ];
    for (lines, codes) in table {
        let mut client = post.client().await;
        assert_eq!(client.codes(lines).await, *codes, "{lines:?}");
    }
    // Of all this, one mail was whole.
    assert_eq!(post.queues().await, ["open@mail.localhost"]);
}

/// A second server of a folder has no rooms to put mail into.
#[tokio::test]
async fn mail_waits_for_the_process_that_has_the_rooms() {
    let mut post = Post::start().await;
    let (second, address): (Process, String) = started(&mut taking_mail(&post.data));
    let lines = ["EHLO a", "MAIL FROM:<a@b.test>", "RCPT TO:<open@mail.localhost>", "DATA", MAIL];
    let mut client = Client::connect(&address).await;
    assert_eq!(client.codes(&lines).await, "250 250 250 354 451");
    post.process.terminate();
    post.process.ends(Duration::from_secs(10));
    assert_eq!(client.codes(&lines[1..]).await, "250 250 354 250");
    assert_eq!(post.queues().await, ["open@mail.localhost"]);
    drop(second);
}
