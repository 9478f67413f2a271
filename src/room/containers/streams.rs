//! What is said in the streams of `exec` and `logs`: parts with bytes, whose headers say for which
//! channel they are.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::room::content::{Content, Refused};

/// What the process reads; of a caller.
pub const INPUT: u64 = 1;
/// What the process writes; of a room.
pub const OUTPUT: u64 = 1;
/// What it writes to its standard error.
pub const ERROR: u64 = 2;
/// Its status, as an object.
pub const STATUS: u64 = 3;
/// The terminal has another size.
pub const RESIZE: u64 = 4;
/// The process is to be killed.
pub const KILL: u64 = 5;
/// The process has nothing more to read.
pub const INPUT_END: u64 = 255;

/// What a caller of `exec` says first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExecStart {
    /// By which the caller knows it again.
    #[serde(default)]
    pub request_id: String,
    /// Where.
    pub container_id: String,
    /// What is run: words, or one text that a shell would split.
    #[serde(default)]
    pub command: Option<CommandLine>,
    /// Whether it has a terminal.
    #[serde(default)]
    pub tty: Option<bool>,
}

/// What is run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum CommandLine {
    /// Word by word.
    Words(Vec<String>),
    /// As one types it.
    Text(String),
}

/// What a caller of `logs` says first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogsStart {
    /// By which the caller knows it again.
    #[serde(default)]
    pub request_id: String,
    /// Of which container.
    pub container_id: String,
    /// Whether it goes on until the container ends.
    #[serde(default)]
    pub follow: bool,
}

/// What a caller of `exec` sends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// What the process reads.
    Bytes(Vec<u8>),
    /// How large the terminal is: columns and rows.
    Resize(u16, u16),
    /// The process is to be killed.
    Kill,
    /// The process has nothing more to read.
    End,
}

/// What a room sends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The process wrote something.
    Output(Vec<u8>),
    /// It wrote something to its standard error.
    Error(Vec<u8>),
    /// It has ended with this code.
    Status(i64),
    /// Something that is not known here, and means nothing.
    Other,
}

fn start(start: &impl Serialize) -> Result<Content, Refused> {
    let mut header = serde_json::to_value(start).map_err(|it| Refused::new(it.to_string()))?;
    header["kind"] = "start".into();
    Ok(Content::part(header, Vec::new()))
}

impl ExecStart {
    /// The first part of the stream.
    ///
    /// # Errors
    ///
    /// None in practice: it can always be written as JSON.
    pub fn part(&self) -> Result<Content, Refused> {
        start(self)
    }
}

impl LogsStart {
    /// The first part of the stream.
    ///
    /// # Errors
    ///
    /// None in practice: it can always be written as JSON.
    pub fn part(&self) -> Result<Content, Refused> {
        start(self)
    }
}

impl Input {
    /// It as a part of the stream. Sizes are told with each part, as the public SDK does.
    #[must_use]
    pub fn part(self) -> Content {
        let (channel, bytes, size) = match self {
            Self::Bytes(bytes) => (INPUT, bytes, None),
            Self::Resize(columns, rows) => (RESIZE, Vec::new(), Some((columns, rows))),
            Self::Kill => (KILL, Vec::new(), None),
            Self::End => (INPUT_END, Vec::new(), None),
        };
        let (width, height) = size.unzip();
        let header = json!({"kind": "input", "channel": channel, "width": width, "height": height});
        Content::part(header, bytes)
    }

    /// What a part of the stream says.
    ///
    /// # Errors
    ///
    /// It is none of these.
    pub fn of(part: Content) -> Result<Self, Refused> {
        let Content::Binary { headers, bytes } = part else {
            return Err(Refused::invalid("the input of exec is sent as bytes with a channel"));
        };
        let size = |name: &str| {
            let size = headers[name].as_u64().and_then(|size| u16::try_from(size).ok());
            size.filter(|size| *size > 0)
        };
        match headers["channel"].as_u64() {
            Some(INPUT) => Ok(Self::Bytes(bytes)),
            Some(RESIZE) => match (size("width"), size("height")) {
                (Some(columns), Some(rows)) => Ok(Self::Resize(columns, rows)),
                _ => Err(Refused::invalid("a size needs width and height from 1 to 65535")),
            },
            Some(KILL) => Ok(Self::Kill),
            Some(INPUT_END) => Ok(Self::End),
            _ => Err(Refused::invalid("the channels of exec are 1, 4, 5 and 255")),
        }
    }
}

impl Event {
    /// It as a part of the stream. `about` are the ids that the caller knows.
    #[must_use]
    pub fn part(self, about: (&str, &str)) -> Content {
        let (channel, bytes) = match self {
            Self::Output(bytes) => (OUTPUT, bytes),
            Self::Error(bytes) => (ERROR, bytes),
            Self::Status(status) => (STATUS, json!({ "status": status }).to_string().into_bytes()),
            Self::Other => (0, Vec::new()),
        };
        let (request_id, container_id) = about;
        let header =
            json!({"request_id": request_id, "container_id": container_id, "channel": channel});
        Content::part(header, bytes)
    }

    /// What a part of the stream says.
    ///
    /// # Errors
    ///
    /// It has no channel, or a status that is no number.
    pub fn of(part: Content, operation: &str) -> Result<Self, Refused> {
        let odd = || Refused::unexpected(operation);
        let Content::Binary { headers, bytes } = part else { return Err(odd()) };
        let channel = headers["channel"].as_i64().ok_or_else(odd)?;
        Ok(match u64::try_from(channel) {
            Ok(OUTPUT) => Self::Output(bytes),
            Ok(ERROR) => Self::Error(bytes),
            Ok(STATUS) => {
                let status: Value = serde_json::from_slice(&bytes).map_err(|_| odd())?;
                Self::Status(status["status"].as_i64().ok_or_else(odd)?)
            }
            _ => Self::Other,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sent_comes_out_as_it_went_in() {
        for input in [Input::Bytes(b"x\0".to_vec()), Input::Resize(80, 24), Input::Kill, Input::End]
        {
            assert_eq!(Input::of(input.clone().part()), Ok(input));
        }
        for event in [Event::Output(vec![0]), Event::Error(vec![1]), Event::Status(-1)] {
            assert_eq!(Event::of(event.clone().part(("r", "c")), "x"), Ok(event));
        }
    }

    #[test]
    fn odd_parts_are_refused() {
        for header in [
            json!({}),
            json!({"channel": 2}),
            json!({"channel": true}),
            json!({"channel": 4, "width": 0, "height": 1}),
            json!({"channel": 4, "width": 70000, "height": 1}),
        ] {
            assert!(Input::of(Content::part(header.clone(), Vec::new())).is_err(), "{header}");
        }
        assert!(Input::of(Content::Empty).is_err());
        let status = |text: &str| Content::part(json!({"channel": 3}), text.as_bytes().to_vec());
        for text in ["", "{}", "{\"status\": \"0\"}", "\u{1}"] {
            assert!(Event::of(status(text), "containers.exec").is_err(), "{text}");
        }
        let other = Content::part(json!({"channel": 9}), Vec::new());
        assert_eq!(Event::of(other, "x"), Ok(Event::Other));
    }

    #[test]
    fn the_beginning_says_what_is_run() {
        let start = ExecStart {
            request_id: "r".to_owned(),
            container_id: "c".to_owned(),
            command: Some(CommandLine::Words(vec!["ls".to_owned()])),
            tty: Some(true),
        };
        let (header, _) = start.part().unwrap().into_parts();
        let told = json!({"request_id": "r", "container_id": "c", "command": ["ls"], "tty": true, "kind": "start"});
        assert_eq!(header["headers"], told);
        let text: ExecStart =
            serde_json::from_value(json!({"container_id": "c", "command": "ls -l"})).unwrap();
        assert_eq!(text.command, Some(CommandLine::Text("ls -l".to_owned())));
    }
}
