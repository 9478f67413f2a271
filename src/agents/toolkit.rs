//! How a toolkit is offered to a room, and how the calls of its tools are answered.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
use jsonschema::Validator;
use serde_json::{Map, Value};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::Callee;
use crate::room::client::Room;
use crate::room::content::{Content, Refused};
use crate::room::message::Message;
use crate::room::toolkit::{Forwarded, Register, Unregister, answer, forwarded};

/// How many calls run at once in one room.
const AT_ONCE: usize = 32;

/// How long a room has to remove the toolkit, and then how long running calls have to end.
const ENDING: Duration = Duration::from_secs(1);

/// Tools that take one object and give one answer.
pub trait Toolkit: Send + Sync + 'static {
    /// Calls a tool, one of [`Offer`], with arguments that fit its schema.
    fn call<'a>(
        &'a self,
        room: &'a Room,
        tool: &'a str,
        arguments: &'a Value,
    ) -> BoxFuture<'a, Result<Content, Refused>>;
}

/// The description of a toolkit for a room.
#[derive(Debug)]
pub struct Offer {
    name: String,
    registering: Register,
    tools: HashMap<String, Tool>,
}

#[derive(Debug)]
struct Tool {
    validator: Validator,
    /// Arguments that may be left out: those that are required and may be null.
    optional: Vec<String>,
}

impl Offer {
    /// The offer with this JSON text.
    ///
    /// # Errors
    ///
    /// What is wrong with the text, as a phrase.
    pub fn parse(text: &str) -> Result<Self, String> {
        Self::of(serde_json::from_str(text).map_err(|error| error.to_string())?)
    }

    /// The offer with this JSON.
    ///
    /// # Errors
    ///
    /// What is wrong with it, as a phrase.
    pub fn of(header: Value) -> Result<Self, String> {
        let name = header["name"].as_str().ok_or("a toolkit has no name")?.to_owned();
        let mut tools = HashMap::new();
        for (tool, told) in header["tools"].as_object().into_iter().flatten() {
            let schema = &told["input_spec"]["schema"];
            let validator =
                jsonschema::validator_for(schema).map_err(|error| format!("{tool}: {error}"))?;
            let required = schema["required"].as_array().into_iter().flatten();
            let optional = required
                .filter_map(Value::as_str)
                .filter(|name| is_nullable(&schema["properties"][name]))
                .map(str::to_owned)
                .collect();
            tools.insert(tool.clone(), Tool { validator, optional });
        }
        Ok(Self { name, registering: Register(header), tools })
    }

    /// The arguments of a call, with null for those that were left out.
    fn arguments(&self, call: Forwarded) -> Result<Value, Refused> {
        let name = &call.tool;
        let Some(tool) = self.tools.get(name) else {
            return Err(Refused::invalid(format!("there is no tool {name:?} in {}", self.name)));
        };
        let mut arguments = match call.arguments? {
            Content::Json(Value::Object(arguments)) => arguments,
            Content::Empty => Map::new(),
            Content::Open => {
                return Err(Refused::invalid(format!("{name} takes no stream")));
            }
            _ => return Err(Refused::invalid(format!("{name} takes a JSON object"))),
        };
        for optional in &tool.optional {
            arguments.entry(optional.clone()).or_insert(Value::Null);
        }
        let arguments = Value::Object(arguments);
        match tool.validator.validate(&arguments) {
            Ok(()) => Ok(arguments),
            Err(error) => {
                let place = error.instance_path().to_string();
                let place = if place.is_empty() { "the arguments".to_owned() } else { place };
                Err(Refused::new(format!("{name} does not accept {place}: {error}")))
            }
        }
    }
}

fn is_nullable(schema: &Value) -> bool {
    let is_null = |kind: &Value| kind == "null";
    is_null(&schema["type"]) || schema["type"].as_array().is_some_and(|it| it.iter().any(is_null))
}

/// A toolkit in a room.
pub struct Hosted<T> {
    toolkit: Arc<T>,
    offer: Arc<Offer>,
    /// The room's id of the registration.
    id: Mutex<Option<Value>>,
    calls: Mutex<JoinSet<()>>,
}

impl<T: Toolkit> Hosted<T> {
    /// A toolkit to offer to one room.
    pub fn new(toolkit: T, offer: Arc<Offer>) -> Self {
        Self { toolkit: Arc::new(toolkit), offer, id: Mutex::default(), calls: Mutex::default() }
    }

    /// Starts a call, or says why not.
    fn begin(&self, room: &Room, call: Forwarded) -> Result<(), Refused> {
        let (id, tool) = (call.id, call.tool.clone());
        let arguments = self.offer.arguments(call)?;
        let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        while calls.try_join_next().is_some() {}
        if calls.len() >= AT_ONCE {
            return Err(Refused::new(format!(
                "{AT_ONCE} calls are already running; try again later"
            )));
        }
        let (room, toolkit) = (room.clone(), self.toolkit.clone());
        calls.spawn(async move {
            let done = toolkit.call(&room, &tool, &arguments).await;
            // If the room is gone, nobody is left to answer.
            let _ = room.send(answer(id, done)).await;
        });
        Ok(())
    }
}

impl<T: Toolkit> Callee for Hosted<T> {
    fn start<'a>(&'a self, room: &'a Room) -> BoxFuture<'a, Result<(), Refused>> {
        Box::pin(async move {
            let registered = room.perform(&self.offer.registering).await?;
            *self.id.lock().unwrap_or_else(PoisonError::into_inner) = Some(registered.id);
            Ok(())
        })
    }

    fn take<'a>(&'a self, room: &'a Room, message: Message) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            let Some(call) = forwarded(&self.offer.name, message) else { return };
            let id = call.id;
            if let Err(refused) = self.begin(room, call) {
                // If the room is gone, nobody is left to answer.
                let _ = room.send(answer(id, Err(refused))).await;
            }
        })
    }

    fn stop<'a>(&'a self, room: &'a Room) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            let id = self.id.lock().unwrap_or_else(PoisonError::into_inner).take();
            if let Some(id) = id {
                // Leaving a room removes the registration, too.
                let _ = timeout(ENDING, room.perform(&Unregister { id })).await;
            }
            let calls =
                std::mem::take(&mut *self.calls.lock().unwrap_or_else(PoisonError::into_inner));
            // Calls that do not end in time are aborted when they are dropped.
            let _ = timeout(ENDING, calls.join_all()).await;
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn offer() -> Offer {
        let schema = json!({
            "type": "object", "additionalProperties": false, "required": ["a", "b"],
            "properties": {"a": {"type": "string"}, "b": {"type": ["integer", "null"]}},
        });
        let tools = json!({"x": {"input_spec": {"types": ["json"], "schema": schema}}});
        Offer::parse(&json!({"name": "t", "tools": tools}).to_string()).unwrap()
    }

    fn arguments(tool: &str, arguments: Content) -> Result<Value, Refused> {
        offer().arguments(Forwarded { id: 1, tool: tool.to_owned(), arguments: Ok(arguments) })
    }

    #[test]
    fn what_may_be_null_may_be_left_out() {
        assert_eq!(
            arguments("x", Content::Json(json!({"a": "1"}))),
            Ok(json!({"a": "1", "b": null}))
        );
    }

    #[test]
    fn arguments_that_do_not_fit_are_refused() {
        let told = |tool: &str, content| arguments(tool, content).unwrap_err();
        let (wrong, missing) = (json!({"a": 5}), json!({"a": "1", "c": 1}));
        assert_eq!(told("y", Content::Empty).code, Some(1002));
        assert_eq!(told("x", Content::Open).text, "x takes no stream");
        assert_eq!(told("x", Content::Text(String::new())).text, "x takes a JSON object");
        assert_eq!(
            told("x", Content::Json(wrong)),
            Refused::new("x does not accept /a: 5 is not of type \"string\"")
        );
        assert!(told("x", Content::Json(missing)).text.contains("'c' was unexpected"));
        assert!(told("x", Content::Empty).text.contains("\"a\" is a required property"));
    }
}
