//! What is started again because an object changes that it took its variables from. It reads them
//! only when it starts.

use std::collections::{BTreeMap, BTreeSet};

use super::Planner;
use crate::kinds::path::Step;
use crate::kinds::{Key, Purpose, ReferredTo};
use crate::plan::references::Resolved;
use crate::plan::{Action, Effect, Operation};

impl Planner<'_> {
    /// Decides what each operation has started again: the declared objects that exist, take their
    /// variables from its object, and are not written themselves. One that is out of scope is
    /// noted.
    pub(super) fn decide_restarts(&mut self) {
        let changed: BTreeMap<Key, usize> = self
            .operations
            .iter()
            .enumerate()
            .filter(|(_, operation)| changes_values(operation))
            .map(|(index, operation)| (operation.key.clone(), index))
            .collect();
        if changed.is_empty() {
            return;
        }
        let is_written = |key: &Key| {
            let mut operations = self.by_key.get(key).into_iter().flatten();
            operations.any(|index| self.operations[*index].action() != Action::Record)
        };
        let (mut restarts, mut notes) = (Vec::new(), Vec::new());
        for key in self.desired.keys().filter(|key| !is_written(key)) {
            for source in self.sources(key) {
                let Some(index) = changed.get(&source) else { continue };
                match self.is_selected(key) {
                    true => restarts.push((*index, key.clone())),
                    false => notes.push(format!(
                        "{key} takes variables from {source} and is out of scope, so it is not started again"
                    )),
                }
            }
        }
        for (index, key) in restarts {
            self.operations[index].restarts.push(key);
        }
        self.plan.notes.extend(notes);
    }

    /// What an object takes variables from, as it is on the platform.
    fn sources(&self, key: &Key) -> BTreeSet<Key> {
        let Some(observed) = self.state.objects.get(key) else { return BTreeSet::new() };
        let references = key.kind.kind().references(&observed.fields).into_iter();
        let source = |to: ReferredTo| {
            let ReferredTo::Object { kind, name, purpose: Purpose::Variables } = to else {
                return None;
            };
            match self.known.resolve(Key::of(kind, &key.project, &name)) {
                Resolved::Object(source) => Some(source),
                Resolved::Any(_) | Resolved::Missing(_) => None,
            }
        };
        references.filter_map(|reference| source(reference.to)).collect()
    }
}

/// Whether an operation changes more of an object than its name and its notes. What replaces an
/// object has another id, which is written to what refers to it.
fn changes_values(operation: &Operation) -> bool {
    let is_value = |first: Option<&Step>| !matches!(first, Some(Step::Field(name)) if name == "metadata" || name == "lifecycle");
    matches!(operation.effect, Effect::Update { .. } | Effect::Rename { .. } | Effect::Adopt { .. })
        && operation.changes.iter().any(|change| is_value(change.path.0.first()))
}
