//! Filters of texts.

use std::collections::VecDeque;

use super::Filter;
use crate::arguments::{Arguments, flag, given, stringified, whole, words};
use crate::budget::Budget;
use crate::characters::{capitalize, is_alphanumeric, is_space, lower, upper};
use crate::error::{Outcome, fail, refuse};
use crate::format::{self, split_lines};
use crate::json;
use crate::methods;
use crate::value::{Value, chars, iterate, text, write_repr};

/// The filter of a name.
pub(super) fn find(name: &str) -> Option<Filter> {
    Some(match name {
        "capitalize" => |budget, value, rest| {
            rest.none("capitalize")?;
            map_text(budget, value, capitalize)
        },
        "center" => |budget, value, rest| {
            let [width] = rest.bind("center", ["width"])?;
            let width = whole(width.as_ref(), 80)?;
            map_text(budget, value, |text| methods::center(budget, text, width, ' '))
        },
        "e" | "escape" => escape,
        "forceescape" => |budget, value, rest| {
            rest.none("forceescape")?;
            budget.text_like(format::escape(&text(budget, value)?), true)
        },
        "format" => format_text,
        "indent" => indent,
        "lower" => |budget, value, rest| {
            rest.none("lower")?;
            map_text(budget, value, lower)
        },
        "pprint" => pprint,
        "replace" => replace,
        "safe" => |budget, value, rest| {
            rest.none("safe")?;
            budget.text_like(stringified(budget, value)?, true)
        },
        "string" => |budget, value, rest| {
            rest.none("string")?;
            map_text(budget, value, |text| Ok(text.to_owned()))
        },
        "striptags" => striptags,
        "title" => |budget, value, rest| {
            rest.none("title")?;
            map_text(budget, value, title)
        },
        "tojson" => |budget, value, rest| {
            let [indent] = rest.bind("tojson", ["indent"])?;
            let indent = given(indent);
            let indent = indent.map(|indent| whole(Some(&indent), 0)).transpose()?;
            budget.text_like(json::markup(budget, value, indent)?, true)
        },
        "trim" => trim,
        "truncate" => truncate,
        "upper" => |budget, value, rest| {
            rest.none("upper")?;
            map_text(budget, value, upper)
        },
        "urlencode" => urlencode,
        "wordcount" => wordcount,
        "wordwrap" => wordwrap,
        "xmlattr" => xmlattr,
        _ => return None,
    })
}

fn format_text(budget: &Budget, value: &Value, rest: Arguments) -> Outcome {
    if !rest.named.is_empty() {
        return Err(refuse("`format` with named arguments"));
    }
    if let Value::Str(_, true) = value {
        return Err(refuse("`format` of markup"));
    }
    let template = text(budget, value)?;
    budget.text(format::percent(budget, &template, &rest.positional)?)
}

fn pprint(budget: &Budget, value: &Value, rest: Arguments) -> Outcome {
    rest.none("pprint")?;
    let mut shown = String::new();
    write_repr(budget, &mut shown, value)?;
    let nested = matches!(value, Value::Dict(_) | Value::Seq(_));
    if chars(&shown) > 79 || (nested && shown.contains('{')) {
        return Err(refuse("`pprint` of a dict or of more than one line"));
    }
    budget.text(shown)
}

fn replace(budget: &Budget, value: &Value, rest: Arguments) -> Outcome {
    let [old, new, count] = rest.bind("replace", ["old", "new", "count"])?;
    let (Some(old), Some(new)) = (old, new) else {
        return Err(fail("`replace` needs the old and the new text"));
    };
    let count = whole(given(count).as_ref(), -1)?;
    let (old, new) = (text(budget, &old)?, text(budget, &new)?);
    let replaced = methods::replace(budget, &text(budget, value)?, [&old, &new], count)?;
    budget.text(replaced)
}

fn trim(budget: &Budget, value: &Value, rest: Arguments) -> Outcome {
    let [set] = rest.bind("trim", ["chars"])?;
    let set = given(set);
    let set = match &set {
        None => None,
        Some(_) => Some(words(&set, "trim")?),
    };
    map_text(budget, value, |text| Ok(methods::strip(text, set, true, true).to_owned()))
}

fn wordcount(budget: &Budget, value: &Value, rest: Arguments) -> Outcome {
    rest.none("wordcount")?;
    let (mut count, mut inside) = (0_usize, false);
    for character in text(budget, value)?.chars() {
        let word = character == '_' || is_alphanumeric(character)?;
        count += usize::from(word && !inside);
        inside = word;
    }
    Ok(count.into())
}

/// A filter on the text of a value: markup stays markup.
fn map_text(
    budget: &Budget,
    value: &Value,
    change: impl FnOnce(&str) -> Outcome<String>,
) -> Outcome {
    budget.text_like(change(&text(budget, value)?)?, value.is_markup())
}

fn escape(budget: &Budget, value: &Value, rest: Arguments) -> Outcome {
    rest.none("escape")?;
    match value {
        Value::Str(_, true) => Ok(value.clone()),
        _ => budget.text_like(format::escape(&text(budget, value)?), true),
    }
}

fn indent(budget: &Budget, value: &Value, rest: Arguments) -> Outcome {
    let [width, first, blank] = rest.bind("indent", ["width", "first", "blank"])?;
    let margin = match &width {
        None => "    ".to_owned(),
        Some(Value::Str(margin, _)) => margin.to_string(),
        Some(width) => {
            let width = usize::try_from(whole(Some(width), 4)?.max(0)).unwrap_or(usize::MAX);
            budget.charge(width)?;
            " ".repeat(width)
        }
    };
    let Value::Str(text, safe) = value else {
        return Err(fail(format!("`indent` does not take {}", value.type_name())));
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
    budget.text_like(out, *safe)
}

fn truncate(budget: &Budget, value: &Value, rest: Arguments) -> Outcome {
    let [length, kill, end, leeway] =
        rest.bind("truncate", ["length", "killwords", "end", "leeway"])?;
    let length = whole(length.as_ref(), 255)?;
    let end = match &end {
        None => "...",
        Some(_) => words(&end, "truncate")?,
    };
    let leeway = whole(leeway.filter(|leeway| !leeway.is_none()).as_ref(), 5)?;
    let kept = length.saturating_sub(i128::try_from(chars(end)).unwrap_or(i128::MAX));
    if kept < 0 || leeway < 0 {
        return Err(fail(
            "`truncate` needs a length of at least that of its end, and a leeway that is not negative",
        ));
    }
    let Value::Str(text, safe) = value else {
        return match value {
            Value::Undefined => Ok(value.clone()),
            other => Err(refuse(format!("`truncate` of {}", other.type_name()))),
        };
    };
    if i128::try_from(chars(text)).unwrap_or(i128::MAX) <= length.saturating_add(leeway) {
        return Ok(value.clone());
    }
    if *safe {
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
fn title(text: &str) -> Outcome<String> {
    let is_separator = |character: char| is_space(character) || "-({[<".contains(character);
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let is_between = is_separator(first);
        let end = rest.find(|next| is_separator(next) != is_between).unwrap_or(rest.len());
        let (initial, others) = rest[..end].split_at(first.len_utf8());
        out.push_str(&upper(initial)?);
        out.push_str(&lower(others)?);
        rest = &rest[end..];
    }
    Ok(out)
}

fn striptags(budget: &Budget, value: &Value, rest: Arguments) -> Outcome {
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

fn urlencode(budget: &Budget, value: &Value, rest: Arguments) -> Outcome {
    rest.none("urlencode")?;
    let query = |value: &Value| -> Outcome<String> {
        Ok(format::quote(&text(budget, value)?, b" ").replace(' ', "+"))
    };
    let pairs = match value {
        Value::Dict(dict) => {
            dict.entries.iter().map(|(key, value)| vec![key.clone(), value.clone()]).collect()
        }
        Value::Seq(_) | Value::Generator(_) => iterate(budget, value)?
            .iter()
            .map(|pair| iterate(budget, pair))
            .collect::<Outcome<Vec<_>>>()?,
        Value::Undefined | Value::Object(_) => return Err(refuse("`urlencode` of such a value")),
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

fn wordwrap(budget: &Budget, value: &Value, rest: Arguments) -> Outcome {
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
    let Value::Str(text, safe) = value else {
        return Err(fail(format!("`wordwrap` does not take {}", value.type_name())));
    };
    if *safe || (text.contains('-') && flag(hyphens.as_ref(), true)) {
        return Err(refuse("`wordwrap` of markup or at hyphens (use break_on_hyphens=false)"));
    }
    let break_long = flag(break_long.as_ref(), true);
    let mut lines = Vec::new();
    for paragraph in split_lines(text, false) {
        lines.push(wrap_paragraph(budget, paragraph, width, break_long)?.join(wrap));
    }
    budget.text(lines.join(wrap))
}

/// Wraps one paragraph: lines hold as many words as fit, spaces at line ends are dropped. For each
/// line, only as much of the text is read as the line holds.
fn wrap_paragraph(
    budget: &Budget,
    paragraph: &str,
    width: usize,
    break_long: bool,
) -> Outcome<Vec<String>> {
    let is_blank =
        |character: char| matches!(character, '\t' | '\n' | '\u{b}' | '\u{c}' | '\r' | ' ');
    let mut chunks: VecDeque<&str> = VecDeque::new();
    let mut rest = paragraph;
    while let Some(first) = rest.chars().next() {
        let is_first_blank = is_blank(first);
        let end = rest.find(|character| is_blank(character) != is_first_blank);
        let (chunk, after) = rest.split_at(end.unwrap_or(rest.len()));
        chunks.push_back(chunk);
        rest = after;
    }
    let empty = |chunk: &&str| chunk.chars().all(is_space);
    // How many characters a chunk has, as far as they fit.
    let size = |chunk: &str| chunk.chars().take(width + 1).count();
    let mut lines: Vec<String> = Vec::new();
    while !chunks.is_empty() {
        budget.charge(4 * (width.min(paragraph.len()) + 1))?;
        let mut line: Vec<&str> = Vec::new();
        let mut used = 0;
        if !lines.is_empty() && chunks.front().is_some_and(empty) {
            chunks.pop_front();
        }
        while let Some(size) = chunks.front().map(|chunk| size(chunk)) {
            if used + size > width {
                break;
            }
            used += size;
            line.extend(chunks.pop_front());
        }
        if let Some(chunk) = chunks.front_mut().filter(|chunk| size(chunk) > width) {
            if break_long {
                let left = chunk.char_indices().nth(width - used).map_or(chunk.len(), |(at, _)| at);
                let (fits, after) = chunk.split_at(left);
                line.push(fits);
                *chunk = after;
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

fn xmlattr(budget: &Budget, value: &Value, rest: Arguments) -> Outcome {
    let [space] = rest.bind("xmlattr", ["autospace"])?;
    let Value::Dict(dict) = value else {
        return Err(fail(format!("`xmlattr` does not take {}", value.type_name())));
    };
    let mut parts = Vec::new();
    for (key, value) in &dict.entries {
        if value.is_none() || value.is_undefined() {
            continue;
        }
        let escaped = |value: &Value| -> Outcome<String> {
            let text = text(budget, value)?;
            Ok(if value.is_markup() { text.into_owned() } else { format::escape(&text) })
        };
        let Value::Str(name, _) = key else {
            return Err(fail("the name of an attribute must be text"));
        };
        if name.contains(|character| is_space(character) || "/>=".contains(character)) {
            return Err(fail(format!("`{name}` is not a valid attribute name")));
        }
        parts.push(format!("{}=\"{}\"", escaped(key)?, escaped(value)?));
    }
    let mut joined = parts.join(" ");
    if flag(space.as_ref(), true) && !joined.is_empty() {
        joined.insert(0, ' ');
    }
    budget.text(joined)
}
