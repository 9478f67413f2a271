//! `room developer`: what is logged in a room.

use std::fmt::Write as _;
use std::process::ExitCode;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::RoomArgs;
use crate::commands::signals::{STOP, Signals};
use crate::error::{Error, Result};
use crate::output;
use crate::room::client::Room;
use crate::room::developer::{Event, LOGS};
use crate::room::invocation::Invocation;
use crate::room::lasting::News;
use crate::room::operation::not_done;

/// Commands of `room developer`.
#[derive(Debug, clap::Subcommand)]
pub enum DeveloperCommand {
    /// Print what is logged in the room, as it happens
    Watch(WatchArgs),
}

/// How events are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum WatchFormat {
    /// A line for each record of a log; other events are left out.
    Plain,
    /// Every event as a JSON object on one line.
    Json,
}

/// Arguments of `room developer watch`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  meshagent room developer watch --room lobby\n  meshagent room developer watch --room lobby --format json | jq .type\n\nIt goes on after a lost connection, and ends with Ctrl-C."
)]
pub struct WatchArgs {
    /// How events are printed
    #[arg(long, value_enum, default_value = "plain")]
    format: WatchFormat,
    #[command(flatten)]
    at: RoomArgs,
}

async fn watch(args: &WatchArgs) -> Result<ExitCode> {
    let mut signals = Signals::listen(&STOP)?;
    let stop = CancellationToken::new();
    let told = stop.clone();
    tokio::spawn(async move {
        signals.received().await;
        told.cancel();
    });
    let format = args.format;
    let tell = |news: News| {
        output::note(&match news {
            News::Lost { why, wait } => {
                format!("note: {why}; entering the room again in {:.1} s", wait.as_secs_f64())
            }
            News::NotEntered { why, wait } => {
                format!("note: {why}; trying again in {:.1} s", wait.as_secs_f64())
            }
            News::Returned => "note: in the room again; events in between are not seen".to_owned(),
        });
    };
    let work = async |room: &Room| follow(room, format).await;
    args.at.lasting(work, &stop, tell).await?;
    output::check()?;
    Ok(ExitCode::SUCCESS)
}

/// Prints events until the room ends.
async fn follow(room: &Room, format: WatchFormat) -> Result<()> {
    let failed = |refused| not_done("developer.logs", &refused);
    let mut call = room.open(Invocation::stream("developer", "logs")).await.map_err(failed)?;
    output::note("watching; Ctrl-C ends it");
    while let Some(part) = call.output.next().await.map_err(failed)? {
        let event = Event::of(part)
            .ok_or_else(|| Error::failed("the room sent an event that cannot be read"))?;
        match format {
            WatchFormat::Json => {
                output::json_line(&json!({"type": event.kind, "data": event.data}))?;
            }
            WatchFormat::Plain if event.kind == LOGS => {
                output::data(&lines(&Value::Object(event.data), &TimeZone::system()));
            }
            WatchFormat::Plain => {}
        }
        // Whoever closes the pipe has seen enough.
        output::check()?;
    }
    Ok(())
}

/// The records of a log, a line each.
fn lines(log: &Value, zone: &TimeZone) -> String {
    let list = |value: &Value, name: &str| value[name].as_array().cloned().unwrap_or_default();
    let mut lines = String::new();
    for resource in list(log, "resourceLogs") {
        for scope in list(&resource, "scopeLogs") {
            for record in list(&scope, "logRecords") {
                let severity = record["severityText"].as_str().unwrap_or("INFO");
                let body = &record["body"];
                let body =
                    body["stringValue"].as_str().map_or_else(|| body.to_string(), str::to_owned);
                let body = body.replace(['\n', '\r'], " ");
                let _ =
                    writeln!(lines, "{} {severity:<7} {body}", time(&record["timeUnixNano"], zone));
            }
        }
    }
    lines
}

/// When something happened, in local time.
fn time(nanos: &Value, zone: &TimeZone) -> String {
    let nanos = nanos.as_i64().map(i128::from).or_else(|| nanos.as_str()?.parse().ok());
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
        let log = json!({"resourceLogs": [{"scopeLogs": [{"logRecords": records}]}]});
        assert_eq!(
            lines(&log, &TimeZone::UTC),
            "1970-01-01 00:00:01 WARN    one two\n\
             1970-01-01 00:00:00 WARN    {\"kvlistValue\":{}}\n\
             - WARN    late\n\
             - INFO    bare\n"
        );
        assert_eq!(lines(&json!({}), &TimeZone::UTC), "");
    }
}
