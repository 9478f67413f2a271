//! Servers of strangers: what they send has an end, what they say is cut and holds no secret,
//! and no credential goes to them that is another's.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;

use super::{LONG, all, refused, room, secret, soon, write};
use crate::cli::{Run, Sandbox};
use crate::hostile::proxy::{Fault, Hostile};
use crate::platform::harness::Server;

const PROJECT: &str = "11111111-1111-4111-8111-111111111111";

/// What a server was sent, head by head.
type Heads = Arc<Mutex<Vec<String>>>;

/// A server that does this on each connection once it was asked something.
fn server(answer: impl Fn(&mut TcpStream) + Send + Sync + 'static) -> (u16, Heads) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let (heads, answer) = (Heads::default(), Arc::new(answer));
    let kept = heads.clone();
    std::thread::spawn(move || {
        for mut socket in listener.incoming().flatten() {
            let (answer, kept) = (answer.clone(), kept.clone());
            std::thread::spawn(move || {
                let mut head = Vec::new();
                let mut byte = [0];
                while !head.ends_with(b"\r\n\r\n") && socket.read(&mut byte).unwrap_or(0) == 1 {
                    head.push(byte[0]);
                }
                kept.lock().unwrap().push(String::from_utf8_lossy(&head).into_owned());
                answer(&mut socket);
            });
        }
    });
    (port, heads)
}

fn status(status: &str, headers: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 {status}\r\n{headers}Content-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    )
}

/// Sends the same for as long as somebody takes it.
fn flood(socket: &mut TcpStream, head: &str, part: &str) {
    let part = part.repeat(2_000);
    let _ = socket.write_all(head.as_bytes());
    let end = Instant::now() + LONG;
    while Instant::now() < end && socket.write_all(part.as_bytes()).is_ok() {}
}

const ENDLESS: &str = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n";
const CONTINUE: &str = "HTTP/1.1 100 Continue\r\n\r\n";

fn ask(sandbox: &Sandbox, url: &str, words: &[&str]) -> Run {
    let mut command = sandbox.command(words);
    command.env("MESHAGENT_API_URL", url).env("MESHAGENT_PROJECT_ID", PROJECT);
    Run::of(command.env("MESHAGENT_API_KEY", "ma-c4n4ry-k3y-1234567890").output().unwrap())
}

#[test]
fn an_answer_without_end_is_given_up() {
    let sandbox = Sandbox::new();
    let (port, _) = server(|socket| flood(socket, ENDLESS, "          "));
    let url = format!("http://127.0.0.1:{port}");
    let spec = ["service", "spec", "--url", &format!("{url}/s?token=hunter2")];
    let run = soon("a document", || ask(&sandbox, &url, &spec));
    refused(&run, 2, "the answer is larger than");
    assert!(!all(&run).contains("hunter2"), "{}", all(&run));
    // Whatever an MCP server tells of itself that cannot be read is passed over.
    let spec = ["service", "spec", "--mcp", &url];
    soon("an MCP server", || ask(&sandbox, &url, &spec));
    let session =
        json!({"access_token": "a", "refresh_token": "r", "expires_at": 1, "api_url": url});
    write(&sandbox, ".meshagent/session.json", session.to_string());
    let mut command = sandbox.command(&["rooms", "list"]);
    command.env("MESHAGENT_API_URL", &url).env("MESHAGENT_PROJECT_ID", PROJECT);
    let run = soon("a session", || Run::of(command.output().unwrap()));
    refused(&run, 1, "POST /oauth/token had no answer: the answer is larger than");
}

fn wait(mut child: Child, what: &str) -> std::process::ExitStatus {
    let end = Instant::now() + LONG;
    loop {
        match child.try_wait().unwrap() {
            Some(status) => return status,
            None if Instant::now() > end => {
                let _ = child.kill();
                panic!("{what} went on");
            }
            None => std::thread::sleep(Duration::from_millis(20)),
        }
    }
}

#[test]
fn a_server_that_keeps_on_saying_continue_holds_nobody() {
    let sandbox = Sandbox::new();
    write(&sandbox, "m/a.yaml", room("a", ""));
    let (port, heads) = server(|socket| flood(socket, "", CONTINUE));
    let url = format!("http://127.0.0.1:{port}");
    let start = Instant::now();
    let list = ["rooms", "list", "--timeout", "1s", "--retries", "0"];
    let run = ask(&sandbox, &url, &list);
    refused(&run, 1, "had no answer in time");
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
    // So many of them are under way that no thread that works on connections is left.
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        heads.lock().unwrap().clear();
        let mut command = sandbox.command(&["apply", "-f", "m", "--yes", "--timeout", "50s"]);
        command.env("MESHAGENT_API_URL", &url).env("MESHAGENT_PROJECT_ID", PROJECT);
        command.env("MESHAGENT_API_KEY", "ma-c4n4ry-k3y-1234567890");
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        while heads.lock().unwrap().is_empty() {
            std::thread::sleep(Duration::from_millis(20));
        }
        std::thread::sleep(Duration::from_millis(300));
        let start = Instant::now();
        kill(Pid::from_raw(child.id().try_into().unwrap()), signal).unwrap();
        let ended = wait(child, "apply");
        assert!(!ended.success() && start.elapsed() < Duration::from_secs(10), "{ended:?}");
        assert!(ended.signal().is_none_or(|ended| ended == signal as i32), "{ended:?}");
    }
}

#[test]
fn what_a_server_says_is_cut() {
    let sandbox = Sandbox::new();
    let long = "x y ".repeat(1_000_000);
    for body in [
        json!({"error": long}).to_string(),
        json!({"message": "m", "field": long}).to_string(),
        json!([long]).to_string(),
        long.clone(),
        long.replace(' ', ""),
    ] {
        let (port, _) = server(move |socket| {
            let head = format!("X-Request-Id: {}\r\n", "i".repeat(10_000));
            let _ = socket.write_all(status("403 Forbidden", &head, &body).as_bytes());
        });
        let run = ask(&sandbox, &format!("http://127.0.0.1:{port}"), &["rooms", "list"]);
        refused(&run, 1, "was answered with 403");
        assert!(all(&run).len() < 6_000, "{} bytes", all(&run).len());
    }
}

/// The answer repeats a secret, in a request that has none: whatever was read in the run is
/// known by it.
#[tokio::test(flavor = "multi_thread")]
async fn secrets_of_the_run_are_in_no_answer_that_is_told() {
    let platform = Server::start().await;
    let sandbox = Sandbox::new();
    write(&sandbox, "m/s.yaml", secret("{file: value.txt}"));
    write(&sandbox, "m/value.txt", "c4n4ry+c4n4ry\n");
    let rest = "container:\n  image: x\n  environment: [{name: A, value: c4n4ry+c4n4ry}]\n";
    let service = room("b", rest).replace("Room", "Service");
    write(&sandbox, "m/b.yaml", service);
    let repeating = Fault::Repeated.on("POST").at("/services");
    let proxy = Hostile::in_front_of(&platform).with(repeating).start().await;
    for shown in [&["--report", "report.json"][..], &["-o", "json"]] {
        let words = ["apply", "-f", "m", "--yes", "--api-url", &proxy.url];
        let mut command = sandbox.command(&[&words[..], shown].concat());
        command.env("MESHAGENT_API_KEY", &platform.owner);
        let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        let run = Run::of(output);
        assert!(run.code == 4 || run.code == 1, "{}", run.stderr);
        // The plan shows what a manifest says in clear text; what the platform says does not.
        // Ids of projects and digests may hold any number, so the whole words are looked for.
        let shown = all(&run);
        let told: Vec<&str> = shown
            .lines()
            .filter(|line| line.contains("answered with 400") || line.contains("\"code\":400"))
            .collect();
        assert!(!told.is_empty(), "{shown}");
        assert!(told.iter().all(|line| !line.contains("c4n4ry")), "{told:?}");
        assert!(told.iter().any(|line| line.contains("(secret)")), "{told:?}");
    }
    let report = std::fs::read_to_string(sandbox.path("report.json")).unwrap();
    let told: Vec<&str> = report.lines().filter(|line| line.contains("\"message\"")).collect();
    assert!(told.iter().all(|line| !line.contains("c4n4ry")), "{told:?}");
    assert!(told.iter().any(|line| line.contains("(secret)")), "{told:?}");
}

#[test]
fn a_token_is_sent_to_nobody_but_whom_it_is_for() {
    let sandbox = Sandbox::new();
    let (second, stolen) = server(|socket| {
        let _ = socket.write_all(status("200 OK", "", "{}").as_bytes());
    });
    for code in ["301 Moved", "302 Found", "307 Temporary", "308 Permanent"] {
        let (port, heads) = server(move |socket| {
            let to = format!("Location: http://127.0.0.1:{second}/steal\r\n");
            let _ = socket.write_all(status(code, &to, "").as_bytes());
        });
        let url = format!("http://127.0.0.1:{port}/x?k=hunter2");
        let call = ["call", "agent", "--room", "r", "--participant-name", "p", "--url", &url];
        let mut command = sandbox.command(&call);
        command.env("MESHAGENT_TOKEN", "c4n4ry-token").env("MESHAGENT_PROJECT_ID", PROJECT);
        let run = Run::of(command.output().unwrap());
        refused(&run, 1, &format!("answered with {}", &code[..3]));
        assert!(!all(&run).contains("hunter2"), "{}", all(&run));
        assert_eq!(heads.lock().unwrap().len(), 1);
        assert!(stolen.lock().unwrap().is_empty());
    }
    // Over plain http to another machine it goes only where that is said to be right.
    for url in ["http://10.255.255.1:9/x", "http://192.168.255.1:9/x"] {
        let call = ["call", "agent", "--room", "r", "--participant-name", "p", "--url", url];
        let mut command = sandbox.command(&call);
        command.env("MESHAGENT_TOKEN", "c4n4ry-token").env("MESHAGENT_PROJECT_ID", PROJECT);
        refused(&Run::of(command.output().unwrap()), 2, "is plain http");
    }
    let call =
        ["call", "agent", "--room", "r", "--participant-name", "p", "--url", "http://8.8.8.8/x"];
    let mut command = sandbox.command(&[&call[..], &["--no-local"]].concat());
    command.env("MESHAGENT_TOKEN", "c4n4ry-token").env("MESHAGENT_PROJECT_ID", PROJECT);
    command.env("MESHAGENT_ROOM_URL", "ws://10.255.255.1:9/");
    let run = Run::of(command.output().unwrap());
    refused(&run, 1, "is plain http");
    assert!(run.stderr.contains("--insecure") && !all(&run).contains("c4n4ry"), "{}", run.stderr);
}

#[test]
fn a_key_signs_for_no_other_platform_than_its_own() {
    let sandbox = Sandbox::new();
    let id = "AAAAAAAAAAAAAAAAAAAAAA";
    let file = json!({
        "active_project": PROJECT,
        "active_api_keys": {PROJECT: format!("ma-{id}-{id}-c4n4ryc4n4ry")},
        "api_key_platforms": {PROJECT: "https://one.test"},
    });
    write(&sandbox, ".meshagent/project.json", file.to_string());
    let document =
        "version: v1\nkind: ParticipantToken\nidentity: a\nroom: r\nrole: agent\napi: {}\n";
    write(&sandbox, "t.yaml", document);
    let generate = |url: &str, key: Option<&str>| {
        let mut command = sandbox.command(&["token", "generate", "-i", "t.yaml"]);
        command.env("MESHAGENT_API_URL", url);
        if let Some(key) = key {
            command.env("MESHAGENT_API_KEY", key);
        }
        Run::of(command.output().unwrap())
    };
    let own = generate("https://one.test", None);
    assert_eq!(own.code, 0, "{}", own.stderr);
    refused(
        &generate("https://two.test", None),
        2,
        "is for https://one.test, but the platform in use is https://two.test",
    );
    let other = format!("ma-{id}-{id}-0ther0ther0ther");
    let other = generate("https://two.test", Some(&other));
    assert_eq!(other.code, 0, "{}", other.stderr);
    assert_ne!(own.stdout, other.stdout);
}

#[test]
fn a_url_lets_nobody_in_and_is_shown_without_what_would() {
    let sandbox = Sandbox::new();
    write(&sandbox, "m/a.yaml", room("a", ""));
    for (url, told) in [
        ("http://ada:hunter2@127.0.0.1:9", "contains a user name or a password"),
        ("https://hunter2@platform.test", "contains a user name or a password"),
        ("https://platform.test/?token=hunter2", "has a query"),
        ("https://platform.test/#hunter2", "has a query or a fragment"),
        ("ftp://ada:hunter2@platform.test", "is neither http nor https"),
        ("https://ada:hun/ter2@platform.test", "is neither http nor https"),
        ("https://ada:hunter2@", "is neither http nor https"),
    ] {
        for words in [
            &["rooms", "list"][..],
            &["plan", "-f", "m"],
            &["auth", "whoami"],
            &["auth", "login", "--no-browser"],
        ] {
            let mut command = sandbox.command(words);
            command.env("MESHAGENT_API_URL", url).env("MESHAGENT_PROJECT_ID", PROJECT);
            if words[1] != "login" {
                command.env("MESHAGENT_API_KEY", "ma-k");
            }
            let run = Run::of(command.output().unwrap());
            refused(&run, 2, told);
            for part in ["hunter2", "ter2"] {
                assert!(!all(&run).contains(part), "{words:?} {url}: {}", all(&run));
            }
        }
    }
    for words in [
        &["service", "spec", "--url", "https://ada:hunter2@127.0.0.1:9/x?k=hunter2"][..],
        &["service", "spec", "--url", "ftp://ada:hunter2@127.0.0.1:9/x?k=hunter2"],
        &["service", "spec", "--mcp", "https://127.0.0.1:9/x?k=hunter2"],
        &["service", "spec", "--mcp", "ftp://ada:hunter2@127.0.0.1:9"],
    ] {
        let run = sandbox.run(words);
        assert!(run.code != 0 && !all(&run).contains("hunter2"), "{words:?}: {}", all(&run));
    }
}
