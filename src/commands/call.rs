//! `call`: asks an agent, a tool, a toolkit or a schema to enter a room, with a webhook.

use std::net::IpAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use secrecy::SecretString;
use serde_json::{Value, json};

use super::option_values::{self, named_room};
use super::room::ask;
use super::toggle::toggle;
use super::token::{self, KeyArgs};
use crate::api::http;
use crate::api::post::Webhook;
use crate::api::token::Token;
use crate::error::{Class, Error, Result};
use crate::kinds::shape::Shape;
use crate::kinds::specs::scope::ApiScope;
use crate::output;
use crate::room::agents::CallAgent;
use crate::room::client::Room;
use crate::settings::{self, PlatformArgs, ProjectArgs, is_insecure, variable};
use crate::visible;

/// How long to wait for the answer to a webhook.
const PATIENCE: Duration = Duration::from_secs(300);

/// Commands of `call`: four words for one thing.
#[derive(Debug, clap::Subcommand)]
pub enum CallCommand {
    /// Let a tool, an agent, a toolkit or a schema enter a room
    #[command(name = "tool", visible_aliases = ["agent", "toolkit", "schema"])]
    Call(CallArgs),
}

/// Arguments of `call`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "The webhook is signed when MESHAGENT_WEBHOOK_SECRET is set. Without --permissions, the token in\nMESHAGENT_TOKEN is sent as it is, if there is one. Only URLs on this machine and in private\nnetworks can be called. A token is sent to another machine only over https, unless --insecure is given.\nA room that does not exist is created when the callee enters it."
)]
pub struct CallArgs {
    /// The room to enter [env: MESHAGENT_ROOM]
    #[arg(long, value_name = "ROOM")]
    room: Option<String>,
    /// The callee's role in the room
    #[arg(long, value_name = "ROLE", default_value = "agent")]
    role: String,
    #[command(flatten)]
    local: Local,
    /// The callee's name in the room
    #[arg(long, value_name = "NAME")]
    participant_name: Option<String>,
    /// The callee's URL
    #[arg(long, value_name = "URL")]
    url: String,
    /// The arguments for the callee, as JSON
    #[arg(long, value_name = "JSON", default_value = "{}")]
    arguments: String,
    /// A document with the callee's permissions, instead of those of an agent
    #[arg(short, long, value_name = "FILE")]
    permissions: Option<PathBuf>,
    /// Send the token over plain http, even to another machine [env: MESHAGENT_INSECURE=1]
    #[arg(long)]
    insecure: bool,
    #[command(flatten)]
    key: KeyArgs,
    #[command(flatten)]
    project: ProjectArgs,
}

/// What lets a callee enter a room.
pub struct Invitation<'a> {
    /// The room.
    pub room: &'a str,
    /// The token of the callee.
    pub token: &'a str,
    /// The arguments for the callee.
    pub arguments: &'a Value,
}

toggle!(
    /// Post the webhook from here; default: only if the URL is in a private network
    Local,
    local,
    "no-local"
);

/// Whether a URL points to this machine or to a private network.
async fn is_local(url: &str) -> bool {
    let Some((scheme, _)) = url.split_once("://") else {
        return url.starts_with('/') || !url.contains(['/', '\\']);
    };
    if scheme == "file" {
        return true;
    }
    let Ok(url) = url::Url::parse(url) else { return false };
    let Some(host) = url.host_str() else { return true };
    let host = host.trim_matches(['[', ']']);
    if host == "localhost" {
        return true;
    }
    match tokio::net::lookup_host((host, 80)).await {
        Ok(mut addresses) => addresses.any(|address| is_private(address.ip())),
        Err(_) => false,
    }
}

fn is_private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => {
            address.is_loopback() || address.is_private() || address.is_link_local()
        }
        IpAddr::V6(address) => {
            address.is_loopback()
                || address.is_unique_local()
                || address.is_unicast_link_local()
                || address.to_ipv4_mapped().is_some_and(|it| is_private(IpAddr::V4(it)))
        }
    }
}

/// Refuses URLs that no webhook can be posted to.
///
/// # Errors
///
/// A text that is not a URL, or a URL with a scheme other than http and https.
fn check_url(url: &str) -> Result<()> {
    let is_web = |url: &url::Url| matches!(url.scheme(), "http" | "https");
    if url::Url::parse(url).is_ok_and(|url| is_web(&url)) {
        return Ok(());
    }
    let shown = visible::url(url);
    let example = match url.contains("://") || url.starts_with('/') || url.is_empty() {
        true => "http://localhost:9000/toolkits/storage".to_owned(),
        false => format!("http://{shown}"),
    };
    Err(Error::usage(format!("--url {shown:?} is neither http nor https"))
        .hint(format!("write it with its scheme and host, such as {example}")))
}

/// The URL of a room's connection.
fn room_url(room: &str) -> String {
    settings::room_url(&PlatformArgs::default().url(), room)
}

/// Posts the webhook that lets a callee enter a room. The token in it is sent only to that URL, and
/// without `insecure` only over TLS to other machines.
///
/// # Errors
///
/// No answer, or a refusal; a URL that the token may not be sent to.
pub async fn post(url: &str, invitation: &Invitation<'_>, insecure: bool) -> Result<()> {
    if !insecure {
        http::refuse_plain(url)?;
    }
    let Invitation { room, token, arguments } = invitation;
    let body = json!({
        "event": "room.call",
        "data": {
            "room_url": room_url(room),
            "room_name": room,
            "token": token,
            "arguments": arguments,
        },
    });
    let secret = variable("MESHAGENT_WEBHOOK_SECRET").map(SecretString::from);
    Webhook { url, body: &body, id: None, secret: secret.as_ref(), patience: PATIENCE }.post().await
}

/// Runs `call`.
///
/// # Errors
///
/// As [`post`]; invalid options.
pub async fn run(command: CallCommand) -> Result<ExitCode> {
    let CallCommand::Call(args) = command;
    let room = named_room(args.room.clone(), "--room", Class::Usage)?;
    args.project.named()?;
    check_url(&args.url)?;
    let Some(name) = &args.participant_name else {
        return Err(Error::failed("the callee has no name").hint("give --participant-name"));
    };
    let arguments = option_values::json("--arguments", Some(&args.arguments), Class::Usage)?;
    let arguments = arguments.unwrap_or_default();
    let token = match (&args.permissions, variable("MESHAGENT_TOKEN")) {
        (Some(path), _) => {
            let spec = token::read(path)?;
            Token::new(&spec.identity)
                .grant("role", &args.role)
                .grant("room", &room)
                .api(Shape::said(&spec.api))
                .sign(&args.key.signer(&args.project.project_id().await?)?)
        }
        (None, Some(token)) => token,
        (None, None) => Token::new(name)
            .api(Shape::said(&ApiScope::of_agents()))
            .grant("role", &args.role)
            .grant("room", &room)
            .grant("tunnel_ports", "9000")
            .sign(&args.key.signer(&args.project.project_id().await?)?),
    };
    let is_local = match args.local.given() {
        Some(given) => given,
        None => is_local(&args.url).await,
    };
    let insecure = args.insecure || is_insecure();
    if is_local {
        let invitation = Invitation { room: &room, token: &token, arguments: &arguments };
        post(&args.url, &invitation, insecure).await?;
        output::note(&format!("{name} is called into the room {room}"));
        return Ok(ExitCode::SUCCESS);
    }
    output::note(&format!("entering the room {room}"));
    let (entered, _) = Room::enter(&room_url(&room), &SecretString::from(token), insecure).await?;
    // What the callee may do is said by its token, which the room makes.
    let (url, name) = (args.url.clone(), name.clone());
    let answer = ask(&entered, &CallAgent { url, arguments, name, api: None }).await;
    entered.leave().await;
    answer?;
    output::note(&format!("the room was asked to call {}", visible::url(&args.url)));
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_webhook_goes_to_a_url_of_the_web() {
        for url in ["http://localhost:1/x", "https://a.test", "HTTP://127.0.0.1"] {
            assert!(check_url(url).is_ok(), "{url}");
        }
        for url in ["", "word", "/x", "ftp://a.test/", "file:///x", "localhost:9000/x", "https://"]
        {
            let error = check_url(url).unwrap_err();
            assert_eq!((error.class, error.hint.is_some()), (Class::Usage, true), "{url}");
        }
        let secret = check_url("ftp://ada:hunter2@a.test/?k=hunter2").unwrap_err();
        assert!(!secret.to_string().contains("hunter2"), "{secret}");
    }

    #[tokio::test]
    async fn local_is_what_this_machine_and_private_networks_serve() {
        for url in [
            "http://localhost:1/x",
            "http://127.0.0.1",
            "http://[::1]:80/",
            "http://10.1.2.3",
            "http://192.168.0.1",
            "http://[fd00::1]",
            "file:///x",
            "/x",
            "word",
        ] {
            assert!(is_local(url).await, "{url}");
        }
        for url in ["http://8.8.8.8/", "a/b", "http://[2001:db8::1]/"] {
            assert!(!is_local(url).await, "{url}");
        }
    }
}
