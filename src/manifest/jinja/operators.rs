//! Operators, attributes and subscripts with Python's rules.

use std::cmp::Ordering;

use minijinja::{State, Value};

use super::arguments::Arguments;
use super::value::{
    Budget, Kind, LOOK, Outcome, Py, Sequence, compare_numbers, equal, exact_float, fail, int,
    iterate, refuse, text, undefined,
};
use super::{format, methods};

/// An operation that the translation puts in place of an operator.
pub(super) type Operation = fn(&Budget, &mut State<'_, '_>, &[Value]) -> Outcome;

/// The operations, by the name that follows the reserved prefix.
pub(super) const OPERATIONS: &[(&str, Operation)] = &[
    ("add", |budget, _, sides| add(budget, &sides[0], &sides[1])),
    ("sub", |_, _, sides| arithmetic("-", &sides[0], &sides[1], i128::checked_sub, |a, b| a - b)),
    ("mul", |budget, _, sides| multiply(budget, &sides[0], &sides[1])),
    ("div", |_, _, sides| divide(&sides[0], &sides[1])),
    ("floordiv", |_, _, sides| floor_divide(&sides[0], &sides[1]).map(|(quotient, _)| quotient)),
    ("rem", |budget, _, sides| match Py::of(&sides[0]) {
        Py::Str(template, safe) => {
            let arguments = match Py::of(&sides[1]) {
                Py::Seq(Sequence { kind: Kind::Tuple, items, .. }) => items.clone(),
                Py::Dict(_) | Py::Seq(_) | Py::Undefined | Py::Opaque => {
                    return Err(refuse("`%` on text with anything but texts and numbers"));
                }
                _ => vec![sides[1].clone()],
            };
            if safe {
                return Err(refuse("`%` on markup"));
            }
            budget.text(format::percent(budget, template, &arguments)?)
        }
        _ => floor_divide(&sides[0], &sides[1]).map(|(_, remainder)| remainder),
    }),
    ("pow", |_, _, sides| power(&sides[0], &sides[1])),
    ("neg", |_, _, sides| match Py::of(&sides[0]) {
        Py::Float(number) => Ok(Value::from(-number)),
        Py::Undefined => Err(undefined("`-`")),
        side => match side.as_int().and_then(i128::checked_neg) {
            Some(number) => Ok(int(number)),
            None => Err(fail(format!("`-` does not take {}", side.type_name()))),
        },
    }),
    ("cat", |budget, _, parts| {
        let mut joined = String::new();
        for part in parts {
            joined.push_str(&text(budget, part)?);
        }
        budget.text(joined)
    }),
    ("eq", |budget, _, sides| Ok(Value::from(equal(budget, &sides[0], &sides[1])?))),
    ("ne", |budget, _, sides| Ok(Value::from(!equal(budget, &sides[0], &sides[1])?))),
    ("lt", |budget, _, sides| ordered(budget, &sides[0], &sides[1], Ordering::is_lt)),
    ("le", |budget, _, sides| ordered(budget, &sides[0], &sides[1], Ordering::is_le)),
    ("gt", |budget, _, sides| ordered(budget, &sides[0], &sides[1], Ordering::is_gt)),
    ("ge", |budget, _, sides| ordered(budget, &sides[0], &sides[1], Ordering::is_ge)),
    ("in", |budget, _, sides| Ok(Value::from(contains(budget, &sides[1], &sides[0])?))),
    ("attr", |budget, _, sides| {
        attribute(budget, &sides[0], sides[1].as_str().unwrap_or_default())
    }),
    ("item", |budget, _, sides| item(budget, &sides[0], &sides[1])),
    ("slice", |budget, _, sides| slice(budget, sides)),
    ("list", |budget, _, items| budget.list(items.to_vec())),
    ("tuple", |budget, _, items| budget.tuple(items.to_vec())),
    ("dict", |budget, _, items| {
        budget.dict(items.chunks(2).map(|pair| (pair[0].clone(), pair[1].clone())).collect())
    }),
    ("iter", |budget, _, sides| {
        let items = iterate(budget, &sides[0])?;
        budget.list(items)
    }),
    ("unpack", |budget, _, sides| {
        // The engine unpacks lists alone; Python unpacks whatever can be iterated over.
        let items = iterate(budget, &sides[0])?;
        let rows = items.iter().map(|row| match Py::of(row) {
            Py::Undefined => Err(undefined("unpacking")),
            _ => iterate(budget, row).and_then(|row| budget.list(row)),
        });
        let rows = rows.collect::<Outcome<Vec<_>>>()?;
        budget.list(rows)
    }),
    ("single", |budget, _, sides| match Py::of(&sides[0]) {
        Py::Undefined => Err(undefined("unpacking")),
        _ => iterate(budget, &sides[0]).and_then(|row| budget.list(row)),
    }),
    ("plain", |_, _, sides| match Py::of(&sides[0]) {
        Py::Opaque => Err(refuse("keeping a macro, a loop or a namespace in a namespace")),
        _ => Ok(sides[0].clone()),
    }),
    ("given", |_, _, sides| match Py::of(&sides[0]) {
        Py::Undefined => Err(refuse("an undefined argument of a macro that has defaults")),
        _ => Ok(sides[0].clone()),
    }),
    ("method", |budget, state, values| {
        let name = values[1].as_str().unwrap_or_default().to_owned();
        methods::call(budget, state, &values[0], &name, Arguments::of(&values[2..])?)
    }),
];

fn no_operator(operator: &str, left: Py<'_>, right: Py<'_>) -> minijinja::Error {
    if matches!(left, Py::Undefined) || matches!(right, Py::Undefined) {
        return undefined(format!("`{operator}`"));
    }
    fail(format!("`{operator}` does not take {} and {}", left.type_name(), right.type_name()))
}

/// Both sides as floats, when at least one is a float and the other a number.
fn floats(left: Py<'_>, right: Py<'_>) -> Outcome<Option<(f64, f64)>> {
    let side = |side: Py<'_>| match side {
        Py::Float(number) => Ok(Some(number)),
        _ => side.as_int().map(exact_float).transpose(),
    };
    Ok(side(left)?.zip(side(right)?))
}

fn too_large(operator: &str) -> minijinja::Error {
    refuse(format!("`{operator}` with a result beyond 127 bits"))
}

fn arithmetic(
    operator: &str,
    left: &Value,
    right: &Value,
    integers: fn(i128, i128) -> Option<i128>,
    reals: fn(f64, f64) -> f64,
) -> Outcome {
    let (left, right) = (Py::of(left), Py::of(right));
    if let (Some(left), Some(right)) = (left.as_int(), right.as_int()) {
        return integers(left, right).map(int).ok_or_else(|| too_large(operator));
    }
    match floats(left, right)? {
        Some((left, right)) => Ok(Value::from(reals(left, right))),
        None => Err(no_operator(operator, left, right)),
    }
}

/// `left + right`, also of texts and lists.
pub(super) fn add(budget: &Budget, left: &Value, right: &Value) -> Outcome {
    match (Py::of(left), Py::of(right)) {
        (Py::Str(left, left_safe), Py::Str(right, right_safe)) => {
            let escaped = |text: &str, safe: bool| {
                if left_safe == right_safe || safe { text.to_owned() } else { format::escape(text) }
            };
            let joined = escaped(left, left_safe) + &escaped(right, right_safe);
            budget.text_like(joined, left_safe || right_safe)
        }
        (Py::Seq(one), Py::Seq(other)) => {
            let kind = match (&one.kind, &other.kind) {
                (Kind::List, Kind::List) => Kind::List,
                (Kind::Tuple | Kind::Group, Kind::Tuple | Kind::Group) => Kind::Tuple,
                _ => return Err(no_operator("+", Py::of(left), Py::of(right))),
            };
            budget.sequence(kind, one.items.iter().chain(&other.items).cloned().collect())
        }
        _ => arithmetic("+", left, right, i128::checked_add, |a, b| a + b),
    }
}

fn multiply(budget: &Budget, left: &Value, right: &Value) -> Outcome {
    let (one, other) = (Py::of(left), Py::of(right));
    let (repeated, times) = match (one, other) {
        (Py::Str(..) | Py::Seq(_), _) => (one, other.as_int()),
        (_, Py::Str(..) | Py::Seq(_)) => (other, one.as_int()),
        _ => return arithmetic("*", left, right, i128::checked_mul, |a, b| a * b),
    };
    let Some(times) = times else { return Err(no_operator("*", one, other)) };
    let times = usize::try_from(times.max(0)).unwrap_or(usize::MAX);
    match repeated {
        Py::Str(text, safe) => {
            budget.charge(text.len().saturating_mul(times))?;
            budget.text_like(text.repeat(if text.is_empty() { 0 } else { times }), safe)
        }
        Py::Seq(sequence) if matches!(sequence.kind, Kind::List | Kind::Tuple | Kind::Group) => {
            budget.charge(sequence.items.len().saturating_mul(times))?;
            let kind = if sequence.kind == Kind::List { Kind::List } else { Kind::Tuple };
            let times = if sequence.items.is_empty() { 0 } else { times };
            let count = sequence.items.len() * times;
            budget.sequence(kind, sequence.items.iter().cycle().take(count).cloned().collect())
        }
        _ => Err(no_operator("*", one, other)),
    }
}

fn divide(left: &Value, right: &Value) -> Outcome {
    let (left, right) = (Py::of(left), Py::of(right));
    match floats(left, right)? {
        Some((_, 0.0)) => Err(fail("division by zero")),
        Some((left, right)) => Ok(Value::from(left / right)),
        None => Err(no_operator("/", left, right)),
    }
}

/// The quotient and the remainder, both rounded as Python rounds them: downward.
fn floor_divide(left: &Value, right: &Value) -> Outcome<(Value, Value)> {
    let (left, right) = (Py::of(left), Py::of(right));
    if let (Some(left), Some(right)) = (left.as_int(), right.as_int()) {
        if right == 0 {
            return Err(fail("division by zero"));
        }
        let quotient = left.checked_div(right).ok_or_else(|| too_large("//"))?;
        let remainder = left - quotient * right;
        let adjust = remainder != 0 && (remainder < 0) != (right < 0);
        return Ok(if adjust {
            (int(quotient - 1), int(remainder + right))
        } else {
            (int(quotient), int(remainder))
        });
    }
    let Some((left, right)) = floats(left, right)? else {
        return Err(no_operator("//` and `%", left, right));
    };
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
    Ok((Value::from(quotient), Value::from(remainder)))
}

fn power(left: &Value, right: &Value) -> Outcome {
    let (left, right) = (Py::of(left), Py::of(right));
    if let (Some(base), Some(exponent)) = (left.as_int(), right.as_int()) {
        return match u32::try_from(exponent) {
            Ok(exponent) => base.checked_pow(exponent).map(int).ok_or_else(|| too_large("**")),
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
pub(super) fn compare(budget: &Budget, left: &Value, right: &Value) -> Outcome<Option<Ordering>> {
    let (one, other) = (Py::of(left), Py::of(right));
    match (one, other) {
        (Py::Str(left, _), Py::Str(right, _)) => {
            budget.charge(LOOK + left.len().min(right.len()) / 16)?;
            Ok(Some(left.cmp(right)))
        }
        (Py::Seq(left), Py::Seq(right)) => {
            match (&left.kind, &right.kind) {
                (Kind::List, Kind::List)
                | (Kind::Tuple | Kind::Group, Kind::Tuple | Kind::Group) => {}
                _ => return Err(no_operator("<", one, other)),
            }
            for (left, right) in left.items.iter().zip(&right.items) {
                if !equal(budget, left, right)? {
                    return compare(budget, left, right);
                }
            }
            Ok(Some(left.items.len().cmp(&right.items.len())))
        }
        _ => compare_numbers(one, other)?.ok_or_else(|| no_operator("<", one, other)),
    }
}

fn ordered(budget: &Budget, left: &Value, right: &Value, test: fn(Ordering) -> bool) -> Outcome {
    Ok(Value::from(compare(budget, left, right)?.is_some_and(test)))
}

/// `wanted in container`
pub(super) fn contains(budget: &Budget, container: &Value, wanted: &Value) -> Outcome<bool> {
    match (Py::of(container), Py::of(wanted)) {
        (Py::Undefined, _) => Ok(false),
        (Py::Str(container, _), Py::Str(wanted, _)) => {
            budget.charge(container.len())?;
            Ok(container.contains(wanted))
        }
        (Py::Str(..), other) => Err(fail(format!("text cannot contain {}", other.type_name()))),
        (Py::Dict(dict), key) => match key {
            Py::Seq(Sequence { kind: Kind::List, .. }) | Py::Dict(_) => {
                Err(fail("an unhashable key of a dict"))
            }
            Py::Undefined => Err(refuse("an undefined key of a dict")),
            _ => Ok(budget.position(&dict.entries, wanted)?.is_some()),
        },
        (Py::Generator(_), _) => Err(refuse("`in` with a generator (use the `list` filter)")),
        (Py::Seq(sequence), _) => {
            for item in &sequence.items {
                if equal(budget, item, wanted)? {
                    return Ok(true);
                }
            }
            Ok(false)
        }
        (Py::Opaque, _) => Err(refuse("`in` with a macro, a loop or a namespace")),
        (other, _) => Err(fail(format!("{} cannot be searched", other.type_name()))),
    }
}

/// `value.name`
fn attribute(budget: &Budget, value: &Value, name: &str) -> Outcome {
    match Py::of(value) {
        Py::Undefined => Err(undefined(format!("the attribute `{name}`"))),
        Py::Opaque => object_attribute(value, name),
        Py::Seq(Sequence { kind: Kind::Group, items, .. }) if name == "grouper" => {
            Ok(items[0].clone())
        }
        Py::Seq(Sequence { kind: Kind::Group, items, .. }) if name == "list" => {
            Ok(items[1].clone())
        }
        other if methods::is_attribute(other, name) => Err(refuse(format!(
            "the attribute `{name}` of {} that is not called",
            other.type_name()
        ))),
        Py::Dict(dict) => Ok(budget
            .position(&dict.entries, &Value::from(name))?
            .map_or(Value::UNDEFINED, |index| dict.entries[index].1.clone())),
        _ => Ok(Value::UNDEFINED),
    }
}

fn object_attribute(value: &Value, name: &str) -> Outcome {
    if let Some(found) = super::globals::object_attribute(value, name) {
        return Ok(found);
    }
    let is_namespace =
        value.as_object().is_some_and(|object| object.type_name().ends_with("::Namespace"));
    if is_namespace && !name.starts_with("_") {
        return value.get_attr(name);
    }
    Err(refuse(format!("the attribute `{name}` of a macro, a loop or a function")))
}

/// `value[key]`, as Jinja2 looks it up: the item, else the attribute, else undefined.
pub(super) fn item(budget: &Budget, value: &Value, key: &Value) -> Outcome {
    let container = Py::of(value);
    let wanted = Py::of(key);
    match (container, wanted) {
        (Py::Undefined, _) => return Err(undefined("an item")),
        (Py::Opaque, _) => return Err(refuse("a subscript of a macro, a loop or a namespace")),
        (Py::Dict(dict), _) if super::value::is_hashable(budget, key)? => {
            if let Some(index) = budget.position(&dict.entries, key)? {
                return Ok(dict.entries[index].1.clone());
            }
        }
        (Py::Dict(_), Py::Undefined | Py::Opaque | Py::Generator(_)) => {
            return Err(refuse("such a key of a dict"));
        }
        (Py::Str(text, safe), _) => {
            if let Some(position) = wanted.as_int() {
                budget.charge(text.len())?;
                let count = super::value::chars(text);
                let Some(index) = resolve(position, count) else { return Ok(Value::UNDEFINED) };
                let found: String = text.chars().skip(index).take(1).collect();
                return budget.text_like(found, safe);
            }
        }
        (Py::Seq(sequence), _) if !matches!(sequence.kind, Kind::View(_)) => {
            if let Some(position) = wanted.as_int() {
                return Ok(resolve(position, sequence.items.len())
                    .map_or(Value::UNDEFINED, |index| sequence.items[index].clone()));
            }
        }
        _ => {}
    }
    match wanted {
        Py::Str(name, _) if methods::is_attribute(container, name) => Err(refuse(format!(
            "the attribute `{name}` of {} that is not called",
            container.type_name()
        ))),
        Py::Str("grouper" | "list", _)
            if matches!(container, Py::Seq(Sequence { kind: Kind::Group, .. })) =>
        {
            attribute(budget, value, key.as_str().unwrap_or_default())
        }
        _ => Ok(Value::UNDEFINED),
    }
}

fn resolve(position: i128, length: usize) -> Option<usize> {
    let length = i128::try_from(length).ok()?;
    let position = if position < 0 { position + length } else { position };
    (0..length).contains(&position).then(|| usize::try_from(position).ok()).flatten()
}

/// `value[start:stop:step]`
fn slice(budget: &Budget, sides: &[Value]) -> Outcome {
    let bound = |value: &Value| match Py::of(value) {
        Py::None => Ok(None),
        side => match side.as_int() {
            Some(number) => Ok(Some(number)),
            None => Err(fail(format!("a slice cannot start or end at {}", side.type_name()))),
        },
    };
    let (start, stop) = (bound(&sides[1])?, bound(&sides[2])?);
    let step = bound(&sides[3])?.unwrap_or(1);
    if step == 0 {
        return Err(fail("the step of a slice cannot be zero"));
    }
    let indices = |length: usize| {
        let length = i128::try_from(length).unwrap_or(i128::MAX);
        let (low, high) = if step > 0 { (0, length) } else { (-1, length - 1) };
        let clamp = |bound: i128| {
            let bound = if bound < 0 { bound + length } else { bound };
            bound.clamp(low, high)
        };
        let start = start.map_or(if step > 0 { low } else { high }, clamp);
        let stop = stop.map_or(if step > 0 { high } else { low }, clamp);
        let mut found = Vec::new();
        let mut at = start;
        while if step > 0 { at < stop } else { at > stop } {
            found.extend(usize::try_from(at));
            at = at.saturating_add(step);
        }
        found
    };
    match Py::of(&sides[0]) {
        Py::Str(text, safe) => {
            budget.charge(text.len())?;
            let characters: Vec<char> = text.chars().collect();
            let kept = indices(characters.len()).into_iter().map(|index| characters[index]);
            budget.text_like(kept.collect(), safe)
        }
        Py::Seq(sequence) => {
            let kind = match &sequence.kind {
                Kind::List => Kind::List,
                Kind::Tuple | Kind::Group => Kind::Tuple,
                Kind::Range(_) => return Err(refuse("a slice of a range")),
                Kind::View(_) => return Err(fail("a view of a dict cannot be sliced")),
            };
            let kept = indices(sequence.items.len());
            budget.sequence(kind, kept.into_iter().map(|at| sequence.items[at].clone()).collect())
        }
        Py::Undefined => Err(undefined("a slice")),
        other => Err(refuse(format!("a slice of {}", other.type_name()))),
    }
}
