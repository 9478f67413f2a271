//! Names are checked by one rule, whatever bears them, and what is declared twice is told with
//! the place that is read first.

use super::{Sandbox, tells, validate};

fn template(name: &str) -> String {
    format!(
        "version: v1\nkind: ServiceTemplate\nmetadata:\n  name: {name:?}\ncontainer: {{image: x}}\n"
    )
}

#[test]
fn a_template_that_nothing_places_has_a_name_too() {
    let sandbox = Sandbox::new();
    let long = "n".repeat(300);
    for (name, what) in [
        ("", "must not be empty"),
        (" ", "must not be empty"),
        ("a\nb", "must not contain control characters"),
        (&*long, "is longer than 255 characters"),
    ] {
        let run = validate(&sandbox, 2, "t.yaml", &template(name));
        tells(&run, &format!("t.yaml:4:9: `metadata.name` {what}"));
        // Placed or not, it is the same, and told one time.
        let placed = format!("{}project: p\nvalues: {{}}\n", template(name));
        let run = validate(&sandbox, 2, "t.yaml", &placed);
        tells(&run, &format!("`metadata.name` {what}"));
        assert_eq!(run.stderr.matches(what).count(), 1, "{}", run.stderr);
    }
    let json = r#"{"version": "v1", "kind": "ServiceTemplate", "metadata": {"name": " "}, "container": {"image": "x"}}"#;
    tells(&validate(&sandbox, 2, "t.json", json), "`metadata.name` must not be empty");
    validate(&sandbox, 0, "t.yaml", &template("Any name: ä"));
}

#[test]
fn a_template_whose_name_is_a_value_has_none_yet() {
    let sandbox = Sandbox::new();
    let text = "version: v1\nkind: ServiceTemplate\nmetadata:\n  name: \"{{ name }}\"\n\
        variables: [{name: name}]\ncontainer: {image: x}\n";
    validate(&sandbox, 0, "t.yaml", text);
    let placed = format!("{text}project: p\nvalues: {{name: \" \"}}\n");
    tells(&validate(&sandbox, 2, "t.yaml", &placed), "`metadata.name` must not be empty");
}

#[test]
fn a_name_is_one_also_where_another_field_is_the_key() {
    let sandbox = Sandbox::new();
    for (kind, fields) in [
        ("Mailbox", "address: a@mail.localhost\nroom: r\nqueue: q\n"),
        ("Route", "domain: a.example.com\nroom: r\nport: 80\n"),
        ("ScheduledTask", "id: t\nroom: r\nqueue: q\nschedule: \"@hourly\"\n"),
    ] {
        for (name, what) in [(" ", "must not be empty"), ("a\u{7}", "control characters")] {
            let text = format!(
                "version: v1\nkind: {kind}\nmetadata:\n  name: {}\nproject: p\n{fields}",
                serde_json::Value::from(name)
            );
            let run = validate(&sandbox, 2, "m.yaml", &text);
            tells(&run, "m.yaml:4:3: `metadata.name` ");
            tells(&run, what);
        }
    }
}

#[test]
fn a_project_is_named_by_a_name() {
    let sandbox = Sandbox::new();
    let room = "version: v1\nkind: Room\nmetadata: {name: r}\nproject: \" \"\n";
    tells(&validate(&sandbox, 2, "r.yaml", room), "r.yaml:4:1: `project` must not be empty");
}

#[test]
fn the_first_of_two_is_the_one_that_is_read_first() {
    let sandbox = Sandbox::new();
    let mailbox = |project: &str| {
        format!(
            "version: v1\nkind: Mailbox\nmetadata: {{name: A@mail.localhost}}\nproject: {project}\nroom: r\nqueue: q\n"
        )
    };
    let text = ["zebra", "middle", "alpha"].map(mailbox).join("---\n");
    let run = validate(&sandbox, 2, "m.yaml", &text);
    for line in [10, 17] {
        let expected = format!(
            "m.yaml:{line}:12: Mailbox/a@mail.localhost is declared twice, first at m.yaml:3:1"
        );
        tells(&run, &expected);
    }
    let route = |project: &str| {
        format!(
            "version: v1\nkind: Route\nmetadata: {{name: d}}\ndomain: d.example.com\nproject: {project}\nroom: r\nport: 80\n"
        )
    };
    sandbox.write("one.yaml", &route("alpha"));
    sandbox.write("two.yaml", &route("zebra"));
    let run = sandbox.run(&["validate", "-f", "two.yaml", "-f", "one.yaml"]);
    assert_eq!(run.code, 2);
    tells(&run, "one.yaml:3:12: Route/d.example.com is declared twice, first at two.yaml:3:1");
}
