//! Objects in use: a reference needs an object that serves its purpose, and some fields cannot
//! change while something refers to their object.

use super::Planner;
use crate::error::Problem;
use crate::kinds::path::FieldPath;
use crate::kinds::tree::Tree;
use crate::kinds::{Key, ReferredTo};
use crate::plan::order::Edge;
use crate::plan::references::Resolved;
use crate::plan::{Action, Operation};

impl Planner<'_> {
    /// Checks references to objects of the platform that the set does not declare. References to
    /// declared objects were checked when the set was read.
    pub(super) fn check_what_is_in_use(&mut self) {
        let mut faults = Vec::new();
        for desired in self.desired.values().filter(|desired| self.is_selected(&desired.key)) {
            let key = &desired.key;
            for reference in key.kind.kind().references(&desired.fields) {
                let ReferredTo::Object { kind, name, purpose } = &reference.to else { continue };
                let used = self.known.resolve(Key::of(*kind, &key.project, name));
                let Resolved::Object(used) = used else { continue };
                let observed = self.state.objects.get(&used);
                let observed = observed.filter(|_| !self.desired.contains_key(&used));
                let misfit = observed.and_then(|it| kind.kind().misfit(*purpose, &it.fields));
                if let Some(misfit) = misfit {
                    let message = format!("{used} on the platform {}", misfit.what);
                    let problem = desired.origin.problem_at(&reference.path, message);
                    faults.push(problem.hint(misfit.hint));
                }
            }
        }
        self.faults.extend(faults);
        let mut guards = Vec::new();
        for (_, operation, field) in self.changed_in_use() {
            let users = self.users(&operation.key);
            let stay = users.iter().filter(|(_, leaves)| leaves.is_none());
            guards.extend(stay.filter_map(|(user, _)| self.kept((&operation.key, field), user)));
        }
        self.guards.extend(guards);
    }

    /// Operations that stop using an object come before such a change.
    pub(super) fn in_use_edges(&self) -> Vec<Edge> {
        let edges = self.changed_in_use().flat_map(|(index, operation, _)| {
            let leaving = self.users(&operation.key).into_iter().filter_map(|(_, leaves)| leaves);
            leaving.map(move |leaves| (leaves, index))
        });
        edges.collect()
    }

    /// The operations that change a field which cannot change while its object is in use, with that
    /// field.
    fn changed_in_use(&self) -> impl Iterator<Item = (usize, &Operation, &'static str)> {
        let operations = self.operations.iter().enumerate().filter(|(_, operation)| {
            !matches!(operation.action(), Action::Delete | Action::Release)
        });
        operations.filter_map(|(index, operation)| {
            let now = &operation.observed()?.fields;
            let then = operation.fields();
            let mut kept = operation.key.kind.kind().kept_in_use().iter();
            let changed = kept.find(|field| {
                now.get(field).is_some() && then.and_then(|it| it.get(field)) != now.get(field)
            })?;
            Some((index, operation, *changed))
        })
    }

    /// The objects that refer to an object on the platform, each with the operation that ends the
    /// reference, if there is one.
    fn users(&self, used: &Key) -> Vec<(Key, Option<usize>)> {
        let refers = |key: &Key, fields: &Tree| {
            let found = self.known.references(key, fields);
            found.iter().any(|(_, to)| matches!(to, Resolved::Object(to) if to == used))
        };
        let objects = self.state.objects.iter();
        let users = objects.filter(|(key, observed)| refers(key, &observed.fields));
        users
            .map(|(key, _)| {
                let mut own = self.by_key.get(key).into_iter().flatten().copied();
                let leaves = own.find(|index| {
                    let operation = &self.operations[*index];
                    match (operation.fields(), operation.action()) {
                        (_, Action::Delete) => true,
                        (Some(fields), Action::Update | Action::Rename | Action::Adopt) => {
                            !refers(key, fields)
                        }
                        _ => false,
                    }
                });
                (key.clone(), leaves)
            })
            .collect()
    }

    /// The refusal to change a field of an object that is still referred to.
    fn kept(&self, (used, field): (&Key, &str), user: &Key) -> Option<Problem> {
        let desired = self.desired.get(used)?;
        let message = format!(
            "the platform refuses to change the {field} of {used} while {user} refers to it"
        );
        let problem = desired.origin.problem_at(&FieldPath::of(&[field]), message);
        let kind = used.kind.in_words();
        Some(problem.hint(format!(
            "declare a {kind} with the new {field} under another name, and refer to that one in {user}"
        )))
    }
}
