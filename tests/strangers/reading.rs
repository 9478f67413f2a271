//! How manifests of strangers are read: what an error shows of them, how long it takes, which
//! files are looked at, and which hints are given.

use super::{all, room, write};
use crate::cli::{Run, Sandbox};

/// A template with one variable that is secret.
const TEMPLATE: &str = "\
version: v1
kind: ServiceTemplate
metadata: {name: t}
variables:
  - {name: greeting, optional: true}
  - {name: addr, type: email, optional: true}
  - {name: pw, obscure: true, optional: true}
container:
  image: i
  environment:
    - name: PW
      value: {{ pw }}
";

fn validated(files: &[(&str, &str)]) -> Run {
    let sandbox = Sandbox::new();
    for (name, text) in files {
        write(&sandbox, &format!("m/{name}"), text);
    }
    sandbox.run(&["validate", "-f", "m", "--project-id", "p"])
}

#[track_caller]
fn tells_nothing(text: &str, traces: &[&str]) {
    let run = validated(&[("s.yaml", text), ("t.yaml", TEMPLATE)]);
    assert_eq!(run.code, 2, "{text}: {}", all(&run));
    assert!(run.stderr.contains(".yaml:"), "{text}: {}", run.stderr);
    for trace in traces {
        assert!(!all(&run).contains(trace), "{text}: {}", all(&run));
    }
}

#[test]
fn no_line_with_values_of_a_template_that_has_a_secret_is_shown() {
    let service = "version: v1\nkind: Service\nmetadata: {name: s}\nroom: a\n";
    for rest in [
        "template: t\nvalues: {greeting: hi, addr: foo, pw: sekretsekret}\n",
        "template: t\nvalues: {greeting: 5, pw: sekretsekret}\n",
        "template: t\nvalues: {pw: 9081726354}\n",
        "template: t\nvalues: {pw: [sekretsekret]}\n",
        "template: t\nvalues: {pw: {a: sekretsekret}}\n",
        "template: t\nvalues: {greeting: a, greeting: b, pw: sekretsekret}\n",
        "template: t\nvalues: {pw: sekretsekret, gruss: a}\n",
        "template: t\nvalues: {pw: sekretsekret\n",
        "template: t\nvalues: {pw: sekretsekret}}\n",
        "template: t\nvaleus:\n  pw: \"sekretsekret\n",
        "template: t\nvaluse: {pw: sekretsekret}\n",
        "templat: t\nvaluse: {pw: sekretsekret}\n",
        "template: t\nvalues: !x {pw: sekretsekret}\n",
        "template: none\nvalues: {pw: sekretsekret}\n",
        "template: t\nroms: [a]\nvalues:\n  pw: |\n    sekretsekret\n",
        "template: t\nports: [] # sekretsekret\n",
    ] {
        tells_nothing(&format!("{service}{rest}"), &["sekret", "9081726354"]);
    }
    let flow = "{\"version\": \"v1\", \"kind\": \"Service\", \"metadata\": {\"name\": \"s\"}, \"room\": 7, \"template\": \"t\", \"values\": {\"pw\": \"sekretsekret\"}}\n";
    tells_nothing(flow, &["sekret"]);
}

#[test]
fn a_template_that_places_itself_shows_no_line_with_its_values() {
    for (rest, line) in [
        ("values: {pw: 9081726354}\n", "values"),
        ("valuse: {pw: sekretsekret}\n", "valuse"),
        ("room: [a]\nvalues: {pw: sekretsekret}\n", "room"),
    ] {
        let own = TEMPLATE.replace("name: t", "name: own") + rest;
        let run = validated(&[("s.yaml", &own)]);
        assert_eq!(run.code, 2, "{}", all(&run));
        assert!(run.stderr.contains(line), "{}", run.stderr);
        assert!(
            !all(&run).contains("sekret") && !all(&run).contains("9081726354"),
            "{}",
            run.stderr
        );
    }
}

#[test]
fn words_of_a_secret_value_are_no_names_in_a_message() {
    let service = "version: v1\nkind: Service\nmetadata: {name: s}\nroom: a\ntemplate: t\n";
    for value in [
        r#""se\nkret: sekretsekret""#,
        r#""x\n      kretkret: sekretsekret""#,
        r#""[sekretsekret""#,
        r#""{kretkret: 1}""#,
        r#""&sekretsekret *sekretsekret""#,
    ] {
        tells_nothing(&format!("{service}values: {{pw: {value}}}\n"), &["kret"]);
    }
}

#[test]
fn values_of_a_template_without_secrets_are_shown_where_that_is_known() {
    let template = TEMPLATE.replace(", obscure: true", "");
    let service = "version: v1\nkind: Service\nmetadata: {name: s}\nroom: a\ntemplate: t\n";
    let text = format!("{service}values: {{greeting: hi, gretting: ho}}\n");
    let run = validated(&[("s.yaml", &text), ("t.yaml", &template)]);
    assert_eq!(run.code, 2, "{}", all(&run));
    assert!(run.stderr.contains("values: {greeting: hi, gretting: ho}"), "{}", run.stderr);
}

#[test]
fn no_line_of_a_project_with_settings_is_shown() {
    for text in [
        "version: v1\nkind: Project\nmetadata: {name: lk}\nsetings: {openai_api_key: sk-plain}\n",
        "version: v1\nkind: Project\nmetadata: {name: lk, settings: {openai_api_key: sk-plain}}\n",
        "version: v1\nkind: Project\nmetadata: {name: lk, annotations: {a: {k: sk-plain}}}\n",
        "version: v1\nkind: Project\nmetadata: {name: lk}\nopenai: {openai_api_key: sk-plain\n",
        "version: v1\nkind: Project\nmetadata: {name: lk}\nlifecycle: {x: sk-plain}\n",
        "version: v1\nkind: Projet\nmetadata: {name: lk}\nsetings: [sk-plain]\n",
        "{\"version\": \"v1\", \"kind\": \"Project\", \"metadata\": {\"name\": \"lk\"}, \"keys\": [\"sk-plain\"]}\n",
    ] {
        let run = validated(&[("s.yaml", text)]);
        assert_eq!(run.code, 2, "{text}: {}", all(&run));
        assert!(!all(&run).contains("sk-plain"), "{text}: {}", run.stderr);
    }
}

#[test]
fn a_field_that_was_meant_for_a_secret_is_named_without_its_line() {
    let service = "version: v1\nkind: Service\nmetadata: {name: s}\nagents:\n";
    let text = format!(
        "{service}  - name: a\nexternal: {{url: http://x}}\nports: [{{num: 1, endpoints: [{{path: /, mcp: {{label: l, heders: {{a: sekretsekret}}}}}}]}}]\n"
    );
    let run = validated(&[("s.yaml", &text)]);
    assert_eq!(run.code, 2, "{}", all(&run));
    assert!(run.stderr.contains("unknown field `heders`"), "{}", run.stderr);
    assert!(!all(&run).contains("sekret"), "{}", run.stderr);
    let run = validated(&[("s.yaml", &room("a", "rom: 1 # plain\n"))]);
    assert!(run.stderr.contains("rom: 1 # plain"), "{}", run.stderr);
}
