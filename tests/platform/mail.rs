//! Mail over SMTP: what arrives, what is refused, and whom participants may write to.

mod arriving;
mod bounds;
mod relaying;
mod submitting;

use std::path::Path;
use std::process::Command;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use super::process::{Process, Reached, server};

/// A server that takes mail, with a room and two mailboxes.
struct Post {
    process: Process,
    /// Where mail is taken.
    address: String,
    data: std::path::PathBuf,
    _folder: tempfile::TempDir,
}

/// The command of a server that takes mail.
fn taking_mail(data: &Path) -> Command {
    let mut command = server(data, "");
    command.args(["--smtp", "127.0.0.1:0"]);
    command
}

/// Starts a server that takes mail, and tells where.
fn started(command: &mut Command) -> (Process, String) {
    let mut process = Process::start(command);
    let host = process.told("SMTP_HOSTNAME");
    let port = process.told("SMTP_PORT");
    (process, format!("{host}:{port}"))
}

impl Post {
    async fn start() -> Self {
        Self::with(&[]).await
    }

    async fn with(options: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let data = folder.path().join("data");
        let (process, address) = started(taking_mail(&data).args(options));
        let post = Self { process, address, data, _folder: folder };
        assert_eq!(post.reached().create_room("demo").await, Some(201));
        post.mailbox("open@mail.localhost", "demo", true).await;
        post.mailbox("Own@mail.localhost", "demo", false).await;
        post
    }

    const fn reached(&self) -> &Reached {
        &self.process.reached
    }

    /// A mailbox whose queue is named like it.
    async fn mailbox(&self, address: &str, room: &str, public: bool) {
        let body = json!({"address": address, "room": room, "queue": address, "public": public});
        let made = self.reached().own("POST", "/mailboxes").body(body.to_string()).send().await;
        assert_eq!(made.expect("an answer").status(), 201);
    }

    async fn client(&self) -> Client {
        Client::connect(&self.address).await
    }

    /// What lies in queues: their names and mails.
    async fn mails(&self) -> Vec<(String, String)> {
        let options = SqliteConnectOptions::new().filename(self.data.join("platform.sqlite"));
        let mut database = options.connect().await.expect("the database");
        let sql = "SELECT queue, message FROM queue_messages ORDER BY seq";
        let rows: Vec<(String, String)> =
            sqlx::query_as(sql).fetch_all(&mut database).await.expect("messages");
        database.close().await.expect("its end");
        let mail = |message: String| {
            let message: Value = serde_json::from_str(&message).expect("JSON");
            assert_eq!(message.as_object().map(serde_json::Map::len), Some(1), "{message}");
            let mail = STANDARD.decode(message["base64"].as_str().expect("a text"));
            String::from_utf8(mail.expect("base64")).expect("a text")
        };
        rows.into_iter().map(|(queue, message)| (queue, mail(message))).collect()
    }

    /// The queues that something lies in.
    async fn queues(&self) -> Vec<String> {
        self.mails().await.into_iter().map(|(queue, _)| queue).collect()
    }
}

/// Somebody who speaks SMTP.
struct Client(BufReader<TcpStream>);

impl Client {
    async fn connect(address: &str) -> Self {
        let mut client = Self(BufReader::new(TcpStream::connect(address).await.expect("a port")));
        assert_eq!(client.reply().await, "220 mail.localhost ESMTP");
        client
    }

    /// Sends bytes as they are.
    async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.0.get_mut().write_all(bytes.as_ref()).await.expect("a connection");
    }

    /// The last line of the next answer; empty at the end of the connection.
    async fn reply(&mut self) -> String {
        loop {
            let mut line = String::new();
            let read = tokio::time::timeout(
                std::time::Duration::from_secs(30),
                self.0.read_line(&mut line),
            );
            // A connection may be reset once everything was said.
            if read.await.expect("an answer").unwrap_or(0) == 0 {
                return String::new();
            }
            if line.as_bytes().get(3) != Some(&b'-') {
                return line.trim_end().to_owned();
            }
        }
    }

    /// The code with which a line is answered.
    async fn code(&mut self, line: &str) -> String {
        self.send(format!("{line}\r\n")).await;
        let reply = self.reply().await;
        reply.split(' ').next().unwrap_or_default().to_owned()
    }

    /// The codes with which lines are answered.
    async fn codes(&mut self, lines: &[&str]) -> String {
        let mut codes = Vec::new();
        for line in lines {
            codes.push(self.code(line).await);
        }
        codes.join(" ")
    }

    /// Everything that comes until the end.
    async fn rest(&mut self) -> String {
        let mut rest = Vec::new();
        let _ = self.0.read_to_end(&mut rest).await;
        String::from_utf8_lossy(&rest).into_owned()
    }
}
