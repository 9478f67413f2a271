//! Makes an agent a service of a room, or of every room of the project.

use std::path::PathBuf;
use std::process::ExitCode;

use serde_json::Value;

use crate::commands::option_values::room;
use crate::commands::own_inputs::Written;
use crate::commands::service::deploy::{DeployArgs, Deployment, Namesake};
use crate::commands::shortcut::Writing;
use crate::error::{Context, Error, Result};
use crate::kinds::specs::service::ServiceSpec;

/// A service of agents that is to be deployed.
pub struct Wanted {
    /// The service.
    pub service: Value,
    /// The room, if an option names one.
    pub room: Option<String>,
    /// Which service is changed where several have its name.
    pub namesake: Namesake,
    /// The files that were read, which no report may overwrite.
    pub files: Vec<PathBuf>,
}

impl Wanted {
    /// Deploys it.
    ///
    /// # Errors
    ///
    /// As [`Deployment::write`] and [`Deployment::wait`].
    pub async fn deploy(self, args: &DeployArgs) -> Result<ExitCode> {
        let path = args.declare.write().report.as_deref();
        Written { option: "--report", path }.keeps(&[], &self.files)?;
        let spec: ServiceSpec = serde_json::from_value(self.service)
            .context(|| "failed to describe the service".to_owned())?;
        if self.room.as_deref() == Some("") {
            // A variable that is not set must not put the agent into every room.
            return Err(Error::usage("--room is empty")
                .hint("name a room, or leave the option out for every room of the project"));
        }
        let is_empty = std::env::var_os("MESHAGENT_ROOM").is_some_and(|room| room.is_empty());
        if self.room.is_none() && is_empty {
            return Err(Error::usage("MESHAGENT_ROOM is empty")
                .hint("name a room, or unset it for every room of the project"));
        }
        let room = room(self.room);
        let deployment = Deployment { spec: &spec, room: room.as_deref(), namesake: self.namesake };
        args.platform
            .with(async |connection| {
                if deployment.write(connection, &args.declare).await?.is_some() {
                    deployment.wait(connection, args).await?;
                }
                Ok(ExitCode::SUCCESS)
            })
            .await
    }
}
