//! What comes in too large numbers, too slowly or not at all, and what the system does not
//! give: the platform goes on, and says so once.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use meshagent::platform::{BODY_LIMIT, Platform, VALUE_LIMIT};

use super::harness::Server;
use super::process::{Process, Reached, server};

const MEGABYTE: u64 = 1_000_000;

/// A server whose standard error is a file.
struct Watched {
    process: Process,
    folder: tempfile::TempDir,
}

impl Watched {
    fn start(before: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let log = std::fs::File::create(folder.path().join("log")).expect("a file");
        let mut command = server(&folder.path().join("data"), before);
        Self { process: Process::start(command.stderr(log)), folder }
    }

    fn data(&self, name: &str) -> PathBuf {
        self.folder.path().join("data").join(name)
    }

    /// The lines on standard error that hold a text, once there is one.
    fn told(&self, text: &str) -> Vec<String> {
        let end = Instant::now() + Duration::from_secs(10);
        loop {
            let log = std::fs::read_to_string(self.folder.path().join("log")).expect("a log");
            let found: Vec<_> =
                log.lines().filter(|line| line.contains(text)).map(str::to_owned).collect();
            if !found.is_empty() || Instant::now() > end {
                return found;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

fn connect(server: &Reached) -> TcpStream {
    let stream = TcpStream::connect(server.address()).expect("a connection");
    stream.set_read_timeout(Some(Duration::from_secs(60))).expect("a time-out");
    stream
}

/// The status of an answer; none where the connection ended without one.
fn status(stream: &mut TcpStream) -> Option<u16> {
    let mut answer = Vec::new();
    let mut part = [0; 4096];
    while !answer.windows(2).any(|two| two == b"\r\n") {
        match stream.read(&mut part) {
            Ok(count) if count > 0 => answer.extend_from_slice(&part[..count]),
            _ => return None,
        }
    }
    String::from_utf8_lossy(&answer).split(' ').nth(1)?.parse().ok()
}

/// The head of a request of the owner.
fn head(server: &Reached, request: &str, length: usize) -> String {
    format!(
        "{} HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {}\r\ncontent-length: {length}\r\n\r\n",
        request.replace("{project}", &server.project),
        server.address(),
        server.key
    )
}

const UPLOAD: &str = "POST /projects/{project}/storage/upload?path=";

#[tokio::test]
async fn idle_connections_lock_nobody_out() {
    let server = Watched::start("ulimit -n 200;");
    let reached = &server.process.reached;
    let before = server.process.descriptors().others;
    let idle: Vec<_> = (0..500).map(|_| connect(reached)).collect();
    let start = Instant::now();
    for number in 0..5 {
        // Each with a connection of its own, among all the others.
        let fresh = Reached { client: super::harness::client(), ..reached.clone() };
        assert_eq!(fresh.create_room(&format!("room-{number}")).await, Some(201));
    }
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    assert_eq!(server.told("to make room for others").len(), 1);
    assert_eq!(server.told("at most 68 connections").len(), 1);
    drop(idle);
    until(|| server.process.descriptors().others <= before).await;
}

/// A connection that has to make room may be given a request at that very moment. It must not go on
/// beside those that have a place, until no more files can be opened.
#[tokio::test]
async fn a_burst_of_bodies_takes_no_more_places_than_there_are() {
    let server = Watched::start("ulimit -n 96;");
    let reached = &server.process.reached;
    let before = server.process.descriptors().others;
    let busy: Vec<_> = (0..300)
        .map(|number| {
            let mut stream = connect(reached);
            let head = head(reached, &format!("{UPLOAD}file-{number}"), 1_000_000);
            // Who is refused may be gone by now.
            let _ = stream.write_all(head.as_bytes());
            stream
        })
        .collect();
    // There are 16 places, and a quarter of them is for others.
    until(|| server.process.descriptors().others <= before + 16).await;
    // The refusals of the burst take a moment; while there are many, they are just closed.
    until(|| status(&mut connect(reached)) == Some(503)).await;
    drop(busy);
    until(|| server.process.descriptors().others <= before).await;
    assert_eq!(reached.create_room("a").await, Some(201));
    let log = std::fs::read_to_string(server.folder.path().join("log")).expect("a log");
    assert!(!log.contains("Too many open files"), "{log}");
}

#[tokio::test]
async fn one_address_does_not_take_the_places_of_others() {
    let server = Watched::start("ulimit -n 200;");
    let reached = &server.process.reached;
    // Bodies that are under way: none of these connections waits.
    let mut busy: Vec<_> = (0..51)
        .map(|number| {
            let mut stream = connect(reached);
            let head = head(reached, &format!("{UPLOAD}file-{number}"), 1_000_000);
            stream.write_all(head.as_bytes()).expect("a head");
            stream
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(status(&mut connect(reached)), Some(503));
    assert_eq!(server.told("connections are refused").len(), 1);
    // Another address of this machine.
    let port = reached.address().rsplit(':').next().expect("a port");
    let other = reqwest::Client::builder()
        .no_proxy()
        .tls_certs_only([])
        .local_address(std::net::IpAddr::from([127, 0, 0, 2]))
        .build()
        .expect("a client");
    let answer = other.get(format!("http://127.0.0.1:{port}/accounts/projects")).send().await;
    assert_eq!(answer.expect("an answer").status(), 401);
    // Who sends goes on.
    let body = vec![7; 1_000_000];
    busy[0].write_all(&body).expect("a body");
    assert_eq!(status(&mut busy[0]), Some(201));
}

#[tokio::test]
async fn who_sends_slowly_is_cut_off() {
    let server = Watched::start("");
    let reached = server.process.reached.clone();
    let sent = [
        // Nothing; a head that never ends; a body that never comes; one that trickles.
        (String::new(), None),
        ("GET /config HTTP/1.1\r\nhost: localhost\r\nx-a: ".to_owned(), None),
        (head(&reached, &format!("{UPLOAD}a"), 100), Some(408)),
        (head(&reached, "POST /accounts/projects/{project}/rooms", 1000), Some(408)),
    ];
    let start = Instant::now();
    let cut = sent.map(|(sent, expected)| {
        let mut stream = connect(&reached);
        stream.write_all(sent.as_bytes()).expect("a start");
        let mut trickle = stream.try_clone().expect("a stream");
        std::thread::spawn(move || {
            if !sent.is_empty() {
                while trickle.write_all(b"x").is_ok() {
                    std::thread::sleep(Duration::from_millis(1500));
                }
            }
        });
        std::thread::spawn(move || (status(&mut stream), expected, start.elapsed()))
    });
    for cut in cut {
        let (status, expected, after) = cut.join().expect("an end");
        assert_eq!(status, expected);
        let seconds = after.as_secs_f64();
        assert!((9.0..14.0).contains(&seconds), "{seconds} {expected:?}");
    }
    assert_eq!(server.told("did not arrive in time").len(), 1);
    assert_eq!(reached.create_room("after").await, Some(201));
}

/// A client that sends all that it has before it reads sees why it was refused.
#[tokio::test]
async fn a_refused_body_does_not_reset_the_connection() {
    let server = Server::start().await;
    let reached = Reached {
        url: server.url.clone(),
        key: server.owner.clone(),
        project: server.project.clone(),
        client: super::harness::client(),
    };
    let nobody = |head: String| head.replace("Bearer ma-", "Bearer mx-");
    let rooms = "POST /accounts/projects/{project}/rooms";
    let large = BODY_LIMIT + 4_000_000;
    for (request, length, expected) in [
        (nobody(head(&reached, rooms, large)), large, 401),
        (nobody(head(&reached, rooms, 2_000_000)), 2_000_000, 401),
        (head(&reached, rooms, large), large, 413),
        (head(&reached, &format!("{UPLOAD}a"), large), large, 413),
        (head(&reached, "POST /nowhere", 3_000_000), 3_000_000, 404),
        (head(&reached, "POST /config", 3_000_000), 3_000_000, 405),
        (format!("GET / HTTP/1.1\r\nx: {}\r\n\r\n", "x".repeat(200_000)), 2_000_000, 431),
        ("NOT HTTP\r\n\r\n".to_owned(), 2_000_000, 400),
    ] {
        let reached = reached.clone();
        let seen = tokio::task::spawn_blocking(move || {
            let mut stream = connect(&reached);
            stream.write_all(request.as_bytes()).expect("a head");
            let body = vec![b' '; length];
            stream.write_all(&body).unwrap_or_else(|error| panic!("{expected}: {error}"));
            status(&mut stream)
        });
        assert_eq!(seen.await.expect("a status"), Some(expected));
    }
}

#[tokio::test]
async fn only_known_hosts_are_answered_over_loopback() {
    let server = Server::start().await;
    let port = server.url.rsplit(':').next().expect("a port");
    for (host, status) in [
        (format!("127.0.0.1:{port}"), 200),
        ("localhost".to_owned(), 200),
        (format!("[::1]:{port}"), 200),
        ("rebound.example".to_owned(), 421),
        (format!("rebound.example:{port}"), 421),
        (format!("127.0.0.1.rebound.example:{port}"), 421),
    ] {
        let config = server.ask("GET", "/config").bearer(&server.owner).header("host", &host);
        assert_eq!(config.send().await.status, status, "{host}");
        let reply = server.own("GET", "/rooms").header("host", &host).send().await;
        assert_eq!(reply.status, status, "{host}");
    }

    let folder = tempfile::tempdir().expect("a folder");
    let mut command = server_known_as(folder.path(), "dev.example");
    let process = Process::start(&mut command);
    for (host, status) in [("dev.example", 200), ("other.example", 421)] {
        let answer = process.reached.own("GET", "/rooms").header("host", host).send().await;
        assert_eq!(answer.expect("an answer").status().as_u16(), status, "{host}");
    }
}

fn server_known_as(data: &Path, name: &str) -> std::process::Command {
    let mut command = server(data, "");
    command.args(["--allow-host", name]);
    command
}

#[tokio::test]
async fn held_uploads_and_downloads_take_no_memory() {
    // What the allocator keeps of bodies that are gone differs from run to run; the server is
    // measured by what it holds.
    let server = Watched::start("export MALLOC_MMAP_THRESHOLD_=131072;");
    let reached = server.process.reached.clone();
    assert_eq!(reached.create_room("warm").await, Some(201));
    let (before, _) = server.process.memory();
    const LENGTH: usize = 8 * 1024 * 1024;
    let part = vec![7; LENGTH - 1];
    let held: Vec<_> = (0..10)
        .map(|number| {
            let mut stream = connect(&reached);
            let kind = if number % 2 == 0 {
                format!("{UPLOAD}file-{number}")
            } else {
                "POST /accounts/projects/{project}/rooms".to_owned()
            };
            stream.write_all(head(&reached, &kind, LENGTH).as_bytes()).expect("a head");
            stream.write_all(&part).expect("a body");
            stream
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(500)).await;
    let (now, _) = server.process.memory();
    assert!(now < before + 30 * MEGABYTE, "{before} {now}");
    assert_eq!(reached.create_room("between").await, Some(201));
    for (number, mut stream) in held.into_iter().enumerate() {
        stream.write_all(b"7").expect("the rest");
        assert_eq!(status(&mut stream), Some(if number % 2 == 0 { 201 } else { 400 }));
    }

    let large = reached.own("POST", "/storage/upload?path=large").body(vec![7; BODY_LIMIT]);
    assert_eq!(large.send().await.expect("an answer").status(), 201);
    let taking: Vec<_> = (0..30)
        .map(|_| {
            let mut stream = connect(&reached);
            let request = "GET /projects/{project}/storage/download?path=large";
            stream.write_all(head(&reached, request, 0).as_bytes()).expect("a request");
            stream
        })
        .collect();
    tokio::time::sleep(Duration::from_secs(1)).await;
    let (_, most) = server.process.memory();
    assert!(most < 150 * MEGABYTE, "{most}");
    // Small things are answered meanwhile, and who hangs up makes room for the next.
    assert_eq!(reached.create_room("meanwhile").await, Some(201));
    drop(taking);
    let large = reached.own("GET", "/storage/download?path=large").send().await;
    let large = large.expect("an answer").bytes().await.expect("a body");
    assert_eq!(large.len(), BODY_LIMIT);
    assert_eq!(reached.create_room("after").await, Some(201));
}

#[tokio::test]
async fn uploads_of_any_size_come_back_whole() {
    let server = Server::start().await;
    for length in [0, 1, 65_535, 65_536, 65_537, 300_000, BODY_LIMIT] {
        let content: String = (0..length).map(|at| char::from(b'a' + (at % 23) as u8)).collect();
        let path = format!("/projects/{}/storage/upload?path=f", server.project);
        let upload = server.ask("POST", &path).bearer(&server.owner).text(&content).send().await;
        assert!([200, 201].contains(&upload.status), "{length}: {upload:?}");
        let path = path.replace("upload", "download");
        let back = server.ask("GET", &path).bearer(&server.owner).send().await.expect(200);
        assert!(back.text == content, "{length}");
        assert_eq!(back.header("content-length"), length.to_string());
        assert_eq!(back.header("etag"), upload.header("etag"));
    }
}

#[tokio::test]
async fn json_holds_only_so_many_values() {
    let server = Server::start().await;
    let room = |count: usize| {
        let values = vec!["1"; count].join(",");
        format!(r#"{{"name": "a-{count}", "metadata": {{"values": [{values}]}}}}"#)
    };
    server.own("POST", "/rooms").text(&room(VALUE_LIMIT / 2)).send().await.expect(201);
    let refused =
        server.own("POST", "/rooms").text(&room(VALUE_LIMIT + 1)).send().await.expect(400);
    assert!(refused.text.contains("more than 200000 values"), "{}", refused.text);
}

/// Whatever standard error is, requests are answered and the end is clean.
#[tokio::test]
async fn a_log_that_cannot_be_written_stops_nobody() {
    let full = || Stdio::from(std::fs::File::create("/dev/full").expect("a device"));
    let (closed, stuck) = (std::io::pipe().expect("a pipe"), std::io::pipe().expect("a pipe"));
    drop(closed.0);
    let (_reader, mut filled) = stuck;
    fill(&mut filled);
    for (name, stderr, before) in [
        ("full", full(), ""),
        ("closed by its reader", Stdio::from(closed.1), ""),
        ("read by nobody", Stdio::from(filled), ""),
        ("closed", Stdio::inherit(), "exec 2>&-;"),
    ] {
        let folder = tempfile::tempdir().expect("a folder");
        let mut command = server(folder.path(), before);
        command.env("MESHAGENT_LOG", "trace").stderr(stderr);
        let mut process = Process::start(&mut command);
        for number in 0..300 {
            let room_name = format!("room-{number}");
            let room = process.reached.create_room(&room_name);
            let room = tokio::time::timeout(Duration::from_secs(20), room).await;
            assert_eq!(room.unwrap_or_else(|_| panic!("{name}: no answer")), Some(201), "{name}");
        }
        process.terminate();
        assert_eq!(process.ends(Duration::from_secs(10)), Some(0), "{name}");
    }
}

/// The same holds for commands that start a platform of their own.
#[test]
fn a_command_does_not_wait_for_its_log() {
    let folder = tempfile::tempdir().expect("a folder");
    let room = "version: v1\nkind: Room\nmetadata: {name: a}\n";
    std::fs::write(folder.path().join("room.yaml"), room).expect("a file");
    // What is no log, such as the note about a new platform, does wait.
    let made = std::process::Command::new(env!("CARGO_BIN_EXE_meshagent"))
        .args(["rooms", "list", "--embedded"])
        .current_dir(folder.path())
        .env_clear()
        .env("HOME", folder.path())
        .output();
    assert!(made.expect("a process").status.success());
    let (_reader, mut filled) = std::io::pipe().expect("a pipe");
    fill(&mut filled);
    let full = std::fs::File::create("/dev/full").expect("a device");
    for stderr in [Stdio::from(filled), Stdio::from(full)] {
        let command = std::process::Command::new(env!("CARGO_BIN_EXE_meshagent"))
            .args(["--log", "trace", "plan", "-f", "room.yaml", "--embedded", "--exit-code"])
            .current_dir(folder.path())
            .env_clear()
            .env("HOME", folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(stderr)
            .spawn();
        let start = Instant::now();
        let ended = command.expect("a process").wait_with_output().expect("an end");
        assert_eq!(ended.status.code(), Some(3));
        assert!(String::from_utf8_lossy(&ended.stdout).contains("Room/a"));
        assert!(start.elapsed() < Duration::from_secs(20));
    }
}

/// Writes to a pipe until it takes no more.
fn fill(pipe: &mut std::io::PipeWriter) {
    let mut copy = pipe.try_clone().expect("a pipe");
    let (tell, told) = std::sync::mpsc::channel();
    std::thread::spawn(
        move || while copy.write_all(&[b'.'; 4096]).is_ok() && tell.send(()).is_ok() {},
    );
    while told.recv_timeout(Duration::from_millis(300)).is_ok() {}
}

#[tokio::test]
async fn a_database_that_was_removed_is_told_and_not_written() {
    for name in ["platform.sqlite", "platform.sqlite-wal"] {
        let server = Watched::start("");
        let reached = &server.process.reached;
        assert_eq!(reached.create_room("before").await, Some(201));
        std::fs::remove_file(server.data(name)).expect("removed");
        let refused = reached.own("POST", "/rooms").body(r#"{"name": "lost"}"#);
        let refused = refused.send().await.expect("an answer");
        assert_eq!(refused.status(), 500);
        let text = refused.text().await.expect("a body");
        assert!(text.contains(&format!("{name} was removed while it was open")), "{text}");
        assert_eq!(reached.create_room("lost-too").await, Some(500));
        // Nobody has to write for it to be told.
        let told = server.told("the data folder is no longer intact");
        assert_eq!(told.len(), 1, "{told:?}");
    }
}

#[tokio::test]
async fn a_listener_that_takes_no_connections_ends_the_platform() {
    let folder = tempfile::tempdir().expect("a folder");
    let platform = Platform::open(folder.path()).await.expect("a platform");
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.set_nonblocking(true).expect("a listener");
    let same = TcpStream::from(OwnedFd::from(listener.try_clone().expect("the same")));
    let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
    let serving = tokio::spawn(platform.serve(listener, std::future::pending()));
    tokio::time::sleep(Duration::from_millis(100)).await;
    same.shutdown(Shutdown::Both).expect("shut down");
    let ended = tokio::time::timeout(Duration::from_secs(10), serving).await;
    let error = ended.expect("an end").expect("no panic").expect_err("an error");
    assert!(error.message.starts_with("connections to 127.0.0.1:"), "{error}");
    assert!(error.message.contains(" are no longer accepted"), "{error}");
}

/// Who has asked for nothing, or not yet for all of it, does not hold up the end.
#[tokio::test]
async fn a_stop_waits_only_for_requests() {
    let mut server = Watched::start("");
    let reached = server.process.reached.clone();
    let _silent = connect(&reached);
    let mut asking = connect(&reached);
    asking.write_all(b"GET /config HTTP/1.1\r\nhost: lo").expect("a start");
    let mut sending = connect(&reached);
    sending.write_all(head(&reached, &format!("{UPLOAD}a"), 5).as_bytes()).expect("a head");
    assert_eq!(reached.create_room("a").await, Some(201));
    server.process.terminate();
    tokio::time::sleep(Duration::from_secs(2)).await;
    // This request was under way, so it is answered.
    sending.write_all(b"hello").expect("a body");
    assert_eq!(status(&mut sending), Some(201));
    assert_eq!(server.process.ends(Duration::from_secs(5)), Some(0));
}

#[test]
fn too_few_open_files_are_told_at_the_start() {
    let folder = tempfile::tempdir().expect("a folder");
    let ended = server(folder.path(), "ulimit -n 70;").stderr(Stdio::piped()).output();
    let ended = ended.expect("an end");
    let told = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert_eq!(ended.status.code(), Some(1), "{told}");
    let expected = "error: only 70 files may be open at once, and a server needs 80\nhint: it cannot be raised beyond 70 here (`ulimit -Hn`): root can raise that in /etc/security/limits.conf, or with LimitNOFILE= in the service\n";
    assert_eq!(told, expected);
}

/// The soft limit is raised: only the hard one counts.
#[tokio::test]
async fn the_soft_limit_of_open_files_is_raised() {
    let server = Watched::start("ulimit -S -n 70;");
    let limits = format!("/proc/{}/limits", server.process.child.id());
    let limits = std::fs::read_to_string(limits).expect("limits");
    let line = limits.lines().find(|line| line.starts_with("Max open files")).expect("a line");
    let soft: u64 = line.split_whitespace().nth(3).expect("a limit").parse().expect("a number");
    assert!(soft > 70, "{line}");
    assert_eq!(server.process.reached.create_room("a").await, Some(201));
}

/// Files that may not grow are a full disk.
#[tokio::test]
async fn a_limit_of_file_sizes_ends_nothing() {
    let server = Watched::start("ulimit -f 2500;");
    let reached = &server.process.reached;
    let mut kept = Vec::new();
    let mut refused = Vec::new();
    for number in 0..200 {
        let path = format!("/storage/upload?path=file-{number}");
        let content = vec![7_u8; if number % 2 == 0 { 20_000 } else { 133_000 }];
        let answer = reached.own("POST", &path).body(content).send().await.expect("an answer");
        if answer.status() == 201 {
            kept.push(number);
        } else {
            // Whoever asked is told that nothing was written, or that it is not known.
            let (status, text) = (answer.status(), answer.text().await.expect("a text"));
            assert!(status == 507 || text.contains("not certain"), "{status} {text}");
            refused.push(number);
        }
    }
    assert!(!kept.is_empty() && !refused.is_empty(), "{} {}", kept.len(), refused.len());
    for number in 0..200 {
        let path = format!("/storage/download?path=file-{number}");
        let answer = reached.own("GET", &path).send().await.expect("an answer");
        assert_eq!(answer.status() == 200, kept.contains(&number), "{number}");
    }
    // A few lines in all, and not one for each.
    assert!(server.told("WARN").len() < 10);
}

#[tokio::test]
async fn the_same_is_not_logged_for_each_request() {
    let server = Watched::start("");
    let reached = &server.process.reached;
    std::fs::remove_file(server.data("platform.sqlite")).expect("removed");
    for number in 0..200 {
        assert_eq!(reached.create_room(&format!("room-{number}")).await, Some(500));
    }
    let told = server.told("WARN");
    assert!((1..5).contains(&told.len()), "{told:?}");
}

async fn until(mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(20);
    while !holds() {
        assert!(Instant::now() < end, "it does not come to that");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
