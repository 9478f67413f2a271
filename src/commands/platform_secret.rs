//! `secret list`, `secret delete`, and the commands that create and change secrets on a platform.
//! Where secrets belong to service accounts, one has one value, so each pair becomes one.

use std::collections::BTreeMap;
use std::process::ExitCode;

use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use super::of_account::{Account, AccountArgs, Wrong, wrong_holder};
use super::option_values::warn_of_secret;
use super::shortcut::{DeclareArgs, DeleteArgs, Shortcut, listed, look_up};
use super::show::{AllArgs, Listed};
use crate::connection::Connection;
use crate::dialect::Speaks;
use crate::error::{Error, Result};
use crate::kinds::account_secret::called;
use crate::kinds::tree::Tree;
use crate::kinds::{Key, KindName};
use crate::manifest::of_accounts;
use crate::output;
use crate::plan::Observed;
use crate::settings::PlatformArgs;
use crate::visible;

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
    account: AccountArgs,
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
    account: AccountArgs,
    #[command(flatten)]
    declare: DeclareArgs,
    #[command(flatten)]
    platform: PlatformArgs,
}

/// Arguments of `secret list`.
#[derive(Debug, clap::Args)]
pub struct SecretListArgs {
    #[command(flatten)]
    account: AccountArgs,
    #[command(flatten)]
    all: AllArgs,
}

/// Arguments of `secret delete`.
#[derive(Debug, clap::Args)]
#[command(mut_arg("id", |id| id.value_name("SECRET_ID").help("The secret's id")))]
pub struct RemoveArgs {
    #[command(flatten)]
    account: AccountArgs,
    #[command(flatten)]
    delete: DeleteArgs,
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
    let (id, name, content, of, declare, platform) = match command {
        WriteCommand::Create(it) => {
            (None, it.name, it.content, it.account, it.declare, it.platform)
        }
        WriteCommand::Update(it) => {
            (Some(it.secret_id), it.name, it.content, it.account, it.declare, it.platform)
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
        .unwrap_or_else(|| Tree::map([]));
    platform
        .with(async |connection| {
            let project = connection.project_id().await?;
            if let Some(account) = of.find(connection).await? {
                let written = Written { account, name, fields, id };
                return written.write(connection, &declare).await;
            }
            require_of_project(connection)?;
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

/// Refuses what is about secrets of projects, where projects have none.
fn require_of_project(connection: &Connection) -> Result<()> {
    let client = &connection.client;
    match client.spelling(KindName::Secret).unspoken() {
        None => Ok(()),
        Some(_) => Err(wrong_holder(client.spoken(), Wrong::OfProject("secrets", "they"))),
    }
}

/// A secret that is written to a service account.
struct Written {
    account: Account,
    name: String,
    /// The fields that it would have in a project.
    fields: Tree,
    /// The id of the secret that gets a new value.
    id: Option<String>,
}

impl Written {
    /// Writes each of the secrets that it becomes there, and prints their ids.
    async fn write(&self, connection: &Connection, declare: &DeclareArgs) -> Result<ExitCode> {
        let project = connection.project_id().await?;
        let Account { id: account_id, name: account } = &self.account;
        let parts = of_accounts::parts(account, &self.fields);
        if self.id.is_some() && parts.len() != 1 {
            let told = "a secret of a service account has one value, and several are given";
            return Err(Error::usage(told).hint("give one pair for each secret"));
        }
        if self.id.is_none() {
            self.refuse_second(connection, &parts).await?;
        }
        let of = Key::of(KindName::ServiceAccount, project, account);
        for (index, (pair, fields)) in parts.into_iter().enumerate() {
            if index > 0 && declare.is_only_declared() {
                output::exactly("---\n");
            }
            // Under an id, the name is what the secret is called itself.
            let name = match &self.id {
                Some(_) => self.name.clone(),
                None => of_accounts::name_of(&self.name, pair.as_deref()),
            };
            let name = called(account, &name);
            let kind = KindName::AccountSecret;
            let shortcut = match &self.id {
                None => Shortcut::create_of(kind, project, &name, fields),
                Some(id) => {
                    let (found, observed) = of_id(connection, &self.account, id).await?;
                    if found != name {
                        let (found, id) = (visible::line(&found), visible::line(id));
                        let told =
                            format!("the secret {id} is called `{found}`, and keeps its name");
                        return Err(Error::usage(told).hint(
                            "give that name, without the account, or create another secret",
                        ));
                    }
                    Shortcut::replace(kind, project, &name, fields).of_id(id).of(observed)
                }
            };
            let ids = BTreeMap::from([(of.clone(), account_id.clone())]);
            if let Some(written) = shortcut.referring_to(ids).run(connection, declare).await? {
                output::value(&self.id.clone().or(written.id).unwrap_or_default());
            }
        }
        Ok(ExitCode::SUCCESS)
    }

    /// Refuses names that the account has already: the platform would make a second secret, and
    /// nobody could tell which one is meant.
    async fn refuse_second(
        &self,
        connection: &Connection,
        parts: &[(Option<String>, Tree)],
    ) -> Result<()> {
        let names: Vec<String> = parts
            .iter()
            .map(|(pair, _)| of_accounts::name_of(&self.name, pair.as_deref()))
            .collect();
        for secret in of_account(connection, &self.account).await? {
            let text = |field: &str| secret.get(field).and_then(Value::as_str).unwrap_or_default();
            let (name, id) = (text("name"), visible::line(text("id")));
            if !names.iter().any(|it| it == name) {
                continue;
            }
            let key = visible::line(&called(&self.account.name, name)).into_owned();
            let told = format!("AccountSecret/{key} already exists");
            return Err(Error::failed(told).hint(format!(
                "give it a new value with `secret ... update --secret-id {id}`, or choose another name"
            )));
        }
        Ok(())
    }
}

/// Lists the secrets with the names in them, never with their values.
///
/// # Errors
/// Errors of the platform.
pub async fn list(SecretListArgs { account, all }: SecretListArgs) -> Result<ExitCode> {
    all.platform
        .with(async |connection| {
            let account = account.find(connection).await?;
            let secrets = match &account {
                None => {
                    require_of_project(connection)?;
                    listed(connection, KindName::Secret, None).await?
                }
                Some(account) => of_account(connection, account).await?,
            };
            let row = |secret: &Value| {
                let field = |name: &str| secret.get(name).cloned().unwrap_or_default();
                let mut row = json!({
                    "id": field("id"),
                    "type": field("type"),
                    "name": field("name"),
                });
                if account.is_none() {
                    let data = secret.get("data").and_then(Value::as_object);
                    let names: Vec<&String> = match secret.get("type").and_then(Value::as_str) {
                        Some("keys") => data.into_iter().flat_map(|data| data.keys()).collect(),
                        _ => Vec::new(),
                    };
                    row["data_keys"] = json!(names);
                }
                row
            };
            let columns = ["id", "type", "name", "data_keys"];
            let listed = Listed {
                envelope: Some("secrets"),
                columns: if account.is_none() { &columns } else { &columns[..3] },
                name: "id",
                none: "there are no secrets",
            };
            all.show.print(listed, secrets.iter().map(row).collect())
        })
        .await
}

/// The secrets of a service account, without their values.
async fn of_account(connection: &Connection, account: &Account) -> Result<Vec<Value>> {
    let project = connection.project_id().await?;
    let reader = connection.client.reader();
    let listing = reader.spelling(KindName::AccountSecret).list(project, Some(&account.name));
    let told = || Error::failed("no URL path leads to the secrets of this account");
    Ok(reader.list(&listing.ok_or_else(told)?).await?)
}

/// The secret of a service account with an id, and its name.
async fn of_id(connection: &Connection, account: &Account, id: &str) -> Result<(String, Observed)> {
    let project = connection.project_id().await?;
    let key = Key::of(KindName::AccountSecret, project, &called(&account.name, ""));
    let found = look_up(connection, &key, Some(id)).await?;
    let missing = || Error::failed(format!("the account has no secret {}", visible::line(id)));
    found.ok_or_else(missing)
}

/// Deletes a secret.
///
/// # Errors
///
/// What the platform refuses.
pub async fn remove(args: RemoveArgs) -> Result<ExitCode> {
    let RemoveArgs { account, delete: DeleteArgs { id, write, platform } } = args;
    platform
        .with(async |connection| {
            let project = connection.project_id().await?;
            let shortcut = match account.find(connection).await? {
                None => {
                    require_of_project(connection)?;
                    Shortcut::delete(KindName::Secret, project, "").of_id(&id)
                }
                Some(account) => {
                    let (name, observed) = of_id(connection, &account, &id).await?;
                    Shortcut::delete(KindName::AccountSecret, project, &name).of(observed)
                }
            };
            if shortcut.run(connection, &write).await?.is_some() {
                output::note(&format!("deleted Secret/{}", visible::line(&id)));
            }
            Ok(ExitCode::SUCCESS)
        })
        .await
}
