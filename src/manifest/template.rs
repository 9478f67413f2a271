//! Rendering of service templates.

use crate::api::specs::template::ServiceTemplateSpec;

/// Values of a template's variables, in the order in which they were written.
pub type Values = indexmap::IndexMap<String, String>;

/// What is wrong with a template.
#[derive(Debug, Clone)]
pub struct TemplateError {
    /// What is wrong.
    pub message: String,
    /// The line.
    pub line: Option<u64>,
    /// The column.
    pub column: Option<u64>,
    /// Whether the line counts in the rendered text.
    pub in_rendered: bool,
}

/// Renders.
///
/// # Errors
///
/// What is wrong.
pub fn render(_source: &str, _values: &Values) -> Result<ServiceTemplateSpec, TemplateError> {
    Err(TemplateError { message: "not merged yet".into(), line: None, column: None, in_rendered: false })
}
