//! `port forward`, and what goes through it.

use std::fs::File;
use std::process::{Child, Stdio};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{SOON, World};
use crate::needs;

/// A forward that runs.
struct Forward {
    child: Child,
}

impl Drop for Forward {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Forward {
    fn start(world: &World, words: &[&str]) -> Self {
        let file = |name: &str| File::create(world.folder.path().join(name)).expect("a file");
        let mut command = world.command();
        command.args(["port", "forward"]).args(words);
        command.stdout(file("ports")).stderr(file("forwarding")).stdin(Stdio::null());
        Self { child: command.spawn().expect("a process") }
    }

    /// The port here that leads to one there.
    async fn port(world: &World, remote: u16) -> u16 {
        let ports = world.wait_for("ports", &format!("-> {remote}\n")).await;
        let line = ports.lines().find(|it| it.ends_with(&format!("-> {remote}"))).expect("a line");
        let address = line.split_once(" -> ").expect("a port").0;
        address.strip_prefix("127.0.0.1:").expect("loopback").parse().expect("a number")
    }

    /// Waits for its end, and gives its code.
    async fn ends(mut self) -> Option<i32> {
        let until = std::time::Instant::now() + SOON;
        loop {
            if let Some(status) = self.child.try_wait().expect("a status") {
                return status.code();
            }
            assert!(std::time::Instant::now() < until, "it goes on");
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    }
}

/// Bytes that are nowhere the same.
fn bytes(count: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    };
    std::iter::repeat_with(&mut next).take(count).collect()
}

/// Sends bytes to an echo, says that this was all, and gives what comes back until the end.
async fn echoed(port: u16, sent: &[u8]) -> Vec<u8> {
    let stream = TcpStream::connect(("127.0.0.1", port)).await.expect("a connection");
    let (mut reader, mut writer) = stream.into_split();
    let mut back = Vec::new();
    let (sending, reading) = tokio::join!(
        async {
            writer.write_all(sent).await?;
            writer.shutdown().await
        },
        reader.read_to_end(&mut back),
    );
    // What is missing is told by what came.
    if let Some(why) = sending.err().or(reading.err()) {
        println!("{why}");
    }
    back
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forward_carries_all_that_goes_through_it() {
    if !needs::podman("ports of containers") {
        return;
    }
    let world = World::start().await;
    let id = world.serving(&["--container-name", "web"]);
    for port in [80, 7, 81] {
        world.answers(&id, port).await;
    }
    let words = ["--name", "web", "-p", "0:80", "-p", "0:7", "-p", "0:9"];
    let _forward = Forward::start(&world, &words);
    let (web, echo) = (Forward::port(&world, 80).await, Forward::port(&world, 7).await);

    // Several megabytes both ways; the end of one direction is not the end of the other.
    let sent = bytes(8 * 1024 * 1024, 1);
    assert!(echoed(echo, &sent).await == sent, "what comes back is something else");

    let client = reqwest::Client::new();
    let url = format!("http://127.0.0.1:{web}/busybox");
    let file = client.get(&url).send().await.expect("an answer").bytes().await.expect("a file");
    let own = std::fs::read(world.here.folder().join("busybox/bin/busybox"));
    assert!(file == own.expect("busybox"), "the file that came is another one");

    let mut many = tokio::task::JoinSet::new();
    for seed in 0..50 {
        many.spawn(async move {
            let sent = bytes(100_000, seed + 2);
            echoed(echo, &sent).await == sent
        });
    }
    let same = many.join_all().await.into_iter().filter(|is_same| *is_same).count();
    assert_eq!(same, 50, "{}", world.text("forwarding"));

    // Nobody listens there, which is told once; and other connections go on.
    let nobody = Forward::port(&world, 9).await;
    for _ in 0..3 {
        let mut stream = TcpStream::connect(("127.0.0.1", nobody)).await.expect("a connection");
        assert!(stream.read_u8().await.is_err());
    }
    let told = world.wait_for("forwarding", "nothing takes connections on port 9").await;
    assert_eq!(told.matches("nothing takes").count(), 1, "{told}");
    assert_eq!(echoed(echo, b"still").await, b"still");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forward_ends_with_what_it_leads_to() {
    if !needs::podman("ports of containers") {
        return;
    }
    let mut world = World::start().await;
    let id = world.serving(&["--container-name", "web"]);
    let forward = Forward::start(&world, &["-c", &id[..12], "--port", "0:7"]);
    let port = Forward::port(&world, 7).await;
    world.answers(&id, 7).await;
    let mut open = TcpStream::connect(("127.0.0.1", port)).await.expect("a connection");
    open.write_all(b"x").await.expect("a way out");
    assert_eq!(open.read_u8().await.expect("an echo"), b'x');
    world.here.engine.kill(&id).await.expect("it is killed");
    assert_eq!(forward.ends().await, Some(1));
    let told = world.text("forwarding");
    assert!(told.contains(&format!("the container \"web\" ({}) has ended", &id[..12])), "{told}");
    // What was open has ended, too, one way or the other.
    assert!(open.read_u8().await.is_err());

    let id = world.serving(&[]);
    let forward = Forward::start(&world, &["-c", &id, "--port", "0:7"]);
    Forward::port(&world, 7).await;
    world.server.child.kill().expect("the server is killed");
    assert_eq!(forward.ends().await, Some(1));
    let told = world.text("forwarding");
    assert!(told.contains("nothing is forwarded any more"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forward_says_what_is_wrong_before_it_begins() {
    if !needs::podman("ports of containers") {
        return;
    }
    let world = World::start().await;
    let (one, two) =
        (world.serving(&["--container-name", "a"]), world.serving(&["--container-name", "a"]));
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let taken = listener.local_addr().expect("an address").port();
    let busy = format!("{taken}:80");
    for (words, code, parts) in [
        (&["--name", "a", "-p", "0:80"][..], 1, &["several containers", &one, &two][..]),
        (&["--name", "b", "-p", "0:80"], 1, &["no container named \"b\" runs"]),
        (&["-c", "feedfeedfeed", "-p", "0:80"], 1, &["no container with the id"]),
        (&["-c", &one, "-p", &busy], 1, &["failed to listen on 127.0.0.1", "--port 0:80"]),
        (&["-c", &one, "-p", "80"], 2, &["LOCAL:REMOTE"]),
        (&["-c", &one, "-p", "5:80", "-p", "5:81"], 2, &["is given twice"]),
        (&["-p", "0:80"], 2, &["--name"]),
        (&["-c", &one], 2, &["--port"]),
        (&["-c", &one, "--name", "a", "-p", "0:80"], 2, &["cannot be used with"]),
    ] {
        let output = world.run(&[&["port", "forward"], words].concat());
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{words:?}: {said}");
        assert!(parts.iter().all(|part| said.contains(part)), "{words:?}: {said}");
        assert!(output.stdout.is_empty(), "{words:?}");
    }
    drop(listener);
}

/// The command line of the public SDK, through this server.
#[tokio::test(flavor = "multi_thread")]
async fn the_reference_forwards_ports_of_this_platform() {
    let tested = "the reference's forwards";
    let (true, Some(python)) = (needs::podman(tested), needs::python(tested)) else { return };
    let world = World::start().await;
    let id = world.serving(&["--container-name", "web"]);
    world.answers(&id, 7).await;
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = free.local_addr().expect("an address").port();
    drop(free);
    let file = |name: &str| File::create(world.folder.path().join(name)).expect("a file");
    let command = world.command();
    let platform = command.get_envs().filter_map(|(name, value)| Some((name, value?)));
    let mut reference = std::process::Command::new(python);
    reference.env_clear().envs(platform).args(["-m", "meshagent.cli.cli"]);
    reference.args(["port", "forward", "--room", "lobby", "--name", "web"]);
    reference.args(["--port", &format!("{port}:7")]);
    reference.stdout(file("ports")).stderr(file("forwarding")).stdin(Stdio::null());
    let _reference = Forward { child: reference.spawn().expect("a process") };
    let until = std::time::Instant::now() + SOON;
    let mut stream = loop {
        if let Ok(stream) = TcpStream::connect(("127.0.0.1", port)).await {
            break stream;
        }
        let said = world.text("forwarding");
        assert!(std::time::Instant::now() < until, "{said}{}", world.text("ports"));
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    };
    // It ends both directions at once, so nothing is said of an end here.
    let sent = bytes(3 * 1024 * 1024, 9);
    let (mut reader, mut writer) = stream.split();
    let mut back = vec![0; sent.len()];
    let (sending, reading) = tokio::join!(writer.write_all(&sent), reader.read_exact(&mut back));
    sending.expect("a way out");
    reading.expect("a way back");
    assert!(back == sent, "what comes back is something else");
}
