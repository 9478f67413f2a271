//! What is done to answers: bodies in which something must mean nothing, or ends too early.

use http_body_util::{BodyExt, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::Response;
use hyper::body::{Bytes, Frame};
use serde_json::{Map, Value, json};

use super::{Body, Fault};

/// An answer on its way back.
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

/// Sends a request to the platform.
pub async fn fetch(ask: reqwest::RequestBuilder) -> std::io::Result<Reply> {
    let answer = ask.send().await.map_err(|_| dropped())?;
    let of_connection = ["content-length", "transfer-encoding", "connection"];
    let headers =
        answer.headers().iter().filter(|(name, _)| !of_connection.contains(&name.as_str()));
    let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
    Ok(Reply {
        status: answer.status().as_u16(),
        headers: headers.map(|(name, it)| (name.to_string(), text(it.as_bytes()))).collect(),
        body: answer.bytes().await.map_err(|_| dropped())?.to_vec(),
    })
}

/// The field of an answer that holds a list, and the answer; nothing where it is no list, or a page
/// of one.
pub fn list_in(reply: &Reply) -> Option<(String, Map<String, Value>)> {
    let Ok(Value::Object(answer)) = serde_json::from_slice(&reply.body) else { return None };
    let beside = ["continuation_token", "total"];
    let mut fields = answer.iter().filter(|(name, _)| !beside.contains(&name.as_str()));
    let (Some((name, Value::Array(_))), None) = (fields.next(), fields.next()) else { return None };
    Some((name.clone(), answer))
}

/// What ends a connection.
pub fn dropped() -> std::io::Error {
    std::io::Error::new(std::io::ErrorKind::ConnectionReset, "dropped on purpose")
}

/// Maps whose names are the user's own: a name more would be a difference.
const FREE: [&str; 7] =
    ["annotations", "metadata", "payload", "data", "settings", "room_metadata", "connections"];

/// Lists inside objects whose order means nothing.
const SETS: [&str; 9] =
    ["ports", "environment", "secrets", "agents", "room", "project", "image", "file", "empty_dirs"];

impl Reply {
    /// The answer; or its beginning, with the length of all of it.
    pub fn send(self, is_cut: bool) -> Response<Body> {
        let mut response = Response::builder().status(self.status);
        for (name, value) in self.headers {
            response = response.header(name, value);
        }
        let body = if is_cut {
            response = response.header("content-length", self.body.len());
            let half = Bytes::from(self.body[..self.body.len() / 2].to_vec());
            let frames = [Ok(Frame::data(half)), Err(dropped())];
            UnsyncBoxBody::new(StreamBody::new(futures_util::stream::iter(frames)))
        } else {
            UnsyncBoxBody::new(Full::new(Bytes::from(self.body)).map_err(|never| match never {}))
        };
        response.body(body).expect("a response")
    }

    /// Does something to its body, where that is JSON.
    pub fn edit(&mut self, edit: fn(&mut Value)) {
        if let Ok(mut body) = serde_json::from_slice(&self.body) {
            edit(&mut body);
            self.body = body.to_string().into_bytes();
        }
    }

    /// Changes each object of a list in a way that must mean nothing.
    pub fn change(&mut self, fault: &Fault, random: &mut fastrand::Rng) {
        let Some((name, mut answer)) = list_in(self) else { return };
        let Some(Value::Array(items)) = answer.get_mut(&name) else { return };
        let is_of_secrets = name == "secrets";
        for item in items.iter_mut() {
            match fault {
                Fault::UnknownFields => add_unknown(item, random),
                Fault::Reordered => reorder(item, "", random),
                Fault::NullForEmpty => empty(item, random),
                Fault::SecretsMasked if is_of_secrets => mask(item),
                Fault::SecretsOmitted if is_of_secrets => {
                    if let Some(data) = item.get_mut("data").and_then(Value::as_object_mut) {
                        data.retain(|name, _| {
                            ["server", "username", "email"].contains(&name.as_str())
                        });
                    }
                }
                _ => {}
            }
        }
        self.body = serde_json::to_vec(&answer).expect("JSON");
    }
}

fn mask(item: &mut Value) {
    let Some(data) = item.get_mut("data").and_then(Value::as_object_mut) else { return };
    for (name, value) in data {
        if !["server", "username", "email"].contains(&name.as_str()) {
            *value = json!("********");
        }
    }
}

fn add_unknown(value: &mut Value, random: &mut fastrand::Rng) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields.iter_mut() {
                if !FREE.contains(&name.as_str()) {
                    add_unknown(value, random);
                }
            }
            let unknown = [json!(null), json!([]), json!({"of": 1}), json!("2030-01-01"), json!(7)];
            let value = unknown[random.usize(0..unknown.len())].clone();
            fields.insert(format!("unheard_of_{}", random.u8(..)), value);
        }
        Value::Array(items) => items.iter_mut().for_each(|item| add_unknown(item, random)),
        _ => {}
    }
}

fn reorder(value: &mut Value, name: &str, random: &mut fastrand::Rng) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields.iter_mut() {
                reorder(value, name, random);
            }
            let mut pairs: Vec<(String, Value)> = std::mem::take(fields).into_iter().collect();
            random.shuffle(&mut pairs);
            *fields = Map::from_iter(pairs);
        }
        Value::Array(items) => {
            items.iter_mut().for_each(|item| reorder(item, "", random));
            if SETS.contains(&name) {
                random.shuffle(items);
            }
        }
        _ => {}
    }
}

fn empty(value: &mut Value, random: &mut fastrand::Rng) {
    let is_empty = |value: &Value| match value {
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        Value::Null => true,
        _ => false,
    };
    match value {
        Value::Object(fields) => {
            let names: Vec<String> = fields.keys().cloned().collect();
            for name in names {
                let Some(value) = fields.get_mut(&name) else { continue };
                if name == "payload" {
                    continue;
                }
                if !is_empty(value) {
                    empty(value, random);
                } else if random.bool() {
                    fields.shift_remove(&name);
                } else {
                    *value = Value::Null;
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| empty(item, random)),
        _ => {}
    }
}
