//! `tojson`: Python's JSON with sorted keys, and with the special characters of markup escaped.

use crate::budget::Budget;
use crate::error::{Outcome, fail, refuse};
use crate::python;
use crate::value::{Dict, Kind, Value};

/// The deepest indentation.
const MAX_INDENT: i128 = 64;

/// The JSON text of a value as the `tojson` filter gives it.
pub(crate) fn markup(budget: &Budget, value: &Value, indent: Option<i128>) -> Outcome<String> {
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
    let (open, close, members) = match value {
        Value::Seq(sequence) if matches!(sequence.kind, Kind::List | Kind::Tuple | Kind::Group) => {
            ('[', ']', sequence.items.iter().map(|item| (None, item)).collect())
        }
        Value::Dict(dict) => ('{', '}', sorted(budget, dict)?),
        _ => return write_scalar(budget, out, value),
    };
    out.push(open);
    let is_empty = members.is_empty();
    for (index, (key, value)) in members.into_iter().enumerate() {
        budget.charge(4 + indent.unwrap_or_default() * level)?;
        if index > 0 {
            out.push_str(if indent.is_some() { "," } else { ", " });
        }
        break_line(out, indent, level);
        if let Some(key) = key {
            budget.charge(key.len())?;
            python::write_string(out, key);
            out.push_str(": ");
        }
        write(budget, out, value, indent, level + 1)?;
    }
    if !is_empty {
        break_line(out, indent, level - 1);
    }
    out.push(close);
    Ok(())
}

fn write_scalar(budget: &Budget, out: &mut String, value: &Value) -> Outcome<()> {
    match value {
        Value::None => out.push_str("null"),
        Value::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
        Value::Int(number) => out.push_str(&number.to_string()),
        Value::Float(number) => out.push_str(&python::float_text(*number)),
        Value::Str(text, _) => {
            budget.charge(text.len())?;
            python::write_string(out, text);
        }
        other => return Err(fail(format!("`tojson` does not take {}", other.type_name()))),
    }
    Ok(())
}

/// The entries of a dict, sorted by their keys.
fn sorted<'a>(budget: &Budget, dict: &'a Dict) -> Outcome<Vec<(Option<&'a str>, &'a Value)>> {
    let mut entries = Vec::with_capacity(dict.entries.len());
    for (key, value) in &dict.entries {
        let Value::Str(key, _) = key else {
            return Err(refuse("`tojson` of a dict whose keys are not all texts"));
        };
        budget.charge(16 + key.len())?;
        entries.push((Some(&**key), value));
    }
    entries.sort_by_key(|(key, _)| *key);
    Ok(entries)
}
