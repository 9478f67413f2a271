//! Secrets are read where a plan needs them, and nowhere else.

use super::{Run, Sandbox, run, told, write};

fn secret(name: &str, data: &str) -> String {
    format!("version: v1\nkind: Secret\nmetadata:\n  name: {name}\ntype: keys\ndata:\n{data}")
}

const FILES: [&str; 2] = ["-f", "m"];

fn with(sandbox: &Sandbox, variables: &[(&str, &str)], arguments: &[&str]) -> Run {
    let arguments = [arguments, &FILES, &["--embedded"]].concat();
    Run::of(sandbox.command(&arguments).envs(variables.iter().copied()).output().unwrap())
}

#[test]
fn an_empty_secret_is_refused_unless_it_is_allowed() {
    let sandbox = Sandbox::new();
    write(
        &sandbox,
        "m/s.yaml",
        secret("s", "  A: {from: {env: TOKEN}}\n  B: {from: {file: b.txt}}\n"),
    );
    write(&sandbox, "m/b.txt", "b");
    assert_eq!(with(&sandbox, &[("TOKEN", "real")], &["apply", "--yes"]).code, 0);
    write(&sandbox, "m/b.txt", "\n");
    let refused = with(&sandbox, &[("TOKEN", "")], &["apply", "--yes"]);
    assert_eq!(refused.code, 6);
    told(&refused, "m/s.yaml:7:7: the environment variable TOKEN is empty");
    told(&refused, "m/s.yaml:8:7: m/b.txt is empty");
    told(&refused, "hint: if this is intended, write `allow_empty: true` beside `from`");
    let allowed = "  A: {from: {env: TOKEN}, allow_empty: true}\n  B: {allow_empty: true, from: {file: b.txt}}\n";
    write(&sandbox, "m/s.yaml", secret("s", allowed));
    let applied = with(&sandbox, &[("TOKEN", "")], &["apply", "--yes"]);
    assert_eq!((applied.code, applied.stderr.contains("empty")), (0, false), "{}", applied.stderr);
    // One that is not set is not an empty one.
    told(&with(&sandbox, &[], &["plan"]), "the environment variable TOKEN is not set");
}

#[test]
fn a_project_setting_that_is_read_may_be_empty_where_it_says_so() {
    let sandbox = Sandbox::new();
    let project = |source: &str| {
        format!("version: v1\nkind: Project\nmetadata: {{name: p}}\nsettings:\n  key: {source}\n")
    };
    write(&sandbox, "m/p.yaml", project("{from: {env: KEY}}"));
    told(&with(&sandbox, &[("KEY", "")], &["plan"]), "the environment variable KEY is empty");
    write(&sandbox, "m/p.yaml", project("{from: {env: KEY}, allow_empty: true}"));
    assert_eq!(with(&sandbox, &[("KEY", "")], &["plan"]).code, 0);
}

#[test]
fn an_empty_text_is_told_and_refused_where_a_template_makes_it() {
    let sandbox = Sandbox::new();
    write(&sandbox, "m/s.yaml", secret("s", "  A: ''\n"));
    let planned = with(&sandbox, &[], &["plan"]);
    assert_eq!(planned.code, 0, "{}", planned.stderr);
    told(&planned, "note: m/s.yaml:7:3: `data.A` is empty, so the secret will be empty too");
    std::fs::remove_file(sandbox.path("m/s.yaml")).unwrap();
    write(&sandbox, "m/s.yaml.j2", secret("s", "  A: \"{{ env('MESHAGENT_VAR_TOKEN', '') }}\"\n"));
    let refused = with(&sandbox, &[("MESHAGENT_VAR_TOKEN", "")], &["plan"]);
    assert_eq!(refused.code, 6);
    told(&refused, "m/s.yaml.j2 (rendered):7:3: `data.A` is empty");
}

#[test]
fn a_byte_order_mark_is_no_part_of_a_secret() {
    let sandbox = Sandbox::new();
    write(&sandbox, "m/s.yaml", secret("s", "  A: {from: {file: a.txt}}\n"));
    write(&sandbox, "m/a.txt", "hunter2");
    assert_eq!(with(&sandbox, &[], &["apply", "--yes"]).code, 0);
    write(&sandbox, "m/a.txt", "\u{feff}hunter2\r\n");
    assert_eq!(with(&sandbox, &[], &["plan", "--exit-code"]).code, 0);
    write(&sandbox, "m/a.txt", b"\xff\xfeh\0u\0");
    told(&with(&sandbox, &[], &["plan"]), "m/a.txt is UTF-16, not UTF-8");
}

#[test]
fn a_part_of_a_set_reads_the_secrets_of_that_part() {
    let sandbox = Sandbox::new();
    write(&sandbox, "m/a.yaml", secret("a", "  A: {from: {env: A}}\n"));
    write(&sandbox, "m/b.yaml", secret("b", "  B: {from: {env: B}}\n"));
    let service =
        "version: v1\nkind: Service\nmetadata: {name: s}\ncontainer: {image: x, secrets: [a]}\n";
    write(&sandbox, "m/s.yaml", service);
    for scope in [["--target", "Secret/a"], ["--exclude", "Secret/b"], ["--target", "Service/s"]] {
        let planned = with(&sandbox, &[("A", "a")], &[&["plan"], &scope[..]].concat());
        assert_eq!(planned.code, 0, "{scope:?}: {}", planned.stderr);
        let refused = with(&sandbox, &[("B", "b")], &[&["apply", "--yes"], &scope[..]].concat());
        assert_eq!(refused.code, 6, "{scope:?}");
        told(&refused, "m/a.yaml:7:7: the environment variable A is not set");
        assert!(!refused.stderr.contains("variable B"), "{}", refused.stderr);
    }
    let applied = with(&sandbox, &[("A", "a")], &["apply", "--yes", "--target", "Service/s"]);
    assert_eq!(applied.code, 0, "{}", applied.stderr);
    // What is to be deleted needs no secret.
    assert_eq!(with(&sandbox, &[], &["destroy", "--yes"]).code, 0);
}

#[test]
fn validate_reads_no_secret_and_tells_what_is_missing() {
    let sandbox = Sandbox::new();
    let sources = "  A: {from: {env: A}}\n  B: {from: {file: gone.txt}}\n  C: {from: {command: [touch, ran]}}\n  \
                   D: {from: {env: D}}\n  E: {from: {age: {file: e.age}}}\n";
    write(&sandbox, "m/s.yaml", secret("s", sources));
    let mut command = sandbox.command(&["validate", "-f", "m"]);
    let valid = Run::of(command.env("D", "").output().unwrap());
    assert_eq!((valid.code, valid.stdout.as_str()), (0, "valid: 1 document, 1 object\n"));
    for note in [
        "note: m/s.yaml:7:7: the environment variable A is not set; applying needs the secret",
        "note: m/s.yaml:8:7: m/gone.txt does not exist",
        "note: m/s.yaml:10:7: the environment variable D is empty",
        "note: m/s.yaml:11:7: m/e.age does not exist",
    ] {
        told(&valid, note);
    }
    assert!(!sandbox.path("m/ran").exists());
}

/// A secret that a command prints, which shows what it saw in `seen`.
fn command() -> String {
    let script = "env > seen; echo hunter2";
    secret("s", &format!("  A:\n    from: {{command: [sh, -c, '{script}']}}\n"))
}

#[test]
fn no_command_is_run_without_consent() {
    let sandbox = Sandbox::new();
    write(&sandbox, "m/s.yaml", command());
    // What is for reading only is made without it.
    for words in [&["plan"][..], &["diff"], &["graph"], &["plan", "--drift-only"]] {
        let planned = with(&sandbox, &[], words);
        assert_eq!(planned.code, 0, "{words:?}: {}", planned.stderr);
        told(&planned, "note: m/s.yaml:8:5: the secret is the output of the command \"sh\"");
        told(&planned, "add --allow-commands to run the commands that the manifests name");
    }
    for words in [&["apply", "--yes"][..], &["plan", "--out", "p.json"]] {
        let refused = with(&sandbox, &[], words);
        assert_eq!(refused.code, 6, "{words:?}: {}", refused.stderr);
        told(&refused, "m/s.yaml:8:5: the secret is the output of the command \"sh\"");
        told(&refused, "hint: add --allow-commands to run the commands that the manifests name");
    }
    run(&sandbox, 0, &["validate", "-f", "m"]);
    assert!(!sandbox.path("m/seen").exists());
    let saved = with(&sandbox, &[], &["plan", "--allow-commands", "--out", "p.json"]);
    assert_eq!(saved.code, 0, "{}", saved.stderr);
    std::fs::remove_file(sandbox.path("m/seen")).unwrap();
    told(&sandbox.embedded(6, &["apply", "p.json"]), "commands are not allowed");
    assert!(!sandbox.path("m/seen").exists());
    sandbox.embedded(0, &["apply", "p.json", "--allow-commands"]);
    let again = with(&sandbox, &[], &["plan", "--allow-commands", "--exit-code"]);
    assert_eq!(again.code, 0, "{}", again.stdout);
}

#[test]
fn a_command_sees_none_of_the_programs_own_variables() {
    let sandbox = Sandbox::new();
    write(&sandbox, "m/s.yaml", command());
    let own = [("MESHAGENT_AGE_KEY", "canary"), ("MESHAGENT_ROOM", "canary"), ("OTHER", "kept")];
    assert_eq!(with(&sandbox, &own, &["plan", "--allow-commands"]).code, 0);
    let seen = std::fs::read_to_string(sandbox.path("m/seen")).unwrap();
    assert!(seen.contains("OTHER=kept") && !seen.contains("MESHAGENT_"), "{seen}");
}

#[test]
fn what_several_objects_need_is_read_once() {
    let sandbox = Sandbox::new();
    let source = "  A: {from: {command: [sh, -c, 'echo ran >> ../log; echo x']}}\n";
    write(&sandbox, "m/a.yaml", secret("a", source) + "---\n" + &secret("b", source));
    assert_eq!(with(&sandbox, &[], &["plan", "--allow-commands"]).code, 0);
    assert_eq!(std::fs::read_to_string(sandbox.path("log")).unwrap(), "ran\n");
}
