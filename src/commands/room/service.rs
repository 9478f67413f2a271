//! `room service`: the services of a room while it runs.

use std::process::ExitCode;

use serde_json::{Map, Value};

use super::{InRoom, RoomArgs, ask, run_one};
use crate::commands::show::{ListArgs as Show, Listed, quietly};
use crate::error::{Error, Result};
use crate::listed::few;
use crate::output;
use crate::room::client::Room;
use crate::room::services::{List, Restart, Services};

/// Commands of `room service`.
#[derive(Debug, clap::Subcommand)]
pub enum RoomServiceCommand {
    /// List the services of the room and of its project, and how they are
    #[command(mut_arg("quiet", quietly("names")))]
    List(ServiceListArgs),
    /// Start a service of the room again
    Restart(RestartArgs),
}

/// Arguments of `room service list`.
#[derive(Debug, clap::Args)]
pub struct ServiceListArgs {
    #[command(flatten)]
    show: Show,
    #[command(flatten)]
    at: RoomArgs,
}

/// Arguments of `room service restart`.
#[derive(Debug, clap::Args)]
#[command(group(clap::ArgGroup::new("which").required(true).args(["id", "name"])))]
pub struct RestartArgs {
    /// The service's id
    #[arg(long, value_name = "ID")]
    id: Option<String>,
    /// The service's name
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    #[command(flatten)]
    at: RoomArgs,
}

/// The services with their states.
fn rows(told: &Services) -> Vec<Value> {
    let of = |text: &String| {
        let service: Value = serde_json::from_str(text).unwrap_or_default();
        let id = service["id"].clone();
        let state = told.service_states.iter().find(|state| id == state.service_id.as_str());
        let mut row = Map::from_iter([
            ("id".to_owned(), id),
            ("name".to_owned(), service["metadata"]["name"].clone()),
            ("image".to_owned(), service["container"]["image"].clone()),
        ]);
        let state = state.and_then(|state| serde_json::to_value(state).ok()).unwrap_or_default();
        for name in ["state", "container_id", "started_at", "restart_scheduled_at", "restart_count"]
        {
            let value = match (name, &state[name]) {
                ("started_at" | "restart_scheduled_at", Value::Number(seconds)) => time(seconds),
                (_, value) => value.clone(),
            };
            row.insert(name.to_owned(), value);
        }
        row.insert("last_exit_code".to_owned(), state["last_exit_code"].clone());
        row.insert("message".to_owned(), state["message"].clone());
        row.insert("service".to_owned(), service);
        Value::Object(row)
    };
    told.services_json.iter().map(of).collect()
}

/// Seconds since 1970 as a time.
fn time(seconds: &serde_json::Number) -> Value {
    let nanos = seconds.as_f64().map(|seconds| (seconds * 1e9) as i128);
    let time = nanos.and_then(|nanos| jiff::Timestamp::from_nanosecond(nanos).ok());
    time.map_or(Value::Null, |time| format!("{time:.0}").into())
}

impl InRoom for ServiceListArgs {
    type Asked = List;

    fn at(&self) -> &RoomArgs {
        &self.at
    }

    fn asked(&self) -> Result<List> {
        Ok(List {})
    }

    fn show(&self, answer: Services) -> Result<ExitCode> {
        let listed = Listed {
            envelope: Some("services"),
            columns: &[
                "id",
                "name",
                "image",
                "state",
                "container_id",
                "started_at",
                "restart_scheduled_at",
                "restart_count",
                "last_exit_code",
                "message",
            ],
            name: "name",
            none: "the room has no services",
        };
        self.show.print(listed, rows(&answer))
    }
}

async fn restart(args: &RestartArgs) -> Result<ExitCode> {
    let wanted = args.id.as_ref().or(args.name.as_ref()).map_or("", String::as_str);
    let (name, id) = args
        .at
        .with(async |room: &Room| {
            let rows = rows(&ask(room, &List {}).await?);
            let field = if args.id.is_some() { "id" } else { "name" };
            let text =
                |row: &Value, field: &str| row[field].as_str().unwrap_or_default().to_owned();
            let found: Vec<&Value> = rows.iter().filter(|row| row[field] == wanted).collect();
            let (id, name) = match found[..] {
                [one] => (text(one, "id"), text(one, "name")),
                [] => {
                    let names = few(rows.iter().filter_map(|row| row["name"].as_str()));
                    let error = Error::failed(format!("the room has no service {wanted:?}"));
                    return Err(match names.is_empty() {
                        true => error,
                        false => error.hint(format!("it has {names}")),
                    });
                }
                _ => {
                    let told = format!("the room has several services named {wanted:?}");
                    let ids = few(found.iter().filter_map(|row| row["id"].as_str()));
                    return Err(Error::failed(told).hint(format!("give --id: {ids}")));
                }
            };
            ask(room, &Restart { service_id: id.clone() }).await?;
            Ok((name, id))
        })
        .await?;
    output::note(&format!("the service {name} ({id}) is started again"));
    Ok(ExitCode::SUCCESS)
}

/// Runs a command of `room service`.
///
/// # Errors
///
/// As [`super::run`].
pub async fn run(command: RoomServiceCommand) -> Result<ExitCode> {
    match command {
        RoomServiceCommand::List(args) => run_one(&args).await,
        RoomServiceCommand::Restart(args) => restart(&args).await,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::room::services::State;

    #[test]
    fn a_service_is_shown_with_its_state() {
        let service = json!({"id": "i", "metadata": {"name": "n"}, "container": {"image": "x"}});
        let state = State {
            service_id: "i".to_owned(),
            state: "running".to_owned(),
            started_at: Some(1.5),
            restart_count: 2,
            message: Some("it was full".to_owned()),
            ..State::default()
        };
        let other = json!({"id": "j", "metadata": {"name": "m"}});
        let told = Services {
            services_json: vec![service.to_string(), other.to_string()],
            service_states: vec![state],
        };
        let rows = rows(&told);
        assert_eq!(rows[0]["started_at"], "1970-01-01T00:00:01Z");
        assert_eq!((&rows[0]["state"], &rows[0]["restart_count"]), (&json!("running"), &json!(2)));
        assert_eq!(
            (&rows[0]["message"], &rows[1]["message"]),
            (&json!("it was full"), &Value::Null)
        );
        assert_eq!((&rows[1]["state"], &rows[1]["image"]), (&Value::Null, &Value::Null));
    }
}
