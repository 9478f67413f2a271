//! *Pure*: requests to a room about agents and their toolkits.

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::operation::{At, Operation, done, or_nothing};

/// The kind of messages that ask for toolkits.
pub const LIST_TOOLKITS: &str = "room.list_toolkits";

/// Asks which toolkits exist.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ListToolkits {
    /// The participant for whom they are listed; without it, the caller.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub participant_id: Option<String>,
    /// Only those that a participant of this name hosts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub participant_name: Option<String>,
    /// How many seconds to wait for them at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<f64>,
}

/// The toolkits of a room.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Toolkits {
    /// By their names.
    pub tools: IndexMap<String, Toolkit>,
}

/// A toolkit of a room.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Toolkit {
    /// A heading to show.
    #[serde(deserialize_with = "or_nothing")]
    pub title: String,
    /// What it is for.
    #[serde(deserialize_with = "or_nothing")]
    pub description: String,
    /// An image to show.
    pub thumbnail_url: Option<String>,
    /// The participant that hosts it.
    pub participant_id: Option<String>,
    /// Its tools, by their names.
    #[serde(deserialize_with = "or_nothing")]
    pub tools: IndexMap<String, Tool>,
}

/// A tool of a toolkit.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Tool {
    /// A heading to show.
    #[serde(deserialize_with = "or_nothing")]
    pub title: String,
    /// What it does.
    #[serde(deserialize_with = "or_nothing")]
    pub description: String,
    /// What it takes.
    pub input_spec: Option<Spec>,
    /// What it answers.
    pub output_spec: Option<Spec>,
    /// What it takes, in the form of older rooms: the schema alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input_schema: Option<Value>,
    /// An image to show.
    pub thumbnail_url: Option<String>,
    /// What its schemas refer to.
    pub defs: Option<Map<String, Value>>,
    /// Whether it takes the context of its caller.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub supports_context: Option<bool>,
    /// The same in the form of older rooms. If both are given, the other one counts.
    #[serde(rename = "supportsContext", skip_serializing_if = "Option::is_none")]
    pub supports_context_of_old: Option<bool>,
    /// What else its host says of it, such as `strict` and `pricing`.
    #[serde(flatten)]
    pub others: Map<String, Value>,
}

/// What a tool takes or answers.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Spec {
    /// The types of contents.
    pub types: Vec<String>,
    /// Whether it is a stream.
    pub stream: bool,
    /// The JSON Schema of what is JSON.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schema: Option<Value>,
}

/// Calls an agent to the room.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CallAgent {
    /// Where the agent is reached.
    pub url: String,
    /// The arguments for it: an object.
    pub arguments: Value,
    /// What it is called in the room.
    pub name: String,
    /// What it may do there; without it, what the room allows.
    pub api: Option<Value>,
}

done! { CallAgent => At::Room("room.call") }

impl Operation for ListToolkits {
    type Answer = Toolkits;
    const AT: At = At::Room(LIST_TOOLKITS);
}

impl Tool {
    /// The JSON Schema of what it takes, if it takes JSON.
    #[must_use]
    pub fn takes(&self) -> Option<&Value> {
        self.input_spec
            .as_ref()
            .and_then(|spec| spec.schema.as_ref())
            .or(self.input_schema.as_ref())
    }

    /// Whether it takes the context of its caller.
    #[must_use]
    pub fn takes_context(&self) -> bool {
        self.supports_context.or(self.supports_context_of_old).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::room::content::Content;

    #[test]
    fn what_is_asked_comes_out_as_it_went_in() {
        assert_eq!(serde_json::to_value(ListToolkits::default()).unwrap(), json!({}));
        let header = json!({"participant_id": "p", "timeout": 2.5});
        let asked = ListToolkits::read(&header).unwrap();
        assert_eq!(serde_json::to_value(&asked).unwrap(), header);
        // The public SDK sends null for what it does not say, and more than anybody reads.
        let sdk = json!({"participant_id": null, "timeout": null, "__meshagent__": {"v": 1}});
        assert_eq!(ListToolkits::read(&sdk).unwrap(), ListToolkits::default());
        let refused = ListToolkits::read(&json!({"participant_id": 5})).unwrap_err();
        assert_eq!(refused.code, Some(1002));
        assert!(
            refused
                .text
                .starts_with("the arguments of room.list_toolkits are not valid: invalid type")
        );
        for header in [json!(null), json!([]), json!(["p"]), json!("p"), json!(5)] {
            assert_eq!(ListToolkits::read(&header).unwrap(), ListToolkits::default(), "{header}");
        }
    }

    #[test]
    fn an_agent_is_called_as_the_public_sdk_does() {
        let header = json!({"url": "http://x", "arguments": {"a": 1}, "name": "bot", "api": null});
        let asked = CallAgent::read(&header).unwrap();
        assert_eq!(serde_json::to_value(&asked).unwrap(), header);
        for answer in [Content::Empty, Content::Json(json!({"x": 1})), Content::Text("x".into())] {
            assert_eq!(CallAgent::answered(answer), Some(()));
        }
    }

    #[test]
    fn what_is_null_is_not_said() {
        let told = json!({"tools": {
            "none": {"title": null, "description": null, "tools": null},
            "some": {"tools": {
                "null": {"title": null, "description": null, "supports_context": null},
                "both": {"supports_context": false, "supportsContext": true},
                "old": {"supports_context": null, "supportsContext": true},
            }},
        }});
        let toolkits: Toolkits = serde_json::from_value(told).unwrap();
        assert_eq!(toolkits.tools["none"], Toolkit::default());
        let some = &toolkits.tools["some"].tools;
        assert_eq!(some["null"], Tool::default());
        assert_eq!(
            ["null", "both", "old"].map(|it| some[it].takes_context()),
            [false, false, true]
        );
    }

    #[test]
    fn tools_are_read_as_new_rooms_and_old_ones_tell_them() {
        let schema = json!({"type": "object"});
        let spec = json!({"types": ["json"], "stream": false, "schema": schema});
        let told = json!({"tools": {"t": {"title": "T", "tools": {
            "new": {"input_spec": spec, "supports_context": true, "strict": null},
            "old": {"input_schema": schema, "supportsContext": true},
            "bare": {"input_spec": null, "thumbnail_url": null, "defs": null},
        }}}});
        let toolkits: Toolkits = serde_json::from_value(told).unwrap();
        let toolkit = &toolkits.tools["t"];
        let of = |name: &str| (toolkit.tools[name].takes(), toolkit.tools[name].takes_context());
        assert_eq!(of("new"), (Some(&schema), true));
        assert_eq!(of("old"), (Some(&schema), true));
        assert_eq!(of("bare"), (None, false));
        let Content::Json(answer) = ListToolkits::answer(&toolkits) else { panic!("no answer") };
        assert_eq!(serde_json::from_value::<Toolkits>(answer).unwrap(), toolkits);
    }
}
