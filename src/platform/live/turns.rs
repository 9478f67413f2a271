//! Turns to change the tables of a room, or its memories. Only one changes them at a time. The turns
//! go round by participant: whoever asks for many waits for everybody else in between.
//!
//! Must not live here: what is done in a turn.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

use super::databases::late;
use crate::room::content::Refused;

/// The turns at one thing.
#[derive(Debug, Default)]
pub struct Turns {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    is_taken: bool,
    /// Who waits, in the order in which they get their turns, with their calls.
    waiting: VecDeque<(Arc<str>, VecDeque<oneshot::Sender<Turn>>)>,
}

/// A turn. It ends when it is dropped.
#[derive(Debug)]
pub struct Turn {
    /// None if the next one has it already.
    turns: Option<Arc<Turns>>,
    who: Arc<str>,
}

impl Turns {
    /// The next turn of a participant.
    ///
    /// # Errors
    ///
    /// It does not come until `end`.
    pub async fn turn(self: &Arc<Self>, who: &Arc<str>, end: Instant) -> Result<Turn, Refused> {
        let Some(told) = self.ask(who) else { return Ok(self.give(who)) };
        match timeout_at(end, told).await {
            Ok(Ok(turn)) => Ok(turn),
            _ => Err(late(
                "others change the tables or memories of this room, and your turn did not come; try again later"
                    .to_owned(),
            )),
        }
    }

    /// Takes the turn, or gets in line for it.
    fn ask(&self, who: &Arc<str>) -> Option<oneshot::Receiver<Turn>> {
        let mut state = self.state();
        if !state.is_taken {
            state.is_taken = true;
            return None;
        }
        let (tell, told) = oneshot::channel();
        match state.waiting.iter_mut().find(|(waits, _)| waits == who) {
            Some((_, calls)) => {
                // Those that have given up are not kept.
                calls.retain(|call| !call.is_closed());
                calls.push_back(tell);
            }
            None => state.waiting.push_back((Arc::clone(who), VecDeque::from([tell]))),
        }
        Some(told)
    }

    fn give(self: &Arc<Self>, who: &Arc<str>) -> Turn {
        Turn { turns: Some(Arc::clone(self)), who: Arc::clone(who) }
    }

    /// Passes the turn on, to somebody else than who had it if others wait.
    fn pass(self: &Arc<Self>, had: &Arc<str>) {
        loop {
            let mut state = self.state();
            if state.waiting.front().is_some_and(|(who, _)| who == had) {
                state.waiting.rotate_left(1);
            }
            let Some((who, mut calls)) = state.waiting.pop_front() else {
                state.is_taken = false;
                return;
            };
            let next = calls.pop_front();
            if !calls.is_empty() {
                state.waiting.push_back((Arc::clone(&who), calls));
            }
            drop(state);
            match next.map(|call| call.send(self.give(&who))) {
                Some(Ok(())) => return,
                // It has given up.
                Some(Err(mut turn)) => turn.turns = None,
                None => {}
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if let Some(turns) = self.turns.take() {
            turns.pass(&self.who);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures_util::FutureExt as _;

    use super::*;
    use crate::room::codes;

    fn names() -> [Arc<str>; 3] {
        ["eve", "bob", "ada"].map(Arc::from)
    }

    #[tokio::test(start_paused = true)]
    async fn turns_go_round_by_participant() {
        let turns = Arc::new(Turns::default());
        let [eve, bob, ada] = names();
        let end = Instant::now() + Duration::from_secs(30);
        let first = turns.turn(&eve, end).await.unwrap();
        let order = Mutex::new(Vec::new());
        let wait = async |who: &Arc<str>| {
            let turn = turns.turn(who, end).await.unwrap();
            order.lock().unwrap().push(who.to_string());
            tokio::task::yield_now().await;
            drop(turn);
        };
        let free = async { drop(first) };
        tokio::join!(wait(&eve), wait(&eve), wait(&bob), wait(&eve), wait(&ada), wait(&bob), free);
        assert_eq!(order.into_inner().unwrap(), ["bob", "ada", "eve", "bob", "eve", "eve"]);
        assert!(!turns.state().is_taken);
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_waits_too_long_is_told_and_holds_up_nobody() {
        let turns = Arc::new(Turns::default());
        let [eve, bob, ada] = names();
        let (soon, later) = (Duration::from_secs(30), Duration::from_secs(60));
        let first = turns.turn(&eve, Instant::now()).await.unwrap();
        let told = turns.turn(&bob, Instant::now() + soon).await.unwrap_err();
        assert_eq!(told.code, Some(codes::TIMEOUT));
        let mut next = Box::pin(turns.turn(&ada, Instant::now() + later));
        assert!(next.as_mut().now_or_never().is_none());
        drop(first);
        let turn = next.await.unwrap();
        // One that is given up when it has its turn already passes it on.
        let mut given_up = Box::pin(turns.turn(&bob, Instant::now() + later));
        assert!(given_up.as_mut().now_or_never().is_none());
        drop(turn);
        drop(given_up);
        turns.turn(&eve, Instant::now()).await.unwrap();
    }
}
