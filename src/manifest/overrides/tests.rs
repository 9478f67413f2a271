use std::path::PathBuf;

use super::*;
use crate::manifest::yaml;

fn overrides(text: &str) -> Result<Overrides, Problem> {
    let source = Source::new("meshagent.yaml".to_owned(), PathBuf::new(), text.to_owned());
    let mut overrides = Overrides::new(Arc::new(source));
    let root = yaml::parse(text).unwrap().remove(0);
    let Value::Map(objects) = &root.value else { panic!("a map") };
    for (of, fields) in objects {
        let Value::Map(fields) = &fields.value else { panic!("a map") };
        for (path, value) in fields {
            overrides.add((&of.text, &path.text), value, path.mark, &"environment e".into())?;
        }
    }
    Ok(overrides)
}

fn applied(document: &str, text: &str) -> Result<String, Vec<String>> {
    let mut root = yaml::parse(document).unwrap().remove(0);
    let told = |problem: Problem| problem.to_string();
    let overrides = overrides(text).map_err(|problem| vec![told(problem)])?;
    let problems = overrides.apply(&mut root).err().unwrap_or_default();
    let problems = problems.into_iter().chain(overrides.unused());
    let problems: Vec<String> = problems.map(told).collect();
    match problems.is_empty() {
        true => Ok(root.to_json()["x"].to_string()),
        false => Err(problems),
    }
}

const DOCUMENT: &str = "kind: Service\nmetadata: {name: a}\nroom: r\nx: {y: 1, list: [{name: n, v: 1}, {name: m}], none: }\n";

#[test]
fn a_field_becomes_what_is_said_of_it() {
    for (text, x) in [
        (
            "{Service/a: {x.y: 2}}",
            r#"{"y":2,"list":[{"name":"n","v":1},{"name":"m"}],"none":null}"#,
        ),
        ("{Service/*: {x: {z: [1]}}}", r#"{"z":[1]}"#),
        // What names a document goes before what is said of many, wherever it stands.
        ("{Service/a: {x: 1}, Service/*: {x: 2}, '*/a': {x: 3}}", "1"),
        ("{Service/a@r: {x: 1}}", "1"),
        ("{'*/a': {x.y: null, x.list: null}}", r#"{"none":null}"#),
        (
            "{Service/a: {x.list: null, x.none.a: 1, 'x.new[name=k].v': 3}}",
            r#"{"y":1,"none":{"a":1},"new":[{"name":"k","v":3}]}"#,
        ),
        (
            "{Service/a: {'x.list[name=n].v': null, 'x.list[1]': null, x.y: null, x.none: null}}",
            r#"{"list":[{"name":"n"}]}"#,
        ),
    ] {
        assert_eq!(applied(DOCUMENT, text), Ok(x.to_owned()), "{text}");
    }
}

#[test]
fn what_cannot_be_said_is_refused_at_its_place() {
    for (text, told) in [
        ("Service/b:\n  x: 1", "meshagent.yaml:2:3: no document is Service/b"),
        ("Service/a@s: {x: 1}", "meshagent.yaml:1:15: no document is Service/a@s"),
        ("Servce/a: {x: 1}", "meshagent.yaml:1:12: unknown kind `Servce`"),
        (
            "Service/a: {x: {}, x.y: 1}",
            "meshagent.yaml:1:20: `x` and `x.y`, which is a part of it, are both said here",
        ),
        ("a: {x: 1}", "meshagent.yaml:1:5: `a` names no object"),
        (
            "Service/a: {x..y: 1}",
            "meshagent.yaml:1:13: `x..y` is not the path of a field: a field's name is missing",
        ),
        (
            "Service/a: {kind: Room}",
            "meshagent.yaml:1:13: `kind` says what the document is, so nothing else can say it",
        ),
        (
            "Service/a: {metadata: {}}",
            "meshagent.yaml:1:13: `metadata` says what the document is, so nothing else can say it",
        ),
        (
            "Service/a: {x.y.z: 1}",
            "meshagent.yaml:1:13: `x.y.z` of Service/a: there is no map that could have `z`",
        ),
        (
            "Service/a: {'x.list[7].v': 1}",
            "meshagent.yaml:1:13: `x.list[7].v` of Service/a: there is no item 7 in a list of 2",
        ),
        (
            "Service/a: {'x[0]': 1}",
            "meshagent.yaml:1:13: `x[0]` of Service/a: there is a map, not a list",
        ),
    ] {
        assert_eq!(applied(DOCUMENT, text), Err(vec![told.to_owned()]), "{text}");
    }
    let told = applied("kind: ServiceTemplate\nmetadata: {name: a}\n", "'*/a': {x: 1}");
    assert!(told.unwrap_err()[0].contains("ServiceTemplate/a is a text"));
}
