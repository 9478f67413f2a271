//! What is seen of services in a room.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;

use super::{Awaited, Health};
use crate::kinds::specs::service::ServiceSpec;
use crate::room::agents::ListToolkits;
use crate::room::client::{Incoming, Room};
use crate::room::content::Refused;
use crate::room::message::Message;
use crate::room::messaging::{DELIVERED, Enable, Participant, news};
use crate::room::services::{List, Services, State};

/// The state of a service that works.
const RUNNING: &str = "running";

/// The state of a service that its platform cannot run.
const UNAVAILABLE: &str = "unavailable";

/// The longest words of a room that are told, in characters.
const WORDS: usize = 500;

/// What is seen in a room.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) services: BTreeMap<String, (ServiceSpec, Option<State>)>,
    /// The names of the participants that are seen, and of those that host toolkits.
    present: BTreeSet<String>,
}

impl Seen {
    pub fn of(told: Services, present: BTreeSet<String>) -> Self {
        let mut states: BTreeMap<String, State> =
            told.service_states.into_iter().map(|it| (it.service_id.clone(), it)).collect();
        let specs = told.services_json.iter();
        let specs = specs.filter_map(|text| serde_json::from_str::<ServiceSpec>(text).ok());
        let services = specs.map(|spec| {
            let state = spec.id.as_ref().and_then(|id| states.remove(id));
            (spec.metadata.name.clone(), (spec, state))
        });
        Self { services: services.collect(), present }
    }

    /// How a service is.
    pub fn health(&self, awaited: &Awaited) -> Health {
        let waits = |what: &str| Health::Waits(what.to_owned());
        let Some((spec, state)) = self.services.get(&awaited.key.name) else {
            return waits("the room does not list it");
        };
        match state {
            Some(state) if state.state == UNAVAILABLE => {
                let why = match (&state.message, spec.waits_for_approval()) {
                    (Some(why), _) => format!(": {}", brief(why)),
                    (None, true) => {
                        ": its MCP server waits for approvals, and nobody gives them".to_owned()
                    }
                    (None, false) => String::new(),
                };
                return Health::Broken(format!("the platform cannot run it{why}"));
            }
            // Nothing has to run yet, and nobody has to be there.
            _ if spec.is_on_demand() => return Health::Works,
            Some(state) if state.state != RUNNING => return Health::Waits(idle(state)),
            // Nothing has to run for a service that runs elsewhere.
            None if spec.container.is_some() => return waits("the room tells no state of it"),
            _ => {}
        }
        let absent = state.as_ref().and_then(|state| state.absent.as_ref());
        let is_missing = |name: &&String| match absent {
            // The platform knows better than what can be seen.
            Some(absent) => absent.contains(name),
            None => !self.present.contains(*name),
        };
        awaited.agents.iter().find(is_missing).map_or(Health::Works, |name| {
            Health::Waits(format!("its agent {name:?} has not joined the room"))
        })
    }

    /// Whether the room says how a service is, or nothing has to run for it.
    pub fn tells_of(&self, awaited: &Awaited) -> bool {
        let seen = self.services.get(&awaited.key.name);
        seen.is_some_and(|(spec, state)| state.is_some() || spec.container.is_none())
    }

    pub fn restarts(&self, awaited: &Awaited) -> Option<u64> {
        let (_, state) = self.services.get(&awaited.key.name)?;
        Some(state.as_ref()?.restart_count)
    }
}

/// How a service is that does not run, in words.
fn idle(state: &State) -> String {
    let again = match state.restart_count {
        0 => String::new(),
        1 => ", started again once".to_owned(),
        count => format!(", started again {count} times"),
    };
    let code = state.last_exit_code.map(|code| format!(", last exit code {code}"));
    let why = state.message.as_ref().map(|why| format!(": {why}"));
    let (code, why) = (code.unwrap_or_default(), why.unwrap_or_default());
    brief(&format!("it is {}{again}{code}{why}", state.state))
}

/// The beginning of what a room says.
fn brief(words: &str) -> String {
    words.chars().take(WORDS).collect()
}

/// A room that was entered to look around.
pub(super) struct Entered<'a> {
    room: &'a Room,
    /// The names of the participants that take part in messaging, by their ids.
    present: Arc<Mutex<BTreeMap<String, String>>>,
    is_enabled: bool,
}

impl<'a> Entered<'a> {
    pub fn new(room: &'a Room, mut incoming: Incoming) -> Self {
        let present: Arc<Mutex<BTreeMap<String, String>>> = Arc::default();
        let heard = Arc::clone(&present);
        tokio::spawn(async move {
            while let Some(message) = incoming.next().await {
                note(&mut heard.lock().unwrap_or_else(PoisonError::into_inner), &message);
            }
        });
        Self { room, present, is_enabled: false }
    }

    /// Looks around.
    ///
    /// # Errors
    ///
    /// The room refuses it, or is gone.
    pub async fn look(&mut self, services: &[Awaited]) -> Result<Seen, Refused> {
        if !std::mem::replace(&mut self.is_enabled, true) {
            // Without it, only participants that host toolkits are seen.
            let _ = self.room.perform(&Enable {}).await;
        }
        let told = self.room.perform(&List {}).await?;
        let mut present: BTreeSet<String> = {
            let heard = self.present.lock().unwrap_or_else(PoisonError::into_inner);
            heard.values().cloned().collect()
        };
        let is_told = told.service_states.iter().any(|state| state.absent.is_some());
        let agents = services.iter().filter(|_| !is_told).flat_map(|it| &it.agents);
        for name in agents.collect::<BTreeSet<&String>>() {
            if !present.contains(name) {
                let participant_name = Some(name.clone());
                let asked = ListToolkits { participant_name, ..ListToolkits::default() };
                if !self.room.perform(&asked).await?.tools.is_empty() {
                    present.insert(name.clone());
                }
            }
        }
        Ok(Seen::of(told, present))
    }
}

/// Notes who is there.
pub(super) fn note(present: &mut BTreeMap<String, String>, message: &Message) {
    let name = |attributes: &Value| attributes["name"].as_str().map(str::to_owned);
    if let Some(all) = Participant::listed(message) {
        let named = |it: Participant| Some((it.id, it.attributes["name"].as_str()?.to_owned()));
        present.extend(all.into_iter().filter_map(named));
        return;
    }
    if message.kind != DELIVERED {
        return;
    }
    let told = &message.header["message"];
    let id = told["id"].as_str().unwrap_or_default();
    match message.header["type"].as_str() {
        Some(news::ENABLED) => {
            if let Some(name) = name(&told["attributes"]) {
                present.insert(id.to_owned(), name);
            }
        }
        Some(news::DISABLED) => drop(present.remove(id)),
        _ => {}
    }
}
