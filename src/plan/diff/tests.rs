//! What counts as a difference, and how it is told.

use super::*;
use crate::kinds::{KindName, shape::Shape};
use serde_json::json;

fn diff(kind: KindName, old: &Value, new: &Value) -> Vec<String> {
    let shape: &Shape = kind.kind().shape();
    let fingerprinter = Fingerprinter::new("k");
    let memory = Memory { fingerprinter: &fingerprinter, applied: None };
    changes(shape, Some(&shape.read(old)), Some(&shape.read(new)), memory)
        .iter()
        .map(|change| {
            let show = |tree: &Option<Tree>| {
                tree.as_ref().map_or("-".to_owned(), |tree| tree.redacted().to_string())
            };
            format!("{}: {} -> {}", change.path, show(&change.old), show(&change.new))
        })
        .collect()
}

#[test]
fn reordered_lists_and_spelled_out_defaults_are_no_change() {
    let old = json!({"container": {"image": "x", "private": true, "environment": [{"name": "A", "value": "1", "token": null}, {"name": "B"}], "secrets": ["s", "t"]}, "ports": null, "agents": [{"name": "n", "description": "1"}, {"name": "n", "description": "2"}]});
    let new = json!({"container": {"image": "x", "environment": [{"name": "B"}, {"name": "A", "value": "1"}], "secrets": ["t", "s"]}, "agents": [{"name": "n", "description": "2"}, {"name": "n", "description": "1"}]});
    assert_eq!(diff(KindName::Service, &old, &new), Vec::<String>::new());
}

#[test]
fn a_change_names_its_field_and_shows_defaults() {
    let old = json!({"container": {"image": "x", "private": false, "environment": [{"name": "A", "value": "1"}]}, "ports": [{"num": 80}]});
    let new = json!({"container": {"image": "y", "environment": [{"name": "A", "value": "2"}, {"name": "B"}]}, "ports": [{"type": "tcp", "num": 80}], "metadata": {"annotations": {"a.b": "c"}}});
    insta::assert_snapshot!(diff(KindName::Service, &old, &new).join("\n"));
}

#[test]
fn a_scope_that_comes_empty_is_a_change() {
    let with = |api: Value| json!({"container": {"image": "x", "environment": [{"name": "T", "token": {"identity": "i", "api": api}}]}});
    assert_eq!(diff(KindName::Service, &with(json!({})), &with(json!({"admin": {}}))).len(), 1);
    assert_eq!(
        diff(
            KindName::Service,
            &with(json!({"queues": {}})),
            &with(json!({"queues": {"send": []}}))
        )
        .len(),
        1
    );
    assert_eq!(
        diff(
            KindName::Service,
            &with(json!({"queues": {}})),
            &with(json!({"queues": {"list": true}}))
        )
        .len(),
        0
    );
}

#[test]
fn a_secret_that_the_platform_masks_is_compared_with_what_was_applied() {
    let shape = KindName::Secret.kind().shape();
    let fingerprinter = Fingerprinter::new("k");
    let desired =
        Tree::map([("type", Tree::text("keys")), ("data", Tree::map([("A", Tree::secret("v"))]))]);
    let observed = Tree::map([
        ("type", Tree::text("keys")),
        ("data", Tree::map([("A", Tree::Secret(Sealed::Masked))])),
    ]);
    let applied = desired.recorded(&fingerprinter);
    let with = |applied: Option<&Value>, desired: &Tree| {
        changes(
            shape,
            Some(&observed),
            Some(desired),
            Memory { fingerprinter: &fingerprinter, applied },
        )
        .len()
    };
    assert_eq!(with(Some(&applied), &desired), 0);
    assert_eq!(with(None, &desired), 1);
    let rotated =
        Tree::map([("type", Tree::text("keys")), ("data", Tree::map([("A", Tree::secret("w"))]))]);
    assert_eq!(with(Some(&applied), &rotated), 1);
}

#[test]
fn what_drifted_of_an_item_with_a_default_key_is_drift() {
    let shape = KindName::Service.kind().shape();
    let fingerprinter = Fingerprinter::new("k");
    let with = |published: bool| json!({"container": {"image": "x"}, "ports": [{"type": "http", "published": published}, {"num": 80}]});
    let new = shape.read(&with(true));
    let applied = new.recorded(&fingerprinter);
    let memory = Memory { fingerprinter: &fingerprinter, applied: Some(&applied) };
    let gone = json!({"container": {"image": "x"}, "ports": [{"num": 80}]});
    for old in [with(false), gone] {
        let changes = changes(shape, Some(&shape.read(&old)), Some(&new), memory);
        assert_eq!(changes.len(), 1, "{changes:?}");
        assert_eq!(changes[0].cause, Some(Cause::Drift), "{}", changes[0].path);
    }
}

#[test]
fn a_mask_is_found_in_what_is_to_be_sent() {
    let with = |secret: Tree| Tree::map([("a", Tree::text("x")), ("b", secret)]);
    let found = |tree: &Tree| mask_in(tree).map(|path| path.to_string());
    for secret in [Tree::Secret(Sealed::Masked), Tree::secret(MASK)] {
        assert_eq!(found(&with(secret)).as_deref(), Some("b"));
    }
    assert_eq!(found(&with(Tree::secret("**x**"))), None);
}

/// What a manifest alone hides is told by the platform, whatever it is and when it is gone.
#[test]
fn what_only_the_manifest_hides_is_compared_with_what_is_there() {
    let fingerprinter = Fingerprinter::new("k");
    let paths = |kind: KindName, wanted: &Value, hidden: &[&str], old: &Value| {
        let shape = kind.kind().shape();
        let mut new = shape.read(wanted);
        new.rewrite_leaves(&mut |_, leaf| match leaf {
            Tree::Text(text) if hidden.contains(&text.as_str()) => Some(Tree::secret(text.clone())),
            _ => None,
        });
        let applied = new.recorded(&fingerprinter);
        let memory = Memory { fingerprinter: &fingerprinter, applied: Some(&applied) };
        let changes = changes(shape, Some(&shape.read(old)), Some(&new), memory);
        changes.iter().map(|change| change.path.to_string()).collect::<Vec<_>>().join(" ")
    };
    let service = |command: Value, value: Value| json!({"container": {"image": "x", "command": command, "environment": [{"name": "T", "value": value}]}});
    let wanted = service(json!("x run"), json!("x"));
    let both = "container.command container.environment[name=T].value";
    for gone in [Value::Null, json!(""), json!("*"), json!("ab**"), json!("other")] {
        let old = service(gone.clone(), gone.clone());
        assert_eq!(paths(KindName::Service, &wanted, &["x run", "x"], &old), both, "{gone}");
    }
    assert_eq!(paths(KindName::Service, &wanted, &["x run", "x"], &wanted), "");
    // What only the platform knows is what was applied.
    let secret = |data: Value| json!({"type": "keys", "data": data});
    for (data, expected) in [
        (json!({"A": "one", "B": "two"}), ""),
        (json!({"A": "one", "B": "other"}), "data.B"),
        (json!({"A": "one"}), "data.B"),
        (json!({"A": "one", "B": "two", "C": "three"}), "data.C"),
    ] {
        let shape = KindName::Secret.kind().shape();
        let applied = shape.read(&secret(json!({"A": "one", "B": "two"})));
        let applied = applied.recorded(&fingerprinter);
        let memory = Memory { fingerprinter: &fingerprinter, applied: Some(&applied) };
        let (old, new) = (shape.read(&secret(json!({}))), shape.read(&secret(data)));
        let changes = changes(shape, Some(&old), Some(&new), memory);
        let paths: Vec<_> = changes.iter().map(|change| change.path.to_string()).collect();
        assert_eq!(paths.join(" "), expected);
    }
    let settings = |settings: Value| json!({"settings": settings});
    let wanted = settings(json!({"a": "one", "b": {"x": "1"}}));
    for (old, expected) in [
        (json!({}), "settings.a settings.b.x"),
        (json!({"a": "", "b": {"x": "**"}}), "settings.a settings.b.x"),
        (json!({"b": {}}), "settings.a settings.b.x"),
    ] {
        let seen = paths(KindName::Project, &wanted, &[], &settings(old.clone()));
        assert_eq!(seen, expected, "{old}");
    }
}

#[test]
fn what_nobody_named_in_a_partial_list_is_no_change_until_somebody_named_it() {
    let shape = KindName::Table.kind().shape();
    let column = |name: &str| json!({"name": name, "type": "int"});
    let there = shape.read(&json!({"columns": [column("note"), column("id")]}));
    let wanted = shape.read(&json!({"columns": [column("id")]}));
    let fingerprinter = Fingerprinter::new("k");
    let paths = |applied: Option<Value>| -> Vec<String> {
        let memory = Memory { fingerprinter: &fingerprinter, applied: applied.as_ref() };
        let changes = changes(shape, Some(&there), Some(&wanted), memory);
        changes.iter().map(|change| change.path.to_string()).collect()
    };
    assert_eq!(paths(None), [""; 0]);
    assert_eq!(paths(Some(json!({"columns": [column("id")]}))), [""; 0]);
    assert_eq!(paths(Some(json!({"columns": [column("note")]}))), ["columns[name=note]"]);
    let added = |named: &[&Tree]| -> Vec<String> {
        shape.added(&there, named).iter().map(ToString::to_string).collect()
    };
    assert_eq!(added(&[&wanted]), ["columns[name=note]"]);
    assert_eq!(added(&[&wanted, &there]), [""; 0]);
}
