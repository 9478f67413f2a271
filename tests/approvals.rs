//! Plans that people approve with SSH keys, by the program itself, by `ssh-keygen` and by an agent.

mod openssh;
mod scenarios;

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;

use serde_json::{Value, json};

use crate::auth::Terminal;
use crate::cli::{Run, Sandbox};

/// A sandbox with a saved plan, and the keys of some people.
struct Desk {
    sandbox: Sandbox,
}

/// A key in PKCS#8 as OpenSSL writes it, and its public key as OpenSSH does.
pub fn key_pair(number: u8) -> (String, String) {
    use base64::Engine as _;
    let base64 = base64::engine::general_purpose::STANDARD;
    let mut der = vec![0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];
    der.extend([number; 32]);
    let text =
        format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", base64.encode(der));
    let key = ssh_key::private::Ed25519Keypair::from_seed(&[number; 32]);
    let key = ssh_key::PrivateKey::from(key);
    (text, key.public_key().to_openssh().unwrap())
}

impl Desk {
    fn new() -> Self {
        let desk = Self { sandbox: Sandbox::with_platform() };
        let mut allowed = String::new();
        for (number, name) in (1..).zip(["ann", "bob", "eve"]) {
            let (key, public) = key_pair(number);
            desk.write_key(name, &key);
            if name != "eve" {
                allowed += &format!("{name}@example.com {public}\n");
            }
        }
        desk.write("allowed_signers", &allowed);
        desk.write("set.yaml", "version: v1\nkind: Room\nmetadata: {name: lobby}\n");
        desk.plan("plan.json");
        desk
    }

    fn plan(&self, to: &str) {
        self.sandbox.embedded(0, &["plan", "-f", "set.yaml", "--out", to]);
    }

    fn write(&self, name: &str, text: &str) {
        self.sandbox.write(name, text);
    }

    fn write_key(&self, name: &str, text: &str) {
        self.write(name, text);
        self.close(name, 0o600);
    }

    fn close(&self, name: &str, mode: u32) {
        let mode = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(self.path(name), mode).unwrap();
    }

    fn path(&self, name: &str) -> PathBuf {
        self.sandbox.path(name)
    }

    #[track_caller]
    fn run(&self, code: i32, arguments: &[&str]) -> Run {
        let run = self.sandbox.run(arguments);
        assert_eq!(run.code, code, "{arguments:?}\n{}\n{}", run.stdout, run.stderr);
        run
    }

    /// Has somebody approve the plan.
    #[track_caller]
    fn approve(&self, key: &str) -> Run {
        self.run(0, &["approve", "plan.json", "--key", key, "--yes"])
    }

    /// Applies the plan, which two people must have approved.
    #[track_caller]
    fn apply(&self, code: i32, more: &[&str]) -> Run {
        let demand =
            ["apply", "plan.json", "--require-approvals", "2", "--approvers", "allowed_signers"];
        self.sandbox.embedded(code, &[&demand, more].concat())
    }

    #[track_caller]
    fn has_written_nothing(&self) {
        let rooms = self.sandbox.embedded(0, &["rooms", "list", "--quiet"]);
        assert_eq!(rooms.stdout, "");
    }

    /// The approvals beside the plan.
    fn approvals(&self) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(self.path("plan.json.approvals")).unwrap();
        let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
        files.sort();
        files
    }
}

/// Whether a document fits a published schema.
#[track_caller]
fn fits(file: &str, document: &Value) {
    let schemas = meshagent::commands::schema::all();
    let (_, schema) = schemas.iter().find(|(name, _)| name == file).unwrap();
    let validator = jsonschema::validator_for(schema).unwrap();
    assert!(validator.is_valid(document), "{document}");
}

#[test]
fn a_plan_is_applied_once_enough_people_approved_it() {
    let desk = Desk::new();
    let refused = desk.apply(6, &[]);
    assert!(
        refused.stderr.contains("the plan needs 2 approvals and has none"),
        "{}",
        refused.stderr
    );
    assert!(refused.stderr.contains("hint: `meshagent approve PLAN`"), "{}", refused.stderr);
    let approved = desk.approve("ann");
    assert!(approved.stdout.contains("+ create Room/lobby"), "{}", approved.stdout);
    assert!(approved.stderr.contains("the plan's digest is sha256:"), "{}", approved.stderr);
    // Once more by the same key is the same approval, and a stranger's does not count.
    desk.approve("ann");
    desk.approve("eve");
    assert_eq!(desk.approvals().len(), 2);
    let refused = desk.apply(6, &[]);
    assert!(refused.stderr.contains("the plan needs 2 approvals and has 1"), "{}", refused.stderr);
    assert!(refused.stderr.contains("its key is not one of an approver"), "{}", refused.stderr);
    desk.has_written_nothing();
    desk.approve("bob");
    // Whoever made the change is not one of them.
    let author = ["--author", "BOB@example.com"];
    let few = desk.apply(2, &author);
    assert!(few.stderr.contains("lists 1 person apart from the authors"), "{}", few.stderr);
    let allowed = std::fs::read_to_string(desk.path("allowed_signers")).unwrap();
    let eve = format!("{allowed}eve@example.com {}\n", key_pair(3).1);
    desk.write("allowed_signers", &eve);
    desk.apply(0, &author);
}

#[test]
fn approvals_stand_in_events_and_in_the_report() {
    let desk = Desk::new();
    desk.approve("ann");
    desk.run(0, &["approve", "plan.json", "--key", "bob", "--yes", "--reason", "seen \u{1b}[2Jit"]);
    desk.approve("eve");
    let listed =
        desk.run(0, &["approvals", "plan.json", "--approvers", "allowed_signers", "-o", "json"]);
    fits("approvals.json", &listed.json());
    let applied = desk.apply(0, &["-o", "json", "--report", "report.json"]);
    let events = applied.events();
    events.iter().for_each(|event| fits("events.json", event));
    assert_eq!(events[0]["event"], "planned");
    let event = &events[1];
    assert_eq!(
        (&event["event"], &event["people"], &event["required"]),
        (&json!("approved"), &json!(2), &json!(2))
    );
    let text = std::fs::read_to_string(desk.path("report.json")).unwrap();
    let report: Value = serde_json::from_str(&text).unwrap();
    fits("report.json", &report);
    let approvals = report["approvals"]["approvals"].as_array().unwrap();
    let names = |counts: bool| -> Vec<&str> {
        let some = approvals.iter().filter(|it| it["counts"] == counts);
        let mut names: Vec<&str> =
            some.map(|it| it["principals"][0].as_str().unwrap_or("nobody")).collect();
        names.sort_unstable();
        names
    };
    assert_eq!(
        (names(true), names(false)),
        (vec!["ann@example.com", "bob@example.com"], vec!["nobody"])
    );
    assert!(approvals.iter().any(|it| it["reason"] == "seen \u{1b}[2Jit"));
    assert!(!text.contains('\u{1b}') && !applied.stdout.contains('\u{1b}'));
    let shown = desk.run(0, &["show", "report.json"]);
    assert!(shown.stdout.contains("approved by 2 of 2 required: "), "{}", shown.stdout);
}

#[test]
fn an_approval_is_for_one_plan_and_none_that_does_the_same() {
    let desk = Desk::new();
    desk.approve("ann");
    desk.approve("bob");
    let plan = std::fs::read_to_string(desk.path("plan.json")).unwrap();
    // Not for a byte more, though that means nothing.
    desk.write("plan.json", &(plan.clone() + "\n"));
    let refused = desk.apply(6, &[]);
    assert!(refused.stderr.contains("it is for another plan"), "{}", refused.stderr);
    // Not for another plan of the same change.
    desk.plan("plan.json");
    let again = std::fs::read_to_string(desk.path("plan.json")).unwrap();
    assert_ne!(plan, again);
    desk.apply(6, &[]);
    desk.has_written_nothing();
    desk.write("plan.json", &plan);
    let applied = desk.apply(0, &[]);
    assert!(applied.stderr.contains("approved by 2 of 2 required: "), "{}", applied.stderr);
    // What was approved is still bound to what was there.
    desk.apply(5, &[]);
}

#[test]
fn what_demands_approvals_takes_a_saved_plan_and_says_whom() {
    let desk = Desk::new();
    let demand = ["--require-approvals", "1", "--approvers", "allowed_signers"];
    let refused =
        desk.sandbox.embedded(6, &[&["apply", "-f", "set.yaml", "--yes"], &demand[..]].concat());
    assert!(refused.stderr.contains("only a saved plan can be approved"), "{}", refused.stderr);
    assert!(refused.stderr.contains("plan --out plan.json"), "{}", refused.stderr);
    desk.has_written_nothing();
    for (arguments, told) in [
        (&["--require-approvals", "1"][..], "not whose approvals count"),
        (&["--approvers", "allowed_signers"], "no number of approvals is required"),
        (&["--approval", "x"], "no number of approvals is required"),
        (&["--author", "ann@example.com"], "no number of approvals is required"),
        (&["--require-approvals", "0", "--approvers", "allowed_signers"], "0 is not in 1..=100"),
        (&["--require-approvals", "3", "--approvers", "allowed_signers"], "lists 2 people"),
    ] {
        let refused = desk.sandbox.embedded(2, &[&["apply", "plan.json"], arguments].concat());
        assert!(refused.stderr.contains(told), "{arguments:?}: {}", refused.stderr);
    }
    desk.approve("ann");
    let warned = desk
        .sandbox
        .embedded(0, &[&["apply", "plan.json", "--author", "ann"], &demand[..]].concat());
    assert!(
        warned.stderr.contains("no file of approvers has the author \"ann\""),
        "{}",
        warned.stderr
    );
}

#[test]
fn files_of_approvers_and_approvals_are_not_trusted() {
    let desk = Desk::new();
    desk.approve("ann");
    desk.approve("bob");
    desk.close("allowed_signers", 0o666);
    let shared = desk.apply(1, &[]);
    assert!(shared.stderr.contains("anybody may write to it"), "{}", shared.stderr);
    desk.close("allowed_signers", 0o600);
    for (approvers, code, told) in [
        ("# nobody\n".to_owned(), 2, "lists nobody"),
        (
            "*@example.com ssh-ed25519 AAAA\n".to_owned(),
            2,
            "allowed:1:1: \"*@example.com\" is a pattern",
        ),
        ("x".repeat(1024 * 1024 + 1), 1, "larger than 1 MiB"),
    ] {
        desk.write("allowed", &approvers);
        let refused = desk.apply(code, &["--approvers", "allowed"]);
        assert!(refused.stderr.contains(told), "{}", refused.stderr);
    }
    for (path, told) in [("missing", "No such file"), ("plan.json.approvals", "directory")] {
        let refused = desk.apply(1, &["--approvers", path]);
        assert!(refused.stderr.contains(told), "{}", refused.stderr);
    }
    // What is no approval does not count, takes nothing away, and keeps nobody waiting.
    let pipe = desk.path("plan.json.approvals/pipe.approval");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    std::os::unix::fs::symlink("/dev/zero", desk.path("plan.json.approvals/zero.approval"))
        .unwrap();
    desk.write("plan.json.approvals/large.approval", &"x".repeat(300_000));
    desk.write("plan.json.approvals/binary.approval", "\u{1b}[2J\0");
    desk.write("plan.json.approvals/other.txt", "not looked at");
    let listed = desk.run(
        0,
        &["approvals", "plan.json", "--approvers", "allowed_signers", "--require-approvals", "2"],
    );
    for told in [
        "this is a pipe",
        "this is a device",
        "larger than 256 KiB",
        "does not begin with a statement",
    ] {
        assert!(listed.stdout.contains(told), "{told}: {}", listed.stdout);
    }
    assert!(!listed.stdout.contains("other.txt") && !listed.stdout.contains('\u{1b}'));
    for number in 0..300 {
        desk.write(&format!("plan.json.approvals/{number}.approval"), "");
    }
    let many = desk.apply(6, &[]);
    assert!(many.stderr.contains("more than 256 approvals"), "{}", many.stderr);
    desk.has_written_nothing();
    // Those that are named count, wherever they are.
    let _ = std::fs::remove_dir_all(desk.path("plan.json.approvals"));
    for name in ["ann", "bob"] {
        let out = format!("{name}.approval");
        desk.run(0, &["approve", "plan.json", "--key", name, "--yes", "--out", &out]);
    }
    desk.apply(6, &[]);
    desk.apply(0, &["--approval", "ann.approval", "--approval", "bob.approval"]);
}

#[test]
fn approving_shows_the_plan_and_asks() {
    let desk = Desk::new();
    let refused = desk.run(2, &["approve", "plan.json", "--key", "ann"]);
    assert!(refused.stderr.contains("there is no terminal to ask"), "{}", refused.stderr);
    assert!(refused.stdout.contains("+ create Room/lobby"), "{}", refused.stdout);
    for (answer, is_approved) in [("n\n", false), ("\n", false), ("y\n", true)] {
        let command = desk.sandbox.command(&["approve", "plan.json", "--key", "ann"]);
        let mut terminal = Terminal::start(command);
        terminal.reply("[y/N] ", answer);
        let (code, shown) = terminal.end();
        assert!(shown.contains("+ create Room/lobby"), "{shown}");
        assert_eq!(
            (code == Some(0), desk.path("plan.json.approvals").exists()),
            (is_approved, is_approved),
            "{answer:?}"
        );
    }
}

#[test]
fn what_cannot_be_approved_is_refused_before_anything_is_signed() {
    let desk = Desk::new();
    let approve = |code: i32, more: &[&str]| desk.run(code, &[&["approve"], more].concat()).stderr;
    let printed = desk.sandbox.embedded(0, &["plan", "-f", "set.yaml", "-o", "json"]).stdout;
    desk.write("printed.json", &printed);
    for (code, more, told) in [
        (
            2,
            &["printed.json", "--key", "ann", "--yes"][..],
            "printed.json was printed, not saved, so it cannot be applied",
        ),
        (2, &["set.yaml", "--key", "ann", "--yes"], "set.yaml is not a saved plan"),
        (2, &["plan.json", "--yes"], "there is no key to sign with"),
        (1, &["plan.json", "--key", "none", "--yes"], "failed to read the key none"),
        (2, &["plan.json", "--key", "ann", "--expires", "31d"], "at most 30d"),
        (2, &["plan.json", "--key", "ann", "--expires", "0s"], "at least 1m"),
        (2, &["plan.json", "--key", "ann", "--reason", ""], "it is empty"),
        (6, &["plan.json", "--key", "ann", "--yes", "--out", "set.yaml"], "which is no approval"),
        (6, &["plan.json", "--key", "ann", "--yes", "--out", "ann"], "which is no approval"),
        (6, &["plan.json", "--key", "ann", "--yes", "--out", "plan.json"], "which is no approval"),
    ] {
        let stderr = approve(code, more);
        assert!(stderr.contains(told), "{more:?}: {stderr}");
    }
    desk.close("ann", 0o644);
    let open = approve(1, &["plan.json", "--key", "ann", "--yes"]);
    assert!(open.contains("others may read it (mode 644)"), "{open}");
    let (key, _) = key_pair(9);
    desk.write_key("encrypted", &key.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY"));
    let encrypted = approve(2, &["plan.json", "--key", "encrypted", "--yes"]);
    assert!(
        encrypted.contains("is encrypted in a way that ssh-keygen does not read"),
        "{encrypted}"
    );
    desk.write_key("broken", &key.replace("MC4C", "MC4D"));
    let broken = approve(2, &["plan.json", "--key", "broken", "--yes"]);
    assert!(broken.contains("broken is not an Ed25519 key"), "{broken}");
    // A link of a checkout leads nothing outside.
    desk.sandbox.repository("");
    let outside = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(outside.path(), desk.path("plan.json.approvals")).unwrap();
    let linked = desk
        .sandbox
        .command(&["approve", "plan.json", "--key", "bob", "--yes"])
        .env("HOME", "/")
        .output()
        .unwrap();
    let linked = Run::of(linked);
    assert_eq!(linked.code, 2, "{}", linked.stderr);
    assert!(linked.stderr.contains("leads outside"), "{}", linked.stderr);
    assert_eq!(std::fs::read_dir(outside.path()).unwrap().count(), 0);
}

#[test]
fn an_environment_requires_approvals_and_options_can_only_require_more() {
    let desk = Desk::new();
    let project = |required: u16| {
        format!(
            "version: v1\nmanifests: set.yaml\nset: shop\nenvironments:\n  prod:\n    embedded: true\n    approvals: {{required: {required}, approvers: allowed_signers}}\n"
        )
    };
    desk.write("meshagent.yaml", &project(1));
    for line in [&["apply", "--yes"][..], &["destroy", "-e", "prod", "--yes"]] {
        let refused = desk.run(6, line);
        assert!(
            refused.stderr.contains("this needs 1 approval, and only a saved"),
            "{}",
            refused.stderr
        );
    }
    desk.run(0, &["plan", "--out", "plan.json"]);
    desk.run(6, &["apply", "plan.json"]);
    desk.run(6, &["approvals", "plan.json"]);
    let uncounted = desk.approve("eve").stderr;
    assert!(uncounted.contains("the approval does not count in `prod`"), "{uncounted}");
    desk.run(6, &["apply", "plan.json"]);
    let counted = desk.approve("ann").stderr;
    assert!(!counted.contains("does not count"), "{counted}");
    desk.run(0, &["approvals", "plan.json"]);
    // The larger number counts, and both files.
    desk.run(6, &["apply", "plan.json", "--require-approvals", "2"]);
    desk.write("mine", &format!("eve@example.com {}\n", key_pair(3).1));
    // Nobody is in both, which no approval can mend.
    let never = desk.run(2, &["apply", "plan.json", "--approvers", "mine"]);
    assert!(never.stderr.contains("1 approval cannot be had"), "{}", never.stderr);
    desk.write("mine", &format!("eve@x.com {}\nbob@x.com {}\n", key_pair(3).1, key_pair(2).1));
    desk.run(6, &["apply", "plan.json", "--approvers", "mine"]);
    desk.has_written_nothing();
    let applied = desk.run(0, &["apply", "plan.json"]);
    assert!(
        applied.stderr.contains("approved by 1 of 1 required: ann@example.com"),
        "{}",
        applied.stderr
    );
    desk.run(6, &["destroy", "-e", "prod", "--yes"]);
    desk.run(0, &["destroy", "-e", "prod", "--dry-run"]);
    // What can never be approved is told before it is missed.
    for project in [project(3), project(1).replace("allowed_signers", "nobody")] {
        desk.write("meshagent.yaml", &project);
        for line in [&["validate"][..], &["validate", "-e", "all"], &["plan"]] {
            let told = desk.run(0, line).stderr;
            assert!(told.contains("nothing can be applied in `prod`"), "{line:?}: {told}");
        }
    }
    desk.write("meshagent.yaml", &project(1).replace("allowed_signers", "/etc/passwd"));
    let outside = desk.run(2, &["plan"]);
    assert!(outside.stderr.contains("/etc/passwd is outside of the project"), "{}", outside.stderr);
    for required in [0, 101] {
        desk.write("meshagent.yaml", &project(required));
        let wrong = desk.run(2, &["plan"]);
        assert!(wrong.stderr.contains("meshagent.yaml:7:"), "{}", wrong.stderr);
        assert!(wrong.stderr.contains("hint: write 1 to 100"), "{}", wrong.stderr);
    }
}

#[test]
fn nothing_moves_unapproved_where_an_environment_requires_approvals() {
    let desk = Desk::new();
    desk.write(
        "meshagent.yaml",
        "version: v1\nmanifests: set.yaml\nenvironments:\n  dev: {embedded: true}\n  prod: {embedded: true, approvals: {required: 2, approvers: allowed_signers}}\n",
    );
    desk.run(0, &["apply", "-e", "dev", "--yes"]);
    for words in [
        &["set", "rename", "default", "shop"][..],
        &["set", "move", "Room/lobby", "--set", "default", "--to", "shop"],
    ] {
        let refused = desk.run(6, &[words, &["-e", "prod", "--yes"]].concat());
        let said = "this needs 2 approvals, and only a saved plan can be approved";
        assert!(refused.stderr.contains(said), "{}", refused.stderr);
        desk.run(0, &[words, &["-e", "prod", "--dry-run"]].concat());
    }
    // The way out leads to the environment that was meant.
    let refused = desk.run(6, &["apply", "-e", "prod", "--yes"]);
    assert!(
        refused.stderr.contains("`meshagent plan -e prod --out plan.json`"),
        "{}",
        refused.stderr
    );
    assert!(refused.stderr.contains("`meshagent apply plan.json -e prod`"), "{}", refused.stderr);
    let refused = desk.run(6, &["rollback", "--to", "1", "-e", "prod", "--yes"]);
    let said = "`meshagent plan --to 1 -e prod --out plan.json`";
    assert!(refused.stderr.contains(said), "{}", refused.stderr);
    // Where none are required, the history has the environment of the move.
    desk.run(0, &["set", "rename", "default", "shop", "-e", "dev", "--yes"]);
    let listed = desk.run(0, &["history", "-e", "dev", "--set", "shop", "--output", "json"]);
    let listed: Value = serde_json::from_str(&listed.stdout).unwrap();
    let last = listed["states"].as_array().unwrap().last().unwrap();
    assert_eq!((&last["what"], &last["environment"]), (&json!("move"), &json!("dev")));
}

#[test]
fn a_plan_of_a_project_file_without_environments_is_for_none() {
    let desk = Desk::new();
    desk.write("meshagent.yaml", "version: v1\nmanifests: set.yaml\n");
    desk.run(0, &["plan", "--embedded", "--out", "none.json"]);
    let refused = desk.run(2, &["apply", "none.json", "--embedded", "-e", "prod"]);
    let said = "the plan is for no environment, but `prod` is named";
    assert!(refused.stderr.contains(said), "{}", refused.stderr);
}
