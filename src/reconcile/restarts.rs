//! Starts services again whose variables a plan has changed: a container reads them only when it
//! starts. That is done in the rooms that run, and starts no other.

use std::collections::BTreeMap;

use futures_util::StreamExt;
use futures_util::stream;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use super::running::{self, project_id};
use crate::api::reader::Reader;
use crate::apply::execute::{Outcome, Report};
use crate::error::{Class, Error, Result, with_causes};
use crate::kinds::Key;
use crate::listed::few;
use crate::plan::Plan;
use crate::room::client::{Incoming, Room};
use crate::room::codes;
use crate::room::content::Refused;
use crate::room::services;

/// In how many rooms services are started again at once.
const ROOMS: usize = 8;

/// What became of a service that was to be started again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Restart {
    /// The service, as it is shown.
    pub address: String,
    /// The service.
    pub key: Key,
    /// The room; left out if none of them runs, or it is not known which ones do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub room: Option<String>,
    /// What became of it.
    pub restart: Restarted,
    /// Why not, if it was not started again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// Whether a service was started again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Restarted {
    /// It is being started again.
    Done,
    /// It need not be: it does not run.
    NotRunning,
    /// It was to be, and was not.
    Failed,
}

impl Restart {
    /// What became of it, on one line.
    #[must_use]
    pub fn line(&self) -> String {
        let place = match (&self.key.room, &self.room) {
            (None, Some(room)) => format!(" in room {room}"),
            _ => String::new(),
        };
        let word = match self.restart {
            Restarted::Done => "done",
            Restarted::NotRunning => "not needed",
            Restarted::Failed => "failed",
        };
        let why = self.message.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
        format!("{word}: restart {}{place}{why}", self.address)
    }
}

/// What is needed to start services again.
pub struct Restarting<'a, E> {
    /// The plan that was performed.
    pub plan: &'a Plan,
    /// What became of it.
    pub report: &'a Report,
    /// Asks the platform which rooms run.
    pub reader: &'a Reader,
    /// Enters the room with this name in the project with this id.
    pub enter: E,
    /// Cancelled when nothing new may start.
    pub stop: &'a CancellationToken,
}

impl<E: AsyncFn(&str, &str) -> Result<(Room, Incoming)>> Restarting<'_, E> {
    /// Starts again what the operations that were done say. `tell` hears of each service.
    pub async fn perform(&self, tell: impl Fn(&Restart)) -> Vec<Restart> {
        let mut done = Vec::new();
        let mut tell_and_keep = |restart: Restart| {
            tell(&restart);
            done.push(restart);
        };
        let mut running: BTreeMap<&str, Result<Vec<String>, String>> = BTreeMap::new();
        let mut rooms: BTreeMap<(String, String), Vec<&Key>> = BTreeMap::new();
        for key in due(self.plan, self.report) {
            let project = key.project.as_str();
            if !running.contains_key(project) {
                running.insert(project, self.running(project).await);
            }
            let names = match &running[project] {
                Ok(names) => names,
                Err(why) => {
                    let told = format!("it is not known which rooms run: {why}");
                    tell_and_keep(self.told((key, None), Restarted::Failed, Some(told)));
                    continue;
                }
            };
            let of_it = |name: &&String| key.room.as_ref().is_none_or(|room| room == *name);
            let names: Vec<&String> = names.iter().filter(of_it).collect();
            if names.is_empty() {
                let told = match &key.room {
                    Some(_) => "its room does not run",
                    None => "no room of the project runs",
                };
                let told = Some(told.to_owned());
                tell_and_keep(self.told((key, None), Restarted::NotRunning, told));
            }
            for name in names {
                rooms.entry((key.project.clone(), name.clone())).or_default().push(key);
            }
        }
        let work = rooms.iter().map(|(room, keys)| self.in_room(room, keys));
        let mut work = stream::iter(work).buffer_unordered(ROOMS);
        while let Some(restarts) = work.next().await {
            restarts.into_iter().for_each(&mut tell_and_keep);
        }
        drop(work);
        done
    }

    async fn running(&self, project: &str) -> Result<Vec<String>, String> {
        let asked = running::rooms(self.plan, self.reader, project);
        match self.stop.run_until_cancelled(asked).await {
            Some(names) => names.map_err(|error| with_causes(&error)),
            None => Err(STOPPED.to_owned()),
        }
    }

    /// Starts services of one room again.
    async fn in_room(&self, (project, name): &(String, String), keys: &[&Key]) -> Vec<Restart> {
        let entered = async {
            let id = project_id(self.plan, self.reader, project).await?;
            (self.enter)(&id, name).await
        };
        let failed =
            |key: &Key, why: String| self.told((key, Some(name)), Restarted::Failed, Some(why));
        let room = match self.stop.run_until_cancelled(entered).await {
            Some(Ok((room, _))) => room,
            Some(Err(error)) => {
                let why = with_causes(&error);
                return keys.iter().map(|key| failed(key, why.clone())).collect();
            }
            None => return keys.iter().map(|key| failed(key, STOPPED.to_owned())).collect(),
        };
        let mut restarts = Vec::new();
        for key in keys {
            let asked = self.restart(&room, key);
            restarts.push(match self.stop.run_until_cancelled(asked).await {
                Some(Ok(())) => self.told((key, Some(name)), Restarted::Done, None),
                Some(Err(refused)) if is_not_run(&refused) => {
                    let why = format!("it does not run there: {}", refused.text);
                    self.told((key, Some(name)), Restarted::NotRunning, Some(why))
                }
                Some(Err(refused)) => failed(key, refused.text),
                None => failed(key, STOPPED.to_owned()),
            });
        }
        room.leave().await;
        restarts
    }

    async fn restart(&self, room: &Room, key: &Key) -> Result<(), Refused> {
        let operation = self.plan.operations.iter().find(|it| it.key == *key);
        let id = operation.and_then(|it| it.id());
        let id = id.or_else(|| self.plan.kept.get(key)?.id.as_deref());
        let id = id.ok_or_else(|| Refused::new("the platform's id of it is not known"))?;
        room.perform(&services::Restart { service_id: id.to_owned() }).await
    }

    fn told(
        &self,
        (key, room): (&Key, Option<&String>),
        restart: Restarted,
        message: Option<String>,
    ) -> Restart {
        let address = self.plan.address(key);
        Restart { address, key: key.clone(), room: room.cloned(), restart, message }
    }
}

/// Why a service was not started again once somebody stopped the run.
const STOPPED: &str = "the run was stopped";

/// Whether a room refuses because it does not run the service.
fn is_not_run(refused: &Refused) -> bool {
    let codes = [codes::SERVICE_RESTART_NOT_ALLOWED, codes::SERVICE_NOT_FOUND];
    refused.code.is_some_and(|code| codes.contains(&code))
}

/// The services that are to be started again after what was done, each once.
fn due<'a>(plan: &'a Plan, report: &Report) -> Vec<&'a Key> {
    let outcomes = plan.operations.iter().zip(&report.outcomes);
    let done = outcomes.filter(|(_, outcome)| **outcome == Outcome::Done);
    let mut due: Vec<&Key> = done.flat_map(|(operation, _)| &operation.restarts).collect();
    due.sort();
    due.dedup();
    due
}

/// Whether all services were started again that had to be.
///
/// # Errors
///
/// [`Class::Partial`], naming the others.
pub fn verdict(restarts: &[Restart]) -> Result<()> {
    let failed = restarts.iter().filter(|it| it.restart == Restarted::Failed);
    let failed: Vec<String> = failed.map(Restart::line).collect();
    let what = match failed.len() {
        0 => return Ok(()),
        1 => "1 service was not started again".to_owned(),
        count => format!("{count} services were not started again"),
    };
    let told = format!("everything was written, but {what} and may have the old values of secrets");
    Err(Error::new(Class::Partial, told).because(few(failed)).hint(
        "start them again with `meshagent room service restart`: the next apply does not, since the secrets are as declared",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::KindName;

    #[test]
    fn what_was_not_started_again_is_named() {
        let key = Key::of(KindName::Service, "p", "bot");
        let restart = |restart: Restarted, message: Option<&str>| Restart {
            address: key.to_string(),
            key: key.clone(),
            room: Some("lobby".to_owned()),
            restart,
            message: message.map(str::to_owned),
        };
        let done = restart(Restarted::Done, None);
        assert_eq!(done.line(), "done: restart Service/bot in room lobby");
        let not_needed = restart(Restarted::NotRunning, Some("no room of the project runs"));
        assert!(verdict(&[done.clone(), not_needed]).is_ok());
        let error = verdict(&[done, restart(Restarted::Failed, Some("it is full"))]).unwrap_err();
        assert_eq!(error.class, Class::Partial);
        let told = with_causes(&error);
        assert!(
            told.ends_with(": failed: restart Service/bot in room lobby: it is full"),
            "{told}"
        );
    }
}
