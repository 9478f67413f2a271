//! What refers to what: references that must hold when the plan is done, and the order that
//! follows from them.

use std::collections::BTreeSet;

use super::{Ownership, Planner};
use crate::error::Problem;
use crate::kinds::path::FieldPath;
use crate::kinds::tree::Tree;
use crate::kinds::{Key, KindName};
use crate::plan::Action;
use crate::plan::order::Edge;
use crate::plan::references::Resolved;

impl Planner<'_> {
    /// The declared objects that refer to an object.
    pub(super) fn dependents(&self, key: &Key) -> Vec<String> {
        self.desired
            .values()
            .filter(|other| {
                self.known.references(&other.key, &other.fields).iter().any(|(_, to)| match to {
                    Resolved::Object(found) => found == key,
                    _ => false,
                })
            })
            .map(|other| other.key.to_string())
            .collect()
    }

    /// The objects that will be gone when the plan is done.
    fn deleted(&self) -> BTreeSet<&Key> {
        self.operations
            .iter()
            .filter(|operation| operation.action == Action::Delete && !operation.replaces)
            .map(|operation| &operation.key)
            .collect()
    }

    /// Every reference of a document must lead to something that stays.
    pub(super) fn check_references(&mut self) {
        let deleted = self.deleted();
        let mut faults = Vec::new();
        for desired in self.desired.values() {
            for (path, resolved) in self.known.references(&desired.key, &desired.fields) {
                let at = |message: String| {
                    let path = path.clone().unwrap_or_else(|| FieldPath::of(&["room"]));
                    desired.origin.document.problem_at(&path, message)
                };
                match resolved {
                    Resolved::Missing(message) => faults.push(at(message)),
                    Resolved::Object(to) if deleted.contains(&to) => {
                        faults.push(at(format!(
                            "{to} is deleted by this plan, and {} refers to it",
                            desired.key
                        )));
                    }
                    _ => {}
                }
            }
        }
        self.faults.extend(faults);
    }

    /// A room takes with it what is in it, so nothing may refer to what is deleted that
    /// stays as it is: what is somebody else's, and what is released.
    pub(super) fn check_deleted(&mut self) {
        let deleted = self.deleted();
        let mut guards = Vec::new();
        for (key, observed) in &self.state.objects {
            // What is declared may be turned to something else; that is checked with the
            // references of documents.
            if deleted.contains(key) || self.desired.contains_key(key) {
                continue;
            }
            for (_, resolved) in self.known.references(key, &observed.fields) {
                let Resolved::Object(to) = resolved else { continue };
                if !deleted.contains(&to) {
                    continue;
                }
                let is_ours = matches!(self.ownership(key, observed), Ownership::Ours);
                let why = match key.room.is_some() && to.kind == KindName::Room {
                    _ if is_ours => format!("{key} refers to it and stays"),
                    true => format!("{key} in it is not owned by the set"),
                    false => format!("{key}, which is not owned by the set, refers to it"),
                };
                guards.push(
                    Problem::new(format!("{to} would be deleted, and {why}"))
                        .hint(format!("delete or move {key} first")),
                );
            }
        }
        self.guards.extend(guards);
    }

    /// Which operation waits for which.
    pub(super) fn edges(&self) -> Vec<Edge> {
        let mut edges = Vec::new();
        for (index, operation) in self.operations.iter().enumerate() {
            // A replacement deletes first.
            if operation.replaces && operation.action == Action::Create {
                let halves = &self.by_key[&operation.key];
                edges.extend(
                    halves.iter().filter(|half| **half != index).map(|half| (*half, index)),
                );
            }
            // What an object will refer to must be there before it.
            if let Some(fields) = &operation.work.fields {
                for to in self.targets(&operation.key, fields) {
                    for before in self.by_key.get(&to).into_iter().flatten() {
                        let before_it = &self.operations[*before];
                        // Of several that publish a port, one may go.
                        let goes = before_it.action == Action::Delete && !before_it.replaces;
                        if before_it.action != Action::Release && !goes {
                            edges.push((*before, index));
                        }
                    }
                }
            }
            // What an object refers to now goes away after it.
            if let Some(observed) = &operation.work.observed {
                for to in self.targets(&operation.key, &observed.fields) {
                    for after in self.by_key.get(&to).into_iter().flatten() {
                        // What keeps referring to a replaced object waits for its new half.
                        let stays =
                            self.operations[*after].replaces && operation.action != Action::Delete;
                        if self.operations[*after].action == Action::Delete && !stays {
                            edges.push((index, *after));
                        }
                    }
                }
            }
        }
        edges
    }

    fn targets(&self, key: &Key, fields: &Tree) -> Vec<Key> {
        self.known
            .references(key, fields)
            .into_iter()
            .flat_map(|(_, resolved)| match resolved {
                Resolved::Object(key) => vec![key],
                Resolved::Any(keys) => keys,
                Resolved::Missing(_) => Vec::new(),
            })
            .collect()
    }
}
