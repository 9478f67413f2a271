//! `token`: participant tokens, signed here with an API key, without a platform.

use std::path::PathBuf;
use std::process::ExitCode;

use secrecy::{ExposeSecret, SecretString};

use super::option_values::warn_of_secret;
use super::own_inputs::{Written, written_file};
use crate::api::key::ApiKey;
use crate::api::token::{Signer, Token};
use crate::bounded;
use crate::error::{Context, Error, Result};
use crate::kinds::shape::Shape;
use crate::kinds::specs::token::TokenSpec;
use crate::manifest::yaml;
use crate::output;
use crate::settings::activated::Activated;
use crate::settings::{PlatformArgs, ProjectArgs, variable};
use crate::visible;

/// Commands of `token`.
#[derive(Debug, clap::Subcommand)]
pub enum TokenCommand {
    /// Sign a token that grants what a document says
    Generate(GenerateArgs),
}

/// The key that signs a token.
#[derive(Debug, Clone, clap::Args)]
pub struct KeyArgs {
    /// The API key that signs [default: the activated key of the project, else MESHAGENT_API_KEY]
    #[arg(long, value_name = "KEY")]
    pub key: Option<SecretString>,
}

/// Arguments of `token generate`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "A token does not expire: whoever holds it can use it until its key is deleted. It belongs to the\nproject of the key, whatever --project-id says; --project-id only selects an activated key."
)]
pub struct GenerateArgs {
    /// The document: kind ParticipantToken
    #[arg(short, long, value_name = "FILE")]
    input: PathBuf,
    /// The file to write the token to; only its owner can read it
    #[arg(short, long, value_name = "FILE", value_parser = written_file())]
    output: Option<PathBuf>,
    #[command(flatten)]
    key: KeyArgs,
    #[command(flatten)]
    project: ProjectArgs,
}

impl KeyArgs {
    /// The signer of a project's tokens, for the platform that the environment names.
    ///
    /// # Errors
    ///
    /// There is no key to sign with; the key is not an API key, or is another platform's.
    pub fn signer(&self, project: &str) -> Result<Signer> {
        let activated = || -> Result<Option<SecretString>> {
            let file = Activated::read()?;
            Ok(file.key_for(project, &PlatformArgs::default().url())?.cloned())
        };
        let key = match &self.key {
            Some(key) => {
                warn_of_secret("--key", "activate a key, or set MESHAGENT_API_KEY, instead");
                Some(key.clone())
            }
            None => {
                let named = variable("MESHAGENT_API_KEY").map(SecretString::from);
                match (activated(), named) {
                    (Ok(None), named) => named,
                    (Err(_), Some(named)) => Some(named),
                    (activated, _) => activated?,
                }
            }
        };
        if let Some(key) = key {
            return ApiKey::parse(key.expose_secret().trim())
                .map(Signer::Key)
                .ok_or_else(|| Error::failed("the key to sign with is not an API key (ma-...)"));
        }
        match variable("MESHAGENT_SECRET").filter(|_| variable("MESHAGENT_TOKEN").is_some()) {
            Some(secret) => Ok(Signer::Secret(SecretString::from(secret))),
            None => Err(Error::failed("there is no API key to sign with").hint(
                "give --key, set MESHAGENT_API_KEY, or create one: `meshagent api-key create --activate`",
            )),
        }
    }
}

/// Reads a document that says what a token grants.
///
/// # Errors
///
/// A file that cannot be read or holds anything else.
pub fn read(path: &std::path::Path) -> Result<TokenSpec> {
    let wrong = |message: String| Error::failed(format!("{}: {message}", path.display()));
    let text = bounded::text(path, bounded::STANDARD)
        .context(|| format!("failed to read {}", path.display()))?;
    let documents = yaml::parse(&text).map_err(|error| wrong(error.message))?;
    let [document] = documents.as_slice() else {
        return Err(wrong(format!("it has {} documents, not one", documents.len())));
    };
    let document = document.to_json();
    let scopes: Vec<String> =
        document["api"].as_object().into_iter().flatten().map(|(name, _)| name.clone()).collect();
    let spec: TokenSpec = serde_path_to_error::deserialize(document)
        .map_err(|error| wrong(format!("{}: {}", error.path(), error.inner())))?;
    let known = serde_json::to_value(&spec.api).unwrap_or_default();
    for scope in scopes.iter().filter(|scope| known.get(scope.as_str()).is_none()) {
        output::warning(&format!(
            "{}: api.{}: the token does not grant this, which this program does not know",
            path.display(),
            visible::line(scope)
        ));
    }
    Ok(spec)
}

/// Runs a command of `token`.
///
/// # Errors
///
/// As [`read`] and [`KeyArgs::signer`]; a file that cannot be written.
pub async fn run(command: TokenCommand) -> Result<ExitCode> {
    let TokenCommand::Generate(args) = command;
    let output = Written { option: "--output", path: args.output.as_deref() };
    output.keeps(std::slice::from_ref(&args.input), &[])?;
    let signer = args.key.signer(&args.project.project_id().await?)?;
    let spec = read(&args.input)?;
    let mut token = Token::new(&spec.identity);
    if let Some(role) = spec.role {
        token = token.grant("role", &format!("{role:?}").to_lowercase());
    }
    if let Some(room) = &spec.room {
        token = token.grant("room", room);
    }
    let signed = token.api(Shape::said(&spec.api)).sign(&signer);
    match &args.output {
        None => output::credential(&format!("{signed}\n")),
        Some(path) => output::write_credential(path, signed.as_bytes())?,
    }
    Ok(ExitCode::SUCCESS)
}
