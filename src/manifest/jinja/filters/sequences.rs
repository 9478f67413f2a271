//! Filters of lists and maps: what they group, sort, pick and look up.

use std::cmp::Ordering;

use minijinja::{State, Value};

use super::FILTERS;
use crate::manifest::jinja::arguments::{Arguments, flag, whole};
use crate::manifest::jinja::operators::{compare, item};
use crate::manifest::jinja::predicates::PREDICATES;
use crate::manifest::jinja::value::{
    Budget, Kind, LOOK, Outcome, Py, equal, fail, int, iterate, refuse,
};

fn rows(value: Vec<Value>, budget: &Budget) -> Outcome {
    budget.list(value)
}

pub(super) fn batch(
    budget: &Budget,
    _: &mut State<'_, '_>,
    value: &Value,
    rest: Arguments,
) -> Outcome {
    let [count, fill] = rest.bind("batch", ["linecount", "fill_with"])?;
    let count = count.ok_or_else(|| fail("`batch` needs a number"))?;
    let count = usize::try_from(whole(Some(&count), 0)?)
        .ok()
        .filter(|count| *count > 0)
        .ok_or_else(|| refuse("`batch` by less than one"))?;
    let mut batches = Vec::new();
    for chunk in iterate(budget, value)?.chunks(count) {
        let mut row = chunk.to_vec();
        if let Some(fill) = fill.as_ref().filter(|fill| !fill.is_none()) {
            budget.charge(count)?;
            row.resize(count, fill.clone());
        }
        batches.push(rows(row, budget)?);
    }
    budget.generator(batches)
}

pub(super) fn slice(
    budget: &Budget,
    _: &mut State<'_, '_>,
    value: &Value,
    rest: Arguments,
) -> Outcome {
    let [count, fill] = rest.bind("slice", ["slices", "fill_with"])?;
    let count = count.ok_or_else(|| fail("`slice` needs a number"))?;
    let count = usize::try_from(whole(Some(&count), 0)?)
        .ok()
        .filter(|count| *count > 0)
        .ok_or_else(|| refuse("`slice` into less than one"))?;
    let items = iterate(budget, value)?;
    budget.charge(count.saturating_mul(16))?;
    let (each, extra) = (items.len() / count, items.len() % count);
    let (mut slices, mut at) = (Vec::new(), 0);
    for number in 0..count {
        let end = at + each + usize::from(number < extra);
        let mut row = items[at..end].to_vec();
        if let Some(fill) = fill.as_ref().filter(|fill| !fill.is_none() && number >= extra) {
            row.push(fill.clone());
        }
        slices.push(rows(row, budget)?);
        at = end;
    }
    budget.generator(slices)
}

/// The parts of a dotted attribute: numbers are positions.
pub(super) fn attribute_parts(attribute: Option<&Value>) -> Outcome<Vec<Value>> {
    match attribute.map(Py::of) {
        None | Some(Py::None) => Ok(Vec::new()),
        Some(Py::Str(path, _)) => path
            .split('.')
            .map(|part| {
                if !part.is_ascii() {
                    return Ok(Value::from(part));
                }
                let digits = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
                if !digits {
                    return Ok(Value::from(part));
                }
                part.parse().map(int).map_err(|_| refuse("an attribute number this large"))
            })
            .collect(),
        Some(Py::Int(number)) => Ok(vec![int(number)]),
        Some(_) => Err(refuse("such an attribute")),
    }
}

pub(super) fn multiple_parts(attribute: Option<&Value>) -> Outcome<Vec<Vec<Value>>> {
    match attribute.map(Py::of) {
        Some(Py::Str(paths, _)) => {
            paths.split(',').map(|path| attribute_parts(Some(&Value::from(path)))).collect()
        }
        _ => Ok(vec![attribute_parts(attribute)?]),
    }
}

pub(super) fn walk(
    budget: &Budget,
    from: &Value,
    parts: &[Value],
    default: Option<&Value>,
) -> Outcome {
    let mut at = from.clone();
    for part in parts {
        budget.charge(LOOK)?;
        at = item(budget, &at, part)?;
        if let (true, Some(default)) = (at.is_undefined(), default) {
            at = default.clone();
        }
    }
    Ok(at)
}

/// Lower case for comparisons that ignore case.
pub(super) fn fold(budget: &Budget, key: Value, case_sensitive: bool) -> Outcome {
    match Py::of(&key) {
        Py::Str(text, _) if !case_sensitive => budget.text(text.to_lowercase()),
        _ => Ok(key),
    }
}

/// Sorts stably by the keys; what cannot be ordered is an error, never a guess.
pub(super) fn sorted(
    budget: &Budget,
    rows: Vec<(Value, Value)>,
    reverse: bool,
) -> Outcome<Vec<Value>> {
    fn merge(
        budget: &Budget,
        mut rows: Vec<(Value, Value)>,
        reverse: bool,
    ) -> Outcome<Vec<(Value, Value)>> {
        if rows.len() < 2 {
            return Ok(rows);
        }
        let right = rows.split_off(rows.len() / 2);
        let mut left = merge(budget, rows, reverse)?.into_iter().peekable();
        let mut right = merge(budget, right, reverse)?.into_iter().peekable();
        let mut merged = Vec::with_capacity(left.len() + right.len());
        while let (Some(one), Some(other)) = (left.peek(), right.peek()) {
            let order = compare(budget, &other.0, &one.0)?.ok_or_else(|| refuse("sorting NaN"))?;
            let other_first = if reverse { order.is_gt() } else { order.is_lt() };
            merged.extend(if other_first { right.next() } else { left.next() });
        }
        merged.extend(left);
        merged.extend(right);
        Ok(merged)
    }
    Ok(merge(budget, rows, reverse)?.into_iter().map(|(_, value)| value).collect())
}

pub(super) fn extreme(
    budget: &Budget,
    value: &Value,
    rest: Arguments,
    better: fn(Ordering) -> bool,
) -> Outcome {
    let [case, attribute] = rest.bind("min and max", ["case_sensitive", "attribute"])?;
    let parts = attribute_parts(attribute.as_ref())?;
    let mut best: Option<(Value, Value)> = None;
    for element in iterate(budget, value)? {
        let key = walk(budget, &element, &parts, None)?;
        let key = fold(budget, key, flag(case.as_ref(), false))?;
        let wins = match &best {
            None => true,
            Some((known, _)) => {
                better(compare(budget, &key, known)?.ok_or_else(|| refuse("comparing NaN"))?)
            }
        };
        if wins {
            best = Some((key, element));
        }
    }
    Ok(best.map(|(_, element)| element).unwrap_or_default())
}

pub(super) fn dictsort(
    budget: &Budget,
    _: &mut State<'_, '_>,
    value: &Value,
    rest: Arguments,
) -> Outcome {
    let [case, by, reverse] = rest.bind("dictsort", ["case_sensitive", "by", "reverse"])?;
    let by_value = match by.as_ref().map(Py::of) {
        None | Some(Py::Str("key", _)) => false,
        Some(Py::Str("value", _)) => true,
        Some(_) => return Err(fail("`dictsort` sorts by \"key\" or \"value\"")),
    };
    let Py::Dict(dict) = Py::of(value) else {
        return Err(fail(format!("`dictsort` does not take {}", Py::of(value).type_name())));
    };
    let mut rows = Vec::new();
    for (key, value) in &dict.entries {
        let by = if by_value { value.clone() } else { key.clone() };
        let by = fold(budget, by, flag(case.as_ref(), false))?;
        rows.push((by, budget.tuple(vec![key.clone(), value.clone()])?));
    }
    let sorted = sorted(budget, rows, flag(reverse.as_ref(), false))?;
    budget.list(sorted)
}

pub(super) fn groupby(
    budget: &Budget,
    _: &mut State<'_, '_>,
    value: &Value,
    rest: Arguments,
) -> Outcome {
    let [attribute, default, case] =
        rest.bind("groupby", ["attribute", "default", "case_sensitive"])?;
    let attribute = attribute.ok_or_else(|| fail("`groupby` needs an attribute"))?;
    let parts = attribute_parts(Some(&attribute))?;
    let default = default.filter(|default| !default.is_none());
    let case = flag(case.as_ref(), false);
    let mut rows = Vec::new();
    for element in iterate(budget, value)? {
        let key = fold(budget, walk(budget, &element, &parts, default.as_ref())?, case)?;
        rows.push((key, element));
    }
    let mut groups: Vec<(Value, Vec<Value>)> = Vec::new();
    for element in sorted(budget, rows, false)? {
        let own = walk(budget, &element, &parts, default.as_ref())?;
        let key = fold(budget, own, case)?;
        match groups.last_mut() {
            Some((known, members)) if equal(budget, known, &key)? => members.push(element),
            _ => groups.push((key, vec![element])),
        }
    }
    let groups = groups.into_iter().map(|(key, members)| {
        // Regardless of case, a group is named as its first member spells it.
        let first = walk(budget, &members[0], &parts, default.as_ref())?;
        let key = if case { key } else { first };
        let members = budget.list(members)?;
        budget.sequence(Kind::Group, vec![key, members])
    });
    budget.list(groups.collect::<Outcome<_>>()?)
}

pub(super) fn map(
    budget: &Budget,
    state: &mut State<'_, '_>,
    value: &Value,
    mut rest: Arguments,
) -> Outcome {
    // An empty or undefined value needs no filter at all.
    if value.is_undefined() || !value.is_true() {
        return budget.generator(Vec::new());
    }
    let mut mapped = Vec::new();
    let by_attribute =
        rest.positional.is_empty() && rest.named.iter().any(|(name, _)| name == "attribute");
    if by_attribute {
        let [attribute, default] = rest.bind("map", ["attribute", "default"])?;
        let parts = attribute_parts(attribute.as_ref())?;
        let default = default.filter(|default| !default.is_none());
        for element in iterate(budget, value)? {
            mapped.push(walk(budget, &element, &parts, default.as_ref())?);
        }
        return budget.generator(mapped);
    }
    if rest.positional.is_empty() {
        return Err(fail("`map` needs a filter or an attribute"));
    }
    let name = rest.positional.remove(0);
    let Some((_, filter)) = FILTERS.iter().find(|(known, _)| name.as_str() == Some(known)) else {
        return Err(fail(format!("`map` does not know the filter `{name}`")));
    };
    for element in iterate(budget, value)? {
        let arguments =
            Arguments { positional: rest.positional.clone(), named: rest.named.clone() };
        mapped.push(filter(budget, state, &element, arguments)?);
    }
    budget.generator(mapped)
}

pub(super) fn select(
    budget: &Budget,
    state: &mut State<'_, '_>,
    value: &Value,
    mut rest: Arguments,
    by_attribute: bool,
    keep: bool,
) -> Outcome {
    if value.is_undefined() || !value.is_true() {
        return budget.generator(Vec::new());
    }
    let mut parts = Vec::new();
    if by_attribute {
        if rest.positional.is_empty() {
            return Err(fail("an attribute is needed"));
        }
        parts = attribute_parts(Some(&rest.positional.remove(0)))?;
    }
    let predicate = if rest.positional.is_empty() {
        if !rest.named.is_empty() {
            return Err(refuse("named arguments without a test"));
        }
        None
    } else {
        let name = rest.positional.remove(0);
        let known = PREDICATES.iter();
        let known = known.clone().find(|(known, _)| {
            let alias = match name.as_str() {
                Some("==") => "eq",
                Some("!=") => "ne",
                Some("<") => "lt",
                Some("<=") => "le",
                Some(">") => "gt",
                Some(">=") => "ge",
                Some(other) => other,
                None => "",
            };
            *known == alias
        });
        Some(known.ok_or_else(|| fail(format!("there is no test `{name}`")))?.1)
    };
    let mut kept = Vec::new();
    for element in iterate(budget, value)? {
        let tested = walk(budget, &element, &parts, None)?;
        let passed = match predicate {
            None => tested.is_true(),
            Some(predicate) => {
                let arguments =
                    Arguments { positional: rest.positional.clone(), named: rest.named.clone() };
                predicate(budget, state, &tested, arguments)?
            }
        };
        if passed == keep {
            kept.push(element);
        }
    }
    budget.generator(kept)
}
