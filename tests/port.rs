//! Ports of containers: `port forward`, the tunnels behind it, and published ports, with an engine of
//! the test's own.

#[path = "port/forward.rs"]
mod forward;
#[path = "port/published.rs"]
mod published;
#[path = "port/tunnel.rs"]
mod tunnel;

use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use crate::engine_here::{EngineHere, IMAGE};
use crate::platform::harness::token_for;
use crate::platform::process::{Process, server};

/// What the container of the tests runs: files at 80, an echo at 7, and at 81 a program that answers
/// with the head of the request, or becomes an echo if that asks for a websocket.
const SERVES: &str = "sh -c 'httpd -p 80 -h /bin & nc -llllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllll -p 7 -e cat & nc -ll -p 81 -e sh -c \"$HEAD\" & wait'";

const HEAD: &str = r#"text=
read -r line; text="$line
"
socket=
while read -r line; do
    line=${line%?}
    [ -z "$line" ] && break
    text="$text$line
"
    case "$line" in [Uu]pgrade:*) socket=yes;; esac
done
if [ -n "$socket" ]; then
    echo -e "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r"
    exec cat
fi
echo -e "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nConnection: close, X-Own\r\nX-Own: 1\r\n\r"
echo -n "$text"
"#;

/// How long something may take that happens by itself.
const SOON: Duration = Duration::from_secs(60);

/// A server with a room that somebody is in.
struct World {
    here: EngineHere,
    server: Process,
    present: Child,
    folder: tempfile::TempDir,
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = self.present.kill();
        let _ = self.present.wait();
        // It removes its containers.
        self.server.terminate();
        let _ = self.server.child.wait();
    }
}

impl World {
    async fn start() -> Self {
        let here = EngineHere::start("").await;
        let folder = tempfile::tempdir().expect("a folder");
        let said = std::fs::File::create(folder.path().join("said")).expect("a file");
        let mut command = server(&folder.path().join("data"), "");
        command.arg("--containers").arg(here.engine.socket());
        command.args(["--publish", "127.0.0.1:0"]).stderr(said);
        let server = Process::start(&mut command);
        assert_eq!(server.reached.create_room("lobby").await, Some(201));
        let present = program(&server, folder.path())
            .args(["room", "developer", "watch"])
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(folder.path().join("watching")).expect("a file"))
            .spawn()
            .expect("a process");
        let world = Self { here, server, present, folder };
        world.wait_for("watching", "watching").await;
        world
    }

    /// The program, with the server and the room in its environment.
    fn command(&self) -> Command {
        program(&self.server, self.folder.path())
    }

    fn run(&self, words: &[&str]) -> Output {
        self.command().args(words).output().expect("a program")
    }

    /// What a command writes that does what it is to do.
    fn done(&self, words: &[&str]) -> String {
        let output = self.run(words);
        assert!(output.status.success(), "{words:?}: {output:?}");
        String::from_utf8(output.stdout).expect("text").trim().to_owned()
    }

    /// Starts a container in the room that serves; its id.
    fn serving(&self, words: &[&str]) -> String {
        let head = format!("HEAD={HEAD}");
        let run =
            ["room", "container", "run", "--image", IMAGE, "--command", SERVES, "--env", &head];
        let said = self.done(&[&run[..], words].concat());
        let id = said.split_whitespace().last().expect("an id");
        assert_eq!(id.len(), 64, "{said}");
        id.to_owned()
    }

    /// What is in a file of the folder.
    fn text(&self, file: &str) -> String {
        std::fs::read_to_string(self.folder.path().join(file)).unwrap_or_default()
    }

    /// Waits until a file has a text in it, and gives all of it.
    async fn wait_for(&self, file: &str, text: &str) -> String {
        let until = Instant::now() + SOON;
        loop {
            let has = self.text(file);
            if has.contains(text) {
                return has;
            }
            assert!(Instant::now() < until, "{file} has no {text:?}: {has}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// A token for a room, with a scope.
    fn token(&self, room: &str, scope: serde_json::Value) -> String {
        token_for(&self.server.reached.key, room, scope)
    }

    /// Waits until something answers at a port of a container.
    async fn answers(&self, id: &str, port: u16) {
        let until = Instant::now() + SOON;
        while let Err(why) = self.here.engine.reach(id, port).await {
            assert!(Instant::now() < until, "{why}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        loop {
            let address = self.here.engine.reach(id, port).await.expect("an address");
            if tokio::net::TcpStream::connect(address).await.is_ok() {
                return;
            }
            assert!(Instant::now() < until, "nothing listens on {address}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

fn program(server: &Process, home: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_meshagent"));
    command
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", home)
        .env("MESHAGENT_API_URL", &server.reached.url)
        .env("MESHAGENT_API_KEY", &server.reached.key)
        .env("MESHAGENT_PROJECT_ID", &server.reached.project)
        .env("MESHAGENT_ROOM", "lobby")
        .current_dir(home)
        .stdin(Stdio::null());
    command
}
