//! *Pure*: what is declared is checked against the rules of form, whichever way it came to
//! be: written in a document, made from a template, or implied by one.

use super::document::Document;
use super::set::Found;
use crate::error::Problem;
use crate::kinds::path::{FieldPath, Step};
use crate::kinds::shape::Broken;
use crate::kinds::tree::Tree;

/// What is wrong with the form of a declared object, each at its field.
pub(super) fn problems(found: &Found) -> Vec<Problem> {
    let document = &found.origin.document;
    let mut broken = found.declared.broken(found.kind.kind());
    // What a sealed variable makes of a value is the platform's to check: a word about it would
    // tell something of the variable.
    let signs = &document.source.signs;
    broken.retain(|it| {
        let value = found.declared.fields.at(&it.path).and_then(Tree::as_str);
        value.is_none_or(|text| !signs.are_in(text))
    });
    if broken.len() > 1 {
        // What follows from a wrong name is told with the name.
        let root = document.root();
        let is_name = |path: &FieldPath| *path == found.kind.kind().name_rule().path();
        let has_wrong_name = broken.iter().any(|broken| is_name(&broken.path));
        broken.retain(|it| !has_wrong_name || is_name(&it.path) || it.path.locate(&root).1);
    }
    broken.into_iter().map(|broken| problem(found, document, broken)).collect()
}

fn problem(found: &Found, document: &Document, broken: Broken) -> Problem {
    let Broken { path, message, hint } = broken;
    let problem = match &found.origin.derived_from {
        Some(origin) => document.problem_at(
            &FieldPath::of(&["values"]),
            format!("{origin}: `{path}` of the {} {message}", found.kind),
        ),
        None => {
            let path = written(found, document, path);
            document.problem_at(&path, format!("`{path}` {message}"))
        }
    };
    Problem { hint, ..problem }
}

/// The field of the document that says what stands in a field of the object.
fn written(found: &Found, document: &Document, path: FieldPath) -> FieldPath {
    let root = document.root();
    if path.locate(&root).1 {
        return path;
    }
    if path == FieldPath::of(&["room"]) {
        let rooms = root.get("rooms").map(|rooms| rooms.to_json());
        let rooms = rooms.as_ref().and_then(serde_json::Value::as_array);
        let wanted = |room: &serde_json::Value| room.as_str() == found.declared.room.as_deref();
        if let Some(index) = rooms.and_then(|rooms| rooms.iter().position(wanted)) {
            return FieldPath::of(&["rooms"]).join(Step::Index(index));
        }
    }
    let is_name = path == found.kind.kind().name_rule().path();
    if is_name { FieldPath::of(&["metadata", "name"]) } else { path }
}
