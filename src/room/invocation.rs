//! *Pure*: calls of tools, in the form of messages. Recorded from release 0.31.4.

use std::time::Duration;

use serde_json::{Value, json};

use super::content::Content;

/// How long a room has to answer a request that does not wait for anything.
pub(super) const ANSWER: Duration = Duration::from_secs(120);

/// A call of a tool.
#[derive(Debug, Clone, PartialEq)]
pub struct Invocation {
    /// The toolkit's name.
    pub toolkit: String,
    /// The tool's name.
    pub tool: String,
    /// What the tool takes. [`Content::Open`] stands for a stream, which follows.
    pub arguments: Content,
    /// The participant that hosts the toolkit; without it, the room chooses.
    pub participant_id: Option<String>,
    /// The participant for whom it is called; without it, the caller itself.
    pub on_behalf_of_id: Option<String>,
    /// What the caller tells the tool about itself: an object.
    pub caller_context: Option<Value>,
    /// How long the room has to answer; without it, as long as the connection lasts. It does not
    /// concern what follows the answer in a stream.
    pub patience: Option<Duration>,
}

impl Invocation {
    /// A call with arguments, which must be answered within two minutes.
    #[must_use]
    pub fn new(toolkit: &str, tool: &str, arguments: Content) -> Self {
        Self {
            toolkit: toolkit.to_owned(),
            tool: tool.to_owned(),
            arguments,
            participant_id: None,
            on_behalf_of_id: None,
            caller_context: None,
            patience: Some(ANSWER),
        }
    }

    /// A call of a tool that takes a stream.
    #[must_use]
    pub fn stream(toolkit: &str, tool: &str) -> Self {
        Self::new(toolkit, tool, Content::Open)
    }

    /// The header of the request, and its bytes, under this id of the call.
    pub(super) fn into_parts(self, call: &str) -> (Value, Vec<u8>) {
        let (arguments, bytes) = self.arguments.into_parts();
        let mut header = json!({
            "toolkit": self.toolkit,
            "tool": self.tool,
            "participant_id": self.participant_id,
            "on_behalf_of_id": self.on_behalf_of_id,
            "arguments": arguments,
        });
        if let Some(context) = self.caller_context {
            header["caller_context"] = context;
        }
        header["tool_call_id"] = call.into();
        (header, bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_spelled_as_the_public_sdk_spells_it() {
        let told = |invocation: Invocation| invocation.into_parts("c").0.to_string();
        assert_eq!(
            told(Invocation::stream("storage", "upload")),
            r#"{"toolkit":"storage","tool":"upload","participant_id":null,"on_behalf_of_id":null,"arguments":{"type":"control","method":"open"},"tool_call_id":"c"}"#
        );
        let all = Invocation {
            participant_id: Some("p".to_owned()),
            on_behalf_of_id: Some("o".to_owned()),
            caller_context: Some(json!({"chat": 1})),
            ..Invocation::new("t", "x", Content::Empty)
        };
        assert_eq!(
            told(all),
            r#"{"toolkit":"t","tool":"x","participant_id":"p","on_behalf_of_id":"o","arguments":{"type":"empty"},"caller_context":{"chat":1},"tool_call_id":"c"}"#
        );
    }

    #[test]
    fn arguments_are_of_any_type() {
        let file = |bytes: &[u8]| Content::File {
            name: "a".to_owned(),
            mime_type: "text/plain".to_owned(),
            bytes: bytes.to_vec(),
        };
        for arguments in [
            Content::Json(json!({"a": 1})),
            Content::Text("x".to_owned()),
            file(b"x"),
            Content::part(json!({"kind": "x"}), b"y".to_vec()),
            Content::Link { name: "a".to_owned(), url: "https://x".to_owned() },
            Content::Empty,
        ] {
            let (header, bytes) = Invocation::new("t", "x", arguments.clone()).into_parts("c");
            assert_eq!(Content::of(&header["arguments"], bytes), Ok(arguments));
        }
    }
}
