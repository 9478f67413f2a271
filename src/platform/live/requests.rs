//! What participants are asked for and have not answered yet: secrets, and sign-ins.
//!
//! Who is asked answers with a call of its own. That may come over another connection: a browser
//! that comes back from a sign-in enters anew. So an answer is taken from the identity that was
//! asked, and a request ends when nobody of that identity is in the room any more.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::Value;
use tokio::sync::oneshot;
use tokio::time::timeout;
use uuid::Uuid;

use super::calls::{refused, short};
use super::guest::Guest;
use super::room::{Room, State};
use crate::room::codes;
use crate::room::content::Refused;
use crate::room::operation::Secret;

/// What a participant is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// A secret.
    Secret,
    /// A code, for which it signs in.
    Authorization,
}

/// A request that waits for its answer.
#[derive(Debug)]
struct Pending {
    /// The id of the participant that waits.
    by: String,
    /// The identity that was asked.
    whom: String,
    what: What,
    tell: oneshot::Sender<Result<Secret, Refused>>,
}

/// The requests of a room, by their ids.
#[derive(Debug, Default)]
pub struct Requests(Mutex<HashMap<String, Pending>>);

/// A request, as long as somebody waits for its answer.
struct Waiting<'a> {
    requests: &'a Requests,
    id: String,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.requests.pending().remove(&self.id);
    }
}

impl Requests {
    fn pending(&self) -> MutexGuard<'_, HashMap<String, Pending>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends what a participant has asked for that has left; and what it was asked for, if nobody
    /// else of its identity is there. Who waits is told so.
    pub fn left(&self, guest: &Guest, is_gone: bool) {
        let stays = |it: &Pending| it.by != guest.id && !(is_gone && it.whom == guest.name);
        self.pending().retain(|_, pending| stays(pending));
    }

    /// Hands an answer to whoever waits for it.
    ///
    /// # Errors
    ///
    /// Nobody does, or the caller was not asked.
    pub fn answer(
        &self,
        caller: &Guest,
        (id, what): (&str, What),
        answer: Result<Secret, Refused>,
    ) -> Result<(), Refused> {
        let gone = || {
            let text =
                format!("nobody waits for an answer of yours to the request {:?}", short(id));
            refused(codes::NOT_FOUND, text)
        };
        let mut pending = self.pending();
        let is_meant = |it: &Pending| it.whom == caller.name && it.what == what;
        if !pending.get(id).is_some_and(is_meant) {
            return Err(gone());
        }
        let Some(one) = pending.remove(id) else { return Err(gone()) };
        drop(pending);
        one.tell.send(answer).map_err(|_| gone())
    }
}

impl Room {
    /// The participant with an id, if it can be asked for a secret.
    ///
    /// # Errors
    ///
    /// It is not there; its token does not let it answer.
    pub fn asked(&self, participant: &str) -> Result<Arc<Guest>, Refused> {
        asked(&self.state(), participant)
    }

    /// Asks a participant for something, and waits for its answer. The message is made from the
    /// id of the request.
    ///
    /// # Errors
    ///
    /// It is not there, declines, leaves, or does not answer in time.
    pub async fn request(
        &self,
        by: &Guest,
        (participant, what): (&str, What),
        patience: Duration,
        message: impl FnOnce(&str) -> (&'static str, Value),
    ) -> Result<Secret, Refused> {
        let id = Uuid::new_v4().to_string();
        let (kind, header) = message(&id);
        let letter = self.letter(kind, header);
        let (tell, told) = oneshot::channel();
        let (guest, _waiting) = {
            // Whoever leaves is no longer in the state before its requests are ended.
            let state = self.state();
            let guest = asked(&state, participant)?;
            let (by, whom) = (by.id.clone(), guest.name.clone());
            let pending = Pending { by, whom, what, tell };
            self.requests.pending().insert(id.clone(), pending);
            (guest, Waiting { requests: &self.requests, id })
        };
        let gone =
            || refused(codes::OPERATION_FAILED, "the participant left the room before it answered");
        let answered = async {
            guest.relay(&letter, self).await.map_err(|_| gone())?;
            told.await.unwrap_or_else(|_| Err(gone()))
        };
        timeout(patience, answered).await.unwrap_or_else(|_| {
            let text =
                format!("the participant did not answer within {} s", patience.as_secs_f64());
            Err(refused(codes::TIMEOUT, text))
        })
    }
}

fn asked(state: &State, participant: &str) -> Result<Arc<Guest>, Refused> {
    let present = state.present.get(participant).ok_or_else(|| {
        let text = format!("no participant with the id {:?} is in the room", short(participant));
        refused(codes::NOT_FOUND, text)
    })?;
    let answers = present.guest.scope.as_ref().is_some_and(|scope| scope.secrets.is_some());
    if !answers {
        let text = "the participant cannot answer: its token does not grant `secrets`";
        return Err(refused(codes::OPERATION_FAILED, text));
    }
    Ok(Arc::clone(&present.guest))
}
