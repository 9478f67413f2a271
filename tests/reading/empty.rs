//! What is left empty, given twice or wrong in its form is refused at its place, and never
//! means something wider or something else.

use super::{Sandbox, room, run, told, write};

/// What `validate` says of a file that it refuses.
#[track_caller]
fn refused(name: &str, text: &str, messages: &[&str]) {
    let sandbox = Sandbox::new();
    write(&sandbox, name, text);
    let said = run(&sandbox, 2, &["validate", "-f", name, "--project-id", "p"]);
    messages.iter().for_each(|message| told(&said, message));
}

const SERVICE: &str = "version: v1\nkind: Service\nmetadata: {name: s}\ncontainer: {image: x}\n";

#[test]
fn a_field_that_says_where_is_not_left_empty() {
    let every_room = "hint: name a room, or leave the field out for every room";
    for empty in ["", " ~", " null"] {
        for field in ["room", "rooms"] {
            let text = format!("{SERVICE}{field}:{empty}\n");
            refused(
                "m.yaml",
                &text,
                &[&format!("m.yaml:5:1: `{field}` is left empty"), every_room],
            );
        }
        for (field, kind) in
            [("lifecycle", SERVICE), ("project", &room("a")), ("lifecycle", &room("a"))]
        {
            let text = format!("{kind}{field}:{empty}\n");
            refused("m.yaml", &text, &[&format!("`{field}` is left empty"), "leave the field out"]);
        }
        let text = format!("{}lifecycle:\n  moved_from:{empty}\n", room("a"));
        refused("m.yaml", &text, &["m.yaml:6:3: `lifecycle.moved_from` is left empty"]);
    }
    refused(
        "m.yaml",
        &format!("{SERVICE}room: \"\"\n"),
        &["m.yaml:5:1: `room` must not be empty", every_room],
    );
    let template = "version: v1\nkind: ServiceTemplate\nmetadata: {name: t}\ncontainer: {image: x}\nvalues: {}\nroom:\n";
    refused("m.yaml", template, &["m.yaml:6:1: `room` is left empty", every_room]);
    let mailbox = "version: v1\nkind: Mailbox\nmetadata: {name: a@b.c}\nqueue: q\nroom:\n";
    refused("m.yaml", mailbox, &["`room` is left empty", "hint: name a room\n"]);
}

#[test]
fn keys_of_one_text_are_one_key() {
    let of = |rest: &str| format!("{}{rest}", room("a"));
    for (rest, message) in [
        ("room_metadata: {1: a, \"1\": b}\n", "m.yaml:5:23: duplicate key `1`"),
        ("room_metadata:\n  x:\n  - '1.0': a\n    1.0: b\n", "m.yaml:8:5: duplicate key `1.0`"),
        ("room_metadata: {true: a, 'true': b}\n", "duplicate key `true`"),
        ("room_metadata: {0x1: a, '0x1': b}\n", "duplicate key `0x1`"),
        ("room_metadata: {null: a, 'null': b}\n", "a key must be text, not null"),
        ("  annotations: {1: a, '1': b}\n", "duplicate key `1`"),
    ] {
        refused("m.yaml", &of(rest), &[message]);
    }
    let secret =
        "version: v1\nkind: Secret\nmetadata: {name: a}\ntype: keys\ndata:\n  1: a\n  '1': b\n";
    refused("m.yaml", secret, &["m.yaml:7:3: duplicate key `1`"]);
    let merges = "room_metadata:\n  a: &a {x: 1}\n  b: &b {y: 2}\n  c:\n    <<: *a\n    z: {<<: *a}\n    <<: *b\n";
    refused(
        "m.yaml",
        &of(merges),
        &["m.yaml:11:5: duplicate key `<<`", "give one `<<` a list of them"],
    );
    let sandbox = Sandbox::new();
    for fine in [
        merges.replace("    <<: *b\n", ""),
        merges.replace("    <<: *b\n", "").replace("<<: *a\n", "<<: [*a, *b]\n    x: 3\n"),
        "room_metadata: {'<<': 1, b: {'<<': 2}, 1: a, '01': b}\n".to_owned(),
    ] {
        write(&sandbox, "m.yaml", of(&fine));
        run(&sandbox, 0, &["validate", "-f", "m.yaml", "--project-id", "p"]);
    }
}

#[test]
fn no_number_is_rounded() {
    for number in ["123456789012345678.5", "-0.12345678901234567890", "1e-400"] {
        let text = format!("{}room_metadata: {{v: {number}}}\n", room("a"));
        refused("m.yaml", &text, &[&format!("m.yaml:5:20: `{number}` has more digits")]);
        let text = format!(
            "{{\"version\": \"v1\", \"kind\": \"Room\", \"metadata\": {{\"name\": \"a\"}}, \"room_metadata\": {{\"v\": {number}}}}}"
        );
        refused("m.json", &text, &[&format!("`{number}` has more digits")]);
    }
    let sandbox = Sandbox::new();
    write(
        &sandbox,
        "m.yaml",
        format!("{}room_metadata: {{v: [0.1, 1e3, -2.50, 1e23]}}\n", room("a")),
    );
    run(&sandbox, 0, &["validate", "-f", "m.yaml", "--project-id", "p"]);
    write(&sandbox, "m.yaml.j2", room("a"));
    let json = ["validate", "-f", "m.yaml.j2", "--project-id", "p", "--value-json"];
    let said = run(&sandbox, 2, &[&json[..], &["v=[0.123456789012345678]"]].concat());
    told(&said, "`0.123456789012345678` has more digits than a number can hold");
}

#[test]
fn a_file_of_json_holds_json() {
    let of = |value: &str| {
        format!(
            "{{\"version\": \"v1\", \"kind\": \"Room\", \"metadata\": {{\"name\": \"a\"}},\n\"room_metadata\": {{\"v\": {value}}}}}\n"
        )
    };
    for value in ["01", "NaN", "'x'", "1,", "0x1", "+1", ".5", "yes"] {
        refused(
            "m.json",
            &of(value),
            &["m.json:2:", "not JSON: ", "give a YAML file a name that ends in .yaml"],
        );
    }
    let sandbox = Sandbox::new();
    write(&sandbox, "m.json", of("[1, -2.5e3, \"01\", null, {\"a\": true}]"));
    run(&sandbox, 0, &["validate", "-f", "m.json", "--project-id", "p"]);
}

#[test]
fn a_file_is_given_once() {
    let sandbox = Sandbox::new();
    write(&sandbox, "m/a.yaml", room("a"));
    write(&sandbox, "b.yaml", room("b"));
    for (twice, message) in [
        (["m", "m/a.yaml"], "m/a.yaml: the file is given twice"),
        (["b.yaml", "./b.yaml"], "./b.yaml: the file is given twice, first as b.yaml"),
        (["m", "./m"], "./m/a.yaml: the file is given twice, first as m/a.yaml"),
    ] {
        let said =
            run(&sandbox, 2, &["validate", "--project-id", "p", "-f", twice[0], "-f", twice[1]]);
        told(&said, message);
    }
    run(&sandbox, 0, &["validate", "--project-id", "p", "-f", "m", "-f", "b.yaml"]);
}

#[test]
fn a_wrong_source_of_a_secret_is_told_in_words() {
    let secret = |from: &str| {
        format!(
            "version: v1\nkind: Secret\nmetadata: {{name: a}}\ntype: keys\ndata:\n  A: {{from: {from}}}\n"
        )
    };
    for (from, message, hint) in [
        (
            "{evn: X}",
            "m.yaml:6:14: `data.A.from.evn` has the unknown source `evn`",
            "did you mean `env`?",
        ),
        (
            "{command: echo hi}",
            "`data.A.from.command` is not a list of words",
            "run without a shell",
        ),
        ("env", "m.yaml:6:7: `data.A.from` is text, not a source", "write `from: {env: NAME}`"),
        ("{env: X, file: y}", "names two sources, `env` and `file`", "is read from one"),
        ("{vault: x}", "has the unknown source `vault`", "`from: {command: [PROGRAM, ARGUMENT]}`"),
        ("[x]", "`data.A.from` is not a source", "`from: {file: PATH}`"),
    ] {
        refused("m.yaml", &secret(from), &[message, hint]);
    }
    let docker = "version: v1\nkind: Secret\nmetadata: {name: a}\ntype: docker\nserver: s\nusername: u\npassword: {from: {fil: x}}\n";
    refused("m.yaml", docker, &["m.yaml:7:", "unknown source `fil`", "did you mean `file`?"]);
}

/// As an editor leaves a file while it writes it: what it declared would be deleted.
#[test]
fn a_file_without_anything_is_told_and_nothing_at_all_is_not_valid() {
    let sandbox = Sandbox::new();
    write(&sandbox, "m/a.yaml", room("a"));
    write(&sandbox, "m/b.yaml", "");
    let valid = run(&sandbox, 0, &["validate", "-f", "m"]);
    told(&valid, "note: m/b.yaml is empty, and declares nothing");
    for file in ["m/b.yaml", "comment.yaml", "none"] {
        write(&sandbox, "comment.yaml", "# nothing\n---\n---\n");
        std::fs::create_dir_all(sandbox.path("none")).unwrap();
        told(&run(&sandbox, 2, &["validate", "-f", file]), "error: the manifests declare nothing");
        let json = run(&sandbox, 2, &["validate", "-f", file, "-o", "json"]).json();
        assert_eq!(json["valid"], false, "{json}");
        run(&sandbox, 0, &["validate", "-f", file, "--allow-empty"]);
    }
}

#[test]
fn hints_are_about_what_is_there() {
    let big = format!("{}room_metadata:\n  big: 12345678901234567890123\n", room("a"));
    let sandbox = Sandbox::new();
    write(&sandbox, "m.yaml", big);
    let said = run(&sandbox, 2, &["validate", "-f", "m.yaml"]);
    assert!(!said.stderr.contains("is not closed"), "{}", said.stderr);
    refused("m.yaml", "kind: Room\nmetadata: {name: a}\n", &["hint: write `version: v1`"]);
    let secret = "version: v1\nkind: Secret\nmetadata: {name: a}\ndata: {A: x}\n";
    refused(
        "m.yaml",
        secret,
        &["missing field `type`", "hint: it is one of keys, docker, acr, gar"],
    );
    let capital = "Version: v1\nKind: Room\nMetadata: {name: a}\n";
    refused("m.yaml", capital, &["write the names of fields in small letters: `kind`"]);
    let wide = "v\u{0}e\u{0}";
    let bytes: Vec<u8> = [&[0xff, 0xfe], wide.as_bytes()].concat();
    std::fs::write(sandbox.path("m.yaml"), bytes).unwrap();
    told(&run(&sandbox, 2, &["validate", "-f", "m.yaml"]), "hint: save the file as UTF-8");
}
