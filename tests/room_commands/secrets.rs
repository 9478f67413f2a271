//! Secrets go where they are asked to go, and nowhere else.

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;

use serde_json::json;

use super::Room;
use crate::cli::Run;

#[test]
fn a_secret_is_stored_listed_given_out_and_deleted() {
    let room = Room::new();
    room.0.write("value", "canary-of-a-file\n");
    let set = |more: &[&str]| {
        let run = room.run(0, &[&["secret", "set"], more].concat());
        assert_eq!(run.stdout, "");
        assert!(!run.stderr.contains("canary"), "{}", run.stderr);
        run.stderr
    };
    let told = set(&["--id", "file", "--in", "value", "--type", "text/x", "--name", "A file"]);
    assert_eq!(told, "stored the secret file\n");
    let told = set(&["--id", "text", "--text", "canary-of-a-text"]);
    assert!(told.starts_with("warning: other users of this machine can see"), "{told}");
    set(&["--id", "bytes", "--base64", "AP8K", "--delegated-to", "bob"]);
    let stdin = room.0.command(&[
        "room",
        "secrets",
        "set",
        "--id",
        "stdin",
        "--in",
        "-",
        "--room",
        "demo",
        "--embedded",
    ]);
    let stdin = fed(stdin, b"canary-of-a-pipe");
    assert_eq!((stdin.code, stdin.stderr.as_str()), (0, "stored the secret stdin\n"));
    let listed = room.run(0, &["secret", "list"]);
    assert!(!listed.stdout.contains("canary"), "{}", listed.stdout);
    let bytes = "application/octet-stream";
    let expected = json!([
        {"id": "file", "type": "text/x", "name": "A file", "delegated_to": null},
        {"id": "text", "type": bytes, "name": "text", "delegated_to": null},
        {"id": "bytes", "type": bytes, "name": "bytes", "delegated_to": "bob"},
        {"id": "stdin", "type": bytes, "name": "stdin", "delegated_to": null},
    ]);
    assert_eq!(listed.json(), expected);
    assert_eq!(room.run(0, &["secret", "list", "-q"]).stdout, "file\ntext\nbytes\nstdin\n");
    let table = room.run(0, &["secrets", "list", "-o", "table"]).stdout;
    assert!(table.starts_with("Id     Type"), "{table}");
    // A value goes to standard output, byte for byte; of what is there one is told beside it.
    let got = room.run(0, &["secret", "get", "--id", "file"]);
    assert_eq!(got.stdout, "canary-of-a-file\n");
    assert_eq!(got.stderr, "the secret A file is of type text/x\n");
    assert_eq!(room.run(0, &["secret", "get", "--id", "stdin"]).stdout, "canary-of-a-pipe");
    // Or into a file that is its owner's alone, whatever was there.
    std::fs::set_permissions(room.0.path("value"), PermissionsExt::from_mode(0o644)).unwrap();
    for file in ["new", "value"] {
        let delegated = ["--id", "bytes", "--delegated-to", "bob", "--out", file];
        let got = room.run(0, &[&["secret", "get"], &delegated[..]].concat());
        assert_eq!(
            (got.stdout.as_str(), got.stderr.lines().last()),
            ("", Some(&*format!("wrote 3 bytes to {file}")))
        );
        assert_eq!(std::fs::read(room.0.path(file)).unwrap(), [0, 255, 10]);
        let mode = std::fs::metadata(room.0.path(file)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }
    room.says(0, &["secret", "delete", "text"], "deleted the secret text");
    for missing in [
        vec!["secret", "get", "--id", "text"],
        vec!["secret", "get", "--id", "bytes"],
        vec!["secret", "delete", "text"],
        vec!["secret", "delete", "file", "--delegated-to", "bob"],
    ] {
        room.says(1, &missing, "hint: `meshagent room secret list` lists yours");
    }
}

/// Runs a command that is given this on standard input.
#[test]
fn ids_and_values_may_be_odd() {
    let room = Room::new();
    let most = "ü".repeat(32 * 1024);
    room.0.write("most", &most);
    room.0.write("empty", "");
    let long = "i".repeat(256);
    let ids = ["a b", "x--id", "../x", "ü😀", "a/b?c#d%20", "'\"$(id)`", " ", "*", &long];
    for id in ids {
        let of = format!("--id={id}");
        for (file, value) in [("most", most.as_str()), ("empty", "")] {
            room.run(0, &["secret", "set", &of, "--in", file]);
            assert_eq!(room.run(0, &["secret", "get", &of]).stdout, value, "{id:?}");
        }
    }
    let listed = room.run(0, &["secret", "list", "--output", "json"]).json();
    let listed = listed.as_array().expect("a list");
    let found: Vec<&str> = listed.iter().filter_map(|one| one["id"].as_str()).collect();
    assert_eq!(found, ids);
    for id in ids {
        room.run(0, &["secret", "delete", id]);
        room.says(1, &["secret", "get", &format!("--id={id}")], "");
    }
    // Nobody would find one without an id again.
    for words in [&["secret", "set", "--id=", "--text", "x"][..], &["secret", "get", "--id="]] {
        room.run(2, words);
    }
    room.run(2, &["secret", "delete", ""]);
    for id in ["a\nb", &"i".repeat(257)] {
        let words = ["secret", "set", &format!("--id={id}"), "--in", "empty"];
        room.says(1, &words, "is not a text of 1 to 256 bytes");
    }
}

fn fed(mut command: std::process::Command, input: &[u8]) -> Run {
    let streams = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = streams.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    Run::of(child.wait_with_output().unwrap())
}

#[test]
fn what_is_wrong_with_a_secret_is_told_without_it() {
    let room = Room::new();
    room.0.write("large", &"x".repeat(64 * 1024 + 1));
    let set = |more: &[&'static str]| [&["secret", "set", "--id", "s"], more].concat();
    for (code, words, said) in [
        (2, set(&["--base64", "canary-no-base64"]), "--base64 is not base64"),
        (2, set(&["--text", "canary-a", "--base64", "YQ=="]), "cannot be used with"),
        (2, set(&[]), "--in <FILE>"),
        (1, set(&["--in", "none"]), "failed to read none"),
        (1, set(&["--in", "large"]), "a secret has at most 65536 bytes (1002)"),
    ] {
        let run = room.run(code, &words);
        assert!(run.stderr.contains(said), "{words:?}: {}", run.stderr);
        assert!(!run.stderr.contains("canary"), "{}", run.stderr);
    }
    let nobody = ["--from-participant-id", "nobody"];
    let request = [&["secret", "request", "--url", "u"], &nobody[..]].concat();
    room.says(1, &request, "hint: `meshagent room list` shows who is in the room");
    let oauth = ["secret", "oauth", "--client-id", "app", "--redirect-uri", "r"];
    let ends = ["--authorization-endpoint", "https://a/o", "--token-endpoint", "http://a.test/t"];
    let plain = [&oauth[..], &ends, &nobody, &["--client-secret", "canary-client"]].concat();
    let run = room.run(1, &plain);
    assert!(run.stderr.contains("http://a.test/t is plain http"), "{}", run.stderr);
    assert!(!run.stderr.contains("canary"), "{}", run.stderr);
    // The program's secret may come on standard input, which nobody else sees.
    let ends = ["--authorization-endpoint", "https://a/o", "--token-endpoint", "https://a/t"];
    let more = ["--client-secret", "-", "--room", "demo", "--embedded"];
    let piped = room.0.command(&[&["room"], &oauth[..], &ends, &nobody, &more].concat());
    let run = fed(piped, b"canary-client\n");
    assert_eq!(run.code, 1);
    assert!(run.stderr.contains("no participant with the id \"nobody\""), "{}", run.stderr);
    assert!(!run.stderr.contains("warning") && !run.stderr.contains("canary"), "{}", run.stderr);
}
