//! Whether what was applied works: services run without being started again and again, and the
//! agents that they declare are in the room.
//!
//! For that a room is entered, which starts it. A plan never does.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::Value;
use tokio::time::{Instant, sleep, timeout_at};

use super::perform::Performed;
use crate::apply::execute::Outcome;
use crate::error::{Class, Error, Result};
use crate::kinds::specs::service::ServiceSpec;
use crate::kinds::{Key, KindName};
use crate::listed::few;
use crate::plan::{Action, Plan};
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

/// A service that a run created or changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Awaited {
    /// The service.
    pub key: Key,
    /// The names of the agents that it declares.
    pub agents: Vec<String>,
}

/// How long to wait.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// In all, at most.
    pub most: Duration,
    /// How long a service has to work without being started again.
    pub grace: Duration,
    /// Between two looks.
    pub pause: Duration,
}

impl Patience {
    /// At most this long.
    #[must_use]
    pub const fn of(most: Duration) -> Self {
        Self { most, grace: Duration::from_secs(3), pause: Duration::from_millis(500) }
    }
}

/// How a service is in a room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Health {
    /// It works.
    Works,
    /// It does not work yet.
    Waits(String),
    /// It cannot work here.
    Broken(String),
}

/// The services that a run created or changed.
#[must_use]
pub fn awaited(plan: &Plan, performed: &Performed) -> Vec<Awaited> {
    let outcomes = plan.operations.iter().zip(&performed.report.outcomes);
    let done = outcomes.filter(|(operation, outcome)| {
        let writes = [Action::Create, Action::Update, Action::Adopt, Action::Rename];
        **outcome == Outcome::Done
            && operation.key.kind == KindName::Service
            && writes.contains(&operation.action())
    });
    let awaited = done.map(|(operation, _)| {
        let fields = operation.fields().map(|fields| fields.redacted()).unwrap_or_default();
        let agents = fields["agents"].as_array().into_iter().flatten();
        let names = agents.filter_map(|agent| agent["name"].as_str().map(str::to_owned));
        Awaited { key: operation.key.clone(), agents: names.collect() }
    });
    awaited.collect()
}

/// What is seen in a room.
#[derive(Debug, Default)]
struct Seen {
    services: BTreeMap<String, (ServiceSpec, Option<State>)>,
    /// The names of the participants that are seen, and of those that host toolkits.
    present: BTreeSet<String>,
}

impl Seen {
    fn of(told: Services, present: BTreeSet<String>) -> Self {
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
    fn health(&self, awaited: &Awaited) -> Health {
        let waits = |what: &str| Health::Waits(what.to_owned());
        let Some((spec, state)) = self.services.get(&awaited.key.name) else {
            return waits("the room does not list it");
        };
        match state {
            Some(state) if state.state == UNAVAILABLE => {
                let why = match (&spec.container, spec.waits_for_approval()) {
                    (Some(_), _) => ": the embedded platform has no containers",
                    (None, true) => ": its MCP server waits for approvals, and nobody gives them",
                    (None, false) => "",
                };
                return Health::Broken(format!("the platform cannot run it{why}"));
            }
            Some(state) if state.state != RUNNING => {
                let again = match state.restart_count {
                    0 => String::new(),
                    1 => ", started again once".to_owned(),
                    count => format!(", started again {count} times"),
                };
                let code = state.last_exit_code.map(|code| format!(", last exit code {code}"));
                let code = code.unwrap_or_default();
                return Health::Waits(format!("it is {}{again}{code}", state.state));
            }
            // Nothing has to run for a service that runs elsewhere.
            None if spec.container.is_some() => return waits("the room tells no state of it"),
            _ => {}
        }
        let missing = awaited.agents.iter().find(|name| !self.present.contains(*name));
        missing.map_or(Health::Works, |name| {
            Health::Waits(format!("its agent {name:?} has not joined the room"))
        })
    }

    fn restarts(&self, awaited: &Awaited) -> Option<u64> {
        let (_, state) = self.services.get(&awaited.key.name)?;
        Some(state.as_ref()?.restart_count)
    }
}

/// Since when a service works.
#[derive(Debug)]
struct Watched<'a> {
    awaited: &'a Awaited,
    told: Option<Health>,
    since: Option<(Instant, Option<u64>)>,
    is_settled: bool,
}

impl Watched<'_> {
    /// Takes what is seen now. Returns what is news about it.
    fn look(&mut self, seen: &Seen, now: Instant, grace: Duration) -> Option<Health> {
        if self.is_settled {
            return None;
        }
        let mut health = seen.health(self.awaited);
        let restarts = seen.restarts(self.awaited);
        if health == Health::Works {
            let since = self.since.filter(|(_, count)| *count == restarts);
            let (since, _) = *self.since.insert(since.unwrap_or((now, restarts)));
            match now.duration_since(since) >= grace {
                true => self.is_settled = true,
                false => health = Health::Waits("it works, for a moment so far".to_owned()),
            }
        } else {
            self.since = None;
            self.is_settled = matches!(health, Health::Broken(_));
        }
        (self.told.as_ref() != Some(&health)).then(|| self.told.insert(health).clone())
    }
}

/// Watches services in one room until all work, none of those that do not can, or the time is
/// over. `tell` gets each change.
///
/// # Errors
///
/// The room cannot be entered.
pub async fn watch(
    services: &[Awaited],
    patience: Patience,
    enter: impl AsyncFn() -> Result<(Room, Incoming)>,
    tell: impl Fn(&Awaited, &Health),
) -> Result<Vec<(Key, Health)>> {
    let due = Instant::now() + patience.most;
    let mut watched: Vec<Watched<'_>> = services
        .iter()
        .map(|awaited| Watched { awaited, told: None, since: None, is_settled: false })
        .collect();
    let mut entered = enter().await.map(Entered::new)?;
    while watched.iter().any(|it| !it.is_settled) && Instant::now() < due {
        match timeout_at(due, entered.look(services)).await {
            Ok(Ok(seen)) => {
                let now = Instant::now();
                for one in &mut watched {
                    if let Some(health) = one.look(&seen, now, patience.grace) {
                        tell(one.awaited, &health);
                    }
                }
            }
            // The connection may be lost, and the room come back.
            Ok(Err(_)) => {
                if let Ok(Ok(again)) = timeout_at(due, enter()).await {
                    entered = Entered::new(again);
                }
            }
            Err(_) => break,
        }
        sleep(patience.pause.min(due.saturating_duration_since(Instant::now()))).await;
    }
    entered.room.leave().await;
    let outcome = |it: Watched<'_>| {
        let late = || Health::Waits("nothing was seen of it".to_owned());
        (it.awaited.key.clone(), it.told.unwrap_or_else(late))
    };
    Ok(watched.into_iter().map(outcome).collect())
}

/// A room that was entered to look around.
struct Entered {
    room: Room,
    /// The names of the participants that take part in messaging, by their ids.
    present: Arc<Mutex<BTreeMap<String, String>>>,
    is_enabled: bool,
}

impl Entered {
    fn new((room, mut incoming): (Room, Incoming)) -> Self {
        let present: Arc<Mutex<BTreeMap<String, String>>> = Arc::default();
        let heard = Arc::clone(&present);
        tokio::spawn(async move {
            while let Some(message) = incoming.next().await {
                note(&mut heard.lock().unwrap_or_else(PoisonError::into_inner), &message);
            }
        });
        Self { room, present, is_enabled: false }
    }

    async fn look(&mut self, services: &[Awaited]) -> Result<Seen, Refused> {
        if !std::mem::replace(&mut self.is_enabled, true) {
            // Without it, only participants that host toolkits are seen.
            let _ = self.room.perform(&Enable {}).await;
        }
        let told = self.room.perform(&List {}).await?;
        let mut present: BTreeSet<String> = {
            let heard = self.present.lock().unwrap_or_else(PoisonError::into_inner);
            heard.values().cloned().collect()
        };
        let agents: BTreeSet<&String> = services.iter().flat_map(|it| &it.agents).collect();
        for name in agents {
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
fn note(present: &mut BTreeMap<String, String>, message: &Message) {
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

/// Whether everything works, and if not, what does not.
///
/// # Errors
///
/// [`Class::Unhealthy`], naming it.
pub fn verdict(outcomes: &[(String, Health)]) -> Result<()> {
    let broken: Vec<String> = outcomes
        .iter()
        .filter_map(|(address, health)| match health {
            Health::Works => None,
            Health::Waits(what) | Health::Broken(what) => Some(format!("{address}: {what}")),
        })
        .collect();
    if broken.is_empty() {
        return Ok(());
    }
    let total = outcomes.len();
    let count = broken.len();
    let what = match count {
        1 if total == 1 => "the service does not work".to_owned(),
        1 => format!("1 of {total} services does not work"),
        _ if count == total => format!("none of the {total} services works"),
        _ => format!("{count} of {total} services do not work"),
    };
    let told = format!("everything was applied, but {what}");
    Err(Error::new(Class::Unhealthy, told)
        .because(few(broken.iter().map(String::as_str)))
        .hint("`meshagent room service list` and `meshagent room developer watch` show more"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::room::messaging;

    fn awaited(agents: &[&str]) -> Awaited {
        let key = Key::new(KindName::Service, "p", Some("r".to_owned()), "s");
        Awaited { key, agents: agents.iter().map(|name| (*name).to_owned()).collect() }
    }

    fn seen(of: &str, state: Option<(&str, u64)>, present: &[&str]) -> Seen {
        let mut spec = json!({
            "version": "v1", "kind": "Service", "id": "i", "metadata": {"name": "s"},
        });
        spec[of] = match of {
            "external" => json!({"url": "http://x"}),
            _ => json!({"image": "x"}),
        };
        let state = state.map(|(state, restart_count)| State {
            service_id: "i".to_owned(),
            state: state.to_owned(),
            restart_count,
            ..State::default()
        });
        let told = Services {
            services_json: vec![spec.to_string()],
            service_states: state.into_iter().collect(),
        };
        Seen::of(told, present.iter().map(|name| (*name).to_owned()).collect())
    }

    #[test]
    fn a_service_works_when_it_runs_and_its_agents_are_there() {
        let running = Some(("running", 0));
        let works = |seen: Seen, agents: &[&str]| seen.health(&awaited(agents)) == Health::Works;
        assert!(works(seen("container", running, &[]), &[]));
        assert!(works(seen("container", running, &["bot"]), &["bot"]));
        assert!(works(seen("external", None, &[]), &[]));
        assert!(!works(seen("container", running, &["other"]), &["bot"]));
        assert!(!works(seen("container", None, &[]), &[]));
        assert!(!works(seen("external", Some(("failing", 2)), &[]), &[]));
        assert!(!works(Seen::default(), &[]));
        let broken = seen("container", Some(("unavailable", 0)), &[]).health(&awaited(&[]));
        assert!(matches!(broken, Health::Broken(_)));
        let failing = seen("external", Some(("failing", 2)), &[]).health(&awaited(&[]));
        assert_eq!(failing, Health::Waits("it is failing, started again 2 times".to_owned()));
    }

    #[test]
    fn what_is_started_again_has_not_settled() {
        let service = awaited(&[]);
        let mut watched = Watched { awaited: &service, told: None, since: None, is_settled: false };
        let (start, grace) = (Instant::now(), Duration::from_secs(3));
        let mut at = |second: u64, state: &str, count: u64| {
            let now = start + Duration::from_secs(second);
            let news = watched.look(&seen("container", Some((state, count)), &[]), now, grace);
            (news.is_some(), watched.is_settled)
        };
        assert_eq!(at(0, "starting", 0), (true, false));
        assert_eq!(at(1, "running", 0), (true, false));
        // It was started again between two looks.
        assert_eq!(at(4, "running", 1), (false, false));
        assert_eq!(at(6, "running", 1), (false, false));
        assert_eq!(at(7, "running", 1), (true, true));
        assert_eq!(at(8, "starting", 2), (false, true));
    }

    #[test]
    fn participants_come_and_go() {
        let mut present = BTreeMap::new();
        let one =
            |id: &str, name: &str| json!({"id": id, "role": "agent", "attributes": {"name": name}});
        let mut hear = |kind: &str, message: Value| {
            let header = messaging::news("x", kind, message);
            note(&mut present, &Message::new(1, DELIVERED, header));
            present.values().cloned().collect::<Vec<_>>()
        };
        assert_eq!(hear(news::EVERYBODY, json!({"participants": [one("1", "a")]})), ["a"]);
        assert_eq!(hear(news::ENABLED, one("2", "b")), ["a", "b"]);
        assert_eq!(hear("chat", json!({"id": "1"})), ["a", "b"]);
        assert_eq!(hear(news::DISABLED, json!({"id": "1"})), ["b"]);
    }

    #[test]
    fn what_does_not_work_is_named() {
        let works = ("Service/a".to_owned(), Health::Works);
        assert!(verdict(std::slice::from_ref(&works)).is_ok());
        let waits = ("Service/b".to_owned(), Health::Waits("it is starting".to_owned()));
        let error = verdict(&[works, waits]).unwrap_err();
        assert_eq!(error.class, Class::Unhealthy);
        let told = crate::error::with_causes(&error);
        assert!(told.contains("1 of 2") && told.contains("Service/b: it is starting"), "{told}");
    }
}
