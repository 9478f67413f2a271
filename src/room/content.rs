//! *Pure*: what tools take and what they answer, in the form of messages.
//!
//! A content is a header with a `type`, and bytes beside it if its type has any. Recorded from
//! release 0.31.4.

use serde_json::{Map, Value, json};

use super::codes;
use crate::decoding;

/// The close status of a stream that ended well.
pub const NORMAL: i64 = 1000;

/// The close status of a stream that ended before it was whole.
pub const INVALID_DATA: i64 = 1007;

/// The types of contents.
const TYPES: [&str; 9] =
    ["json", "text", "file", "binary", "link", "raw", "empty", "error", "control"];

/// Why something was not done, in words that the other side reads.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", text.replace(char::is_control, " "))]
pub struct Refused {
    /// The reason.
    pub text: String,
    /// The room's number for such reasons, one of [`codes`].
    pub code: Option<i64>,
}

impl Refused {
    /// A reason without a number.
    pub fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), code: None }
    }

    /// A reason that lies in the request, without most of a long value that it repeats.
    pub fn invalid(text: impl Into<String>) -> Self {
        let text = decoding::bounded(&text.into()).into_owned();
        Self { text, code: Some(codes::INVALID_REQUEST) }
    }

    /// An answer that does not fit the request to a toolkit.
    #[must_use]
    pub fn unexpected(operation: &str) -> Self {
        Self {
            text: format!("the room's answer to {operation} makes no sense"),
            code: Some(codes::UNEXPECTED),
        }
    }
}

/// What a tool takes or answers.
#[derive(Debug, Clone, PartialEq)]
pub enum Content {
    /// A value, in nearly all cases an object.
    Json(Value),
    /// A text.
    Text(String),
    /// A file.
    File {
        /// Its name without folders.
        name: String,
        /// Its media type.
        mime_type: String,
        /// What is in it.
        bytes: Vec<u8>,
    },
    /// Bytes, with a description.
    Binary {
        /// An object.
        headers: Value,
        /// The bytes.
        bytes: Vec<u8>,
    },
    /// Where something is.
    Link {
        /// Its name.
        name: String,
        /// Its URL.
        url: String,
    },
    /// What a model answered, as the public SDK for Python passes it on.
    Raw(
        /// Objects.
        Vec<Value>,
    ),
    /// Nothing.
    Empty,
    /// Why there is no answer.
    Error(Refused),
    /// A stream begins.
    Open,
    /// A stream ends.
    Close {
        /// 1000 if all went well.
        status: i64,
        /// What went wrong.
        message: Option<String>,
    },
}

impl Content {
    /// The end of a stream that went well.
    #[must_use]
    pub const fn close() -> Self {
        Self::Close { status: NORMAL, message: None }
    }

    /// Bytes of this kind; the kind distinguishes the parts of a stream.
    #[must_use]
    pub fn part(headers: Value, bytes: Vec<u8>) -> Self {
        Self::Binary { headers, bytes }
    }

    /// The header and the bytes.
    #[must_use]
    pub fn into_parts(self) -> (Value, Vec<u8>) {
        let header = match self {
            Self::Json(value) => json!({"type": "json", "json": value}),
            Self::Text(text) => json!({"type": "text", "text": text}),
            Self::File { name, mime_type, bytes } => {
                let header = json!({"type": "file", "name": name, "mime_type": mime_type});
                return (header, bytes);
            }
            Self::Binary { headers, bytes } => {
                return (json!({"type": "binary", "headers": headers}), bytes);
            }
            Self::Link { name, url } => json!({"type": "link", "name": name, "url": url}),
            Self::Raw(outputs) => json!({"type": "raw", "outputs": outputs}),
            Self::Empty => json!({"type": "empty"}),
            Self::Error(Refused { text, code: None }) => json!({"type": "error", "text": text}),
            Self::Error(Refused { text, code: Some(code) }) => {
                json!({"type": "error", "text": text, "code": code})
            }
            Self::Open => json!({"type": "control", "method": "open"}),
            Self::Close { status, message } => {
                let mut header =
                    json!({"type": "control", "method": "close", "status_code": status});
                if let Some(message) = message {
                    header["message"] = message.into();
                }
                header
            }
        };
        (header, Vec::new())
    }

    /// The part of a stream with this header and these bytes. Tools also send what has no type, such
    /// as their progress: a text, nothing, or any other value, which are taken for what they are.
    ///
    /// # Errors
    ///
    /// What is wrong with a header that has a type, as a phrase.
    pub fn of_part(header: &Value, bytes: Vec<u8>) -> Result<Self, String> {
        match header {
            Value::Null => Ok(Self::Empty),
            Value::String(text) => Ok(Self::Text(text.clone())),
            typed if typed["type"].as_str().is_some_and(|kind| TYPES.contains(&kind)) => {
                Self::of(typed, bytes)
            }
            other => Ok(Self::Json(other.clone())),
        }
    }

    /// The content itself, unless it says that something was not done: an error, or the end of a
    /// stream that did not end well.
    ///
    /// # Errors
    ///
    /// What the content says.
    pub fn done(self) -> Result<Self, Refused> {
        match self {
            Self::Error(refused) => Err(refused),
            Self::Close { status, message } if status != NORMAL => {
                Err(Refused::new(message.unwrap_or_else(|| "the room aborted the call".to_owned())))
            }
            content => Ok(content),
        }
    }

    /// The content with this header and these bytes.
    ///
    /// # Errors
    ///
    /// What is wrong with the header, as a phrase.
    pub fn of(header: &Value, bytes: Vec<u8>) -> Result<Self, String> {
        let kind = header["type"].as_str().ok_or("a content has no type")?;
        let text = |name: &str| {
            let text = header[name].as_str().map(str::to_owned);
            text.ok_or_else(|| format!("a content of type {kind} has no {name}"))
        };
        Ok(match kind {
            "json" => Self::Json(header["json"].clone()),
            "text" => Self::Text(text("text")?),
            "file" => Self::File { name: text("name")?, mime_type: text("mime_type")?, bytes },
            "binary" => {
                let headers = header["headers"].as_object().cloned().unwrap_or_else(Map::new);
                Self::Binary { headers: Value::Object(headers), bytes }
            }
            "link" => Self::Link { name: text("name")?, url: text("url")? },
            "raw" => {
                let outputs = header["outputs"].as_array().cloned();
                Self::Raw(outputs.ok_or("a content of type raw has no outputs")?)
            }
            "empty" => Self::Empty,
            "error" => Self::Error(Refused { text: text("text")?, code: code(&header["code"]) }),
            "control" => match header["method"].as_str() {
                Some("open") => Self::Open,
                Some("close") => Self::Close {
                    status: header["status_code"].as_i64().unwrap_or(NORMAL),
                    message: header["message"].as_str().map(str::to_owned),
                },
                _ => return Err("a control neither opens nor closes".to_owned()),
            },
            _ => return Err(format!("there is no content type {kind:?}")),
        })
    }
}

/// A code may also be spelled as a text.
fn code(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| value.as_str()?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contents_come_out_as_they_went_in() {
        let file = |bytes: &[u8]| Content::File {
            name: "a".to_owned(),
            mime_type: "text/plain".to_owned(),
            bytes: bytes.to_vec(),
        };
        for content in [
            Content::Json(json!({"a": [1, null]})),
            Content::Text(String::new()),
            file(b""),
            file(b"\0\xff"),
            Content::part(json!({"kind": "pull"}), Vec::new()),
            Content::Link { name: "a".to_owned(), url: "https://x".to_owned() },
            Content::Raw(vec![json!({"a": 1})]),
            Content::Empty,
            Content::Error(Refused::new("no")),
            Content::Error(Refused::invalid("no")),
            Content::Open,
            Content::close(),
            Content::Close { status: 1007, message: Some("no".to_owned()) },
        ] {
            let (header, bytes) = content.clone().into_parts();
            assert_eq!(Content::of(&header, bytes.clone()).unwrap(), content);
            assert_eq!(Content::of_part(&header, bytes).unwrap(), content);
            assert!(TYPES.contains(&header["type"].as_str().unwrap()), "{header}");
        }
    }

    #[test]
    fn what_is_no_content_is_told() {
        for (header, expected) in [
            (json!(null), "a content has no type"),
            (json!({"type": 1}), "a content has no type"),
            (json!({"type": "rabbit"}), "there is no content type \"rabbit\""),
            (json!({"type": "text"}), "a content of type text has no text"),
            (json!({"type": "raw", "outputs": {}}), "a content of type raw has no outputs"),
            (
                json!({"type": "file", "name": "a", "mime_type": 5}),
                "a content of type file has no mime_type",
            ),
            (json!({"type": "control", "method": "x"}), "a control neither opens nor closes"),
        ] {
            assert_eq!(Content::of(&header, Vec::new()).unwrap_err(), expected, "{header}");
        }
        let coded = json!({"type": "error", "text": "no", "code": "3001"});
        let error = Refused { text: "no".to_owned(), code: Some(3001) };
        assert_eq!(Content::of(&coded, Vec::new()).unwrap(), Content::Error(error));
    }
    #[test]
    fn a_part_without_a_type_is_taken_for_what_it_is() {
        let progress = json!({"type": "progress", "percent": 5});
        for (header, expected) in [
            (json!(null), Content::Empty),
            (json!("text"), Content::Text("text".to_owned())),
            (progress.clone(), Content::Json(progress)),
            (json!({"type": null}), Content::Json(json!({"type": null}))),
            (json!([1]), Content::Json(json!([1]))),
            (json!(5), Content::Json(json!(5))),
        ] {
            assert_eq!(Content::of_part(&header, Vec::new()), Ok(expected), "{header}");
        }
        let broken = json!({"type": "file", "name": "a"});
        assert!(Content::of_part(&broken, Vec::new()).is_err());
    }

    #[test]
    fn what_was_not_done_is_no_answer() {
        let aborted = |message: Option<&str>| {
            Content::Close { status: INVALID_DATA, message: message.map(str::to_owned) }.done()
        };
        assert_eq!(aborted(Some("no")), Err(Refused::new("no")));
        assert_eq!(aborted(None), Err(Refused::new("the room aborted the call")));
        assert_eq!(Content::Error(Refused::invalid("no")).done(), Err(Refused::invalid("no")));
        for content in [Content::Empty, Content::close(), Content::Open] {
            assert_eq!(content.clone().done(), Ok(content));
        }
    }
}
