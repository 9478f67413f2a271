//! The stock filters of Jinja2 by their names. What works on sequences, numbers or texts and
//! takes more than a few lines lives in a file of its own.

use std::cmp::Ordering;
use std::collections::HashMap;

use minijinja::{State, Value};

use super::arguments::{Arguments, flag, stringified, whole, words};
use super::bucket::Bucket;
use super::format::{self, is_alphanumeric};
use super::json;
use super::methods;
use super::operators::add;
use super::value::{
    Budget, Kind, Outcome, Py, Sequence, chars, equal, fail, int, is_hashable, iterate, refuse,
    text, undefined, write_repr,
};

mod numbers;
mod sequences;
mod texts;

use numbers::{filesizeformat, round, to_float, to_int};
use sequences::{
    attribute_parts, batch, dictsort, extreme, fold, groupby, map, multiple_parts, select, slice,
    sorted, walk,
};
use texts::{escape, indent, map_text, striptags, title, truncate, urlencode, wordwrap, xmlattr};

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
        let (mut seen, mut kept) = (HashMap::<Bucket, Vec<Value>>::new(), Vec::new());
        'elements: for element in iterate(budget, value)? {
            let key = walk(budget, &element, &parts, None)?;
            let key = fold(budget, key, flag(case.as_ref(), false))?;
            if !key.is_undefined() && !is_hashable(budget, &key)? {
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
