//! Text formatting: `%`, markup escaping, URL quoting, and what characters are to Python.

use std::fmt::Write as _;

use minijinja::Value;

use super::value::{Budget, Outcome, Py, chars, fail, refuse, text, write_repr};

/// Escapes text for markup, as MarkupSafe does.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '\'' => out.push_str("&#39;"),
            '"' => out.push_str("&#34;"),
            _ => out.push(character),
        }
    }
    out
}

/// Percent-encodes all but letters, digits, `_.-~` and what is named safe.
pub(super) fn quote(text: &str, safe: &[u8]) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"_.-~".contains(&byte) || safe.contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

/// Whether Python's `str.isspace` and `\s` take a character.
pub(super) fn is_space(character: char) -> bool {
    character.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&character)
}

/// Whether Python's `str.isalnum` takes a character. Scripts in which Unicode's notion of
/// a letter and Rust's differ are refused rather than guessed.
pub(super) fn is_alphanumeric(character: char) -> Outcome<bool> {
    if character.is_ascii() {
        return Ok(character.is_ascii_alphanumeric());
    }
    let agreed = matches!(u32::from(character),
        0x80..=0x2ff | 0x370..=0x482 | 0x48a..=0x52f | 0x1e00..=0x1fff | 0x2000..=0x206f
        | 0x20a0..=0x20bf | 0x3000..=0x3029 | 0x3041..=0x3096 | 0x30a1..=0x30fa
        | 0x4e00..=0x9fff | 0xac00..=0xd7a3 | 0x1f300..=0x1faff);
    if agreed {
        Ok(character.is_alphanumeric())
    } else {
        Err(refuse(format!("telling whether U+{:04X} is a letter", u32::from(character))))
    }
}

/// The title case of a character, as `str.title` and `str.capitalize` use it.
pub(super) fn title_case(character: char) -> Outcome<String> {
    if matches!(u32::from(character), 0x1c4..=0x1cc | 0x1f1..=0x1f3 | 0x10d0..=0x10ff | 0x1f80..=0x1fff)
    {
        return Err(refuse(format!("the title case of U+{:04X}", u32::from(character))));
    }
    let mut upper = character.to_uppercase();
    let mut title: String = upper.next().into_iter().collect();
    title.extend(upper.flat_map(char::to_lowercase));
    Ok(title)
}

/// `str.capitalize`
pub(super) fn capitalize(text: &str) -> Outcome<String> {
    let mut characters = text.chars();
    let Some(first) = characters.next() else { return Ok(String::new()) };
    // Lower case looks around for the final sigma, so the whole text is lowered.
    let lower = text.to_lowercase();
    let rest = lower.strip_prefix(&first.to_lowercase().collect::<String>());
    let rest = rest.ok_or_else(|| refuse("this capitalization"))?;
    Ok(title_case(first)? + rest)
}

/// `str.splitlines`
pub(super) fn split_lines(text: &str, keep_ends: bool) -> Vec<&str> {
    let mut lines = Vec::new();
    let mut start = 0;
    let mut characters = text.char_indices().peekable();
    while let Some((at, character)) = characters.next() {
        let ends = matches!(
            character,
            '\n' | '\r' | '\u{b}' | '\u{c}' | '\u{1c}'
                ..='\u{1e}' | '\u{85}' | '\u{2028}' | '\u{2029}'
        );
        if !ends {
            continue;
        }
        let mut after = at + character.len_utf8();
        if character == '\r'
            && let Some((_, '\n')) = characters.peek()
        {
            characters.next();
            after += 1;
        }
        lines.push(&text[start..if keep_ends { after } else { at }]);
        start = after;
    }
    if start < text.len() {
        lines.push(&text[start..]);
    }
    lines
}

/// How one `%` conversion is laid out.
#[derive(Debug, Default)]
struct Layout {
    left: bool,
    zero: bool,
    plus: bool,
    space: bool,
    width: usize,
    precision: Option<usize>,
}

/// `template % arguments`
pub(super) fn percent(budget: &Budget, template: &str, arguments: &[Value]) -> Outcome<String> {
    let mut given = arguments.iter();
    let mut out = String::new();
    let mut characters = template.chars().peekable();
    while let Some(character) = characters.next() {
        if character != '%' {
            out.push(character);
            continue;
        }
        let mut layout = Layout::default();
        while let Some(flag) = characters.next_if(|next| "-0+ #(".contains(*next)) {
            match flag {
                '-' => layout.left = true,
                '0' => layout.zero = true,
                '+' => layout.plus = true,
                ' ' => layout.space = true,
                _ => return Err(refuse(format!("`%{flag}` in a format"))),
            }
        }
        layout.width = digits(&mut characters)?.unwrap_or_default();
        if characters.next_if_eq(&'.').is_some() {
            layout.precision = Some(digits(&mut characters)?.unwrap_or_default());
        }
        let Some(conversion) = characters.next() else { return Err(fail("an incomplete format")) };
        if conversion == '%' {
            out.push('%');
            continue;
        }
        let Some(argument) = given.next() else {
            return Err(fail("not enough arguments for the format"));
        };
        let converted = convert(budget, conversion, &layout, argument)?;
        budget.charge(converted.len())?;
        out.push_str(&converted);
    }
    if given.next().is_some() {
        return Err(fail("not all arguments were used by the format"));
    }
    Ok(out)
}

fn digits(characters: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Outcome<Option<usize>> {
    let mut number = None;
    while let Some(digit) = characters.next_if(char::is_ascii_digit) {
        let value = digit.to_digit(10).map_or(0, |digit| digit as usize);
        number = Some(number.unwrap_or(0) * 10 + value);
        if number > Some(10_000) {
            return Err(refuse("a format this wide"));
        }
    }
    if characters.peek() == Some(&'*') {
        return Err(refuse("`%*` in a format"));
    }
    Ok(number)
}

fn convert(
    budget: &Budget,
    conversion: char,
    layout: &Layout,
    argument: &Value,
) -> Outcome<String> {
    let value = Py::of(argument);
    let (sign, body, numeric) = match conversion {
        's' | 'r' => {
            let mut body = String::new();
            if conversion == 's' {
                body.push_str(&text(budget, argument)?);
            } else {
                write_repr(budget, &mut body, argument)?;
            }
            if let Some(precision) = layout.precision {
                body = body.chars().take(precision).collect();
            }
            (String::new(), body, false)
        }
        'd' | 'i' | 'u' => {
            let number = match (value.as_int(), value) {
                (Some(number), _) => number,
                (None, Py::Float(number)) if number.abs() < 1e15 => {
                    #[allow(clippy::cast_possible_truncation)]
                    let number = number as i128;
                    number
                }
                _ => return Err(fail(format!("`%{conversion}` needs a number"))),
            };
            let mut body = number.unsigned_abs().to_string();
            if let Some(precision) = layout.precision {
                body = format!("{body:0>precision$}");
            }
            (sign_of(number < 0, layout), body, true)
        }
        'f' | 'F' => {
            let number = match (value.as_int(), value) {
                (Some(number), _) => super::value::exact_float(number)?,
                (None, Py::Float(number)) if number.is_finite() => number,
                _ => return Err(fail(format!("`%{conversion}` needs a finite number"))),
            };
            let precision = layout.precision.unwrap_or(6);
            let negative = number.is_sign_negative();
            (sign_of(negative, layout), format!("{:.precision$}", number.abs()), true)
        }
        'x' | 'X' | 'o' => {
            let Some(number) = value.as_int() else {
                return Err(fail(format!("`%{conversion}` needs an integer")));
            };
            let size = number.unsigned_abs();
            let mut body = match conversion {
                'x' => format!("{size:x}"),
                'X' => format!("{size:X}"),
                _ => format!("{size:o}"),
            };
            if let Some(precision) = layout.precision {
                body = format!("{body:0>precision$}");
            }
            (sign_of(number < 0, layout), body, true)
        }
        _ => return Err(refuse(format!("`%{conversion}` in a format"))),
    };
    let missing = layout.width.saturating_sub(chars(&sign) + chars(&body));
    let (spaces, zeros) = (" ".repeat(missing), "0".repeat(missing));
    Ok(if layout.left {
        format!("{sign}{body}{spaces}")
    } else if layout.zero && numeric {
        format!("{sign}{zeros}{body}")
    } else {
        format!("{spaces}{sign}{body}")
    })
}

fn sign_of(negative: bool, layout: &Layout) -> String {
    match (negative, layout.plus, layout.space) {
        (true, _, _) => "-",
        (false, true, _) => "+",
        (false, false, true) => " ",
        _ => "",
    }
    .to_owned()
}
