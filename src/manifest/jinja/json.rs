//! `tojson`: Python's JSON with sorted keys and the characters escaped that mean something
//! in markup.

use minijinja::Value;

use super::operators::compare;
use super::value::{Budget, Kind, Outcome, Py, Sequence, fail, refuse};
use crate::api::python_json;

/// The deepest indentation.
const MAX_INDENT: i128 = 64;

/// The JSON text of a value as the `tojson` filter gives it.
pub(super) fn markup(budget: &Budget, value: &Value, indent: Option<i128>) -> Outcome<String> {
    if indent.is_some_and(|indent| indent > MAX_INDENT) {
        return Err(refuse(format!("an indentation of more than {MAX_INDENT}")));
    }
    let indent = indent.map(|indent| usize::try_from(indent).unwrap_or_default());
    let mut out = String::new();
    write(budget, &mut out, value, indent, 1)?;
    Ok(out
        .replace('<', "\\u003c")
        .replace('>', "\\u003e")
        .replace('&', "\\u0026")
        .replace('\'', "\\u0027"))
}

fn break_line(out: &mut String, indent: Option<usize>, level: usize) {
    if let Some(indent) = indent {
        out.push('\n');
        out.push_str(&" ".repeat(indent * level));
    }
}

fn write(
    budget: &Budget,
    out: &mut String,
    value: &Value,
    indent: Option<usize>,
    level: usize,
) -> Outcome<()> {
    let separator = if indent.is_some() { "," } else { ", " };
    match Py::of(value) {
        Py::None => out.push_str("null"),
        Py::Bool(value) => out.push_str(if value { "true" } else { "false" }),
        Py::Int(number) => out.push_str(&number.to_string()),
        Py::Float(number) => out.push_str(&python_json::float_text(number)),
        Py::Str(text, _) => {
            budget.charge(text.len())?;
            python_json::write_string(out, text);
        }
        Py::Seq(Sequence { kind: Kind::List | Kind::Tuple | Kind::Group, items, .. }) => {
            if items.is_empty() {
                out.push_str("[]");
                return Ok(());
            }
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push_str(separator);
                }
                budget.charge(2 + indent.unwrap_or_default() * level)?;
                break_line(out, indent, level);
                write(budget, out, item, indent, level + 1)?;
            }
            break_line(out, indent, level - 1);
            out.push(']');
        }
        Py::Dict(dict) => {
            if dict.entries.is_empty() {
                out.push_str("{}");
                return Ok(());
            }
            let mut entries: Vec<_> = dict.entries.iter().collect();
            for (key, _) in &entries {
                if !matches!(Py::of(key), Py::Str(..)) {
                    return Err(refuse("`tojson` of a dict whose keys are not all texts"));
                }
            }
            let mut failure = None;
            entries.sort_by(|one, other| match compare(budget, &one.0, &other.0) {
                Ok(order) => order.unwrap_or(std::cmp::Ordering::Equal),
                Err(error) => {
                    failure = Some(error);
                    one.0.as_str().cmp(&other.0.as_str())
                }
            });
            if let Some(failure) = failure {
                return Err(failure);
            }
            out.push('{');
            for (index, (key, value)) in entries.into_iter().enumerate() {
                if index > 0 {
                    out.push_str(separator);
                }
                budget.charge(4 + indent.unwrap_or_default() * level)?;
                break_line(out, indent, level);
                write(budget, out, key, indent, level + 1)?;
                out.push_str(": ");
                write(budget, out, value, indent, level + 1)?;
            }
            break_line(out, indent, level - 1);
            out.push('}');
        }
        other => return Err(fail(format!("`tojson` does not take {}", other.type_name()))),
    }
    Ok(())
}
