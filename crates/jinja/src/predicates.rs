//! The stock tests of Jinja2 (`x is defined`).

use std::cmp::Ordering;

use crate::arguments::{Arguments, stringified};
use crate::budget::Budget;
use crate::characters::has_case;
use crate::error::{Outcome, fail, refuse, undefined};
use crate::filters;
use crate::operators::{contains, ordered};
use crate::value::{Kind, Value, equal};

/// A test.
pub(crate) type Predicate = fn(&Budget, &Value, Arguments) -> Outcome<bool>;

/// The test of a name.
pub(crate) fn find(name: &str) -> Option<Predicate> {
    Some(match name {
        "odd" => |_, value, rest| rest.none("odd").and_then(|()| leaves(value, 2, 1)),
        "even" => |_, value, rest| rest.none("even").and_then(|()| leaves(value, 2, 0)),
        "divisibleby" => |_, value, rest| match rest.one("divisibleby", "num")?.as_int() {
            Some(0) => Err(fail("division by zero")),
            Some(number) => leaves(value, number, 0),
            None => Err(refuse("`divisibleby` with anything but an integer")),
        },
        "defined" => |_, value, rest| plain(rest, !value.is_undefined()),
        "undefined" => |_, value, rest| plain(rest, value.is_undefined()),
        "none" => |_, value, rest| plain(rest, value.is_none()),
        "boolean" => |_, value, rest| plain(rest, matches!(value, Value::Bool(_))),
        "false" => |_, value, rest| plain(rest, matches!(value, Value::Bool(false))),
        "true" => |_, value, rest| plain(rest, matches!(value, Value::Bool(true))),
        "integer" => |_, value, rest| plain(rest, matches!(value, Value::Int(_))),
        "float" => |_, value, rest| plain(rest, matches!(value, Value::Float(_))),
        "number" => |_, value, rest| {
            plain(rest, matches!(value, Value::Bool(_) | Value::Int(_) | Value::Float(_)))
        },
        "string" => |_, value, rest| plain(rest, matches!(value, Value::Str(..))),
        "mapping" => |_, value, rest| plain(rest, matches!(value, Value::Dict(_))),
        "escaped" => |_, value, rest| plain(rest, value.is_markup()),
        "sequence" => |_, value, rest| match value {
            Value::Object(_) => Err(refuse("`sequence` of a macro, a loop or a namespace")),
            Value::Seq(sequence) => plain(rest, !matches!(sequence.kind, Kind::View(_))),
            _ => plain(rest, matches!(value, Value::Undefined | Value::Str(..) | Value::Dict(_))),
        },
        "iterable" => |_, value, rest| match value {
            Value::Object(_) => Err(refuse("`iterable` of a macro, a loop or a namespace")),
            Value::None | Value::Bool(_) | Value::Int(_) | Value::Float(_) => plain(rest, false),
            _ => plain(rest, true),
        },
        "callable" => |_, value, rest| match value {
            Value::Object(object) => plain(rest, object.is_callable()),
            _ => plain(rest, value.is_undefined()),
        },
        "lower" => |budget, value, rest| plain(rest, has_case(&stringified(budget, value)?, true)?),
        "upper" => {
            |budget, value, rest| plain(rest, has_case(&stringified(budget, value)?, false)?)
        }
        "sameas" => |_, value, rest| match (value, &rest.one("sameas", "other")?) {
            (Value::Bool(left), Value::Bool(right)) => Ok(left == right),
            (Value::None, Value::None) => Ok(true),
            (Value::None | Value::Bool(_), _) | (_, Value::None | Value::Bool(_)) => Ok(false),
            _ => Err(refuse("`sameas` of anything but booleans and none")),
        },
        "in" => |budget, value, rest| contains(budget, &rest.one("in", "seq")?, value),
        "filter" => |_, value, rest| match value {
            Value::Str(name, _) => {
                plain(rest, filters::find(name).is_some() || filters::is_refused(name))
            }
            _ => Err(refuse("`filter` of anything but text")),
        },
        "test" => |_, value, rest| match value {
            Value::Str(name, _) => plain(rest, by_sign(name).is_some()),
            _ => Err(refuse("`test` of anything but text")),
        },
        "eq" | "equalto" => |budget, value, rest| equal(budget, value, &rest.one("eq", "b")?),
        "ne" => |budget, value, rest| Ok(!equal(budget, value, &rest.one("ne", "b")?)?),
        "lt" | "lessthan" => |budget, value, rest| {
            ordered(budget, [value, &rest.one("lt", "b")?], "<", Ordering::is_lt)
        },
        "le" => |budget, value, rest| {
            ordered(budget, [value, &rest.one("le", "b")?], "<=", Ordering::is_le)
        },
        "gt" | "greaterthan" => |budget, value, rest| {
            ordered(budget, [value, &rest.one("gt", "b")?], ">", Ordering::is_gt)
        },
        "ge" => |budget, value, rest| {
            ordered(budget, [value, &rest.one("ge", "b")?], ">=", Ordering::is_ge)
        },
        _ => return None,
    })
}

/// The test of a name or a sign, as filters such as `select` take it.
pub(crate) fn by_sign(name: &str) -> Option<Predicate> {
    find(match name {
        "==" => "eq",
        "!=" => "ne",
        "<" => "lt",
        "<=" => "le",
        ">" => "gt",
        ">=" => "ge",
        name => name,
    })
}

/// The result of a test without arguments.
fn plain(rest: Arguments, holds: bool) -> Outcome<bool> {
    rest.none("such a test").map(|()| holds)
}

/// Whether a division leaves this.
fn leaves(value: &Value, divisor: i128, wanted: i128) -> Outcome<bool> {
    match (value, value.as_int()) {
        (_, Some(number)) => {
            let remainder = number.checked_rem(divisor).unwrap_or_default();
            Ok(remainder == wanted || Some(remainder) == wanted.checked_sub(divisor))
        }
        (Value::Float(_), _) => Err(refuse("a remainder of a float in a test")),
        (Value::Undefined, _) => Err(undefined("a remainder")),
        // A text takes `%` for a format.
        _ => Err(fail(format!("a number is needed, not {}", value.type_name()))),
    }
}
