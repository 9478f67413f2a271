//! Hints that are followed: each leads on, and none leads into the next error.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::cli::{Run, Sandbox};

const ROOM: &str = "version: v1\nkind: Room\nmetadata: {name: hall}\n";

fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("m.yaml", ROOM);
    sandbox
}

fn set_mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

#[track_caller]
fn told(run: &Run, code: i32, texts: &[&str]) {
    assert_eq!(run.code, code, "{}\n{}", run.stdout, run.stderr);
    for text in texts {
        assert!(run.stderr.contains(text), "{text}: {}", run.stderr);
    }
}

#[test]
fn an_identity_that_others_can_read_is_to_be_closed_and_not_to_be_made() {
    let sandbox = sandbox();
    sandbox.run(&["secret", "keygen"]);
    let file = sandbox.path(".meshagent/age.txt");
    sandbox.write("plain", "hunter2");
    for mode in [0o644, 0o660] {
        set_mode(&file, mode);
        let run = sandbox.run(&["secret", "encrypt", "plain"]);
        told(&run, 2, &["can be read by others", "chmod 600 "]);
        assert!(!run.stderr.contains("keygen"), "{}", run.stderr);
    }
    set_mode(&file, 0o600);
    told(&sandbox.run(&["secret", "encrypt", "plain"]), 0, &[]);
    std::fs::remove_file(&file).unwrap();
    told(&sandbox.run(&["secret", "encrypt", "plain"]), 2, &["meshagent secret keygen"]);
}

#[test]
fn what_is_allowed_is_spelled_as_it_is_meant() {
    let sandbox = sandbox();
    let plan = |words: &[&str]| {
        sandbox.run(&[&["plan", "-f", "m.yaml", "--embedded"][..], words].concat())
    };
    for (name, hint) in [
        ("FOO,BAR", "repeat the option for several"),
        ("FOO BAR", "repeat the option for several"),
        ("FOO_*", "patterns are not supported"),
        ("F?O=public", "patterns are not supported"),
        ("$FOO", "without `$`: FOO"),
    ] {
        told(&plan(&["--allow-env", name]), 2, &["--allow-env <NAME>", hint]);
    }
    told(&plan(&["--allow-env", "FOO", "--allow-env", "a.B-c"]), 0, &[]);
    std::fs::create_dir(sandbox.path("keys")).unwrap();
    sandbox.write("keys/k", "x");
    let of_file = plan(&["--allow-files", "keys/k"]);
    told(&of_file, 2, &["keys/k: this must be a folder, but it is a file", "--allow-files keys "]);
    told(
        &plan(&["--allow-files", "m.yaml"]),
        2,
        &["hint: use --allow-files . to allow everything in its folder"],
    );
    told(&plan(&["--allow-files", "nowhere"]), 2, &["there is no such folder"]);
    told(&plan(&["--allow-files", "keys"]), 0, &[]);
    let validate = sandbox.run(&["validate", "-f", "m.yaml", "--allow-commands"]);
    told(
        &validate,
        2,
        &["hint: validate reads no secrets and runs no commands: leave this option out"],
    );
}

#[test]
fn an_empty_variable_is_no_value_unless_the_template_says_so() {
    let sandbox = Sandbox::new();
    let validate = |text: &str, name: &str| {
        sandbox.write("m.yaml.j2", &format!("{ROOM}room_metadata: {{a: x{{{{ {text} }}}}}}\n"));
        let words = ["validate", "-f", "m.yaml.j2", "--project-id", "p", "--allow-env", name];
        Run::of(sandbox.command(&words).env("FOO", "").output().unwrap())
    };
    let refused = validate("env(\"FOO\")", "FOO");
    told(
        &refused,
        2,
        &[
            "the environment variable FOO is empty",
            "to allow that, give env a default as its second argument",
        ],
    );
    told(&validate("env(\"FOO\", \"\")", "FOO"), 0, &[]);
    told(&validate("env(\"FOO\")", "FOO=public"), 0, &[]);
    // All that lack are told at once, each at its line.
    sandbox.write(
        "m.yaml.j2",
        &format!("{ROOM}room_metadata:\n  a: {{{{ env('ONE') }}}}\n  b: {{{{ env('TWO') }}}}\n  c: {{{{ env('ONE') }}}}\n"),
    );
    let words = ["validate", "-f", "m.yaml.j2", "--allow-env", "ONE", "--allow-env", "TWO"];
    let run = sandbox.run(&words);
    told(&run, 2, &["m.yaml.j2:5:1: ", "variable ONE is not set", "m.yaml.j2:6:1: ", "TWO is not"]);
    assert_eq!(run.stderr.matches(" is not set").count(), 2, "{}", run.stderr);
}

#[test]
fn templates_do_not_show_the_engine() {
    let sandbox = Sandbox::new();
    for text in ["{{ debug() }}", "{% set x = debug() %}{{ x }}", "{{ debug(1) }}"] {
        sandbox.write("m.yaml.j2", &format!("{ROOM}room_metadata: {{a: \"{text}\"}}\n"));
        let run = sandbox.run(&["validate", "-f", "m.yaml.j2", "--project-id", "p"]);
        told(&run, 2, &["unknown function: debug is unknown"]);
        assert!(run.stderr.len() < 1_000, "{}", run.stderr);
    }
}

#[test]
fn addresses_are_told_with_an_example_that_works() {
    let sandbox = sandbox();
    for (text, example) in [
        ("127.0.0.1", "such as 127.0.0.1:8787"),
        ("::1", "such as [::1]:8787"),
        ("8787", "such as 127.0.0.1:8787"),
        ("localhost:1", "such as 127.0.0.1:8787"),
    ] {
        told(&sandbox.run(&["server", "--listen", text]), 2, &[example]);
    }
    for name in ["http://foo:8", "*", "foo:80", "*.foo", "", "a/b"] {
        let run = sandbox.run(&["server", "--listen", "127.0.0.1:0", "--allow-host", name]);
        told(&run, 2, &["write a name alone"]);
    }
    for (url, example) in [
        ("127.0.0.1:8787", "such as http://127.0.0.1:8787"),
        ("localhost:8787", "such as http://localhost:8787"),
        ("ftp://x", "such as https://api.meshagent.com"),
    ] {
        for words in [&["rooms", "list"][..], &["auth", "login", "--no-browser"]] {
            let mut command = sandbox.command(&[words, &["--api-url", url]].concat());
            let run = Run::of(command.env("MESHAGENT_API_KEY", "k").output().unwrap());
            told(&run, 2, &["is neither http nor https", example]);
        }
    }
    let login = ["auth", "login", "--no-browser", "--api-url", "http://192.0.2.1:1"];
    told(&sandbox.run(&login), 2, &["is plain http", "give --insecure to a command that has it"]);
    for command in [&["auth", "login", "--help"][..], &["setup", "--help"]] {
        assert!(sandbox.run(command).stdout.contains("--insecure"), "{command:?}");
    }
}

#[test]
fn a_platform_that_cannot_be_opened_says_what_to_do() {
    let sandbox = Sandbox::new();
    let server = ["server", "--listen", "127.0.0.1:0", "--key-file", "."];
    told(&sandbox.run(&server), 2, &["the key file . is a folder", "such as ./platform.key"]);
    sandbox.embedded(0, &["rooms", "list"]);
    let database = std::fs::read_dir(sandbox.path(".meshagent/embedded")).unwrap();
    let database = database
        .map(|it| it.unwrap().path())
        .find(|path| std::fs::read(path).is_ok_and(|bytes| bytes.starts_with(b"SQLite format 3")));
    let database = database.unwrap();
    std::fs::write(&database, "no database at all, but long enough to be looked at\n".repeat(99))
        .unwrap();
    told(&sandbox.embedded(1, &["rooms", "list"]), 1, &["hint: restore a copy of the database"]);
}

#[test]
fn a_wrong_folder_of_rules_is_told_before_anything_else() {
    let sandbox = sandbox();
    for words in [&["plan"][..], &["apply", "--yes"], &["destroy", "--yes"]] {
        let line = [words, &["-f", "m.yaml", "--policy", "nowhere", "--embedded"]].concat();
        told(&sandbox.run(&line), 2, &["nowhere is not a folder"]);
        assert!(!sandbox.path(".meshagent").exists(), "{line:?}");
    }
}

#[test]
fn a_token_is_not_written_over_its_document() {
    let sandbox = Sandbox::new();
    let key = sandbox.embedded(0, &["api-key", "create", "k"]).stdout.trim().to_owned();
    let text = "version: v1\nkind: ParticipantToken\nidentity: a\napi: {}\n";
    sandbox.write("t.yaml", text);
    std::fs::hard_link(sandbox.path("t.yaml"), sandbox.path("same.yaml")).unwrap();
    let generate = |output: &str| {
        let words = ["token", "generate", "-i", "t.yaml", "-o", output];
        let project = ["--project-id", "11111111-1111-4111-8111-111111111111"];
        let mut command = sandbox.command(&[&words[..], &project].concat());
        Run::of(command.env("MESHAGENT_API_KEY", &key).output().unwrap())
    };
    for output in ["t.yaml", "./t.yaml", "same.yaml"] {
        told(&generate(output), 6, &["--output would overwrite t.yaml, which is an input"]);
        assert_eq!(std::fs::read_to_string(sandbox.path("t.yaml")).unwrap(), text);
    }
    told(&generate("token"), 0, &[]);
}

#[test]
fn an_activated_key_is_checked_and_can_come_from_standard_input() {
    use std::io::Write;
    let sandbox = Sandbox::new();
    let key = sandbox.embedded(0, &["api-key", "create", "k"]).stdout.trim().to_owned();
    let project = "11111111-1111-4111-8111-111111111111";
    let line = |key: &str| {
        let words = ["api-key", "activate", key, "--project-id", project];
        let mut command = sandbox.command(&[&words[..], &["--api-url", "https://p.test"]].concat());
        command.stdin(std::process::Stdio::piped());
        command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
        command
    };
    for wrong in ["ma-foo", "x", "ma-a-b-c"] {
        told(
            &Run::of(line(wrong).output().unwrap()),
            0,
            &["warning: this is not a complete API key"],
        );
    }
    let given = Run::of(line(&key).output().unwrap());
    told(
        &given,
        0,
        &["warning: other users of this machine can see the value of KEY", "signs the"],
    );
    let mut child = line("-").spawn().unwrap();
    child.stdin.take().unwrap().write_all(format!("{key}\n").as_bytes()).unwrap();
    let read = Run::of(child.wait_with_output().unwrap());
    assert_eq!(
        (read.code, read.stderr.as_str()),
        (0, "the key signs the project's tokens from now on\n")
    );
    let file = std::fs::read_to_string(sandbox.path(".meshagent/project.json")).unwrap();
    assert!(file.contains(&key) && file.contains("https://p.test"), "{file}");
}

/// A platform that does not know the credential, which came from one of several places.
#[tokio::test(flavor = "multi_thread")]
async fn a_credential_that_is_not_known_is_named_by_where_it_came_from() {
    let server = crate::platform::harness::Server::start().await;
    let sandbox = Sandbox::new();
    let project = &server.project;
    std::fs::create_dir(sandbox.path(".meshagent")).unwrap();
    let file = serde_json::json!({"active_project": project, "active_api_keys": {project: "ma-x"},
        "api_key_platforms": {project: server.url}});
    sandbox.write(".meshagent/project.json", &file.to_string());
    for (variable, origin) in [
        (None, format!("check the activated key of project {project}, and")),
        (Some("MESHAGENT_API_KEY"), "check MESHAGENT_API_KEY, and".to_owned()),
        (Some("MESHAGENT_TOKEN"), "check MESHAGENT_TOKEN, and".to_owned()),
    ] {
        let mut command = sandbox.command(&["rooms", "list", "--api-url", &server.url]);
        command.envs(variable.map(|name| (name, "ma-wrong")));
        let run = tokio::task::spawn_blocking(move || Run::of(command.output().unwrap()));
        told(&run.await.unwrap(), 1, &[&origin]);
    }
}
