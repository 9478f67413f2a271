//! Offline rendering agrees with Jinja2 and with the reference's models, or says that it
//! does not render.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use meshagent::api::python_json;
use meshagent::manifest::template::{Values, render, render_text};
use serde_json::{Value, json};

use crate::reference;

/// A case of `tests/jinja/cases.json`.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    group: String,
    template: String,
    values: Option<Values>,
    /// Jinja2 renders it and offline rendering refuses it.
    #[serde(default)]
    refused: bool,
}

#[derive(serde::Deserialize)]
struct Cases {
    values: Values,
    cases: Vec<Case>,
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Asks the reference about a batch; nothing when there is no reference.
fn ask(what: &str, batch: &Value) -> Option<Vec<Value>> {
    let python = reference::python("the comparison with Jinja2")?;
    let mut child = Command::new(python)
        .arg("-Wignore")
        .arg(root().join("tests/jinja/reference.py"))
        .arg(what)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the reference starts");
    let mut input = child.stdin.take().expect("standard input is piped");
    let text = batch.to_string();
    // Written beside the reading, for neither pipe holds everything.
    let writer = std::thread::spawn(move || input.write_all(text.as_bytes()));
    let output = child.wait_with_output().expect("the reference ends");
    writer.join().expect("the writer ends").expect("the reference reads its input");
    assert!(output.status.success(), "the reference fails: {}", output.status);
    Some(serde_json::from_slice(&output.stdout).expect("the reference answers in JSON"))
}

/// What differs between our outcome and the reference's, if anything.
fn difference(ours: &Result<String, String>, theirs: &Value, refused: bool) -> Option<String> {
    match (ours, theirs.get("text").and_then(Value::as_str), refused) {
        (Ok(ours), Some(theirs), false) if ours == theirs => None,
        (Err(_), None, false) | (Err(_), Some(_), true) => None,
        (Err(_), None, true) => Some("is refused by Jinja2 as well".to_owned()),
        (Ok(_), _, true) => Some("is rendered, though the case says that it is refused".to_owned()),
        (ours, _, false) => Some(format!("ours {ours:?}, theirs {theirs}")),
    }
}

#[test]
fn cases_render_as_jinja2_renders_them() {
    let text = std::fs::read_to_string(root().join("tests/jinja/cases.json")).expect("readable");
    let cases: Cases = serde_json::from_str(&text).expect("the cases are well formed");
    let of = |case: &Case| case.values.clone().unwrap_or_else(|| cases.values.clone());
    let batch = cases.cases.iter().map(|case| json!([case.template, of(case)])).collect();
    let ours: Vec<_> = cases
        .cases
        .iter()
        .map(|case| render_text(&case.template, &of(case)).map_err(|error| error.to_string()))
        .collect();
    let Some(theirs) = ask("render", &batch) else { return };
    let mut failures = Vec::new();
    let mut counts = BTreeMap::<&str, usize>::new();
    for ((case, ours), theirs) in cases.cases.iter().zip(&ours).zip(&theirs) {
        *counts.entry(&case.group).or_default() += 1;
        if let Some(difference) = difference(ours, theirs, case.refused) {
            failures.push(format!("{:?}: {difference}", case.template));
        }
    }
    println!("{} cases: {counts:?}", cases.cases.len());
    assert!(failures.is_empty(), "{} differ:\n{}", failures.len(), failures.join("\n"));
}

/// A small deterministic source of choices.
struct Choices(u64);

impl Choices {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).expect("31 bits fit") % bound
    }

    fn of<'a>(&mut self, options: &[&'a str]) -> &'a str {
        options[self.below(options.len())]
    }

    fn atom(&mut self) -> String {
        self.of(&[
            "name",
            "n",
            "empty",
            "multi",
            "uni",
            "missing",
            "x",
            "i",
            "1",
            "2",
            "0",
            "-3",
            "2.5",
            "10",
            "'a'",
            "'b c'",
            "''",
            "'é'",
            "none",
            "true",
            "false",
            "[]",
            "[1, 2, 3]",
            "['b', 'A', 'c']",
            "(1, 'x')",
            "{'a': 1, 'b': 'x'}",
            "{}",
            "[[1, 2], [3]]",
            "[{'a': 2}, {'a': 1}]",
            "range(4)",
            "1e3",
            "0.1",
        ])
        .to_owned()
    }

    fn expression(&mut self, depth: usize) -> String {
        if depth == 0 {
            return self.atom();
        }
        let inner = |this: &mut Self| this.expression(depth - 1);
        match self.below(14) {
            0 | 1 => self.atom(),
            2 | 3 => {
                let operator = self.of(&[
                    "+", "-", "*", "/", "//", "%", "~", "==", "!=", "<", "<=", ">", ">=", "in",
                    "not in", "and", "or",
                ]);
                format!("{} {operator} {}", inner(self), inner(self))
            }
            4 => format!("({})", inner(self)),
            5 => format!("not {}", inner(self)),
            6 => format!("{} if {} else {}", inner(self), inner(self), inner(self)),
            7 => format!("({})[{}]", inner(self), inner(self)),
            8 => format!(
                "({})[{}:{}{}]",
                inner(self),
                self.of(&["", "1", "-2", "5"]),
                self.of(&["", "2", "-1", "0"]),
                self.of(&["", ":2", ":-1"])
            ),
            9 => format!(
                "{} is {}",
                inner(self),
                self.of(&[
                    "defined",
                    "not none",
                    "string",
                    "number",
                    "odd",
                    "iterable",
                    "mapping",
                    "sequence",
                    "lower",
                    "in [1, 'a']",
                    "eq 1",
                    "divisibleby 2",
                    "true",
                    "float",
                    "integer",
                ])
            ),
            10 => format!(
                "({}).{}",
                inner(self),
                self.of(&[
                    "upper()",
                    "lower()",
                    "split()",
                    "split(' ', 1)",
                    "strip()",
                    "title()",
                    "a",
                    "b",
                    "items()",
                    "get('a')",
                    "replace('a', 'z')",
                    "startswith('a')",
                    "find('b')",
                    "splitlines()",
                    "zfill(4)",
                    "isdigit()",
                    "join(['x', 'y'])",
                    "count('a')",
                    "center(9, '*')",
                    "capitalize()",
                    "rsplit(None, 1)",
                ])
            ),
            _ => format!(
                "{}|{}",
                inner(self),
                self.of(&[
                    "upper",
                    "lower",
                    "title",
                    "capitalize",
                    "trim",
                    "length",
                    "first",
                    "last",
                    "list",
                    "join",
                    "join('-')",
                    "default('d')",
                    "default('d', true)",
                    "int",
                    "float",
                    "string",
                    "tojson",
                    "tojson(2)",
                    "e",
                    "replace('a', 'b')",
                    "indent(2)",
                    "indent(2, true)",
                    "sort",
                    "sort(reverse=true)",
                    "unique|list",
                    "reverse|list",
                    "map('string')|list",
                    "select|list",
                    "select('odd')|list",
                    "reject('none')|list",
                    "sum",
                    "min",
                    "max",
                    "abs",
                    "round",
                    "round(1)",
                    "batch(2)|list",
                    "slice(2)|list",
                    "truncate(6)",
                    "truncate(6, true, '.')",
                    "wordcount",
                    "wordwrap(4)",
                    "center(7)",
                    "urlencode",
                    "dictsort",
                    "items|list",
                    "format",
                    "format(1)",
                    "striptags",
                    "map(attribute='a')|list",
                    "groupby('a')",
                    "xmlattr",
                    "filesizeformat",
                    "safe",
                    "forceescape",
                    "count",
                    "pprint",
                    "selectattr('a')|list",
                    "sort(attribute='a')",
                    "int(5)",
                    "reverse",
                ])
            ),
        }
    }

    fn statement(&mut self, depth: usize) -> String {
        let dash = |this: &mut Self| this.of(&["", "", "", "-"]);
        let (open, close) = (dash(self), dash(self));
        match self.below(if depth == 0 { 4 } else { 11 }) {
            0 => self
                .of(&["text", " a\n", "\n", "  ", "{ x }", "é\r\n", "\"'", "#}", "}}"])
                .to_owned(),
            1 => "{# note #}".to_owned(),
            2 | 3 => format!("{{{{{open} {} {close}}}}}", self.expression(2)),
            4 => format!(
                "{{%{open} if {} {close}%}}{}{{% else %}}{}{{% endif %}}",
                self.expression(1),
                self.body(depth - 1),
                self.body(depth - 1)
            ),
            5 | 6 => {
                let filter = if self.below(4) == 0 { " if i" } else { "" };
                let field = self
                    .of(&["index", "index0", "first", "last", "length", "revindex", "previtem"]);
                format!(
                    "{{%{open} for i in {}{filter} {close}%}}{}{{{{ loop.{field} }}}}{{% else %}}e{{% endfor %}}",
                    self.expression(1),
                    self.body(depth - 1)
                )
            }
            7 => format!("{{%{open} set x = {} {close}%}}", self.expression(2)),
            8 => format!("{{%{open} set x {close}%}}{}{{% endset %}}", self.body(depth - 1)),
            9 => format!(
                "{{% macro m(x, y='d') {close}%}}{}{{{{ y }}}}{{% endmacro %}}{{{{ m({}) }}}}",
                self.body(depth - 1),
                self.expression(1)
            ),
            _ => format!("{{% filter upper {close}%}}{}{{% endfilter %}}", self.body(depth - 1)),
        }
    }

    fn body(&mut self, depth: usize) -> String {
        (0..1 + self.below(3)).map(|_| self.statement(depth)).collect()
    }
}

#[test]
fn random_templates_render_as_jinja2_renders_them_or_not_at_all() {
    let seed = std::env::var("MESHAGENT_TEST_SEED").ok().and_then(|seed| seed.parse().ok());
    let count = std::env::var("MESHAGENT_TEST_TEMPLATES").ok().and_then(|count| count.parse().ok());
    let (seed, count) = (seed.unwrap_or(20_260_322), count.unwrap_or(4_000));
    let mut choices = Choices(seed);
    let values: Values = [
        ("name", "Hello World"),
        ("n", "3"),
        ("empty", ""),
        ("multi", "line one\nline two\n\nlast"),
        ("uni", "Grüße, 世界"),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .collect();
    let templates: Vec<String> = (0..count)
        .map(|number| if number % 4 == 0 { choices.body(2) } else { choices.statement(1) })
        .collect();
    let batch = templates.iter().map(|template| json!([template, values])).collect();
    let Some(theirs) = ask("render", &batch) else { return };
    let (mut agreed, mut failed, mut refused) = (0, 0, BTreeMap::<String, usize>::new());
    let mut differences = Vec::new();
    for (template, theirs) in templates.iter().zip(&theirs) {
        match (render_text(template, &values), theirs.get("text").and_then(Value::as_str)) {
            (Ok(ours), Some(theirs)) if ours == theirs => agreed += 1,
            (Err(_), None) => failed += 1,
            // What is refused is refused by name; anything else that fails alone is a fault.
            (Err(error), Some(_))
                if error.message.ends_with("is not rendered offline")
                    || error.message.starts_with("unexpected ") =>
            {
                *refused.entry(error.message).or_default() += 1;
            }
            (ours, _) => {
                let ours = ours.map_err(|error| error.to_string());
                differences.push(format!("{template:?}: ours {ours:?}, theirs {theirs}"));
            }
        }
    }
    println!("{count} templates of seed {seed}: {agreed} alike, {failed} fail in both");
    println!("refused: {refused:#?}");
    differences.sort_by_key(String::len);
    differences.truncate(40);
    assert!(differences.is_empty(), "some differ:\n{}", differences.join("\n"));
    assert!(agreed > count / 4, "too few templates render: {agreed} of {count}");
}

#[test]
fn hostile_templates_end_with_an_error() {
    let values = Values::default();
    for template in [
        "{% for i in range(10**9) %}x{% endfor %}",
        "{% for i in range(99999) %}{% for j in range(99999) %}x{% endfor %}{% endfor %}",
        "{{ 'x' * 10**12 }}",
        "{{ 'x'|center(10**12) }}",
        "{{ ([0] * 99999) * 99999 }}",
        "{% set ns = namespace(t='x') %}{% for i in range(99) %}{% set ns.t = ns.t ~ ns.t %}{% endfor %}",
        "{% set ns = namespace(t=[1]) %}{% for i in range(99) %}{% set ns.t = ns.t + ns.t %}{% endfor %}",
        "{% set ns = namespace(t=[]) %}{% for i in range(9999) %}{% set ns.t = [ns.t] %}{% endfor %}{{ ns.t }}",
        "{% macro m(x) %}{{ m(x) }}{% endmacro %}{{ m(1) }}",
        "{{ '%999999999s'|format('x') }}",
        "{% set s = 'x' * 999999 %}{% for i in range(99999) %}{{ s }}{% endfor %}",
        "{% set s = 'x' * 999999 %}{% for i in range(99999) %}{% if s ~ 'y' in s %}{% endif %}{% endfor %}",
        "{{ range(99999)|map('center', 99999)|join|length }}",
        "{{ [1]|tojson(10**12) }}",
    ] {
        let started = std::time::Instant::now();
        let rendered = render_text(template, &values).map(|text| text.len());
        assert!(rendered.is_err(), "{template} renders {rendered:?}");
        assert!(started.elapsed().as_secs() < 60, "{template} takes {:?}", started.elapsed());
    }
    let deep = format!("{{{{ {}1{} }}}}", "(".repeat(10_000), ")".repeat(10_000));
    assert!(render_text(&deep, &values).is_err());
}

#[test]
fn errors_name_the_place_in_the_template() {
    let values = Values::default();
    for (template, line, column) in [
        ("a\nb {{ x. }}\n", 2, None),
        ("a\n\n{% if %}", 3, None),
        ("a\n{{ missing.attribute }}\n", 2, None),
        ("{% set x = 1 %}\n{% for i in [1] %}\n\n  {{ i + 'a' }}{% endfor %}", 4, None),
        ("a\r\nb\r\n  {% include 'x' %}", 3, Some(6)),
        ("é {{ x|nope }}", 1, Some(8)),
    ] {
        let error = render_text(template, &values).expect_err(template);
        assert_eq!(error.line, Some(line), "{template:?}: {error}");
        assert!(!error.in_rendered);
        if column.is_some() {
            assert_eq!(error.column, column, "{template:?}: {error}");
        }
    }
}

#[test]
fn a_template_keeps_its_text_and_values() {
    let source = "version: v1\nkind: ServiceTemplate\nmetadata: {name: '{{ name }}'}\n\
        container:\n  image: !template \"{% raw %}{{ name }}{% endraw %}:{SERVER_VERSION}\"\n";
    let values: Values = [("name", "süß"), ("other", "\"")]
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    let spec = render(source, &values).expect("the template renders");
    assert_eq!(spec.metadata.name, "süß");
    let container = spec.container.expect("the container is there");
    assert_eq!(container.image.as_deref(), Some("süß:{SERVER_VERSION}"));
    let annotations = spec.metadata.annotations.expect("annotations are written");
    assert_eq!(annotations["meshagent.service.template.yaml"], source);
    assert_eq!(
        annotations["meshagent.service.template.values"],
        r#"{"name": "s\u00fc\u00df", "other": "\""}"#
    );
}

#[test]
fn what_is_no_service_template_is_refused_with_its_place() {
    for (source, line, part) in [
        ("version: v1\nkind: ServiceTemplate\nmetadata: {name: a, nope: 1}\n", Some(3), "nope"),
        (
            "version: v1\nkind: ServiceTemplate\nmetadata: !template {name: a}\n",
            Some(3),
            "!template",
        ),
        ("version: v1\nkind: ServiceTemplate\nmetadata: {name: !other a}\n", Some(3), "!other"),
        ("kind: ServiceTemplate\n---\nkind: ServiceTemplate\n", None, "one document"),
        ("{{ missing }}", None, "nothing"),
        ("a: {{ '{' }}\n", None, ""),
    ] {
        let error = render(source, &Values::default()).expect_err(source);
        assert!(error.in_rendered, "{source:?}: {error}");
        assert!(error.message.contains(part), "{source:?}: {error}");
        if line.is_some() {
            assert_eq!(error.line, line, "{source:?}: {error}");
        }
    }
}

/// The published examples, when they lie beside the project.
fn corpus() -> Vec<(PathBuf, String)> {
    fn collect(folder: &Path, found: &mut Vec<(PathBuf, String)>) {
        let Ok(entries) = std::fs::read_dir(folder) else { return };
        let mut paths: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
        paths.sort();
        for path in paths {
            if path.is_dir() {
                collect(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "yaml") {
                let text = std::fs::read_to_string(&path).expect("the example is readable");
                found.push((path, text));
            }
        }
    }
    let mut found = Vec::new();
    collect(&root().join("../shared/corpus"), &mut found);
    if found.is_empty() {
        println!("SKIPPED: the published examples are not beside the project");
    }
    found
}

#[test]
fn published_templates_give_the_documents_that_the_reference_gives() {
    let (mut batch, mut ours, mut names) = (Vec::new(), Vec::new(), Vec::new());
    for (path, text) in corpus() {
        if !text.contains("kind: ServiceTemplate") {
            continue;
        }
        let dummies: Values = text
            .split("{{")
            .skip(1)
            .filter_map(|rest| rest.split("}}").next())
            .map(|name| (name.trim().to_owned(), format!("{}@example.test", name.trim())))
            .collect();
        for values in [dummies, Values::default()] {
            let rendered =
                render(&text, &values).map_err(|error| error.to_string()).and_then(|spec| {
                    let template = serde_json::to_value(&spec).expect("a template is JSON");
                    let service = spec.into_service()?;
                    Ok(json!({"template": template, "service": service}))
                });
            names.push(path.clone());
            batch.push(json!([text, values]));
            ours.push(rendered);
        }
    }
    compare_documents("template", &names, batch, &ours);
}

#[test]
fn published_services_give_the_documents_that_the_reference_gives() {
    let (mut batch, mut ours, mut names) = (Vec::new(), Vec::new(), Vec::new());
    for (path, text) in corpus() {
        if !text.contains("kind: Service\n") {
            continue;
        }
        let parsed = meshagent::manifest::yaml::parse(&text).map_err(|error| error.to_string());
        names.push(path);
        ours.push(parsed.and_then(|documents| {
            assert_eq!(documents.len(), 1);
            let spec: meshagent::api::specs::service::ServiceSpec =
                serde_json::from_value(documents[0].to_json())
                    .map_err(|error| error.to_string())?;
            Ok(serde_json::to_value(spec).expect("a service is JSON"))
        }));
        batch.push(json!(text));
    }
    compare_documents("service", &names, batch, &ours);
}

fn compare_documents(
    what: &str,
    names: &[PathBuf],
    batch: Vec<Value>,
    ours: &[Result<Value, String>],
) {
    if batch.is_empty() {
        return;
    }
    for (name, ours) in names.iter().zip(ours) {
        assert!(ours.is_ok(), "{}: {ours:?}", name.display());
    }
    let Some(theirs) = ask(what, &Value::Array(batch)) else { return };
    for ((name, ours), theirs) in names.iter().zip(ours).zip(&theirs) {
        let ours = ours.as_ref().expect("checked above");
        let Some(theirs) = theirs.get("value") else { panic!("{}: {theirs}", name.display()) };
        let mut differences = Vec::new();
        differ("", ours, theirs, &mut differences);
        assert!(differences.is_empty(), "{}: {}", name.display(), differences.join("\n"));
    }
    println!("{} documents of kind {what} are alike", names.len());
}

/// The places where two documents differ.
fn differ(path: &str, ours: &Value, theirs: &Value, found: &mut Vec<String>) {
    match (ours, theirs) {
        (Value::Object(ours), Value::Object(theirs)) => {
            let keys: std::collections::BTreeSet<_> = ours.keys().chain(theirs.keys()).collect();
            for key in keys {
                let (ours, theirs) = (ours.get(key), theirs.get(key));
                match (ours, theirs) {
                    (Some(ours), Some(theirs)) => {
                        differ(&format!("{path}.{key}"), ours, theirs, found);
                    }
                    _ => found.push(format!("{path}.{key}: ours {ours:?}, theirs {theirs:?}")),
                }
            }
        }
        (Value::Array(ours), Value::Array(theirs)) if ours.len() == theirs.len() => {
            for (index, (ours, theirs)) in ours.iter().zip(theirs).enumerate() {
                differ(&format!("{path}[{index}]"), ours, theirs, found);
            }
        }
        _ if ours == theirs => {}
        _ => found.push(format!("{path}: ours {ours}, theirs {theirs}")),
    }
}

#[test]
fn json_is_written_as_python_writes_it() {
    let values = json!([
        null, true, 0, -1, 1.0, 0.1, 1e16, 1e15, 1.5e-5, 1e-4, 123456789.123, 1e100, -0.0, 5e-324,
        9007199254740993_i64, 18446744073709551615_u64, 3.0e22, 1.7976931348623157e308,
        "", "plain", "quote \" slash / back \\", "\u{0}\u{1f}\u{7f}\u{80}\n\r\t\u{8}\u{c}", "é世😀\u{2028}",
        [], [[], {}], {}, {"b": 1, "a": [1, 2, {"c": null}]}, {"ключ": "значение", "": ""},
    ]);
    let Some(theirs) = ask("dumps", &values) else { return };
    for (value, theirs) in values.as_array().expect("a list").iter().zip(&theirs) {
        assert_eq!(Some(python_json::dumps(value).as_str()), theirs["text"].as_str());
    }
}
