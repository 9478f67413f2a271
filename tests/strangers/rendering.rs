//! What a template does again and again costs what it takes, and has an end.

use meshagent::manifest::template::{Values, render_text};
use serde_json::json;

use super::{room, soon, write};
use crate::cli::Sandbox;
use crate::platform::harness::Server;

fn rendered(template: &str) -> Result<String, String> {
    let values = Values::new();
    soon(template, || render_text(template, &values)).map_err(|error| error.to_string())
}

#[test]
fn what_looks_at_many_values_is_as_quick_as_it_is_right() {
    for (template, expected) in [
        ("{{ range(60000)|unique|list|length }}", "60000"),
        ("{{ (range(30000)|list + range(30000)|list)|unique|list|length }}", "30000"),
        (
            "{{ ['a', 'A', 1, 1.0, true, 0, false, none, (1, 2), (1.0, 2)]|unique|list }}",
            "['a', 1, 0, None, (1, 2)]",
        ),
        ("{{ ['b', 'a', 'B']|unique(true)|list }}", "['b', 'a', 'B']"),
        ("{{ range(20000)|map('string')|sort|first }}", "0"),
        ("{{ range(20000)|map('string')|unique|list|length }}", "20000"),
        ("{{ ('x' * 200000)|wordwrap(1)|length }}", "399999"),
        ("{{ ('ab ' * 3000)|wordwrap(5)|length }}", "8999"),
        (
            "{{ 'hyphen words of several lengths'|wordwrap(7, wrapstring='/') }}",
            "hyphen/words/of/several/lengths",
        ),
        ("{{ 'extraordinary'|wordwrap(5, wrapstring='/') }}", "extra/ordin/ary"),
        ("{{ ('a' * 100000 ~ 'b').strip('c' * 100000 ~ 'a') }}", "b"),
    ] {
        assert_eq!(rendered(template).as_deref(), Ok(expected), "{template}");
    }
}

#[test]
fn what_would_take_for_ever_is_refused() {
    let nested = "{% set n = namespace(t=(1, 2)) %}{% for i in range(50) %}{% set n.t = (n.t, n.t) %}{% endfor %}";
    for template in [
        format!("{nested}{{{{ {{'a': 1}}[n.t] }}}}"),
        format!("{nested}{{{{ {{n.t: 1}} }}}}"),
        format!("{nested}{{{{ n.t == n.t }}}}"),
        format!("{nested}{{{{ [n.t, n.t]|unique|list }}}}"),
        format!("{nested}{{{{ n.t|tojson }}}}"),
        "{% for i in range(90000) %}{{ i in range(90000) }}{% endfor %}".to_owned(),
        "{% for i in range(90000) %}{{ range(90000)|first }}{% endfor %}".to_owned(),
        "{% set t = 'a' * 1000000 %}{% for i in range(90000) %}{{ t == t ~ '' }}{% endfor %}".to_owned(),
        "{% for i in range(90000) %}{{ [1]|map(attribute='a.' * 100000, default=1)|list }}{% endfor %}".to_owned(),
        "{% set g = range(90000)|map('string') %}{% for i in range(90000) %}{% set x = [g] %}{% endfor %}{% for i in range(90000) %}{% for j in range(90000) %}{% endfor %}{% endfor %}".to_owned(),
        "{% for i in range(90000) %}{{ ('x ' * 10000)|wordwrap(1) }}{% endfor %}".to_owned(),
        "{% for i in range(90000) %}{{ ('x' * 10000).strip('y' * 10000) }}{% endfor %}".to_owned(),
        "{{ 'x' * 5000000 }}".to_owned(),
    ] {
        let error = rendered(&template).unwrap_err();
        assert!(!error.contains('\n') && error.len() < 200, "{template}: {error}");
    }
    let long = rendered(&"x".repeat(10 * 1024 * 1024)).unwrap_err();
    assert!(long.contains("more than the 1048576 that are allowed"), "{long}");
}

#[test]
fn a_template_of_a_manifest_has_an_end_whatever_it_repeats() {
    let sandbox = Sandbox::new();
    let raw = "y".repeat(5_000);
    for (begin, template) in [
        ("", "{% for i in range(99999) %}{% set a = range(99999)|list|sort %}{% endfor %}".to_owned()),
        ("", "{% for i in range(99999) %}{% if i in range(99999) %}{% endif %}{% endfor %}".to_owned()),
        ("", "{% set b = range(9999)|list %}{% for i in range(99999) %}{% if i in b %}{% endif %}{% endfor %}".to_owned()),
        ("", "{% set b = range(9999)|list %}{% for i in range(99999) %}{% if b == b + [] %}{% endif %}{% endfor %}".to_owned()),
        ("", "{% set b = range(9999)|list %}{% for i in range(99999) %}{% if b is eq(b + []) %}{% endif %}{% endfor %}".to_owned()),
        ("", "{% for i in range(99999) %}{{ range(99999)|unique|list|length }}{% endfor %}".to_owned()),
        ("", "{% for i in range(99999) %}{{ range(99999)|groupby('a')|list|length }}{% endfor %}".to_owned()),
        ("", "{% set n = namespace(s=[]) %}{% for i in range(99999) %}{% set n.s = [n.s] %}{% endfor %}".to_owned()),
        ("", "{% set n = namespace(s=1) %}{% for i in range(99999) %}{% set n.s = namespace(s=n.s) %}{% endfor %}".to_owned()),
        ("", "{% set n = namespace(s=1) %}{% set n.s = n %}{{ n|string }}".to_owned()),
        ("", "{% set n = namespace(s=1) %}{% set n.s = [n] %}{{ n.s|pprint }}".to_owned()),
        ("", "{% macro m(x) %}{{ m([x]) }}{% endmacro %}{{ m(1) }}".to_owned()),
        (&raw, format!("{{% for i in range(99999) %}}{raw}{{% endfor %}}")),
        (&raw, format!("{{% set a %}}{{% for i in range(99999) %}}{raw}{{% endfor %}}{{% endset %}}")),
        (&raw, format!("{{% set a %}}{{% for i in range(99999) %}}{{% raw %}}{raw}{{% endraw %}}{{% endfor %}}{{% endset %}}")),
        ("", format!("{{% set a %}}{{% for i in range(99999) %}}{}{{% endfor %}}{{% endset %}}", " ".repeat(5_000))),
        ("", format!("{{% set a %}}{{% for i in range(99999) %}}{}{{% endfor %}}{{% endset %}}", "{ ".repeat(2_500))),
    ] {
        write(&sandbox, "a.yaml.j2", room("a", &format!("# {template}\n")));
        let what = &template[..template.len().min(80)];
        let run = soon(what, || sandbox.run(&["validate", "-f", "a.yaml.j2", "--project-id", "p"]));
        assert!(run.code == 2 && run.stderr.len() < 20_000, "{what} {begin}: {}", run.stderr);
    }
    // What is counted is rendered as it was.
    let text = format!(
        "a{}\n  {{%- if 1 %}} {} {{%- endif -%}}   \n{{% raw %}}{{{{{}{{% endraw %}}{{ {}",
        "b".repeat(90),
        "c".repeat(90),
        "d".repeat(90),
        "{ ".repeat(45)
    );
    write(&sandbox, "a.yaml.j2", room("a", &format!("room_metadata:\n  k: |\n    {text}\n")));
    let shown = sandbox.embedded(0, &["plan", "-f", "a.yaml.j2", "-o", "json"]).json();
    let fields = &shown["operations"][0]["fields"]["room_metadata"]["k"];
    let expected = format!(
        "a{} {}{{{{{}{{ {}\n",
        "b".repeat(90),
        "c".repeat(90),
        "d".repeat(90),
        "{ ".repeat(45)
    );
    assert_eq!(fields, &json!(expected));
}

#[test]
fn output_and_values_have_limits() {
    let sandbox = Sandbox::new();
    let text = format!("# {{{{ ('x' * 1000000) }}}}{}\n", "{{ 'x' * 1000000 }}".repeat(20));
    write(&sandbox, "a.yaml.j2", room("a", &text));
    let run = sandbox.run(&["validate", "-f", "a.yaml.j2"]);
    assert!(run.stderr.contains("the template renders to more than 16 MiB"), "{}", run.stderr);
    write(&sandbox, "a.yaml.j2", room("{{ a }}", ""));
    write(&sandbox, "v.yaml", "x".repeat(160 * 1024 * 1024));
    let values = ["validate", "-f", "a.yaml.j2", "--values-file", "v.yaml"];
    let run = soon("values", || sandbox.run(&values));
    assert!(
        run.code == 2 && run.stderr.contains("v.yaml: the file is larger than 16 MiB"),
        "{}",
        run.stderr
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn templates_that_take_long_do_not_hold_up_others() {
    let server = Server::start().await;
    let template = "{% for i in range(90000) %}{{ i in range(90000) }}{% endfor %}";
    let heavy = (0..16).map(|_| {
        let body = json!({"template": template, "values": {}});
        server.ask("POST", "/templates/render").bearer(&server.owner).json(&body).send()
    });
    let heavy = tokio::spawn(futures_util::future::join_all(heavy));
    // While they are rendered, others are answered.
    let mut answered = 0;
    while !heavy.is_finished() {
        server.ask("GET", "/config").bearer(&server.owner).send().await.expect(200);
        answered += 1;
    }
    assert!(answered > 3, "{answered}");
    for reply in heavy.await.unwrap() {
        assert!([400, 503].contains(&reply.status), "{reply:?}");
    }
}
