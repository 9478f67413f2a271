//! `room developer`: what is logged in a room.

use std::fmt::Write as _;
use std::process::ExitCode;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::{RoomArgs, refused, tell};
use crate::commands::signals::{Ending, STOP};
use crate::error::{Error, Result};
use crate::output;
use crate::room::client::Room;
use crate::room::developer::{Event, LOGS, Record};
use crate::room::invocation::Invocation;
use crate::visible;

/// Commands of `room developer`.
#[derive(Debug, clap::Subcommand)]
pub enum DeveloperCommand {
    /// Print what is logged in the room, as it happens
    Watch(WatchArgs),
}

/// How events are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum WatchFormat {
    /// A line for each record of a log, and for each other event its type and data.
    Plain,
    /// Every event as a JSON object on one line.
    Json,
}

/// Arguments of `room developer watch`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  meshagent room developer watch --room lobby\n  meshagent room developer watch --room lobby --format json | jq .type\n\nIt goes on after a lost connection, and ends with Ctrl-C, or when nobody reads its output."
)]
pub struct WatchArgs {
    /// How events are printed
    #[arg(long, value_enum, default_value = "plain")]
    format: WatchFormat,
    #[command(flatten)]
    at: RoomArgs,
}

async fn watch(args: &WatchArgs) -> Result<ExitCode> {
    let ending = Ending::by(&STOP)?;
    let told = |news| tell(news, "; events in between are not seen");
    let work = async |room: &Room| {
        tokio::select! {
            followed = follow(room, args.format) => followed,
            // Whoever closes the pipe has seen enough.
            () = output::unread() => Ok(()),
        }
    };
    args.at.lasting(work, &ending.stop, told).await?;
    output::check()?;
    Ok(ExitCode::SUCCESS)
}

/// Prints events until the room ends.
async fn follow(room: &Room, format: WatchFormat) -> Result<()> {
    let failed = |why| refused(room, "developer.logs", &why);
    let mut call = room.open(Invocation::stream("developer", "logs")).await.map_err(failed)?;
    output::note("watching; Ctrl-C ends it");
    while let Some(part) = call.output.next().await.map_err(failed)? {
        let event = Event::of(part)
            .ok_or_else(|| Error::failed("the room sent an event that cannot be read"))?;
        match format {
            WatchFormat::Json => {
                output::json_line(&json!({"type": event.kind, "data": event.data}))?;
            }
            WatchFormat::Plain => output::data(&lines(event, &TimeZone::system())),
        }
        output::check()?;
        if output::is_unread() {
            break;
        }
    }
    Ok(())
}

/// An event as lines: one for each record of a log, one for any other event.
fn lines(event: Event, zone: &TimeZone) -> String {
    if event.kind != LOGS {
        let (kind, data) = (event.kind, Value::Object(event.data));
        return format!("- {} {}\n", visible::line(&kind), visible::line(&data.to_string()));
    }
    let mut lines = String::new();
    for Record { nanos, severity, body, .. } in event.records() {
        let body = body.replace(['\n', '\r'], " ");
        let time = time(nanos, zone);
        let (severity, body) = (visible::line(&severity), visible::line(&body));
        let _ = writeln!(lines, "{time} {severity:<7} {body}");
    }
    lines
}

/// When something happened, in local time.
fn time(nanos: Option<i128>, zone: &TimeZone) -> String {
    let time = nanos.and_then(|nanos| Timestamp::from_nanosecond(nanos).ok());
    time.map_or_else(
        || "-".to_owned(),
        |time| time.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M:%S").to_string(),
    )
}

/// Runs a command of `room developer`.
///
/// # Errors
///
/// As [`super::run`].
pub async fn run(command: DeveloperCommand) -> Result<ExitCode> {
    match command {
        DeveloperCommand::Watch(args) => watch(&args).await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_lines_in_local_time() {
        let record = |nanos: Value, body: Value| json!({"timeUnixNano": nanos, "severityText": "WARN", "body": body});
        let records = [
            record(json!("1000000000"), json!({"stringValue": "one\ntwo"})),
            record(json!(0), json!({"kvlistValue": {}})),
            record(json!("x"), json!({"stringValue": "late"})),
            json!({"body": {"stringValue": "bare"}}),
        ];
        let event = |kind: &str, data: Value| {
            let Value::Object(data) = data else { panic!("an object") };
            lines(Event { kind: kind.to_owned(), data }, &TimeZone::UTC)
        };
        let log = json!({"resourceLogs": [{"scopeLogs": [{"logRecords": records}]}]});
        assert_eq!(
            event(LOGS, log),
            "1970-01-01 00:00:01 WARN    one two\n\
             1970-01-01 00:00:00 WARN    {\"kvlistValue\":{}}\n\
             - WARN    late\n\
             - INFO    bare\n"
        );
        assert_eq!(event(LOGS, json!({})), "");
        // Nobody can print a line that was not logged, or a colour.
        let forged = json!({
            "severityText": "INFO\n1970 FAKE",
            "body": {"stringValue": "\u{1b}[31mred\u{2028}"},
        });
        let log = json!({"resourceLogs": [{"scopeLogs": [{"logRecords": [forged]}]}]});
        assert_eq!(event(LOGS, log), "- INFO\\n1970 FAKE \\u{1b}[31mred\\u{2028}\n");
        assert_eq!(
            event("my\n.type", json!({"a": "\u{1b}[1m"})),
            "- my\\n.type {\"a\":\"\\u001b[1m\"}\n"
        );
    }
}
