//! `secret list`, `secret delete`, and the commands that create and change secrets on a platform.

use std::process::ExitCode;

use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use super::option_values::warn_of_secret;
use super::shortcut::{DeclareArgs, DeleteArgs, Shortcut, delete, listed};
use super::show::{AllArgs, Listed};
use crate::error::{Error, Result};
use crate::kinds::KindName;
use crate::output;
use crate::settings::PlatformArgs;

/// The commands for secrets of one type.
#[derive(Debug, clap::Subcommand)]
pub enum WriteCommand<T: clap::Args> {
    /// Create a secret, and print its id
    Create(CreateArgs<T>),
    /// Replace a secret as a whole
    Update(UpdateArgs<T>),
}

/// Arguments of `secret TYPE create`.
#[derive(Debug, clap::Args)]
pub struct CreateArgs<T: clap::Args> {
    /// The secret's name
    #[arg(long, value_name = "NAME")]
    name: String,
    #[command(flatten)]
    content: T,
    #[command(flatten)]
    declare: DeclareArgs,
    #[command(flatten)]
    platform: PlatformArgs,
}

/// Arguments of `secret TYPE update`.
#[derive(Debug, clap::Args)]
pub struct UpdateArgs<T: clap::Args> {
    /// The secret's id
    #[arg(long, value_name = "ID")]
    secret_id: String,
    /// The secret's name after the update
    #[arg(long, value_name = "NAME")]
    name: String,
    #[command(flatten)]
    content: T,
    #[command(flatten)]
    declare: DeclareArgs,
    #[command(flatten)]
    platform: PlatformArgs,
}

/// The content of a secret of one type.
pub trait Content: clap::Args {
    /// The option that holds the secret itself.
    const SECRET: &'static str;

    /// Its fields, as a manifest spells them.
    ///
    /// # Errors
    /// Invalid options.
    fn document(&self) -> Result<Value>;
}

/// Pairs that become environment variables of a container.
#[derive(Debug, clap::Args)]
pub struct KeysContent {
    /// Pairs, separated by spaces: NAME=VALUE OTHER=VALUE
    #[arg(long, value_name = "PAIRS")]
    data: SecretString,
}

/// The hint for a secret that is empty.
const EMPTY: &str =
    "check that the shell variable is set; to store an empty secret, use a manifest";

/// The secret part of credentials to pull images.
fn given<'a>(option: &str, secret: &'a SecretString) -> Result<&'a str> {
    let text = secret.expose_secret();
    match text.trim().is_empty() {
        true => Err(Error::usage(format!("{option} is empty")).hint(EMPTY)),
        false => Ok(text),
    }
}

/// A user and a password to pull images.
#[derive(Debug, clap::Args)]
pub struct DockerContent {
    /// The registry's host, such as index.docker.io
    #[arg(long, value_name = "HOST")]
    server: String,
    /// The user
    #[arg(long, value_name = "USER")]
    username: String,
    /// The password
    #[arg(long, value_name = "PASSWORD")]
    password: SecretString,
    /// The user's mail address
    #[arg(long, value_name = "ADDRESS", default_value = "none@example.com")]
    email: String,
}

/// The same for Azure Container Registry.
#[derive(Debug, clap::Args)]
pub struct AcrContent {
    /// The registry's host, such as myregistry.azurecr.io
    #[arg(long, value_name = "HOST")]
    server: String,
    /// The id of the service principal
    #[arg(long, value_name = "USER")]
    username: String,
    /// The secret of the service principal
    #[arg(long, value_name = "PASSWORD")]
    password: SecretString,
}

/// The same for Google Artifact Registry.
#[derive(Debug, clap::Args)]
pub struct GarContent {
    /// The registry's host, such as us-west1-docker.pkg.dev
    #[arg(long, value_name = "HOST")]
    server: String,
    /// The JSON key of a service account
    #[arg(long, value_name = "JSON")]
    json_key: SecretString,
}

impl Content for KeysContent {
    const SECRET: &'static str = "--data";

    fn document(&self) -> Result<Value> {
        let mut data = serde_json::Map::new();
        for (position, pair) in self.data.expose_secret().split_whitespace().enumerate() {
            // The text itself may be a secret, so it is not repeated.
            let (name, value) = pair.split_once('=').ok_or_else(|| {
                Error::usage(format!("pair {} of --data has no `=`", position + 1))
                    .hint("write NAME=VALUE OTHER=VALUE; a value cannot contain a space")
            })?;
            let refuse =
                |what: &str| Error::usage(format!("pair {} of --data {what}", position + 1));
            if name.is_empty() {
                return Err(refuse("has no name").hint("write NAME=VALUE OTHER=VALUE"));
            }
            if value.is_empty() {
                return Err(refuse("has no value").hint(EMPTY));
            }
            if data.insert(name.to_owned(), value.into()).is_some() {
                return Err(refuse("has the name of an earlier one").hint("give each name once"));
            }
        }
        if data.is_empty() {
            return Err(Error::usage("--data has no pairs").hint(EMPTY));
        }
        Ok(json!({"type": "keys", "data": data}))
    }
}

impl Content for DockerContent {
    const SECRET: &'static str = "--password";

    fn document(&self) -> Result<Value> {
        Ok(json!({
            "type": "docker",
            "server": self.server,
            "username": self.username,
            "password": given(Self::SECRET, &self.password)?,
            "email": self.email,
        }))
    }
}

impl Content for AcrContent {
    const SECRET: &'static str = "--password";

    fn document(&self) -> Result<Value> {
        Ok(json!({
            "type": "acr",
            "server": self.server,
            "username": self.username,
            "password": given(Self::SECRET, &self.password)?,
        }))
    }
}

impl Content for GarContent {
    const SECRET: &'static str = "--json-key";

    fn document(&self) -> Result<Value> {
        Ok(json!({
            "type": "gar",
            "server": self.server,
            "json_key": given(Self::SECRET, &self.json_key)?,
        }))
    }
}

/// Creates or replaces a secret.
///
/// # Errors
///
/// What the platform refuses; invalid options.
pub async fn write<T: Content>(command: WriteCommand<T>) -> Result<ExitCode> {
    let (id, name, content, declare, platform) = match command {
        WriteCommand::Create(args) => (None, args.name, args.content, args.declare, args.platform),
        WriteCommand::Update(args) => {
            (Some(args.secret_id), args.name, args.content, args.declare, args.platform)
        }
    };
    let mut document = content.document()?;
    warn_of_secret(
        T::SECRET,
        "use a manifest instead, which reads the secret from where it is kept",
    );
    // The kind knows what its types mean on the wire.
    document["version"] = "v1".into();
    document["kind"] = "Secret".into();
    document["metadata"] = json!({"name": name});
    let declared = KindName::Secret.kind().declare(&document);
    let fields = declared
        .map_err(|faults| {
            let messages: Vec<_> = faults.into_iter().map(|fault| fault.message).collect();
            Error::usage(messages.join("; "))
        })?
        .into_iter()
        .next()
        .map(|declared| declared.fields)
        .unwrap_or_else(|| crate::kinds::tree::Tree::map([]));
    platform
        .with(async |connection| {
            let project = connection.project_id().await?;
            let shortcut = match &id {
                None => Shortcut::create_of(KindName::Secret, project, &name, fields),
                Some(id) => Shortcut::replace(KindName::Secret, project, &name, fields).of_id(id),
            };
            if let Some(written) = shortcut.run(connection, &declare).await? {
                let id = id.or(written.id).unwrap_or_default();
                output::value(&id);
            }
            Ok(ExitCode::SUCCESS)
        })
        .await
}

/// Lists the secrets with the names in them, never with their values.
///
/// # Errors
/// Errors of the platform.
pub async fn list(args: AllArgs) -> Result<ExitCode> {
    args.platform
        .with(async |connection| {
            let secrets = listed(connection, KindName::Secret, None).await?;
            let row = |secret: &Value| {
                let field = |name: &str| secret.get(name).cloned().unwrap_or_default();
                let data = secret.get("data").and_then(Value::as_object);
                let names: Vec<&String> = match secret.get("type").and_then(Value::as_str) {
                    Some("keys") => data.into_iter().flat_map(|data| data.keys()).collect(),
                    _ => Vec::new(),
                };
                json!({
                    "id": field("id"),
                    "type": field("type"),
                    "name": field("name"),
                    "data_keys": names,
                })
            };
            let listed = Listed {
                envelope: Some("secrets"),
                columns: &["id", "type", "name", "data_keys"],
                name: "id",
                none: "there are no secrets",
            };
            args.show.print(listed, secrets.iter().map(row).collect())
        })
        .await
}

/// Deletes a secret.
///
/// # Errors
///
/// What the platform refuses.
pub async fn remove(args: DeleteArgs) -> Result<ExitCode> {
    delete(&args, |project| Shortcut::delete(KindName::Secret, project, "").of_id(&args.id)).await
}
