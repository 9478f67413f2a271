//! What is written where: standard output that takes no more, and files that are none.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::{FileTypeExt, PermissionsExt, symlink};
use std::process::{Command, Stdio};

use serde_json::Value;

use super::room;
use crate::cli::{Run, Sandbox};

/// A sandbox with a manifest, on whose platform it was applied.
fn applied() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("room.yaml", &room("one", ""));
    sandbox.write("other.yaml", &room("two", ""));
    sandbox.embedded(0, &["apply", "-f", "room.yaml", "--yes"]);
    sandbox.embedded(0, &["plan", "-f", "other.yaml", "--out", "plan.json"]);
    sandbox
}

const PRINTING: [&[&str]; 22] = [
    &["plan", "-f", "room.yaml", "--embedded"],
    &["plan", "-f", "room.yaml", "--embedded", "--output", "json"],
    &["plan", "-f", "room.yaml", "--embedded", "--output", "markdown"],
    &["plan", "-f", "room.yaml", "--embedded", "--exit-code"],
    &["diff", "-f", "other.yaml", "--embedded"],
    &["graph", "-f", "room.yaml", "--embedded"],
    &["graph", "-f", "other.yaml", "--embedded", "--language", "svg"],
    &["plan", "-f", "other.yaml", "--embedded", "--output", "html"],
    &["show", "plan.json"],
    &["validate", "-f", "room.yaml"],
    &["schema", "Room"],
    &["explain"],
    &["explain", "Room.metadata"],
    &["rooms", "list", "--embedded", "-o", "json"],
    &["rooms", "list", "--embedded", "-o", "table"],
    &["rooms", "list", "--embedded", "-o", "yaml"],
    &["rooms", "list", "--embedded", "--quiet"],
    &["rooms", "create", "--name", "x", "--embedded", "--as-manifest"],
    &["completion", "bash"],
    &["version"],
    &["--version"],
    &["plan", "--help"],
];

#[test]
fn a_full_disk_behind_standard_output_is_an_error() {
    let sandbox = applied();
    for words in PRINTING {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let output = sandbox.command(words).stdout(full).output().unwrap();
        let run = Run::of(output);
        assert_eq!(run.code, 1, "{words:?}: {}", run.stderr);
        let told = run.stderr.contains("error: failed to write to standard output: No space left");
        assert!(told, "{words:?}: {}", run.stderr);
    }
}

#[test]
fn an_apply_that_cannot_show_its_plan_writes_nothing() {
    let sandbox = Sandbox::new();
    sandbox.write("room.yaml", &room("one", ""));
    for form in ["text", "json"] {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let words = ["apply", "-f", "room.yaml", "--embedded", "--yes", "-o", form];
        let run = Run::of(sandbox.command(&words).stdout(full).output().unwrap());
        assert_eq!(run.code, 1, "{}", run.stderr);
    }
    let run = sandbox.embedded(3, &["plan", "-f", "room.yaml", "--exit-code"]);
    assert!(run.stdout.contains("1 to create"), "{}", run.stdout);
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let sandbox = applied();
    for words in PRINTING {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = sandbox.command(words).stdout(writer).output().unwrap();
        let run = Run::of(output);
        assert!(!run.stderr.contains("error"), "{words:?}: {}", run.stderr);
    }
}

#[test]
fn a_log_that_cannot_be_written_stops_nothing() {
    let sandbox = applied();
    for stderr in ["/dev/full", "closed"] {
        for words in PRINTING {
            let words = [&["--log", "trace"], words].concat();
            let mut command = sandbox.command(&words);
            if stderr == "closed" {
                let (reader, writer) = std::io::pipe().unwrap();
                drop(reader);
                command.stderr(writer);
            } else {
                command.stderr(File::options().write(true).open(stderr).unwrap());
            }
            let output = command.stdout(Stdio::piped()).output().unwrap();
            assert!([0, 6].contains(&output.status.code().unwrap()), "{words:?}: {output:?}");
        }
    }
}

#[test]
fn out_and_report_write_into_what_is_no_file() {
    let sandbox = applied();
    let at = |name: &str| sandbox.path(name);
    let plan = |out: &str| sandbox.embedded(0, &["plan", "-f", "room.yaml", "--out", out]);
    let apply =
        |to: &str| sandbox.embedded(0, &["apply", "-f", "room.yaml", "--yes", "--report", to]);
    let is_json = |text: &str| serde_json::from_str::<Value>(text).is_ok();

    assert!(Command::new("mkfifo").arg(at("pipe")).status().unwrap().success());
    for (write, field) in [(&plan as &dyn Fn(&str) -> Run, "operations"), (&apply, "outcomes")] {
        let path = at("pipe");
        let reader = std::thread::spawn(move || std::fs::read_to_string(path).unwrap());
        write("pipe");
        let got: Value = serde_json::from_str(&reader.join().unwrap()).unwrap();
        assert!(got[field].is_array(), "{got}");
        assert!(at("pipe").metadata().unwrap().file_type().is_fifo());

        std::fs::create_dir_all(at("real")).unwrap();
        symlink("real/it.json", at("link")).unwrap();
        // Once to make the file, once to replace it.
        for _ in 0..2 {
            write("link");
            assert!(at("link").is_symlink());
            assert!(is_json(&std::fs::read_to_string(at("real/it.json")).unwrap()));
            let mode = at("real/it.json").metadata().unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
        std::fs::remove_file(at("link")).unwrap();
        std::fs::remove_file(at("real/it.json")).unwrap();

        write("/dev/null");
        assert!(at("/dev/null").metadata().unwrap().file_type().is_char_device());
        symlink("/proc/self/fd/1", at("out")).unwrap();
        let shown = write("out").stdout;
        assert!(at("out").is_symlink() && shown.contains(&format!("\"{field}\": [")), "{shown}");
        std::fs::remove_file(at("out")).unwrap();
    }
    let refused = sandbox.embedded(2, &["plan", "-f", "room.yaml", "--out", "real"]);
    assert!(refused.stderr.contains("real is a folder"), "{}", refused.stderr);
}

#[test]
fn a_report_on_standard_output_keeps_what_else_is_written_there() {
    let sandbox = applied();
    let log = sandbox.path("log");
    let words = ["apply", "-f", "room.yaml", "--embedded", "--yes", "--report", "/dev/stdout"];
    let status = sandbox.command(&words).stdout(File::create(&log).unwrap()).status().unwrap();
    assert!(status.success());
    let mut text = String::new();
    File::open(&log).unwrap().read_to_string(&mut text).unwrap();
    assert!(text.starts_with("Nothing to change") && text.contains("\"outcomes\": []"), "{text}");
}
