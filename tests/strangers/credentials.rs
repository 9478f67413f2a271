//! The program's own credentials leave in no output, whoever put them there.

use super::{all, refused, room, write};
use crate::cli::{Run, Sandbox};

const KEY: &str = "ma-c4n4ry-k3y/with+signs=";

#[test]
fn own_credentials_are_in_no_output_even_where_a_manifest_has_them() {
    let sandbox = Sandbox::new();
    let encoded = "bWEtYzRuNHJ5LWszeS93aXRoK3NpZ25zPQ==";
    let rest = format!(
        "room_metadata:\n  a: {KEY:?}\n  b: {encoded}\n  c: https://x/?k=ma-c4n4ry-k3y%2Fwith%2Bsigns%3D\n"
    );
    write(&sandbox, "m/a.yaml", room("a", &rest));
    write(&sandbox, "w/a.yaml", room("a", &format!("{KEY:?}: 1\n")));
    for variable in ["MESHAGENT_API_KEY", "MESHAGENT_TOKEN", "MESHAGENT_WEBHOOK_SECRET"] {
        for words in [
            &["plan", "-f", "m", "--embedded"][..],
            &["plan", "-f", "m", "--embedded", "-o", "json"],
            &["plan", "-f", "m", "--embedded", "-o", "markdown"],
            &["diff", "-f", "m", "--embedded"],
            &["validate", "-f", "w", "--project-id", "p"],
            &["plan", "-f", KEY, "--embedded"],
        ] {
            let mut command = sandbox.command(words);
            let run = Run::of(command.env(variable, KEY).output().unwrap());
            for trace in ["c4n4ry", "bWEtYzRuNHJ5"] {
                assert!(!all(&run).contains(trace), "{variable} {words:?}: {}", all(&run));
            }
            assert!(all(&run).contains("(secret)"), "{variable} {words:?}: {}", all(&run));
        }
    }
}

#[test]
fn what_is_asked_for_is_printed() {
    let sandbox = Sandbox::new();
    let made = sandbox.embedded(0, &["api-key", "create", "k"]);
    assert!(made.stdout.contains("ma-"), "{}", made.stdout);
    write(&sandbox, "plain", KEY);
    sandbox.run(&["secret", "keygen"]);
    write(&sandbox, "x.age", sandbox.run(&["secret", "encrypt", "plain"]).stdout);
    let mut command = sandbox.command(&["secret", "decrypt", "x.age"]);
    let shown = Run::of(command.env("MESHAGENT_TOKEN", KEY).output().unwrap());
    assert_eq!(shown.stdout, KEY);
}

#[test]
fn secrets_on_the_command_line_are_warned_of() {
    let sandbox = Sandbox::new();
    for words in [
        &["secret", "key", "create", "--name", "k", "--data", "A=hunter2"][..],
        &[
            "secret",
            "docker",
            "create",
            "--name",
            "d",
            "--server",
            "h",
            "--username",
            "u",
            "--password",
            "hunter2",
        ],
        &[
            "secret",
            "acr",
            "create",
            "--name",
            "a",
            "--server",
            "h",
            "--username",
            "u",
            "--password",
            "hunter2",
        ],
        &[
            "secret",
            "gar",
            "create",
            "--name",
            "g",
            "--server",
            "h",
            "--json-key",
            "{\"type\": \"hunter2\"}",
        ],
    ] {
        let run = sandbox.run(&[words, &["--embedded", "--dry-run"]].concat());
        refused(&run, 0, "warning: other users of this machine can see what --");
        assert!(!all(&run).contains("hunter2"), "{}", all(&run));
    }
}
