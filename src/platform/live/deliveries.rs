//! What happens in rooms is told to the project's webhooks, with further attempts where one fails.
//!
//! What is told waits in the store, and each webhook is served for itself: one that is slow or
//! fails holds up nobody else. What is told to it keeps its order, so it hears of nothing before
//! the event before that was delivered, or given up. What still waits when the process ends is
//! delivered by the next one that has the rooms. So a receiver may hear of an event twice, with the
//! same id.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use secrecy::SecretString;
use serde_json::{Map, Value, json};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tokio_util::sync::CancellationToken;

use crate::api::post::{self, Webhook};
use crate::error::with_causes;
use crate::notice;
use crate::platform::objects::deliveries::{
    Event, Outcome, Target, Waiting, awaited, note, record, target, waiting,
};
use crate::platform::objects::stored;
use crate::platform::store::Store;

/// How many events may wait for a webhook.
const MOST: usize = 10_000;

/// How long a receiver may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long to wait before each further attempt.
const PAUSES: [Duration; 4] = [
    Duration::from_millis(500),
    Duration::from_secs(2),
    Duration::from_secs(10),
    Duration::from_secs(60),
];

/// How many outcomes may wait to be recorded, for each webhook, and how long to wait before that
/// is tried again.
const RECORDED: usize = 256;
const AGAIN: Duration = Duration::from_secs(1);

/// How long it may take to end once nothing is posted any more.
const ENDING: Duration = Duration::from_millis(500);

/// How much is tried, and how long.
#[derive(Debug, Clone)]
struct Bounds {
    most: usize,
    patience: Duration,
    pauses: Vec<Duration>,
}

/// What is noted of an attempt whose answer was not waited for.
const CUT: &str = "the platform ended before the receiver had answered";

/// Delivers. Clones share everything.
#[derive(Debug, Clone)]
pub struct Deliveries(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    store: Arc<Store>,
    secret: Option<SecretString>,
    bounds: Bounds,
    /// Signals that what fails now is left to the next process.
    closing: CancellationToken,
    /// Signals that nobody waits for answers any more.
    cut: CancellationToken,
    served: Mutex<Served>,
}

/// The webhooks that something is being delivered to.
#[derive(Debug, Default)]
struct Served {
    /// By their ids; whether something was noted for it since what waits was last read.
    webhooks: HashMap<String, bool>,
    tasks: JoinSet<()>,
    is_closed: bool,
}

/// Whether to go on with the next delivery.
#[derive(Debug, PartialEq, Eq)]
enum Next {
    GoOn,
    Stop,
}

impl Deliveries {
    /// Delivers for the webhooks in a store; signed if there is a secret.
    pub fn new(store: Arc<Store>, secret: Option<SecretString>) -> Self {
        let bounds = Bounds { most: MOST, patience: PATIENCE, pauses: PAUSES.to_vec() };
        Self::within(store, secret, bounds)
    }

    fn within(store: Arc<Store>, secret: Option<SecretString>, bounds: Bounds) -> Self {
        Self(Arc::new(Shared {
            store,
            secret,
            bounds,
            closing: CancellationToken::new(),
            cut: CancellationToken::new(),
            served: Mutex::default(),
        }))
    }

    /// What webhooks are signed with.
    pub fn secret(&self) -> Option<&SecretString> {
        self.0.secret.as_ref()
    }

    fn served(&self) -> MutexGuard<'_, Served> {
        self.0.served.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells events to the webhooks of a project that want them: they are on disk, and will be
    /// delivered. What is left out because too much waits is counted for that webhook.
    pub async fn tell(&self, project: &str, events: &[Event]) {
        if events.is_empty() {
            return;
        }
        match note(&self.0.store, project, (events, self.0.bounds.most)).await {
            Ok(noted) => {
                for one in noted {
                    if one.left_out > 0 {
                        let what = format!("the webhook {:?} is too slow", one.target.name);
                        notice::tell(&what, "events are left out for it, and counted");
                    }
                    self.wake(one.target.id);
                }
            }
            Err(refusal) => notice::tell("events were not noted for webhooks", &refusal),
        }
    }

    /// Delivers what an earlier process left.
    pub async fn resume(&self) {
        match awaited(&self.0.store).await {
            Ok(webhooks) => webhooks.into_iter().for_each(|(webhook, _)| self.wake(webhook)),
            Err(refusal) => notice::tell("what waits for webhooks was not read", &refusal),
        }
    }

    /// Sees to it that what waits for a webhook is delivered.
    fn wake(&self, webhook: String) {
        let mut served = self.served();
        if served.is_closed {
            return;
        }
        let Served { webhooks, tasks, .. } = &mut *served;
        while tasks.try_join_next().is_some() {}
        match webhooks.entry(webhook) {
            Entry::Occupied(mut entry) => *entry.get_mut() = true,
            Entry::Vacant(entry) => {
                let (this, webhook) = (self.clone(), entry.key().clone());
                entry.insert(true);
                tasks.spawn(async move { this.serve(&webhook).await });
            }
        }
    }

    /// Whether to look again what waits for a webhook; if not, it is served no more.
    fn goes_on(&self, webhook: &str) -> bool {
        let mut served = self.served();
        let was_noted = served.webhooks.get_mut(webhook).is_some_and(std::mem::take);
        if !was_noted {
            served.webhooks.remove(webhook);
        }
        was_noted
    }

    /// Delivers what waits for a webhook.
    async fn serve(&self, webhook: &str) {
        while self.goes_on(webhook) {
            let (tell, told) = mpsc::channel(RECORDED);
            tokio::join!(self.deliver_all(webhook, tell), self.record_all(webhook, told));
        }
    }

    async fn deliver_all(&self, webhook: &str, tell: mpsc::Sender<Outcome>) {
        let (mut after, mut client) = (0, None);
        loop {
            let next = match waiting(&self.0.store, webhook, after).await {
                Ok(next) => next,
                Err(refusal) => {
                    return notice::tell("what waits for webhooks was not read", &refusal);
                }
            };
            if next.is_empty() {
                return;
            }
            for one in next {
                if self.deliver(webhook, &one, (&mut client, &tell)).await == Next::Stop {
                    return;
                }
                after = one.seq;
            }
        }
    }

    /// Tries a delivery until it has ended.
    async fn deliver(
        &self,
        webhook: &str,
        one: &Waiting,
        (client, tell): (&mut Option<Client>, &mpsc::Sender<Outcome>),
    ) -> Next {
        let mut attempts = one.attempts;
        loop {
            if self.0.cut.is_cancelled() {
                return Next::Stop;
            }
            // It may have been changed meanwhile.
            let target = match target(&self.0.store, webhook).await {
                Ok(Some(target)) => target,
                Ok(None) => return Next::Stop,
                Err(refusal) => {
                    notice::tell("a webhook was not read", &refusal);
                    return Next::Stop;
                }
            };
            let tried = self.0.cut.run_until_cancelled(self.attempt(&target, one, client)).await;
            // One that is cut off counts, too: otherwise a receiver that is slower than processes
            // live would get the same event for ever.
            let is_cut = tried.is_none();
            let problem = tried.unwrap_or_else(|| Some(CUT.to_owned()));
            attempts += 1;
            let pauses = &self.0.bounds.pauses;
            let number = usize::try_from(attempts).unwrap_or_default();
            let pause = problem.as_ref().and_then(|_| pauses.get(number.checked_sub(1)?));
            let next_attempt_at = pause.map(|pause| {
                let at = jiff::Timestamp::now().checked_add(*pause);
                format!("{:.6}", at.unwrap_or(jiff::Timestamp::MAX))
            });
            let outcome = Outcome { seq: one.seq, attempts, problem, next_attempt_at };
            if tell.send(outcome).await.is_err() {
                return Next::Stop;
            }
            if is_cut {
                return Next::Stop;
            }
            let Some(pause) = pause else { return Next::GoOn };
            if self.0.closing.run_until_cancelled(sleep(*pause)).await.is_none() {
                return Next::Stop;
            }
        }
    }

    /// Posts it once; what went wrong, if anything.
    async fn attempt(
        &self,
        target: &Target,
        one: &Waiting,
        client: &mut Option<Client>,
    ) -> Option<String> {
        let body = body(target, one);
        let client = match client {
            Some(client) if client.url == target.url => client,
            client => match post::client(&target.url) {
                Ok(new) => client.insert(Client { url: target.url.clone(), client: new }),
                Err(error) => return Some(with_causes(&error)),
            },
        };
        let webhook = Webhook {
            url: &target.url,
            body: &body,
            id: Some(&one.event_id),
            secret: self.0.secret.as_ref(),
            patience: self.0.bounds.patience,
        };
        webhook.post_with(&client.client).await.err().map(|error| with_causes(&error))
    }

    /// Records outcomes as they come, several at once. If that fails, they wait, and so does what
    /// is delivered next: otherwise it would be forgotten that it was.
    async fn record_all(&self, webhook: &str, mut told: mpsc::Receiver<Outcome>) {
        let mut outcomes = Vec::new();
        while told.recv_many(&mut outcomes, RECORDED).await > 0 {
            while let Err(refusal) = record(&self.0.store, webhook, &outcomes).await {
                notice::tell("a delivery was not recorded", &refusal);
                if self.0.closing.run_until_cancelled(sleep(AGAIN)).await.is_none() {
                    return;
                }
            }
            outcomes.clear();
        }
    }

    /// Delivers what can be delivered until a time, and nothing after it; how many deliveries are
    /// left to the next process.
    pub async fn close(&self, until: Instant) -> usize {
        self.0.closing.cancel();
        let mut tasks = {
            let mut served = self.served();
            served.is_closed = true;
            std::mem::take(&mut served.tasks)
        };
        let ended = async { while tasks.join_next().await.is_some() {} };
        if timeout_at(until, ended).await.is_err() {
            self.0.cut.cancel();
            let ended = async { while tasks.join_next().await.is_some() {} };
            let _ = timeout(ENDING, ended).await;
            tasks.shutdown().await;
        }
        let left = awaited(&self.0.store).await.unwrap_or_default();
        left.into_iter().filter_map(|(_, count)| usize::try_from(count).ok()).sum()
    }
}

/// A client for the URL of a webhook.
#[derive(Debug)]
struct Client {
    url: String,
    client: reqwest::Client,
}

/// What is posted. What the webhook adds cannot change what happened.
fn body(target: &Target, one: &Waiting) -> Value {
    let object = |text: &str| match stored(text) {
        Ok(Value::Object(members)) => members,
        _ => Map::new(),
    };
    let mut data = object(&target.payload);
    data.extend(object(&one.data));
    let mut body = json!({"event": one.event, "data": data});
    if let Some(action) = target.action.as_ref().filter(|action| !action.is_empty()) {
        body["action"] = action.clone().into();
    }
    body
}

#[cfg(test)]
mod tests;
