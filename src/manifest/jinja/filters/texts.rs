//! Filters of texts.

use std::collections::VecDeque;

use minijinja::{State, Value};

use crate::manifest::jinja::arguments::{Arguments, flag, stringified, whole, words};
use crate::manifest::jinja::format::{self, is_space, split_lines};
use crate::manifest::jinja::value::{Budget, Outcome, Py, chars, fail, iterate, refuse, text};

/// A filter on the text of a value: markup stays markup.
pub(super) fn map_text(
    budget: &Budget,
    value: &Value,
    change: impl FnOnce(&str) -> Outcome<String>,
) -> Outcome {
    let safe = matches!(Py::of(value), Py::Str(_, true));
    budget.text_like(change(&text(budget, value)?)?, safe)
}

pub(super) fn escape(
    budget: &Budget,
    _: &mut State<'_, '_>,
    value: &Value,
    rest: Arguments,
) -> Outcome {
    rest.none("escape")?;
    match Py::of(value) {
        Py::Str(_, true) => Ok(value.clone()),
        _ => budget.text_like(format::escape(&text(budget, value)?), true),
    }
}

pub(super) fn indent(
    budget: &Budget,
    _: &mut State<'_, '_>,
    value: &Value,
    rest: Arguments,
) -> Outcome {
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

pub(super) fn truncate(
    budget: &Budget,
    _: &mut State<'_, '_>,
    value: &Value,
    rest: Arguments,
) -> Outcome {
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
pub(super) fn title(text: &str) -> String {
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

pub(super) fn striptags(
    budget: &Budget,
    _: &mut State<'_, '_>,
    value: &Value,
    rest: Arguments,
) -> Outcome {
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

pub(super) fn urlencode(
    budget: &Budget,
    _: &mut State<'_, '_>,
    value: &Value,
    rest: Arguments,
) -> Outcome {
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

pub(super) fn wordwrap(
    budget: &Budget,
    _: &mut State<'_, '_>,
    value: &Value,
    rest: Arguments,
) -> Outcome {
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

/// Wraps one paragraph: lines hold as many words as fit, spaces at line ends are dropped. No
/// more of it is looked at for a line than the line holds.
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

pub(super) fn xmlattr(
    budget: &Budget,
    _: &mut State<'_, '_>,
    value: &Value,
    rest: Arguments,
) -> Outcome {
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
