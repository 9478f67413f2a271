//! `scheduled-task`: payloads that the clock puts on queues of rooms.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde_json::{Value, json};

use super::option_values::{annotations_change, annotations_or_none, named_room, text_change};
use super::shortcut::{DeclareArgs, DeleteArgs, Shortcut, Writing, delete};
use super::show::{ListArgs, Listed, Page};
use crate::api::request::{Listing, Paging};
use crate::bounded;
use crate::dialect::{Collection, Speaks};
use crate::error::{Class, Error, Result};
use crate::kinds::KindName;
use crate::kinds::path::FieldPath;
use crate::kinds::tree::Tree;
use crate::output;
use crate::settings::{PlatformArgs, without_letter};

/// Commands of `scheduled-task`.
#[derive(Debug, clap::Subcommand)]
pub enum TaskCommand {
    /// Create a scheduled task, and print its id
    Add(AddArgs),
    /// List the scheduled tasks, one page at a time
    List(TaskListArgs),
    /// Change a scheduled task; fields that are not given stay as they are
    Update(UpdateArgs),
    /// Delete a scheduled task
    #[command(mut_arg("id", |id| id.value_name("TASK_ID").help("The task's id")))]
    Delete(DeleteArgs),
}

/// What is put on the queue.
#[derive(Debug, clap::Args)]
#[group(multiple = false)]
pub struct PayloadArgs {
    /// The payload to put on the queue: a JSON object
    #[arg(long, value_name = "JSON")]
    payload: Option<String>,
    /// A file with the payload
    #[arg(long, value_name = "FILE")]
    payload_file: Option<PathBuf>,
}

/// Arguments of `scheduled-task add`.
#[derive(Debug, clap::Args)]
#[command(mut_arg("project_id", without_letter))]
pub struct AddArgs {
    /// The room [env: MESHAGENT_ROOM]
    #[arg(short, long, value_name = "ROOM")]
    room: Option<String>,
    /// The queue that the payload is put on
    #[arg(short, long, value_name = "QUEUE")]
    queue: String,
    /// The schedule: five cron fields, in UTC
    #[arg(short, long, value_name = "CRON")]
    schedule: String,
    #[command(flatten)]
    payload: PayloadArgs,
    /// The task's id; without it, the platform chooses one
    #[arg(long, value_name = "ID")]
    id: Option<String>,
    /// Run it only once
    #[arg(long)]
    once: bool,
    /// Run the task on its schedule; this is the default
    #[arg(long, overrides_with = "inactive")]
    active: bool,
    /// Keep the task, but do not run it
    #[arg(long)]
    inactive: bool,
    /// Annotations: a JSON object with string values
    #[arg(short = 'n', long, value_name = "JSON")]
    annotations: Option<String>,
    #[command(flatten)]
    declare: DeclareArgs,
    #[command(flatten)]
    platform: PlatformArgs,
}

/// Arguments of `scheduled-task list`.
#[derive(Debug, clap::Args)]
pub struct TaskListArgs {
    /// Only those of this room
    #[arg(short, long, value_name = "ROOM")]
    room: Option<String>,
    /// Only the task with this id
    #[arg(long, alias = "task-id", visible_alias = "task-id", value_name = "ID")]
    id: Option<String>,
    /// Only active tasks
    #[arg(long, conflicts_with = "inactive")]
    active: bool,
    /// Only inactive tasks
    #[arg(long)]
    inactive: bool,
    /// The maximum number of tasks to list
    #[arg(long, value_name = "N", default_value_t = 200, allow_negative_numbers = true)]
    limit: i64,
    /// How many tasks to skip first
    #[arg(long, value_name = "N", default_value_t = 0, allow_negative_numbers = true)]
    offset: i64,
    #[command(flatten)]
    show: ListArgs,
    #[command(flatten)]
    platform: PlatformArgs,
}

/// Arguments of `scheduled-task update`.
#[derive(Debug, clap::Args)]
#[command(mut_arg("project_id", without_letter))]
pub struct UpdateArgs {
    /// The task's id
    #[arg(value_name = "TASK_ID")]
    id: String,
    /// The room to move it to
    #[arg(short, long, value_name = "ROOM")]
    room: Option<String>,
    /// The queue that the payload is put on
    #[arg(short, long, value_name = "QUEUE")]
    queue: Option<String>,
    /// The schedule: five cron fields, in UTC
    #[arg(short, long, value_name = "CRON")]
    schedule: Option<String>,
    #[command(flatten)]
    payload: PayloadArgs,
    /// Run the task on its schedule
    #[arg(long, conflicts_with = "inactive")]
    active: bool,
    /// Keep the task, but do not run it
    #[arg(long)]
    inactive: bool,
    /// New annotations, which replace the old ones: a JSON object with string values
    #[arg(short = 'n', long, value_name = "JSON")]
    annotations: Option<String>,
    #[command(flatten)]
    declare: DeclareArgs,
    #[command(flatten)]
    platform: PlatformArgs,
}

/// Runs a command of `scheduled-task`.
///
/// # Errors
///
/// What the platform refuses; invalid options.
pub async fn run(command: TaskCommand) -> Result<ExitCode> {
    match command {
        TaskCommand::Add(args) => add(args).await,
        TaskCommand::List(args) => list(args).await,
        TaskCommand::Update(args) => update(args).await,
        TaskCommand::Delete(args) => {
            delete(&args, |project| Shortcut::delete(KindName::ScheduledTask, project, &args.id))
                .await
        }
    }
}

impl PayloadArgs {
    fn read(&self) -> Result<Option<Value>> {
        let text = match (&self.payload, &self.payload_file) {
            (Some(text), _) => text.clone(),
            (None, Some(path)) => read(path)?,
            (None, None) => return Ok(None),
        };
        match super::option_values::json("the payload", Some(&text), Class::Usage)? {
            Some(payload @ Value::Object(_)) => Ok(Some(payload)),
            _ => Err(Error::usage("the payload is not a JSON object")),
        }
    }
}

fn read(path: &Path) -> Result<String> {
    bounded::text(path, bounded::STANDARD)
        .map_err(|error| Error::usage(format!("failed to read {}", path.display())).because(error))
}

async fn add(args: AddArgs) -> Result<ExitCode> {
    let annotations = annotations_or_none(args.annotations.as_deref())?.unwrap_or_default();
    let Some(payload) = args.payload.read()? else {
        return Err(Error::usage("no payload is given").hint("give --payload or --payload-file"));
    };
    let room = named_room(args.room, "--room", Class::Failed)?;
    let id = args.id.filter(|id| !id.is_empty());
    if id.is_none() && args.declare.as_manifest() {
        return Err(Error::usage("a manifest needs the task's id").hint("give --id"));
    }
    args.platform
        .with(async |connection| {
            let document = json!({
                "metadata": {"annotations": annotations},
                "room": room,
                "queue": args.queue,
                "schedule": args.schedule,
                "payload": payload,
                "active": !args.inactive,
                "once": args.once,
            });
            let project = connection.project_id().await?;
            let name = id.as_deref().unwrap_or_default();
            let mut shortcut = Shortcut::create(KindName::ScheduledTask, project, name, &document);
            if id.is_none() {
                shortcut = shortcut.once();
            }
            if let Some(written) = shortcut.run(connection, &args.declare).await? {
                let told = written.answer.get("task_id").and_then(Value::as_str);
                output::value(told.unwrap_or(name));
            }
            Ok(ExitCode::SUCCESS)
        })
        .await
}

async fn list(args: TaskListArgs) -> Result<ExitCode> {
    args.platform
        .with(async |connection| {
            let reader = connection.client.reader();
            let spelling = reader.spelling(KindName::ScheduledTask);
            let page =
                Page { limit: args.limit.into(), offset: args.offset.into(), most: i128::MAX };
            let project = connection.project_id().await?;
            let Collection { envelope, paging, .. } = spelling.collection();
            let mut request = spelling.all(project);
            if let Some(id) = &args.id {
                request = request.query("task_id", id.as_str());
            }
            if args.active || args.inactive {
                request = request.query("active", args.active.to_string());
            }
            // Where the list of one room has pages of another sort, they are no fewer to read.
            let is_chosen_there = matches!(paging, Paging::Offset(_));
            if let Some(room) = args.room.as_ref().filter(|_| is_chosen_there) {
                request = request.query("room_name", room.as_str());
            }
            let listed = Listed {
                envelope: Some("scheduled_tasks"),
                columns: &[
                    "id",
                    "room_name",
                    "queue_name",
                    "schedule",
                    "active",
                    "once",
                    "last_status",
                ],
                name: "id",
                none: "there are no scheduled tasks",
            };
            let is_meant = |task: &Value| match &args.room {
                Some(room) if !is_chosen_there => {
                    task.get("room_name").and_then(Value::as_str) == Some(room)
                }
                _ => true,
            };
            let listing = Listing { request, envelope, paging, below: None };
            page.show(&reader, &listing, is_meant, |items| args.show.print(listed, items)).await
        })
        .await
}

async fn update(args: UpdateArgs) -> Result<ExitCode> {
    let annotations = annotations_or_none(args.annotations.as_deref())?;
    let payload = args.payload.read()?;
    let active = (args.active || args.inactive).then_some(args.active);
    let mut changes = Vec::new();
    changes.extend(text_change("room", args.room.as_deref()));
    changes.extend(text_change("queue", args.queue.as_deref()));
    changes.extend(text_change("schedule", args.schedule.as_deref()));
    let field = |name: &str, value: Tree| (FieldPath::of(&[name]), Some(value));
    changes.extend(payload.map(|payload| field("payload", Tree::from(&payload))));
    changes.extend(active.map(|active| field("active", Tree::Bool(active))));
    changes.extend(annotations.as_ref().map(annotations_change));
    if changes.is_empty() {
        return Err(Error::usage("no change is given"));
    }
    args.platform
        .with(async |connection| {
            let project = connection.project_id().await?;
            let shortcut = Shortcut::change(KindName::ScheduledTask, project, &args.id, changes);
            if shortcut.run(connection, &args.declare).await?.is_some() {
                output::note(&format!("updated ScheduledTask/{}", args.id));
            }
            Ok(ExitCode::SUCCESS)
        })
        .await
}
