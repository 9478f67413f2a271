//! Rendering of service templates, offline, as the platform renders them.

use std::fmt;

use crate::api::python_json;
use crate::api::specs::template::ServiceTemplateSpec;

use super::jinja;
use super::yaml::{self, Mark, Node, YamlError};

/// Values of a template's variables, in the order in which they were given.
pub type Values = indexmap::IndexMap<String, String>;

/// The annotation that keeps a template's original text.
pub const SOURCE_ANNOTATION: &str = "meshagent.service.template.yaml";

/// The annotation that keeps the values that a template was rendered with.
pub const VALUES_ANNOTATION: &str = "meshagent.service.template.values";

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
    let rendered = render_text(source, values)?;
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

/// Renders the text of a template and nothing more.
///
/// # Errors
///
/// What Jinja2 would refuse, what cannot be promised to render alike, and templates that
/// take too long or produce too much.
pub fn render_text(source: &str, values: &Values) -> Result<String, TemplateError> {
    jinja::render(source, values)
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
        let text = render_text(text, values)
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
