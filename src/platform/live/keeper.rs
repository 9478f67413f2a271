//! Looks after the queues of a room: in the store, and who waits for them.
//!
//! One task for each room does everything in order. What it is asked at once, it writes with one
//! commit, and it answers after that. A message that is handed out stays in the store until it
//! was sent; if the process is killed between, it is received once more and not lost.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use serde_json::Value;
use tokio::sync::mpsc;

use super::calls::{refused, short};
use super::queues::{Asked, Delivery, Received, Told};
use crate::notice;
use crate::platform::error::{Refusal, Result as Stored};
use crate::platform::objects::tasks::{self, Run};
use crate::platform::store::{Change, Store};
use crate::room::codes;
use crate::room::content::Refused;
use crate::room::queues::{Queue, Queues, Receive, Send};

/// How many queues a room may have.
const QUEUES: usize = 10_000;

/// How much is done with one commit.
const AT_ONCE: usize = 256;

/// A queue as it is now.
#[derive(Debug, Default)]
struct State {
    is_closed: bool,
    /// The messages that can be received.
    messages: BTreeSet<i64>,
    waiting: VecDeque<Waiter>,
}

impl State {
    fn is_unused(&self) -> bool {
        let is_waited_for = self.waiting.iter().any(|waiter| !waiter.tell.is_closed());
        !self.is_closed && self.messages.is_empty() && !is_waited_for
    }
}

/// Somebody who wants a message.
#[derive(Debug)]
struct Waiter {
    tell: Told<Received>,
    /// Whether it waits until there is one.
    waits: bool,
}

/// Looks after the queues of a room.
pub struct Keeper {
    store: Arc<Store>,
    room: String,
    asked: mpsc::WeakUnboundedSender<Asked>,
    /// What is known; read from the store when it is first needed, and again after a failure.
    queues: Option<BTreeMap<String, State>>,
    /// The messages that were handed out, with their queues.
    out: BTreeMap<i64, String>,
    /// Those of them that were sent, and have to leave the store.
    sent: Vec<(String, i64)>,
}

/// What is told once the commit is on disk.
type Then = Box<dyn FnOnce(Result<(), Refused>) + std::marker::Send>;

fn then<T: std::marker::Send + 'static>(tell: Told<T>, answer: T) -> Then {
    Box::new(move |done| drop(tell.send(done.map(|()| answer))))
}

/// What one commit does.
#[derive(Default)]
struct Batch {
    write: Option<Change>,
    then: Vec<Then>,
    /// The queues that have new messages, or new receivers.
    touched: BTreeSet<String>,
}

impl Keeper {
    /// The keeper of a room's queues, which is asked what comes through `asked`.
    pub const fn new(
        store: Arc<Store>,
        room: String,
        asked: mpsc::WeakUnboundedSender<Asked>,
    ) -> Self {
        Self { store, room, asked, queues: None, out: BTreeMap::new(), sent: Vec::new() }
    }

    /// Does what it is asked, until nobody can ask any more.
    pub async fn run(mut self, mut taken: mpsc::UnboundedReceiver<Asked>) {
        let mut asked = Vec::new();
        while taken.recv_many(&mut asked, AT_ONCE).await > 0 {
            let mut batch = Batch::default();
            for one in asked.drain(..) {
                self.take(one, &mut batch).await;
            }
            self.finish(batch).await;
        }
    }

    /// Does one thing, up to the commit.
    async fn take(&mut self, asked: Asked, batch: &mut Batch) {
        match asked {
            Asked::List(tell) => {
                let listed = self.loaded().await.map(|queues| {
                    let size = |it: &State| it.messages.len() as u64;
                    let queues = queues.iter().filter(|(_, it)| !it.is_closed);
                    let queues =
                        queues.map(|(name, it)| Queue { name: name.clone(), size: size(it) });
                    Queues { queues: queues.collect() }
                });
                // What was sent before is part of it, and is not yet on disk.
                batch.tell(tell, listed);
            }
            Asked::Open(name, tell) => {
                let opened = self.open(&name, batch).await;
                batch.tell(tell, opened);
            }
            Asked::Drain(name, tell) => {
                let drained = self.drain(&name, batch).await;
                batch.tell(tell, drained);
            }
            Asked::Close(name, tell) => {
                let closed = self.close(&name, batch).await;
                batch.tell(tell, closed);
            }
            Asked::Send(message, tell) => {
                let sent = self.send(message, batch).await;
                batch.tell(tell, sent);
            }
            Asked::Run(run, tell) => {
                let ran = self.run_task(&run, batch).await;
                batch.tell(tell, ran);
            }
            Asked::Receive(asked, tell) => self.receive(asked, tell, batch).await,
            Asked::Done(name, seq) => self.sent.push((name, seq)),
            Asked::Back(name, seq) => {
                self.out.remove(&seq);
                if let Some(queues) = &mut self.queues
                    && let Some(queue) = queues.get_mut(&name)
                {
                    queue.messages.insert(seq);
                    batch.touched.insert(name);
                }
            }
        }
    }

    /// Commits, tells everybody, and hands out what arrived.
    async fn finish(&mut self, mut batch: Batch) {
        let sent = std::mem::take(&mut self.sent);
        let done = self.commit(&mut batch, &sent).await;
        match &done {
            Ok(()) => sent.iter().for_each(|(_, seq)| {
                self.out.remove(seq);
            }),
            Err(refused) => {
                notice::tell("queues of a room were not written", refused);
                // What is in the store is true; what was sent has to leave it next time.
                self.sent = sent;
                self.forget();
            }
        }
        for then in batch.then {
            then(done.clone());
        }
        if done.is_ok() {
            for name in &batch.touched {
                self.serve(name).await;
            }
        }
    }

    async fn commit(&self, batch: &mut Batch, sent: &[(String, i64)]) -> Result<(), Refused> {
        let written = async {
            if !sent.is_empty() {
                let change = batch.write(&self.store).await?;
                for (name, seq) in sent {
                    let sql =
                        "DELETE FROM queue_messages WHERE room_id = $1 AND queue = $2 AND seq = $3";
                    sqlx::query(sql)
                        .bind(&self.room)
                        .bind(name)
                        .bind(seq)
                        .execute(change.on())
                        .await?;
                }
            }
            match batch.write.take() {
                Some(change) => change.commit().await,
                None => Ok(()),
            }
        };
        written.await.map_err(|refusal: Refusal| failed(&refusal))
    }

    /// Forgets what is known, but not who waits.
    fn forget(&mut self) {
        let waiting = self.queues.take().into_iter().flatten();
        for (_, queue) in waiting {
            for waiter in queue.waiting {
                let text = "the queue could not be written; try again";
                let _ = waiter.tell.send(Err(refused(codes::OPERATION_FAILED, text)));
            }
        }
    }

    /// What is known, read from the store where it is not.
    async fn loaded(&mut self) -> Result<&mut BTreeMap<String, State>, Refused> {
        if self.queues.is_none() {
            let read = self.read().await.map_err(|refusal| failed(&refusal))?;
            self.queues = Some(read);
        }
        self.queues
            .as_mut()
            .ok_or_else(|| refused(codes::OPERATION_FAILED, "the queues are not there"))
    }

    async fn read(&self) -> Stored<BTreeMap<String, State>> {
        let reads = self.store.reads();
        let rows: Vec<(String, bool)> =
            sqlx::query_as("SELECT name, is_closed FROM queues WHERE room_id = $1")
                .bind(&self.room)
                .fetch_all(reads)
                .await?;
        let state = |is_closed| State { is_closed, ..State::default() };
        let mut queues: BTreeMap<String, State> =
            rows.into_iter().map(|(name, is_closed)| (name, state(is_closed))).collect();
        let rows: Vec<(String, i64)> =
            sqlx::query_as("SELECT queue, seq FROM queue_messages WHERE room_id = $1")
                .bind(&self.room)
                .fetch_all(reads)
                .await?;
        for (name, seq) in rows.into_iter().filter(|(_, seq)| !self.out.contains_key(seq)) {
            if let Some(queue) = queues.get_mut(&name) {
                queue.messages.insert(seq);
            }
        }
        Ok(queues)
    }

    /// A queue that is open; one that does not exist is created if that is wanted.
    async fn usable(
        &mut self,
        name: &str,
        create: bool,
        batch: &mut Batch,
    ) -> Result<&mut State, Refused> {
        let store = Arc::clone(&self.store);
        let room = self.room.clone();
        let on_their_way: BTreeSet<String> = self.out.values().cloned().collect();
        let queues = self.loaded().await?;
        match queues.get(name) {
            Some(queue) if queue.is_closed => {
                let text = format!("the queue {:?} is closed; open it first", short(name));
                return Err(refused(codes::INVALID_STATE, text));
            }
            Some(_) => {}
            None if !create => return Err(missing(name)),
            None => {
                let unused = match queues.len() < QUEUES {
                    true => None,
                    false => Some(place(queues, &on_their_way)?),
                };
                let created = async {
                    let change = batch.write(&store).await?;
                    if let Some(unused) = &unused {
                        sqlx::query("DELETE FROM queues WHERE room_id = $1 AND name = $2")
                            .bind(&room)
                            .bind(unused)
                            .execute(change.on())
                            .await?;
                    }
                    sqlx::query(
                        "INSERT INTO queues (room_id, name, is_closed) VALUES ($1, $2, FALSE)",
                    )
                    .bind(&room)
                    .bind(name)
                    .execute(change.on())
                    .await?;
                    Ok(())
                };
                created.await.map_err(|refusal: Refusal| failed(&refusal))?;
                if let Some(unused) = unused {
                    queues.remove(&unused);
                }
            }
        }
        Ok(queues.entry(name.to_owned()).or_default())
    }

    async fn open(&mut self, name: &str, batch: &mut Batch) -> Result<(), Refused> {
        let (store, room) = (Arc::clone(&self.store), self.room.clone());
        match self.loaded().await?.get_mut(name) {
            Some(queue) if queue.is_closed => {
                let opened = set_closed(batch, &store, (&room, name), false).await;
                opened.map_err(|refusal| failed(&refusal))?;
                queue.is_closed = false;
                Ok(())
            }
            Some(_) => Err(refused(
                codes::QUEUE_EXISTS,
                format!("the queue {:?} is already open", short(name)),
            )),
            None => self.usable(name, true, batch).await.map(|_| ()),
        }
    }

    async fn close(&mut self, name: &str, batch: &mut Batch) -> Result<(), Refused> {
        let (store, room) = (Arc::clone(&self.store), self.room.clone());
        let queue = self.usable(name, false, batch).await?;
        let closed = set_closed(batch, &store, (&room, name), true).await;
        closed.map_err(|refusal| failed(&refusal))?;
        queue.is_closed = true;
        let waiting = std::mem::take(&mut queue.waiting);
        let text = format!("the queue {:?} was closed", short(name));
        for waiter in waiting {
            let text = text.clone();
            batch.then.push(Box::new(move |_| {
                let _ = waiter.tell.send(Err(refused(codes::INVALID_STATE, text)));
            }));
        }
        Ok(())
    }

    async fn drain(&mut self, name: &str, batch: &mut Batch) -> Result<(), Refused> {
        let (store, room) = (Arc::clone(&self.store), self.room.clone());
        let out: Vec<i64> = self.out.keys().copied().collect();
        let out = serde_json::to_string(&out).map_err(|error| failed(&error.into()))?;
        let queues = self.loaded().await?;
        let queue = queues.get_mut(name).ok_or_else(|| missing(name))?;
        let drained = async {
            let change = batch.write(&store).await?;
            // What was handed out is on its way.
            sqlx::query(
                "DELETE FROM queue_messages WHERE room_id = $1 AND queue = $2 \
                 AND seq NOT IN (SELECT value FROM json_each($3))",
            )
            .bind(&room)
            .bind(name)
            .bind(out)
            .execute(change.on())
            .await?;
            Ok(())
        };
        drained.await.map_err(|refusal: Refusal| failed(&refusal))?;
        queue.messages.clear();
        Ok(())
    }

    async fn send(&mut self, message: Send, batch: &mut Batch) -> Result<(), Refused> {
        let (store, room) = (Arc::clone(&self.store), self.room.clone());
        let Send { name, create, message } = message;
        let queue = self.usable(&name, create, batch).await?;
        let sent = async {
            let change = batch.write(&store).await?;
            let seq = change.revision().await?;
            sqlx::query(
                "INSERT INTO queue_messages (room_id, queue, seq, message) VALUES ($1, $2, $3, $4)",
            )
            .bind(&room)
            .bind(&name)
            .bind(seq)
            .bind(message.to_string())
            .execute(change.on())
            .await?;
            Ok(seq)
        };
        let seq = sent.await.map_err(|refusal: Refusal| failed(&refusal))?;
        queue.messages.insert(seq);
        batch.touched.insert(name);
        Ok(())
    }

    async fn run_task(&mut self, run: &Run, batch: &mut Batch) -> Result<bool, Refused> {
        let (store, room) = (Arc::clone(&self.store), self.room.clone());
        let queue = self.usable(&run.task.queue, true, batch).await?;
        let ran = async { tasks::run(batch.write(&store).await?, (&room, run)).await };
        let sent = ran.await.map_err(|refusal: Refusal| failed(&refusal))?;
        if let Some(seq) = sent {
            queue.messages.insert(seq);
            batch.touched.insert(run.task.queue.clone());
        }
        Ok(sent.is_some())
    }

    async fn receive(&mut self, asked: Receive, tell: Told<Received>, batch: &mut Batch) {
        match self.usable(&asked.name, asked.create, batch).await {
            Ok(queue) => {
                queue.waiting.push_back(Waiter { tell, waits: asked.wait });
                batch.touched.insert(asked.name);
            }
            Err(refused) => batch.tell(tell, Err(refused)),
        }
    }

    /// Hands out what there is, and tells those who do not wait that there is no more.
    async fn serve(&mut self, name: &str) {
        self.hand_out(name).await;
        let queue = self.queues.as_mut().and_then(|queues| queues.get_mut(name));
        let Some(queue) = queue else { return };
        for waiter in std::mem::take(&mut queue.waiting) {
            match waiter.waits {
                true => queue.waiting.push_back(waiter),
                false => drop(waiter.tell.send(Ok(None))),
            }
        }
    }

    /// Gives the oldest messages to those who have waited longest.
    async fn hand_out(&mut self, name: &str) {
        let Some(asked) = self.asked.upgrade() else { return };
        while let Some(queue) = self.queues.as_mut().and_then(|queues| queues.get_mut(name)) {
            queue.waiting.retain(|waiter| !waiter.tell.is_closed());
            if queue.is_closed || queue.waiting.is_empty() {
                return;
            }
            let Some(seq) = queue.messages.pop_first() else { return };
            self.out.insert(seq, name.to_owned());
            let message: Result<Option<String>, sqlx::Error> = sqlx::query_scalar(
                "SELECT message FROM queue_messages WHERE room_id = $1 AND queue = $2 AND seq = $3",
            )
            .bind(&self.room)
            .bind(name)
            .bind(seq)
            .fetch_optional(self.store.reads())
            .await;
            let Some(queue) = self.queues.as_mut().and_then(|queues| queues.get_mut(name)) else {
                return;
            };
            let message = match message {
                Ok(Some(message)) => {
                    serde_json::from_str(&message).unwrap_or(Value::String(message))
                }
                // Somebody removed it from the store.
                Ok(None) => {
                    self.out.remove(&seq);
                    continue;
                }
                Err(error) => {
                    notice::tell("a message of a queue could not be read", &error);
                    self.out.remove(&seq);
                    queue.messages.insert(seq);
                    if let Some(waiter) = queue.waiting.pop_front() {
                        let _ = waiter.tell.send(Err(failed(&error.into())));
                    }
                    return;
                }
            };
            let delivery = Delivery::of(name.to_owned(), seq, asked.clone());
            if let Some(waiter) = queue.waiting.pop_front() {
                // A receiver that has gone drops it, which gives it back.
                let _ = waiter.tell.send(Ok(Some((message, delivery))));
            }
        }
    }
}

impl Batch {
    async fn write(&mut self, store: &Store) -> Stored<&mut Change> {
        if self.write.is_none() {
            self.write = Some(store.write().await?.without_condition());
        }
        self.write.as_mut().ok_or_else(|| Refusal::internal("no write has begun"))
    }

    fn tell<T: std::marker::Send + 'static>(&mut self, tell: Told<T>, done: Result<T, Refused>) {
        match done {
            Ok(answer) => self.then.push(then(tell, answer)),
            Err(refused) => drop(tell.send(Err(refused))),
        }
    }
}

/// The queue that makes place for another one: it holds nothing, nobody waits for it, and nothing of
/// it is on its way. It is as good as none.
///
/// # Errors
///
/// All are in use.
fn place(
    queues: &BTreeMap<String, State>,
    on_their_way: &BTreeSet<String>,
) -> Result<String, Refused> {
    let is_unused =
        |name: &String, queue: &State| queue.is_unused() && !on_their_way.contains(name);
    let unused = queues.iter().find(|(name, queue)| is_unused(name, queue));
    unused
        .map(|(name, _)| name.clone())
        .ok_or_else(|| Refused::invalid(format!("a room has {QUEUES} queues at most")))
}

async fn set_closed(
    batch: &mut Batch,
    store: &Store,
    (room, name): (&str, &str),
    is_closed: bool,
) -> Stored<()> {
    let change = batch.write(store).await?;
    sqlx::query("UPDATE queues SET is_closed = $3 WHERE room_id = $1 AND name = $2")
        .bind(room)
        .bind(name)
        .bind(is_closed)
        .execute(change.on())
        .await?;
    Ok(())
}

fn missing(name: &str) -> Refused {
    refused(codes::QUEUE_NOT_FOUND, format!("there is no queue {:?}", short(name)))
}

fn failed(refusal: &Refusal) -> Refused {
    refused(codes::OPERATION_FAILED, refusal.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_that_nobody_needs_makes_place() {
        let queue = |is_closed, seq: Option<i64>| State {
            is_closed,
            messages: seq.into_iter().collect(),
            waiting: VecDeque::new(),
        };
        let mut queues = BTreeMap::from([
            ("closed".to_owned(), queue(true, None)),
            ("full".to_owned(), queue(false, Some(1))),
        ]);
        assert_eq!(
            place(&queues, &BTreeSet::new()).unwrap_err().code,
            Some(codes::INVALID_REQUEST)
        );
        queues.insert("unused".to_owned(), queue(false, None));
        assert_eq!(place(&queues, &BTreeSet::new()).unwrap(), "unused");
        // What is on its way may come back to it.
        assert!(place(&queues, &BTreeSet::from(["unused".to_owned()])).is_err());
    }
}
