//! An address or domain that another project has is refused in the same words, dry or not.

use super::{Sandbox, tells};

fn two_projects() -> Sandbox {
    let sandbox = Sandbox::new();
    let project = |name: &str| format!("version: v1\nkind: Project\nmetadata: {{name: {name}}}\n");
    let of = |project: &str, kind: &str, name: &str, rest: &str| {
        format!(
            "---\nversion: v1\nkind: {kind}\nmetadata: {{name: {name}}}\nproject: {project}\n{rest}"
        )
    };
    let mut text = project("first") + "---\n" + &project("second");
    for name in ["first", "second"] {
        text += &of(name, "Room", "r", "");
    }
    text += &of("first", "Mailbox", "a@mail.localhost", "room: r\nqueue: q\n");
    text += &of("first", "Route", "a.example.com", "room: r\nport: 80\n");
    sandbox.write("all.yaml", &text);
    sandbox.embedded(0, &["apply", "-f", "all.yaml", "--yes"]);
    sandbox
}

#[test]
fn what_another_project_has_is_told_as_a_plan_tells_it() {
    let sandbox = two_projects();
    let of_second = ["--project-id", "second"];
    let mailbox = "Mailbox/a@mail.localhost is taken: another project has it";
    let route = "Route/a.example.com is taken: another project has it";
    for (line, told) in [
        (&["mailbox", "create", "-a", "a@mail.localhost", "-q", "q", "--room", "r"][..], mailbox),
        (&["mailbox", "update", "a@mail.localhost", "-q", "other"], mailbox),
        (&["mailbox", "delete", "a@mail.localhost"], mailbox),
        (&["route", "create", "-d", "a.example.com", "-p", "80", "--room", "r"], route),
        (&["route", "update", "a.example.com", "-p", "81"], route),
        (&["route", "delete", "a.example.com"], route),
    ] {
        let line = [line, &of_second].concat();
        let dry = sandbox.embedded(1, &[&line[..], &["--dry-run"]].concat());
        let run = sandbox.embedded(1, &line);
        for refused in [&dry, &run] {
            tells(refused, told);
            tells(refused, "hint: this name must be unique on the whole platform: use another one");
            assert!(!refused.stderr.contains("has no access"), "{}", refused.stderr);
        }
        assert_eq!(dry.stderr, run.stderr);
    }
    for line in [["mailbox", "show", "a@mail.localhost"], ["route", "show", "a.example.com"]] {
        let run = sandbox.embedded(1, &[&line[..], &of_second].concat());
        tells(&run, "is taken: another project has it");
    }
}

#[test]
fn what_this_project_has_is_refused_in_the_same_words_too() {
    let sandbox = two_projects();
    for line in [
        &["mailbox", "create", "-a", "a@mail.localhost", "-q", "q", "--room", "r"][..],
        &["route", "create", "-d", "a.example.com", "-p", "80", "--room", "r"],
    ] {
        let line = [line, &["--project-id", "first"]].concat();
        let dry = sandbox.embedded(1, &[&line[..], &["--dry-run"]].concat());
        tells(&dry, "already exists");
        assert_eq!(dry.stderr, sandbox.embedded(1, &line).stderr);
    }
}
