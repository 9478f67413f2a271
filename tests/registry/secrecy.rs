//! Texts of secret fields are shown nowhere: in no plan, no report, no `Debug`, no error.

use meshagent::api::spoken::Spoken;
use meshagent::kinds;
use meshagent::output::render_problem;
use meshagent::plan::document::PlanDocument;
use meshagent::plan::graph::{Graph, Language};
use meshagent::plan::{Plan, html, markdown, text, unified};
use serde_json::{Value, json};

use super::documents::{Variant, surrounded, variants, with};
use crate::reconciler::{World, destroying, policy};
use crate::spoken::{BOTH, all_variants};

/// A word that stands nowhere but in secrets, within what is hard to spell.
const CANARY: &str = "canary7f3a";

fn canary(number: usize) -> Value {
    json!(format!("\u{f6} \\ \"{CANARY}\" {number}"))
}

/// The value with every text in it a canary.
fn planted(value: &Value, number: usize) -> Value {
    match value {
        Value::String(_) => canary(number),
        Value::Array(items) => items.iter().map(|item| planted(item, number)).collect(),
        Value::Object(fields) => {
            fields.iter().map(|(name, field)| (name.clone(), planted(field, number))).collect()
        }
        other => other.clone(),
    }
}

/// The full document with canaries in all its secret fields.
fn infested(variant: &Variant, number: usize) -> Value {
    let secrets = variant.fields.iter().filter(|field| field.secret && !field.composite);
    secrets.fold(variant.document.clone(), |document, field| {
        with(&document, &field.pointer, Some(&planted(&field.values[0], number)))
    })
}

#[track_caller]
fn is_clean(what: &str, text: &str) {
    if let Some(at) = text.find(CANARY) {
        let start = text[..at].char_indices().rev().nth(300).map_or(0, |(start, _)| start);
        panic!("{what} shows a secret: …{}", &text[start..(at + CANARY.len())]);
    }
}

fn plan_is_clean(what: &str, plan: &Plan) {
    is_clean(&format!("{what}, text"), &text::render(plan));
    is_clean(&format!("{what}, markdown"), &markdown::render(plan, false));
    is_clean(&format!("{what}, unified"), &unified::render(plan));
    is_clean(&format!("{what}, HTML"), &html::render(plan, true).unwrap());
    for language in [Language::Mermaid, Language::Dot, Language::Svg, Language::Html] {
        is_clean(&format!("{what}, {language:?}"), &Graph::of(plan).render(language).unwrap());
    }
    let document = serde_json::to_string(&PlanDocument::of(plan)).unwrap();
    is_clean(&format!("{what}, JSON"), &document);
    let read: PlanDocument = serde_json::from_str(&document).unwrap();
    let shown_again = read.restored().unwrap();
    assert_eq!(text::render(&shown_again), text::render(plan), "{what}");
    assert_eq!(markdown::render(&shown_again, false), markdown::render(plan, false), "{what}");
    assert_eq!(html::render(&shown_again, true).unwrap(), html::render(plan, true).unwrap());
    is_clean(&format!("{what}, Debug"), &format!("{plan:?}"));
    for operation in &plan.operations {
        is_clean(&format!("{what}, Debug of an operation"), &format!("{operation:#?}"));
    }
}

/// Creates, changes, moves and destroys; what is shown on the way shows no canary.
async fn life(spoken: Spoken, what: &str, documents: &[Vec<Value>]) {
    let kind = documents[0].last().and_then(|it| kinds::find(it["kind"].as_str()?));
    let world = World::of_kind(spoken, kind.expect("a kind").name()).await;
    for (index, documents) in documents.iter().enumerate() {
        let what = format!("{what}, step {index}");
        let set = world.set_of(documents).unwrap();
        is_clean(&format!("{what}, set"), &format!("{set:?}"));
        let decided = world.decide(set, &policy("s")).await.unwrap();
        plan_is_clean(&what, &decided.plan);
        assert!(!decided.plan.is_empty(), "{what}: nothing happens");
        let report = world.perform(&decided, 8).await.unwrap();
        is_clean(&format!("{what}, report"), &format!("{report:?}"));
        assert!(report.is_complete(), "{what}: {report:?}");
        let again = world.plan(documents, &policy("s")).await;
        is_clean(&format!("{what}, state"), &format!("{:?}", again.state));
        is_clean(&format!("{what}, inventory"), &format!("{:?}", again.stored));
        assert!(again.plan.is_empty(), "{what}: {}", text::render(&again.plan));
        let gone = world.plan(documents, &destroying("s")).await;
        plan_is_clean(&format!("{what}, destroyed"), &gone.plan);
    }
}

#[tokio::test]
async fn no_secret_is_shown_on_the_way_from_a_document_to_the_platform() {
    let mut planted = 0;
    for (spoken, variant) in all_variants() {
        let documents = [1, 2].map(|number| surrounded(spoken, &infested(&variant, number)));
        planted += usize::from(documents[0].last().unwrap().to_string().contains(CANARY));
        if documents[0] != documents[1] {
            let mut steps = documents.to_vec();
            // And then all of it goes.
            steps.push(super::documents::surroundings(spoken));
            life(spoken, &format!("{spoken} {} {}", variant.kind.name(), variant.label), &steps)
                .await;
        }
    }
    assert!(planted >= 8, "only {planted} documents have secrets");
}

/// A template with an obscure value, and a service made from it.
fn placed(value: &str, environment: Value) -> Vec<Value> {
    vec![
        json!({"version": "v1", "kind": "Room", "metadata": {"name": "lobby"}}),
        json!({
            "version": "v1", "kind": "ServiceTemplate", "metadata": {"name": "t"},
            "variables": [{"name": "token", "obscure": true, "optional": true}, {"name": "plain", "optional": true}],
            "container": {"image": "x", "environment": environment},
        }),
        json!({
            "version": "v1", "kind": "Service", "metadata": {"name": "placed"}, "room": "lobby",
            "template": "t", "values": {"token": value, "plain": "seen"},
        }),
    ]
}

#[tokio::test]
async fn no_obscure_value_of_a_template_is_shown_when_it_comes_changes_or_goes() {
    let with_it =
        json!([{"name": "TOKEN", "value": "{{ token }}"}, {"name": "P", "value": "{{ plain }}"}]);
    let without = json!([{"name": "P", "value": "{{ plain }}"}]);
    let steps = [
        placed(&format!("{CANARY}-1"), with_it.clone()),
        placed(&format!("\u{f6}{CANARY}-2"), with_it),
        placed(&format!("\u{f6}{CANARY}-2"), without),
    ];
    for spoken in BOTH {
        life(spoken, &format!("{spoken}, a placed template"), &steps).await;
    }
}

/// Ways to break a document around its secret fields.
fn broken(variant: &Variant) -> Vec<Value> {
    let whole = infested(variant, 1);
    let mut all = Vec::new();
    for field in variant.fields.iter().filter(|field| field.secret && !field.composite) {
        let planted = planted(&field.values[0], 1);
        all.push(with(&whole, &field.pointer, Some(&json!([planted]))));
        all.push(with(&whole, &field.pointer, Some(&json!({"from": {"nowhere": planted}}))));
        let (parent, _) = field.pointer.rsplit_once('/').unwrap();
        let strange = with(&whole, &format!("{parent}/never_heard_of"), Some(&planted));
        all.push(strange);
    }
    all.push(with(&whole, "/metadata", None));
    all.push(with(&whole, "/metadata/name", Some(&json!(5))));
    all.push(with(&whole, "/project", Some(&json!("nowhere"))));
    for kind in ["keys", "docker", "acr", "gar"] {
        if variant.document.get("type").is_some() {
            all.push(with(&whole, "/type", Some(&json!(kind))));
        }
    }
    all
}

#[tokio::test]
async fn no_problem_of_a_document_shows_its_secrets() {
    let world = World::start().await;
    let mut problems_seen = 0;
    for variant in kinds::ALL.into_iter().flat_map(variants) {
        if !infested(&variant, 1).to_string().contains(CANARY) {
            continue;
        }
        for (index, document) in broken(&variant).into_iter().enumerate() {
            let flow = document.to_string();
            let block = meshagent::visible::yaml(&document);
            // What cannot be read at all.
            let twice = format!("{flow},\n{flow}");
            let open = block.replacen("kind:", "kind: [", 1);
            let texts = [flow, block, twice, open];
            for text in texts {
                let path = world.write("broken/one.yaml", &text);
                let read = world.set(&[path], Default::default());
                let problems = match read {
                    Err(problems) => problems,
                    Ok(set) => match world.decide(set, &policy("s")).await {
                        Err(error) => {
                            is_clean("an error", &format!("{error:?} {error}"));
                            error.problems
                        }
                        Ok(decided) => {
                            plan_is_clean("a plan", &decided.plan);
                            continue;
                        }
                    },
                };
                for problem in problems {
                    problems_seen += 1;
                    let what = format!("{} {} #{index}", variant.kind.name(), variant.label);
                    // A field that nobody knows may hold anything.
                    if problem.message.contains("never_heard_of") {
                        is_clean(&what, &problem.to_string());
                    }
                    is_clean(&what, &render_problem(&problem));
                }
            }
        }
    }
    assert!(problems_seen > 50, "only {problems_seen} problems");
}
