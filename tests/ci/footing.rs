//! Whom what is checked out comes from, on each system, as a table: `footings.yaml`.

use std::collections::BTreeMap;

use meshagent::whereabouts::{Barred, Footing, whereabouts};
use serde_json::{Value, json};

/// How many runs there are at least, so that none is lost unseen.
const AT_LEAST: usize = 55;

/// The variables that a map has.
fn variables(of: &Value) -> BTreeMap<String, String> {
    let of = of.as_object().expect("variables");
    of.iter().map(|(name, value)| (name.clone(), value.as_str().expect("a text").into())).collect()
}

/// The event of a pull request from this repository.
fn event(head: &Value) -> Value {
    json!({"number": 7, "pull_request": {
        "number": 7,
        "base": {"ref": "main"},
        "head": {"repo": head.as_str().map(|name| json!({"full_name": name}))},
    }})
}

#[test]
fn what_is_not_known_to_come_from_writers_is_a_strangers_on_every_system() {
    let text = std::fs::read_to_string("tests/ci/footings.yaml").unwrap();
    let table = meshagent::manifest::yaml::parse(&text).unwrap().remove(0).to_json();
    let mut count = 0;
    for system in table.as_array().unwrap() {
        for run in system["runs"].as_array().unwrap() {
            let mut all = variables(&system["variables"]);
            all.extend(variables(&run["variables"]));
            let event = run.get("head").map(event);
            let at = whereabouts(&|name| all.get(name).cloned(), event.as_ref());
            assert_eq!(at.system.name(), system["system"], "{run}");
            let has_key = run.get("key") != Some(&json!(false));
            let is = |is_vouched: bool| match at.footing(has_key, is_vouched) {
                Ok(Footing::Own) => "own",
                Ok(Footing::Stranger(_)) => "stranger",
                Err(Barred::Target | Barred::Event(_)) => "refused",
                Err(Barred::NoCredentials) => "no key",
            };
            let vouched = run.get("vouched").unwrap_or(&run["is"]);
            assert_eq!(
                (is(false), is(true)),
                (run["is"].as_str().unwrap(), vouched.as_str().unwrap()),
                "{run}"
            );
            count += 1;
        }
    }
    assert!(count >= AT_LEAST, "{count}");
}
