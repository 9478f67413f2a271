//! Methods of Python's text, lists and dicts.

use crate::arguments::Arguments;
use crate::budget::Budget;
use crate::error::{Outcome, fail, refuse, undefined};
use crate::value::{Dict, Kind, Sequence, Value, equal};

mod texts;

pub(crate) use texts::{center, replace, strip};

const OF_TEXT: &str = "capitalize casefold center count encode endswith expandtabs find format \
    format_map index isalnum isalpha isascii isdecimal isdigit isidentifier islower isnumeric \
    isprintable isspace istitle isupper join ljust lower lstrip maketrans partition removeprefix \
    removesuffix replace rfind rindex rjust rpartition rsplit rstrip split splitlines startswith \
    strip swapcase title translate upper zfill";
const OF_MARKUP: &str = "escape striptags unescape";
const OF_LIST: &str = "append clear copy count extend index insert pop remove reverse sort";
const OF_DICT: &str = "clear copy fromkeys get items keys pop popitem setdefault update values";
const OF_INTEGER: &str = "as_integer_ratio bit_count bit_length conjugate denominator from_bytes \
    imag is_integer numerator real to_bytes";
const OF_FLOAT: &str = "as_integer_ratio conjugate fromhex from_number hex imag is_integer real";

/// Whether a value of Python's would have an attribute of this name.
pub(crate) fn is_attribute(value: &Value, name: &str) -> bool {
    let is_one_of = |names: &str| names.split(' ').any(|known| known == name);
    match value {
        _ if name.starts_with("__") => true,
        Value::Undefined | Value::Object(_) | Value::Generator(_) => true,
        Value::None => false,
        Value::Bool(_) | Value::Int(_) => is_one_of(OF_INTEGER),
        Value::Float(_) => is_one_of(OF_FLOAT),
        Value::Str(_, is_markup) => is_one_of(OF_TEXT) || (*is_markup && is_one_of(OF_MARKUP)),
        Value::Dict(_) => is_one_of(OF_DICT),
        Value::Seq(sequence) => match sequence.kind {
            Kind::List => is_one_of(OF_LIST),
            Kind::Tuple => is_one_of("count index"),
            Kind::Group => is_one_of("count index") || name.starts_with('_'),
            Kind::Range(_) => is_one_of("count index start step stop"),
            Kind::View(_) => is_one_of("isdisjoint mapping"),
        },
    }
}

/// `value.name(arguments)`
pub(crate) fn call(budget: &Budget, value: &Value, name: &str, arguments: Arguments) -> Outcome {
    match value {
        Value::Undefined => Err(undefined(format!("the method `{name}`"))),
        Value::Str(text, false) => texts::call(budget, text, name, arguments),
        Value::Str(_, true) => Err(refuse(format!("the method `{name}` of markup"))),
        Value::Dict(dict) => of_dict(budget, dict, name, arguments),
        Value::Seq(sequence) if !matches!(sequence.kind, Kind::View(_)) => {
            of_sequence(budget, sequence, name, arguments)
        }
        other if is_attribute(other, name) => {
            Err(refuse(format!("the method `{name}` of {}", other.type_name())))
        }
        other => Err(fail(format!("{} has no method `{name}`", other.type_name()))),
    }
}

fn of_dict(budget: &Budget, dict: &Dict, name: &str, arguments: Arguments) -> Outcome {
    let entries = dict.entries.iter();
    match name {
        "get" => {
            let (key, default) = match &arguments.only_positional(name)?[..] {
                [key] => (key.clone(), Value::None),
                [key, default] => (key.clone(), default.clone()),
                _ => return Err(fail("`get` takes a key and a default")),
            };
            key.check_key(budget)?;
            let found = dict.position(budget, &key)?;
            Ok(found.map_or(default, |index| dict.entries[index].1.clone()))
        }
        "keys" => {
            arguments.none(name)?;
            budget.sequence(Kind::View("dict_keys"), entries.map(|(key, _)| key.clone()).collect())
        }
        "values" => {
            arguments.none(name)?;
            let values = entries.map(|(_, value)| value.clone());
            budget.sequence(Kind::View("dict_values"), values.collect())
        }
        "items" => {
            arguments.none(name)?;
            let pairs = entries.map(|(key, value)| budget.tuple(vec![key.clone(), value.clone()]));
            budget.sequence(Kind::View("dict_items"), pairs.collect::<Outcome<_>>()?)
        }
        _ => Err(refuse(format!("the method `{name}` of a dict"))),
    }
}

fn of_sequence(budget: &Budget, sequence: &Sequence, name: &str, arguments: Arguments) -> Outcome {
    if !matches!(name, "count" | "index") {
        return Err(refuse(format!("the method `{name}` of a list, a tuple or a range")));
    }
    let given = arguments.only_positional(name)?;
    let [wanted] = &given[..] else {
        return Err(refuse(format!("`{name}` with more or fewer than one argument")));
    };
    let mut count = 0_usize;
    for (index, item) in sequence.items.iter().enumerate() {
        if equal(budget, item, wanted)? {
            if name == "index" {
                return Ok(index.into());
            }
            count += 1;
        }
    }
    if name == "index" { Err(fail("the value was not found")) } else { Ok(count.into()) }
}
