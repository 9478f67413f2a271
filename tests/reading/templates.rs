//! What is said of templates of manifests, and of values that none of them uses.

use super::{Sandbox, room, run, told, write};

#[test]
fn what_the_engine_reads_otherwise_than_jinja_is_refused_at_its_line() {
    let sandbox = Sandbox::new();
    for (markup, message) in [
        (
            "{% for x in [[]] if x recursive %}{{ loop(x) }}{% endfor %}",
            "t.yaml.j2:6:35: the condition of a recursive loop is lost",
        ),
        (
            "{% if true %}{% for x in [1] recursive %}{% for y in [1] if y recursive %}{% endfor %}{% endfor %}{% endif %}",
            "the condition of a recursive loop is lost",
        ),
        (
            "{% macro m() %}{% for y in [1] if y recursive %}{% endfor %}{% endmacro %}",
            "the condition of a recursive loop is lost",
        ),
        ("{% raw +%}{{ x }}{% endraw %}", "t.yaml.j2:6:15: a `raw` whose tag ends in `+%}`"),
        ("{%- raw +%}{{ x }}{% endraw %}", "t.yaml.j2:6:15: a `raw` whose tag ends in `+%}`"),
    ] {
        write(
            &sandbox,
            "t.yaml.j2",
            format!("{}# {{# a #}}\ndescription: {markup}\n", room("a"))
                .replace("description: ", "# for later:  "),
        );
        told(&run(&sandbox, 2, &["validate", "-f", "t.yaml.j2", "--project-id", "p"]), message);
    }
    for fine in [
        "{% for x in [[]] recursive %}{% if x %}{{ loop(x) }}{% endif %}{% endfor %}",
        "{% for x in [1] if x %}{% endfor %}",
        "{% raw %}{{ x }}{% endraw %}",
        "{# {% raw +%} #}",
    ] {
        write(&sandbox, "t.yaml.j2", format!("{}# {fine}\n", room("a")));
        run(&sandbox, 0, &["validate", "-f", "t.yaml.j2", "--project-id", "p"]);
    }
}

#[test]
fn markup_in_a_file_that_is_not_rendered_is_told() {
    let sandbox = Sandbox::new();
    for text in [
        "version: v1\nkind: Room\nmetadata: {name: {{ tag }}}\n",
        "version: v1\nkind: Room\nmetadata:\n  name: {{ tag }}\n",
        "version: v1\nkind: Room\n{% if a %}\nmetadata: {name: b}\n{% endif %}\n",
    ] {
        write(&sandbox, "m.yaml", text);
        let said = run(&sandbox, 2, &["validate", "-f", "m.yaml", "--project-id", "p"]);
        told(
            &said,
            "hint: to have a manifest rendered as a template, give it a name that ends in .j2",
        );
    }
}

#[test]
fn values_that_no_template_uses_are_told() {
    let sandbox = Sandbox::new();
    let used =
        "{{ image.tag }}{% for item in items %}{{ item.name }}{% endfor %}{{ whole | length }}";
    write(&sandbox, "m/t.yaml.j2", format!("{}  description: \"{used}\"\n", room("a")));
    write(&sandbox, "values", "image: {tag: a}\nother: 1\n");
    let given = [
        "validate",
        "-f",
        "m",
        "--project-id",
        "p",
        "--values-file",
        "values",
        "--value-json",
        "items=[{\"name\": 1}]",
        "--value-json",
        "whole={\"a\": 1}",
    ];
    let said = run(&sandbox, 0, &given);
    told(&said, "note: the value `other` is given, and no template (*.j2) uses it");
    assert!(!said.stderr.contains("items") && !said.stderr.contains("whole"), "{}", said.stderr);
}

#[test]
fn a_value_that_is_named_and_that_no_template_uses_is_refused() {
    let sandbox = Sandbox::new();
    let text = room("a") + "  description: \"{{ image.tag }}{{ size | default(1) }}\"\n";
    write(&sandbox, "m/t.yaml.j2", text);
    write(&sandbox, "values", "image: {tag: a}\n");
    write(&sandbox, "a.yaml", room("b"));
    for (path, option, value, message, hint) in [
        (
            "m",
            "-v",
            "image.tga=secret-1",
            "--value image.tga: no template (*.j2) uses `image.tga`",
            "did you mean `image.tag`?",
        ),
        (
            "m",
            "--value",
            "sise=secret-1",
            "--value sise: no template (*.j2) uses `sise`",
            "did you mean `size`?",
        ),
        (
            "m",
            "--value-json",
            "region={\"a\": \"secret-1\"}",
            "--value-json region: no template (*.j2) uses `region`",
            "the templates use image.tag, size",
        ),
        (
            "a.yaml",
            "-v",
            "tag=secret-1",
            "--value tag: no template (*.j2) uses `tag`",
            "only a file whose name ends in .j2 is a template",
        ),
    ] {
        for command in [&["validate", "--project-id", "p"][..], &["plan", "--embedded"]] {
            let given = ["-f", path, "--values-file", "values", option, value];
            let said = run(&sandbox, 2, &[command, &given].concat());
            told(&said, message);
            told(&said, hint);
            assert!(!said.stderr.contains("secret-1"), "{}", said.stderr);
        }
    }
    let given = [
        "validate",
        "-f",
        "m",
        "--project-id",
        "p",
        "-v",
        "image.tag=b",
        "--value-json",
        "image={}",
    ];
    run(&sandbox, 0, &given);
}
