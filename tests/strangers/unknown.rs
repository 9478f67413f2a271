//! Plans of what strangers propose, on a machine that has none of the secrets: such values are
//! unknown, and nothing about them is made up.

use super::{all, refused, room, secret, write};
use crate::cli::{Run, Sandbox};

/// What can be lacking, by the source and by what is told of it.
fn lacking() -> [(&'static str, &'static str, &'static str); 5] {
    [
        ("{env: L4CKING}", "the environment variable L4CKING is not set", "export L4CKING=…"),
        ("{env: EMPTY}", "the environment variable EMPTY is empty", "allow_empty"),
        ("{command: [touch, ran]}", "commands are not allowed", "--allow-commands"),
        ("{file: ../outside/x}", "reading there is not allowed", "--allow-files"),
        ("{file: nothing}", "failed to read ", ""),
    ]
}

fn run(sandbox: &Sandbox, words: &[&str]) -> Run {
    let mut command = sandbox.command(&[words, &["--embedded"]].concat());
    Run::of(command.env("EMPTY", "").output().unwrap())
}

#[test]
fn a_plan_is_made_without_what_is_lacking_and_says_so_in_every_form() {
    for (source, reason, hint) in lacking() {
        let sandbox = Sandbox::new();
        write(&sandbox, "outside/x", "c4n4ry");
        write(&sandbox, "m/s.yaml", secret(source));
        write(&sandbox, "m/r.yaml", room("hall", ""));
        let told = "1 value was not read, so its change is unknown.";
        let text = run(&sandbox, &["plan", "-f", "m"]);
        refused(&text, 0, reason);
        assert!(text.stderr.contains("note: m/s.yaml:6:7: "), "{}", text.stderr);
        assert!(text.stderr.contains("so the value is not read"), "{}", text.stderr);
        assert!(text.stderr.contains(hint), "{}", text.stderr);
        assert!(text.stdout.starts_with("Plan for default on the embedded platform\n\n1 value"));
        assert!(text.stdout.ends_with(&format!("Plan: 2 to create.\n{told}\n")), "{}", text.stdout);
        assert!(text.stdout.contains("+ data.A: (not read)\n"), "{}", text.stdout);
        let markdown = run(&sandbox, &["plan", "-f", "m", "-o", "markdown"]);
        let head: String = markdown.stdout.lines().take(7).collect();
        assert!(head.contains(&format!("**{told}**")), "{head}");
        assert!(markdown.stdout.contains("`data.A`: added `(not read)`"), "{}", markdown.stdout);
        let json = run(&sandbox, &["plan", "-f", "m", "-o", "json"]).json();
        assert_eq!(json["not_read"][0]["place"]["line"], 6, "{json}");
        assert!(json["not_read"][0]["reason"].as_str().unwrap().contains(reason), "{json}");
        let of_secret = json["operations"].as_array().unwrap().iter();
        let of_secret = of_secret.clone().find(|it| it["address"] == "Secret/s").unwrap();
        assert_eq!(of_secret["fields"]["data"]["A"], "(not read)");
        assert_eq!(of_secret["uncertain"], serde_json::Value::Null);
        let diff = run(&sandbox, &["diff", "-f", "m"]);
        assert!(diff.stdout.starts_with(&format!("# {told}\n")), "{}", diff.stdout);
        assert!(diff.stdout.contains("+  A: (not read)\n"), "{}", diff.stdout);
        for (language, comment) in [("mermaid", "%%"), ("dot", "//")] {
            let graph = run(&sandbox, &["graph", "-f", "m", "-l", language]);
            assert!(graph.stdout.contains(&format!("  {comment} {told}\n")), "{}", graph.stdout);
        }
        // What is to be performed is refused.
        for words in [&["apply", "-f", "m", "--yes"][..], &["plan", "-f", "m", "--out", "p.json"]] {
            refused(&run(&sandbox, words), 6, reason);
        }
        assert!(!sandbox.path("p.json").exists() && !sandbox.path("m/ran").exists());
        assert!(!all(&text).contains("c4n4ry"));
    }
}

#[test]
fn an_object_that_only_a_value_may_change_may_change_and_is_not_unchanged() {
    let sandbox = Sandbox::new();
    write(&sandbox, "m/s.yaml", secret("{env: LATER}"));
    write(&sandbox, "m/r.yaml", room("hall", ""));
    let mut apply = sandbox.command(&["apply", "-f", "m", "--yes", "--embedded"]);
    let applied = Run::of(apply.env("LATER", "hunter2").output().unwrap());
    assert_eq!(applied.code, 0, "{}", applied.stderr);
    let plan = run(&sandbox, &["plan", "-f", "m", "--exit-code"]);
    assert_eq!(plan.code, 3, "{}", plan.stderr);
    for line in [
        "? may update Secret/s  it is not known whether its fields differ; m/s.yaml:3:1\n",
        "    ? data.A: (not read, may change)",
        "Plan: 1 that may change, 1 unchanged.\n",
    ] {
        assert!(plan.stdout.contains(line), "{line}: {}", plan.stdout);
    }
    let json = run(&sandbox, &["plan", "-f", "m", "-o", "json"]).json();
    assert_eq!(json["counts"]["may_update"], 1);
    assert_eq!((&json["counts"]["update"], &json["counts"]["unchanged"]), (&0.into(), &1.into()));
    let [operation] = json["operations"].as_array().unwrap().as_slice() else { panic!("{json}") };
    assert_eq!((&operation["uncertain"], &operation["action"]), (&true.into(), &"update".into()));
    assert_eq!(operation["changes"][0]["uncertain"], true);
    assert_eq!(operation["changes"][0]["new"]["$secret"], serde_json::Value::Null);
    let diff = run(&sandbox, &["diff", "-f", "m", "--exit-code"]);
    assert_eq!(diff.code, 3);
    assert!(diff.stdout.contains("+  A: (not read, may change)\n"), "{}", diff.stdout);
    assert!(run(&sandbox, &["graph", "-f", "m"]).stdout.contains("may update Secret/s"));
    let markdown = run(&sandbox, &["plan", "-f", "m", "-o", "markdown"]).stdout;
    assert!(markdown.contains("### Plan for set `default`: 1 that may change, 1 unchanged"));
    assert!(markdown.contains("`data.A`: (not read, may change)"), "{markdown}");

    // What differs for certain is told as before, beside what may.
    write(
        &sandbox,
        "m/s.yaml",
        secret("{env: LATER}") + "  B: {from: {env: EMPTY}, allow_empty: true}\n",
    );
    let plan = run(&sandbox, &["plan", "-f", "m"]);
    assert!(plan.stdout.contains("~ update Secret/s"), "{}", plan.stdout);
    assert!(plan.stdout.contains("+ data.B: (secret)"), "{}", plan.stdout);
    // So is what just the set takes note of.
    write(&sandbox, "m/s.yaml", secret("{env: LATER}") + "lifecycle: {prevent_destroy: true}\n");
    let plan = run(&sandbox, &["plan", "-f", "m"]);
    assert!(plan.stdout.contains("• record Secret/s"), "{}", plan.stdout);
    assert!(plan.stdout.contains("? data.A: (not read, may change)"), "{}", plan.stdout);
    // Where the field is left alone in any case, nothing may change.
    write(&sandbox, "m/s.yaml", secret("{env: LATER}") + "lifecycle: {ignore: [data.A]}\n");
    let plan = run(&sandbox, &["plan", "-f", "m"]);
    assert!(!plan.stdout.contains("? data.A"), "{}", plan.stdout);
}

#[test]
fn what_was_read_and_is_wrong_is_no_unknown_value() {
    let sandbox = Sandbox::new();
    std::fs::create_dir(sandbox.path("m")).unwrap();
    std::fs::write(sandbox.path("m/bytes"), b"\xff\xfe\x00").unwrap();
    write(&sandbox, "m/empty", "");
    for (source, told) in [
        ("{file: bytes}", "is UTF-16, not UTF-8"),
        ("{file: empty}", "is empty"),
        ("{env: MESHAGENT_API_KEY}", "belongs to this program"),
        ("{age: nothing}", "is not a text encrypted with age"),
    ] {
        if source.contains("age") {
            sandbox.run(&["secret", "keygen"]);
        }
        write(&sandbox, "m/s.yaml", secret(source));
        refused(&run(&sandbox, &["plan", "-f", "m"]), 6, told);
    }
    write(&sandbox, "m/s.yaml", secret("{command: [\"false\"]}"));
    refused(&run(&sandbox, &["plan", "-f", "m", "--allow-commands"]), 6, "\"false\" failed");
}

#[test]
fn many_values_are_told_of_in_few_notes_and_all_in_json() {
    let sandbox = Sandbox::new();
    let pairs: String =
        (0..12).map(|n| format!("  A{n}: {{from: {{env: L4CKING_{n}}}}}\n")).collect();
    let text =
        format!("version: v1\nkind: Secret\nmetadata: {{name: s}}\ntype: keys\ndata:\n{pairs}");
    write(&sandbox, "m/s.yaml", text);
    let plan = run(&sandbox, &["plan", "-f", "m"]);
    assert_eq!(plan.code, 0, "{}", plan.stderr);
    assert_eq!(plan.stderr.matches("so the value is not read").count(), 5, "{}", plan.stderr);
    assert!(plan.stderr.contains("7 more values are not read"), "{}", plan.stderr);
    assert!(plan.stdout.contains("12 values were not read"), "{}", plan.stdout);
    let json = run(&sandbox, &["plan", "-f", "m", "-o", "json"]).json();
    assert_eq!(json["not_read"].as_array().unwrap().len(), 12);
    // To apply, all of them are told.
    let apply = run(&sandbox, &["apply", "-f", "m", "--yes"]);
    assert_eq!(apply.stderr.matches(" is not set\n").count(), 12, "{}", apply.stderr);
}

#[test]
fn rules_see_a_value_that_was_not_read() {
    let sandbox = Sandbox::new();
    write(&sandbox, "m/s.yaml", secret("{env: L4CKING}"));
    write(
        &sandbox,
        "rules/a.rego",
        "package meshagent\ndeny contains m if {\n  some o in input.operations\n  o.fields.data.A == \"(not read)\"\n  m := sprintf(\"%v of %v\", [o.address, count(input.not_read)])\n}\n",
    );
    let plan = run(&sandbox, &["plan", "-f", "m", "--policy", "rules"]);
    refused(&plan, 6, "Secret/s of 1");
}

#[test]
fn templates_are_planned_without_the_environment() {
    let sandbox = Sandbox::new();
    let rest = "room_metadata:\n  a: x-{{ env(\"L4CKING\") }}\n  b: {{ env(\"MESHAGENT_VAR_B\") }}\n  c: plain\n";
    write(&sandbox, "m/r.yaml.j2", room("hall", rest));
    let plan = run(&sandbox, &["plan", "-f", "m"]);
    assert_eq!(plan.code, 0, "{}", plan.stderr);
    assert!(plan.stderr.contains("m/r.yaml.j2:5:1: "), "{}", plan.stderr);
    assert!(plan.stderr.contains(
        "L4CKING is not allowed, so the value is not read; to apply: add --allow-env L4CKING to let"
    ));
    assert!(plan.stderr.contains("MESHAGENT_VAR_B is not set"), "{}", plan.stderr);
    assert!(plan.stdout.contains("(not read)"), "{}", plan.stdout);
    assert!(plan.stdout.contains("2 values were not read"), "{}", plan.stdout);
    // All that lack are told at once where they are needed.
    let apply = run(&sandbox, &["apply", "-f", "m", "--yes"]);
    assert_eq!(apply.code, 6);
    assert!(apply.stderr.contains("L4CKING is not allowed"), "{}", apply.stderr);
    assert!(apply.stderr.contains("MESHAGENT_VAR_B is not set"), "{}", apply.stderr);
    // What decides what is declared cannot be unknown.
    write(&sandbox, "m/r.yaml.j2", "{% if env(\"L4CKING\") == \"x\" %}\n{% endif %}\n");
    refused(&run(&sandbox, &["plan", "-f", "m"]), 6, "L4CKING is not allowed");
    write(&sandbox, "m/r.yaml.j2", room("{{ env(\"L4CKING\") }}", ""));
    refused(&run(&sandbox, &["plan", "-f", "m"]), 6, "is hidden");
}

#[test]
fn validate_tells_of_an_identity_that_is_missing() {
    let sandbox = Sandbox::new();
    sandbox.run(&["secret", "keygen"]);
    write(&sandbox, "plain", "hunter2");
    write(&sandbox, "m/x.age", sandbox.run(&["secret", "encrypt", "plain"]).stdout);
    write(&sandbox, "m/s.yaml", secret("{age: {file: x.age}}"));
    let validate = ["validate", "-f", "m", "--project-id", "p"];
    assert_eq!(sandbox.run(&validate).stderr, "");
    std::fs::remove_file(sandbox.path(".meshagent/age.txt")).unwrap();
    refused(&sandbox.run(&validate), 0, "there is no age identity to decrypt with");
    let plan = run(&sandbox, &["plan", "-f", "m"]);
    refused(&plan, 0, "there is no age identity to decrypt with");
    assert!(plan.stdout.contains("data.A: (not read)"), "{}", plan.stdout);
    // An identity of somebody else is no better.
    sandbox.run(&["secret", "keygen"]);
    refused(&run(&sandbox, &["plan", "-f", "m"]), 0, "can decrypt it");
}

#[test]
fn settings_of_a_project_may_be_unknown_beside_others() {
    let sandbox = Sandbox::new();
    let project = |rest: &str| {
        format!(
            "version: v1\nkind: Project\nmetadata: {{name: default}}\nsettings:\n  a: {{from: {{env: LATER}}}}\n{rest}"
        )
    };
    write(&sandbox, "m/p.yaml", project(""));
    let mut apply = sandbox.command(&["apply", "-f", "m", "--yes", "--adopt", "--embedded"]);
    let applied = Run::of(apply.env("LATER", "hunter2").output().unwrap());
    assert_eq!(applied.code, 0, "{}", applied.stderr);
    let plan = run(&sandbox, &["plan", "-f", "m"]);
    assert!(plan.stdout.contains("? may update Project/default"), "{}", plan.stdout);
    assert!(plan.stdout.contains("1 that may change"), "{}", plan.stdout);
    assert!(!all(&plan).contains("hunter2"));
    write(&sandbox, "m/p.yaml", project("  b: new\n"));
    let plan = run(&sandbox, &["plan", "-f", "m"]);
    assert!(plan.stdout.contains("~ update Project/default"), "{}", plan.stdout);
}
