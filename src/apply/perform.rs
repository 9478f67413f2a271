//! One operation: read again what it was decided on, and write. What happened when the answer was
//! lost is found out in `settling`.

use std::sync::Arc;

use serde_json::Value;

use super::execute::{Outcome, Run, locked};
use super::look_up::{Lists, look_up};
use super::reading::{as_recorded, fill_untold, is_untold, leave_added};
use super::staleness::{gone, is_renamed, leave_unnamed};
use super::telling::{reason, told};
use crate::api::failure::ApiError;
use crate::api::request::{Precondition, Request};
use crate::dialect::{Lookup, Speaks, Spelling, Target};
use crate::error::Error;
use crate::kinds::fingerprint::Fingerprinter;
use crate::kinds::path::FieldPath;
use crate::kinds::tree::Tree;
use crate::kinds::{Asked, By, Key};
use crate::plan::diff::{self, Memory};
use crate::plan::planner::fingerprint;
use crate::plan::references::NamesById;
use crate::plan::{Action, Incomplete, Observed, Operation};

/// What an operation sends.
pub(super) struct Write {
    pub request: Request,
    /// The fields with ids where the wire wants ids.
    fields: Arc<Tree>,
    /// The fields that differ from what there is.
    pub changed: Vec<FieldPath>,
    /// The project's id.
    pub project: String,
    /// The id of the place, where it is known.
    pub place_id: Option<String>,
    /// The id of what the name names, where it is known.
    pub named_id: Option<String>,
}

/// A write that failed. A refusal says nothing of earlier tries whose answers were lost.
pub(super) fn failed(error: &ApiError, write: &Write, attempts: u32) -> Outcome {
    Outcome::Failed {
        message: told(reason(error), &write.fields),
        request: Some(format!("{} {}", error.method, error.path)),
        refused: error.is_refusal() && attempts <= 1,
        begun: false,
        code: error.status,
        request_id: error.request_id.clone(),
        attempts,
    }
}

/// Whether an earlier run noted that it would create the object, and not that it did.
fn is_claimed(operation: &Operation) -> bool {
    operation.before.as_ref().is_some_and(|entry| entry.applied.is_none())
}

/// What an operation's object is looked up by, under one of its names.
pub(super) fn target<'a>(key: &'a Key, operation: &'a Operation, write: &'a Write) -> Target<'a> {
    Target {
        fields: &write.fields,
        named_id: write.named_id.as_deref(),
        // What is inside of a room is known by it; others are looked up without it.
        place_id: write.place_id.as_deref().filter(|_| key.kind.kind().is_inside_rooms()),
        answered: operation.observed().and_then(Observed::sent_back),
        ..Target::looked_for(key, &write.project, operation.id())
    }
}

/// Whether an object is read once more before it is written: if the platform does not compare the
/// revisions that its lists show, and can return the object alone. What somebody may do is in lists
/// that are read once a run, and always read again: also before it is created, since a grant is
/// added to what is there.
fn must_be_seen(spelling: &dyn Spelling, operation: &Operation, write: &Write) -> bool {
    if operation.action() == Action::Create {
        return operation.key.kind.kind().is_access() && !is_claimed(operation);
    }
    // What is inside of a room that was renamed is read under the room's new name.
    let is_renamed_first =
        operation.sequel.follows_rename && !operation.key.kind.kind().is_inside_rooms();
    operation.fingerprint.is_some()
        && !is_renamed_first
        && (write.request.precondition == Precondition::None || !spelling.compares_revisions())
        && (operation.key.kind.kind().is_access()
            || matches!(
                spelling.lookup(&target(&operation.key, operation, write)),
                Some(Lookup::One(..))
            ))
}

/// Something failed before anything was sent.
pub(super) fn not_sent(message: String) -> Outcome {
    Outcome::Failed {
        message,
        request: None,
        refused: true,
        begun: false,
        code: None,
        request_id: None,
        attempts: 0,
    }
}

impl Run<'_> {
    /// Performs one operation.
    pub async fn perform(&self, operation: &Operation) -> Outcome {
        let key = &operation.key;
        if self.went_with_room(operation) {
            return Outcome::Done;
        }
        if (!key.is_project() || operation.action() != Action::Create)
            && let Err(error) = self.claim(&key.project).await
        {
            return not_sent(error.to_string());
        }
        if let Err(outcome) = self.check_owner(operation).await {
            return outcome;
        }
        let mut write = match self.write(operation) {
            Ok(Some(write)) => write,
            Ok(None) => return Outcome::Done,
            Err(message) => return not_sent(message),
        };
        if let Some(doubt) = self.doubt(operation) {
            return not_sent(format!("it was not sent, because {doubt}"));
        }
        let spelling = self.client.spelling(key.kind);
        if self.options.bound || must_be_seen(spelling, operation, &write) {
            match self.read_again(operation, &write).await {
                Ok(revision) => {
                    // What a room holds may change until the moment in which it goes.
                    let is_compared = spelling.compares_revisions() || operation.deletes_inside();
                    if let Some(revision) = revision.filter(|_| is_compared) {
                        write.request.precondition = Precondition::Revision(revision);
                    }
                }
                Err(outcome) => return outcome,
            }
        }
        if let Err(outcome) = self.check_contents(operation, &write).await {
            return outcome;
        }
        let journal = self.listeners.journal;
        if let Err(error) =
            journal.map_or(Ok(()), |journal| journal.sending(key, operation.action()))
        {
            return not_sent(error.to_string());
        }
        let mut outcome = self.send(operation, &write).await;
        if outcome == Outcome::Done {
            outcome = self.send_rest(operation, &write).await;
        }
        if let Some(journal) = journal
            && let Err(error) = journal.answered(key, operation.action())
        {
            tracing::warn!(%error, "failed to write the journal");
        }
        outcome
    }

    /// Whether an object that is deleted was inside of a room that the plan has deleted before.
    fn went_with_room(&self, operation: &Operation) -> bool {
        let key = &operation.key;
        let room = key.room_key().filter(|_| key.kind.kind().is_inside_rooms());
        let is_it =
            |it: &Operation| Some(&it.key) == room.as_ref() && it.action() == Action::Delete;
        operation.action() == Action::Delete && self.plan.operations.iter().any(is_it)
    }

    /// Sends the write, again where its answer was lost and it did not happen.
    async fn send(&self, operation: &Operation, write: &Write) -> Outcome {
        let spelling = self.client.spelling(operation.key.kind);
        let mut wait = self.options.first_wait;
        let mut attempts = 0;
        loop {
            attempts += 1;
            let error = match self.client.send(&write.request).await {
                Ok(answer) => {
                    let etag = answer.etag.clone();
                    let created = operation.action() == Action::Create;
                    let (id, answer) = match answer.json() {
                        Ok(answer) if created => (spelling.created_id(&answer), answer),
                        Ok(answer) => (None, answer),
                        // Half an answer says that it was done, and not under which id.
                        Err(_) if created && spelling.has_ids() => {
                            (self.find(operation, write).await, Value::Null)
                        }
                        Err(_) => (None, Value::Null),
                    };
                    if let Some(other) = self.made_another(operation, write, &answer) {
                        return other;
                    }
                    self.remark_on(operation, &write.request, &answer);
                    self.learn_revision(operation, etag, &answer);
                    self.learn(operation, id, &answer);
                    return Outcome::Done;
                }
                Err(error) => error,
            };
            match (operation.action(), error.status) {
                // It was there, or our own lost write has deleted it.
                (Action::Delete, Some(404)) if attempts > 1 || operation.observed().is_some() => {
                    return self.settle_gone(operation, write, &error, attempts).await;
                }
                // Our own lost write has taken it back.
                (_, Some(404)) if attempts > 1 && self.takes_back(operation, write) => {
                    return Outcome::Done;
                }
                // It changed since it was read, or our own lost write changed it.
                (_, Some(412)) => {
                    return self.settle_changed(operation, write, &error, attempts).await;
                }
                // A run that died made it, and it was to be otherwise then.
                (Action::Create, Some(409)) if operation.is_unseen && is_claimed(operation) => {
                    return self.settle_claimed(operation, write, &error).await;
                }
                // Our own lost write was there first, of this run or of one that died.
                (Action::Create, Some(409)) if attempts > 1 || is_claimed(operation) => {
                    return self.settle_existing(operation, write, &error, attempts).await;
                }
                // Either it was made just now, or its list did not show it.
                (Action::Create, Some(409))
                    if self.plan.owner().is_some()
                        && !operation.key.kind.kind().is_inside_rooms() =>
                {
                    return self.settle_hidden(operation, write, &error).await;
                }
                _ if !error.is_ambiguous() => return failed(&error, write, attempts),
                _ => {}
            }
            let is_create = operation.action() == Action::Create;
            if is_create && spelling.makes_doubles() {
                return self.settle_unknown(operation, write, &error, attempts).await;
            }
            tokio::time::sleep(wait).await;
            wait *= 2;
            if is_create {
                match self.look_up(operation, write).await {
                    Ok(Some(found)) if self.is_ours(&found, operation, write).await => {
                        self.learn_found(operation, found);
                        return Outcome::Done;
                    }
                    Ok(_) => {}
                    Err(lookup) => tracing::debug!(%lookup, "failed to look an object up"),
                }
            }
            if attempts >= self.options.attempts.max(1) {
                return failed(&error, write, attempts);
            }
        }
    }

    /// The id of an object that was just created.
    async fn find(&self, operation: &Operation, write: &Write) -> Option<String> {
        match self.look_up(operation, write).await {
            Ok(found) => found?.id,
            Err(error) => {
                tracing::warn!(%error, "failed to read {} after it was created", operation.key);
                None
            }
        }
    }

    pub(super) fn learn(&self, operation: &Operation, id: Option<String>, answer: &Value) {
        self.listeners.progress.answered(operation, id.as_deref(), answer);
        if let Some(id) = id {
            locked(&self.ids).insert(operation.key.clone(), id);
        }
        if let Some(email) = self.client.spelling(operation.key.kind).email(answer) {
            locked(&self.emails).insert(operation.key.clone(), email);
        }
    }

    /// The same of an object that was looked up.
    pub(super) fn learn_found(&self, operation: &Operation, found: Observed) {
        if let Some(email) = found.email() {
            locked(&self.emails).insert(operation.key.clone(), email);
        }
        self.learn(operation, found.id, &Value::Null);
    }

    /// Why an operation depends on a list that turned out to be incomplete, if it does.
    fn doubt(&self, operation: &Operation) -> Option<String> {
        let key = &operation.key;
        let hangs_on = |list: &&Incomplete| match operation.action() {
            Action::Create => list.may_hold(key),
            Action::Delete => list.may_hold(key) || list.may_hold_what_refers_to(key),
            _ => false,
        };
        locked(&self.incomplete).iter().find(hangs_on).map(|list| list.reason.clone())
    }

    pub(super) fn is_as_desired(&self, operation: &Operation, found: &Observed) -> bool {
        let owner = self.plan.owner().filter(|_| operation.action() != Action::Release);
        let names_us = self.plan.owner().is_none()
            || !operation.key.kind.kind().carries_owner()
            || found.owner.as_deref() == owner;
        names_us
            && !is_renamed(operation, found)
            && !self.is_hidden(operation, found)
            && self.differences(operation, found).is_empty()
    }

    /// Whether the operation changes fields that the platform does not show, so that nobody can
    /// tell whose write was the last.
    pub(super) fn is_hidden(&self, operation: &Operation, found: &Observed) -> bool {
        let changed = operation.changes.iter();
        match operation.action() {
            Action::Create => diff::has_masked(Some(&found.fields)),
            _ => changed.map(|change| &change.path).any(|path| {
                is_untold(&operation.key, path)
                    || diff::has_masked(found.fields.at(path))
                    || operation.fields().is_some_and(|sent| {
                        found.fields.at(path).is_none()
                            && sent.at(path).is_some_and(Tree::has_secrets)
                    })
            }),
        }
    }

    /// The fields in which an object differs from what the operation sends. What the
    /// platform hides is taken to be as it was sent.
    pub(super) fn differences(&self, operation: &Operation, found: &Observed) -> Vec<FieldPath> {
        let fingerprinter = Fingerprinter::new("");
        let sent = operation.fields().map(|fields| &**fields);
        let recorded = sent.map(|fields| fields.recorded(&fingerprinter));
        let memory = Memory { fingerprinter: &fingerprinter, applied: recorded.as_ref() };
        let shape = operation.key.kind.kind().shape();
        let mut fields = Arc::clone(&found.fields);
        if let Some(sent) = sent.filter(|_| !operation.key.kind.kind().untold().is_empty()) {
            fill_untold(&operation.key, Arc::make_mut(&mut fields), sent);
        }
        diff::changes(shape, Some(&fields), sent, memory)
            .into_iter()
            .map(|change| change.path)
            .collect()
    }

    /// Reads the object again. `Ok` with its revision when it is what the plan looked at.
    async fn read_again(
        &self,
        operation: &Operation,
        write: &Write,
    ) -> Result<Option<String>, Outcome> {
        let lists = operation.key.kind.kind().is_access().then_some(&self.lists);
        let found = self.look_up_in(operation, write, lists).await;
        let found = found.map_err(|error| not_sent(error.to_string()))?;
        match (&operation.fingerprint, found) {
            (None, None) => Ok(None),
            // The half of a replacement that creates runs when the other half is done.
            (None, Some(_)) => Err(Outcome::stale(format!(
                "{} exists now, but did not when the plan was made",
                operation.key
            ))),
            // A saved plan is for what was looked at; for others, what is to be gone is gone.
            (Some(_), None) if !self.options.bound && operation.action() == Action::Delete => {
                Err(Outcome::Done)
            }
            (Some(_), None) => Err(gone(operation)),
            (Some(_), Some(found)) if is_renamed(operation, &found) => {
                Err(self.stale(operation, &found))
            }
            // What it was before an earlier operation wrote to it was looked at then.
            (Some(_), Some(found)) if operation.sequel.is_second => {
                match self.differences(operation, &found).is_empty() {
                    true => Ok(found.revision),
                    false => Err(self.stale(operation, &found)),
                }
            }
            (Some(planned), Some(mut found)) => {
                let revision = found.revision.clone();
                let known = || operation.observed().and_then(|it| it.revision.clone());
                // What nobody looked at has no known revision.
                let is_unknown = operation.deletes_inside() && known().is_none();
                if operation.sequel.follows_rename || is_unknown {
                    found.revision = known();
                }
                let is_inside = operation.key.kind.kind().is_inside_rooms();
                if let Some(known) = operation.observed().filter(|_| is_inside) {
                    leave_unnamed(&operation.key, &mut found, &[&known.fields]);
                    leave_added(operation, &mut found, &known.fields);
                }
                if self.holds_other(operation, &found) {
                    return Err(self.stale(operation, &found));
                }
                let (fingerprinter, is_lost) =
                    (self.fingerprinter(operation).await, operation.deletes_inside());
                if fingerprint(&found, &fingerprinter, is_lost) == *planned {
                    self.loses_unseen(operation, &found).map_or(Ok(revision), Err)
                } else if operation.is_unseen && self.is_as_desired(operation, &found) {
                    // A run that was cut off wrote it, or somebody else did the same.
                    self.learn_found(operation, found);
                    Err(Outcome::Done)
                } else {
                    Err(self.stale(operation, &found))
                }
            }
        }
    }

    /// Makes fingerprints like those that were recorded of an object when it was read.
    pub(super) async fn fingerprinter(&self, operation: &Operation) -> Fingerprinter {
        let (key, before) = (&operation.key, operation.before.as_ref());
        match self.stored.get(&key.project) {
            Some(stored) => stored.lock().await.inventory.fingerprints.of(key, before),
            None => Fingerprinter::new(""),
        }
    }

    pub(super) async fn look_up(
        &self,
        operation: &Operation,
        write: &Write,
    ) -> Result<Option<Observed>, Error> {
        self.look_up_in(operation, write, None).await
    }

    /// The same in lists of which each is read once, where there are such.
    async fn look_up_in(
        &self,
        operation: &Operation,
        write: &Write,
        lists: Option<&Lists>,
    ) -> Result<Option<Observed>, Error> {
        let names: NamesById = {
            let (ids, emails) = (locked(&self.ids), locked(&self.emails));
            let named = ids.iter().chain(emails.iter());
            let named = named.filter(|(key, _)| key.kind.is_referred_to_by_id());
            named.map(|(key, handle)| ((key.kind, handle.clone()), key.name.clone())).collect()
        };
        // Until it is renamed, the platform knows it by its former name.
        let former = operation.former();
        let mut found = None;
        for key in former.into_iter().chain([&operation.key]) {
            let mut target = target(key, operation, write);
            // Where a policy is has been read with its room.
            if key.kind.kind().is_access() {
                target.place_id = write.place_id.as_deref();
            }
            found = look_up(&self.client.reader(), key, &target, &names, lists).await?;
            // Another object may have got the name since.
            let is_meant = |found: &Observed| match (operation.id(), &found.id) {
                (Some(id), Some(found)) => id == found,
                _ => true,
            };
            if former.is_some() {
                found = found.filter(is_meant);
            }
            if found.is_some() {
                break;
            }
        }
        let before = operation.before.as_ref();
        let applied = before.and_then(|entry| entry.applied.as_ref());
        let recorded = applied.or_else(|| before?.claimed.as_ref());
        if let (Some(found), Some(recorded)) = (&mut found, recorded) {
            as_recorded(&operation.key, found, &recorded.tree());
        }
        if let (Some(found), Some(applied)) = (&mut found, applied) {
            Arc::make_mut(&mut found.fields)
                .seal_recorded(applied, &self.fingerprinter(operation).await);
        }
        Ok(found)
    }

    /// The request that changes what an operation was to create.
    pub(super) fn changing(&self, operation: &Operation, write: &Write) -> Option<Request> {
        let asked = operation.sent().map_or(&Asked::NOTHING, |sent| &sent.asked);
        let target = Target { asked, ..target(&operation.key, operation, write) };
        self.client.spelling(operation.key.kind).update(&target)
    }

    /// What an operation sends; `None` when it only concerns the inventory.
    pub(super) fn write(&self, operation: &Operation) -> Result<Option<Write>, String> {
        let key = &operation.key;
        let spelling = self.client.spelling(key.kind);
        let ids = locked(&self.ids);
        let project = ids.get(&key.project_key()).cloned().unwrap_or_default();
        let mut fields = match (operation.fields(), operation.observed()) {
            (Some(fields), _) => Arc::clone(fields),
            (None, Some(observed)) => Arc::clone(&observed.fields),
            (None, None) => Arc::new(Tree::map([])),
        };
        let emails = locked(&self.emails);
        let place_id = key.place_key().and_then(|place| ids.get(&place).cloned());
        let mut named_id = key.named_key().and_then(|named| ids.get(&named).cloned());
        for (path, to) in operation.by_id() {
            let (handles, what) = match key.kind.refers_to(to.kind) {
                Some(By::Email) => (&*emails, "mail address"),
                _ => (&*ids, "id"),
            };
            let handle = handles.get(to);
            let handle =
                handle.ok_or_else(|| format!("the platform returned no {what} for {to}"))?;
            if *path == key.kind.kind().name_rule().path() {
                named_id = Some(handle.clone());
            } else if let Some(leaf) = Arc::make_mut(&mut fields).at_mut(path) {
                *leaf = Tree::text(handle.clone());
            }
        }
        let observed = operation.observed();
        let changed: Vec<FieldPath> =
            operation.changes.iter().map(|change| change.path.clone()).collect();
        let removed: Vec<FieldPath> = operation
            .changes
            .iter()
            .filter(|change| change.new.is_none())
            .map(|change| change.path.clone())
            .collect();
        let target = Target {
            project: &project,
            room: key.place(),
            place_id: place_id.as_deref(),
            named_id: named_id.as_deref(),
            name: &key.name,
            id: operation.id(),
            fields: &fields,
            owner: match self.plan.owner() {
                Some(_) if operation.action() == Action::Release => None,
                Some(set) => Some(set),
                // Where no set is meant, an object stays with the one that owns it.
                None => observed.and_then(|observed| observed.owner.as_deref()),
            },
            answered: observed.and_then(Observed::sent_back),
            changed: &changed,
            removed: &removed,
            asked: operation.sent().map_or(&Asked::NOTHING, |sent| &sent.asked),
        };
        let is_sent = match operation.action() {
            Action::Delete | Action::Record => false,
            Action::Adopt | Action::Release => !operation.changes.is_empty(),
            Action::Create | Action::Update | Action::Rename => true,
        };
        // Nothing plans this; what a mask stands for would be lost for good.
        let hides = |path: &FieldPath| {
            let is_in = |changed: &FieldPath| path.0.starts_with(&changed.0);
            !spelling.writes_values_apart() || changed.iter().any(is_in)
        };
        if is_sent && let Some(path) = diff::mask_in(&fields).filter(hides) {
            return Err(format!("the value of `{path}` is not known, and a mask is never sent"));
        }
        let (request, what) = match operation.action() {
            Action::Create => (spelling.create(&target), "created"),
            Action::Update | Action::Rename => (spelling.update(&target), "changed"),
            Action::Record => return Ok(None),
            Action::Adopt | Action::Release if operation.changes.is_empty() => return Ok(None),
            Action::Adopt | Action::Release => (spelling.update(&target), "changed"),
            Action::Delete => (spelling.delete(&target), "deleted"),
        };
        let cannot = || format!("a {} cannot be {what} through the platform's API", key.kind);
        let mut request = request.ok_or_else(cannot)?;
        // A rename that came before gave the object another revision.
        if let Some(revision) = observed.and_then(|observed| observed.revision.clone())
            && !operation.sequel.follows_rename
            && spelling.compares_revisions()
        {
            request.precondition = Precondition::Revision(revision);
        }
        Ok(Some(Write { request, fields, changed, project, place_id, named_id }))
    }
}
