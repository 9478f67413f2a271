//! Environment variables that an object gets from several places. The platform does not say which
//! one wins, and the order of `container.secrets` is not stored.

use std::collections::BTreeMap;

use super::Places;
use crate::kinds::tree::Tree;
use crate::kinds::{Key, Purpose, ReferredTo};
use crate::listed::few;
use crate::manifest::set::Desired;
use crate::plan::Observed;

/// The variables that an object gets several times, one line per object.
pub(super) fn collisions(
    desired: &BTreeMap<Key, Desired>,
    observed: &BTreeMap<Key, Observed>,
    places: &mut Places,
) -> Vec<String> {
    let notes = desired.iter().filter_map(|(key, object)| {
        let kind = key.kind.kind();
        let mut sources: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        let mut first = None;
        for reference in kind.references(&object.fields) {
            let ReferredTo::Object { kind, name, purpose: Purpose::Variables } = &reference.to
            else {
                continue;
            };
            first.get_or_insert(reference.path);
            let named = Key::of(*kind, &key.project, name);
            let Some((from, fields)) = found(&named, (desired, observed)) else { continue };
            for name in kind.kind().brings_variables(fields) {
                sources.entry(name).or_default().push(from.to_string());
            }
        }
        // The rules of form check variables that come from no secret.
        let (field, own) = kind.own_variables(&object.fields);
        for name in own {
            if let Some(sources) = sources.get_mut(name) {
                sources.push(format!("`{field}`"));
            }
        }
        sources.retain(|_, sources| sources.len() > 1);
        // The message names the list, not the first of its items.
        let path = first.filter(|_| !sources.is_empty())?.parent();
        let told = sources.iter().map(|(name, sources)| format!("`{name}` from {}", few(sources)));
        let place = places.of(object, &path);
        Some(format!(
            "{key} gets variables from several places, and the platform does not say which one wins: {} ({place})",
            few(told)
        ))
    });
    notes.collect()
}

/// An object by its name or the platform's id, with what is known of it: what is declared, else
/// what the platform has.
fn found<'a>(
    named: &Key,
    (desired, observed): (&'a BTreeMap<Key, Desired>, &'a BTreeMap<Key, Observed>),
) -> Option<(&'a Key, &'a Tree)> {
    if let Some((key, object)) = desired.get_key_value(named) {
        return Some((key, &object.fields));
    }
    let by_name = observed.get_key_value(named);
    let has_id = |(key, it): &(&Key, &Observed)| {
        key.kind == named.kind
            && key.project == named.project
            && it.id.as_deref() == Some(named.name.as_str())
    };
    let (key, object) = by_name.or_else(|| observed.iter().find(has_id))?;
    Some(match desired.get_key_value(key) {
        Some((key, object)) => (key, &object.fields),
        None => (key, &object.fields),
    })
}
