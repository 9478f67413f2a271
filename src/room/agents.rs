//! *Pure*: what a room is asked about agents and their toolkits.

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::operation::{At, Operation};

/// The kind of messages that ask for toolkits.
pub const LIST_TOOLKITS: &str = "room.list_toolkits";

/// Which toolkits are there.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ListToolkits {
    /// The participant for whom they are listed; without it, for whoever asks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub participant_id: Option<String>,
    /// Just those that a participant of this name hosts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub participant_name: Option<String>,
    /// How many seconds may be waited for them.
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
    pub title: String,
    /// What it is for.
    pub description: String,
    /// An image to show.
    pub thumbnail_url: Option<String>,
    /// The participant that hosts it.
    pub participant_id: Option<String>,
    /// Its tools, by their names.
    pub tools: IndexMap<String, Tool>,
}

/// A tool of a toolkit.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Tool {
    /// A heading to show.
    pub title: String,
    /// What it does.
    pub description: String,
    /// What it takes.
    pub input_spec: Option<Spec>,
    /// What it answers.
    pub output_spec: Option<Spec>,
    /// What it takes as rooms of old say it: the schema alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input_schema: Option<Value>,
    /// An image to show.
    pub thumbnail_url: Option<String>,
    /// What its schemas refer to.
    pub defs: Option<Map<String, Value>>,
    /// Whether it takes the context of its caller.
    #[serde(alias = "supportsContext")]
    pub supports_context: bool,
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

impl Operation for ListToolkits {
    type Answer = Toolkits;
    const AT: At = At::Room(LIST_TOOLKITS);
}

impl Tool {
    /// The JSON Schema of what it takes, where it takes JSON.
    #[must_use]
    pub fn takes(&self) -> Option<&Value> {
        self.input_spec
            .as_ref()
            .and_then(|spec| spec.schema.as_ref())
            .or(self.input_schema.as_ref())
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
        assert!(refused.text.starts_with("room.list_toolkits cannot be asked so: invalid type"));
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
        let of = |name: &str| (toolkit.tools[name].takes(), toolkit.tools[name].supports_context);
        assert_eq!(of("new"), (Some(&schema), true));
        assert_eq!(of("old"), (Some(&schema), true));
        assert_eq!(of("bare"), (None, false));
        let Content::Json(answer) = ListToolkits::answer(&toolkits) else { panic!("no answer") };
        assert_eq!(serde_json::from_value::<Toolkits>(answer).unwrap(), toolkits);
    }
}
