//! Work of the room with a log and an exit code: it looks like a container, and ends with this
//! program if that is stopped.

use std::process::ExitCode;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::logs;
use crate::commands::room::{RoomArgs, ask};
use crate::commands::signals::until_signal;
use crate::error::Result;
use crate::output;
use crate::room::client::Room;
use crate::room::containers::{Started, Stop, WaitForExit};
use crate::room::operation::Operation;

/// How long the end of the log may take once a job has ended.
const LOG_END: Duration = Duration::from_secs(5);

/// Starts a job, prints its log, and ends with its exit code.
///
/// # Errors
///
/// What the room refuses; what cannot be written.
pub async fn run<O: Operation<Answer = Started>>(at: &RoomArgs, asked: &O) -> Result<ExitCode> {
    until_signal(async |stop| {
        at.with(async |room: &Room| {
            let job = ask(room, asked).await?.container_id;
            attend(room, &job, &stop).await
        })
        .await
    })
    .await
}

async fn attend(room: &Room, job: &str, stop: &CancellationToken) -> Result<ExitCode> {
    let wait = WaitForExit { container_id: job.to_owned() };
    let mut log = std::pin::pin!(logs::written(room, job, true));
    let mut ended = std::pin::pin!(ask(room, &wait));
    let mut is_logged = false;
    let exit = loop {
        tokio::select! {
            logged = &mut log, if !is_logged => {
                is_logged = true;
                // The job goes on, and its exit code counts.
                if let Err(error) = logged {
                    output::warning(&format!("the log of the job is not complete: {error}"));
                }
            }
            exit = &mut ended => break exit?,
            () = stop.cancelled() => {
                let stop = Stop { container_id: job.to_owned(), force: true };
                ask(room, &stop).await?;
                output::warning("the job is stopped");
                return Ok(ExitCode::FAILURE);
            }
        }
    };
    if !is_logged {
        // What it wrote last may still be on its way.
        match tokio::time::timeout(LOG_END, log).await {
            Ok(logged) => logged?,
            Err(_) => output::warning("the end of the job's log did not arrive"),
        }
    }
    output::check()?;
    Ok(code(exit.exit_code))
}

/// An exit code of a process in a container as one of this program.
pub fn code(status: i64) -> ExitCode {
    match u8::try_from(status) {
        Ok(code) => ExitCode::from(code),
        // It was not ended by itself.
        Err(_) => ExitCode::from(u8::MAX),
    }
}
