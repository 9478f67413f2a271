//! How fast bytes come out of a container through `port forward`, beside a bare proxy that goes to the
//! container itself. It needs Podman, as the tests of containers do.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Stdio};
use std::time::Instant;

use tokio::io::{AsyncReadExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};

use super::child::meshagent;
use super::engine_here::{EngineHere, IMAGE};
use super::platform::Served;
use super::table::{Table, smallest_and_middle};

/// How much is carried in a round, in bytes.
const SIZE: usize = 1024 * 1024 * 1024;

/// Rounds, by turns.
const ROUNDS: usize = 5;

/// What sends that much to each who connects.
const SENDS: &str = "nc -ll -p 9 -e dd if=/dev/zero bs=65536 count=16384";

/// A program that ends with this value.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Takes the figures.
pub fn figures() -> Table {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(taken())
}

async fn taken() -> Table {
    let here = EngineHere::start("").await;
    let socket = here.engine.socket().display().to_string();
    let platform = Served::with("warn", &["--containers", &socket]);
    let command = |words: &[&str]| {
        let mut command = meshagent().with(words).command();
        command.envs(platform.environment.iter().cloned()).env("MESHAGENT_ROOM", "lobby");
        command
    };
    let done = |words: &[&str]| {
        let output = command(words).output().expect("the program");
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).expect("text").trim().to_owned()
    };
    done(&["rooms", "create", "--name", "lobby"]);
    let watch = &["room", "developer", "watch"];
    let mut watch = command(watch).stdout(Stdio::null()).stderr(Stdio::piped()).spawn();
    let said = watch.as_mut().expect("the program").stderr.take().expect("its words");
    let _present = Running(watch.expect("the program"));
    BufReader::new(said).read_line(&mut String::new()).expect("a word");
    let run = ["room", "container", "run", "--image", IMAGE, "--command", SENDS];
    let said = done(&run);
    let id = said.split_whitespace().last().expect("an id");
    let inside = loop {
        let address = here.engine.reach(id, 9).await.expect("an address");
        if TcpStream::connect(address).await.is_ok() {
            break address;
        }
    };
    let words = ["port", "forward", "--container-id", id, "--port", "0:9"];
    let mut forward =
        command(&words).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("a process");
    let mut line = String::new();
    let said = forward.stdout.take().expect("its ports");
    BufReader::new(said).read_line(&mut line).expect("a port");
    let _forward = Running(forward);
    let tunnel: SocketAddr =
        line.split(' ').next().and_then(|it| it.parse().ok()).expect("an address");
    let bare = proxy(inside).await;
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        theirs.push(seconds(bare).await);
        ours.push(seconds(tunnel).await);
    }
    let rate = |seconds: Vec<f64>| SIZE as f64 / smallest_and_middle(seconds).1 / (1024.0 * 1024.0);
    let (ours, theirs) = (rate(ours), rate(theirs));
    let mut table = Table::default();
    table.aimed(
        "1 GiB out of a container through `port forward`, beside a bare proxy",
        format!("{ours:.0} and {theirs:.0} MiB/s: {:.2} times", ours / theirs),
        "0.7 times",
    );
    table.note(format!(
        "The middle of {ROUNDS} rounds, by turns. The proxy is `tokio::io::copy_bidirectional` to the container's own address: one hop, where a forward has two and a websocket."
    ));
    table
}

/// A bare proxy to an address, on this machine.
async fn proxy(to: SocketAddr) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        while let Ok((mut here, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut there = TcpStream::connect(to).await?;
                copy_bidirectional(&mut here, &mut there).await
            });
        }
    });
    address
}

/// How long it takes to read all that comes from an address.
async fn seconds(from: SocketAddr) -> f64 {
    let start = Instant::now();
    let mut stream = TcpStream::connect(from).await.expect("a connection");
    let (mut buffer, mut read) = (vec![0; 256 * 1024], 0);
    while let Ok(count @ 1..) = stream.read(&mut buffer).await {
        read += count;
    }
    assert_eq!(read, SIZE, "not everything came");
    start.elapsed().as_secs_f64()
}
