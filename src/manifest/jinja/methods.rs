//! Methods of Python's text, lists and dicts.

use std::collections::HashSet;

use minijinja::formatting::{FormatStyle, format as engine_format};
use minijinja::{State, Value};

use super::arguments::{Arguments, flag, stringified, whole, words};
use super::format::{capitalize, is_alphanumeric, is_space, split_lines, title_case};
use super::value::{
    Budget, Kind, Outcome, Py, Sequence, chars, equal, fail, iterate, printable, refuse, undefined,
};

const OF_TEXT: &[&str] = &[
    "capitalize",
    "casefold",
    "center",
    "count",
    "encode",
    "endswith",
    "expandtabs",
    "find",
    "format",
    "format_map",
    "index",
    "isalnum",
    "isalpha",
    "isascii",
    "isdecimal",
    "isdigit",
    "isidentifier",
    "islower",
    "isnumeric",
    "isprintable",
    "isspace",
    "istitle",
    "isupper",
    "join",
    "ljust",
    "lower",
    "lstrip",
    "maketrans",
    "partition",
    "removeprefix",
    "removesuffix",
    "replace",
    "rfind",
    "rindex",
    "rjust",
    "rpartition",
    "rsplit",
    "rstrip",
    "split",
    "splitlines",
    "startswith",
    "strip",
    "swapcase",
    "title",
    "translate",
    "upper",
    "zfill",
];
const OF_LIST: &[&str] = &[
    "append", "clear", "copy", "count", "extend", "index", "insert", "pop", "remove", "reverse",
    "sort",
];
const OF_DICT: &[&str] = &[
    "clear",
    "copy",
    "fromkeys",
    "get",
    "items",
    "keys",
    "pop",
    "popitem",
    "setdefault",
    "update",
    "values",
];
const OF_INTEGER: &[&str] = &[
    "as_integer_ratio",
    "bit_count",
    "bit_length",
    "conjugate",
    "denominator",
    "from_bytes",
    "imag",
    "is_integer",
    "numerator",
    "real",
    "to_bytes",
];
const OF_FLOAT: &[&str] = &[
    "as_integer_ratio",
    "conjugate",
    "fromhex",
    "from_number",
    "hex",
    "imag",
    "is_integer",
    "real",
];

/// Whether a value of Python's would have an attribute of this name.
pub(super) fn is_attribute(value: Py<'_>, name: &str) -> bool {
    if name.starts_with("__") {
        return true;
    }
    match value {
        Py::Undefined | Py::Opaque | Py::Generator(_) => true,
        Py::None => false,
        Py::Bool(_) | Py::Int(_) => OF_INTEGER.contains(&name),
        Py::Float(_) => OF_FLOAT.contains(&name),
        Py::Str(_, safe) => {
            OF_TEXT.contains(&name) || (safe && ["escape", "striptags", "unescape"].contains(&name))
        }
        Py::Dict(_) => OF_DICT.contains(&name),
        Py::Seq(sequence) => match sequence.kind {
            Kind::List => OF_LIST.contains(&name),
            Kind::Tuple => ["count", "index"].contains(&name),
            Kind::Group => ["count", "index"].contains(&name) || name.starts_with('_'),
            Kind::Range(_) => ["count", "index", "start", "step", "stop"].contains(&name),
            Kind::View(_) => ["isdisjoint", "mapping"].contains(&name),
        },
    }
}

/// `value.name(arguments)`
pub(super) fn call(
    budget: &Budget,
    state: &mut State<'_, '_>,
    value: &Value,
    name: &str,
    arguments: Arguments,
) -> Outcome {
    match Py::of(value) {
        Py::Undefined => Err(undefined(format!("the method `{name}`"))),
        Py::Str(text, false) => of_text(budget, text, name, arguments),
        Py::Str(_, true) => Err(refuse(format!("the method `{name}` of markup"))),
        Py::Dict(dict) => match name {
            "get" => {
                let [key, default] = arguments.bind(name, ["key", "default"])?;
                let key = key.ok_or_else(|| fail("`get` needs a key"))?;
                if !super::value::is_hashable(budget, &key)? {
                    return Err(fail("an unhashable key of a dict"));
                }
                Ok(match budget.position(&dict.entries, &key)? {
                    Some(index) => dict.entries[index].1.clone(),
                    None => default.unwrap_or(Value::from(())),
                })
            }
            "keys" | "values" | "items" => {
                arguments.none(name)?;
                let (kind, items) = match name {
                    "keys" => {
                        ("dict_keys", dict.entries.iter().map(|(key, _)| Ok(key.clone())).collect())
                    }
                    "values" => (
                        "dict_values",
                        dict.entries.iter().map(|(_, value)| Ok(value.clone())).collect(),
                    ),
                    _ => (
                        "dict_items",
                        dict.entries
                            .iter()
                            .map(|(key, value)| budget.tuple(vec![key.clone(), value.clone()]))
                            .collect::<Outcome<Vec<_>>>(),
                    ),
                };
                budget.sequence(Kind::View(kind), items?)
            }
            _ => Err(refuse(format!("the method `{name}` of a dict"))),
        },
        Py::Seq(Sequence {
            kind: Kind::List | Kind::Tuple | Kind::Group | Kind::Range(_),
            items,
            ..
        }) if name == "count" || name == "index" => {
            let [wanted] = arguments.bind(name, ["value"])?;
            let wanted = wanted.ok_or_else(|| fail(format!("`{name}` needs a value")))?;
            let mut count = 0;
            for (index, item) in items.iter().enumerate() {
                if equal(budget, item, &wanted)? {
                    if name == "index" {
                        return Ok(Value::from(index));
                    }
                    count += 1;
                }
            }
            if name == "index" {
                Err(fail("the value is not in the list"))
            } else {
                Ok(count.into())
            }
        }
        Py::Opaque => super::globals::call_method(state, value, name, arguments),
        other => Err(refuse(format!("the method `{name}` of {}", other.type_name()))),
    }
}

fn pad(text: &str, left: usize, right: usize, fill: char) -> String {
    let mut out: String = std::iter::repeat_n(fill, left).collect();
    out.push_str(text);
    out.extend(std::iter::repeat_n(fill, right));
    out
}

/// `str.center`
pub(super) fn center(budget: &Budget, text: &str, width: i128, fill: char) -> Outcome<String> {
    let missing = missing(budget, text, width)?;
    let width = missing + chars(text);
    let left = missing / 2 + (missing & width & 1);
    Ok(pad(text, left, missing - left, fill))
}

fn missing(budget: &Budget, text: &str, width: i128) -> Outcome<usize> {
    let width = usize::try_from(width.max(0)).unwrap_or(usize::MAX);
    let missing = width.saturating_sub(chars(text));
    budget.charge(missing.saturating_mul(4))?;
    Ok(missing)
}

/// `str.strip`, on the sides that are named.
pub(super) fn strip<'a>(text: &'a str, set: Option<&str>, start: bool, end: bool) -> &'a str {
    let set: Option<HashSet<char>> = set.map(|set| set.chars().collect());
    let strips = |character: char| match &set {
        Some(set) => set.contains(&character),
        None => is_space(character),
    };
    let text = if start { text.trim_start_matches(strips) } else { text };
    if end { text.trim_end_matches(strips) } else { text }
}

/// `str.replace`
pub(super) fn replace(
    budget: &Budget,
    text: &str,
    old: &str,
    new: &str,
    count: i128,
) -> Outcome<String> {
    let limit = usize::try_from(count).unwrap_or(usize::MAX);
    let found = if old.is_empty() { chars(text) + 1 } else { text.matches(old).count() }.min(limit);
    budget.charge(text.len().saturating_add(found.saturating_mul(new.len())))?;
    Ok(text.replacen(old, new, limit))
}

fn texts<'a>(parts: impl IntoIterator<Item = &'a str>) -> Vec<Value> {
    parts.into_iter().map(Value::from).collect()
}

fn split<'a>(
    text: &'a str,
    separator: Option<&str>,
    limit: i128,
    right: bool,
) -> Outcome<Vec<&'a str>> {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX - 1);
    let Some(separator) = separator else {
        return Ok(split_at_spaces(text, limit, right));
    };
    if separator.is_empty() {
        return Err(fail("an empty separator"));
    }
    Ok(if right {
        let mut parts: Vec<_> = text.rsplitn(limit.saturating_add(1), separator).collect();
        parts.reverse();
        parts
    } else {
        text.splitn(limit.saturating_add(1), separator).collect()
    })
}

fn split_at_spaces(text: &str, limit: usize, right: bool) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut rest = strip(text, None, !right, right);
    while !rest.is_empty() {
        let cut = if right { rest.rfind(is_space) } else { rest.find(is_space) };
        match cut {
            Some(at) if parts.len() < limit => {
                let after = at + rest[at..].chars().next().map_or(1, char::len_utf8);
                if right {
                    parts.push(&rest[after..]);
                    rest = strip(&rest[..at], None, false, true);
                } else {
                    parts.push(&rest[..at]);
                    rest = strip(&rest[after..], None, true, false);
                }
            }
            _ => {
                // What is left keeps the spaces on its far side.
                parts.push(if right {
                    strip(rest, None, parts.len() < limit, false)
                } else {
                    strip(rest, None, false, parts.len() < limit)
                });
                break;
            }
        }
    }
    if right {
        parts.reverse();
    }
    parts
}

fn affix(budget: &Budget, text: &str, argument: Option<Value>, name: &str) -> Outcome<bool> {
    let matches = |affix: &str| {
        if name == "startswith" { text.starts_with(affix) } else { text.ends_with(affix) }
    };
    let argument = argument.ok_or_else(|| fail(format!("`{name}` needs an argument")))?;
    budget.charge(1)?;
    match Py::of(&argument) {
        Py::Str(affix, _) => Ok(matches(affix)),
        Py::Seq(Sequence { kind: Kind::Tuple, items, .. }) => {
            for item in items {
                match Py::of(item) {
                    Py::Str(affix, _) if matches(affix) => return Ok(true),
                    Py::Str(..) => {}
                    _ => return Err(fail(format!("`{name}` takes text or a tuple of texts"))),
                }
            }
            Ok(false)
        }
        _ => Err(fail(format!("`{name}` takes text or a tuple of texts"))),
    }
}

/// `str.title`
fn title(text: &str) -> Outcome<String> {
    let mut out = String::with_capacity(text.len());
    let mut inside = false;
    for character in text.chars() {
        let cased = character.is_lowercase() || character.is_uppercase();
        match (cased, inside) {
            (true, false) => out.push_str(&title_case(character)?),
            (true, true) if character == 'Σ' => return Err(refuse("the title case of a sigma")),
            (true, true) => out.extend(character.to_lowercase()),
            (false, _) => out.push(character),
        }
        inside = cased;
    }
    Ok(out)
}

/// `str.islower` or `str.isupper`
pub(super) fn has_case(text: &str, lower: bool) -> bool {
    let of = |character: char| {
        if lower { character.is_lowercase() } else { character.is_uppercase() }
    };
    let against = |character: char| {
        if lower { character.is_uppercase() } else { character.is_lowercase() }
    };
    text.chars().any(of) && !text.chars().any(against)
}

fn every(text: &str, test: impl Fn(char) -> Outcome<bool>) -> Outcome {
    for character in text.chars() {
        if !test(character)? {
            return Ok(false.into());
        }
    }
    Ok((!text.is_empty()).into())
}

fn digit(character: char) -> Outcome<bool> {
    match character {
        _ if character.is_ascii() => Ok(character.is_ascii_digit()),
        _ if character.is_numeric() => Err(refuse("telling which kind of number a character is")),
        _ if character.is_alphabetic() && u32::from(character) > 0x52f => {
            Err(refuse("telling whether such a character is a number"))
        }
        _ => Ok(false),
    }
}

fn ascii_only(text: &str, name: &str) -> Outcome<()> {
    if text.is_ascii() {
        return Ok(());
    }
    Err(refuse(format!("`{name}` of text beyond ASCII")))
}

fn find(budget: &Budget, text: &str, name: &str, arguments: Arguments) -> Outcome {
    let [wanted] = arguments.bind(name, ["sub"])?;
    let wanted = words(&wanted, name)?;
    budget.charge(text.len() / 16)?;
    if name == "count" {
        let count = if wanted.is_empty() { chars(text) + 1 } else { text.matches(wanted).count() };
        return Ok(count.into());
    }
    let found = if name.starts_with('r') { text.rfind(wanted) } else { text.find(wanted) };
    match found {
        Some(at) => Ok(chars(&text[..at]).into()),
        None if name.ends_with("index") => Err(fail("the text was not found")),
        None => Ok((-1).into()),
    }
}

#[allow(clippy::too_many_lines)]
fn of_text(budget: &Budget, text: &str, name: &str, arguments: Arguments) -> Outcome {
    budget.charge(text.len())?;
    match name {
        "upper" | "lower" | "title" | "capitalize" => {
            arguments.none(name)?;
            budget.text(match name {
                "upper" => text.to_uppercase(),
                "lower" => text.to_lowercase(),
                "title" => title(text)?,
                _ => capitalize(text)?,
            })
        }
        "casefold" | "swapcase" => {
            arguments.none(name)?;
            ascii_only(text, name)?;
            budget.text(if name == "casefold" {
                text.to_ascii_lowercase()
            } else {
                let swap = |character: char| match character {
                    'a'..='z' => character.to_ascii_uppercase(),
                    _ => character.to_ascii_lowercase(),
                };
                text.chars().map(swap).collect()
            })
        }
        "islower" | "isupper" => {
            arguments.none(name)?;
            Ok(has_case(text, name == "islower").into())
        }
        "isspace" => arguments.none(name).and_then(|()| every(text, |next| Ok(is_space(next)))),
        "isalnum" => arguments.none(name).and_then(|()| every(text, is_alphanumeric)),
        "isalpha" => arguments
            .none(name)
            .and_then(|()| every(text, |next| Ok(is_alphanumeric(next)? && !next.is_numeric()))),
        "isdigit" | "isdecimal" | "isnumeric" => {
            arguments.none(name).and_then(|()| every(text, digit))
        }
        "isascii" => arguments.none(name).map(|()| text.is_ascii().into()),
        "isprintable" => arguments.none(name).map(|()| text.chars().all(printable).into()),
        "isidentifier" => {
            arguments.none(name)?;
            ascii_only(text, name)?;
            let mut bytes = text.bytes();
            let first = bytes.next().is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_');
            Ok((first && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')).into())
        }
        "strip" | "lstrip" | "rstrip" => {
            let [set] = arguments.bind(name, ["chars"])?;
            let set = set.filter(|set| !set.is_none());
            let set = match &set {
                None => None,
                Some(_) => Some(words(&set, name)?),
            };
            budget.text(strip(text, set, name != "rstrip", name != "lstrip").to_owned())
        }
        "split" | "rsplit" => {
            let [separator, limit] = arguments.bind(name, ["sep", "maxsplit"])?;
            let separator = separator.filter(|separator| !separator.is_none());
            let separator = match &separator {
                None => None,
                Some(_) => Some(words(&separator, name)?),
            };
            budget.list(texts(split(
                text,
                separator,
                whole(limit.as_ref(), -1)?,
                name == "rsplit",
            )?))
        }
        "splitlines" => {
            let [keep] = arguments.bind(name, ["keepends"])?;
            budget.list(texts(split_lines(text, flag(keep.as_ref(), false))))
        }
        "partition" | "rpartition" => {
            let [separator] = arguments.bind(name, ["sep"])?;
            let separator = words(&separator, name)?;
            if separator.is_empty() {
                return Err(fail("an empty separator"));
            }
            let right = name == "rpartition";
            let cut = if right { text.rfind(separator) } else { text.find(separator) };
            budget.tuple(texts(match cut {
                Some(at) => [&text[..at], separator, &text[at + separator.len()..]],
                None if right => ["", "", text],
                None => [text, "", ""],
            }))
        }
        "replace" => {
            let [old, new, count] = arguments.bind(name, ["old", "new", "count"])?;
            let count = whole(count.as_ref(), -1)?;
            budget.text(replace(budget, text, words(&old, name)?, words(&new, name)?, count)?)
        }
        "removeprefix" | "removesuffix" => {
            let [part] = arguments.bind(name, ["affix"])?;
            let part = words(&part, name)?;
            let rest = if name == "removeprefix" {
                text.strip_prefix(part)
            } else {
                text.strip_suffix(part)
            };
            budget.text(rest.unwrap_or(text).to_owned())
        }
        "startswith" | "endswith" => {
            let [part] = arguments.bind(name, ["affix"])?;
            Ok(affix(budget, text, part, name)?.into())
        }
        "find" | "rfind" | "index" | "rindex" | "count" => find(budget, text, name, arguments),
        "center" | "ljust" | "rjust" => {
            let [width, fill] = arguments.bind(name, ["width", "fillchar"])?;
            let fill = match &fill {
                None => ' ',
                Some(_) => match words(&fill, name)?.chars().collect::<Vec<_>>()[..] {
                    [fill] => fill,
                    _ => return Err(fail(format!("`{name}` fills with one character"))),
                },
            };
            let Some(width) = width else { return Err(fail(format!("`{name}` needs a width"))) };
            let width = whole(Some(&width), 0)?;
            budget.text(match name {
                "center" => center(budget, text, width, fill)?,
                "ljust" => pad(text, 0, missing(budget, text, width)?, fill),
                _ => pad(text, missing(budget, text, width)?, 0, fill),
            })
        }
        "zfill" => {
            let [width] = arguments.bind(name, ["width"])?;
            let Some(width) = width else { return Err(fail("`zfill` needs a width")) };
            let zeros = missing(budget, text, whole(Some(&width), 0)?)?;
            let (sign, digits) = match text.chars().next() {
                Some('+' | '-') => text.split_at(1),
                _ => ("", text),
            };
            budget.text(format!("{sign}{}", pad(digits, zeros, 0, '0')))
        }
        "join" => {
            let [parts] = arguments.bind(name, ["iterable"])?;
            let parts = parts.ok_or_else(|| fail("`join` needs an iterable"))?;
            let mut joined = String::new();
            for (index, part) in iterate(budget, &parts)?.iter().enumerate() {
                let Py::Str(part, false) = Py::of(part) else {
                    return Err(fail("`join` joins texts only (use the `join` filter)"));
                };
                budget.charge(part.len() + text.len())?;
                if index > 0 {
                    joined.push_str(text);
                }
                joined.push_str(part);
            }
            budget.text(joined)
        }
        "format" => format_text(budget, text, &arguments),
        _ => Err(refuse(format!("the method `{name}` of text"))),
    }
}

fn format_text(budget: &Budget, text: &str, arguments: &Arguments) -> Outcome {
    if !arguments.named.is_empty() {
        return Err(refuse("`format` with named arguments"));
    }
    let mut inside = false;
    for (index, character) in text.char_indices() {
        match character {
            '{' if text[index + 1..].starts_with('{') || text[..index].ends_with('{') => {}
            '{' => inside = true,
            '}' => inside = false,
            '!' | '.' | '[' | ':' if inside => {
                return Err(refuse(format!("`{character}` in a field of `format`")));
            }
            _ => {}
        }
    }
    let mut plain = Vec::new();
    for value in &arguments.positional {
        plain.push(Value::from(stringified(budget, value)?));
    }
    let formatted = engine_format(FormatStyle::StrFormat, text, &plain)?;
    budget.text(formatted)
}
