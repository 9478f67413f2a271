//! Which fields of two trees differ, by the rules of their shape.

use std::collections::{HashMap, VecDeque};

use serde_json::Value;

use super::{Cause, FieldChange};
use crate::kinds::fields::Fields;
use crate::kinds::fingerprint::Fingerprinter;
use crate::kinds::path::{FieldPath, Step};
use crate::kinds::recorded::SECRET;
use crate::kinds::shape::{Form, Identity, Shape};
use crate::kinds::specs::rules::MASK;
use crate::kinds::tree::{Sealed, Tree, same_number};

/// What is needed to compare secrets that the platform does not give back.
#[derive(Clone, Copy)]
pub struct Memory<'a> {
    /// Makes fingerprints as the inventory did.
    pub fingerprinter: &'a Fingerprinter,
    /// What was last applied.
    pub applied: Option<&'a Value>,
}

/// The fields in which `new` differs from `old`, in the order of `new`.
#[must_use]
pub fn changes(
    shape: &Shape,
    old: Option<&Tree>,
    new: Option<&Tree>,
    memory: Memory<'_>,
) -> Vec<FieldChange> {
    let mut walk = Walk { memory, lists: HashMap::new(), changes: Vec::new() };
    walk.compare(&FieldPath::default(), Some(shape), old, new);
    walk.changes
}

/// Whether a platform's answer only says that there is a secret.
fn is_masked(sealed: &Sealed) -> bool {
    matches!(sealed, Sealed::Masked | Sealed::Source(_) | Sealed::Unread | Sealed::Kept(_))
}

/// Whether something in a tree is a secret that the platform keeps to itself.
#[must_use]
pub fn has_masked(tree: Option<&Tree>) -> bool {
    match tree {
        Some(Tree::Secret(sealed)) => is_masked(sealed),
        Some(Tree::List(items)) => items.iter().any(|item| has_masked(Some(item))),
        Some(Tree::Map(fields)) => fields.values().any(|value| has_masked(Some(value))),
        _ => false,
    }
}

/// Whether the platform hides the value at a path, or a value that contains it.
#[must_use]
pub fn is_untold(observed: &Tree, path: &FieldPath) -> bool {
    let above = |length: usize| observed.at(&FieldPath(path.0[..length].to_vec()));
    let is_part = (0..path.0.len())
        .any(|length| matches!(above(length), Some(Tree::Secret(it)) if is_masked(it)));
    is_part || has_masked(observed.at(path))
}

/// The first field to be sent whose value is known only as the mask that the platform shows
/// instead.
#[must_use]
pub fn mask_in(sent: &Tree) -> Option<FieldPath> {
    use secrecy::ExposeSecret;
    if !sent.has_secrets() {
        return None;
    }
    let mut found = None;
    // Leaves are just looked at.
    sent.clone().rewrite_leaves(&mut |way, leaf| {
        let is_mask = match leaf {
            Tree::Secret(Sealed::Known(text)) => text.expose_secret() == MASK,
            Tree::Secret(sealed) => is_masked(sealed),
            _ => false,
        };
        if is_mask && found.is_none() {
            found = Some(way.path());
        }
        None
    });
    found
}

struct Walk<'a> {
    memory: Memory<'a>,
    /// For the lists on the way whose items have keys: what was recorded of each item, by its key.
    lists: HashMap<Vec<Step>, HashMap<String, &'a Value>>,
    changes: Vec<FieldChange>,
}

impl<'a> Walk<'a> {
    /// What was recorded at a path that leads through lists that were compared.
    fn recorded_at(&self, path: &FieldPath) -> Option<&'a Value> {
        let steps = path.0.iter().enumerate();
        steps.into_iter().try_fold(self.memory.applied?, |value, (at, step)| match step {
            Step::Field(name) => value.get(name),
            Step::Index(index) => value.get(index),
            Step::Item { text, .. } => self.lists.get(&path.0[..at])?.get(text).copied(),
        })
    }

    fn compare(
        &mut self,
        path: &FieldPath,
        shape: Option<&Shape>,
        old: Option<&Tree>,
        new: Option<&Tree>,
    ) {
        match (old, new) {
            (None, None) => {}
            (_, Some(new)) if new.is_unread() => self.compare_unread(path, old),
            (Some(Tree::Secret(sealed)), Some(new)) => {
                self.compare_secret(path, Some(sealed), old, new)
            }
            (_, Some(new @ Tree::Secret(_))) => self.compare_secret(path, None, old, new),
            (Some(Tree::Map(_)) | None, Some(Tree::Map(_))) | (Some(Tree::Map(_)), None) => {
                self.compare_maps(path, shape, old, new);
            }
            (Some(Tree::List(one)), Some(Tree::List(other))) => {
                self.compare_lists(path, shape, one, other)
            }
            (Some(Tree::Number(one)), Some(Tree::Number(other))) if same_number(one, other) => {}
            (Some(one), Some(other)) if one == other => {}
            _ => self.change(path, shape, old, new),
        }
    }

    fn change(
        &mut self,
        path: &FieldPath,
        shape: Option<&Shape>,
        old: Option<&Tree>,
        new: Option<&Tree>,
    ) {
        // An absent field means its default, so the reader should see the default.
        let default = || {
            shape
                .and_then(|shape| shape.default.as_ref())
                .filter(|value| !value.is_null())
                .map(Tree::from)
        };
        self.changes.push(FieldChange {
            path: path.clone(),
            old: old.cloned().or_else(default),
            new: new.cloned().or_else(default),
            place: None,
            cause: self.cause(path, old, new),
        });
    }

    /// Who made the difference, judged by what was last applied.
    fn cause(&self, path: &FieldPath, old: Option<&Tree>, new: Option<&Tree>) -> Option<Cause> {
        self.memory.applied?;
        let applied = self.recorded_at(path);
        let differs = |tree: Option<&Tree>| match (applied, tree) {
            (None, None) => false,
            (Some(applied), Some(tree)) => *applied != tree.recorded(self.memory.fingerprinter),
            _ => true,
        };
        // It cannot be known whether a secret that the platform hides has drifted, except for
        // one that the set never wrote.
        let is_hidden =
            applied.is_some() && matches!(old, Some(Tree::Secret(sealed)) if is_masked(sealed));
        match (differs(new), !is_hidden && differs(old)) {
            (true, true) => Some(Cause::Both),
            (false, true) => Some(Cause::Drift),
            (true, false) => Some(Cause::Manifest),
            (false, false) => None,
        }
    }

    fn compare_secret(
        &mut self,
        path: &FieldPath,
        sealed: Option<&Sealed>,
        old: Option<&Tree>,
        new: &Tree,
    ) {
        let same = match (sealed, old, new) {
            (Some(sealed), _, _) if is_masked(sealed) => {
                let recorded = self.recorded_at(path);
                let is_known = !new.has_unread();
                if !is_known && recorded.is_some_and(|recorded| self.may_be(recorded, new)) {
                    return self.compare_unread(path, old);
                }
                is_known && self.is_recorded(path, new)
            }
            (Some(sealed), _, Tree::Secret(wanted)) => sealed == wanted,
            (Some(Sealed::Known(text)), _, Tree::Text(wanted)) => {
                use secrecy::ExposeSecret;
                text.expose_secret() == wanted
            }
            // A secret only by its value, such as an obscure value of a template.
            (None, Some(Tree::Text(text)), Tree::Secret(Sealed::Known(wanted))) => {
                use secrecy::ExposeSecret;
                text == wanted.expose_secret()
            }
            _ => false,
        };
        if !same {
            let cause = self.cause(path, old, Some(new));
            let old = old.map(|_| Tree::Secret(sealed.cloned().unwrap_or(Sealed::Masked)));
            self.changes.push(FieldChange {
                cause,
                path: path.clone(),
                old,
                new: Some(new.clone().sealed()),
                place: None,
            });
        }
    }

    /// It is not known whether a value that was not read differs from the present one. But a
    /// visible field that differs from what was applied has drifted, whatever the value may be.
    fn compare_unread(&mut self, path: &FieldPath, old: Option<&Tree>) {
        let is_hidden = matches!(old, Some(Tree::Secret(sealed)) if is_masked(sealed));
        let applied = self.recorded_at(path);
        let has_drifted = applied.zip(old.filter(|_| !is_hidden)).is_some_and(|(applied, old)| {
            *applied != old.clone().sealed().recorded(self.memory.fingerprinter)
        });
        self.changes.push(FieldChange {
            path: path.clone(),
            old: old.cloned().map(Tree::sealed),
            new: Some(Tree::Secret(Sealed::Unread)),
            place: None,
            cause: has_drifted.then_some(Cause::Drift),
        });
    }

    /// Whether this is what was last applied.
    fn is_recorded(&self, path: &FieldPath, new: &Tree) -> bool {
        let recorded = self.recorded_at(path);
        // Fingerprints take time, so none is made where there is nothing to compare it with.
        recorded.is_some_and(|recorded| *recorded == new.recorded(self.memory.fingerprinter))
    }

    /// Whether this is what was last applied, but for what was not read of it.
    fn may_be(&self, recorded: &Value, new: &Tree) -> bool {
        match (recorded, new) {
            (Value::Object(recorded), Tree::Secret(Sealed::Unread)) => {
                recorded.contains_key(SECRET)
            }
            (Value::Object(recorded), Tree::Map(fields)) => {
                recorded.len() == fields.len()
                    && fields.iter().all(|(name, field)| {
                        recorded.get(&**name).is_some_and(|recorded| self.may_be(recorded, field))
                    })
            }
            (Value::Array(recorded), Tree::List(items)) => {
                recorded.len() == items.len()
                    && recorded
                        .iter()
                        .zip(items)
                        .all(|(recorded, item)| self.may_be(recorded, item))
            }
            (recorded, new) => *recorded == new.recorded(self.memory.fingerprinter),
        }
    }

    fn compare_maps(
        &mut self,
        path: &FieldPath,
        shape: Option<&Shape>,
        old: Option<&Tree>,
        new: Option<&Tree>,
    ) {
        let empty = Fields::default();
        let (old_fields, new_fields) = (
            old.and_then(Tree::fields).unwrap_or(&empty),
            new.and_then(Tree::fields).unwrap_or(&empty),
        );
        // An empty map that comes or goes has no field to show it by.
        if old.is_none() && new_fields.is_empty() || new.is_none() && old_fields.is_empty() {
            return self.change(path, None, old, new);
        }
        if shape.is_some_and(|shape| shape.withheld) && old_fields.is_empty() {
            return self.compare_withheld(path, shape, new_fields);
        }
        let names = new_fields
            .keys()
            .chain(old_fields.keys().filter(|name| !new_fields.contains_key(name)));
        for name in names {
            let step = Step::Field(name.to_string());
            let below = path.join(step.clone());
            let (old, new) = (old_fields.get(name), new_fields.get(name));
            let of_field = shape.and_then(|shape| shape.child(&step));
            let is_partial = [shape, of_field].into_iter().flatten().any(|shape| shape.partial);
            if is_partial && new.is_none() && self.recorded_at(&below).is_none() {
                continue;
            }
            let told = self.changes.len();
            self.compare(&below, of_field, old, new);
            // What was left alone until now has not drifted.
            if is_partial && self.memory.applied.is_some() && self.recorded_at(&below).is_none() {
                let new = self.changes.iter_mut().skip(told);
                new.for_each(|change| change.cause = Some(Cause::Manifest));
            }
        }
    }

    /// Secrets that a platform may have but hides: it is assumed to have as many as were applied.
    fn compare_withheld(&mut self, path: &FieldPath, shape: Option<&Shape>, new: &Fields) {
        let hidden = Tree::Secret(Sealed::Masked);
        let recorded = self.recorded_at(path).and_then(Value::as_object);
        let is_recorded = |name: &str| recorded.is_some_and(|recorded| recorded.contains_key(name));
        for (name, field) in new.iter() {
            let step = Step::Field(name.to_string());
            let old = is_recorded(name).then_some(&hidden);
            let shape = shape.and_then(|shape| shape.child(&step));
            self.compare(&path.join(step), shape, old, Some(field));
        }
        let gone = recorded.into_iter().flat_map(|recorded| recorded.keys());
        for name in gone.filter(|name| !new.contains_key(name.as_str())) {
            self.change(&path.field(name), None, Some(&hidden), None);
        }
    }

    fn compare_lists(
        &mut self,
        path: &FieldPath,
        shape: Option<&Shape>,
        old: &[Tree],
        new: &[Tree],
    ) {
        let positional = Identity::Position;
        let (items, identity) = match shape.map(|shape| &shape.form) {
            Some(Form::List { items, identity }) => (Some(items.as_ref()), identity),
            _ => (None, &positional),
        };
        let is_partial = shape.is_some_and(|shape| shape.partial);
        match identity {
            Identity::Value => {
                let mut rest = Rest::of(old, |item| item.scalar().unwrap_or_default());
                let all_found =
                    new.iter().all(|item| rest.take_equal(item.scalar().as_deref(), item));
                if !all_found || !rest.is_empty() {
                    self.change(
                        path,
                        shape,
                        Some(&Tree::List(old.to_vec())),
                        Some(&Tree::List(new.to_vec())),
                    );
                }
            }
            Identity::Field(field) => {
                self.compare_keyed(path, (items, is_partial), field, (old, new));
            }
            Identity::Position => {
                let is_plain = |items: &[Tree]| {
                    items.iter().all(|item| !matches!(item, Tree::Map(_) | Tree::List(_)))
                };
                if is_plain(old)
                    && is_plain(new)
                    && !old.iter().chain(new).any(|item| matches!(item, Tree::Secret(_)))
                {
                    let same = old.len() == new.len()
                        && old.iter().zip(new).all(|(one, other)| same_scalar(one, other));
                    if !same {
                        self.change(
                            path,
                            shape,
                            Some(&Tree::List(old.to_vec())),
                            Some(&Tree::List(new.to_vec())),
                        );
                    }
                    return;
                }
                for index in 0..old.len().max(new.len()) {
                    self.compare_item(
                        &path.join(Step::Index(index)),
                        items,
                        old.get(index),
                        new.get(index),
                    );
                }
            }
        }
    }

    /// An item that comes or goes is shown whole.
    fn compare_item(
        &mut self,
        path: &FieldPath,
        shape: Option<&Shape>,
        old: Option<&Tree>,
        new: Option<&Tree>,
    ) {
        match (old, new) {
            (Some(_), Some(_)) => self.compare(path, shape, old, new),
            _ => self.change(path, None, old, new),
        }
    }

    /// Items with the same text in `field` belong together; of several with the same text,
    /// equal ones first, then the rest in order. In a partial list, items that nobody named stay.
    fn compare_keyed(
        &mut self,
        path: &FieldPath,
        (shape, is_partial): (Option<&Shape>, bool),
        field: &str,
        lists: (&[Tree], &[Tree]),
    ) {
        // An absent field means its default, such as `*` for a port's number.
        let default = shape
            .and_then(|shape| shape.child(&Step::Field(field.to_owned())))
            .and_then(|shape| shape.default.as_ref())
            .map(Tree::from)
            .and_then(|tree| tree.scalar());
        let text = |item: &Tree| {
            item.get(field).and_then(Tree::scalar).or_else(|| default.clone()).unwrap_or_default()
        };
        // In what was recorded, defaults are left out as well.
        let recorded = self.recorded_at(path).and_then(Value::as_array);
        if let Some(recorded) = recorded {
            let text = |item: &Value| {
                let own = item.get(field).map(Tree::from).and_then(|tree| tree.scalar());
                own.or_else(|| default.clone()).unwrap_or_default()
            };
            // Of items that are named alike the first one counts.
            let items = recorded.iter().rev().map(|item| (text(item), item)).collect();
            self.lists.insert(path.0.clone(), items);
        }
        let mut rest = Rest::of(lists.0, text);
        let mut unequal = Vec::new();
        for item in lists.1 {
            let text = text(item);
            if !rest.take_equal(Some(&text), item) {
                unequal.push((text, item));
            }
        }
        for (text, item) in unequal {
            let old = rest.take_first(&text);
            let below = path.join(Step::Item { field: field.to_owned(), text });
            self.compare_item(&below, shape, old, Some(item));
        }
        for (text, item) in rest.in_order() {
            let was_named = self.lists.get(&path.0).is_some_and(|items| items.contains_key(&text));
            if is_partial && !was_named {
                continue;
            }
            let below = path.join(Step::Item { field: field.to_owned(), text });
            self.compare_item(&below, shape, Some(item), None);
        }
    }
}

/// The items of a list that are not matched yet, by the text that identifies them, each with its
/// position.
struct Rest<'a>(HashMap<String, VecDeque<(usize, &'a Tree)>>);

impl<'a> Rest<'a> {
    fn of(items: &'a [Tree], text: impl Fn(&Tree) -> String) -> Self {
        let mut rest: HashMap<_, VecDeque<_>> = HashMap::new();
        for (position, item) in items.iter().enumerate() {
            rest.entry(text(item)).or_default().push_back((position, item));
        }
        Self(rest)
    }

    /// Removes an item with this text that is equal to the given one, if there is one.
    fn take_equal(&mut self, text: Option<&str>, item: &Tree) -> bool {
        let Some(alike) = self.0.get_mut(text.unwrap_or_default()) else { return false };
        let found = alike.iter().position(|(_, candidate)| *candidate == item);
        found.and_then(|index| alike.remove(index)).is_some()
    }

    /// Removes the first item with this text.
    fn take_first(&mut self, text: &str) -> Option<&'a Tree> {
        Some(self.0.get_mut(text)?.pop_front()?.1)
    }

    fn is_empty(&self) -> bool {
        self.0.values().all(VecDeque::is_empty)
    }

    /// The remaining items, in the order of the list.
    fn in_order(self) -> impl Iterator<Item = (String, &'a Tree)> {
        let left = self.0.into_iter().flat_map(|(text, alike)| {
            alike.into_iter().map(move |(position, item)| (position, text.clone(), item))
        });
        let mut left: Vec<_> = left.collect();
        left.sort_by_key(|(position, ..)| *position);
        left.into_iter().map(|(_, text, item)| (text, item))
    }
}

fn same_scalar(one: &Tree, other: &Tree) -> bool {
    match (one, other) {
        (Tree::Number(one), Tree::Number(other)) => same_number(one, other),
        _ => one == other,
    }
}

#[cfg(test)]
mod tests;
