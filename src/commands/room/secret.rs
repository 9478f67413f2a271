//! `room secret`: the caller's secrets in a room, and secrets and tokens that other participants are
//! asked for.
//!
//! A value goes to standard output or into a file, because that is what is asked for, and nowhere
//! else.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use clap::ValueHint;
use secrecy::{ExposeSecret, SecretBox, SecretString};

use super::{InRoom, RoomArgs, refused, run_one};
use crate::bounded;
use crate::commands::option_values::warn_of_secret;
use crate::commands::show::{JsonListArgs, Listed};
use crate::commands::toggle::toggle;
use crate::conceal;
use crate::error::{Context, Error, Result};
use crate::output::{self, Destination};
use crate::room::client::Room;
use crate::room::codes;
use crate::room::operation::{Operation, Secret};
use crate::room::secrets::{
    Delete, Get, Held, List, OAuthClient, Request, RequestToken, Secrets, Set, Token,
};

/// What stands for standard input, and for standard output.
const STREAM: &str = "-";

/// How large a value may be that is looked for in what a room says, in bytes.
const CONCEALED: usize = 8 * 1024;

/// How long a participant may take to sign in, in seconds.
const SIGNING_IN: u32 = 300;

/// Commands of `room secret`.
#[derive(Debug, clap::Subcommand)]
pub enum RoomSecretCommand {
    /// Ask a participant to sign in, and print the token
    Oauth(OauthArgs),
    /// Ask a participant for a secret, and print it
    // The reference has another --timeout here than that of requests.
    #[command(mut_arg("timeout", |it| it.long("request-timeout")))]
    Request(RequestArgs),
    /// Print a secret, or write it into a file
    Get(GetArgs),
    /// Store a secret, or replace one
    Set(SetArgs),
    /// List your secrets in the room, without their values
    List(SecretListArgs),
    /// Delete one of your secrets
    Delete(DeleteArgs),
}

/// Arguments of `room secret oauth`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "A token that the room has already is printed without asking anybody. The exit code is 1 if there\nis none.\n\nExample:\n  meshagent room secret oauth --room lobby --from-participant-id ID --client-id app \\\n    --authorization-endpoint https://accounts.example.com/authorize \\\n    --token-endpoint https://accounts.example.com/token --redirect-uri https://app.example.com/back"
)]
pub struct OauthArgs {
    /// The participant that signs in; `room messaging list` shows ids
    #[arg(long, value_name = "ID")]
    from_participant_id: String,
    /// The id of the program for which the token is
    #[arg(long, value_name = "ID")]
    client_id: String,
    /// Where people sign in
    #[arg(long, value_name = "URL")]
    authorization_endpoint: String,
    /// Where the room gets the token
    #[arg(long, value_name = "URL")]
    token_endpoint: String,
    /// What the token is for, with commas between
    #[arg(long, value_name = "SCOPES")]
    scopes: Option<String>,
    /// The secret of the program, if it has one; `-` reads it from standard input
    #[arg(long, value_name = "SECRET")]
    client_secret: Option<SecretString>,
    /// Where the sign-in leads to
    #[arg(long, value_name = "URL")]
    redirect_uri: String,
    #[command(flatten)]
    pkce: Pkce,
    #[command(flatten)]
    at: RoomArgs,
}

toggle!(
    /// Prove that whoever has the code has asked for it (PKCE), as is usual
    Pkce,
    pkce,
    "no-pkce"
);

/// Arguments of `room secret request`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "The room keeps the secret, and the next time prints it without asking anybody.\n\nExample:\n  meshagent room secret request --room lobby --from-participant-id ID --url https://example.com -o key"
)]
pub struct RequestArgs {
    /// The participant that is asked; `room messaging list` shows ids
    #[arg(long, value_name = "ID")]
    from_participant_id: String,
    /// What the secret is for
    #[arg(long, value_name = "URL")]
    url: String,
    /// Its media type, or what else it is
    #[arg(long = "type", value_name = "TYPE", default_value = "application/octet-stream")]
    kind: String,
    /// Keep it for the participant of this name
    #[arg(long, value_name = "NAME")]
    delegate_to: Option<String>,
    /// How many seconds to wait for the participant
    #[arg(
        long = "timeout",
        value_name = "SECONDS",
        default_value_t = 300,
        value_parser = clap::value_parser!(u32).range(1..)
    )]
    patience: u32,
    #[command(flatten)]
    out: OutArgs,
    #[command(flatten)]
    at: RoomArgs,
}

/// Where a secret goes.
#[derive(Debug, clap::Args)]
pub struct OutArgs {
    /// The file to write it into, which only you can read; `-` is standard output
    #[arg(short, long, value_name = "FILE", default_value = STREAM, value_hint = ValueHint::AnyPath)]
    out: PathBuf,
}

/// Arguments of `room secret get`.
#[derive(Debug, clap::Args)]
#[command(after_help = "The exit code is 1 if there is no such secret.")]
pub struct GetArgs {
    /// The secret's id
    #[arg(long, value_name = "ID", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    id: String,
    /// The participant to whom it is delegated, by name; your own name finds what others delegated
    /// to you
    #[arg(long, value_name = "NAME")]
    delegated_to: Option<String>,
    #[command(flatten)]
    out: OutArgs,
    #[command(flatten)]
    at: RoomArgs,
}

/// Arguments of `room secret set`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  meshagent room secret set --room lobby --id openai --in key.txt\n  pass show openai | meshagent room secret set --room lobby --id openai --in -",
    group(clap::ArgGroup::new("value").required(true))
)]
pub struct SetArgs {
    /// The secret's id; the secret that has it is replaced
    #[arg(long, value_name = "ID", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    id: String,
    /// Its media type, or what else it is
    #[arg(long = "type", value_name = "TYPE")]
    kind: Option<String>,
    /// Its name [default: its id]
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Delegate it to the participant of this name
    #[arg(long, value_name = "NAME")]
    delegated_to: Option<String>,
    /// Store it for the participant of this name, which needs the grant admin
    #[arg(long, value_name = "NAME")]
    for_identity: Option<String>,
    /// A file with the value; `-` is standard input
    #[arg(short, long = "in", value_name = "FILE", group = "value", value_hint = ValueHint::AnyPath)]
    input: Option<PathBuf>,
    /// The value as text
    #[arg(long, value_name = "TEXT", group = "value")]
    text: Option<SecretString>,
    /// The value in base64
    #[arg(long, value_name = "TEXT", group = "value")]
    base64: Option<SecretString>,
    #[command(flatten)]
    at: RoomArgs,
}

/// Arguments of `room secret list`.
#[derive(Debug, clap::Args)]
pub struct SecretListArgs {
    #[command(flatten)]
    show: JsonListArgs,
    #[command(flatten)]
    at: RoomArgs,
}

/// Arguments of `room secret delete`.
#[derive(Debug, clap::Args)]
pub struct DeleteArgs {
    /// The secret's id; `room secret list` shows it
    #[arg(value_name = "ID", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    id: String,
    /// The participant to whom it is delegated, by name
    #[arg(long, value_name = "NAME")]
    delegated_to: Option<String>,
    #[command(flatten)]
    at: RoomArgs,
}

impl InRoom for SetArgs {
    type Asked = Set;

    fn at(&self) -> &RoomArgs {
        &self.at
    }

    fn asked(&self) -> Result<Set> {
        let data = self.value()?;
        let text = std::str::from_utf8(data.expose_secret()).ok();
        // What is longer is not repeated by any room.
        if let Some(text) = text.filter(|text| text.len() <= CONCEALED) {
            conceal::credential(&SecretString::from(text));
        }
        Ok(Set {
            secret_id: Some(self.id.clone()),
            kind: self.kind.clone(),
            name: self.name.clone(),
            delegated_to: self.delegated_to.clone(),
            for_identity: self.for_identity.clone(),
            has_data: Some(true),
            data,
        })
    }

    fn show(&self, (): ()) -> Result<ExitCode> {
        output::note(&format!("stored the secret {}", self.id));
        Ok(ExitCode::SUCCESS)
    }
}

impl SetArgs {
    /// The value, byte for byte.
    fn value(&self) -> Result<Secret> {
        let instead = "give it in a file with --in, or on standard input with `--in -`";
        let bytes = match (&self.input, &self.text, &self.base64) {
            (Some(path), ..) => return read(path),
            (None, Some(text), _) => {
                warn_of_secret("--text", instead);
                text.expose_secret().as_bytes().to_vec()
            }
            (None, None, Some(text)) => {
                warn_of_secret("--base64", instead);
                // Its parts are not told: they are the secret.
                let decoded = STANDARD.decode(text.expose_secret());
                decoded.map_err(|_| Error::usage("--base64 is not base64"))?
            }
            (None, None, None) => return Err(Error::usage("there is no value").hint(instead)),
        };
        Ok(SecretBox::new(Box::new(bytes)))
    }
}

/// Reads a file or standard input, byte for byte.
fn read(path: &Path) -> Result<Secret> {
    let bytes = match path == Path::new(STREAM) {
        true => {
            if std::io::stdin().is_terminal() {
                output::note("reading the value from the terminal; press Ctrl-D to end it");
            }
            bounded::stdin(bounded::STANDARD)
                .context(|| "failed to read standard input".to_owned())?
        }
        false => bounded::bytes(path, bounded::STANDARD)
            .context(|| format!("failed to read {}", path.display()))?,
    };
    Ok(SecretBox::new(Box::new(bytes)))
}

impl InRoom for SecretListArgs {
    type Asked = List;

    fn at(&self) -> &RoomArgs {
        &self.at
    }

    fn asked(&self) -> Result<List> {
        Ok(List {})
    }

    fn show(&self, Secrets { secrets }: Secrets) -> Result<ExitCode> {
        let listed = Listed {
            envelope: None,
            columns: &["id", "type", "name", "delegated_to"],
            name: "id",
            none: "you have no secrets in the room",
        };
        let rows = secrets.iter().map(serde_json::to_value).collect::<Result<Vec<_>, _>>();
        self.show.print(listed, rows.map_err(|error| Error::failed(error.to_string()))?)
    }
}

/// Asks the room for something, with a way out if that is not found.
async fn ask<O: Operation>(room: &Room, asked: &O, way_out: &str) -> Result<O::Answer> {
    let done = room.perform(asked).await;
    done.map_err(|why| {
        let error = refused(room, &O::AT.to_string(), &why);
        match why.code == Some(codes::NOT_FOUND) {
            true => error.hint(way_out),
            false => error,
        }
    })
}

/// Where ids of participants are shown.
const PARTICIPANTS: &str = "`meshagent room list` shows who is in the room, and `meshagent room messaging list` who takes part in messaging";

async fn delete(args: &DeleteArgs) -> Result<ExitCode> {
    let asked = Delete { id: args.id.clone(), delegated_to: args.delegated_to.clone() };
    let way_out = "`meshagent room secret list` lists yours; if it is delegated, name the participant with --delegated-to";
    args.at.with(async |room: &Room| ask(room, &asked, way_out).await).await?;
    output::note(&format!("deleted the secret {}", args.id));
    Ok(ExitCode::SUCCESS)
}

impl OutArgs {
    /// Writes a secret where it is to go.
    async fn write(&self, secret: &Held) -> Result<ExitCode> {
        let bytes = secret.data.expose_secret();
        if self.out == Path::new(STREAM) {
            match std::io::stdout().is_terminal() {
                // Nothing in it is obeyed.
                true => output::credential(&String::from_utf8_lossy(bytes)),
                false => output::raw(bytes),
            }
            output::check()?;
            return Ok(ExitCode::SUCCESS);
        }
        let failed = || format!("failed to write {}", self.out.display());
        let mut file = Destination::private(&self.out).await.context(failed)?;
        file.write(bytes).await.context(failed)?;
        file.finish().await.context(failed)?;
        output::note(&format!("wrote {} bytes to {}", bytes.len(), self.out.display()));
        Ok(ExitCode::SUCCESS)
    }
}

async fn get(args: &GetArgs) -> Result<ExitCode> {
    let asked = Get {
        secret_id: Some(args.id.clone()),
        kind: None,
        name: None,
        delegated_to: args.delegated_to.clone(),
    };
    let held = args.at.with(async |room: &Room| super::ask(room, &asked).await).await?;
    let held = held.ok_or_else(|| {
        Error::failed(format!("you have no secret {:?} in the room", args.id)).hint(
            "`meshagent room secret list` lists yours; if it is delegated, name the participant with --delegated-to",
        )
    })?;
    output::note(&format!("the secret {} is of type {}", held.name, held.mime_type));
    args.out.write(&held).await
}

async fn request(args: &RequestArgs) -> Result<ExitCode> {
    let asked = Request {
        url: args.url.clone(),
        kind: args.kind.clone(),
        participant_id: args.from_participant_id.clone(),
        timeout: Some(args.patience.into()),
        delegate_to: args.delegate_to.clone(),
    };
    let held = args
        .at
        .with(async |room: &Room| {
            output::note(&format!("asking the participant {}", args.from_participant_id));
            ask(room, &asked, PARTICIPANTS).await
        })
        .await?;
    args.out.write(&held).await
}

impl OauthArgs {
    /// The secret of the program.
    fn client_secret(&self) -> Result<Option<SecretString>> {
        let Some(given) = &self.client_secret else { return Ok(None) };
        let secret = match given.expose_secret() {
            STREAM => {
                let read = read(Path::new(STREAM))?;
                let text = std::str::from_utf8(read.expose_secret());
                let text = text.map_err(|_| Error::usage("standard input is not UTF-8"))?;
                SecretString::from(text.trim_end_matches(['\r', '\n']))
            }
            _ => {
                let instead = "use `-` to read it from standard input";
                warn_of_secret("--client-secret", instead);
                given.clone()
            }
        };
        conceal::credential(&secret);
        Ok(Some(secret))
    }
}

async fn oauth(args: &OauthArgs) -> Result<ExitCode> {
    let scopes = args.scopes.as_ref().map(|scopes| {
        let scopes = scopes.split(',').map(str::trim).filter(|scope| !scope.is_empty());
        scopes.map(str::to_owned).collect()
    });
    let client = OAuthClient {
        client_id: Some(args.client_id.clone()),
        client_secret: args.client_secret()?,
        authorization_endpoint: Some(args.authorization_endpoint.clone()),
        token_endpoint: Some(args.token_endpoint.clone()),
        no_pkce: Some(args.pkce.given() == Some(false)),
        scopes,
    };
    let asked = RequestToken {
        connector: None,
        oauth: Some(client),
        redirect_uri: args.redirect_uri.clone(),
        participant_id: args.from_participant_id.clone(),
        timeout: Some(SIGNING_IN.into()),
        delegate_to: None,
    };
    let Token { access_token } = args
        .at
        .with(async |room: &Room| {
            let whom = &args.from_participant_id;
            output::note(&format!("asking the participant {whom} to sign in"));
            ask(room, &asked, PARTICIPANTS).await
        })
        .await?;
    let token = access_token.ok_or_else(|| Error::failed("the room gave no token"))?;
    output::credential(&format!("{}\n", token.expose_secret()));
    Ok(ExitCode::SUCCESS)
}

/// Runs a command of `room secret`.
///
/// # Errors
///
/// As [`super::run`].
pub async fn run(command: RoomSecretCommand) -> Result<ExitCode> {
    match command {
        RoomSecretCommand::Oauth(args) => oauth(&args).await,
        RoomSecretCommand::Request(args) => request(&args).await,
        RoomSecretCommand::Get(args) => get(&args).await,
        RoomSecretCommand::Set(args) => run_one(&args).await,
        RoomSecretCommand::List(args) => run_one(&args).await,
        RoomSecretCommand::Delete(args) => delete(&args).await,
    }
}
