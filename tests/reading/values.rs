//! A value means what was written.

use super::{Run, Sandbox, run, told, write};

const SERVICE: &str = "version: v1\nkind: Service\nmetadata:\n  name: s\n";

fn image(plan: &Run) -> &str {
    shown(plan, "+ container.image: ")
}

fn command(plan: &Run) -> &str {
    shown(plan, "+ container.command: ")
}

fn shown<'a>(plan: &'a Run, field: &str) -> &'a str {
    let line = plan.stdout.lines().find_map(|line| line.trim().strip_prefix(field));
    line.unwrap_or_else(|| panic!("{}", plan.stdout))
}

fn plan(sandbox: &Sandbox, arguments: &[&str]) -> Run {
    sandbox.embedded(0, &[&["plan", "-f", "s.yaml.j2"], arguments].concat())
}

#[test]
fn a_value_of_the_command_line_is_text_unless_json_is_asked_for() {
    let sandbox = Sandbox::new();
    write(
        &sandbox,
        "s.yaml.j2",
        format!("{SERVICE}container:\n  image: x\n  command: 'x:{{{{ tag }}}}'\n"),
    );
    for tag in [
        "1.10",
        "2024.10",
        "1234567e2",
        "12e4",
        "0x1F",
        "0o17",
        "true",
        "null",
        "1.0",
        "a#b",
        "[1]",
    ] {
        let planned = plan(&sandbox, &["-v", &format!("tag={tag}")]);
        assert_eq!(command(&planned), format!("\"x:{tag}\""));
    }
    for (json, shown) in [("7", "7"), ("2.50", "2.5"), ("\"1.10\"", "1.10")] {
        let planned = plan(&sandbox, &["--value-json", &format!("tag={json}")]);
        assert_eq!(command(&planned), format!("\"x:{shown}\""));
    }
    let both = plan(&sandbox, &["--value-json", "tag=1", "-v", "tag=2"]);
    assert_eq!(command(&both), "\"x:1\"");
    let refused = sandbox.embedded(2, &["plan", "-f", "s.yaml.j2", "--value-json", "tag=1.1.1"]);
    told(&refused, "--value-json \"tag\": not JSON");
    told(&refused, "hint: write --value-json NAME=JSON");
}

#[test]
fn a_boolean_is_given_as_json_and_a_text_that_looks_like_one_is_told() {
    let sandbox = Sandbox::with_platform();
    let text = "container:\n  image: 'x:{% if debug %}debug{% else %}plain{% endif %}'\n";
    write(&sandbox, "s.yaml.j2", format!("{SERVICE}{text}"));
    let planned = plan(&sandbox, &["--value-json", "debug=false"]);
    assert_eq!((image(&planned), planned.stderr.as_str()), ("\"x:plain\"", ""));
    let planned = plan(&sandbox, &["-v", "debug=false"]);
    assert_eq!(image(&planned), "\"x:debug\"");
    told(&planned, "--value-json debug=false is a boolean");
}

#[test]
fn a_saved_plan_is_given_its_json_values_again() {
    let sandbox = Sandbox::new();
    write(&sandbox, "s.yaml.j2", format!("{SERVICE}container:\n  image: 'x:{{{{ n + 1 }}}}'\n"));
    plan(&sandbox, &["--value-json", "n=1", "--out", "plan.json"]);
    let refused = sandbox.embedded(2, &["apply", "plan.json"]);
    told(&refused, "the plan was made with --value-json n=…, but plans do not contain values");
    let other = sandbox.embedded(5, &["apply", "plan.json", "--value-json", "n=2"]);
    told(&other, "the plan is stale");
    sandbox.embedded(0, &["apply", "plan.json", "--value-json", "n=1"]);
}

#[test]
fn a_port_in_quotes_is_a_port() {
    let sandbox = Sandbox::new();
    for (ports, same) in [
        ("[{num: \"8080\"}]", true),
        ("[{num: \"09090\", published: true}, {num: '*'}]", true),
        ("[{num: 7070}, {num: \"07070\"}]", false),
    ] {
        write(&sandbox, "s.yaml", format!("{SERVICE}container: {{image: x}}\nports: {ports}\n"));
        if same {
            sandbox.embedded(0, &["apply", "-f", "s.yaml", "--yes"]);
            let again = sandbox.embedded(0, &["plan", "-f", "s.yaml", "--exit-code"]);
            assert!(again.stdout.starts_with("Nothing to change"), "{}", again.stdout);
        } else {
            told(
                &sandbox.embedded(6, &["plan", "-f", "s.yaml"]),
                "s.yaml:6:23: `ports[1].num` is `7070`, which occurs twice, first at [0]",
            );
        }
    }
}

#[test]
fn what_stands_twice_in_a_service_is_told_at_its_second_place() {
    let sandbox = Sandbox::new();
    for (container, message) in [
        (
            "  environment:\n  - {name: A}\n  - {name: B}\n  - {name: A}\n",
            "10:6: `container.environment[2].name` is `A`",
        ),
        ("  secrets: [a, b, b]\n", "7:19: `container.secrets[2]` is `b`"),
        (
            "  storage:\n    files:\n    - {path: /a, text: x}\n    - {path: /a/, text: y}\n",
            "10:8: `container.storage.files[1].path` is `/a`",
        ),
        (
            "  storage:\n    room: [{path: /a}]\n    empty_dirs: [{path: /a}]\n",
            "9:19: `container.storage.empty_dirs[0].path` is `/a`",
        ),
    ] {
        write(&sandbox, "s.yaml", format!("{SERVICE}container:\n  image: x\n{container}"));
        told(
            &run(&sandbox, 2, &["validate", "-f", "s.yaml"]),
            &format!("s.yaml:{message}, which occurs twice, first at "),
        );
    }
    let template = "version: v1\nkind: ServiceTemplate\nmetadata: {name: t}\nvalues: {}\ncontainer:\n  \
                    image: x\n  environment: [{name: A}, {name: A}]\n";
    write(&sandbox, "s.yaml", template);
    told(&run(&sandbox, 2, &["validate", "-f", "s.yaml"]), "is `A`, which occurs twice");
}

#[test]
fn the_mark_of_an_owner_is_refused_at_its_line() {
    let sandbox = Sandbox::new();
    let annotations = "  annotations:\n    team: a\n    meshagent.set: other\n";
    for (kind, rest) in
        [("Room", ""), ("Service", "container: {image: x}\n"), ("Mailbox", "room: r\nqueue: q\n")]
    {
        let text = format!(
            "version: v1\nkind: {kind}\nmetadata:\n  name: a@b.example\n{annotations}{rest}"
        );
        write(&sandbox, "m.yaml", text);
        told(
            &run(&sandbox, 2, &["validate", "-f", "m.yaml"]),
            "m.yaml:7:5: the annotation `meshagent.set` says which set owns an object",
        );
    }
    write(
        &sandbox,
        "m.yaml",
        format!(
            "version: v1\nkind: ServiceTemplate\nmetadata:\n  name: t\n{annotations}values: {{}}\ncontainer: {{image: x}}\n"
        ),
    );
    told(&run(&sandbox, 2, &["validate", "-f", "m.yaml"]), "the annotation `meshagent.set` says");
}

#[test]
fn numbers_are_those_of_yaml_1_2_and_none_is_rounded() {
    let sandbox = Sandbox::new();
    let room = |value: &str| {
        format!(
            "version: v1\nkind: Room\nmetadata: {{name: a}}\nroom_metadata:\n  value: {value}\n"
        )
    };
    for (written, shown) in [
        ("0b11", "\"0b11\""),
        ("0X1f", "\"0X1f\""),
        ("-0x1F", "\"-0x1F\""),
        ("0x1F", "31"),
        ("18446744073709551615", "18446744073709551615"),
        ("-9223372036854775808", "-9223372036854775808"),
        ("\"18446744073709551616\"", "\"18446744073709551616\""),
    ] {
        write(&sandbox, "m.yaml", room(written));
        let plan = sandbox.embedded(0, &["plan", "-f", "m.yaml", "-o", "json"]).json();
        let fields = &plan["operations"][0]["fields"]["room_metadata"]["value"];
        assert_eq!(fields.to_string(), shown, "{written}");
    }
    for number in ["18446744073709551616", "-9223372036854775809", "100000000000000000000000"] {
        for name in ["m.yaml", "m.json"] {
            let text = match name {
                "m.json" => format!(
                    "{{\"version\": \"v1\", \"kind\": \"Room\", \"metadata\": {{\"name\": \"a\"}},\n\"room_metadata\": {{\"value\": {number}}}}}"
                ),
                _ => room(number),
            };
            write(&sandbox, name, text);
            let refused = run(&sandbox, 2, &["validate", "-f", name]);
            told(&refused, &format!("`{number}` has more than 64 bits"));
            told(&refused, if name == "m.json" { "m.json:2:28: " } else { "m.yaml:5:10: " });
        }
    }
}

/// The fault: values that were there and could not be read were passed over, and what they named
/// was deleted.
#[test]
fn values_beside_a_template_that_are_no_file_are_refused() {
    let sandbox = Sandbox::new();
    let named = "version: v1\nkind: Room\nmetadata: {name: \"{{ x | default('d') }}\"}\n";
    write(&sandbox, "m/a.yaml.j2", named);
    for name in ["values.yaml", "values.yml"] {
        let path = sandbox.path("m").join(name);
        std::fs::create_dir(&path).unwrap();
        told(&run(&sandbox, 2, &["validate", "-f", "m"]), &format!("m/{name}: "));
        std::fs::remove_dir(&path).unwrap();
        let made = std::process::Command::new("mkfifo").arg(&path).status().unwrap();
        assert!(made.success());
        told(&run(&sandbox, 2, &["validate", "-f", "m"]), "this is a pipe, not a file");
        std::fs::remove_file(&path).unwrap();
    }
}
