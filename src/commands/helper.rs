//! `helper service`: what rooms on this machine call during development: schemas and the storage
//! toolkit.

use std::process::ExitCode;

use nix::sys::signal::Signal;

use super::server::host_name;
use super::signals;
use crate::agents::Callee;
use crate::agents::host::{Endpoint, Host, listen};
use crate::agents::schema::SCHEMAS;
use crate::agents::storage::Storage;
use crate::error::{Context, Result};
use crate::output;
use crate::serving::names::Names;
use crate::settings::variable;

/// Where rooms look for it.
const PORT: u16 = 9000;

/// Commands of `helper`.
#[derive(Debug, clap::Subcommand)]
pub enum HelperCommand {
    /// Serve the built-in schemas and the storage toolkit to rooms
    Service(ServiceArgs),
}

/// Arguments of `helper service`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "It listens on port 9000 of the address in MESHAGENT_HOST, which is 0.0.0.0 if it is not set:\nanyone who can reach it can make it enter rooms, with their own tokens. POST a room.call to\n/schemas/NAME (document, superdoc, gallery, thread, widget, presentation, transcript) to store a\nschema in the room, or to /toolkits/storage to offer the toolkit there. It stops on SIGTERM, SIGINT,\nSIGHUP or SIGABRT, and leaves every room first."
)]
pub struct ServiceArgs {
    /// Also accept requests on this machine for this host name, besides localhost; may be repeated
    #[arg(long, value_name = "NAME", value_parser = host_name)]
    allow_host: Vec<String>,
}

/// Runs `helper`.
///
/// # Errors
///
/// The port is in use.
pub async fn run(command: HelperCommand) -> Result<ExitCode> {
    let HelperCommand::Service(args) = command;
    // Signals are caught from here on, so that one that arrives early also stops cleanly.
    let stop = signals::cancelling(&[&signals::STOP[..], &[Signal::SIGABRT]].concat())?;
    let host = variable("MESHAGENT_HOST").unwrap_or_else(|| "0.0.0.0".to_owned());
    let listener = listen(&host, PORT).await?;
    let address = listener.local_addr().context(|| "failed to read the address".to_owned())?;
    if !address.ip().is_loopback() {
        output::warning(&format!(
            "{address} can be reached by other machines; MESHAGENT_HOST=127.0.0.1 keeps them out"
        ));
    }
    output::note(&format!("serving helpers on http://{host}:{PORT}"));
    let names = Names::new(args.allow_host);
    Host { port: PORT, endpoints: endpoints(), names }.serve(listener, stop).await?;
    Ok(ExitCode::SUCCESS)
}

fn endpoints() -> Vec<Endpoint> {
    let schemas = SCHEMAS.iter().map(|schema| {
        endpoint(format!("/schemas/{}", schema.name), move || Box::new(*schema) as Box<dyn Callee>)
    });
    let storage = endpoint("/toolkits/storage".to_owned(), || Box::new(Storage::hosted()));
    schemas.chain([storage]).collect()
}

fn endpoint(
    path: String,
    callee: impl Fn() -> Box<dyn Callee> + Send + Sync + 'static,
) -> Endpoint {
    Endpoint { path, identity: "agent".to_owned(), scope: None, callee: Box::new(callee) }
}
