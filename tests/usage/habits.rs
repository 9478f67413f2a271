//! Lines and manifests that are nearly right lead to what is meant.

use crate::cli::{Run, Sandbox};

#[track_caller]
fn tells(run: &Run, expected: &str) {
    assert!(run.stderr.contains(expected), "{expected:?} is not in\n{}", run.stderr);
}

const ROOM: &str = "version: v1\nkind: Room\nmetadata: {name: a}\n";

#[test]
fn a_file_that_is_named_as_values_is_no_manifest() {
    let sandbox = Sandbox::new();
    std::fs::create_dir(sandbox.path("m")).unwrap();
    sandbox.write("m/room.yaml.j2", &ROOM.replace("name: a", "name: '{{ room }}'"));
    sandbox.write("m/values-prod.yaml", "room: hall\n");
    let plan = ["plan", "-f", "m", "--values-file", "m/values-prod.yaml", "--verbose"];
    let run = sandbox.embedded(0, &plan);
    assert!(run.stdout.contains("create Room/hall"), "{}", run.stdout);
    tells(&run, "not read: m/values-prod.yaml: it holds values for templates");
}

#[test]
fn a_second_document_without_its_line_is_told() {
    let sandbox = Sandbox::new();
    sandbox.write("m.yaml", &[ROOM, &ROOM.replace("name: a", "name: b")].concat());
    let run = sandbox.run(&["validate", "-f", "m.yaml"]);
    tells(&run, "m.yaml:4:1: duplicate key `version`");
    tells(&run, "hint: to begin another document, put a line `---` before it");
    sandbox.write("m.yaml", "kind: Room\nmetadata: {name: a}\nkind: Room\nversion: v1\n");
    tells(&sandbox.run(&["validate", "-f", "m.yaml"]), "put a line `---` before it");
    // What is twice in one map is something else.
    sandbox.write("m.yaml", &[ROOM, "room_metadata: {x: {version: 1, version: 2}}\n"].concat());
    let run = sandbox.run(&["validate", "-f", "m.yaml"]);
    assert!(!run.stderr.contains("---"), "{}", run.stderr);
}

#[test]
fn a_field_of_the_lifecycle_in_another_place_is_named() {
    let sandbox = Sandbox::new();
    sandbox.write("m.yaml", &[ROOM, "moved_from: b\n"].concat());
    tells(&sandbox.run(&["validate", "-f", "m.yaml"]), "hint: write `lifecycle.moved_from`");
    sandbox.write("m.yaml", &ROOM.replace("name: a", "name: a, prevent_destroy: true"));
    tells(&sandbox.run(&["validate", "-f", "m.yaml"]), "hint: write `lifecycle.prevent_destroy`");
}

#[test]
fn a_type_that_is_none_is_told_with_those_that_are() {
    let sandbox = Sandbox::new();
    let secret = "version: v1\nkind: Secret\nmetadata: {name: s}\ntype: zzzzzzzz\n";
    sandbox.write("m.yaml", secret);
    let run = sandbox.run(&["validate", "-f", "m.yaml"]);
    tells(&run, "`type` must be one of keys, docker, acr, gar");
    assert!(!run.stderr.contains("zzzz"), "{}", run.stderr);
}

#[test]
fn a_level_that_is_none_and_a_url_are_refused() {
    let sandbox = Sandbox::new();
    let run = sandbox.run(&["version", "--log", "nope"]);
    tells(&run, "--log \"nope\" is not a log level");
    tells(&run, "hint: use error, warn, info, debug or trace");
    assert!(sandbox.run(&["version", "--log", "debug"]).stderr.is_empty());
    let run = sandbox.run(&["validate", "-f", "https://example.com/m.yaml"]);
    tells(&run, "manifests must be files, but this is a URL");
    tells(&run, "hint: fetch it with another program, and read its output with `-f -`");
}

#[test]
fn a_number_that_cannot_be_held_leads_to_a_text() {
    let sandbox = Sandbox::new();
    sandbox.write("m.yaml.j2", ROOM);
    let pair = "n=99999999999999999999";
    let run = sandbox.run(&["validate", "-f", "m.yaml.j2", "--value-json", pair]);
    tells(&run, "hint: use -v n=TEXT to give a text as it is written");
    assert!(!run.stderr.contains("write --value-json"), "{}", run.stderr);
}

#[test]
fn an_undefined_name_is_told_at_its_column() {
    let sandbox = Sandbox::new();
    let text = "version: v1\nkind: Room\nmetadata:\n  name: 'hall-{{ hall }}'\n";
    sandbox.write("m.yaml.j2", text);
    tells(&sandbox.run(&["validate", "-f", "m.yaml.j2"]), "m.yaml.j2:4:18: undefined value");
}

#[test]
fn a_schedule_is_refused_without_being_repeated() {
    let sandbox = Sandbox::new();
    for (schedule, told) in [
        ("99 * * * *", "the minute is not valid; its values go from 0 to 59"),
        ("0 25 * * *", "the hour is not valid; its values go from 0 to 23"),
        ("0 0 * * SEKRET", "the weekday is not valid; its values go from 0 to 7"),
        ("0 0 * *", "there are 4 fields"),
        ("@sometimes", "this nickname is unknown; a known one is `@hourly`"),
    ] {
        let task = "version: v1\nkind: ScheduledTask\nmetadata: {name: t}\nroom: a\nqueue: q\npayload: {}\n";
        sandbox.write("m.yaml", &format!("{task}schedule: '{schedule}'\n"));
        let run = sandbox.run(&["validate", "-f", "m.yaml"]);
        tells(&run, told);
        let message = run.stderr.lines().next().unwrap_or_default();
        assert!(!message.contains(schedule) && !message.contains("omponent"), "{}", run.stderr);
    }
}

#[test]
fn a_port_with_a_fraction_is_told_in_plain_words() {
    let sandbox = Sandbox::new();
    let route = "version: v1\nkind: Route\nmetadata: {name: a.example.com}\nroom: a\nport: @\n";
    for port in ["80.0", "8e1", "80.5"] {
        sandbox.write("m.yaml", &route.replace('@', port));
        let run = sandbox.run(&["validate", "-f", "m.yaml"]);
        tells(&run, "m.yaml:5:");
        assert!(!run.stderr.contains("floating point"), "{port}: {}", run.stderr);
    }
}

#[test]
fn sources_of_secrets_are_told_in_the_order_of_their_lines() {
    let sandbox = Sandbox::new();
    let secret = "version: v1\nkind: Secret\nmetadata: {name: s}\ntype: keys\ndata:\n  Z: {from: {env: O_NOT_SET_Z}}\n  A: {from: {file: none.txt}}\n  M: {from: {env: O_NOT_SET_M}}\n";
    sandbox.write("m.yaml", secret);
    let run = sandbox.embedded(6, &["apply", "-f", "m.yaml", "--yes"]);
    let lines: Vec<usize> =
        (6..9).filter_map(|line| run.stderr.find(&format!("m.yaml:{line}:"))).collect();
    assert!(lines.len() == 3 && lines.is_sorted(), "{}", run.stderr);
}

#[test]
fn help_is_a_command_too() {
    let sandbox = Sandbox::new();
    for (words, option) in [
        (&["help"][..], &["--help"][..]),
        (&["help", "plan"], &["plan", "--help"]),
        (&["help", "set", "move"], &["set", "move", "--help"]),
    ] {
        let (help, same) = (sandbox.run(words), sandbox.run(option));
        assert_eq!((help.code, &help.stdout), (0, &same.stdout), "{words:?}");
        assert!(help.stdout.contains("Usage: meshagent"), "{}", help.stdout);
    }
    let run = sandbox.run(&["help", "plan", "fast"]);
    assert_eq!(run.code, 2);
    assert_eq!(
        run.stderr,
        "error: there is no command \"plan fast\"\nhint: `meshagent --help` lists them\n"
    );
}

#[test]
fn a_kind_is_explained_with_all_that_is_in_it() {
    let sandbox = Sandbox::new();
    let run = sandbox.run(&["explain", "Service.container", "--recursive"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert!(run.stdout.starts_with("Service.container: map\n"), "{}", run.stdout);
    for line in
        ["  environment: list of map\n", "    name: text, required\n", "      identity: text"]
    {
        assert!(run.stdout.contains(line), "{line}: {}", run.stdout);
    }
}

#[test]
fn what_was_validated_is_told_to_programs() {
    let sandbox = Sandbox::with_examples();
    let run = |words: &[&str]| {
        let run = sandbox.run(&[&["validate", "--output", "json", "-f"], words].concat());
        let document: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
        (run.code, document, run.stderr)
    };
    let (code, document, stderr) = run(&["examples/manifests"]);
    assert_eq!((code, stderr.as_str()), (0, ""));
    assert_eq!(document["valid"], true);
    assert!(document["objects"].as_u64() >= document["documents"].as_u64(), "{document}");
    sandbox.write("wrong.yaml", "version: v1\nkind: Room\nmetadata: {name: a}\ncolour: red\n");
    let (code, document, stderr) = run(&["wrong.yaml"]);
    assert_eq!((code, stderr.as_str()), (2, ""));
    let place = serde_json::json!({"file": "wrong.yaml", "line": 4, "column": 1});
    assert_eq!(document["failure"]["problems"][0]["place"], place, "{document}");
    assert_eq!((&document["valid"], &document["failure"]["code"]), (&false.into(), &2.into()));
}

#[test]
fn what_manifests_of_others_have_leads_to_what_is_meant() {
    let sandbox = Sandbox::new();
    let service = "version: v1\nkind: Service\nmetadata: {name: a}\n";
    for (manifest, hint) in [
        ("apiVersion: v1\nkind: Room\nmetadata: {name: a}\n".to_owned(), "write `version: v1`"),
        (ROOM.to_owned() + "spec: {}\n", "there is no `spec`: write its fields"),
        (
            ROOM.replace("name: a", "name: a, namespace: b"),
            "write `project` and `room` at the top level of the document",
        ),
        (ROOM.replace("name: a", "name: a, labels: {}"), "write `metadata.annotations`"),
        (service.to_owned() + "container: {image: a, ports: [80]}\n", "write `ports` beside"),
        (service.to_owned() + "ports: [{num: 80, published: yes}]\n", "hint: write `true`: only"),
        (service.to_owned() + "ports: [{num: 80, published: off}]\n", "hint: write `false`: only"),
    ] {
        sandbox.write("m.yaml", &manifest);
        tells(&sandbox.run(&["validate", "-f", "m.yaml"]), hint);
    }
}

#[test]
fn groups_of_the_reference_that_are_not_here_are_told_of() {
    let all: serde_json::Value =
        serde_json::from_str(include_str!("../commands/reference.json")).unwrap();
    let tree = meshagent::commands::tree();
    let groups: std::collections::BTreeSet<&str> =
        all.as_array().unwrap().iter().filter_map(first_word).collect();
    let missing: Vec<_> =
        groups.into_iter().filter(|it| tree.find_subcommand(it).is_none()).collect();
    assert_eq!(missing, ["mcp", "meeting-transcriber", "test"]);
    for group in missing {
        let run = Sandbox::new().run(&[group]);
        assert_eq!(run.code, 2);
        tells(&run, "hint: this program does not have it yet: use the Python command line");
    }
}

fn first_word(command: &serde_json::Value) -> Option<&str> {
    command["path"].as_str()?.split(' ').next()
}

#[test]
fn the_environment_names_the_manifests_where_no_option_does() {
    let sandbox = Sandbox::new();
    std::fs::create_dir(sandbox.path("m")).unwrap();
    sandbox.write("m/a.yaml", ROOM);
    sandbox.write("b.yaml", &ROOM.replace("name: a", "name: b"));
    sandbox.write("c.yaml", &ROOM.replace("name: a", "name: c"));
    let run = |named: &str, words: &[&str]| {
        let mut command = sandbox.command(words);
        Run::of(command.env("MESHAGENT_FILE", named).output().unwrap())
    };
    let commands: [&[&str]; 6] = [
        &["validate"],
        &["plan", "--embedded"],
        &["diff", "--embedded"],
        &["graph", "--embedded"],
        &["apply", "--embedded", "--yes"],
        &["accept", "--embedded"],
    ];
    for words in commands {
        let told = run("m:b.yaml:", words);
        assert_eq!(told.code, 0, "{words:?}: {}", told.stderr);
        tells(&told, "note: MESHAGENT_FILE names the manifests: m, b.yaml");
        let none = run("", words);
        assert_eq!((none.code, none.stdout.as_str()), (2, ""), "{words:?}");
        tells(&none, "no manifests are given");
        tells(&none, "hint: name a file or a folder with -f, or in MESHAGENT_FILE");
    }
    // An option goes before it, and a saved plan says what it was made from.
    let planned = run("m:b.yaml", &["plan", "-f", "c.yaml", "--embedded", "--out", "plan.json"]);
    assert!(planned.stdout.contains("create Room/c"), "{}", planned.stdout);
    assert!(!planned.stderr.contains("MESHAGENT_FILE"), "{}", planned.stderr);
    let applied = run("m:b.yaml", &["apply", "plan.json", "--embedded"]);
    assert_eq!(applied.code, 0, "{}", applied.stderr);
    // Without an option a whole set is destroyed, wherever its manifests are.
    let destroyed = run("b.yaml", &["destroy", "--embedded", "--yes"]);
    assert!(destroyed.stdout.ends_with("Applied: 3 done.\n"), "{}", destroyed.stdout);
}

#[test]
fn the_project_has_one_letter_where_nothing_else_has_it() {
    let (mut open, mut seen) = (vec![meshagent::commands::whole_tree()], 0);
    while let Some(command) = open.pop() {
        let of = |name: &str| command.get_arguments().find(|it| it.get_id() == name);
        let Some(project) = of("project_id") else {
            open.extend(command.get_subcommands().cloned());
            continue;
        };
        seen += 1;
        let is_other = |it: &&clap::Arg| it.get_id() != "project_id" && it.get_short() == Some('n');
        let expected =
            if command.get_arguments().any(|it| is_other(&it)) { None } else { Some('n') };
        assert_eq!(project.get_short(), expected, "{}", command.get_name());
        open.extend(command.get_subcommands().cloned());
    }
    assert!(seen > 30, "{seen}");
    let sandbox = Sandbox::new();
    let run = sandbox.run(&["rooms", "list", "-n", "elsewhere", "--embedded"]);
    assert_eq!(run.code, 1, "{}", run.stdout);
    tells(&run, "elsewhere");
}

#[test]
fn a_list_says_what_it_prints_for_scripts() {
    let tree = meshagent::commands::whole_tree();
    let help = |words: &[&str]| {
        let command = words.iter().try_fold(&tree, |it, word| it.find_subcommand(word)).unwrap();
        let quiet = command.get_arguments().find(|it| it.get_id() == "quiet").unwrap();
        quiet.get_help().unwrap().to_string()
    };
    for (words, what) in [
        (["project", "list"], "ids"),
        (["rooms", "list"], "names"),
        (["set", "list"], "names"),
        (["mailbox", "list"], "addresses"),
        (["route", "list"], "domains"),
        (["session", "show"], "types of the events"),
        (["webhook", "list"], "ids"),
    ] {
        let expected = format!("Print only the {what}, one per line, for scripts");
        assert_eq!(help(&words), expected, "{words:?}");
    }
}

#[test]
fn help_can_be_read_in_a_terminal_without_a_width() {
    let sandbox = Sandbox::new();
    let help = |columns: &str| {
        let mut command = sandbox.command(&["plan", "--help"]);
        Run::of(command.env("COLUMNS", columns).output().unwrap()).stdout
    };
    assert_eq!(help("0"), help("80"));
    assert_eq!(help("3"), help("80"));
    assert_ne!(help("60"), help("80"));
}

#[test]
fn what_is_told_of_very_many_problems_has_an_end() {
    let sandbox = Sandbox::new();
    let wrong = "---\nversion: v1\nkind: Room\nmetadata: {name: a}\nbogus: 1\n".repeat(1500);
    sandbox.write("m.yaml", &wrong);
    let failure = &sandbox.run(&["validate", "-f", "m.yaml", "-o", "json"]).json()["failure"];
    assert_eq!(failure["problems"].as_array().unwrap().len(), 1000);
    assert_eq!(failure["more_problems"], 500);
    sandbox.write("m.yaml", "bogus: 1\n");
    let failure = &sandbox.run(&["validate", "-f", "m.yaml", "-o", "json"]).json()["failure"];
    assert!(failure.get("more_problems").is_none(), "{failure}");
}

#[test]
fn a_file_is_not_taken_for_the_name_of_an_object() {
    let sandbox = Sandbox::new();
    sandbox.write("m.yaml", "version: v1\nkind: Room\nmetadata: {name: a}\n");
    for option in ["--adopt", "--target"] {
        let run = sandbox.run(&["plan", "-f", "m.yaml", option, "m.yaml", "--embedded"]);
        assert!(run.stderr.contains("files are given with -f"), "{option}: {}", run.stderr);
    }
}
