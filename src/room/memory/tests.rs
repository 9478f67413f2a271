use serde_json::json;

use super::*;

/// Checks that a request is spelled as the public SDK spells it, and that what is null there may
/// also be missing.
fn spelled<O: Operation>(tool: &'static str, asked: Value) {
    assert_eq!(O::AT, At::Tool("memory", tool));
    let read = O::read(&asked).unwrap();
    assert_eq!(serde_json::to_value(&read).unwrap(), asked);
    let mut short = asked.clone();
    short.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    assert_eq!(serde_json::to_value(O::read(&short).unwrap()).unwrap(), asked, "{short}");
}

#[test]
fn requests_are_spelled_as_the_public_sdk_spells_them() {
    spelled::<List>("list", json!({"namespace": null}));
    spelled::<Create>(
        "create",
        json!({"name": "m", "namespace": ["n"], "overwrite": true, "ignore_exists": false}),
    );
    spelled::<Drop>("drop", json!({"name": "m", "namespace": null, "ignore_missing": true}));
    spelled::<Inspect>("inspect", json!({"name": "m", "namespace": null}));
    spelled::<Query>("query", json!({"name": "m", "namespace": null, "statement": "MATCH"}));
    spelled::<UpsertTable>(
        "upsert_table",
        json!({
            "name": "m", "namespace": null, "table": "t", "records_json": r#"[{"a":1}]"#,
            "merge": false,
        }),
    );
    let entity = json!([{
        "entity_id": null, "name": "Ada", "entity_type": null, "context": null, "confidence": 0.5,
        "created_at": null, "valid_at": null, "metadata": {"k": "v"},
    }]);
    spelled::<UpsertNodes>(
        "upsert_nodes",
        json!({"name": "m", "namespace": null, "records_json": entity.to_string(), "merge": true}),
    );
    let relationship = json!([{
        "source_entity_id": "a", "target_entity_id": "b", "relationship_type": "KNOWS",
        "description": null, "confidence": null, "created_at": null, "valid_at": null,
        "expired_at": null, "invalid_at": null, "source_entity_name": null,
        "target_entity_name": null, "metadata": null,
    }]);
    spelled::<UpsertRelationships>(
        "upsert_relationships",
        json!({
            "name": "m", "namespace": null, "records_json": relationship.to_string(), "merge": true,
        }),
    );
    let ingesting = |more: Value| {
        let mut asked = json!({
            "name": "m", "namespace": null, "strategy": "llm", "llm_model": "x",
            "llm_temperature": 0.5,
        });
        asked.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        asked
    };
    spelled::<IngestText>("ingest_text", ingesting(json!({"text": "t"})));
    spelled::<IngestImage>(
        "ingest_image",
        ingesting(json!({
            "caption": "c", "data_base64": null, "mime_type": "image/png", "source": "s",
            "annotations_json": "{}",
        })),
    );
    spelled::<IngestFile>(
        "ingest_file",
        ingesting(json!({"path": "p", "text": null, "mime_type": null})),
    );
    spelled::<IngestFromTable>(
        "ingest_from_table",
        ingesting(json!({
            "table": "t", "table_namespace": null, "text_columns": ["a"], "limit": null,
        })),
    );
    spelled::<IngestFromStorage>("ingest_from_storage", ingesting(json!({"paths": ["a"]})));
    spelled::<Recall>(
        "recall",
        json!({
            "name": "m", "namespace": null, "query": "q", "limit": 7,
            "include_relationships": false,
        }),
    );
    spelled::<DeleteEntities>(
        "delete_entities",
        json!({"name": "m", "namespace": null, "entity_ids": ["a"]}),
    );
    spelled::<DeleteRelationships>(
        "delete_relationships",
        json!({"name": "m", "namespace": null, "relationships": [
            {"source_entity_id": "a", "target_entity_id": "b", "relationship_type": null},
        ]}),
    );
    spelled::<Optimize>(
        "optimize",
        json!({"name": "m", "namespace": null, "compact": false, "cleanup": true}),
    );
}

#[test]
fn what_is_not_said_has_its_default() {
    let null = json!({
        "name": "m", "query": "q", "limit": null, "include_relationships": null,
    });
    for asked in [json!({"name": "m", "query": "q"}), null] {
        let recall = Recall::read(&asked).unwrap();
        assert_eq!((recall.limit, recall.include_relationships), (5, true), "{asked}");
    }
    let text = IngestText::read(&json!({"name": "m", "text": "t", "strategy": null})).unwrap();
    assert_eq!(text.how, Ingestion::default());
    assert_eq!(text.how.strategy, Strategy::Heuristic);
    let optimize = Optimize::read(&json!({"name": "m", "compact": null})).unwrap();
    assert!(optimize.compact && optimize.cleanup);
    let records = r#"[{"source_entity_id": "a", "target_entity_id": "b"}]"#;
    let upsert = json!({"name": "m", "records_json": records, "merge": null});
    let upsert = UpsertRelationships::read(&upsert).unwrap();
    assert!(upsert.merge);
    assert_eq!(upsert.records[0].relationship_type, RELATED);
}

#[test]
fn records_that_cannot_be_read_are_told() {
    for (records, why) in [
        (json!("[{}]"), "records_json: record 1: missing field `name`"),
        (
            json!(r#"[{"name": "a"}, {"name": "b", "contxt": "c"}]"#),
            "records_json: record 2: there is no field \"contxt\"; did you mean context?",
        ),
        (json!("{}"), "records_json: invalid type: map"),
        (json!([]), "invalid type: sequence, expected a string"),
    ] {
        let told = UpsertNodes::read(&json!({"name": "m", "records_json": records})).unwrap_err();
        assert!(told.text.contains(why), "{told}");
    }
}

#[test]
fn a_query_is_answered_with_objects_or_with_rows() {
    let binary = json!({"encoding": "base64", "data": "AP8="});
    let expected = json!([{"e.name": "Ada", "b": binary}]);
    let plain = json!({ "results": expected });
    let typed = json!({"kind": "rows", "rows": [{"columns": [
        {"name": "e.name", "value": {"type": "text", "value": "Ada"}},
        {"name": "b", "value": {"type": "binary", "data": "AP8="}},
    ]}]});
    for told in [plain, typed] {
        let results = Query::answered(Content::Json(told)).unwrap();
        assert_eq!(serde_json::to_value(&results.results).unwrap(), expected);
        assert_eq!(Query::answer(&results), Content::Json(json!({ "results": expected })));
    }
    assert_eq!(Query::answered(Content::Empty), None);
}

#[test]
fn answers_that_leave_something_out_are_read() {
    let told = json!({"name": "m", "stats": {"entities": 2}});
    let ingested = IngestText::answered(Content::Json(told)).unwrap();
    assert_eq!((ingested.stats.entities, ingested.stats.sources), (2, 0));
    assert!(ingested.entity_ids.is_empty());
    let item = json!({"entity_id": "a", "name": "A", "entity_type": "t", "score": 1});
    let told = json!({"name": "m", "query": "q", "items": [item]});
    let recalled = Recall::answered(Content::Json(told)).unwrap();
    assert!(recalled.items[0].relationships.is_empty());
    let told = json!({"name": "m", "datasets": [{"dataset": "entity", "files_added": 1}]});
    let optimized = Optimize::answered(Content::Json(told)).unwrap();
    assert_eq!(optimized.datasets[0].files_added, 1);
}

#[test]
fn the_names_of_the_fields_of_a_record_are_those_that_it_has() {
    fn named<T: Fields + Default + Serialize>() {
        let record = serde_json::to_value(T::default()).unwrap();
        let fields: Vec<&str> = record.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(fields, T::NAMES);
    }
    named::<Entity>();
    named::<Relationship>();
    named::<Selector>();
}
