//! Functions of texts. Characters are counted, not bytes.

use super::{Function, Given, Gives, Ran, Takes, fits};
use crate::stored::Stored;

const fn strict(
    names: &'static [&'static str],
    sql: &'static str,
    takes: &'static [Takes],
    required: usize,
    gives: Gives,
    run: fn(&Given<'_, '_>) -> Ran,
) -> Function {
    Function { names, sql, takes, required, more: None, gives, strict: true, run }
}

use Takes::{Int, Text, Written};

/// What clients call.
pub(super) const FUNCTIONS: &[Function] = &[
    strict(&["lower", "lcase"], "m_lower", &[Text], 1, Gives::Text, |it| {
        text(it.text(0)?.to_lowercase())
    }),
    strict(&["upper", "ucase"], "m_upper", &[Text], 1, Gives::Text, |it| {
        text(it.text(0)?.to_uppercase())
    }),
    strict(
        &["length", "char_length", "character_length", "len"],
        "m_length",
        &[Text],
        1,
        Gives::Int,
        |it| number(it.text(0)?.chars().count()),
    ),
    strict(&["octet_length"], "m_octets", &[Text], 1, Gives::Int, |it| number(it.text(0)?.len())),
    strict(&["bit_length"], "m_bits", &[Text], 1, Gives::Int, |it| number(it.text(0)?.len() * 8)),
    strict(&["trim", "btrim"], "m_trim", &[Text, Text], 1, Gives::Text, |it| {
        let set = trimmed(it)?;
        text(it.text(0)?.trim_matches(|one| set.binary_search(&one).is_ok()))
    }),
    strict(&["ltrim"], "m_ltrim", &[Text, Text], 1, Gives::Text, |it| {
        let set = trimmed(it)?;
        text(it.text(0)?.trim_start_matches(|one| set.binary_search(&one).is_ok()))
    }),
    strict(&["rtrim"], "m_rtrim", &[Text, Text], 1, Gives::Text, |it| {
        let set = trimmed(it)?;
        text(it.text(0)?.trim_end_matches(|one| set.binary_search(&one).is_ok()))
    }),
    strict(&["substr", "substring"], "m_substr", &[Text, Int, Int], 2, Gives::Text, substr),
    strict(&["left"], "m_left", &[Text, Int], 2, Gives::Text, |it| {
        let (whole, count) = (it.text(0)?, it.int(1)?);
        let taken = ends(whole, count);
        text(whole.chars().take(taken).collect::<String>())
    }),
    strict(&["right"], "m_right", &[Text, Int], 2, Gives::Text, |it| {
        let (whole, count) = (it.text(0)?, it.int(1)?);
        let skipped = whole.chars().count() - ends(whole, count);
        text(whole.chars().skip(skipped).collect::<String>())
    }),
    strict(&["strpos", "instr", "position"], "m_position", &[Text, Text], 2, Gives::Int, |it| {
        let whole = it.text(0)?;
        let found = whole.find(it.text(1)?);
        number(found.map_or(0, |at| whole[..at].chars().count() + 1))
    }),
    strict(&["starts_with"], "m_starts", &[Text, Text], 2, Gives::Bool, |it| {
        truth(it.text(0)?.starts_with(it.text(1)?))
    }),
    strict(&["ends_with"], "m_ends", &[Text, Text], 2, Gives::Bool, |it| {
        truth(it.text(0)?.ends_with(it.text(1)?))
    }),
    strict(&["contains"], "m_contains", &[Text, Text], 2, Gives::Bool, |it| {
        truth(it.text(0)?.contains(it.text(1)?))
    }),
    strict(&["replace"], "m_replace", &[Text, Text, Text], 3, Gives::Text, replace),
    strict(&["reverse"], "m_reverse", &[Text], 1, Gives::Text, |it| {
        text(it.text(0)?.chars().rev().collect::<String>())
    }),
    strict(&["lpad"], "m_lpad", &[Text, Int, Text], 2, Gives::Text, |it| {
        let (whole, padding) = padded(it)?;
        text(padding + &whole)
    }),
    strict(&["rpad"], "m_rpad", &[Text, Int, Text], 2, Gives::Text, |it| {
        let (whole, padding) = padded(it)?;
        text(whole + &padding)
    }),
    strict(&["repeat"], "m_repeat", &[Text, Int], 2, Gives::Text, |it| {
        let (one, count) = (it.text(0)?, it.int(1)?);
        let count = usize::try_from(count.max(0)).unwrap_or(usize::MAX);
        fits(one.len().saturating_mul(count))?;
        text(if one.is_empty() { String::new() } else { one.repeat(count) })
    }),
    strict(&["split_part"], "m_split", &[Text, Text, Int], 3, Gives::Text, split),
    strict(&["initcap"], "m_initcap", &[Text], 1, Gives::Text, |it| text(initcap(it.text(0)?))),
    strict(&["ascii"], "m_ascii", &[Text], 1, Gives::Int, |it| {
        Ok(Stored::Int(it.text(0)?.chars().next().map_or(0, |one| u32::from(one).into())))
    }),
    strict(&["chr"], "m_chr", &[Int], 1, Gives::Text, |it| {
        let one = u32::try_from(it.int(0)?).ok().and_then(char::from_u32);
        text(one.ok_or("there is no character of this number")?)
    }),
    // `||`: null for null.
    strict(&[], "m_join", &[Written, Written], 2, Gives::Text, |it| {
        fits(it.text(0)?.len() + it.text(1)?.len())?;
        text([it.text(0)?, it.text(1)?].concat())
    }),
    Function {
        names: &["concat"],
        sql: "m_concat",
        takes: &[],
        required: 0,
        more: Some(Written),
        gives: Gives::Text,
        strict: false,
        run: |it| joined(it, "", 0),
    },
    Function {
        names: &["concat_ws"],
        sql: "m_concat_ws",
        takes: &[Text],
        required: 1,
        more: Some(Written),
        gives: Gives::Text,
        strict: false,
        run: |it| match it.is_null(0) {
            true => Ok(Stored::Null),
            false => joined(it, it.text(0)?, 1),
        },
    },
];

fn text(text: impl Into<String>) -> Ran {
    Ok(Stored::Text(text.into()))
}

fn truth(value: bool) -> Ran {
    Ok(Stored::Int(value.into()))
}

fn number(value: usize) -> Ran {
    Ok(Stored::Int(i64::try_from(value).unwrap_or(i64::MAX)))
}

/// The characters that are taken away, in their order.
fn trimmed(given: &Given<'_, '_>) -> Result<Vec<char>, String> {
    if given.count() < 2 {
        return Ok(vec![' ']);
    }
    let mut set: Vec<char> = given.text(1)?.chars().take(1000).collect();
    set.sort_unstable();
    set.dedup();
    Ok(set)
}

/// How many characters are taken: so many, or all but so many.
fn ends(text: &str, count: i64) -> usize {
    let all = text.chars().count();
    let few = usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX);
    if count < 0 { all.saturating_sub(few) } else { all.min(few) }
}

/// The first character is 1; what lies before it counts, and is not there.
fn substr(given: &Given<'_, '_>) -> Ran {
    let start = given.int(1)?;
    let skipped = usize::try_from(start.saturating_sub(1).max(0)).unwrap_or(usize::MAX);
    let rest = given.text(0)?.chars().skip(skipped);
    if given.count() < 3 {
        return text(rest.collect::<String>());
    }
    let length = given.int(2)?;
    if length < 0 {
        return Err("substr takes a length of 0 or more".to_owned());
    }
    let lost = start.min(1).saturating_sub(1);
    let taken = usize::try_from(length.saturating_add(lost).max(0)).unwrap_or(usize::MAX);
    text(rest.take(taken).collect::<String>())
}

fn replace(given: &Given<'_, '_>) -> Ran {
    let (whole, from, to) = (given.text(0)?, given.text(1)?, given.text(2)?);
    if from.is_empty() {
        return text(whole);
    }
    if to.len() > from.len() {
        let times = whole.matches(from).count();
        fits(whole.len().saturating_add(times.saturating_mul(to.len() - from.len())))?;
    }
    text(whole.replace(from, to))
}

/// A text that is at most so long, and what is missing.
fn padded(given: &Given<'_, '_>) -> Result<(String, String), String> {
    let length = usize::try_from(given.int(1)?.max(0)).unwrap_or(usize::MAX);
    fits(length)?;
    let whole: String = given.text(0)?.chars().take(length).collect();
    let missing = length - whole.chars().count();
    let with = if given.count() > 2 { given.text(2)? } else { " " };
    let padding: String = match with.is_empty() {
        true => String::new(),
        false => with.chars().cycle().take(missing).collect(),
    };
    Ok((whole, padding))
}

fn split(given: &Given<'_, '_>) -> Ran {
    let (whole, by, index) = (given.text(0)?, given.text(1)?, given.int(2)?);
    let nth = usize::try_from(index.unsigned_abs()).unwrap_or(usize::MAX);
    let Some(nth) = nth.checked_sub(1) else {
        return Err("split_part counts from 1, or from -1 at the end".to_owned());
    };
    let part = match by.is_empty() {
        true => Some(whole).filter(|_| nth == 0),
        false if index > 0 => whole.split(by).nth(nth),
        false => whole.rsplit(by).nth(nth),
    };
    text(part.unwrap_or_default())
}

fn initcap(whole: &str) -> String {
    let mut inside = false;
    let mut out = String::with_capacity(whole.len());
    for one in whole.chars() {
        if inside {
            out.extend(one.to_lowercase());
        } else {
            out.extend(one.to_uppercase());
        }
        inside = one.is_alphanumeric();
    }
    out
}

/// All from an argument on that are not null.
fn joined(given: &Given<'_, '_>, between: &str, first: usize) -> Ran {
    let mut out = String::new();
    let mut begun = false;
    for index in (first..given.count()).filter(|index| !given.is_null(*index)) {
        if begun {
            out.push_str(between);
        }
        begun = true;
        out.push_str(given.text(index)?);
        fits(out.len())?;
    }
    text(out)
}
