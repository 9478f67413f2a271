//! `session`: what ran in the rooms of a project.

use std::process::ExitCode;

use super::show::{AllArgs, ListArgs, Listed, quietly};
use crate::api::reader::number;
use crate::api::request::Listing;
use crate::dialect::{Dialect, Speaks};
use crate::error::Result;
use crate::output;
use crate::settings::PlatformArgs;

/// Commands of `session`.
#[derive(Debug, clap::Subcommand)]
pub enum SessionCommand {
    /// List the recent sessions
    List(AllArgs),
    /// List the events of a session
    #[command(visible_alias = "get", mut_arg("quiet", quietly("types of the events")))]
    Show(SessionShowArgs),
}

/// Arguments of `session show`.
#[derive(Debug, clap::Args)]
pub struct SessionShowArgs {
    /// The session's id
    #[arg(value_name = "SESSION_ID")]
    id: String,
    #[command(flatten)]
    show: ListArgs,
    #[command(flatten)]
    platform: PlatformArgs,
}

/// Runs a command of `session`.
///
/// # Errors
///
/// What the platform refuses.
pub async fn run(command: SessionCommand) -> Result<ExitCode> {
    match command {
        SessionCommand::List(args) => {
            let listed = Listed {
                envelope: Some("sessions"),
                columns: &["id", "room_id", "room_name", "created_at", "is_active", "participants"],
                name: "id",
                none: "there are no sessions",
            };
            list(&args.platform, |it, project| it.sessions(project), listed, args.show).await
        }
        SessionCommand::Show(args) => {
            let listed = Listed {
                envelope: Some("events"),
                columns: &["type", "data"],
                name: "type",
                none: "the session has no events",
            };
            let of = |it: &dyn Dialect, project: &str| it.events(project, &args.id);
            list(&args.platform, of, listed, args.show).await
        }
    }
}

async fn list(
    platform: &PlatformArgs,
    of: impl Fn(&dyn Dialect, &str) -> Listing,
    listed: Listed<'_>,
    show: ListArgs,
) -> Result<ExitCode> {
    platform
        .with(async |connection| {
            let reader = connection.client.reader();
            let listing = of(reader.dialect(), connection.project_id().await?);
            let items = reader.items(&listing.request, listing.envelope).await?;
            if let Some(limit) = number(&listing.request, "limit").filter(|it| items.len() >= *it) {
                output::note(&format!("note: these are the newest {limit}; there may be more"));
            }
            show.print(listed, items)
        })
        .await
}
