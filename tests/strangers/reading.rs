//! How manifests of strangers are read: what an error shows of them, how long it takes, which
//! files are looked at, and which hints are given.

use std::os::unix::fs::symlink;

use super::{all, room, soon, write};
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

#[test]
fn what_links_lead_to_is_read_once_by_its_first_name() {
    let sandbox = Sandbox::new();
    for index in 0..26 {
        write(&sandbox, &format!("m/d{index}/r.yaml"), room(&format!("r{index}"), ""));
        for link in ["a", "b"].iter().filter(|_| index < 25) {
            symlink(format!("../d{}", index + 1), sandbox.path(&format!("m/d{index}/{link}")))
                .unwrap();
        }
    }
    let validate = ["validate", "-f", "m", "--project-id", "p", "--verbose"];
    let run = soon("links", || sandbox.run(&validate));
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert!(run.stdout.contains("26 documents, 26 objects"), "{}", run.stdout);
    assert!(run.stderr.contains("read under another name"), "{}", run.stderr);

    // Whatever the links are called and wherever they lead.
    let sandbox = Sandbox::new();
    write(&sandbox, "m/k/r.yaml", room("r", "rom: 1\n"));
    symlink("k", sandbox.path("m/a")).unwrap();
    symlink("k/r.yaml", sandbox.path("m/z.yaml")).unwrap();
    symlink("../m/a", sandbox.path("m/y")).unwrap();
    let run = sandbox.run(&validate);
    assert_eq!(run.code, 2, "{}", run.stderr);
    assert!(run.stderr.contains("m/a/r.yaml:4:1: unknown field `rom`"), "{}", run.stderr);
    assert!(run.stderr.contains("1 problem"), "{}", run.stderr);
}

#[test]
fn what_is_read_by_another_name_of_its_folder_is_not_taken_for_left_out() {
    let sandbox = Sandbox::new();
    write(&sandbox, "m/z/r.yaml", [room("r", ""), room("s", "")].join("---\n"));
    sandbox.embedded(0, &["apply", "-f", "m", "--yes"]);
    symlink("z", sandbox.path("m/a")).unwrap();
    write(&sandbox, "m/z/r.yaml", room("r", ""));
    let run = sandbox.embedded(0, &["plan", "-f", "m"]);
    assert!(run.stdout.contains("- delete Room/s"), "{}", all(&run));
}

#[test]
fn rules_and_rooms_of_a_document_are_as_many_as_can_be_looked_up() {
    let sandbox = Sandbox::new();
    let service = |rest: &str| {
        format!("version: v1\nkind: Service\nmetadata: {{name: s}}\ncontainer:\n  image: i\n{rest}")
    };
    let ignoring = |variables: usize, rules: usize| {
        let variables = (0..variables).map(|it| format!("    - {{name: V{it}, value: x}}\n"));
        let rules =
            (0..rules).map(|it| format!("    - \"container.environment[name=V{it}].value\"\n"));
        let variables: String = variables.collect();
        let rules: String = rules.collect();
        service(&format!("  environment:\n{variables}room: r\nlifecycle:\n  ignore:\n{rules}"))
    };
    let in_rooms = |count: usize, form: &str| {
        let rooms: Vec<String> = (0..count).map(|it| form.replace('#', &it.to_string())).collect();
        service(&format!("rooms: [{}]\n", rooms.join(", ")))
    };
    for (text, code, told) in [
        (ignoring(8_000, 500), 0, "1 object"),
        (ignoring(8_000, 501), 2, "`lifecycle.ignore` has more than 500 items"),
        (ignoring(8_000, 8_000), 2, "`lifecycle.ignore` has more than 500 items"),
        (in_rooms(10_000, "r#"), 0, "10000 objects"),
        (in_rooms(10_001, "r#"), 2, "`rooms` has more than 10000 items"),
        (in_rooms(50_000, "r#"), 2, "`rooms` has more than 10000 items"),
        (in_rooms(10_000, "r"), 2, "room `r` is named twice"),
        (in_rooms(10_000, "\"/\\u0000#\""), 2, "problems in the manifests"),
    ] {
        write(&sandbox, "m.yaml", &text);
        let run = soon(told, || sandbox.run(&["validate", "-f", "m.yaml", "--project-id", "p"]));
        assert_eq!(run.code, code, "{told}: {}", run.stderr);
        assert!(all(&run).contains(told), "{told}: {}", run.stderr);
    }
}

#[test]
fn what_the_platform_keeps_of_a_template_does_not_depend_on_line_ends() {
    let sandbox = Sandbox::new();
    let service = "---\nversion: v1\nkind: Service\nmetadata: {name: s}\nroom: r\ntemplate: t\nvalues: {pw: x}\n";
    let own = TEMPLATE.replace("name: t", "name: own") + "values: {pw: y}\n\n# the end\nroom: r\n";
    let text =
        [room("r", ""), TEMPLATE.replace(", obscure: true", ""), own].join("---\n") + service;
    write(&sandbox, "m.yaml", &text);
    sandbox.embedded(0, &["apply", "-f", "m.yaml", "--yes"]);
    for text in [text.replace('\n', "\r\n"), text.replace('\n', "\r"), text.clone()] {
        write(&sandbox, "m.yaml", &text);
        let run = sandbox.embedded(0, &["plan", "-f", "m.yaml"]);
        assert!(run.stdout.contains("Nothing to change"), "{}", all(&run));
    }
}

#[test]
fn a_variable_of_a_route_without_a_port_is_named_where_the_template_has_it() {
    let template = |annotations: &str| {
        format!(
            "version: v1\nkind: ServiceTemplate\nmetadata: {{name: t}}\nvariables:\n  - name: other\n    optional: true\n  - name: site\n    type: route\n{annotations}ports:\n  - num: 8123\ncontainer: {{image: \"{{{{ site }}}}\"}}\n"
        )
    };
    let service = "version: v1\nkind: Service\nmetadata: {name: s}\nroom: r\ntemplate: t\nvalues: {site: a.example.com}\n";
    let run = validated(&[("s.yaml", service), ("t.yaml", &template(""))]);
    assert_eq!(run.code, 2, "{}", all(&run));
    for told in [
        "m/t.yaml:7:5: the variable `site` is a route but lacks the annotation `meshagent.route.port`",
        "hint: add `annotations: {meshagent.route.port: \"8123\"}` to the variable",
    ] {
        assert!(run.stderr.contains(told), "{}", run.stderr);
    }
    let mended = template("    annotations: {meshagent.route.port: \"8123\"}\n");
    let run = validated(&[("s.yaml", service), ("t.yaml", &mended), ("r.yaml", &room("r", ""))]);
    assert_eq!(run.code, 0, "{}", all(&run));
    // The same of another annotation, in a template that places itself.
    let own = template("    annotations: {meshagent.email.privacy: secret}\n")
        .replace("type: route", "type: email")
        + "room: r\nvalues: {site: a@example.com}\n";
    let run = validated(&[("t.yaml", &own)]);
    let told =
        "m/t.yaml:7:5: the variable `site` has the annotation `meshagent.email.privacy: secret`";
    assert!(run.code == 2 && run.stderr.contains(told), "{}", run.stderr);
}

#[test]
fn values_that_no_template_is_beside_keep_no_plan_from_being_made() {
    let sandbox = Sandbox::new();
    write(&sandbox, "m/a.yaml.j2", room("{{ name }}", ""));
    write(&sandbox, "m/values.yaml", "name: a\n");
    write(&sandbox, "m/b.yaml", room("b", ""));
    sandbox.embedded(0, &["apply", "-f", "m", "--yes"]);
    std::fs::remove_file(sandbox.path("m/a.yaml.j2")).unwrap();
    let run = sandbox.embedded(0, &["plan", "-f", "m"]);
    assert!(run.stdout.contains("- delete Room/a"), "{}", all(&run));
    let note = "not read: m/values.yaml: it holds values, but no template is beside it";
    assert!(run.stderr.contains(note), "{}", run.stderr);
    // A document, a list, and a file of another name are no values.
    for (name, text) in [
        ("values.yaml", room("c", "rom: 1\n")),
        ("values.yml", "[a]\n".to_owned()),
        ("values.yaml", "metadata: {name: c}\n".to_owned()),
        ("value.yaml", "name: a\n".to_owned()),
    ] {
        std::fs::remove_dir_all(sandbox.path("m")).unwrap();
        write(&sandbox, &format!("m/{name}"), text);
        let run = sandbox.embedded(6, &["plan", "-f", "m"]);
        assert!(!run.stderr.contains("holds values"), "{}", run.stderr);
    }
}

#[test]
fn values_above_a_template_are_told_how_to_reach_it() {
    let sandbox = Sandbox::new();
    write(&sandbox, "m/sub/a.yaml.j2", room("{{ name }}", ""));
    write(&sandbox, "m/values.yaml", "name: a\n");
    let validate = ["validate", "-f", "m", "--project-id", "p"];
    let run = sandbox.run(&validate);
    assert_eq!(run.code, 2, "{}", all(&run));
    for told in [
        "m/values.yaml: these values are for templates beside them, but there are none here",
        "hint: for m/sub/a.yaml.j2, give --values-file m/values.yaml or put the values beside it",
        "give it with --value NAME=VALUE, with --values-file FILE, or in values.yaml beside the template",
    ] {
        assert!(run.stderr.contains(told), "{}", run.stderr);
    }
    let run = sandbox.run(&[&validate[..], &["--values-file", "m/values.yaml"]].concat());
    assert_eq!(run.code, 0, "{}", all(&run));
}

#[test]
fn one_object_of_several_projects_is_told_how_to_be_in_each() {
    let sandbox = Sandbox::new();
    let project = |name: &str| format!("version: v1\nkind: Project\nmetadata: {{name: {name}}}\n");
    let hint =
        "hint: the set has several projects; without `project: NAME`, the document belongs to `p`";
    write(&sandbox, "m/a.yaml", [project("one"), room("a", "")].join("---\n"));
    write(&sandbox, "m/b.yaml", [project("two"), room("a", "")].join("---\n"));
    let validate = ["validate", "-f", "m", "--project-id", "p"];
    let run = sandbox.run(&validate);
    assert!(run.stderr.contains("Room/a is declared twice, first at"), "{}", run.stderr);
    assert!(run.code == 2 && run.stderr.contains(hint), "{}", run.stderr);
    write(&sandbox, "m/b.yaml", [project("two"), room("a", "project: two\n")].join("---\n"));
    assert_eq!(sandbox.run(&validate).code, 0);
    // With one project there is no other one that could be meant.
    write(&sandbox, "m/b.yaml", room("a", ""));
    let run = sandbox.run(&validate);
    assert!(run.code == 2 && !run.stderr.contains("several projects"), "{}", run.stderr);
}

#[test]
fn what_is_no_repository_widens_no_reach() {
    let secret = "version: v1\nkind: Secret\nmetadata: {name: s}\ntype: keys\ndata: {A: {from: {file: ../t}}}\n";
    type Make = fn(&Sandbox);
    let made: [(&str, Make); 5] = [
        ("a folder", |sandbox| std::fs::create_dir(sandbox.path("r/.git")).unwrap()),
        ("a folder of something else", |sandbox| write(sandbox, "r/.git/config", "[core]\n")),
        ("a file", |sandbox| write(sandbox, "r/.git", "")),
        ("a file that leads nowhere", |sandbox| write(sandbox, "r/.git", "gitdir: /none\n")),
        ("a repository", |sandbox| sandbox.repository("r")),
    ];
    for (what, make) in made {
        let sandbox = Sandbox::new();
        write(&sandbox, "r/m/s.yaml", secret);
        write(&sandbox, "r/t", "value-value");
        make(&sandbox);
        let run = sandbox.run(&["plan", "-f", "r/m", "--embedded"]);
        let is_read = !run.stdout.contains("(not read)");
        assert_eq!((run.code, is_read), (0, what == "a repository"), "{what}: {}", all(&run));
    }
}

#[test]
fn an_encrypted_text_may_follow_what_editors_put_before_it() {
    let sandbox = Sandbox::new();
    sandbox.run(&["secret", "keygen"]);
    write(&sandbox, "plain", "s3cret-value");
    let encrypted = sandbox.run(&["secret", "encrypt", "plain"]).stdout;
    for before in ["\n", "\u{feff}", "\r\n\u{feff}\r\n", "   "] {
        write(&sandbox, "x.age", format!("{before}{encrypted}"));
        let run = sandbox.run(&["secret", "decrypt", "x.age"]);
        assert_eq!(
            (run.code, run.stdout.as_str()),
            (0, "s3cret-value"),
            "{before:?}: {}",
            run.stderr
        );
    }
}
