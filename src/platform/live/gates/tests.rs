use serde_json::json;

use super::*;

/// A gate; arguments that it is asked about; a scope that suffices; and scopes that do not:
/// without the section, with another one, and with a part of it.
type Row = (Gate, Value, Value, Vec<Value>);

fn table() -> Vec<Row> {
    let q = json!({"name": "q"});
    let file = json!({"path": "a/b.txt"});
    let oauth = |endpoint: &str, client: &str| json!({"oauth": {"authorization_endpoint": endpoint, "client_id": client}});
    let token = |endpoint: &str, client: &str| json!({"secrets": {"request_oauth_token": [{"endpoint": endpoint, "client_id": client}]}});
    let only = |path: &str, read_only: bool| json!({"storage": {"paths": [{"path": path, "read_only": read_only}]}});
    vec![
        (QUEUES_LIST, q.clone(), json!({"queues": {}}), vec![json!({"queues": {"list": false}})]),
        (
            QUEUES_SEND,
            q.clone(),
            json!({"queues": {"send": ["p", "q"]}}),
            vec![json!({"queues": {"send": ["p"]}}), json!({"queues": {"send": []}})],
        ),
        (
            QUEUES_RECEIVE,
            q.clone(),
            json!({"queues": {"send": [], "receive": ["q"]}}),
            vec![json!({"queues": {"receive": ["qq"]}})],
        ),
        (
            QUEUES_BOTH,
            q.clone(),
            json!({"queues": {}}),
            vec![json!({"queues": {"receive": []}}), json!({"queues": {"send": []}})],
        ),
        (MESSAGING, json!({}), json!({"messaging": {}}), vec![]),
        (
            MESSAGING_SEND,
            json!({}),
            json!({"messaging": {"broadcast": false}}),
            vec![json!({"messaging": {"send": false}})],
        ),
        (
            MESSAGING_BROADCAST,
            json!({}),
            json!({"messaging": {"send": false}}),
            vec![json!({"messaging": {"broadcast": false}})],
        ),
        (STORAGE_READ, file.clone(), only("/a/", true), vec![only("b", true), only("a/c", false)]),
        (
            STORAGE_WRITE,
            json!({"path": "/a/./b.txt"}),
            only("a", false),
            vec![only("a", true), json!({"storage": {"paths": []}})],
        ),
        (
            SYNC_READ,
            file.clone(),
            json!({"sync": {"paths": [{"path": "/a/*", "read_only": true}]}}),
            vec![
                json!({"sync": {"paths": []}}),
                json!({"sync": {"paths": [{"path": "a/b"}, {"path": "b*"}]}}),
                json!({"storage": {}}),
            ],
        ),
        (
            SYNC_WRITE,
            json!({"path": "./a/b.txt"}),
            json!({"sync": {"paths": [{"path": "a/b.txt"}]}}),
            vec![
                json!({"sync": {"paths": [{"path": "*", "read_only": true}, {"path": "a/b.txt"}]}}),
                json!({"storage": {}}),
            ],
        ),
        (
            DEVELOPER_LOGS,
            json!({}),
            json!({"developer": {}}),
            vec![json!({"developer": {"logs": false}})],
        ),
        (SERVICES, json!({}), json!({"services": {}}), vec![json!({"services": {"list": false}})]),
        (SECRETS, json!({}), json!({"secrets": {}}), vec![json!({"admin": {}})]),
        (SECRETS_SET, json!({}), json!({"secrets": {}}), vec![json!({"admin": {}})]),
        (
            SECRETS_SET,
            json!({"for_identity": "eve"}),
            json!({"secrets": {}, "admin": {}}),
            vec![json!({"secrets": {}}), json!({"secrets": {}, "admin": {"config": false}})],
        ),
        (SECRETS_TOKEN, oauth("https://a/o", "c"), token("https://a/*", "c"), vec![]),
        (
            SECRETS_TOKEN,
            oauth(" https://a/o ", " c "),
            token("https://a/o", "c"),
            vec![
                token("https://a/", "c"),
                token("https://b/*", "c"),
                token("https://a/o", "d"),
                json!({"secrets": {"request_oauth_token": []}}),
            ],
        ),
        (
            SECRETS_TOKEN,
            json!({"connector": {"server_url": "https://a/o"}}),
            json!({"secrets": {}}),
            vec![token("*", ""), token("https://a/o", "c")],
        ),
        (SECRETS_TOKEN, oauth(" ", "c"), json!({"secrets": {}}), vec![token("*", "c")]),
        (
            TABLES_LIST,
            json!({}),
            json!({"database": {"tables": []}}),
            vec![json!({"database": {"list_tables": false}})],
        ),
        (
            TABLE_READ,
            json!({"table": "t", "name": "u", "namespace": ["a"]}),
            json!({"database": {"tables": [{"name": "t", "namespace": ["a"]}]}}),
            vec![
                json!({"database": {"tables": [{"name": "u"}]}}),
                json!({"database": {"tables": [{"name": "t", "namespace": []}]}}),
                json!({"database": {"tables": [{"name": "t", "namespace": ["a", "b"]}]}}),
                json!({"database": {"tables": [{"name": "t", "read": false}]}}),
            ],
        ),
        (
            TABLE_WRITE,
            json!({"table": "t"}),
            // Any entry that allows it suffices, wherever it stands.
            json!({"database": {"tables": [{"name": "t"}, {"name": "t", "namespace": [], "write": true}]}}),
            vec![
                json!({"database": {"tables": [{"name": "t", "alter": true}]}}),
                json!({"database": {"tables": [{"name": "t", "namespace": ["a"], "write": true}]}}),
            ],
        ),
        (
            TABLE_CHANGE,
            json!({"table": "t"}),
            // Two entries may allow it together.
            json!({"database": {"tables": [{"name": "t"}, {"name": "t", "read": false, "write": true}]}}),
            vec![
                json!({"database": {"tables": [{"name": "t", "read": false, "write": true}]}}),
                json!({"database": {"tables": [{"name": "t"}, {"name": "u", "write": true}]}}),
            ],
        ),
        (
            TABLE_WIDEN,
            json!({"table": "t", "columns": [{"name": "c"}]}),
            json!({"database": {"tables": [{"name": "t", "read": false, "alter": true}]}}),
            vec![json!({"database": {"tables": [{"name": "t", "write": true}]}})],
        ),
        (
            TABLE_WIDEN,
            json!({"table": "t", "columns": [{"name": "c"}, {"name": "d", "value_sql": "1"}]}),
            json!({"database": {"tables": [{"name": "t", "alter": true}]}}),
            vec![json!({"database": {"tables": [{"name": "t", "read": false, "alter": true}]}})],
        ),
        (
            TABLE_ALTER,
            json!({"table": "t", "name": "u"}),
            json!({"database": {"tables": [{"name": "t", "alter": true}]}}),
            vec![
                json!({"database": {"tables": [{"name": "t", "write": true}, {"name": "u", "alter": true}]}}),
            ],
        ),
        (
            TABLE_MAKE,
            json!({"table": "u", "name": "t"}),
            json!({"database": {"tables": [{"name": "t", "alter": true}]}}),
            vec![json!({"database": {"tables": [{"name": "u", "alter": true}]}})],
        ),
        (
            TABLES_READ,
            json!({"tables": [{"name": "t"}, {"name": "u", "namespace": ["a"], "alias": "t"}]}),
            json!({"database": {"tables": [{"name": "t"}, {"name": "u"}]}}),
            vec![
                json!({"database": {"tables": [{"name": "t"}]}}),
                json!({"database": {"tables": [{"name": "t"}, {"name": "u", "namespace": []}]}}),
            ],
        ),
        (TABLES_READ, json!({}), json!({"database": {"tables": []}}), vec![]),
        (MEMORIES_LIST, json!({}), json!({"memory": {}}), vec![json!({"memory": {"list": false}})]),
        (
            MEMORY_DROP,
            json!({"name": "m", "namespace": ["a"]}),
            json!({"memory": {"memories": [{"name": "m"}]}}),
            vec![
                json!({"memory": {"memories": [{"name": "n"}]}}),
                json!({"memory": {"memories": [{"name": "m", "namespace": []}]}}),
                json!({"memory": {"memories": [{"name": "m", "permissions": {"drop": false}}]}}),
            ],
        ),
        (
            MEMORY_CREATE,
            json!({"name": "m", "overwrite": true}),
            json!({"memory": {"memories": [{"name": "m", "permissions": {"create": true, "drop": true}}]}}),
            vec![
                json!({"memory": {"memories": [{"name": "m", "permissions": {"drop": false}}]}}),
                json!({"memory": {"memories": [{"name": "m", "permissions": {"create": false}}]}}),
            ],
        ),
        (
            MEMORY_INGEST_TABLE,
            json!({"name": "m", "table": "t", "table_namespace": ["a"]}),
            json!({"memory": {}, "database": {"tables": [{"name": "t", "namespace": ["a"]}]}}),
            vec![
                json!({"memory": {}}),
                json!({"memory": {}, "database": {"tables": [{"name": "t", "namespace": []}]}}),
                json!({"memory": {"memories": []}, "database": {}}),
            ],
        ),
        (
            MEMORY_INGEST_FILES,
            json!({"name": "m", "paths": ["room://a/b.txt", "/c.txt"]}),
            json!({"memory": {}, "storage": {"paths": [{"path": "a", "read_only": true}, {"path": "c"}]}}),
            vec![
                json!({"memory": {}}),
                json!({"memory": {}, "storage": {"paths": [{"path": "a"}]}}),
                json!({"memory": {"memories": []}, "storage": {}}),
            ],
        ),
        (AGENTS_CALL, json!({}), json!({"agents": {}}), vec![json!({"agents": {"call": false}})]),
        (
            AGENTS_REGISTER,
            json!({"public": true}),
            json!({"agents": {"register_private_toolkit": false}}),
            vec![json!({"agents": {"register_public_toolkit": false}})],
        ),
        (
            AGENTS_REGISTER,
            json!({}),
            json!({"agents": {"register_public_toolkit": false}}),
            vec![json!({"agents": {"register_private_toolkit": false}})],
        ),
        (
            AGENTS_USE,
            q,
            json!({"agents": {"allowed_toolkits": ["q"]}}),
            vec![
                json!({"agents": {"use_tools": false}}),
                json!({"agents": {"allowed_toolkits": ["p"]}}),
            ],
        ),
    ]
}

fn read(scope: &Value) -> ApiScope {
    serde_json::from_value(scope.clone()).expect("a scope")
}

#[test]
fn a_folder_is_deleted_only_if_everything_below_it_may_be() {
    let may = |paths: Value, path: &str| {
        let scope = json!({"storage": {"paths": paths}});
        let scope: ApiScope = serde_json::from_value(scope).unwrap();
        STORAGE_DELETE.admits(&scope, &json!({"path": path, "recursive": true}))
    };
    let read_only = |path: &str| json!({"path": path, "read_only": true});
    let all = |path: &str| json!({ "path": path });
    let mixed = json!([read_only("keep/secret/"), all("keep")]);
    assert!(may(mixed.clone(), "keep/pub"));
    for path in ["keep", "keep/secret", "keep/secret/x", "/keep/secret/", "", "other"] {
        assert!(!may(mixed.clone(), path), "{path}");
    }
    // The first entry decides: what stands behind it changes nothing.
    assert!(may(json!([all("keep"), read_only("keep/secret")]), "keep"));
    // An entry for a part of a folder is none for all of it.
    assert!(!may(json!([all("keep/a")]), "keep"));
    assert!(may(json!([all("kee")]), "keep"));
    assert!(may(Value::Null, "keep"));
}

#[test]
fn each_permission_for_a_memory_is_for_one_gate() {
    for (gate, permission) in [
        (MEMORY_CREATE, "create"),
        (MEMORY_DROP, "drop"),
        (MEMORY_INSPECT, "inspect"),
        (MEMORY_QUERY, "query"),
        (MEMORY_UPSERT, "upsert"),
        (MEMORY_INGEST, "ingest"),
        (MEMORY_RECALL, "recall"),
        (MEMORY_OPTIMIZE, "optimize"),
    ] {
        let all = ["create", "drop", "inspect", "query", "upsert", "ingest", "recall", "optimize"];
        let only: Value = all
            .iter()
            .map(|it| ((*it).to_owned(), json!(*it == permission)))
            .collect::<serde_json::Map<_, _>>()
            .into();
        let without: Value = all
            .iter()
            .map(|it| ((*it).to_owned(), json!(*it != permission)))
            .collect::<serde_json::Map<_, _>>()
            .into();
        let admits = |permissions: Value| {
            let scope =
                json!({"memory": {"memories": [{"name": "m", "permissions": permissions}]}});
            gate.admits(&read(&scope), &json!({"name": "m"}))
        };
        assert!(admits(only) && !admits(without), "{permission}");
    }
}

#[test]
fn a_gate_opens_with_its_grant_alone() {
    for (gate, arguments, with, without) in table() {
        let admits = |scope: &Value| gate.admits(&read(scope), &arguments);
        assert!(admits(&with), "{}: {with}", gate.grant);
        let foreign = json!({"livekit": {}, "admin": {}, "tunnels": {}});
        for scope in without.iter().chain(&[json!({}), foreign]) {
            assert!(!admits(scope), "{}: {scope}", gate.grant);
        }
    }
}

#[test]
fn the_first_entry_of_a_path_decides() {
    let scope = json!({"storage": {"paths": [
        {"path": "data/public", "read_only": true}, {"path": "data"},
    ]}});
    let right = |path: &str| right(&read(&scope), &FilePath::parse(path).expect("a path"));
    assert_eq!(right("data/public/x"), Some(Right::Read));
    assert_eq!(right("/data/x"), Some(Right::Write));
    // It is a text that the path begins with, as in the reference.
    assert_eq!(right("database.txt"), Some(Right::Write));
    assert_eq!(right("other"), None);
    assert_eq!(right(""), None);
}

#[test]
fn a_table_is_named_only_to_who_may_see_it() {
    for (scope, sees) in [
        (json!({"database": {"tables": []}}), true),
        (json!({"database": {"list_tables": false, "tables": [{"name": "t"}]}}), true),
        (json!({"database": {"list_tables": false, "tables": [{"name": "u"}]}}), false),
        (
            json!({"database": {"list_tables": false, "tables": [{"name": "t", "read": false, "write": false, "alter": false}]}}),
            false,
        ),
        (json!({"storage": {}}), false),
    ] {
        let read: ApiScope = serde_json::from_value(scope.clone()).unwrap();
        assert_eq!(sees_table(&read, "t", &[]), sees, "{scope}");
    }
}
