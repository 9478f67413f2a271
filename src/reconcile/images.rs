//! Images that documents have built of folders: who uses which, and what a plan says of them. No
//! engine is asked, so nothing here knows whether an image is there.

use std::collections::{BTreeMap, BTreeSet};

use crate::kinds::Key;
use crate::kinds::path::FieldPath;
use crate::kinds::tree::Tree;
use crate::listed::few;
use crate::manifest::beside::Built;
use crate::manifest::set::{Desired, Set};
use crate::plan::{Action, Plan};
use crate::visible;

/// The image of an object, if it has one.
fn image_of(desired: &Desired) -> Option<&str> {
    desired.fields.at(&FieldPath::of(&["container", "image"])).and_then(Tree::as_str)
}

/// An image that is built, and what is run from it.
#[derive(Debug, Clone)]
pub struct Used {
    /// The image.
    pub built: Built,
    /// The objects that have it, at least one.
    pub by: BTreeSet<Key>,
}

/// The images that the documents of a set have built, each once, in the order of their names.
#[must_use]
pub fn used(set: &Set) -> Vec<Used> {
    let mut used: BTreeMap<&str, Used> = BTreeMap::new();
    for built in &set.beside.images {
        let new = || Used { built: built.clone(), by: BTreeSet::new() };
        used.entry(&built.image).or_insert_with(new);
    }
    for desired in set.objects.values() {
        if let Some(used) = image_of(desired).and_then(|image| used.get_mut(image)) {
            used.by.insert(desired.key.clone());
        }
    }
    used.into_values().filter(|used| !used.by.is_empty()).collect()
}

/// What is said of a plan that gives objects images which somebody has to build.
pub(super) fn told(
    built: &[Built],
    plan: &Plan,
    desired: &BTreeMap<Key, Desired>,
) -> Option<String> {
    if built.is_empty() {
        return None;
    }
    let built: BTreeSet<&str> = built.iter().map(|built| built.image.as_str()).collect();
    let path = FieldPath::of(&["container", "image"]);
    let operations = plan.operations.iter().filter(|operation| match operation.action() {
        Action::Create | Action::Adopt => true,
        Action::Update | Action::Rename => {
            operation.changes.iter().any(|change| change.path == path)
        }
        _ => false,
    });
    let images = operations.filter_map(|it| image_of(desired.get(&it.key)?));
    let images: BTreeSet<&str> = images.filter(|image| built.contains(image)).collect();
    let (is, it) = match images.len() {
        0 => return None,
        1 => ("the image", "it"),
        _ => ("the images", "them"),
    };
    let names = few(images.iter().map(|image| visible::line(image)));
    Some(format!(
        "{is} {names} must be built: `meshagent build` does that, with --push it sends {it} to a registry, too; a plan does not look whether the platform can get {it}"
    ))
}
