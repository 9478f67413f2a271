//! What people who know other programs write into manifests, and type: each is told what to write
//! instead, at its place.

use crate::cli::Sandbox;

/// A text of which validating it tells this.
#[track_caller]
fn told(sandbox: &Sandbox, text: &str, expected: &[&str]) {
    sandbox.write("slip.yaml", text);
    let run = sandbox.run(&["validate", "-f", "slip.yaml"]);
    assert_eq!(run.code, 2, "{text}\n{}", run.stdout);
    for expected in expected {
        assert!(run.stderr.contains(expected), "{text}\n{expected:?} is not in\n{}", run.stderr);
    }
}

#[test]
fn what_is_no_yaml_is_told_with_its_place_and_what_to_write() {
    let sandbox = Sandbox::new();
    for (text, place, hint) in [
        (
            "kind: Room\nmetadata:\n  name: a\n description: x\n",
            ":4:2: ",
            "begin in the same column",
        ),
        ("kind: Room\nmetadata:\n\tname: a\n", ":3:2: ", "indent with spaces"),
        ("kind: Room\nmetadata\n  name: a\n", ":2:1: ", "a colon is missing"),
        ("version:v1\nkind: Room\n", ":2:5: ", "put a space after the colon in line 1"),
        ("kind: Room\nmetadata:\n  name: \"a\n", ":4:1: ", "a quotation mark in line 3"),
        (
            "kind: ScheduledTask\nschedule: */5 * * * *\n",
            ":2:11: ",
            "put text that begins with `*` in quotes",
        ),
        (
            "kind: Room\n---\nkind: Room\nmetadata: {name: \"a}\n",
            ":4:18: ",
            "a quotation mark in line 4 is not closed",
        ),
        ("kind: Secret\ndata:\n  A: {{ A }}\n", ":3:7: ", "with `{from: {env: NAME}}`"),
    ] {
        told(&sandbox, text, &[&format!("slip.yaml{place}"), hint]);
    }
}

#[test]
fn fields_of_other_programs_are_told_what_they_are_here() {
    let sandbox = Sandbox::new();
    let room = "version: v1\nkind: Room\nmetadata: {name: a}\n";
    let service = "version: v1\nkind: Service\nmetadata: {name: a}\n";
    let secret = "version: v1\nkind: Secret\nmetadata: {name: a}\n";
    let task = "version: v1\nkind: ScheduledTask\nmetadata: {name: a}\nroom: a\nqueue: q\n";
    for (text, hint) in [
        (format!("{room}lifecycle: {{ignore_changes: [x]}}\n"), "write `lifecycle.ignore`"),
        (
            format!("{room}depends_on: [x]\n"),
            "leave it out: the order follows from what the documents refer to",
        ),
        (format!("{room}displayName: Hall\n"), "write `room_metadata: {displayName: TEXT}`"),
        ("version: v1\nkind: Room\nname: a\n".to_owned(), "write `metadata: {name: NAME}`"),
        (
            "version: v1\nkind: Room\nmetadata:\n  name:a\n".to_owned(),
            "put a space after the colon",
        ),
        (format!("{task}cron: \"* * * * *\"\n"), "write `schedule`"),
        (
            format!("{service}container: {{image: x, environment: {{A: b}}}}\n"),
            "write a list: `environment: [{name: NAME, value: TEXT}]`",
        ),
        (
            format!("{service}container: {{image: x, secrets: keys}}\n"),
            "write a list: `secrets: […]`",
        ),
        (
            format!(
                "{service}container: {{image: x, environment: [{{name: A, value: {{env: X}}}}]}}\n"
            ),
            "only a Secret reads its values from elsewhere",
        ),
        (format!("{service}image: x\n"), "write `container.image`"),
        (
            format!("{service}container: {{image: x}}\nports: [8080]\n"),
            "write `ports: [{num: 8080}]`",
        ),
        (format!("{secret}type: keys\ndata: {{A: {{env: X}}}}\n"), "write `{from: {env: NAME}}`"),
        (format!("{secret}type: env\ndata: {{A: b}}\n"), "`keys` is for environment variables"),
    ] {
        told(&sandbox, &text, &[&format!("hint: {hint}")]);
    }
}

/// A name and a pattern that nothing has are no fault of the manifests.
#[test]
fn a_pattern_that_matches_nothing_is_no_problem_of_the_manifests() {
    let sandbox = Sandbox::new();
    sandbox.write("m.yaml", "version: v1\nkind: Room\nmetadata: {name: a}\n");
    let run = sandbox.embedded(2, &["plan", "-f", "m.yaml", "--target", "hall"]);
    assert!(run.stderr.ends_with("error: 1 pattern matches nothing\n"), "{}", run.stderr);
    let run = sandbox.embedded(2, &["plan", "-f", "m.yaml", "--target", "Room"]);
    assert!(run.stderr.contains("hint: `Room/*` is every Room of the set"), "{}", run.stderr);
    let both = ["apply", "-f", "m.yaml", "other.yaml"];
    sandbox.write("other.yaml", "version: v1\n");
    let run = sandbox.embedded(2, &both);
    let hint = "hint: give each file its own -f: `meshagent apply -f m.yaml -f other.yaml`";
    assert!(run.stderr.contains(hint), "{}", run.stderr);
    let run = sandbox.embedded(2, &["rooms", "create", "--name", "x", "--annotations", "a=b"]);
    assert!(run.stderr.contains("hint: for example --annotations '{"), "{}", run.stderr);
    for verb in ["show", "delete"] {
        let run = sandbox.embedded(1, &["service", verb, "bot"]);
        assert!(run.stderr.contains("hint: a service is named by its id here"), "{}", run.stderr);
    }
}
