//! Where a field stands in an object: `container.environment[name=TOKEN].value`.

use std::collections::HashMap;
use std::fmt;

use crate::manifest::yaml::{Mark, Node, Value};
use crate::visible;

/// One step of a path.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Step {
    /// A field of a map.
    Field(String),
    /// An item of a list, from zero.
    Index(usize),
    /// The item of a list whose field has this text.
    Item {
        /// The field that tells items apart.
        field: String,
        /// Its text.
        text: String,
    },
}

/// The way from an object's root to one of its fields.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FieldPath(pub Vec<Step>);

impl FieldPath {
    /// A path of plain fields: `metadata.annotations`.
    #[must_use]
    pub fn of(fields: &[&str]) -> Self {
        Self(fields.iter().map(|field| Step::Field((*field).to_owned())).collect())
    }

    /// Reads a path as it is shown: `container.environment[name=TOKEN].value`,
    /// `ports[0]`, `metadata.annotations["a.b"]`.
    ///
    /// # Errors
    ///
    /// What is wrong, as a phrase.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut steps = Vec::new();
        let mut rest = text;
        while !rest.is_empty() {
            if let Some(inside) = rest.strip_prefix('[') {
                let (step, after) = parse_bracket(inside)?;
                steps.push(step);
                rest = after;
            } else {
                let name = match rest.strip_prefix('.') {
                    Some(name) if !steps.is_empty() => name,
                    _ => rest,
                };
                let end = name.find(['.', '[']).unwrap_or(name.len());
                if end == 0 {
                    return Err("a field's name is missing".to_owned());
                }
                steps.push(Step::Field(name[..end].to_owned()));
                rest = &name[end..];
            }
        }
        if steps.is_empty() { Err("it is empty".to_owned()) } else { Ok(Self(steps)) }
    }

    /// The path one step further down.
    #[must_use]
    pub fn join(&self, step: Step) -> Self {
        let mut steps = self.0.clone();
        steps.push(step);
        Self(steps)
    }

    /// The path of a field below this one.
    #[must_use]
    pub fn field(&self, name: &str) -> Self {
        self.join(Step::Field(name.to_owned()))
    }

    /// The place of the field in a document, or of the nearest thing above it that is
    /// written there. The second value is whether the field itself was found.
    #[must_use]
    pub fn locate(&self, root: &Node) -> (Mark, bool) {
        self.walk(root, step_below)
    }

    fn walk<'a>(
        &self,
        root: &'a Node,
        mut below: impl FnMut(&'a Node, &Step) -> Option<(Mark, &'a Node)>,
    ) -> (Mark, bool) {
        let (mut node, mut mark) = (root, root.mark);
        for step in &self.0 {
            match below(node, step) {
                Some((found, below)) => (mark, node) = (found, below),
                None => return (mark, false),
            }
        }
        (mark, true)
    }
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

    /// As [`FieldPath::locate`].
    pub fn locate(&mut self, path: &FieldPath) -> (Mark, bool) {
        let known = &mut self.known;
        path.walk(self.root, |node, step| match (step, &node.value) {
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
                    let named = |item: &'a Node| Some((scalar_text(item.get(field)?)?, item));
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
            .find(|item| item.get(field).and_then(scalar_text).as_deref() == Some(text))
            .map(|node| (node.mark, node)),
        _ => None,
    }
}

/// Reads what stands in brackets, up to and with the closing one.
fn parse_bracket(inside: &str) -> Result<(Step, &str), String> {
    let unclosed = || "a bracket is not closed".to_owned();
    let quoted = |text: &str| -> Result<(String, usize), String> {
        let mut values = serde_json::Deserializer::from_str(text).into_iter::<String>();
        match values.next() {
            Some(Ok(value)) => Ok((value, values.byte_offset())),
            _ => Err("a quoted text is not closed".to_owned()),
        }
    };
    if inside.starts_with('"') {
        let (name, end) = quoted(inside)?;
        let after = inside[end..].strip_prefix(']').ok_or_else(unclosed)?;
        return Ok((Step::Field(name), after));
    }
    let end = inside.find(['=', ']']).ok_or_else(unclosed)?;
    if inside[end..].starts_with(']') {
        let index =
            inside[..end].parse().map_err(|_| format!("`{}` is no position", &inside[..end]))?;
        return Ok((Step::Index(index), &inside[end + 1..]));
    }
    let (field, text) = (inside[..end].to_owned(), &inside[end + 1..]);
    let (text, after) = if text.starts_with('"') {
        let (value, end) = quoted(text)?;
        (value, text[end..].strip_prefix(']').ok_or_else(unclosed)?)
    } else {
        let (value, after) = text.split_once(']').ok_or_else(unclosed)?;
        (value.to_owned(), after)
    };
    Ok((Step::Item { field, text }, after))
}

fn scalar_text(node: &Node) -> Option<String> {
    match &node.value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(value) => Some(value.to_string()),
        _ => None,
    }
}

/// Whether a field's name can stand in a path without quotes.
fn is_plain(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-')
}

/// Whether a path of files can stand in a path without quotes.
fn is_plain_path(text: &str) -> bool {
    text.starts_with('/') && !text.contains(']') && visible::is_visible(text)
}

/// A text in quotes, as [`FieldPath::parse`] reads it, with nothing hidden in it.
fn quoted(text: &str) -> String {
    visible::json(&serde_json::Value::from(text).to_string()).into_owned()
}

impl fmt::Display for FieldPath {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, step) in self.0.iter().enumerate() {
            match step {
                Step::Field(name) if is_plain(name) => {
                    if index > 0 {
                        out.write_str(".")?;
                    }
                    out.write_str(name)?;
                }
                Step::Field(name) => write!(out, "[{}]", quoted(name))?,
                Step::Index(position) => write!(out, "[{position}]")?,
                Step::Item { field, text } if is_plain(text) || is_plain_path(text) => {
                    write!(out, "[{field}={text}]")?
                }
                Step::Item { field, text } => write!(out, "[{field}={}]", quoted(text))?,
            }
        }
        Ok(())
    }
}

impl serde::Serialize for FieldPath {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_read_as_people_write_them() {
        let path = FieldPath::of(&["container", "environment"])
            .join(Step::Item { field: "name".into(), text: "TOKEN".into() })
            .field("value");
        assert_eq!(path.to_string(), "container.environment[name=TOKEN].value");
        let path = FieldPath::of(&["metadata", "annotations", "a.b"]);
        assert_eq!(path.to_string(), "metadata.annotations[\"a.b\"]");
    }

    #[test]
    fn paths_are_read_as_they_are_shown() {
        for text in [
            "container.environment[name=TOKEN].value",
            "metadata.annotations[\"a.b]\"]",
            "ports[0].num",
            "storage[path=/data]",
            "agents[name=\"a b\"].description",
            "a[\"b\\u202ec\\n\"][path=\"/x]\\u200b\"]",
        ] {
            assert_eq!(FieldPath::parse(text).unwrap().to_string(), text);
        }
        for text in ["", "a..b", "a[", "a[x]", "a[n=\"x]", ".a."] {
            assert!(FieldPath::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_path_is_found_in_its_document_or_at_what_is_nearest() {
        let node = crate::manifest::yaml::parse("a:\n  - name: x\n    v: 1\n").unwrap().remove(0);
        let item =
            FieldPath::of(&["a"]).join(Step::Item { field: "name".into(), text: "x".into() });
        assert_eq!(item.field("v").locate(&node).0.line, 3);
        assert_eq!(item.field("w").locate(&node), (item.locate(&node).0, false));
        // Of a large document the same, with each list gone through once.
        let items: String =
            (0..40).map(|at| format!("  - name: n{}\n    v: 1\n", at / 2)).collect();
        let fields: String = (0..40).map(|at| format!("f{at}: {at}\n")).collect();
        let text = format!("a:\n{items}{fields}");
        let node = crate::manifest::yaml::parse(&text).unwrap().remove(0);
        let mut places = Places::of(&node);
        for path in ["a[name=n3].v", "a[name=n40].v", "a[7].v", "a[7].w", "f39", "f40", "a"] {
            let path = FieldPath::parse(path).unwrap();
            assert_eq!(places.locate(&path), path.locate(&node), "{path}");
        }
    }
}
