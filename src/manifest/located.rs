//! *Pure*: where a field of an object stands in its document.

use std::collections::HashMap;

use super::yaml::{Mark, Node, Value};
use crate::kinds::path::{FieldPath, Step};

/// The place of a field in a document, or of the nearest thing above it that is written there.
/// The second value is whether the field itself was found.
#[must_use]
pub fn locate(path: &FieldPath, root: &Node) -> (Mark, bool) {
    walk(path, root, step_below)
}

fn walk<'a>(
    path: &FieldPath,
    root: &'a Node,
    mut below: impl FnMut(&'a Node, &Step) -> Option<(Mark, &'a Node)>,
) -> (Mark, bool) {
    let (mut node, mut mark) = (root, root.mark);
    for step in &path.0 {
        match below(node, step) {
            Some((found, below)) => (mark, node) = (found, below),
            None => return (mark, false),
        }
    }
    (mark, true)
}

/// From how many entries on a map or list is gone through once, and not again for each field.
const MANY: usize = 16;

/// Finds the places of many fields of one document.
pub struct Places<'a> {
    root: &'a Node,
    /// What stands in a map by its keys, or in a list by a field of its items.
    known: HashMap<(*const Node, Option<String>), Below<'a>>,
}

/// What stands below a node, and the mark of each, by a text.
type Below<'a> = HashMap<String, (Mark, &'a Node)>;

impl<'a> Places<'a> {
    /// The places in a document.
    #[must_use]
    pub fn of(root: &'a Node) -> Self {
        Self { root, known: HashMap::new() }
    }

    /// As [`locate`].
    pub fn locate(&mut self, path: &FieldPath) -> (Mark, bool) {
        let known = &mut self.known;
        walk(path, self.root, |node, step| match (step, &node.value) {
            (Step::Field(name), Value::Map(entries)) if entries.len() >= MANY => {
                let below = known.entry((std::ptr::from_ref(node), None)).or_insert_with(|| {
                    let entries = entries.iter().rev();
                    entries.map(|(key, node)| (key.text.clone(), (key.mark, node))).collect()
                });
                below.get(name).copied()
            }
            (Step::Item { field, text }, Value::List(items)) if items.len() >= MANY => {
                let list = (std::ptr::from_ref(node), Some(field.clone()));
                let below = known.entry(list).or_insert_with(|| {
                    let named = |item: &'a Node| Some((item.get(field)?.scalar()?, item));
                    // Of items that are named alike the first one counts.
                    let items = items.iter().rev().filter_map(named);
                    items.map(|(text, item)| (text, (item.mark, item))).collect()
                });
                below.get(text).copied()
            }
            _ => step_below(node, step),
        })
    }
}

/// What stands one step below a node, and its mark.
fn step_below<'a>(node: &'a Node, step: &Step) -> Option<(Mark, &'a Node)> {
    match (step, &node.value) {
        (Step::Field(name), _) => node.entry(name).map(|(key, node)| (key.mark, node)),
        (Step::Index(index), Value::List(items)) => items.get(*index).map(|node| (node.mark, node)),
        (Step::Item { field, text }, Value::List(items)) => items
            .iter()
            .find(|item| item.get(field).and_then(Node::scalar).as_deref() == Some(text))
            .map(|node| (node.mark, node)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::yaml::parse;
    use super::*;

    #[test]
    fn a_path_is_found_in_its_document_or_at_what_is_nearest() {
        let node = parse("a:\n  - name: x\n    v: 1\n").unwrap().remove(0);
        let item =
            FieldPath::of(&["a"]).join(Step::Item { field: "name".into(), text: "x".into() });
        assert_eq!(locate(&item.field("v"), &node).0.line, 3);
        assert_eq!(locate(&item.field("w"), &node), (locate(&item, &node).0, false));
        // Of a large document the same, with each list gone through once.
        let items: String =
            (0..40).map(|at| format!("  - name: n{}\n    v: 1\n", at / 2)).collect();
        let fields: String = (0..40).map(|at| format!("f{at}: {at}\n")).collect();
        let text = format!("a:\n{items}{fields}");
        let node = parse(&text).unwrap().remove(0);
        let mut places = Places::of(&node);
        for path in ["a[name=n3].v", "a[name=n40].v", "a[7].v", "a[7].w", "f39", "f40", "a"] {
            let path = FieldPath::parse(path).unwrap();
            assert_eq!(places.locate(&path), locate(&path, &node), "{path}");
        }
    }
}
