//! What becomes of messages and of those who watch when nobody reads, or the connection is lost.

use std::io::{BufRead, BufReader};
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
        ] {
            let output = room.spawned(&receive).stdout(out).output().unwrap();
            let said = String::from_utf8(output.stderr).unwrap();
            assert_eq!(output.status.code(), Some(1), "{said}");
            assert!(said.contains(told), "{said}");
            assert_eq!(room.size("q"), "1\n");
        }
    }
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
    kill(Pid::from_raw(i32::try_from(watching.id()).unwrap()), Signal::SIGINT).unwrap();
    assert_eq!(ends(watching), Some(0));
    drop(second);
}
