//! *Pure*: declarations that are valid but probably mistakes. They do not prevent a plan.

use std::collections::{BTreeMap, BTreeSet};

use super::{Action, Observed, Plan};
use crate::error::Place;
use crate::kinds::path::FieldPath;
use crate::kinds::{Key, ReferredTo};
use crate::manifest::set::Desired;

/// The warnings about a set, from what it declares and from what else will be on the platform after
/// the plan, as far as that was read.
#[must_use]
pub fn warnings(
    desired: &BTreeMap<Key, Desired>,
    observed: &BTreeMap<Key, Observed>,
    plan: &Plan,
) -> Vec<String> {
    let gone = gone(plan);
    let publishers = publishers(desired, observed, &gone);
    let mut notes = Vec::new();
    let mut places = Places::default();
    for (key, object) in desired {
        let kind = key.kind.kind();
        for (path, remark) in kind.remarks(&object.fields) {
            let place = places.of(object, &path);
            notes.push(format!("`{path}` of {key} {remark} ({place})"));
        }
        for reference in kind.references(&object.fields) {
            let ReferredTo::Port { room, port } = reference.to else { continue };
            let of_port = publishers.get(&(key.project.as_str(), port.clone()));
            let is_published = of_port
                .into_iter()
                .flatten()
                .any(|(publisher, _)| publisher.room.as_ref().is_none_or(|placed| *placed == room));
            if !is_published {
                let place = object.origin.place();
                notes.push(format!(
                    "{key} leads to port {port} of the room {room:?}, but no known service publishes it ({place})"
                ));
            }
        }
    }
    for ((_, port), publishers) in &publishers {
        notes.extend(collisions(port, publishers));
    }
    notes.extend(variables::collisions(desired, observed, &mut places));
    notes.extend(rooms::twice(desired, observed, &gone));
    notes
}

mod rooms;
mod variables;

/// What a plan takes away or renames.
fn gone(plan: &Plan) -> BTreeSet<&Key> {
    let deletes = plan.operations.iter().filter(|operation| operation.action() == Action::Delete);
    let former = plan.operations.iter().filter_map(|it| it.former());
    deletes.map(|operation| &operation.key).chain(former).collect()
}

/// This many notes have the place of their field; the others have the place of the object. A large
/// set may have a note for each object, and to find a field its document must be searched.
const EXACT: usize = 100;

/// The places in notes.
#[derive(Debug, Default)]
struct Places {
    told: usize,
}

impl Places {
    fn of(&mut self, object: &Desired, path: &FieldPath) -> Place {
        self.told += 1;
        match self.told <= EXACT {
            true => object.origin.place_of(path),
            false => object.origin.place(),
        }
    }
}

/// What publishes a port, and what declares it, if anything does.
type Publishers<'a> = Vec<(&'a Key, Option<&'a Desired>)>;

/// What publishes a port, by project and port. What is declared counts as it is
/// declared, and what the plan takes away or renames does not count.
fn publishers<'a>(
    desired: &'a BTreeMap<Key, Desired>,
    observed: &'a BTreeMap<Key, Observed>,
    gone: &BTreeSet<&Key>,
) -> BTreeMap<(&'a str, String), Publishers<'a>> {
    let declared = desired.iter().map(|(key, object)| (key, &object.fields, Some(object)));
    let others = observed
        .iter()
        .filter(|(key, _)| !desired.contains_key(*key) && !gone.contains(*key))
        .map(|(key, object)| (key, &object.fields, None));
    let mut publishers: BTreeMap<_, Publishers<'a>> = BTreeMap::new();
    for (key, fields, object) in declared.chain(others) {
        for port in key.kind.kind().published(fields) {
            let known = publishers.entry((key.project.as_str(), port)).or_default();
            if known.last().is_none_or(|(last, _)| *last != key) {
                known.push((key, object));
            }
        }
    }
    publishers
}

/// What is said of two objects that publish the same port in one room.
#[must_use]
pub fn both_publish(first: &Key, second: &Key, port: &str) -> String {
    format!("{first} and {second} both publish port {port} in one room")
}

/// The objects that publish the same port in one room. There is no note about two that are not
/// declared here.
fn collisions(port: &str, publishers: &Publishers<'_>) -> Vec<String> {
    let mut first: BTreeMap<Option<&str>, &(&Key, Option<&Desired>)> = BTreeMap::new();
    let mut notes = Vec::new();
    for publisher in publishers {
        let (key, object) = publisher;
        let room = key.room.as_deref();
        let other = match room {
            Some(_) => first.get(&room).or_else(|| first.get(&None)),
            None => first.values().next(),
        };
        if let Some((other, other_object)) = other
            && let Some(declared) = object.or(*other_object)
        {
            // Only now, because a place may have to be searched in the text.
            let place = declared.origin.place();
            notes.push(format!("{} ({place})", both_publish(other, key, port)));
        }
        first.entry(room).or_insert(publisher);
    }
    notes
}
