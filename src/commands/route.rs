//! `route`: domains that lead to published ports of rooms.

use std::process::ExitCode;

use serde_json::json;

use super::given::{annotations_change, annotations_or_none, room, text_change};
use super::shortcut::{DeclareArgs, Shortcut, WriteArgs, delete, find, show};
use super::show::{ListArgs, Listed, ShowArgs};
use crate::api::request::Request;
use crate::error::{Error, Result};
use crate::kinds::KindName;
use crate::output;
use crate::settings::{PlatformArgs, variable};

/// Commands of `route`.
#[derive(Debug, clap::Subcommand)]
pub enum RouteCommand {
    /// Create a route
    Create(CreateArgs),
    /// Change a route; what is not given stays as it is
    Update(UpdateArgs),
    /// Show one route
    Show(OneArgs),
    /// List the routes of a project or a room
    List(RouteListArgs),
    /// Delete a route
    Delete(DeleteArgs),
}

/// Arguments of `route create`.
#[derive(Debug, clap::Args)]
pub struct CreateArgs {
    /// The domain
    #[arg(short, long, value_name = "DOMAIN")]
    domain: String,
    /// The room [env: MESHAGENT_ROOM]
    #[arg(long, value_name = "ROOM")]
    room: Option<String>,
    /// The port of a service of the room that is published
    #[arg(short, long, value_name = "PORT")]
    port: String,
    /// Notes for programs: a JSON object of texts
    #[arg(short = 'n', long, value_name = "JSON")]
    annotations: Option<String>,
    #[command(flatten)]
    declare: DeclareArgs,
    #[command(flatten)]
    platform: PlatformArgs,
}

/// Arguments of `route update`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "A route stays in its room unless --room names another: MESHAGENT_ROOM does not move it."
)]
pub struct UpdateArgs {
    /// The domain
    #[arg(value_name = "DOMAIN")]
    domain: String,
    /// The room that it moves to
    #[arg(short, long, value_name = "ROOM")]
    room: Option<String>,
    /// The port of a service of the room that is published
    #[arg(short, long, value_name = "PORT")]
    port: Option<String>,
    /// Notes for programs, instead of those it has: a JSON object of texts
    #[arg(short = 'n', long, value_name = "JSON")]
    annotations: Option<String>,
    #[command(flatten)]
    declare: DeclareArgs,
    #[command(flatten)]
    platform: PlatformArgs,
}

/// Arguments of `route show`.
#[derive(Debug, clap::Args)]
pub struct OneArgs {
    /// The domain
    #[arg(value_name = "DOMAIN")]
    domain: String,
    #[command(flatten)]
    show: ShowArgs,
    #[command(flatten)]
    platform: PlatformArgs,
}

/// Arguments of `route list`.
#[derive(Debug, clap::Args)]
pub struct RouteListArgs {
    /// Just those of this room [env: MESHAGENT_ROOM]
    #[arg(long, value_name = "ROOM")]
    room: Option<String>,
    #[command(flatten)]
    show: ListArgs,
    #[command(flatten)]
    platform: PlatformArgs,
}

/// Arguments of `route delete`.
#[derive(Debug, clap::Args)]
pub struct DeleteArgs {
    /// The domain
    #[arg(value_name = "DOMAIN")]
    domain: String,
    #[command(flatten)]
    write: WriteArgs,
    #[command(flatten)]
    platform: PlatformArgs,
}

/// Runs a command of `route`.
///
/// # Errors
///
/// What the platform refuses; options that are not what they should be.
pub async fn run(command: RouteCommand) -> Result<ExitCode> {
    match command {
        RouteCommand::Create(args) => create(args).await,
        RouteCommand::Update(args) => update(args).await,
        RouteCommand::Show(args) => {
            show(&args.platform, args.show, KindName::Route, &args.domain).await
        }
        RouteCommand::List(args) => list(args).await,
        RouteCommand::Delete(args) => {
            delete(&args.platform, &args.write, |project| {
                Shortcut::delete(KindName::Route, project, &args.domain)
            })
            .await
        }
    }
}

/// Tells when a domain is none that the platform serves by itself.
fn warn_of_domain(domain: &str) {
    let suffix = variable("MESAHGENT_APP_DOMAIN_SUFFIX");
    let suffix = suffix.as_deref().unwrap_or(".meshagent.app");
    if !domain.to_lowercase().ends_with(suffix) {
        output::warning(&format!(
            "{domain} does not end with {suffix}: the platform may not serve it"
        ));
    }
}

async fn create(args: CreateArgs) -> Result<ExitCode> {
    let annotations = annotations_or_none(args.annotations.as_deref())?;
    let Some(room) = room(args.room) else {
        return Err(Error::failed("it is not said which room is meant")
            .hint("give --room, or set MESHAGENT_ROOM"));
    };
    warn_of_domain(&args.domain);
    args.platform
        .with(async |connection| {
            let document = json!({
                "metadata": {"annotations": annotations},
                "room": room,
                "port": args.port,
            });
            let project = connection.project_id()?;
            let shortcut = Shortcut::create(KindName::Route, project, &args.domain, &document);
            if shortcut.run(connection, &args.declare).await?.is_some() {
                output::note(&format!("created the route {}", args.domain));
            }
            Ok(ExitCode::SUCCESS)
        })
        .await
}

async fn update(args: UpdateArgs) -> Result<ExitCode> {
    let annotations = annotations_or_none(args.annotations.as_deref())?;
    args.platform
        .with(async |connection| {
            warn_of_domain(&args.domain);
            let mut changes = Vec::new();
            changes.extend(text_change("room", args.room.as_deref()));
            changes.extend(text_change("port", args.port.as_deref()));
            changes.extend(annotations.as_ref().map(annotations_change));
            let is_whole = changes.len() == 3;
            let project = connection.project_id()?;
            let mut shortcut = Shortcut::change(KindName::Route, project, &args.domain, changes);
            // The platform replaces all of it, so what is not given is read and sent back.
            if !is_whole {
                shortcut = shortcut.of(find(connection, KindName::Route, &args.domain).await?);
            }
            if shortcut.run(connection, &args.declare).await?.is_some() {
                output::note(&format!("updated the route {}", args.domain));
            }
            Ok(ExitCode::SUCCESS)
        })
        .await
}

async fn list(args: RouteListArgs) -> Result<ExitCode> {
    let room = room(args.room);
    args.platform
        .with(async |connection| {
            let project = connection.project_id()?;
            let request = match &room {
                Some(room) => {
                    Request::get(&["accounts", "projects", project, "rooms", room, "routes"])
                }
                None => Request::get(&["accounts", "projects", project, "routes"]),
            };
            let listed = Listed {
                envelope: Some("routes"),
                columns: &["domain", "room", "port"],
                name: "domain",
                none: "there are no routes",
                empty_fails: true,
            };
            let mut routes = connection.client.reader().items(&request, "routes").await?;
            if args.show.is_table() {
                for route in &mut routes {
                    route["room"] = route["room_name"].take();
                }
            }
            args.show.print(listed, routes)
        })
        .await
}
