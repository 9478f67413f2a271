//! `LIKE` and regular expressions. Both take time in proportion to the text, whatever the pattern.

use std::sync::Arc;

use regex::{Regex, RegexBuilder};

use super::{Function, Given, Gives, Ran, Takes, fits};
use crate::stored::Stored;

use Takes::{Int, Text};

/// The most bytes of a pattern.
const LONGEST: usize = 8 * 1024;

/// The most bytes that a pattern takes when it is made ready.
const READY: usize = 2 * 1024 * 1024;

/// What clients and translations call.
pub(super) const FUNCTIONS: &[Function] = &[
    // The text, the pattern, whether case does not count, and what takes a sign for itself.
    function(&[], "m_like", &[Text, Text, Int, Text], 4, Gives::Bool, |it| {
        let pattern = ready(it, 1, || {
            let escape = it.text(3)?.chars().next();
            built(&as_regex(it.text(1)?, escape), if it.int(2)? == 1 { "i" } else { "" })
        })?;
        Ok(Stored::Int(pattern.is_match(it.text(0)?).into()))
    }),
    function(&[], "m_matches", &[Text, Text, Text], 3, Gives::Bool, |it| {
        let pattern = of_flags(it, 2)?;
        Ok(Stored::Int(pattern.is_match(it.text(0)?).into()))
    }),
    function(&["regexp_match"], "m_match", &[Text, Text, Text], 2, Gives::Texts, |it| {
        let pattern = of_flags(it, 2)?;
        let Some(found) = pattern.captures(it.text(0)?) else { return Ok(Stored::Null) };
        let skipped = usize::from(found.len() > 1);
        let groups = found.iter().skip(skipped).map(|group| group.map(|it| it.as_str()));
        Ok(Stored::Text(groups.collect::<serde_json::Value>().to_string()))
    }),
    function(
        &["regexp_replace"],
        "m_regexp_replace",
        &[Text, Text, Text, Text],
        3,
        Gives::Text,
        |it| {
            let flags = if it.count() > 3 { it.text(3)? } else { "" };
            let letters = flags.replace('g', "");
            let pattern = ready(it, 1, || built(it.text(1)?, &letters))?;
            let all = if flags.contains('g') { 0 } else { 1 };
            replaced(&pattern, it.text(0)?, it.text(2)?, all)
        },
    ),
    function(&["regexp_count"], "m_regexp_count", &[Text, Text], 2, Gives::Int, |it| {
        let pattern = of_flags(it, 9)?;
        let count = pattern.find_iter(it.text(0)?).count();
        Ok(Stored::Int(i64::try_from(count).unwrap_or(i64::MAX)))
    }),
];

const fn function(
    names: &'static [&'static str],
    sql: &'static str,
    takes: &'static [Takes],
    required: usize,
    gives: Gives,
    run: fn(&Given<'_, '_>) -> Ran,
) -> Function {
    Function { names, sql, takes, required, more: None, gives, strict: true, run }
}

/// A pattern that is made ready.
pub(in crate::sql) fn built(pattern: &str, flags: &str) -> Result<Regex, String> {
    if pattern.len() > LONGEST * 4 {
        return Err(format!("a pattern has at most {LONGEST} bytes"));
    }
    let mut builder = RegexBuilder::new(pattern);
    builder.size_limit(READY).dfa_size_limit(READY).nest_limit(100);
    for flag in flags.chars() {
        match flag {
            'i' => builder.case_insensitive(true),
            'm' => builder.multi_line(true),
            's' => builder.dot_matches_new_line(true),
            'x' => builder.ignore_whitespace(true),
            'U' => builder.swap_greed(true),
            other => {
                return Err(format!(
                    "there is no flag {other:?} of patterns; there are i, m, s, x and U"
                ));
            }
        };
    }
    builder.build().map_err(|error| {
        let text = error.to_string();
        let last = text.lines().last().unwrap_or_default().trim();
        format!("a pattern cannot be read: {}", last.trim_start_matches("error: "))
    })
}

/// The pattern of an argument; it is made ready once for all rows if it is the same for all.
fn ready(
    given: &Given<'_, '_>,
    index: i32,
    build: impl FnOnce() -> Result<Regex, String>,
) -> Result<Arc<Regex>, String> {
    given.0.get_or_create_aux(index, |_| build()).map_err(|error| match error {
        rusqlite::Error::UserFunctionError(inner) => inner.to_string(),
        other => other.to_string(),
    })
}

fn of_flags(given: &Given<'_, '_>, index: usize) -> Result<Arc<Regex>, String> {
    ready(given, 1, || {
        let flags = if given.count() > index { given.text(index)? } else { "" };
        built(given.text(1)?, flags)
    })
}

/// A pattern of `LIKE` as a regular expression.
fn as_regex(pattern: &str, escape: Option<char>) -> String {
    let mut out = String::with_capacity(pattern.len() + 16);
    out.push_str(r"(?s)\A");
    let mut rest = pattern.chars();
    while let Some(one) = rest.next() {
        match one {
            _ if Some(one) == escape => {
                let next = rest.next().unwrap_or(one);
                out.push_str(&regex::escape(next.encode_utf8(&mut [0; 4])));
            }
            '%' => out.push_str(".*"),
            '_' => out.push('.'),
            _ => out.push_str(&regex::escape(one.encode_utf8(&mut [0; 4]))),
        }
    }
    out.push_str(r"\z");
    out
}

/// A text in which what matches is replaced; `\1` and `$1` stand for groups.
fn replaced(pattern: &Regex, whole: &str, with: &str, limit: usize) -> Ran {
    let mut named = String::with_capacity(with.len());
    let mut rest = with.chars().peekable();
    while let Some(one) = rest.next() {
        match rest.peek() {
            Some(digit) if one == '\\' && digit.is_ascii_digit() => {
                named.push_str("${");
                named.push(*digit);
                named.push('}');
                rest.next();
            }
            _ => named.push(one),
        }
    }
    let mut out = String::new();
    let mut last = 0;
    for (index, found) in pattern.captures_iter(whole).enumerate() {
        if limit > 0 && index == limit {
            break;
        }
        let Some(all) = found.get(0) else { continue };
        out.push_str(&whole[last..all.start()]);
        found.expand(&named, &mut out);
        fits(out.len())?;
        last = all.end();
    }
    out.push_str(&whole[last..]);
    Ok(Stored::Text(out))
}
