//! `webhook`: the URLs that receive the events of a project.

use std::process::ExitCode;

use serde_json::json;

use super::shortcut::{DeclareArgs, DeleteArgs, Shortcut, delete, listed};
use super::show::{AllArgs, Listed};
use crate::error::{Class, Result};
use crate::kinds::KindName;
use crate::output;
use crate::settings::{PlatformArgs, without_letter};

/// Commands of `webhook`.
#[derive(Debug, clap::Subcommand)]
pub enum WebhookCommand {
    /// Create a webhook, and print its id
    Create(CreateArgs),
    /// List the webhooks
    List(AllArgs),
    /// Delete a webhook
    #[command(mut_arg("id", |id| id.value_name("WEBHOOK_ID").help("The webhook's id")))]
    Delete(DeleteArgs),
}

/// Arguments of `webhook create`.
#[derive(Debug, clap::Args)]
#[command(mut_arg("environment", without_letter))]
pub struct CreateArgs {
    /// The webhook's name
    #[arg(long, value_name = "NAME")]
    name: String,
    /// The URL that receives the events
    #[arg(long, value_name = "URL")]
    url: String,
    /// An event, such as room.started, or * for all; may be repeated
    #[arg(short, long = "event", value_name = "EVENT", required = true)]
    events: Vec<String>,
    /// A description
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    description: String,
    /// A text that is delivered with each event
    #[arg(long, value_name = "TEXT")]
    action: Option<String>,
    /// A JSON object to merge with the payload of each event
    #[arg(long, value_name = "JSON")]
    payload: Option<String>,
    #[command(flatten)]
    declare: DeclareArgs,
    #[command(flatten)]
    platform: PlatformArgs,
}

/// Runs a command of `webhook`.
///
/// # Errors
///
/// What the platform refuses; invalid options.
pub async fn run(command: WebhookCommand) -> Result<ExitCode> {
    match command {
        WebhookCommand::Create(args) => create(args).await,
        WebhookCommand::List(args) => {
            args.platform
                .with(async |connection| {
                    let webhooks = listed(connection, KindName::Webhook, None).await?;
                    let listed = Listed {
                        envelope: Some("webhooks"),
                        columns: &["id", "name", "description", "url", "events", "action"],
                        name: "id",
                        none: "there are no webhooks",
                    };
                    args.show.print(listed, webhooks)
                })
                .await
        }
        WebhookCommand::Delete(args) => {
            delete(&args, |project| {
                Shortcut::delete(KindName::Webhook, project, "").of_id(&args.id)
            })
            .await
        }
    }
}

async fn create(args: CreateArgs) -> Result<ExitCode> {
    let payload = args.payload.as_deref().filter(|text| !text.is_empty());
    let payload = super::option_values::json("--payload", payload, Class::Usage)?;
    args.platform
        .with(async |connection| {
            let description = Some(&args.description).filter(|text| !text.is_empty());
            let document = json!({
                "url": args.url,
                "events": args.events,
                "description": description,
                "action": args.action,
                "payload": payload,
            });
            let project = connection.project_id().await?;
            let shortcut = Shortcut::create(KindName::Webhook, project, &args.name, &document);
            if let Some(written) = shortcut.run(connection, &args.declare).await? {
                output::note(&format!("created Webhook/{}", args.name));
                output::value(&written.id.unwrap_or_default());
            }
            Ok(ExitCode::SUCCESS)
        })
        .await
}
