//! Documents of rooms from the command line.

use serde_json::{Value, json};

use super::Room;

const BOOK: &str = r##"{
    "$root_tag_ref": "#/$defs/book",
    "$defs": {
        "book": {"properties": {"book": {"properties": {
            "title": {"type": "string"},
            "parts": {"type": "array", "items": {"anyOf": [{"$ref": "#/$defs/part"}]}}
        }}}},
        "part": {"properties": {"part": {"properties": {"about": {"type": ["string", "null"]}}}}}
    }
}"##;

fn parts(about: &[&str]) -> Value {
    let parts: Vec<Value> = about.iter().map(|about| json!({"part": {"about": about}})).collect();
    json!({"book": {"title": "T", "parts": parts}})
}

#[test]
fn documents_are_made_shown_and_changed() {
    let room = Room::new();
    room.0.write("book.json", BOOK);
    room.0.write("a.json", &parts(&["one", "two", "three"]).to_string());
    let make = ["sync", "create", "notes/a.book", "--schema", "book.json", "--json-file", "a.json"];
    let made = room.run(0, &make);
    assert_eq!(
        (made.stdout.as_str(), made.stderr.contains("created")),
        ("", true),
        "{}",
        made.stderr
    );
    room.says(1, &make, "there is a document or file notes/a.book already");
    let shown = |more: &[&str]| room.run(0, &[&["sync", "show", "./notes/a.book"], more].concat());
    assert_eq!(shown(&[]).json(), parts(&["one", "two", "three"]));
    assert_eq!(shown(&["--compact"]).stdout.lines().count(), 1);
    assert!(shown(&["--compact", "--pretty"]).stdout.lines().count() > 5);
    let schema = room.run(0, &["sync", "inspect", "notes/a.book"]).json();
    assert_eq!(schema, serde_json::from_str::<Value>(BOOK).unwrap());

    let ids = |document: &Value| -> Vec<String> {
        let parts = document.pointer("/book/parts").and_then(Value::as_array).expect("parts");
        parts.iter().map(|part| part["part"]["$id"].as_str().expect("an id").to_owned()).collect()
    };
    let before = shown(&["--include-ids"]).json();
    let update = |patch: Value| {
        room.run(0, &["sync", "update", "notes/a.book", "--patch", &patch.to_string()]).stderr
    };
    let said = update(json!([
        {"op": "test", "path": "/book/parts/1/part/about", "value": "two"},
        {"op": "replace", "path": "book/parts/1/part/about", "value": "2"},
        {"op": "move", "from": "//book/parts/2", "path": "/book/parts/0"},
    ]));
    assert!(said.contains("updated the document notes/a.book"), "{said}");
    let after = shown(&["--include-ids"]).json();
    assert_eq!(shown(&[]).json(), parts(&["three", "one", "2"]));
    // Who is not touched remains who it is.
    assert_eq!(ids(&after)[1..], ids(&before)[..2]);
    let said = update(json!([{"op": "replace", "path": "/book/parts/2/part/about", "value": "2"}]));
    assert!(said.contains("is like that already"), "{said}");
}

#[test]
fn what_cannot_be_done_with_a_document_is_told() {
    let room = Room::new();
    room.0.write("book.json", BOOK);
    room.0.write("odd.json", "{\"$root_tag_ref\": \"book\"}");
    room.0.write("file.txt", "text");
    room.run(0, &["sync", "create", "a.book", "--schema", "book.json"]);
    room.run(0, &["storage", "cp", "file.txt", "room://b.book"]);
    let make = |more: &[&'static str]| [&["sync", "create", "c.book", "--schema"], more].concat();
    room.says(2, &make(&["odd.json"]), "odd.json is not a schema: a schema names its root element");
    room.says(1, &make(&["none.json"]), "failed to read none.json");
    let wrong = ["book.json", "--json", "{\"book\": {\"parts\": [{\"book\": {}}]}}"];
    room.says(2, &make(&wrong), "the JSON: \"book\" cannot be a child of \"book\"");
    let both = ["book.json", "--json", "{}", "--json-file", "file.txt"];
    assert_eq!(room.run(2, &make(&both)).stdout, "");
    for path in ["c.book", "none/c.book"] {
        room.says(1, &["sync", "show", path], &format!("there is no document {path}"));
        room.says(1, &["sync", "inspect", path], "`meshagent room sync create` makes one");
    }
    room.says(1, &["sync", "show", "b.book"], "the file \"b.book\" is not a document");
    room.says(2, &["sync", "show", ""], "the path of the document is empty");
    room.says(2, &["sync", "grep", "a.book", "("], "PATTERN is not a regular expression");
    let update = |patch: &'static str| ["sync", "update", "a.book", "--patch", patch];
    room.says(2, &update("{}"), "the patch is not valid");
    room.says(
        2,
        &update("[{\"op\": \"remove\", \"path\": \"/book/parts/0\"}]"),
        "cannot be applied",
    );
    room.says(
        2,
        &update("[{\"op\": \"replace\", \"path\": \"\", \"value\": {}}]"),
        "cannot become that",
    );
    let titled = "[{\"op\": \"add\", \"path\": \"/book/title\", \"value\": \"T\"}]";
    room.says(2, &update(titled), "\"title\" of the root element \"book\" cannot change");
    assert_eq!(
        room.run(0, &["sync", "show", "a.book", "--compact"]).stdout,
        "{\"book\":{\"parts\":[]}}\n"
    );
}

#[test]
fn elements_are_found_by_a_pattern() {
    let room = Room::new();
    room.0.write("book.json", BOOK);
    let json = parts(&["One", "two", "three", "four"]).to_string();
    room.run(0, &["sync", "create", "a.book", "--schema", "book.json", "--json", &json]);
    let found = |more: &[&str]| {
        let found = room.run(0, &[&["sync", "grep", "a.book"], more].concat()).json();
        let about = |one: &Value| one["part"]["about"].as_str().unwrap_or("book").to_owned();
        found.as_array().expect("a list").iter().map(about).collect::<Vec<_>>()
    };
    assert_eq!(found(&["^t[wh]"]), ["two", "three"]);
    assert_eq!(found(&["one"]), [""; 0]);
    assert_eq!(found(&["one", "--ignore-case", "--after", "1"]), ["One", "two"]);
    assert_eq!(found(&["(?<=th)ree", "--before", "9"]), ["three", "One", "two"]);
    assert_eq!(found(&["^T$"]), ["book"]);
    let with_ids = room.run(0, &["sync", "grep", "a.book", "four", "--include-ids"]).json();
    let id = with_ids[0]["part"]["$id"].as_str().expect("an id");
    assert_eq!(found(&[id]), ["four"]);
    // What was not found out is not taken for "none".
    let json = parts(&["One", &format!("{}!b", "a".repeat(60))]).to_string();
    room.run(0, &["sync", "create", "b.book", "--schema", "book.json", "--json", &json]);
    let slow = "^(a+a+)+(?>b)";
    room.says(1, &["sync", "grep", "b.book", slow], "PATTERN takes too long");
}

/// A replaced conversation is changed where it is: who has it open keeps it, and nothing is lost on
/// the way.
#[test]
fn a_conversation_is_replaced_at_once() {
    let room = Room::new();
    let one = |text: &str| {
        json!([{"uuid": "0f3c9a52-6a4f-4c0e-9d6e-0b6a9f3f1c11", "created_at": "2026-01-01T00:00:00Z",
        "chat_messages": [
            {"uuid": "m", "sender": "human", "text": text},
            {"uuid": "n", "sender": "assistant", "text": "same"},
        ]}])
    };
    let path = ".threads/anthropic/0f3c9a52-6a4f-4c0e-9d6e-0b6a9f3f1c11.thread";
    let import = |text: &str| {
        room.0.write("all.json", &one(text).to_string());
        room.run(0, &["sync", "import", "threads", "-f", "all.json", "--overwrite"]).stderr
    };
    let shown = || room.run(0, &["sync", "show", path, "--include-ids"]).json();
    import("before");
    let before = shown();
    let said = import("after");
    assert!(said.contains("1 imported, 0 were there already"), "{said}");
    let after = shown();
    let items = |of: &Value| of["thread"]["properties"][1]["messages"]["items"].clone();
    assert_eq!(items(&after)[0]["message"]["text"], "after");
    assert_eq!(items(&after)[1], items(&before)[1]);
    // What is no document is deleted before.
    room.0.write("file.txt", "text");
    room.run(0, &["storage", "cp", "file.txt", &format!("room://{path}")]);
    import("again");
    assert_eq!(items(&shown())[0]["message"]["text"], "again");
}

#[test]
fn an_import_that_breaks_off_says_what_is_missing() {
    let room = Room::new();
    let one = |id: &str, text: &str| json!({"uuid": id, "chat_messages": [{"uuid": "m", "sender": "human", "text": text}]});
    // A conversation that is larger than any document.
    let large = one("b", &"x".repeat(5 * 1024 * 1024));
    let import = ["sync", "import", "threads", "-f", "all.json"];
    room.0.write("all.json", &json!([one("a", "one"), large, one("c", "two")]).to_string());
    room.says(4, &import, "conversations[1] and all behind it are missing");
    room.0.write("all.json", &json!([large]).to_string());
    room.says(1, &import, "conversations[0] is missing");
}

#[test]
fn values_keep_their_types() {
    let room = Room::new();
    let types = ["string", "number", "boolean", "null"];
    let properties: serde_json::Map<String, Value> =
        types.iter().map(|kind| ((*kind).to_owned(), json!({"type": kind}))).collect();
    let list = json!({"type": "array", "items": {"anyOf": [{"$ref": "#/$defs/n"}]}});
    let root = json!({"properties": {"r": {"properties": {"of": list}}}});
    let schema = json!({"$root_tag_ref": "#/$defs/r", "$defs": {
        "r": root, "n": {"properties": {"n": {"properties": properties}}},
    }});
    room.0.write("schema.json", &schema.to_string());
    room.run(0, &["sync", "create", "a.r", "--schema", "schema.json"]);
    let values = [
        json!({"n": {"string": "5", "number": 5, "boolean": true, "null": null}}),
        json!({"n": {"string": "", "number": -0.5, "boolean": false, "null": null}}),
        json!({"n": {"string": "true", "number": 9_007_199_254_740_991_u64, "boolean": false}}),
    ];
    let add = |value: &Value| json!({"op": "add", "path": "/r/of/-", "value": value});
    let patch: Vec<Value> = values.iter().map(add).collect();
    room.run(0, &["sync", "update", "a.r", "--patch", &json!(patch).to_string()]);
    let shown = || room.run(0, &["sync", "show", "a.r"]).json()["r"]["of"].clone();
    assert_eq!(shown(), json!(values));
    let patch = json!([
        {"op": "replace", "path": "/r/of/0/n/number", "value": 6},
        {"op": "replace", "path": "/r/of/0/n/boolean", "value": null},
        {"op": "remove", "path": "/r/of/1/n/null"},
    ]);
    room.run(0, &["sync", "update", "a.r", "--patch", &patch.to_string()]);
    let shown = shown();
    assert_eq!(shown[0]["n"], json!({"string": "5", "number": 6, "boolean": null, "null": null}));
    assert!(shown[1]["n"].get("null").is_none(), "{shown}");
    let long = json!("x".repeat(100_000)).to_string();
    let said = room.run(2, &["sync", "update", "a.r", "--patch", &long]).stderr;
    assert!(said.contains("the patch is not valid") && said.len() < 1_000, "{}", said.len());
}

#[test]
fn conversations_are_imported_once() {
    let room = Room::new();
    let one = |id: &str, text: &str| {
        json!({"uuid": id, "name": format!("name of {id}"), "created_at": "2026-01-01T00:00:00Z",
            "chat_messages": [{"uuid": "m", "sender": "human", "text": text}]})
    };
    let all = json!([one("a", "hello"), 5, one("a", "again"), one("b", "bye")]);
    room.0.write("all.json", &all.to_string());
    let import = |more: &[&str]| {
        room.run(0, &[&["sync", "import", "threads", "-f", "all.json"], more].concat()).stderr
    };
    let said = import(&["--limit", "3", "--human-name", "Ada"]);
    assert!(said.contains("2 imported, 0 were there already, 1 could not be read"), "{said}");
    assert!(said.contains("conversations[1] is left out: it is not an object"), "{said}");
    let said = import(&[]);
    assert!(said.contains("1 imported, 2 were there already, 1 could not be read"), "{said}");
    let list = room.run(0, &["sync", "show", ".threads/anthropic/index.threadl"]).json();
    let lines = list["thread_list"]["threads"].as_array().expect("lines");
    let paths: Vec<&str> =
        lines.iter().filter_map(|line| line["thread"]["path"].as_str()).collect();
    assert_eq!(paths.len(), 3, "{list}");
    assert_eq!(
        paths[1],
        paths[0].replace(".thread", " 2.thread").replace(" 2.threads", ".threads")
    );
    let thread = room.run(0, &["sync", "show", paths[0]]).json();
    let message = thread.pointer("/thread/properties/1/messages/items/0/message");
    let message = message.expect("a message");
    assert_eq!((&message["text"], &message["author_name"]), (&json!("hello"), &json!("Ada")));
    let said = import(&["--overwrite", "--limit", "1"]);
    assert!(said.contains("1 imported, 0 were there already"), "{said}");
    let again = room.run(0, &["sync", "show", paths[0]]).json();
    assert_eq!(
        again.pointer("/thread/properties/0/members/items/0/member/name"),
        Some(&json!("human"))
    );
    room.0.write("odd.json", "{}");
    room.says(
        2,
        &["sync", "import", "threads", "-f", "odd.json"],
        "is not a list of conversations",
    );
}
