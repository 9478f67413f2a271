//! Where a field stands in an object: `container.environment[name=TOKEN].value`.

use std::fmt;

use crate::manifest::yaml::{Mark, Node, Value};

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
        let mut node = root;
        let mut mark = root.mark;
        for step in &self.0 {
            let next = match (step, &node.value) {
                (Step::Field(name), Value::Map(_)) => {
                    node.entry(name).map(|(key, node)| (key.mark, node))
                }
                (Step::Index(index), Value::List(items)) => {
                    items.get(*index).map(|node| (node.mark, node))
                }
                (Step::Item { field, text }, Value::List(items)) => items
                    .iter()
                    .find(|item| {
                        item.get(field)
                            .is_some_and(|value| scalar_text(value).as_deref() == Some(text))
                    })
                    .map(|node| (node.mark, node)),
                _ => None,
            };
            match next {
                Some((found, below)) => (mark, node) = (found, below),
                None => return (mark, false),
            }
        }
        (mark, true)
    }
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
                Step::Field(name) => write!(out, "[{name:?}]")?,
                Step::Index(position) => write!(out, "[{position}]")?,
                Step::Item { field, text } if is_plain(text) || text.starts_with('/') => {
                    write!(out, "[{field}={text}]")?
                }
                Step::Item { field, text } => write!(out, "[{field}={text:?}]")?,
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
    fn a_path_is_found_in_its_document_or_at_what_is_nearest() {
        let node = crate::manifest::yaml::parse("a:\n  - name: x\n    v: 1\n").unwrap().remove(0);
        let item =
            FieldPath::of(&["a"]).join(Step::Item { field: "name".into(), text: "x".into() });
        assert_eq!(item.field("v").locate(&node).0.line, 3);
        assert_eq!(item.field("w").locate(&node), (item.locate(&node).0, false));
    }
}
