//! `meshagent server`: the embedded platform on an address of this machine.

pub(super) mod containers;
mod mail;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use secrecy::{ExposeSecret, SecretString};

use self::containers::ContainersArgs;
use self::mail::MailArgs;
use super::option_values;
use super::signals::{STOP, Signals};
use crate::api::key::ApiKey;
use crate::bounded;
use crate::conceal;
use crate::connection;
use crate::error::{Context, Error, Result};
use crate::output;
use crate::platform::{self, Bootstrap, Known, Limits, Place, Platform, Rotation, Serves};
use crate::serving::descriptors;
use crate::settings::variable;

/// Serves the platform's API from one folder, without an account or a network.
///
/// It stops on SIGTERM, SIGINT or SIGHUP, after it has answered the requests in progress. Secrets
/// in the folder are encrypted with the key in a key file: keep a copy of it apart from those of
/// the folder, since neither can be read without the other.
#[derive(Debug, clap::Args)]
pub struct ServerArgs {
    /// The address to listen on; port 0 picks a free one.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8787", value_parser = address)]
    pub listen: SocketAddr,

    /// The folder that holds the platform's data.
    #[arg(long, value_name = "DIR", default_value = ".meshagent/embedded")]
    pub data: PathBuf,

    /// The address to serve published ports of services on, by the domains of routes; port 0 picks a
    /// free one
    #[arg(long, value_name = "ADDRESS", value_parser = address)]
    #[arg(conflicts_with_all = ["key_for", "rotate_owner_key", "rotate_signing_keys", "rotate_key_file"])]
    pub publish: Option<SocketAddr>,

    /// Print the shell commands that point a client here, once it is ready.
    #[arg(long)]
    pub print_env: bool,

    /// Also accept requests on this machine for this host name, besides localhost; may be repeated
    #[arg(long, value_name = "NAME", value_parser = host_name)]
    pub allow_host: Vec<String>,

    /// The file with the key that encrypts secrets in the folder [env:
    /// MESHAGENT_PLATFORM_KEY_FILE] [default: platform.key in the folder]
    #[arg(long, value_name = "FILE")]
    pub key_file: Option<PathBuf>,

    /// The API that is served: 0.31, 0.56 or both, where each client gets the one that it speaks [env:
    /// MESHAGENT_PLATFORM_DIALECT] [default: both]
    #[arg(long, value_name = "RELEASE", hide_possible_values = true)]
    pub dialect: Option<Serves>,

    /// No page of a list has more objects than this, whatever is asked for
    #[arg(long, value_name = "N", value_parser = number, hide = true)]
    pub page_cap: Option<NonZeroUsize>,

    /// Create a key that acts for this member of a project, by id or address, print it and exit;
    /// the person signs in with it
    #[arg(long, value_name = "USER", conflicts_with = "listen")]
    pub key_for: Option<String>,

    /// With --print-env, also print the parts of the key: its id and its secret
    #[arg(long, requires = "print_env")]
    pub all: bool,

    /// What rooms may use.
    #[command(flatten)]
    pub rooms: RoomsArgs,

    /// What runs containers.
    #[command(flatten)]
    pub containers: ContainersArgs,

    /// Where mail arrives.
    #[command(flatten)]
    pub mail: MailArgs,

    /// Which keys to replace.
    #[command(flatten)]
    pub rotate: RotateArgs,
}

/// What rooms may use, and how their webhooks are signed.
#[derive(Debug, Default, clap::Args)]
#[command(next_help_heading = "Rooms")]
pub struct RoomsArgs {
    /// How many participants may be in all rooms together [default: half of the connections]
    #[arg(long, value_name = "N", value_parser = number)]
    pub max_participants: Option<NonZeroUsize>,

    /// How many rooms may run at once [default: 1000]
    #[arg(long, value_name = "N", value_parser = number)]
    pub max_rooms: Option<NonZeroUsize>,

    /// How large a message to a room may be, in MiB [default: 4]
    #[arg(long, value_name = "MIB", value_parser = clap::value_parser!(u16).range(1..=64))]
    pub max_message: Option<u16>,

    /// How much of large messages may be arriving in a room, in MiB [default: 16]
    #[arg(long, value_name = "MIB", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub max_arriving: Option<u16>,

    /// How many calls of a participant may run at once, with its streams [default: 256]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub max_calls: Option<u16>,

    /// The file with the secret that webhooks of rooms are signed with
    #[arg(long, value_name = "FILE", conflicts_with = "webhook_secret")]
    pub webhook_secret_file: Option<PathBuf>,

    /// The secret itself, which others on this machine can see [env: MESHAGENT_WEBHOOK_SECRET]
    #[arg(long, value_name = "SECRET")]
    pub webhook_secret: Option<SecretString>,
}

/// How many bytes a MiB has.
const MIB: usize = 1024 * 1024;

/// The longest secret that is read from a file, in bytes.
const SECRET: usize = 4096;

impl RoomsArgs {
    /// Applies them to limits.
    fn change(&self, limits: &mut Limits) {
        if let Some(most) = self.max_participants {
            limits.participants = most.get();
        }
        if let Some(most) = self.max_rooms {
            limits.rooms = most.get();
        }
        if let Some(most) = self.max_message {
            limits.message = usize::from(most) * MIB;
        }
        if let Some(most) = self.max_arriving {
            limits.arriving = usize::from(most) * MIB;
        }
        if let Some(most) = self.max_calls {
            limits.calls = usize::from(most);
        }
    }

    /// The secret of webhooks, if there is one.
    ///
    /// # Errors
    ///
    /// The file cannot be read; the secret is empty.
    fn webhook_secret(&self) -> Result<Option<SecretString>> {
        let Some(path) = &self.webhook_secret_file else {
            if let Some(secret) = &self.webhook_secret {
                // Usually an unset variable of the shell; anybody could forge such a signature.
                if secret.expose_secret().trim().is_empty() {
                    return Err(Error::usage("--webhook-secret is empty")
                        .hint("leave it out to send webhooks without a signature"));
                }
                let instead = "give it in a file with --webhook-secret-file";
                option_values::warn_of_secret("--webhook-secret", instead);
            }
            let given = std::env::var("MESHAGENT_WEBHOOK_SECRET").ok();
            if self.webhook_secret.is_none()
                && given.as_ref().is_some_and(|secret| secret.trim().is_empty())
            {
                return Err(Error::usage("MESHAGENT_WEBHOOK_SECRET is empty")
                    .hint("unset it to send webhooks without a signature"));
            }
            return Ok(self.webhook_secret.clone().or(given.map(SecretString::from)));
        };
        let failed = || format!("failed to read the secret of webhooks from {}", path.display());
        let text = bounded::text(path, SECRET).context(failed)?;
        match text.trim_end_matches(['\n', '\r']) {
            blank if blank.trim().is_empty() => {
                Err(Error::usage(format!("the file {} is empty", path.display())))
            }
            secret => Ok(Some(secret.into())),
        }
    }
}

/// An address with a port.
pub(super) fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| {
        let host = text.parse::<IpAddr>().unwrap_or_else(|_| Ipv4Addr::LOCALHOST.into());
        format!("write an address and a port, such as {}", SocketAddr::new(host, 8787))
    })
}

/// How many there may be.
fn number(text: &str) -> Result<NonZeroUsize, String> {
    text.parse().map_err(|_| "write a number from 1, such as 100".to_owned())
}

/// The name of a host, as it appears in a request; IP addresses are always allowed.
pub(super) fn host_name(text: &str) -> Result<String, String> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    match !text.is_empty() && text.chars().all(is_plain) {
        true => Ok(text.to_owned()),
        false => {
            Err("write a name alone, without a scheme, a port or `*`, such as platform.test"
                .to_owned())
        }
    }
}

/// Keys to replace. With any of these options the platform is not served: a server that runs from
/// the same folder continues, with the new keys.
#[derive(Debug, Default, clap::Args)]
pub struct RotateArgs {
    /// Replace the owner's key and exit; sessions and tokens from the old key end, too. --print-env
    /// prints the new key
    #[arg(long, conflicts_with = "listen", help_heading = "Replacing keys")]
    pub rotate_owner_key: bool,

    /// Also revoke all API keys of all projects: whoever had the owner's key may have created some
    #[arg(long, requires = "rotate_owner_key", help_heading = "Replacing keys")]
    pub end_api_keys: bool,

    /// Replace the keys that sign tokens for rooms and exit; those tokens end, too
    #[arg(long, conflicts_with = "listen", help_heading = "Replacing keys")]
    pub rotate_signing_keys: bool,

    /// Replace the key file and exit; everything is encrypted again
    #[arg(long, conflicts_with = "listen", help_heading = "Replacing keys")]
    pub rotate_key_file: bool,
}

impl RotateArgs {
    fn which(&self) -> Option<Rotation> {
        let which = Rotation {
            owner_key: self.rotate_owner_key,
            api_keys: self.end_api_keys,
            signing_keys: self.rotate_signing_keys,
            key_file: self.rotate_key_file,
        };
        (which != Rotation::default()).then_some(which)
    }
}

/// The variable that names the API.
const DIALECT: &str = "MESHAGENT_PLATFORM_DIALECT";

/// Which APIs are served: as an option says, or the environment.
fn serves(option: Option<Serves>) -> Result<Serves> {
    let Some(text) = variable(DIALECT).filter(|_| option.is_none()) else {
        return Ok(option.unwrap_or(Serves::Both));
    };
    Serves::from_str(&text, false).map_err(|_| {
        Error::usage(format!("{DIALECT} is {text:?}")).hint("write 0.31, 0.56 or both")
    })
}

async fn rotate(args: &ServerArgs, place: &Place, which: Rotation) -> Result<()> {
    let platform = Platform::replace_keys(place, which).await?;
    let replaced = [
        (which.owner_key, "the owner's key was replaced"),
        (which.api_keys, "all API keys were revoked"),
        (which.signing_keys, "the keys that sign tokens for rooms were replaced"),
        (which.key_file, "the key file was replaced, and everything was encrypted again"),
    ];
    for (_, told) in replaced.iter().filter(|(is_replaced, _)| *is_replaced) {
        output::note(told);
    }
    let bootstrap = platform.bootstrap();
    conceal::credential(&bootstrap.api_key);
    if which.owner_key && !which.api_keys {
        tell_keys(&platform.api_keys().await?);
    }
    platform.close().await;
    if args.print_env {
        print_env(&bootstrap, (None, None), args.all)?;
    }
    Ok(())
}

/// Reports which API keys stay valid: whoever had the owner's key may have created some of them.
fn tell_keys(keys: &[Known]) {
    if keys.is_empty() {
        return;
    }
    output::note(
        "these API keys stay valid, and so do users, roles and grants; --rotate-owner-key --end-api-keys revokes all keys:",
    );
    for key in keys {
        let Known { id, name, project, created_by, user_id } = key;
        let by = created_by.as_ref().map(|by| format!(", made by {by}")).unwrap_or_default();
        let of = user_id.as_ref().map(|user| format!(", for user {user}")).unwrap_or_default();
        output::note(&format!("  {id} {name:?} of project {project:?}{by}{of}"));
    }
}

/// Runs the server until it is told to stop.
///
/// # Errors
///
/// The data folder cannot be opened, the address cannot be listened on, or serving failed; keys
/// cannot be replaced.
pub async fn run(args: ServerArgs) -> Result<()> {
    output::never_wait();
    let place = connection::place(&args.data, args.key_file.clone());
    if let Some(which) = args.rotate.which() {
        return rotate(&args, &place, which).await;
    }
    if let Some(user) = &args.key_for {
        let key = Platform::key_for(&place, user).await?;
        output::set_only_copy();
        output::credential(&format!("{}\n", key.expose_secret()));
        output::note("keep the key: it is not shown again");
        return output::check();
    }
    let secret = args.rooms.webhook_secret()?;
    let serves = serves(args.dialect)?;
    let page_cap = args.page_cap.and_then(|most| i64::try_from(most.get()).ok());
    // Signals are caught from here on, so that one that arrives early also stops cleanly.
    let mut signals = Signals::listen(&STOP)?;
    let participants = args.rooms.max_participants.map_or(0, NonZeroUsize::get);
    descriptors::raise_for(participants.saturating_mul(2));
    let (listener, address) = connection::listen(args.listen, "--listen").await?;
    let (publishes, published_at) = match args.publish {
        Some(wanted) => Some(connection::listen(wanted, "--publish").await?).unzip(),
        None => (None, None),
    };
    if !place.has_database() {
        connection::refuse_foreign(&args.data, "--data DIR")?;
    }
    let (mail, mail_at) = args.mail.listen().await?.unzip();
    let platform = Platform::open(place).await?.known_as(args.allow_host).taking_mail(mail);
    let platform = platform
        .limiting(|limits| args.rooms.change(limits))?
        .running_containers(args.containers.settings())
        .signing_webhooks(secret)
        .serving(serves)
        .capping_pages(page_cap)
        .publishing(publishes)
        .keeping_rooms();
    conceal::credential(&platform.bootstrap().api_key);
    if let Some(few) = descriptors::told(platform.connections()) {
        output::warning(&few);
    }
    let fitting = platform.connections();
    if args.rooms.max_participants.is_some_and(|most| most.get().saturating_mul(2) > fitting) {
        output::warning(&format!(
            "the limit of open files (ulimit -n) allows {fitting} connections in all, participants among them"
        ));
    }
    warn(address, &args.data);
    output::note(&format!(
        "the platform is ready on http://{address}, with its data in {}",
        args.data.display()
    ));
    if let Some(address) = published_at {
        if !address.ip().is_loopback() {
            output::warning(&format!(
                "{address} can be reached by other machines, and serves published ports unencrypted"
            ));
        }
        output::note(&format!(
            "published ports are served on http://{address}, by the domains of routes"
        ));
    }
    if let Some(address) = mail_at {
        output::note(&format!("mail for mailboxes is taken on {address}"));
    }
    if args.print_env {
        print_env(&platform.bootstrap(), (Some(address), mail_at), args.all)?;
    }
    let stopped = async move {
        signals.received().await;
    };
    platform.serve(listener, stopped).await
}

/// Warns of an address that others reach, and of a folder whose rooms another process runs.
pub(super) fn warn(address: SocketAddr, data: &Path) {
    if !address.ip().is_loopback() {
        output::warning(&format!(
            "{address} can be reached by other machines, and keys travel unencrypted"
        ));
    }
    if let Some(url) = platform::holder_of_rooms(data) {
        output::warning(&format!(
            "another process runs the rooms of this folder: until it ends, they are entered at {url}"
        ));
    }
}

/// Prints the environment of a client, and nothing else; without addresses of what is not served.
fn print_env(
    bootstrap: &Bootstrap,
    addresses: (Option<SocketAddr>, Option<SocketAddr>),
    all: bool,
) -> Result<()> {
    output::credential(environment(bootstrap, addresses, all).expose_secret());
    output::check()
}

/// The environment of a client, as commands of a shell. Mail agents read where to send mail from
/// the last two.
pub(super) fn environment(
    bootstrap: &Bootstrap,
    (address, mail): (Option<SocketAddr>, Option<SocketAddr>),
    all: bool,
) -> SecretString {
    let mail = mail.map(platform::reachable);
    let (mail_host, mail_port) =
        mail.map(|it| (it.ip().to_string(), it.port().to_string())).unzip();
    let url = address.map(|address| format!("http://{}", platform::reachable(address)));
    let mut lines = String::new();
    // Programs that sign tokens themselves take the parts of the key.
    let parts = ApiKey::parse(bootstrap.api_key.expose_secret()).filter(|_| all);
    let id = parts.as_ref().map(|key| key.id.to_string());
    for (name, value) in [
        ("MESHAGENT_API_URL", url.as_deref()),
        ("MESHAGENT_API_KEY", Some(bootstrap.api_key.expose_secret())),
        ("MESHAGENT_PROJECT_ID", Some(bootstrap.project_id.as_str())),
        ("MESHAGENT_KEY_ID", id.as_deref()),
        ("MESHAGENT_SECRET", parts.as_ref().map(|key| key.secret.expose_secret())),
        ("SMTP_HOSTNAME", mail_host.as_deref()),
        ("SMTP_PORT", mail_port.as_deref()),
    ] {
        let Some(value) = value else { continue };
        lines += &format!("export {name}={}\n", quoted(value));
    }
    lines.into()
}

/// A text as one word of a POSIX shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_one_word_of_a_shell() {
        assert_eq!(quoted("ma-a-b"), "'ma-a-b'");
        assert_eq!(quoted("it's $HOME"), r"'it'\''s $HOME'");
    }
}
