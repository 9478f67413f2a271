//! The plan as people read it in a terminal.

use std::fmt::Write;

use anstyle::{AnsiColor, Style};
use serde_json::Value;

use super::{Action, Cause, FieldChange, Operation, Plan, suggestion};
use crate::kinds::tree::Tree;

/// The longest value that is shown on one line, in characters.
const WIDTH: usize = 100;

const GREEN: Style = AnsiColor::Green.on_default();
const RED: Style = AnsiColor::Red.on_default();
const YELLOW: Style = AnsiColor::Yellow.on_default();
const CYAN: Style = AnsiColor::Cyan.on_default();
const DIM: Style = Style::new().dimmed();

/// The sign and the colour of an operation.
#[must_use]
pub fn sign(operation: &Operation) -> (&'static str, Style) {
    match (operation.action, operation.replaces) {
        (_, true) => ("±", YELLOW),
        (Action::Create, _) => ("+", GREEN),
        (Action::Update, _) => ("~", YELLOW),
        (Action::Record, _) => ("•", CYAN),
        (Action::Rename, _) => ("→", YELLOW),
        (Action::Adopt, _) => ("↓", CYAN),
        (Action::Delete, _) => ("-", RED),
        (Action::Release, _) => ("○", CYAN),
    }
}

/// What is done, as one word.
#[must_use]
pub fn verb(operation: &Operation) -> &'static str {
    match (operation.action, operation.replaces) {
        (_, true) => "replace",
        (Action::Create, _) => "create",
        (Action::Update, _) => "update",
        (Action::Record, _) => "record",
        (Action::Rename, _) => "rename",
        (Action::Adopt, _) => "adopt",
        (Action::Delete, _) => "delete",
        (Action::Release, _) => "release",
    }
}

/// The plan as text with styles, which the printer takes off where they do not belong.
#[must_use]
pub fn render(plan: &Plan) -> String {
    render_with(plan, false)
}

/// The same, with the rule of `lifecycle.ignore` below each change that one can leave.
#[must_use]
pub fn render_suggesting(plan: &Plan) -> String {
    render_with(plan, true)
}

fn render_with(plan: &Plan, suggests: bool) -> String {
    // Writing to a text cannot fail, here and below.
    let mut out = String::new();
    for operation in &plan.operations {
        // Of a replacement, the half that creates tells it all.
        if operation.replaces && operation.action == Action::Delete {
            continue;
        }
        let (sign, style) = sign(operation);
        let address = plan.address(&operation.key);
        let _ = write!(out, "{style}{sign} {} {address}{style:#}", verb(operation));
        let mut remarks = vec![operation.reason.clone()];
        remarks.extend(operation.derived_from.as_ref().map(|origin| format!("from {origin}")));
        if operation.action == Action::Create && !operation.replaces {
            remarks.remove(0);
        }
        remarks.extend(operation.place.as_ref().map(ToString::to_string));
        if !remarks.is_empty() {
            let _ = write!(out, "  {DIM}{}{DIM:#}", remarks.join("; "));
        }
        out.push('\n');
        for change in &operation.changes {
            render_change(&mut out, operation, change);
            if suggests && let Some(rule) = suggestion::rule(plan, operation, change) {
                out += &format!("      {DIM}{}{DIM:#}\n", suggestion::line(&rule));
            }
        }
    }
    if !plan.is_empty() {
        out.push('\n');
    }
    out += &match plan.is_empty() {
        true => {
            format!("Nothing to change: {}.\n", count(plan.unchanged, "object is", "objects are"))
        }
        false => format!("Plan: {}.\n", plan.counts().sentence()),
    };
    out
}

fn count(count: usize, one: &str, many: &str) -> String {
    format!("{count} {} as declared", if count == 1 { one } else { many })
}

fn render_change(out: &mut String, operation: &Operation, change: &FieldChange) {
    let path = &change.path;
    let _ = match (&change.old, &change.new) {
        (Some(Tree::Secret(_)), Some(Tree::Secret(_))) => {
            write!(out, "    {YELLOW}~{YELLOW:#} {path}: (secret, changed)")
        }
        (None, Some(new)) => write!(out, "    {GREEN}+{GREEN:#} {path}: {}", shown(new)),
        (Some(old), None) => write!(out, "    {RED}-{RED:#} {path}: {}", shown(old)),
        (Some(old), Some(new)) => {
            write!(out, "    {YELLOW}~{YELLOW:#} {path}: {} → {}", shown(old), shown(new))
        }
        (None, None) => return,
    };
    let _ = match change.cause {
        Some(Cause::Drift) => write!(out, "  {CYAN}drifted{CYAN:#}"),
        Some(Cause::Both) => write!(out, "  {CYAN}drifted, and the manifest changed{CYAN:#}"),
        Some(Cause::Manifest) | None => Ok(()),
    };
    if let (Some(place), Some(of)) = (&change.place, &operation.place)
        && place.file == of.file
        && operation.action != Action::Create
    {
        let _ = write!(out, "  {DIM}:{}:{}{DIM:#}", place.line, place.column);
    }
    out.push('\n');
}

/// A value on one line; long texts by their first line and their length.
#[must_use]
pub fn shown(tree: &Tree) -> String {
    match tree {
        Tree::Secret(_) => "(secret)".to_owned(),
        Tree::Text(text) if text.lines().count() > 1 => {
            let first = text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
            format!("{} … ({} lines)", quoted(&cut(first)), text.lines().count())
        }
        Tree::Text(text) => quoted(&cut(text)),
        other => {
            let mut text = String::new();
            flow(other, &mut text);
            cut(&text)
        }
    }
}

fn quoted(text: &str) -> String {
    Value::String(text.to_owned()).to_string()
}

/// Adds a value in the flow style of YAML, close to JSON but with plain keys. It ends where
/// there is surely more than is shown: a value may be large.
fn flow(tree: &Tree, out: &mut String) {
    let separate = |out: &mut String, index: usize| {
        if index > 0 {
            out.push_str(", ");
        }
        // A character has four bytes at most.
        out.len() <= 4 * WIDTH
    };
    match tree {
        Tree::Map(fields) => {
            out.push('{');
            for (index, (name, value)) in fields.iter().enumerate() {
                if !separate(out, index) {
                    return;
                }
                out.push_str(name);
                out.push_str(": ");
                flow(value, out);
            }
            out.push('}');
        }
        Tree::List(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if !separate(out, index) {
                    return;
                }
                flow(item, out);
            }
            out.push(']');
        }
        leaf => {
            let _ = write!(out, "{}", leaf.redacted());
        }
    }
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(WIDTH) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
