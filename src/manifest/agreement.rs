//! *Pure*: checks that the documents of a set agree about each other.

use super::set::Set;
use crate::error::Problem;
use crate::kinds::{Key, ReferredTo};

/// References to objects of the set that do not serve their purpose there.
pub(super) fn purposes(set: &Set) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (key, desired) in &set.objects {
        for reference in key.kind.kind().references(&desired.fields) {
            let ReferredTo::Object { kind, name, purpose } = &reference.to else { continue };
            let used = Key::of(*kind, &key.project, name);
            let Some(declared) = set.objects.get(&used) else { continue };
            if let Some(misfit) = kind.kind().misfit(*purpose, &declared.fields) {
                let place = declared.origin.place();
                let message = format!("{used} at {place} {}", misfit.what);
                let problem = desired.origin.document.problem_at(&reference.path, message);
                problems.push(problem.hint(misfit.hint));
            }
        }
    }
    problems
}
