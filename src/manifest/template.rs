//! Rendering of service templates.

use indexmap::IndexMap;

use crate::api::specs::template::ServiceTemplateSpec;

/// The annotation that keeps the template as it was written.
const SOURCE: &str = "meshagent.service.template.yaml";
/// The annotation that keeps the values.
const VALUES: &str = "meshagent.service.template.values";

/// Why a template cannot be rendered.
#[derive(Debug, thiserror::Error)]
pub enum TemplateError {
    /// The placeholders are wrong.
    #[error("failed to render the template: {0}")]
    Render(#[from] minijinja::Error),
    /// What was rendered is no service template.
    #[error("the rendered text is no service template: {0}")]
    Parse(#[from] serde_yaml::Error),
    /// The values cannot be kept.
    #[error("failed to keep the values: {0}")]
    Values(#[from] serde_json::Error),
}

/// Renders a template with values and reads the result.
///
/// # Errors
///
/// The placeholders are wrong, or the rendered text is no service template.
pub fn render(
    source: &str,
    values: &IndexMap<String, String>,
) -> Result<ServiceTemplateSpec, TemplateError> {
    let text = minijinja::Environment::new().render_str(
        source,
        minijinja::Value::from_pairs(values.iter().map(|(k, v)| (k.as_str(), v.as_str()))),
    )?;
    let mut spec: ServiceTemplateSpec = serde_yaml::from_str(&text)?;
    let annotations = spec.metadata.annotations.get_or_insert_default();
    annotations.insert(SOURCE.into(), source.into());
    annotations.insert(VALUES.into(), serde_json::to_string(values)?);
    Ok(spec)
}
