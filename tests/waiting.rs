//! `apply --wait`: what was applied works, or the exit code says that it does not.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::Value;

use crate::cli::Sandbox;

/// A service that answers its first calls with 503 and further ones with 200; its URL, and how
/// often it was called.
fn service(failures: usize) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let called = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&called);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            let mut length = 0;
            let mut line = String::new();
            while reader.read_line(&mut line).unwrap() > 2 {
                if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
                    length = value.trim().parse().unwrap();
                }
                line.clear();
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body).unwrap();
            let call: Value = serde_json::from_slice(&body).unwrap();
            assert_eq!(call["event"], "room.call");
            let status = match count.fetch_add(1, Ordering::SeqCst) < failures {
                true => "503 Service Unavailable",
                false => "200 OK",
            };
            let answer =
                format!("HTTP/1.1 {status}\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{{}}");
            stream.write_all(answer.as_bytes()).unwrap();
        }
    });
    (url, called)
}

fn external(url: &str, agents: &str) -> String {
    format!(
        "version: v1\nkind: Room\nmetadata: {{name: demo}}\n---\n\
         version: v1\nkind: Service\nmetadata: {{name: calc}}\nroom: demo\n{agents}\
         external: {{url: \"{url}\"}}\nports:\n  - num: 80\n    type: http\n    endpoints:\n      \
         - {{path: /math, meshagent: {{identity: calculator}}}}\n"
    )
}

#[test]
fn a_service_that_comes_to_work_in_time_is_waited_for() {
    let sandbox = Sandbox::new();
    let (url, called) = service(1);
    sandbox.write("m.yaml", &external(&url, ""));
    let done = sandbox.embedded(0, &["apply", "-f", "m.yaml", "--yes", "--wait=1m"]);
    assert_eq!(called.load(Ordering::SeqCst), 2);
    let told = "Service/calc@demo: it is failing, started again once\n";
    assert!(done.stderr.contains(told), "{}", done.stderr);
    assert!(done.stderr.ends_with("Service/calc@demo works\n"), "{}", done.stderr);
    assert!(done.stdout.ends_with("Applied: 2 done.\n"), "{}", done.stdout);
    // Nothing was changed, so there is nothing to wait for, and no room is entered.
    sandbox.embedded(0, &["apply", "-f", "m.yaml", "--yes", "--wait"]);
    assert_eq!(called.load(Ordering::SeqCst), 2);
}

#[test]
fn what_does_not_work_in_time_is_named_and_has_a_code_of_its_own() {
    let sandbox = Sandbox::new();
    let (url, _) = service(0);
    // Its agent never joins.
    sandbox.write("m.yaml", &external(&url, "agents: [{name: calculator}]\n"));
    let failed = sandbox.embedded(7, &["apply", "-f", "m.yaml", "--yes", "--wait=2s"]);
    let told = "Service/calc@demo: its agent \"calculator\" has not joined the room";
    assert!(failed.stderr.contains(told), "{}", failed.stderr);
    let told = "everything was applied, but the service does not work";
    assert!(failed.stderr.contains(told), "{}", failed.stderr);
    assert!(failed.stderr.contains("meshagent room service list"), "{}", failed.stderr);
}

#[test]
fn what_the_platform_cannot_run_is_not_waited_for() {
    let sandbox = Sandbox::new();
    sandbox.write(
        "m.yaml",
        "version: v1\nkind: Room\nmetadata: {name: demo}\n---\n\
         version: v1\nkind: Service\nmetadata: {name: boxed}\nroom: demo\n\
         container: {image: x}\nports: [{num: 80}]\n---\n\
         version: v1\nkind: Service\nmetadata: {name: everywhere}\n\
         container: {image: x}\nports: [{num: 80}]\n",
    );
    let arguments = ["apply", "-f", "m.yaml", "--yes", "--wait=10m", "-o", "json"];
    let failed = sandbox.embedded(7, &arguments);
    let events: Vec<Value> =
        failed.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let told = |event: &str| events.iter().filter(|it| it["event"] == event).collect::<Vec<_>>();
    let health = told("health");
    assert_eq!(health.len(), 1, "{health:?}");
    assert_eq!(
        (&health[0]["address"], &health[0]["health"]),
        (&"Service/boxed@demo".into(), &"broken".into())
    );
    let note = told("note").into_iter().map(|it| it["message"].as_str().unwrap().to_owned());
    let expected = "Service/everywhere is not checked: no room of the project runs";
    assert!(note.collect::<Vec<_>>().contains(&expected.to_owned()));
    assert_eq!(events.last().unwrap()["event"], "summary");
}
