//! Templates that want too much end soon, with an error.

use std::time::Instant;

use meshagent_jinja::Reason;

use super::{Values, render};

fn ends(template: &str) -> meshagent_jinja::Error {
    let started = Instant::now();
    let rendered = render(template, &Values::new()).map(|text| text.len());
    let took = started.elapsed();
    let shown: String = template.chars().take(120).collect();
    assert!(took.as_secs() < 30, "{shown} takes {took:?}");
    match rendered {
        Err(error) => error,
        Ok(length) => panic!("{shown} renders to {length} bytes"),
    }
}

#[test]
fn what_would_be_too_much_is_not_made() {
    for template in [
        "{% for i in range(10**9) %}x{% endfor %}",
        "{% for i in range(99999) %}{% for j in range(99999) %}x{% endfor %}{% endfor %}",
        "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}",
        "{{ 'x' * 10**12 }}",
        "{{ 'x'|center(10**12) }}",
        "{{ 'x'.zfill(10**12) }}",
        "{{ ([0] * 99999) * 99999 }}",
        "{% set ns = namespace(t='x') %}{% for i in range(99) %}{% set ns.t = ns.t ~ ns.t %}{% endfor %}",
        "{% set ns = namespace(t=[1]) %}{% for i in range(99) %}{% set ns.t = ns.t + ns.t %}{% endfor %}",
        "{% set ns = namespace(t=[]) %}{% for i in range(9999) %}{% set ns.t = [ns.t] %}{% endfor %}{{ ns.t }}",
        "{% set ns = namespace(t='xx') %}{% for i in range(99) %}{% set ns.t = ns.t|replace('x', ns.t) %}{% endfor %}",
        "{% set ns = namespace(t='x') %}{% for i in range(99) %}{% set t %}{{ ns.t }}{{ ns.t }}{% endset %}{% set ns.t = t %}{% endfor %}",
        "{% macro m(x) %}{{ m(x) }}{% endmacro %}{{ m(1) }}",
        "{% macro m(x) %}{{ m(x) }}{{ m(x) }}{% endmacro %}{{ m(1) }}",
        "{% macro m() %}{{ caller() }}{% call m() %}{{ caller() }}{% endcall %}{% endmacro %}{% call m() %}x{% endcall %}",
        "{% for x in [1] recursive %}{{ loop([1]) }}{% endfor %}",
        "{{ '%999999999s'|format('x') }}",
        "{% set s = 'x' * 999999 %}{% for i in range(99999) %}{{ s }}{% endfor %}",
        "{% set s = 'x' * 999999 %}{% for i in range(99999) %}{% if s ~ 'y' in s %}{% endif %}{% endfor %}",
        "{% set s = 'x' * 999999 %}{% for i in range(99999) %}{% if s == s ~ 'y' %}{% endif %}{% endfor %}",
        "{{ range(99999)|map('center', 99999)|join|length }}",
        "{% set r = range(99999)|list %}{% for i in r %}{% if -1 in r %}{% endif %}{% endfor %}",
        "{% set r = range(9999)|map('string')|list %}{{ dict(r|map('list')) }}",
        "{% for i in range(90000) %}{{ i in range(90000) }}{% endfor %}",
        "{% for i in range(90000) %}{{ range(90000)|first }}{% endfor %}",
        "{% for i in range(90000) %}{{ [1]|map(attribute='a.' * 100000, default=1)|list }}{% endfor %}",
        "{% for i in range(90000) %}{{ ('x ' * 10000)|wordwrap(1) }}{% endfor %}",
        "{% for i in range(90000) %}{{ ('x' * 10000).strip('y' * 10000) }}{% endfor %}",
        "{{ [1]|tojson(10**12) }}",
        "{{ 'a\\nb'|indent(10**12) }}",
        "{{ 'a b'|wordwrap(1, wrapstring='x' * 9999999)|wordwrap(1, wrapstring='x' * 9999999) * 99 }}",
    ] {
        ends(template);
    }
}

#[test]
fn what_is_shared_many_times_is_not_gone_through() {
    let nested = "{% set n = namespace(t=(1, 2)) %}{% for i in range(50) %}{% set n.t = (n.t, n.t) %}{% endfor %}";
    for use_of in [
        "{{ {'a': 1}[n.t] }}",
        "{{ {n.t: 1} }}",
        "{{ n.t in {'a': 1} }}",
        "{{ {'a': 1}.get(n.t) }}",
        "{{ n.t == n.t }}",
        "{{ n.t < n.t }}",
        "{{ [n.t, n.t]|unique|list }}",
        "{{ [n.t, n.t]|sort }}",
        "{{ n.t|tojson }}",
        "{{ n.t }}",
        "{{ n.t|string|length }}",
        "{{ '%s'|format(n.t) }}",
        "{{ n.t ~ '' }}",
        "{{ n.t|pprint }}",
    ] {
        assert_eq!(ends(&format!("{nested}{use_of}")).reason, Reason::Spent, "{use_of}");
    }
}

#[test]
fn what_is_nested_too_deeply_is_refused() {
    let around = |open: &str, inner: &str, close: &str, count: usize| {
        format!("{}{inner}{}", open.repeat(count), close.repeat(count))
    };
    for count in [200, 9_000, 60_000] {
        for expression in [
            around("(", "1", ")", count),
            around("[", "1", "]", count),
            around("{1:", "1", "}", count),
            around("a[", "1", "]", count),
            around("f(", "1", ")", count),
            around("not ", "1", "", count),
            around("-", "a", "", count),
            around("+", "a", "", count),
            around("", "a", "+a", count),
            around("", "a", " and a", count),
            around("", "a", " if a else a", count),
            around("", "a", "|upper", count),
            around("", "a", ".a", count),
            around("", "a", "()", count),
            around("", "a", " ** a", count),
        ] {
            let error = ends(&format!("{{{{ {expression} }}}}"));
            assert_eq!(error.reason, Reason::Refused, "{error}");
        }
        for (open, close) in [
            ("{% if 1 %}", "{% endif %}"),
            ("{% for a in [1] %}", "{% endfor %}"),
            ("{% with a = 1 %}", "{% endwith %}"),
            ("{% set a %}", "{% endset %}"),
            ("{% filter upper %}", "{% endfilter %}"),
            ("{% macro m() %}", "{% endmacro %}"),
        ] {
            let count = count.min(20_000);
            let error = ends(&around(open, "x", close, count));
            assert_eq!(error.reason, Reason::Refused, "{error}");
        }
    }
}

#[test]
fn what_is_long_but_flat_is_rendered_up_to_a_limit() {
    let values = Values::new();
    let chain =
        |count: usize| format!("{{% if 0 %}}{}{{% endif %}}", "{% elif 0 %}x".repeat(count - 1));
    assert_eq!(render(&chain(500), &values).unwrap(), "");
    assert_eq!(ends(&chain(501)).reason, Reason::Refused);
    let list = |count: usize| format!("{{{{ [{}]|length }}}}", "1,".repeat(count));
    assert_eq!(render(&list(240), &values).unwrap(), "240");
    assert_eq!(ends(&list(260)).reason, Reason::Refused);
    let joined = format!("{{{{ ''{} }}}}", "~1".repeat(240));
    assert_eq!(render(&joined, &values).unwrap(), "1".repeat(240));
    let names: String = (0..20_000).map(|at| format!("{{% set a{at} = {at} %}}")).collect();
    assert_eq!(render(&format!("{names}{{{{ a19999 }}}}"), &values).unwrap(), "19999");
}

#[test]
fn the_largest_numbers_are_no_trouble() {
    let largest = "170141183460469231731687303715884105727";
    for template in [
        "{{ -N - 1 }}{{ (-N - 1)|abs }}",
        "{{ (-N - 1) // -1 }}",
        "{{ -(-N - 1) }}",
        "{{ 5 is divisibleby(-N - 1) }}{{ N * N }}",
        "{{ 'abc'|truncate(N, true, '', 10) }}{{ 'abc'|truncate(-N - 1) }}",
        "{{ range(-N, N, N)|list }}",
        "{{ range(N - 2, N)|list }}{{ [1, 2, 3][-N - 1:N:N] }}{{ [1][-N - 1] }}{{ 'a'[N] }}{{ N + 1 }}",
        "{{ 'a'.center(N) }}",
        "{{ 'a'.split('a', -N - 1) }}{{ 'a'.replace('a', 'b', N) }}{{ [1]|slice(N) }}",
        "{{ [1]|batch(N)|list }}{{ [1]|batch(N, 1)|list }}",
        "{{ [1]|tojson(-N) }}{{ [1]|tojson(N) }}",
        "{{ 1.5|round(N) }}",
        "{{ N ** N }}{{ 0 ** N }}",
        "{{ '%d' % N }}{{ '%Nd' % 1 }}",
        "{{ 1.5 * N }}",
    ] {
        ends(&template.replace('N', largest));
    }
}

#[test]
fn the_most_that_is_taken_fits_the_stack() {
    let deep = format!("{}a{}", "(".repeat(55), ")".repeat(55));
    let ifs = |body: &str| format!("{}{body}{}", "{% if 1 %}".repeat(40), "{% endif %}".repeat(40));
    let body = ifs(&format!("{{{{ {deep}{} }}}}{{{{ m(n - 1) }}}}", " or a".repeat(60)));
    let template = |depth: usize| {
        format!(
            "{{% macro m(n) %}}{{% if n %}}{body}{{% endif %}}{{% endmacro %}}{{{{ m({depth}) }}}}"
        )
    };
    assert_eq!(render(&template(99), &Values::new()).unwrap(), "");
    assert_eq!(ends(&template(101)).reason, Reason::Refused);
}

#[test]
fn characters_that_python_does_not_know_are_refused_where_they_matter() {
    let values = Values::new();
    let render = |template: &str| render(template, &values);
    for character in ["\u{1c89}", "\u{a7cb}", "\u{1fae9}", "\u{16ea0}", "\u{a7d3}"] {
        // What passes through is left alone.
        let text = format!("{character}{{{{ '{character}' ~ 1 }}}}");
        assert_eq!(render(&text).unwrap(), format!("{character}{character}1"));
        for what in ["|upper", "|lower", "|title", "|capitalize", ".title()", " is lower"] {
            let error = render(&format!("{{{{ '{character}'{what} }}}}")).unwrap_err();
            assert_eq!(error.reason, Reason::Refused, "{character}{what}: {error}");
        }
        let error = render(&format!("{{{{ ['{character}'] }}}}")).unwrap_err();
        assert_eq!(error.reason, Reason::Refused, "{character}: {error}");
    }
    assert!(render("{{ '\u{149}'|capitalize }}").is_err());
    assert!(render("{{ 'a\u{1c5}'.title() }}").is_err());
}

#[test]
fn errors_name_the_place_in_the_template() {
    let values = Values::new();
    for (template, line, column) in [
        ("a\nb {{ x. }}\n", 2, 9),
        ("a\n\n{% if %}", 3, 7),
        ("a\n{{ missing.attribute }}\n", 2, 11),
        ("{% set x = 1 %}\n{% for i in [1] %}\n\n  {{ i + 'a' }}{% endfor %}", 4, 8),
        ("a\r\nb\r\n  {% include 'x' %}", 3, 6),
        ("é {{ x|nope }}", 1, 8),
        ("{% macro m() %}\n{{ 1 / 0 }}{% endmacro %}\n{{ m() }}", 2, 6),
        ("{% for a, b in [1] %}{% endfor %}", 1, 16),
        ("{{ 'a\n\n' ~ {1: 2}[[]].x }}", 3, 15),
    ] {
        let error = render(template, &values).expect_err(template);
        assert_eq!((error.line, error.column), (Some(line), Some(column)), "{template:?}: {error}");
    }
}
