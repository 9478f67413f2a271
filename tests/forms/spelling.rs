//! A number of a values file that a template would write in another way is refused, with its
//! place and what to do.

use super::{Sandbox, tells};

const SERVICE: &str =
    "version: v1\nkind: Service\nmetadata: {name: s}\ncontainer:\n  image: 'x:{{ tag }}'\n";

#[test]
fn a_number_that_would_change_its_spelling_is_refused() {
    let sandbox = Sandbox::new();
    sandbox.write("s.yaml.j2", SERVICE);
    for number in ["1.10", "0x1F", "1e3", "1234567e2", "2024.10", "1.50", "0o17", "+7"] {
        let expected = "v.yaml:2:6: a template would change the spelling of the number in `tag`";
        sandbox.write("v.yaml", &format!("# ours\ntag: {number}\n"));
        let run = sandbox.embedded(6, &["plan", "-f", "s.yaml.j2", "--values-file", "v.yaml"]);
        assert!(run.stderr.contains(expected), "{number}: {}", run.stderr);
        tells(&run, "hint: put it in quotes to make it a text, which stays as it is");
        // What lies beside the template is no other.
        std::fs::rename(sandbox.path("v.yaml"), sandbox.path("values.yaml")).unwrap();
        let run = sandbox.run(&["validate", "-f", "s.yaml.j2"]);
        tells(&run, &expected.replace("v.yaml", "values.yaml"));
        std::fs::remove_file(sandbox.path("values.yaml")).unwrap();
    }
}

#[test]
fn what_is_written_as_it_is_spelled_is_rendered() {
    let sandbox = Sandbox::new();
    sandbox.write("s.yaml.j2", SERVICE);
    for (value, tag) in [
        ("'1.10'", "1.10"),
        ("\"0x1F\"", "0x1F"),
        ("010", "010"),
        ("1_000", "1_000"),
        ("1.0", "1.0"),
        ("1.5", "1.5"),
        ("7", "7"),
        ("123456789012345678", "123456789012345678"),
    ] {
        sandbox.write("v.yaml", &format!("tag: {value}\n"));
        let run = sandbox.embedded(0, &["plan", "-f", "s.yaml.j2", "--values-file", "v.yaml"]);
        assert!(run.stdout.contains(&format!("container.image: \"x:{tag}\"")), "{}", run.stdout);
    }
}

#[test]
fn just_what_a_template_uses_is_refused() {
    let sandbox = Sandbox::new();
    sandbox.write("s.yaml.j2", &SERVICE.replace("tag", "app.tags[0] ~ app.more.tag"));
    let values = "app:\n  tags: [1.10]\n  more: {tag: 0x10}\n  unused: 1.20\nother: 1.30\n";
    sandbox.write("v.yaml", values);
    let run = sandbox.embedded(6, &["plan", "-f", "s.yaml.j2", "--values-file", "v.yaml"]);
    tells(&run, "v.yaml:2:10: a template would change the spelling of the number in `app.tags`");
    tells(
        &run,
        "v.yaml:3:15: a template would change the spelling of the number in `app.more.tag`",
    );
    assert!(!run.stderr.contains("`other`") && !run.stderr.contains("unused"), "{}", run.stderr);
}

#[test]
fn what_goes_before_a_file_is_as_it_is_given() {
    let sandbox = Sandbox::new();
    sandbox.write("s.yaml.j2", SERVICE);
    sandbox.write("v.yaml", "tag: 1.10\n");
    sandbox.write("w.yaml", "tag: '1.20'\n");
    let plan = ["plan", "-f", "s.yaml.j2", "--values-file", "v.yaml"];
    for (more, tag) in [(["-v", "tag=1.10"], "1.10"), (["--values-file", "w.yaml"], "1.20")] {
        let run = sandbox.embedded(0, &[&plan[..], &more].concat());
        assert!(run.stdout.contains(&format!("container.image: \"x:{tag}\"")), "{}", run.stdout);
    }
}

#[test]
fn a_number_that_is_asked_for_as_json_is_used_and_told() {
    let sandbox = Sandbox::new();
    sandbox.write("s.yaml.j2", SERVICE);
    let told = "--value-json \"tag\": `tag` is a number that a template writes differently";
    for (json, tag, is_told) in [("1.10", "1.1", true), ("1e3", "1000.0", true), ("7", "7", false)]
    {
        let pair = format!("tag={json}");
        let run = sandbox.embedded(0, &["plan", "-f", "s.yaml.j2", "--value-json", &pair]);
        assert!(run.stdout.contains(&format!("container.image: \"x:{tag}\"")), "{}", run.stdout);
        assert_eq!(run.stderr.contains(told), is_told, "{json}: {}", run.stderr);
    }
}

const FREE: &str = "version: v1\nkind: Room\nmetadata: {name: r}\nroom_metadata:\n  of: {tag: @}\n";

#[test]
fn a_text_that_would_become_another_number_is_refused_where_it_stands() {
    let sandbox = Sandbox::new();
    sandbox.write("r.yaml.j2", &FREE.replace('@', "{{ tag }}"));
    for text in ["1.10", "1234567e2", "0x1F", "+5", "1e3", "2024.10", ".5"] {
        let pair = format!("tag={text}");
        let run = sandbox.embedded(6, &["plan", "-f", "r.yaml.j2", "-v", &pair]);
        tells(
            &run,
            "r.yaml.j2 (rendered):5:13: the template writes `room_metadata.of.tag` as a number",
        );
        tells(&run, "hint: put it in quotes in the template");
        assert!(!run.stderr.contains(text), "{}", run.stderr);
    }
    // A text in quotes of a values file is none the less a text of the same spelling.
    sandbox.write("values.yaml", "tag: '1.10'\n");
    let run = sandbox.run(&["validate", "-f", "r.yaml.j2"]);
    tells(&run, "the template writes `room_metadata.of.tag` as a number");
    // What is put together of texts is no other.
    sandbox.write("r.yaml.j2", &FREE.replace('@', "{{ tag }}.{{ minor }}"));
    let run = sandbox.embedded(6, &["plan", "-f", "r.yaml.j2", "-v", "tag=1", "-v", "minor=20"]);
    tells(&run, "the template writes `room_metadata.of.tag` as a number");
}

#[test]
fn a_text_in_quotes_and_a_number_of_the_same_spelling_are_sent() {
    let sandbox = Sandbox::new();
    for (template, value, shown) in [
        ("'{{ tag }}'", "tag=1.10", "\"1.10\""),
        ("\"{{ tag }}\"", "tag=0x1F", "\"0x1F\""),
        ("{{ tag }}", "tag=7", "7"),
        ("{{ tag }}", "tag=1.5", "1.5"),
        ("{{ tag }}", "tag=1.2.3", "\"1.2.3\""),
        ("0x1F{% if tag %}{% endif %}", "tag=x", "31"),
    ] {
        sandbox.write("r.yaml.j2", &FREE.replace('@', template));
        let run = sandbox.embedded(0, &["plan", "-f", "r.yaml.j2", "-v", value]);
        assert!(run.stdout.contains(&format!("tag: {shown}")), "{template}: {}", run.stdout);
    }
}
