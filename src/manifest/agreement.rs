//! *Pure*: what the documents of a set say of each other must agree.

use super::set::Set;
use crate::error::Problem;
use crate::kinds::{Key, KindName, ReferredTo};

/// References to secrets of the set that have another type than is needed there.
pub(super) fn secret_types(set: &Set) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (key, desired) in &set.objects {
        for reference in key.kind.kind().references(&desired.fields) {
            let ReferredTo::Secret(name, used) = &reference.to else { continue };
            let secret = Key {
                kind: KindName::Secret,
                project: key.project.clone(),
                room: None,
                name: name.clone(),
            };
            let declared = set.objects.get(&secret);
            let misfit = declared.and_then(|secret| Some((secret, used.misfit(&secret.fields)?)));
            if let Some((declared, (what, hint))) = misfit {
                let message = format!("{secret} at {} {what}", declared.origin.place());
                let problem = desired.origin.document.problem_at(&reference.path, message);
                problems.push(problem.hint(hint));
            }
        }
    }
    problems
}
