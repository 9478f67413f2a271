//! The stock filters of Jinja2.

use std::cmp::Ordering;

use minijinja::{State, Value};

use super::arguments::{Arguments, flag, stringified, whole, words};
use super::format::{self, is_alphanumeric, is_space, split_lines};
use super::json;
use super::methods;
use super::operators::{add, compare, item};
use super::value::{
    Budget, Kind, Outcome, Py, Sequence, chars, equal, exact_float, fail, int, is_hashable,
    iterate, refuse, text, undefined, write_repr,
};

/// A filter.
pub(super) type Filter = fn(&Budget, &mut State<'_, '_>, &Value, Arguments) -> Outcome;

/// Filters that Jinja2 has and offline rendering has not.
pub(super) const REFUSED: &[&str] = &["random", "urlize"];

/// The filters by name.
pub(super) const FILTERS: &[(&str, Filter)] = &[
    ("abs", |_, _, value, rest| {
        rest.none("abs")?;
        match (Py::of(value), Py::of(value).as_int()) {
            (_, Some(number)) => {
                Ok(int(number.checked_abs().ok_or_else(|| refuse("this `abs`"))?))
            }
            (Py::Float(number), _) => Ok(number.abs().into()),
            (other, _) => Err(fail(format!("`abs` does not take {}", other.type_name()))),
        }
    }),
    ("attr", attr),
    ("batch", batch),
    ("capitalize", |budget, _, value, rest| {
        rest.none("capitalize")?;
        map_text(budget, value, format::capitalize)
    }),
    ("center", |budget, _, value, rest| {
        let [width] = rest.bind("center", ["width"])?;
        let width = whole(width.as_ref(), 80)?;
        map_text(budget, value, |text| methods::center(budget, text, width, ' '))
    }),
    ("count", length),
    ("d", default),
    ("default", default),
    ("dictsort", dictsort),
    ("e", escape),
    ("escape", escape),
    ("filesizeformat", filesizeformat),
    ("first", |budget, _, value, rest| {
        rest.none("first")?;
        Ok(iterate(budget, value)?.into_iter().next().unwrap_or_default())
    }),
    ("float", |_, _, value, rest| {
        let [default] = rest.bind("float", ["default"])?;
        Ok(match to_float(value)? {
            Some(number) => number.into(),
            None => default.unwrap_or_else(|| 0.0.into()),
        })
    }),
    ("forceescape", |budget, _, value, rest| {
        rest.none("forceescape")?;
        budget.text_like(format::escape(&text(budget, value)?), true)
    }),
    ("format", |budget, _, value, rest| {
        if !rest.named.is_empty() {
            return Err(refuse("`format` with named arguments"));
        }
        if let Py::Str(_, true) = Py::of(value) {
            return Err(refuse("`format` of markup"));
        }
        let template = text(budget, value)?;
        budget.text(format::percent(budget, &template, &rest.positional)?)
    }),
    ("groupby", groupby),
    ("indent", indent),
    ("int", to_int),
    ("items", |budget, _, value, rest| {
        rest.none("items")?;
        match Py::of(value) {
            Py::Undefined => budget.generator(Vec::new()),
            Py::Dict(dict) => {
                let pairs = dict.entries.iter();
                let pairs =
                    pairs.map(|(key, value)| budget.tuple(vec![key.clone(), value.clone()]));
                budget.generator(pairs.collect::<Outcome<_>>()?)
            }
            other => Err(fail(format!("`items` does not take {}", other.type_name()))),
        }
    }),
    ("join", |budget, _, value, rest| {
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
    }),
    ("last", |budget, _, value, rest| {
        rest.none("last")?;
        if let Py::Generator(_) = Py::of(value) {
            return Err(fail("a generator cannot be reversed"));
        }
        if value.is_undefined() {
            return Err(refuse("`last` of an undefined value"));
        }
        Ok(iterate(budget, value)?.pop().unwrap_or_default())
    }),
    ("length", length),
    ("list", |budget, _, value, rest| {
        rest.none("list")?;
        let items = iterate(budget, value)?;
        budget.list(items)
    }),
    ("lower", |budget, _, value, rest| {
        rest.none("lower")?;
        map_text(budget, value, |text| Ok(text.to_lowercase()))
    }),
    ("map", map),
    ("max", |budget, _, value, rest| extreme(budget, value, rest, Ordering::is_gt)),
    ("min", |budget, _, value, rest| extreme(budget, value, rest, Ordering::is_lt)),
    ("pprint", |budget, _, value, rest| {
        rest.none("pprint")?;
        let mut shown = String::new();
        write_repr(budget, &mut shown, value)?;
        let nested = matches!(Py::of(value), Py::Dict(_) | Py::Seq(_));
        if chars(&shown) > 79 || (nested && shown.contains('{')) {
            return Err(refuse("`pprint` of a dict or of more than one line"));
        }
        budget.text(shown)
    }),
    ("reject", |budget, state, value, rest| select(budget, state, value, rest, false, false)),
    ("rejectattr", |budget, state, value, rest| select(budget, state, value, rest, true, false)),
    ("replace", |budget, _, value, rest| {
        let [old, new, count] = rest.bind("replace", ["old", "new", "count"])?;
        let (Some(old), Some(new)) = (old, new) else {
            return Err(fail("`replace` needs what to replace and by what"));
        };
        let count = whole(count.filter(|count| !count.is_none()).as_ref(), -1)?;
        let (old, new) = (text(budget, &old)?, text(budget, &new)?);
        let replaced = methods::replace(budget, &text(budget, value)?, &old, &new, count)?;
        budget.text(replaced)
    }),
    ("reverse", |budget, _, value, rest| {
        rest.none("reverse")?;
        match Py::of(value) {
            Py::Str(text, safe) => budget.text_like(text.chars().rev().collect(), safe),
            Py::Undefined => Err(refuse("`reverse` of an undefined value")),
            _ => {
                let mut items = iterate(budget, value)?;
                items.reverse();
                if matches!(Py::of(value), Py::Generator(_)) {
                    budget.list(items)
                } else {
                    budget.generator(items)
                }
            }
        }
    }),
    ("round", round),
    ("safe", |budget, _, value, rest| {
        rest.none("safe")?;
        budget.text_like(stringified(budget, value)?, true)
    }),
    ("select", |budget, state, value, rest| select(budget, state, value, rest, false, true)),
    ("selectattr", |budget, state, value, rest| select(budget, state, value, rest, true, true)),
    ("slice", slice),
    ("sort", |budget, _, value, rest| {
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
    }),
    ("string", |budget, _, value, rest| {
        rest.none("string")?;
        map_text(budget, value, |text| Ok(text.to_owned()))
    }),
    ("striptags", striptags),
    ("sum", |budget, _, value, rest| {
        let [attribute, start] = rest.bind("sum", ["attribute", "start"])?;
        let parts = attribute_parts(attribute.as_ref())?;
        let mut total = start.unwrap_or_else(|| 0.into());
        if let Py::Str(..) = Py::of(&total) {
            return Err(fail("`sum` does not join texts"));
        }
        if let Py::Undefined = Py::of(&total) {
            return Err(refuse("`sum` that starts with an undefined value"));
        }
        for element in iterate(budget, value)? {
            let element = walk(budget, &element, &parts, None)?;
            if let (Py::Float(_), _) | (_, Py::Float(_)) = (Py::of(&total), Py::of(&element)) {
                // Python sums floats with compensation, so adding one by one may differ.
                return Err(refuse("`sum` of floats"));
            }
            total = add(budget, &total, &element)?;
        }
        Ok(total)
    }),
    ("title", |budget, _, value, rest| {
        rest.none("title")?;
        map_text(budget, value, |text| Ok(title(text)))
    }),
    ("tojson", |budget, _, value, rest| {
        let [indent] = rest.bind("tojson", ["indent"])?;
        let indent = indent.filter(|indent| !indent.is_none());
        let indent = indent.map(|indent| whole(Some(&indent), 0)).transpose()?;
        budget.text_like(json::markup(budget, value, indent)?, true)
    }),
    ("trim", |budget, _, value, rest| {
        let [set] = rest.bind("trim", ["chars"])?;
        let set = set.filter(|set| !set.is_none());
        let set = match &set {
            None => None,
            Some(_) => Some(words(&set, "trim")?),
        };
        map_text(budget, value, |text| Ok(methods::strip(text, set, true, true).to_owned()))
    }),
    ("truncate", truncate),
    ("unique", |budget, _, value, rest| {
        let [case, attribute] = rest.bind("unique", ["case_sensitive", "attribute"])?;
        let parts = attribute_parts(attribute.as_ref())?;
        let (mut seen, mut kept) = (Vec::<Value>::new(), Vec::new());
        'elements: for element in iterate(budget, value)? {
            let key = walk(budget, &element, &parts, None)?;
            let key = fold(budget, key, flag(case.as_ref(), false))?;
            if !is_hashable(&key) && !key.is_undefined() {
                return Err(fail("`unique` of lists or dicts"));
            }
            for known in &seen {
                if equal(budget, known, &key)? {
                    continue 'elements;
                }
            }
            seen.push(key);
            kept.push(element);
        }
        budget.generator(kept)
    }),
    ("upper", |budget, _, value, rest| {
        rest.none("upper")?;
        map_text(budget, value, |text| Ok(text.to_uppercase()))
    }),
    ("urlencode", urlencode),
    ("wordcount", |budget, _, value, rest| {
        rest.none("wordcount")?;
        let (mut count, mut inside) = (0, false);
        for character in text(budget, value)?.chars() {
            let word = character == '_' || is_alphanumeric(character)?;
            count += i64::from(word && !inside);
            inside = word;
        }
        Ok(count.into())
    }),
    ("wordwrap", wordwrap),
    ("xmlattr", xmlattr),
];

/// A filter on the text of a value: markup stays markup.
fn map_text(
    budget: &Budget,
    value: &Value,
    change: impl FnOnce(&str) -> Outcome<String>,
) -> Outcome {
    let safe = matches!(Py::of(value), Py::Str(_, true));
    budget.text_like(change(&text(budget, value)?)?, safe)
}

fn escape(budget: &Budget, _: &mut State<'_, '_>, value: &Value, rest: Arguments) -> Outcome {
    rest.none("escape")?;
    match Py::of(value) {
        Py::Str(_, true) => Ok(value.clone()),
        _ => budget.text_like(format::escape(&text(budget, value)?), true),
    }
}

fn attr(_: &Budget, _: &mut State<'_, '_>, value: &Value, rest: Arguments) -> Outcome {
    let [name] = rest.bind("attr", ["name"])?;
    let name = words(&name, "attr")?;
    match Py::of(value) {
        Py::Undefined => Err(undefined(format!("the attribute `{name}`"))),
        other if methods::is_attribute(other, name) => Err(refuse("`attr`")),
        Py::Seq(Sequence { kind: Kind::Group, .. }) => Err(refuse("`attr` of a group")),
        _ => Ok(Value::UNDEFINED),
    }
}

fn length(budget: &Budget, _: &mut State<'_, '_>, value: &Value, rest: Arguments) -> Outcome {
    rest.none("length")?;
    budget.charge(1)?;
    match Py::of(value) {
        Py::Undefined => Ok(0.into()),
        Py::Str(text, _) => Ok(chars(text).into()),
        Py::Seq(sequence) => Ok(sequence.items.len().into()),
        Py::Dict(dict) => Ok(dict.entries.len().into()),
        other => Err(fail(format!("{} has no length", other.type_name()))),
    }
}

fn default(_: &Budget, _: &mut State<'_, '_>, value: &Value, rest: Arguments) -> Outcome {
    let [other, boolean] = rest.bind("default", ["default_value", "boolean"])?;
    if value.is_undefined() || (flag(boolean.as_ref(), false) && !value.is_true()) {
        return Ok(other.unwrap_or_else(|| "".into()));
    }
    Ok(value.clone())
}

fn rows(value: Vec<Value>, budget: &Budget) -> Outcome {
    budget.list(value)
}

fn batch(budget: &Budget, _: &mut State<'_, '_>, value: &Value, rest: Arguments) -> Outcome {
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

fn slice(budget: &Budget, _: &mut State<'_, '_>, value: &Value, rest: Arguments) -> Outcome {
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
fn attribute_parts(attribute: Option<&Value>) -> Outcome<Vec<Value>> {
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

fn multiple_parts(attribute: Option<&Value>) -> Outcome<Vec<Vec<Value>>> {
    match attribute.map(Py::of) {
        Some(Py::Str(paths, _)) => {
            paths.split(',').map(|path| attribute_parts(Some(&Value::from(path)))).collect()
        }
        _ => Ok(vec![attribute_parts(attribute)?]),
    }
}

fn walk(budget: &Budget, from: &Value, parts: &[Value], default: Option<&Value>) -> Outcome {
    let mut at = from.clone();
    for part in parts {
        at = item(budget, &at, part)?;
        if let (true, Some(default)) = (at.is_undefined(), default) {
            at = default.clone();
        }
    }
    Ok(at)
}

/// Lower case for comparisons that ignore case.
fn fold(budget: &Budget, key: Value, case_sensitive: bool) -> Outcome {
    match Py::of(&key) {
        Py::Str(text, _) if !case_sensitive => budget.text(text.to_lowercase()),
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
                better(compare(budget, &key, known)?.ok_or_else(|| refuse("comparing NaN"))?)
            }
        };
        if wins {
            best = Some((key, element));
        }
    }
    Ok(best.map(|(_, element)| element).unwrap_or_default())
}

fn dictsort(budget: &Budget, _: &mut State<'_, '_>, value: &Value, rest: Arguments) -> Outcome {
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

fn groupby(budget: &Budget, _: &mut State<'_, '_>, value: &Value, rest: Arguments) -> Outcome {
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

fn map(budget: &Budget, state: &mut State<'_, '_>, value: &Value, mut rest: Arguments) -> Outcome {
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

fn select(
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
        let known = super::predicates::PREDICATES.iter();
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

fn indent(budget: &Budget, _: &mut State<'_, '_>, value: &Value, rest: Arguments) -> Outcome {
    let [width, first, blank] = rest.bind("indent", ["width", "first", "blank"])?;
    let margin = match width.as_ref().map(Py::of) {
        None => "    ".to_owned(),
        Some(Py::Str(margin, _)) => margin.to_owned(),
        Some(width) => {
            let width = width.as_int().ok_or_else(|| fail("`indent` needs a width"))?;
            let width = usize::try_from(width.max(0)).unwrap_or(usize::MAX);
            budget.charge(width)?;
            " ".repeat(width)
        }
    };
    let Py::Str(text, safe) = Py::of(value) else {
        return Err(fail(format!("`indent` does not take {}", Py::of(value).type_name())));
    };
    let text = format!("{text}\n");
    let lines = split_lines(&text, false);
    budget.charge(lines.len().saturating_mul(margin.len() + 1) + text.len())?;
    let mut out = String::new();
    if flag(first.as_ref(), false) {
        out.push_str(&margin);
    }
    let blank = flag(blank.as_ref(), false);
    for (index, line) in lines.iter().enumerate() {
        if index > 0 {
            out.push('\n');
            if blank || !line.is_empty() {
                out.push_str(&margin);
            }
        }
        out.push_str(line);
    }
    budget.text_like(out, safe)
}

/// The number in a text, as Python's `float` reads it.
fn parse_float(text: &str) -> Outcome<Option<f64>> {
    let trimmed = methods::strip(text, None, true, true);
    if !trimmed.is_ascii() {
        if trimmed.chars().any(|character| !character.is_ascii() && character.is_numeric()) {
            return Err(refuse("a number in other digits than 0 to 9"));
        }
        return Ok(None);
    }
    let Some(plain) = without_underscores(trimmed) else { return Ok(None) };
    let unsigned = plain.trim_start_matches(['+', '-']).to_ascii_lowercase();
    let named = ["inf", "infinity", "nan"].contains(&unsigned.as_str());
    let numeric = unsigned.starts_with(|first: char| first.is_ascii_digit() || first == '.');
    Ok(if named || numeric { plain.parse().ok() } else { None })
}

/// Underscores are allowed between digits, and nowhere else.
fn without_underscores(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    for (index, byte) in bytes.iter().enumerate() {
        let digit =
            |at: Option<usize>| at.and_then(|at| bytes.get(at)).is_some_and(u8::is_ascii_digit);
        if *byte == b'_' && !(digit(index.checked_sub(1)) && digit(Some(index + 1))) {
            return None;
        }
    }
    Some(text.replace('_', ""))
}

fn to_float(value: &Value) -> Outcome<Option<f64>> {
    match (Py::of(value), Py::of(value).as_int()) {
        (_, Some(number)) => exact_float(number).map(Some),
        (Py::Float(number), _) => Ok(Some(number)),
        (Py::Str(text, _), _) => parse_float(text),
        (Py::Undefined, _) => Err(undefined("the number")),
        (Py::Opaque, _) => Err(refuse("the number of a macro, a loop or a namespace")),
        _ => Ok(None),
    }
}

/// The integer in a text, as Python's `int` reads it.
fn parse_int(text: &str, base: u32) -> Outcome<Option<i128>> {
    let trimmed = methods::strip(text, None, true, true);
    if !trimmed.is_ascii() {
        if trimmed.chars().any(|character| !character.is_ascii() && character.is_numeric()) {
            return Err(refuse("a number in other digits than 0 to 9"));
        }
        return Ok(None);
    }
    let (negative, digits) = match trimmed.strip_prefix(['+', '-']) {
        Some(digits) => (trimmed.starts_with('-'), digits),
        None => (false, trimmed),
    };
    let lower = digits.to_ascii_lowercase();
    let prefixed = [("0x", 16), ("0o", 8), ("0b", 2)];
    let mut digits = lower.as_str();
    let mut base = base;
    for (prefix, of) in prefixed {
        if (base == of || base == 0)
            && let Some(rest) = digits.strip_prefix(prefix)
        {
            // One underscore may follow the prefix.
            digits = rest.strip_prefix('_').unwrap_or(rest);
            base = of;
        }
    }
    if base == 0 {
        let zeros = digits.bytes().all(|byte| byte == b'0' || byte == b'_');
        if digits.starts_with('0') && !zeros {
            return Ok(None);
        }
        base = 10;
    }
    let bytes = digits.as_bytes();
    let edges = digits.starts_with('_') || digits.ends_with('_') || digits.contains("__");
    if bytes.is_empty() || edges {
        return Ok(None);
    }
    let plain = digits.replace('_', "");
    if !plain.chars().all(|digit| digit.is_digit(base)) {
        return Ok(None);
    }
    match i128::from_str_radix(&plain, base) {
        Ok(number) => Ok(Some(if negative { -number } else { number })),
        Err(_) => Err(refuse("an integer beyond 127 bits")),
    }
}

fn truncated(number: f64) -> Outcome<Option<i128>> {
    if !number.is_finite() {
        return Ok(None);
    }
    if number.abs() >= 1e30 {
        return Err(refuse("an integer beyond 100 bits"));
    }
    #[allow(clippy::cast_possible_truncation)]
    let number = number.trunc() as i128;
    Ok(Some(number))
}

fn to_int(_: &Budget, _: &mut State<'_, '_>, value: &Value, rest: Arguments) -> Outcome {
    let [default, base] = rest.bind("int", ["default", "base"])?;
    let base = whole(base.as_ref(), 10)?;
    let default = default.unwrap_or_else(|| 0.into());
    let valid = base == 0 || (2..=36).contains(&base);
    let found = match Py::of(value) {
        Py::Str(text, _) => {
            let base = u32::try_from(base).unwrap_or_default();
            match if valid { parse_int(text, base)? } else { None } {
                Some(number) => Some(number),
                None => match parse_float(text)? {
                    Some(number) => truncated(number)?,
                    None => None,
                },
            }
        }
        Py::Float(number) if number.is_infinite() => {
            return Err(fail("infinity is no integer"));
        }
        Py::Float(number) => truncated(number)?,
        Py::Undefined => return Err(undefined("the integer")),
        Py::Opaque => return Err(refuse("the integer of a macro, a loop or a namespace")),
        other => other.as_int(),
    };
    Ok(found.map_or(default, int))
}

fn round(_: &Budget, _: &mut State<'_, '_>, value: &Value, rest: Arguments) -> Outcome {
    let [precision, method] = rest.bind("round", ["precision", "method"])?;
    let precision = whole(precision.as_ref(), 0)?;
    let method = method.as_ref().map_or(Some("common"), Value::as_str);
    let number = match (Py::of(value), Py::of(value).as_int()) {
        (_, Some(number)) if method == Some("common") && precision >= 0 => return Ok(int(number)),
        (_, Some(number)) => exact_float(number)?,
        (Py::Float(number), _) => number,
        (Py::Undefined, _) => return Err(undefined("rounding")),
        (other, _) => return Err(fail(format!("`round` does not take {}", other.type_name()))),
    };
    let digits = u32::try_from(precision).ok().filter(|digits| *digits <= 15);
    let digits = digits.ok_or_else(|| refuse("rounding to such a precision"))?;
    if !number.is_finite() {
        return Err(refuse("rounding infinity or NaN"));
    }
    let scale = 10_f64.powi(i32::try_from(digits).unwrap_or_default());
    match method {
        Some("common") => {
            let digits = digits as usize;
            let rounded: f64 =
                format!("{number:.digits$}").parse().map_err(|_| refuse("this rounding"))?;
            Ok(rounded.into())
        }
        Some("ceil") => Ok(((number * scale).ceil() / scale).into()),
        Some("floor") => Ok(((number * scale).floor() / scale).into()),
        _ => Err(fail("`round` rounds by \"common\", \"ceil\" or \"floor\"")),
    }
}

fn filesizeformat(
    budget: &Budget,
    _: &mut State<'_, '_>,
    value: &Value,
    rest: Arguments,
) -> Outcome {
    let [binary] = rest.bind("filesizeformat", ["binary"])?;
    let binary = flag(binary.as_ref(), false);
    let size = to_float(value)?.filter(|size| size.is_finite());
    let size = size.ok_or_else(|| fail("`filesizeformat` needs a finite number"))?;
    let base: f64 = if binary { 1024.0 } else { 1000.0 };
    if (size - 1.0).abs() == 0.0 {
        return budget.text("1 Byte".to_owned());
    }
    if size < base {
        return budget.text(format!("{} Bytes", truncated(size)?.unwrap_or_default()));
    }
    let mut unit = base;
    let mut shown = String::new();
    for prefix in ["k", "M", "G", "T", "P", "E", "Z", "Y"] {
        unit *= base;
        let prefix = if binary { format!("{}i", prefix.to_uppercase()) } else { prefix.to_owned() };
        shown = format!("{:.1} {prefix}B", base * size / unit);
        if size < unit {
            break;
        }
    }
    budget.text(shown)
}

fn truncate(budget: &Budget, _: &mut State<'_, '_>, value: &Value, rest: Arguments) -> Outcome {
    let [length, kill, end, leeway] =
        rest.bind("truncate", ["length", "killwords", "end", "leeway"])?;
    let length = whole(length.as_ref(), 255)?;
    let end = match &end {
        None => "...",
        Some(_) => words(&end, "truncate")?,
    };
    let leeway = whole(leeway.filter(|leeway| !leeway.is_none()).as_ref(), 5)?;
    let kept = length - i128::try_from(chars(end)).unwrap_or(i128::MAX);
    if kept < 0 || leeway < 0 {
        return Err(fail("`truncate` needs a length of at least its end, and no negative leeway"));
    }
    let Py::Str(text, safe) = Py::of(value) else {
        return match Py::of(value) {
            Py::Undefined => Ok(value.clone()),
            other => Err(refuse(format!("`truncate` of {}", other.type_name()))),
        };
    };
    if i128::try_from(chars(text)).unwrap_or(i128::MAX) <= length + leeway {
        return Ok(value.clone());
    }
    if safe {
        return Err(refuse("`truncate` of markup"));
    }
    let cut: String = text.chars().take(usize::try_from(kept).unwrap_or_default()).collect();
    let cut = if flag(kill.as_ref(), false) {
        cut.as_str()
    } else {
        cut.rsplit_once(' ').map_or(cut.as_str(), |(cut, _)| cut)
    };
    budget.text(format!("{cut}{end}"))
}

/// Jinja's own title case: a word begins after white space, a hyphen or an opening bracket.
fn title(text: &str) -> String {
    let mut out = String::new();
    let mut word = String::new();
    let finish = |out: &mut String, word: &mut String| {
        let mut characters = word.chars();
        if let Some(first) = characters.next() {
            out.extend(first.to_uppercase());
            out.push_str(&characters.as_str().to_lowercase());
        }
        word.clear();
    };
    let mut separators = false;
    for character in text.chars() {
        let separator = is_space(character) || "-({[<".contains(character);
        if separator != separators {
            finish(&mut out, &mut word);
            separators = separator;
        }
        word.push(character);
    }
    finish(&mut out, &mut word);
    out
}

fn striptags(budget: &Budget, _: &mut State<'_, '_>, value: &Value, rest: Arguments) -> Outcome {
    rest.none("striptags")?;
    let source = stringified(budget, value)?;
    let reference = |(at, _): (usize, &str)| {
        source[at + 1..].starts_with(|next: char| next == '#' || next.is_ascii_alphanumeric())
    };
    if source.match_indices('&').any(reference) {
        return Err(refuse("`striptags` of text with character references"));
    }
    let mut kept = source;
    for (open, close) in [("<!--", "-->"), ("<", ">")] {
        while let Some(start) = kept.find(open) {
            budget.charge(kept.len())?;
            let Some(end) = kept[start..].find(close) else { break };
            kept.replace_range(start..start + end + close.len(), "");
        }
    }
    let words: Vec<&str> = kept.split(is_space).filter(|word| !word.is_empty()).collect();
    budget.text(words.join(" "))
}

fn urlencode(budget: &Budget, _: &mut State<'_, '_>, value: &Value, rest: Arguments) -> Outcome {
    rest.none("urlencode")?;
    let query = |value: &Value| -> Outcome<String> {
        Ok(format::quote(&text(budget, value)?, b" ").replace(' ', "+"))
    };
    let pairs = match Py::of(value) {
        Py::Dict(dict) => {
            dict.entries.iter().map(|(key, value)| vec![key.clone(), value.clone()]).collect()
        }
        Py::Seq(_) | Py::Generator(_) => iterate(budget, value)?
            .iter()
            .map(|pair| iterate(budget, pair))
            .collect::<Outcome<Vec<_>>>()?,
        Py::Undefined | Py::Opaque => return Err(refuse("`urlencode` of such a value")),
        _ => {
            let quoted = format::quote(&text(budget, value)?, b"/");
            return budget.text(quoted);
        }
    };
    let mut parts = Vec::new();
    for pair in pairs {
        let [key, value] = &pair[..] else { return Err(fail("`urlencode` needs pairs")) };
        parts.push(format!("{}={}", query(key)?, query(value)?));
    }
    budget.text(parts.join("&"))
}

fn wordwrap(budget: &Budget, _: &mut State<'_, '_>, value: &Value, rest: Arguments) -> Outcome {
    let [width, break_long, wrap, hyphens] =
        rest.bind("wordwrap", ["width", "break_long_words", "wrapstring", "break_on_hyphens"])?;
    let width = usize::try_from(whole(width.as_ref(), 79)?).unwrap_or_default();
    if width == 0 {
        return Err(fail("`wordwrap` needs a width above zero"));
    }
    let wrap = wrap.filter(|wrap| !wrap.is_none());
    let wrap = match &wrap {
        None => "\n",
        Some(_) => words(&wrap, "wordwrap")?,
    };
    let Py::Str(text, safe) = Py::of(value) else {
        return Err(fail(format!("`wordwrap` does not take {}", Py::of(value).type_name())));
    };
    if safe || (text.contains('-') && flag(hyphens.as_ref(), true)) {
        return Err(refuse("`wordwrap` of markup or at hyphens (use break_on_hyphens=false)"));
    }
    let break_long = flag(break_long.as_ref(), true);
    let mut lines = Vec::new();
    for paragraph in split_lines(text, false) {
        lines.push(wrap_paragraph(budget, paragraph, width, break_long)?.join(wrap));
    }
    budget.text(lines.join(wrap))
}

/// Wraps one paragraph: lines hold as many words as fit, spaces at line ends are dropped.
fn wrap_paragraph(
    budget: &Budget,
    paragraph: &str,
    width: usize,
    break_long: bool,
) -> Outcome<Vec<String>> {
    let is_blank =
        |character: char| matches!(character, '\t' | '\n' | '\u{b}' | '\u{c}' | '\r' | ' ');
    let mut chunks: Vec<String> = Vec::new();
    for character in paragraph.chars() {
        match chunks.last_mut() {
            Some(chunk) if chunk.chars().next().is_some_and(is_blank) == is_blank(character) => {
                chunk.push(character);
            }
            _ => chunks.push(character.to_string()),
        }
    }
    let empty = |chunk: &String| chunk.chars().all(is_space);
    let mut chunks: std::collections::VecDeque<String> = chunks.into();
    let mut lines: Vec<String> = Vec::new();
    while !chunks.is_empty() {
        budget.charge(width.min(paragraph.len()) + 1)?;
        let mut line: Vec<String> = Vec::new();
        let mut used = 0;
        if !lines.is_empty() && chunks.front().is_some_and(empty) {
            chunks.pop_front();
        }
        while let Some(size) = chunks.front().map(|chunk| chars(chunk)) {
            if used + size > width {
                break;
            }
            used += size;
            line.extend(chunks.pop_front());
        }
        if let Some(chunk) = chunks.front().filter(|chunk| chars(chunk) > width) {
            if break_long {
                let left = width - used;
                let rest = chunk.chars().skip(left).collect();
                line.push(chunk.chars().take(left).collect());
                chunks[0] = rest;
            } else if line.is_empty() {
                line.extend(chunks.pop_front());
            }
        }
        if line.last().is_some_and(empty) {
            line.pop();
        }
        if !line.is_empty() {
            lines.push(line.concat());
        }
    }
    Ok(lines)
}

fn xmlattr(budget: &Budget, _: &mut State<'_, '_>, value: &Value, rest: Arguments) -> Outcome {
    let [space] = rest.bind("xmlattr", ["autospace"])?;
    let Py::Dict(dict) = Py::of(value) else {
        return Err(fail(format!("`xmlattr` does not take {}", Py::of(value).type_name())));
    };
    let mut parts = Vec::new();
    for (key, value) in &dict.entries {
        if value.is_none() || value.is_undefined() {
            continue;
        }
        let escaped = |value: &Value| -> Outcome<String> {
            let text = text(budget, value)?;
            Ok(if value.is_safe() { text.into_owned() } else { format::escape(&text) })
        };
        let Py::Str(name, _) = Py::of(key) else {
            return Err(fail("the name of an attribute must be text"));
        };
        if name.contains(|character| is_space(character) || "/>=".contains(character)) {
            return Err(fail(format!("`{name}` is no name of an attribute")));
        }
        parts.push(format!("{}=\"{}\"", escaped(key)?, escaped(value)?));
    }
    let mut joined = parts.join(" ");
    if flag(space.as_ref(), true) && !joined.is_empty() {
        joined.insert(0, ' ');
    }
    budget.text(joined)
}
