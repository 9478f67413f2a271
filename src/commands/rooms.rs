//! `rooms`: the rooms of a project.

use std::process::ExitCode;

use serde_json::{Value, json};

use super::option_values::{annotations, annotations_change, named_room};
use super::shortcut::{DeclareArgs, Shortcut, WriteArgs, find};
use super::show::{JsonListArgs, Listed, Page, ShowArgs};
use super::toggle::toggle;
use crate::api::request::{Listing, Paging};
use crate::connection::Connection;
use crate::dialect::{Collection, Speaks};
use crate::error::{Class, Error, Result};
use crate::kinds::KindName;
use crate::output;
use crate::plan::Observed;
use crate::settings::PlatformArgs;
use crate::visible;

/// The maximum number of rooms that the platform lists at once.
const MOST: u16 = 500;

/// Commands of `rooms`.
#[derive(Debug, clap::Subcommand)]
pub enum RoomsCommand {
    /// Create a room
    Create(CreateArgs),
    /// Delete a room
    Delete(DeleteArgs),
    /// Rename a room, and replace its annotations if they are given
    Update(UpdateArgs),
    /// List the rooms, one page at a time
    List(ListArgs),
    /// Show one room
    Get(GetArgs),
}

/// Arguments of `rooms create`.
#[derive(Debug, clap::Args)]
pub struct CreateArgs {
    /// The room's name
    #[arg(long, value_name = "NAME")]
    name: String,
    #[command(flatten)]
    if_not_exists: IfNotExists,
    /// The room's metadata on the platform: a JSON object
    #[arg(long, value_name = "JSON")]
    metadata: Option<String>,
    /// Annotations: a JSON object with string values
    #[arg(long, value_name = "JSON")]
    annotations: Option<String>,
    #[command(flatten)]
    declare: DeclareArgs,
    #[command(flatten)]
    platform: PlatformArgs,
}

toggle!(
    /// If the room already exists, succeed and leave it as it is
    IfNotExists,
    if_not_exists,
    "no-if-not-exists"
);

/// The choice of a room.
#[derive(Debug, clap::Args)]
pub struct WhichArgs {
    /// The room's id; it takes precedence over the name
    #[arg(long, value_name = "ID")]
    id: Option<String>,
    /// The room's name, from which the id is looked up
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
}

/// Arguments of `rooms delete`.
#[derive(Debug, clap::Args)]
pub struct DeleteArgs {
    #[command(flatten)]
    which: WhichArgs,
    #[command(flatten)]
    write: WriteArgs,
    #[command(flatten)]
    platform: PlatformArgs,
}

/// Arguments of `rooms update`.
#[derive(Debug, clap::Args)]
pub struct UpdateArgs {
    #[command(flatten)]
    which: WhichArgs,
    /// The room's new name; to change only annotations, give the old one
    #[arg(long, value_name = "NAME")]
    new_name: String,
    /// New annotations, which replace the old ones: a JSON object with string values
    #[arg(long, value_name = "JSON")]
    annotations: Option<String>,
    #[command(flatten)]
    declare: DeclareArgs,
    #[command(flatten)]
    platform: PlatformArgs,
}

/// Arguments of `rooms list`.
#[derive(Debug, clap::Args)]
pub struct ListArgs {
    /// The maximum number of rooms to list
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=i64::from(MOST)))]
    limit: u16,
    /// How many rooms to skip first
    #[arg(long, value_name = "N", default_value_t = 0)]
    offset: u64,
    /// The field to sort by, such as room_name or created_at
    #[arg(long, value_name = "COLUMN", default_value = "room_name")]
    order_by: String,
    #[command(flatten)]
    show: JsonListArgs,
    #[command(flatten)]
    platform: PlatformArgs,
}

/// Arguments of `rooms get`.
#[derive(Debug, clap::Args)]
pub struct GetArgs {
    /// The room's name [env: MESHAGENT_ROOM]
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    #[command(flatten)]
    show: ShowArgs,
    #[command(flatten)]
    platform: PlatformArgs,
}

/// Runs a command of `rooms`.
///
/// # Errors
///
/// What the platform refuses; invalid options.
pub async fn run(command: RoomsCommand) -> Result<ExitCode> {
    match command {
        RoomsCommand::Create(args) => create(args).await,
        RoomsCommand::Delete(args) => delete(args).await,
        RoomsCommand::Update(args) => update(args).await,
        RoomsCommand::List(args) => list(args).await,
        RoomsCommand::Get(args) => get(args).await,
    }
}

/// The fields of a room that are printed.
fn shown(room: &Value) -> Value {
    let field = |name: &str| room.get(name).cloned().unwrap_or_default();
    let names = ["id", "name", "metadata", "annotations"];
    Value::Object(names.iter().map(|name| ((*name).to_owned(), field(name))).collect())
}

async fn create(args: CreateArgs) -> Result<ExitCode> {
    let metadata =
        super::option_values::json("--metadata", args.metadata.as_deref(), Class::Usage)?;
    let annotations = annotations(args.annotations.as_deref())?;
    args.platform
        .with(async |connection| {
            let document = json!({
                "metadata": {"annotations": annotations},
                "room_metadata": metadata,
            });
            let project = connection.project_id().await?;
            let mut shortcut = Shortcut::create(KindName::Room, project, &args.name, &document);
            if args.if_not_exists.is_on() {
                shortcut = shortcut.unless_there();
            }
            let Some(written) = shortcut.run(connection, &args.declare).await? else {
                return Ok(ExitCode::SUCCESS);
            };
            // Where the answer was lost, the room is the one that was asked for.
            let room = match written.answer {
                Value::Null => json!({"id": written.id, "name": args.name}),
                answer => answer,
            };
            output::json(&shown(&room))?;
            Ok(ExitCode::SUCCESS)
        })
        .await
}

/// The id of the chosen room, and the room itself if it was looked up by its name.
async fn resolve(connection: &Connection, which: &WhichArgs) -> Result<(String, Option<Observed>)> {
    let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
    if let Some(id) = given(&which.id) {
        return Ok((id, None));
    }
    let Some(name) = given(&which.name) else {
        return Err(Error::failed("no room is given").hint("give --id or --name"));
    };
    let observed = find(connection, KindName::Room, &name)
        .await
        .map_err(|error| error.hint("`meshagent rooms list` lists the rooms"))?;
    Ok((observed.id.clone().unwrap_or_default(), Some(observed)))
}

async fn delete(args: DeleteArgs) -> Result<ExitCode> {
    args.platform
        .with(async |connection| {
            let (id, observed) = resolve(connection, &args.which).await?;
            let name = args.which.name.as_deref().filter(|_| observed.is_some());
            let project = connection.project_id().await?;
            let mut shortcut =
                Shortcut::delete(KindName::Room, project, name.unwrap_or_default()).of_id(&id);
            if let Some(observed) = observed {
                shortcut = shortcut.of(observed);
            }
            if shortcut.run(connection, &args.write).await?.is_some() {
                output::note(&format!("deleted Room/{id}"));
            }
            Ok(ExitCode::SUCCESS)
        })
        .await
}

async fn update(args: UpdateArgs) -> Result<ExitCode> {
    let annotations = annotations(args.annotations.as_deref())?;
    args.platform
        .with(async |connection| {
            let (id, observed) = resolve(connection, &args.which).await?;
            let given = annotations.iter().map(annotations_change).collect();
            let project = connection.project_id().await?;
            let mut shortcut = Shortcut::change(KindName::Room, project, &args.new_name, given)
                .of_id(&id)
                .perhaps_called(args.which.name.as_deref());
            if let (Some(observed), Some(name)) = (observed, &args.which.name) {
                shortcut = shortcut.of(observed).renaming(name);
            }
            if shortcut.run(connection, &args.declare).await?.is_some() {
                output::note(&format!("updated Room/{id}"));
            }
            Ok(ExitCode::SUCCESS)
        })
        .await
}

async fn list(args: ListArgs) -> Result<ExitCode> {
    args.platform
        .with(async |connection| {
            let reader = connection.client.reader();
            let spelling = reader.spelling(KindName::Room);
            if !spelling.sorts_by(&args.order_by) {
                let (spoken, by) = (reader.spoken(), visible::line(&args.order_by));
                return Err(Error::usage(format!(
                    "the platform's API, that of {spoken}, lists rooms by their names, not by `{by}`"
                ))
                .hint("leave --order-by out"));
            }
            let most = i128::from(MOST);
            let page = Page { limit: args.limit.into(), offset: args.offset.into(), most };
            let project = connection.project_id().await?;
            let Collection { envelope, paging, .. } = spelling.collection();
            let mut request = spelling.all(project);
            if let Paging::Offset(_) = paging {
                request = request.query("order_by", args.order_by.as_str());
            }
            let listed = Listed {
                envelope: None,
                columns: &["id", "name", "metadata", "annotations"],
                name: "name",
                none: "there are no rooms",
            };
            let print = |items: Vec<Value>| {
                args.show.print(listed, items.iter().map(shown).collect())
            };
            let listing = Listing { request, envelope, paging, below: None };
            page.show(&reader, &listing, |_| true, print).await
        })
        .await
}

async fn get(args: GetArgs) -> Result<ExitCode> {
    let name = named_room(args.name, "--name", Class::Failed)?;
    args.platform
        .with(async |connection| {
            let project = connection.project_id().await?;
            let reader = connection.client.reader();
            let request = reader.spelling(KindName::Room).one(project, &name);
            let room = reader.get_json(&request).await?;
            args.show.print(&shown(&room))
        })
        .await
}
