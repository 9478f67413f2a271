//! A line of a secret's document is never quoted.

use super::all;
use crate::cli::Sandbox;

const CANARY: &str = "c4n4ry-S3cr3t";

#[test]
fn no_error_in_or_around_a_secret_quotes_it() {
    let head = "version: v1\nkind: Secret\nmetadata: {name: keys}\ntype: keys\n";
    let documents = [
        // A field that nobody knows, as other tools call it, or misspelled.
        format!("{head}dat: {{TOKEN: {CANARY}}}\n"),
        format!("{head}stringData: {{TOKEN: {CANARY}}}\n"),
        format!("{head}value: {CANARY}\n"),
        format!("{head}data:\n  TOKEN: {{fom: {CANARY}}}\n"),
        format!("{head}data: [{CANARY}]\n"),
        format!("{head}data: {CANARY}\n"),
        // The kind misspelled, in flow style, not there.
        format!("version: v1\nkind: Secrt\nmetadata: {{name: a}}\ndat: {CANARY}\n"),
        format!("{{version: v1, kind: Secretz, metadata: {{name: a}}, dat: {{A: {CANARY}}}}}\n"),
        format!("{{version: v1, metadata: {{name: a}}, dat: {{A: {CANARY}}}}}\n"),
        format!("{{\"kind\": \"Secret\", \"type\": \"keys\", \"dat\": \"{CANARY}\"}}\n"),
        // What is no YAML, in its line and in the next one.
        format!("{head}dat: \"{CANARY}\n"),
        format!("{head}dat: {CANARY}: x\n"),
        format!("{head}dat: [{CANARY}\nx: ]\n"),
        format!("{head}dat: !{CANARY} x\n"),
        format!("{head}dat: *{CANARY}\n"),
        format!("{head}dat: !!int {CANARY}\n"),
        format!("{head}dat: {CANARY}\n\tx: 1\n"),
        format!("{head}dat: {CANARY}\ndat: {CANARY}\n"),
        format!("version: v1\nkind: Room\nmetadata: {{name: a}}\n---\n{head}dat: {CANARY}: [\n"),
    ];
    for document in documents {
        let sandbox = Sandbox::new();
        sandbox.write("a.yaml", &document);
        sandbox.write("b.yaml.j2", &document.replace(CANARY, "{{ env('MESHAGENT_VAR_TOKEN') }}"));
        for file in ["a.yaml", "b.yaml.j2"] {
            for command in [&["validate", "-f", file][..], &["plan", "--embedded", "-f", file]] {
                let mut command = sandbox.command(command);
                command.env("MESHAGENT_VAR_TOKEN", CANARY).env("GITHUB_ACTIONS", "true");
                let run = crate::cli::Run::of(command.output().unwrap());
                assert!([2, 6].contains(&run.code), "{document}\n{}", all(&run));
                assert!(!all(&run).contains("c4n4ry"), "{document}\n{}", all(&run));
                assert!(run.stderr.contains(file), "{document}\n{}", run.stderr);
            }
        }
    }
}

#[test]
fn a_template_and_its_values_are_not_quoted_where_a_secret_may_stand() {
    let sandbox = Sandbox::new();
    let head = "version: v1\nkind: Secret\nmetadata: {name: keys}\ntype: keys\n";
    sandbox.write("a.yaml.j2", &format!("{head}dat: {{T: {CANARY}, U: \"{{{{ nowhere }}}}\"}}\n"));
    let run = sandbox.run(&["validate", "-f", "a.yaml.j2"]);
    assert!(run.stderr.contains("a.yaml.j2:5:32: "), "{}", run.stderr);
    assert!(!run.stderr.contains("c4n4ry"), "{}", run.stderr);
    sandbox.write("values.yaml", &format!("token: {CANARY}: x\n"));
    let run = sandbox.run(&["validate", "-f", "a.yaml.j2"]);
    assert!(run.stderr.contains("values.yaml:1:"), "{}", run.stderr);
    assert!(!run.stderr.contains("c4n4ry"), "{}", run.stderr);
}

#[test]
fn lines_of_other_documents_are_still_quoted() {
    let sandbox = Sandbox::new();
    sandbox.write("a.yaml", "version: v1\nkind: Room\nmetadata: {name: a}\nrom: here\n");
    let run = sandbox.run(&["validate", "-f", "a.yaml"]);
    assert!(run.stderr.contains("4 | rom: here"), "{}", run.stderr);
    sandbox.write("a.yaml", "version: v1\nkind: Room\nmetadata: {name: a\nrom: here\n");
    let run = sandbox.run(&["validate", "-f", "a.yaml"]);
    assert!(
        run.stderr.contains(" | rom: here") || run.stderr.contains("| metadata"),
        "{}",
        run.stderr
    );
}
