//! Much of everything, pieces of commands in the wrong places, and clients that do not go on.

use std::time::Duration;

use super::{Client, Post};

const TO_OPEN: &str = "EHLO a\r\nMAIL FROM:<a@b.test>\r\nRCPT TO:<open@mail.localhost>\r\nDATA\r\n";

/// The codes of all answers until the end.
async fn codes(client: &mut Client) -> Vec<String> {
    let mut codes = Vec::new();
    loop {
        match client.reply().await {
            reply if reply.is_empty() => return codes,
            reply => codes.push(reply[..3].to_owned()),
        }
    }
}

#[tokio::test]
async fn commands_may_come_at_once_and_end_with_cr_and_lf() {
    let post = Post::start().await;
    let mail = "Subject: x\r\n\r\nx\r\n.\r\n";
    // What is sent at once, the codes of the answers, and how many mails there are after it.
    let smuggled = "MAIL FROM:<c@d.test>\r\nRCPT TO:<open@mail.localhost>\r\nDATA\r\ny\r\n.\r\n";
    let table = [
        (format!("{TO_OPEN}{mail}QUIT\r\n"), "250 250 250 354 250 221", 1),
        (format!("{TO_OPEN}.\r\nQUIT\r\n"), "250 250 250 354 250 221", 2),
        (format!("{TO_OPEN}x\n.\n{smuggled}"), "250 250 250 354 521", 2),
        (format!("{TO_OPEN}x\r\n.\n{smuggled}"), "250 250 250 354 521", 2),
        (format!("{TO_OPEN}x\r.\r\n{smuggled}"), "250 250 250 354 521", 2),
        (format!("{TO_OPEN}x\r\n.\r\r\n{smuggled}"), "250 250 250 354 521", 2),
        (format!("{TO_OPEN}x\n.\r\n{smuggled}"), "250 250 250 354 521", 2),
        ("EHLO a\nNOOP\r\n".to_owned(), "521", 2),
        ("EHLO a\rNOOP\r\nNOOP\r\n".to_owned(), "521", 2),
        ("EHLO a\r\nSTARTTLS\r\nMAIL FROM:<a@b.test>\r\nQUIT\r\n".to_owned(), "250 502 250 221", 2),
    ];
    for (sent, expected, mails) in table {
        let mut client = post.client().await;
        client.send(&sent).await;
        assert_eq!(codes(&mut client).await.join(" "), expected, "{sent:?}");
        assert_eq!(post.queues().await.len(), mails, "{sent:?}");
    }
}

#[tokio::test]
async fn mails_lines_and_recipients_have_limits() {
    let post = Post::with(&["--max-message", "1"]).await;
    let most: usize = (1024 * 1024 - 4096) / 4 * 3;
    let mut client = post.client().await;
    client.send("EHLO a\r\n").await;
    client.reply().await;
    assert_eq!(client.code("MAIL FROM:<a@b.test>").await, "250");
    assert_eq!(client.code("RCPT TO:<open@mail.localhost>").await, "250");
    assert_eq!(client.code("DATA").await, "354");
    // Exactly as much as there may be; it has no other line.
    let line = "a".repeat(most - 2);
    assert_eq!(client.code(&format!("{line}\r\n.")).await, "250");
    // Another one is too large, and is read to its end.
    let lines = ["MAIL FROM:<a@b.test>", "RCPT TO:<open@mail.localhost>", "DATA"];
    assert_eq!(client.codes(&lines).await, "250 250 354");
    assert_eq!(client.code(&format!("{line}a\r\n.")).await, "552");
    assert_eq!(client.code(&format!("MAIL FROM:<a@b.test> SIZE={}", most + 1)).await, "552");
    assert_eq!(client.code(&format!("NOOP {}", "a".repeat(20_000))).await, "500");
    assert_eq!(client.code("NOOP").await, "250");
    assert_eq!(post.queues().await.len(), 1);

    for number in 0..100 {
        post.mailbox(&format!("m{number}@mail.localhost"), "demo", true).await;
    }
    assert_eq!(client.code("MAIL FROM:<a@b.test>").await, "250");
    for number in 0..100 {
        assert_eq!(client.code(&format!("RCPT TO:<m{number}@mail.localhost>")).await, "250");
    }
    // The others are told, and all that were taken get it.
    assert_eq!(
        client.codes(&["RCPT TO:<open@mail.localhost>", "DATA", "x\r\n."]).await,
        "452 354 250"
    );
    assert_eq!(post.queues().await.len(), 101);
}

#[tokio::test]
async fn who_only_makes_work_is_sent_away() {
    let mut post = Post::start().await;
    // What is repeated, how often that is answered, and with which code it ends.
    for (line, answers, last) in [("ABC\r\n", 20, "421"), ("NOOP\r\n", 500, "421")] {
        let mut client = post.client().await;
        client.send(line.repeat(600)).await;
        let codes = codes(&mut client).await;
        assert_eq!((codes.len(), codes.last().map(String::as_str)), (answers + 1, Some(last)));
    }
    let mut client = post.client().await;
    assert_eq!(client.code("EHLO a").await, "250");
    for code in ["535", "535", "535"] {
        assert_eq!(client.code("AUTH PLAIN AGFkYQB0b2tlbg==").await, code);
    }
    assert_eq!(client.rest().await, "");

    // A mail without an end ends the connection, and takes no more memory the longer it becomes.
    let mut client = post.client().await;
    client.send(TO_OPEN).await;
    for _ in 0..4 {
        client.reply().await;
    }
    let before = post.process.memory().0;
    let piece = "a".repeat(1024 * 1024);
    while tokio::time::timeout(Duration::from_millis(1), client.0.get_ref().readable())
        .await
        .is_err()
    {
        client.send(&piece).await;
    }
    assert_eq!(client.reply().await.get(..3), Some("552"));
    let grown = post.process.memory().1.saturating_sub(before);
    assert!(grown < 40 * 1024 * 1024, "{grown}");
    assert_eq!(post.queues().await, Vec::<String>::new());

    // A mail that was begun does not keep the server from ending.
    let mut client = post.client().await;
    client.send(format!("{TO_OPEN}begun\r\n")).await;
    let mut idle = post.client().await;
    post.process.terminate();
    assert_eq!(idle.reply().await.get(..3), Some("421"));
    drop(client);
    assert_eq!(post.process.ends(Duration::from_secs(20)), Some(0));
}

/// Connections that wait make place for those that come.
#[tokio::test]
async fn connections_that_wait_give_way() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    let mut command = super::super::process::server(&data, "ulimit -n 192;");
    let (_process, address) = super::started(command.args(["--smtp", "127.0.0.1:0"]));
    // A limit of 192 files is one of 64 connections, of which 8 are for mail, 6 from one address.
    let mut first = Client::connect(&address).await;
    let mut others = Vec::new();
    for _ in 0..5 {
        others.push(Client::connect(&address).await);
    }
    assert_eq!(first.code("NOOP").await, "250");
    let _seventh = Client::connect(&address).await;
    // The first has just said something; the second has waited longest.
    assert_eq!(others[0].reply().await.get(..3), Some("421"));
    assert_eq!(first.code("NOOP").await, "250");
}
