//! Operators, attributes and subscripts with Python's rules.

use std::cmp::Ordering;

use crate::budget::Budget;
use crate::error::{Failure, Outcome, fail, refuse, undefined};
use crate::format;
use crate::methods;
use crate::syntax::Operator;
use crate::value::{Kind, LOOK, Value, chars, compare_numbers, equal, floats};

/// `left operator right`
pub(crate) fn binary(budget: &Budget, operator: Operator, left: &Value, right: &Value) -> Outcome {
    match operator {
        Operator::Add => add(budget, left, right),
        Operator::Subtract => arithmetic("-", [left, right], i128::checked_sub, |a, b| a - b),
        Operator::Multiply => multiply(budget, left, right),
        Operator::Divide => divide(left, right),
        Operator::FloorDivide => floor_divide("//", left, right).map(|(quotient, _)| quotient),
        Operator::Remainder => remainder(budget, left, right),
        Operator::Power => power(left, right),
    }
}

/// `-value`
pub(crate) fn negative(value: &Value) -> Outcome {
    match (value, value.as_int()) {
        (Value::Float(number), _) => Ok(Value::Float(-number)),
        (Value::Undefined, _) => Err(undefined("`-`")),
        (_, Some(number)) => number.checked_neg().map(Value::Int).ok_or_else(|| too_large("-")),
        _ => Err(fail(format!("`-` does not take {}", value.type_name()))),
    }
}

/// `+value`
pub(crate) fn positive(value: &Value) -> Outcome {
    match (value, value.as_int()) {
        (Value::Float(_), _) => Ok(value.clone()),
        (Value::Undefined, _) => Err(undefined("`+`")),
        (_, Some(number)) => Ok(Value::Int(number)),
        _ => Err(fail(format!("`+` does not take {}", value.type_name()))),
    }
}

/// `left % right`, which fills in a text.
fn remainder(budget: &Budget, left: &Value, right: &Value) -> Outcome {
    let Value::Str(template, is_markup) = left else {
        return floor_divide("%", left, right).map(|(_, remainder)| remainder);
    };
    let arguments = match right {
        _ if *is_markup => return Err(refuse("`%` on markup")),
        Value::Seq(sequence) if sequence.kind == Kind::Tuple => sequence.items.clone(),
        Value::Dict(_) | Value::Seq(_) | Value::Undefined | Value::Object(_) => {
            return Err(refuse("`%` on text with anything but texts and numbers"));
        }
        _ => vec![right.clone()],
    };
    budget.text(format::percent(budget, template, &arguments)?)
}

fn no_operator(operator: &str, left: &Value, right: &Value) -> Failure {
    if left.is_undefined() || right.is_undefined() {
        return undefined(format!("`{operator}`"));
    }
    fail(format!("`{operator}` does not take {} and {}", left.type_name(), right.type_name()))
}

fn too_large(operator: &str) -> Failure {
    refuse(format!("`{operator}` with a result beyond 127 bits"))
}

fn arithmetic(
    operator: &str,
    [left, right]: [&Value; 2],
    integers: fn(i128, i128) -> Option<i128>,
    reals: fn(f64, f64) -> f64,
) -> Outcome {
    if let (Some(left), Some(right)) = (left.as_int(), right.as_int()) {
        return integers(left, right).map(Value::Int).ok_or_else(|| too_large(operator));
    }
    match floats(left, right)? {
        Some((left, right)) => Ok(Value::Float(reals(left, right))),
        None => Err(no_operator(operator, left, right)),
    }
}

/// `left + right`, also of texts and lists.
pub(crate) fn add(budget: &Budget, left: &Value, right: &Value) -> Outcome {
    match (left, right) {
        (Value::Str(one, _), Value::Str(other, _)) => {
            // If one side is markup, the other side is escaped.
            let is_markup = left.is_markup() || right.is_markup();
            let part = |value: &Value, text: &str| match is_markup && !value.is_markup() {
                true => format::escape(text),
                false => text.to_owned(),
            };
            budget.charge(one.len() + other.len())?;
            budget.text_like(part(left, one) + &part(right, other), is_markup)
        }
        (Value::Seq(one), Value::Seq(other)) => {
            let kind = match (&one.kind, &other.kind) {
                (Kind::List, Kind::List) => Kind::List,
                (Kind::Tuple | Kind::Group, Kind::Tuple | Kind::Group) => Kind::Tuple,
                _ => return Err(no_operator("+", left, right)),
            };
            budget.charge(one.items.len() + other.items.len())?;
            budget.sequence(kind, one.items.iter().chain(&other.items).cloned().collect())
        }
        _ => arithmetic("+", [left, right], i128::checked_add, |a, b| a + b),
    }
}

fn multiply(budget: &Budget, left: &Value, right: &Value) -> Outcome {
    let (repeated, times) = match (left, right) {
        (Value::Str(..) | Value::Seq(_), _) => (left, right.as_int()),
        (_, Value::Str(..) | Value::Seq(_)) => (right, left.as_int()),
        _ => return arithmetic("*", [left, right], i128::checked_mul, |a, b| a * b),
    };
    let Some(times) = times else { return Err(no_operator("*", left, right)) };
    let times = usize::try_from(times.max(0)).unwrap_or(usize::MAX);
    match repeated {
        Value::Str(text, is_markup) => {
            budget.charge(text.len().saturating_mul(times))?;
            let times = if text.is_empty() { 0 } else { times };
            budget.text_like(text.repeat(times), *is_markup)
        }
        Value::Seq(sequence) if matches!(sequence.kind, Kind::List | Kind::Tuple | Kind::Group) => {
            budget.charge(sequence.items.len().saturating_mul(times))?;
            let kind = if sequence.kind == Kind::List { Kind::List } else { Kind::Tuple };
            let times = if sequence.items.is_empty() { 0 } else { times };
            let count = sequence.items.len() * times;
            budget.sequence(kind, sequence.items.iter().cycle().take(count).cloned().collect())
        }
        _ => Err(no_operator("*", left, right)),
    }
}

fn divide(left: &Value, right: &Value) -> Outcome {
    match floats(left, right)? {
        Some((_, 0.0)) => Err(fail("division by zero")),
        Some((left, right)) => Ok(Value::Float(left / right)),
        None => Err(no_operator("/", left, right)),
    }
}

/// The quotient and the remainder, both rounded as Python rounds them: downward.
fn floor_divide(operator: &str, left: &Value, right: &Value) -> Outcome<(Value, Value)> {
    if let (Some(left), Some(right)) = (left.as_int(), right.as_int()) {
        if right == 0 {
            return Err(fail("division by zero"));
        }
        let quotient = left.checked_div(right).ok_or_else(|| too_large("//"))?;
        let remainder = left - quotient * right;
        let is_below = remainder != 0 && (remainder < 0) != (right < 0);
        return Ok(match is_below {
            true => (Value::Int(quotient - 1), Value::Int(remainder + right)),
            false => (Value::Int(quotient), Value::Int(remainder)),
        });
    }
    let (left, right) = floats(left, right)?.ok_or_else(|| no_operator(operator, left, right))?;
    if right == 0.0 {
        return Err(fail("division by zero"));
    }
    let mut remainder = left % right;
    let mut quotient = (left - remainder) / right;
    if remainder == 0.0 {
        remainder = 0.0_f64.copysign(right);
    } else if (remainder < 0.0) != (right < 0.0) {
        remainder += right;
        quotient -= 1.0;
    }
    if quotient == 0.0 {
        quotient = 0.0_f64.copysign(left / right);
    } else {
        let floor = quotient.floor();
        quotient = if quotient - floor > 0.5 { floor + 1.0 } else { floor };
    }
    Ok((Value::Float(quotient), Value::Float(remainder)))
}

fn power(left: &Value, right: &Value) -> Outcome {
    if let (Some(base), Some(exponent)) = (left.as_int(), right.as_int()) {
        return match u32::try_from(exponent) {
            Ok(exponent) => {
                base.checked_pow(exponent).map(Value::Int).ok_or_else(|| too_large("**"))
            }
            Err(_) if exponent > 0 => Err(too_large("**")),
            Err(_) if base == 0 => Err(fail("zero cannot be raised to a negative power")),
            Err(_) => Err(refuse("`**` with a negative exponent")),
        };
    }
    match floats(left, right)? {
        Some(_) => Err(refuse("`**` with a float")),
        None => Err(no_operator("**", left, right)),
    }
}

/// How two values order, where Python orders them.
pub(crate) fn compare(
    budget: &Budget,
    left: &Value,
    right: &Value,
    operator: &str,
) -> Outcome<Option<Ordering>> {
    match (left, right) {
        (Value::Str(left, _), Value::Str(right, _)) => {
            budget.charge(LOOK + left.len().min(right.len()) / 16)?;
            Ok(Some(left.cmp(right)))
        }
        (Value::Seq(one), Value::Seq(other)) => {
            match (&one.kind, &other.kind) {
                (Kind::List, Kind::List)
                | (Kind::Tuple | Kind::Group, Kind::Tuple | Kind::Group) => {}
                _ => return Err(no_operator(operator, left, right)),
            }
            for (left, right) in one.items.iter().zip(&other.items) {
                if !equal(budget, left, right)? {
                    return compare(budget, left, right, operator);
                }
            }
            Ok(Some(one.items.len().cmp(&other.items.len())))
        }
        _ => compare_numbers(left, right)?.ok_or_else(|| no_operator(operator, left, right)),
    }
}

/// Whether a comparison of two values holds; none holds for NaN.
pub(crate) fn ordered(
    budget: &Budget,
    [left, right]: [&Value; 2],
    operator: &str,
    holds: fn(Ordering) -> bool,
) -> Outcome<bool> {
    Ok(compare(budget, left, right, operator)?.is_some_and(holds))
}

/// `wanted in container`
pub(crate) fn contains(budget: &Budget, container: &Value, wanted: &Value) -> Outcome<bool> {
    match (container, wanted) {
        (Value::Undefined, _) => Ok(false),
        (Value::Str(container, _), Value::Str(wanted, _)) => {
            budget.charge(container.len())?;
            Ok(container.contains(&**wanted))
        }
        (Value::Str(..), other) => Err(fail(format!("text cannot contain {}", other.type_name()))),
        (Value::Dict(dict), key) => {
            key.check_key(budget)?;
            Ok(dict.position(budget, key)?.is_some())
        }
        (Value::Generator(_), _) => Err(refuse("`in` with a generator (use the `list` filter)")),
        (Value::Seq(sequence), _) => {
            for item in &sequence.items {
                if equal(budget, item, wanted)? {
                    return Ok(true);
                }
            }
            Ok(false)
        }
        (Value::Object(_), _) => Err(refuse("`in` with a macro, a loop or a namespace")),
        (other, _) => Err(fail(format!("{} cannot be searched", other.type_name()))),
    }
}

/// `value.name`
pub(crate) fn attribute(budget: &Budget, value: &Value, name: &str) -> Outcome {
    match value {
        Value::Undefined if name.starts_with('_') => {
            Err(refuse(format!("the attribute `{name}` of an undefined value")))
        }
        Value::Undefined => Err(undefined(format!("the attribute `{name}`"))),
        Value::Object(object) => object.attribute(budget, name),
        _ => match own_attribute(value, name)? {
            Some(found) => Ok(found),
            None => match value {
                Value::Dict(dict) => {
                    let found = dict.position(budget, &Value::from(name))?;
                    Ok(found.map(|index| dict.entries[index].1.clone()).unwrap_or_default())
                }
                _ => Ok(Value::Undefined),
            },
        },
    }
}

/// An attribute that Python has for such a value, which comes before its items.
fn own_attribute(value: &Value, name: &str) -> Outcome<Option<Value>> {
    match (value, name) {
        (Value::Seq(sequence), "grouper" | "list") if sequence.kind == Kind::Group => {
            Ok(Some(sequence.items[usize::from(name == "list")].clone()))
        }
        _ if methods::is_attribute(value, name) => Err(refuse(format!(
            "the attribute `{name}` of {} that is not called",
            value.type_name()
        ))),
        _ => Ok(None),
    }
}

/// `value[key]`, as Jinja2 looks it up: the item, else the attribute, else undefined.
pub(crate) fn item(budget: &Budget, value: &Value, key: &Value) -> Outcome {
    match (value, key.as_int()) {
        (Value::Undefined, _) => return Err(undefined("an item")),
        (Value::Object(object), _) => {
            return match (object.is_namespace(), key) {
                (true, Value::Str(name, _)) => object.attribute(budget, name),
                _ => Err(refuse(format!("a subscript of {}", object.type_name()))),
            };
        }
        (Value::Dict(dict), _) if key.is_hashable(budget)? => {
            if let Some(index) = dict.position(budget, key)? {
                return Ok(dict.entries[index].1.clone());
            }
        }
        (Value::Dict(_), _)
            if matches!(key, Value::Undefined | Value::Object(_) | Value::Generator(_)) =>
        {
            return Err(refuse("such a key of a dict"));
        }
        (Value::Str(text, is_markup), Some(position)) => {
            budget.charge(text.len())?;
            let Some(index) = resolve(position, chars(text)) else { return Ok(Value::Undefined) };
            let found: String = text.chars().skip(index).take(1).collect();
            return budget.text_like(found, *is_markup);
        }
        (Value::Seq(sequence), Some(position)) if !matches!(sequence.kind, Kind::View(_)) => {
            return Ok(resolve(position, sequence.items.len())
                .map(|index| sequence.items[index].clone())
                .unwrap_or_default());
        }
        _ => {}
    }
    match key {
        Value::Str(name, _) => Ok(own_attribute(value, name)?.unwrap_or_default()),
        _ => Ok(Value::Undefined),
    }
}

fn resolve(position: i128, length: usize) -> Option<usize> {
    let length = i128::try_from(length).ok()?;
    let position = if position < 0 { position + length } else { position };
    usize::try_from(position).ok().filter(|_| position < length)
}

/// `value[start:stop:step]`
pub(crate) fn slice(budget: &Budget, value: &Value, bounds: &[Value; 3]) -> Outcome {
    let bound = |value: &Value| match (value, value.as_int()) {
        (Value::None, _) => Ok(None),
        (_, Some(number)) => Ok(Some(number)),
        _ => Err(fail(format!("a slice cannot start or end at {}", value.type_name()))),
    };
    let (start, stop) = (bound(&bounds[0])?, bound(&bounds[1])?);
    let step = bound(&bounds[2])?.unwrap_or(1);
    if step == 0 {
        return Err(fail("the step of a slice cannot be zero"));
    }
    let indices = |length: usize| {
        let length = i128::try_from(length).unwrap_or(i128::MAX);
        let (low, high) = if step > 0 { (0, length) } else { (-1, length - 1) };
        let clamp = |bound: i128| {
            let bound = if bound < 0 { bound.saturating_add(length) } else { bound };
            bound.clamp(low, high)
        };
        let mut at = start.map_or(if step > 0 { low } else { high }, clamp);
        let stop = stop.map_or(if step > 0 { high } else { low }, clamp);
        let mut found = Vec::new();
        while if step > 0 { at < stop } else { at > stop } {
            found.extend(usize::try_from(at));
            at = at.saturating_add(step);
        }
        found
    };
    match value {
        Value::Str(text, is_markup) => {
            budget.charge(text.len())?;
            let characters: Vec<char> = text.chars().collect();
            let kept = indices(characters.len()).into_iter().map(|index| characters[index]);
            budget.text_like(kept.collect::<String>(), *is_markup)
        }
        Value::Seq(sequence) => {
            let kind = match &sequence.kind {
                Kind::List => Kind::List,
                Kind::Tuple | Kind::Group => Kind::Tuple,
                Kind::Range(_) => return Err(refuse("a slice of a range")),
                Kind::View(_) => return Err(fail("a view of a dict cannot be sliced")),
            };
            let kept = indices(sequence.items.len());
            budget.sequence(kind, kept.into_iter().map(|at| sequence.items[at].clone()).collect())
        }
        Value::Undefined => Err(undefined("a slice")),
        other => Err(refuse(format!("a slice of {}", other.type_name()))),
    }
}
