//! What comes of service templates agrees with the reference's models. That their text agrees with
//! Jinja2 is tested in `crates/jinja`.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use meshagent::api::python_json;
use meshagent::manifest::template::{Values, render};
use serde_json::{Value, json};

use crate::{needs, published};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Asks the reference about a batch; nothing when there is no reference.
fn ask(what: &str, batch: &Value) -> Option<Vec<Value>> {
    let python = needs::python("the comparison of templates with the reference")?;
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

#[test]
fn published_templates_give_the_documents_that_the_reference_gives() {
    let (mut batch, mut ours, mut names) = (Vec::new(), Vec::new(), Vec::new());
    for (path, text) in published::documents("documents of the reference") {
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
    compare_documents(("template", 16), &names, batch, &ours);
}

#[test]
fn published_services_give_the_documents_that_the_reference_gives() {
    let (mut batch, mut ours, mut names) = (Vec::new(), Vec::new(), Vec::new());
    for (path, text) in published::documents("documents of the reference") {
        if !text.contains("kind: Service\n") {
            continue;
        }
        let parsed = meshagent::manifest::yaml::parse(&text).map_err(|error| error.to_string());
        names.push(path);
        ours.push(parsed.and_then(|documents| {
            assert_eq!(documents.len(), 1);
            let spec: meshagent::kinds::specs::service::ServiceSpec =
                serde_json::from_value(documents[0].to_json())
                    .map_err(|error| error.to_string())?;
            Ok(serde_json::to_value(spec).expect("a service is JSON"))
        }));
        batch.push(json!(text));
    }
    compare_documents(("service", 20), &names, batch, &ours);
}

fn compare_documents(
    (what, least): (&str, usize),
    names: &[PathBuf],
    batch: Vec<Value>,
    ours: &[Result<Value, String>],
) {
    assert!(batch.len() >= least, "only {} documents of kind {what}", batch.len());
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
