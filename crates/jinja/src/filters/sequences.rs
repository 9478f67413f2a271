//! Filters of lists and maps: what they group, sort, pick and look up.

use std::cmp::Ordering;
use std::collections::HashMap;

use super::Filter;
use crate::arguments::{Arguments, flag, given, stringified, whole};
use crate::bucket::Bucket;
use crate::budget::Budget;
use crate::characters::lower;
use crate::error::{Outcome, fail, refuse};
use crate::operators::{add, compare, item};
use crate::predicates;
use crate::value::{Kind, LOOK, Value, chars, equal, iterate, text};

/// The filter of a name.
pub(super) fn find(name: &str) -> Option<Filter> {
    Some(match name {
        "batch" => batch,
        "count" | "length" => length,
        "dictsort" => dictsort,
        "first" => |budget, value, rest| {
            rest.none("first")?;
            Ok(iterate(budget, value)?.into_iter().next().unwrap_or_default())
        },
        "groupby" => groupby,
        "items" => items,
        "join" => join,
        "last" => last,
        "list" => |budget, value, rest| {
            rest.none("list")?;
            let items = iterate(budget, value)?;
            budget.list(items)
        },
        "map" => map,
        "max" => |budget, value, rest| extreme(budget, value, rest, Ordering::is_gt),
        "min" => |budget, value, rest| extreme(budget, value, rest, Ordering::is_lt),
        "reject" => |budget, value, rest| select(budget, value, rest, [false, false]),
        "rejectattr" => |budget, value, rest| select(budget, value, rest, [true, false]),
        "reverse" => reverse,
        "select" => |budget, value, rest| select(budget, value, rest, [false, true]),
        "selectattr" => |budget, value, rest| select(budget, value, rest, [true, true]),
        "slice" => slice,
        "sort" => sort,
        "sum" => sum,
        "unique" => unique,
        _ => return None,
    })
}

fn items(budget: &Budget, value: &Value, rest: Arguments) -> Outcome {
    rest.none("items")?;
    match value {
        Value::Undefined => budget.generator(Vec::new()),
        Value::Dict(dict) => {
            let pairs = dict.entries.iter();
            let pairs = pairs.map(|(key, value)| budget.tuple(vec![key.clone(), value.clone()]));
            budget.generator(pairs.collect::<Outcome<_>>()?)
        }
        other => Err(fail(format!("`items` does not take {}", other.type_name()))),
    }
}

fn join(budget: &Budget, value: &Value, rest: Arguments) -> Outcome {
    let [separator, attribute] = rest.bind("join", ["d", "attribute"])?;
    let separator = match &separator {
        Some(separator) => stringified(budget, separator)?,
        None => String::new(),
    };
    let parts = attribute_parts(attribute.as_ref())?;
    let mut joined = String::new();
    for (index, part) in iterate(budget, value)?.iter().enumerate() {
        if index > 0 {
            budget.charge(separator.len())?;
            joined.push_str(&separator);
        }
        joined.push_str(&text(budget, &walk(budget, part, &parts, None)?)?);
    }
    budget.text(joined)
}

fn last(budget: &Budget, value: &Value, rest: Arguments) -> Outcome {
    rest.none("last")?;
    if let Value::Generator(_) = value {
        return Err(fail("a generator cannot be reversed"));
    }
    if value.is_undefined() {
        return Err(refuse("`last` of an undefined value"));
    }
    Ok(iterate(budget, value)?.pop().unwrap_or_default())
}

fn reverse(budget: &Budget, value: &Value, rest: Arguments) -> Outcome {
    rest.none("reverse")?;
    match value {
        Value::Str(text, is_markup) => {
            budget.text_like(text.chars().rev().collect::<String>(), *is_markup)
        }
        Value::Undefined => Err(refuse("`reverse` of an undefined value")),
        _ => {
            let mut items = iterate(budget, value)?;
            items.reverse();
            if matches!(value, Value::Generator(_)) {
                budget.list(items)
            } else {
                budget.generator(items)
            }
        }
    }
}

fn sort(budget: &Budget, value: &Value, rest: Arguments) -> Outcome {
    let [reverse, case, attribute] =
        rest.bind("sort", ["reverse", "case_sensitive", "attribute"])?;
    let paths = multiple_parts(attribute.as_ref())?;
    let mut rows = Vec::new();
    for element in iterate(budget, value)? {
        let mut keys = Vec::new();
        for path in &paths {
            let key = walk(budget, &element, path, None)?;
            keys.push(fold(budget, key, flag(case.as_ref(), false))?);
        }
        rows.push((budget.list(keys)?, element));
    }
    let sorted = sorted(budget, rows, flag(reverse.as_ref(), false))?;
    budget.list(sorted)
}

fn sum(budget: &Budget, value: &Value, rest: Arguments) -> Outcome {
    let [attribute, start] = rest.bind("sum", ["attribute", "start"])?;
    let parts = attribute_parts(attribute.as_ref())?;
    let mut total = start.unwrap_or_else(|| 0.into());
    if let Value::Str(..) = total {
        return Err(fail("`sum` does not join texts"));
    }
    if total.is_undefined() {
        return Err(refuse("`sum` that starts with an undefined value"));
    }
    for element in iterate(budget, value)? {
        let element = walk(budget, &element, &parts, None)?;
        if let (Value::Float(_), _) | (_, Value::Float(_)) = ((&total), (&element)) {
            // Python sums floats with compensation, so adding one by one may differ.
            return Err(refuse("`sum` of floats"));
        }
        total = add(budget, &total, &element)?;
    }
    Ok(total)
}

fn unique(budget: &Budget, value: &Value, rest: Arguments) -> Outcome {
    let [case, attribute] = rest.bind("unique", ["case_sensitive", "attribute"])?;
    let parts = attribute_parts(attribute.as_ref())?;
    let (mut seen, mut kept) = (HashMap::<Bucket, Vec<Value>>::new(), Vec::new());
    'elements: for element in iterate(budget, value)? {
        let key = walk(budget, &element, &parts, None)?;
        let key = fold(budget, key, flag(case.as_ref(), false))?;
        if !key.is_undefined() && !key.is_hashable(budget)? {
            return Err(fail("`unique` of lists or dicts"));
        }
        let alike = seen.entry(Bucket::of(budget, &key)?).or_default();
        for known in &*alike {
            if equal(budget, known, &key)? {
                continue 'elements;
            }
        }
        alike.push(key);
        kept.push(element);
    }
    budget.generator(kept)
}

fn length(budget: &Budget, value: &Value, rest: Arguments) -> Outcome {
    rest.none("length")?;
    budget.charge(1)?;
    match value {
        Value::Undefined => Ok(0.into()),
        Value::Str(text, _) => Ok(chars(text).into()),
        Value::Seq(sequence) => Ok(sequence.items.len().into()),
        Value::Dict(dict) => Ok(dict.entries.len().into()),
        other => Err(fail(format!("{} has no length", other.type_name()))),
    }
}

fn batch(budget: &Budget, value: &Value, rest: Arguments) -> Outcome {
    let [count, fill] = rest.bind("batch", ["linecount", "fill_with"])?;
    let count = count.ok_or_else(|| fail("`batch` needs a number"))?;
    let count = usize::try_from(whole(Some(&count), 0)?)
        .ok()
        .filter(|count| *count > 0)
        .ok_or_else(|| refuse("`batch` with a size below one"))?;
    let mut batches = Vec::new();
    for chunk in iterate(budget, value)?.chunks(count) {
        let mut row = chunk.to_vec();
        if let Some(fill) = fill.as_ref().filter(|fill| !fill.is_none()) {
            budget.charge(count)?;
            row.resize(count, fill.clone());
        }
        batches.push(budget.list(row)?);
    }
    budget.generator(batches)
}

fn slice(budget: &Budget, value: &Value, rest: Arguments) -> Outcome {
    let [count, fill] = rest.bind("slice", ["slices", "fill_with"])?;
    let count = count.ok_or_else(|| fail("`slice` needs a number"))?;
    let count = usize::try_from(whole(Some(&count), 0)?)
        .ok()
        .filter(|count| *count > 0)
        .ok_or_else(|| refuse("`slice` with a count below one"))?;
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
        slices.push(budget.list(row)?);
        at = end;
    }
    budget.generator(slices)
}

/// The parts of a dotted attribute: numbers are positions.
fn attribute_parts(attribute: Option<&Value>) -> Outcome<Vec<Value>> {
    let part = |part: &str| {
        if part.is_empty() || !part.bytes().all(|byte| byte.is_ascii_digit()) {
            return Ok(Value::from(part));
        }
        part.parse().map(Value::Int).map_err(|_| refuse("an attribute number this large"))
    };
    match attribute {
        None | Some(Value::None) => Ok(Vec::new()),
        Some(Value::Str(path, _)) => path.split('.').map(part).collect(),
        Some(Value::Int(number)) => Ok(vec![Value::Int(*number)]),
        Some(_) => Err(refuse("such an attribute")),
    }
}

fn multiple_parts(attribute: Option<&Value>) -> Outcome<Vec<Vec<Value>>> {
    match attribute {
        Some(Value::Str(paths, _)) => {
            paths.split(',').map(|path| attribute_parts(Some(&Value::from(path)))).collect()
        }
        _ => Ok(vec![attribute_parts(attribute)?]),
    }
}

fn walk(budget: &Budget, from: &Value, parts: &[Value], default: Option<&Value>) -> Outcome {
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
fn fold(budget: &Budget, key: Value, case_sensitive: bool) -> Outcome {
    match &key {
        Value::Str(text, _) if !case_sensitive => budget.text(lower(text)?),
        _ => Ok(key),
    }
}

/// Sorts stably by the keys; what cannot be ordered is an error, never a guess.
fn sorted(budget: &Budget, rows: Vec<(Value, Value)>, reverse: bool) -> Outcome<Vec<Value>> {
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
            let order =
                compare(budget, &other.0, &one.0, "<")?.ok_or_else(|| refuse("sorting NaN"))?;
            let other_first = if reverse { order.is_gt() } else { order.is_lt() };
            merged.extend(if other_first { right.next() } else { left.next() });
        }
        merged.extend(left);
        merged.extend(right);
        Ok(merged)
    }
    Ok(merge(budget, rows, reverse)?.into_iter().map(|(_, value)| value).collect())
}

fn extreme(
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
                better(compare(budget, &key, known, "<")?.ok_or_else(|| refuse("comparing NaN"))?)
            }
        };
        if wins {
            best = Some((key, element));
        }
    }
    Ok(best.map(|(_, element)| element).unwrap_or_default())
}

fn dictsort(budget: &Budget, value: &Value, rest: Arguments) -> Outcome {
    let [case, by, reverse] = rest.bind("dictsort", ["case_sensitive", "by", "reverse"])?;
    let by_value = match by.as_ref().map(|by| by.as_str()) {
        None | Some(Some("key")) => false,
        Some(Some("value")) => true,
        Some(_) => return Err(fail("`dictsort` sorts by \"key\" or \"value\"")),
    };
    let Value::Dict(dict) = value else {
        return Err(fail(format!("`dictsort` does not take {}", value.type_name())));
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

fn groupby(budget: &Budget, value: &Value, rest: Arguments) -> Outcome {
    let [attribute, default, case] =
        rest.bind("groupby", ["attribute", "default", "case_sensitive"])?;
    let attribute = attribute.ok_or_else(|| fail("`groupby` needs an attribute"))?;
    let parts = attribute_parts(Some(&attribute))?;
    let default = given(default);
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

fn map(budget: &Budget, value: &Value, mut rest: Arguments) -> Outcome {
    // An empty or undefined value needs no filter at all.
    if !value.is_true() {
        return budget.generator(Vec::new());
    }
    let mut mapped = Vec::new();
    if rest.positional.is_empty() && rest.named.iter().any(|(name, _)| &**name == "attribute") {
        let [attribute, default] = rest.bind("map", ["attribute", "default"])?;
        let (parts, default) = (attribute_parts(attribute.as_ref())?, given(default));
        for element in iterate(budget, value)? {
            mapped.push(walk(budget, &element, &parts, default.as_ref())?);
        }
        return budget.generator(mapped);
    }
    if rest.positional.is_empty() {
        return Err(fail("`map` needs a filter or an attribute"));
    }
    let name = rest.positional.remove(0);
    let name = name.as_str().unwrap_or_default();
    if super::is_refused(name) {
        return Err(refuse(format!("the filter `{name}`")));
    }
    let filter = super::find(name).ok_or_else(|| fail(format!("there is no filter `{name}`")))?;
    for element in iterate(budget, value)? {
        mapped.push(filter(budget, &element, rest.clone())?);
    }
    budget.generator(mapped)
}

/// Keeps the elements for which, or for an attribute of which, a test holds or does not hold.
fn select(
    budget: &Budget,
    value: &Value,
    mut rest: Arguments,
    [by_attribute, keep]: [bool; 2],
) -> Outcome {
    if !value.is_true() {
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
        let name = name.as_str().unwrap_or_default();
        let known = predicates::by_sign(name);
        Some(known.ok_or_else(|| fail(format!("there is no test `{name}`")))?)
    };
    let mut kept = Vec::new();
    for element in iterate(budget, value)? {
        let tested = walk(budget, &element, &parts, None)?;
        let passed = match predicate {
            None => tested.is_true(),
            Some(predicate) => predicate(budget, &tested, rest.clone())?,
        };
        if passed == keep {
            kept.push(element);
        }
    }
    budget.generator(kept)
}
