//! Each exit code, as text and as JSON, and what a run leaves behind that did not get far.

use serde_json::{Value, json};

use crate::cli::{Run, Sandbox};

fn room(name: &str, rest: &str) -> String {
    format!("---\nversion: v1\nkind: Room\nmetadata: {{name: {name}}}\n{rest}")
}

/// Runs as text and as JSON, and expects the same end of both.
#[track_caller]
fn both(sandbox: &Sandbox, code: i32, arguments: &[&str]) -> [Run; 2] {
    let text = sandbox.embedded(code, arguments);
    [text, sandbox.embedded(code, &[arguments, &["-o", "json"]].concat())]
}

/// What checks a document against a published schema.
fn published(file: &str) -> jsonschema::Validator {
    let schemas = meshagent::commands::schema::all();
    let (_, schema) = schemas.iter().find(|(name, _)| name == file).unwrap();
    jsonschema::validator_for(schema).unwrap()
}

/// The last event of a run.
fn last(run: &Run) -> Value {
    let validator = published("events.json");
    let events = run.events();
    for event in &events {
        assert!(validator.is_valid(event), "{event}");
    }
    events.last().unwrap().clone()
}

#[test]
fn each_exit_code_is_the_same_for_people_and_programs() {
    let sandbox = Sandbox::new();
    let set = ["-f", "set.yaml"];
    let apply = ["apply", "-f", "set.yaml", "--yes"];
    sandbox.write("set.yaml", &room("a", ""));

    // 3: something would change.
    let [text, json] = both(&sandbox, 3, &[&["plan", "--exit-code"], &set[..]].concat());
    assert!(text.stdout.contains("1 to create"), "{}", text.stdout);
    assert_eq!(json.json()["counts"]["create"], 1);

    // 0: done, and nothing to change.
    sandbox.embedded(0, &["plan", "-f", "set.yaml", "--out", "plan.json"]);
    let [text, json] = both(&sandbox, 0, &apply);
    assert!(text.stdout.ends_with("Applied: 1 done.\n"), "{}", text.stdout);
    assert_eq!(last(&json)["complete"], true);
    both(&sandbox, 0, &[&["plan", "--exit-code"], &set[..]].concat());

    // 5: the plan was for what is no more.
    let [text, json] = both(&sandbox, 5, &["apply", "plan.json"]);
    assert!(text.stderr.contains("error: the plan is stale"), "{}", text.stderr);
    let event = last(&json);
    assert_eq!((&event["event"], &event["code"]), (&json!("error"), &json!(5)));
    assert!(event["problems"][0]["message"].as_str().unwrap().contains("Room/a"), "{event}");

    // 4: the platform refuses a request of more than 16 MiB, in which each of these
    // characters takes six bytes.
    sandbox.write("most", &"\u{1}".repeat(1024 * 1024));
    sandbox.write("rest", &"\u{1}".repeat(699_060));
    let refused = "---\nversion: v1\nkind: Secret\nmetadata: {name: k}\ntype: keys\n\
                   data: {A: {from: {file: most}}, B: {from: {file: most}}, C: {from: {file: rest}}}\n";
    let partly = |name: &str| {
        sandbox.write("set.yaml", &(room("a", "") + &room(name, "") + refused));
    };
    // The home folder is no folder of manifests by itself.
    let apply = [&apply[..], &["--allow-files", "."]].concat();
    partly("b");
    let text = sandbox.embedded(4, &apply);
    assert!(text.stdout.ends_with("Applied: 1 done, 1 failed.\n"), "{}", text.stdout);
    partly("c");
    let event = last(&sandbox.embedded(4, &[&apply[..], &["--no-prune", "-o", "json"]].concat()));
    assert_eq!((&event["event"], &event["done"]), (&json!("summary"), &json!(1)));
    assert_eq!((&event["failed"], &event["complete"]), (&json!(1), &json!(false)));

    // 1: it failed, and nothing was done.
    let [_, json] = both(&sandbox, 1, &[&apply[..], &["--no-prune"]].concat());
    assert_eq!(last(&json)["failed"], 1);

    // 6: a guard refused.
    sandbox.write("set.yaml", "# nothing\n");
    let [text, json] = both(&sandbox, 6, &apply);
    assert!(text.stderr.contains("--allow-empty"), "{}", text.stderr);
    let event = last(&json);
    assert_eq!((&event["event"], &event["code"]), (&json!("error"), &json!(6)));
    both(&sandbox, 6, &["plan", "-f", "set.yaml"]);

    // 2: wrong usage.
    let [text, json] = both(&sandbox, 2, &[&apply[..], &["--set", "../x"]].concat());
    assert!(text.stderr.contains("cannot be the name of a set"), "{}", text.stderr);
    assert_eq!(last(&json)["code"], 2);
    both(&sandbox, 2, &["plan", "-f", "set.yaml", "--allow-empty", "--target", "Rom/*"]);
    both(&sandbox, 2, &["plan", "--never-heard-of"]);
}

/// The codes are told in one place, and what is told is what happens: the same fault has the same
/// code whichever command meets it.
#[test]
fn the_table_of_exit_codes_is_the_only_one() {
    use meshagent::error::CODES;
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/exit-codes.md");
    let page = std::fs::read_to_string(page).unwrap();
    let rows: Vec<&str> = page.lines().filter(|line| line.starts_with("| ")).skip(1).collect();
    let told = CODES.map(|it| format!("| {} | {} |", it.code, it.meaning));
    assert_eq!(rows, told);
    let sandbox = Sandbox::new();
    let help = sandbox.run(&["--help"]).stdout.replace("\n", " ");
    for it in CODES {
        assert!(help.contains(&format!("{} {}", it.code, it.word)), "{help}");
    }

    sandbox.write("set.yaml", &room("a", ""));
    sandbox.write("wrong.yaml", &room("a", "rom: 1\n"));
    let planning: [&[&str]; 6] =
        [&["plan"], &["diff"], &["graph"], &["apply", "--yes"], &["accept"], &["destroy", "--yes"]];
    for command in planning {
        let run = sandbox.embedded(6, &[command, &["-f", "wrong.yaml"]].concat());
        assert!(run.stderr.contains("wrong.yaml:5:1: unknown field"), "{}", run.stderr);
        let run = sandbox.embedded(6, &[command, &["-f", "nowhere.yaml"]].concat());
        assert!(run.stderr.contains("nowhere.yaml"), "{}", run.stderr);
    }
    for file in ["wrong.yaml", "nowhere.yaml"] {
        assert_eq!(sandbox.run(&["validate", "-f", file]).code, 2);
    }
    let asking: [&[&str]; 8] = [
        &["export", "-d", "exported"],
        &["rooms", "list"],
        &["rooms", "create", "--name", "hall"],
        &["service", "list"],
        &["set", "list"],
        &["api-key", "list"],
        &["webhook", "list"],
        &["room", "agent", "list-toolkits", "--room", "a"],
    ];
    let with_files = planning.map(|command| [command, &["-f", "set.yaml"]].concat());
    for command in with_files.iter().map(Vec::as_slice).chain(asking) {
        for project in ["nowhere", "0b6ce2f9-9a7e-4a4f-8e3e-6a1f1d8f3c11"] {
            let run = sandbox.embedded(1, &[command, &["--project-id", project]].concat());
            assert!(run.stderr.contains(project), "{command:?}: {}", run.stderr);
        }
    }
}

/// A list that nobody reads to its end is fine; a key that nobody has read is lost.
#[test]
fn what_is_shown_once_must_be_read() {
    let sandbox = Sandbox::with_platform();
    for (arguments, code) in [(&["rooms", "list"][..], 0), (&["api-key", "create", "ci"], 1)] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let words = [arguments, &["--embedded"]].concat();
        let output = sandbox.command(&words).stdout(writer).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{said}");
        let is_told = said.contains("failed to write to standard output");
        assert_eq!(is_told, code == 1, "{said}");
    }
}

#[test]
fn a_wrong_manifest_means_no_plan_at_all() {
    let sandbox = Sandbox::new();
    std::fs::create_dir(sandbox.path("set")).unwrap();
    sandbox.write("set/good.yaml", &room("good", ""));
    sandbox.embedded(0, &["apply", "-f", "set", "--yes"]);
    let wrong: [&[u8]; 5] = [
        b"version: v1\nkind: Room\nmetadata: {name: a}\nrom: 1\n",
        b"version: v1\nkind: Room\nmetadata: {name: [\n",
        b"version: v1\nkind: Mailbox\nmetadata: {name: m@mail.localhost}\nroom: nowhere\n",
        b"version: v1\nkind: Room\nmetadata: {name: a}\nproject: nowhere\n",
        b"\xff\xfe",
    ];
    for text in wrong {
        std::fs::write(sandbox.path("set/bad.yaml"), text).unwrap();
        for command in ["plan", "diff", "graph"] {
            let run = sandbox.embedded(6, &[command, "-f", "set"]);
            assert!(run.stderr.contains("bad.yaml:") && run.stdout.is_empty(), "{}", run.stderr);
        }
        let [text, json] = both(&sandbox, 6, &["apply", "-f", "set", "--yes"]);
        assert!(text.stderr.contains("bad.yaml:"), "{}", text.stderr);
        let event = last(&json);
        assert_eq!((&event["event"], &event["code"]), (&json!("error"), &json!(6)));
        assert_eq!(event["problems"][0]["place"]["file"], "set/bad.yaml");
    }
    // Without a plan it is no guard that says so.
    assert_eq!(sandbox.run(&["validate", "-f", "set"]).code, 2);
    std::fs::remove_file(sandbox.path("set/bad.yaml")).unwrap();
    sandbox.embedded(0, &["plan", "-f", "set", "--exit-code"]);
}

#[test]
fn a_report_is_also_written_when_there_is_no_plan() {
    let sandbox = Sandbox::new();
    let validator = published("report.json");
    let report = || -> Value {
        let text = std::fs::read_to_string(sandbox.path("report.json")).unwrap();
        std::fs::remove_file(sandbox.path("report.json")).unwrap();
        let report = serde_json::from_str(&text).unwrap();
        validator.validate(&report).unwrap();
        report
    };
    sandbox.write("set.yaml", "version: v1\nkind: Room\nmetadata: {name: a}\nrom: 1\n");
    let apply = ["apply", "-f", "set.yaml", "--yes", "--report", "report.json"];
    sandbox.embedded(6, &apply);
    let told = report();
    assert_eq!(
        (&told["plan"], &told["outcomes"], &told["error"]["code"]),
        (&Value::Null, &json!([]), &json!(6))
    );
    assert_eq!(told["error"]["problems"][0]["place"]["line"], 4);

    sandbox.write("set.yaml", &room("a", ""));
    let unreached =
        [&apply[..], &["--project-id", "p", "--api-url", "http://127.0.0.1:9"]].concat();
    let mut command = sandbox.command(&unreached);
    assert_eq!(command.env("MESHAGENT_API_KEY", "k").status().unwrap().code(), Some(1));
    assert_eq!(report()["error"]["code"], 1);

    sandbox.embedded(0, &apply);
    let told = report();
    assert_eq!((&told["error"], &told["outcomes"][0]["status"]), (&Value::Null, &json!("done")));

    sandbox.write("empty.yaml", "# nothing\n");
    sandbox.embedded(6, &["apply", "-f", "empty.yaml", "--yes", "--report", "report.json"]);
    assert_eq!(report()["error"]["code"], 6);
    // What cannot be written is told before anything is done that it is to tell of.
    let nowhere = ["apply", "-f", "empty.yaml", "--yes", "--report", "nowhere/report.json"];
    let run = sandbox.embedded(2, &nowhere);
    assert!(run.stderr.contains("nowhere is not a folder"), "{}", run.stderr);
    sandbox.embedded(0, &["destroy", "--yes", "--report", "report.json"]);
    assert_eq!(report()["outcomes"][0]["action"], "delete");
    assert!(!validator.is_valid(&json!({"plan": null, "outcomes": [{}], "error": null})));
}

#[test]
fn a_saved_plan_has_to_pass_its_rules_again() {
    let sandbox = Sandbox::new();
    sandbox.write("set.yaml", &room("a", ""));
    std::fs::create_dir(sandbox.path("rules")).unwrap();
    let rule = |condition: &str| {
        let text = format!("package meshagent\ndeny contains \"no\" if {{ {condition} }}\n");
        sandbox.write("rules/all.rego", &text);
    };
    rule("false");
    sandbox.embedded(0, &["plan", "-f", "set.yaml", "--policy", "rules", "--out", "plan.json"]);
    rule("count(input.operations) > 0");
    let [text, _] = both(&sandbox, 6, &["apply", "plan.json"]);
    assert!(text.stderr.contains("rules/all.rego: no"), "{}", text.stderr);
    std::fs::rename(sandbox.path("rules"), sandbox.path("moved")).unwrap();
    let [text, _] = both(&sandbox, 2, &["apply", "plan.json"]);
    assert!(text.stderr.contains("rules is not a folder"), "{}", text.stderr);
    std::fs::rename(sandbox.path("moved"), sandbox.path("rules")).unwrap();
    rule("false");
    sandbox.embedded(0, &["apply", "plan.json"]);
}
