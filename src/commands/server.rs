//! `meshagent server`: the embedded platform on an address of this machine.

use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;

use secrecy::ExposeSecret;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use crate::error::{Context, Error, Result};
use crate::output;
use crate::platform::Platform;

/// Serves the platform's API from one folder, without an account or a network.
///
/// It stops on SIGTERM or SIGINT, once the requests under way are answered.
#[derive(Debug, clap::Args)]
pub struct ServerArgs {
    /// The address to listen on; port 0 picks a free one.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8787")]
    pub listen: SocketAddr,

    /// The folder that holds the platform's data.
    #[arg(long, value_name = "DIR", default_value = ".meshagent/embedded")]
    pub data: PathBuf,

    /// Print the shell commands that point a client here, once it is ready.
    #[arg(long)]
    pub print_env: bool,
}

/// Runs the server until it is told to stop.
///
/// # Errors
///
/// The data folder cannot be opened, the address cannot be listened on, or serving failed.
pub async fn run(args: ServerArgs) -> Result<()> {
    // Signals are caught from here on, so that one that arrives early also stops cleanly.
    let stop = stop_signal()?;
    let listener = TcpListener::bind(args.listen).await.map_err(|cause| {
        let busy = cause.kind() == std::io::ErrorKind::AddrInUse;
        let error = Error::failed(format!("failed to listen on {}", args.listen)).because(cause);
        if busy {
            error.hint("choose another port with --listen, or 0 for a free one")
        } else {
            error
        }
    })?;
    let address = listener.local_addr().context(|| "failed to read the address".to_owned())?;
    let platform = Platform::open(&args.data).await?;
    if !address.ip().is_loopback() {
        output::warning(&format!(
            "{address} can be reached by other machines, and keys travel unencrypted"
        ));
    }
    output::note(&format!(
        "the platform is ready on http://{address}, its data in {}",
        args.data.display()
    ));
    if args.print_env {
        print_env(&platform, address).context(|| "failed to write to stdout".to_owned())?;
    }
    platform.serve(listener, stop).await
}

/// Prints the environment of a client, and nothing else.
fn print_env(platform: &Platform, address: SocketAddr) -> std::io::Result<()> {
    let bootstrap = platform.bootstrap();
    let url = format!("http://{}", reachable(address));
    let mut out = std::io::stdout().lock();
    for (name, value) in [
        ("MESHAGENT_API_URL", url.as_str()),
        ("MESHAGENT_API_KEY", bootstrap.api_key.expose_secret()),
        ("MESHAGENT_PROJECT_ID", bootstrap.project_id.as_str()),
    ] {
        writeln!(out, "export {name}={}", quoted(value))?;
    }
    out.flush()
}

/// An address that a client on this machine can connect to.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(match address.ip() {
            IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        });
    }
    address
}

/// A text as one word of a POSIX shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

fn stop_signal() -> Result<impl Future<Output = ()> + Send + 'static> {
    let listen = |kind| signal(kind).context(|| "failed to listen for signals".to_owned());
    let (mut terminate, mut interrupt) =
        (listen(SignalKind::terminate())?, listen(SignalKind::interrupt())?);
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_one_word_of_a_shell() {
        assert_eq!(quoted("ma-a-b"), "'ma-a-b'");
        assert_eq!(quoted("it's $HOME"), r"'it'\''s $HOME'");
    }

    #[test]
    fn a_client_is_not_sent_to_every_address() {
        let all: SocketAddr = ([0, 0, 0, 0], 80).into();
        assert_eq!(reachable(all).to_string(), "127.0.0.1:80");
    }
}
