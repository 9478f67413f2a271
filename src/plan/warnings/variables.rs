//! Variables of the environment that a service gets from several places. The platform does not
//! say which of them counts, and the order of `container.secrets` is kept nowhere.

use std::collections::BTreeMap;

use crate::kinds::path::FieldPath;
use crate::kinds::tree::{Fields, Tree};
use crate::kinds::{Key, KindName};
use crate::listed::few;
use crate::manifest::set::Desired;
use crate::plan::Observed;

/// What a service gets several times, a line for each service.
pub(super) fn collisions(
    desired: &BTreeMap<Key, Desired>,
    observed: &BTreeMap<Key, Observed>,
) -> Vec<String> {
    let services = desired.iter().filter(|(key, _)| key.kind == KindName::Service);
    let notes = services.filter_map(|(key, object)| {
        let mut sources: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        let path = FieldPath::of(&["container", "secrets"]);
        for named in items(&object.fields, "secrets").filter_map(Tree::as_str) {
            let Some((secret, fields)) = secret(&key.project, named, (desired, observed)) else {
                continue;
            };
            let pairs = fields.get("data").and_then(Tree::fields);
            for name in pairs.into_iter().flat_map(Fields::keys) {
                sources.entry(name).or_default().push(secret.to_string());
            }
        }
        for variable in items(&object.fields, "environment") {
            // Those that no secret brings are told apart by the rules of form.
            let Some(name) = variable.get("name").and_then(Tree::as_str) else { continue };
            if let Some(sources) = sources.get_mut(name) {
                sources.push("`container.environment`".to_owned());
            }
        }
        sources.retain(|_, sources| sources.len() > 1);
        if sources.is_empty() {
            return None;
        }
        let told = sources.iter().map(|(name, sources)| format!("`{name}` from {}", few(sources)));
        let place = object.origin.places(std::iter::once(&path)).pop().flatten();
        let place = place.unwrap_or_else(|| object.origin.place());
        Some(format!(
            "{key} gets variables from several places, and the platform does not say which counts: {} ({place})",
            few(told)
        ))
    });
    notes.collect()
}

/// The items of a list of a service's container.
fn items<'a>(fields: &'a Tree, list: &str) -> impl Iterator<Item = &'a Tree> {
    match fields.at(&FieldPath::of(&["container", list])) {
        Some(Tree::List(items)) => items.as_slice(),
        _ => &[],
    }
    .iter()
}

/// A secret by its name or the platform's id, with what is known of it: what is declared, else
/// what the platform has.
fn secret<'a>(
    project: &str,
    named: &str,
    (desired, observed): (&'a BTreeMap<Key, Desired>, &'a BTreeMap<Key, Observed>),
) -> Option<(&'a Key, &'a Tree)> {
    let is_in = |key: &Key| key.kind == KindName::Secret && key.project == project;
    let name = Key {
        kind: KindName::Secret,
        project: project.to_owned(),
        room: None,
        name: named.to_owned(),
    };
    if let Some((key, object)) = desired.get_key_value(&name) {
        return Some((key, &object.fields));
    }
    let by_name = observed.get_key_value(&name);
    let has_id = |(key, it): &(&Key, &Observed)| is_in(key) && it.id.as_deref() == Some(named);
    let (key, object) = by_name.or_else(|| observed.iter().find(has_id))?;
    Some(match desired.get_key_value(key) {
        Some((key, object)) => (key, &object.fields),
        None => (key, &object.fields),
    })
}
