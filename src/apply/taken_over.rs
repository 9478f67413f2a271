//! What a set has in a platform that spoke another API when the set was applied, and was upgraded
//! since: which of its objects is which now.

use std::collections::BTreeSet;

use crate::api::spoken::Spoken;
use crate::dialect;
use crate::kinds::recorded::Recorded;
use crate::kinds::tree::Tree;
use crate::kinds::{Key, KindName};
use crate::plan::State;

/// The kinds that an API lacks.
pub(super) fn unspoken(spoken: Spoken) -> BTreeSet<KindName> {
    let kinds = crate::kinds::ALL.iter().map(|kind| kind.name());
    kinds.filter(|kind| dialect::of(spoken, *kind).unspoken().is_some()).collect()
}

/// Finds the objects of a set again that the platform calls otherwise now: those with the set's mark
/// that are alike in the fields that their kind names. Each gets its key back; where several are like
/// it, none is taken.
pub(super) fn find_again(state: &mut State, set: &str, project: &str) {
    let Some(inventory) = state.inventories.get(project).filter(|it| it.is_of_other_api) else {
        return;
    };
    let entries =
        inventory.entries.iter().filter(|(key, _)| !key.kind.kind().found_again_by().is_empty());
    let entries: Vec<(Key, Tree)> = entries
        .filter(|(key, _)| !state.objects.contains_key(*key))
        .filter_map(|(key, entry)| {
            let applied = entry.applied.as_ref().map(Recorded::value)?;
            Some((key.clone(), Tree::from(&applied)))
        })
        .collect();
    let is_alike = |kind: KindName, one: &Tree, other: &Tree| {
        let mut fields = kind.kind().found_again_by().iter();
        fields.all(|field| one.get(field) == other.get(field))
    };
    let mut unclear = BTreeSet::new();
    for (key, applied) in &entries {
        let known = &state.inventories[project].entries;
        let mut alike = state.objects.iter().filter(|(other, observed)| {
            other.kind == key.kind
                && other.project == *project
                && observed.owner.as_deref() == Some(set)
                && !known.contains_key(*other)
                && is_alike(key.kind, applied, &observed.fields)
        });
        let (first, second) = (alike.next(), alike.next());
        let Some((found, _)) = first else {
            unclear.insert(key.clone());
            continue;
        };
        let found = found.clone();
        let is_others = |other: &(Key, Tree)| {
            other.0.kind == key.kind && other.0 != *key && is_alike(key.kind, &other.1, applied)
        };
        if second.is_some() || entries.iter().any(is_others) {
            unclear.insert(key.clone());
            continue;
        }
        if let Some(mut observed) = state.objects.remove(&found) {
            observed.called = Some(found.name.clone());
            state.objects.insert(key.clone(), observed);
        }
    }
    state.alike.extend(unclear);
}
