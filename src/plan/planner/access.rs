//! Whoever plans must still have access when the plan is done.

use super::Planner;
use crate::error::Problem;
use crate::kinds::Key;
use crate::plan::{Action, Operation};

impl Planner<'_> {
    /// Refuses what takes access away from whoever reads the platform for this plan. What is in a
    /// place that goes is meant to go.
    pub(super) fn check_own_access(&mut self) {
        let goes = |place: Key| {
            let operations = self.by_key.get(&place).into_iter().flatten();
            let mut operations = operations.map(|index| &self.operations[*index]);
            operations.any(|it| it.action() == Action::Delete && !it.replaces())
        };
        let takes = self.operations.iter().filter(|operation| {
            self.state.own.contains(&operation.key)
                && takes_access(operation)
                && !operation.key.place_key().is_some_and(goes)
        });
        let problems: Vec<Problem> = takes.map(|operation| self.own_access(operation)).collect();
        self.guards.extend(problems);
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
            "let somebody else run it; or keep the grant: declare it as it is, with `lifecycle: {delete: orphan}` if it is to leave the set",
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
