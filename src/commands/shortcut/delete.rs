//! Commands that delete one object by its id.

use std::process::ExitCode;

use super::{Shortcut, WriteArgs};
use crate::error::Result;
use crate::output;
use crate::settings::PlatformArgs;

/// Arguments of the commands that delete one object; each command says how it identifies the
/// object.
#[derive(Debug, clap::Args)]
pub struct DeleteArgs {
    /// What identifies the object.
    pub id: String,
    /// How it is run.
    #[command(flatten)]
    pub write: WriteArgs,
    /// Where the object is.
    #[command(flatten)]
    pub platform: PlatformArgs,
}

/// Deletes one object.
///
/// # Errors
///
/// What the platform refuses.
pub async fn delete(
    args: &DeleteArgs,
    shortcut: impl FnOnce(&str) -> Shortcut,
) -> Result<ExitCode> {
    args.platform
        .with(async |connection| {
            let shortcut = shortcut(connection.project_id().await?);
            let address = shortcut.address();
            if shortcut.run(connection, &args.write).await?.is_some() {
                output::note(&format!("deleted {address}"));
            }
            Ok(ExitCode::SUCCESS)
        })
        .await
}
