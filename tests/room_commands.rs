//! The commands that work in rooms, against the embedded platform.

mod copying;
mod documents;
mod queues;
mod secrets;

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};

use crate::cli::{Run, Sandbox};

struct Room(Sandbox);

impl Room {
    fn new() -> Self {
        let sandbox = Sandbox::new();
        sandbox.embedded(0, &["rooms", "create", "--name", "demo"]);
        Self(sandbox)
    }

    /// Runs a command of `room`, which ends with this code.
    fn run(&self, code: i32, arguments: &[&str]) -> Run {
        self.0.embedded(code, &[&["room"], arguments, &["--room", "demo"]].concat())
    }

    fn says(&self, code: i32, arguments: &[&str], said: &str) {
        let run = self.run(code, arguments);
        assert!(run.stderr.contains(said), "{arguments:?}: {}", run.stderr);
        assert_eq!(run.stdout, "", "{arguments:?}");
    }
}

#[test]
fn messages_go_through_queues_as_they_are() {
    let room = Room::new();
    room.0.write("message.json", "{\"from\": [\"file\"]}");
    for message in ["{\"a\": [1, null]}", "\"text\"", "5", "null"] {
        room.run(0, &["queue", "send", "--queue", "q", "--json", message]);
    }
    room.run(0, &["queue", "send", "--queue", "q", "--file", "message.json"]);
    assert_eq!(room.run(0, &["queue", "size", "--queue", "q"]).stdout, "5\n");
    let received = [json!({"a": [1, null]}), json!("text"), json!(5), json!(null)];
    for message in received.into_iter().chain([json!({"from": ["file"]})]) {
        assert_eq!(room.run(0, &["queue", "receive", "--queue", "q"]).json(), message);
    }
    room.says(1, &["queue", "receive", "--queue", "q"], "there is no message in the queue q");
    room.says(1, &["queue", "size", "--queue", "none"], "hint: the room has q");
    room.says(2, &["queue", "send", "--queue", "q", "--json", "[1"], "--json is not JSON");
    room.says(1, &["queue", "send", "--queue", "q", "--file", "none"], "failed to read none");
    let neither = ["room", "queue", "send", "--queue", "q", "--room", "demo"];
    assert_eq!(room.0.embedded(2, &neither).stdout, "");
    let mail = ["queue", "send-mail", "--queue", "m", "--subject", "ü", "--from", "a@b.c"];
    room.run(0, &[&mail[..], &["--body", "hi", "--attachment", "message.json"]].concat());
    let mail = room.run(0, &["queue", "receive", "--queue", "m"]).json();
    assert!(mail["base64"].as_str().is_some_and(|text| text.len() > 100), "{mail}");
    let odd = ["queue", "send-mail", "--queue", "m", "--subject", "s", "--from", "nobody"];
    room.says(2, &odd, "is not an address");
}

#[test]
fn files_are_copied_either_way_whole_or_not_at_all() {
    let room = Room::new();
    std::fs::create_dir_all(room.0.path("tree/deep")).unwrap();
    room.0.write("a.txt", "one\n");
    room.0.write("tree/b.txt", "two\n");
    room.0.write("tree/deep/c.bin", "three");
    std::os::unix::fs::symlink("/etc/passwd", room.0.path("tree/link")).unwrap();
    room.run(0, &["storage", "cp", "a.txt", "room://"]);
    room.run(0, &["storage", "cp", "a.txt", "room://dir/other.txt"]);
    let told = room.run(0, &["storage", "cp", "-r", "tree", "room://dir"]);
    assert!(told.stderr.contains("tree/link is a link and is not copied"), "{}", told.stderr);
    let listed = room.run(0, &["storage", "ls", "-r", "-q", "room://"]).stdout;
    let expected = "a.txt\ndir/\ndir/other.txt\ndir/tree/\ndir/tree/b.txt\ndir/tree/deep/\n\
                    dir/tree/deep/c.bin\n";
    assert_eq!(listed, expected);
    assert_eq!(room.run(0, &["storage", "show", "room://dir/other.txt"]).stdout, "one\n");
    let rows = room.run(0, &["storage", "ls", "-o", "json", "room://dir/*.txt"]).json();
    assert_eq!((&rows[0]["path"], &rows[0]["size"]), (&json!("dir/other.txt"), &json!(4)));
    // Back, under another name; and within the room.
    room.run(0, &["storage", "cp", "-r", "room://dir/tree", "back"]);
    assert_eq!(std::fs::read_to_string(room.0.path("back/deep/c.bin")).unwrap(), "three");
    room.run(0, &["storage", "cp", "room://dir/*.txt", "out/"]);
    assert_eq!(std::fs::read_to_string(room.0.path("out/other.txt")).unwrap(), "one\n");
    room.run(0, &["storage", "cp", "room://a.txt", "room://copy.txt"]);
    assert_eq!(room.run(0, &["storage", "exists", "room://copy.txt"]).stdout, "true\n");
    assert_eq!(room.run(0, &["storage", "exists", "room://none"]).stdout, "false\n");
    for (arguments, said) in [
        (["storage", "cp", "none", "room://x"], "failed to look at none"),
        (["storage", "cp", "room://none", "x"], "there is no \"none\" in the room"),
        (["storage", "cp", "tree", "room://x"], "tree is a folder"),
        (["storage", "cp", "*.zip", "room://x"], "no file fits *.zip"),
        (["storage", "cp", "a.txt", "room://../x"], "3004"),
    ] {
        room.says(1, &arguments, said);
    }
    for (arguments, said) in [
        (["storage", "show", "room://none"], "there is no \"none\" in the room"),
        (["storage", "show", "room://dir"], "\"dir\" is a folder"),
        (["storage", "rm", "room://dir"], "hint: add -r"),
        (["storage", "rm", "room://none"], "there is no \"none\" in the room"),
        (["storage", "ls", "room://none"], "there is no \"none\" in the room"),
    ] {
        room.says(1, &arguments, said);
    }
    room.run(0, &["storage", "rm", "-r", "room://dir"]);
    room.run(0, &["storage", "rm", "room://*.txt"]);
    assert_eq!(room.run(0, &["storage", "ls", "-q", "room://"]).stdout, "");
}

#[test]
fn messaging_and_services_tell_what_there_is() {
    let room = Room::new();
    assert_eq!(room.run(0, &["messaging", "list"]).json(), json!([]));
    room.says(0, &["messaging", "broadcast", "--data", "{}"], "the message was sent to everybody");
    let send = ["messaging", "send", "--to-participant-id", "x", "--type", "t", "--data", "{}"];
    room.says(1, &send, "no participant with the id \"x\" takes part in messaging");
    room.says(2, &["messaging", "broadcast", "--data", "[]"], "--data is not a JSON object");
    room.0.write(
        "s.yaml",
        "version: v1\nkind: Service\nmetadata: {name: s}\nroom: demo\n\
         external: {url: \"http://127.0.0.1:1\"}\nports: [{num: 80}]\n",
    );
    room.0.embedded(0, &["apply", "-f", "s.yaml", "--yes"]);
    let listed = room.run(0, &["services", "list", "-o", "json"]).json();
    assert_eq!(listed["services"][0]["name"], "s", "{listed}");
    room.says(0, &["service", "restart", "--name", "s"], "is started again");
    room.says(1, &["service", "restart", "--id", "none"], "the room has no service \"none\"");
    assert_eq!(room.0.embedded(2, &["room", "service", "restart", "--room", "demo"]).stdout, "");
}

#[test]
fn a_tool_of_the_room_is_called_by_name() {
    let room = Room::new();
    let call = |arguments: &[&str], code: i32| {
        let base = ["agent", "invoke-tool", "--toolkit", "queues", "--tool"];
        room.run(code, &[&base[..], arguments, &["--timeout", "0"]].concat())
    };
    let answer = call(&["list", "--arguments", "{}"], 0).json();
    assert_eq!(answer, json!({"type": "json", "json": {"queues": []}}));
    let failed = call(&["rabbit", "--arguments", "{}"], 1);
    assert!(failed.stderr.contains("1003"), "{}", failed.stderr);
    let wrong = call(&["list", "--arguments", "[]"], 2);
    assert!(wrong.stderr.contains("neither a JSON object nor a JSON string"), "{}", wrong.stderr);
    let late = ["agent", "invoke-tool", "--toolkit", "none", "--tool", "x", "--arguments", "{}"];
    room.says(1, &[&late[..], &["--timeout", "1"]].concat(), "\"none\" did not join the room");
}

/// Another command of the same folder, while a server has it: both are in one room.
#[test]
fn commands_meet_in_the_rooms_of_the_server_that_has_the_folder() {
    let room = Room::new();
    let data = room.0.path(".meshagent/embedded");
    let mut server =
        crate::platform::process::Process::start(&mut crate::platform::process::server(&data, ""));
    let mut watching = room.0.command(&[
        "room",
        "developer",
        "watch",
        "--room",
        "demo",
        "--format",
        "json",
        "--embedded",
    ]);
    let watching = watching.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut watching = watching.spawn().unwrap();
    let mut notes = BufReader::new(watching.stderr.take().unwrap());
    let mut line = String::new();
    notes.read_line(&mut line).unwrap();
    assert_eq!(line, "watching; Ctrl-C ends it\n");
    let call = ["agent", "invoke-tool", "--toolkit", "developer", "--tool", "info"];
    let message = ["--arguments", "{\"message\": \"hello\"}", "--timeout", "0"];
    room.run(0, &[&call[..], &message].concat());
    let mut events = BufReader::new(watching.stdout.take().unwrap());
    let mut line = String::new();
    events.read_line(&mut line).unwrap();
    let event: Value = serde_json::from_str(&line).unwrap();
    assert_eq!(event["type"], "otel.log");
    assert!(line.contains("hello"), "{line}");
    let id = i32::try_from(watching.id()).unwrap();
    kill(Pid::from_raw(id), Signal::SIGINT).unwrap();
    assert_eq!(watching.wait().unwrap().code(), Some(0));
    server.terminate();
    assert_eq!(server.ends(std::time::Duration::from_secs(20)), Some(0));
}
