//! The host against the reference's: what it answers to requests, and what a room hears of
//! it, must be the same but for the words that people and models read.

use std::collections::BTreeSet;
use std::time::Duration;

use meshagent::room::message::Message;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::program::{Program, TOKEN, webhook};
use super::room::{Manner, Rooms, Session, answering, is_end};
use crate::commands::told_differences;
use crate::needs;

/// A call of a tool.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Call {
    tool: String,
    /// The arguments, as they usually stand.
    #[serde(default)]
    json: Value,
    /// The content that stands in their place.
    content: Option<Value>,
    #[serde(default)]
    bytes: String,
    #[serde(default)]
    words: bool,
    differs: Option<String>,
}

const SCHEMAS: [&str; 7] =
    ["document", "superdoc", "gallery", "thread", "widget", "presentation", "transcript"];

const STORAGE: &str = "/toolkits/storage";

/// What was seen of one thing that was done, by its name.
type Seen = Vec<(String, Value)>;

/// The row of the documented differences that tells of webhooks that are wrong.
const WRONG: &str = "wrong webhooks";

/// Requests: method, path, type of the body, body, header in its place, and how the two
/// differ.
const REQUESTS: [(&str, &str, &str, &str, &str, &str); 20] = [
    ("GET", "/", "", "", "", ""),
    ("GET", "/.well-known/meshagent-service.json", "", "", "", ""),
    ("POST", "/", "", "", "", ""),
    ("GET", "/rabbit", "", "", "", ""),
    ("POST", "/schemas/rabbit", "", "", "", ""),
    ("PUT", "/schemas/document", "", "", "", ""),
    ("POST", "/schemas/document", "application/json", "[]", "", ""),
    ("POST", "/schemas/document", "application/json", "5", "", ""),
    ("POST", STORAGE, "application/json; charset=utf-8", r#"{"event":"x","data":1}"#, "", ""),
    ("POST", STORAGE, "application/json", r#"{"event":null,"data":null}"#, "", ""),
    ("POST", STORAGE, "", "", r#"{"event":"room.ended","data":{"room_name":"r"}}"#, ""),
    ("POST", STORAGE, "application/json", "{", r#"{"event":"x","data":{}}"#, ""),
    ("GET", STORAGE, "", "", r#"{"event":"x","data":{}}"#, ""),
    ("GET", STORAGE, "", "", "", WRONG),
    ("POST", STORAGE, "application/json", "{", "", WRONG),
    ("POST", STORAGE, "application/json", "{}", "", WRONG),
    ("POST", STORAGE, "text/plain", r#"{"event":"x","data":{}}"#, "", WRONG),
    ("POST", STORAGE, "application/json", r#"{"event":"x"}"#, "", WRONG),
    ("POST", STORAGE, "application/json", r#"{"event":"room.started","data":{}}"#, "", WRONG),
    ("POST", STORAGE, "application/json", r#"{"event":"room.call","data":{}}"#, "", WRONG),
];

async fn requests(program: &Program) -> Seen {
    let mut seen = Vec::new();
    for (method, path, kind, body, header, differs) in REQUESTS {
        let mut request = program.request(method, path).body(body);
        for (name, value) in [("Content-Type", kind), ("Meshagent-Webhook", header)] {
            if !value.is_empty() {
                request = request.header(name, value);
            }
        }
        let answer = request.send().await.unwrap();
        let status = answer.status().as_u16();
        // What is said of an error is said in words of its own.
        let body = match status {
            200 => serde_json::from_str(&answer.text().await.unwrap()).unwrap(),
            _ => Value::Null,
        };
        let name = format!("{differs}|{method} {path} {body}{header}");
        seen.push((name, json!({"status": status, "body": body})));
    }
    seen
}

/// The same value without texts that are said in words of its own. What may be any of
/// several is in an order of its own in each run of the reference.
fn wordless(value: &Value) -> Value {
    match value {
        Value::Array(items) => items.iter().map(wordless).collect(),
        Value::Object(fields) => fields
            .iter()
            .map(|(name, field)| {
                let field = match (name.as_str(), field) {
                    ("title" | "description", Value::String(_)) => "words".into(),
                    ("anyOf", Value::Array(items)) => {
                        let mut items = items.clone();
                        items.sort_by_key(Value::to_string);
                        items.into()
                    }
                    _ => wordless(field),
                };
                (name.clone(), field)
            })
            .collect::<Map<_, _>>()
            .into(),
        other => other.clone(),
    }
}

/// A message without what is another number each time.
fn told(message: Message) -> Value {
    let mut header = message.header;
    if let Some(id) = header.get_mut("tool_call_id") {
        *id = "id".into();
    }
    let bytes = String::from_utf8_lossy(&message.bytes).into_owned();
    json!({"kind": message.kind, "header": header, "bytes": bytes})
}

async fn schemas(program: &Program, rooms: &mut Rooms) -> Seen {
    let mut seen = Vec::new();
    for name in SCHEMAS {
        let status = program.call(&format!("/schemas/{name}"), &rooms.url(Manner::Good)).await;
        let mut session = rooms.entered().await;
        assert_eq!(session.query["token"], TOKEN);
        let mut messages: Vec<Value> = session.until(is_end).await.into_iter().map(told).collect();
        session.dismiss();
        messages.push(told(session.next().await.unwrap()));
        // The file comes in as many parts as its length asks for.
        let is_data = |message: &Value| message["header"]["chunk"]["headers"]["kind"] == "data";
        let text: String = messages
            .iter()
            .filter(|message| is_data(message))
            .map(|message| message["bytes"].as_str().unwrap())
            .collect();
        messages.retain(|message| !is_data(message));
        let size = messages[1].pointer_mut("/header/chunk/headers/size").unwrap().take();
        assert_eq!(size, text.len());
        let schema: Value = serde_json::from_str(&text).unwrap();
        let told = json!({
            "status": status, "messages": messages, "schema": wordless(&schema),
            "query": session.query,
        });
        seen.push((format!("|schema {name}"), told));
    }
    seen
}

/// What a room hears of a call: until it is answered, and every stream has ended.
async fn called(session: &mut Session, id: u64, call: &Call, rooms: &str) -> Value {
    let content = match &call.content {
        Some(content) => content.clone(),
        None => json!({"type": "json", "json": call.json}),
    };
    let content = serde_json::from_str(&content.to_string().replace("{rooms}", rooms)).unwrap();
    session.call(id, &call.tool, &content, call.bytes.as_bytes());
    let mut messages = Vec::new();
    let (mut is_answered, mut open) = (false, 0);
    while !(is_answered && open == 0) {
        // Of what is never answered, nothing comes at all.
        let patience = Duration::from_secs(if call.differs.is_some() { 1 } else { 20 });
        let Some(message) = session.within(patience).await else {
            assert!(call.differs.is_some(), "{} {} is not answered", call.tool, call.json);
            break;
        };
        let message = message.expect("the participant left");
        is_answered |= message.kind == "room.tool_call_response" && message.id == id;
        open += i32::from(message.header["arguments"]["method"] == "open");
        open -= i32::from(is_end(&message));
        messages.push(told(message));
    }
    if call.words
        && let Some(answer) = messages.iter_mut().find(|it| it["kind"] == "room.tool_call_response")
    {
        assert_ne!(answer["header"]["text"], Value::Null, "{}", call.tool);
        answer["header"]["text"] = "words".into();
    }
    // An answer may come before or behind the end of the stream that it is made of.
    messages.sort_by_key(|message| message["kind"] == "room.tool_call_response");
    messages.into()
}

async fn storage(program: &Program, rooms: &mut Rooms) -> Seen {
    let mut seen = Vec::new();
    let url = rooms.url(Manner::Good);
    let status = program.call(STORAGE, &url).await;
    assert_eq!(status, 200);
    let mut session = rooms.entered().await;
    let mut offered = told(session.next().await.unwrap());
    offered = wordless(&offered);
    seen.push(("|offer".to_owned(), offered));
    let base = url.replace("ws://", "http://");
    let base = base.split("/rooms").next().unwrap().to_owned();
    let calls: Vec<Call> = serde_yaml::from_str(include_str!("calls.yaml")).unwrap();
    for (index, call) in calls.iter().enumerate() {
        let heard = called(&mut session, 2_000_000 + index as u64, call, &base).await;
        let differs = call.differs.as_deref().unwrap_or_default();
        let arguments = call.content.as_ref().unwrap_or(&call.json);
        seen.push((format!("{differs}|{} {arguments}", call.tool), heard));
    }
    session.dismiss();
    let end = [told(session.next().await.unwrap()), told(session.next().await.unwrap())];
    seen.push(("|dismissed".to_owned(), end.into_iter().collect()));
    seen
}

/// The same, where the caller is the room.
async fn over_a_websocket(program: &Program) -> Seen {
    let mut session = answering(program.connect(STORAGE).await).await;
    let offered = wordless(&told(session.next().await.unwrap()));
    session.call(7, "list_files_in_room", &json!({"path": "x"}), b"");
    let asked = told(session.next().await.unwrap());
    let answered = told(session.next().await.unwrap());
    session.dismiss();
    let dismissed = told(session.next().await.unwrap());
    vec![("|over a websocket".to_owned(), json!([offered, asked, answered, dismissed]))]
}

async fn all(program: &Program, rooms: &mut Rooms) -> Seen {
    let mut seen = requests(program).await;
    seen.extend(schemas(program, rooms).await);
    seen.extend(storage(program, rooms).await);
    seen.extend(over_a_websocket(program).await);
    seen
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_host_does_what_the_reference_does_but_for_the_told_differences() {
    let mut rooms = Rooms::open().await;
    let ours = all(&Program::start().await, &mut rooms).await;
    let used: BTreeSet<String> = ours
        .iter()
        .map(|(name, _)| name.split('|').next().unwrap().to_owned())
        .filter(|differs| !differs.is_empty())
        .collect();
    let told = told_differences();
    assert!(used.is_subset(&told), "the page does not tell of {used:?}");
    let Some(python) = needs::python("the comparison of the host with the reference") else {
        return;
    };
    let theirs = all(&Program::reference(&python).await, &mut rooms).await;
    let mut wrong = String::new();
    for ((name, ours), (_, theirs)) in ours.iter().zip(&theirs) {
        if (ours == theirs) != name.starts_with('|') {
            wrong += &format!("{name}\nthere: {theirs}\nhere:  {ours}\n");
        }
    }
    assert_eq!(ours.len(), theirs.len());
    assert!(wrong.is_empty(), "{wrong}");
}

/// The text that is posted is the text that the header may hold.
#[tokio::test]
async fn a_call_may_stand_in_a_header() {
    let mut rooms = Rooms::open().await;
    let program = Program::start().await;
    let text = webhook(&rooms.url(Manner::Good));
    let request = program.request("GET", "/schemas/gallery").header("Meshagent-Webhook", text);
    assert_eq!(request.send().await.unwrap().text().await.unwrap(), r#"{"ok":true}"#);
    rooms.entered().await.until(is_end).await;
}
