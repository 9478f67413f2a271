//! A host that runs as a program, ours or the reference's, and how it is called.

use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use meshagent::api::http;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

use crate::cli::Sandbox;

/// The participant's token, which nobody must show.
pub const TOKEN: &str = "canary-token-5c1e";

/// The host, which ends with this.
pub struct Program {
    child: Child,
    pub address: String,
    client: reqwest::Client,
    sandbox: Sandbox,
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = (self.child.kill(), self.child.wait());
    }
}

/// An address of this machine that no other test has: the port is the same for all.
pub fn host() -> String {
    static HOSTS: AtomicU32 = AtomicU32::new(0);
    let [_, _, high, low] = std::process::id().to_be_bytes();
    let count = HOSTS.fetch_add(1, Ordering::Relaxed);
    format!("127.{}.{high}.{low}", 10 + count)
}

/// A command with no environment.
fn bare(program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new(program);
    command.env_clear();
    command
}

impl Program {
    /// Ours, once it answers.
    pub async fn start() -> Self {
        Self::of(bare(env!("CARGO_BIN_EXE_meshagent"))).await
    }

    /// Ours, which soon gives up a room that is not heard of.
    pub async fn impatient() -> Self {
        let mut command = bare(env!("CARGO_BIN_EXE_meshagent"));
        command.env("MESHAGENT_WEBSOCKET_HEARTBEAT", "0.2");
        Self::of(command).await
    }

    /// The reference's, once it answers.
    pub async fn reference(python: &std::path::Path) -> Self {
        let mut command = bare(python);
        command.args(["-c", "from meshagent.cli.cli import app; app()"]);
        Self::of(command).await
    }

    async fn of(mut command: Command) -> Self {
        let (host, sandbox) = (host(), Sandbox::new());
        let child = command
            .args(["helper", "service"])
            .current_dir(sandbox.path(""))
            .env("HOME", sandbox.path(""))
            .env("PATH", "/usr/bin:/bin")
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("MESHAGENT_HOST", &host)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(sandbox.path("said")).unwrap())
            .spawn()
            .unwrap();
        let address = format!("{host}:9000");
        let client = http::build(http::of_platform("http://")).unwrap();
        let mut program = Self { child, address, client, sandbox };
        let begun = Instant::now();
        while TcpStream::connect(&program.address).await.is_err() {
            assert!(program.child.try_wait().unwrap().is_none(), "{}", program.said());
            assert!(begun.elapsed() < Duration::from_secs(120), "nothing listens");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        program
    }

    /// Ends it by a signal; its exit code and what it said.
    pub fn end(mut self, signal: Signal) -> (Option<i32>, String) {
        kill(Pid::from_raw(self.child.id().try_into().unwrap()), signal).unwrap();
        let code = self.child.wait().unwrap().code();
        (code, self.said())
    }

    /// Waits until it has said so many lines.
    pub async fn lines(&self, count: usize) {
        let begun = Instant::now();
        while self.said().lines().count() < count {
            assert!(begun.elapsed() < Duration::from_secs(20), "{}", self.said());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// How much memory it has used at most, in KiB.
    pub fn most_memory(&self) -> u64 {
        crate::room::most_memory(self.child.id())
    }

    fn said(&self) -> String {
        std::fs::read_to_string(self.sandbox.path("said")).unwrap()
    }

    pub fn request(&self, method: &str, path: &str) -> reqwest::RequestBuilder {
        let method = method.parse().unwrap();
        let url = format!("http://{}{path}", self.address);
        self.client.request(method, url)
    }

    /// Calls a path into a room; the status of the answer.
    pub async fn call(&self, path: &str, room_url: &str) -> u16 {
        let request = self.request("POST", path).header("Content-Type", "application/json");
        request.body(webhook(room_url)).send().await.unwrap().status().as_u16()
    }

    /// Calls a path over a websocket.
    pub async fn connect(&self, path: &str) -> WebSocketStream<TcpStream> {
        let mut request = format!("ws://{}{path}", self.address).into_client_request().unwrap();
        let webhook = webhook("ws://nowhere.invalid/rooms/demo").parse().unwrap();
        request.headers_mut().insert("Meshagent-Webhook", webhook);
        let socket = TcpStream::connect(&self.address).await.unwrap();
        socket.set_nodelay(true).unwrap();
        tokio_tungstenite::client_async(request, socket).await.unwrap().0
    }
}

/// The text of a call into a room.
pub fn webhook(room_url: &str) -> String {
    let data: Value = json!({
        "room_name": "demo", "room_url": room_url, "token": TOKEN, "arguments": {},
    });
    json!({"event": "room.call", "data": data}).to_string()
}
