//! *Pure*: where sealed environment variables may be used in a document. They can be hidden as
//! values, or parts of one. Names, and everything else that identifies objects, are shown, so
//! sealed variables are refused there.

use secrecy::ExposeSecret;

use super::document::Document;
use super::set::Origin;
use super::source::Source;
use super::split::Part;
use super::yaml::{Key, Mark, Node, Value};
use crate::error::Problem;
use crate::kinds::Declared;
use crate::kinds::path::Step;
use crate::kinds::shape::Shape;
use crate::kinds::specs::rules::Rule;
use crate::kinds::tree::{Sealed, Tree};

/// Fields at the top of a document that say what it is, where it belongs and how it is treated.
const SHOWN: [&str; 8] =
    ["version", "kind", "project", "room", "rooms", "template", "values", "lifecycle"];

/// Fields of `metadata` that may be hidden.
const HIDDEN_METADATA: [&str; 4] = ["description", "annotations", "repo", "icon"];

/// Fields of a service that name secrets.
const REFERENCES: [&str; 2] = ["secrets", "pull_secret"];

/// Refuses hidden variables outside of values, and in values that are shown.
pub(super) fn check(source: &Source, root: &Node) -> Result<(), Vec<Problem>> {
    let mut problems = Vec::new();
    walk(source, root, &mut Vec::new(), &mut problems);
    if problems.is_empty() { Ok(()) } else { Err(problems) }
}

fn walk<'a>(source: &Source, node: &'a Node, path: &mut Vec<&'a str>, found: &mut Vec<Problem>) {
    match &node.value {
        Value::List(items) => items.iter().for_each(|item| walk(source, item, path, found)),
        Value::Map(entries) => {
            for (Key { text, mark }, below) in entries {
                if source.signs.are_in(text) {
                    found.push(refused(source, *mark, text, "the name of a field"));
                }
                path.push(text);
                walk(source, below, path, found);
                path.pop();
            }
        }
        Value::String(text) if source.signs.are_in(text) => {
            let is_shown = match path.as_slice() {
                ["metadata", name, ..] => !HIDDEN_METADATA.contains(name),
                ["container", name, ..] => REFERENCES.contains(name),
                [name, ..] => *name == "metadata" || SHOWN.contains(name),
                [] => true,
            };
            if is_shown {
                found.push(refused(
                    source,
                    node.mark,
                    text,
                    "the value of a field that is always shown",
                ));
            }
        }
        _ => {}
    }
}

/// The problem of a variable in a place where it would be shown.
fn refused(source: &Source, mark: Mark, text: &str, place: &str) -> Problem {
    let names = source.signs.names_in(text).join(", ");
    let message =
        format!("the value of the environment variable {names} is hidden, so it cannot be {place}");
    source.problem(mark, message).hint(way_out(source, text))
}

/// What lets the variables in a text be shown.
fn way_out(source: &Source, text: &str) -> String {
    let names = source.signs.names_in(text);
    let allowed: Vec<_> = names.iter().map(|name| format!("--allow-env {name}=public")).collect();
    format!("add {} to let plans show it", allowed.join(" "))
}

/// The problem of a service template, which is shown as a whole, with a variable in it.
pub(super) fn refused_template(source: &Source, part: &Part<'_>) -> Problem {
    let at = part.text.lines().position(|line| source.signs.are_in(line)).unwrap_or_default();
    let mark = Mark { line: part.lines + at as u64 + 1, column: 1, ..Mark::default() };
    let line = part.text.lines().nth(at).unwrap_or_default();
    refused(source, mark, line, "a part of a service template")
}

/// The ports of a document that sealed variables would be. What they hold is a text that is not
/// looked into, and a port is a number.
pub(super) fn sealed_ports(document: &Document) -> Vec<Problem> {
    let mut found = Vec::new();
    ports_below(&document.source, &document.root(), document.kind.shape(), &mut found);
    found
}

fn ports_below(source: &Source, node: &Node, shape: &Shape, found: &mut Vec<Problem>) {
    match &node.value {
        Value::List(items) => {
            let Some(shape) = shape.child(&Step::Index(0)) else { return };
            items.iter().for_each(|item| ports_below(source, item, shape, found));
        }
        Value::Map(entries) => {
            for (key, below) in entries {
                if let Some(shape) = shape.child(&Step::Field(key.text.clone())) {
                    ports_below(source, below, shape, found);
                }
            }
        }
        Value::String(text) if shape.rule == Some(Rule::Port) && source.signs.are_in(text) => {
            found.push(refused(source, node.mark, text, "a port"));
        }
        _ => {}
    }
}

/// The hint for a sealed variable that stands where something else than a text does.
pub(super) fn no_text(source: &Source, text: &str) -> String {
    format!("a hidden variable can only be used as text; {}", way_out(source, text))
}

/// Puts what sealed variables hold into the fields of an object, which hide it. What tells the
/// object apart cannot be hidden.
pub(super) fn seal(declared: &mut Declared, origin: &Origin) -> Option<Problem> {
    let source = &origin.document.source;
    declared.fields.rewrite_leaves(&mut |_, leaf| {
        let revealed = match leaf {
            Tree::Text(text) => source.signs.revealed(text),
            // A secret's text is one already.
            Tree::Secret(Sealed::Known(text)) => source.signs.revealed(text.expose_secret()),
            _ => None,
        };
        revealed.map(Tree::Secret)
    });
    let Declared { name, room, project, .. } = declared;
    let shown = [("name", Some(&*name)), ("room", room.as_ref()), ("project", project.as_ref())];
    let mut shown = shown.into_iter().filter_map(|(what, shown)| Some((what, shown?)));
    let (what, shown) = shown.find(|(_, shown)| source.signs.are_in(shown))?;
    let names = source.signs.names_in(shown).join(", ");
    let message = format!(
        "the object's {what} contains the hidden environment variable {names}, but names are always shown"
    );
    let root = origin.document.root();
    let mark = first_with_sign(&root, source).unwrap_or(root.mark);
    Some(origin.document.problem_at_mark(mark, message).hint(way_out(source, shown)))
}

/// Where the first text with a sign stands.
fn first_with_sign(node: &Node, source: &Source) -> Option<Mark> {
    match &node.value {
        Value::String(text) => source.signs.are_in(text).then_some(node.mark),
        Value::List(items) => items.iter().find_map(|item| first_with_sign(item, source)),
        Value::Map(entries) => entries.iter().find_map(|(_, below)| first_with_sign(below, source)),
        _ => None,
    }
}
