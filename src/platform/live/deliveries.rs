//! What happens in rooms is told to the project's webhooks, with further attempts where one fails.

use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;
use serde_json::{Map, Value, json};
use tokio::sync::{Semaphore, mpsc};
use tokio::time::sleep;

use super::House;
use crate::api::post::Webhook;
use crate::error::with_causes;
use crate::notice;
use crate::platform::objects::deliveries::{Delivered, Target, record, targets};
use crate::platform::objects::stored;
use crate::platform::store::Store;

/// How many events of a room may wait to be told, and how many deliveries to be tried again.
const WAITING: usize = 1000;

/// How long a receiver may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long to wait before each further attempt.
const PAUSES: [Duration; 4] = [
    Duration::from_millis(500),
    Duration::from_secs(2),
    Duration::from_secs(10),
    Duration::from_secs(60),
];

/// Delivers. Clones share the limit.
#[derive(Debug, Clone)]
pub struct Deliveries {
    store: Arc<Store>,
    secret: Option<SecretString>,
    /// Limits what is tried again.
    again: Arc<Semaphore>,
}

/// What is told.
#[derive(Debug, Clone)]
pub struct Event {
    /// The project.
    pub project: String,
    /// What happened, such as `room.started`.
    pub kind: &'static str,
    /// An object.
    pub data: Value,
}

impl Deliveries {
    /// Delivers for the webhooks in a store; signed if there is a secret.
    pub fn new(store: Arc<Store>, secret: Option<SecretString>) -> Self {
        Self { store, secret, again: Arc::new(Semaphore::new(WAITING)) }
    }

    /// What webhooks are signed with.
    pub const fn secret(&self) -> Option<&SecretString> {
        self.secret.as_ref()
    }

    /// A way to tell the events of one room, in their order, and what delivers them. An event that
    /// is told while too many wait is left out.
    pub fn in_order(
        &self,
        house: Arc<House>,
    ) -> (mpsc::Sender<Event>, impl Future<Output = ()> + Send + use<>) {
        let (events, mut heard) = mpsc::channel::<Event>(WAITING);
        let this = self.clone();
        let delivering = async move {
            while let Some(event) = heard.recv().await {
                match targets(&this.store, &event.project, event.kind).await {
                    Ok(targets) => this.tell(&targets, &event, &house).await,
                    Err(refusal) => notice::tell("webhooks were not read", &refusal),
                }
            }
        };
        (events, delivering)
    }

    /// Tells an event to webhooks. Where that fails, it is tried again later, and what follows
    /// does not wait for that.
    async fn tell(&self, targets: &[Target], event: &Event, house: &House) {
        let first = targets.iter().map(|target| self.attempt(target, event));
        let outcomes = futures_util::future::join_all(first).await;
        for (target, problem) in targets.iter().zip(outcomes) {
            match (&problem, Arc::clone(&self.again).try_acquire_owned()) {
                (Some(_), Ok(place)) => {
                    let (this, target, event) = (self.clone(), target.clone(), event.clone());
                    house.run(async move {
                        this.try_again(target, event).await;
                        drop(place);
                    });
                }
                _ => self.record(target, event, 1, problem).await,
            }
        }
    }

    async fn try_again(self, target: Target, event: Event) {
        let (mut attempts, mut problem) = (1, None);
        for pause in PAUSES {
            sleep(pause).await;
            attempts += 1;
            problem = self.attempt(&target, &event).await;
            if problem.is_none() {
                break;
            }
        }
        self.record(&target, &event, attempts, problem).await;
    }

    /// Posts it once; what went wrong, if anything.
    async fn attempt(&self, target: &Target, event: &Event) -> Option<String> {
        let body = body(target, event);
        let secret = self.secret.as_ref();
        let webhook = Webhook { url: &target.url, body: &body, secret, patience: PATIENCE };
        webhook.post().await.err().map(|error| with_causes(&error))
    }

    async fn record(&self, target: &Target, event: &Event, attempts: i64, problem: Option<String>) {
        let (webhook, event) = (target.id.clone(), event.kind.to_owned());
        let delivered = Delivered { webhook, event, attempts, problem };
        if let Err(refusal) = record(&self.store, &delivered).await {
            notice::tell("a delivery was not recorded", &refusal);
        }
    }
}

/// What is posted. What the webhook adds cannot change what happened.
fn body(target: &Target, event: &Event) -> Value {
    let added = stored(&target.payload).unwrap_or_default();
    let mut data = added.as_object().cloned().unwrap_or_else(Map::new);
    data.extend(event.data.as_object().cloned().unwrap_or_else(Map::new));
    let mut body = json!({"event": event.kind, "data": data});
    if let Some(action) = target.action.as_ref().filter(|action| !action.is_empty()) {
        body["action"] = action.clone().into();
    }
    body
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_webhook_adds_does_not_change_what_happened() {
        let target = |action: Option<&str>, payload: &str| Target {
            id: "w".to_owned(),
            url: "http://x".to_owned(),
            action: action.map(str::to_owned),
            payload: payload.to_owned(),
            events: "[]".to_owned(),
        };
        let data = json!({"room_name": "r"});
        let event = Event { project: "p".to_owned(), kind: "room.ended", data: data.clone() };
        let plain = json!({"event": "room.ended", "data": data});
        for payload in ["null", "\"\"", "{}"] {
            assert_eq!(body(&target(None, payload), &event), plain);
            assert_eq!(body(&target(Some(""), payload), &event), plain);
        }
        let added = target(Some("go"), r#"{"room_name": "other", "k": 1}"#);
        let expected =
            json!({"event": "room.ended", "data": {"room_name": "r", "k": 1}, "action": "go"});
        assert_eq!(body(&added, &event), expected);
    }
}
