//! `service`: the services that run in one room, or in every room of a project.

use std::process::ExitCode;

use serde_json::Value;

use super::option_values::room;
use super::shortcut::{DeclareArgs, DeleteArgs, Shortcut, delete, listed};
use super::show::{ListArgs, Listed, ShowArgs};
use super::toggle::toggle;
use crate::api::project;
use crate::connection::Connection;
use crate::dialect::{Lookup, Speaks, Target};
use crate::error::{Error, Result};
use crate::kinds::{Key, KindName};
use crate::output;
use crate::settings::PlatformArgs;
use source::{DocumentArgs, Origin, TemplateArgs};
pub use spec::yaml;

pub mod deploy;
mod mcp;
mod run;
mod source;
mod spec;
mod upsert;

/// Commands of `service`.
#[derive(Debug, clap::Subcommand)]
pub enum ServiceCommand {
    /// Print a service or a template as it would be sent, and send nothing
    Spec(spec::SpecArgs),
    /// Create a service in a room, or in every room of the project
    Create(CreateArgs<DocumentArgs>),
    /// Change a service, by its id, its meshagent.service.id or its name
    Update(UpdateArgs<DocumentArgs>),
    /// Check a service without a platform
    Validate(spec::ValidateArgs),
    /// Create a service from a template
    CreateTemplate(CreateArgs<TemplateArgs>),
    /// Change a service to the result of a template
    UpdateTemplate(UpdateArgs<TemplateArgs>),
    /// Check that the platform can render a template
    ValidateTemplate(RenderArgs),
    /// Let the platform render a template, and print the result
    RenderTemplate(RenderArgs),
    /// Run a command on this machine as a service of a room
    Run(run::RunArgs),
    /// Show one service
    #[command(visible_alias = "get")]
    Show(OneArgs),
    /// List the services of a room, or those that run in every room of the project
    List(ServiceListArgs),
    /// Delete a service
    Delete(RemoveArgs),
}

/// Where a service runs, what happens when another has the same meshagent.service.id, and
/// how it is written.
#[derive(Debug, clap::Args)]
pub struct PlaceArgs {
    /// The room that it runs in
    #[arg(long, value_name = "ROOM")]
    room: Option<String>,
    /// Run it in every room of the project
    #[arg(long)]
    global: bool,
    /// Write it even if another service has the same meshagent.service.id
    #[arg(long)]
    force: bool,
    /// Replace the service that has the same meshagent.service.id
    #[arg(long)]
    replace: bool,
    #[command(flatten)]
    declare: DeclareArgs,
    #[command(flatten)]
    platform: PlatformArgs,
}

toggle!(
    /// Create it if it does not exist
    Create,
    create,
    "no-create"
);

/// Arguments of `service create` and `service create-template`.
#[derive(Debug, clap::Args)]
pub struct CreateArgs<T: Origin> {
    #[command(flatten)]
    origin: T,
    #[command(flatten)]
    place: PlaceArgs,
}

/// Arguments of `service update` and `service update-template`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "The whole service is replaced by what is given here: what is left out is removed.\n\n\
The service is the one with the id from --id or the document, else the last one with the same name.\n\
If a service has the same meshagent.service.id and --id does not name it, nothing is done, unless\n\
--replace is given to change that one, or --force to ignore it and change the one with the same\n\
name. If there is no such service, it is an error, unless --create is given to create it."
)]
pub struct UpdateArgs<T: Origin> {
    /// The platform's id of the service
    #[arg(long, value_name = "ID")]
    id: Option<String>,
    #[command(flatten)]
    origin: T,
    #[command(flatten)]
    create: Create,
    #[command(flatten)]
    place: PlaceArgs,
}

/// Arguments of `service validate-template` and `service render-template`.
#[derive(Debug, clap::Args)]
pub struct RenderArgs {
    #[command(flatten)]
    template: TemplateArgs,
    #[command(flatten)]
    platform: PlatformArgs,
}

/// Arguments of `service show`.
#[derive(Debug, clap::Args)]
pub struct OneArgs {
    /// The service's id; its name, too, where the platform speaks 0.56
    #[arg(value_name = "SERVICE_ID")]
    id: String,
    /// The room that it runs in [env: MESHAGENT_ROOM]
    #[arg(long, value_name = "ROOM")]
    room: Option<String>,
    #[command(flatten)]
    show: ShowArgs,
    #[command(flatten)]
    platform: PlatformArgs,
}

/// Arguments of `service list`.
#[derive(Debug, clap::Args)]
pub struct ServiceListArgs {
    /// List those of this room [env: MESHAGENT_ROOM]; without it, those of the whole project, which
    /// run in every room
    #[arg(long, value_name = "ROOM")]
    room: Option<String>,
    #[command(flatten)]
    show: ListArgs,
    #[command(flatten)]
    platform: PlatformArgs,
}

/// Arguments of `service delete`.
#[derive(Debug, clap::Args)]
#[command(mut_arg("id", |id| id.value_name("SERVICE_ID").help("The service's id")))]
pub struct RemoveArgs {
    /// The room that it runs in [env: MESHAGENT_ROOM]
    #[arg(long, value_name = "ROOM")]
    room: Option<String>,
    #[command(flatten)]
    delete: DeleteArgs,
}

/// Runs a command of `service`.
///
/// # Errors
///
/// What the platform refuses; invalid options and documents.
pub async fn execute(command: ServiceCommand) -> Result<ExitCode> {
    match command {
        ServiceCommand::Spec(args) => spec::spec(args).await,
        ServiceCommand::Create(args) => upsert::create(args).await,
        ServiceCommand::Update(args) => upsert::update(args).await,
        ServiceCommand::Validate(args) => spec::validate(&args),
        ServiceCommand::CreateTemplate(args) => upsert::create(args).await,
        ServiceCommand::UpdateTemplate(args) => upsert::update(args).await,
        ServiceCommand::ValidateTemplate(args) => {
            let template = rendered(args).await?;
            let name = template.pointer("/metadata/name").and_then(Value::as_str);
            output::note(&format!("the template {} can be rendered", name.unwrap_or_default()));
            Ok(ExitCode::SUCCESS)
        }
        ServiceCommand::RenderTemplate(args) => {
            output::exactly(&spec::yaml(rendered(args).await?));
            Ok(ExitCode::SUCCESS)
        }
        ServiceCommand::Run(args) => run::run(args).await,
        ServiceCommand::Show(args) => {
            let room = room(args.room);
            args.platform
                .with(async |connection| {
                    let reader = connection.client.reader();
                    let project = connection.project_id().await?;
                    let spelling = reader.spelling(KindName::Service);
                    let key = Key::new(KindName::Service, project, room.clone(), &*args.id);
                    // What is no id may be a name, where services are read by their names.
                    let named = match project::is_id(&args.id) {
                        true => None,
                        false => spelling.lookup(&Target::looked_for(&key, project, None)),
                    };
                    let named = named.filter(|lookup| matches!(lookup, Lookup::One(..)));
                    let by_its_id =
                        || spelling.lookup(&Target::looked_for(&key, project, Some(&args.id)));
                    let Some(Lookup::One(request, _)) = named.or_else(by_its_id) else {
                        return Err(Error::failed("a service cannot be read by its id"));
                    };
                    let service = reader.get_json(&request).await;
                    args.show.print(&service.map_err(|error| by_id(&args.id, error.into()))?)
                })
                .await
        }
        ServiceCommand::List(args) => list(args).await,
        ServiceCommand::Delete(args) => {
            let room = room(args.room);
            delete(&args.delete, |project| {
                Shortcut::delete(KindName::Service, project, "")
                    .in_room(room.as_deref())
                    .of_id(&args.delete.id)
            })
            .await
            .map_err(|error| by_id(&args.delete.id, error))
        }
    }
}

/// What to do where there is no service of an id, and the id looks like a name.
fn by_id(id: &str, error: Error) -> Error {
    match project::is_id(id) || error.hint.is_some() {
        true => error,
        false => error.hint(
            "a service is named by its id here: `meshagent service list` shows the ids, with --room ROOM those of a room",
        ),
    }
}

/// The services of a room or of every room.
async fn services(connection: &Connection, room: Option<&str>) -> Result<Vec<Value>> {
    listed(connection, KindName::Service, room).await
}

async fn list(args: ServiceListArgs) -> Result<ExitCode> {
    let room = room(args.room);
    args.platform
        .with(async |connection| {
            let mut services = services(connection, room.as_deref()).await?;
            if args.show.is_table() {
                for service in &mut services {
                    service["name"] = service["metadata"]["name"].take();
                    service["image"] = service["container"]["image"].take();
                }
            }
            let listed = Listed {
                envelope: Some("services"),
                columns: &["id", "name", "image"],
                name: "id",
                none: match room {
                    Some(_) => "there are no services in this room",
                    None => {
                        "there are no services of the whole project; use --room ROOM to list those of a room"
                    }
                },
            };
            args.show.print(listed, services)
        })
        .await
}

/// The service that the platform makes from a template.
async fn rendered(args: RenderArgs) -> Result<Value> {
    let (text, values) = args.template.read().await?;
    args.platform.with(async |connection| source::render(connection, &text, &values).await).await
}
