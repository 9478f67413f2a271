//! `secret`: the secrets on a platform, and the encryption of secrets in manifests, which needs no
//! platform.

use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use secrecy::{ExposeSecret, SecretSlice};

use super::platform_secret::{
    self, AcrContent, DockerContent, GarContent, KeysContent, RemoveArgs, SecretListArgs,
    WriteCommand,
};
use super::wait;
use crate::bounded;
use crate::error::{Class, Context, Error, Result};
use crate::manifest::age::{self, Failure, Identities};
use crate::output;
use crate::own_folder;
use crate::whole_file::Draft;

/// Commands of `secret`.
#[derive(Debug, clap::Subcommand)]
pub enum SecretCommand {
    /// List the project's secrets, without their values
    List(SecretListArgs),
    /// Delete a secret of the project
    Delete(RemoveArgs),
    /// Create or replace key-value pairs that become environment variables
    #[command(subcommand, visible_alias = "keys")]
    Key(WriteCommand<KeysContent>),
    /// Create or replace credentials to pull images from any registry
    #[command(subcommand)]
    Docker(WriteCommand<DockerContent>),
    /// Create or replace credentials to pull images from Azure Container Registry
    #[command(subcommand)]
    Acr(WriteCommand<AcrContent>),
    /// Create or replace credentials to pull images from Google Artifact Registry
    #[command(subcommand)]
    Gar(WriteCommand<GarContent>),
    /// Encrypt a value with age, to keep it in a manifest or beside it
    Encrypt(EncryptArgs),
    /// Print a value that was encrypted with age
    Decrypt(DecryptArgs),
    /// Create an age identity, and print its recipient
    Keygen(KeygenArgs),
}

/// Arguments of `secret encrypt`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "The value is read from a file or from standard input, never from an argument, which other\n\
processes and the shell's history could see. Without recipients it is encrypted to your own identities.\n\n\
Examples:\n  meshagent secret encrypt token.txt > token.age\n  pass show openai | meshagent secret encrypt --yaml OPENAI_API_KEY --recipients-file team.txt"
)]
pub struct EncryptArgs {
    /// Who can decrypt it: an X25519 key, age1...; may be repeated
    #[arg(short, long = "recipient", value_name = "KEY")]
    recipients: Vec<String>,
    /// A file of such keys, one per line; may be repeated
    #[arg(short = 'R', long = "recipients-file", value_name = "FILE")]
    recipients_files: Vec<PathBuf>,
    /// Print it as a field of this name, ready to paste into a manifest
    #[arg(long, value_name = "NAME")]
    yaml: Option<String>,
    /// The file to encrypt, or - for standard input
    #[arg(value_name = "FILE", default_value = "-")]
    file: PathBuf,
}

/// Arguments of `secret decrypt`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "The identities are those in MESHAGENT_AGE_KEY, else in the file that MESHAGENT_AGE_KEY_FILE\n\
names, else in ~/.meshagent/age.txt.\n\n\
Examples:\n  meshagent secret decrypt token.age | pbcopy\n  meshagent secret decrypt token.age --show"
)]
pub struct DecryptArgs {
    /// Print the value even where people can see it, on a terminal
    #[arg(long)]
    show: bool,
    /// The file to decrypt, or - for standard input
    #[arg(value_name = "FILE", default_value = "-")]
    file: PathBuf,
}

/// Arguments of `secret keygen`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  meshagent secret keygen\n  meshagent secret keygen -o ci.key")]
pub struct KeygenArgs {
    /// Where to write the identity [default: ~/.meshagent/age.txt]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// Runs a command of `secret`.
///
/// # Errors
///
/// What cannot be read, encrypted, decrypted or written.
pub fn run(command: SecretCommand) -> Result<ExitCode> {
    match command {
        SecretCommand::List(args) => return wait(platform_secret::list(args)),
        SecretCommand::Delete(args) => return wait(platform_secret::remove(args)),
        SecretCommand::Key(command) => return wait(platform_secret::write(command)),
        SecretCommand::Docker(command) => return wait(platform_secret::write(command)),
        SecretCommand::Acr(command) => return wait(platform_secret::write(command)),
        SecretCommand::Gar(command) => return wait(platform_secret::write(command)),
        SecretCommand::Encrypt(args) => encrypt(&args)?,
        SecretCommand::Decrypt(args) => decrypt(&args)?,
        SecretCommand::Keygen(args) => keygen(args.output)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn encrypt(args: &EncryptArgs) -> Result<()> {
    let mut recipients = Vec::new();
    for text in &args.recipients {
        recipients.push(age::recipient(text).map_err(usage)?);
    }
    for path in &args.recipients_files {
        let text = bounded::text(path, bounded::STANDARD)
            .context(|| format!("failed to read {}", path.display()))?;
        let found = age::recipients(&text).map_err(|failure| Failure {
            message: format!("{}: {}", path.display(), failure.message),
            ..failure
        });
        recipients.extend(found.map_err(usage)?);
    }
    if recipients.is_empty() {
        let identities = Identities::load().map_err(|failure| {
            usage(match failure.is_missing {
                true => Failure::missing(
                    failure.message.replace("identity to decrypt with", "recipient"),
                    "give --recipient, or create an identity with `meshagent secret keygen`",
                ),
                // One that is there and cannot be used is to be mended.
                false => failure,
            })
        })?;
        recipients = identities.recipients();
    }
    let plain = read(&args.file)?;
    if plain.expose_secret().is_empty() {
        return Err(Error::usage("there is nothing to encrypt"));
    }
    let armored = age::encrypt(plain.expose_secret(), &recipients).map_err(usage)?;
    output::exactly(&match &args.yaml {
        Some(name) => field(name, &armored),
        None => armored,
    });
    Ok(())
}

/// The armored text as a field of a manifest, as a block of text.
fn field(name: &str, armored: &str) -> String {
    let lines: String = armored.lines().map(|line| format!("      {line}\n")).collect();
    let name = crate::visible::yaml(&name.into());
    format!("{}:\n  from:\n    age: |\n{lines}", name.trim_end())
}

fn decrypt(args: &DecryptArgs) -> Result<()> {
    if std::io::stdout().is_terminal() && !args.show {
        return Err(Error::usage("the value would be shown on this terminal")
            .hint("send it to a file or a program, or add --show"));
    }
    let identities = Identities::load().map_err(usage)?;
    let encrypted = read(&args.file)?;
    let plain = age::decrypt(encrypted.expose_secret(), &identities).map_err(usage)?;
    output::raw(plain.expose_secret());
    output::check()
}

/// Writes an identity that only its owner can read, and never overwrites one: what was encrypted to
/// it could no longer be read.
fn keygen(file: Option<PathBuf>) -> Result<()> {
    let path = match file.or_else(age::default_file) {
        Some(path) => path,
        None => return Err(Error::usage("the home folder is not known").hint("give -o FILE")),
    };
    let folder =
        path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let failed = || format!("failed to write {}", path.display());
    own_folder::create(folder).context(failed)?;
    let (identity, recipient) = age::generate();
    let draft = Draft::of(&path).context(failed)?;
    draft.file().write_all(identity.expose_secret().as_bytes()).context(failed)?;
    draft.create(&path).map_err(|error| {
        if error.kind() == std::io::ErrorKind::AlreadyExists {
            Error::new(
                Class::Refused,
                format!("{} already exists and was not changed", path.display()),
            )
            .hint(
                "without this identity, values encrypted to it are lost; give another file with -o",
            )
        } else {
            Error::failed(failed()).because(error)
        }
    })?;
    output::note(&format!("wrote {}; keep it, and keep it out of Git", path.display()));
    output::data(&format!("{recipient}\n"));
    Ok(())
}

fn usage(failure: Failure) -> Error {
    let error = Error::usage(failure.message);
    match failure.hint {
        Some(hint) => error.hint(hint),
        None => error,
    }
}

/// Reads a file or standard input, byte for byte.
fn read(path: &Path) -> Result<SecretSlice<u8>> {
    if path.as_os_str() == "-" {
        if std::io::stdin().is_terminal() {
            output::note(
                "reading the value from the terminal; press Ctrl-D on an empty line to end it",
            );
        }
        let bytes = bounded::stdin(bounded::STANDARD)
            .context(|| "failed to read standard input".to_owned())?;
        return Ok(SecretSlice::from(bytes));
    }
    bounded::bytes(path, bounded::STANDARD)
        .map(SecretSlice::from)
        .context(|| format!("failed to read {}", path.display()))
}
