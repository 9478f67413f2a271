//! How values are written: in the style of what they replace where that can hold them, and
//! in quotes where any reader, of YAML 1.2 or 1.1, would take them for something else.

use serde_json::Value;

use super::layout::Style;

/// What surrounds a value and decides how it must be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Context {
    /// On lines of its own.
    Block,
    /// Between brackets or braces.
    Flow,
    /// In a text that is JSON and stays JSON.
    Json,
}

/// A scalar, or a collection in flow style, on one line.
#[must_use]
pub fn inline(value: &Value, context: Context, style: Style) -> String {
    match value {
        Value::String(text) => text_inline(text, context, style),
        Value::Array(items) => {
            let within = if context == Context::Block { Context::Flow } else { context };
            let items: Vec<String> =
                items.iter().map(|item| inline(item, within, Style::Plain)).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Object(fields) => {
            let within = if context == Context::Block { Context::Flow } else { context };
            let fields: Vec<String> = fields
                .iter()
                .map(|(name, value)| {
                    format!("{}: {}", key(name, within), inline(value, within, Style::Plain))
                })
                .collect();
            format!("{{{}}}", fields.join(", "))
        }
        other => other.to_string(),
    }
}

/// A key of a map.
#[must_use]
pub fn key(name: &str, context: Context) -> String {
    text_inline(name, context, Style::Plain)
}

fn text_inline(text: &str, context: Context, style: Style) -> String {
    let is_plain = context != Context::Json && is_plain(text, context);
    let fits_single = context != Context::Json && text.chars().all(is_printable);
    match style {
        Style::Single if fits_single => format!("'{}'", text.replace('\'', "''")),
        Style::Double => quoted(text),
        _ if is_plain => text.to_owned(),
        _ => quoted(text),
    }
}

/// Whether a character can stand in a text that has no escapes, on one line.
fn is_printable(c: char) -> bool {
    !c.is_control() && !matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}')
}

/// A text in double quotes, with the escapes that JSON has too.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out += "\\\"",
            '\\' => out += "\\\\",
            '\n' => out += "\\n",
            '\r' => out += "\\r",
            '\t' => out += "\\t",
            c if is_printable(c) => out.push(c),
            c => {
                let mut units = [0; 2];
                for unit in c.encode_utf16(&mut units) {
                    out += &format!("\\u{unit:04x}");
                }
            }
        }
    }
    out + "\""
}

/// Whether a text without quotes is read as this very text by every reader.
fn is_plain(text: &str, context: Context) -> bool {
    let Some(first) = text.chars().next() else { return false };
    let is_safe = text.chars().all(is_printable)
        && text.trim() == text
        && !"-?:,[]{}#&*!|>'\"%@`=".contains(first)
        && !text.contains(": ")
        && !text.contains(" #")
        && !text.ends_with(':')
        && !text.contains('\t')
        && !text.starts_with("...")
        && (context == Context::Block || !text.contains([',', '[', ']', '{', '}', ':', '#']));
    is_safe && !is_another_type(text)
}

/// Whether some reader takes a text without quotes for a number, a date or a word with a
/// meaning. A text that only might be one is taken for one.
fn is_another_type(text: &str) -> bool {
    const WORDS: [&str; 12] =
        ["null", "~", "true", "false", "yes", "no", "on", "off", "y", "n", "<<", ".nan"];
    let lower = text.to_ascii_lowercase();
    if WORDS.contains(&lower.as_str()) {
        return true;
    }
    let unsigned = lower.trim_start_matches(['+', '-']);
    let number = unsigned.starts_with(|c: char| c.is_ascii_digit() || c == '.');
    number
        && (unsigned == ".inf" || lower.chars().all(|c| "0123456789abcdefxotz_.:+- ".contains(c)))
}

/// A text below `|` or `>`: the header and the lines, without indentation. `None` when it
/// cannot stand there without tricks.
#[must_use]
pub fn block(text: &str, style: Style) -> Option<(String, Vec<String>)> {
    let body = text.strip_suffix('\n').unwrap_or(text);
    let chomp = if body.len() == text.len() { "-" } else { "" };
    let is_fit = !body.is_empty()
        && !body.starts_with([' ', '\t', '\n'])
        && !body.ends_with('\n')
        && body.lines().last().is_some_and(|line| !line.trim().is_empty())
        && body.chars().all(|c| c == '\n' || c == '\t' || is_printable(c));
    if !is_fit {
        return None;
    }
    let lines = body.split('\n');
    if style == Style::Folded && !body.split('\n').any(|line| line.starts_with([' ', '\t'])) {
        // A line break of the text is an empty line here.
        let mut folded = Vec::new();
        let mut after_text = false;
        for line in lines {
            if after_text && !line.is_empty() {
                folded.push(String::new());
            }
            folded.push(line.to_owned());
            after_text = true;
        }
        return Some((format!(">{chomp}"), folded));
    }
    Some((format!("|{chomp}"), lines.map(str::to_owned).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_reader_could_take_for_something_else_is_quoted() {
        for text in [
            "",
            " a",
            "a ",
            "yes",
            "No",
            "ON",
            "null",
            "~",
            "1",
            "0x1f",
            "1_000",
            "1:20",
            "1e3",
            ".5",
            "-1",
            "2026-01-01",
            "a: b",
            "a #b",
            "#a",
            "- a",
            "*a",
            "&a",
            "!a",
            "a\nb",
            "%a",
            "@a",
            "`a",
            "<<",
            "=",
            ".inf",
            "true",
            "a:",
            "\u{85}",
            "\u{feff}",
            "...",
        ] {
            assert!(
                inline(&text.into(), Context::Block, Style::Plain).starts_with('"'),
                "{text:?}"
            );
        }
        for text in ["a", "a:b", "http://x/y", "a, b", "0 9 * * *", "v1", "ü", "image:1.2", "a'b"]
        {
            assert_eq!(inline(&text.into(), Context::Block, Style::Plain), text);
        }
        assert_eq!(inline(&"a, b".into(), Context::Flow, Style::Plain), "\"a, b\"");
    }
}
