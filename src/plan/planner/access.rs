//! Whoever plans must still have access when the plan is done.

use super::Planner;
use crate::error::Problem;
use crate::kinds::Key;
use crate::kinds::path::FieldPath;
use crate::plan::{Action, Effect, Operation, Reason, Why};

impl Planner<'_> {
    /// Refuses what takes access away from whoever reads the platform for this plan. What is in a
    /// place that goes is meant to go. Projects stay, and with one that leaves the set its access
    /// stays as well.
    pub(super) fn check_own_access(&mut self) {
        let mut problems = Vec::new();
        let mut left = Vec::new();
        for (index, operation) in self.operations.iter().enumerate() {
            let key = &operation.key;
            // Whoever is an admin of the project has every room of it, and a plan that takes that away
            // is refused for it.
            let has_more = key.room.is_some() && self.state.own_admin_in.contains(&key.project);
            let goes = || key.place_key().is_some_and(|key| self.goes(&key));
            if !self.state.own.contains(key) || has_more || goes() {
                continue;
            }
            let is_new = || self.state.projects.get(&key.project).is_none_or(|it| it.id.is_none());
            match operation.action() {
                Action::Delete if self.is_released(&key.project_key()) => left.push(index),
                Action::Create if is_new() => problems.extend(self.given_to_maker(key)),
                _ if takes_access(operation) => problems.push(self.own_access(operation)),
                _ => {}
            }
        }
        self.guards.extend(problems);
        for index in left {
            let operation = &mut self.operations[index];
            let of = operation.observed().cloned().map(Box::new);
            operation.effect = Effect::Release { of, by_id: Vec::new() };
            operation.reason = Reason::new(
                Why::Destroyed,
                "it is the access of whoever runs this plan, and stays with its project",
            );
        }
    }

    /// Whether an object is deleted for good.
    fn goes(&self, key: &Key) -> bool {
        let operations = self.by_key.get(key).into_iter().flatten();
        let mut operations = operations.map(|index| &self.operations[*index]);
        operations.any(|it| it.action() == Action::Delete && !it.replaces())
    }

    /// Whether an object stays on the platform and leaves the set.
    fn is_released(&self, key: &Key) -> bool {
        let mut operations = self.by_key.get(key).into_iter().flatten();
        operations.any(|index| self.operations[*index].action() == Action::Release)
    }

    /// What says the access of whoever makes a project is there as soon as the project is.
    fn given_to_maker(&self, key: &Key) -> Option<Problem> {
        let told = format!(
            "{key} cannot be made in a project that this plan makes: whoever makes a project has roles in it from then on"
        );
        let origin = &self.desired.get(key)?.origin;
        let problem = origin.problem_at(&FieldPath::of(&["metadata", "name"]), told);
        Some(problem.hint(format!(
            "remove its document; or apply the project first, and take it over then with --adopt {}",
            key.as_word()
        )))
    }

    fn own_access(&self, operation: &Operation) -> Problem {
        let key = &operation.key;
        let what = if operation.action() == Action::Delete { "deleted" } else { "reduced" };
        let told = format!("{key} would be {what}, and it is the access of whoever runs this plan");
        let problem = match self.desired.get(key) {
            Some(desired) => {
                let change = operation.changes.first().map(|change| change.path.clone());
                desired.origin.problem_at(&change.unwrap_or_default(), told)
            }
            None => Problem::new(told),
        };
        problem.hint(
            "let somebody else run it; or keep it: declare it as it is, with `lifecycle: {delete: orphan}` if it is to leave the set",
        )
    }
}

fn takes_access(operation: &Operation) -> bool {
    let Some(observed) = operation.observed() else { return false };
    let after = match operation.action() {
        Action::Delete => None,
        Action::Update | Action::Adopt | Action::Rename => operation.fields().map(|it| &**it),
        Action::Create | Action::Release | Action::Record => return false,
    };
    operation.key.kind.kind().takes_access(&operation.key, &observed.fields, after)
}
