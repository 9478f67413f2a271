use serde::de::DeserializeOwned;
use serde_json::json;

use super::*;

/// Checks that a request is spelled as the public SDK spells it, and that what is null there may
/// also be missing.
fn spelled<O: Operation>(tool: &'static str, asked: Value) {
    assert_eq!(O::AT, At::Tool("database", tool));
    let read = O::read(&asked).unwrap();
    assert_eq!(serde_json::to_value(&read).unwrap(), asked);
    let mut short = asked.clone();
    short.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    assert_eq!(serde_json::to_value(O::read(&short).unwrap()).unwrap(), asked, "{short}");
}

#[test]
fn requests_are_spelled_as_the_public_sdk_spells_them() {
    let int = json!({"type": "int", "nullable": null, "metadata": null});
    spelled::<ListTables>("list_tables", json!({"namespace": null}));
    spelled::<ListTables>("list_tables", json!({"namespace": ["a", "b"]}));
    spelled::<Inspect>("inspect", json!({"table": "t", "namespace": null}));
    spelled::<DropTable>(
        "drop_table",
        json!({"name": "t", "ignore_missing": false, "namespace": null}),
    );
    spelled::<AddColumns>(
        "add_columns",
        json!({"table": "t", "namespace": null, "columns": [
            {"name": "a", "value_sql": "b + 1", "data_type": null},
            {"name": "c", "value_sql": null, "data_type": int},
        ]}),
    );
    spelled::<AlterColumns>(
        "alter_columns",
        json!({"table": "t", "columns": [{"name": "a", "data_type": int}], "namespace": null}),
    );
    spelled::<DropColumns>(
        "drop_columns",
        json!({"table": "t", "columns": ["a"], "namespace": null}),
    );
    spelled::<DropIndex>("drop_index", json!({"table": "t", "name": "a_idx", "namespace": null}));
    spelled::<Update>(
        "update",
        json!({
            "table": "t", "where": "id = 1", "namespace": ["n"],
            "values": [{"column": "a", "value_json": "[1]"}],
            "values_sql": [{"column": "b", "expression": "b + 1"}],
        }),
    );
    spelled::<Update>(
        "update",
        json!({"table": "t", "where": "", "values": null, "values_sql": null, "namespace": null}),
    );
    spelled::<Delete>("delete", json!({"table": "t", "where": "id = 1", "namespace": null}));
    spelled::<Count>(
        "count",
        json!({
            "table": "t", "text": null, "vector": [1.0], "text_columns": null, "where": null,
            "namespace": null,
        }),
    );
    spelled::<Optimize>("optimize", json!({"table": "t", "namespace": null}));
    spelled::<Restore>("restore", json!({"table": "t", "version": 2, "namespace": null}));
    spelled::<Checkout>("checkout", json!({"table": "t", "version": 2, "namespace": null}));
    spelled::<ListVersions>("list_versions", json!({"table": "t", "namespace": null}));
    spelled::<ListIndexes>("list_indexes", json!({"table": "t", "namespace": null}));
    let index = json!({"table": "t", "column": "c", "replace": null, "namespace": null});
    spelled::<CreateVectorIndex>("create_vector_index", index.clone());
    spelled::<CreateScalarIndex>("create_scalar_index", index.clone());
    spelled::<CreateFullTextSearchIndex>("create_full_text_search_index", index);
}

#[test]
fn a_switch_may_be_null() {
    let dropped = DropTable::read(&json!({"name": "t", "ignore_missing": null})).unwrap();
    assert!(!dropped.ignore_missing);
    assert_eq!(Delete::read(&json!({"table": "t"})).unwrap_err().code, Some(1002));
}

#[test]
fn answers_are_read() {
    fn answer<O: Operation>(told: Value) -> Option<O::Answer> {
        O::answered(Content::Json(told))
    }
    use crate::room::content::Content;
    assert_eq!(answer::<ListTables>(json!({})), Some(Tables::default()));
    let schema = json!({"fields": [{"name": "a", "data_type": {"type": "int", "metadata": {}}}]});
    assert_eq!(answer::<Inspect>(schema).unwrap().fields[0].name, "a");
    assert_eq!(
        answer::<Inspect>(json!({"fields": [{"name": "a", "data_type": {"type": "?"}}]})),
        None
    );
    assert_eq!(answer::<Count>(json!({"count": 3})), Some(Counted { count: 3 }));
    assert_eq!(answer::<Count>(json!({"count": "3"})), None);
    // Rooms that do not say how many rows they changed have changed them all the same.
    for (told, count) in [(json!({"count": 3}), Some(3)), (json!({}), None), (json!("ok"), None)] {
        assert_eq!(answer::<Update>(told.clone()), Some(Changed { count }));
        assert_eq!(answer::<Delete>(told), Some(Changed { count }));
    }
    assert_eq!(Delete::answered(Content::Empty), Some(Changed { count: None }));
    let version = json!({"version": 1, "timestamp": "2026-01-01T00:00:00Z", "metadata_json": "{}"});
    let versions = answer::<ListVersions>(json!({"versions": [version]})).unwrap();
    assert_eq!(versions.versions[0].metadata_json, "{}");
    let index = json!({"name": "a_idx", "columns": ["a"], "type": "BTREE"});
    let indexes = answer::<ListIndexes>(json!({"indexes": [index]})).unwrap();
    assert_eq!(indexes.indexes[0].kind, "BTREE");
    assert_eq!(Optimize::answered(Content::Text("whatever".to_owned())), Some(()));
}

/// Checks the same for the beginning of a stream.
fn begins<S: RowStream + DeserializeOwned>(tool: &str, start: Value) {
    use crate::room::content::Content;
    assert_eq!((S::TOOL, S::NAME), (tool, format!("database.{tool}").as_str()));
    let read = S::of_part(&Content::Json(start.clone())).unwrap();
    assert_eq!(read.part().unwrap(), Content::Json(start.clone()));
    let mut short = start.clone();
    short.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    let read = S::of_part(&Content::Json(short)).unwrap();
    assert_eq!(read.part().unwrap(), Content::Json(start));
    for odd in [Content::Json(json!({"kind": "rows"})), Content::Empty] {
        assert_eq!(S::of_part(&odd).err().unwrap().code, Some(1002));
    }
}

#[test]
fn streams_begin_as_the_public_sdk_begins_them() {
    let int = json!({"type": "int", "nullable": false, "metadata": null});
    begins::<CreateTable>(
        "create_table",
        json!({
            "kind": "start", "name": "t", "fields": [{"name": "a", "data_type": int}],
            "mode": "create_if_not_exists", "namespace": null,
            "metadata": [{"key": "k", "value": "v"}],
        }),
    );
    begins::<CreateTable>(
        "create_table",
        json!({
            "kind": "start", "name": "t", "fields": null, "mode": "create", "namespace": null,
            "metadata": null,
        }),
    );
    begins::<Insert>("insert", json!({"kind": "start", "table": "t", "namespace": ["a"]}));
    begins::<Merge>("merge", json!({"kind": "start", "table": "t", "on": "id", "namespace": null}));
    begins::<Search>(
        "search",
        json!({
            "kind": "start", "table": "t", "text": null, "vector": [0.5], "text_columns": null,
            "where": "a = \"x\"", "offset": null, "limit": 3, "select": ["a"], "namespace": null,
        }),
    );
    begins::<Sql>(
        "sql",
        json!({
            "kind": "start", "query": "select 1",
            "tables": [{"name": "t", "namespace": null, "alias": null}], "params_json": null,
        }),
    );
    let odd = json!({"kind": "start", "name": "t", "mode": "replace"});
    let told = CreateTable::of_part(&crate::room::content::Content::Json(odd)).unwrap_err();
    assert!(told.text.contains("unknown variant `replace`"), "{told}");
}
