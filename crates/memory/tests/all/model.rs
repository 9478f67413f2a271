//! A memory beside a plain model of it.

use std::collections::{BTreeMap, BTreeSet};

use meshagent_memory::{MemoryName, Selector};
use proptest::prelude::*;
use serde_json::json;

use crate::common::{NOTES, Room};

const IDS: [&str; 5] = ["a", "b", "c", "d", "e"];
const TYPES: [&str; 2] = ["X", "Y"];

#[derive(Debug, Clone)]
enum Step {
    Node { id: usize, context: Option<u8>, confidence: Option<u8> },
    Edge { source: usize, target: usize, kind: usize, description: Option<u8> },
    DeleteNodes(Vec<usize>),
    DeleteEdge { source: usize, target: usize, kind: Option<usize> },
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    let id = 0..IDS.len();
    let kind = 0..TYPES.len();
    let some = || prop::option::of(0..4_u8);
    prop_oneof![
        4 => (id.clone(), some(), some())
            .prop_map(|(id, context, confidence)| Step::Node { id, context, confidence }),
        4 => (id.clone(), id.clone(), kind.clone(), some()).prop_map(
            |(source, target, kind, description)| Step::Edge { source, target, kind, description }
        ),
        1 => prop::collection::vec(id.clone(), 0..3).prop_map(Step::DeleteNodes),
        1 => (id.clone(), id, prop::option::of(kind))
            .prop_map(|(source, target, kind)| Step::DeleteEdge { source, target, kind }),
        1 => Just(Step::Reopen),
    ]
}

#[derive(Default)]
struct Model {
    nodes: BTreeMap<usize, (Option<u8>, Option<u8>)>,
    edges: BTreeMap<(usize, usize, usize), Option<u8>>,
}

fn word(value: u8) -> String {
    format!("word{value}")
}

/// How certain something is; a number that JSON keeps as it is.
fn part(of: u8) -> f64 {
    f64::from(of) / 256.0
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 30, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_memory_does_as_the_model(steps in prop::collection::vec(step(), 1..40)) {
        let mut room = Room::new();
        // What is in another memory stays there.
        let other = MemoryName { namespace: &[], name: "other" };
        room.memories.create(other, meshagent_memory::Create::default()).unwrap();
        room.memories.upsert_nodes(other, r#"[{"entity_id": "a", "name": "a", "context": "word0"}]"#, true).unwrap();
        let mut model = Model::default();
        for step in steps {
            match step {
                Step::Node { id, context, confidence } => {
                    room.nodes(&json!([{"entity_id": IDS[id], "name": IDS[id],
                        "context": context.map(word), "confidence": confidence.map(part)}]));
                    let known = model.nodes.entry(id).or_default();
                    *known = (context.or(known.0), confidence.or(known.1));
                }
                Step::Edge { source, target, kind, description } => {
                    room.edges(&json!([{"source_entity_id": IDS[source], "target_entity_id": IDS[target],
                        "relationship_type": TYPES[kind], "description": description.map(word)}]));
                    let known = model.edges.entry((source, target, kind)).or_default();
                    *known = description.or(*known);
                }
                Step::DeleteNodes(ids) => {
                    let names: Vec<String> = ids.iter().map(|id| IDS[*id].to_owned()).collect();
                    let deleted = room.memories.delete_entities(NOTES, &names).unwrap();
                    let before = (model.nodes.len(), model.edges.len());
                    model.nodes.retain(|id, _| !ids.contains(id));
                    model.edges.retain(|(source, target, _), _| !ids.contains(source) && !ids.contains(target));
                    prop_assert_eq!(deleted.entities as usize, before.0 - model.nodes.len());
                    prop_assert_eq!(deleted.relationships as usize, before.1 - model.edges.len());
                }
                Step::DeleteEdge { source, target, kind } => {
                    let selector = Selector {
                        source_entity_id: IDS[source],
                        target_entity_id: IDS[target],
                        relationship_type: kind.map(|kind| TYPES[kind]),
                    };
                    let deleted = room.memories.delete_relationships(NOTES, &[selector]).unwrap();
                    let before = model.edges.len();
                    model.edges.retain(|(s, t, k), _| {
                        (*s, *t) != (source, target) || kind.is_some_and(|kind| kind != *k)
                    });
                    prop_assert_eq!(deleted as usize, before - model.edges.len());
                }
                Step::Reopen => {
                    room.memories = meshagent_memory::Memories::open(&room.path()).unwrap();
                }
            }
        }
        let nodes = room.rows("MATCH (e) RETURN e.entity_id, e.context, e.confidence ORDER BY e.entity_id");
        let wanted: Vec<_> = model.nodes.iter()
            .map(|(id, (context, confidence))| json!([IDS[*id], context.map(word), confidence.map(part)]))
            .collect();
        prop_assert_eq!(nodes, json!(wanted));
        let edges = room.rows("MATCH (r:RELATIONSHIP) RETURN r.source_entity_id AS s, r.target_entity_id AS t, \
            r.relationship_type AS k, r.description ORDER BY s, t, k");
        let wanted: Vec<_> = model.edges.iter()
            .map(|((source, target, kind), description)| {
                json!([IDS[*source], IDS[*target], TYPES[*kind], description.map(word)])
            })
            .collect();
        prop_assert_eq!(edges, json!(wanted));
        for value in 0..4 {
            let found = room.memories.recall(NOTES, &word(value), 10, false).unwrap();
            let found: BTreeSet<_> = found.into_iter().map(|item| item.name).collect();
            let wanted: BTreeSet<_> = model.nodes.iter()
                .filter(|(_, (context, _))| *context == Some(value))
                .map(|(id, _)| IDS[*id].to_owned())
                .collect();
            prop_assert_eq!(found, wanted);
        }
        prop_assert_eq!(room.memories.inspect(other).unwrap().datasets[0].rows, 1);
    }
}
