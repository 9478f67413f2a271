//! *Pure*: checks declared objects against the rules of form, whether they are written in a
//! document, made from a template, or derived from one.

use super::document::Document;
use super::located::locate;
use super::set::Found;
use super::yaml::{Node, Value};
use crate::error::Problem;
use crate::kinds::path::{FieldPath, Step};
use crate::kinds::shape::Broken;
use crate::kinds::tree::Tree;

/// How many problems of one object are reported with their places. Thousands of similar ones are
/// counted.
const DETAILED: usize = 1_000;

/// The longest rendered text that is shown, in bytes.
const SHOWN: usize = 200;

/// What is wrong with the form of a declared object, each at its field.
pub(super) fn problems(found: &Found) -> Vec<Problem> {
    let document = &found.origin.document;
    let mut broken = found.declared.broken(found.kind.kind());
    // The platform checks values from sealed variables: a message about one would reveal something
    // about the variable.
    let signs = &document.source.signs;
    broken.retain(|it| {
        let value = found.declared.fields.at(&it.path).and_then(Tree::as_str);
        value.is_none_or(|text| !signs.are_in(text))
    });
    if broken.len() > 1 {
        // What follows from a wrong name is reported with the name.
        let root = document.root();
        let is_name = |path: &FieldPath| *path == found.kind.kind().name_rule().path();
        let has_wrong_name = broken.iter().any(|broken| is_name(&broken.path));
        broken.retain(|it| !has_wrong_name || is_name(&it.path) || locate(&it.path, &root).1);
    }
    let told = broken.into_iter().enumerate().map(|(index, broken)| match index {
        0..DETAILED => problem(found, document, broken),
        _ => document.problem_in_brief(format!("`{}` {}", broken.path, broken.message)),
    });
    told.collect()
}

fn problem(found: &Found, document: &Document, broken: Broken) -> Problem {
    let rendered = rendered(found, document, &broken.path);
    let Broken { path, message, hint } = broken;
    let problem = match &found.origin.derived_from {
        Some(origin) => document.problem_at(
            &FieldPath::of(&["values"]),
            format!("{origin}: `{path}` of the {} {message}", found.kind),
        ),
        None if document.template.is_some() && path == name_path() => {
            document.problem_at_mark(document.name_mark(), format!("`{path}` {message}"))
        }
        None => {
            let path = written(found, document, path);
            document.problem_at(&path, format!("`{path}` {message}"))
        }
    };
    let hints: Vec<String> = hint.into_iter().chain(rendered).collect();
    Problem { hint: (!hints.is_empty()).then(|| hints.join("; ")), ..problem }
}

fn name_path() -> FieldPath {
    FieldPath::of(&["metadata", "name"])
}

/// What a template rendered a field to: that is in no file.
fn rendered(found: &Found, document: &Document, path: &FieldPath) -> Option<String> {
    let is_rendered = document.source.is_rendered()
        || document.template.is_some()
        || document.root().get("template").is_some();
    if !is_rendered || found.origin.derived_from.is_some() || !document.may_be_quoted() {
        return None;
    }
    let text = found.declared.fields.at(path).and_then(Tree::scalar)?;
    let may_be_shown = text.len() <= SHOWN && !document.source.signs.are_in(&text);
    may_be_shown.then(|| format!("it is rendered as {path}: {text:?}"))
}

/// The field of the document that says what stands in a field of the object.
fn written(found: &Found, document: &Document, path: FieldPath) -> FieldPath {
    let root = document.root();
    if locate(&path, &root).1 {
        return path;
    }
    if path == FieldPath::of(&["room"]) {
        let wanted = |room: &Node| room.as_str() == found.declared.room.as_deref();
        if let Some(Value::List(rooms)) = root.get("rooms").map(|rooms| &rooms.value)
            && let Some(index) = rooms.iter().position(wanted)
        {
            return FieldPath::of(&["rooms"]).join(Step::Index(index));
        }
    }
    if let Some(made_of) = document.kind.made_of(&path).filter(|it| locate(it, &root).1) {
        return made_of;
    }
    if let Some(own) = document.kind.written_at(&path) {
        return own;
    }
    let is_name = path == found.kind.kind().name_rule().path();
    if is_name { name_path() } else { path }
}
