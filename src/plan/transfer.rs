//! Objects move from one set to another in three plans: the first set marks the objects as moving,
//! the second set takes them, and the first set forgets them. If this stops after any of the plans,
//! no set deletes what the other one owns, and the same command continues the move.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::planner::fingerprint;
use super::references::Known;
use super::{
    Effect, Entry, FieldChange, Inventory, Observed, Operation, Plan, Reason, Sent, State, Why,
};
use crate::error::Problem;
use crate::kinds::path::FieldPath;
use crate::kinds::tree::Tree;
use crate::kinds::{Key, OWNER_ANNOTATION};
use crate::listed::word;

/// A move of objects between two sets of one project.
pub struct Transfer<'a> {
    /// The set that gives, and what it owns.
    pub from: (&'a str, &'a Inventory),
    /// The set that takes, and what it owns.
    pub to: (&'a str, &'a Inventory),
    /// What was read of the platform.
    pub state: &'a State,
    /// The objects; the first set owns each of them.
    pub keys: BTreeSet<Key>,
}

impl Transfer<'_> {
    /// The plan after which the first set leaves the objects alone, even if the rest is not done.
    #[must_use]
    pub fn hold(&self) -> Plan {
        let operation = |key: &Key, entry: &Entry| {
            let told = "it is about to move to another set";
            self.record(key, Some(self.held(entry)), Reason::new(Why::Moves, told))
        };
        self.of_giver(operation)
    }

    /// The second set takes the objects over.
    ///
    /// # Errors
    ///
    /// Objects that somebody else owns, or of which it is not known whether they are there.
    pub fn take(&self) -> Result<Plan, Vec<Problem>> {
        let (to, inventory) = self.to;
        let mut problems = Vec::new();
        let mut operations = Vec::new();
        let nothing = BTreeMap::new();
        let known = Known::new(&nothing, self.state);
        for (key, entry) in self.entries() {
            if let Some(other) = entry.moving_to.as_deref().filter(|other| *other != to) {
                problems.push(self.moves_elsewhere(key, other));
                continue;
            }
            let entry = &settled(entry).but(|it| it.arrived = true);
            if let Some(doubt) = self.state.doubt(key) {
                problems.push(
                    Problem::new(format!("it is not known whether {key} exists: {}", doubt.reason))
                        .hint(doubt.hint.clone()),
                );
                continue;
            }
            let Some(observed) = self.state.objects.get(key) else {
                let told = "it is not on the platform; only the inventories change";
                let reason = Reason::new(Why::Moves, told);
                let mut operation = self.record(key, Some(entry.clone()), reason);
                operation.before = self.to.1.entries.get(key).cloned();
                operations.push(operation);
                continue;
            };
            match self.owner_change(key, observed) {
                Ok(change) => operations.push(self.adopt(key, entry, observed, change, &known)),
                Err(problem) => problems.push(problem),
            }
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        let entries = inventory.entries.iter();
        let kept = entries.filter(|(key, _)| !self.keys.contains(*key));
        Ok(self.plan(to, operations, kept))
    }

    /// Another move of the object is in progress, or was interrupted: two moves at once would leave
    /// it with two sets.
    fn moves_elsewhere(&self, key: &Key, other: &str) -> Problem {
        let from = self.from.0;
        Problem::new(format!("{key} is being moved to the set `{other}`")).hint(format!(
            "finish the move with `meshagent set move {} --set {from} --to {}`; then move it on from there",
            key.as_word(),
            word(other)
        ))
    }

    /// The first set forgets the objects that were taken, and holds the others as before.
    #[must_use]
    pub fn give(&self, taken: &BTreeSet<Key>) -> Plan {
        let operation = |key: &Key, entry: &Entry| {
            let mut operation = match taken.contains(key) {
                true => self.record(key, None, Why::OwnedElsewhere.into()),
                false => self.record(key, Some(settled(entry)), Why::Stays.into()),
            };
            // Until that is written, the set leaves the object alone.
            operation.before = Some(self.held(entry));
            operation
        };
        self.of_giver(operation)
    }

    /// What the first set knows of an object while it is being moved.
    fn held(&self, entry: &Entry) -> Entry {
        entry.clone().but(|it| it.moving_to = Some(self.to.0.to_owned()))
    }

    /// What the first set knows of the objects.
    fn entries(&self) -> impl Iterator<Item = (&Key, &Entry)> {
        self.from.1.entries.iter().filter(|(key, _)| self.keys.contains(*key))
    }

    fn of_giver(&self, operation: impl Fn(&Key, &Entry) -> Operation) -> Plan {
        let (from, inventory) = self.from;
        let operations = self.entries().map(|(key, entry)| operation(key, entry)).collect();
        let kept = inventory.entries.iter().filter(|(key, _)| !self.keys.contains(*key));
        self.plan(from, operations, kept)
    }

    fn plan<'b>(
        &self,
        set: &str,
        operations: Vec<Operation>,
        kept: impl Iterator<Item = (&'b Key, &'b Entry)>,
    ) -> Plan {
        let by_id = self.state.objects.iter().filter(|(key, _)| key.kind.is_referred_to_by_id());
        Plan {
            set: set.to_owned(),
            projects: self.state.projects.clone(),
            operations,
            kept: kept.map(|(key, entry)| (key.clone(), entry.clone())).collect(),
            emails: by_id
                .clone()
                .filter_map(|(key, observed)| Some((key.clone(), observed.email()?)))
                .collect(),
            ids: by_id
                .filter_map(|(key, observed)| Some((key.clone(), observed.id.clone()?)))
                .collect(),
            ..Plan::default()
        }
    }

    /// The mark that changes on an object; `None` where the kind carries none, or the second
    /// set's is there already.
    fn owner_change(&self, key: &Key, observed: &Observed) -> Result<Option<FieldChange>, Problem> {
        let ((from, inventory), (to, _)) = (self.from, self.to);
        match &observed.owner {
            Some(owner) if owner == to => return Ok(None),
            Some(owner) if owner != from => {
                return Err(Problem::new(format!("{key} is owned by the set `{owner}`"))
                    .hint(format!("move it from there: --set {}", word(owner))));
            }
            Some(_) => {}
            None => {
                let recorded = inventory.entries.get(key).and_then(|entry| entry.id.as_ref());
                if recorded.is_some() && observed.id.is_some() && recorded != observed.id.as_ref() {
                    return Err(Problem::new(format!(
                        "{key} was deleted and created again since the set `{from}` recorded it"
                    ))
                    .hint(format!("declare it, and take it over with --adopt {}", key.as_word())));
                }
            }
        }
        Ok(key.kind.kind().carries_owner().then(|| FieldChange {
            path: FieldPath::of(&["metadata", "annotations", OWNER_ANNOTATION]),
            old: observed.owner.clone().map(Tree::Text),
            new: Some(Tree::text(to)),
            place: None,
            cause: None,
        }))
    }

    fn adopt(
        &self,
        key: &Key,
        entry: &Entry,
        observed: &Observed,
        change: Option<FieldChange>,
        known: &Known<'_>,
    ) -> Operation {
        let told = match entry.brought.as_ref().map(|brought| brought.by(&key.project)) {
            Some(service) if self.keys.contains(&service) => {
                format!("it moves from the set `{}` with {service}, which brought it", self.from.0)
            }
            _ => format!("it moves from the set `{}`", self.from.0),
        };
        let by_id = known.by_id(key, &observed.fields);
        let sent = Sent::new(Arc::clone(&observed.fields), by_id);
        let effect = Effect::Adopt { of: observed.clone().into(), sent };
        Operation {
            changes: change.into_iter().collect(),
            fingerprint: Some(fingerprint(observed, &self.to.1.fingerprinter(key), false)),
            entry: Some(entry.clone()),
            before: self.to.1.entries.get(key).cloned(),
            ..Operation::new(key.clone(), effect, Reason::new(Why::Moves, told))
        }
    }

    /// An operation that only changes the inventory.
    fn record(&self, key: &Key, entry: Option<Entry>, reason: Reason) -> Operation {
        let effect = Effect::Record { of: None, fields: None };
        Operation {
            entry,
            before: self.from.1.entries.get(key).cloned(),
            ..Operation::new(key.clone(), effect, reason)
        }
    }
}

/// What a set knows of an object that is not being moved to another set.
fn settled(entry: &Entry) -> Entry {
    entry.clone().but(|it| it.moving_to = None)
}
