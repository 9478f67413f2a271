//! `room agent invoke-tool`: calls a tool of a toolkit in a room.

use std::process::ExitCode;
use std::time::Duration;

use serde_json::Value;
use tokio::time::{Instant, sleep};

use super::{RoomArgs, ask, refused};
use crate::commands::option_values;
use crate::error::{Class, Error, Result};
use crate::listed::few;
use crate::output;
use crate::room::agents::ListToolkits;
use crate::room::call::Answered;
use crate::room::client::Room;
use crate::room::content::{Content, Refused};
use crate::room::invocation::Invocation;

/// How long to wait before toolkits are listed again.
const PAUSE: Duration = Duration::from_secs(1);

/// Arguments of `room agent invoke-tool`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  meshagent room agent invoke-tool --room lobby --toolkit math --tool add --arguments '{\"a\": 1, \"b\": 2}'\n  meshagent room agent invoke-tool --room lobby --toolkit math --tool add --arguments '{}' --timeout 0\n\nThe answer is printed as JSON; of a stream, each part as a JSON object on one line."
)]
pub struct InvokeToolArgs {
    /// The toolkit's name
    #[arg(long, value_name = "NAME")]
    toolkit: String,
    /// The tool's name
    #[arg(long, value_name = "NAME")]
    tool: String,
    /// The arguments: a JSON object, or a JSON string for a tool that takes text
    #[arg(long, value_name = "JSON")]
    arguments: String,
    /// The participant that hosts the toolkit, if there are several
    #[arg(long, value_name = "ID")]
    participant_id: Option<String>,
    /// The participant for whom the tool is called
    #[arg(long, value_name = "ID")]
    on_behalf_of_id: Option<String>,
    /// What the tool is told about the caller: a JSON object
    #[arg(long, value_name = "JSON")]
    caller_context: Option<String>,
    /// How many seconds to wait for the toolkit; 0 does not look for it first
    #[arg(long = "timeout", value_name = "SECONDS", default_value_t = 30)]
    toolkit_timeout: u32,
    #[command(flatten)]
    at: RoomArgs,
}

impl InvokeToolArgs {
    fn invocation(&self) -> Result<Invocation> {
        let arguments = option_values::json("--arguments", Some(&self.arguments), Class::Usage)?;
        let arguments = match arguments {
            Some(Value::String(text)) => Content::Text(text),
            Some(object @ Value::Object(_)) => Content::Json(object),
            _ => {
                return Err(Error::usage("--arguments is neither a JSON object nor a JSON string")
                    .hint("for example --arguments '{\"path\": \"notes.txt\"}'"));
            }
        };
        let context = self.caller_context.as_deref();
        let caller_context = match option_values::json("--caller-context", context, Class::Usage)? {
            None => None,
            Some(object @ Value::Object(_)) => Some(object),
            Some(_) => return Err(Error::usage("--caller-context is not a JSON object")),
        };
        Ok(Invocation {
            participant_id: self.participant_id.clone(),
            on_behalf_of_id: self.on_behalf_of_id.clone(),
            caller_context,
            // A tool may take its time.
            patience: None,
            ..Invocation::new(&self.toolkit, &self.tool, arguments)
        })
    }

    /// Waits until the toolkit is there.
    async fn listed(&self, room: &Room) -> Result<()> {
        if self.toolkit_timeout == 0 {
            return Ok(());
        }
        let end = Instant::now() + Duration::from_secs(self.toolkit_timeout.into());
        let participant_id = self.participant_id.clone();
        let asked = ListToolkits { participant_id, ..ListToolkits::default() };
        let mut is_told = false;
        loop {
            let there = ask(room, &asked).await?.tools;
            if there.contains_key(&self.toolkit) {
                return Ok(());
            }
            if Instant::now() + PAUSE > end {
                let told = format!("the toolkit {:?} did not join the room", self.toolkit);
                let known = few(there.keys());
                return Err(Error::failed(told).hint(match known.is_empty() {
                    true => {
                        "the room has no toolkits of participants; --timeout 0 calls one of its own"
                            .to_owned()
                    }
                    false => format!("the room has {known}; --timeout 0 calls one of its own"),
                }));
            }
            if !std::mem::replace(&mut is_told, true) {
                output::note("waiting for the toolkit");
            }
            sleep(PAUSE).await;
        }
    }
}

/// A content as it is printed: its header, and of bytes how many there are.
fn shown(content: Content) -> Value {
    let has_bytes = matches!(content, Content::File { .. } | Content::Binary { .. });
    let (mut header, bytes) = content.into_parts();
    if has_bytes {
        header["size_bytes"] = bytes.len().into();
    }
    header
}

/// Runs `room agent invoke-tool`.
///
/// # Errors
///
/// The toolkit does not come; the tool fails; invalid options.
pub async fn run(args: &InvokeToolArgs) -> Result<ExitCode> {
    let invocation = args.invocation()?;
    let what = format!("{}.{}", args.toolkit, args.tool);
    args.at
        .with(async |room: &Room| {
            let failed = |why: Refused| refused(room, &what, &why);
            args.listed(room).await?;
            match room.call(invocation.clone()).await.map_err(failed)? {
                Answered::Content(content) => output::json(&shown(content)),
                Answered::Stream(mut stream) => loop {
                    let part = tokio::select! {
                        part = stream.next() => part.map_err(failed)?,
                        () = output::unread() => None,
                    };
                    let Some(part) = part else { return Ok(()) };
                    output::json_line(&shown(part))?;
                    output::check()?;
                },
            }
        })
        .await?;
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn bytes_are_counted_and_not_shown() {
        let file =
            Content::File { name: "a".to_owned(), mime_type: "x/y".to_owned(), bytes: vec![0; 5] };
        let told = json!({"type": "file", "name": "a", "mime_type": "x/y", "size_bytes": 5});
        assert_eq!(shown(file), told);
        assert_eq!(shown(Content::Text("x".to_owned())), json!({"type": "text", "text": "x"}));
    }
}
