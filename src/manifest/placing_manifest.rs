//! *Pure*: a template with its values becomes the manifest that places it.
//!
//! The text is read again before it is given out, so that planning it finds nothing to
//! change.

use std::path::PathBuf;
use std::sync::Arc;

use serde_json::json;

use super::set::{self, Input};
use super::source::Source;
use super::template::{self, Values};
use crate::kinds::service::fields_of;
use crate::kinds::specs::service::ServiceSpec;
use crate::visible;

/// Writes the documents that declare a service which was made from a template: a `Service`
/// that places it, and the template.
///
/// # Errors
///
/// Why what the documents declare would be another service.
pub fn manifest(
    source: &str,
    values: &Values,
    room: Option<&str>,
    service: &ServiceSpec,
) -> Result<String, String> {
    // A set knows a template by the name that it has without values.
    let name = template::render(source, &Values::new())
        .map_or_else(|_| template::written_name(source), |spec| Some(spec.metadata.name))
        .ok_or("the template has no name without its values")?;
    let mut document = json!({
        "version": "v1",
        "kind": "Service",
        "metadata": {"name": service.metadata.name},
    });
    if let Some(room) = room {
        document["room"] = room.into();
    }
    document["template"] = name.into();
    document["values"] = json!(values);
    // What installers would set up with the service was not asked for.
    document["lifecycle"] = json!({"derive": false});
    let document = visible::yaml(&document);
    // The platform keeps the template's text to the letter, so nothing may follow it.
    let text = format!("{document}---\n{source}");
    if visible::lines(&text) != text {
        return Err("it holds characters that cannot be shown".to_owned());
    }
    match declares(&text, room, service)? {
        true => Ok(text),
        false => Err("the platform would make a different service from its template".to_owned()),
    }
}

/// Whether a text declares this service, and just that.
fn declares(text: &str, room: Option<&str>, service: &ServiceSpec) -> Result<bool, String> {
    let source = Source::new(String::new(), PathBuf::new(), text.to_owned());
    let input = Input { project: Some("any".to_owned()), ..Input::default() };
    let set = set::from_sources(&[Arc::new(source)], Vec::new(), &input)
        .map_err(|problems| problems.first().map(|it| it.message.clone()).unwrap_or_default())?;
    let mut objects = set.objects.values();
    let declared = objects.next().filter(|_| objects.len() == 0);
    Ok(declared.is_some_and(|declared| {
        declared.key.room.as_deref() == room
            && declared.key.name == service.metadata.name
            && declared.fields.reveal() == fields_of(service).reveal()
    }))
}
