//! The world around the program: proxies, Git, folders that cannot be written.

use std::io::Read;
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;
use std::sync::mpsc;

use crate::cli::{Run, Sandbox};

mod lists;
mod meanwhile;

const ROOM: &str = "version: v1\nkind: Room\nmetadata: {name: lobby}\n";

/// A proxy that takes down what it is asked, and closes the connection.
struct Proxy {
    url: String,
    asked: mpsc::Receiver<String>,
}

impl Proxy {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (tell, asked) = mpsc::channel();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut bytes = [0; 4096];
                let count = stream.unwrap().read(&mut bytes).unwrap_or_default();
                let _ = tell.send(String::from_utf8_lossy(&bytes[..count]).into_owned());
            }
        });
        Self { url, asked }
    }

    fn asked(&self) -> Vec<String> {
        self.asked.try_iter().collect()
    }
}

fn behind(sandbox: &Sandbox, proxy: &Proxy, arguments: &[&str]) -> Command {
    let mut command = sandbox.command(arguments);
    for name in ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY"] {
        command.env(name, &proxy.url);
    }
    command
}

#[test]
fn no_proxy_stands_before_the_embedded_platform() {
    let (sandbox, proxy) = (Sandbox::new(), Proxy::start());
    sandbox.write("room.yaml", ROOM);
    let plan = ["plan", "-f", "room.yaml", "--embedded", "--timeout", "5s"];
    let run = Run::of(behind(&sandbox, &proxy, &plan).output().unwrap());
    assert_eq!((run.code, proxy.asked()), (0, Vec::new()), "{}", run.stderr);
}

#[test]
fn a_proxy_stands_before_what_is_elsewhere_unless_no_proxy_names_it() {
    let (sandbox, proxy) = (Sandbox::new(), Proxy::start());
    let list = |host: &str, exempt: &str| {
        let url = format!("http://{host}:9");
        let list = [
            "rooms",
            "list",
            "--api-url",
            &url,
            "--project-id",
            "p",
            "--timeout",
            "2s",
            "--retries",
            "0",
            "--insecure",
        ];
        let mut command = behind(&sandbox, &proxy, &list);
        command.env("MESHAGENT_API_KEY", "k").env("NO_PROXY", exempt);
        assert_eq!(command.output().unwrap().status.code(), Some(1));
        proxy.asked()
    };
    let asked = list("platform.invalid", "");
    assert!(asked[0].starts_with("GET http://platform.invalid:9/"), "{asked:?}");
    assert_eq!(list("platform.invalid", ".invalid"), Vec::<String>::new());
    for here in ["127.0.0.1", "localhost", "[::1]", "127.9.9.9"] {
        assert_eq!(list(here, ""), Vec::<String>::new(), "{here}");
    }
}

/// What `git add .` would take, by its path.
fn taken_by_git(sandbox: &Sandbox) -> Vec<String> {
    let git = |arguments: &[&str]| {
        let output = Command::new("git").args(arguments).current_dir(sandbox.path(".")).output();
        String::from_utf8(output.unwrap().stdout).unwrap()
    };
    git(&["init", "-q", "."]);
    let untracked = git(&["ls-files", "--others", "--exclude-standard"]);
    untracked.lines().map(str::to_owned).collect()
}

#[test]
fn git_takes_nothing_of_what_the_program_keeps_for_itself() {
    let sandbox = Sandbox::new();
    sandbox.write("room.yaml", ROOM);
    sandbox.embedded(0, &["apply", "-f", "room.yaml", "--yes"]);
    // Data in a folder of the user's choice hold the same keys.
    let run = sandbox.run(&["plan", "-f", "room.yaml", "--embedded=data/here"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert_eq!(taken_by_git(&sandbox), ["room.yaml"]);
}

#[test]
fn a_journal_alone_stays_out_of_git_too() {
    let sandbox = Sandbox::new();
    let data = tempfile::tempdir().unwrap();
    let embedded = format!("--embedded={}", data.path().display());
    sandbox.write("room.yaml", ROOM);
    let run = sandbox.run(&["apply", "-f", "room.yaml", "--yes", &embedded]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert!(sandbox.path(".meshagent/journal").is_dir());
    std::fs::write(sandbox.path(".meshagent/journal/s.jsonl"), "").unwrap();
    assert_eq!(taken_by_git(&sandbox), ["room.yaml"]);
    // The folder for the data was there, so what it ignores is its owner's business.
    assert!(!data.path().join(".gitignore").exists());
}

/// Takes away the place of the program's own folder: nothing can be made below a file, also
/// not by root.
fn close(folder: &Path) {
    std::fs::write(folder.join(".meshagent"), "").unwrap();
}

#[test]
fn a_working_folder_that_takes_no_files_is_worked_in() {
    let (sandbox, elsewhere) = (Sandbox::new(), tempfile::tempdir().unwrap());
    close(&sandbox.path("."));
    sandbox.write("room.yaml", ROOM);
    let data = format!("--embedded={}", elsewhere.path().join("data").display());
    let apply = ["apply", "-f", "room.yaml", "--yes", &data];
    let run = sandbox.run(&apply);
    assert_eq!(run.code, 0, "{}", run.stderr);
    let journals = sandbox.path(".local/state/meshagent/journal");
    let folders: Vec<_> = std::fs::read_dir(&journals).unwrap().map(Result::unwrap).collect();
    assert_eq!(folders.len(), 1);
    let is_journal = |path: std::path::PathBuf| path.extension().is_some_and(|it| it == "jsonl");
    let mut left = std::fs::read_dir(folders[0].path()).unwrap().map(|entry| entry.unwrap().path());
    assert!(!left.any(is_journal), "it ended by itself");

    // What a run that was killed left there is found by the next one in the same folder.
    let left = r#"{"what":"sending","object":"Room/lobby","action":"create"}"#;
    std::fs::write(folders[0].path().join("default.jsonl"), format!("{left}\n")).unwrap();
    let again = sandbox.run(&apply);
    assert_eq!(again.code, 0, "{}", again.stderr);
    assert!(
        again.stderr.contains("it is not known whether these were done: create Room/lobby"),
        "{}",
        again.stderr
    );
}

#[test]
fn without_any_place_for_the_journal_nothing_is_written() {
    let (sandbox, elsewhere) = (Sandbox::new(), tempfile::tempdir().unwrap());
    close(&sandbox.path("."));
    sandbox.write("room.yaml", ROOM);
    sandbox.write("state", "");
    let data = format!("--embedded={}", elsewhere.path().join("data").display());
    let apply = ["apply", "-f", "room.yaml", "--yes", &data];
    let closed = sandbox.command(&apply).env("XDG_STATE_HOME", sandbox.path("state")).output();
    let closed = Run::of(closed.unwrap());
    assert_eq!(closed.code, 1, "{}", closed.stderr);
    assert!(closed.stderr.contains("hint: set XDG_STATE_HOME"), "{}", closed.stderr);
    let rooms = sandbox.run(&["plan", "-f", "room.yaml", "--exit-code", &data]);
    assert_eq!(rooms.code, 3, "nothing was created: {}", rooms.stderr);
    // What the hint says works.
    let state = elsewhere.path().join("state");
    let opened = sandbox.command(&apply).env("XDG_STATE_HOME", &state).output();
    assert_eq!(Run::of(opened.unwrap()).code, 0);
    assert!(state.join("meshagent/journal").is_dir());
}

#[test]
fn embedded_data_that_cannot_be_made_here_are_pointed_elsewhere() {
    let (sandbox, elsewhere) = (Sandbox::new(), tempfile::tempdir().unwrap());
    close(&sandbox.path("."));
    let run = sandbox.run(&["rooms", "list", "--embedded"]);
    assert_eq!(run.code, 1);
    assert!(run.stderr.contains("--embedded=DIR"), "{}", run.stderr);
    let data = format!("--embedded={}", elsewhere.path().join("data").display());
    let run = sandbox.run(&["rooms", "list", &data]);
    assert_eq!(run.code, 0, "{}", run.stderr);
}
