//! What the kinds share whose objects are inside of rooms, where REST does not reach: in which rooms a
//! document puts its object, and in which namespaces.

use serde_json::{Map, Value};

use super::Fault;
use super::document::Lifecycle;
use super::path::{FieldPath, Step};
use super::service::placements;
use crate::kinds::specs::rules::Rule;

/// How deep namespaces may be nested.
const DEEPEST: usize = 16;

/// The rooms that a document names: one entry each.
///
/// # Errors
///
/// As [`placements`]; no room is named.
pub(super) fn rooms(
    room: Option<String>,
    rooms: Option<Vec<String>>,
) -> Result<Vec<Option<String>>, Vec<Fault>> {
    if room.is_none() && rooms.as_ref().is_none_or(Vec::is_empty) {
        let field = if rooms.is_some() { "rooms" } else { "room" };
        let fault = Fault::new(&[field], "no room is named");
        return Err(fault.hint("write `room: NAME`, or `rooms: [NAME, …]`").into());
    }
    placements(room, rooms)
}

/// What an object in namespaces is called in keys: `outer/inner/name`.
///
/// # Errors
///
/// A part of it cannot be in such a name.
pub(super) fn in_folders(namespace: &[String], name: &str) -> Result<String, Vec<Fault>> {
    let fault = |path: FieldPath, text: &str| {
        let wrong = Rule::Name.check(text).err();
        let wrong = wrong.or_else(|| text.contains('/').then(|| "must not contain `/`".to_owned()));
        Some(Fault { path, message: format!("`{text}` {}", wrong?), hint: None })
    };
    let at = |index: usize| FieldPath::of(&["namespace"]).join(Step::Index(index));
    let parts = namespace.iter().enumerate().filter_map(|(index, part)| fault(at(index), part));
    let mut faults: Vec<Fault> = parts.collect();
    faults.extend(fault(FieldPath::of(&["metadata", "name"]), name));
    if namespace.len() > DEEPEST {
        let told = format!("namespaces are nested at most {DEEPEST} deep");
        faults.push(Fault::new(&["namespace"], told));
    }
    match faults.is_empty() {
        true => {
            Ok(namespace.iter().map(String::as_str).chain([name]).collect::<Vec<_>>().join("/"))
        }
        false => Err(faults),
    }
}

/// The namespaces and the own name in what an object is called in keys.
#[must_use]
pub fn folders_of(name: &str) -> (Vec<String>, &str) {
    match name.rsplit_once('/') {
        Some((folders, name)) => (folders.split('/').map(str::to_owned).collect(), name),
        None => (Vec::new(), name),
    }
}

/// Makes former names those of keys. Without a `/`, a name was in the same namespace.
pub(super) fn former_in(namespace: &[String], lifecycle: &mut Lifecycle) {
    for name in &mut lifecycle.moved_from.0 {
        *name = match name.strip_prefix('/') {
            Some(whole) => whole.to_owned(),
            None if name.contains('/') => continue,
            None => namespace.iter().chain([&*name]).cloned().collect::<Vec<_>>().join("/"),
        };
    }
}

/// Says in a document in which namespaces an object is.
pub(super) fn in_folders_of(document: &mut Map<String, Value>, name: &str) {
    let (namespace, name) = folders_of(name);
    if let Some(Value::Object(metadata)) = document.get_mut("metadata") {
        metadata.insert("name".to_owned(), name.into());
    }
    if !namespace.is_empty() {
        document.insert("namespace".to_owned(), namespace.into());
    }
}
