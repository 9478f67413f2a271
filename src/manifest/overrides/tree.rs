//! *Pure*: fields are put into the tree of a document, and taken out of it.

use crate::kinds::path::Step;
use crate::manifest::yaml::{Key, Mark, Node, Value};

/// Says of a tree which override it is of.
pub(super) fn marked(node: &mut Node, over: u16) {
    node.mark.over = over;
    match &mut node.value {
        Value::List(items) => items.iter_mut().for_each(|item| marked(item, over)),
        Value::Map(entries) => {
            for (key, value) in entries {
                key.mark.over = over;
                marked(value, over);
            }
        }
        _ => {}
    }
}

/// The tag of an item that is taken out. It stays in its list until all is said, so that positions
/// are those of the manifest. No tag of a text has a blank.
const TAKEN_OUT: &str = " taken out";

fn is_taken_out(item: &Node) -> bool {
    item.tag.as_deref() == Some(TAKEN_OUT)
}

fn take_out(item: &mut Node) {
    *item = Node { value: Value::Null, tag: Some(TAKEN_OUT.to_owned()), mark: item.mark };
}

/// Takes the items out of their lists that were taken out.
pub(super) fn swept(node: &mut Node) {
    match &mut node.value {
        Value::List(items) => {
            items.retain(|item| !is_taken_out(item));
            items.iter_mut().for_each(swept);
        }
        Value::Map(entries) => entries.iter_mut().for_each(|(_, value)| swept(value)),
        _ => {}
    }
}

/// Puts a value at a path, or takes away what is there; what is missing on the way is made. Says
/// whether there was anything to do.
pub(super) fn put(
    node: &mut Node,
    path: &[Step],
    value: Option<&Node>,
    mark: Mark,
) -> Result<bool, String> {
    let Some((step, rest)) = path.split_first() else {
        if let Some(value) = value {
            *node = value.clone();
        }
        return Ok(true);
    };
    if matches!(node.value, Value::Null) && value.is_some() {
        node.value = match step {
            Step::Field(_) => Value::Map(Vec::new()),
            _ => Value::List(Vec::new()),
        };
    }
    let is_to_go = rest.is_empty() && value.is_none();
    match (step, &mut node.value) {
        (Step::Field(name), Value::Map(entries)) => {
            let at = entries.iter().position(|(key, _)| key.text == *name);
            match (at, value) {
                (Some(at), _) if is_to_go => drop(entries.remove(at)),
                (Some(at), value) => {
                    let (key, below) = &mut entries[at];
                    let is_done = put(below, rest, value, mark)?;
                    // What a map lacks without a field, it lacks because of who took it out.
                    if rest.is_empty() || rest.len() == 1 && value.is_none() && is_done {
                        key.mark = mark;
                    }
                    return Ok(is_done);
                }
                (None, None) => return Ok(false),
                (None, Some(_)) => {
                    let mut below = Node { value: Value::Null, mark, tag: None };
                    put(&mut below, rest, value, mark)?;
                    entries.push((Key { text: name.clone(), mark }, below));
                }
            }
            Ok(true)
        }
        (Step::Index(index), Value::List(items)) => {
            let count = items.len();
            match items.get_mut(*index) {
                Some(item) if is_to_go => take_out(item),
                Some(item) if is_taken_out(item) => {
                    return Err(format!("item {index} is taken out"));
                }
                Some(item) => return put(item, rest, value, mark),
                None => return Err(format!("there is no item {index} in a list of {count}")),
            }
            Ok(true)
        }
        (Step::Item { field, text }, Value::List(items)) => {
            let is_it =
                |item: &Node| item.get(field).and_then(Node::scalar).as_deref() == Some(text);
            match (items.iter().position(is_it), value) {
                (Some(at), _) if is_to_go => take_out(&mut items[at]),
                (Some(at), value) => return put(&mut items[at], rest, value, mark),
                (None, None) => return Ok(false),
                (None, Some(_)) => {
                    let name = Node { value: Value::String(text.clone()), mark, tag: None };
                    let key = Key { text: field.clone(), mark };
                    let mut item = Node { value: Value::Map(vec![(key, name)]), mark, tag: None };
                    put(&mut item, rest, value, mark)?;
                    items.push(item);
                }
            }
            Ok(true)
        }
        (_, Value::Null) => Ok(false),
        (Step::Field(name), _) => Err(format!("there is no map that could have `{name}`")),
        (_, Value::Map(_)) => Err("there is a map, not a list".to_owned()),
        _ => Err("there is no list".to_owned()),
    }
}
