//! What files are copied from and to.

use std::fs::Permissions;
use std::io::{Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, PermissionsExt, symlink};
use std::process::Stdio;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::Room;

/// No text, and nothing that a terminal should get.
const BYTES: &[u8] = b"a\r\n\x1b[31m\0\xff";

impl Room {
    fn make_pipe(&self, name: &str) {
        let made = std::process::Command::new("mkfifo").arg(self.0.path(name)).status().unwrap();
        assert!(made.success());
    }

    /// What a command of `room storage` prints, byte for byte, and what it says.
    fn bytes(&self, arguments: &[&str], input: &[u8]) -> (Vec<u8>, String) {
        let words = [&["room", "storage"], arguments, &["--room", "demo", "--embedded"]].concat();
        let mut command = self.0.command(&words);
        let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(input).unwrap();
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(0), "{said}");
        (output.stdout, said)
    }

    fn text(&self, name: &str) -> String {
        std::fs::read_to_string(self.0.path(name)).unwrap()
    }

    fn names(&self, folder: &str) -> Vec<String> {
        let entries = std::fs::read_dir(self.0.path(folder)).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> = names.collect();
        names.sort();
        names
    }
}

#[test]
fn a_pipe_a_link_and_a_mode_stay_what_they_are() {
    let room = Room::new();
    room.0.write("a.txt", "new");
    room.run(0, &["storage", "cp", "a.txt", "room://a.txt"]);
    room.make_pipe("pipe");
    let pipe = room.0.path("pipe");
    let reading = pipe.clone();
    let reader = std::thread::spawn(move || std::fs::read_to_string(reading).unwrap());
    room.run(0, &["storage", "cp", "room://a.txt", "pipe"]);
    assert_eq!(reader.join().unwrap(), "new");
    assert!(pipe.metadata().unwrap().file_type().is_fifo());

    for source in ["room://a.txt", "a.txt"] {
        room.0.write("private", "old");
        let private = room.0.path("private");
        std::fs::set_permissions(&private, Permissions::from_mode(0o600)).unwrap();
        let _ = std::fs::remove_file(room.0.path("link"));
        symlink("private", room.0.path("link")).unwrap();
        room.run(0, &["storage", "cp", source, "link"]);
        assert!(room.0.path("link").is_symlink(), "{source}");
        assert_eq!(room.text("private"), "new", "{source}");
        let mode = private.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{source}");
    }

    // A pipe is never waited for as a source.
    room.says(1, &["storage", "cp", "pipe", "room://x"], "pipe is a pipe, not a file");
    room.says(1, &["storage", "cp", "pipe", "x"], "pipe is a pipe, not a file");
}

#[test]
fn bytes_go_through_standard_streams_as_they_are() {
    let room = Room::new();
    assert_eq!(room.bytes(&["cp", "-", "room://x.bin"], BYTES).0, b"");
    assert_eq!(room.bytes(&["cp", "room://x.bin", "-"], b"").0, BYTES);
    assert_eq!(room.bytes(&["cp", "-", "-"], BYTES).0, BYTES);
    let (shown, said) = room.bytes(&["show", "room://x.bin"], b"");
    assert_eq!(shown, BYTES);
    assert_eq!(said, "note: the file is not UTF-8; it was printed as it is\n");
    let (shown, said) = room.bytes(&["show", "room://x.bin", "--encoding", "latin-1"], b"");
    assert_eq!((shown, said), (b"a\r\n\x1b[31m\0\xc3\xbf".to_vec(), String::new()));
    room.says(2, &["storage", "cp", "-", "room://folder/"], "standard input has no name");
    assert_eq!(room.names(""), [".meshagent"]);
}

#[test]
fn what_cannot_be_copied_is_told_and_the_rest_is_copied() {
    let room = Room::new();
    for folder in ["tree/deep", "tree/empty", "bare/empty"] {
        std::fs::create_dir_all(room.0.path(folder)).unwrap();
    }
    room.0.write("tree/a", "1");
    room.0.write("tree/deep/b", "2");
    room.make_pipe("tree/pipe");
    symlink("nowhere", room.0.path("tree/link")).unwrap();
    let notes = [
        "note: tree/empty is empty and is not copied\n",
        "note: tree/link is a link and is not copied\n",
        "note: tree/pipe is a pipe and is not copied\n",
    ];
    let said = room.run(0, &["storage", "cp", "-r", "tree", "room://tree"]).stderr;
    assert!(notes.iter().all(|note| said.contains(note)), "{said}");
    let said = room.run(0, &["storage", "cp", "tree/*", "room://fitting/"]).stderr;
    assert!(notes[1..].iter().all(|note| said.contains(note)), "{said}");

    // A name that a room cannot have is an error, and so is a file in the way.
    let odd = std::ffi::OsStr::from_bytes(b"bad\xff");
    std::fs::write(room.0.path("tree").join(odd), "").unwrap();
    let said = room.run(1, &["storage", "cp", "-r", "tree", "room://again"]).stderr;
    assert!(said.contains("is not copied: its name is not UTF-8"), "{said}");
    assert!(said.ends_with("error: 1 of 3 files was not copied\n"), "{said}");
    std::fs::create_dir_all(room.0.path("out/a")).unwrap();
    room.0.write("c", "3");
    room.run(0, &["storage", "cp", "c", "room://again/c"]);
    let said = room.run(1, &["storage", "cp", "room://again/*", "out/"]).stderr;
    assert!(said.contains("failed to write out/a"), "{said}");
    assert!(said.ends_with("error: 1 of 2 files was not copied\n"), "{said}");
    assert_eq!(room.text("out/c"), "3");

    let nothing = "there is no file to copy in bare";
    room.says(1, &["storage", "cp", "-r", "bare", "room://x"], nothing);
    room.says(1, &["storage", "cp", "-r", "bare", "room://"], nothing);
    let in_the_way = "c is not a folder, and a folder is copied";
    room.says(1, &["storage", "cp", "-r", "room://tree", "c"], in_the_way);
    room.says(1, &["storage", "cp", "room://tree", "x"], "hint: if it is a folder, add -r");
}

#[test]
fn a_whole_room_is_copied_into_a_folder_and_is_not_removed() {
    let room = Room::new();
    room.0.write("one", "1");
    room.run(0, &["storage", "cp", "one", "room://"]);
    room.run(0, &["storage", "cp", "-r", "room://", "all"]);
    assert_eq!(room.text("all/one"), "1");
    for root in ["room://", "room:///", "room://."] {
        room.says(2, &["storage", "rm", "-r", root], "is not removed");
        room.says(2, &["storage", "rm", root], "is not removed");
    }
    assert_eq!(room.run(0, &["storage", "ls", "-q", "room://"]).stdout, "one\n");
    for command in ["rm", "ls", "show"] {
        room.says(2, &["storage", command, ""], "a path is empty");
    }
    for folder in ["..", "/"] {
        room.says(2, &["storage", "rm", "-r", folder], "has no name, so it is not removed");
    }
}

#[test]
fn a_name_that_exists_is_no_pattern() {
    let room = Room::new();
    for name in ["x*", "xy", "[b]", "b"] {
        room.0.write(name, name);
        room.run(0, &["storage", "cp", name, "room://names/"]);
    }
    let listed = |path: &str| room.run(0, &["storage", "ls", "-q", path]).stdout;
    assert_eq!(listed("room://names"), "names/[b]\nnames/b\nnames/x*\nnames/xy\n");
    assert_eq!((listed("room://names/[b]"), listed("[b]")), ("names/[b]\n".into(), "[b]\n".into()));
    room.run(0, &["storage", "cp", "room://names/[b]", "copy"]);
    assert_eq!(room.text("copy"), "[b]");
    room.run(0, &["storage", "rm", "room://names/x*"]);
    assert_eq!(listed("room://names"), "names/[b]\nnames/b\nnames/xy\n");
    // Once it is gone, it is a pattern.
    room.run(0, &["storage", "rm", "room://names/x*"]);
    assert_eq!(listed("room://names"), "names/[b]\nnames/b\n");
    room.run(0, &["storage", "rm", "x*"]);
    assert!(room.0.path("xy").exists() && !room.0.path("x*").exists());
}

#[test]
fn a_download_that_a_signal_ends_leaves_nothing() {
    let room = Room::new();
    let large = std::fs::File::create(room.0.path("large")).unwrap();
    large.set_len(96 * 1024 * 1024).unwrap();
    room.run(0, &["storage", "cp", "large", "room://large"]);
    std::fs::create_dir(room.0.path("out")).unwrap();
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        let words = ["room", "storage", "cp", "room://large", "out/", "--room", "demo"];
        let mut command = room.0.command(&[&words[..], &["--embedded"]].concat());
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let begun = Instant::now();
        while room.names("out").is_empty() {
            assert!(begun.elapsed() < Duration::from_secs(30), "nothing is written");
            std::thread::sleep(Duration::from_millis(2));
        }
        kill(Pid::from_raw(i32::try_from(child.id()).unwrap()), signal).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(128 + signal as i32));
        let mut said = String::new();
        child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        assert!(said.contains("stopped: 0 of 1 files were copied"), "{said}");
        assert!(room.names("out").is_empty(), "{:?}", room.names("out"));
    }
}
