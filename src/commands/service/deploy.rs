//! Deploying a service that commands describe by options: the one that has its name is changed, or
//! a new one is created.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::services;
use crate::apply::observe;
use crate::commands::apply::ApplyFormat;
use crate::commands::apply::wait::Waiting;
use crate::commands::shortcut::{DeclareArgs, Shortcut, Writing, listed};
use crate::commands::signals::{Stopping, WAITING};
use crate::connection::Connection;
use crate::dialect::Speaks;
use crate::error::{Error, Result};
use crate::kinds::service::fields_of;
use crate::kinds::specs::service::ServiceSpec;
use crate::kinds::{Key, KindName};
use crate::listed::{few, nearest};
use crate::output;
use crate::plan::references::{NamesById, name_ids};
use crate::plan::{Observed, Plan, ProjectState};
use crate::reconcile::health::{self, Awaited};
use crate::settings::{self, PlatformArgs};
use crate::visible;

/// How a service is deployed.
#[derive(Debug, Clone, clap::Args)]
pub struct DeployArgs {
    /// How it is written.
    #[command(flatten)]
    pub declare: DeclareArgs,
    /// Wait until the service works, at most 5m or this long; its room is entered for that. Exit
    /// code 7 if it does not
    #[arg(
        long,
        value_name = "TIME",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "5m",
        value_parser = settings::duration,
        conflicts_with_all = ["dry_run", "as_manifest"],
        help_heading = "Writing"
    )]
    pub wait: Option<Duration>,
    /// Where it is written.
    #[command(flatten)]
    pub platform: PlatformArgs,
}

/// Which service is changed where several have the name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Namesake {
    /// The first one that the platform lists.
    First,
    /// The last one that the platform lists.
    Last,
}

/// A service that is to be in a room, or in every room of the project.
#[derive(Debug)]
pub struct Deployment<'a> {
    /// The service. Secrets of the project in it are named, or given by their ids.
    pub spec: &'a ServiceSpec,
    /// The room; none for every room.
    pub room: Option<&'a str>,
    /// Which one is changed where several have its name.
    pub namesake: Namesake,
}

impl Deployment<'_> {
    /// Creates the service, or changes the one that has its name, and returns the platform's id;
    /// `None` if nothing was written, because a plan or a manifest was asked for.
    ///
    /// What was done is told on standard error, and the id alone is printed: its line ends as that
    /// of the reference does, which prints a sentence before it, so that scripts that take the last
    /// word read both.
    ///
    /// # Errors
    ///
    /// A secret that does not exist, before anything is written; what the platform refuses.
    pub async fn write(
        &self,
        connection: &Connection,
        writing: &impl Writing,
    ) -> Result<Option<String>> {
        let secrets = self.secrets(connection).await?;
        let project = connection.project_id().await?;
        let name = &self.spec.metadata.name;
        let fields = fields_of(self.spec);
        let services = services(connection, self.room).await?;
        let is_it = |service: &&Value| service["metadata"]["name"].as_str() == Some(name);
        let found = match self.namesake {
            Namesake::First => services.iter().find(is_it),
            Namesake::Last => services.iter().rfind(is_it),
        };
        let found = found.and_then(|service| Some((service["id"].as_str()?, service)));
        let shortcut = match found {
            Some((id, service)) => {
                let observed = self.observed(connection, project, service, &secrets);
                let shortcut = Shortcut::replace(KindName::Service, project, name, fields);
                let shortcut = shortcut.in_room(self.room).of_id(id);
                match observed {
                    Some(observed) => shortcut.of(observed),
                    None => shortcut,
                }
            }
            None => {
                Shortcut::create_of(KindName::Service, project, name, fields).in_room(self.room)
            }
        };
        let Some(written) =
            shortcut.referring_to(secrets).as_agent().run(connection, writing).await?
        else {
            return Ok(None);
        };
        let (id, done) = match found {
            Some((id, _)) => (Some(id.to_owned()), "updated"),
            None => (written.id, "created"),
        };
        output::note(&format!("{done} Service/{name}"));
        let lost = written.changes.iter().filter(|it| it.old.is_some() && it.new.is_none());
        let lost: Vec<String> = lost.map(|change| format!("`{}`", change.path)).collect();
        if !lost.is_empty() {
            output::note(&format!("note: what it had and has no more: {}", few(lost)));
        }
        let id = id.unwrap_or_default();
        output::value(&id);
        Ok(Some(id))
    }

    /// Checks what can be known before anything is written: the room, and the secrets.
    ///
    /// # Errors
    ///
    /// The room cannot be read; a secret that does not exist.
    pub async fn check(&self, connection: &Connection) -> Result<()> {
        self.secrets(connection).await?;
        services(connection, self.room).await.map(drop)
    }

    /// A service of a list, with names in place of the ids of these secrets.
    fn observed(
        &self,
        connection: &Connection,
        project: &str,
        service: &Value,
        secrets: &BTreeMap<Key, String>,
    ) -> Option<Observed> {
        let spelling = connection.client.spelling(KindName::Service);
        let seen = spelling.seen(service).ok()?;
        let room = self.room.map(str::to_owned);
        let key = Key::new(KindName::Service, project, room, seen.name.clone());
        let mut observed = observe::observed(spelling, seen, service, None);
        let names: NamesById = secrets
            .iter()
            .map(|(secret, id)| ((secret.kind, id.clone()), secret.name.clone()))
            .collect();
        name_ids(&key, Arc::make_mut(&mut observed.fields), &names);
        Some(observed)
    }

    /// The ids of the secrets that the service names.
    async fn secrets(&self, connection: &Connection) -> Result<BTreeMap<Key, String>> {
        let mut found = BTreeMap::new();
        let container = self.spec.container.as_ref();
        let wanted = container.and_then(|container| container.secrets.as_deref());
        let wanted = wanted.unwrap_or_default();
        if wanted.is_empty() {
            return Ok(found);
        }
        let project = connection.project_id().await?;
        let secrets = listed(connection, KindName::Secret, None).await?;
        let spelling = connection.client.spelling(KindName::Secret);
        let known = secrets.iter().filter_map(|secret| spelling.seen(secret).ok());
        let known: Vec<(String, String)> =
            known.filter_map(|seen| Some((seen.id?, seen.name))).collect();
        for wanted in wanted {
            if known.iter().any(|(id, _)| id == wanted) {
                continue;
            }
            let mut called = known.iter().filter(|(_, name)| name == wanted);
            match (called.next(), called.next()) {
                (Some((id, name)), None) => {
                    found.insert(Key::of(KindName::Secret, project, name), id.clone());
                }
                (None, _) => return Err(no_secret(wanted, &known)),
                (Some(_), Some(_)) => {
                    let wanted = visible::line(wanted);
                    return Err(Error::failed(format!("several secrets are called `{wanted}`"))
                        .hint("name one by its id: `meshagent secret list` shows the ids"));
                }
            }
        }
        Ok(found)
    }

    /// Waits until the service works, if that is asked for.
    ///
    /// # Errors
    ///
    /// [`Class::Unhealthy`](crate::error::Class::Unhealthy) if it does not work in time.
    pub async fn wait(&self, connection: &Connection, args: &DeployArgs) -> Result<()> {
        let Some(most) = args.wait else { return Ok(()) };
        let project = connection.project_id().await?;
        let state = ProjectState { id: Some(project.to_owned()) };
        let plan =
            Plan { projects: BTreeMap::from([(project.to_owned(), state)]), ..Plan::default() };
        let room = self.room.map(str::to_owned);
        let agents = self.spec.participants().into_iter().map(str::to_owned);
        let awaited = Awaited {
            key: Key::new(KindName::Service, project, room, self.spec.metadata.name.clone()),
            agents: agents.collect(),
        };
        let stop = CancellationToken::new();
        let _stopping = Stopping::new(stop.clone(), WAITING)?;
        let waiting = Waiting {
            connection,
            platform: &args.platform,
            plan: &plan,
            format: ApplyFormat::Text,
            stop: &stop,
        };
        let outcomes = waiting.wait(&[awaited], most).await;
        health::verdict(&outcomes, stop.is_cancelled())
    }
}

/// The error for a secret that does not exist.
fn no_secret(wanted: &str, known: &[(String, String)]) -> Error {
    let shown = visible::line(wanted);
    let error = Error::failed(format!("there is no secret `{shown}` in the project"));
    match nearest(wanted, known.iter().map(|(_, name)| name.as_str())) {
        Some(name) => error.hint(format!("did you mean `{}`?", visible::line(&name))),
        None => error.hint("`meshagent secret list` shows the secrets"),
    }
}
