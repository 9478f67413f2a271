//! Who could not be reached is named: the platform, a proxy of the environment, or what a webhook
//! was to be posted to. A credential with a line break at its end is the credential.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::sync::mpsc;

use crate::cli::{Run, Sandbox};

const PROJECT: &str = "0b6ce2f9-9a7e-4a4f-8e3e-6a1f1d8f3c11";

fn run(words: &[&str], environment: &[(&str, &str)]) -> Run {
    let sandbox = Sandbox::new();
    let mut command = sandbox.command(words);
    Run::of(command.envs(environment.iter().copied()).output().unwrap())
}

fn rooms(url: &str, environment: &[(&str, &str)]) -> Run {
    let words = ["rooms", "list", "--retries", "0", "--project-id", PROJECT, "--api-url", url];
    run(&words, &[&[("MESHAGENT_API_KEY", "c4n4ry-key")], environment].concat())
}

#[test]
fn a_proxy_that_fails_is_named_with_its_variable() {
    for (url, name) in
        [("https://platform.test", "HTTPS_PROXY"), ("https://platform.test", "all_proxy")]
    {
        let run = rooms(url, &[(name, "http://ada:hunter2@127.0.0.1:1")]);
        assert_eq!(run.code, 1);
        let told = format!("the proxy http://127.0.0.1:1, which {name} names, failed");
        assert!(run.stderr.contains(&told), "{}", run.stderr);
        let hint = format!("hint: check {name}; hosts in NO_PROXY");
        assert!(run.stderr.contains(&hint) && !run.stderr.contains("hunter2"), "{}", run.stderr);
    }
    // What is excepted is reached without it, by its name alone or with its port.
    for excepted in ["platform.invalid", "x, platform.invalid:443"] {
        let proxy = [("HTTPS_PROXY", "http://127.0.0.1:1"), ("NO_PROXY", excepted)];
        let run = rooms("https://platform.invalid", &proxy);
        assert!(!run.stderr.contains("proxy"), "{excepted}: {}", run.stderr);
        assert!(run.stderr.contains("MESHAGENT_API_URL"), "{}", run.stderr);
    }
    let proxy = [("HTTPS_PROXY", "http://127.0.0.1:1"), ("NO_PROXY", "platform.invalid:80")];
    assert!(rooms("https://platform.invalid", &proxy).stderr.contains("the proxy"));
}

#[test]
fn what_does_not_speak_tls_is_told_so() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for socket in listener.incoming() {
            let _ = socket.unwrap().write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
        }
    });
    let run = rooms(&url, &[]);
    assert_eq!(run.code, 1);
    assert!(run.stderr.contains("the TLS handshake with 127.0.0.1 failed"), "{}", run.stderr);
    assert!(run.stderr.contains("hint: check that the URL should begin with https"));
}

#[test]
fn blanks_around_a_credential_are_no_part_of_it() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (sender, heads) = mpsc::channel();
    std::thread::spawn(move || {
        for socket in listener.incoming() {
            let mut socket = socket.unwrap();
            let lines = BufReader::new(socket.try_clone().unwrap()).lines().map_while(Result::ok);
            let head: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
            let _ = sender.send(head.join("\n"));
            let body = r#"{"rooms": [], "total": 0, "api_version": "0.31.4"}"#;
            let size = body.len();
            let _ = write!(
                socket,
                "HTTP/1.1 200 OK\r\ncontent-length: {size}\r\nconnection: close\r\n\r\n{body}"
            );
        }
    });
    let (given, spaced) = (format!("{url}\n"), format!(" {PROJECT}\r\n"));
    for (name, value) in [
        ("MESHAGENT_API_KEY", "c4n4ry-key\n"),
        ("MESHAGENT_API_KEY", " c4n4ry-key \r\n"),
        ("MESHAGENT_TOKEN", "c4n4ry-key\n\n"),
    ] {
        let environment = [
            (name, value),
            ("MESHAGENT_API_URL", given.as_str()),
            ("MESHAGENT_PROJECT_ID", spaced.as_str()),
        ];
        let run = run(&["rooms", "list"], &environment);
        assert_eq!((run.code, run.stderr.as_str()), (0, ""), "{value:?}");
        // Which API is spoken is asked without it.
        let head = heads.recv().unwrap();
        assert!(head.starts_with("GET /config ") && !head.contains("c4n4ry"), "{head}");
        let head = heads.recv().unwrap();
        assert!(head.starts_with(&format!("GET /accounts/projects/{PROJECT}/rooms")), "{head}");
        assert!(head.lines().any(|line| line.ends_with(": Bearer c4n4ry-key")), "{head}");
    }
    // What is in the middle cannot be meant, and is not shown.
    let run = rooms(&url, &[("MESHAGENT_API_KEY", "c4n4ry\nkey")]);
    assert_eq!(run.code, 2);
    assert!(
        run.stderr.starts_with("error: MESHAGENT_API_KEY contains a line break"),
        "{}",
        run.stderr
    );
    assert!(!run.stderr.contains("c4n4ry"), "{}", run.stderr);
}

#[test]
fn a_webhook_that_cannot_be_posted_says_why() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let other = format!("http://{}/nothing", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for socket in listener.incoming() {
            let mut socket = socket.unwrap();
            let lines = BufReader::new(socket.try_clone().unwrap()).lines().map_while(Result::ok);
            lines.take_while(|line| !line.is_empty()).for_each(drop);
            let _ = socket.write_all(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n");
        }
    });
    for (url, code, told) in [
        ("word", 2, "--url \"word\" is neither http nor https"),
        ("ftp://127.0.0.1/x", 2, "is neither http nor https"),
        ("localhost:9000/x", 2, "such as http://localhost:9000/x"),
        ("http://127.0.0.1:1/x", 1, "failed to call http://127.0.0.1:1/x: Connection refused"),
        (&other, 1, "answered with 404 Not Found\nhint: something else listens there"),
    ] {
        let call = ["call", "tool", "--room", "r", "--participant-name", "p", "--url", url];
        let run = run(&call, &[("MESHAGENT_TOKEN", "t"), ("MESHAGENT_PROJECT_ID", PROJECT)]);
        assert_eq!(run.code, code, "{url}: {}", run.stderr);
        assert!(run.stderr.contains(told), "{url}: {}", run.stderr);
    }
}
