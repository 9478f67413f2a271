//! *Pure*: how text from outside is shown, so that it reads as what it is. Names, values, file
//! names and answers of servers may hold characters that a terminal obeys, that are invisible, that
//! change the direction of writing, or that begin a command of a CI runner. They are escaped: a
//! line break as `\n`, a right-to-left mark as `\u{200f}`.
//!
//! One rule for every way out: [`line()`] for a text that stands in a line, [`json`] for a text of
//! JSON, [`yaml`] for a value as YAML, [`url()`] for a URL, [`without_users`] for a text with
//! URLs in it; the printer does the rest with [`lines`].

use std::borrow::Cow;
use std::fmt::Write;

use icu_normalizer::ComposingNormalizerBorrowed;

pub use self::url::{url, without_users};
pub use self::yaml::{with as yaml_with, yaml};

mod url;
mod yaml;

/// Knows which letters can be written in two ways.
const COMPOSER: ComposingNormalizerBorrowed<'static> = ComposingNormalizerBorrowed::new_nfc();

/// How many characters are looked back at to tell whether one more composes with them.
const LOOK_BACK: usize = 32;

/// Whether a character has no visible shape, looks like a space but is not one, or changes how
/// others are shown.
#[must_use]
pub fn is_hidden(c: char) -> bool {
    match c {
        ' '..='~' | '\u{3000}' => false,
        '\u{ad}'
        | '\u{34f}'
        | '\u{61c}'
        | '\u{115f}'
        | '\u{1160}'
        | '\u{17b4}'
        | '\u{17b5}'
        | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}'
        | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}'
        | '\u{2800}'
        | '\u{3164}'
        | '\u{fe00}'..='\u{fe0f}'
        | '\u{feff}'
        | '\u{ffa0}'
        | '\u{fff0}'..='\u{fffb}'
        | '\u{1bca0}'..='\u{1bca3}'
        | '\u{1d173}'..='\u{1d17a}'
        | '\u{e0000}'..='\u{e0fff}' => true,
        c => c.is_control() || c.is_whitespace(),
    }
}

/// Whether a text is shown as it is.
#[must_use]
pub fn is_visible(text: &str) -> bool {
    is_plain(text)
        || !text.chars().any(is_hidden)
            && !text.match_indices("##").any(|(at, _)| begins_runner_command(&text[at..]))
            && is_composed(text)
}

/// A text as it stands in a line.
#[must_use]
pub fn line(text: &str) -> Cow<'_, str> {
    if is_visible(text) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 8);
    spell(text, &mut out, escape);
    Cow::Owned(out)
}

/// Lines that hold the program's own styles, as they are printed. Text from outside has
/// been through [`line()`] before; what has not cannot do more here than begin a line.
#[must_use]
pub fn lines(text: &str) -> Cow<'_, str> {
    let is_fine = |line: &str| is_visible(line) && !begins_command(line);
    if text.split('\n').all(is_fine) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 64);
    for (index, text) in text.split('\n').enumerate() {
        if index > 0 {
            out.push('\n');
        }
        let start = out.len();
        for (style, text) in styled(text) {
            out.push_str(style);
            // Tables and lines of sources hold tabs of their own.
            for (index, text) in text.split('\t').enumerate() {
                if index > 0 {
                    out.push('\t');
                }
                if is_visible(text) { out.push_str(text) } else { spell(text, &mut out, escape) }
            }
        }
        if begins_command(&out[start..])
            && let Some(colon) = out[start..].find("::")
        {
            out.replace_range(start + colon..=start + colon, "\\u{3a}");
        }
    }
    Cow::Owned(out)
}

/// Text of JSON that means the same and holds nothing hidden: outside of its strings there
/// is nothing to spell out.
#[must_use]
pub fn json(text: &str) -> Cow<'_, str> {
    if text.split('\n').all(is_visible) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 64);
    for (index, line) in text.split('\n').enumerate() {
        if index > 0 {
            out.push('\n');
        }
        if is_visible(line) {
            out.push_str(line);
            continue;
        }
        spell(line, &mut out, |c, out| {
            for unit in c.encode_utf16(&mut [0; 2]) {
                let _ = write!(out, "\\u{unit:04x}");
            }
        });
    }
    Cow::Owned(out)
}

/// Whether nothing in a line needs a closer look: most lines are plain ASCII.
fn is_plain(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b' '..=b'~')) && !text.contains("##")
}

/// A character as it is escaped.
fn escape(c: char, out: &mut String) {
    let _ = match c {
        '\n' => out.write_str("\\n"),
        '\r' => out.write_str("\\r"),
        '\t' => out.write_str("\\t"),
        c => write!(out, "\\u{{{:x}}}", u32::from(c)),
    };
}

/// Adds a text in which `escape` spells out what is hidden, what composes with the letter
/// before it (where the same could be written as one letter), and what a CI runner obeys
/// wherever it stands: `##[…]`, `##vso[…]`.
fn spell(text: &str, out: &mut String, escape: impl Fn(char, &mut String)) {
    let is_composed = is_composed(text);
    let mut before = String::new();
    for (index, c) in text.char_indices() {
        if c == '#' && begins_runner_command(&text[index..]) || is_hidden(c) {
            escape(c, out);
            continue;
        }
        if !is_composed {
            if c.is_ascii() || before.chars().count() > LOOK_BACK {
                before.clear();
            }
            before.push(c);
            if !COMPOSER.is_normalized(&before) {
                before.pop();
                escape(c, out);
                continue;
            }
        }
        out.push(c);
    }
}

/// Whether no two letters of a text can be written as one.
fn is_composed(text: &str) -> bool {
    text.is_ascii() || COMPOSER.is_normalized(text)
}

fn begins_runner_command(text: &str) -> bool {
    text.strip_prefix("##").is_some_and(|rest| {
        rest.trim_start_matches(|c: char| c.is_ascii_alphanumeric()).starts_with('[')
    })
}

/// Whether a line is a command of a CI runner, which looks past spaces and styles.
fn begins_command(line: &str) -> bool {
    let first = styled(line).map(|(_, text)| text.trim_start()).find(|text| !text.is_empty());
    first.is_some_and(|text| text.starts_with("::"))
}

/// The parts of a line, each with the style before it.
fn styled(line: &str) -> impl Iterator<Item = (&str, &str)> {
    let mut rest = line;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let (style, text) = rest.split_at(style_length(rest));
        // What is no style is text, also where it begins like one.
        let next = |from: usize| {
            let at = text[from..].find('\u{1b}').map(|at| at + from)?;
            Some((at, style_length(&text[at..])))
        };
        let mut end = text.len();
        let mut from = 0;
        while let Some((at, length)) = next(from) {
            if length > 0 {
                end = at;
                break;
            }
            from = at + 1;
        }
        rest = &text[end..];
        Some((style, &text[..end]))
    })
}

/// The bytes of the style that a text begins with: `ESC [ … m`; none where it begins otherwise.
#[must_use]
pub fn style_length(text: &str) -> usize {
    let Some(inner) = text.strip_prefix("\u{1b}[") else { return 0 };
    let end = inner.find(|c: char| !c.is_ascii_digit() && c != ';');
    match end {
        Some(end) if inner[end..].starts_with('m') => 2 + end + 1,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_hidden_or_obeyed_is_spelled_out() {
        for (text, shown) in [
            ("plain text: ok", "plain text: ok"),
            ("naïve 日本語 — “quoted”", "naïve 日本語 — “quoted”"),
            ("a\nb\r\tc", "a\\nb\\r\\tc"),
            ("\u{1b}[31mred\u{9b}0m\u{7f}", "\\u{1b}[31mred\\u{9b}0m\\u{7f}"),
            ("a\u{202e}b\u{200b}c\u{feff}", "a\\u{202e}b\\u{200b}c\\u{feff}"),
            ("a\u{a0}b\u{2028}c", "a\\u{a0}b\\u{2028}c"),
            (
                "##[add-mask]x ##vso[task] ###[x] ## a",
                "\\u{23}#[add-mask]x \\u{23}#vso[task] #\\u{23}#[x] ## a",
            ),
            ("tag\u{e0041}", "tag\\u{e0041}"),
        ] {
            assert_eq!(line(text), shown);
            assert_eq!(is_visible(text), text == shown, "{text:?}");
        }
    }

    #[test]
    fn names_that_differ_just_in_composition_are_shown_apart() {
        for (one, other) in [
            ("caf\u{e9}", "cafe\u{301}"),
            ("\u{c5}", "\u{212b}"),
            ("\u{1ea1}\u{301}", "a\u{301}\u{323}"),
            ("x\u{323}\u{301}", "x\u{301}\u{323}"),
            ("\u{ac01}", "\u{1100}\u{1161}\u{11a8}"),
            ("\u{9cb}", "\u{9c7}\u{9be}"),
        ] {
            assert_ne!(line(one), line(other));
            assert_eq!(line(one), one);
            assert!(line(other).contains("\\u{"), "{}", line(other));
        }
        // Letters that have no composed form are left as they are.
        for text in ["हिन्दी", "ภาษาไทย", "العربية", "x\u{323}"] {
            assert_eq!(line(text), text);
        }
    }

    #[test]
    fn no_printed_line_begins_a_command() {
        let style = "\u{1b}[1m";
        for (text, shown) in [
            ("a\n::warning::x\nb", "a\n\\u{3a}:warning::x\nb".to_owned()),
            ("\t  ::x", "\t  \\u{3a}:x".to_owned()),
            (&format!("{style} ::x"), format!("{style} \\u{{3a}}:x")),
            ("+::x", "+::x".to_owned()),
            ("a ##[group]b", "a \\u{23}#[group]b".to_owned()),
            ("\u{1b}]0;title\u{7}", "\\u{1b}]0;title\\u{7}".to_owned()),
            (&format!("{style}a\u{1b}[2Jb{style}é"), format!("{style}a\\u{{1b}}[2Jb{style}é")),
        ] {
            assert_eq!(lines(text), shown);
        }
    }

    #[test]
    fn json_stays_the_same_value() {
        let value = serde_json::json!({"a\u{202e}": "e\u{301}\u{e0041}##[x]\n\u{9b}", "b": ["é"]});
        let plain = serde_json::to_string_pretty(&value).unwrap();
        let shown = json(&plain);
        assert!(!shown.contains(['\u{202e}', '\u{301}', '\u{9b}']) && !shown.contains("##["));
        assert!(shown.contains('é'), "{shown}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&shown).unwrap(), value);
    }
}
