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
            let (of, path) = ((of.text.as_str(), of.mark), (path.text.as_str(), path.mark));
            let said = Said { of, path, value, must_be: of.0.starts_with("Secret/") };
            overrides.add(said, &"environment e".into())?;
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

const PORTS: &str = "kind: Service\nmetadata: {name: a}\nrooms: [r, s]\nx: [{num: 80, type: t}, {num: 81, type: t}, {num: 82}]\n";

#[test]
fn an_item_is_found_by_a_number_and_keeps_its_position_while_others_go() {
    for (text, numbers) in [
        ("{'x[num=81].num': 8081}", "80 8081 82"),
        ("{'x[num=82]': null}", "80 81"),
        ("{'x[num=83].type': t}", "80 81 82 \"83\""),
        ("{'x[0]': null, 'x[1]': null}", "82"),
        ("{'x[1]': null, 'x[0]': null}", "82"),
        ("{'x[0]': null, 'x[1].num': 99}", "99 82"),
        ("{'x[1].num': 99, 'x[0]': null}", "99 82"),
        ("{'x[num=80]': null, 'x[2].num': 99}", "81 99"),
    ] {
        let items = applied(PORTS, &format!("Service/a: {text}")).unwrap();
        let items: Vec<serde_json::Value> = serde_json::from_str(&items).unwrap();
        let found: Vec<String> = items.iter().map(|item| item["num"].to_string()).collect();
        assert_eq!(found.join(" "), numbers, "{text}");
    }
    let text = "{'*/*': {'x[0]': null}, Service/a: {'x[0].num': 1}}";
    let told = "meshagent.yaml:1:37: `x[0].num` of Service/a: item 0 is taken out";
    assert_eq!(applied(PORTS, text), Err(vec![told.to_owned()]));
}

#[test]
fn one_room_of_a_document_for_several_is_not_meant_alone() {
    let told = |at: &str, of: &str| {
        format!(
            "meshagent.yaml:1:{at}: `{of}` is only a part of Service/a, one document for 2 rooms"
        )
    };
    for (of, is_refused) in [
        ("Service/a@r", true),
        ("*/*@s", true),
        ("Service/a@*", false),
        ("Service/a", false),
        ("*/a", false),
    ] {
        let text = format!("'{of}': {{'x': 1, 'y': null, z: 2}}");
        let expected = vec![told("1", of)];
        let found = applied(PORTS, &text);
        assert_eq!(found.as_ref().err().is_some_and(|it| *it == expected), is_refused, "{found:?}");
        let source = Source::new("meshagent.yaml".to_owned(), PathBuf::new(), text);
        let mut overrides = Overrides::new(Arc::new(source));
        overrides.leave_out(of, Mark::default()).unwrap();
        let found = overrides.leaves_out(&yaml::parse(PORTS).unwrap()[0]);
        assert_eq!(found.is_err(), is_refused);
        assert!(found.is_err() || found == Ok(true));
    }
    let one = PORTS.replace("rooms: [r, s]", "room: r");
    assert_eq!(applied(&one, "Service/a@r: {x: 1}"), Ok("1".to_owned()));
}

#[test]
fn what_is_in_namespaces_is_named_with_them() {
    let table = PORTS.replace("rooms: [r, s]", "room: r\nnamespace: [b, c]");
    for of in ["Service/b/c/a@r", "Service/b/c/a", "Service/b/*", "Service/*/a@r"] {
        assert_eq!(applied(&table, &format!("'{of}': {{x: 1}}")), Ok("1".to_owned()), "{of}");
    }
    for of in ["Service/a", "Service/a@r", "Service/b/a@r"] {
        assert!(applied(&table, &format!("'{of}': {{x: 1}}")).is_err(), "{of}");
    }
}

#[test]
fn many_overrides_cost_no_more_each_than_a_few() {
    let source = Source::new("meshagent.yaml".to_owned(), PathBuf::new(), String::new());
    let said = |count: usize| {
        let mut overrides = Overrides::new(Arc::new(source.clone()));
        let value = yaml::parse("1").unwrap().remove(0);
        let begun = std::time::Instant::now();
        for at in 0..count {
            let of = format!("Service/s{}", at / 3);
            let path = format!("x.f{}", at % 3);
            let mark = Mark::default();
            let (of, path) = ((of.as_str(), mark), (path.as_str(), mark));
            let said = Said { of, path, value: &value, must_be: false };
            overrides.add(said, &"environment e".into()).unwrap();
        }
        begun.elapsed()
    };
    let few: std::time::Duration = (0..10).map(|_| said(MOST / 10)).sum();
    // Whatever else the machine does meanwhile.
    let many = (0..3).map(|_| said(MOST)).min().unwrap();
    assert!(many < few * 4, "{many:?} for all at once, {few:?} for a tenth ten times");
}

#[test]
fn what_cannot_be_said_is_refused_at_its_place() {
    for (text, told) in [
        ("Service/b:\n  x: 1", "meshagent.yaml:1:1: no document is Service/b"),
        ("Service/a@s: {x: 1}", "meshagent.yaml:1:1: no document is Service/a@s"),
        ("Servce/a: {x: 1}", "meshagent.yaml:1:12: unknown kind `Servce`"),
        (
            "Service/a: {x: {}, x.y: 1}",
            "meshagent.yaml:1:20: `x` and `x.y`, which is a part of it, are both said here",
        ),
        ("a: {x: 1}", "meshagent.yaml:1:5: `a` names no object"),
        (
            "Service/a: {x.y: 1, 'x[\"y\"]': 2}",
            "meshagent.yaml:1:21: `x.y` of Service/a is said twice here",
        ),
        // What takes out nothing is a spelling mistake.
        (
            "Service/a: {x.z: null}",
            "meshagent.yaml:1:13: Service/a has no `x.z` that could be taken out",
        ),
        (
            "Service/a: {'x.list[name=k]': null}",
            "meshagent.yaml:1:13: Service/a has no `x.list[name=k]` that could be taken out",
        ),
        (
            "Service/*: {'x.list[name=m].v': null}",
            "meshagent.yaml:1:13: Service/* has no `x.list[name=m].v` that could be taken out",
        ),
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

#[test]
fn a_value_of_a_secret_that_is_not_there_is_not_made() {
    let secret = "kind: Secret\nmetadata: {name: k}\nx: 0\ndata: {TOKEN: 1}\n";
    assert_eq!(applied(secret, "{Secret/k: {data.TOKEN: 2}}"), Ok("0".to_owned()));
    let told = "meshagent.yaml:1:13: Secret/k has no value `TOKE`".to_owned();
    assert_eq!(applied(secret, "{Secret/k: {data.TOKE: 2}}"), Err(vec![told]));
}

#[test]
fn what_an_environment_takes_back_is_not_taken_out_in_vain() {
    let text = "a: {x.z: 1}\nb: {x.z: null}\n";
    let source = Source::new("meshagent.yaml".to_owned(), PathBuf::new(), text.to_owned());
    let mut overrides = Overrides::new(Arc::new(source));
    let root = yaml::parse(text).unwrap().remove(0);
    for environment in ["a", "b"] {
        let value = root.get(environment).and_then(|it| it.get("x.z")).unwrap();
        let (of, path) = (("Service/a", value.mark), ("x.z", value.mark));
        let from = environment.into();
        overrides.add(Said { of, path, value, must_be: false }, &from).unwrap();
    }
    overrides.apply(&mut yaml::parse(DOCUMENT).unwrap().remove(0)).unwrap();
    assert!(overrides.unused().is_empty());
}
