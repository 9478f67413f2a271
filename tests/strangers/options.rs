//! What options hold, by the same rules as manifests; and manifests in the place of documents.

use crate::cli::Sandbox;

#[track_caller]
fn refused(sandbox: &Sandbox, code: i32, words: &[&str], told: &str) {
    let run = sandbox.embedded(code, words);
    assert!(run.stderr.contains(told), "{words:?}: {}", run.stderr);
    assert_eq!(run.stdout, "", "{words:?}");
}

#[test]
fn an_option_makes_no_secret_that_is_empty_or_unclear() {
    let sandbox = Sandbox::new();
    for (data, told) in [
        ("A=", "pair 1 of --data has no value"),
        ("A=x B=", "pair 2 of --data has no value"),
        ("", "--data has no pairs"),
        (" \t", "--data has no pairs"),
        ("A=hunter2 A=hunter3", "pair 2 of --data has the name of an earlier one"),
        ("B=x =hunter2", "pair 2 of --data has no name"),
        ("hunter2", "pair 1 of --data has no `=`"),
    ] {
        let create = ["secret", "key", "create", "--name", "s", "--data", data];
        refused(&sandbox, 2, &create, told);
        let update = ["secret", "key", "update", "--secret-id", "i", "--name", "s", "--data", data];
        let run = sandbox.embedded(2, &update);
        assert!(run.stderr.contains(told) && !run.stderr.contains("hunter"), "{}", run.stderr);
    }
    let docker = ["secret", "docker", "create", "--name", "s", "--server", "h", "--username", "u"];
    let acr = ["secret", "acr", "create", "--name", "s", "--server", "h", "--username", "u"];
    let gar = ["secret", "gar", "create", "--name", "s", "--server", "h"];
    for (words, option) in [(&docker[..], "--password"), (&acr, "--password"), (&gar, "--json-key")]
    {
        for text in ["", "  "] {
            let told = format!("{option} is empty");
            refused(&sandbox, 2, &[words, &[option, text]].concat(), &told);
        }
    }
    assert!(!sandbox.embedded(0, &["secret", "list"]).stdout.contains("\"s\""));
    // A value may hold what stands between a name and its value.
    sandbox.embedded(0, &["secret", "key", "create", "--name", "s", "--data", "A=a== B=b"]);
}

#[test]
fn a_manifest_names_variables_that_there_can_be() {
    let sandbox = Sandbox::new();
    let head = "version: v1\nkind: Secret\nmetadata: {name: s}\ntype: keys\ndata: ";
    for name in ["''", "'=x'", "'A=hunter2'"] {
        sandbox.write("m.yaml", &format!("{head}{{{name}: v}}\n"));
        let run = sandbox.run(&["validate", "-f", "m.yaml", "--project-id", "p"]);
        assert_eq!(run.code, 2, "{}", run.stderr);
        assert!(run.stderr.contains("a name in `data` is empty or contains `=`"), "{}", run.stderr);
        assert!(!run.stderr.contains("hunter2"), "{}", run.stderr);
    }
}

#[test]
fn an_option_that_is_json_means_what_is_written() {
    let sandbox = Sandbox::new();
    let twice = r#"{"a":2,"a":1}"#;
    let below = r#"{"x":[{"b":1,"\u0062":2}]}"#;
    for (option, text, name, code) in [
        ("--metadata", twice, "a", 2),
        ("--metadata", below, "b", 2),
        ("--annotations", twice, "a", 2),
    ] {
        let words = ["rooms", "create", "--name", "r", option, text];
        let told = format!("{option} is ambiguous: \"{name}\" occurs twice in one object");
        refused(&sandbox, code, &words, &told);
    }
    sandbox.embedded(0, &["rooms", "create", "--name", "r", "--metadata", r#"{"a":{"a":1}}"#]);
    sandbox.write("m.yaml.j2", "version: v1\nkind: Room\nmetadata: {name: \"{{ v.a }}\"}\n");
    let value = format!("v={twice}");
    refused(&sandbox, 2, &["plan", "-f", "m.yaml.j2", "--value-json", &value], "occurs twice");

    let called = |arguments: &str| {
        let mut command = sandbox.command(&[
            "call",
            "tool",
            "--room",
            "r",
            "--participant-name",
            "p",
            "--url",
            "http://127.0.0.1:9/",
            "--project-id",
            "p",
            "--arguments",
            arguments,
        ]);
        command.env("MESHAGENT_TOKEN", "t");
        crate::cli::Run::of(command.output().unwrap())
    };
    for (arguments, told) in [
        (r#"{"id":123456789012345678901234567890}"#, "--arguments is not exact"),
        (r#"{"id":1,"id":2}"#, "--arguments is ambiguous: \"id\" occurs twice"),
        ("{", "--arguments is not JSON"),
    ] {
        let run = called(arguments);
        assert_eq!(run.code, 2, "{}", run.stderr);
        assert!(run.stderr.contains(told), "{}", run.stderr);
    }
    assert!(called(r#"{"id":12345678901234567}"#).stderr.contains("failed to call"));
}

#[test]
fn a_manifest_in_the_place_of_a_document_is_told_as_one() {
    let sandbox = Sandbox::new();
    sandbox.embedded(0, &["rooms", "create", "--name", "lobby"]);
    let head = "version: v1\nkind: Service\nmetadata: {name: s}\ncontainer: {image: i}\n";
    let cases = [
        ("room: lobby\n", "`room` is a field", "remove it here, and give `--room`;"),
        (
            "rooms: [lobby]\nproject: p\nlifecycle: {prevent_destroy: true}\n",
            "`project`, `rooms`, `lifecycle` are fields",
            "remove them here, and give `--project-id` and `--room`, one room at a time;",
        ),
        ("lifecycle: {}\n", "`lifecycle` is a field", "remove it here; or keep"),
    ];
    for (more, told, hint) in cases {
        sandbox.write("s.yaml", &format!("{head}{more}"));
        for command in ["create", "update"] {
            let words = ["service", command, "-f", "s.yaml", "--room", "lobby"];
            let run = sandbox.embedded(1, &words);
            let told = format!("this is not a plain service: {told} of a manifest");
            assert!(run.stderr.contains(&told), "{}", run.stderr);
            assert!(run.stderr.contains(hint), "{}", run.stderr);
        }
        let run = sandbox.run(&["service", "validate", "-f", "s.yaml"]);
        assert_eq!(run.code, 1, "{}", run.stderr);
        assert!(run.stderr.contains(told) && !run.stderr.contains("--room"), "{}", run.stderr);
    }
    // What the hint says is so.
    sandbox.write("s.yaml", head);
    sandbox.embedded(0, &["service", "create", "-f", "s.yaml", "--room", "lobby"]);
    sandbox.write("s.yaml", &format!("{head}room: lobby\n"));
    assert_eq!(sandbox.run(&["validate", "-f", "s.yaml"]).code, 0);

    let template = head.replace("kind: Service", "kind: ServiceTemplate");
    sandbox.write("t.yaml", &format!("{template}values: {{a: b}}\n"));
    let words = ["service", "create-template", "-f", "t.yaml", "--room", "lobby"];
    let run = sandbox.embedded(1, &words);
    assert!(run.stderr.contains("this is not a plain template: `values`"), "{}", run.stderr);
    let run = sandbox.run(&["service", "validate-template", "-f", "t.yaml"]);
    assert!(run.code == 1 && run.stderr.contains("`values` is a field"), "{}", run.stderr);
}
