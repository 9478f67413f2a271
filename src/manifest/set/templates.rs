//! The service templates of a set, by name.

use std::sync::Arc;

use super::super::document::Document;
use super::super::placement::{self, Placement, Template, Templates};
use super::super::template;
use crate::error::Problem;
use crate::kinds::KindName;
use crate::kinds::path::FieldPath;

/// What is wrong with the name of a template. One that places itself is checked with the
/// service that it becomes, and one whose name is a value once it has that.
fn name_problem(document: &Document, name: &str) -> Option<Problem> {
    let text = document.template.as_ref()?;
    let is_of_value = name.is_empty() && template::written_name(&text.text).is_none();
    if is_of_value || Placement::is_placed(document) {
        return None;
    }
    let message = KindName::ServiceTemplate.kind().name_rule().rule.check(name).err()?;
    Some(document.problem_at_mark(document.name_mark(), format!("`metadata.name` {message}")))
}

/// The templates of the set by name. Each is rendered with no values, as installers do, so
/// that the mistakes of those that nothing places are found too.
pub(super) fn templates<'a>(
    documents: impl Iterator<Item = &'a Arc<Document>>,
    problems: &mut Vec<Problem>,
) -> Templates {
    let mut templates = Templates::new();
    for document in documents {
        let Some(text) = &document.template else { continue };
        let (name, unplaceable) = match template::render(&text.text, &template::Values::new()) {
            Ok(spec) => (spec.metadata.name, None),
            Err(error) => {
                let problem = placement::render_problem(document, &error);
                match template::written_name(&text.text) {
                    Some(name) => (name, Some(problem)),
                    None => {
                        problems.push(problem);
                        continue;
                    }
                }
            }
        };
        problems.extend(name_problem(document, &name));
        if let Some(first) = templates.get(&name) {
            let message =
                format!("ServiceTemplate/{name} is declared twice, first at {}", first.place());
            problems.push(document.problem_at(&FieldPath::default(), message));
        } else {
            templates.insert(name, Template { document: Arc::clone(document), unplaceable });
        }
    }
    templates
}
