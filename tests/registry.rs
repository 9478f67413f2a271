//! Rules that every kind keeps. Each test walks the whole registry, so a new kind, or a new
//! field of a kind, is under all of them.

pub mod documents;
mod fields;
mod secrecy;
mod values;

use std::collections::BTreeSet;

use meshagent::api::request::Body;
use meshagent::api::spoken::Spoken;
use meshagent::dialect::{self, Target};
use meshagent::kinds::{self, By, Kind, KindName, ReferredTo, Relation, schema};
use meshagent::manifest::values::FileValues;
use meshagent::plan::Action;
use serde_json::Value;

use crate::reconciler::{World, describe, destroying, lines, policy};
use crate::spoken::{BOTH, all_variants, has, sayable};
use documents::{is_reconcilers_own, surrounded, variants};

/// The example of a kind, with texts read from a file in place of the environment.
fn example(kind: &dyn Kind) -> (String, Value) {
    let text = kind.example().replace("{env: OPENAI_API_KEY}", "{file: key.txt}");
    assert!(!text.contains("env:"), "{}: its example reads the environment", kind.name());
    let value = meshagent::manifest::yaml::parse(&text).unwrap().remove(0).to_json();
    (text, value)
}

/// The same as far as an API can say it.
fn example_in(spoken: Spoken, kind: &dyn Kind) -> (String, Value) {
    let (text, document) = example(kind);
    let said = sayable(spoken, document.clone());
    if said == document { (text, document) } else { (meshagent::visible::yaml(&said), said) }
}

#[test]
fn every_example_matches_what_is_published_and_what_is_checked() {
    let combined = jsonschema::validator_for(&schema::combined()).unwrap();
    for kind in kinds::ALL {
        let name = kind.name();
        let (_, document) = example(kind);
        let published = jsonschema::validator_for(&schema::published(kind)).unwrap();
        for validator in [&published, &combined, schema::validator(kind).unwrap()] {
            let errors: Vec<_> = validator.iter_errors(&document).collect();
            assert!(errors.is_empty(), "{name}: {errors:?}");
        }
        let mut wrong = document.clone();
        wrong["never_heard_of"] = true.into();
        assert!(!published.is_valid(&wrong), "{name}: any field passes the published schema");
        assert!(!combined.is_valid(&wrong), "{name}: any field passes the combined schema");
    }
}

#[test]
fn every_full_document_matches_what_is_published_and_what_is_checked() {
    let combined = jsonschema::validator_for(&schema::combined()).unwrap();
    for variant in kinds::ALL.into_iter().flat_map(variants) {
        let published = jsonschema::validator_for(&schema::published(variant.kind)).unwrap();
        for validator in [&published, &combined, schema::validator(variant.kind).unwrap()] {
            let errors: Vec<_> = validator.iter_errors(&variant.document).collect();
            assert!(errors.is_empty(), "{} {}: {errors:?}", variant.kind.name(), variant.label);
        }
    }
}

/// Every field of a schema, by its path without list positions.
fn schema_fields(schema: &Value, path: &str, found: &mut Vec<(String, Value)>) {
    for (name, below) in schema["properties"].as_object().into_iter().flatten() {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        found.push((path.clone(), below.clone()));
        schema_fields(below, &path, found);
        schema_fields(&below["items"], &path, found);
        schema_fields(&below["additionalProperties"], &format!("{path}.KEY"), found);
    }
}

#[test]
fn every_field_is_described() {
    for kind in kinds::ALL {
        let schema = schema::inlined(kind);
        assert!(schema["description"].is_string(), "{}: it has no description", kind.name());
        let mut found = Vec::new();
        schema_fields(schema, "", &mut found);
        assert!(found.len() > 5, "{}: where are its fields?", kind.name());
        for (path, field) in found {
            let description = field["description"].as_str().unwrap_or_default();
            assert!(!description.trim().is_empty(), "{}: `{path}` has no description", kind.name());
        }
    }
}

#[test]
fn every_field_is_in_a_full_document_or_is_the_reconcilers_own() {
    for kind in kinds::ALL {
        let mut found = Vec::new();
        schema_fields(schema::inlined(kind), "", &mut found);
        let variants = variants(kind);
        for (path, _) in found {
            let is_below_own = path
                .match_indices('.')
                .map(|(end, _)| &path[..end])
                .chain([&*path])
                .any(|above| is_reconcilers_own(kind.name(), above));
            let is_grown = variants
                .iter()
                .any(|variant| variant.fields.iter().any(|field| field.names.join(".") == path))
                // A text with a source is grown as a text.
                || path.contains(".from")
                || path.ends_with(".allow_empty");
            assert!(is_grown || is_below_own, "{}: nothing changes `{path}`", kind.name());
        }
    }
}

/// The scalars of a value, except those that are only there to name or place the object.
fn scalars(value: &Value, found: &mut Vec<Value>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| scalars(item, found)),
        Value::Object(fields) => fields.values().for_each(|field| scalars(field, found)),
        Value::Null => {}
        scalar => found.push(scalar.clone()),
    }
}

/// What others name by its id is read before them, which no order does for a circle.
#[test]
fn no_kind_is_named_by_an_id_in_what_it_names_by_an_id() {
    let named = |kind: KindName| {
        let relations = kind.kind().relations().iter();
        let by_id = relations.filter(|relation| matches!(relation.by, By::Id | By::Email));
        by_id.map(|relation| relation.to)
    };
    for kind in kinds::ALL.into_iter().map(Kind::name) {
        let (mut met, mut open) = (BTreeSet::new(), vec![kind]);
        while let Some(next) = open.pop() {
            open.extend(named(next).filter(|to| met.insert(*to)));
        }
        assert!(!met.contains(&kind), "{kind}: {met:?}");
    }
}

/// What is read before a deletion, and what follows a rename, hang on what a kind says of all its
/// objects; a reference of one object that its kind does not mention would be overlooked there.
#[test]
fn what_an_object_refers_to_is_what_its_kind_may_refer_to() {
    let (mut by_object, mut met) = (0, BTreeSet::new());
    for variant in kinds::ALL.into_iter().flat_map(variants) {
        let (kind, document) = (variant.kind.name(), &variant.document);
        for declared in variant.kind.declare(document).unwrap() {
            for reference in variant.kind.references(&declared.fields) {
                let relations = variant.kind.relations().iter();
                let is_it = |relation: &&Relation| match &reference.to {
                    ReferredTo::Object { kind, .. } => {
                        relation.to == *kind && relation.by != By::Port
                    }
                    ReferredTo::Port { .. } => relation.by == By::Port,
                };
                let relation = relations.clone().find(is_it);
                let relation = relation.unwrap_or_else(|| panic!("{kind}: {reference:?}"));
                met.insert((kind, relation.to));
                by_object += 1;
            }
            met.extend(variant.kind.named_in(&declared.name).map(|(to, _)| (kind, to)));
        }
    }
    // And the other way round: nothing is mentioned that no object says.
    let said = |kind: &'static dyn Kind| {
        kind.relations().iter().map(move |relation| (kind.name(), relation.to))
    };
    let said: BTreeSet<_> = kinds::ALL.into_iter().flat_map(said).collect();
    assert_eq!(met, said);
    assert!(by_object > 5, "{by_object}");
}

#[test]
fn all_that_a_document_says_is_in_the_request_that_creates_its_object() {
    for (spoken, variant) in all_variants() {
        let kind = variant.kind;
        if [KindName::ServiceTemplate, KindName::Agent].contains(&kind.name()) {
            continue; // It becomes a service; the rules that apply it cover it.
        }
        let declared = kind.declare(&variant.document).unwrap().remove(0);
        let content = kind.content(&variant.document);
        let asked = meshagent::kinds::Asked { content, ..Default::default() };
        let target = Target {
            project: "p",
            room: declared.room.as_deref(),
            name: &declared.name,
            id: None,
            fields: &declared.fields,
            owner: None,
            answered: None,
            place_id: declared.room.as_deref(),
            named_id: None,
            changed: &[],
            removed: &[],
            asked: &asked,
        };
        let spelling = dialect::of(spoken, kind.name());
        let request = spelling.create(&target).expect("a create");
        let after = Target { id: Some("id"), ..target.clone() };
        let after = spelling.after(&after, true).expect("further requests");
        let (mut said, mut sent) = (Vec::new(), Vec::new());
        let mut body = Value::Null;
        for request in [request.clone()].into_iter().chain(after) {
            match request.body {
                Body::Json(json) => {
                    scalars(&json, &mut sent);
                    sent.extend(json["value_base64"].as_str().into_iter().flat_map(decoded));
                    body = json;
                }
                // That it is sent says it.
                Body::Empty => sent.push(true.into()),
                Body::Bytes(bytes) => sent.push(String::from_utf8(bytes).unwrap().into()),
            }
        }
        if kind.is_inside_rooms() {
            let parts = request.path.split('/').filter(|part| !part.is_empty());
            sent.extend(parts.map(|part| {
                let part = percent_encoding::percent_decode_str(part).decode_utf8().unwrap();
                Value::from(part)
            }));
            sent.extend(request.query.iter().map(|(_, value)| Value::from(value.as_str())));
        }
        // The account is in the path.
        sent.extend(variant.document["account"].as_str().map(Value::from));
        // A task is created below its room there.
        sent.extend(
            variant.document["room"]
                .as_str()
                .filter(|room| request.path.contains(&format!("/{room}/")))
                .map(Value::from),
        );
        for (name, value) in variant.document.as_object().unwrap() {
            match (kind.name(), name.as_str()) {
                // The wire wants the port as text, and knows presets of registries by none.
                (KindName::Route, "port") => said.push(value.to_string().into()),
                (KindName::Secret, "type") => {}
                // A new room is enabled.
                (KindName::Room, "enabled") => {}
                // It is in the path.
                (KindName::SettingsDocument | KindName::RoomRoles, "metadata") => {}
                (KindName::RoleGrant, "metadata") => {
                    said.extend(declared.name.split(':').map(Value::from));
                }
                (KindName::Service, _) => scalars(value, &mut said),
                // It is for the reconciler.
                (_, "lifecycle") => {}
                (_, "version" | "kind") => {}
                _ => scalars(value, &mut said),
            }
        }
        for value in said {
            let position = sent.iter().position(|sent| *sent == value);
            let Some(position) = position else {
                panic!("{} {}: {value} is lost in {body}", kind.name(), variant.label)
            };
            sent.swap_remove(position);
        }
    }
}

/// The texts in a value that is sent as bytes.
fn decoded(text: &str) -> Vec<Value> {
    use base64::Engine as _;
    let bytes = base64::engine::general_purpose::STANDARD.decode(text).expect("base64");
    let text = String::from_utf8(bytes).expect("a text");
    let Ok(json) = serde_json::from_str::<Value>(&text) else { return vec![text.into()] };
    let mut found = Vec::new();
    scalars(&json, &mut found);
    let servers = json["auths"].as_object().into_iter().flatten();
    found.extend(servers.map(|(server, _)| Value::from(server.as_str())));
    found
}

#[tokio::test]
async fn every_example_applies_and_then_plans_to_nothing_until_it_is_destroyed() {
    let all = BOTH.into_iter().flat_map(|spoken| kinds::ALL.map(|kind| (spoken, kind)));
    for (spoken, kind) in all.filter(|(spoken, kind)| has(*spoken, kind.name())) {
        let name = kind.name();
        let world = World::speaking(spoken).await;
        let (text, document) = example_in(spoken, kind);
        let mut around = surrounded(spoken, &document);
        around.pop();
        world.write("set/key.txt", "sk-test\n");
        let around: Vec<String> = around.iter().map(meshagent::visible::yaml).collect();
        let paths =
            [world.write("set/a.yaml", &around.join("---\n")), world.write("set/b.yaml", &text)];
        let read = || {
            world
                .set(&paths, FileValues::default())
                .unwrap_or_else(|problems| panic!("{name}: {}", lines(&problems)))
        };
        let decided = world.decide(read(), &policy("s")).await.unwrap();
        let only_creates = |operation: &meshagent::plan::Operation| {
            operation.action() == Action::Create && operation.fingerprint.is_none()
        };
        assert!(decided.plan.operations.iter().all(only_creates), "{name}: {:?}", decided.plan);
        world.apply(&decided).await;
        let again = world.decide(read(), &policy("s")).await.unwrap();
        assert!(again.plan.is_empty(), "{name}: {}", describe(&again.plan));
        for (key, desired) in read().objects {
            if key.kind == KindName::Project {
                continue; // Its settings are told for one project, not in the list.
            }
            let seen = again.state.objects.iter().find(|(seen, _)| {
                (seen.kind, &seen.name, &seen.room) == (key.kind, &key.name, &key.room)
            });
            let seen = seen.unwrap_or_else(|| panic!("{name}: {key} is not listed")).1;
            let (mut seen, desired) = (seen.fields.redacted(), desired.fields.redacted());
            fields::without_left_alone(&mut seen, &desired);
            assert_eq!(seen, desired, "{name}: {key}");
        }
        let gone = world.decide(read(), &destroying("s")).await.unwrap();
        for operation in &gone.plan.operations {
            let deletable = operation.key.kind.kind().is_deletable();
            let wanted = if deletable { Action::Delete } else { Action::Release };
            assert_eq!(operation.action(), wanted, "{name}: {}", operation.key);
        }
        world.apply(&gone).await;
        let after = world.decide(read(), &policy("s")).await.map(|decided| decided.plan.counts());
        match (name, after) {
            // A project cannot be deleted. There is nothing in it, so it is nobody's.
            (_, Ok(counts)) => {
                let adopt = usize::from(name == KindName::Project);
                let create = decided.plan.operations.len() - adopt;
                assert_eq!((counts.create, counts.adopt), (create, adopt), "{name}: {counts:?}");
            }
            (name, after) => panic!("{name}: {after:?}"),
        }
    }
}
