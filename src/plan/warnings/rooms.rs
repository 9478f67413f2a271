//! Objects of one name in every room and in one: both work there, which is hardly meant.

use std::collections::{BTreeMap, BTreeSet};

use crate::kinds::Key;
use crate::listed::few;
use crate::manifest::set::Desired;
use crate::plan::Observed;

/// What is in every room and, by the same name, in some of them, a line for each name. Of those
/// that nobody declares here nothing is told.
pub(super) fn twice(
    desired: &BTreeMap<Key, Desired>,
    observed: &BTreeMap<Key, Observed>,
    gone: &BTreeSet<&Key>,
) -> Vec<String> {
    let there = observed.keys().filter(|key| !gone.contains(key));
    let may_be = desired.keys().chain(there).filter(|key| key.kind.fills_rooms());
    let (everywhere, placed): (BTreeSet<&Key>, BTreeSet<&Key>) =
        may_be.partition(|key| key.is_in_every_room());
    let mut beside: BTreeMap<&Key, Vec<&Key>> = BTreeMap::new();
    for key in placed {
        if let Some(of_all) = everywhere.get(&key.with_room(None)) {
            beside.entry(of_all).or_default().push(key);
        }
    }
    let notes = beside.into_iter().filter_map(|(key, placed)| {
        let declared = std::iter::once(key).chain(placed.iter().copied());
        let object = declared.into_iter().find_map(|key| desired.get(key))?;
        let others = few(placed.iter().map(ToString::to_string));
        Some(format!(
            "{key} names no room, so it is in every room of the project, also beside {others}; `room: NAME` puts it into one ({})",
            object.origin.place()
        ))
    });
    notes.collect()
}
