//! Rendering of service templates, offline, as the platform renders them.

use std::fmt;
use std::time::{Duration, Instant};

use crate::api::python_json;
use crate::kinds::specs::template::ServiceTemplateSpec;
use crate::limited;

use super::yaml::{self, Mark, Node, YamlError};

/// Values of a template's variables, in the order in which they were given.
pub type Values = indexmap::IndexMap<String, String>;

/// The annotation that keeps a template's original text.
pub const SOURCE_ANNOTATION: &str = "meshagent.service.template.yaml";

/// The annotation that keeps the values that a template was rendered with.
pub const VALUES_ANNOTATION: &str = "meshagent.service.template.values";

/// How long one rendering may take.
pub(super) const TIME: Duration = Duration::from_secs(10);

/// The tag of a scalar that is rendered once more after the text was parsed.
const TEMPLATE_TAG: &str = "!template";

/// Why a template cannot be rendered, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TemplateError {
    /// What is wrong.
    pub message: String,
    /// The line, from one, when it is known.
    pub line: Option<u64>,
    /// The column in characters, from one, when it is known.
    pub column: Option<u64>,
    /// Whether the place counts in the rendered text rather than in the template.
    pub in_rendered: bool,
}

impl TemplateError {
    /// An error at no particular place of the template.
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), line: None, column: None, in_rendered: false }
    }

    fn rendered(message: impl Into<String>, mark: Option<Mark>) -> Self {
        let mark = mark.filter(|mark| mark.line > 0);
        Self {
            message: message.into(),
            line: mark.map(|mark| mark.line),
            column: mark.map(|mark| mark.column),
            in_rendered: true,
        }
    }
}

impl fmt::Display for TemplateError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.message)?;
        let text = if self.in_rendered { " of the rendered text" } else { "" };
        match (self.line, self.column) {
            (Some(line), Some(column)) => write!(out, " (line {line}, column {column}{text})"),
            (Some(line), None) => write!(out, " (line {line}{text})"),
            _ => Ok(()),
        }
    }
}

impl std::error::Error for TemplateError {}

impl From<meshagent_jinja::Error> for TemplateError {
    fn from(error: meshagent_jinja::Error) -> Self {
        let meshagent_jinja::Error { message, line, column, .. } = error;
        Self { message, line, column, in_rendered: false }
    }
}

impl From<YamlError> for TemplateError {
    fn from(error: YamlError) -> Self {
        Self::rendered(error.message, error.mark)
    }
}

/// Renders a service template: the whole text once, then each scalar tagged `!template`
/// once more; what comes out is validated, and the text and its values are kept with it.
///
/// # Errors
///
/// What Jinja2 would refuse or cannot be promised to render alike, text that is not one
/// YAML document, other tags, and documents that are not service templates.
pub fn render(source: &str, values: &Values) -> Result<ServiceTemplateSpec, TemplateError> {
    render_holding(source, values, ())
}

/// The same. What the caller holds is dropped when no more work is done for it, which may be
/// after the answer: a template that takes too long is given up before it ends.
///
/// # Errors
///
/// As [`render`].
pub fn render_holding(
    source: &str,
    values: &Values,
    held: impl Send + 'static,
) -> Result<ServiceTemplateSpec, TemplateError> {
    with_stack(source, values, move |source, values| {
        let _held = held;
        rendered(source, values)
    })
}

/// Does the work on the thread for templates.
fn with_stack<T: Send + 'static>(
    source: &str,
    values: &Values,
    work: impl FnOnce(&str, &Values) -> Result<T, TemplateError> + Send + 'static,
) -> Result<T, TemplateError> {
    let (source, values) = (source.to_owned(), values.clone());
    limited::run(TIME, move || work(&source, &values))
        .unwrap_or_else(|unfinished| Err(TemplateError::new(format!("the template {unfinished}"))))
}

/// The document of a template, whatever fields it has, with the same annotations. What the caller
/// holds is dropped as by [`render_holding`].
///
/// # Errors
///
/// As [`render`], but any document will do that has metadata.
pub fn document_holding(
    source: &str,
    values: &Values,
    held: impl Send + 'static,
) -> Result<serde_json::Value, TemplateError> {
    with_stack(source, values, move |source, values| {
        let _held = held;
        let mut document = document(source, values)?.to_json();
        let metadata = document.get_mut("metadata").and_then(serde_json::Value::as_object_mut);
        let metadata =
            metadata.ok_or_else(|| TemplateError::rendered("metadata is required", None))?;
        let annotations = metadata.entry("annotations").or_insert_with(|| serde_json::json!({}));
        if annotations.is_null() {
            *annotations = serde_json::json!({});
        }
        // Anything but a map is refused by whoever reads the document.
        if let Some(annotations) = annotations.as_object_mut() {
            annotations.insert(SOURCE_ANNOTATION.to_owned(), source.into());
            annotations.insert(VALUES_ANNOTATION.to_owned(), values_json(values).into());
        }
        Ok(document)
    })
}

/// The one document that a template renders to.
fn document(source: &str, values: &Values) -> Result<Node, TemplateError> {
    let rendered = expanded(source, values)?;
    let mut documents = yaml::parse(&rendered)?;
    if documents.len() > 1 {
        return Err(TemplateError::rendered(
            "a template renders to one document, not to several",
            Some(documents[1].mark),
        ));
    }
    let Some(mut document) = documents.pop() else {
        return Err(TemplateError::rendered("the template renders to nothing", None));
    };
    render_tagged(&mut document, values)?;
    Ok(document)
}

fn rendered(source: &str, values: &Values) -> Result<ServiceTemplateSpec, TemplateError> {
    let document = document(source, values)?;
    let mut spec: ServiceTemplateSpec = serde_path_to_error::deserialize(document.to_json())
        .map_err(|error| {
            let path = error.path().to_string();
            let mark = find(&document, error.path());
            let message = error.inner().to_string();
            let message = if path == "." { message } else { format!("{path}: {message}") };
            TemplateError::rendered(message, Some(mark))
        })?;
    let annotations = spec.metadata.annotations.get_or_insert_default();
    annotations.insert(SOURCE_ANNOTATION.to_owned(), source.to_owned());
    annotations.insert(VALUES_ANNOTATION.to_owned(), values_json(values));
    Ok(spec)
}

/// The name of a template that cannot be rendered without values: `metadata.name` as it is
/// written, unless a value has a part in it.
#[must_use]
pub fn written_name(text: &str) -> Option<String> {
    let plain = without_markup(text)?;
    let name = |text: &str| {
        let documents = yaml::parse(text).ok()?;
        let name = documents.first()?.get("metadata")?.get("name")?.as_str()?;
        (!name.contains(VALUE)).then(|| name.to_owned())
    };
    // Elsewhere what is left of the statements may be no YAML.
    let is_inside = |line: &&str| line.starts_with([' ', '\t', '#', '}']) || line.trim().is_empty();
    let mut lines = plain.split_inclusive('\n').skip_while(|line| !line.starts_with("metadata"));
    let first = lines.next().unwrap_or_default();
    let metadata: String = std::iter::once(first).chain(lines.take_while(is_inside)).collect();
    name(&plain).or_else(|| name(&metadata))
}

/// Where a template says its name, as far as its text tells that before it is rendered.
#[must_use]
pub fn name_mark(text: &str) -> Option<Mark> {
    let documents = yaml::parse(&without_markup(text)?).ok()?;
    Some(documents.first()?.get("metadata")?.get("name")?.mark)
}

/// Where a template says what a variable is, as far as its text tells that before it is
/// rendered.
#[must_use]
pub fn variable_mark(text: &str, name: &str) -> Option<Mark> {
    let documents = yaml::parse(&without_markup(text)?).ok()?;
    let yaml::Value::List(variables) = &documents.first()?.get("variables")?.value else {
        return None;
    };
    let is_meant = |it: &&Node| it.get("name").and_then(Node::as_str) == Some(name);
    variables.iter().find(is_meant).map(|variable| variable.mark)
}

/// What stands for a value: a character that means nothing.
const VALUE: char = '\u{e000}';

/// A template without statements and comments, and with [`VALUE`] for each value; `None`
/// where one does not end.
fn without_markup(text: &str) -> Option<String> {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        plain.push_str(before);
        let (end, stands_for) = match after.chars().next() {
            Some('{') => ("}}", Some(VALUE)),
            Some('%') => ("%}", None),
            Some('#') => ("#}", None),
            _ => {
                plain.push('{');
                rest = after;
                continue;
            }
        };
        let (markup, after) = after[1..].split_once(end)?;
        // Lines stay lines.
        plain.extend(stands_for);
        plain.extend(markup.chars().filter(|c| *c == '\n'));
        rest = after;
    }
    plain.push_str(rest);
    Some(plain)
}

/// Renders the text of a template and nothing more.
///
/// # Errors
///
/// What Jinja2 would refuse, what cannot be promised to render alike, and templates that
/// take too long or produce too much.
pub fn render_text(source: &str, values: &Values) -> Result<String, TemplateError> {
    with_stack(source, values, expanded)
}

/// Renders the markup of a text.
fn expanded(source: &str, values: &Values) -> Result<String, TemplateError> {
    let values = values.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    Ok(meshagent_jinja::render(source, values, Instant::now() + TIME)?)
}

fn values_json(values: &Values) -> String {
    let members = values
        .iter()
        .map(|(name, value)| (name.clone(), serde_json::Value::String(value.clone())))
        .collect();
    python_json::dumps(&serde_json::Value::Object(members))
}

/// Renders the tagged scalars of a tree in place.
fn render_tagged(node: &mut Node, values: &Values) -> Result<(), TemplateError> {
    if let Some(tag) = node.tag.take() {
        if !tag.starts_with(TEMPLATE_TAG) {
            return Err(TemplateError::rendered(format!("unknown tag `{tag}`"), Some(node.mark)));
        }
        let yaml::Value::String(text) = &node.value else {
            return Err(TemplateError::rendered(
                format!("the tag `{tag}` belongs to text, not to a list, a map or nothing"),
                Some(node.mark),
            ));
        };
        let text = expanded(text, values)
            .map_err(|error| TemplateError::rendered(error.message, Some(node.mark)))?;
        node.value = yaml::Value::String(text);
    }
    match &mut node.value {
        yaml::Value::List(items) => {
            items.iter_mut().try_for_each(|item| render_tagged(item, values))
        }
        yaml::Value::Map(entries) => {
            entries.iter_mut().try_for_each(|(_, value)| render_tagged(value, values))
        }
        _ => Ok(()),
    }
}

/// Where a path of the validation lies; the nearest parent that exists.
fn find(document: &Node, path: &serde_path_to_error::Path) -> Mark {
    let mut at = document;
    for segment in path {
        let next = match (segment, &at.value) {
            (serde_path_to_error::Segment::Map { key }, _) => at.get(key),
            (serde_path_to_error::Segment::Seq { index }, yaml::Value::List(items)) => {
                items.get(*index)
            }
            _ => None,
        };
        let Some(next) = next else { break };
        at = next;
    }
    at.mark
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_template_is_that_of_its_metadata() {
        for text in [
            "metadata:\n  name: t\n",
            "metadata: {name: t}\n",
            "metadata: {\n  description: \"{{ d }}\", name: t\n}\nkind: ServiceTemplate\n",
            "metadata:\n  annotations:\n    name: other\n  name: \"t\"\n",
            "metadata:\n  annotations: {name: other}\n# more\n\n  name: t # name: other\n",
            "{% if a %}\nkind: ServiceTemplate\n{% endif %}\nmetadata:\n  description: {{ d }}\n  name: t\n",
            "metadata:\n  name: t\nx: {{ a }} b: c\ny: [\n",
            "{\"metadata\": {\"name\": \"t\"}, \"x\": {{ x }}}\n",
            "x:\n  metadata:\n    name: other\nmetadata:\n  name: t\n",
            "{# metadata:\n  name: other #}\nmetadata:\n  name: t\n",
        ] {
            assert_eq!(written_name(text).as_deref(), Some("t"), "{text}");
        }
        for text in [
            "metadata:\n  name: {{ name }}\n",
            "metadata: {name: 'a-{{ name }}'}\n",
            "metadata:\n  annotations:\n    name: other\n",
            "metadata:\n{% if a %}\n  name: a\n{% else %}\n  name: b\n{% endif %}\n",
            "metadata:\n  name: 7\n",
            "metadata:\n  description: |\n    name: other\n",
        ] {
            assert_eq!(written_name(text), None, "{text}");
        }
    }
}
