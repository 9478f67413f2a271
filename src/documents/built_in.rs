//! The schemas that agents and their clients know without being told: conversations and the list of
//! them, transcripts of meetings, and plain documents.

use serde_json::{Map, Value, json};

/// An element: its tag, its values, and the property with its children and their tags. Values are
/// texts, but for those that end in `#`, which are numbers.
type Row = (&'static str, &'static [&'static str], Option<(&'static str, &'static [&'static str])>);

/// A conversation, as version 0.31 of the public SDK has it.
const THREAD: &[Row] = &[
    ("thread", &["name"], Some(("properties", &["members", "messages"]))),
    ("members", &[], Some(("items", &["member"]))),
    ("member", &["name"], None),
    (
        "messages",
        &["external_thread_id"],
        Some(("items", &["message", "exec", "ui", "reasoning", "event"])),
    ),
    (
        "message",
        &["id", "turn_id", "text", "created_at", "author_name", "author_ref"],
        Some(("attachments", &["file", "image", "reaction"])),
    ),
    ("file", &["path"], None),
    (
        "image",
        &[
            "status",
            "status_detail",
            "width#",
            "height#",
            "id",
            "mime_type",
            "created_at",
            "created_by",
        ],
        None,
    ),
    ("reaction", &["user_name", "value", "target", "attachment_ref", "created_at"], None),
    ("reasoning", &["turn_id", "summary", "created_at"], None),
    (
        "exec",
        &[
            "turn_id",
            "command",
            "result",
            "outcome",
            "stderr",
            "stdout",
            "exit_code#",
            "pwd",
            "created_at",
        ],
        None,
    ),
    ("ui", &["turn_id", "data", "renderer", "widget", "width#", "height#", "created_at"], None),
    (
        "event",
        &[
            "turn_id",
            "id",
            "source",
            "name",
            "kind",
            "state",
            "method",
            "item_id",
            "item_type",
            "path",
            "summary",
            "headline",
            "details",
            "preview",
            "data",
            "created_at",
            "updated_at",
        ],
        Some(("logs", &["log"])),
    ),
    ("log", &["source", "text", "created_at"], None),
];

/// A list of conversations.
const THREADS: &[Row] = &[
    ("thread_list", &[], Some(("threads", &["thread"]))),
    ("thread", &["name", "path", "created_at", "modified_at"], None),
];

const TRANSCRIPT: &[Row] = &[
    ("transcript", &[], Some(("segments", &["segment"]))),
    ("segment", &["participant_id", "participant_name", "time", "text"], None),
];

const DOCUMENT: &[Row] = &[
    ("document", &[], Some(("content", &["heading", "body", "file"]))),
    ("heading", &["text"], None),
    ("body", &["text"], None),
    ("file", &["name"], None),
];

/// The elements whose children stand in one order.
const ORDERED: [&str; 1] = ["properties"];

/// The schema that stands for what a document's name ends with.
pub fn source(extension: &str) -> Option<Value> {
    let rows = match extension {
        "thread" => THREAD,
        "threadl" => THREADS,
        "transcript" => TRANSCRIPT,
        "document" => DOCUMENT,
        _ => return None,
    };
    let defined = rows.iter().map(|row| (row.0.to_owned(), element(row)));
    let defined = Map::from_iter(defined);
    let (root, _, _) = rows.first()?;
    let mut source = Map::new();
    source.insert("$root_tag_ref".to_owned(), json!(format!("#/$defs/{root}")));
    if let Some(Value::Object(of_root)) = defined.get(*root) {
        source.extend(of_root.clone());
    }
    source.insert("$defs".to_owned(), Value::Object(defined));
    Some(Value::Object(source))
}

fn element((tag, values, children): &Row) -> Value {
    let value = |name: &&str| match name.strip_suffix('#') {
        Some(name) => (name.to_owned(), json!({"type": ["number", "null"]})),
        None => ((*name).to_owned(), json!({"type": ["string", "null"]})),
    };
    let mut properties: Map<String, Value> = values.iter().map(value).collect();
    if let Some((name, tags)) = children {
        let tags: Vec<Value> =
            tags.iter().map(|tag| json!({"$ref": format!("#/$defs/{tag}")})).collect();
        let items = match ORDERED.contains(name) {
            true => json!({"type": "array", "prefixItems": tags, "items": false}),
            false => json!({"type": "array", "items": {"anyOf": tags}}),
        };
        properties.insert((*name).to_owned(), items);
    }
    let required: Vec<&String> = properties.keys().collect();
    json!({
        "type": "object",
        "additionalProperties": false,
        "required": [tag],
        "properties": {*tag: {
            "type": "object",
            "additionalProperties": false,
            "required": required,
            "properties": properties,
        }},
    })
}
