//! Methods of text.

use std::collections::HashSet;

use crate::arguments::{Arguments, flag, given, whole, words};
use crate::budget::Budget;
use crate::characters::{
    capitalize, digit, has_case, is_alphanumeric, is_space, lower, printable, title, upper,
};
use crate::error::{Failure, Outcome, fail, refuse};
use crate::format::split_lines;
use crate::value::{Kind, Value, chars, iterate, write_text};

/// `text.name(arguments)`
pub(super) fn call(budget: &Budget, text: &str, name: &str, rest: Arguments) -> Outcome {
    budget.charge(text.len())?;
    match name {
        "upper" | "lower" | "title" | "capitalize" | "casefold" | "swapcase" => {
            rest.none(name)?;
            budget.text(in_case(text, name)?)
        }
        "islower" | "isupper" | "isspace" | "isalnum" | "isalpha" | "isdigit" | "isdecimal"
        | "isnumeric" | "isascii" | "isprintable" | "isidentifier" => {
            rest.none(name)?;
            is_all(text, name).map(Value::Bool)
        }
        "strip" | "lstrip" | "rstrip" => {
            let set = given(optional(name, rest)?);
            let set = set.is_some().then(|| words(&set, name)).transpose()?;
            budget.text(strip(text, set, name != "rstrip", name != "lstrip"))
        }
        "split" | "rsplit" => {
            let [separator, limit] = rest.bind(name, ["sep", "maxsplit"])?;
            let separator = given(separator);
            let separator = separator.is_some().then(|| words(&separator, name)).transpose()?;
            let limit = whole(limit.as_ref(), -1)?;
            budget.list(values(split(text, separator, limit, name == "rsplit")?))
        }
        "splitlines" => {
            let [keep] = rest.bind(name, ["keepends"])?;
            budget.list(values(split_lines(text, flag(keep.as_ref(), false))))
        }
        "partition" | "rpartition" => {
            let separator = one(name, rest)?;
            budget.tuple(values(partition(text, words(&separator, name)?, name)?))
        }
        "replace" => {
            if rest.positional.len() < 2 {
                return Err(fail("`replace` needs the old and the new text"));
            }
            let [old, new, count] = rest.bind(name, ["old", "new", "count"])?;
            let count = whole(count.as_ref(), -1)?;
            budget.text(replace(budget, text, [words(&old, name)?, words(&new, name)?], count)?)
        }
        "removeprefix" | "removesuffix" => {
            let part = one(name, rest)?;
            let part = words(&part, name)?;
            let rest = match name {
                "removeprefix" => text.strip_prefix(part),
                _ => text.strip_suffix(part),
            };
            budget.text(rest.unwrap_or(text))
        }
        "startswith" | "endswith" => Ok(affix(text, one(name, rest)?, name)?.into()),
        "find" | "rfind" | "index" | "rindex" | "count" => find(budget, text, name, rest),
        "center" | "ljust" | "rjust" | "zfill" => budget.text(widened(budget, text, name, rest)?),
        "join" => join(budget, text, one(name, rest)?),
        "format" => budget.text(formatted(budget, text, &rest)?),
        _ => Err(refuse(format!("the method `{name}` of text"))),
    }
}

/// The only argument, without a name, of what may have none.
fn optional(name: &str, rest: Arguments) -> Outcome<Option<Value>> {
    let mut given = rest.only_positional(name)?;
    match given.len() {
        0 | 1 => Ok(given.pop()),
        _ => Err(refuse(format!("`{name}` with more than one argument"))),
    }
}

/// The only argument, without a name.
fn one(name: &str, rest: Arguments) -> Outcome<Option<Value>> {
    let value = optional(name, rest)?;
    value.map(Some).ok_or_else(|| fail(format!("`{name}` needs an argument")))
}

fn in_case(text: &str, name: &str) -> Outcome<String> {
    let swapped = |character: char| match character {
        'a'..='z' => character.to_ascii_uppercase(),
        _ => character.to_ascii_lowercase(),
    };
    Ok(match name {
        "upper" => upper(text)?,
        "lower" => lower(text)?,
        "title" => title(text)?,
        "capitalize" => capitalize(text)?,
        _ if !text.is_ascii() => {
            return Err(refuse(format!("`{name}` of text with characters outside ASCII")));
        }
        "casefold" => text.to_ascii_lowercase(),
        _ => text.chars().map(swapped).collect(),
    })
}

fn is_all(text: &str, name: &str) -> Outcome<bool> {
    Ok(match name {
        "islower" | "isupper" => has_case(text, name == "islower")?,
        "isspace" => every(text, |next| Ok(is_space(next)))?,
        "isalnum" => every(text, is_alphanumeric)?,
        "isalpha" => every(text, |next| Ok(is_alphanumeric(next)? && !next.is_numeric()))?,
        "isascii" => text.is_ascii(),
        "isprintable" => {
            let mut characters = text.chars();
            characters.try_fold(true, |all, next| Ok::<_, Failure>(all && printable(next)?))?
        }
        "isidentifier" if !text.is_ascii() => {
            return Err(refuse("`isidentifier` of text with characters outside ASCII"));
        }
        "isidentifier" => {
            let is_part = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
            text.bytes().next().is_some_and(|first| !first.is_ascii_digit())
                && text.bytes().all(is_part)
        }
        _ => every(text, digit)?,
    })
}

fn partition<'a>(text: &'a str, separator: &'a str, name: &str) -> Outcome<[&'a str; 3]> {
    if separator.is_empty() {
        return Err(fail("an empty separator"));
    }
    let from_right = name == "rpartition";
    let cut = if from_right { text.rfind(separator) } else { text.find(separator) };
    Ok(match cut {
        Some(at) => [&text[..at], separator, &text[at + separator.len()..]],
        None if from_right => ["", "", text],
        None => [text, "", ""],
    })
}

fn widened(budget: &Budget, text: &str, name: &str, rest: Arguments) -> Outcome<String> {
    let given = rest.only_positional(name)?;
    let (width, fill) = match &given[..] {
        [width] => (width, ' '),
        [width, Value::Str(fill, _)] if name != "zfill" && chars(fill) == 1 => {
            (width, fill.chars().next().unwrap_or(' '))
        }
        _ => return Err(fail(format!("`{name}` takes a width, and one character"))),
    };
    let width = whole(Some(width), 0)?;
    Ok(match name {
        "center" => center(budget, text, width, fill)?,
        "ljust" => pad(text, 0, missing(budget, text, width)?, fill),
        "rjust" => pad(text, missing(budget, text, width)?, 0, fill),
        _ => {
            let zeros = missing(budget, text, width)?;
            let (sign, digits) = text.split_at(usize::from(text.starts_with(['+', '-'])));
            format!("{sign}{}", pad(digits, zeros, 0, '0'))
        }
    })
}

fn join(budget: &Budget, text: &str, parts: Option<Value>) -> Outcome {
    let mut joined = String::new();
    for (index, part) in iterate(budget, &parts.unwrap_or_default())?.iter().enumerate() {
        match part {
            Value::Str(part, false) => {
                budget.charge(part.len() + text.len())?;
                joined.push_str(if index > 0 { text } else { "" });
                joined.push_str(part);
            }
            Value::Str(_, true) => return Err(refuse("`join` of markup")),
            _ => return Err(fail("`join` joins texts only (use the `join` filter)")),
        }
    }
    budget.text(joined)
}

/// `str.format`, of fields that are names or numbers alone.
fn formatted(budget: &Budget, text: &str, given: &Arguments) -> Outcome<String> {
    let mut out = String::new();
    let (mut next, mut is_counted) = (0, None);
    let mut rest = text;
    while let Some(at) = rest.find(['{', '}']) {
        let (before, brace) = rest.split_at(at);
        budget.charge(before.len() + 1)?;
        out.push_str(before);
        if let Some(after) = brace.strip_prefix("{{").or_else(|| brace.strip_prefix("}}")) {
            out.push_str(&brace[..1]);
            rest = after;
            continue;
        }
        let field = brace.strip_prefix('{').and_then(|field| field.split_once('}'));
        let Some((field, after)) = field else { return Err(fail("a single brace in a format")) };
        if let Some(sign) = field.chars().find(|sign| "!.[:{".contains(*sign)) {
            return Err(refuse(format!("`{sign}` in a field of `format`")));
        }
        let is_number = !field.is_empty() && field.bytes().all(|byte| byte.is_ascii_digit());
        let value = if field.is_empty() || is_number {
            if *is_counted.get_or_insert(is_number) != is_number {
                return Err(fail("a format must number either all of its fields or none"));
            }
            let index = if is_number { field.parse().unwrap_or(usize::MAX) } else { next };
            next += 1;
            given.positional.get(index)
        } else {
            given.named.iter().find(|(name, _)| &**name == field).map(|(_, value)| value)
        };
        let value = value.ok_or_else(|| fail("a field of a format has no value"))?;
        write_text(budget, &mut out, value)?;
        rest = after;
    }
    out.push_str(rest);
    Ok(out)
}

fn pad(text: &str, left: usize, right: usize, fill: char) -> String {
    let mut out: String = std::iter::repeat_n(fill, left).collect();
    out.push_str(text);
    out.extend(std::iter::repeat_n(fill, right));
    out
}

/// `str.center`
pub(crate) fn center(budget: &Budget, text: &str, width: i128, fill: char) -> Outcome<String> {
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
pub(crate) fn strip<'a>(text: &'a str, set: Option<&str>, start: bool, end: bool) -> &'a str {
    let set: Option<HashSet<char>> = set.map(|set| set.chars().collect());
    let strips = |character: char| match &set {
        Some(set) => set.contains(&character),
        None => is_space(character),
    };
    let text = if start { text.trim_start_matches(strips) } else { text };
    if end { text.trim_end_matches(strips) } else { text }
}

/// `str.replace`
pub(crate) fn replace(
    budget: &Budget,
    text: &str,
    [old, new]: [&str; 2],
    count: i128,
) -> Outcome<String> {
    let limit = usize::try_from(count).unwrap_or(usize::MAX);
    let found = if old.is_empty() { chars(text) + 1 } else { text.matches(old).count() }.min(limit);
    budget.charge(text.len().saturating_add(found.saturating_mul(new.len())))?;
    Ok(text.replacen(old, new, limit))
}

fn values<'a>(parts: impl IntoIterator<Item = &'a str>) -> Vec<Value> {
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

fn affix(text: &str, argument: Option<Value>, name: &str) -> Outcome<bool> {
    let matches = |affix: &str| match name {
        "startswith" => text.starts_with(affix),
        _ => text.ends_with(affix),
    };
    let wrong = || fail(format!("`{name}` takes text or a tuple of texts"));
    match argument.as_ref() {
        Some(Value::Str(affix, _)) => Ok(matches(affix)),
        Some(Value::Seq(sequence)) if sequence.kind == Kind::Tuple => {
            for item in &sequence.items {
                let Value::Str(affix, _) = item else { return Err(wrong()) };
                if matches(affix) {
                    return Ok(true);
                }
            }
            Ok(false)
        }
        _ => Err(wrong()),
    }
}

fn every(text: &str, test: impl Fn(char) -> Outcome<bool>) -> Outcome<bool> {
    for character in text.chars() {
        if !test(character)? {
            return Ok(false);
        }
    }
    Ok(!text.is_empty())
}

fn find(budget: &Budget, text: &str, name: &str, rest: Arguments) -> Outcome {
    let wanted = one(name, rest)?;
    let wanted = words(&wanted, name)?;
    if name == "count" {
        let count = if wanted.is_empty() { chars(text) + 1 } else { text.matches(wanted).count() };
        return Ok(count.into());
    }
    budget.charge(text.len() / 16)?;
    let found = if name.starts_with('r') { text.rfind(wanted) } else { text.find(wanted) };
    match found {
        Some(at) => Ok(chars(&text[..at]).into()),
        None if name.ends_with("index") => Err(fail("the text was not found")),
        None => Ok(Value::Int(-1)),
    }
}
