//! `service-account`: the accounts of a project for which programs act, where the platform has them.

use std::process::ExitCode;

use serde_json::json;

use super::api_key::{self, ApiKeyCommand};
use super::option_values::{annotations_change, annotations_or_none, text_change};
use super::shortcut::{DeclareArgs, DeleteArgs, Shortcut, find, listed, no_list, show};
use super::show::{AllArgs, Listed, ShowArgs};
use crate::dialect::Speaks;
use crate::error::{Error, Result};
use crate::kinds::KindName;
use crate::output;
use crate::settings::PlatformArgs;
use crate::visible;

/// Commands of `service-account`.
#[derive(Debug, clap::Subcommand)]
pub enum AccountCommand {
    /// List the service accounts of a project
    List(AllArgs),
    /// Create a service account, and print its id
    Create(CreateArgs),
    /// Show one service account
    #[command(visible_alias = "show")]
    Get(OneArgs),
    /// Change a service account; fields that are not given stay as they are
    Update(UpdateArgs),
    /// Delete a service account, with its keys and secrets
    #[command(mut_arg("id", |id| id.value_name("NAME").help("The account's name")))]
    Delete(DeleteArgs),
    /// Create, list and activate the API keys of a service account
    #[command(subcommand)]
    ApiKey(ApiKeyCommand),
}

/// What is said of an account.
#[derive(Debug, clap::Args)]
pub struct AboutArgs {
    /// The name that people see
    #[arg(long, value_name = "TEXT")]
    display_name: Option<String>,
    /// What it is for
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
    /// Annotations: a JSON object with string values
    #[arg(long, value_name = "JSON")]
    annotations: Option<String>,
}

/// Arguments of `service-account create`.
#[derive(Debug, clap::Args)]
pub struct CreateArgs {
    /// The account's name
    #[arg(value_name = "NAME")]
    name: String,
    #[command(flatten)]
    about: AboutArgs,
    #[command(flatten)]
    declare: DeclareArgs,
    #[command(flatten)]
    platform: PlatformArgs,
}

/// Arguments of `service-account get`.
#[derive(Debug, clap::Args)]
pub struct OneArgs {
    /// The account's name
    #[arg(value_name = "NAME")]
    name: String,
    #[command(flatten)]
    show: ShowArgs,
    #[command(flatten)]
    platform: PlatformArgs,
}

/// Arguments of `service-account update`.
#[derive(Debug, clap::Args)]
pub struct UpdateArgs {
    /// The account's name
    #[arg(value_name = "NAME")]
    name: String,
    #[command(flatten)]
    about: AboutArgs,
    #[command(flatten)]
    declare: DeclareArgs,
    #[command(flatten)]
    platform: PlatformArgs,
}

/// Runs a command of `service-account`.
///
/// # Errors
///
/// What the platform refuses; invalid options.
pub async fn run(command: AccountCommand) -> Result<ExitCode> {
    match command {
        AccountCommand::List(args) => list(args).await,
        AccountCommand::Create(args) => create(args).await,
        AccountCommand::Get(args) => {
            show(&args.platform, args.show, KindName::ServiceAccount, &args.name).await
        }
        AccountCommand::Update(args) => update(args).await,
        AccountCommand::Delete(args) => delete(args).await,
        AccountCommand::ApiKey(command) => api_key::run(command).await,
    }
}

async fn list(args: AllArgs) -> Result<ExitCode> {
    args.platform
        .with(async |connection| {
            let kind = KindName::ServiceAccount;
            if connection.client.spelling(kind).unspoken().is_some() {
                return Err(no_list(kind, None).hint(
                    "service accounts came with 0.56: an older platform has API keys of projects",
                ));
            }
            let accounts = listed(connection, kind, None).await?;
            let listed = Listed {
                envelope: Some("service_accounts"),
                columns: &["id", "name", "email", "description"],
                name: "name",
                none: "there are no service accounts",
            };
            args.show.print(listed, accounts)
        })
        .await
}

async fn create(args: CreateArgs) -> Result<ExitCode> {
    let AboutArgs { display_name, description, annotations } = args.about;
    let annotations = annotations_or_none(annotations.as_deref())?;
    args.platform
        .with(async |connection| {
            let document = json!({
                "metadata": {"annotations": annotations},
                "display_name": display_name,
                "description": description,
            });
            let project = connection.project_id().await?;
            let shortcut =
                Shortcut::create(KindName::ServiceAccount, project, &args.name, &document);
            if let Some(written) = shortcut.run(connection, &args.declare).await? {
                output::note(&format!("created ServiceAccount/{}", visible::line(&args.name)));
                output::value(&written.id.unwrap_or_default());
            }
            Ok(ExitCode::SUCCESS)
        })
        .await
}

async fn update(args: UpdateArgs) -> Result<ExitCode> {
    let AboutArgs { display_name, description, annotations } = args.about;
    let annotations = annotations_or_none(annotations.as_deref())?;
    let mut changes = Vec::new();
    changes.extend(text_change("display_name", display_name.as_deref()));
    changes.extend(text_change("description", description.as_deref()));
    changes.extend(annotations.as_ref().map(annotations_change));
    if changes.is_empty() {
        return Err(Error::usage("no change is given"));
    }
    args.platform
        .with(async |connection| {
            let kind = KindName::ServiceAccount;
            let observed = find(connection, kind, &args.name).await?;
            let id = observed.id.clone().unwrap_or_default();
            let project = connection.project_id().await?;
            let shortcut =
                Shortcut::change(kind, project, &args.name, changes).of_id(&id).of(observed);
            if shortcut.run(connection, &args.declare).await?.is_some() {
                output::note(&format!("updated ServiceAccount/{}", visible::line(&args.name)));
            }
            Ok(ExitCode::SUCCESS)
        })
        .await
}

async fn delete(args: DeleteArgs) -> Result<ExitCode> {
    args.platform
        .with(async |connection| {
            let kind = KindName::ServiceAccount;
            let observed = find(connection, kind, &args.id).await?;
            let id = observed.id.clone().unwrap_or_default();
            let project = connection.project_id().await?;
            let shortcut = Shortcut::delete(kind, project, &args.id).of_id(&id).of(observed);
            if shortcut.run(connection, &args.write).await?.is_some() {
                output::note(&format!("deleted ServiceAccount/{}", visible::line(&args.id)));
            }
            Ok(ExitCode::SUCCESS)
        })
        .await
}
