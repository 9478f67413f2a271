//! The stock filters of Jinja2 by their names.

use crate::arguments::{Arguments, flag, words};
use crate::budget::Budget;
use crate::error::{Outcome, refuse, undefined};
use crate::methods;
use crate::value::{Kind, Value};

mod numbers;
mod sequences;
mod texts;

/// A filter.
pub(crate) type Filter = fn(&Budget, &Value, Arguments) -> Outcome;

/// Whether Jinja2 has this filter and offline rendering does not.
pub(crate) fn is_refused(name: &str) -> bool {
    ["random", "urlize"].contains(&name)
}

/// The filter of a name.
pub(crate) fn find(name: &str) -> Option<Filter> {
    match name {
        "attr" => Some(attr),
        "d" | "default" => Some(default),
        _ => numbers::find(name).or_else(|| sequences::find(name)).or_else(|| texts::find(name)),
    }
}

fn attr(_: &Budget, value: &Value, rest: Arguments) -> Outcome {
    let [name] = rest.bind("attr", ["name"])?;
    let name = words(&name, "attr")?;
    match value {
        Value::Undefined => Err(undefined(format!("the attribute `{name}`"))),
        other if methods::is_attribute(other, name) => Err(refuse("`attr`")),
        Value::Seq(sequence) if sequence.kind == Kind::Group => Err(refuse("`attr` of a group")),
        _ => Ok(Value::Undefined),
    }
}

fn default(_: &Budget, value: &Value, rest: Arguments) -> Outcome {
    let [other, boolean] = rest.bind("default", ["default_value", "boolean"])?;
    if value.is_undefined() || (flag(boolean.as_ref(), false) && !value.is_true()) {
        return Ok(other.unwrap_or_else(|| "".into()));
    }
    Ok(value.clone())
}
