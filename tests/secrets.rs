//! Secrets from every source: read, noticed when they change, and shown by nothing.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::cli::{Run, Sandbox};
use crate::hostile::proxy::{Fault, Hostile, Moment};
use crate::platform::harness::Server;

/// Values that no output may hold, before and after they are changed. What marks them is
/// looked for, in case something cuts them; it cannot be a part of an id or a fingerprint.
const OLD: [&str; 6] = [
    "old-wqkxzo-env",
    "old-wqkxzo-file",
    "old-wqkxzo-cmd",
    "old-wqkxzo-age",
    "old-wqkxzo-beside",
    "old-wqkxzo-text",
];
const NEW: [&str; 6] = [
    "new-wqkxzn-env",
    "new-wqkxzn-file",
    "new-wqkxzn-cmd",
    "new-wqkxzn-age",
    "new-wqkxzn-beside",
    "new-wqkxzn-text",
];
const MARKS: [&str; 2] = ["wqkxzo", "wqkxzn"];

/// Runs a command with standard input.
pub fn with_input(command: &mut Command, input: &str) -> Run {
    use std::io::Write;
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    Run::of(child.wait_with_output().unwrap())
}

fn encrypt(sandbox: &Sandbox, arguments: &[&str], value: &str) -> String {
    let run =
        with_input(&mut sandbox.command(&[&["secret", "encrypt"], arguments].concat()), value);
    assert_eq!(run.code, 0, "{}", run.stderr);
    run.stdout
}

/// A manifest with a value of every source in every place that takes one.
fn write_manifest(sandbox: &Sandbox, values: [&str; 6]) {
    let [_, file, command, age, beside, text] = values;
    sandbox.write("value.txt", &format!("{file}\n"));
    sandbox.write("print.sh", &format!("echo {command}\n"));
    sandbox.write("value.age", &encrypt(sandbox, &[], beside));
    let field = encrypt(sandbox, &["--yaml", "AGE"], age);
    let field: String = field.lines().map(|line| format!("  {line}\n")).collect();
    let json = encrypt(sandbox, &[], age);
    sandbox.write(
        "m.yaml",
        &format!(
            "version: v1\nkind: Secret\nmetadata: {{name: all}}\ntype: keys\ndata:\n  \
             ENV: {{from: {{env: CANARY}}}}\n  FILE: {{from: {{file: value.txt}}}}\n  \
             COMMAND: {{from: {{command: [sh, print.sh]}}}}\n  TEXT: {text}\n  \
             BESIDE: {{from: {{age: {{file: value.age}}}}}}\n{field}---\n\
             version: v1\nkind: Secret\nmetadata: {{name: pull}}\ntype: docker\nserver: r\n\
             username: u\npassword: {{from: {{age: {json:?}}}}}\n"
        ),
    );
}

fn run(sandbox: &Sandbox, values: [&str; 6], arguments: &[&str]) -> Run {
    let plans = ["plan", "diff", "graph", "apply"].contains(&arguments[0]);
    // The home folder is no folder of manifests by itself.
    let consent: &[&str] = if plans { &["--allow-commands", "--allow-files", "."] } else { &[] };
    Run::of(
        sandbox
            .command(&[&["--log", "trace"], arguments, consent, &["--embedded"]].concat())
            .env("CANARY", values[0])
            .env("RUST_BACKTRACE", "full")
            .output()
            .unwrap(),
    )
}

#[track_caller]
fn assert_no_canary(what: &str, text: &str) {
    for mark in MARKS {
        assert!(!text.contains(mark), "{what} holds {mark}: {text}");
    }
}

#[test]
fn no_source_of_a_secret_is_shown_and_every_change_is_noticed() {
    let sandbox = Sandbox::new();
    assert_eq!(sandbox.run(&["secret", "keygen"]).code, 0);
    for (values, expected) in [(OLD, 2), (NEW, 2), (NEW, 0)] {
        write_manifest(&sandbox, values);
        let forms: [&[&str]; 6] = [
            &["plan", "-f", "m.yaml"],
            &["plan", "-f", "m.yaml", "-o", "json", "--out", "plan.json"],
            &["plan", "-f", "m.yaml", "-o", "markdown"],
            &["diff", "-f", "m.yaml"],
            &["graph", "-f", "m.yaml"],
            &["plan", "-f", "m.yaml", "--policy", "rules"],
        ];
        std::fs::create_dir_all(sandbox.path("rules")).unwrap();
        sandbox.write(
            "rules/all.rego",
            "package meshagent\nwarn contains sprintf(\"%v\", [input])\ndeny contains \"x\" if { false }\n",
        );
        for form in forms {
            let run = run(&sandbox, values, form);
            assert_eq!(run.code, 0, "{}", run.stderr);
            assert_no_canary(&form.join(" "), &format!("{}{}", run.stdout, run.stderr));
        }
        let plan = std::fs::read_to_string(sandbox.path("plan.json")).unwrap();
        assert_no_canary("the plan file", &plan);
        let plan: serde_json::Value = serde_json::from_str(&plan).unwrap();
        let operations = plan["operations"].as_array().unwrap();
        assert_eq!(operations.len(), expected, "{plan}");
        if expected > 0 && values == NEW {
            let changed: usize =
                operations.iter().map(|op| op["changes"].as_array().unwrap().len()).sum();
            assert_eq!(changed, 7, "{plan}");
        }
        let what: &[&str] = match values == NEW {
            true => &["apply", "plan.json", "--report", "report.json"],
            false => &["apply", "-f", "m.yaml", "--yes", "-o", "json", "--report", "report.json"],
        };
        let applied = run(&sandbox, values, what);
        assert_eq!(applied.code, 0, "{}", applied.stderr);
        assert_no_canary("apply", &format!("{}{}", applied.stdout, applied.stderr));
        let report = std::fs::read_to_string(sandbox.path("report.json")).unwrap();
        assert_no_canary("the report", &report);
    }
    let exported = run(&sandbox, NEW, &["export", "-d", "out"]);
    assert_no_canary("export", &format!("{}{}", exported.stdout, exported.stderr));
    for entry in walkdir::WalkDir::new(sandbox.path("out")).into_iter().map(Result::unwrap) {
        if entry.file_type().is_file() {
            assert_no_canary("export", &std::fs::read_to_string(entry.path()).unwrap());
        }
    }
    assert_no_canary("the inventory", &inventories(&sandbox.path(".meshagent/embedded")));
}

/// All that the platform keeps in project storage, where inventories and journals are.
fn inventories(data: &Path) -> String {
    let mut found = String::new();
    for entry in walkdir::WalkDir::new(data).into_iter().map(Result::unwrap) {
        let bytes = if entry.file_type().is_file() {
            std::fs::read(entry.path()).unwrap()
        } else {
            continue;
        };
        let text = String::from_utf8_lossy(&bytes).into_owned();
        // The platform's own database keeps the values, for that is what it is for; the
        // documents in it that this program wrote are told apart by how they begin.
        found += &text
            .split("\"version\":2,\"set\"")
            .skip(1)
            .map(|after| after.split("]}").next().unwrap_or_default())
            .collect::<String>();
    }
    assert!(found.contains("$secret"), "no inventory was found");
    found
}

#[test]
fn what_goes_wrong_with_a_secret_does_not_show_it() {
    let sandbox = Sandbox::new();
    sandbox.run(&["secret", "keygen"]);
    write_manifest(&sandbox, OLD);
    sandbox.write("print.sh", "echo old-wqkxzo-cmd >&1; exit 3\n");
    let failed = run(&sandbox, OLD, &["plan", "-f", "m.yaml"]);
    assert_eq!(failed.code, 6);
    assert!(failed.stderr.contains("m.yaml:8:13: the command \"sh\" failed"), "{}", failed.stderr);
    assert_no_canary("a failing command", &failed.stderr);
    // A document with a fault elsewhere.
    sandbox.write("m.yaml", "version: v1\nkind: Secret\nmetadata: {name: all}\ntype: keys\ndata: {A: old-wqkxzo-text}\nserver: x\n");
    let failed = run(&sandbox, OLD, &["plan", "-f", "m.yaml"]);
    assert_eq!(failed.code, 6, "{}", failed.stderr);
    // A platform that is not there.
    sandbox.write("m.yaml", "version: v1\nkind: Secret\nmetadata: {name: all}\ntype: keys\ndata: {A: {from: {env: CANARY}}}\n");
    let failed = Run::of(
        sandbox
            .command(&[
                "--log",
                "trace",
                "apply",
                "-f",
                "m.yaml",
                "--yes",
                "--api-url",
                "http://127.0.0.1:9",
                "--project-id",
                "p",
            ])
            .env("CANARY", OLD[0])
            .env("MESHAGENT_API_KEY", "ma-canary-wqkxzo")
            .output()
            .unwrap(),
    );
    assert_eq!(failed.code, 1, "{}", failed.stderr);
    assert_no_canary("a platform that is not there", &failed.stderr);
}

#[test]
fn a_panic_does_not_show_a_secret() {
    use meshagent::kinds::tree::Tree;
    let tree = Tree::map([("data", Tree::map([("A", Tree::secret(OLD[0]))]))]);
    let panic = std::panic::catch_unwind(|| assert_eq!(tree, Tree::Null)).unwrap_err();
    let message = panic.downcast_ref::<String>().unwrap();
    assert!(message.contains("(secret)"), "{message}");
    assert_no_canary("a panic", message);
}

#[test]
fn an_age_text_that_cannot_be_read_is_told_at_its_place() {
    let sandbox = Sandbox::new();
    sandbox.run(&["secret", "keygen"]);
    let field = encrypt(&sandbox, &["--yaml", "A"], OLD[0]);
    let field: String = field.lines().map(|line| format!("  {line}\n")).collect();
    let head = "version: v1\nkind: Secret\nmetadata: {name: a}\ntype: keys\nlifecycle: {}\ndata:\n";
    let plan = |text: &str, key: Option<&str>| {
        sandbox.write("m.yaml", &format!("{head}{text}"));
        let only_mine = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        std::fs::set_permissions(sandbox.path("m.yaml"), only_mine).unwrap();
        // One that is to be performed needs every value.
        let words =
            ["plan", "-f", "m.yaml", "--out", "plan.json", "--embedded", "--allow-files", "."];
        let mut command = sandbox.command(&words);
        if let Some(key) = key {
            command.env("MESHAGENT_AGE_KEY_FILE", key);
        }
        Run::of(command.output().unwrap())
    };
    assert_eq!(plan(&field, None).code, 0);
    sandbox.run(&["secret", "keygen", "-o", "other.key"]);
    let broken = field.replace("-----END", "-----AND");
    let mut shown = String::new();
    for (text, key) in [
        (field.as_str(), Some("other.key")),
        (&field, Some("nowhere.key")),
        (&field, Some("m.yaml")),
        (&broken, None),
        ("  A: {from: {age: hello}}\n", None),
        ("  A: {from: {age: {file: nowhere.age}}}\n", None),
        ("  A: {from: {age: {path: x}}}\n", None),
    ] {
        let run = plan(text, key);
        assert_eq!(run.code, 6, "{}", run.stderr);
        shown += &format!("{}\n", run.stderr);
    }
    std::fs::remove_file(sandbox.path(".meshagent/age.txt")).unwrap();
    shown += &plan(&field, None).stderr.replace(sandbox.path("").to_str().unwrap(), "~/");
    insta::assert_snapshot!(shown);
}

#[test]
fn secrets_are_encrypted_decrypted_and_their_keys_kept() {
    use std::os::unix::fs::PermissionsExt;
    let sandbox = Sandbox::new();
    let made = sandbox.run(&["secret", "keygen", "-o", "keys/one.txt"]);
    assert!(made.stdout.starts_with("age1") && made.stdout.lines().count() == 1);
    let mode = std::fs::metadata(sandbox.path("keys/one.txt")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let kept = std::fs::read(sandbox.path("keys/one.txt")).unwrap();
    let again = sandbox.run(&["secret", "keygen", "-o", "keys/one.txt"]);
    assert_eq!(again.code, 6, "{}", again.stderr);
    assert_eq!(std::fs::read(sandbox.path("keys/one.txt")).unwrap(), kept);

    let other = sandbox.run(&["secret", "keygen", "-o", "keys/two.txt"]);
    sandbox.write("team.txt", &format!("# the team\n{}{}", made.stdout, other.stdout));
    let value = "line one\n\u{0}\u{1f512} two\n";
    let armored = encrypt(&sandbox, &["-R", "team.txt"], value);
    for key in ["keys/one.txt", "keys/two.txt"] {
        let run = with_input(
            sandbox.command(&["secret", "decrypt"]).env("MESHAGENT_AGE_KEY_FILE", key),
            &armored,
        );
        assert_eq!((run.code, run.stdout.as_str()), (0, value), "{}", run.stderr);
    }
    let text = std::fs::read_to_string(sandbox.path("keys/one.txt")).unwrap();
    let run = with_input(
        sandbox.command(&["secret", "decrypt", "-"]).env("MESHAGENT_AGE_KEY", text),
        &armored,
    );
    assert_eq!(run.stdout, value);
    let run = with_input(&mut sandbox.command(&["secret", "encrypt"]), value);
    assert_eq!(run.code, 2);
    assert!(run.stderr.contains("hint: give --recipient"), "{}", run.stderr);
    let run = with_input(&mut sandbox.command(&["secret", "encrypt", "-r", "age1x"]), value);
    assert_eq!(run.code, 2, "{}", run.stderr);
}

/// The values of secrets that were sent stand in no journal, and in no message about them.
#[tokio::test(flavor = "multi_thread")]
async fn neither_a_journal_nor_a_refusal_that_repeats_a_secret_shows_it() {
    let platform = Server::start().await;
    let sandbox = Sandbox::new();
    sandbox.run(&["secret", "keygen"]);
    write_manifest(&sandbox, OLD);
    let start = |url: &str, arguments: &[&str]| {
        let apply = ["--log", "trace", "apply", "-f", "m.yaml", "--yes", "--api-url", url];
        let apply = [&apply[..], &["--allow-commands", "--allow-files", "."]].concat();
        let mut command = sandbox.command(&[&apply[..], arguments].concat());
        command.env("CANARY", OLD[0]).env("MESHAGENT_API_KEY", &platform.owner);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().unwrap()
    };
    let repeating = Fault::Repeated.on("POST").at("/secrets");
    let proxy = Hostile::in_front_of(&platform).with(repeating).start().await;
    for arguments in [&["--report", "report.json"][..], &["-o", "json"]] {
        let child = start(&proxy.url, arguments);
        let output = tokio::task::spawn_blocking(move || child.wait_with_output());
        let refused = Run::of(output.await.unwrap().unwrap());
        assert_eq!(refused.code, 1, "{}", refused.stderr);
        let shown = format!("{}{}", refused.stdout, refused.stderr);
        assert!(shown.contains("is not shown, because it repeats a secret"), "{shown}");
        assert_no_canary("a refusal", &shown);
    }
    let report = std::fs::read_to_string(sandbox.path("report.json")).unwrap();
    assert_no_canary("the report of a refusal", &report);

    // The lease, the list of sets and the claim come first, then the two secrets.
    let proxy = Hostile::in_front_of(&platform).pausing(5, Moment::After).start().await;
    let mut child = start(&proxy.url, &[]);
    proxy.paused().await;
    let journal = std::fs::read_to_string(sandbox.path(".meshagent/journal/default.jsonl"));
    let journal = journal.unwrap();
    child.kill().unwrap();
    let killed = Run::of(child.wait_with_output().unwrap());
    assert!(journal.contains("Secret/all"), "{journal}");
    assert_no_canary("the journal", &journal);
    assert_no_canary("a killed run", &format!("{}{}", killed.stdout, killed.stderr));
}
