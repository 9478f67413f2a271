//! *Pure*: changes a value in the text of a document and leaves everything else (comments,
//! empty lines, quotes, layout) as it is, byte for byte.
//!
//! Every edit is checked: the new text is parsed, and it must mean the same as the old one with
//! only that change. Any other edit is refused with a reason, because a file with another meaning
//! is worse than one that is not edited.

use serde_json::{Map, Value};

use super::yaml;
use crate::kinds::path::{FieldPath, Step};
use crate::kinds::tree::Tree;

mod layout;
mod lines;
mod scalar;
mod splice;

/// A text as a value on a line of its own, in quotes only if some reader would take it for
/// something else.
#[must_use]
pub fn in_block(text: &str) -> String {
    scalar::key(text, scalar::Context::Block)
}

/// The same between brackets or braces.
#[must_use]
pub fn in_flow(text: &str) -> String {
    scalar::key(text, scalar::Context::Flow)
}

/// The value at a path; none where there is none, or where the text is not one document.
#[must_use]
pub fn get(text: &str, path: &FieldPath) -> Option<Value> {
    let mut at = parse(text).ok()?;
    for step in &path.0 {
        at = below(&mut at, step).ok()?.take();
    }
    Some(at)
}

/// Sets the value at a path, or removes it, and returns the new text. Missing maps on the way are
/// created. The text must be one document.
///
/// # Errors
///
/// Why the edit cannot be made without changing something else, as a phrase.
pub fn set(text: &str, path: &FieldPath, value: Option<&Value>) -> Result<String, String> {
    let old = parse(text)?;
    let mut wanted = old.clone();
    put(&mut wanted, path, value)?;
    let mut edited = text.to_owned();
    // A large change is made of small ones, each on the text that the one before left.
    let changes = match value {
        Some(_) => differences(&old, &wanted),
        // Of equal items the one that was asked for goes, with its comments.
        None if old == wanted => Vec::new(),
        None => vec![Change { path: places(&old, path)?, what: What::Remove }],
    };
    for change in changes {
        let is_json = serde_json::from_str::<Value>(&edited).is_ok();
        let root = layout::read(&edited)
            .ok_or_else(|| "the document uses YAML that cannot be edited".to_owned())?;
        edited = splice::apply(&edited, &root, is_json, &change)?;
    }
    match parse(&edited) {
        Ok(read) if read == wanted => Ok(edited),
        _ => Err("the document's layout does not allow it without changing something else".into()),
    }
}

/// One small change of a text.
#[derive(Debug, Clone, PartialEq)]
struct Change {
    path: Vec<Place>,
    what: What,
}

/// A step of a path whose items have been found.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    Key(String),
    Index(usize),
}

#[derive(Debug, Clone, PartialEq)]
enum What {
    /// Another value takes the place of the one at the path.
    Replace(Value),
    /// A key is added after the last one, or an item at its position.
    Add(Value),
    /// The entry goes away.
    Remove,
}

fn parse(text: &str) -> Result<Value, String> {
    let mut documents = yaml::parse(text).map_err(|error| error.message)?;
    match (documents.pop(), documents.is_empty()) {
        (Some(document), true) => Ok(document.to_json()),
        _ => Err("the text is not one document".to_owned()),
    }
}

/// Makes the change in the value, which says what the text has to say afterwards.
fn put(root: &mut Value, path: &FieldPath, value: Option<&Value>) -> Result<(), String> {
    let Some((last, parents)) = path.0.split_last() else {
        return Err("a whole document cannot be set".to_owned());
    };
    let mut at = root;
    for step in parents {
        if let Step::Field(name) = step {
            if at.is_null() {
                *at = Value::Object(Map::new());
            }
            if let Value::Object(fields) = at
                && !fields.contains_key(name)
            {
                if value.is_none() {
                    return Ok(());
                }
                fields.insert(name.clone(), Value::Null);
            }
        }
        at = below(at, step)?;
    }
    match (last, value) {
        (Step::Field(name), value) => {
            if at.is_null() {
                *at = Value::Object(Map::new());
            }
            let Value::Object(fields) = at else { return Err(no_such(path)) };
            match value {
                Some(value) => drop(fields.insert(name.clone(), value.clone())),
                None => drop(fields.shift_remove(name)),
            }
        }
        (step, value) => {
            if at.is_null() && value.is_some() {
                *at = Value::Array(Vec::new());
            }
            let Value::Array(items) = at else { return Err(no_such(path)) };
            match (position(items, step)?, value) {
                (Some(index), Some(value)) => items[index] = value.clone(),
                (Some(index), None) => drop(items.remove(index)),
                (None, Some(value)) => items.push(value.clone()),
                (None, None) => {}
            }
        }
    }
    Ok(())
}

fn no_such(path: &FieldPath) -> String {
    format!("`{path}` does not fit what the document has there")
}

fn below<'a>(at: &'a mut Value, step: &Step) -> Result<&'a mut Value, String> {
    let missing = || format!("the document has nothing at `{}`", FieldPath(vec![step.clone()]));
    match (step, at) {
        (Step::Field(name), Value::Object(fields)) => fields.get_mut(name).ok_or_else(missing),
        (step, Value::Array(items)) => {
            let index = position(items, step)?.ok_or_else(missing)?;
            items.get_mut(index).ok_or_else(missing)
        }
        _ => Err(missing()),
    }
}

/// The path with every item found.
fn places(root: &Value, path: &FieldPath) -> Result<Vec<Place>, String> {
    let mut at = root;
    let mut places = Vec::new();
    for step in &path.0 {
        let (place, below) = match (step, at) {
            (Step::Field(name), _) => (Place::Key(name.clone()), at.get(name)),
            (step, Value::Array(items)) => {
                let index = position(items, step)?.ok_or_else(|| no_such(path))?;
                (Place::Index(index), items.get(index))
            }
            _ => return Err(no_such(path)),
        };
        places.push(place);
        at = below.ok_or_else(|| no_such(path))?;
    }
    Ok(places)
}

/// The position of an item, if the list has it; an item that is there twice is an error.
fn position(items: &[Value], step: &Step) -> Result<Option<usize>, String> {
    match step {
        Step::Index(index) => Ok((*index < items.len()).then_some(*index)),
        Step::Item { field, text } => {
            let mut found = items.iter().enumerate().filter(|(_, item)| {
                item.get(field).is_some_and(|value| {
                    Tree::from(value).scalar().as_deref() == Some(text.as_str())
                })
            });
            match (found.next(), found.next()) {
                (_, Some(_)) => Err(format!("more than one item has the {field} `{text}`")),
                (first, None) => Ok(first.map(|(index, _)| index)),
            }
        }
        Step::Field(_) => Ok(None),
    }
}

/// The small changes that make one value of another, in an order in which they can be
/// made one after the other.
fn differences(old: &Value, new: &Value) -> Vec<Change> {
    let mut changes = Vec::new();
    compare(old, new, &mut Vec::new(), &mut changes);
    changes
}

fn compare(old: &Value, new: &Value, path: &mut Vec<Place>, changes: &mut Vec<Change>) {
    let mut at = |path: &mut Vec<Place>, place: Place, what: What| {
        let mut path = path.clone();
        path.push(place);
        changes.push(Change { path, what });
    };
    match (old, new) {
        _ if old == new => {}
        (Value::Object(one), Value::Object(other)) if !one.is_empty() && !other.is_empty() => {
            // What is added comes first, so that a map is never empty on the way.
            for (name, value) in other.iter().filter(|(name, _)| !one.contains_key(*name)) {
                at(path, Place::Key(name.clone()), What::Add(value.clone()));
            }
            for name in one.keys().filter(|name| !other.contains_key(*name)) {
                at(path, Place::Key(name.clone()), What::Remove);
            }
            for (name, value) in one {
                if let Some(new) = other.get(name) {
                    path.push(Place::Key(name.clone()));
                    compare(value, new, path, changes);
                    path.pop();
                }
            }
        }
        (Value::Array(one), Value::Array(other)) if !one.is_empty() && !other.is_empty() => {
            let head = one.iter().zip(other).take_while(|(one, other)| one == other).count();
            let most = one.len().min(other.len()) - head;
            let tail = one
                .iter()
                .rev()
                .zip(other.iter().rev())
                .take(most)
                .take_while(|(one, other)| one == other)
                .count();
            let (olds, news) = (&one[head..one.len() - tail], &other[head..other.len() - tail]);
            let both = olds.len().min(news.len());
            // What is added comes first here too.
            for (offset, value) in news.iter().enumerate().skip(both) {
                at(path, Place::Index(head + offset), What::Add(value.clone()));
            }
            for index in (both..olds.len()).rev() {
                at(path, Place::Index(head + index), What::Remove);
            }
            for (offset, (old, new)) in olds.iter().zip(news).enumerate() {
                path.push(Place::Index(head + offset));
                compare(old, new, path, changes);
                path.pop();
            }
        }
        _ => changes.push(Change { path: path.clone(), what: What::Replace(new.clone()) }),
    }
}
