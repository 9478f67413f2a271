//! Where a field stands in an object: `container.environment[name=TOKEN].value`.

use std::fmt;

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
    /// The field or list that the last step leads into.
    #[must_use]
    pub fn parent(mut self) -> Self {
        self.0.pop();
        self
    }

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
            inside[..end].parse().map_err(|_| format!("`{}` is not a position", &inside[..end]))?;
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
}
