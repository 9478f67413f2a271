//! Whether what the set declares works: services run without being started again and again, and the
//! participants that they bring along are in the room.
//!
//! For that a room is entered, which starts it. A plan never does.

use std::time::Duration;

use serde_json::Value;

use super::decide::Decision;
use crate::error::{Class, Error, Result};
use crate::kinds::{Key, KindName};
use crate::listed::few;
use crate::manifest::set::Desired;
use crate::plan::planner::{Policy, selected};

mod seen;
mod watch;

pub use watch::watch;

/// A service that has to work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Awaited {
    /// The service.
    pub key: Key,
    /// The names of the participants that it brings along: its agents, and whom its endpoints
    /// call.
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

/// The services that a set declares and a plan with this policy is for, whether the plan changes
/// them or not: what did not work after an earlier run need not work now.
#[must_use]
pub fn awaited(decision: &Decision, policy: &Policy) -> Vec<Awaited> {
    let (desired, state) = (&decision.basis.desired, &decision.basis.state);
    let selected = selected(desired, state, policy);
    let is_selected = |key: &Key| selected.as_ref().is_none_or(|it| it.contains(key));
    let services = desired.iter().filter(|(key, _)| key.kind == KindName::Service);
    services.filter(|(key, _)| is_selected(key)).map(|(_, desired)| of(desired)).collect()
}

fn of(desired: &Desired) -> Awaited {
    let fields = desired.fields.redacted();
    let list = |of: &Value, name: &str| of[name].as_array().cloned().unwrap_or_default();
    let endpoints = list(&fields, "ports").into_iter().flat_map(|port| list(&port, "endpoints"));
    let identities = endpoints.map(|endpoint| endpoint["meshagent"]["identity"].clone());
    let agents = list(&fields, "agents").into_iter().map(|agent| agent["name"].clone());
    let names = agents.chain(identities).filter_map(|name| name.as_str().map(str::to_owned));
    let mut agents: Vec<String> = names.collect();
    agents.sort();
    agents.dedup();
    Awaited { key: desired.key.clone(), agents }
}

/// Whether everything works, and if not, what does not; also whether that was looked at to the
/// end, or somebody stopped it.
///
/// # Errors
///
/// [`Class::Unhealthy`], naming it.
pub fn verdict(outcomes: &[(String, Health)], is_stopped: bool) -> Result<()> {
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
    let what = match (count, is_stopped) {
        (1, true) if total == 1 => {
            "the wait was stopped before the service was seen to work".to_owned()
        }
        (_, true) => {
            let were = if count == 1 { "was" } else { "were" };
            format!("the wait was stopped before {count} of {total} services {were} seen to work")
        }
        (1, _) if total == 1 => "the service does not work".to_owned(),
        (1, _) => format!("1 of {total} services does not work"),
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
    use std::collections::BTreeMap;

    use serde_json::json;
    use tokio::time::Instant;

    use super::seen::{Seen, note};
    use super::watch::Watched;
    use super::*;
    use crate::room::message::Message;
    use crate::room::messaging::{self, DELIVERED, news};
    use crate::room::services::{Services, State};

    fn awaited(agents: &[&str]) -> Awaited {
        let key = Key::new(KindName::Service, "p", Some("r".to_owned()), "s");
        Awaited { key, agents: agents.iter().map(|name| (*name).to_owned()).collect() }
    }

    impl Seen {
        /// Changes what the room tells of the service.
        fn tell(&mut self, change: impl FnOnce(&mut State)) {
            change(self.services.get_mut("s").unwrap().1.as_mut().unwrap());
        }
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
        let mut unequipped = seen("container", Some(("unavailable", 0)), &[]);
        unequipped.tell(|state| state.message = Some("there is no engine".to_owned()));
        let why = "the platform cannot run it: there is no engine".to_owned();
        assert_eq!(unequipped.health(&awaited(&[])), Health::Broken(why));
        let failing = seen("external", Some(("failing", 2)), &[]).health(&awaited(&[]));
        assert_eq!(failing, Health::Waits("it is failing, started again 2 times".to_owned()));
    }

    #[test]
    fn what_the_platform_tells_of_participants_counts_more_than_what_is_seen() {
        let told = |absent: &[&str]| {
            let mut seen = seen("external", Some(("running", 0)), &["seen"]);
            seen.tell(|state| {
                state.absent = Some(absent.iter().map(ToString::to_string).collect())
            });
            seen
        };
        assert_eq!(told(&[]).health(&awaited(&["bot"])), Health::Works);
        let absent = told(&["seen"]).health(&awaited(&["seen"]));
        assert_eq!(absent, Health::Waits("its agent \"seen\" has not joined the room".to_owned()));
        let mut failing = seen("external", Some(("failing", 1)), &[]);
        failing.tell(|state| state.message = Some("it is full".to_owned()));
        let why = "it is failing, started again once: it is full".to_owned();
        assert_eq!(failing.health(&awaited(&[])), Health::Waits(why));
    }

    #[test]
    fn what_starts_when_it_is_asked_for_only_has_to_be_listed() {
        let spec = json!({
            "version": "v1", "kind": "Service", "id": "i", "metadata": {"name": "s"},
            "container": {"image": "x", "on_demand": true},
        });
        let told = Services { services_json: vec![spec.to_string()], service_states: Vec::new() };
        let seen = Seen::of(told, std::collections::BTreeSet::new());
        assert_eq!(seen.health(&awaited(&["bot"])), Health::Works);
        assert_ne!(Seen::default().health(&awaited(&[])), Health::Works);
    }

    #[test]
    fn a_wait_that_was_stopped_says_so() {
        let waits = ("Service/b".to_owned(), Health::Waits("it is starting".to_owned()));
        let works = ("Service/a".to_owned(), Health::Works);
        let told = |outcomes: &[(String, Health)]| verdict(outcomes, true).unwrap_err().message;
        let one =
            "everything was applied, but the wait was stopped before the service was seen to work";
        assert_eq!(told(std::slice::from_ref(&waits)), one);
        let more = "everything was applied, but the wait was stopped before 1 of 2 services was seen to work";
        assert_eq!(told(&[works.clone(), waits]), more);
        // There was nothing left to wait for.
        assert!(verdict(&[works], true).is_ok());
    }

    #[test]
    fn what_is_started_again_has_not_settled() {
        let service = awaited(&[]);
        let mut watched = Watched::new(&service);
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
    fn a_room_that_has_just_started_may_take_a_look_to_know_its_services() {
        let service = awaited(&[]);
        let mut watched = Watched::new(&service);
        let now = Instant::now();
        let mut look = |seen: Seen| watched.look(&seen, now, Duration::ZERO);
        assert_eq!(look(Seen::default()), None);
        assert!(matches!(look(seen("container", None, &[])), Some(Health::Waits(_))));
        assert_eq!(look(seen("container", Some(("running", 0)), &[])), Some(Health::Works));
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
        assert!(verdict(std::slice::from_ref(&works), false).is_ok());
        let waits = ("Service/b".to_owned(), Health::Waits("it is starting".to_owned()));
        let error = verdict(&[works, waits], false).unwrap_err();
        assert_eq!(error.class, Class::Unhealthy);
        let told = crate::error::with_causes(&error);
        assert!(told.contains("1 of 2") && told.contains("Service/b: it is starting"), "{told}");
    }
}
