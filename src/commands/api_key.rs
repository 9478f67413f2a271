//! `api-key`: the keys of a project or of a service account in it, and which of them signs. Which of
//! both has keys depends on the API that the platform speaks.

use std::process::ExitCode;

use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

use super::of_account::{Account, AccountArgs, Wrong, wrong_holder};
use super::option_values::warn_of_secret;
use super::shortcut::{DryRunArgs, foresee_form};
use super::show::{ListArgs, Listed};
use super::toggle::toggle;
use crate::api::key::ApiKey;
use crate::bounded;
use crate::conceal;
use crate::connection::Connection;
use crate::dialect::{Dialect, Holder, Speaks};
use crate::error::{Context, Error, Result};
use crate::kinds::specs::rules;
use crate::output;
use crate::settings::activated::Activated;
use crate::settings::{PlatformArgs, ProjectArgs};
use crate::visible;

/// What is reported about an activated key.
const SIGNS: &str = "the key signs the project's tokens from now on";

/// Commands of `api-key`.
#[derive(Debug, clap::Subcommand)]
pub enum ApiKeyCommand {
    /// List the API keys of a project
    List(KeysArgs),
    /// Create an API key and print it: it is shown only this once
    Create(CreateArgs),
    /// Make this key the active key, which signs the project's tokens
    Activate(ActivateArgs),
    /// Delete an API key
    Delete(DeleteArgs),
}

/// Arguments of `api-key list`.
#[derive(Debug, clap::Args)]
pub struct KeysArgs {
    #[command(flatten)]
    account: AccountArgs,
    #[command(flatten)]
    show: ListArgs,
    #[command(flatten)]
    platform: PlatformArgs,
}

/// Arguments of `api-key create`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "--silent without --activate is refused, because nobody would ever see the key.\nStandard output has only the key."
)]
pub struct CreateArgs {
    /// The key's name
    #[arg(value_name = "NAME")]
    name: String,
    /// What it is for
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    description: String,
    #[command(flatten)]
    account: AccountArgs,
    #[command(flatten)]
    activate: Activate,
    #[command(flatten)]
    silent: Silent,
    #[command(flatten)]
    dry: DryRunArgs,
    #[command(flatten)]
    platform: PlatformArgs,
}

toggle!(
    /// Make it the active key, which signs the project's tokens
    Activate,
    activate,
    "no-activate"
);

toggle!(
    /// Do not print the key
    Silent,
    silent,
    "no-silent"
);

/// Arguments of `api-key activate`.
#[derive(Debug, clap::Args)]
pub struct ActivateArgs {
    /// The key: ma-..., or - to read it from standard input
    #[arg(value_name = "KEY")]
    key: SecretString,
    #[command(flatten)]
    project: ProjectArgs,
    // The text is read in a terminal, where a link needs no brackets.
    #[allow(rustdoc::bare_urls)]
    /// The platform that the key is for [env: MESHAGENT_API_URL] [default: https://api.meshagent.com]
    #[arg(long, value_name = "URL", help_heading = "Platform")]
    api_url: Option<String>,
}

/// Arguments of `api-key delete`.
#[derive(Debug, clap::Args)]
pub struct DeleteArgs {
    /// The key's id
    #[arg(value_name = "ID")]
    id: String,
    #[command(flatten)]
    account: AccountArgs,
    #[command(flatten)]
    dry: DryRunArgs,
    #[command(flatten)]
    platform: PlatformArgs,
}

/// Runs a command of `api-key`.
///
/// # Errors
///
/// What the platform refuses; a file that cannot be written.
pub async fn run(command: ApiKeyCommand) -> Result<ExitCode> {
    match command {
        ApiKeyCommand::List(args) => list(args).await,
        ApiKeyCommand::Create(args) => create(args).await,
        ApiKeyCommand::Activate(args) => activate(&args).await,
        ApiKeyCommand::Delete(args) => {
            args.platform
                .with(async |connection| {
                    let account = args.account.find(connection).await?;
                    let of = holder(connection, account.as_ref()).await?;
                    if args.dry.dry_run {
                        return preview_delete(connection, of, &args.id).await;
                    }
                    let request = spelled(connection, of, |it, of| it.delete_api_key(of, &args.id));
                    connection.client.send(&request?).await?;
                    Ok(ExitCode::SUCCESS)
                })
                .await
        }
    }
}

/// Whom the keys belong to that a command is about.
async fn holder<'a>(
    connection: &'a Connection,
    account: Option<&'a Account>,
) -> Result<Holder<'a>> {
    let account = account.map(|account| account.id.as_str());
    Ok(Holder { project: connection.project_id().await?, account })
}

/// What is asked of the keys of a holder, where such a one has keys.
fn spelled<T>(
    connection: &Connection,
    of: Holder<'_>,
    request: impl FnOnce(&dyn Dialect, Holder<'_>) -> Option<T>,
) -> Result<T> {
    let client = &connection.client;
    let wrong = || wrong_holder(client.spoken(), Wrong::OfProject("API keys", "keys"));
    request(client.dialect(), of).ok_or_else(wrong)
}

async fn keys(connection: &Connection, of: Holder<'_>) -> Result<Vec<Value>> {
    let listing = spelled(connection, of, |it, of| it.api_keys(of))?;
    let reader = connection.client.reader();
    Ok(reader.items(&listing.request, listing.envelope).await?)
}

/// Shows what `create` would do. A key is not a kind of manifest, so there is no plan for it, but
/// the output reads like one.
fn preview_create(name: &str, description: &str) -> ExitCode {
    let description = match description {
        "" => String::new(),
        text => {
            format!("    + description: {}\n", visible::json(&Value::from(text).to_string()))
        }
    };
    let name = visible::line(name);
    output::data(&format!("+ create ApiKey/{name}\n{description}\nPlan: 1 to create.\n"));
    ExitCode::SUCCESS
}

/// Shows what `delete` would do.
async fn preview_delete(connection: &Connection, of: Holder<'_>, id: &str) -> Result<ExitCode> {
    let keys = keys(connection, of).await?;
    if !keys.iter().any(|key| key.get("id").and_then(Value::as_str) == Some(id)) {
        return Err(Error::failed(format!("ApiKey/{id} does not exist")));
    }
    let id = visible::line(id);
    output::data(&format!(
        "- delete ApiKey/{id}  requested by this command\n\nPlan: 1 to delete.\n"
    ));
    Ok(ExitCode::SUCCESS)
}

async fn list(args: KeysArgs) -> Result<ExitCode> {
    args.platform
        .with(async |connection| {
            let account = args.account.find(connection).await?;
            let of = holder(connection, account.as_ref()).await?;
            let mut keys = keys(connection, of).await?;
            for key in &mut keys {
                if let Value::Object(fields) = key {
                    fields.shift_remove("created_by");
                }
            }
            let listed = Listed {
                envelope: Some("api-keys"),
                columns: &["id", "name", "description"],
                name: "id",
                none: "there are no API keys",
            };
            args.show.print(listed, keys)
        })
        .await
}

async fn create(args: CreateArgs) -> Result<ExitCode> {
    if args.silent.is_on() && !args.activate.is_on() {
        return Err(Error::usage("nobody would ever see the key")
            .hint("add --activate, or leave --silent out"));
    }
    args.platform
        .with(async |connection| {
            let account = args.account.find(connection).await?;
            let of = holder(connection, account.as_ref()).await?;
            spelled(connection, of, |it, of| it.api_keys(of))?;
            if args.dry.dry_run {
                let broken = rules::name(&args.name).err().map(|it| format!("`name` {it}"));
                foresee_form(connection, "the API key", broken.into_iter().collect()).await?;
                return Ok(preview_create(&args.name, &args.description));
            }
            let key = make(connection, of, &args.name, &args.description).await?;
            // What cannot be asked for again is printed before anything else can fail.
            if !args.silent.is_on() {
                output::set_only_copy();
                output::credential(&format!("{}\n", key.expose_secret()));
            }
            if args.activate.is_on() {
                keep(connection, of.project, &key)?;
            } else {
                output::note("keep the key: it is not shown again");
            }
            Ok(ExitCode::SUCCESS)
        })
        .await
}

/// Creates a key of a holder.
///
/// # Errors
///
/// What the platform refuses.
pub(super) async fn make(
    connection: &Connection,
    of: Holder<'_>,
    name: &str,
    description: &str,
) -> Result<SecretString> {
    let request = spelled(connection, of, |it, of| it.make_api_key(of, name, description))?;
    let answer = connection.client.send_json(&request).await?;
    let key = answer.get("value").and_then(Value::as_str);
    key.map(SecretString::from)
        .ok_or_else(|| Error::failed("the platform's answer contains no key"))
}

/// Activates a key that was just created.
///
/// # Errors
///
/// A file that cannot be written.
pub(super) fn keep(connection: &Connection, project: &str, key: &SecretString) -> Result<()> {
    let mut file = Activated::read()?;
    file.activate_key(project, key, connection.client.base());
    file.write()?;
    output::note(SIGNS);
    Ok(())
}

async fn activate(args: &ActivateArgs) -> Result<ExitCode> {
    let key = match args.key.expose_secret() {
        "-" => {
            let bytes = bounded::stdin(bounded::STANDARD)
                .context(|| "failed to read standard input".to_owned())?;
            let text = String::from_utf8(bytes);
            let text = text.map_err(|_| Error::usage("standard input is not UTF-8"))?;
            SecretString::from(text.trim())
        }
        key => {
            let instead = "use `-` to read it from standard input";
            warn_of_secret("KEY", instead);
            SecretString::from(key)
        }
    };
    conceal::credential(&key);
    let platform = PlatformArgs { api_url: args.api_url.clone(), ..PlatformArgs::default() };
    let platform = platform.settled()?;
    let project = args.project.id_on(platform.clone()).await?;
    let mut file = Activated::read()?;
    file.activate_key(&project, &key, &platform.url());
    file.write()?;
    match ApiKey::parse(key.expose_secret()) {
        Some(_) => output::note(SIGNS),
        // The reference keeps whatever it is given.
        None => output::warning(
            "this is not a complete API key (ma-…), so it can neither sign nor authenticate anything",
        ),
    }
    Ok(ExitCode::SUCCESS)
}
