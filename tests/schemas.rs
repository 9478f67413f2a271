//! The checked-in schemas are those of the types.

use std::collections::BTreeSet;
use std::path::Path;

use meshagent::kinds::specs::keywords;
use meshagent::kinds::specs::rules::Rule;
use meshagent::kinds::specs::scope::ApiScope;

use meshagent::kinds;
use serde_json::{Value, json};

use crate::cli::Sandbox;

#[test]
fn checked_in_schemas_are_what_the_types_say() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas");
    let all = meshagent::commands::schema::published().unwrap();
    let drifted: Vec<&String> = all
        .iter()
        .filter(|(name, text)| {
            std::fs::read_to_string(folder.join(name)).unwrap_or_default() != *text
        })
        .map(|(name, _)| name)
        .collect();
    assert!(
        drifted.is_empty(),
        "{drifted:?} differ; write them again with `cargo run -- schema -d schemas`"
    );
    let files = std::fs::read_dir(&folder).unwrap().count();
    assert_eq!(files, all.len(), "schemas/ holds a file that no type stands for");
}

/// YAML reads an API without quotes as a number, which the program takes.
#[test]
fn an_editor_takes_an_api_with_and_without_quotes() {
    let published = meshagent::commands::schema::published().unwrap();
    let (_, text) = published.iter().find(|(name, _)| name == "project-file.json").expect("it");
    let schema: Value = serde_json::from_str(text).unwrap();
    let schema = jsonschema::validator_for(&schema).unwrap();
    let takes = |dialect: Value| {
        let project = json!({"version": "v1", "environments": {"dev": {"dialect": dialect}}});
        schema.is_valid(&project)
    };
    for dialect in [json!("0.31"), json!("0.56"), json!(0.31), json!(0.56)] {
        assert!(takes(dialect.clone()), "{dialect}");
    }
    // A field that is left empty is refused, as the program refuses it.
    for dialect in [json!("0.55"), json!(0.55), json!(true), Value::Null] {
        assert!(!takes(dialect.clone()), "{dialect}");
    }
}

/// The reference of fields shows the table of what kinds refer to, so it leaves nothing out.
#[test]
fn the_table_says_what_every_kind_refers_to() {
    let published = meshagent::commands::schema::published().unwrap();
    let (_, table) = published.iter().find(|(name, _)| name == "kinds.md").expect("a table");
    let row = |kind: &str| -> BTreeSet<String> {
        let row = table.lines().find(|line| line.starts_with(&format!("| [`{kind}`]")));
        let cell = row.expect("a row").split(" | ").nth(2).expect("a cell");
        cell.split('`').skip(1).step_by(2).map(str::to_owned).collect()
    };
    let set = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    assert_eq!(
        row("Service"),
        set(&["AccountSecret", "Room", "Secret", "ServiceAccount", "ServiceTemplate"])
    );
    assert_eq!(row("ServiceTemplate"), set(&["Room"]));
    assert_eq!(row("Route"), set(&["Room", "Service"]));
    for kind in kinds::ALL {
        let row = row(&kind.name().to_string());
        let related = kind.relations().iter().map(|relation| relation.to.to_string());
        let placed = kind.name().is_in_rooms().then(|| "Room".to_owned());
        related.chain(placed).for_each(|name| assert!(row.contains(&name), "{}", kind.name()));
    }
}

#[test]
fn the_help_says_what_is_written() {
    let sandbox = Sandbox::new();
    assert_eq!(sandbox.run(&["schema", "-d", "out"]).code, 0);
    let help = sandbox.run(&["schema", "--help"]).stdout;
    let entries = std::fs::read_dir(sandbox.path("out")).unwrap().map(Result::unwrap);
    let names = entries.map(|entry| entry.file_name().into_string().unwrap());
    let (schemas, others): (Vec<_>, Vec<_>) = names.partition(|name| name.ends_with(".json"));
    assert!(schemas.len() > kinds::ALL.len());
    for other in others {
        assert!(help.contains(&other), "{other} is written, and the help does not say so");
    }
}

#[test]
fn the_example_manifests_match_the_published_schema() {
    let validator = jsonschema::validator_for(&meshagent::kinds::schema::combined()).unwrap();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/manifests");
    let mut documents = 0;
    for entry in walkdir::WalkDir::new(folder).into_iter().map(Result::unwrap) {
        // What secrets are read from lies beside the manifests.
        if entry.file_type().is_dir() || entry.path().extension().is_some_and(|it| it == "txt") {
            continue;
        }
        let text = std::fs::read_to_string(entry.path()).unwrap();
        assert!(text.starts_with("# yaml-language-server: $schema="), "{}", entry.path().display());
        for document in meshagent::manifest::yaml::parse(&text).unwrap() {
            let errors: Vec<String> =
                validator.iter_errors(&document.to_json()).map(|error| error.to_string()).collect();
            assert!(errors.is_empty(), "{}: {errors:?}", entry.path().display());
            documents += 1;
        }
    }
    assert!(documents > 10, "the examples were not found");
}

/// Goes through a schema and tells of keywords that there are not, and of values that they
/// cannot have.
fn look_through(schema: &Value, seen: &mut Vec<String>, wrong: &mut Vec<String>) {
    match schema {
        Value::Array(items) => items.iter().for_each(|item| look_through(item, seen, wrong)),
        Value::Object(fields) => {
            for (name, value) in fields {
                look_through(value, seen, wrong);
                // A field of a document may be called anything.
                if !name.starts_with("x-") {
                    continue;
                }
                seen.push(name.clone());
                let is_field = |name: &Value| name.is_string();
                let fits = match name.as_str() {
                    keywords::EMPTY => value == "absent",
                    keywords::KEY => is_field(value),
                    keywords::UNIQUE => {
                        value.as_array().is_some_and(|names| names.iter().all(is_field))
                    }
                    keywords::RULE => value.as_str().is_some_and(|it| Rule::named(it).is_some()),
                    known => keywords::ALL.contains(&known) && value == true,
                };
                if !fits {
                    wrong.push(format!("{name}: {value}"));
                }
            }
        }
        _ => {}
    }
}

#[test]
fn every_keyword_of_our_own_is_one_that_is_read() {
    let mut schemas: Vec<Value> =
        meshagent::commands::schema::all().into_iter().map(|(_, schema)| schema).collect();
    schemas.extend(kinds::ALL.map(|kind| kinds::schema::inlined(kind).clone()));
    schemas.push(schemars::schema_for!(ApiScope).to_value());
    let (mut seen, mut wrong) = (Vec::new(), Vec::new());
    schemas.iter().for_each(|schema| look_through(schema, &mut seen, &mut wrong));
    assert!(wrong.is_empty(), "{wrong:#?}");
    for keyword in keywords::ALL {
        assert!(seen.iter().any(|it| it == keyword), "no schema has {keyword}");
    }
    // The look itself tells of what is wrong.
    let misspelled = serde_json::json!({"properties": {"a": {"x-secert": true, "x-empty": "no"}}});
    look_through(&misspelled, &mut seen, &mut wrong);
    assert_eq!(wrong, ["x-secert: true", "x-empty: \"no\""]);
}
