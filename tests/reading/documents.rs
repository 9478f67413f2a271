//! Every document of a text is read, or refused with its place.

use super::{Sandbox, created, room, run, told, write};

/// The objects that a text declares.
fn declared(text: impl AsRef<[u8]>) -> Vec<String> {
    let sandbox = Sandbox::new();
    write(&sandbox, "m.yaml", text);
    let plan = sandbox.embedded(0, &["plan", "-f", "m.yaml"]);
    created(&plan).into_iter().map(str::to_owned).collect()
}

#[test]
fn a_document_may_begin_after_the_end_of_another() {
    let three = ["Room/one", "Room/three", "Room/two"];
    for between in
        ["...\n", "...\n---\n", "... # end\n# next\n", "...\n%YAML 1.2\n---\n", "---\n...\n---\n"]
    {
        let text = [room("one"), room("two"), room("three")].join(between);
        assert_eq!(declared(&text), three, "{between:?}");
        assert_eq!(declared(text.replace('\n', "\r\n")), three, "{between:?}");
        assert_eq!(declared(text.replace('\n', "\r")), three, "{between:?}");
    }
}

#[test]
fn joined_files_keep_their_byte_order_marks_to_themselves() {
    let text = ["---\n", &room("one"), "\u{feff}---\n", &room("two"), "...\n\u{feff}", &room("x")];
    assert_eq!(declared(text.concat()), ["Room/one", "Room/two", "Room/x"]);
}

#[test]
fn what_is_wrong_behind_the_end_of_a_document_is_told_with_its_place() {
    let sandbox = Sandbox::new();
    let text = format!("{}...\n# more\nversion: v1\nkind: Rom\nmetadata: {{name: b}}\n", room("a"));
    write(&sandbox, "m.yaml", &text);
    told(&run(&sandbox, 2, &["validate", "-f", "m.yaml"]), "m.yaml:8:7: unknown kind `Rom`");
    write(&sandbox, "m.yaml", text.replace('\n', "\r"));
    told(&run(&sandbox, 2, &["validate", "-f", "m.yaml"]), "m.yaml:8:7: unknown kind `Rom`");
    write(&sandbox, "m.yaml", format!("{}... {}", room("a"), room("b")));
    told(&run(&sandbox, 2, &["validate", "-f", "m.yaml"]), "m.yaml:5:5: invalid content");
}

#[test]
fn directives_are_read() {
    let sandbox = Sandbox::new();
    let text = format!(
        "# first\n%YAML 1.2\n%TAG !y! tag:yaml.org,2002:\n---\n{}description: !y!str 1\n",
        room("a").replace("metadata:", "metadata: # of a")
    );
    let text = text.replace("description", "  description");
    write(&sandbox, "m.yaml", format!("{text}...\n%YAML 1.2\n---\n{}", room("b")));
    let valid = run(&sandbox, 0, &["validate", "-f", "m.yaml"]);
    assert_eq!(
        (valid.stdout.as_str(), valid.stderr.as_str()),
        ("valid: 2 documents, 2 objects\n", "")
    );
    write(
        &sandbox,
        "m.yaml",
        format!("%YAML 1.1\n---\n{}...\n\n%YAML 1.1 # old\n---\n{}", room("a"), room("b")),
    );
    let valid = run(&sandbox, 0, &["validate", "-f", "m.yaml"]);
    for line in [1, 9] {
        told(&valid, &format!("note: m.yaml:{line}:1: the document is read as YAML 1.2"));
    }
    for (directive, message) in [
        ("%YAML 2.0\n---\n", "m.yaml:1:1: unsupported YAML major version"),
        ("%YAML 1.2\n", "m.yaml:2:1: did not find expected <document start>"),
    ] {
        write(&sandbox, "m.yaml", format!("{directive}{}", room("a")));
        told(&run(&sandbox, 2, &["validate", "-f", "m.yaml"]), message);
    }
}

#[test]
fn a_template_is_named_by_its_metadata() {
    let sandbox = Sandbox::new();
    let template = "version: v1\nkind: ServiceTemplate\nmetadata: {annotations: {name: other}, name: t}\n\
                    variables: [{name: tag}]\ncontainer:\n  image: 'x:{{ tag.missing.more }}'\n";
    let service =
        "---\nversion: v1\nkind: Service\nmetadata: {name: s}\ntemplate: other\nvalues: {tag: a}\n";
    write(&sandbox, "m.yaml", format!("{template}{service}"));
    told(
        &run(&sandbox, 2, &["validate", "-f", "m.yaml"]),
        "m.yaml:11:1: the set has no ServiceTemplate `other`",
    );
}
