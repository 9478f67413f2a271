//! `room container log`: what a container writes.

use std::process::ExitCode;

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
#[derive(Debug, Default)]
struct Text {
    /// The beginning of a letter.
    rest: Vec<u8>,
    /// Whether the last line is open.
    is_open: bool,
}

impl Text {
    /// The text that is complete.
    fn add(&mut self, bytes: &[u8]) -> String {
        self.rest.extend_from_slice(bytes);
        let whole = match str::from_utf8(&self.rest) {
            // A letter has four bytes at most.
            Err(error) if error.error_len().is_none() => error.valid_up_to(),
            _ => self.rest.len(),
        };
        let whole: Vec<u8> = self.rest.drain(..whole).collect();
        let text = String::from_utf8_lossy(&whole).into_owned();
        if let Some(last) = text.chars().next_back() {
            self.is_open = last != '\n';
        }
        text
    }

    /// What is left, so that the last line ends.
    fn end(self) -> String {
        let rest = String::from_utf8_lossy(&self.rest);
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
    fn letters_that_arrive_in_parts_are_whole_and_the_last_line_ends() {
        let mut text = Text::default();
        let told: String = ["a\u{20ac}\n".as_bytes(), "b".as_bytes()]
            .concat()
            .chunks(1)
            .map(|byte| text.add(byte))
            .collect();
        assert_eq!(told + &text.end(), "a\u{20ac}\nb\n");
        let mut cut = Text::default();
        assert_eq!(cut.add(b"\xff\n\xe2\x82"), "\u{fffd}\n");
        assert_eq!(cut.end(), "\u{fffd}\n");
        let mut whole = Text::default();
        assert_eq!(whole.add(b"x\n") + &whole.end(), "x\n");
        assert_eq!(Text::default().end(), "");
    }
}
