//! `show`: plans and reports that were saved are shown as they were when they were made.

use serde_json::{Value, json};

use crate::cli::{Run, Sandbox};

const ROOM: &str = "version: v1\nkind: Room\nmetadata: {name: NAME}\n";

fn room(name: &str) -> String {
    ROOM.replace("NAME", name)
}

/// The last line, which says what a run comes to.
fn last(text: &str) -> &str {
    text.lines().last().unwrap_or_default()
}

#[track_caller]
fn shown(sandbox: &Sandbox, words: &[&str]) -> Run {
    let run = sandbox.run(&[&["show"], words].concat());
    assert_eq!(run.code, 0, "{words:?}: {}", run.stderr);
    run
}

#[test]
fn a_saved_plan_is_shown_as_it_was() {
    let sandbox = Sandbox::with_examples();
    let files = ["-f", "examples/manifests"];
    let plan = |more: &[&str]| {
        sandbox.embedded(0, &[&["plan", "--out", "plan.json"][..], &files[..], more].concat())
    };
    let same = || {
        for form in ["text", "markdown", "html"] {
            let planned = plan(&["--output", form]);
            let shown = shown(&sandbox, &["plan.json", "--output", form]);
            assert_eq!(shown.stdout, planned.stdout, "{form}");
        }
        let document = shown(&sandbox, &["plan.json", "--output", "json"]).json();
        let file = std::fs::read_to_string(sandbox.path("plan.json")).unwrap();
        assert_eq!(document, serde_json::from_str::<Value>(&file).unwrap());
    };
    same();
    sandbox.embedded(0, &[&["apply", "--yes"][..], &files[..]].concat());
    same();
    // A secret that changes, a deletion, and a change.
    sandbox.write("examples/manifests/secrets/crm-token.txt", "canary7f3a\n");
    std::fs::remove_file(sandbox.path("examples/manifests/services/status-page.yaml")).unwrap();
    let rooms = std::fs::read_to_string(sandbox.path("examples/manifests/rooms.yaml")).unwrap();
    let changed = rooms.replace("displayName: Lobby", "displayName: Entrance");
    sandbox.write("examples/manifests/rooms.yaml", &changed);
    same();
    let text = shown(&sandbox, &["plan.json"]).stdout;
    for told in ["(secret, changed)", "- delete ", "\"Lobby\" → \"Entrance\""] {
        assert!(text.contains(told), "{told}: {text}");
    }
    for form in ["text", "json", "markdown", "html"] {
        let shown = shown(&sandbox, &["plan.json", "--output", form]);
        assert!(!shown.stdout.contains("canary"), "{form}: {}", shown.stdout);
    }
    // No platform is asked, and no manifest is read.
    std::fs::remove_dir_all(sandbox.path("examples")).unwrap();
    std::fs::remove_dir_all(sandbox.path(".meshagent")).unwrap();
    assert_eq!(shown(&sandbox, &["plan.json"]).stdout, text);
    assert!(!sandbox.path(".meshagent").exists());
}

#[test]
fn what_waits_for_drift_is_still_told() {
    let sandbox = Sandbox::new();
    let mailbox = room("help@mail.meshagent.com").replace("Room", "Mailbox");
    sandbox.write("m.yaml", &format!("{}---\n{mailbox}room: hall\n", room("hall")));
    sandbox.embedded(0, &["apply", "-f", "m.yaml", "--yes"]);
    sandbox.embedded(0, &["mailbox", "update", "help@mail.meshagent.com", "--queue", "drifted"]);
    for words in [&["--drift-only"][..], &["--ignore-drift"]] {
        let plan = |more: &[&str]| {
            sandbox.embedded(0, &[&["plan", "-f", "m.yaml"][..], words, more].concat()).stdout
        };
        sandbox.write("plan.json", &plan(&["--output", "json"]));
        let text = plan(&[]);
        assert!(text.contains("drift"), "{text}");
        assert_eq!(shown(&sandbox, &["plan.json"]).stdout, text, "{words:?}");
    }
}

#[test]
fn a_plan_that_was_refused_says_why() {
    let sandbox = Sandbox::new();
    sandbox.write("m.yaml", &room("hall"));
    let words = ["plan", "-f", "m.yaml", "--expect-project", "other", "--output", "json"];
    let refused = sandbox.embedded(6, &words);
    sandbox.write("plan.json", &refused.stdout);
    let run = shown(&sandbox, &["plan.json"]);
    assert!(run.stdout.contains("+ create Room/hall"), "{}", run.stdout);
    assert!(run.stderr.contains("warning: the plan was refused: "), "{}", run.stderr);
}

#[test]
fn a_report_is_shown_with_what_became_of_its_plan() {
    let sandbox = Sandbox::new();
    sandbox.write("m.yaml", &room("hall"));
    let apply = ["apply", "-f", "m.yaml", "--yes", "--report", "report.json"];
    let applied = sandbox.embedded(0, &apply);
    let run = shown(&sandbox, &["report.json"]);
    assert!(run.stdout.contains("+ create Room/hall"), "{}", run.stdout);
    assert!(run.stdout.contains("\ndone: create Room/hall\n"), "{}", run.stdout);
    assert_eq!(last(&run.stdout), last(&applied.stdout));
    assert_eq!(shown(&sandbox, &["report.json", "-o", "json"]).json()["error"], Value::Null);
    // A run that came to no plan has a report, too.
    sandbox.write("m.yaml", "kind: Nothing\n");
    let failed = sandbox.embedded(6, &apply);
    let run = shown(&sandbox, &["report.json"]);
    assert!(run.stdout.contains("It ended with exit code 6: "), "{}", run.stdout);
    assert!(run.stdout.contains("m.yaml:1:"), "{}\n{}", run.stdout, failed.stderr);
    // It has no form for a pull request.
    let run = sandbox.run(&["show", "report.json", "-o", "markdown"]);
    assert_eq!((run.code, run.stdout.as_str()), (2, ""));
}

#[test]
fn what_is_no_plan_is_refused_in_one_line() {
    let sandbox = Sandbox::new();
    sandbox.write("m.yaml", &room("hall"));
    sandbox.embedded(0, &["plan", "-f", "m.yaml", "--out", "plan.json"]);
    let text = std::fs::read_to_string(sandbox.path("plan.json")).unwrap();
    let mut plan: Value = serde_json::from_str(&text).unwrap();
    let refuses = |file: &str, told: &str| {
        let run = sandbox.run(&["show", file]);
        assert_eq!((run.code, run.stdout.as_str()), (2, ""), "{}", run.stderr);
        let errors = run.stderr.lines().filter(|line| line.starts_with("error: ")).count();
        assert!(errors == 1 && run.stderr.contains(told), "{told}: {}", run.stderr);
    };
    refuses("m.yaml", "hint: `meshagent plan -f m.yaml` shows what manifests would change");
    refuses(".", "is a folder");
    sandbox.write("page.html", "<html>");
    refuses("page.html", "hint: `meshagent plan --out FILE` saves a plan");
    sandbox.write("other.json", "{\"a\": 1}");
    refuses("other.json", "other.json is neither a plan nor a report");
    sandbox.write("plan.json", &text[..text.len() / 2]);
    refuses("plan.json", "plan.json is not whole: ");
    let missing = sandbox.run(&["show", "gone.json"]);
    assert!(missing.code != 0 && missing.stderr.contains("gone.json"), "{}", missing.stderr);
    for (pointer, value, told) in [
        ("/version", json!(2), "its form has version 2, and this is 1"),
        ("/operations/0/waits_for", json!([7]), "which is not before it"),
        ("/operations/0/waits_for", json!([0]), "which is not before it"),
        ("/operations/0/changes", json!([{"path": "a..b"}]), "is not the path of a field"),
        ("/operations/0/action", json!("explode"), "unknown variant"),
        ("/counts", json!(null), "is not whole"),
    ] {
        let before = plan.clone();
        *plan.pointer_mut(pointer).unwrap() = value;
        sandbox.write("plan.json", &plan.to_string());
        refuses("plan.json", told);
        // What is refused in one form is in each of them, and is not performed.
        let json = sandbox.run(&["show", "plan.json", "--output", "json"]);
        let is_form = pointer != "/operations/0/changes";
        assert!(!is_form || json.code == 2 && json.stdout.is_empty(), "{pointer}: {}", json.stdout);
        let applied = sandbox.run(&["apply", "plan.json", "--embedded"]);
        assert!(
            applied.code != 0 && !applied.stdout.contains("done:"),
            "{told}: {}",
            applied.stdout
        );
        plan = before;
    }
}

/// A plan of a later program may say what this one does not know and would leave out.
#[test]
fn a_plan_of_another_form_is_shown_and_performed_by_nobody() {
    let sandbox = Sandbox::new();
    sandbox.write("m.yaml", &room("hall"));
    sandbox.embedded(0, &["plan", "-f", "m.yaml", "--out", "plan.json"]);
    let text = std::fs::read_to_string(sandbox.path("plan.json")).unwrap();
    let later = text.replacen("\"version\": 1", "\"version\": 2, \"guard\": []", 1);
    // Its operations may look like nothing that is known here.
    for later in [later.clone(), later.replace("\"operations\": [", "\"operations\": [7, ")] {
        sandbox.write("plan.json", &later);
        let told = "plan.json: its form has version 2, and this is 1";
        let run = sandbox.run(&["show", "plan.json"]);
        assert!(run.code == 2 && run.stderr.contains(told), "{}", run.stderr);
        assert!(run.stderr.contains("or plan again"), "{}", run.stderr);
        let run = sandbox.embedded(5, &["apply", "plan.json"]);
        assert!(
            run.stderr.contains(told) && run.stderr.contains("hint: plan again"),
            "{}",
            run.stderr
        );
        assert_eq!(sandbox.embedded(0, &["rooms", "list", "-q"]).stdout, "");
    }
}

#[test]
fn a_plan_comes_from_standard_input_and_keeps_its_hints() {
    let sandbox = Sandbox::new();
    sandbox.write("none.yaml", "");
    let plan = sandbox.embedded(6, &["plan", "-f", "none.yaml", "--output", "json"]).stdout;
    sandbox.write("plan.json", &plan);
    let shown = sandbox
        .command(&["show", "-"])
        .stdin(std::fs::File::open(sandbox.path("plan.json")).unwrap())
        .output();
    let shown = Run::of(shown.unwrap());
    assert_eq!(shown.code, 0, "{}", shown.stderr);
    let hint = "  hint: give the manifests with -f, or add --allow-empty";
    assert!(shown.stderr.contains(hint), "{}", shown.stderr);
    // Whoever wants to see a plan is shown it, and not told to perform it.
    let both = "`meshagent show plan.json` shows the saved plan, and `meshagent apply plan.json` performs it";
    for command in ["graph", "plan", "diff", "validate", "destroy"] {
        let run = sandbox.run(&[command, "plan.json"]);
        assert!(run.code == 2 && run.stderr.contains(both), "{command}: {}", run.stderr);
    }
    let run = sandbox.embedded(6, &["graph", "-f", "plan.json"]);
    assert!(run.stderr.contains("`meshagent show plan.json` shows it"), "{}", run.stderr);
    let run = sandbox.run(&["apply", "gone.json"]);
    assert!(
        run.stderr.contains("hint: make one with `meshagent plan --out FILE`"),
        "{}",
        run.stderr
    );
}
