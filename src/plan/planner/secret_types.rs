//! The types of secrets: what refers to one needs one of its type, and the platform keeps the
//! type of a secret for as long as something refers to it.

use super::Planner;
use crate::error::Problem;
use crate::kinds::path::FieldPath;
use crate::kinds::tree::Tree;
use crate::kinds::{Key, KindName, ReferredTo};
use crate::plan::order::Edge;
use crate::plan::references::Resolved;
use crate::plan::{Action, Operation};

impl Planner<'_> {
    /// What refers to a secret of the platform that the set does not declare. Those that it
    /// declares were looked at when it was read.
    pub(super) fn check_secret_types(&mut self) {
        let mut faults = Vec::new();
        for desired in self.desired.values().filter(|desired| self.is_selected(&desired.key)) {
            let key = &desired.key;
            for reference in key.kind.kind().references(&desired.fields) {
                let ReferredTo::Secret(name, used) = &reference.to else { continue };
                let Resolved::Object(secret) = self.known.secret(&key.project, name) else {
                    continue;
                };
                let observed = self.state.objects.get(&secret);
                let observed = observed.filter(|_| !self.desired.contains_key(&secret));
                let misfit = observed.and_then(|observed| used.misfit(&observed.fields));
                if let Some((what, hint)) = misfit {
                    let message = format!("{secret} on the platform {what}");
                    let problem = desired.origin.document.problem_at(&reference.path, message);
                    faults.push(problem.hint(hint));
                }
            }
        }
        self.faults.extend(faults);
        let guards: Vec<Problem> = self
            .secrets_of_new_types()
            .flat_map(|(_, secret)| {
                let stay = self.users(&secret.key).into_iter();
                stay.filter(|(_, leaves)| leaves.is_none())
                    .filter_map(|(user, _)| self.kept_type(&secret.key, &user))
            })
            .collect();
        self.guards.extend(guards);
    }

    /// What gives up a secret that gets another type does so before.
    pub(super) fn secret_type_edges(&self) -> Vec<Edge> {
        let secrets = self.secrets_of_new_types();
        let edges = secrets.flat_map(|(index, secret)| {
            let leaving = self.users(&secret.key).into_iter().filter_map(|(_, leaves)| leaves);
            leaving.map(move |leaves| (leaves, index))
        });
        edges.collect()
    }

    /// The operations that give a secret another type.
    fn secrets_of_new_types(&self) -> impl Iterator<Item = (usize, &Operation)> {
        let type_of = |fields: &Tree| fields.get("type").and_then(Tree::as_str).map(str::to_owned);
        let operations = self.operations.iter().enumerate();
        operations.filter(move |(_, operation)| {
            let is_sent = !matches!(operation.action, Action::Delete | Action::Release);
            let now = operation.work.observed.as_ref().and_then(|it| type_of(&it.fields));
            let then = operation.work.fields.as_ref().and_then(|fields| type_of(fields));
            operation.key.kind == KindName::Secret && is_sent && now.is_some() && now != then
        })
    }

    /// What refers to a secret on the platform, each with the operation after which it does
    /// no more, if there is one.
    fn users(&self, secret: &Key) -> Vec<(Key, Option<usize>)> {
        let refers = |key: &Key, fields: &Tree| {
            let found = self.known.references(key, fields);
            found.iter().any(|(_, to)| matches!(to, Resolved::Object(to) if to == secret))
        };
        let objects = self.state.objects.iter();
        let users = objects.filter(|(key, observed)| refers(key, &observed.fields));
        users
            .map(|(key, _)| {
                let mut own = self.by_key.get(key).into_iter().flatten().copied();
                let leaves = own.find(|index| {
                    let operation = &self.operations[*index];
                    match (&operation.work.fields, operation.action) {
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

    /// The refusal of a new type for a secret that something goes on to refer to.
    fn kept_type(&self, secret: &Key, user: &Key) -> Option<Problem> {
        let desired = self.desired.get(secret)?;
        let message = format!(
            "{secret} would get another type while {user} refers to it, which the platform refuses"
        );
        let problem = desired.origin.document.problem_at(&FieldPath::of(&["type"]), message);
        Some(problem.hint(format!(
            "give the secret of the new type another name, and let {user} refer to that"
        )))
    }
}
