//! An answer about what is inside of a room becomes comparable with what was recorded of it: the order
//! of items that have names means nothing, and what no answer tells counts as recorded.

use std::sync::Arc;

use crate::kinds::Key;
use crate::kinds::path::{FieldPath, Step};
use crate::kinds::shape::{Form, Identity};
use crate::kinds::tree::Tree;
use crate::plan::{Action, Observed, Operation};

/// Makes an object that was read comparable with a record of it.
pub(super) fn as_recorded(key: &Key, found: &mut Observed, recorded: &Tree) {
    if !key.kind.kind().is_inside_rooms() {
        return;
    }
    let fields = Arc::make_mut(&mut found.fields);
    fill_untold(key, fields, recorded);
    for name in key.kind.kind().shape().names() {
        let step = Step::Field(name.to_owned());
        let shape = key.kind.kind().shape().child(&step);
        let Some(Form::List { identity: Identity::Field(field), .. }) = shape.map(|it| &it.form)
        else {
            continue;
        };
        let path = FieldPath(vec![step]);
        if let (Some(Tree::List(items)), Some(Tree::List(known))) =
            (fields.at_mut(&path), recorded.at(&path))
        {
            let place = |item: &Tree| {
                let same = known.iter().position(|other| other == item);
                let named = || known.iter().position(|other| other.get(field) == item.get(field));
                same.or_else(named).unwrap_or(usize::MAX)
            };
            items.sort_by_key(place);
        }
    }
}

/// Puts in what no answer tells of an object, as it is known.
pub(super) fn fill_untold(key: &Key, fields: &mut Tree, known: &Tree) {
    for name in key.kind.kind().untold() {
        fields.put(&FieldPath::of(&[name]), known.get(name).cloned());
    }
}

/// Whether no answer tells what is at a path.
pub(super) fn is_untold(key: &Key, path: &FieldPath) -> bool {
    let first = path.0.first();
    key.kind.kind().untold().iter().any(|name| first == Some(&Step::Field((*name).to_owned())))
}

/// Takes out of an object that was read what somebody added to it and a change leaves alone. What is
/// deleted has to be what was recorded.
pub(super) fn leave_added(operation: &Operation, found: &mut Observed, known: &Tree) {
    if operation.action() == Action::Delete || !operation.is_unseen {
        return;
    }
    let added = operation.key.kind.kind().shape().added(&found.fields, &[known]);
    let fields = Arc::make_mut(&mut found.fields);
    added.iter().for_each(|path| fields.put(path, None));
}
