//! What becomes of messages and of those who watch when nobody reads, or the connection is lost.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::Room;
use crate::platform::process::{Process, server};

impl Room {
    fn spawned(&self, arguments: &[&str]) -> Command {
        let words = [&["room"], arguments, &["--room", "demo", "--embedded"]].concat();
        let mut command = self.0.command(&words);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    fn size(&self, queue: &str) -> String {
        self.run(0, &["queue", "size", "--queue", queue]).stdout
    }
}

/// Waits until a child has ended, and says with which code.
fn ends(mut child: Child) -> Option<i32> {
    let begun = Instant::now();
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status.code();
        }
        if begun.elapsed() > Duration::from_secs(20) {
            child.kill().unwrap();
            panic!("it goes on");
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A file that is open to be read and written.
fn both(path: &str) -> std::fs::File {
    std::fs::OpenOptions::new().read(true).write(true).open(path).unwrap()
}

/// Sends a signal to a child.
fn signal(child: &Child, signal: Signal) {
    kill(Pid::from_raw(i32::try_from(child.id()).unwrap()), signal).unwrap();
}

/// A pipe that nobody reads.
fn closed() -> Stdio {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    writer.into()
}

#[test]
fn a_message_that_nobody_reads_stays_in_its_queue() {
    let room = Room::new();
    room.run(0, &["queue", "send", "--queue", "q", "--json", "[1]"]);
    let full = || std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    for wait in [&[][..], &["--wait"]] {
        let receive = [&["queue", "receive", "--queue", "q"], wait].concat();
        for (out, told) in [
            (closed(), "nobody reads standard output, so no message was received"),
            (full().into(), "hint: the message is in the queue q again, at its end"),
            // What cannot be written to, and what stands in the place of what is closed.
            (std::fs::File::open("/dev/null").unwrap().into(), "no message was received"),
            (both("/dev/null").into(), "no message was received"),
        ] {
            let output = room.spawned(&receive).stdout(out).output().unwrap();
            let said = String::from_utf8(output.stderr).unwrap();
            assert_eq!(output.status.code(), Some(1), "{said}");
            assert!(said.contains(told), "{said}");
            assert_eq!(room.size("q"), "1\n");
        }
    }
}

/// A message that is larger than a pipe, and is read no further than its first byte.
#[test]
fn a_message_that_is_half_read_when_a_signal_comes_is_in_its_queue_again() {
    let room = Room::new();
    room.0.write("big.json", &format!("\"{}\"", "x".repeat(500_000)));
    room.run(0, &["queue", "send", "--queue", "q", "--file", "big.json"]);
    for (stop, wait) in [
        (Signal::SIGINT, &[][..]),
        (Signal::SIGTERM, &["--wait"]),
        (Signal::SIGHUP, &["--wait=1m"]),
    ] {
        let receive = [&["queue", "receive", "--queue", "q"], wait].concat();
        let mut child = room.spawned(&receive).spawn().unwrap();
        let mut message = child.stdout.take().unwrap();
        message.read_exact(&mut [0]).unwrap();
        signal(&child, stop);
        let mut said = child.stderr.take().unwrap();
        assert_eq!(ends(child), Some(128 + stop as i32));
        let mut told = String::new();
        said.read_to_string(&mut told).unwrap();
        assert!(told.contains("the message is in the queue q again"), "{told}");
        assert_eq!(room.size("q"), "1\n");
    }
}

#[test]
fn a_signal_ends_who_watches_also_if_nobody_reads() {
    let room = Room::new();
    let mut child = room.spawned(&["developer", "watch"]).spawn().unwrap();
    let mut said = BufReader::new(child.stderr.take().unwrap());
    let mut told = String::new();
    said.read_line(&mut told).unwrap();
    assert_eq!(told, "watching; Ctrl-C ends it\n");
    let message = serde_json::json!({"message": "x".repeat(100_000)}).to_string();
    let log =
        ["agent", "invoke-tool", "--timeout", "0", "--toolkit", "developer", "--tool", "info"];
    room.run(0, &[&log[..], &["--arguments", &message]].concat());
    let mut out = child.stdout.take().unwrap();
    out.read_exact(&mut [0]).unwrap();
    signal(&child, Signal::SIGTERM);
    assert_eq!(ends(child), Some(143));
}

#[test]
fn a_wait_for_a_message_has_the_limit_that_it_is_given() {
    let room = Room::new();
    let receive = ["queue", "receive", "--queue", "q", "--wait=300ms"];
    room.says(1, &receive, "there is no message in the queue q");
    let apart = ["room", "queue", "receive", "--queue", "q", "--room", "demo", "--wait", "5s"];
    let said = room.0.run(&apart).stderr;
    assert!(said.contains("hint: give the time as `--wait=5s`"), "{said}");
}

#[test]
fn who_watches_ends_when_nobody_reads() {
    let room = Room::new();
    for arguments in [
        &["queue", "watch"][..],
        &["developer", "watch"],
        &["developer", "watch", "--format", "json"],
    ] {
        let mut child = room.spawned(arguments).spawn().unwrap();
        // Nothing happens that could be written.
        std::thread::sleep(Duration::from_millis(500));
        drop(child.stdout.take());
        assert_eq!(ends(child), Some(0), "{arguments:?}");
    }
    let child = room.spawned(&["queue", "receive", "--queue", "q", "--wait"]);
    let mut child = { child }.spawn().unwrap();
    std::thread::sleep(Duration::from_millis(500));
    drop(child.stdout.take());
    assert_eq!(ends(child), Some(1));
    // What may be mistyped is told.
    let mut child = room.spawned(&["queue", "watch", "--queue", "none"]).spawn().unwrap();
    let mut said = String::new();
    BufReader::new(child.stderr.take().unwrap()).read_line(&mut said).unwrap();
    assert_eq!(said, "note: there is no queue none yet\n");
    drop(child.stdout.take());
    assert_eq!(ends(child), Some(0));
    // What cannot be written is a failure.
    room.run(0, &["queue", "send", "--queue", "q", "--json", "1"]);
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let child = room.spawned(&["queue", "watch"]).stdout(full).spawn().unwrap();
    assert_eq!(ends(child), Some(1));
}

fn line(from: &mut BufReader<ChildStdout>) -> String {
    let mut line = String::new();
    from.read_line(&mut line).unwrap();
    line
}

#[test]
fn who_waits_comes_back_after_a_lost_connection() {
    let room = Room::new();
    room.run(0, &["queue", "send", "--queue", "seen", "--json", "1"]);
    let mut first = Process::start(&mut server(&room.0.path(".meshagent/embedded"), ""));
    let mut watching = room.spawned(&["queue", "watch", "--interval", "100ms"]).spawn().unwrap();
    let mut sizes = BufReader::new(watching.stdout.take().unwrap());
    assert_eq!(line(&mut sizes), "{\"queue\":\"seen\",\"size\":1}\n");
    let receive = ["queue", "receive", "--queue", "q", "--wait=1m"];
    let mut receiving = room.spawned(&receive).spawn().unwrap();
    assert_eq!(line(&mut sizes), "{\"queue\":\"q\",\"size\":0}\n");
    first.child.kill().unwrap();
    first.child.wait().unwrap();
    let second = Process::start(&mut server(&room.0.path(".meshagent/embedded"), ""));
    room.run(0, &["queue", "send", "--queue", "late", "--json", "1"]);
    // What was told before is not told again.
    assert_eq!(line(&mut sizes), "{\"queue\":\"late\",\"size\":1}\n");
    room.run(0, &["queue", "send", "--queue", "q", "--json", "[2]"]);
    let mut message = BufReader::new(receiving.stdout.take().unwrap());
    assert_eq!(line(&mut message), "[\n");
    assert_eq!(ends(receiving), Some(0));
    signal(&watching, Signal::SIGINT);
    assert_eq!(ends(watching), Some(0));
    drop(second);
}
