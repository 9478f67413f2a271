//! Each operation of a room is tried with a scope that suffices, without one, with another
//! section, and with a part of its section.

use meshagent::platform::{OperationSummary, Platform};
use meshagent::room::message::Message;
use serde_json::{Value, json};

use super::harness::{Server, claims, signed, token_for};
use super::rooms::Visitor;

/// A line of the table.
struct Row {
    at: String,
    grant: String,
    arguments: Value,
    with: Value,
    part: Option<Value>,
}

fn rows() -> Vec<Row> {
    let lines = include_str!("matrix/operations.txt").lines();
    let lines = lines.filter(|line| !line.starts_with('#'));
    let read = |line: &str| {
        let mut cells = line.split('|').map(str::trim);
        let mut next = || cells.next().unwrap_or_else(|| panic!("{line}"));
        let (at, grant) = (next().to_owned(), next().to_owned());
        let json = |text: &str| serde_json::from_str(text).unwrap_or_else(|_| panic!("{line}"));
        let (arguments, with) = (json(next()), json(next()));
        let part = Some(next()).filter(|text| !text.is_empty()).map(json);
        Row { at, grant, arguments, with, part }
    };
    lines.map(read).collect()
}

#[test]
fn every_operation_has_its_line() {
    let known = Platform::operations().into_iter().map(|it| (it.at, it.grant.to_owned()));
    let listed = rows().into_iter().map(|row| (row.at, row.grant));
    let mut known: Vec<_> = known.collect();
    let mut listed: Vec<_> = listed.collect();
    known.sort();
    listed.sort();
    assert_eq!(known, listed);
}

/// The code with which an operation is refused, if it is.
async fn code(visitor: &mut Visitor, row: &Row, how: &OperationSummary) -> Option<i64> {
    let is_stream = how.is_stream;
    let content = |value: &Value| match how.takes_bytes {
        true => json!({"type": "binary", "headers": value}),
        false => json!({"type": "json", "json": value}),
    };
    let message = match row.at.split_once('.').expect("a toolkit") {
        ("room", _) => Message::new(1, &row.at, row.arguments.clone()),
        (toolkit, tool) => {
            let open = json!({"type": "control", "method": "open"});
            let arguments = if is_stream { open } else { content(&row.arguments) };
            let call = json!({
                "toolkit": toolkit, "tool": tool, "arguments": arguments, "tool_call_id": "c",
            });
            Message::new(1, "room.invoke_tool", call)
        }
    };
    visitor.send(&message).await;
    if is_stream && !row.at.starts_with("developer.") {
        let mut headers = row.arguments.clone();
        headers["kind"] = "start".into();
        let chunk = json!({"type": "binary", "headers": headers});
        let header = json!({"tool_call_id": "c", "chunk": chunk});
        visitor.send(&Message::new(2, "room.tool_call_request_chunk", header)).await;
    } else if is_stream {
        let chunk = json!({"type": "control", "method": "close"});
        let header = json!({"tool_call_id": "c", "chunk": chunk});
        visitor.send(&Message::new(2, "room.tool_call_request_chunk", header)).await;
    }
    loop {
        let message = visitor.next().await;
        match (message.kind.as_str(), message.id) {
            ("__response__", 1) if !is_stream || message.header["type"] == "error" => {
                return message.header["code"].as_i64();
            }
            ("room.tool_call_response_chunk", _) => {
                return message.header["chunk"]["code"].as_i64();
            }
            _ => {}
        }
    }
}

#[tokio::test]
async fn an_operation_needs_its_grant_and_nothing_else() {
    const DENIED: Option<i64> = Some(1001);
    let server = Server::start().await;
    server.room("demo").await;
    let key = server.key_of(&server.project).await;
    let operations = Platform::operations();
    for row in rows() {
        let how = operations.iter().find(|it| it.at == row.at).expect("an operation");
        let tried = async |token: &str| {
            let mut visitor = Visitor::enter(&server, "demo", token).await;
            visitor.greeting().await;
            code(&mut visitor, &row, how).await
        };
        let with = async |scope: &Value| tried(&token_for(&key, "demo", scope.clone())).await;
        assert_ne!(with(&row.with).await, DENIED, "{} with {}", row.at, row.with);
        let mut foreign = json!({"livekit": {}, "admin": {}, "secrets": {}, "tunnels": {}});
        let own = row.at.split('.').next().expect("a toolkit");
        foreign.as_object_mut().expect("an object").shift_remove(own);
        for scope in [Some(json!({})), Some(foreign), row.part.clone()].into_iter().flatten() {
            let is_denied = with(&scope).await == DENIED;
            assert_eq!(is_denied, row.grant != "api", "{} with {scope}", row.at);
        }
        // Without an `api` grant nothing is done at all.
        let nothing = signed(jsonwebtoken::Algorithm::HS256, &claims(&key, None), &key);
        assert_eq!(tried(&nothing).await, DENIED, "{} without an api grant", row.at);
    }
}

#[tokio::test]
async fn tools_of_participants_need_their_grant() {
    let server = Server::start().await;
    server.room("demo").await;
    let key = server.key_of(&server.project).await;
    let enter = async |scope: Value| {
        let mut visitor = Visitor::enter(&server, "demo", &token_for(&key, "demo", scope)).await;
        visitor.greeting().await;
        visitor
    };
    let mut host = enter(json!({"agents": {}})).await;
    let mut offer = async |name: &str, tools: Value| {
        let offered = json!({"name": name, "public": true, "tools": tools});
        host.send(&Message::new(1, "room.register_toolkit", offered)).await;
        loop {
            let message = host.next().await;
            if message.kind == "__response__" {
                return message.header;
            }
        }
    };
    for name in ["t", "u"] {
        assert_eq!(offer(name, json!({"f": {}})).await["type"], "json");
    }
    // Names of the room's own toolkits are taken, whether it has them or not.
    for name in ["queues", "messaging", "agents", "sync", "containers"] {
        let told = offer(name, json!({})).await;
        assert_eq!(told["code"].as_i64(), (name != "agents").then_some(1004), "{name}: {told}");
    }
    // What lists toolkits has an end.
    let large = json!({"f": {"description": "x".repeat(600_000)}});
    assert_eq!(offer("v", large.clone()).await["type"], "json");
    assert_eq!(offer("w", large).await["code"], 1002);
    for (scope, is_denied) in [
        (json!({"agents": {}}), false),
        (json!({"agents": {"allowed_toolkits": ["t"]}}), false),
        (json!({"agents": {"allowed_toolkits": ["u"]}}), true),
        (json!({"agents": {"use_tools": false}}), true),
        (json!({"queues": {}}), true),
    ] {
        let mut caller = enter(scope.clone()).await;
        let call = json!({"toolkit": "t", "tool": "f", "arguments": {"type": "empty"}});
        caller.send(&Message::new(1, "room.invoke_tool", call)).await;
        caller.send(&Message::new(2, "room.list_toolkits", json!({}))).await;
        let first = caller.next().await;
        assert_eq!(first.header["code"] == 1001, is_denied, "{scope}: {first:?}");
        assert_eq!(first.id == 1, is_denied, "{scope}: {first:?}");
    }
}
