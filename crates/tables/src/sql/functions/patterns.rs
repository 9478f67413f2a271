//! `LIKE` and regular expressions.
//!
//! One search takes time in proportion to the text times the pattern at worst, and cannot be
//! interrupted. So a text may be the shorter the larger the pattern is. Many searches in a text look
//! at the time between them.

use std::collections::HashMap;
use std::str::FromStr as _;
use std::sync::Arc;

use regex::{Regex, RegexBuilder};

use super::watch::{self, Held};
use super::{Function, Given, Gives, Ran, Takes, fits};
use crate::stored::Stored;

use Takes::{Int, Text};

/// The most bytes of a pattern.
const LONGEST: usize = 8 * 1024;

/// The bytes that a pattern may take when it is made ready. It is made with the fewest that do.
const SIZES: [usize; 5] = [4 << 10, 16 << 10, 64 << 10, 256 << 10, 2 << 20];

/// The most bytes of a pattern times those of a text: a few seconds, if the worst comes of it.
const WORK: usize = 1 << 34;

/// So many groups of a pattern cost nothing where they are looked for.
const GROUPS: usize = 8;

/// A pattern that can be searched for.
pub(in crate::sql) struct Pattern {
    regex: Regex,
    size: usize,
}

impl Pattern {
    /// The pattern, if it can be looked for in such a text.
    fn of(&self, text: &str) -> Result<&Regex, String> {
        self.within(text, 1)
    }

    /// The pattern, if its groups can be looked for in such a text.
    fn with_groups_of(&self, text: &str) -> Result<&Regex, String> {
        self.within(text, self.regex.captures_len().div_ceil(GROUPS))
    }

    fn within(&self, text: &str, times: usize) -> Result<&Regex, String> {
        let most = WORK / (self.size * times);
        if text.len() > most {
            return Err(format!(
                "a text has {} bytes, and such a pattern is looked for in at most {most}; use a simpler pattern, or a part of the text",
                text.len()
            ));
        }
        Ok(&self.regex)
    }
}

/// A pattern that is kept from row to row.
struct Ready {
    pattern: Pattern,
    _held: Held,
}

/// What clients and translations call.
pub(super) const FUNCTIONS: &[Function] = &[
    // The text, the pattern, whether case does not count, and what takes a sign for itself.
    function(&[], "m_like", &[Text, Text, Int, Text], 4, Gives::Bool, |it| {
        let pattern = ready(it, 1, || {
            let escape = it.text(3)?.chars().next();
            built(&as_regex(it.text(1)?, escape), if it.int(2)? == 1 { "i" } else { "" })
        })?;
        let text = it.text(0)?;
        Ok(Stored::Int(pattern.pattern.of(text)?.is_match(text).into()))
    }),
    function(&[], "m_matches", &[Text, Text, Text], 3, Gives::Bool, |it| {
        let (pattern, text) = (of_flags(it, 2)?, it.text(0)?);
        Ok(Stored::Int(pattern.pattern.of(text)?.is_match(text).into()))
    }),
    function(&["regexp_match"], "m_match", &[Text, Text, Text], 2, Gives::Texts, |it| {
        let (pattern, text) = (of_flags(it, 2)?, it.text(0)?);
        let found = pattern.pattern.with_groups_of(text)?.captures(text);
        let Some(found) = found else { return Ok(Stored::Null) };
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
            let whole = it.text(0)?;
            replaced(pattern.pattern.with_groups_of(whole)?, whole, it.text(2)?, all)
        },
    ),
    function(&["regexp_count"], "m_regexp_count", &[Text, Text], 2, Gives::Int, |it| {
        let (pattern, text) = (of_flags(it, 9)?, it.text(0)?);
        let mut count = 0;
        for _ in pattern.pattern.of(text)?.find_iter(text) {
            // Each may have looked at all that is left of the text.
            watch::go_on()?;
            count += 1;
        }
        Ok(Stored::Int(count))
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
pub(in crate::sql) fn built(pattern: &str, flags: &str) -> Result<Pattern, String> {
    if pattern.len() > LONGEST * 4 {
        return Err(format!("a pattern has at most {LONGEST} bytes"));
    }
    let mut builder = RegexBuilder::new(pattern);
    builder.nest_limit(100);
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
    let mut larger = SIZES.into_iter();
    let mut size = larger.next().unwrap_or_default();
    loop {
        // Searches keep what they found out of the pattern; with little room for that they are slow.
        let kept = size.max(64 << 10);
        match (builder.size_limit(size).dfa_size_limit(kept).build(), larger.next()) {
            (Ok(regex), _) => return Ok(Pattern { regex, size }),
            (Err(regex::Error::CompiledTooBig(_)), Some(next)) => size = next,
            (Err(error), _) => {
                let text = error.to_string();
                let last = text.lines().last().unwrap_or_default().trim();
                let why = last.trim_start_matches("error: ");
                return Err(format!("a pattern cannot be read: {why}"));
            }
        }
    }
}

/// The pattern of an argument; it is made ready once for all rows if it is the same for all.
fn ready(
    given: &Given<'_, '_>,
    index: i32,
    build: impl FnOnce() -> Result<Pattern, String>,
) -> Result<Arc<Ready>, String> {
    let build = || {
        watch::go_on()?;
        let pattern = build()?;
        let mut held = given.1.hold();
        // As much again for what searches keep.
        held.grow(pattern.size * 2)?;
        Ok::<_, String>(Ready { pattern, _held: held })
    };
    given.0.get_or_create_aux(index, |_| build()).map_err(|error| match error {
        rusqlite::Error::UserFunctionError(inner) => inner.to_string(),
        other => other.to_string(),
    })
}

fn of_flags(given: &Given<'_, '_>, index: usize) -> Result<Arc<Ready>, String> {
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

/// A part of what stands for a match.
enum Put<'t> {
    Text(&'t str),
    /// What a group matched; the first is the whole match.
    Group(usize),
}

/// What stands for a match, with `\1`, `$1`, `${1}`, `$name` and `${name}` for groups, and `$$` for
/// a dollar. A group that there is not is empty.
fn put<'t>(pattern: &Regex, with: &'t str) -> Vec<Put<'t>> {
    let names = pattern.capture_names().enumerate();
    let names: HashMap<&str, usize> = names.filter_map(|(at, name)| Some((name?, at))).collect();
    let mut parts = Vec::new();
    let mut rest = with;
    while let Some(at) = rest.find(['$', '\\']) {
        let (before, from) = rest.split_at(at);
        let behind = &from[1..];
        let word = |text: &str| {
            text.bytes().take_while(|it| it.is_ascii_alphanumeric() || *it == b'_').count()
        };
        let name = match (from.starts_with('\\'), behind.bytes().next()) {
            (true, Some(digit)) if digit.is_ascii_digit() => Some((&behind[..1], 2)),
            (true, _) => None,
            (false, Some(b'$')) => {
                parts.extend([Put::Text(before), Put::Text("$")]);
                rest = &behind[1..];
                continue;
            }
            (false, Some(b'{')) => {
                // No name of a group is longer.
                let end = behind.bytes().take(LONGEST).position(|it| it == b'}');
                end.map(|end| (&behind[1..end], end + 2))
            }
            (false, _) => Some((&behind[..word(behind)], word(behind) + 1)),
        };
        match name.filter(|(name, _)| !name.is_empty()) {
            Some((name, length)) => {
                let index = usize::from_str(name).ok();
                let index = index.or_else(|| names.get(name).copied());
                parts.push(Put::Text(before));
                parts.extend(index.map(Put::Group));
                rest = &from[length..];
            }
            None => {
                parts.push(Put::Text(&rest[..=at]));
                rest = behind;
            }
        }
    }
    parts.push(Put::Text(rest));
    parts.retain(|part| !matches!(part, Put::Text("")));
    parts
}

/// A text in which what matches is replaced.
fn replaced(pattern: &Regex, whole: &str, with: &str, limit: usize) -> Ran {
    let parts = put(pattern, with);
    let mut out = String::new();
    let mut last = 0;
    for (index, found) in pattern.captures_iter(whole).enumerate() {
        watch::go_on()?;
        if limit > 0 && index == limit {
            break;
        }
        let Some(all) = found.get(0) else { continue };
        out.push_str(&whole[last..all.start()]);
        for part in &parts {
            out.push_str(match part {
                Put::Text(text) => text,
                Put::Group(index) => found.get(*index).map_or("", |it| it.as_str()),
            });
            fits(out.len())?;
        }
        last = all.end();
    }
    out.push_str(&whole[last..]);
    Ok(Stored::Text(out))
}
