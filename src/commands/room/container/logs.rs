//! `room container log`: what a container writes.

use std::process::ExitCode;

use meshagent_containers::text::Characters;

use crate::commands::room::{RoomArgs, refused};
use crate::commands::signals::until_signal;
use crate::commands::toggle::toggle;
use crate::error::Result;
use crate::output;
use crate::room::client::Room;
use crate::room::containers::{Event, LogsStart};
use crate::room::invocation::Invocation;

/// The operation, as messages name it.
const LOGS: &str = "containers.logs";

toggle! {
    /// Go on until the container ends
    FollowArgs, follow, "no-follow"
}

/// Arguments of `room container log`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  meshagent room container log --room lobby --id 4f0c\n  meshagent room container log --room lobby --id 4f0c --follow | grep error"
)]
pub struct LogArgs {
    /// The container's id
    #[arg(long, value_name = "ID")]
    id: String,
    #[command(flatten)]
    follow: FollowArgs,
    #[command(flatten)]
    at: RoomArgs,
}

/// Runs `room container log`.
///
/// # Errors
///
/// The room refuses, or has no such container; what cannot be written.
pub async fn print(args: &LogArgs) -> Result<ExitCode> {
    until_signal(async |_| {
        let follow = args.follow.is_on();
        args.at.with(async |room: &Room| written(room, &args.id, follow).await).await?;
        output::check()?;
        Ok(ExitCode::SUCCESS)
    })
    .await
}

/// Prints what a container wrote, and, if it is followed, what it writes until it ends or nobody
/// reads that.
///
/// # Errors
///
/// As [`print`].
pub async fn written(room: &Room, id: &str, follow: bool) -> Result<()> {
    let failed = |why| refused(room, LOGS, &why);
    let mut call = room.open(Invocation::stream("containers", "logs")).await.map_err(failed)?;
    let request_id = uuid::Uuid::new_v4().simple().to_string();
    let start = LogsStart { request_id, container_id: id.to_owned(), follow };
    call.input.send(start.part().map_err(failed)?).await.map_err(failed)?;
    let mut text = Text::default();
    loop {
        let part = tokio::select! {
            part = call.output.next() => part.map_err(failed)?,
            () = output::unread() => return Ok(()),
        };
        let Some(part) = part else { break };
        if let Event::Output(bytes) = Event::of(part, LOGS).map_err(failed)? {
            output::data(&text.add(&bytes));
            output::check()?;
        }
    }
    output::data(&text.end());
    Ok(())
}

/// Text that arrives in parts, which may end within a letter.
#[derive(Default)]
struct Text {
    parts: Characters,
    /// Whether the last line is open.
    is_open: bool,
}

impl Text {
    /// The text that is complete.
    fn add(&mut self, bytes: &[u8]) -> String {
        let text = self.parts.feed(bytes);
        if let Some(last) = text.chars().next_back() {
            self.is_open = last != '\n';
        }
        text
    }

    /// What is left, so that the last line ends.
    fn end(self) -> String {
        let rest = self.parts.finish();
        match self.is_open || !rest.is_empty() {
            true => format!("{rest}\n"),
            false => String::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_ends_whatever_arrives() {
        let written = |parts: &[&[u8]]| {
            let mut text = Text::default();
            let told: String = parts.iter().map(|part| text.add(part)).collect();
            told + &text.end()
        };
        assert_eq!(written(&[b"a\xe2", b"\x82\xac\nb"]), "a\u{20ac}\nb\n");
        assert_eq!(written(&[b"x\n"]), "x\n");
        assert_eq!(written(&[b"x\n\xe2"]), "x\n\u{fffd}\n");
        assert_eq!(written(&[]), "");
    }
}
